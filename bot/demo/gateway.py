"""The websocket half of the stand-in: sessions, their events, and resuming them."""

import asyncio
import json
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

import discord
from aiohttp import WSMsgType, web
from discord.gateway import DiscordWebSocket as Op
from simcord.backend import serializers
from simcord.gateway import FakeGateway, FakeWebSocket
from simcord.intents import missing_privileged_intents

from bot.demo.backend import StrictBackend
from bot.demo.world import World

_HEARTBEAT_MS: Final = 41250


class _Parsers:
    """Stands where simcord expects discord.py's table of parsers: every event goes to one function."""

    def __init__(self, send: Callable[[str, Any], None]) -> None:
        self._send = send

    def __getitem__(self, event: str) -> Callable[[Any], None]:
        return partial(self._send, event)

    get = __getitem__


class _Session:
    """One identified bot; keeps what the bot has not confirmed, so that it can resume."""

    def __init__(self, backend: StrictBackend, intents: discord.Intents) -> None:
        self.id = secrets.token_hex(16)
        self.intents = intents
        self.parsers = _Parsers(self.send)
        self.outbox: asyncio.Queue[str] | None = None
        self.sequence = 0
        self._unconfirmed: deque[tuple[int, str]] = deque()
        self._filter = FakeGateway(backend, self)
        self._members = FakeWebSocket(backend, self._filter)

    def feed(self, event: str, payload: Mapping[str, Any]) -> None:
        """Send the event if, and as far as, the intents allow it."""
        self._filter.feed(event, payload)

    def send(self, event: str, payload: Any) -> None:
        self.sequence += 1
        frame = json.dumps({"op": Op.DISPATCH, "t": event, "s": self.sequence, "d": payload})
        self._unconfirmed.append((self.sequence, frame))
        if self.outbox:
            self.outbox.put_nowait(frame)

    def confirm(self, sequence: int | None) -> None:
        while self._unconfirmed and self._unconfirmed[0][0] <= (sequence or 0):
            self._unconfirmed.popleft()

    def resume(self, outbox: asyncio.Queue[str], sequence: int) -> None:
        self.confirm(sequence)
        self.outbox = outbox
        for _, frame in self._unconfirmed:
            outbox.put_nowait(frame)
        self.send("RESUMED", {})

    async def request_members(self, wanted: dict[str, Any]) -> None:
        await self._members.request_chunks(int(wanted.pop("guild_id")), **wanted)


class Gateway:
    def __init__(self, world: World, token: str) -> None:
        self.url = ""
        self.backend = world.backend
        self.token = token
        self.approved_intents = discord.Intents.default()
        self.changed = world.changed
        self._connections: set[_Connection] = set()
        self._sessions: dict[str, _Session] = {}
        #: So many connections more are turned away.
        self.closed_to = 0
        #: Sessions begun.
        self.identified = 0
        self.backend.subscribers.append(self._publish)

    def _publish(self, event: str, payload: Mapping[str, Any]) -> None:
        if event == "GUILD_CREATE":  # discord.py takes it for a new server only without this key
            payload = {key: value for key, value in payload.items() if key != "unavailable"}
        for session in self._sessions.values():
            session.feed(event, payload)
        self.changed()

    @property
    def connected(self) -> bool:
        return any(session.outbox for session in self._sessions.values())

    async def serve(self, http: web.Request) -> web.WebSocketResponse:
        if self.closed_to:
            self.closed_to -= 1
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse(timeout=1)
        await socket.prepare(http)
        connection = _Connection(self, socket, http.transport)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            self.changed()
        return socket

    def disconnect(self, *, resumable: bool) -> None:
        if not resumable:
            self._sessions.clear()
        for connection in self._connections:
            connection.abort()

    async def close(self, code: int, *, resumable: bool) -> None:
        if not resumable:
            self._sessions.clear()
        for connection in list(self._connections):
            await connection.close(code)

    def tell(self, op: int, data: Any, *, resumable: bool) -> None:
        """Send a frame that is no event. Reconnect and Invalid Session ask the bot to hang up and come again."""
        if not resumable:
            self._sessions.clear()
        for connection in self._connections:
            connection.push(op, data)

    def open(self, intents: discord.Intents) -> _Session:
        """Start a session; sessions that no bot holds any more end here."""
        self.identified += 1
        self._sessions = {key: held for key, held in self._sessions.items() if held.outbox}
        session = _Session(self.backend, intents)
        self._sessions[session.id] = session
        return session

    def find(self, wanted: Mapping[str, Any]) -> _Session | None:
        session = self._sessions.get(str(wanted.get("session_id")))
        return session if session and (wanted.get("seq") or 0) <= session.sequence else None


class _Connection:
    def __init__(
        self, gateway: Gateway, socket: web.WebSocketResponse, transport: asyncio.Transport | None
    ) -> None:
        self._gateway = gateway
        self._socket = socket
        self._transport = transport
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self._session: _Session | None = None

    def abort(self) -> None:
        if self._transport:
            self._transport.abort()

    async def close(self, code: int) -> None:
        await self._socket.close(code=code)

    async def run(self) -> None:
        writer = asyncio.create_task(self._write())
        self.push(Op.HELLO, {"heartbeat_interval": _HEARTBEAT_MS})
        try:
            async for message in self._socket:
                if message.type is WSMsgType.TEXT:
                    await self._take(**json.loads(message.data))
        finally:
            writer.cancel()
            if self._session and self._session.outbox is self._outbox:
                self._session.outbox = None

    def push(self, op: int, data: Any = None) -> None:
        self._outbox.put_nowait(json.dumps({"op": op, "d": data, "s": None, "t": None}))

    async def _write(self) -> None:
        with suppress(ConnectionError):  # the reader sees the same end and acts on it
            while True:
                await self._socket.send_str(await self._outbox.get())

    async def _take(self, op: int, d: Any = None) -> None:
        match op:
            case Op.HEARTBEAT:
                if self._session:
                    self._session.confirm(d)
                self.push(Op.HEARTBEAT_ACK)
            case Op.IDENTIFY:
                await self._identify(d)
            case Op.RESUME:
                await self._resume(d)
            case _ if not self._session:
                await self._socket.close(code=4003, message=b"Not authenticated.")
            case Op.REQUEST_MEMBERS:
                await self._session.request_members(d)
            case Op.PRESENCE | Op.VOICE_STATE:
                pass
            case _:
                await self._socket.close(code=4001, message=b"Unknown opcode.")

    async def _refused(self, token: str) -> bool:
        if token == self._gateway.token:
            return False
        await self._socket.close(code=4004, message=b"Authentication failed.")
        return True

    async def _identify(self, wanted: dict[str, Any]) -> None:
        intents = discord.Intents.none()
        intents.value = wanted.get("intents", 0)
        if await self._refused(wanted["token"]):
            return
        if missing_privileged_intents(intents, self._gateway.approved_intents):
            await self._socket.close(code=4014, message=b"Disallowed intent(s).")
            return
        session = self._session = self._gateway.open(intents)
        session.outbox = self._outbox
        self._greet(session)
        self._gateway.changed()

    def _greet(self, session: _Session) -> None:
        backend = self._gateway.backend
        guilds = list(backend.guilds.values())
        ready = {
            "v": 10,
            "user": serializers.user_payload(backend.bot_user),
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
            "session_id": session.id,
            "resume_gateway_url": self._gateway.url,
            "application": {"id": str(backend.application_id), "flags": 0},
        }
        session.send("READY", ready)
        for guild in guilds:
            session.feed("GUILD_CREATE", serializers.guild_create_payload(backend, guild))

    async def _resume(self, wanted: dict[str, Any]) -> None:
        if await self._refused(wanted["token"]):
            return
        session = self._gateway.find(wanted)
        if session is None:
            self.push(Op.INVALIDATE_SESSION, data=False)
            return
        self._session = session
        session.resume(self._outbox, wanted["seq"])
