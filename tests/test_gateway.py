"""The real client at a gateway that turns it away, hangs up, and takes its session."""

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import discord
import pytest
import yarl
from discord.backoff import ExponentialBackoff
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot import app as composition
from bot import client as client_module
from bot.client import Conch, NoSessionNow
from bot.demo.standin import Channel, DiscordStandIn, Fault, Member
from bot.domain import language
from bot.domain.errors import SetupError
from storage.database import open_database
from storage.marks import MarkStore
from tests.fakes import FakeClock
from tests.nameless import nameless

__all__ = ["nameless"]

RECONNECT, INVALID_SESSION = DiscordWebSocket.RECONNECT, DiscordWebSocket.INVALIDATE_SESSION
PATIENCE = 20


class Listener:
    """A client of ours that is told to connect as `run` does it, and what it heard."""

    def __init__(self, standin: DiscordStandIn, client: Conch, channel: Channel, ann: Member) -> None:
        self.standin = standin
        self.client = client
        self.channel = channel
        self.ann = ann
        self.heard: list[int] = []
        client.add_listener(self._hear, "on_interaction")

    async def _hear(self, interaction: discord.Interaction[Any]) -> None:
        self.heard.append(interaction.id)
        self.standin.changed()

    async def connected(self) -> None:
        await self.standin.until(lambda: self.standin.connected, PATIENCE)

    async def hears(self) -> None:
        """Whatever happened, the next command comes, and once."""
        asked = await self.standin.slash(self.ann, self.channel, "usage")
        await self.standin.until(lambda: asked.id in self.heard, PATIENCE)
        assert self.heard.count(asked.id) == 1


class Pauses(list[float]):
    """How long discord.py's pauses and ours would have been."""

    changed: Callable[[], None]


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    pauses = Pauses()
    delay = ExponentialBackoff.delay

    def short(self: Any) -> float:
        pauses.append(delay(self))
        pauses.changed()
        return 0

    monkeypatch.setattr(ExponentialBackoff, "delay", short)
    monkeypatch.setattr(client_module, "_BETWEEN_SESSIONS", 0)
    return pauses


@pytest.fixture
async def listener(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_pauses: Pauses
) -> AsyncIterator[Listener]:
    language.load()
    async with DiscordStandIn() as standin, open_database(tmp_path / "conch.db") as database:
        no_pauses.changed = standin.changed
        monkeypatch.setattr(Route, "BASE", standin.api_url)
        monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(standin.gateway_url))
        server = await standin.add_server("Reef")
        channel, ann = await standin.add_channel(server, "clips"), await standin.add_member(server, "Ann")
        async with Conch(MarkStore(database), FakeClock().monotonic, user_installs=False) as client:
            client.install(_commands(), [])
            yield Listener(standin, client, channel, ann)
            assert standin.problems == []
    # discord.py also leaves the connection open that it forgets; it would complain in a later test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _commands() -> list[Any]:
    """What a client needs to be logged in, and one command that answers nothing."""

    async def nothing(_: discord.Interaction[Any]) -> None:
        """Only heard."""

    return [
        discord.app_commands.Command(name=name, description="Nothing", callback=nothing)
        for name in ("usage", "admin")
    ]


@asynccontextmanager
async def connecting(listener: Listener) -> AsyncIterator["asyncio.Task[None]"]:
    running = asyncio.create_task(
        composition._connect(listener.client, listener.standin.token, asyncio.Event())
    )
    try:
        yield running
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError, SetupError):
            await running


async def test_a_first_connection_that_fails_is_tried_again_and_costs_no_session(
    listener: Listener, no_pauses: Pauses
) -> None:
    listener.standin.gateway.closed_to = 3
    async with connecting(listener) as running:
        await listener.connected()
        await listener.hears()
        assert not running.done()
    assert len(no_pauses) >= 3
    assert listener.standin.gateway.identified == 1


async def test_however_the_gateway_hangs_up_the_next_command_comes(listener: Listener) -> None:
    gateway = listener.standin.gateway
    async with connecting(listener):
        await listener.connected()
        for resumable in (True, False):
            for hang_up in (4000, 4007, 4009, 1000, 1001, RECONNECT, INVALID_SESSION, None):
                await listener.hears()
                before = gateway.identified
                back = asyncio.create_task(listener.client.wait_for("resumed" if resumable else "connect"))
                await asyncio.sleep(0)
                if hang_up is None:
                    listener.standin.disconnect(resumable=resumable)
                elif hang_up == RECONNECT:
                    gateway.tell(RECONNECT, None, resumable=resumable)
                elif hang_up == INVALID_SESSION:
                    gateway.tell(INVALID_SESSION, resumable, resumable=resumable)
                else:
                    await gateway.close(hang_up, resumable=resumable)
                await asyncio.wait_for(back, PATIENCE)
                assert gateway.identified == before + (not resumable)
        await listener.hears()


async def test_a_gateway_that_goes_away_for_a_while_is_tried_at_growing_pauses(
    listener: Listener, no_pauses: Pauses
) -> None:
    async with connecting(listener):
        await listener.connected()
        listener.standin.gateway.closed_to = 5
        listener.standin.disconnect(resumable=False)
        await listener.standin.until(lambda: listener.standin.gateway.identified == 2, PATIENCE)
        await listener.hears()
    assert len(no_pauses) == 5


@pytest.mark.parametrize(
    ("remaining", "hours", "pause"),
    [(1000, 24, 0), (500, 24, 0), (499, 24, 24 * 3600 / 499), (100, 1, 36), (11, 24, 24 * 3600 / 11)],
)
async def test_the_sessions_of_a_day_last_for_it(
    listener: Listener, remaining: int, hours: int, pause: float
) -> None:
    clock, client = FakeClock(), listener.client
    client._monotonic = clock.monotonic
    left_are(listener.standin, remaining, hours)
    await client.login(listener.standin.token)
    await client.before_identify_hook(None, initial=True)
    if pause:
        clock.advance(pause - 1)
        with pytest.raises(NoSessionNow, match=f"{remaining} sessions are left"):
            await client.before_identify_hook(None)
        clock.advance(1)
    await client.before_identify_hook(None)


async def test_the_last_sessions_of_a_day_are_not_used_even_by_the_first_connection(
    listener: Listener, no_pauses: Pauses
) -> None:
    left_are(listener.standin, 10, 1)
    async with connecting(listener) as running:
        await listener.standin.until(lambda: len(no_pauses) >= 3, PATIENCE)
        assert not running.done()
        assert listener.standin.gateway.identified == 0
        listener.standin.before = None
        await listener.connected()


def left_are(standin: DiscordStandIn, remaining: int, hours: int) -> None:
    async def budget(request: Any) -> Fault | None:
        if request.path != "/gateway/bot":
            return None
        limit = {
            "total": 1000,
            "remaining": remaining,
            "reset_after": hours * 3_600_000,
            "max_concurrency": 1,
        }
        return Fault(200, {"url": standin.gateway_url, "shards": 1, "session_start_limit": limit})

    standin.before = budget


async def test_a_token_refused_by_the_gateway_ends_the_process_with_what_to_do(listener: Listener) -> None:
    listener.standin.gateway.token = "another"
    async with connecting(listener) as running:
        with pytest.raises(SetupError, match="ended the connection for good"):
            await asyncio.wait_for(running, PATIENCE)


async def test_a_gateway_whose_name_is_not_known_is_waited_for(
    listener: Listener, no_pauses: Pauses, nameless: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = DiscordWebSocket.DEFAULT_GATEWAY
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL("ws://gateway.example"))
    async with connecting(listener) as running:
        await listener.standin.until(lambda: len(no_pauses) >= 4, PATIENCE)
        assert not running.done()
        monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", right)
        await listener.connected()
    assert set(nameless) == {"gateway.example"}
