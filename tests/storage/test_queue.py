"""The database is the queue: who may start, who is looked at next, who stands where."""

import asyncio
from typing import Any

import pytest

from bot.domain.catalog import Format, Mode
from bot.domain.errors import StaleTask
from bot.domain.task import FINAL, RUNNING, Frame, Task, TaskState
from storage.database import Database
from storage.ledger import LedgerStore
from storage.marks import MarkStore
from storage.tasks import TaskStore
from tests.storage.drafts import DAY, NOON, SECOND, again, brought, draft, move, placed

ANNA, BOB, CARLA = 1, 2, 3


async def start_order(
    store: TaskStore, *, per_member: int = 10, limit: int = 100, at: int = NOON
) -> list[str]:
    tasks = await store.startable("mindvideo", at, per_member=per_member, limit=limit)
    return [task.id for task in tasks]


async def test_members_take_turns(store: TaskStore) -> None:
    for number, member in enumerate((ANNA, ANNA, ANNA, BOB, CARLA, BOB)):
        await placed(store, number, member_id=member, created_at=NOON - 100 + number)
    assert await start_order(store) == ["t0.0", "t3.0", "t4.0", "t1.0", "t5.0", "t2.0"]


async def test_the_clips_of_one_request_come_in_their_order(store: TaskStore) -> None:
    await store.place([draft(1, ordinal=ordinal) for ordinal in range(4)], server_name="Harbour")
    assert await start_order(store) == [f"t1.{ordinal}" for ordinal in range(4)]


async def test_requests_of_the_same_moment_come_in_discords_order(store: TaskStore) -> None:
    for number in (3, 1, 2):
        await placed(store, number, member_id=number)
    assert await start_order(store) == ["t1.0", "t2.0", "t3.0"]


@pytest.mark.parametrize("state", sorted(RUNNING))
async def test_running_tasks_count_as_turns_already_taken(store: TaskStore, state: TaskState) -> None:
    await brought(store, await placed(store, 1, member_id=ANNA), state)
    await placed(store, 2, member_id=ANNA)
    await placed(store, 3, member_id=ANNA)
    await placed(store, 4, member_id=BOB, created_at=NOON - 1)
    assert await start_order(store, per_member=2) == ["t4.0", "t2.0"]
    assert await start_order(store, per_member=1) == ["t4.0"]


@pytest.mark.parametrize("state", sorted(set(TaskState) - RUNNING - {TaskState.HELD}))
async def test_tasks_that_do_not_run_take_no_turn(store: TaskStore, state: TaskState) -> None:
    await brought(store, await placed(store, 1), state)
    await placed(store, 2)
    assert await start_order(store, per_member=1) == ["t2.0"]


async def test_running_at_another_provider_counts_too(store: TaskStore) -> None:
    await brought(store, await placed(store, 1, provider="gmi"), TaskState.PROCESSING)
    await placed(store, 2)
    assert await start_order(store, per_member=1) == []


async def test_only_due_tasks_of_the_provider_start(store: TaskStore) -> None:
    await placed(store, 1, due_at=NOON + 1)
    await placed(store, 2, provider="gmi")
    await placed(store, 3)
    assert await start_order(store) == ["t3.0"]
    assert await start_order(store, at=NOON + 1, limit=1) == ["t1.0"]


async def test_a_waiting_clip_of_a_member_does_not_hold_up_a_due_one(store: TaskStore) -> None:
    await placed(store, 1, due_at=NOON + 1)
    await placed(store, 2)
    assert await start_order(store, per_member=1) == ["t2.0"]


async def test_the_longest_waiting_are_looked_at_first(store: TaskStore) -> None:
    states = (TaskState.SUBMITTING, TaskState.QUEUED, TaskState.PROCESSING, TaskState.PARKED)
    for number, state in enumerate(states):
        await brought(store, await placed(store, number), state, NOON - number)
    await placed(store, 10)
    await brought(store, await placed(store, 11), TaskState.SUCCEEDED)
    await brought(store, await placed(store, 12), TaskState.QUEUED, NOON + 1)
    await brought(store, await placed(store, 13, provider="gmi"), TaskState.QUEUED)
    assert [task.id for task in await store.due("mindvideo", NOON, limit=9)] == [
        "t3.0",
        "t2.0",
        "t1.0",
        "t0.0",
    ]
    assert [task.id for task in await store.due("mindvideo", NOON, limit=1)] == ["t3.0"]


async def test_finished_clips_are_delivered_the_longest_waiting_first(store: TaskStore) -> None:
    for number, at in enumerate((NOON, NOON - 1, NOON + 1)):
        await brought(store, await placed(store, number), TaskState.SUCCEEDED, at)
    await brought(store, await placed(store, 9), TaskState.DELIVERED)
    await brought(store, await placed(store, 10, provider="gmi"), TaskState.SUCCEEDED)
    await placed(store, 11)
    found = await store.deliverable(NOON, provider="mindvideo", limit=9)
    assert [task.id for task in found] == ["t1.0", "t0.0"]
    assert await store.deliverable(NOON, provider="mindvideo", limit=1) == found[:1]


async def test_a_parked_task_without_a_due_time_is_left_alone(store: TaskStore) -> None:
    task = await brought(store, await placed(store, 1), TaskState.SUBMITTING)
    await store.park(task, NOON, due_at=None, note="unknown")
    assert await store.due("mindvideo", NOON + DAY, limit=9) == []
    assert await store.open_providers() == set()
    assert [found.id for found in await store.to_show(limit=9)] == ["t1.0"]


async def test_ahead_are_the_earlier_held_tasks_of_the_provider(store: TaskStore) -> None:
    await store.place([draft(5, ordinal=0), draft(5, ordinal=1)], server_name="Harbour")
    await placed(store, 4)
    await placed(store, 6)
    await placed(store, 7, created_at=NOON - 1)
    await placed(store, 8, provider="gmi", created_at=NOON - 1)
    await brought(store, await placed(store, 9, created_at=NOON - 1), TaskState.QUEUED)
    ahead = {task.id: await store.ahead_of(task) for task in await store.to_show(limit=9)}
    places = {key: value for key, value in ahead.items() if key not in {"t8.0", "t9.0"}}
    assert places == {"t7.0": 0, "t4.0": 1, "t5.0": 2, "t5.1": 3, "t6.0": 4}


async def test_a_servers_held_tasks_come_longest_waiting_first(store: TaskStore) -> None:
    await placed(store, 1)
    await placed(store, 2, created_at=NOON - 1)
    await placed(store, 3, server_id=51)
    await brought(store, await placed(store, 4), TaskState.QUEUED)
    assert [task.id for task in await store.waiting_in(50, limit=9)] == ["t2.0", "t1.0"]
    assert [task.id for task in await store.waiting_in(50, limit=1)] == ["t2.0"]


async def test_due_times_left_in_the_far_future_are_brought_back(store: TaskStore) -> None:
    for number, due in enumerate((NOON - 1, NOON + 10, NOON + 11, NOON + 10**10)):
        await placed(store, number, due_at=due)
    await brought(store, await placed(store, 9), TaskState.DELIVERED)
    await store.clamp_due(NOON, latest=NOON + 10)
    times = {task.id: task.due_at for task in await store.of_member(70, 50, limit=9)}
    assert times == {"t0.0": NOON - 1, "t1.0": NOON + 10, "t2.0": NOON, "t3.0": NOON, "t9.0": None}


async def test_an_announced_task_may_start_at_once(store: TaskStore) -> None:
    await placed(store, 1, due_at=NOON + 20 * SECOND)
    assert await start_order(store) == []
    await store.announced(1, channel_id=61, message_id=62, urls=[], at=NOON)
    assert await start_order(store) == ["t1.0"]
    task = await store.get("t1.0")
    assert task is not None
    assert (task.progress_channel_id, task.progress_message_id) == (61, 62)


async def test_an_announcement_changes_no_earlier_due_time_and_no_other_state(store: TaskStore) -> None:
    await store.place([draft(1), draft(1, ordinal=1), draft(1, ordinal=2)], server_name="Harbour")
    one, two, three = await store.of_interaction(1)
    await brought(store, two, TaskState.QUEUED, NOON + 50)
    await brought(store, three, TaskState.CANCELLED)
    await store.announced(1, channel_id=61, message_id=62, urls=[], at=NOON + 10)
    assert [task.due_at for task in await store.of_interaction(1)] == [one.due_at, NOON + 50, None]


@pytest.mark.parametrize(
    ("mode", "paths", "urls", "kept"),
    [
        (Mode.TEXT, (None, None), [], (None, None)),
        (Mode.IMAGE, ("a", None), ["https://a"], ("https://a", None)),
        (Mode.TRANSITION, ("a", "b"), ["https://a", "https://b"], ("https://a", "https://b")),
        (Mode.TRANSITION, ("a", "b"), [], (None, None)),
    ],
)
async def test_an_announcement_gives_each_picture_its_address(
    store: TaskStore,
    mode: Mode,
    paths: tuple[str | None, str | None],
    urls: list[str],
    kept: tuple[str | None, str | None],
) -> None:
    first, last = (Frame(path) if path else None for path in paths)
    await placed(store, 1, mode=mode, first_frame=first, last_frame=last)
    await store.announced(1, channel_id=61, message_id=62, urls=urls, at=NOON)
    task = await store.get("t1.0")
    assert task is not None
    assert (task.first_frame and task.first_frame.url, task.last_frame and task.last_frame.url) == kept


async def finished(store: TaskStore, number: int, took: int, **changes: Any) -> Task:
    """A task whose clip was ready so many milliseconds after its submit."""
    task = await brought(store, await placed(store, number, **changes), TaskState.QUEUED)
    return await move(store, task, TaskState.SUCCEEDED, NOON + took)


async def times(store: TaskStore, *, each: int = 50) -> list[tuple[str, int]]:
    return [(task.id, took) for task, took in await store.durations(each=each)]


async def test_durations_are_from_submit_to_success_oldest_first(store: TaskStore) -> None:
    for number, took in enumerate((10, 20)):
        task = await finished(store, number, took * SECOND, created_at=NOON - 5 + number)
        await move(store, task, TaskState.DELIVERED, NOON + 100 * SECOND)
    assert await times(store) == [("t0.0", 10 * SECOND), ("t1.0", 20 * SECOND)]


async def test_trouble_with_the_delivery_does_not_lengthen_a_duration(store: TaskStore) -> None:
    task = await finished(store, 1, 10 * SECOND)
    await store.postpone(task, NOON + DAY, due_at=NOON + DAY, problem="the channel is closed")
    assert await times(store) == [("t1.0", 10 * SECOND)]
    await move(store, await again(store, task), TaskState.DELIVERED, NOON + DAY)
    assert await times(store) == [("t1.0", 10 * SECOND)]


async def test_unfinished_and_failed_tasks_have_no_duration(store: TaskStore) -> None:
    for number, state in enumerate((TaskState.HELD, TaskState.QUEUED, TaskState.FAILED, TaskState.PARKED)):
        await brought(store, await placed(store, number), state)
    assert await times(store) == []


async def test_durations_are_the_newest_of_each_provider_and_format(store: TaskStore) -> None:
    other = Format(model="hailuo-2.3", duration=10, resolution="768p")
    for number in range(4):
        await finished(store, number, number, created_at=NOON - 10 + number)
    await finished(store, 7, 70, provider="gmi")
    await finished(store, 8, 80, format=other)
    assert await times(store, each=2) == [("t2.0", 2), ("t3.0", 3), ("t7.0", 70), ("t8.0", 80)]


async def test_duration_counts_from_the_last_submit(store: TaskStore) -> None:
    task = await brought(store, await placed(store, 1), TaskState.SUBMITTING)
    task = await move(store, task, TaskState.HELD, NOON + 500)
    for state, at in ((TaskState.SUBMITTING, 600), (TaskState.QUEUED, 610), (TaskState.SUCCEEDED, 700)):
        task = await move(store, task, state, NOON + at)
    assert await times(store) == [("t1.0", 100)]


# ------------------------------------------------------------------ other reads


async def test_what_is_left_to_show_is_unfinished_or_ended_unseen(store: TaskStore) -> None:
    for number, state in enumerate(TaskState):
        task = await brought(store, await placed(store, number, created_at=NOON + number), state)
        if state is not TaskState.FAILED:
            await store.end_shown(task.interaction_id)
    shown = await store.to_show(limit=99)
    unseen = [state for state in TaskState if state not in FINAL or state is TaskState.FAILED]
    assert [task.state for task in shown] == unseen
    assert await store.to_show(limit=1) == shown[:1]


async def test_an_interaction_is_unfinished_until_its_last_task_ended(store: TaskStore) -> None:
    tasks = [
        await brought(store, await placed(store, number), state) for number, state in enumerate(TaskState)
    ]
    unfinished = {task.interaction_id for task in tasks if task.state not in FINAL}
    assert await store.unfinished_interactions() == unfinished


async def test_a_held_task_in_a_hurry_is_due_now(store: TaskStore) -> None:
    held = await placed(store, 1, due_at=NOON + 20_000)
    running = await brought(store, await placed(store, 2), TaskState.QUEUED)
    for task in (held, running):
        await store.hurry(task.interaction_id, NOON + 5)
    due = [found.due_at for task in (held, running) if (found := await store.get(task.id))]
    assert due == [NOON + 5, running.due_at]


async def test_a_member_sees_the_newest_first_and_only_of_that_server(store: TaskStore) -> None:
    for number, changes in enumerate(({}, {}, {"server_id": 51}, {"member_id": 71})):
        await placed(store, number, created_at=NOON + number, **changes)
    assert [task.id for task in await store.of_member(70, 50, limit=9)] == ["t1.0", "t0.0"]
    assert [task.id for task in await store.of_member(70, 50, limit=1)] == ["t1.0"]


async def test_running_are_those_that_may_be_at_the_provider(store: TaskStore) -> None:
    for number, state in enumerate(TaskState):
        await brought(store, await placed(store, number), state)
    assert await store.running("mindvideo") == len(RUNNING)
    assert await store.running("gmi") == 0


async def test_the_next_due_time_is_the_first_after_now(store: TaskStore) -> None:
    for number, due in enumerate((NOON - 1, NOON, NOON + 7, NOON + 5)):
        await placed(store, number, due_at=due)
    assert await store.next_due(NOON) == NOON + 5
    assert await store.next_due(NOON + 7) is None


async def test_open_providers_are_those_with_something_due_some_day(store: TaskStore) -> None:
    await placed(store, 1, provider="gmi", due_at=NOON + DAY)
    await brought(store, await placed(store, 2, provider="novita"), TaskState.DELIVERED)
    assert await store.open_providers() == {"gmi"}


async def test_what_is_not_there_is_none(store: TaskStore, ledger: LedgerStore, database: Database) -> None:
    assert await store.get("t1.0") is None
    assert await store.of_interaction(1) == []
    assert await store.body(draft(1)) is None
    assert await store.cost("t1.0") == 0
    assert await ledger.of_task("t1.0") == []
    assert await MarkStore(database).get("commands") is None


async def test_a_mark_keeps_its_newest_value(database: Database) -> None:
    marks = MarkStore(database)
    for value in ("first", "second"):
        await marks.set("commands", value)
    assert await marks.get("commands") == "second"


async def test_of_two_starts_in_one_instant_a_member_gets_as_many_as_may_run(store: TaskStore) -> None:
    """Each provider's queue is read before the other's start is on disk."""
    tasks = [await placed(store, number, provider=name) for number, name in enumerate(("mindvideo", "gmi"))]
    starts = (store.begin_submit(task, b"{}", NOON, per_member=1) for task in tasks)
    sent, refused = await asyncio.gather(*starts, return_exceptions=True)
    assert sent == b"{}"
    assert isinstance(refused, StaleTask)
    assert str(refused) == "task t1.0 waits: 1 of its member are running"
    assert [(await again(store, task)).state for task in tasks] == [TaskState.SUBMITTING, TaskState.HELD]
    assert await store.body(tasks[1]) is None


async def test_the_places_of_all_are_the_order_of_their_starts(store: TaskStore) -> None:
    for number, member in enumerate((ANNA, ANNA, ANNA, BOB, CARLA, BOB)):
        await placed(store, number, member_id=member, created_at=NOON - 100 + number)
    await brought(store, await placed(store, 9, member_id=BOB), TaskState.DELIVERED)
    order = await start_order(store)
    assert order == ["t0.0", "t4.0", "t3.0", "t1.0", "t5.0", "t2.0"]
    waiting = [task for task in await store.to_show(limit=9) if task.state is TaskState.HELD]
    assert {task.id: await store.ahead_of(task) for task in waiting} == {
        key: place for place, key in enumerate(order)
    }
