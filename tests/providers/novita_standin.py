"""A strict Novita on loopback: refuses what its pages refuse, and counts every charge."""

from decimal import Decimal
from typing import Any, ClassVar, Literal

from aiohttp import web

from tests.providers.standin import (
    Missing,
    StandIn,
    StandInJob,
    Wrong,
    check_data,
    list_price,
    problems,
    query,
    read_strictly,
    shape,
)

ASYNC = "/v3/async"
RESULT = f"{ASYNC}/task-result"
BALANCE = "/openapi/v1/billing/balance/detail"

_FLAG = {"type": "boolean"}
_URL = {"type": "string", "pattern": "^https?://[^/]"}
_PICTURE = {"type": "string", "pattern": "^(https?://[^/]|data:image/(jpeg|png|webp);base64,.)"}
_WEBHOOK = {
    "type": "object",
    "required": ["webhook"],
    "additionalProperties": False,
    "properties": {
        "webhook": {
            "type": "object",
            "required": ["url"],
            "additionalProperties": False,
            "properties": {"url": _URL},
        }
    },
}
_LARGE = ["768P", "1080P"]
_SEED = shape(_LARGE, image_url=_URL, enable_prompt_expansion=_FLAG)
_NEWEST = shape(
    _LARGE,
    # No page says that a last frame may stand alone.
    rules=({"if": {"required": ["end_image"]}, "then": {"required": ["image"]}},),
    image=_PICTURE,
    end_image=_PICTURE,
    enable_prompt_expansion=_FLAG,
    fast_pretreatment=_FLAG,
)
_TEXT = shape(_LARGE, enable_prompt_expansion=_FLAG, fast_pretreatment=_FLAG)
_IMAGE = shape(
    _LARGE, required=("image",), image=_PICTURE, enable_prompt_expansion=_FLAG, fast_pretreatment=_FLAG
)
_FAST_IMAGE = shape(_LARGE, required=("image",), image=_PICTURE, enable_prompt_expansion=_FLAG)


class NovitaStandIn(StandIn):
    """`image_field` chooses the edition of `minimax-hailuo-02`: the oldest with `image_url`, the newest with `image`.

    `webhooks` makes the endpoints take `extra`; `balance` is in units of 0.0001 dollars; the first `late` reads of a
    job do not find it; `ttl` is the life of a link.
    """

    first = "TASK_STATUS_QUEUED"
    failed = "TASK_STATUS_FAILED"
    steps: ClassVar = {
        "TASK_STATUS_QUEUED": "TASK_STATUS_PROCESSING",
        "TASK_STATUS_PROCESSING": "TASK_STATUS_SUCCEED",
    }

    def __init__(
        self,
        *,
        key: str = "sk_novita_stand-in-secret",
        auto: bool = False,
        clip: bytes = b"",
        image_field: Literal["image_url", "image"] = "image_url",
        webhooks: bool = False,
    ) -> None:
        super().__init__(key=key, auto=auto, clip=clip)
        self.schemas = {
            "minimax-hailuo-02": _SEED if image_field == "image_url" else _NEWEST,
            "minimax-hailuo-2.3-t2v": _TEXT,
            "minimax-hailuo-2.3-i2v": _IMAGE,
            "minimax-hailuo-2.3-fast-i2v": _FAST_IMAGE,
        }
        self.webhooks = webhooks
        self.balance = 1_000_000
        self.late = 0
        self.ttl = "3600"

    def _authorize(self, request: web.Request) -> None:
        if "Authorization" not in request.headers:
            raise Wrong(400, "no api key", "MISSING_API_KEY")
        if not self._has_key(request):
            raise Wrong(403, "the api key is wrong", "INVALID_API_KEY")

    def _refusal(self, wrong: Wrong) -> web.Response:
        code = wrong.code or "INVALID_REQUEST_BODY"
        view = {"code": wrong.status, "reason": code, "message": str(wrong), "metadata": {}}
        return web.json_response(view, status=wrong.status)

    def _answer(self, request: web.Request, path: str, body: bytes) -> web.Response:
        match request.method, path:
            case "GET", "/v3/async/task-result":
                return self._status(*query(request, "task_id"))
            case "GET", "/openapi/v1/billing/balance/detail":
                query(request)
                return self._balance()
            case "POST", _ if path.startswith(f"{ASYNC}/"):
                query(request)
                return self._submit(path.removeprefix(f"{ASYNC}/"), body)
        raise Wrong(404, "no such call", "API_NOT_FOUND")

    def _submit(self, endpoint: str, body: bytes) -> web.Response:
        if endpoint not in self.schemas:
            raise Wrong(404, "no such model", "API_NOT_FOUND")
        wish = self._checked(endpoint, body)
        if self.moderated in wish["prompt"]:
            raise Wrong(400, "the prompt is not allowed", "ILLEGAL_PROMPT")
        price = list_price(wish, fast="fast" in endpoint)
        if price > self._left():
            raise Wrong(400, "top up first", "BILLING_BALANCE_NOT_ENOUGH")
        job = self._make(f"t-{self._number()}", endpoint, wish, price)
        return web.json_response({"task_id": job.id})

    def _checked(self, endpoint: str, body: bytes) -> dict[str, Any]:
        asked = read_strictly(body)
        schema = self.schemas[endpoint]
        if self.webhooks:
            schema = schema | {"properties": schema["properties"] | {"extra": _WEBHOOK}}
        if problem := problems(asked, schema):
            raise Wrong(400, problem, "INVALID_REQUEST_BODY")
        for picture in (asked.get("image", ""), asked.get("end_image", "")):
            check_data(picture, 400, "INVALID_IMAGE_FORMAT")
        checked: dict[str, Any] = asked
        return checked

    def _status(self, job_id: str) -> web.Response:
        job = self.jobs.get(job_id)
        if job and job.reads >= self.late:
            self._read(job)
            return web.json_response(self.view(job))
        if job:
            job.reads += 1
        raise Missing("task not found", "TASK_NOT_FOUND")

    def _balance(self) -> web.Response:
        left = str(int(self._left() * 10_000))
        view = {"availableBalance": left, "cashBalance": left, "creditLimit": "0", "outstandingInvoices": "0"}
        return web.json_response(view)

    def _left(self) -> Decimal:
        return Decimal(self.balance) / 10_000 - sum(self.charges.values())

    def view(self, job: StandInJob) -> dict[str, Any]:
        """The task-result of a job."""
        succeeded = job.status == "TASK_STATUS_SUCCEED"
        clip = {"video_url": self._clip_url(job), "video_url_ttl": self.ttl, "video_type": "mp4"}
        return {
            "task": {
                "task_id": job.id,
                "task_type": job.model.upper().replace("-", "_"),
                "status": job.status,
                "reason": job.reason or "",
                "eta": 0 if succeeded else 40,
                "progress_percent": 100 if succeeded else min(99, 35 * job.reads),
            },
            "images": [],
            "videos": [clip] if succeeded else [],
            "audios": [],
            "extra": {"seed": "7", "debug_info": {"submit_time_ms": str(job.created_at * 1000)}},
        }
