"""A question is decided once, whoever comes at the same moment, and its holds are given back once."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bot.domain.approvals import Decision, Question
from bot.domain.audit import Deed
from bot.domain.errors import StaleTask
from bot.domain.task import TaskState
from storage.approvals import ApprovalStore, Ruling
from storage.database import Database
from storage.ledger import LedgerStore
from storage.servers import ServerStore
from storage.tasks import TaskStore
from tests.storage.drafts import DAY, NOON, again, draft, placed

SERVER = 50
DEED = Deed(SERVER, 7, "approvals")


@pytest.fixture
def approvals(database: Database) -> ApprovalStore:
    return ApprovalStore(database)


async def waiting(database: Database, store: TaskStore, count: int = 2) -> Question:
    """Clips of one command that wait for a moderator."""
    await ServerStore(database).change(
        SERVER, "Harbour", NOON, lambda server: (replace(server, approval_micros=0), DEED)
    )
    await store.place([draft(1, ordinal=ordinal) for ordinal in range(count)], server_name="Harbour")
    question = await ApprovalStore(database).get(1)
    assert question is not None
    return question


def approve(approvals: ApprovalStore, question: Question, at: int = NOON) -> Any:
    return approvals.approve(question, at, by=7, note="approved by dora", deed=lambda _: DEED)


def decline(approvals: ApprovalStore, question: Question, at: int = NOON) -> Any:
    return approvals.decline(question, at, by=8, note="a moderator declined it", deed=lambda _: DEED)


async def holds(database: Database) -> int:
    (row,) = await database.read("SELECT SUM(held_micros) AS held FROM ledger")
    return int(row["held"])


@pytest.mark.parametrize("turn", range(3))
async def test_of_all_who_decide_at_once_the_first_alone_does(
    database: Database, store: TaskStore, approvals: ApprovalStore, turn: int
) -> None:
    question = await waiting(database, store)
    at_once = [approve(approvals, question), decline(approvals, question)]
    at_once.append(approvals.expire(question, NOON, note="nobody came"))
    at_once = at_once[turn:] + at_once[:turn]
    rulings: list[Ruling] = await asyncio.gather(*at_once)
    assert [len(ruling.tasks) for ruling in rulings] == [2, 0, 0]
    assert {ruling.question.decision for ruling in rulings} == {list(Decision)[turn]}
    states = {task.state for task in await store.of_interaction(1)}
    assert states == {TaskState.CANCELLED if turn else TaskState.HELD}
    assert await holds(database) == (0 if turn else 2 * (await store.of_interaction(1))[0].price_micros)


async def test_a_click_at_the_last_moment_counts_and_one_after_it_does_not(
    database: Database, store: TaskStore, approvals: ApprovalStore
) -> None:
    question = await waiting(database, store)
    assert not (await approve(approvals, question, question.until)).tasks
    assert (await approve(approvals, question, question.until - 1)).tasks
    # From then on it waits for a provider, not since it was asked for.
    assert {task.waiting_since for task in await store.of_interaction(1)} == {question.until - 1}


async def test_what_the_member_cancels_in_the_same_moment_is_given_back_once(
    database: Database, store: TaskStore, approvals: ApprovalStore
) -> None:
    question = await waiting(database, store, count=1)
    (task,) = await store.of_interaction(1)
    with pytest.raises(StaleTask):
        await asyncio.gather(
            decline(approvals, question), store.end(task, TaskState.CANCELLED, NOON, note="cancelled")
        )
    kinds = [entry.kind for entry in await LedgerStore(database).of_task(task.id)]
    assert kinds == ["hold", "release"]


async def test_a_task_read_before_it_was_approved_can_still_be_cancelled_and_stays_approved(
    database: Database, store: TaskStore, approvals: ApprovalStore
) -> None:
    question = await waiting(database, store, count=1)
    (task,) = await store.of_interaction(1)
    await approve(approvals, question)
    await store.end(task, TaskState.CANCELLED, NOON, note="cancelled by the member")
    decided = await approvals.get(1)
    assert decided is not None
    assert decided.decision is Decision.APPROVED
    assert (await again(store, task)).state is TaskState.CANCELLED


async def test_only_with_the_last_clip_the_question_is_withdrawn(
    database: Database, store: TaskStore, approvals: ApprovalStore
) -> None:
    await waiting(database, store)
    decisions = []
    for task in await store.of_interaction(1):
        await store.end(task, TaskState.CANCELLED, NOON, note="cancelled by the member")
        question = await approvals.get(1)
        decisions.append(question and question.decision)
    assert decisions == [None, Decision.WITHDRAWN]


async def test_a_clock_that_was_ahead_gives_moderators_no_more_than_their_time(
    database: Database, store: TaskStore, approvals: ApprovalStore
) -> None:
    question = await waiting(database, store)
    before = NOON - 300 * DAY
    await store.clamp_due(before, latest=before)
    clamped = await approvals.get(question.interaction_id)
    assert clamped is not None
    assert clamped.until == before + 24 * 3_600_000
    assert {task.approval_until for task in await store.of_interaction(1)} == {clamped.until}


async def test_neither_what_waits_for_a_moderator_nor_a_paused_server_is_handed_over(
    database: Database, store: TaskStore
) -> None:
    await waiting(database, store)
    paused = await placed(store, 2, server_id=51)
    await database.write(lambda tx: tx.run("UPDATE servers SET pause_reason = 'spam' WHERE id = 51"))
    for task in [*await store.of_interaction(1), paused]:
        with pytest.raises(StaleTask):
            await store.begin_submit(task, b"body", NOON)
    assert await database.read("SELECT * FROM submissions") == []
