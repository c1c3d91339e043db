"""A task's life when nothing breaks: submit, reads, end, clip, in the promised order and with the right money."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.domain.catalog import Mode
from bot.domain.errors import JobNotFound, ProviderBusy, ProviderClosed, ProviderError
from bot.domain.ports import Report
from bot.domain.task import TaskState
from bot.services.timetable import Rules
from tests.fakes import START, ScriptedJob
from tests.services.world import KEYED, PRICE, UNKEYED, World


@pytest.mark.parametrize("mode", list(Mode))
async def test_every_mode_ends_with_its_clip_and_its_cost(
    mode: Mode, make_world: Callable[[], World], clip_bytes: bytes
) -> None:
    world = await make_world().open()
    task = await world.hold_one(mode=mode)
    await world.turn()
    assert await world.state(task) is TaskState.QUEUED
    world.keyed.job(task).state = TaskState.PROCESSING
    await world.turn(5)
    assert await world.state(task) is TaskState.PROCESSING
    world.keyed.finish(task, cost=250_000)
    await world.turn(10)
    await world.turn()
    delivered = await world.read(task)
    assert delivered.state is TaskState.DELIVERED
    assert delivered.message_id == world.announcer.clips[task.id][0].message_id
    assert await world.booked(task) == [("hold", PRICE, 0), ("settle", -PRICE, 250_000)]
    assert world.announcer.costs == {task.id: 250_000}
    assert (world.files("clips"), world.files("frames")) == ([], [])


@pytest.mark.parametrize(
    ("mode", "frames"),
    [(Mode.TEXT, (False, False)), (Mode.IMAGE, (True, False)), (Mode.TRANSITION, (True, True))],
)
async def test_job_carries_what_was_asked_for(mode: Mode, frames: tuple[bool, bool], world: World) -> None:
    task = await world.hold_one(mode=mode, camera="Pan left")
    await world.turn()
    (job,) = world.keyed.requested
    assert (job.first_frame is not None, job.last_frame is not None) == frames
    assert (job.prompt, job.enhance, job.task_id) == ("a paper boat [Pan left]", True, task.id)


async def test_history_tells_every_move(world: World) -> None:
    task = await world.hold_one()
    await world.turn()
    world.keyed.job(task).state = TaskState.PROCESSING
    await world.turn(5)
    world.keyed.finish(task)
    await world.turn(10)
    await world.turn()
    states = [event.state.value for event in await world.tasks.events(task.id)]
    assert states == ["held", "submitting", "queued", "processing", "succeeded", "delivered"]


async def test_everything_is_on_disk_before_the_provider_is_called(world: World) -> None:
    task = await world.hold_one()
    found: list[object] = []

    async def look(key: str, body: bytes) -> None:
        found.extend(
            [
                world.rows(f"SELECT state FROM tasks WHERE 'conch-' || id = '{key}'"),
                world.rows(f"SELECT kind, held_micros FROM ledger WHERE task_id = '{task.id}'"),
                world.rows("SELECT body FROM submissions") == [(body,)],
            ]
        )

    world.keyed.inside = look
    await world.turn()
    assert found == [[("submitting",)], [("hold", PRICE)], True]
    assert world.keyed.submits[0][0] == task.key


@pytest.mark.parametrize("end", [TaskState.FAILED, TaskState.CANCELLED])
async def test_job_id_is_kept_although_the_job_ended_within_the_submit(end: TaskState, world: World) -> None:
    task = await world.hold_one()
    world.keyed.submit_answers.append(end)
    await world.turn()
    ended = await world.read(task)
    assert (ended.state, ended.job_id) == (end, f"{KEYED}-job1")


async def test_finished_within_the_submit_is_booked_and_delivered(world: World) -> None:
    task = await world.hold_one()
    world.keyed.submit_answers.append(TaskState.SUCCEEDED)
    await world.turns(2, 0)
    assert await world.state(task) is TaskState.DELIVERED
    assert world.keyed.reads == []


@pytest.mark.parametrize("cost", [0, 100_000, PRICE, 400_000])
async def test_cost_of_the_provider_is_booked_in_full(cost: int, world: World) -> None:
    task = await world.hold_one()
    await world.turn()
    world.keyed.finish(task, cost=cost)
    await world.turn(5)
    assert await world.booked(task) == [("hold", PRICE, 0), ("settle", -PRICE, cost)]


async def test_cost_that_is_not_named_is_the_list_price(world: World) -> None:
    task = await world.hold_one()
    await world.turn()
    world.keyed.finish(task)
    await world.turn(5)
    assert await world.booked(task) == [("hold", PRICE, 0), ("settle", -PRICE, PRICE)]


async def test_cost_above_the_hold_is_flagged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    task = await world.hold_one()
    await world.turn()
    world.keyed.finish(task, cost=400_000)
    await world.quiet_turn(5)
    note = (await world.tasks.events(task.id))[-1].note
    assert note == "finished for $0.40, above the $0.28 that were held"
    assert "more than was held" in caplog.text


@pytest.mark.parametrize(("end", "words"), [(TaskState.FAILED, "out of paint"), (TaskState.CANCELLED, KEYED)])
async def test_job_that_ends_without_a_clip_gives_the_hold_back(
    end: TaskState, words: str, world: World
) -> None:
    task = await world.hold_one()
    await world.turn()
    world.keyed.finish(task, end).reason = "out of paint"
    await world.turn(5)
    ended = await world.read(task)
    assert (ended.state, ended.due_at) == (end, None)
    assert words in (ended.problem or "")
    assert await world.booked(task) == [("hold", PRICE, 0), ("release", -PRICE, 0)]


async def test_refused_content_is_told_as_such(world: World) -> None:
    task = await world.hold_one()
    await world.turn()
    job = world.keyed.finish(task, TaskState.FAILED)
    job.reason, job.content_refused = "a famous mouse", True
    await world.turn(5)
    assert (await world.read(task)).problem == "the content was refused: a famous mouse"


async def test_failure_without_a_reason_says_so(world: World) -> None:
    task = await world.hold_one()
    await world.turn()
    world.keyed.finish(task, TaskState.FAILED)
    await world.turn(5)
    assert (await world.read(task)).problem == "no reason was given"


# ------------------------------------------------------------------------- reads


async def test_success_without_a_link_is_asked_about_again(world: World) -> None:
    task = await world.hold_one()
    await world.turn()
    world.keyed.finish(task).linked = False
    await world.turn(5)
    assert await world.state(task) is TaskState.QUEUED
    world.keyed.job(task).linked = True
    await world.turn(10)
    await world.turn()
    assert await world.state(task) is TaskState.DELIVERED


@pytest.mark.parametrize(
    "said", [TaskState.HELD, TaskState.DELIVERED, TaskState.PARKED, TaskState.SUBMITTING]
)
async def test_state_that_is_none_of_a_provider_changes_nothing(said: TaskState, world: World) -> None:
    task = await world.hold_one()
    await world.turn()
    world.keyed.status_answers.append(Report(f"{KEYED}-job1", said))
    await world.turn(5)
    assert await world.state(task) is TaskState.QUEUED
    assert len(world.keyed.reads) == 1


async def test_status_that_goes_backwards_is_not_followed(world: World) -> None:
    task = await world.hold_one()
    world.keyed.submit_answers.append(TaskState.PROCESSING)
    await world.turn()
    world.keyed.job(task).state = TaskState.QUEUED
    await world.turn(5)
    assert await world.state(task) is TaskState.PROCESSING


async def pauses(world: World, count: int) -> list[float]:
    """Seconds between the next reads of the only task."""
    (row,) = world.rows("SELECT id FROM tasks")
    task = await world.tasks.get(row[0])
    found: list[float] = []
    for _ in range(count):
        assert task is not None
        assert task.due_at is not None
        found.append((task.due_at - world.clock()) / 1000)
        await world.turn(found[-1])
        task = await world.tasks.get(task.id)
    return found


async def test_pauses_grow_from_the_first_to_three_of_them(world: World) -> None:
    await world.hold_one()
    await world.turn()
    found = await pauses(world, 9)
    assert found[:3] == [5.0, 5.0, 6.25]
    assert found[-3:] == [15.0, 15.0, 15.0]
    assert found == sorted(found)


@pytest.mark.parametrize(("chance", "share"), [(0.0, 0.9), (0.999999, 1.1)])
async def test_every_pause_is_jittered(chance: float, share: float, world: World) -> None:
    world.chance = chance
    await world.hold_one()
    await world.turn()
    assert await pauses(world, 2) == [pytest.approx(5 * share, abs=0.01)] * 2


async def test_operators_first_pause_counts(make_world: Callable[[], World]) -> None:
    world = make_world()
    world.rules = Rules(poll_seconds=20)
    await world.open()
    await world.hold_one()
    await world.turn()
    assert (await pauses(world, 9))[::8] == [20.0, 60.0]


async def test_task_read_for_days_still_has_a_pause(make_world: Callable[[], World]) -> None:
    world = make_world()
    world.rules = Rules(deadline_minutes=10_080)
    await world.open()
    task = await world.hold_one()
    await world.turn()
    await world.database.write(lambda tx: tx.run("UPDATE tasks SET polls = 40000"))
    await world.turn(5)
    assert ((await world.read(task)).due_at or 0) - world.clock() == 15_000


PASSING: list[ProviderError] = [
    ProviderBusy("gateway down (502)"),
    JobNotFound("no such job"),
    ProviderClosed("key not accepted (401)"),
]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
async def test_read_that_fails_ends_nothing(error: ProviderError, world: World) -> None:
    task = await world.hold_one()
    await world.turn()
    world.keyed.status_answers.append(error)
    await world.turn(5)
    waiting = await world.read(task)
    assert (waiting.state, waiting.problem) == (TaskState.QUEUED, str(error))
    world.keyed.finish(task)
    await world.turn(60)
    await world.turn()
    assert await world.state(task) is TaskState.DELIVERED


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (ProviderBusy("429", retry_after=77), 77),
        (ProviderClosed("no balance"), 60),
        (JobNotFound("no such job"), 5),
    ],
)
async def test_read_waits_as_long_as_it_was_told(error: ProviderError, seconds: int, world: World) -> None:
    task = await world.hold_one()
    await world.turn()
    world.keyed.status_answers.append(error)
    await world.turn(5)
    assert ((await world.read(task)).due_at or 0) - world.clock() == seconds * 1000


# ---------------------------------------------------------------------- deadlines


async def overdue(world: World) -> ScriptedJob:
    """The job of a task whose deadline has passed without a result."""
    task = await world.hold_one()
    await world.turn()
    await world.turn(3601)
    assert await world.state(task) is TaskState.PARKED
    return world.keyed.job(task)


async def test_deadline_parks_and_keeps_the_hold(world: World) -> None:
    job = await overdue(world)
    ((task_id, due),) = world.rows("SELECT id, due_at FROM tasks")
    task = await world.tasks.get(task_id)
    assert task is not None
    assert job.key == task.key
    assert due - world.clock() == 300_000
    assert await world.booked(task) == [("hold", PRICE, 0)]
    assert "after 60 minutes" in (task.problem or "")


async def test_parked_job_is_read_every_five_minutes(world: World) -> None:
    await overdue(world)
    reads = len(world.keyed.reads)
    await world.turns(20, 60)
    assert len(world.keyed.reads) - reads == 4


async def test_parked_task_keeps_its_reason_over_the_reads(world: World) -> None:
    await overdue(world)
    await world.turn(300)
    assert "after 60 minutes" in world.rows("SELECT problem FROM tasks")[0][0]


async def test_late_success_is_booked_and_delivered(world: World) -> None:
    job = await overdue(world)
    job.state, job.cost = TaskState.SUCCEEDED, 270_000
    await world.turn(300)
    await world.turn()
    assert world.rows("SELECT state FROM tasks") == [("delivered",)]
    assert world.rows("SELECT spent_micros FROM ledger WHERE kind = 'settle'") == [(270_000,)]


@pytest.mark.parametrize("end", [TaskState.FAILED, TaskState.CANCELLED])
async def test_late_failure_gives_the_hold_back(end: TaskState, world: World) -> None:
    job = await overdue(world)
    job.state = end
    await world.turn(300)
    assert world.rows("SELECT state FROM tasks") == [(end,)]
    assert world.rows("SELECT held_micros FROM ledger WHERE kind = 'release'") == [(-PRICE,)]


async def test_unreadable_job_is_parked_at_the_deadline_too(world: World) -> None:
    task = await world.hold_one()
    await world.turn()
    for seconds, state in ((5, TaskState.QUEUED), (3600, TaskState.PARKED), (300, TaskState.PARKED)):
        world.keyed.status_answers.append(ProviderBusy("down"))
        await world.turn(seconds)
        waiting = await world.read(task)
        assert waiting.state is state
        assert (waiting.due_at or 0) > world.clock()


# -------------------------------------------------- providers that are gone, progress


async def test_job_of_a_provider_that_is_switched_off_waits(world: World) -> None:
    task = await world.hold_one()
    await world.turn()
    world.switch_on()
    await world.turn(5)
    waiting = await world.read(task)
    assert waiting.state is TaskState.QUEUED
    assert "switch it on again" in (waiting.problem or "")
    world.switch_on(*world.providers)
    world.keyed.finish(task)
    await world.turn(10)
    await world.turn()
    assert await world.state(task) is TaskState.DELIVERED


@pytest.mark.parametrize("count", [1, 6])
async def test_held_tasks_of_a_provider_that_is_switched_off_are_given_back(count: int, world: World) -> None:
    tasks = await world.hold(count)
    world.switch_on()
    await world.turns(2, 0)
    for task in tasks:
        ended = await world.read(task)
        assert (ended.state, ended.problem) == (TaskState.FAILED, f"{KEYED} is no longer switched on")


async def test_jobs_of_a_provider_that_is_off_do_not_keep_its_held_tasks(world: World) -> None:
    running = await world.hold(4)
    await world.turn()
    held = await world.hold(2)
    world.switch_on()
    await world.turn()
    states = [await world.state(task) for task in [*running, *held]]
    assert states == [TaskState.QUEUED] * 4 + [TaskState.FAILED] * 2


async def test_progress_reaches_the_message(world: World) -> None:
    task = await world.hold_one()
    await world.turn()
    world.keyed.job(task).progress = 42
    await world.turn(5)
    assert (task.id, 42) in world.announcer.changes


async def test_start_without_a_progress_message_posts_one(world: World) -> None:
    (task,) = await world.hold_unannounced(mode=Mode.IMAGE)
    await world.turn(19)
    assert world.announcer.announces == []
    await world.turn(1)
    started = await world.read(task)
    posted = world.announcer.announced[task.interaction_id]
    assert (started.state, started.progress_message_id) == (TaskState.QUEUED, posted.message_id)
    assert world.keyed.requested[0].first_frame == replace(task.first_frame, url=posted.picture_urls[0])  # type: ignore[type-var]


async def test_clips_of_one_command_share_one_progress_message(world: World) -> None:
    await world.hold_unannounced(4)
    await world.turn(20)
    assert world.announcer.announces == [1]
    assert len(world.keyed.jobs) == 4


async def test_two_providers_are_told_apart(world: World) -> None:
    keyed, unkeyed = await world.hold_one(), await world.hold_one(provider=UNKEYED)
    await world.turn()
    assert ([*world.keyed.charges], [*world.unkeyed.charges]) == ([keyed.key], [unkeyed.key])
    assert (await world.read(unkeyed)).submitted_at == START
