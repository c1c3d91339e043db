"""A real bot on an in-memory Discord: one server, a channel, members, a paid provider and a clock that tests move."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import discord
import pytest
import simcord
import simcord.backend.cdn
from aiohttp import web
from pydantic import SecretStr
from simcord.interactions import base_payload

from bot import app as composition
from bot.demo.world import words_of
from bot.domain.errors import BotError
from bot.domain.parcel import Parcel
from bot.domain.ports import Posted
from bot.domain.task import Task
from bot.settings import Settings
from tests.providers.mindvideo_standin import MindVideoStandIn

NEW_YEAR = 1_767_225_600_000


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """simcord's handles of a second server."""

    guild: Any
    channel: Any
    dora: Any
    eve: Any
    alice: Any


class Scene:
    """`env` is simcord's world, `app` the bot in it; made by `open_scene`."""

    def __init__(self, folder: Path, standin: MindVideoStandIn, **changes: Any) -> None:
        self.folder = folder
        self.standin = standin
        self.changes = changes
        self.app: composition.App
        self.env: Any = None
        self.expects_bugs = False
        self._ids = 0
        self._stack = AsyncExitStack()

    # ------------------------------------------------------------------ time

    def now(self) -> int:
        """Milliseconds since 1970, of the same clock that simcord makes its ids from."""
        return round(self.env.now().timestamp() * 1000) if self.env else NEW_YEAR

    def monotonic(self) -> float:
        return 1000 + (self.now() - NEW_YEAR) / 1000

    async def pass_time(self, seconds: float) -> None:
        await self.env.advance_time(seconds)

    # ----------------------------------------------------------------- the bot

    @property
    def settings(self) -> Settings:
        data: dict[str, Any] = {
            "discord_token": SecretStr("discord-secret-token"),
            "database": self.folder / "conch.db",
            "data_dir": self.folder / "data",
            "providers": ("mindvideo",),
            "keys": {"mindvideo": SecretStr(self.standin.key)},
            "api_urls": {"mindvideo": self.standin.url},
            "trusted_hosts": frozenset({"127.0.0.1"}),
        }
        return Settings(**{**data, **self.changes})

    async def start_app(self) -> composition.App:
        self.app = await self._stack.enter_async_context(
            composition.build(self.settings, clock=self.now, monotonic=self.monotonic, make_id=self._new_id)
        )
        return self.app

    async def restart(self, **changes: Any) -> None:
        """Stop this process and start another on the same database, as an update of the bot does."""
        await self.stop_app()
        self.changes |= changes
        await self.env.restart_bot((await self.start_app()).client)

    async def stop_app(self) -> None:
        await self.app.engine.idle()
        await self._stack.aclose()

    def _new_id(self) -> str:
        self._ids += 1
        return f"task{self._ids:04d}"

    async def step(self, times: int = 1) -> None:
        """Let the engine do all that is due, then come back after its pause between reads."""
        for _ in range(times):
            with self.env.time_context():
                await self.app.engine.step()
                await self.app.engine.idle()
            await self.pass_time(20)

    async def redraw(self) -> None:
        with self.env.time_context():
            await self.app.board.redraw()

    # --------------------------------------------------------------- the world

    def furnish(self, env: Any) -> Self:
        self.env = env
        self.guild = env.create_guild("Reef")
        self.channel = self.guild.create_text_channel("clips")
        self.alice = self.guild.add_member(env.create_user("alice"))
        self.bob = self.guild.add_member(env.create_user("bob"))
        self.bosses = self.guild.create_role("Bosses", permissions=discord.Permissions(manage_guild=True))
        self.carol = self.guild.add_member(env.create_user("carol"), roles=[self.bosses])
        return self

    async def admin(self, path: str, **options: Any) -> Any:
        """Carol, who may manage the server, gives an `/admin` command."""
        return await self.carol.slash(self.channel, f"admin {path}", **options)

    async def elsewhere(self) -> "Elsewhere":
        """Another server with the same bot: dora manages it, eve is a member, and alice is one too."""
        guild = self.env.create_guild("Lagoon")
        bosses = guild.create_role("Bosses", permissions=discord.Permissions(manage_guild=True))
        return Elsewhere(
            guild=guild,
            channel=guild.create_text_channel("clips"),
            dora=guild.add_member(self.env.create_user("dora"), roles=[bosses]),
            eve=guild.add_member(self.env.create_user("eve")),
            alice=guild.add_member(self.alice.user),
        )

    async def video(self, mode: str = "text", *, prompt: str = "a whale", **options: Any) -> Any:
        """Alice asks for a clip."""
        return await self.alice.slash(self.channel, f"video {mode}", prompt=prompt, **options)

    async def raw(self, path: str, *, member: Any = None, **options: Any) -> Any:
        """A command with values that no honest client would send. Pairs are (type, value)."""
        return await self.emit(2, self.command(path, **options), member=member)

    def command(self, path: str, **options: Any) -> dict[str, Any]:
        """What an interaction says of a command. Pairs are (type, value)."""
        name, *nested = path.split()
        command = self.env.backend.find_command(name, self.guild.id, type=1)
        leaf = [{"name": key, "type": kind, "value": value} for key, (kind, value) in options.items()]
        for part in reversed(nested):
            leaf = [{"name": part, "type": 1, "options": leaf}]
        return {"id": command["id"], "name": name, "type": 1, "options": leaf}

    async def emit(
        self, kind: int, data: dict[str, Any], *, member: Any = None, channel: Any = None, **more: Any
    ) -> Any:
        channel = channel or self.channel
        record, payload = base_payload(
            self.env.backend,
            type=kind,
            channel_id=channel.id,
            guild_id=channel.guild.id,
            user_id=(member or self.alice).id,
            data=data,
        )
        self.env.backend.emit("INTERACTION_CREATE", {**payload, **more})
        await self.env.settle()
        return simcord.InteractionResult(self.env, record)

    # --------------------------------------------------------------- questions

    async def tasks(self) -> list[Task]:
        """Alice's, in the order she asked for them."""
        found = await self.app.tasks.of_member(self.alice.id, self.guild.id, limit=100)
        return sorted(found, key=lambda task: (task.interaction_id, task.ordinal))

    async def task(self) -> Task:
        (task,) = await self.tasks()
        return task

    async def spent_and_held(self) -> tuple[int, int]:
        entries = [entry for task in await self.tasks() for entry in await self.app.ledger.of_task(task.id)]
        return sum(entry.spent_micros for entry in entries), sum(entry.held_micros for entry in entries)

    def sent(self, method: str, ending: str) -> list[Any]:
        """The bot's requests to Discord, in order."""
        return [one for one in self.env.http_requests if one.method == method and one.path.endswith(ending)]

    def shown(self, channel: Any = None) -> list[Any]:
        """What everybody sees in the channel, oldest first."""
        stored = self.env.backend.messages.get((channel or self.channel).id, {})
        return [stored[key] for key in sorted(stored) if not stored[key].is_ephemeral]

    def files(self) -> list[str]:
        """What lies in the data folder, but for the bot's own lock."""
        data = self.settings.data_dir
        found = sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file())
        return [name for name in found if name != "conch.lock"]

    # ------------------------------------------------------------------ states

    async def accepted(self, **options: Any) -> Task:
        """A task of Alice's that the provider works on."""
        await self.video(**options)
        await self.step()
        return (await self.tasks())[-1]

    async def succeeded(self, **options: Any) -> Task:
        """A task of Alice's that is paid and not posted yet."""
        task = await self.accepted(**options)
        await self.app.tasks.succeed(
            task,
            self.now(),
            job_id=task.job_id or "",
            clip=("https://provider.example/clip.mp4", self.now() + 3_600_000),
            cost_micros=task.price_micros,
            note="finished",
        )
        return (await self.tasks())[-1]

    async def stranded(self, **options: Any) -> Task:
        """A paid task whose clip lies on disk and could be posted nowhere."""
        task = await self.succeeded(**options)
        await self.app.tasks.postpone(task, self.now(), due_at=None, problem="kept, offered in /tasks list")
        self.clip(task).write_bytes(b"a clip")
        return (await self.tasks())[-1]

    def clip(self, task: Task) -> Path:
        folder = self.settings.data_dir / "clips"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{task.id}.mp4"

    async def deliver(self, task: Task, *, again: bool = False, cost: int | None = None) -> Posted:
        clip = self.clip(task)
        if not clip.exists():
            clip.write_bytes(b"a clip")
        price = task.price_micros if cost is None else cost
        with self.env.time_context():
            return await self.app.board.deliver(task, Parcel(clip), cost_micros=price, again=again)


def told(result: Any) -> str:
    """What the member alone was told; the public answer must be gone."""
    assert result.response is None or result.response.ephemeral
    (answer,) = [one for one in [result.response, *result.followups] if one]
    assert answer.ephemeral
    return str(answer.content)


def drawn(scene: Scene) -> str:
    """What Alice's newest progress message says."""
    return says(next(one for one in reversed(scene.shown()) if one.interaction_metadata))


def says(message: Any) -> str:
    """All that one of simcord's messages says, whichever way it is laid out."""
    return words_of(message.content or "", message.components)


async def nothing_happened(scene: Scene) -> bool:
    """No hold, no paid call, no file, and nothing left in the channel."""
    return not (await scene.tasks() or scene.standin.requests or scene.files() or scene.shown())


@asynccontextmanager
async def open_scene(
    folder: Path, template: Path, standin: MindVideoStandIn, monkeypatch: pytest.MonkeyPatch, **changes: Any
) -> AsyncIterator[Scene]:
    shutil.copy(template, folder / "conch.db")
    scene = Scene(folder, standin, **changes)
    app = await scene.start_app()
    try:
        env = simcord.Env(app.client, check_errors=False, settle_timeout=20)
        await env.start()
        try:
            async with _cdn(env, monkeypatch):
                yield scene.furnish(env)
                await scene.app.engine.idle()
        finally:
            await env.shutdown()
        bugs = [error for error in env.errors if not isinstance(error.__cause__ or error, BotError)]
        assert scene.expects_bugs or not bugs, bugs
    finally:
        await scene.stop_app()


@asynccontextmanager
async def _cdn(env: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Serve simcord's files on loopback, where the bot's downloads and the provider can read them."""

    async def serve(request: web.Request) -> web.Response:
        blob = env.backend.cdn.get(str(request.url))
        return web.Response(status=404) if blob is None else web.Response(body=blob)

    server = web.Application()
    server.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(server, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    monkeypatch.setattr(simcord.backend.cdn, "CDN_BASE", f"http://{host}:{port}")
    try:
        yield
    finally:
        await runner.cleanup()
