"""The wall clock jumps by a day, ahead or back, while a clip waits at any place: once charged, once posted."""

from collections.abc import Awaitable, Callable

import pytest

from bot.domain.errors import DeliveryError, OutcomeUnknown, ProviderBusy
from bot.domain.limits import Limit, Period, Scope
from bot.domain.task import Task, TaskState
from tests.fakes import After
from tests.services.world import KEYED, LOOKED_UP, PRICE, UNKEYED, World

DAY = 86_400
Place = Callable[[World], Awaitable[Task]]


async def held(world: World) -> Task:
    return await world.hold_one()


async def unannounced(world: World) -> Task:
    (task,) = await world.hold_unannounced()
    return task


async def at_a_busy_provider(world: World) -> Task:
    world.keyed.submit_answers.append(ProviderBusy("429", retry_after=30))
    task = await world.hold_one()
    await world.turn()
    return task


async def queued(world: World) -> Task:
    task = await world.hold_one()
    await world.turn()
    return task


async def processing(world: World) -> Task:
    task = await queued(world)
    world.keyed.job(task).state = TaskState.PROCESSING
    await world.turn(20)
    return task


async def finished_unread(world: World) -> Task:
    task = await queued(world)
    world.keyed.finish(task)
    return task


async def between_posts(world: World) -> Task:
    task = await finished_unread(world)
    world.announcer.faults.append(DeliveryError("503"))
    while await world.state(task) is not TaskState.SUCCEEDED:  # a read comes after a pause of some jitter
        await world.turns(1, 20)
    return task


async def parked_with_its_job(world: World) -> Task:
    task = await queued(world)
    await world.turns(3, 1801)
    assert await world.state(task) is TaskState.PARKED
    return task


async def doubtful(world: World, provider: str) -> Task:
    world.scripted[provider].submit_answers.append(After(OutcomeUnknown("lost")))
    task = await world.hold_one(provider=provider)
    await world.turn()
    return task


async def doubtful_keyed(world: World) -> Task:
    return await doubtful(world, KEYED)


async def doubtful_looked_up(world: World) -> Task:
    return await doubtful(world, LOOKED_UP)


async def doubtful_unkeyed(world: World) -> Task:
    return await doubtful(world, UNKEYED)


CERTAIN: list[Place] = [
    held,
    unannounced,
    at_a_busy_provider,
    queued,
    processing,
    finished_unread,
    between_posts,
    parked_with_its_job,
]
DOUBTFUL: list[Place] = [doubtful_keyed, doubtful_looked_up, doubtful_unkeyed]


async def goes_on(world: World) -> None:
    for _ in range(8):
        await world.turn(120)
        for scripted in world.scripted.values():
            scripted.finish_all()


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("jump", [DAY, -DAY])
@pytest.mark.parametrize("place", CERTAIN)
async def test_whatever_is_certain_is_delivered(
    place: Place, jump: int, world: World, *, restarted: bool
) -> None:
    task = await place(world)
    world.clock.set_ahead(jump)
    if restarted:
        await world.restart()
    await goes_on(world)
    assert await world.state(task) is TaskState.DELIVERED
    assert world.keyed.charges == {task.key: 1}


@pytest.mark.parametrize("jump", [DAY, -DAY])
@pytest.mark.parametrize("place", DOUBTFUL)
async def test_what_is_in_doubt_is_asked_about_or_left_to_the_operator(
    place: Place, jump: int, world: World
) -> None:
    """A day ahead is past every deadline: the task is parked with its hold, as it is where nobody can be asked."""
    task = await place(world)
    world.clock.set_ahead(jump)
    await goes_on(world)
    parked = jump > 0 or place is doubtful_unkeyed
    assert await world.state(task) is (TaskState.PARKED if parked else TaskState.DELIVERED)
    assert world.scripted[task.provider].charges == {task.key: 1}


@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_a_clock_that_comes_back_gives_nobody_a_day_twice(jump: int, world: World) -> None:
    """What was held today counts today, wherever the clock was meanwhile."""
    await world.limited(Limit(Scope.MEMBER, Period.DAY, PRICE))
    await world.hold_one()
    world.clock.set_ahead(jump)
    await goes_on(world)
    if jump > 0:
        await world.hold_one()
    world.clock.set_ahead(-jump)
    assert await world.hold_unannounced() == []
