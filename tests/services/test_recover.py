"""A submit whose answer was lost: found by the provider's own means, or parked, and never paid twice."""

import asyncio

import pytest

from bot.domain.errors import OutcomeUnknown, ProviderBusy, ProviderClosed, ProviderError
from bot.domain.task import Task, TaskState
from tests.fakes import After, Late, Silence, SubmitAnswer
from tests.services.world import LOOKED_UP, PRICE, UNKEYED, World

LOST = OutcomeUnknown("the connection broke")
HOLD = [("hold", PRICE, 0)]


async def answered(world: World, *answers: SubmitAnswer, count: int = 1) -> list[Task]:
    """Clips of one command at the provider that looks jobs up, each with its answer."""
    world.looked_up.alike = True
    world.looked_up.submit_answers.extend(answers)
    tasks = await world.hold(count, provider=LOOKED_UP)
    await world.turn()
    return tasks


async def jobs(world: World, tasks: list[Task]) -> list[str | None]:
    return [(await world.read(task)).job_id for task in tasks]


# ------------------------------------------------------------------------ looked up


async def test_job_whose_answer_was_lost_is_found(world: World) -> None:
    (task,) = await answered(world, After(LOST))
    assert await world.state(task) is TaskState.SUBMITTING
    await world.turn(5)
    assert (await world.state(task), await jobs(world, [task])) == (TaskState.QUEUED, [f"{LOOKED_UP}-job1"])
    assert (len(world.looked_up.submits), world.looked_up.charges) == (1, {task.key: 1})


async def test_time_in_our_own_queue_does_not_count_as_lost(world: World) -> None:
    world.looked_up.submit_answers.append(After(LOST))
    task = await world.hold_one(provider=LOOKED_UP)
    await world.turn(4000)
    assert await world.state(task) is TaskState.SUBMITTING
    await world.turn(5)
    assert await world.state(task) is TaskState.QUEUED


async def test_job_that_ended_before_it_was_found_is_booked_and_delivered(world: World) -> None:
    (task,) = await answered(world, After(LOST))
    world.looked_up.finish(task, cost=250_000)
    await world.turns(2, 5)
    assert await world.state(task) is TaskState.DELIVERED
    assert await world.booked(task) == [*HOLD, ("settle", -PRICE, 250_000)]


async def test_job_of_a_submit_cut_off_by_a_crash_is_found(world: World) -> None:
    world.looked_up.submit_answers.append(Silence(after=True))
    task = await world.hold_one(provider=LOOKED_UP)
    await world.engine.step()
    await world.looked_up.silent.wait()
    await world.restart()
    await world.turn()
    assert (await world.state(task), len(world.looked_up.submits)) == (TaskState.QUEUED, 1)


async def test_job_that_cannot_be_found_is_looked_for_until_the_deadline_and_parked(world: World) -> None:
    (task,) = await answered(world, LOST)
    await world.turns(20, 15)
    assert (await world.state(task), await world.booked(task)) == (TaskState.SUBMITTING, HOLD)
    assert len(world.looked_up.lookups) >= 15
    await world.turn(3601)
    parked = await world.read(task)
    assert (parked.state, parked.due_at, parked.job_id) == (TaskState.PARKED, None, None)
    assert (len(world.looked_up.submits), await world.booked(task)) == (1, HOLD)


async def test_overdue_one_is_parked_without_asking(world: World) -> None:
    (task,) = await answered(world, After(LOST))
    await world.turn(3601)
    assert (await world.state(task), world.looked_up.lookups) == (TaskState.PARKED, [])
    await world.turns(3, 400)
    assert (await world.tasks.parked())[0].id == task.id


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(ProviderBusy("429", retry_after=99), 99), (ProviderClosed("bad key"), 60), (LOST, 6.25)],
    ids=lambda value: type(value).__name__,
)
async def test_look_up_that_fails_says_nothing_of_the_job(
    error: ProviderError, seconds: float, world: World
) -> None:
    (task,) = await answered(world, After(LOST))
    world.looked_up.lookup_answers.append(error)
    await world.turn(5)
    waiting = await world.read(task)
    assert (waiting.state, (waiting.due_at or 0) - world.clock()) == (TaskState.SUBMITTING, seconds * 1000)
    await world.turn(seconds)
    assert await world.state(task) is TaskState.QUEUED


async def test_provider_that_cannot_tell_is_not_asked(world: World) -> None:
    world.unkeyed.submit_answers.append(After(LOST))
    task = await world.hold_one(provider=UNKEYED)
    await world.turns(2, 60)
    assert await world.state(task) is TaskState.PARKED
    assert (world.unkeyed.lookups, len(world.unkeyed.submits)) == ([], 1)


# ------------------------------------------------------------------ two that are alike


async def test_two_lost_at_once_get_a_job_each(world: World) -> None:
    tasks = await answered(world, After(LOST), After(LOST), count=2)
    await world.turn(5)
    assert sorted(filter(None, await jobs(world, tasks))) == [f"{LOOKED_UP}-job1", f"{LOOKED_UP}-job2"]
    assert [known for _, known in world.looked_up.lookups] == [frozenset(), {f"{LOOKED_UP}-job1"}]


async def test_one_of_two_lost_does_not_take_the_others_job_twice(world: World) -> None:
    tasks = await answered(world, After(LOST), LOST, count=2)
    await world.turns(3, 20)
    assert sorted(await jobs(world, tasks), key=str) == [None, f"{LOOKED_UP}-job1"]
    assert sorted([await world.state(task) for task in tasks]) == [TaskState.QUEUED, TaskState.SUBMITTING]


async def test_lost_one_does_not_take_the_job_of_one_that_was_answered(world: World) -> None:
    lost, taken = await answered(world, LOST, TaskState.QUEUED, count=2)
    await world.turn(5)
    assert await jobs(world, [lost, taken]) == [None, f"{LOOKED_UP}-job1"]


async def test_look_up_waits_for_a_submit_whose_answer_is_on_its_way(world: World) -> None:
    answer = asyncio.Event()
    (lost,) = await answered(world, LOST)
    world.looked_up.submit_answers.append(Late(answer))
    late = await world.hold_one(provider=LOOKED_UP)
    await world.engine.step()
    await world.looked_up.silent.wait()
    world.clock.advance(5)
    await world.engine.step()
    assert world.looked_up.lookups == []
    answer.set()
    await world.engine.idle()
    assert await jobs(world, [lost, late]) == [None, f"{LOOKED_UP}-job1"]
    assert [known for _, known in world.looked_up.lookups] == [{f"{LOOKED_UP}-job1"}]


async def test_no_submit_begins_while_a_lost_one_is_looked_for(world: World) -> None:
    (lost,) = await answered(world, LOST)
    new = await world.hold_one(provider=LOOKED_UP)
    await world.turn(5)
    assert (await jobs(world, [lost]), await world.state(new)) == ([None], TaskState.QUEUED)
    await world.turns(2, 20)
    assert await jobs(world, [lost]) == [None]
