"""The writer: whole transactions, one after the other, many to a commit; the loop never waits for it."""

import asyncio
import os
import random
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from itertools import pairwise
from pathlib import Path

import pytest

from bot.domain.errors import StorageError
from storage.database import Database, Transaction, open_database
from storage.tasks import TaskStore
from tests.storage.drafts import draft

SLOW = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 400000)
SELECT COUNT(*) FROM numbers
"""


def adding(name: str) -> Callable[[Transaction], int]:
    return lambda tx: tx.run("INSERT INTO marks (name, value) VALUES (:name, 'x')", name=name)


async def names(database: Database) -> list[str]:
    return [row["name"] for row in await database.read("SELECT name FROM marks ORDER BY name")]


async def turns(count: int) -> None:
    """Let everything that is ready run, so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


@asynccontextmanager
async def held_up(database: Database) -> AsyncIterator[None]:
    """Keep the writer in a transaction of its own while the block runs, so that all writes in it wait."""
    inside, free = threading.Event(), threading.Event()

    def work(_: Transaction) -> None:
        inside.set()
        free.wait(30)

    holding = asyncio.create_task(database.write(work))
    try:
        await asyncio.to_thread(inside.wait, 30)
        yield
    finally:
        free.set()
        await holding


async def started(*writes: asyncio.Task[int]) -> None:
    await turns(2)
    assert not any(write.done() for write in writes)


async def test_waiting_transactions_share_one_commit(database: Database) -> None:
    before = database.commits
    async with held_up(database):
        writes = [asyncio.create_task(database.write(adding(f"{n:03}"))) for n in range(100)]
        await started(*writes)
    assert await asyncio.gather(*writes) == [1] * 100
    assert database.commits - before == 2


async def test_a_batch_has_an_end(database: Database) -> None:
    before = database.commits
    async with held_up(database):
        writes = [asyncio.create_task(database.write(adding(f"{n:03}"))) for n in range(101)]
        await started(*writes)
    await asyncio.gather(*writes)
    assert database.commits - before == 3


async def test_one_that_raises_undoes_only_its_own_statements(database: Database) -> None:
    def failing(tx: Transaction) -> int:
        adding("half")(tx)
        raise KeyError("nothing of this stays")

    async with held_up(database):
        writes = [asyncio.create_task(database.write(w)) for w in (adding("a"), failing, adding("b"))]
        await started(*writes)
    first, second, third = await asyncio.gather(*writes, return_exceptions=True)
    assert (first, third) == (1, 1)
    assert isinstance(second, KeyError)
    assert await names(database) == ["a", "b"]


async def test_a_refused_row_undoes_the_rows_before_it(database: Database) -> None:
    await database.write(adding("taken"))

    def twice(tx: Transaction) -> int:
        return adding("new")(tx) + adding("taken")(tx)

    with pytest.raises(sqlite3.IntegrityError):
        await database.write(twice)
    assert await names(database) == ["taken"]


async def test_stop_iteration_leaves_nobody_without_an_answer(database: Database) -> None:
    def stopping(_: Transaction) -> int:
        raise StopIteration

    async with held_up(database):
        writes = [asyncio.create_task(database.write(work)) for work in (stopping, adding("behind"))]
        await started(*writes)
    async with asyncio.timeout(10):
        first, second = await asyncio.gather(*writes, return_exceptions=True)
    assert isinstance(first, RuntimeError)
    assert second == 1


async def test_a_cancelled_callers_transaction_is_done_to_its_end(database: Database) -> None:
    async with held_up(database):
        write = asyncio.create_task(database.write(adding("mine")))
        await started(write)
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await write
    await database.write(adding("next"))
    assert await names(database) == ["mine", "next"]


async def test_with_a_third_cancelled_nothing_told_done_is_lost(database: Database) -> None:
    store, chance = TaskStore(database), random.Random(5)  # torn.py of the baselines
    done: set[str] = set()

    async def caller(number: int) -> None:
        outcome = await store.place([draft(number)], server_name="Harbour")
        done.add(outcome.tasks[0].id)

    async def cancelled_later(task: asyncio.Task[None]) -> None:
        await turns(chance.randrange(200))
        task.cancel()

    room = asyncio.Semaphore(30)

    async def one(number: int) -> None:
        async with room:
            task = asyncio.create_task(caller(number))
            if chance.random() < 0.33:
                await cancelled_later(task)
            await asyncio.wait([task])

    await asyncio.gather(*(one(number) for number in range(2000)))
    # Behind all that was cancelled and is done all the same.
    await database.write(lambda _: None)
    tasks = {row["id"] for row in await database.read("SELECT id FROM tasks")}
    held = [row["task_id"] for row in await database.read("SELECT task_id FROM ledger WHERE kind = 'hold'")]
    assert 1300 < len(done) < 2000
    assert done <= tasks
    assert sorted(held) == sorted(tasks)


async def test_the_true_outcome_for_a_cancelled_caller_is_found_by_id(database: Database) -> None:
    store = TaskStore(database)
    async with held_up(database):
        place = asyncio.create_task(store.place([draft(1)], server_name="Harbour"))
        await turns(2)
        place.cancel()
        assert await store.get("t1.0") is None
    assert (await store.place([draft(1)], server_name="Harbour")).again
    assert await store.get("t1.0") is not None


async def test_readers_do_not_wait_and_see_no_half_of_a_transaction(database: Database) -> None:
    half, free = threading.Event(), threading.Event()

    def work(tx: Transaction) -> int:
        adding("first half")(tx)
        half.set()
        free.wait(30)
        return adding("second half")(tx)

    write = asyncio.create_task(database.write(work))
    await asyncio.to_thread(half.wait, 30)
    assert await names(database) == []
    free.set()
    await write
    assert len(await names(database)) == 2


async def test_a_busy_reader_only_ever_sees_whole_transactions(database: Database) -> None:
    def pair(number: int) -> Callable[[Transaction], int]:
        return lambda tx: adding(f"{number} left")(tx) + adding(f"{number} right")(tx)

    writes = asyncio.gather(*(database.write(pair(number)) for number in range(300)))
    seen = [0]
    while not writes.done():
        seen.append(len(await names(database)))
    await writes
    assert all(count % 2 == 0 for count in seen)
    assert all(before <= after for before, after in pairwise(seen))


async def test_the_loop_runs_on_while_the_writer_works(database: Database) -> None:
    write = asyncio.create_task(database.write(lambda tx: tx.all(SLOW)))
    ticks = 0
    while not write.done():
        await asyncio.sleep(0)
        ticks += 1
    assert ticks > 100
    assert (await write)[0][0] == 400_000


async def test_the_loop_runs_on_while_a_slow_read_works(database: Database) -> None:
    read = asyncio.create_task(database.read(SLOW))
    ticks = 0
    while not read.done():
        await asyncio.sleep(0)
        ticks += 1
    assert ticks > 100


async def test_the_reader_cannot_write(database: Database) -> None:
    with pytest.raises(StorageError, match="readonly"):
        await database.read("DELETE FROM marks")


async def test_read_one_takes_the_first_row_or_none(database: Database) -> None:
    assert await database.read_one("SELECT name FROM marks") is None
    await database.write(adding("only"))
    row = await database.read_one("SELECT name FROM marks WHERE name = :name", name="only")
    assert row is not None
    assert row["name"] == "only"


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)]
)
async def test_promises_are_kept_by_the_writers_own_connection(
    database: Database, pragma: str, value: object
) -> None:
    (row,) = await database.write(lambda tx: tx.all(f"PRAGMA {pragma}"))
    assert row[0] == value


async def test_closing_finishes_what_was_queued(path: Path) -> None:
    async with open_database(path) as database:
        writes = [asyncio.create_task(database.write(adding(f"{n}"))) for n in range(250)]
        await started(*writes[-1:])
    with closing(sqlite3.connect(path)) as another:
        assert another.execute("SELECT COUNT(*) FROM marks").fetchone() == (250,)
    assert await asyncio.gather(*writes) == [1] * 250


async def test_closing_leaves_one_file(path: Path) -> None:
    async with open_database(path) as database:
        await database.write(adding("kept"))
    assert sorted(await asyncio.to_thread(os.listdir, path.parent)) == ["conch.db", "conch.db.lock"]


async def test_after_closing_reads_and_writes_fail_clearly(path: Path) -> None:
    async with open_database(path) as database:
        pass
    async with asyncio.timeout(10):
        with pytest.raises(StorageError, match="closed"):
            await database.write(adding("late"))
        with pytest.raises(StorageError, match="closed"):
            await database.read("SELECT 1")


async def test_an_error_in_the_body_still_closes(path: Path) -> None:
    async def body() -> None:
        async with open_database(path) as database:
            await database.write(adding("kept"))
            raise KeyError

    with pytest.raises(KeyError):
        await body()
    async with open_database(path) as database:
        assert await names(database) == ["kept"]
