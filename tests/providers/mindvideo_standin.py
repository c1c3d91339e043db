"""A strict MindVideo on loopback: refuses what the real one's schemas refuse, and counts every charge."""

import asyncio
import hashlib
import itertools
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import jsonschema
from aiohttp import web

TASKS = "/api/v1/tasks"
FINAL = {"succeeded", "failed", "cancelled"}
STEPS = {"queued": "processing", "processing": "succeeded"}


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


@dataclass(frozen=True)
class Fault:
    """An answer in place of the right one; `every` is seconds between single bytes of the body."""

    status: int = 500
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    every: float | None = None


Hook = Callable[[web.Request], Awaitable[Fault | None]]


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class StandInJob:
    id: str
    key: str | None
    model: str
    input: dict[str, Any]
    fingerprint: str
    estimate: Decimal
    status: str = "queued"
    cost: Decimal | None = None
    reason: str | None = None
    events: list[dict[str, str]] = field(default_factory=list)


class _Wrong(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class MindVideoStandIn:
    """`async with MindVideoStandIn() as standin`: then `standin.url` and `standin.key` are what a bot needs.

    `before` runs once a request is known to be right, `after` once it had its effect and before its answer leaves;
    either may wait for ever or return a `Fault`. In `auto` mode each status read moves the job one step.
    """

    def __init__(
        self, *, key: str = "mv_live_stand-in-secret", auto: bool = False, clip: bytes = b""
    ) -> None:
        self.key = key
        self.auto = auto
        self.clip = clip
        self.url = ""
        self.before: Hook | None = None
        self.after: Hook | None = None
        self.jobs: dict[str, StandInJob] = {}
        self.charges: dict[str, Decimal] = {}
        self.clips: dict[str, bytes] = {}
        self.requests: list[Received] = []
        self.refused: list[str] = []
        self._numbers = itertools.count(1)
        self._waiting: list[asyncio.Future[None]] = []
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=32 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._serve)
        # A handler that waits for ever must end when its client has gone, and with the server.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner:
            await self._runner.cleanup()

    # What a test does

    def sent(self, method: str, path: str | None = None) -> list[Received]:
        """The requests of one method, in order; of one path where given."""
        return [one for one in self.requests if one.method == method and path in {None, one.path}]

    def advance(self, task_id: str, status: str) -> None:
        """Move to any status word, also one that MindVideo does not have."""
        job = self.jobs[task_id]
        job.status = status
        job.events.append({"at": f"step {len(job.events) + 1}", "type": status, "message": f"now {status}"})
        self._notify()

    def finish(self, task_id: str, *, clip: bytes | None = None, cost: Decimal | None = None) -> None:
        """Succeed with this clip; without a `cost` the estimate is charged."""
        job = self.jobs[task_id]
        self.clips[task_id] = self.clip if clip is None else clip
        job.cost = self.charges[task_id] = job.estimate if cost is None else cost
        self.advance(task_id, "succeeded")

    def fail(self, task_id: str, reason: str, *, cost: Decimal = Decimal(0)) -> None:
        job = self.jobs[task_id]
        job.reason = reason
        job.cost = self.charges[task_id] = cost
        self.advance(task_id, "failed")

    async def until(self, predicate: Callable[[], bool], *, seconds: float = 10) -> None:
        """Wait until something that happens here makes `predicate` true; `TimeoutError` after `seconds`."""
        async with asyncio.timeout(seconds):
            while not predicate():
                waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.append(waiter)
                await waiter

    def _notify(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    # What the server does

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append(Received(request.method, request.path, dict(request.headers), body))
        self._notify()
        try:
            self._admit(request)
            if self.before and (fault := await self.before(request)):
                return await self._go_wrong(request, fault)
            answer = self._answer(request, body)
        except _Wrong as wrong:
            # Asking for a task that does not exist is how a key is tried.
            if (request.method, wrong.status) != ("GET", 404):
                self.refused.append(f"{request.method} {request.path}: {wrong.status} {wrong}")
            answer = _json(wrong.status, {"error": {"code": wrong.code, "message": str(wrong)}})
        self._notify()
        if self.after and (fault := await self.after(request)):
            return await self._go_wrong(request, fault)
        return answer

    def _admit(self, request: web.Request) -> None:
        if request.path.startswith("/clips/"):
            if "Authorization" in request.headers or "Cookie" in request.headers:
                raise _Wrong(400, "leak", "a clip was asked for with credentials")
        elif request.headers.get("Authorization") != f"Bearer {self.key}":
            raise _Wrong(401, "unauthorized", "missing or wrong key")
        if request.query_string:
            raise _Wrong(400, "bad_request", "no call here has a query")

    def _answer(self, request: web.Request, body: bytes) -> web.Response:
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["api", "v1", "tasks"]:
                return self._submit(request, body)
            case "GET", ["api", "v1", "tasks", task_id]:
                return self._status(self._job(task_id))
            case "GET", ["api", "v1", "tasks", task_id, "events"]:
                return _json(200, {"events": self._job(task_id).events})
            case "GET", ["clips", name]:
                return self._clip(name.removesuffix(".mp4"))
        raise _Wrong(405, "no_route", "no such call")

    def _submit(self, request: web.Request, body: bytes) -> web.Response:
        if request.content_type != "application/json":
            raise _Wrong(415, "media_type", f"content type {request.content_type}")
        model, wish = _checked(body)
        key = request.headers.get("Idempotency-Key")
        fingerprint = hashlib.sha256(body).hexdigest()
        for job in self.jobs.values():
            if key is not None and job.key == key:
                if job.fingerprint != fingerprint:
                    raise _Wrong(409, "idempotency_conflict", "this key was used with different input")
                return _json(200, self._view(job))
        job = StandInJob(f"task_{next(self._numbers)}", key, model, wish, fingerprint, _estimate(model, wish))
        self.jobs[job.id] = job
        self.charges[job.id] = job.estimate
        self.advance(job.id, "queued")
        return _json(201, self._view(job))

    def _job(self, task_id: str) -> StandInJob:
        if task_id not in self.jobs:
            raise _Wrong(404, "not_found", "no such task")
        return self.jobs[task_id]

    def _status(self, job: StandInJob) -> web.Response:
        if self.auto and job.status in STEPS:
            if STEPS[job.status] == "succeeded":
                self.finish(job.id)
            else:
                self.advance(job.id, STEPS[job.status])
        return _json(200, self._view(job))

    def _clip(self, task_id: str) -> web.Response:
        if task_id not in self.clips:
            raise _Wrong(404, "not_found", "no such clip")
        return web.Response(body=self.clips[task_id], content_type="video/mp4")

    def _view(self, job: StandInJob) -> dict[str, Any]:
        view = {
            "request_id": f"req_{job.id}",
            "task_id": job.id,
            "status": job.status,
            "cost_estimate": float(job.estimate),
            "cost_actual": None if job.cost is None else float(job.cost),
            "output": None,
        }
        if job.status == "succeeded":
            view["output"] = {"videos": [{"url": f"{self.url}/clips/{job.id}.mp4"}]}
        if job.reason:
            view["error"] = {"code": "generation_failed", "message": job.reason}
        return view

    async def _go_wrong(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.drop and request.transport:
            request.transport.abort()
        if fault.every is None:
            return web.Response(status=fault.status, body=fault.body, headers=fault.headers)
        answer = web.StreamResponse(status=fault.status, headers=fault.headers)
        answer.content_length = len(fault.body)
        await answer.prepare(request)
        for byte in fault.body:
            await answer.write(bytes([byte]))
            await asyncio.sleep(fault.every)
        return answer


def _checked(body: bytes) -> tuple[str, dict[str, Any]]:
    try:
        # JSON Schema takes 5.0 for an integer; a strict server need not.
        asked = json.loads(
            body.decode(), parse_float=_no_number, parse_constant=_no_number, object_pairs_hook=_no_twins
        )
    except ValueError as error:
        raise _Wrong(400, "invalid_json", str(error)) from error
    if not isinstance(asked, dict) or asked.keys() != {"model", "input"}:
        raise _Wrong(422, "validation_error", "the body has exactly model and input")
    schema = SCHEMAS.get(asked["model"]) if isinstance(asked["model"], str) else None
    if not schema:
        raise _Wrong(404, "unknown_model", "no such model")
    checker = jsonschema.Draft202012Validator(schema)
    problems = [problem.message[:200] for problem in checker.iter_errors(asked["input"])]
    if problems:
        raise _Wrong(422, "validation_error", "; ".join(problems))
    return asked["model"], asked["input"]


def _no_number(text: str) -> None:
    raise ValueError(f"no field here takes {text}")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _estimate(model: str, wish: dict[str, Any]) -> Decimal:
    """The two prices MindVideo's demo shows, by the second, and more for 1080p."""
    second = Decimal("0.045") if model == "minimax-hailuo-02" else Decimal("0.0549")
    seconds = int(wish.get("duration", 5 if model == "minimax-hailuo-02" else 6))
    return second * seconds * (2 if wish.get("resolution") == "1080p" else 1)


def _json(status: int, view: dict[str, Any]) -> web.Response:
    return web.json_response(view, status=status)
