"""Disk full, locked and damaged files, power loss: the command says so and nothing is half done."""

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bot.domain.errors import StorageError
from storage.database import Database, Transaction, open_database
from storage.ledger import LedgerStore
from storage.tasks import TaskStore
from tests.storage.drafts import draft, everything, placed

LARGE = "a long prompt " * 5000


async def fill_up(database: Database) -> None:
    """Let the file grow no more."""
    (pages,) = await database.write(lambda tx: tx.all("PRAGMA page_count"))
    await database.write(lambda tx: tx.all(f"PRAGMA max_page_count = {pages[0]}"))


def damage(file: Path) -> None:
    with file.open("r+b") as pages:
        size = pages.seek(0, 2)
        pages.seek(size // 4)
        pages.write(b"\xa5" * (size // 2))


def after_a_cut_of_power(file: Path, log: Callable[[bytes], bytes]) -> Path:
    """A copy of the file with what `log` leaves of its write-ahead log."""
    rest = file.parent / "after" / file.name
    rest.parent.mkdir()
    shutil.copy(file, rest)
    rest.with_name(f"{file.name}-wal").write_bytes(log(file.with_name(f"{file.name}-wal").read_bytes()))
    return rest


async def make_room(database: Database) -> None:
    await database.write(lambda tx: tx.all("PRAGMA max_page_count = 1000000"))


async def test_full_disk_is_told_and_nothing_is_half_done(database: Database, store: TaskStore) -> None:
    await placed(store, 1)
    await fill_up(database)
    before = await everything(database)
    with pytest.raises(StorageError, match=r"disk is full; free some room.*Nothing was changed"):
        await store.place([draft(2), draft(2, ordinal=1, prompt=LARGE)], server_name="Harbour")
    assert await everything(database) == before
    await make_room(database)
    assert (await store.place([draft(2, prompt=LARGE)], server_name="Harbour")).tasks


async def test_on_a_full_disk_each_caller_is_told_the_truth(database: Database, store: TaskStore) -> None:
    await fill_up(database)
    inside, free = threading.Event(), threading.Event()

    def hold_up(_: Transaction) -> None:
        inside.set()
        free.wait(30)

    waiting = asyncio.create_task(database.write(hold_up))
    await asyncio.to_thread(inside.wait, 30)
    prompts = ["short", LARGE, "short", LARGE, "short"]
    drafts = [draft(number, prompt=prompt) for number, prompt in enumerate(prompts)]
    places = [asyncio.create_task(store.place([task], server_name="H")) for task in drafts]
    await asyncio.sleep(0)
    free.set()
    await waiting
    outcomes = await asyncio.gather(*places, return_exceptions=True)
    told = {
        task.id for task, outcome in zip(drafts, outcomes, strict=True) if not isinstance(outcome, Exception)
    }
    assert {row["id"] for row in await database.read("SELECT id FROM tasks")} == told
    assert {row["task_id"] for row in await database.read("SELECT task_id FROM ledger")} == told
    assert all(isinstance(outcomes[number], StorageError) for number in (1, 3))


async def test_a_file_turned_read_only_is_told_and_is_written_to_again_by_itself(
    database: Database, store: TaskStore
) -> None:
    await placed(store, 1)
    # No transaction can even begin then, so nothing but the connection itself can be asked.
    writer = database._writer._connection
    writer.execute("PRAGMA query_only = ON")
    before = await everything(database)
    drafts = [draft(number) for number in range(2, 6)]
    places = [store.place([task], server_name="Harbour") for task in drafts]
    for outcome in await asyncio.gather(*places, return_exceptions=True):
        assert isinstance(outcome, StorageError)
        assert "not writable for this user" in str(outcome)
        assert "start the bot if it does not run. Nothing was changed." in str(outcome)
    assert await everything(database) == before
    writer.execute("PRAGMA query_only = OFF")
    assert (await store.place(drafts[:1], server_name="Harbour")).tasks


async def test_another_programs_lock_is_told_within_discords_three_seconds(
    path: Path, database: Database, store: TaskStore
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        first = asyncio.create_task(store.place([draft(1)], server_name="Harbour"))
        for _ in range(2000):
            await asyncio.sleep(0)
        ticks = 0
        async with asyncio.timeout(3):
            second = asyncio.create_task(store.place([draft(2)], server_name="Harbour"))
            while not (first.done() and second.done()):
                await asyncio.sleep(0)
                ticks += 1
        other.execute("COMMIT")
    for failed in (first, second):
        with pytest.raises(StorageError, match="another program holds the database; close it"):
            await failed
    assert ticks > 1000
    assert await everything(database) == []
    assert (await store.place([draft(1)], server_name="Harbour")).tasks


async def test_a_lock_does_not_keep_anybody_from_reading(path: Path, store: TaskStore) -> None:
    await placed(store, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert await store.get("t1.0") is not None


async def test_a_page_damaged_while_running_is_told_with_what_to_do(path: Path) -> None:
    async with open_database(path) as database:
        for number in range(20):
            await placed(TaskStore(database), number, prompt=LARGE)
    async with open_database(path) as database:
        damage(path)
        with pytest.raises(StorageError, match="damaged; stop the bot and restore the newest backup"):
            await database.read("SELECT SUM(LENGTH(prompt)) FROM tasks")
        with pytest.raises(StorageError, match="restore"):
            await database.write(lambda tx: tx.run("UPDATE tasks SET polls = polls + 1"))


async def test_what_was_acknowledged_survives_a_cut_of_power(path: Path) -> None:
    """With `FULL` all of the write-ahead log is on the disk at an answer; behind it there may be anything."""
    async with open_database(path) as database:
        await asyncio.gather(*(placed(TaskStore(database), number) for number in range(40)))
        rest = after_a_cut_of_power(path, lambda log: log + log[32 : 32 + 3000])
    async with open_database(rest) as database:
        tasks = await TaskStore(database).to_show(limit=100)
        assert len(tasks) == 40
        assert len(await LedgerStore(database).of_task("t39.0")) == 1


async def test_a_log_cut_short_loses_whole_transactions_only(path: Path) -> None:
    async with open_database(path) as database:
        for number in range(10):
            await placed(TaskStore(database), number)
        rest = after_a_cut_of_power(path, lambda log: log[: len(log) * 2 // 3])
    async with open_database(rest) as database:
        tasks = {task.id for task in await TaskStore(database).to_show(limit=100)}
        held = {row["task_id"] for row in await database.read("SELECT task_id FROM ledger")}
        assert tasks == held
        assert 0 < len(tasks) < 10
