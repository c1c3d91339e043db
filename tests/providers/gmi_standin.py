"""A strict GMI Cloud on loopback: refuses what its guides refuse, and counts every charge."""

from typing import Any, ClassVar

from aiohttp import web

from tests.providers.standin import (
    Missing,
    StandIn,
    StandInJob,
    Wrong,
    list_price,
    problems,
    query,
    read_strictly,
    shape,
)

REQUESTS = "/requests"
SLUG, FAST = "Minimax-Hailuo-02", "Minimax-Hailuo-2.3-Fast"
_PAYLOAD: dict[str, Any] = {
    "first_frame_image": {"type": "string", "pattern": "^https?://[^/]"},
    "prompt_optimizer": {"type": "boolean"},
    "fast_pretreatment": {"type": "boolean"},
}
_FRAME_AT_512 = {
    "if": {"required": ["resolution"], "properties": {"resolution": {"const": "512P"}}},
    "then": {"required": ["first_frame_image"]},
}

#: The payloads as the two guides state them.
SCHEMAS = {
    SLUG: shape(["512P", "768P", "1080P"], rules=(_FRAME_AT_512,), **_PAYLOAD),
    FAST: shape(["768P", "1080P"], required=("first_frame_image",), **_PAYLOAD),
}


class GmiStandIn(StandIn):
    """Its oddities are attributes, because nobody knows which of them hold.

    `organization` is the one the key belongs to; `models` what is listed; `at_once` a status the POST answers with
    already; `newer` gives the clip in `media_urls` besides; `echo` the payload fields that are repeated, None for
    all. A prompt that holds `unmakeable` is refused by the vendor behind GMI Cloud.
    """

    prefix = "/api/v1/ie/requestqueue/apikey"
    first = "queued"
    failed = "failed"
    steps: ClassVar = {"queued": "processing", "processing": "success"}

    def __init__(self, *, key: str = "gmi-stand-in-secret", auto: bool = False, clip: bytes = b"") -> None:
        super().__init__(key=key, auto=auto, clip=clip)
        self.organization: str | None = None
        self.models: dict[str, object] = {
            slug: {"price": price, "pricing_type": "per_video", "unit": "video"}
            for slug, price in ((SLUG, 0.28), (FAST, "0.19"))
        }
        self.at_once: str | None = None
        self.newer = False
        self.echo: set[str] | None = None
        self.unmakeable = "unmakeable"

    def _authorize(self, request: web.Request) -> None:
        if not self._has_key(request):
            raise Wrong(401, "invalid api key")
        if request.headers.get("X-Organization-ID", self.organization) != self.organization:
            raise Wrong(403, "the key does not belong to this organization")

    def _refusal(self, wrong: Wrong) -> web.Response:
        return web.json_response({"error": str(wrong)}, status=wrong.status)

    def _answer(self, request: web.Request, path: str, body: bytes) -> web.Response:
        match request.method, path.strip("/").split("/"):
            case "GET", ["requests"]:
                return self._list(*query(request, "model_id"))
            case "POST", ["requests"]:
                query(request)
                return self._submit(body)
            case "GET", ["requests", job_id]:
                query(request)
                return self._status(job_id)
            case "GET", ["models", *slug]:
                query(request)
                return self._model(slug)
        raise Wrong(405, "no such call")

    def _submit(self, body: bytes) -> web.Response:
        slug, payload = _checked(body)
        if slug not in self.models:
            raise Wrong(404, f"model {slug} not found or you do not have access")
        if self.moderated in payload["prompt"]:
            raise Wrong(400, "the prompt violates our content policy")
        if self.unmakeable in payload["prompt"]:
            raise Wrong(500, "Backend error (400): the input cannot be used")
        job = self._make(f"r-{self._number()}", slug, payload, list_price(payload, fast=slug == FAST))
        if self.at_once == "success":
            self.finish(job.id)
        elif self.at_once:
            self.fail(job.id, "it ended at once")
            self.advance(job.id, self.at_once)
        view = self._view(job)
        shown = view if self.at_once else {name: view[name] for name in _ACCEPTED}
        return web.json_response(shown, status=201)

    def _status(self, job_id: str) -> web.Response:
        if job_id not in self.jobs:
            raise Missing("request not found")
        self._read(self.jobs[job_id])
        return web.json_response(self._view(self.jobs[job_id]))

    def _list(self, slug: str) -> web.Response:
        views = [self._view(job) for job in self.jobs.values() if job.model == slug]
        return web.json_response({"requests": views, "total": len(views)})

    def _model(self, slug: list[str]) -> web.Response:
        if not slug:
            return web.json_response({"model_ids": ["another-model", *self.models]})
        if slug[0] not in self.models or len(slug) > 1:
            raise Missing("model not found or you do not have access")
        return web.json_response({"model_id": slug[0], "price_info": self.models[slug[0]]})

    def _view(self, job: StandInJob) -> dict[str, Any]:
        payload = job.input.items()
        return {
            "request_id": job.id,
            "model": job.model,
            "status": job.status,
            "org_id": self.organization or "org-1",
            "user_id": "user-1",
            "is_public": False,
            "qworker_id": "",
            "payload": {name: value for name, value in payload if self.echo is None or name in self.echo},
            "outcome": self._outcome(job),
            "created_at": job.created_at,
            "updated_at": job.created_at + job.reads,
            "queued_at": job.created_at,
        }

    def _outcome(self, job: StandInJob) -> dict[str, Any] | None:
        if job.status != "success":
            return {"error": job.reason} if job.reason else None
        thumbnail, url = f"{self.root}/clips/thumbnail.jpg", self._clip_url(job)
        if self.newer:
            media = [{"id": "1", "url": url}]
            return {"media_urls": media, "video_url": thumbnail, "thumbnail_image_url": thumbnail}
        return {"video_url": url, "thumbnail_image_url": thumbnail}


_ACCEPTED = ("request_id", "model", "status", "created_at", "updated_at", "queued_at")


def _checked(body: bytes) -> tuple[str, dict[str, Any]]:
    asked = read_strictly(body)
    if not isinstance(asked, dict) or asked.keys() != {"model", "payload"}:
        raise Wrong(400, "the body has exactly model and payload")
    slug = asked["model"]
    schema = SCHEMAS.get(slug) if isinstance(slug, str) else None
    if not schema:
        raise Wrong(404, "model not found or you do not have access")
    if problem := problems(asked["payload"], schema):
        raise Wrong(400, problem)
    return slug, asked["payload"]
