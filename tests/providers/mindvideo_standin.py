"""A strict MindVideo on loopback: refuses what the real one's schemas refuse, and counts every charge."""

import hashlib
from decimal import Decimal
from typing import Any, ClassVar

from aiohttp import web

from tests.providers.standin import (
    Fault,
    Missing,
    StandIn,
    StandInJob,
    Wrong,
    problems,
    query,
    read_strictly,
)

__all__ = ["TASKS", "Fault", "MindVideoStandIn"]

TASKS = "/api/v1/tasks"


def _schema(durations: list[int], resolutions: list[str], **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["prompt"],
        "additionalProperties": False,
        "properties": {
            "prompt": {"type": "string", "minLength": 1},
            "duration": {"type": "integer", "enum": durations},
            "resolution": {"type": "string", "enum": resolutions},
            "watermark": {"type": "boolean"},
            "prompt_optimizer": {"type": "boolean"},
            "fast_pretreatment": {"type": "boolean"},
            "first_frame_image": {"type": "string", "pattern": "^(https?://|data:image/)"},
            **more,
        },
    }


#: The input schemas as MindVideo's model pages state them.
SCHEMAS = {
    "minimax-hailuo-02": _schema(
        [5, 10],
        ["512p", "768p", "1080p"],
        last_frame_image={"type": "string", "pattern": "^(https?://|data:image/)"},
    ),
    "minimax-hailuo-2-3": _schema([6, 10], ["768p", "1080p"]),
}


class MindVideoStandIn(StandIn):
    """Its price is an estimate, which `finish` may replace; its history is in `events`."""

    first = "queued"
    failed = "failed"
    steps: ClassVar = {"queued": "processing", "processing": "succeeded"}

    def __init__(
        self, *, key: str = "mv_live_stand-in-secret", auto: bool = False, clip: bytes = b""
    ) -> None:
        super().__init__(key=key, auto=auto, clip=clip)
        #: By idempotency key: the hash of the body, and the job.
        self.keys: dict[str, tuple[str, StandInJob]] = {}
        self.events: dict[str, list[dict[str, str]]] = {}

    # What a test does

    def advance(self, job_id: str, status: str) -> None:
        events = self.events.setdefault(job_id, [])
        events.append({"at": f"step {len(events) + 1}", "type": status, "message": f"now {status}"})
        super().advance(job_id, status)

    def finish(self, job_id: str, *, clip: bytes | None = None, cost: Decimal | None = None) -> None:
        """Succeed with this clip; without a `cost` the estimate is charged."""
        if cost is not None:
            self.charges[job_id] = cost
        super().finish(job_id, clip=clip)

    # What the server does

    def _authorize(self, request: web.Request) -> None:
        if not self._has_key(request):
            raise Wrong(401, "missing or wrong key", "unauthorized")

    def _refusal(self, wrong: Wrong) -> web.Response:
        view = {"error": {"code": wrong.code or "bad_request", "message": str(wrong)}}
        return web.json_response(view, status=wrong.status)

    def _answer(self, request: web.Request, path: str, body: bytes) -> web.Response:
        query(request)
        match request.method, path.strip("/").split("/"):
            case "POST", ["api", "v1", "tasks"]:
                return self._submit(request.headers.get("Idempotency-Key"), body)
            case "GET", ["api", "v1", "tasks", job_id]:
                return self._status(self._job(job_id))
            case "GET", ["api", "v1", "tasks", job_id, "events"]:
                return web.json_response({"events": self.events[self._job(job_id).id]})
        raise Wrong(405, "no such call", "no_route")

    def _submit(self, key: str | None, body: bytes) -> web.Response:
        model, wish = _checked(body)
        fingerprint = hashlib.sha256(body).hexdigest()
        if key in self.keys:
            known, job = self.keys[key]
            if known != fingerprint:
                raise Wrong(409, "this key was used with different input", "idempotency_conflict")
            return web.json_response(self._view(job))
        if self.moderated in wish["prompt"]:
            raise Wrong(422, "the prompt is not allowed", "content_policy_violation")
        job = self._make(f"task_{self._number()}", model, wish, _estimate(model, wish))
        if key is not None:
            self.keys[key] = (fingerprint, job)
        self.advance(job.id, "queued")
        return web.json_response(self._view(job), status=201)

    def _job(self, job_id: str) -> StandInJob:
        if job_id not in self.jobs:
            raise Missing("no such task", "not_found")
        return self.jobs[job_id]

    def _status(self, job: StandInJob) -> web.Response:
        self._read(job)
        return web.json_response(self._view(job))

    def _view(self, job: StandInJob) -> dict[str, Any]:
        ended = job.status in {"succeeded", "failed"}
        view = {
            "request_id": f"req_{job.id}",
            "task_id": job.id,
            "status": job.status,
            "cost_estimate": float(job.price),
            "cost_actual": float(self.charges[job.id]) if ended else None,
            "output": None,
        }
        if job.status == "succeeded":
            view["output"] = {"videos": [{"url": self._clip_url(job)}]}
        if job.reason:
            view["error"] = {"code": "generation_failed", "message": job.reason}
        return view


def _checked(body: bytes) -> tuple[str, dict[str, Any]]:
    asked = read_strictly(body)
    if not isinstance(asked, dict) or asked.keys() != {"model", "input"}:
        raise Wrong(422, "the body has exactly model and input", "validation_error")
    schema = SCHEMAS.get(asked["model"]) if isinstance(asked["model"], str) else None
    if not schema:
        raise Wrong(404, "no such model", "unknown_model")
    if problem := problems(asked["input"], schema):
        raise Wrong(422, problem, "validation_error")
    return asked["model"], asked["input"]


def _estimate(model: str, wish: dict[str, Any]) -> Decimal:
    """The two prices MindVideo's demo shows, by the second, and more for 1080p."""
    second = Decimal("0.045") if model == "minimax-hailuo-02" else Decimal("0.0549")
    seconds = int(wish.get("duration", 5 if model == "minimax-hailuo-02" else 6))
    return second * seconds * (2 if wish.get("resolution") == "1080p" else 1)
