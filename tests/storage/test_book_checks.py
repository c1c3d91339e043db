"""Every kind of disagreement in the books is found and named, and sound books have none."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.domain.books import Charge, PriceGap, disagreements
from bot.domain.task import TaskState
from storage import ledger
from storage.books import BookStore
from storage.database import open_database
from storage.tasks import TaskStore
from tests.storage.drafts import COST, NOON, PRICE, brought, move, placed

#: What only somebody with the file in hand can do.
_UNGUARDED = """
DROP TRIGGER ledger_keeps_from_update; DROP TRIGGER ledger_keeps_from_delete; DROP INDEX settled_or_released;
PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF;
"""
#: An entry that the books would refuse, after the hold of a task.
ADD = """
INSERT INTO ledger (task_id, kind, held_micros, spent_micros, server_id, member_id, provider, held_at, at)
SELECT task_id, '{kind}', {held}, 0, server_id, member_id, provider, held_at, at FROM ledger
WHERE task_id = '{task}' AND kind = 'hold'
"""


@pytest.fixture
async def made(path: Path) -> Path:
    """A task in every state, named by it, a refund, and another server's task."""
    async with open_database(path) as database:
        store = TaskStore(database)
        for number, state in enumerate(TaskState, 1):
            await brought(store, await placed(store, number, id=state.value), state)
        await placed(store, 99, id="elsewhere", server_id=51)
        delivered = await store.get("delivered")
        assert delivered is not None
        await database.write(lambda tx: ledger.refund(tx, delivered, COST, NOON))
    return path


def damage(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.executescript(_UNGUARDED)
        for statement in statements:
            connection.execute(statement)


async def found(file: Path) -> dict[str, list[str]]:
    """The clauses on each task that has any."""
    async with open_database(file) as database:
        books = [one async for one in BookStore(database).tasks()]
    return {one.task_id: clauses for one in books if (clauses := list(disagreements(one)))}


async def test_sound_books_agree(made: Path) -> None:
    assert await found(made) == {}
    async with open_database(made) as database:
        books = {one.task_id: one async for one in BookStore(database).tasks()}
        assert [stray async for stray in BookStore(database).strays()] == []
    assert len(books) == len(TaskState) + 1
    assert sum(one.entries for one in books.values()) == 9 + 4 + 1 + 1


@pytest.mark.parametrize(
    ("statement", "task", "clauses"),
    [
        (
            "DELETE FROM ledger WHERE task_id = 'queued'",
            "queued",
            ["it has no holds, not one", "$0.00 is still held for it, not $0.28"],
        ),
        (
            "UPDATE ledger SET held_micros = 300000 WHERE task_id = 'queued'",
            "queued",
            [
                "$0.30 was held for it, and its price is $0.28",
                "$0.30 is still held for it, not $0.28",
            ],
        ),
        (
            "DELETE FROM ledger WHERE task_id = 'failed' AND kind = 'release'",
            "failed",
            [
                "it is over, and has 0 settle and 0 release entries, not one of them",
                "$0.28 is still held for it, not $0.00",
            ],
        ),
        (
            ADD.format(kind="settle", held=0, task="failed"),
            "failed",
            ["it is over, and has 1 settle and 1 release entries, not one of them"],
        ),
        (
            ADD.format(kind="release", held=-PRICE, task="parked"),
            "parked",
            [
                "it is not over, and has 0 settle and 1 release entries",
                "$0.00 is still held for it, not $0.28",
            ],
        ),
        (
            "UPDATE ledger SET kind = 'release', spent_micros = 0 WHERE task_id = 'succeeded' AND kind = 'settle'",
            "succeeded",
            ["its clip was made, and its hold was released instead of settled"],
        ),
        (
            "UPDATE ledger SET held_micros = -270000 WHERE task_id = 'failed' AND kind = 'release'",
            "failed",
            ["$0.01 is still held for it, not $0.00"],
        ),
        (
            "UPDATE ledger SET refunded_micros = 300001 WHERE kind = 'refund'",
            "delivered",
            ["$0.300001 was refunded of $0.30 spent"],
        ),
        (
            "UPDATE ledger SET task_id = 'failed' WHERE kind = 'refund'",
            "failed",
            ["$0.30 was refunded, and no cost was ever booked"],
        ),
        (
            "UPDATE ledger SET server_id = 51 WHERE task_id = 'held'",
            "held",
            ["it has 1 entry of another server, member or time than the task's"],
        ),
        (
            "UPDATE ledger SET member_id = 71 WHERE task_id = 'cancelled'",
            "cancelled",
            ["it has 2 entries of another server, member or time than the task's"],
        ),
        (
            "UPDATE ledger SET held_at = held_at + 1 WHERE task_id = 'held'",
            "held",
            ["it has 1 entry of another server, member or time than the task's"],
        ),
        (
            "UPDATE ledger SET spent_micros = 1 WHERE task_id = 'held'",
            "held",
            ["it has 1 entry with amounts that such an entry cannot have"],
        ),
        (
            "UPDATE tasks SET state = 'failed' WHERE id = 'parked'",
            "parked",
            [
                "it is over, and has 0 settle and 0 release entries, not one of them",
                "$0.28 is still held for it, not $0.00",
            ],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value in set(TaskState) else "",
)
async def test_each_disagreement_is_named(made: Path, statement: str, task: str, clauses: list[str]) -> None:
    damage(made, statement)
    assert await found(made) == {task: clauses}


async def test_a_second_hold_or_refund_is_named(made: Path) -> None:
    # The unique key is part of the table: the books are copied into one without it.
    damage(
        made,
        "ALTER TABLE ledger RENAME TO sound",
        "CREATE TABLE ledger AS SELECT * FROM sound",
        "INSERT INTO ledger SELECT * FROM sound WHERE kind = 'refund' OR task_id = 'held'",
    )
    assert await found(made) == {
        "held": ["it has 2 holds, not one", "$0.56 is still held for it, not $0.28"],
        "delivered": ["it was refunded 2 times", "$0.60 was refunded of $0.30 spent"],
    }


async def test_an_entry_without_its_task_is_named(made: Path) -> None:
    damage(made, "UPDATE ledger SET task_id = 'nobody' WHERE kind = 'refund'")
    async with open_database(made) as database:
        strays = [stray async for stray in BookStore(database).strays()]
    assert len(strays) == 1
    assert strays[0].endswith("is a refund of task nobody, which does not exist")


async def test_what_a_provider_says_it_charged_is_compared_with_books_and_catalog(path: Path) -> None:
    async with open_database(path) as database:
        store = TaskStore(database)
        for number, charged in enumerate((None, PRICE, COST, COST), 1):
            task = await brought(store, await placed(store, number), TaskState.PROCESSING)
            job, clip = f"job of {task.id}", ("https://cdn.example/clip", None)
            cost = PRICE if number == 3 else charged or PRICE
            await store.succeed(
                task, NOON, job_id=job, clip=clip, cost_micros=cost, note="done", charged_micros=charged
            )
        for number, charged in enumerate((None, 0, PRICE), 5):
            task = await brought(store, await placed(store, number), TaskState.PROCESSING)
            await store.end(task, TaskState.FAILED, NOON, note="broke", charged_micros=charged)
        await move(store, await placed(store, 8), TaskState.CANCELLED, NOON)
        books = BookStore(database)
        assert [charge async for charge in books.charges()] == [
            Charge("t3.0", TaskState.SUCCEEDED, "mindvideo", charged_micros=COST, booked_micros=PRICE),
            Charge("t7.0", TaskState.FAILED, "mindvideo", charged_micros=PRICE, booked_micros=0),
        ]
        assert [gap async for gap in books.price_gaps()] == [
            PriceGap("mindvideo", "hailuo-2.3/6/768p", list_micros=PRICE, charged_micros=COST, clips=2)
        ]
        assert [clause async for one in books.tasks() for clause in disagreements(one)] == []
