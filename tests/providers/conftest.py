"""Fixtures of the tests of providers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.domain.task import Frame
from bot.providers.downloads import Downloads
from bot.providers.wire import Timing, open_client
from tests.nameless import nameless
from tests.providers.kit import Sleeper
from tests.providers.rawserver import TLS

__all__ = ["nameless"]


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(TLS) as client:
        yield client


@pytest.fixture
async def downloads() -> AsyncIterator[Downloads]:
    async with Downloads(trusted_hosts=frozenset({"127.0.0.1"}), tls=TLS) as downloads:
        yield downloads


@pytest.fixture
def sleeper() -> Sleeper:
    return Sleeper()


@pytest.fixture
def parts(client: httpx.AsyncClient, downloads: Downloads, sleeper: Sleeper) -> dict[str, Any]:
    """What every provider on the network is made from, but for its key and address."""
    timing = Timing(deadline=1.0, sleep=sleeper, chance=lambda: 0.0)
    return {"client": client, "downloads": downloads, "timing": timing}


@pytest.fixture
def picture(tmp_path: Path) -> Frame:
    """A picture without an address."""
    path = tmp_path / "frame.jpg"
    path.write_bytes(b"\xff\xd8 pixels")
    return Frame(path=str(path))
