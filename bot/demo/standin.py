"""A local Discord: a real discord.py bot connects to it over loopback sockets."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import discord
from aiohttp import web

from bot.demo.backend import Clock, Ping, StrictBackend
from bot.demo.gateway import Gateway
from bot.demo.people import Interaction, People
from bot.demo.rest import Rest
from bot.demo.wire import API, DROP, Fault, Request, Response, Upload, read, render
from bot.demo.world import Attachment, Channel, Member, Message, Server

__all__ = [
    "DROP",
    "Attachment",
    "Channel",
    "DiscordStandIn",
    "Fault",
    "Interaction",
    "Member",
    "Message",
    "Ping",
    "Request",
    "Response",
    "Server",
]

Before = Callable[[Request], Awaitable[Fault | None]]
After = Callable[[Request, Response], Awaitable[Fault | None]]

_HOST = "127.0.0.1"
_CDN = "/cdn"


class DiscordStandIn(People):
    """Open it with `async with`; a bot connects by `api_url`, `gateway_url` and `token`."""

    def __init__(self, *, port: int = 0, clock: Clock = time.time, bot_name: str = "Conch") -> None:
        super().__init__(StrictBackend(clock, bot_name))
        self.token = f"stand-in.{secrets.token_urlsafe(24)}"
        self.api_url = ""
        self.gateway_url = ""
        self.before: Before | None = None
        self.after: After | None = None
        self._port = port
        self._rest = Rest(self)
        self.gateway = Gateway(self, self.token)
        # A hook may wait for ever; 0 would be no timeout at all.
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.05)

    @property
    def connected(self) -> bool:
        """Whether a bot has identified and still holds its connection."""
        return self.gateway.connected

    @property
    def approved_intents(self) -> discord.Intents:
        """The intents of the developer portal: without the privileged ones until a test sets them."""
        return self.gateway.approved_intents

    def disconnect(self, *, resumable: bool = True) -> None:
        """Break the gateway connections, as a network does."""
        self.gateway.disconnect(resumable=resumable)

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=0)  # `upload_limit` decides, with Discord's own answer
        app.router.add_get("/gateway", self.gateway.serve)
        for prefix in (API, _CDN):
            app.router.add_route("*", prefix + "/{tail:.*}", self._serve)
        return app

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, _HOST, self._port).start()
        address = f"{_HOST}:{self._runner.addresses[0][1]}"
        self.api_url = f"http://{address}{API}"
        self.gateway_url = self._rest.gateway_url = self.gateway.url = f"ws://{address}/gateway"
        self.backend.cdn.base = f"http://{address}{_CDN}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect(resumable=False)
        await self._runner.cleanup()

    async def _serve(self, http: web.Request) -> web.Response:
        handling = asyncio.create_task(self._respond(http))
        handling.add_done_callback(self._handled)
        response = await handling
        if response is DROP and http.transport:
            http.transport.abort()
        return render(response)

    def _handled(self, handling: asyncio.Task[Response]) -> None:
        if not handling.cancelled() and (error := handling.exception()):
            self.problems.append(repr(error))
        self.changed()

    async def _respond(self, http: web.Request) -> Response:
        request, uploads = await read(http, self.token)
        self.requests.append(request)
        self.changed()
        if self.before and (fault := await self.before(request)):
            return fault
        response = self._handle(request, uploads)
        self.changed()
        if self.after and (fault := await self.after(request, response)):
            return fault
        return response

    def _handle(self, request: Request, uploads: list[Upload]) -> Response:
        if not request.path.startswith(f"{_CDN}/"):
            return self._rest.answer(request, uploads)
        query = "&".join(f"{name}={value}" for name, value in request.query.items())
        url = f"{self.backend.cdn.base}{request.path.removeprefix(_CDN)}?{query}"
        data = self.backend.cdn.get(url)
        return Response(404, "This content is no longer available.") if data is None else Response(200, data)
