"""Reads that go together: one call for many jobs, and one job's trouble is its own."""

from collections.abc import Callable, Sequence

import pytest

from bot.domain.errors import JobNotFound, OutcomeUnknown, ProviderBusy, ProviderError
from bot.domain.ports import Report
from bot.domain.task import Task, TaskState
from bot.services.reading import Reading
from bot.services.timetable import Rules
from tests.fakes import After, ScriptedProvider
from tests.services.world import KEYED, World, catalog_with


@pytest.fixture
async def world(make_world: Callable[[], World], quick_probe: None) -> World:
    """A provider that reads twenty jobs with one call."""
    world = make_world()
    world.catalog = catalog_with(KEYED, concurrency=60, requests_per_minute=600)
    world.rules = Rules(user_concurrency=60)
    world.keyed.batch = 20
    return await world.open()


async def accepted(world: World, count: int) -> list[Task]:
    tasks = await world.hold(count)
    await world.turns(1 + count // 10, 0)
    assert len(world.keyed.jobs) == count
    return tasks


def sizes(world: World) -> list[int]:
    return sorted(len(batch) for batch in world.keyed.batches)


async def test_forty_five_due_tasks_are_read_in_three_calls(world: World) -> None:
    await accepted(world, 45)
    world.clock.advance(5)
    before = world.paces.of(KEYED).available()
    await world.turn()
    assert sizes(world) == [5, 20, 20]
    assert before - world.paces.of(KEYED).available() == 3
    assert len({job for batch in world.keyed.batches for job in batch}) == 45


async def test_calls_keep_the_pace_whatever_they_carry(world: World) -> None:
    await accepted(world, 45)
    world.catalog = catalog_with(KEYED, concurrency=60, requests_per_minute=12)
    await world.restart()
    await world.turn(5)
    assert sizes(world) == [20, 20]
    for _ in range(55):
        await world.turn(1)
    assert len(world.keyed.batches) <= 12
    assert len({job for batch in world.keyed.batches for job in batch}) == 45


async def test_ends_of_one_batch_reach_their_tasks(world: World) -> None:
    tasks = await accepted(world, 4)
    world.keyed.finish(tasks[0], cost=100)
    world.keyed.finish(tasks[1], TaskState.FAILED)
    world.keyed.finish(tasks[2], TaskState.CANCELLED)
    await world.quiet_turn(5)
    states = [(await world.state(task)).value for task in tasks]
    assert states == ["succeeded", "failed", "cancelled", "queued"]
    assert sizes(world) == [4]


@pytest.mark.parametrize(
    "error", [ProviderBusy("503"), JobNotFound("no such job")], ids=lambda error: type(error).__name__
)
async def test_error_of_one_job_does_not_touch_the_others(error: ProviderError, world: World) -> None:
    tasks = await accepted(world, 5)
    world.keyed.by_job[world.keyed.job(tasks[2]).job_id] = error
    world.keyed.finish_all()
    await world.quiet_turn(5)
    states = [await world.state(task) for task in tasks]
    assert states.count(TaskState.SUCCEEDED) == 4
    odd = await world.read(tasks[2])
    assert (odd.state, odd.problem) == (TaskState.QUEUED, str(error))


async def test_bug_in_one_task_does_not_touch_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = await accepted(world, 5)
    real = Reading.apply

    async def apply(reading: Reading, task: Task, report: Report) -> None:
        if task.id == tasks[2].id:
            raise KeyError("a bug")
        await real(reading, task, report)

    monkeypatch.setattr(Reading, "apply", apply)
    world.keyed.finish_all()
    await world.quiet_turn(5)
    states = [await world.state(task) for task in tasks]
    assert states == [TaskState.SUCCEEDED] * 2 + [TaskState.QUEUED] + [TaskState.SUCCEEDED] * 2
    odd = await world.read(tasks[2])
    assert (odd.problem, (odd.due_at or 0) - world.clock()) == (
        "an internal error; the operator's log says more",
        900_000,
    )
    assert f"task {tasks[2].id} stopped in state queued" in caplog.text


async def test_bug_in_the_call_leaves_every_task_for_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = await accepted(world, 3)

    async def broken(provider: ScriptedProvider, job_ids: Sequence[str]) -> None:
        raise KeyError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(ScriptedProvider, "statuses", broken)
        await world.turn(5)
    assert {(await world.read(task)).problem for task in tasks} == {
        "an internal error; the operator's log says more"
    }
    world.keyed.finish_all()
    await world.turns(2, 900)
    assert {await world.state(task) for task in tasks} == {TaskState.DELIVERED}


async def test_job_of_which_nothing_was_said_is_read_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = await accepted(world, 2)
    real = ScriptedProvider.statuses

    async def forgetful(
        provider: ScriptedProvider, job_ids: Sequence[str]
    ) -> dict[str, Report | ProviderError]:
        said = await real(provider, job_ids)
        return {job_id: said[job_id] for job_id in job_ids[1:]}

    monkeypatch.setattr(ScriptedProvider, "statuses", forgetful)
    await world.turn(5)
    problems = [(await world.read(task)).problem for task in tasks]
    assert sorted(problems, key=str) == [None, f"{KEYED} said nothing of this job"]


async def test_lost_submit_among_the_due_is_asked_for_by_itself(world: World) -> None:
    await accepted(world, 3)
    world.keyed.submit_answers.append(After(OutcomeUnknown("lost")))
    lost = await world.hold_one()
    await world.turn()
    await world.turn(5)
    assert (sizes(world), [key for key, _ in world.keyed.lookups]) == ([3], [lost.key])
    assert await world.state(lost) is TaskState.QUEUED


async def test_parked_and_running_jobs_are_read_together(world: World) -> None:
    await accepted(world, 1)
    await world.turn(3601)
    await accepted_more(world)
    world.keyed.batches.clear()
    await world.turn(300)
    assert sizes(world) == [2]


async def accepted_more(world: World) -> None:
    await world.hold_one()
    await world.turn()


async def test_other_providers_are_read_one_by_one(world: World) -> None:
    world.keyed.batch = 1
    await accepted(world, 3)
    await world.turn(5)
    assert sizes(world) == [1, 1, 1]
