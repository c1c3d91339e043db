"""Power lost at any moment: what had been answered is there, and nothing is half there.

SQLite's log is only ever appended to between two checkpoints, and is flushed before every answer (`FULL`). So a disk
that stops at any byte leaves the file and a beginning of the log, and behind it whatever lay there before.
"""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.domain.books import disagreements
from bot.domain.task import TaskState
from storage import ledger
from storage.books import BookStore
from storage.database import open_database
from storage.tasks import TaskStore
from tests.storage.drafts import COST, NOON, WAYS_TO, move, placed

HEADER, FRAME = 32, 24 + 4096
INVERTED = bytes(range(255, -1, -1))
TABLES = ("tasks", "ledger", "task_events", "submissions", "audit")
Content = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Recording:
    """The file before and its log after a sequence of transactions, and what stood there after each of them."""

    file: Path
    log: bytes
    #: After how many bytes of log it was answered, and what was to be read then.
    answered: list[tuple[int, Content]]

    def at(self, size: int) -> Content:
        return [content for end, content in self.answered if end <= size][-1]


def read(file: Path) -> Content:
    with closing(sqlite3.connect(file)) as connection:
        return [
            (table, *row)
            for table in TABLES
            for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2")
        ]


@pytest.fixture
async def recording(path: Path, tmp_path: Path) -> AsyncIterator[Recording]:
    """A clip's whole life to each of its ends, and a refund; every move is one commit."""
    before = tmp_path / "before.db"
    log = path.with_name("conch.db-wal")
    async with open_database(path) as database:
        shutil.copy(path, before)
        answered = [(0, read(path))]

        def note() -> None:
            answered.append((log.stat().st_size, read(path)))

        store = TaskStore(database)
        for number, end in enumerate((TaskState.DELIVERED, TaskState.FAILED, TaskState.PARKED)):
            task = await placed(store, number)
            note()
            for state in WAYS_TO[end]:
                task = await move(store, task, state, NOON)
                note()
        delivered = await store.get("t0.0")
        assert delivered is not None
        await database.write(lambda tx: ledger.refund(tx, delivered, COST, NOON))
        note()
        yield Recording(before, log.read_bytes(), answered)


def cuts(log: bytes) -> Iterator[int]:
    """Every boundary of a frame, and once within each, its head and its page by turns."""
    yield 10
    for number, boundary in enumerate(range(HEADER, len(log), FRAME)):
        yield from (boundary, boundary + (12, 2000)[number % 2])
    yield len(log)


def missing(log: bytes, cut: int) -> bytes:
    return log[:cut]


def zeros(log: bytes, cut: int) -> bytes:
    return log[:cut] + bytes(len(log) - cut)


def older_frames(log: bytes, cut: int) -> bytes:
    """What an earlier round left there: whole frames with another salt, of other pages."""
    stale = b"".join(
        log[at : at + 8] + b"another!" + log[at + 16 : at + FRAME].translate(INVERTED)
        for at in range(HEADER, len(log) - FRAME + 1, FRAME)
    )
    return log[:cut].ljust(HEADER, b"?") + stale[max(0, cut - HEADER) :]


@pytest.mark.parametrize("behind", [missing, zeros, older_frames])
async def test_whatever_of_the_log_reached_the_disk_is_a_beginning_of_what_was_done(
    recording: Recording, tmp_path: Path, behind: Callable[[bytes, int], bytes]
) -> None:
    copy = tmp_path / "after" / "conch.db"
    copy.parent.mkdir()
    seen = set()
    base = recording.file.read_bytes()
    for cut in cuts(recording.log):
        copy.write_bytes(base)
        copy.with_name("conch.db-shm").unlink(missing_ok=True)
        copy.with_name("conch.db-wal").write_bytes(behind(recording.log, cut))
        assert read(copy) == recording.at(cut), cut
        seen.add(len(recording.at(cut)))
    assert len(seen) == len({len(content) for _, content in recording.answered})


async def test_after_every_answer_the_bot_opens_the_file_and_the_books_agree(
    recording: Recording, tmp_path: Path
) -> None:
    for number, (size, content) in enumerate(recording.answered):
        copy = tmp_path / f"{number}.db"
        shutil.copy(recording.file, copy)
        copy.with_name(f"{copy.name}-wal").write_bytes(recording.log[:size])
        async with open_database(copy) as database:
            books = [one async for one in BookStore(database).tasks()]
            assert [clause for one in books for clause in disagreements(one)] == []
            assert (await database.read("PRAGMA integrity_check"))[0][0] == "ok"
        assert read(copy) == content


async def test_a_page_of_the_log_that_rotted_ends_it_there(recording: Recording, tmp_path: Path) -> None:
    """Its checksum tells: what comes behind is not believed, what came before stands."""
    for number, at in enumerate(range(HEADER, len(recording.log), 7 * FRAME)):
        copy = tmp_path / f"{number}.db"
        shutil.copy(recording.file, copy)
        log = bytearray(recording.log)
        log[at + 1000] ^= 0xFF
        copy.with_name(f"{copy.name}-wal").write_bytes(log)
        assert read(copy) == recording.at(at)


async def test_power_lost_while_the_log_is_moved_into_the_file_loses_nothing(
    recording: Recording, tmp_path: Path
) -> None:
    """The log stays whole until the file has everything; until then it wins over any mixture of pages."""
    after = tmp_path / "moved.db"
    shutil.copy(recording.file, after)
    after.with_name("moved.db-wal").write_bytes(recording.log)
    with closing(sqlite3.connect(after)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    old, new = recording.file.read_bytes(), after.read_bytes()
    for number, moved in enumerate(range(0, len(new) + 1, 4096)):
        first, last = new[:moved] + old[moved:], old[:moved] + new[moved:]
        for name, mixture in (("first", first), ("last", last)):
            copy = tmp_path / f"{name}{number}.db"
            copy.write_bytes(mixture)
            copy.with_name(f"{copy.name}-wal").write_bytes(recording.log)
            assert read(copy) == recording.answered[-1][1]
