"""Erasing in the database file: nothing of it is left on disk, and whoever still reads is not waited for."""

import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from bot.domain.task import UNCOLLECTED, TaskState
from storage.database import Database
from storage.erasures import ErasureStore, Why
from storage.tasks import TaskStore
from tests.storage.drafts import NOON, SECOND, placed

WORDS = "nobody may read this again"
LATER = NOON + SECOND
BY_MEMBER = Why("erased by its member", f"{UNCOLLECTED}, and was erased by its member")


def left(path: Path) -> list[str]:
    return [file.name for file in path.parent.iterdir() if WORDS.encode() in file.read_bytes()]


def sizes(path: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in path.parent.iterdir()}


@pytest.fixture
async def old_reader(database: Database, path: Path) -> AsyncIterator[sqlite3.Connection]:
    """Another program that reads an older state for as long as it is open."""
    await database.read("SELECT 1")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT COUNT(*) FROM tasks").fetchone()
        yield connection


async def test_a_file_much_used_keeps_no_byte_of_what_was_erased(database: Database, path: Path) -> None:
    """Rows that grow, shrink and go make SQLite move others from page to page."""
    store, chance = TaskStore(database), random.Random(7)
    for number in range(300):
        secret = number % 3 == 0
        prompt = f"{WORDS if secret else 'a paper boat'} {number} " * chance.randint(1, 60)
        task = await placed(store, number, prompt=prompt[:2000], member_id=70 if secret else 71)
        if chance.random() < 0.5:
            body = (prompt * chance.randint(1, 40)).encode()
            await store.begin_submit(task, body, NOON)
            task = (await store.of_interaction(number))[0]
        await store.end(task, TaskState.FAILED, NOON, note=f"refused: {prompt}")
    assert left(path)
    erasures = ErasureStore(database)
    await erasures.ask(70, LATER)
    while tasks := await erasures.asked_by(70, limit=30):
        await erasures.erase(tasks, LATER, why=BY_MEMBER)
    assert await erasures.leave_no_bytes()
    assert left(path) == []
    kept = await database.read("SELECT prompt FROM tasks WHERE member_id = 71")
    assert len(kept) == 200
    assert all(row["prompt"].startswith("a paper boat") for row in kept)


async def test_a_body_that_was_left_goes_too(database: Database, path: Path) -> None:
    store, erasures = TaskStore(database), ErasureStore(database)
    task = await placed(store, 1)
    await store.end(task, TaskState.FAILED, NOON, note="x")
    body = {"id": task.id, "body": WORDS.encode()}
    await database.write(lambda tx: tx.run("INSERT INTO submissions VALUES (:id, :body)", **body))
    await erasures.erase([task], LATER, why=BY_MEMBER)
    assert await erasures.leave_no_bytes()
    assert left(path) == []


async def test_whoever_still_reads_is_not_waited_for(
    database: Database, path: Path, old_reader: sqlite3.Connection
) -> None:
    await placed(TaskStore(database), 1)
    assert not await database.empty_log()
    await placed(TaskStore(database), 2)
    old_reader.execute("COMMIT")
    assert await database.empty_log()
    assert sizes(path)["conch.db-wal"] == 0


async def test_a_task_that_went_on_meanwhile_is_left_alone(database: Database) -> None:
    store, erasures = TaskStore(database), ErasureStore(database)
    task = await placed(store, 1)
    await erasures.erase([task], LATER, why=BY_MEMBER)
    await erasures.give_up([task], LATER, why=Why("not collected", f"{UNCOLLECTED}, and was not collected"))
    assert await store.get(task.id) == task
    assert [event.note for event in await store.events(task.id)] == ["price held, to be made by mindvideo"]


async def test_many_wishes_are_kept_in_small_transactions(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.erasures._MARKED", 2)
    store, erasures = TaskStore(database), ErasureStore(database)
    for number in range(5):
        await placed(store, number)
    await placed(store, 6, created_at=LATER + 1)
    before = database.commits
    await erasures.ask(70, LATER)
    assert database.commits - before == 3
    assert len(await erasures.open_of(70)) == 5
