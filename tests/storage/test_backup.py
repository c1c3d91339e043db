"""Backups of real files: made beside a writer, checked before they get their name, the oldest of them removed."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.domain.errors import SetupError, StorageError
from storage import backup
from storage.database import open_database, open_reader
from storage.marks import MarkStore
from storage.tasks import TaskStore
from tests.storage.drafts import NOON, placed
from tests.storage.test_book_checks import ADD, damage


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def count(file: Path) -> int:
    async with open_reader(file) as reads:
        return len(await reads.read("SELECT * FROM tasks"))


def scribble(file: Path) -> None:
    """Damage a page in its middle."""
    content = bytearray(file.read_bytes())
    content[4096 * 2 : 4096 * 3] = b"\x07" * 4096
    file.write_bytes(content)


async def failure(path: Path, folder: Path, kind: type[Exception]) -> str:
    with pytest.raises(kind) as caught:
        await backup.take(path, folder, NOON, keep=1)
    return str(caught.value)


async def test_beside_a_writer_it_is_whole_and_stands_alone(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    async with open_database(path) as database:
        for number in range(1, 4):
            await placed(TaskStore(database), number)
        made = await backup.take(path, folder, NOON, keep=7)
        await placed(TaskStore(database), 9)
    assert names(folder) == [made.name]
    assert made.stat().st_mode & 0o777 == 0o600
    assert await count(made) == 3
    assert names(folder) == [made.name]
    async with open_database(made) as copied:
        assert await MarkStore(copied).get(backup.TAKEN) == str(NOON)


async def test_the_newest_stay_and_nobody_elses_files_are_touched(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    others = ["conch-notes.db", "other-20200101T000000.000Z.db", "conch-20200101T000000.000Z.db.txt"]
    for name in others:
        folder.joinpath(name).touch()
    # What a killed backup has left.
    folder.joinpath("conch-20200101T000000.000Z.db.part").touch()
    made = [(await backup.take(path, folder, NOON + day * 86_400_000, keep=2)).name for day in range(4)]
    assert names(folder) == sorted([*others, *made[2:]])


async def test_a_full_disk_leaves_the_older_backup_and_nothing_else(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "backups"
    older = await backup.take(path, folder, NOON - 1, keep=1)
    connect = sqlite3.connect

    def small(name: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(name, **options)  # type: ignore[call-overload]
        if str(name).endswith(".part"):
            connection.execute("PRAGMA max_page_count = 4")
        return connection

    monkeypatch.setattr(sqlite3, "connect", small)
    said = await failure(path, folder, StorageError)
    assert said.startswith(f"No backup was made in {folder} (database or disk is full).")
    assert "no older backup was removed" in said
    assert names(folder) == [older.name]


async def test_a_folder_that_cannot_be_one_is_told(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "Not a directory" in await failure(path, tmp_path / "file" / "folder", StorageError)


async def test_without_a_database_nothing_is_made(tmp_path: Path) -> None:
    missing = tmp_path / "conch.db"
    assert f"this user has no {missing}" in await failure(missing, tmp_path / "backups", SetupError)
    missing.touch()
    assert "is empty: no bot has run with it yet" in await failure(missing, tmp_path / "backups", SetupError)
    assert names(tmp_path / "backups") == []


async def test_a_damaged_database_is_told_and_the_older_backup_stays(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    older = await backup.take(path, folder, NOON - 1, keep=1)
    scribble(path)
    said = await failure(path, folder, SetupError)
    assert f"{path} is damaged" in said
    assert names(folder) == [older.name]


async def test_books_that_do_not_agree_are_told(path: Path, tmp_path: Path) -> None:
    async with open_database(path) as database:
        task = await placed(TaskStore(database), 1)
    damage(path, ADD.format(kind="release", held=-1, task=task.id))
    said = await failure(path, tmp_path / "backups", SetupError)
    assert f"the books of {path} do not agree: task {task.id}: it is not over, and has 0 settle" in said
    assert names(tmp_path / "backups") == []


async def test_a_database_of_an_older_version_is_backed_up_as_it_is(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    made = await backup.take(path, tmp_path / "backups", NOON, keep=1)
    with closing(sqlite3.connect(made)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
