"""A disk that fails at any transaction of a clip's life: nothing half done, nothing twice, and on by itself."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress

import pytest

from bot.domain.errors import StorageError
from bot.domain.task import Task, TaskState
from bot.services import engine, submitting
from tests.disk import FAULTS, Disk, Fault
from tests.services.world import KEYED, LOOKED_UP, UNKEYED, World

NewWorld = Callable[[], World]


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (engine, submitting):
        monkeypatch.setattr(module, "STORAGE_SECONDS", 0)


async def asked_for(world: World, provider: str) -> Task:
    """A member is told of the failing disk and asks again, with a new command."""
    for _ in range(3):
        with suppress(StorageError):
            (task,) = await world.hold_unannounced(provider=provider)
            return task
        assert world.rows("SELECT * FROM tasks") == world.rows("SELECT * FROM ledger") == []
    raise AssertionError("the disk does not come back")


async def step(world: World) -> None:
    with suppress(StorageError):
        await world.turn(20)
    await world.engine.idle()
    for scripted in world.scripted.values():
        scripted.finish_all()


@pytest.mark.usefixtures("quick_probe")
@pytest.mark.parametrize("provider", [KEYED, LOOKED_UP, UNKEYED])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_disk_that_fails_once_anywhere_costs_only_time(
    fault: Fault, provider: str, make_world: NewWorld
) -> None:
    """Two in a row: what is tried again meets it too."""
    for number in itertools.count(1):
        world = await make_world().open()
        disk = Disk(world.database, fault, number, number + 1)
        task = await asked_for(world, provider)
        for _ in range(12):
            await step(world)
        assert await world.state(task) is TaskState.DELIVERED, number
        assert world.scripted[provider].charges == {task.key: 1}
        assert len(world.announcer.clips[task.id]) == 1
        world.check()
        if not disk.met:
            break
    assert number >= 8


@pytest.mark.usefixtures("quick_probe")
@pytest.mark.parametrize("provider", [KEYED, LOOKED_UP, UNKEYED])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_disk_that_fails_from_some_moment_until_a_restart_loses_and_repeats_nothing(
    fault: Fault, provider: str, make_world: NewWorld
) -> None:
    """Whoever is stopped there by the operator goes on with all that was certain."""
    for number in itertools.count(2):
        world = await make_world().open()
        disk = Disk(world.database, fault, *range(number, number + 1000))
        (task,) = await world.hold_unannounced(provider=provider)
        for _ in range(6):
            # What came of a paid call is kept until the disk takes it, so nobody waits for that here.
            world.clock.advance(20)
            with suppress(StorageError):
                await world.engine.step()
            await asyncio.wait(
                world.engine._in_flight() or {asyncio.create_task(asyncio.sleep(0))}, timeout=0.02
            )
            for scripted in world.scripted.values():
                scripted.finish_all()
        await world.restart()
        for _ in range(12):
            await step(world)
        state = await world.state(task)
        doubt = state is TaskState.PARKED and provider == UNKEYED
        assert doubt or state is TaskState.DELIVERED, number
        assert world.scripted[provider].charges[task.key] == 1
        world.check()
        if not disk.met:
            break
    assert number >= 8
