"""Fixtures that the tests of commands and of posting share."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from bot.domain.catalog import Format, Mode
from bot.media.paint import PaintOrder, paint
from storage.database import open_database
from tests.cogs.scene import Scene, open_scene
from tests.providers.mindvideo_standin import MindVideoStandIn

Open = Callable[..., AbstractAsyncContextManager[Scene]]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database: copying it is faster than migrating anew for each test."""
    path = tmp_path_factory.mktemp("template") / "conch.db"

    async def migrate() -> None:
        async with open_database(path):
            pass

    asyncio.run(migrate())
    return path


@pytest.fixture(scope="session")
def real_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A real MP4 of one second, painted once."""
    target = tmp_path_factory.mktemp("clip") / "clip.mp4"
    tiny = Format(model="hailuo-02", duration=1, resolution="512p")
    asyncio.run(paint(PaintOrder(mode=Mode.TEXT, format=tiny, prompt="a whale", target=target)))
    return target.read_bytes()


@pytest.fixture
async def standin() -> AsyncIterator[MindVideoStandIn]:
    async with MindVideoStandIn() as standin:
        yield standin


@pytest.fixture
def open_bot(
    tmp_path: Path, template: Path, standin: MindVideoStandIn, monkeypatch: pytest.MonkeyPatch
) -> Open:
    """For tests with settings of their own, named as in `Settings`."""

    def opened(**changes: Any) -> AbstractAsyncContextManager[Scene]:
        return open_scene(tmp_path, template, standin, monkeypatch, **changes)

    return opened


@pytest.fixture
async def scene(open_bot: Open) -> AsyncIterator[Scene]:
    async with open_bot() as scene:
        yield scene
