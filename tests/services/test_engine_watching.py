"""What is seen of the engine from outside: its pulse, whom its log lines are about, and how late clips are posted."""

import asyncio
import logging
from contextlib import suppress

import pytest

from bot import logs
from bot.domain.errors import StorageError
from bot.domain.task import TaskState
from storage.tasks import TaskStore
from tests.services.world import KEYED, World


async def test_the_pulse_beats_with_every_round_also_those_that_a_database_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats: list[int] = []
    seen, real = asyncio.Event(), TaskStore.open_providers
    broken: list[Exception] = [StorageError("full"), StorageError("full")]

    async def flaky(store: TaskStore) -> set[str]:
        beats.append(world.engine._pulse.beats)
        world.engine.wake()
        if broken:
            raise broken.pop()
        if len(beats) > 4:
            seen.set()
        return await real(store)

    async def no_rest() -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(TaskStore, "open_providers", flaky)
    monkeypatch.setattr(world.engine, "_rest", no_rest)
    assert world.engine._pulse.age is None
    running = asyncio.create_task(world.engine.run())
    await asyncio.wait_for(seen.wait(), 5)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert beats[:5] == [1, 2, 3, 4, 5]


async def test_a_round_that_does_not_end_beats_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = asyncio.Event()

    async def hangs(_: TaskStore) -> set[str]:
        stuck.set()
        await asyncio.Event().wait()
        return set()

    monkeypatch.setattr(TaskStore, "open_providers", hangs)
    running = asyncio.create_task(world.engine.run())
    await asyncio.wait_for(stuck.wait(), 5)
    for _ in range(100):
        world.engine.wake()
        await asyncio.sleep(0)
    assert world.engine._pulse.beats == 1
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_log_lines_name_the_task_they_are_about_and_no_other(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.addFilter(logs.name_task)
    caplog.set_level(logging.INFO)
    world.keyed.submit_answers += [TaskState.FAILED, RuntimeError("a bug"), TaskState.FAILED]
    first, second = await world.hold(2)
    third = await world.hold_one(provider=KEYED)
    await world.turns(3, 30)
    caplog.handler.removeFilter(logs.name_task)
    named = {task.id: False for task in (first, second, third)}
    for record in caplog.records:
        about = [task_id for task_id in named if task_id in record.getMessage()]
        if about:
            assert [record.__dict__["task"]] == about
            named[about[0]] = True
    assert all(named.values()), caplog.text
    log = logging.getLogger(__name__)
    caplog.handler.addFilter(logs.name_task)
    log.info("of nobody")
    caplog.handler.removeFilter(logs.name_task)
    assert "task" not in caplog.records[-1].__dict__


async def test_the_delay_from_ready_to_posted_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(world.engine._stages.delivering, "_posted", told.append)
    world.keyed.submit_answers.append(TaskState.SUCCEEDED)
    await world.hold_one()
    await world.quiet_turn()
    assert told == []
    await world.turn(7)
    assert told == [7000]
