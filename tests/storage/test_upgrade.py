"""Files of earlier versions, full of work under way, opened by this one; version 0.1.0 (schema 0001) above all."""

import asyncio
import shutil
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from bot import reporting
from bot.domain.errors import SetupError
from bot.domain.limits import OPERATOR, Limit, Period, Scope, Usage, Window
from bot.domain.task import RUNNING, TaskState
from bot.settings import Settings
from storage import ledger
from storage.database import Database, open_database
from storage.ledger import LedgerStore
from storage.limits import LimitStore
from storage.marks import MarkStore
from storage.tasks import TaskStore
from tests.storage.drafts import COST, NOON, PRICE, draft, move
from tests.storage.old_files import EARLIER, ENTRY, columns, made, rows_of, schema_of

ROOT = Path(__file__).parents[2]
#: The tables of schema 0001 whose rows an upgrade keeps.
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
    return made(tmp_path_factory.mktemp("old"), "0001")


@pytest.fixture
def path(of_0001: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(of_0001, tmp_path / "conch.db"))


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    async with open_database(path) as database:
        yield database


async def opened(path: Path) -> None:
    async with open_database(path):
        pass


# ------------------------------------------------------------------ every schema


@pytest.fixture(scope="module", params=EARLIER)
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("old"), request.param)


async def test_an_old_file_has_something_in_every_column(old: Path) -> None:
    """A migration that adds more than `old_files` writes is told here."""
    with closing(sqlite3.connect(old)) as file:
        bare = [
            f"{table}.{name}"
            for table, names in columns(old).items()
            for name, default in names.items()
            if not file.execute(f"SELECT 1 FROM {table} WHERE {name} IS NOT {default}").fetchall()
        ]
    assert bare == []


async def test_every_old_file_is_brought_up_with_every_row(old: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(old, tmp_path / "conch.db"))
    before = rows_of(old, old)
    await opened(path)
    assert rows_of(path, old) == before
    await opened(tmp_path / "new.db")
    assert schema_of(path) == schema_of(tmp_path / "new.db")
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA foreign_key_check").fetchall() == []
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_the_books_of_every_old_file_agree(old: Path, tmp_path: Path) -> None:
    path, said = Path(shutil.copy(old, tmp_path / "conch.db")), list[str]()
    await opened(path)
    assert await reporting.check(Settings(database=path, data_dir=tmp_path), said.append), said


# ------------------------------------------------------------------ what is there


async def test_every_row_is_there_as_it_was(of_0001: Path, path: Path) -> None:
    before = rows_of(of_0001, of_0001)
    assert [len(before[table]) for table in KEPT] == [2, 9, 2, 9, 13, 1]
    await opened(path)
    assert rows_of(path, of_0001) == before


async def test_the_schema_is_that_of_a_new_file(path: Path, tmp_path: Path) -> None:
    await opened(path)
    await opened(tmp_path / "new.db")
    assert schema_of(path) == schema_of(tmp_path / "new.db")
    assert {name for kind, name, _ in schema_of(path) if kind == "index"} >= INDEXES
    assert not [name for _, name, _ in schema_of(path) if name.endswith("_before")]


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
    before = schema_of(path)
    with pytest.raises(SetupError, match=r"\(table audit already exists\)\. What was begun was undone"):
        await opened(path)
    assert schema_of(path) == before
    assert rows_of(path, of_0001) == rows_of(of_0001, of_0001)


@pytest.mark.parametrize("table", ["ledger", "limits", "audit"])
async def test_an_upgrade_killed_half_way_is_begun_anew(of_0001: Path, path: Path, table: str) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, path, table, cwd=ROOT)
    assert await process.wait() == -signal.SIGKILL
    assert schema_of(path) == schema_of(of_0001)
    await opened(path)
    assert rows_of(path, of_0001) == rows_of(of_0001, of_0001)
    assert schema_of(path) != schema_of(of_0001)
