"""What the strict stand-ins on loopback share: a server with hooks and faults, jobs, clips, charges, refusals."""

import asyncio
import base64
import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import Any, ClassVar, Self

import jsonschema
from aiohttp import web

from bot.domain.errors import JobRejected, ProviderClosed


@dataclass(frozen=True)
class Fault:
    """An answer in place of the right one; `every` is seconds between single bytes of the body."""

    status: int = 500
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    every: float | None = None


Hook = Callable[[web.Request], Awaitable[Fault | None]]


def once(fault: Fault | None, method: str = "POST") -> Hook:
    """A hook that goes wrong at the first such request: with this fault, or by never answering."""
    left = [fault]

    async def hook(request: web.Request) -> Fault | None:
        if request.method != method or not left:
            return None
        if (chosen := left.pop()) is None:
            await asyncio.Event().wait()
        return chosen

    return hook


def always(fault: Fault, method: str | None = "GET") -> Hook:
    async def hook(request: web.Request) -> Fault | None:
        return fault if method in {None, request.method} else None

    return hook


def says(view: object, status: int = 200) -> Fault:
    """The answer that is this JSON, or these bytes."""
    return Fault(status, view if isinstance(view, bytes) else json.dumps(view).encode())


#: Faults that tell nothing of a job: none of them is an answer that could be accepted.
LOST = [
    *(Fault(status) for status in (408, 500, 503, 504)),
    Fault(502, b"<html>bad gateway</html>"),
    Fault(drop=True),
    Fault(200),
    Fault(200, b"<html>hello</html>"),
    Fault(200, b'{"request_id": 17, "task_id": 17, "status": "queued"}'),
    Fault(200, b'{"request_id": "..", "task_id": "a b", "status": "queued"}'),
    Fault(200, b'{"request_id": "r-1", "task_id": "t-1'),
    Fault(200, b'["r-1"]'),
    Fault(200, b'{"request_id": null, "task_id": null, "status": 17}'),
    Fault(200, b'{"task_id":"t-1", "request_id": "r-1", "status": "queued"}', {"Content-Encoding": "br"}),
    Fault(302, b"", {"Location": "http://127.0.0.1:1/"}),
    Fault(200, b" " * (1024 * 1024 + 1)),
    Fault(200, b" " * 50, every=0.05),
    None,
]
#: The same for the answer to a read. A number may be the id of another job there.
UNREAD = [fault for fault in LOST if fault is None or b'"task_id": 17' not in fault.body]
#: HTTP codes of a submit that certainly accepted nothing, and what they are to us.
REFUSALS = [
    (400, JobRejected),
    (401, ProviderClosed),
    (402, ProviderClosed),
    (403, ProviderClosed),
    (404, JobRejected),
    (409, JobRejected),
    (413, JobRejected),
    (422, JobRejected),
]


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    #: The port of the client, which is another one for each connection.
    port: int = 0


@dataclass
class StandInJob:
    """`created_at` is seconds since 1970; `reads` counts how often its status was asked for."""

    id: str
    model: str
    input: dict[str, Any]
    price: Decimal
    status: str
    created_at: int
    reason: str | None = None
    reads: int = 0


class Wrong(Exception):
    """A refusal of the request. `code` is the provider's word for it, "" where it has none."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Missing(Wrong):
    """What was asked for is not there, which is no mistake of the one who asks."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(404, message, code)


class StandIn(ABC):
    """`async with` it: then `url` and `key` are what a bot needs.

    `before` runs once a request is known to be right, `after` once it had its effect and before its answer leaves;
    either may wait for ever or return a `Fault`. In `auto` mode each status read moves the job one step. A prompt
    that holds the word `moderated` is refused as content. `now` is seconds since 1970 and stands still.
    """

    #: The part of every call's path that belongs to the address a bot is given.
    prefix: ClassVar[str] = ""
    #: Status words: the first, the failed, and what follows upon what.
    first: ClassVar[str]
    failed: ClassVar[str]
    steps: ClassVar[Mapping[str, str]]

    def __init__(self, *, key: str = "stand-in-secret-key", auto: bool = False, clip: bytes = b"") -> None:
        self.key = key
        self.auto = auto
        self.clip = clip
        self.root = ""
        self.now = 1_760_000_000
        self.moderated = "forbidden"
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

    @property
    def url(self) -> str:
        return self.root + self.prefix

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=32 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._serve)
        # A handler that waits for ever must end when its client has gone, and with the server.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.root = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner:
            await self._runner.cleanup()

    # What a test does

    def sent(self, method: str, path: str | None = None) -> list[Received]:
        """The requests of one method, in order; of one path behind the prefix where given."""
        wished = {None} if path is None else {self.prefix + path}
        return [one for one in self.requests if one.method == method and wished & {None, one.path}]

    def advance(self, job_id: str, status: str) -> None:
        """Move to any status word, also one that the provider does not have."""
        self.jobs[job_id].status = status
        self._notify()

    def finish(self, job_id: str, *, clip: bytes | None = None) -> None:
        self.clips[job_id] = self.clip if clip is None else clip
        self.advance(job_id, list(self.steps.values())[-1])

    def fail(self, job_id: str, reason: str, *, cost: Decimal = Decimal(0)) -> None:
        self.jobs[job_id].reason = reason
        self.charges[job_id] = cost
        self.advance(job_id, self.failed)

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

    # What a provider adds

    @abstractmethod
    def _answer(self, request: web.Request, path: str, body: bytes) -> web.Response:
        """One call, its path without the prefix; raises `Wrong`."""

    @abstractmethod
    def _refusal(self, wrong: Wrong) -> web.Response: ...

    @abstractmethod
    def _authorize(self, request: web.Request) -> None:
        """Raises `Wrong` unless the key is right."""

    def _has_key(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self.key}"

    # What every provider does

    def _make(self, job_id: str, model: str, wish: dict[str, Any], price: Decimal) -> StandInJob:
        job = StandInJob(job_id, model, wish, price, self.first, self.now)
        self.jobs[job_id] = job
        self.charges[job_id] = price
        return job

    def _number(self) -> int:
        return next(self._numbers)

    def _read(self, job: StandInJob) -> None:
        """Note a status read, and in auto mode move on."""
        job.reads += 1
        if self.auto and (onward := self.steps.get(job.status)):
            if onward in self.steps:
                self.advance(job.id, onward)
            else:
                self.finish(job.id)

    def _clip_url(self, job: StandInJob) -> str:
        return f"{self.root}/clips/{job.id}.mp4"

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        port = request.transport.get_extra_info("peername")[1] if request.transport else 0
        self.requests.append(
            Received(request.method, request.path, dict(request.query), dict(request.headers), body, port)
        )
        self._notify()
        try:
            self._admit(request, body)
            if self.before and (fault := await self.before(request)):
                return await _go_wrong(request, fault)
            answer = self._routed(request, body)
        except Wrong as wrong:
            if not isinstance(wrong, Missing):
                self.refused.append(f"{request.method} {request.path}: {wrong.status} {wrong.code} {wrong}")
            answer = self._refusal(wrong)
        self._notify()
        if self.after and (fault := await self.after(request)):
            return await _go_wrong(request, fault)
        return answer

    def _admit(self, request: web.Request, body: bytes) -> None:
        if not request.path.startswith("/clips/"):
            self._authorize(request)
        elif {"Authorization", "Cookie"} & set(request.headers):
            raise Wrong(400, "a clip was asked for with credentials")
        if request.method == "GET" and body:
            raise Wrong(400, "a read has no body")
        if request.method == "POST" and request.content_type != "application/json":
            raise Wrong(415, f"content type {request.content_type}")

    def _routed(self, request: web.Request, body: bytes) -> web.Response:
        path = request.path
        if request.method == "GET" and path.startswith("/clips/"):
            job_id = path.removeprefix("/clips/").removesuffix(".mp4")
            if job_id not in self.clips:
                raise Missing("no such clip")
            return web.Response(body=self.clips[job_id], content_type="video/mp4")
        if not path.startswith(self.prefix + "/"):
            raise Wrong(405, "no such call")
        return self._answer(request, path.removeprefix(self.prefix), body)


def query(request: web.Request, *names: str) -> list[str]:
    """The values of exactly these query fields, each given once."""
    if sorted(name for name, _ in request.query.items()) != sorted(names):
        raise Wrong(400, f"the query has {list(request.query)} and not {list(names)}")
    return [request.query[name] for name in names]


async def _go_wrong(request: web.Request, fault: Fault) -> web.StreamResponse:
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


def shape(
    resolutions: list[str], *, required: tuple[str, ...] = (), rules: tuple[object, ...] = (), **more: object
) -> dict[str, Any]:
    """The JSON schema of a wish: prompt, 6 or 10 s, a resolution, and `more`; nothing else; no 10 s at 1080P."""
    return {
        "type": "object",
        "required": ["prompt", *required],
        "additionalProperties": False,
        "properties": {
            "prompt": {"type": "string", "minLength": 1, "maxLength": 2000},
            "duration": {"type": "integer", "enum": [6, 10]},
            "resolution": {"type": "string", "enum": resolutions},
            **more,
        },
        "not": {
            "required": ["duration", "resolution"],
            "properties": {"duration": {"const": 10}, "resolution": {"const": "1080P"}},
        },
        "allOf": list(rules),
    }


def read_strictly(body: bytes) -> Any:
    """JSON without floats, constants or keys that stand twice: no field of ours needs them."""
    try:
        return json.loads(
            body.decode(), parse_float=_no_number, parse_constant=_no_number, object_pairs_hook=_no_twins
        )
    except ValueError as error:
        raise Wrong(400, f"no JSON: {error}", "INVALID_REQUEST_BODY") from error


def problems(wish: object, schema: dict[str, Any]) -> str:
    """What is wrong with a wish, "" for nothing."""
    found = jsonschema.Draft202012Validator(schema).iter_errors(wish)
    return "; ".join(problem.message[:200] for problem in found)


def check_data(picture: str, status: int, code: str = "") -> None:
    """Whether a picture that is data can be unpacked."""
    if picture.startswith("data:"):
        try:
            base64.b64decode(picture.partition(",")[2], validate=True)
        except ValueError as error:
            raise Wrong(status, f"invalid params, {error}", code) from error


def _no_number(text: str) -> None:
    raise ValueError(f"no field here takes {text}")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


#: MiniMax's list, in dollars: what a clip costs by its length and resolution, the fast model's after it.
PRICES = {
    (6, "512P"): ("0.10", None),
    (10, "512P"): ("0.15", None),
    (6, "768P"): ("0.28", "0.19"),
    (10, "768P"): ("0.56", "0.32"),
    (6, "1080P"): ("0.49", "0.33"),
}


def list_price(wish: Mapping[str, Any], *, fast: bool) -> Decimal:
    """The price of a wish that passed its schema; 6 s at 768P where it names nothing."""
    price = PRICES[wish.get("duration", 6), wish.get("resolution", "768P")][int(fast)]
    return Decimal(price or "0")
