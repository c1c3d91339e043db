"""Who gets a turn: limits, fairness, trouble that stays where it is, clocks, start and stop."""

import asyncio
from bisect import bisect_left
from collections.abc import Callable

import pytest

from bot.domain.errors import (
    JobRejected,
    NobodyThere,
    OutcomeUnknown,
    ProviderBusy,
    ProviderClosed,
    StorageError,
)
from bot.domain.ports import Posted
from bot.domain.task import Task, TaskState
from bot.services import engine as engine_module
from bot.services.timetable import Rules
from storage.tasks import TaskStore
from tests.fakes import After, Silence, SubmitAnswer
from tests.services.world import KEYED, UNKEYED, World, catalog_with

TEN_YEARS = 10 * 365 * 86_400


async def opened(world: World, provider: str = KEYED, *, members: int = 4, **rules: int) -> World:
    world.catalog = catalog_with(provider, **rules) if rules else world.catalog
    world.rules = Rules(user_concurrency=members)
    return await world.open()


@pytest.fixture
def raw(make_world: Callable[[], World], quick_probe: None) -> World:
    return make_world()


def most_in_a_minute(calls: list[float]) -> int:
    return max(number - bisect_left(calls, at - 60 + 1e-6) + 1 for number, at in enumerate(calls))


# --------------------------------------------------------------------------- limits


async def test_ten_calls_at_one_provider_at_most(raw: World) -> None:
    world = await opened(raw, concurrency=40)
    for member in range(8):
        await world.hold(4, member_id=member)
    await world.turns(4, 0)
    await world.turns(10, 5)
    assert (world.keyed.most_in_flight, len(world.keyed.jobs)) == (10, 32)


@pytest.mark.parametrize("concurrency", [1, 3, 10])
async def test_jobs_at_a_provider_never_pass_the_catalog(concurrency: int, raw: World) -> None:
    world = await opened(raw, concurrency=concurrency)
    for member in range(6):
        await world.hold(4, member_id=member)
    for _ in range(30):
        await world.turn(5)
        for job in list(world.keyed.jobs.values())[::2]:
            job.state = TaskState.SUCCEEDED
    world.keyed.finish_all()
    assert world.keyed.most_running == concurrency


async def test_steps_in_a_row_start_no_more_than_fit(raw: World) -> None:
    world = await opened(raw, concurrency=3)
    await world.hold(4)
    await world.hold(4, member_id=2)
    world.keyed.submit_answers.extend([Silence(after=True)] * 8)
    async with asyncio.timeout(5):
        while len(world.keyed.submits) < 3:
            await world.engine.step()
    for _ in range(30):
        await world.engine.step()
    assert len(world.keyed.submits) == 3


async def test_room_that_reads_leave_while_starts_are_sought_is_not_overbooked(
    raw: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads that end during the query make room in flight, but none at the provider."""
    world = await opened(raw, concurrency=6)
    await world.hold(4)
    await world.turn()
    await world.hold(4, member_id=2)
    real = TaskStore.startable

    async def slow(store: TaskStore, *arguments: str, **named: int) -> list[Task]:
        found = await real(store, *arguments, **named)  # type: ignore[arg-type]
        await world.engine.idle()
        return found

    monkeypatch.setattr(TaskStore, "startable", slow)
    await world.turn(5)
    assert (len(world.keyed.reads), len(world.keyed.jobs)) == (4, 6)


@pytest.mark.parametrize("per_minute", [1, 6, 60, 120])
async def test_requests_in_any_minute_stay_within_the_catalog(per_minute: int, raw: World) -> None:
    world = await opened(raw, concurrency=40, requests_per_minute=per_minute)
    for member in range(8):
        await world.hold(4, member_id=member)
    for _ in range(150):
        await world.turn(1)
    assert most_in_a_minute(world.keyed.calls) <= per_minute
    assert len(world.keyed.calls) >= 2.5 * per_minute * 0.8 - 1


async def test_pace_holds_while_reads_end_during_the_query(
    raw: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await opened(raw, concurrency=40, requests_per_minute=30)
    for member in range(3):
        await world.hold(4, member_id=member)
    real = TaskStore.due

    async def slow(store: TaskStore, *arguments: str, **named: int) -> list[Task]:
        found = await real(store, *arguments, **named)  # type: ignore[arg-type]
        await world.engine.idle()
        return found

    monkeypatch.setattr(TaskStore, "due", slow)
    for _ in range(120):
        world.clock.advance(1)
        await world.engine.step()
        await world.turn()
    assert most_in_a_minute(world.keyed.calls) <= 30


async def test_reads_that_take_the_whole_pace_hold_up_no_new_job(raw: World) -> None:
    world = await opened(raw, members=40, requests_per_minute=60, concurrency=40)
    await world.hold(30, member_id=1)
    await world.turns(30, 5)
    assert len(world.keyed.jobs) == 30
    (late,) = await world.hold(1, member_id=2)
    await world.turns(3, 5)
    assert await world.state(late) is not TaskState.HELD


async def test_a_resting_provider_is_read_before_all_that_wait_for_it(raw: World) -> None:
    raw.catalog = catalog_with(KEYED, requests_per_minute=6000, concurrency=10)
    await raw.open()
    raw.switch_on(KEYED)
    one = await raw.hold_one(member_id=1)
    await raw.turn()
    assert await raw.state(one) is not TaskState.HELD
    for member in range(2, 12):
        await raw.hold(4, member_id=member)
    raw.router.failed(KEYED, ProviderClosed("the key was refused"))
    raw.clock.advance(30)
    calls = len(raw.keyed.calls)
    await raw.turn()
    assert len(raw.keyed.calls) == calls + 1


async def test_provider_out_of_the_catalog_keeps_a_pace(world: World) -> None:
    await world.hold(4)
    await world.turn()
    del world.paces._paces[KEYED]
    before = len(world.keyed.calls)
    world.keyed.status_answers.extend([ProviderBusy("down")] * 1000)
    for _ in range(60):
        await world.turn(0.1)
        await world.database.write(lambda tx: tx.run("UPDATE tasks SET due_at = 0"))
    assert len(world.keyed.calls) - before <= 16


@pytest.mark.parametrize("most", [1, 2])
async def test_member_has_so_many_tasks_running(most: int, raw: World) -> None:
    world = await opened(raw, members=most)
    await world.hold(4)
    await world.turns(5, 1)
    assert len(world.keyed.jobs) == most
    for _ in range(8):
        world.keyed.finish_all()
        await world.turn(5)
        assert world.keyed.running <= most
    assert len(world.keyed.jobs) == 4


async def test_members_limit_counts_over_all_providers(raw: World) -> None:
    world = await opened(raw, members=2)
    await world.hold(2)
    await world.turn()
    await world.hold(2, provider=UNKEYED)
    await world.turn()
    assert len(world.keyed.jobs) + len(world.unkeyed.jobs) == 2


async def test_nobody_waits_behind_all_clips_of_another(raw: World) -> None:
    world = await opened(raw, concurrency=2, members=2)
    first = await world.hold(4, member_id=1)
    second = await world.hold(1, member_id=2)
    await world.turn()
    assert [key for key, _ in world.keyed.submits] == [first[0].key, second[0].key]


# ----------------------------------------------------- trouble stays where it is


async def test_hanging_provider_holds_up_neither_another_nor_deliveries(raw: World) -> None:
    world = await opened(raw, members=20)
    done = await world.hold_one(provider=UNKEYED)
    await world.turn()
    world.keyed.submit_answers.extend([Silence()] * 10)
    await world.hold(10)
    world.unkeyed.finish(done)
    for _ in range(3):
        await world.engine.step()
    await world.keyed.silent.wait()
    await settled(world, done, TaskState.DELIVERED)


async def test_hanging_downloads_hold_up_no_other_providers_clips(raw: World) -> None:
    world = await opened(raw, members=20)
    await world.hold(6)
    await world.turn()
    world.keyed.finish_all()
    world.keyed.files.extend([Silence()] * 10)
    await world.quiet_turn(5)
    other = await world.hold_one(provider=UNKEYED, member_id=2)
    world.unkeyed.submit_answers.append(TaskState.SUCCEEDED)
    await world.engine.step()
    await world.keyed.silent.wait()
    await settled(world, other, TaskState.DELIVERED)


async def test_four_clips_of_a_provider_are_on_their_way_at_most(raw: World) -> None:
    world = await opened(raw, members=20)
    await world.hold(8)
    await world.turn()
    world.keyed.finish_all()
    await world.quiet_turn(5)
    world.keyed.files.extend([Silence()] * 8)
    for _ in range(30):
        await world.engine.step()
    assert len(world.keyed.downloads) == 4


async def settled(world: World, task: Task, state: TaskState) -> None:
    """Step and let the loop turn until the task has come to a state, while others hang."""
    async with asyncio.timeout(5):
        while await world.state(task) is not state:
            world.clock.advance(5)
            await world.engine.step()


async def test_bug_in_one_task_stops_no_other_and_is_tried_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = await world.hold(3)
    world.keyed.refused_requests.append(KeyError("a bug"))
    await world.turn()
    states = sorted([(await world.read(task)).state.value for task in tasks])
    assert states == ["held", "queued", "queued"]
    assert "stopped in state held" in caplog.text
    await world.turn(900)
    assert len(world.keyed.jobs) == 3


@pytest.mark.parametrize("lost", [KeyError("a bug"), After(KeyError("a bug"))], ids=["before", "after"])
async def test_bug_in_the_paid_call_is_a_lost_answer(lost: BaseException | After, world: World) -> None:
    world.keyed.submit_answers.append(lost)
    task = await world.hold_one()
    await world.turn()
    assert await world.state(task) is TaskState.SUBMITTING
    await world.turn(900)
    assert (await world.state(task), world.keyed.charges) == (TaskState.QUEUED, {task.key: 1})


@pytest.mark.parametrize("method", ["get", "postpone"])
async def test_failing_database_in_a_handler_does_not_spin(
    method: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[str] = []

    async def rest() -> None:
        rests.append(method)

    async def broken(*_: object, **__: object) -> None:
        raise StorageError("disk full")

    await world.hold(2)
    await world.turn()
    monkeypatch.setattr(world.engine, "_rest", rest)
    monkeypatch.setattr(TaskStore, method, broken)
    world.keyed.status_answers.extend([KeyError("a bug")] * 10)
    await world.turn(5)
    assert len(rests) == 2


async def test_stale_row_of_a_task_that_just_ended_is_not_used(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.hold_one()
    await world.turn()
    world.keyed.finish_all()
    real = TaskStore.due

    async def slow(store: TaskStore, *arguments: str, **named: int) -> list[Task]:
        found = await real(store, *arguments, **named)  # type: ignore[arg-type]
        await world.engine.idle()
        return found

    world.clock.advance(5)
    await world.engine.step()
    monkeypatch.setattr(TaskStore, "due", slow)
    await world.engine.step()
    await world.engine.idle()
    assert len(world.keyed.reads) == 1


# ----------------------------------------------------------------------------- time


async def test_step_says_when_there_is_more_to_do(world: World) -> None:
    assert await world.turn() == 30.0
    await world.hold_one()
    await world.turn()
    assert await world.turn() == 5.0
    assert await world.turn(4) == 1.0


async def test_spent_pace_is_waited_for(raw: World) -> None:
    world = await opened(raw, requests_per_minute=6)
    await world.hold(4)
    await world.turn()
    assert await world.turn(5.01) == pytest.approx(4.99)
    assert await world.turn(4.98) == pytest.approx(0.01)
    assert len(world.keyed.calls) == 1
    await world.turn(0.02)
    assert len(world.keyed.calls) == 2


@pytest.mark.parametrize("back", [600, 3600, TEN_YEARS])
async def test_clock_set_back_freezes_no_task(back: int, world: World) -> None:
    task = await world.hold_one()
    await world.turn()
    world.keyed.finish(task)
    world.clock.set_ahead(-back)
    await world.turns(2, 0)
    await world.turns(2, 120)
    assert await world.state(task) is TaskState.DELIVERED


async def test_clock_set_back_while_stopped_freezes_no_task(world: World) -> None:
    task = await world.hold_one()
    await world.turn()
    world.keyed.finish(task)
    await world.crash()
    world.clock.set_ahead(-3600)
    await world.open()
    await world.turns(2, 0)
    assert await world.state(task) is TaskState.DELIVERED


async def test_clock_set_back_while_the_database_fails_is_seen_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise StorageError("locked")

    await world.hold_one()
    await world.turn()
    world.clock.set_ahead(-3600)
    with monkeypatch.context() as patch:
        patch.setattr(TaskStore, "clamp_due", broken)
        with pytest.raises(StorageError):
            await world.engine.step()
    await world.turn()
    assert len(world.keyed.reads) == 1


async def test_clock_ten_years_ahead_makes_no_stampede(raw: World) -> None:
    world = await opened(raw, concurrency=60, members=60, requests_per_minute=120)
    for _ in range(6):
        await world.hold(4)
    await world.turns(60, 1)
    world.clock.set_ahead(TEN_YEARS)
    await world.turns(60, 1)
    assert world.keyed.most_in_flight <= 10
    assert most_in_a_minute(world.keyed.calls) <= 120
    assert world.rows("SELECT DISTINCT state FROM tasks") == [("parked",)]
    world.keyed.finish_all()
    await world.turns(80, 5)
    assert world.rows("SELECT DISTINCT state FROM tasks") == [("delivered",)]


async def test_clock_ten_years_ahead_starts_held_tasks_normally(world: World) -> None:
    tasks = await world.hold(2)
    world.clock.set_ahead(TEN_YEARS)
    await world.turn()
    assert [await world.state(task) for task in tasks] == [TaskState.QUEUED] * 2


# ----------------------------------------------------------------- start, run, stop


ENDED_AT_ONCE: dict[str, SubmitAnswer] = {
    "delivered": TaskState.SUCCEEDED,
    "failed": JobRejected("no"),
    "busy": ProviderBusy("429", retry_after=60),
    "queued": TaskState.QUEUED,
    "processing": TaskState.PROCESSING,
}


async def in_every_state(world: World) -> dict[str, Task]:
    """One task in each state there is, some with a call that was never answered."""
    tasks = {"parked": await world.hold_one(), "doubtful": await world.hold_one(provider=UNKEYED)}
    world.unkeyed.submit_answers.append(After(OutcomeUnknown("lost")))
    await world.turn()
    await world.turn(3601)
    world.announcer.faults.append(NobodyThere("closed"))
    world.keyed.submit_answers.append(TaskState.SUCCEEDED)
    tasks["kept"] = await world.hold_one()
    await world.turns(2, 0)
    for name, answer in ENDED_AT_ONCE.items():
        world.keyed.submit_answers.append(answer)
        tasks[name] = await world.hold_one()
        await world.turns(2, 0)
    world.announcer.faults.append(Silence(after=True))
    world.keyed.submit_answers.append(TaskState.SUCCEEDED)
    tasks["posting"] = await world.hold_one()
    await world.quiet_turn()
    await world.engine.step()
    await world.announcer.silent.wait()
    world.keyed.submit_answers.append(Silence(after=True))
    tasks["submitting"] = await world.hold_one()
    await world.engine.step()
    await world.keyed.silent.wait()
    (tasks["held"],) = await world.hold_unannounced()
    return tasks


async def test_start_goes_on_from_every_state(raw: World) -> None:
    world = await opened(raw, members=20)
    tasks = await in_every_state(world)
    await world.restart()
    assert {name: (await world.state(task)).value for name, task in tasks.items()} == {
        **{name: name for name in ("parked", "delivered", "failed", "queued", "processing", "submitting")},
        "doubtful": "parked",
        "busy": "held",
        "kept": "succeeded",
        "posting": "succeeded",
        "held": "held",
    }
    await world.turns(2, 20)
    await world.turn(300)
    world.keyed.finish_all()
    await world.turn(300)
    await world.turns(4, 0)
    ends = {name: (await world.state(task)).value for name, task in tasks.items()}
    assert ends == dict.fromkeys(tasks, "delivered") | {
        "doubtful": "parked",
        "failed": "failed",
        "kept": "succeeded",
    }
    assert len(world.announcer.clips) == 8


async def test_start_redraws_what_does_not_show_its_end(world: World) -> None:
    done, open_ = await world.hold(2)
    await world.turn()
    world.keyed.finish(done)
    await world.turns(2, 5)
    world.announcer.changes.clear()
    await world.restart()
    assert world.announcer.changes == [(done.id, None), (open_.id, None)]
    await world.tasks.end_shown(done.interaction_id)
    world.announcer.changes.clear()
    await world.restart()
    assert world.announcer.changes == [(open_.id, None)]


@pytest.fixture
def quick_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_STOP_SECONDS", 0.05)
    monkeypatch.setattr(engine_module, "STORAGE_SECONDS", 0)


async def stopped(running: asyncio.Task[None]) -> None:
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(2):
            await running


async def test_stop_cuts_off_what_hangs_and_the_next_start_goes_on(world: World, quick_stop: None) -> None:
    world.keyed.submit_answers.append(Silence(after=True))
    task = await world.hold_one()
    running = asyncio.create_task(world.engine.run())
    await world.keyed.silent.wait()
    await stopped(running)
    assert await world.state(task) is TaskState.SUBMITTING
    await world.restart()
    await world.turn()
    assert (await world.state(task), world.keyed.charges) == (TaskState.QUEUED, {task.key: 1})


async def test_stop_lets_what_answers_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(_key: str, _body: bytes) -> None:
        asked.set()
        await answer.wait()

    world.unkeyed.inside = slow
    task = await world.hold_one(provider=UNKEYED)
    running = asyncio.create_task(world.engine.run())
    await asked.wait()
    asyncio.get_running_loop().call_soon(answer.set)
    await stopped(running)
    assert await world.state(task) is TaskState.QUEUED


async def test_stop_begins_no_paid_call(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (task,) = await world.hold_unannounced()
    world.clock.advance(20)
    real, asked, answer = world.announcer.announce, asyncio.Event(), asyncio.Event()

    async def slow(tasks: list[Task]) -> Posted:
        asked.set()
        await answer.wait()
        return await real(tasks)

    monkeypatch.setattr(world.announcer, "announce", slow)
    running = asyncio.create_task(world.engine.run())
    await asked.wait()
    asyncio.get_running_loop().call_later(0, answer.set)
    await stopped(running)
    assert (await world.state(task), world.keyed.submits) == (TaskState.HELD, [])


async def test_woken_loop_takes_a_task_to_its_clip(world: World, quick_stop: None) -> None:
    running = asyncio.create_task(world.engine.run())
    world.keyed.submit_answers.append(TaskState.SUCCEEDED)
    world.announcer.faults.append(Silence(after=True))
    task = await world.hold_one()
    world.engine.wake()
    async with asyncio.timeout(5):
        await world.announcer.silent.wait()
    await stopped(running)
    await world.turn()
    assert await world.state(task) is TaskState.DELIVERED


async def test_loop_outlives_a_database_that_fails(
    world: World, quick_stop: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, called = TaskStore.open_providers, asyncio.Event()
    broken = [StorageError("locked"), StorageError("locked")]

    async def flaky(store: TaskStore) -> set[str]:
        if broken:
            raise broken.pop()
        called.set()
        return await real(store)

    monkeypatch.setattr(TaskStore, "open_providers", flaky)
    running = asyncio.create_task(world.engine.run())
    async with asyncio.timeout(5):
        await called.wait()
    await stopped(running)
    assert caplog.text.count("nothing can be started: locked") == 2
