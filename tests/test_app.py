"""What a start builds."""

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from bot import app, watchdog
from bot.services.engine import Engine
from bot.services.pulse import Pulse
from bot.settings import Settings


async def test_a_start_loads_the_certificates_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, load = [], httpx.create_ssl_context

    def counted(*, trust_env: bool) -> ssl.SSLContext:
        loaded.append(load(trust_env=trust_env))
        return loaded[-1]

    monkeypatch.setattr(httpx, "create_ssl_context", counted)
    settings = Settings(
        discord_token=SecretStr("token"),
        database=tmp_path / "conch.db",
        data_dir=tmp_path,
        providers=("gmi", "sandbox"),
        keys={"gmi": SecretStr("key")},
    )
    async with app.build(settings):
        assert len(loaded) == 1


async def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Callable[[Engine], object]) -> None:
    """A start without a Discord, up to where the engine would work: then `look` at it."""
    working = asyncio.Event()

    async def work(engine: Engine, _: asyncio.Event) -> None:
        look(engine)
        working.set()

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(app, "_work", work)
    monkeypatch.setattr(app, "_connect", never)
    settings = Settings(
        discord_token=SecretStr("token"),
        database=tmp_path / "conch.db",
        data_dir=tmp_path,
        providers=("sandbox",),
    )
    running = asyncio.create_task(app.run(settings))
    await asyncio.wait_for(working.wait(), 10)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    gc.unfreeze()


async def test_a_run_is_watched_by_the_pulse_of_its_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[Pulse] = []
    worked: list[Pulse] = []

    @asynccontextmanager
    async def watching(scheduler: Pulse) -> AsyncIterator[None]:
        watched.append(scheduler)
        yield

    monkeypatch.setattr(watchdog, "watching", watching)
    await run(tmp_path, monkeypatch, lambda engine: worked.append(engine._pulse))
    assert len(watched) == 1
    assert watched[0] is worked[0]


async def test_what_a_start_has_built_is_never_searched_for_garbage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spared: list[int] = []
    await run(tmp_path, monkeypatch, lambda _: spared.append(gc.get_freeze_count()))
    assert spared[0] > 100_000
