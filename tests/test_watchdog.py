"""The watchdog: what it takes for a hang, and real processes that hang in every way they can."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot import watchdog
from bot.services.pulse import Pulse
from bot.watchdog import Watchdog

REPOSITORY = Path(__file__).parents[1]


class Loop:
    """Stands for an event loop that answers, or does not."""

    blocked = False

    def call_soon_threadsafe(self, callback: Any) -> None:
        if not self.blocked:
            callback()


@pytest.fixture
def ends() -> list[str]:
    return []


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def scheduler() -> Pulse:
    return Pulse()


@pytest.fixture
def dog(loop: Any, scheduler: Pulse, ends: list[str]) -> Watchdog:
    return Watchdog(loop, scheduler, ends.append)


def looks(dog: Watchdog, number: int) -> None:
    for _ in range(number):
        dog.look()


def test_a_blocked_loop_ends_after_twelve_looks(dog: Watchdog, loop: Loop, ends: list[str]) -> None:
    dog.look()
    loop.blocked = True
    looks(dog, 12)
    assert ends == []
    dog.look()
    assert ends == ["the event loop is blocked"]


def test_a_scheduler_without_rounds_ends_after_thirty_looks(
    dog: Watchdog, scheduler: Pulse, ends: list[str]
) -> None:
    scheduler.beat()
    dog.look()
    looks(dog, 29)
    assert ends == []
    dog.look()
    assert ends == ["the scheduler finishes no round"]


def test_any_beat_begins_the_count_anew(dog: Watchdog, loop: Loop, scheduler: Pulse, ends: list[str]) -> None:
    for _ in range(5):
        scheduler.beat()
        loop.blocked = False
        dog.look()
        loop.blocked = True
        looks(dog, 10)
    assert ends == []


def test_a_scheduler_that_has_not_begun_is_not_watched(dog: Watchdog, ends: list[str]) -> None:
    looks(dog, 100)
    assert ends == []


async def test_the_waiting_tasks_are_told_to_their_innermost_call() -> None:
    never = asyncio.Event()

    async def inner() -> None:
        await never.wait()

    async def outer() -> None:
        await inner()

    task = asyncio.create_task(outer(), name="the stuck one")
    await asyncio.sleep(0)
    told = "\n".join(watchdog.waiting(asyncio.get_running_loop()))
    task.cancel()
    about = told.partition("the stuck one:")[2]
    places = [about.index(name) for name in (".outer", ".inner", "Event.wait")]
    assert places == sorted(places)


_PROCESS = """
import asyncio, ctypes, logging, time
from bot import watchdog
from bot.services.pulse import Pulse

async def main():
    logging.basicConfig()
    scheduler = Pulse()
    scheduler.beat()
    async with watchdog.watching(scheduler, every=0.01, no_look={no_look}):
        {hang}

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("hang", "no_look", "said"),
    [
        ("time.sleep(600)", 60, ["the event loop is blocked", "in main", "in watch"]),
        ("await asyncio.sleep(600)", 60, ["the scheduler finishes no round", "in sleep"]),
        # Sleeps without ever letting another thread run, as a regular expression can.
        ("ctypes.PyDLL(None).sleep(600)", 0.5, ["Timeout", "in main"]),
    ],
    ids=["loop blocked", "scheduler stalled", "interpreter blocked"],
)
def test_a_process_that_hangs_ends_and_says_where(hang: str, no_look: float, said: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _PROCESS.format(hang=hang, no_look=no_look)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert [words for words in said if words not in ended.stderr] == []


@pytest.fixture
def threads() -> Iterator[None]:
    yield
    import threading  # noqa: PLC0415

    assert not [one for one in threading.enumerate() if one.name == "conch-watchdog"]


async def test_leaving_ends_the_watch(threads: None) -> None:
    async with watchdog.watching(Pulse(), every=600):
        pass
