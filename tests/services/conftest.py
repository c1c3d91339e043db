"""A world for each test: a real database file, real clips, and a scripted outside."""

import asyncio
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from bot.media import clips
from storage.database import open_database
from tests.media.glance import glance
from tests.services.world import World


@pytest.fixture(scope="session")
def clip_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Half a second of real H.264."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 320, 192, "yuv420p"
        for number in range(12):
            frame = av.VideoFrame(320, 192, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([40 + 9 * number]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, migrated once."""
    path = tmp_path_factory.mktemp("template") / "conch.db"

    async def migrate() -> None:
        async with open_database(path):
            pass

    asyncio.run(migrate())
    return path


@pytest.fixture
def quick_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "probe", glance)


@pytest.fixture
async def make_world(tmp_path: Path, template: Path, clip_bytes: bytes) -> AsyncIterator[Callable[[], World]]:
    """Worlds that are not opened yet, for tests with other settings; each is checked at the end."""
    made: list[World] = []

    def make() -> World:
        folder = tmp_path / f"world{len(made)}"
        folder.mkdir()
        made.append(World(folder, template, clip_bytes))
        return made[-1]

    yield make
    for world in made:
        await world.crash()
        world.check()


@pytest.fixture
async def world(make_world: Callable[[], World], quick_probe: None) -> World:
    return await make_world().open()
