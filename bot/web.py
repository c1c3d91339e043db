"""The HTTP listener: health, metrics, clips by signed links, and webhooks as a hint to read a status at once.

Nothing a caller says is believed.
"""

import asyncio
import hmac
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from bot.domain.current import working_on
from bot.domain.errors import SetupError, StorageError
from bot.health import Health, wrong
from bot.media import kinds
from bot.metrics import CONTENT_TYPE, Metrics
from bot.services.files import clip_of
from bot.services.hooks import Hooks
from bot.services.links import ClipLinks

log = logging.getLogger(__name__)

#: Bytes, and seconds for them to come.
_LARGEST_BODY = 64 * 1024
_BODY_SECONDS = 5
_CHALLENGE_LENGTH = 1000
_TYPES = {"mp4": "video/mp4", "mov": "video/quicktime", "webm": "video/webm", "mkv": "video/x-matroska"}


@dataclass(frozen=True, slots=True)
class Guarded:
    """What `/metrics` tells, and the token that whoever asks must know."""

    metrics: Metrics
    token: str = field(repr=False)


_Handler = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def listening(
    port: int,
    folder: Path,
    hooks: Hooks | None,
    hint: Callable[[str], Awaitable[None]],
    links: ClipLinks | None = None,
    *,
    health: Health,
    guarded: Guarded | None = None,
) -> AsyncIterator[int]:
    """Serve until left; yields the port, which differs from `port` only where that is 0: then IPv6 has another.

    `SetupError` where the port cannot be had.
    """
    application = web.Application(client_max_size=_LARGEST_BODY)
    application.router.add_get("/health", _well(health))
    application.router.add_get("/healthz", _parts(health))
    if guarded:
        application.router.add_get("/metrics", _metrics(guarded))
    if hooks:
        application.router.add_post("/hooks/{task}/{signature}", _called(hooks, hint))
    if links:
        application.router.add_get("/clips/{task}/{expires}/{signature}", _fetched(links, folder))
    # Nobody packs a body for us, and what unpacks to more than it weighs is a bomb.
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1, auto_decompress=False)
    await runner.setup()
    try:
        await _listen(runner, port)
        # In no order; an IPv4 address is the shorter one.
        yield min(runner.addresses, key=len)[1]
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, None, port).start()
    except OSError as error:
        raise SetupError(
            f"HTTP_PORT: port {port} cannot be listened on ({error.strerror}). Name another one, or end the "
            "program that has it."
        ) from error


def _well(health: Health) -> _Handler:
    async def handle(_: web.Request) -> web.Response:
        problem = wrong(health.parts())
        return web.Response(status=503 if problem else 200, text=problem or "well")

    return handle


def _parts(health: Health) -> _Handler:
    async def handle(_: web.Request) -> web.Response:
        parts = health.parts()
        problem = wrong(parts)
        status = "unwell" if problem else "well"
        return web.json_response({"status": status, **parts}, status=503 if problem else 200)

    return handle


def _metrics(guarded: Guarded) -> _Handler:
    """Behind a token and not by address: a proxy in front, or Docker's own, makes every stranger a neighbour."""
    expected = f"Bearer {guarded.token}".encode()

    async def handle(request: web.Request) -> web.Response:
        said = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(said, expected):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
        text = await guarded.metrics.text()
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    return handle


def _called(hooks: Hooks, hint: Callable[[str], Awaitable[None]]) -> _Handler:
    async def handle(request: web.Request) -> web.Response:
        task_id = hooks.task_of(request.path)
        if task_id is None:
            raise web.HTTPNotFound
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await request.read()
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        challenge = _challenge(body)
        if challenge is not None:
            return web.json_response({"challenge": challenge})
        with working_on(task_id):
            try:
                await hint(task_id)
            except StorageError as error:
                log.error("the hint about task %s is not taken: %s", task_id, error)  # noqa: TRY400 - says all
                raise web.HTTPServiceUnavailable from None
        return web.Response(status=204)

    return handle


def _fetched(links: ClipLinks, folder: Path) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        claim = links.claim(request.path)
        if claim is None:
            raise web.HTTPNotFound
        if links.is_over(claim):
            raise web.HTTPGone(text=f"This link has expired: clips are kept here for {links.days} days.")
        # Only a task id that we signed ourselves gets this far.
        clip = clip_of(folder, claim.task_id)
        try:
            container = await asyncio.to_thread(_container, clip)
        except OSError:
            raise web.HTTPNotFound(text="This clip is not kept here any more.") from None
        headers = {
            "Content-Type": _TYPES[container],
            "Content-Disposition": f'inline; filename="conch-{claim.task_id}.{container}"',
            "Cache-Control": "private",
            "X-Content-Type-Options": "nosniff",
            "X-Robots-Tag": "noindex",
        }
        return web.FileResponse(clip, headers=headers)

    return handle


def _container(clip: Path) -> str:
    with clip.open("rb") as file:
        return kinds.container(file.read(kinds.HEAD))


def _challenge(body: bytes) -> str | None:
    """MiniMax asks for its words back before it calls an address: those are all we ever read."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    words = said.get("challenge") if isinstance(said, dict) else None
    return words if isinstance(words, str) and len(words) <= _CHALLENGE_LENGTH else None
