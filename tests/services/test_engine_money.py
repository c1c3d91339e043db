"""The paid call: one charge at most, the same bytes on every try, and a hold that lasts as long as the doubt."""

import asyncio

import pytest

from bot.domain.errors import (
    ContentRefused,
    JobRejected,
    OutcomeUnknown,
    ProviderBusy,
    ProviderClosed,
    ProviderError,
    StorageError,
)
from bot.domain.task import Task, TaskState
from bot.services import submitting
from storage.tasks import TaskStore
from tests.fakes import After, Silence, SubmitAnswer
from tests.services.world import KEYED, PRICE, UNKEYED, World

LOST = OutcomeUnknown("the connection broke")
HOLD = [("hold", PRICE, 0)]
RELEASED = [*HOLD, ("release", -PRICE, 0)]
REFUSALS: list[ProviderError] = [
    ProviderBusy("429"),
    JobRejected("no such format"),
    ContentRefused("a famous mouse"),
    ProviderClosed("no balance"),
]


def named(error: object) -> str:
    return type(error).__name__


async def answered(world: World, *answers: SubmitAnswer, provider: str = KEYED) -> Task:
    """A task whose first submit got the first answer; the rest are for later ones."""
    scripted = world.keyed if provider == KEYED else world.unkeyed
    scripted.submit_answers.extend(answers)
    task = await world.hold_one(provider=provider)
    await world.turn()
    return task


# --------------------------------------------------------------- certain refusals


@pytest.mark.parametrize("error", REFUSALS[1:], ids=named)
async def test_certain_refusal_gives_the_hold_back_with_its_words(error: ProviderError, world: World) -> None:
    task = await answered(world, error)
    failed = await world.read(task)
    assert (failed.state, failed.due_at) == (TaskState.FAILED, None)
    assert str(error) in (failed.problem or "")
    assert await world.booked(task) == RELEASED
    assert (task.id, None) in world.announcer.changes


async def test_content_refused_at_submit_is_told_as_such(world: World) -> None:
    task = await answered(world, ContentRefused("a famous mouse"))
    assert (await world.read(task)).problem == "the content was refused: a famous mouse"


async def test_closed_provider_is_the_operators_business(world: World) -> None:
    await answered(world, ProviderClosed("the balance is used up"))
    assert world.told == [f"{KEYED} gets no new jobs for at least 15 min: the balance is used up"]


async def test_what_cannot_be_asked_for_is_never_sent(world: World) -> None:
    world.keyed.refused_requests.append(JobRejected("takes no last frame"))
    task = await world.hold_one()
    await world.turn()
    assert (await world.read(task)).problem == "takes no last frame"
    assert (await world.booked(task), world.keyed.submits) == (RELEASED, [])


async def test_failed_task_is_never_sent_again(world: World) -> None:
    await answered(world, JobRejected("no"))
    await world.restart()
    await world.turns(5, 1000)
    assert len(world.keyed.submits) == 1


# ------------------------------------------------------------------------- busy


@pytest.mark.parametrize(("asked", "seconds"), [(None, 5), (2, 5), (50, 50), (10**9, 900)])
async def test_busy_provider_is_asked_again_when_it_said(
    asked: float | None, seconds: int, world: World
) -> None:
    task = await answered(world, ProviderBusy("429", retry_after=asked))
    assert await world.state(task) is TaskState.HELD
    await world.turn(seconds - 0.001)
    assert len(world.keyed.submits) == 1
    await world.turn(0.001)
    assert await world.state(task) is TaskState.QUEUED


async def test_every_try_sends_the_same_bytes_and_key_over_restarts(world: World) -> None:
    task = await answered(world, *[ProviderBusy("429")] * 2, LOST, After(LOST))
    for _ in range(4):
        await world.restart()
        await world.turn(30)
    assert len(world.keyed.submits) == 5
    assert {key for key, _ in world.keyed.submits} == {task.key}
    assert len({body for _, body in world.keyed.submits}) == 1
    assert await world.state(task) is TaskState.QUEUED


@pytest.mark.parametrize("provider", [KEYED, UNKEYED])
async def test_busy_beyond_the_deadline_fails_and_gives_back(provider: str, world: World) -> None:
    task = await answered(world, ProviderBusy("full"), ProviderBusy("still full"), provider=provider)
    await world.turn(3601)
    failed = await world.read(task)
    assert (failed.state, failed.problem) == (TaskState.FAILED, "still full")
    assert await world.booked(task) == RELEASED


async def test_task_waiting_for_a_busy_provider_can_be_cancelled(world: World) -> None:
    task = await answered(world, ProviderBusy("429"))
    await world.tasks.end(await world.read(task), TaskState.CANCELLED, world.clock(), note="enough")
    await world.turns(3, 60)
    assert (len(world.keyed.submits), await world.booked(task)) == (1, RELEASED)


# ------------------------------------------------------------------ lost answers


@pytest.mark.parametrize("lost", [LOST, After(LOST)], ids=["before", "after"])
async def test_keyed_submit_whose_answer_was_lost_costs_once(lost: SubmitAnswer, world: World) -> None:
    task = await answered(world, lost)
    assert (await world.state(task), await world.booked(task)) == (TaskState.SUBMITTING, HOLD)
    await world.turn(5)
    world.keyed.finish(task)
    await world.turn(5)
    await world.turn()
    assert await world.state(task) is TaskState.DELIVERED
    assert world.keyed.charges == {task.key: 1}


@pytest.mark.parametrize("lost", [LOST, After(LOST)], ids=["before", "after"])
async def test_unkeyed_submit_whose_answer_was_lost_is_parked_for_good(
    lost: SubmitAnswer, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    task = await answered(world, lost, provider=UNKEYED)
    for _ in range(3):
        await world.turns(3, 4000)
        await world.restart()
    parked = await world.read(task)
    assert (parked.state, parked.due_at) == (TaskState.PARKED, None)
    assert (len(world.unkeyed.submits), await world.booked(task)) == (1, HOLD)
    assert f"task {task.id} is parked, its hold kept" in caplog.text


@pytest.mark.parametrize("error", [*REFUSALS, LOST], ids=named)
async def test_nothing_said_after_a_lost_answer_gives_the_hold_back(
    error: ProviderError, world: World
) -> None:
    task = await answered(world, After(LOST), error)
    await world.turn(5)
    assert (await world.state(task), await world.booked(task)) == (TaskState.SUBMITTING, HOLD)
    await world.turn(60)
    assert (await world.state(task), world.keyed.charges) == (TaskState.QUEUED, {task.key: 1})


@pytest.mark.parametrize("error", REFUSALS, ids=named)
async def test_refusal_after_a_crash_in_the_submit_keeps_the_hold(error: ProviderError, world: World) -> None:
    task = await answered(world, asyncio.CancelledError())
    world.keyed.submit_answers.append(error)
    await world.restart()
    await world.turn()
    assert (await world.state(task), await world.booked(task)) == (TaskState.SUBMITTING, HOLD)


@pytest.mark.parametrize(
    ("error", "seconds"), [(ProviderBusy("429", retry_after=99), 99), (ProviderClosed("bad key"), 60)]
)
async def test_asking_again_waits_as_long_as_it_was_told(
    error: ProviderError, seconds: int, world: World
) -> None:
    task = await answered(world, After(LOST), error)
    await world.turn(5)
    assert ((await world.read(task)).due_at or 0) - world.clock() == seconds * 1000


async def test_answers_lost_beyond_the_deadline_park_the_task(world: World) -> None:
    task = await answered(world, LOST)
    await world.turn(3601)
    parked = await world.read(task)
    assert (parked.state, parked.due_at) == (TaskState.PARKED, None)
    await world.turns(3, 400)
    assert (len(world.keyed.submits), await world.booked(task)) == (1, HOLD)


# -------------------------------------------------------------- crashes in between


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_keyed_submit_cut_off_by_a_crash_costs_once(after: bool, world: World) -> None:  # noqa: FBT001 - a parameter of the table
    world.keyed.submit_answers.append(Silence(after=after))
    task = await world.hold_one()
    await world.engine.step()
    await world.keyed.silent.wait()
    await world.restart()
    await world.turn()
    assert await world.state(task) is TaskState.QUEUED
    assert (len(world.keyed.submits), world.keyed.charges) == (2, {task.key: 1})


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_unkeyed_submit_cut_off_by_a_crash_is_parked(after: bool, world: World) -> None:  # noqa: FBT001 - a parameter of the table
    world.unkeyed.submit_answers.append(Silence(after=after))
    task = await world.hold_one(provider=UNKEYED)
    await world.engine.step()
    await world.unkeyed.silent.wait()
    await world.restart()
    await world.turns(2, 100)
    assert (await world.state(task), await world.booked(task)) == (TaskState.PARKED, HOLD)
    assert len(world.unkeyed.submits) == 1


async def test_five_crashes_in_a_row_within_the_submit_cost_once(world: World) -> None:
    task = await world.hold_one()
    for _ in range(5):
        world.keyed.submit_answers.append(Silence(after=True))
        world.keyed.silent.clear()
        await world.engine.step()
        await world.keyed.silent.wait()
        await world.restart()
    await world.turn()
    assert (await world.state(task), world.keyed.charges) == (TaskState.QUEUED, {task.key: 1})


async def test_crash_before_the_submit_starts_anew(world: World) -> None:
    task = await world.hold_one()
    await world.restart()
    await world.turn()
    assert (await world.state(task), len(world.keyed.submits)) == (TaskState.QUEUED, 1)


class Flaky:
    """Makes one method of the store fail so many times before it works."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, method: str, times: int) -> None:
        self.left = times
        real = getattr(TaskStore, method)

        async def flaky(*arguments: object, **named: object) -> object:
            if self.left:
                self.left -= 1
                raise StorageError("The database could not do it (disk full).")
            return await real(*arguments, **named)

        monkeypatch.setattr(TaskStore, method, flaky)
        monkeypatch.setattr(submitting, "STORAGE_SECONDS", 0)


async def test_job_id_outlives_a_database_that_fails_for_a_while(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Flaky(monkeypatch, "accepted", times=3)
    task = await answered(world, provider=UNKEYED)
    taken = await world.read(task)
    assert (taken.state, taken.job_id) == (TaskState.QUEUED, f"{UNKEYED}-job1")
    assert caplog.text.count(f"job {UNKEYED}-job1") == 3


@pytest.mark.parametrize(
    ("error", "method", "state"),
    [
        (ProviderBusy("429"), "not_accepted", TaskState.HELD),
        (JobRejected("no"), "end", TaskState.FAILED),
        (LOST, "park", TaskState.PARKED),
    ],
    ids=named,
)
async def test_answer_outlives_a_database_that_fails_for_a_while(
    error: ProviderError, method: str, state: TaskState, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    Flaky(monkeypatch, method, times=3)
    task = await answered(world, error, provider=UNKEYED)
    assert await world.state(task) is state


async def test_nothing_is_sent_when_the_intent_cannot_be_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    Flaky(monkeypatch, "begin_submit", times=1)
    task = await world.hold_one()
    await world.turn()
    assert (await world.state(task), world.keyed.submits) == (TaskState.HELD, [])
    await world.turn()
    assert await world.state(task) is TaskState.QUEUED


# --------------------------------------------------- doubt and a provider switched off


async def test_doubtful_task_of_a_provider_that_is_off_is_parked_and_stays_quiet(world: World) -> None:
    task = await answered(world, After(LOST))
    world.switch_on()
    await world.turn(5)
    assert await world.state(task) is TaskState.SUBMITTING
    await world.turn(3601)
    parked = await world.read(task)
    assert (parked.state, parked.due_at) == (TaskState.PARKED, None)


async def test_doubtful_task_is_asked_about_once_its_provider_is_back(world: World) -> None:
    task = await answered(world, After(LOST))
    world.switch_on()
    await world.turns(3, 20)
    world.switch_on(*world.providers)
    await world.turn(60)
    assert (await world.state(task), world.keyed.charges) == (TaskState.QUEUED, {task.key: 1})


async def test_parked_task_without_a_job_does_not_spin(world: World) -> None:
    task = await answered(world, LOST, provider=UNKEYED)
    await world.database.write(lambda tx: tx.run("UPDATE tasks SET due_at = 0"))
    await world.turn()
    assert (await world.read(task)).due_at is None
    assert (await world.turn(), len(world.unkeyed.submits)) == (30.0, 1)
