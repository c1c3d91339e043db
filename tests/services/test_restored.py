"""After a restore: what may have been made since is looked up and never ordered, what was posted since is found."""

import asyncio
import shutil

import pytest

from bot.domain.errors import OutcomeUnknown, ProviderBusy
from bot.domain.task import Task, TaskState
from storage import backup
from storage.restore import restore
from tests.services.world import KEYED, LOOKED_UP, PRICE, UNKEYED, World

SETTLED = [("hold", PRICE, 0), ("settle", -PRICE, PRICE)]


async def back_up(world: World) -> None:
    await backup.take(world.path, world.folder / "backups", world.clock(), keep=1)


async def put_back(world: World) -> None:
    """The bot stops, the backup takes the database's place, and the bot starts again, an hour later."""
    await world.crash()
    world.clock.advance(3600)
    (file,) = (world.folder / "backups").iterdir()
    await restore(file, world.path, world.clock())
    await asyncio.to_thread(shutil.rmtree, world.folder / "clips", ignore_errors=True)
    await world.open()


async def delivered_since(world: World, provider: str) -> Task:
    """A clip that was held when the backup was made, and is paid and posted."""
    task = await world.hold_one(provider=provider)
    await back_up(world)
    await world.turn()
    world.scripted[provider].finish(task)
    await world.turns(2, 5)
    assert await world.state(task) is TaskState.DELIVERED
    await put_back(world)
    return task


def check(world: World, task: Task) -> None:
    """Ordered once, charged once, posted once."""
    scripted = world.scripted[task.provider]
    assert (len(scripted.submits), scripted.charges) == (1, {task.key: 1})
    assert len(world.announcer.clips[task.id]) == 1
    assert world.announcer.violations == scripted.violations == []


async def test_a_held_one_is_found_by_its_key_booked_and_found_posted(world: World) -> None:
    task = await delivered_since(world, LOOKED_UP)
    await world.turns(3, 5)
    assert await world.state(task) is TaskState.DELIVERED
    assert await world.booked(task) == SETTLED
    assert world.looked_up.finds == [task.key]
    check(world, task)


@pytest.mark.parametrize("provider", [KEYED, UNKEYED])
async def test_where_no_key_can_be_looked_up_it_stays_parked_for_good(world: World, provider: str) -> None:
    task = await delivered_since(world, provider)
    await world.turns(20, 600)
    parked = await world.read(task)
    assert (parked.state, parked.job_id, parked.due_at) == (TaskState.PARKED, None, None)
    assert "restored from a backup" in (parked.problem or "")
    assert await world.booked(task) == SETTLED[:1]
    assert world.scripted[provider].finds == [task.key]
    check(world, task)


async def test_a_look_that_fails_is_repeated_and_one_that_tells_nothing_is_not(world: World) -> None:
    task = await world.hold_one(provider=LOOKED_UP)
    await back_up(world)
    await put_back(world)
    world.looked_up.lookup_answers.extend([ProviderBusy("later"), OutcomeUnknown("no idea")])
    await world.turn()
    assert (await world.read(task)).due_at == world.clock() + 300_000
    await world.turns(5, 301)
    assert world.looked_up.finds == [task.key] * 2
    assert ((await world.read(task)).due_at, world.looked_up.submits) == (None, [])


async def test_a_switched_off_provider_is_asked_once_it_is_on_again(world: World) -> None:
    task = await delivered_since(world, LOOKED_UP)
    world.switch_on(KEYED)
    await world.turn()
    world.switch_on(KEYED, LOOKED_UP)
    await world.turns(4, 301)
    assert await world.state(task) is TaskState.DELIVERED
    check(world, task)


@pytest.mark.parametrize("linked", [True, False])
async def test_one_at_its_provider_is_booked_once_and_not_posted_again(world: World, *, linked: bool) -> None:
    task = await world.hold_one()
    await world.turn()
    world.keyed.finish(task)
    await world.quiet_turn(5)
    await back_up(world)
    await world.turn()
    assert await world.state(task) is TaskState.DELIVERED
    await put_back(world)
    # Long after, its provider may have the clip no more; the channel has.
    world.keyed.job(task).linked = linked
    await world.turn()
    assert await world.state(task) is TaskState.DELIVERED
    assert await world.booked(task) == SETTLED
    check(world, task)
