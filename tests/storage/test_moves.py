"""Placing tasks and moving them: every move is one guarded step with its event and its money, or nothing."""

import sqlite3
from collections.abc import Callable, Coroutine
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bot.catalog import load
from bot.domain.catalog import Mode
from bot.domain.errors import StaleTask
from bot.domain.limits import Limit, Period, Scope
from bot.domain.task import FINAL, MOVES, Frame, Task, TaskState
from storage.database import Database
from storage.ledger import LedgerStore
from storage.limits import LimitStore
from storage.tasks import TaskStore
from tests.storage.drafts import COST, NOON, PRICE, SECOND, again, brought, draft, everything, move, placed

LATER = NOON + 60 * SECOND
OFFER = load().offers[0].model_copy(update={"provider": "another", "price": "0.28"})
LEGAL = [(old, new) for old in TaskState for new in sorted(MOVES[old])]


# ------------------------------------------------------------------ placing


async def test_a_placed_task_is_found_as_it_was_drafted(store: TaskStore) -> None:
    frames = {"first_frame": Frame("a.jpg"), "last_frame": Frame("b.jpg")}
    task = draft(1, mode=Mode.TRANSITION, camera="Pan left", enhance=False, upload_limit=10, **frames)
    outcome = await store.place([task], server_name="Harbour")
    assert (outcome.tasks, outcome.again, outcome.hit) == ([task], False, None)
    assert await store.get(task.id) == task


async def test_a_held_price_and_its_event_stand_with_the_task(store: TaskStore, ledger: LedgerStore) -> None:
    task = await placed(store, 1)
    (entry,) = await ledger.of_task(task.id)
    assert (entry.kind, entry.held_micros, entry.spent_micros, entry.at) == ("hold", PRICE, 0, NOON)
    (event,) = await store.events(task.id)
    assert (event.state, event.at) == (TaskState.HELD, NOON)


async def test_an_interaction_that_comes_twice_finds_its_task(database: Database, store: TaskStore) -> None:
    await placed(store, 1)
    before = await everything(database)
    outcome = await store.place([draft(1, id="another", prompt="another")], server_name="Harbour")
    assert outcome.again
    assert [task.id for task in outcome.tasks] == ["t1.0"]
    assert await everything(database) == before


async def test_an_interaction_that_comes_twice_is_found_in_any_state(store: TaskStore) -> None:
    await brought(store, await placed(store, 1), TaskState.DELIVERED)
    outcome = await store.place([draft(1)], server_name="Harbour")
    assert outcome.again
    assert outcome.tasks[0].state is TaskState.DELIVERED


async def test_a_placed_interaction_is_found_whatever_the_limits_say_now(
    store: TaskStore, limits: LimitStore
) -> None:
    await placed(store, 1)
    await limits.set_operators([Limit(Scope.BOT, Period.DAY, 0)])
    assert (await store.place([draft(1)], server_name="Harbour")).again


async def test_four_clips_are_placed_in_their_order(store: TaskStore) -> None:
    four = [draft(1, ordinal=ordinal) for ordinal in range(4)]
    assert (await store.place(four, server_name="Harbour")).tasks == four
    assert await store.of_interaction(1) == four


@pytest.mark.parametrize(("most", "passes"), [(4 * PRICE, True), (4 * PRICE - 1, False)])
async def test_four_clips_are_held_all_or_none(
    database: Database, store: TaskStore, limits: LimitStore, most: int, *, passes: bool
) -> None:
    await limits.set_operators([Limit(Scope.MEMBER, Period.DAY, most)])
    outcome = await store.place([draft(1, ordinal=ordinal) for ordinal in range(4)], server_name="Harbour")
    assert (outcome.hit is None) is passes
    assert bool(await everything(database)) is passes


async def test_of_four_clips_none_is_placed_when_the_last_is_refused(
    database: Database, store: TaskStore
) -> None:
    clips = [draft(1, ordinal=ordinal) for ordinal in range(3)] + [draft(1, ordinal=3, price_micros=-1)]
    with pytest.raises(sqlite3.IntegrityError):
        await store.place(clips, server_name="Harbour")
    assert await everything(database) == []


async def test_a_servers_newest_name_is_kept(database: Database, store: TaskStore) -> None:
    await store.place([draft(1)], server_name="Harbour")
    await store.place([draft(2, created_at=LATER)], server_name="New Harbour")
    (row,) = await database.read("SELECT name, first_seen_at FROM servers")
    assert tuple(row) == ("New Harbour", NOON)


# ------------------------------------------------------------------ moves


@pytest.mark.parametrize(("old", "new"), LEGAL)
async def test_a_move_of_the_table_is_made_with_its_event(
    store: TaskStore, old: TaskState, new: TaskState
) -> None:
    task = await brought(store, await placed(store, 1), old)
    moved = await move(store, task, new, LATER)
    assert (moved.state, moved.changed_at) == (new, LATER)
    newest = (await store.events(task.id))[-1]
    assert (newest.state, newest.at) == (new, LATER)
    assert newest.note


@pytest.mark.parametrize(("old", "new"), LEGAL)
async def test_a_move_of_the_table_is_made_with_its_money(
    store: TaskStore, ledger: LedgerStore, old: TaskState, new: TaskState
) -> None:
    task = await brought(store, await placed(store, 1), old)
    await move(store, task, new, LATER)
    entries = [(e.kind, e.held_micros, e.spent_micros) for e in await ledger.of_task(task.id)]
    ends = {
        TaskState.SUCCEEDED: [("settle", -PRICE, COST)],
        TaskState.DELIVERED: [("settle", -PRICE, COST)],
        TaskState.FAILED: [("release", -PRICE, 0)],
        TaskState.CANCELLED: [("release", -PRICE, 0)],
    }
    assert entries == [("hold", PRICE, 0), *ends.get(new, [])]
    assert await store.cost(task.id) == (COST if new in {TaskState.SUCCEEDED, TaskState.DELIVERED} else 0)


@pytest.mark.parametrize("state", TaskState)
async def test_only_tasks_with_something_left_to_do_have_a_due_time(
    store: TaskStore, state: TaskState
) -> None:
    task = await brought(store, await placed(store, 1), state)
    assert (task.due_at is None) is (state in FINAL)


@dataclass(frozen=True)
class Way:
    """One call of a public method; `legal` are the states it may be made from."""

    name: str
    legal: AbstractSet[TaskState]
    call: Callable[[TaskStore, Task], Coroutine[Any, Any, object]]


def before(to: TaskState) -> frozenset[TaskState]:
    return frozenset(old for old in TaskState if to in MOVES[old])


def ways_with(to: TaskState) -> list[Way]:
    """The methods that are told the new state; a look that finds the same state is always legal."""

    def accepted(store: TaskStore, task: Task) -> Coroutine[Any, Any, None]:
        return store.accepted(task, "j", to, LATER, due_at=LATER)

    def observed(store: TaskStore, task: Task) -> Coroutine[Any, Any, None]:
        return store.observed(task, to, LATER, due_at=LATER)

    def end(store: TaskStore, task: Task) -> Coroutine[Any, Any, None]:
        return store.end(task, to, LATER, note="x")

    submitting, queued, never = {TaskState.SUBMITTING}, {TaskState.QUEUED}, frozenset[TaskState]()
    working = to in {TaskState.QUEUED, TaskState.PROCESSING}
    return [
        Way(f"accepted {to}", frozenset(submitting) if working else never, accepted),
        Way(f"observed {to}", {to} | (queued if to is TaskState.PROCESSING else never), observed),
        Way(f"end {to}", before(to) if to in {TaskState.FAILED, TaskState.CANCELLED} else never, end),
    ]


def ways() -> list[Way]:
    submitting, succeeded = {TaskState.SUBMITTING}, {TaskState.SUCCEEDED}
    clip = ("https://cdn.example/clip", None)
    found = [
        Way("begin_submit", before(TaskState.SUBMITTING), lambda s, t: s.begin_submit(t, b"{}", LATER)),
        Way("not_accepted", submitting, lambda s, t: s.not_accepted(t, LATER, due_at=LATER, note="x")),
        Way(
            "fail_over",
            {TaskState.HELD, *submitting},
            lambda s, t: s.fail_over(t, OFFER, LATER, due_at=LATER, tried=(), note="x"),
        ),
        Way("park", before(TaskState.PARKED), lambda s, t: s.park(t, LATER, due_at=None, note="x")),
        Way(
            "succeed",
            before(TaskState.SUCCEEDED),
            lambda s, t: s.succeed(t, LATER, job_id="j", clip=clip, cost_micros=COST, note="x"),
        ),
        Way(
            "delivered",
            before(TaskState.DELIVERED),
            lambda s, t: s.delivered(t, LATER, channel_id=1, message_id=2, note="x"),
        ),
        Way("posting", succeeded, lambda s, t: s.posting(t, LATER)),
        Way("new_link", succeeded, lambda s, t: s.new_link(t, "https://x", None)),
    ]
    for to in TaskState:
        found += ways_with(to)
    return found


@pytest.mark.parametrize("old", TaskState)
async def test_a_move_that_is_not_in_the_table_changes_nothing(
    database: Database, store: TaskStore, old: TaskState
) -> None:
    task = await brought(store, await placed(store, 1), old)
    untouched = await everything(database)
    for way in ways():
        if old not in way.legal:
            with pytest.raises(StaleTask):
                await way.call(store, task)
            assert await everything(database) == untouched, way.name


@pytest.mark.parametrize("way", ways(), ids=lambda way: way.name)
async def test_a_move_the_table_has_is_made_by_its_method(store: TaskStore, way: Way) -> None:
    for number, old in enumerate(sorted(way.legal)):
        task = await brought(store, await placed(store, number, provider=f"provider {number}"), old)
        await way.call(store, task)


@pytest.mark.parametrize(
    "way", [way for way in ways() if way.name not in {"posting", "new_link"}], ids=lambda way: way.name
)
async def test_a_move_is_not_made_for_who_believes_a_state_without_it(
    database: Database, store: TaskStore, way: Way
) -> None:
    for number, old in enumerate(sorted(way.legal)):
        task = await brought(store, await placed(store, number, provider=f"provider {number}"), old)
        untouched = await everything(database)
        for believed in set(TaskState) - way.legal:
            with pytest.raises(StaleTask):
                await way.call(store, replace(task, state=believed))
        assert await everything(database) == untouched


@pytest.mark.parametrize(("old", "first"), LEGAL)
async def test_of_two_who_saw_the_same_state_the_second_changes_nothing(
    database: Database, store: TaskStore, old: TaskState, first: TaskState
) -> None:
    task = await brought(store, await placed(store, 1), old)
    await move(store, task, first, LATER)
    untouched = await everything(database)
    for way in ways():
        if old in way.legal:
            with pytest.raises(StaleTask):
                await way.call(store, task)
            assert await everything(database) == untouched, way.name


@pytest.mark.parametrize("way", ways(), ids=lambda way: way.name)
async def test_a_task_that_does_not_exist_is_stale(database: Database, store: TaskStore, way: Way) -> None:
    for old in sorted(way.legal):
        with pytest.raises(StaleTask):
            await way.call(store, draft(9, state=old))
    assert await everything(database) == []


async def test_a_stale_later_look_changes_nothing(database: Database, store: TaskStore) -> None:
    task = await placed(store, 1)
    await move(store, task, TaskState.SUBMITTING, NOON)
    untouched = await everything(database)
    with pytest.raises(StaleTask):
        await store.postpone(task, LATER, due_at=LATER, problem="late")
    assert await everything(database) == untouched


# ------------------------------------------------------------------ what a move keeps


async def test_the_first_bytes_are_sent_on_every_try(store: TaskStore) -> None:
    task = await placed(store, 1)
    assert await store.begin_submit(task, b"first", NOON) == b"first"
    task = await move(store, await again(store, task), TaskState.HELD, LATER)
    assert await store.begin_submit(task, b"second", LATER) == b"first"
    assert await store.body(task) == b"first"
    assert (await again(store, task)).submitted_at == LATER


@pytest.mark.parametrize("state", sorted(set(TaskState) - {TaskState.SUBMITTING}))
async def test_the_bytes_are_kept_only_while_the_outcome_is_open(store: TaskStore, state: TaskState) -> None:
    task = await brought(store, await placed(store, 1), state)
    assert await store.body(task) is None


async def test_a_task_parked_with_a_lost_answer_keeps_its_bytes_and_its_hold(
    store: TaskStore, ledger: LedgerStore
) -> None:
    task = await brought(store, await placed(store, 1), TaskState.SUBMITTING)
    await store.park(task, LATER, due_at=None, note="lost")
    assert await store.body(task) == b"{}"
    assert [entry.kind for entry in await ledger.of_task(task.id)] == ["hold"]


async def test_a_later_look_counts_and_keeps_the_time_of_the_change(store: TaskStore) -> None:
    task = await brought(store, await placed(store, 1), TaskState.PROCESSING)
    await store.observed(task, TaskState.PROCESSING, LATER, due_at=LATER + 1)
    seen = await again(store, task)
    assert (seen.polls, seen.due_at, seen.changed_at) == (task.polls + 1, LATER + 1, NOON)
    assert len(await store.events(task.id)) == 4


async def test_the_same_problem_is_told_once_in_the_history(store: TaskStore) -> None:
    task = await brought(store, await placed(store, 1), TaskState.SUCCEEDED)
    long = "the channel is closed " * 50
    for problem in (long, long, None, long):
        await store.postpone(await again(store, task), LATER, due_at=LATER, problem=problem)
    notes = [event.note for event in await store.events(task.id)]
    assert notes.count(long[:400]) == 2
    assert (await again(store, task)).problem == long[:400]


async def test_the_first_moment_of_posting_is_kept(store: TaskStore) -> None:
    task = await brought(store, await placed(store, 1), TaskState.SUCCEEDED)
    assert (await store.posting(task, LATER)).posting_since == LATER
    assert (await store.posting(task, LATER + 1)).posting_since == LATER


async def test_a_new_link_replaces_the_old_one(store: TaskStore) -> None:
    task = await brought(store, await placed(store, 1), TaskState.SUCCEEDED)
    await store.new_link(task, "https://cdn.example/again", LATER)
    seen = await again(store, task)
    assert (seen.clip_url, seen.clip_expires_at) == ("https://cdn.example/again", LATER)


async def test_a_delivered_task_knows_its_message(store: TaskStore) -> None:
    task = await brought(store, await placed(store, 1), TaskState.SUCCEEDED)
    await store.delivered(task, LATER, channel_id=61, message_id=62, note="in the thread")
    seen = await again(store, task)
    assert (seen.message_channel_id, seen.message_id) == (61, 62)


async def test_one_job_is_never_booked_for_two_tasks(database: Database, store: TaskStore) -> None:
    first = await brought(store, await placed(store, 1), TaskState.QUEUED)
    second = await brought(store, await placed(store, 2), TaskState.SUBMITTING)
    untouched = await everything(database)
    with pytest.raises(sqlite3.IntegrityError):
        await store.accepted(second, str(first.job_id), TaskState.QUEUED, LATER, due_at=LATER)
    assert await everything(database) == untouched
