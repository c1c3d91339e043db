"""A bench for each test, with the providers and the patience it names."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from bot.media import clips
from tests.cogs.fixtures import real_clip, template
from tests.media.glance import glance
from tests.providers.cases import CASES, Case
from tests.routing.bench import Bench, open_bench

__all__ = ["real_clip", "template"]

Open = Callable[..., Awaitable[Bench]]


@pytest.fixture(params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def case(name: str) -> Case:
    return CASES[name]


@pytest.fixture
async def open_one(tmp_path: Path, template: Path, real_clip: bytes) -> AsyncIterator[Open]:
    """Opens a bench that is closed, and checked, at the end."""
    async with AsyncExitStack() as stack:

        async def opened(*names: str, **more: Any) -> Bench:
            return await stack.enter_async_context(open_bench(tmp_path, template, real_clip, names, **more))

        yield opened


@pytest.fixture
def quick_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """A glance in place of the child process that decodes a clip: that one is used in `test_offers`."""
    monkeypatch.setattr(clips, "probe", glance)


@pytest.fixture
async def bench(open_one: Open, name: str, quick_probe: None) -> Bench:
    return await open_one(name)
