"""A file of version 0.1.0 (schema 0001), full of work under way, opened by this version."""

import asyncio
import shutil
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bot.domain.errors import SetupError
from bot.domain.limits import OPERATOR, Limit, Period, Scope, Usage, Window
from bot.domain.task import FINAL, RUNNING, TaskState
from storage import ledger, migrate
from storage.database import Database, open_database
from storage.ledger import LedgerStore
from storage.limits import LimitStore
from storage.marks import MarkStore
from storage.tasks import TaskStore
from tests.storage.drafts import COST, NOON, PRICE, draft, move

ROOT = Path(__file__).parents[2]
#: Every state as 0.1.0 left it: with or without a job, and how its hold ended.
STATES: dict[TaskState, tuple[bool, str]] = {
    TaskState.HELD: (False, ""),
    TaskState.SUBMITTING: (False, ""),
    TaskState.QUEUED: (True, ""),
    TaskState.PROCESSING: (True, ""),
    TaskState.PARKED: (False, ""),
    TaskState.SUCCEEDED: (True, "settle"),
    TaskState.DELIVERED: (True, "settle"),
    TaskState.FAILED: (True, "release"),
    TaskState.CANCELLED: (False, "release"),
}
TASK = """
INSERT INTO tasks (id, interaction_id, ordinal, server_id, channel_id, member_id, mode, model, duration, resolution,
  prompt, camera, enhance, first_frame_path, provider, price_micros, list_micros, tried, upload_limit, state,
  created_at, changed_at, due_at, polls, job_id, message_id)
VALUES (:id, :number, 0, :server, 60, 70, 'image', 'hailuo-2.3', 6, '768p', 'a paper boat 船', 'Push in', 1,
  'frames/1-first.jpg', 'mindvideo', 280000, 270000, 'gmi,novita', 10485760, :state, :at, :at, :due, 3, :job,
  :message)
"""
ENTRY = """
INSERT INTO ledger (task_id, kind, held_micros, spent_micros, server_id, member_id, provider, held_at, at)
VALUES (:task, :kind, :held, :spent, :server, 70, 'mindvideo', :at, :at)
"""
EVENT = "INSERT INTO task_events (task_id, at, state, note) VALUES (?, ?, ?, 'it happened')"
#: The tables whose rows an upgrade keeps. The operator's limits are set anew by every start.
KEPT = ("servers", "tasks", "submissions", "task_events", "ledger", "marks")
INDEXES = {
    "ledger_by_member",
    "ledger_by_server",
    "ledger_by_time",
    "settled_or_released",
    "task_events_of_task",
    "tasks_due",
    "tasks_in_state",
    "tasks_of_member",
    "tasks_of_server",
    "tasks_to_show",
}
#: Kills its own process when a migration comes to a table.
KILLED = """
import os, signal, sys
from pathlib import Path
from alembic import op
from storage import migrate

real = op.create_table
def create_table(name, *columns, **options):
    if name == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(name, *columns, **options)
op.create_table = create_table
migrate.upgrade(Path(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def of_0001(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that knows the first migration alone, with the rows of 0.1.0."""
    folder = tmp_path_factory.mktemp("old")
    migrations = ROOT / "storage" / "migrations"
    shutil.copytree(
        migrations, folder / "migrations", ignore=shutil.ignore_patterns("__pycache__", "000[2-9]*")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "_FOLDER", folder / "migrations")
        migrate.upgrade(folder / "conch.db")
    with closing(sqlite3.connect(folder / "conch.db")) as file:
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA foreign_keys = ON")
        _fill(file)
        file.commit()
    return folder / "conch.db"


def _fill(file: sqlite3.Connection) -> None:
    file.execute("INSERT INTO servers VALUES (50, 'Harbour', 1), (51, 'Dunes', 2)")
    file.execute("INSERT INTO limits VALUES (1, 0, 'member', '', 'day', 2000000)")
    file.execute("INSERT INTO marks VALUES ('commands', 'a hash')")
    for number, (state, (job, end)) in enumerate(STATES.items()):
        whose = {"server": 50 + number % 2, "at": NOON + number}
        task = {
            "id": state.value,
            "number": number,
            "state": state.value,
            "due": None if state in FINAL else NOON + number,
            "job": f"job of {state}" if job else None,
            "message": 9 if state is TaskState.DELIVERED else None,
        }
        file.execute(TASK, {**task, **whose})
        file.execute(EVENT, (state.value, NOON, state.value))
        entry = {"task": state.value, **whose}
        file.execute(ENTRY, {**entry, "kind": "hold", "held": PRICE, "spent": 0})
        if end:
            spent = COST if end == "settle" else 0
            file.execute(ENTRY, {**entry, "kind": end, "held": -PRICE, "spent": spent})
    file.execute("INSERT INTO submissions VALUES ('submitting', x'7b7d'), ('parked', x'00ff')")


@pytest.fixture
def path(of_0001: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(of_0001, tmp_path / "conch.db"))


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    async with open_database(path) as database:
        yield database


def rows_of(path: Path, like: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every kept row, in the columns that the other file knows too."""
    with closing(sqlite3.connect(path)) as file, closing(sqlite3.connect(like)) as other:
        names = {
            table: ", ".join(row[1] for row in other.execute(f"PRAGMA table_info({table})")) for table in KEPT
        }
        return {
            table: file.execute(f"SELECT {names[table]} FROM {table} ORDER BY 1").fetchall() for table in KEPT
        }


def schema(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as file:
        return file.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()


async def opened(path: Path) -> None:
    async with open_database(path):
        pass


# ------------------------------------------------------------------ what is there


async def test_every_row_is_there_as_it_was(of_0001: Path, path: Path) -> None:
    before = rows_of(of_0001, of_0001)
    assert [len(before[table]) for table in KEPT] == [2, 9, 2, 9, 13, 1]
    await opened(path)
    assert rows_of(path, of_0001) == before


async def test_the_schema_is_that_of_a_new_file(path: Path, tmp_path: Path) -> None:
    await opened(path)
    await opened(tmp_path / "new.db")
    assert schema(path) == schema(tmp_path / "new.db")
    assert {name for kind, name, _ in schema(path) if kind == "index"} >= INDEXES
    assert not [name for _, name, _ in schema(path) if name.endswith("_before")]


async def test_the_file_is_whole(database: Database) -> None:
    assert await database.read("PRAGMA foreign_key_check") == []
    assert [row[0] for row in await database.read("PRAGMA integrity_check")] == ["ok"]
    # A table that was renamed takes the references to it along.
    (target,) = await database.read("PRAGMA foreign_key_list(ledger)")
    assert (target["table"], target["from"], target["to"]) == ("tasks", "task_id", "id")


async def test_what_is_new_is_empty_and_changes_nothing(database: Database) -> None:
    servers = await database.read("SELECT zone, pause_reason, approval_micros, alarms FROM servers")
    assert [tuple(row) for row in servers] == [("UTC", None, None, 1)] * 2
    tasks = await database.read("SELECT DISTINCT approval_until, charged_micros FROM tasks")
    assert [tuple(row) for row in tasks] == [(None, None)]
    assert [row[0] for row in await database.read("SELECT DISTINCT refunded_micros FROM ledger")] == [0]


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    "change",
    ["UPDATE ledger SET at = at", "DELETE FROM ledger", "UPDATE audit SET at = at", "DELETE FROM audit"],
)
async def test_books_and_deeds_are_never_changed(database: Database, change: str) -> None:
    note = "INSERT INTO audit VALUES (1, 50, 0, 7, 'pause', '', '', '', '')"
    await database.write(lambda tx: tx.run(note))
    with pytest.raises(sqlite3.IntegrityError, match="never"):
        await database.write(lambda tx: tx.run(change))
    assert len(await database.read("SELECT id FROM ledger")) == 13
    assert len(await database.read("SELECT id FROM audit")) == 1


@pytest.mark.parametrize(("task", "kind"), [("held", "hold"), ("delivered", "settle"), ("failed", "settle")])
async def test_a_second_entry_is_refused_to_old_tasks_too(database: Database, task: str, kind: str) -> None:
    held = PRICE if kind == "hold" else -PRICE
    entry = {"task": task, "kind": kind, "held": held, "spent": 0, "server": 50, "at": NOON}
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        await database.write(lambda tx: tx.run(ENTRY, **entry))


# ------------------------------------------------------------------ what goes on


async def test_every_old_task_goes_on_from_its_state(database: Database) -> None:
    store = TaskStore(database)
    assert [task.id for task in await store.startable("mindvideo", NOON + 99, per_member=9, limit=9)] == [
        "held"
    ]
    assert await store.running("mindvideo") == len(RUNNING)
    for name in ("queued", "processing", "parked"):
        task = await store.get(name)
        assert task is not None
        assert (await move(store, task, TaskState.SUCCEEDED, NOON + 99)).state is TaskState.SUCCEEDED
        assert await store.cost(name) == COST


async def test_old_money_counts_and_may_be_given_back(database: Database) -> None:
    store, books = TaskStore(database), LedgerStore(database)
    await LimitStore(database).set_operators([Limit(Scope.MEMBER, Period.DAY, 5 * PRICE + 2 * COST)])
    day = Window(NOON, NOON + 99)
    assert await books.of_member(70, day) == Usage(2 * COST, 5 * PRICE)
    assert (await store.place([draft(99, price_micros=1)], server_name="Harbour")).hit is not None
    delivered = await store.get("delivered")
    assert delivered is not None
    await database.write(lambda tx: ledger.refund(tx, delivered, COST, NOON + 50))
    assert await books.of_member(70, day) == Usage(COST, 5 * PRICE)
    # The operator's limit counts what was paid.
    assert (await store.place([draft(99, price_micros=COST)], server_name="Harbour")).hit is not None


async def test_marks_are_read_and_the_operators_limits_are_set_anew(database: Database) -> None:
    assert await MarkStore(database).get("commands") == "a hash"
    limits = LimitStore(database)
    assert await limits.of_server(OPERATOR) == []
    await limits.set_operators([Limit(Scope.MEMBER, Period.TOTAL, 1)])
    assert len(await limits.of_server(OPERATOR)) == 1


# ------------------------------------------------------------------ what is interrupted


async def test_an_upgrade_that_cannot_end_leaves_the_old_file(of_0001: Path, path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE audit (somebody TEXT)")
    before = schema(path)
    with pytest.raises(SetupError, match=r"\(table audit already exists\)\. What was begun was undone"):
        await opened(path)
    assert schema(path) == before
    assert rows_of(path, of_0001) == rows_of(of_0001, of_0001)


@pytest.mark.parametrize("table", ["ledger", "limits", "audit"])
async def test_an_upgrade_killed_half_way_is_begun_anew(of_0001: Path, path: Path, table: str) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, path, table, cwd=ROOT)
    assert await process.wait() == -signal.SIGKILL
    assert schema(path) == schema(of_0001)
    await opened(path)
    assert rows_of(path, of_0001) == rows_of(of_0001, of_0001)
    assert schema(path) != schema(of_0001)
