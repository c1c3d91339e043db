"""Opening the file: one process, the right schema, undamaged; else one sentence with what to do."""

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from bot.domain.errors import AlreadyRunning, SetupError, StorageError
from storage import migrate
from storage.database import examine, open_database
from storage.tasks import TaskStore
from tests.storage.drafts import placed

ROOT = Path(__file__).parents[2]
HOLDER = """
import asyncio, sys
from pathlib import Path
from storage.database import Database, open_database
from storage.marks import MarkStore

async def main():
    async with open_database(Path(sys.argv[1])) as database:
        await MarkStore(database).set("holder", "was here")
        heavy = [name for name in ("alembic", "sqlalchemy") if name in sys.modules]
        print(*heavy, "open", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""

NEWEST = migrate.known()[-1]
NEXT = f"{int(NEWEST) + 1:04}"
BROKEN = f"""
from alembic import op
revision, down_revision = "{NEXT}", "{NEWEST}"

def upgrade():
    op.execute("CREATE TABLE half (x INTEGER) STRICT")
    op.execute("UPDATE tasks SET prompt = 'changed'")
    op.execute("INSERT INTO nowhere VALUES (1)")
"""


@asynccontextmanager
async def another_process(file: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, file, stdin=-1, stdout=-1, stderr=-1, cwd=ROOT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def first_line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def opened(file: Path) -> None:
    async with open_database(file):
        pass


async def refusal(file: Path) -> str:
    with pytest.raises(SetupError) as caught:
        await opened(file)
    with pytest.raises(SetupError) as examined:
        examine(file)
    assert str(examined.value) == str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def files_beside(file: Path) -> dict[Path, bytes]:
    return {found: found.read_bytes() for found in file.parent.iterdir()}


def schema_of(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [row[0] for row in connection.execute("SELECT version_num FROM alembic_version")]


# ------------------------------------------------------------------ one process


async def test_a_second_opening_is_refused_until_the_first_is_closed(path: Path) -> None:
    async with open_database(path) as database:
        with pytest.raises(AlreadyRunning, match=r"Another Conch is running on .* stop the other one"):
            await opened(path)
        await placed(TaskStore(database), 1)
    await opened(path)


async def test_a_link_to_the_file_is_the_same_file(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    async with open_database(path):
        with pytest.raises(AlreadyRunning):
            await opened(link)


async def test_a_second_process_is_refused_and_the_first_goes_on(path: Path) -> None:
    async with open_database(path) as database:
        async with another_process(path) as process:
            _, complaint = await process.communicate()
            assert "Another Conch is running on" in complaint.decode()
        await placed(TaskStore(database), 1)


async def test_after_a_kill_the_file_opens_with_everything_in_it(path: Path) -> None:
    async with another_process(path) as process:
        assert await first_line(process) == "open"
        with pytest.raises(AlreadyRunning):
            await opened(path)
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    assert path.with_name("conch.db-wal") in set(files_beside(path))
    async with open_database(path) as database:
        assert await database.read_one("SELECT value FROM marks WHERE name = 'holder'") is not None


async def test_nothing_heavy_is_imported_when_nothing_is_to_migrate(path: Path, tmp_path: Path) -> None:
    async with another_process(path) as process:
        assert await first_line(process) == "open"
    async with another_process(tmp_path / "new.db") as process:
        assert await first_line(process) == "alembic sqlalchemy open"


# ------------------------------------------------------------------ which files


@pytest.mark.parametrize(
    "name", ["a b.db", "100%.db", "50%20.db", "what?.db", "part#1.db", "船/conch.db", "it's.db"]
)
async def test_a_path_may_have_any_characters(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    async with open_database(file) as database:
        await placed(TaskStore(database), 1)
    async with open_database(file) as database:
        assert await TaskStore(database).get("t1.0") is not None
    assert {found.name for found in file.parent.iterdir()} == {file.name, f"{file.name}.lock"}


@pytest.mark.parametrize("missing", [True, False])
async def test_a_missing_or_empty_file_is_migrated(tmp_path: Path, *, missing: bool) -> None:
    file = tmp_path / "data" / "conch.db"
    if not missing:
        file.parent.mkdir()
        file.touch()
    assert examine(file)
    await opened(file)
    assert schema_of(file) == migrate.known()[-1:]
    assert not examine(file)


async def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "Make the folder writable" in await refusal(tmp_path / "file" / "conch.db")


async def test_a_folder_in_the_files_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "conch.db").mkdir()
    assert "is a folder. Name a file in it" in await refusal(tmp_path / "conch.db")


async def test_a_file_somebody_else_has_locked_is_told(tmp_path: Path) -> None:
    file = tmp_path / "conch.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "another program holds the database; close it" in await refusal(file)
    await opened(file)


HOLDING = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@asynccontextmanager
async def held_by_another_process(file: Path) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDING, file, stdin=-1, stdout=-1)
    try:
        assert await first_line(process) == "held"
        yield
    finally:
        process.kill()
        await process.communicate()


async def test_a_file_that_another_process_writes_to_is_told_at_the_start(path: Path) -> None:
    async with held_by_another_process(path):
        with pytest.raises(SetupError, match=f"DATABASE_URL: {path}: .*another program holds the database"):
            await opened(path)
    await opened(path)


async def test_a_file_that_another_process_takes_while_running_is_told_and_then_goes_on(path: Path) -> None:
    async with open_database(path) as database:
        async with held_by_another_process(path):
            with pytest.raises(StorageError, match="another program holds the database; close it"):
                await placed(TaskStore(database), 1)
            assert await TaskStore(database).get("t1.0") is None
        await placed(TaskStore(database), 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("which", ["file", "folder"])
def test_what_this_user_may_not_write_to_is_told_at_the_start(path: Path, which: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="conch-read-only-"))
    file = folder / "conch.db"
    shutil.copy(path, file)
    asyncio.run(opened(file))
    file.with_name("conch.db.lock").chmod(0o666)
    file.chmod(0o444 if which == "file" else 0o666)
    folder.chmod(0o777 if which == "file" else 0o555)
    before = file.read_bytes()
    os.seteuid(65534)
    try:
        with pytest.raises(SetupError, match=f"DATABASE_URL: {file}: .*not writable for this user"):
            asyncio.run(opened(file))
    finally:
        os.seteuid(0)
    assert file.read_bytes() == before
    shutil.rmtree(folder)


async def test_another_programs_file_is_refused_and_not_written(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
    before = file.read_bytes()
    assert "another program's tables. Name a file of its own" in await refusal(file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("backup", [False, True])
async def test_a_newer_schema_is_refused_and_not_written(path: Path, tmp_path: Path, *, backup: bool) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("VACUUM INTO ?", (str(tmp_path / "backup.db"),))
    file = tmp_path / "backup.db" if backup else path
    before = file.read_bytes()
    sentence = await refusal(file)
    assert "written by a newer Conch (schema 9999" in sentence
    assert "Start that version, or restore a backup" in sentence
    assert file.read_bytes() == before


async def test_a_backup_is_as_good_as_the_file(path: Path, tmp_path: Path) -> None:
    async with open_database(path) as database:
        await placed(TaskStore(database), 1)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("VACUUM INTO ?", (str(tmp_path / "backup.db"),))
    async with open_database(tmp_path / "backup.db") as database:
        assert await TaskStore(database).get("t1.0") is not None
        (mode,) = await database.write(lambda tx: tx.all("PRAGMA journal_mode"))
        assert mode[0] == "wal"


# ------------------------------------------------------------------ damaged files


def without_header(file: Path) -> None:
    file.write_bytes(b"\xa5" * 100 + file.read_bytes()[100:])


def with_bad_pages(file: Path) -> None:
    whole = file.read_bytes()
    middle = len(whole) // 8192 * 4096
    file.write_bytes(whole[:middle] + b"\xa5" * 8192 + whole[middle + 8192 :])


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def without_its_first_pages_tree(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:100] + bytes(3996) + file.read_bytes()[4096:])


def a_text(file: Path) -> None:
    file.write_text("this is no database, but a letter to its finder\n" * 100)


@pytest.mark.parametrize(
    "damage", [without_header, with_bad_pages, cut_short, without_its_first_pages_tree, a_text]
)
async def test_a_damaged_file_is_refused_and_not_written(path: Path, damage: Callable[[Path], None]) -> None:
    async with open_database(path) as database:
        await asyncio.gather(*(placed(TaskStore(database), number) for number in range(300)))
    damage(path)
    before = files_beside(path)[path]
    sentence = await refusal(path)
    assert "is damaged" in sentence
    assert "restore the newest backup" in sentence
    assert files_beside(path)[path] == before


async def test_a_damaged_file_with_a_log_left_by_a_kill_is_not_written(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "killed" / "conch.db"
    copy.parent.mkdir()
    async with open_database(path) as database:
        await asyncio.gather(*(placed(TaskStore(database), number) for number in range(300)))
    async with open_database(path) as database:
        await placed(TaskStore(database), 300)
        for name in ("conch.db", "conch.db-wal"):
            shutil.copy(path.with_name(name), copy.with_name(name))
    with_bad_pages(copy)
    before, log = copy.read_bytes(), copy.with_name("conch.db-wal").read_bytes()
    assert "restore" in await refusal(copy)
    assert copy.read_bytes() == before
    assert copy.with_name("conch.db-wal").read_bytes() == log


async def test_a_journal_left_by_a_crash_is_rolled_back(path: Path, tmp_path: Path) -> None:
    """A backup is no WAL file: a crash while it is first opened may leave a journal behind."""
    copy = tmp_path / "crashed.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("PRAGMA cache_spill = 1")
        connection.execute("PRAGMA cache_size = 1")
        for number in range(200):
            connection.execute("INSERT INTO marks VALUES (?, ?)", (str(number), "x" * 500))
        shutil.copy(path, copy)
        shutil.copy(f"{path}-journal", f"{copy}-journal")
    async with open_database(copy) as database:
        assert await database.read("SELECT name FROM marks") == []


# ------------------------------------------------------------------ migrations


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migrations, to be added to."""
    folder = tmp_path / "migrations %"
    shutil.copytree(ROOT / "storage" / "migrations", folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(migrate, "_FOLDER", folder)
    return folder / "versions"


async def test_a_migration_that_fails_half_way_leaves_nothing(path: Path, migrations: Path) -> None:
    async with open_database(path) as database:
        await placed(TaskStore(database), 1)
    (migrations / f"{NEXT}_broken.py").write_text(BROKEN)
    with pytest.raises(SetupError, match=rf"could not be brought to schema {NEXT} \(no such table: nowhere"):
        await opened(path)
    assert schema_of(path) == [NEWEST]
    (migrations / f"{NEXT}_broken.py").unlink()
    async with open_database(path) as database:
        assert await database.read("SELECT 1 FROM sqlite_master WHERE name = 'half'") == []
        task = await TaskStore(database).get("t1.0")
    assert task is not None
    assert task.prompt == "a paper boat"


async def test_a_failing_first_migration_leaves_an_empty_file(tmp_path: Path, migrations: Path) -> None:
    first = migrations / "0001_tasks_and_ledger.py"
    good = first.read_text()
    first.write_text(good + '    op.execute("INSERT INTO nowhere VALUES (1)")\n')
    with pytest.raises(SetupError, match="What was begun was undone"):
        await opened(tmp_path / "conch.db")
    with closing(sqlite3.connect(tmp_path / "conch.db")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    first.write_text(good)
    await opened(tmp_path / "conch.db")


async def test_an_older_schema_is_brought_up_to_date_with_its_rows(path: Path, migrations: Path) -> None:
    async with open_database(path) as database:
        await placed(TaskStore(database), 1)
    good = BROKEN.replace("INSERT INTO nowhere", "INSERT INTO half")
    (migrations / f"{NEXT}_good.py").write_text(good)
    assert examine(path)
    async with open_database(path) as database:
        task = await TaskStore(database).get("t1.0")
        assert len(await database.read("SELECT x FROM half")) == 1
    assert task is not None
    assert task.prompt == "changed"
    assert schema_of(path) == [NEXT]


async def test_the_newest_of_many_migrations_is_the_last_number(migrations: Path) -> None:
    before = migrate.known()
    (migrations / "0110_later.py").touch()
    (migrations / "0100_sooner.py").touch()
    assert migrate.known() == [*before, "0100", "0110"]
