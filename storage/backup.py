"""`conch backup`: a copy of the database, made beside a running bot, checked, and named only when it is whole."""

import asyncio
import contextlib
import os
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from bot.domain.books import disagreements
from bot.domain.errors import SetupError, StorageError
from bot.vault import PLAIN
from storage import marks, migrate
from storage.books import BookStore
from storage.database import Transaction, copy, open_reader

#: When the copy was begun, milliseconds since 1970: nothing that is missing in it happened before.
TAKEN = "backed up at"
_PART = ".part"


async def take(database: Path, folder: Path, at: int, *, keep: int) -> Path:
    """Back the database up into a folder and remove all but the newest `keep` of its backups there.

    `SetupError` where there is no sound database, `StorageError` where the copy cannot be written: then nothing is
    left half-written, and no older backup is removed.
    """
    target = folder / f"{database.stem}-{stamp(at)}.db"
    part = target.with_name(target.name + _PART)
    try:
        await asyncio.to_thread(_write, database, part, at)
        await check(part, told_as=database, setting="DATABASE_URL")
        await asyncio.to_thread(settle, part, target)
    except (OSError, sqlite3.OperationalError) as error:
        raise StorageError(
            f"No backup was made in {folder} ({_why(error)}). Free some room there, make it writable, or name "
            "another folder with --to. Nothing is left half-written, and no older backup was removed."
        ) from error
    except sqlite3.DatabaseError as error:
        raise SetupError(
            f"DATABASE_URL: {database} is damaged ({_why(error)}), so no backup was made and no older one removed. "
            "Stop the bot and restore the newest of them with `conch restore`."
        ) from error
    finally:
        await asyncio.to_thread(discard, part)
    await asyncio.to_thread(_rotate, target, database.stem, keep)
    return target


def stamp(at: int) -> str:
    """A moment as part of a file's name; later ones sort behind."""
    return f"{datetime.fromtimestamp(at // 1000, UTC):%Y%m%dT%H%M%S}.{at % 1000:03}Z"


def _write(database: Path, part: Path, at: int) -> None:
    if not database.is_file() or not os.access(database, os.R_OK):
        raise SetupError(
            f"DATABASE_URL: this user has no {database}: no bot has run with it yet, or another user's."
        )
    part.parent.mkdir(parents=True, exist_ok=True)
    # It holds what the database holds: nobody else's to read.
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    copy(database, part)
    with closing(sqlite3.connect(part, isolation_level=None)) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'marks'").fetchone():
            marks.put(Transaction(connection, PLAIN), TAKEN, str(at))


async def check(file: Path, *, told_as: Path, setting: str) -> bool:
    """Look a copy through: undamaged, of this program and not newer, its books in order.

    False where it is of an older version: its books are not looked through, because they are kept otherwise.
    `SetupError` names it as `told_as` and says what is wrong; `sqlite3.DatabaseError` where it is damaged.
    """
    if await asyncio.to_thread(_older, file, told_as, setting):
        return False
    wrong = []
    async with open_reader(file) as reads:
        books = BookStore(reads)
        async for one in books.tasks():
            wrong += [f"task {one.task_id}: {clause}" for clause in disagreements(one)]
        wrong += [stray async for stray in books.strays()]
    if wrong:
        raise SetupError(
            f"{setting}: the books of {told_as} do not agree: {wrong[0]} ({len(wrong)} in all). "
            "`conch report --check` lists what disagrees in the bot's database. Nothing was changed."
        )
    return True


def _older(file: Path, told_as: Path, setting: str) -> bool:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        damage = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if damage != "ok":
            raise sqlite3.DatabaseError(damage)
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise SetupError(f"{setting}: {told_as} is empty: no bot has run with it yet.")
        return migrate.pending(connection, told_as, setting=setting)


def settle(part: Path, target: Path) -> None:
    """Give a finished file its name, and leave it only when both would outlive a power cut."""
    _flush(part)
    part.replace(target)
    _flush(target.parent)


def _flush(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def discard(part: Path) -> None:
    """Remove an unfinished file, where there is one, and whatever SQLite has put beside it."""
    for ending in ("", "-wal", "-shm", "-journal"):
        with contextlib.suppress(OSError):
            Path(f"{part}{ending}").unlink()


def _rotate(newest: Path, stem: str, keep: int) -> None:
    """Remove the oldest backups of this database, and what a killed backup has left; nobody else's files."""
    ours = re.compile(rf"{re.escape(stem)}-\d{{8}}T\d{{6}}\.\d{{3}}Z\.db")
    found = sorted(path for path in newest.parent.iterdir() if ours.fullmatch(path.name.removesuffix(_PART)))
    for path in [path for path in found if path.suffix == _PART and path < newest]:
        discard(path)
    for path in [path for path in found if path.suffix != _PART][:-keep]:
        path.unlink(missing_ok=True)


def _why(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) else None
    return " ".join((said or str(error)).split())
