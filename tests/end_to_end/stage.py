"""A stage: a local Discord, a strict MindVideo, and between them the real bot as a process of its own."""

import asyncio
import os
import re
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.demo.standin import Channel, DiscordStandIn, Interaction, Member, Message, Server
from cogs.acknowledge import privately
from tests.providers.mindvideo_standin import MindVideoStandIn

REPOSITORY = Path(__file__).parents[2]
CATALOG = REPOSITORY / "bot" / "catalog.toml"
STOP_SECONDS = 10
PATIENCE = 90.0
"""Seconds; only a test that fails waits so long."""


@dataclass
class Clock:
    """Discord's clock; a test moves it ahead."""

    ahead: float = 0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class Process:
    """One `conch` command under way."""

    inner: asyncio.subprocess.Process
    log: Path

    async def kill(self) -> None:
        self.inner.kill()
        await self.inner.wait()

    async def stop(self) -> int:
        """SIGTERM, as an operator stops it; the exit code."""
        self.inner.terminate()
        return await asyncio.wait_for(self.inner.wait(), STOP_SECONDS)

    async def end(self) -> int:
        return await asyncio.wait_for(self.inner.wait(), PATIENCE)


class Hang:
    """A hook for either stand-in: the first request that fits waits until its process is dead, then gets `fault`."""

    def __init__(self, fits: Callable[[Any], bool], fault: Any) -> None:
        self._fits = fits
        self._fault = fault
        self._released = asyncio.Event()
        self.reached = asyncio.Event()

    async def __call__(self, request: Any, _answer: Any = None) -> Any:
        if self.reached.is_set() or not self._fits(request):
            return None
        self.reached.set()
        await self._released.wait()
        return self._fault

    def release(self) -> None:
        self._released.set()


@dataclass
class Stage:
    discord: DiscordStandIn
    mindvideo: MindVideoStandIn
    clock: Clock
    folder: Path
    settings: dict[str, str]
    server: Server
    channel: Channel
    ann: Member
    picture: bytes = b""
    module: str = "bot"
    """What is run as the bot's process."""
    asked: list[Interaction] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def database(self) -> Path:
        return self.data / "conch.db"

    @property
    def env(self) -> dict[str, str]:
        return {
            "DISCORD_TOKEN": self.discord.token,
            "DISCORD_API_URL": self.discord.api_url,
            "DISCORD_GATEWAY_URL": self.discord.gateway_url,
            "MINDVIDEO_API_KEY": self.mindvideo.key,
            "MINDVIDEO_API_URL": self.mindvideo.url,
            "TRUSTED_HOSTS": "127.0.0.1",
            "DATA_DIR": str(self.data),
            "POLL_SECONDS": "0.05",
            "LOG_LEVEL": "DEBUG",
            **self.settings,
        }

    # ------------------------------------------------------------ the bot

    async def launch(self, *arguments: str, **settings: str) -> Process:
        log = self.folder / f"{len(self.processes)}.log"
        process = Process(await launch(log, *arguments, env=self.env | settings, module=self.module), log)
        self.processes.append(process)
        return process

    async def start(self, **settings: str) -> Process:
        """A running bot that hears its commands."""
        await self.until(lambda: not self.discord.connected)
        bot = await self.launch("run", **settings)
        await self.until(lambda: self.discord.connected)
        return bot

    async def close(self) -> None:
        for process in self.processes:
            if process.inner.returncode is None:
                await process.kill()

    @property
    def logged(self) -> str:
        return "".join(process.log.read_text("utf-8", "replace") for process in self.processes)

    # --------------------------------------------------------- the people

    async def until(self, predicate: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Wait for something seen at Discord; a failure shows the end of the bot's log."""
        try:
            await self.discord.until(predicate, seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\nthe log ends:\n{self.logged[-4000:]}") from None

    async def ask(
        self, command: str, *, by: Member | None = None, at: Channel | None = None, **options: Any
    ) -> Interaction:
        asked = await self.discord.slash(by or self.ann, at or self.channel, command, **options)
        self.asked.append(asked)
        return asked

    async def answer(self, asked: Interaction) -> Message:
        """What the bot finally says to one interaction; a public one may be refused in private."""

        def said() -> list[Message]:
            found = [*asked.followups, asked.response]
            return [message for message in found if message and message.words != privately()]

        await self.until(said)
        return said()[0]

    async def say(self, command: str, **options: Any) -> Message:
        return await self.answer(await self.ask(command, **options))

    def clips(self, channel: Channel | None = None) -> list[Message]:
        """The messages that carry a finished clip, or a link to it."""
        messages = self.discord.messages(channel or self.channel)
        return [message for message in messages if re.search(r"your clips? (is|are) ready", message.words)]

    def progress(self, channel: Channel | None = None) -> list[Message]:
        """The other messages that everyone sees."""
        messages = self.discord.messages(channel or self.channel)
        clips = {message.id for message in self.clips(channel)}
        return [
            message
            for message in messages
            if message.id not in clips and not message.ephemeral and not message.loading
        ]

    def carried(self, channel: Channel | None = None) -> int:
        """How many clips these messages carry: each has a line that names the model and ends with its id."""
        return sum(len(re.findall(r"(?m)^-# .* · .*`$", one.words)) for one in self.clips(channel))

    async def linked(
        self, clips: int = 1, channel: Channel | None = None, *, seconds: float = PATIENCE
    ) -> None:
        """Wait until so many clips are posted and the progress messages link to all of them."""

        def links() -> int:
            return sum(message.words.count("✅ Ready: ") for message in self.progress(channel))

        await self.until(lambda: self.carried(channel) >= clips <= links(), seconds)

    # ---------------------------------------------------------- the books

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        return rows(self.database, sql, *values)

    def booked(self) -> dict[str, int]:
        """What each job cost by the ledger, in micros."""
        found = self.rows(
            "SELECT job_id, spent_micros FROM ledger JOIN tasks ON tasks.id = task_id WHERE spent_micros > 0"
        )
        return {row["job_id"]: row["spent_micros"] for row in found}

    def charged(self) -> dict[str, int]:
        """What each job cost by MindVideo's own count, in micros."""
        return {job: int(cost * 1_000_000) for job, cost in self.mindvideo.charges.items() if cost}

    def check_books(self) -> None:
        """The ledger says what the provider says, nothing is held any more, and the file is sound."""
        assert self.booked() == self.charged()
        assert self.rows("SELECT COALESCE(SUM(held_micros), 0) AS held FROM ledger")[0]["held"] == 0
        assert self.rows("PRAGMA integrity_check")[0][0] == "ok"

    def let_time_pass(self, seconds: int = 60) -> None:
        """While no bot runs: whatever was to happen within these seconds is due."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute("UPDATE tasks SET due_at = due_at - ?", (seconds * 1000,))

    def files(self) -> list[str]:
        """What lies in the folders for clips and frames, but for the pictures of delivered clips: they are kept."""
        delivered = self.rows("SELECT DISTINCT interaction_id FROM tasks WHERE state = 'delivered'")
        kept = {str(row["interaction_id"]) for row in delivered}
        frames = [path for path in self.data.glob("frames/*") if path.name.split("-")[0] not in kept]
        return sorted(str(path.relative_to(self.data)) for path in [*self.data.glob("clips/*"), *frames])

    def check_secrets(self) -> None:
        """Neither key nor token nor signature was ever logged."""
        logged = self.logged
        urls = re.findall(r"[?&](?:hm|ex)=\w+", "\n".join(self.discord.backend.cdn._blobs))
        secrets = {self.discord.token, self.mindvideo.key, *urls, *(asked.token for asked in self.asked)}
        assert [secret for secret in secrets if secret in logged] == []

    def check_stand_ins(self) -> None:
        assert self.discord.problems == []
        assert self.mindvideo.refused == []


def rows(database: Path, sql: str, *values: object) -> list[sqlite3.Row]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(sql, values).fetchall()


async def launch(
    log: Path, *arguments: str, env: Mapping[str, str], env_file: str = os.devnull, module: str = "bot"
) -> asyncio.subprocess.Process:
    """`python -m bot …`, or another module, with nothing of this machine's settings; all it says goes to `log`."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SYSTEMROOT") if name in os.environ}
    command = [sys.executable, "-m", module, "--env-file", env_file, *arguments]
    with log.open("wb") as output:
        return await asyncio.create_subprocess_exec(
            *command,
            env={**kept, "PYTHONPATH": str(REPOSITORY), **env},
            cwd=log.parent,
            stdout=output,
            stderr=output,
        )


@asynccontextmanager
async def open_stage(folder: Path, clip: bytes, *, picture: bytes, **settings: str) -> AsyncIterator[Stage]:
    """A server, a channel and a member; MindVideo moves each job one step at every look."""
    clock = Clock()
    async with AsyncExitStack() as stack:
        discord = await stack.enter_async_context(DiscordStandIn(clock=clock))
        mindvideo = await stack.enter_async_context(MindVideoStandIn(auto=True, clip=clip))
        server = await discord.add_server("Reef")
        channel = await discord.add_channel(server, "clips")
        ann = await discord.add_member(server, "Ann")
        stage = Stage(discord, mindvideo, clock, folder, settings, server, channel, ann, picture)
        stack.push_async_callback(stage.close)
        yield stage
