"""A file opened for reads alone: beside a running bot or without one, nothing is ever written."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.domain.errors import SetupError, StorageError
from storage.database import open_database, open_reader
from storage.tasks import TaskStore
from tests.storage.drafts import placed


def files_beside(file: Path) -> dict[str, bytes]:
    return {found.name: found.read_bytes() for found in file.parent.iterdir() if found.is_file()}


async def count(file: Path) -> int:
    async with open_reader(file) as reads:
        (row,) = await reads.read("SELECT COUNT(*) FROM tasks")
        return int(row[0])


async def refusal(file: Path) -> str:
    before = files_beside(file)
    with pytest.raises(SetupError) as caught:
        await count(file)
    assert files_beside(file) == before
    return str(caught.value)


async def test_beside_a_running_bot_it_sees_what_is_committed(path: Path) -> None:
    async with open_database(path) as database, open_reader(path) as reads:
        for number in (1, 2):
            await placed(TaskStore(database), number)
            assert len(await reads.read("SELECT * FROM tasks")) == number


async def test_without_a_bot_nothing_is_left_beside_the_file(path: Path) -> None:
    async with open_database(path) as database:
        await placed(TaskStore(database), 1)
    before = files_beside(path)
    assert await count(path) == 1
    assert files_beside(path) == before


async def test_what_a_killed_bot_has_left_is_read_too(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "killed" / "conch.db"
    copy.parent.mkdir()
    async with open_database(path) as database:
        await placed(TaskStore(database), 1)
        for name, content in files_beside(path).items():
            copy.with_name(name).write_bytes(content)
    assert await count(copy) == 1


async def test_rows_come_one_after_the_other(path: Path) -> None:
    async with open_database(path) as database:
        await asyncio.gather(*(placed(TaskStore(database), number) for number in range(200)))
        found = [row["id"] async for row in database.stream("SELECT id FROM tasks ORDER BY interaction_id")]
    assert found == [f"t{number}.0" for number in range(200)]


async def test_who_leaves_early_may_do_so_after_the_file_is_closed(path: Path) -> None:
    async with open_database(path) as database:
        await asyncio.gather(*(placed(TaskStore(database), number) for number in range(200)))
    async with open_reader(path) as reads:
        rows = reads.stream("SELECT id FROM tasks")
        await anext(rows)
    await rows.aclose()


async def test_nothing_can_be_written_through_it(path: Path) -> None:
    async with open_database(path), open_reader(path) as reads:
        with pytest.raises(StorageError, match="readonly"):
            await reads.read("DELETE FROM tasks")


async def test_a_closed_one_says_so(path: Path) -> None:
    async with open_reader(path) as reads:
        pass
    with pytest.raises(StorageError, match="closed"):
        await reads.read("SELECT 1")


async def test_a_bot_that_began_to_write_meanwhile_is_told(path: Path) -> None:
    async def read() -> None:
        async with open_reader(path):
            async with open_database(path) as database:
                await placed(TaskStore(database), 1)
            os.utime(path, ns=(0, 0))  # the clock of a file system may be too coarse to tell

    with pytest.raises(SetupError, match=r"began to write .* Run this again"):
        await read()


async def test_a_missing_file_is_told_and_not_made(tmp_path: Path) -> None:
    assert "no bot has run with it yet" in await refusal(tmp_path / "conch.db")


async def test_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "conch.db").mkdir()
    assert "is a folder. Name a file in it" in await refusal(tmp_path / "conch.db")


@pytest.mark.parametrize(
    ("revision", "words"),
    [("0001", "by an older Conch .* Start the bot once"), ("9999", "by a newer Conch .* Start that version")],
)
async def test_another_schema_is_told(path: Path, revision: str, words: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    with pytest.raises(SetupError, match=words):
        await count(path)


async def test_a_damaged_file_is_told(path: Path) -> None:
    os.truncate(path, 40_960)
    sentence = await refusal(path)
    assert "is damaged" in sentence
    assert "restore the newest backup" in sentence


async def test_a_change_that_a_crash_has_left_half_way_is_told(path: Path, tmp_path: Path) -> None:
    """A backup is no WAL file: a crash while it is first opened may leave a journal behind."""
    copy = tmp_path / "crashed" / "conch.db"
    copy.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("PRAGMA cache_spill = 1")
        connection.execute("PRAGMA cache_size = 1")
        connection.executemany(
            "INSERT INTO marks VALUES (?, ?)", [(str(number), "x" * 500) for number in range(500)]
        )
        for name, content in files_beside(path).items():
            copy.with_name(name).write_bytes(content)
    assert copy.with_name("conch.db-journal").exists()
    assert "a crash has left it half-way" in await refusal(copy)
