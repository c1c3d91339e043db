"""Refunds: the member's own limits get the room back, what went to a provider stays counted, nothing is rewritten."""

import asyncio
import sqlite3
from datetime import UTC

import pytest

from bot.domain.audit import Deed
from bot.domain.errors import Refusal
from bot.domain.limits import OPERATOR, Limit, Period, Scope, Usage, window
from bot.domain.search import Booked
from bot.domain.task import Task, TaskState
from storage.audit import AuditStore
from storage.database import Database
from storage.ledger import LedgerStore
from storage.limits import LimitStore
from storage.refunds import Refund, RefundStore
from storage.tasks import TaskStore
from tests.storage.drafts import COST, DAY, MIDNIGHT, NOON, brought, draft, everything, placed

SERVER, MEMBER, ROLE = 50, 70, 80
DEED = Deed(SERVER, 90, "tasks refund", "t1.0", f"{COST}", "refunded", "it flickers")
#: Limits that count what a member bears, and those that count what providers were paid.
PERSONAL = [
    Limit(Scope.MEMBER, Period.DAY, COST, str(MEMBER), SERVER),
    Limit(Scope.ROLE, Period.MONTH, COST, str(ROLE), SERVER),
    Limit(Scope.MEMBER, Period.TOTAL, COST, "", SERVER),
]
BUDGETS = [
    # An admin's refund gives no room under what the operator allows.
    Limit(Scope.MEMBER, Period.DAY, COST),
    Limit(Scope.SERVER, Period.MONTH, COST),
    Limit(Scope.SERVER, Period.TOTAL, COST, "", SERVER),
    Limit(Scope.BOT, Period.DAY, COST),
    Limit(Scope.PROVIDER, Period.DAY, COST),
]


@pytest.fixture
def refunds(database: Database) -> RefundStore:
    return RefundStore(database)


async def give(refunds: RefundStore, task: Task, micros: int = COST, at: int = NOON) -> Refund:
    return await refunds.refund(
        task, at, lambda _task, _booked: Refund(micros, "refunded: it flickers", DEED)
    )


async def allow(limits: LimitStore, limit: Limit) -> None:
    if limit.server_id == OPERATOR:
        await limits.set_operators([limit])
    else:
        await limits.put(limit, DEED, NOON)


async def room(store: TaskStore, at: int = NOON) -> int | None:
    return await store.room(draft(9, created_at=at), frozenset({ROLE}))


@pytest.mark.parametrize(
    "limit", PERSONAL, ids=lambda limit: f"{limit.scope} {limit.subject} {limit.server_id}"
)
async def test_a_members_own_limit_gets_the_room_back(
    store: TaskStore, limits: LimitStore, refunds: RefundStore, limit: Limit
) -> None:
    await allow(limits, limit)
    task = await brought(store, await placed(store, 1), TaskState.DELIVERED)
    assert await room(store) == 0
    await give(refunds, task, 200_000)
    assert await room(store) == 200_000


@pytest.mark.parametrize("limit", BUDGETS, ids=lambda limit: f"{limit.scope} {limit.server_id}")
async def test_a_budget_still_counts_what_the_provider_has(
    store: TaskStore, limits: LimitStore, refunds: RefundStore, limit: Limit
) -> None:
    await allow(limits, limit)
    task = await brought(store, await placed(store, 1), TaskState.DELIVERED)
    await give(refunds, task)
    assert await room(store) == 0


async def test_the_room_comes_back_in_the_window_of_the_hold(
    store: TaskStore, ledger: LedgerStore, limits: LimitStore, refunds: RefundStore
) -> None:
    await allow(limits, PERSONAL[0])
    task = await brought(store, await placed(store, 1, created_at=MIDNIGHT - 1), TaskState.DELIVERED)
    await give(refunds, task, at=MIDNIGHT + DAY)
    assert [await room(store, at) for at in (MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + DAY)] == [COST, COST, COST]
    for at in (MIDNIGHT - 1, MIDNIGHT + DAY):
        assert await ledger.of_member(MEMBER, window(Period.DAY, at, UTC)) == Usage(0, 0)


async def test_it_is_written_with_its_lines_in_history_and_audit(
    store: TaskStore, ledger: LedgerStore, refunds: RefundStore, database: Database
) -> None:
    task = await brought(store, await placed(store, 1), TaskState.DELIVERED)
    seen: list[Booked] = []

    def decide(now: Task, booked: Booked) -> Refund:
        assert now == task
        seen.append(booked)
        return Refund(200_000, "refunded: it flickers", DEED)

    await refunds.refund(task, NOON + 5, decide)
    assert seen == [Booked(COST, None)]
    entry = (await ledger.of_task(task.id))[-1]
    assert (entry.kind, entry.refunded_micros, entry.at) == ("refund", 200_000, NOON + 5)
    event = (await store.events(task.id))[-1]
    assert (event.at, event.state, event.note) == (NOON + 5, TaskState.DELIVERED, "refunded: it flickers")
    assert [one.deed for one in await AuditStore(database).of_server(SERVER, limit=9)] == [DEED]
    assert await store.cost(task.id) == COST


async def test_a_refusal_leaves_everything_as_it_was(
    store: TaskStore, refunds: RefundStore, database: Database
) -> None:
    task = await brought(store, await placed(store, 1), TaskState.DELIVERED)
    before = await everything(database)

    def refuse(_task: Task, _booked: Booked) -> Refund:
        raise Refusal("no")

    with pytest.raises(Refusal):
        await refunds.refund(task, NOON, refuse)
    assert await everything(database) == before


async def test_of_two_at_once_one_is_written(
    store: TaskStore, ledger: LedgerStore, refunds: RefundStore, database: Database
) -> None:
    task = await brought(store, await placed(store, 1), TaskState.DELIVERED)
    outcomes = await asyncio.gather(give(refunds, task), give(refunds, task), return_exceptions=True)
    assert [type(one) for one in outcomes] == [Refund, sqlite3.IntegrityError]
    assert [entry.kind for entry in await ledger.of_task(task.id)] == ["hold", "settle", "refund"]
    assert len(await AuditStore(database).of_server(SERVER, limit=9)) == 1


@pytest.mark.parametrize("micros", [0, -1])
async def test_a_refund_of_nothing_cannot_be_written(
    store: TaskStore, refunds: RefundStore, database: Database, micros: int
) -> None:
    task = await brought(store, await placed(store, 1), TaskState.DELIVERED)
    before = await everything(database)
    with pytest.raises(sqlite3.IntegrityError, match="entry_of_its_kind"):
        await give(refunds, task, micros)
    assert await everything(database) == before


@pytest.mark.parametrize("change", ["UPDATE ledger SET refunded_micros = 1", "DELETE FROM ledger"])
async def test_a_refund_is_never_changed(
    store: TaskStore, refunds: RefundStore, database: Database, change: str
) -> None:
    await give(refunds, await brought(store, await placed(store, 1), TaskState.DELIVERED))
    with pytest.raises(sqlite3.IntegrityError, match="ledger entries are never changed"):
        await database.write(lambda tx: tx.run(f"{change} WHERE kind = 'refund'"))


# --------------------------------------------------------------------- the audit


@pytest.mark.parametrize("change", ["UPDATE audit SET reason = ''", "DELETE FROM audit"])
async def test_what_admins_did_is_never_rewritten(
    limits: LimitStore, database: Database, change: str
) -> None:
    await limits.put(PERSONAL[1], DEED, NOON)
    with pytest.raises(sqlite3.IntegrityError, match="what admins did is never rewritten"):
        await database.write(lambda tx: tx.run(change))
    assert len(await AuditStore(database).of_server(SERVER, limit=9)) == 1
