"""A backup in the database's place: checked, swapped whole, and every open task moved to where nothing is ordered."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bot.domain.books import disagreements
from bot.domain.errors import AlreadyRunning, SetupError, StorageError
from bot.domain.task import FINAL, Task, TaskState
from storage import backup, restore
from storage.books import BookStore
from storage.database import Transaction, open_database, open_reader
from storage.marks import MarkStore
from storage.tasks import TaskStore
from tests.storage.drafts import NOON, brought, placed
from tests.storage.test_backup import scribble
from tests.storage.test_book_checks import ADD, damage

LATER = NOON + 3_600_000
OPEN = [state for state in TaskState if state not in FINAL]


def files(folder: Path) -> dict[str, bytes]:
    """What lies there, but for locks, which say nothing."""
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.suffix != ".lock"
    }


async def backed_up(path: Path) -> Path:
    return await backup.take(path, path.parent / "backups", NOON + 1, keep=1)


async def with_every_state(path: Path) -> Path:
    """A backup with a task in every state, named by it."""
    async with open_database(path) as database:
        store = TaskStore(database)
        for number, state in enumerate(TaskState, 1):
            await brought(store, await placed(store, number, id=state.value), state)
    return await backed_up(path)


async def tasks(path: Path) -> dict[str, Task]:
    async with open_database(path) as database:
        store = TaskStore(database)
        found = [await store.get(state.value) for state in TaskState]
        return {task.id: task for task in found if task}


async def refusal(file: Path, path: Path, kind: type[Exception] = SetupError) -> str:
    """What is said, after which everything is as it was."""
    before = files(path.parent)
    with pytest.raises(kind) as caught:
        await restore.restore(file, path, LATER)
    assert files(path.parent) == before
    return str(caught.value)


# -------------------------------------------------------------------- the tasks


async def test_nothing_is_left_to_be_ordered_and_all_of_the_rest_is_asked_for(path: Path) -> None:
    file = await with_every_state(path)
    before = await tasks(path)
    done = await restore.restore(file, path, LATER)
    assert (done.taken_at, done.parked, done.open) == (NOON + 1, 2, 4)
    after = await tasks(path)
    for name in ("held", "submitting"):
        task = after[name]
        assert (task.state, task.job_id, task.due_at) == (TaskState.PARKED, None, LATER)
        assert task.problem
        assert "restored from a backup of 2026-11-20 12:00 UTC" in task.problem
    for name in ("queued", "processing", "parked", "succeeded"):
        assert (after[name].state, after[name].job_id, after[name].due_at) == (
            before[name].state,
            before[name].job_id,
            LATER,
        )
    assert {after[state.value].posting_since for state in OPEN} == {NOON + 1}
    for state in FINAL:
        assert after[state.value] == before[state.value]
    async with open_reader(path) as reads:
        books = [one async for one in BookStore(reads).tasks()]
    assert [clause for one in books for clause in disagreements(one)] == []
    assert len(books) == len(TaskState)


async def test_what_is_parked_for_good_or_kept_for_its_member_is_not_woken(path: Path) -> None:
    async with open_database(path) as database:
        store = TaskStore(database)
        lost = await brought(store, await placed(store, 1, id="parked"), TaskState.SUBMITTING)
        await store.park(lost, NOON, due_at=None, note="lost")
        stranded = await brought(store, await placed(store, 2, id="succeeded"), TaskState.SUCCEEDED)
        await store.posting(stranded, NOON - 5)
        await store.postpone(stranded, NOON, due_at=None, problem="nobody there")
    await restore.restore(await backed_up(path), path, LATER)
    after = await tasks(path)
    assert [(task.due_at, task.posting_since) for task in after.values()] == [
        (None, NOON - 5),
        (None, NOON + 1),
    ]


async def test_a_task_that_waits_for_moderators_is_no_longer_to_be_approved(path: Path) -> None:
    async with open_database(path) as database:
        await placed(TaskStore(database), 1, id="held")

        def wait(tx: Transaction) -> None:
            tx.run("UPDATE tasks SET approval_until = :until, due_at = NULL", until=LATER * 2)
            tx.run(
                "INSERT INTO approvals (interaction_id, server_id, until) VALUES (1, 50, :until)",
                until=LATER * 2,
            )
            tx.run(
                "INSERT INTO drafts (id, kind, server_id, member_id, content, until) "
                "VALUES (7, 'menu', 50, 40, '{}', :until)",
                until=LATER * 2,
            )

        await database.write(wait)
        marks = MarkStore(database)
        for name in ("commands of 3", "/admin of 3", "hooks signed with"):
            await marks.set(name, "kept")
    await restore.restore(await backed_up(path), path, LATER)
    (task,) = (await tasks(path)).values()
    assert (task.state, task.approval_until, task.due_at) == (TaskState.PARKED, None, LATER)
    async with open_reader(path) as reads:
        assert await reads.read("SELECT * FROM approvals") == await reads.read("SELECT * FROM drafts") == []
        assert [row["name"] for row in await reads.read("SELECT name FROM marks")] == ["hooks signed with"]


async def test_of_a_copy_by_other_means_the_last_event_is_its_time(path: Path, tmp_path: Path) -> None:
    async with open_database(path) as database:
        await placed(TaskStore(database), 1, id="held", created_at=NOON - 7)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(tmp_path / "copy"),))
    assert (await restore.restore(tmp_path / "copy", path, LATER)).taken_at == NOON - 7
    assert (await tasks(path))["held"].posting_since == NOON - 7


# -------------------------------------------------------------------- the files


async def test_the_former_database_is_kept_whole_under_the_time_of_its_end(path: Path) -> None:
    file = await with_every_state(path)
    async with open_database(path) as database:
        await placed(TaskStore(database), 99, id="since")
    await asyncio.to_thread(path.chmod, 0o640)
    done = await restore.restore(file, path, LATER)
    assert done.kept == path.with_name("conch.db.until-20261120T130000.000Z")
    async with open_reader(done.kept) as reads:
        assert await reads.read_one("SELECT 1 FROM tasks WHERE id = 'since'")
    async with open_reader(path) as reads:
        assert not await reads.read_one("SELECT 1 FROM tasks WHERE id = 'since'")
    assert sorted(files(path.parent)) == sorted([path.name, done.kept.name])
    assert (await asyncio.to_thread(path.stat)).st_mode & 0o777 == 0o640
    assert file.exists()


async def test_the_log_of_a_killed_bot_goes_with_its_own_database(path: Path, tmp_path: Path) -> None:
    file = await with_every_state(path)
    killed = tmp_path / "killed" / "conch.db"
    killed.parent.mkdir()
    async with open_database(path) as database:
        await placed(TaskStore(database), 99, id="since")
        for name, content in files(path.parent).items():
            killed.with_name(name).write_bytes(content)
    assert killed.with_name("conch.db-wal").stat().st_size
    done = await restore.restore(file, killed, LATER)
    assert done.kept
    assert sorted(files(killed.parent)) == sorted([killed.name, done.kept.name])
    async with open_reader(done.kept) as reads:
        assert await reads.read_one("SELECT 1 FROM tasks WHERE id = 'since'")
    assert (await tasks(killed))["held"].state is TaskState.PARKED


async def test_a_damaged_database_is_replaced_and_kept_with_its_log(path: Path) -> None:
    file = await with_every_state(path)
    destroy(path)
    done = await restore.restore(file, path, LATER)
    assert done.kept
    assert done.kept.read_bytes().startswith(b"no database")
    assert done.kept.with_name(f"{done.kept.name}-wal").read_bytes() == b"its log"
    assert not path.with_name("conch.db-wal").exists()
    assert len(await tasks(path)) == len(TaskState)


def destroy(path: Path) -> None:
    path.write_bytes(b"no database at all" * 500)
    path.with_name("conch.db-wal").write_bytes(b"its log")


async def test_where_there_is_no_database_the_backup_becomes_it(path: Path, tmp_path: Path) -> None:
    file = await with_every_state(path)
    new = tmp_path / "new" / "conch.db"
    done = await restore.restore(file, new, LATER)
    assert done.kept is None
    assert len(await tasks(new)) == len(TaskState)


async def test_a_linked_database_stays_a_link(path: Path, tmp_path: Path) -> None:
    file = await with_every_state(path)
    link = tmp_path / "elsewhere" / "linked.db"
    link.parent.mkdir()
    link.symlink_to(path)
    await restore.restore(file, link, LATER)
    assert link.is_symlink()
    assert (await tasks(path))["held"].state is TaskState.PARKED


async def test_a_backup_of_an_older_version_is_brought_up_to_date(path: Path, tmp_path: Path) -> None:
    older = tmp_path / "older.db"
    await to_revision(older, "0001")
    done = await restore.restore(older, path, LATER)
    assert (done.parked, done.open) == (0, 0)
    assert await tasks(path) == {}


async def to_revision(file: Path, revision: str) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    from storage import migrate  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(migrate._FOLDER))
    config.attributes["path"] = file
    command.upgrade(config, revision)


# ---------------------------------------------------------------- what is refused


async def test_a_running_bot_is_left_alone(path: Path) -> None:
    file = await backed_up(path)
    async with open_database(path) as database:
        before = files(path.parent)
        with pytest.raises(AlreadyRunning):
            await restore.restore(file, path, LATER)
        assert files(path.parent) == before
        await placed(TaskStore(database), 1)


async def test_another_program_that_has_it_open_is_left_alone(path: Path) -> None:
    file = await backed_up(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("SELECT * FROM tasks").fetchall()
        with pytest.raises(SetupError, match="Another program has"):
            await restore.restore(file, path, LATER)
    assert not list(path.parent.glob("*until*")) + list(path.parent.glob("*restoring*"))
    await restore.restore(file, path, LATER)


def shortened(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: 4096 * 3])


def of_another_program(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE notes (text)")


def of_a_newer_version(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


def with_wrong_books(file: Path) -> None:
    damage(file, ADD.format(kind="release", held=-1, task="held"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (shortened, "is damaged, or no database"),
        (scribble, "is damaged, or no database"),
        (lambda file: file.write_text("a letter" * 1000), "is damaged, or no database"),
        (lambda file: file.write_bytes(b""), "is empty"),
        (lambda file: file.unlink(), "is no file that this user can read"),
        (of_another_program, "holds another program's tables"),
        (of_a_newer_version, "was written by a newer Conch (schema 9999"),
        (with_wrong_books, "do not agree: task held: "),
    ],
)
async def test_a_file_that_is_no_sound_backup_changes_nothing(path: Path, spoil: Any, said: str) -> None:
    file = await with_every_state(path)
    spoil(file)
    told = await refusal(file, path)
    assert str(file) in told
    assert said in told


async def test_the_database_is_no_backup_of_itself(path: Path) -> None:
    assert "is the database itself" in await refusal(path, path)


async def test_a_full_disk_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = await backed_up(path)
    connect = sqlite3.connect

    def small(name: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(name, **options)  # type: ignore[call-overload]
        if str(name).endswith(".restoring"):
            connection.execute("PRAGMA max_page_count = 4")
        return connection

    monkeypatch.setattr(sqlite3, "connect", small)
    assert "database or disk is full" in await refusal(file, path, StorageError)
