"""One writer, one file: whole transactions one after the other, as many to a commit as are waiting."""

import asyncio
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

import aiosqlite
from filelock import FileLock

from bot.domain.errors import SetupError, StorageError
from bot.vault import PLAIN, Vault
from storage import lock, migrate, sealed

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Transactions in one commit. More add nothing: the flush is by then a small part of the time.
_BATCH = 100
#: How long a lock of another program is waited for. Who comes while a batch waits, waits for two of these:
#: together less than the three seconds that Discord gives.
_BUSY_MILLISECONDS = 1000
#: Tells SQLite that nobody writes to the file meanwhile: it needs no other file beside it then.
_IMMUTABLE = "immutable=1"


class Transaction:
    """What a transaction function may do: run one statement with named parameters at a time.

    The statements are ones that PostgreSQL understands too. `vault` seals what goes into a sealed column; what comes
    out is open already.
    """

    def __init__(self, connection: sqlite3.Connection, vault: Vault) -> None:
        self._connection = connection
        self.vault = vault

    def run(self, sql: str, **values: Any) -> int:
        """Run a statement; the number of rows it changed."""
        return self._connection.execute(sql, values).rowcount

    def one(self, sql: str, **values: Any) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, **values: Any) -> list[sqlite3.Row]:
        return self._connection.execute(sql, values).fetchall()


@dataclass(slots=True)
class _Work:
    function: Callable[[Transaction], Any]
    answer: "asyncio.Future[Any]"
    #: Its result is whether the log could be emptied after its commit.
    empties_log: bool = False
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Answer the caller, who may have been cancelled meanwhile; the work is done all the same."""
        if self.answer.done():
            return
        if isinstance(self.error, StopIteration):
            # No future takes it, and the callers behind this one wait for their answers too.
            self.answer.set_exception(RuntimeError("a transaction raised StopIteration"))
        elif self.error is not None:
            self.answer.set_exception(self.error)
        else:
            self.answer.set_result(self.result)


class _Writer(threading.Thread):
    """Owns the only read-write connection."""

    def __init__(self, path: Path, vault: Vault, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name="conch-writer", daemon=True)
        self._path = path
        self._vault = vault
        self._loop = loop
        self._waiting: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._connection = connect(path, check_same_thread=False)
        self._connection.row_factory = sealed.row_type(vault)
        self.commits = 0

    def begin(self) -> None:
        """Write something. Only before `start`.

        `sqlite3.Error` where the file is read-only or held by another program, `SetupError` where what is in it is
        sealed with a key that is not here.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            # The first statement that would write is refused, even one that finds nothing.
            self._connection.execute("DELETE FROM marks WHERE name IS NULL")
            sealed.agree(Transaction(self._connection, self._vault), self._path)
            self._connection.execute("COMMIT")
        except (sqlite3.Error, SetupError):
            self._connection.close()
            raise

    def put(self, work: _Work) -> None:
        self._waiting.put(work)

    def close(self) -> None:
        """Take nothing more; what is waiting is still done. `join` waits for that."""
        self._waiting.put(None)

    def run(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first]
            while len(batch) < _BATCH and not self._waiting.empty():
                work = self._waiting.get()
                if work is None:
                    self._waiting.put(None)
                    break
                batch.append(work)
            self._commit(batch)
            for work in batch:
                if work.empties_log and work.error is None:
                    self._empty_log(work)
            self._loop.call_soon_threadsafe(_settle, batch)
        self._connection.close()

    def _commit(self, batch: list[_Work]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for work in batch:
                self._run(work)
            self._connection.execute("COMMIT")
            self.commits += 1
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            for work in batch:
                work.error = _explained(error)

    def _empty_log(self, work: _Work) -> None:
        try:
            # A reader of an older state is not waited for: whoever writes would wait with us.
            self._connection.execute("PRAGMA busy_timeout = 0")
            busy, *_ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
            work.result = not busy
        except sqlite3.Error as error:
            work.error = _explained(error)

    def _run(self, work: _Work) -> None:
        """One function in its savepoint; its failure undoes its own statements and nobody else's."""
        self._connection.execute("SAVEPOINT one")
        try:
            work.result = work.function(Transaction(self._connection, self._vault))
        except Exception as error:
            # Whatever it was belongs to the caller.
            # A full disk or an I/O error ends the whole transaction by itself: then nothing of the batch stands.
            if not self._connection.in_transaction:
                raise sqlite3.OperationalError(str(error)) from error
            self._connection.execute("ROLLBACK TO one")
            work.error = _explained(error) if _is_failure(error) else error
        self._connection.execute("RELEASE one")


def _settle(batch: Sequence[_Work]) -> None:
    for work in batch:
        work.settle()


def _is_failure(error: Exception) -> TypeGuard[sqlite3.DatabaseError]:
    """Whether the database itself failed, rather than refused a row: disk, lock or a damaged page."""
    return isinstance(error, (sqlite3.OperationalError, sqlite3.InternalError)) or (
        type(error) is sqlite3.DatabaseError
    )


def _explained(error: sqlite3.Error) -> StorageError:
    text = str(error)
    if "locked" in text or "busy" in text:
        advice = "another program holds the database; close it, then try again"
    elif "full" in text:
        advice = "the disk is full; free some room, then try again"
    elif "readonly" in text:
        advice = (
            "its file or folder is not writable for this user, or a crash has left it half-way; make both this "
            "user's own, and start the bot if it does not run"
        )
    elif type(error) is sqlite3.DatabaseError:
        advice = "the file is damaged; stop the bot and restore the newest backup"
    else:
        advice = "look at the disk and at the log"
    failure = StorageError(f"The database could not do it ({text}): {advice}. Nothing was changed.")
    failure.__cause__ = error
    return failure


def connect(path: Path, *, check_same_thread: bool = True) -> sqlite3.Connection:
    """A read-write connection with every promise switched on."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=check_same_thread, timeout=_BUSY_MILLISECONDS / 1000
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    # What is erased leaves no bytes behind in the file, whatever this SQLite was built with.
    connection.execute("PRAGMA secure_delete = ON")
    # Without it INSERT OR REPLACE deletes a ledger row past its trigger.
    connection.execute("PRAGMA recursive_triggers = ON")
    return connection


class Reads:
    """Made by `open_reader`: every read sees what is committed at its moment, and waits for no writer."""

    def __init__(self, reader: aiosqlite.Connection) -> None:
        self._reader = reader
        self._open = True

    async def read(self, sql: str, **values: Any) -> list[sqlite3.Row]:
        """All rows, as committed at this moment."""
        self._must_be_open()
        with _failures_explained():
            return list(await self._reader.execute_fetchall(sql, values))

    async def read_one(self, sql: str, **values: Any) -> sqlite3.Row | None:
        rows = await self.read(sql, **values)
        return rows[0] if rows else None

    async def stream(self, sql: str, **values: Any) -> AsyncGenerator[sqlite3.Row]:
        """The same a few rows at a time, for more than memory should hold; all as committed at one moment."""
        self._must_be_open()
        with _failures_explained():
            # The cursor is not closed but dropped: who leaves early may do so after the connection is closed.
            async for row in await self._reader.execute(sql, values):
                yield row

    def close(self) -> None:
        """Refuse whatever comes later."""
        self._open = False

    def _must_be_open(self) -> None:
        if not self._open:
            raise StorageError("The database is closed, because the bot is stopping. Nothing was changed.")


class Database(Reads):
    """Made by `open_database`: `write` runs a whole transaction.

    `slow` is for reads that may take seconds, such as a report of years: the others need not wait for them.
    """

    def __init__(
        self, writer: _Writer, reader: aiosqlite.Connection, slow: aiosqlite.Connection, vault: Vault
    ) -> None:
        super().__init__(reader)
        self.vault = vault
        self.slow = Reads(slow)
        self._writer = writer

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` as one transaction on the writer's thread, to its end even if the caller is cancelled.

        `work` holds SQL only. What it raises undoes it and reaches the caller; a failing database raises
        `StorageError`, and nothing was changed.
        """
        self._must_be_open()
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        # In the caller's context, although on another thread: a refusal in it speaks the caller's language.
        context = copy_context()
        self._writer.put(_Work(lambda tx: context.run(work, tx), answer))
        return await answer

    async def empty_log(self) -> bool:
        """Take the file's former pages, which SQLite keeps in its log for a while, off the disk.

        False where somebody still reads an older state: then it can be done later.
        """
        self._must_be_open()
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._writer.put(_Work(lambda _: None, answer, empties_log=True))
        return await answer

    @property
    def commits(self) -> int:
        """Commits since the start; with many writers waiting far fewer than transactions."""
        return self._writer.commits

    def close(self) -> None:
        super().close()
        self.slow.close()
        self._writer.close()


@contextmanager
def _failures_explained() -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if _is_failure(error):
            raise _explained(error) from error
        raise


@asynccontextmanager
async def open_database(path: Path, vault: Vault = PLAIN) -> AsyncIterator[Database]:
    """Lock, check, migrate and open the file. `SetupError` says what is wrong and what to do."""
    async with AsyncExitStack() as stack:
        stack.callback(only_process(path).release)
        writer = await asyncio.to_thread(_prepare, path, vault, asyncio.get_running_loop())
        reader, slow = [await stack.enter_async_context(_reading(path, vault)) for _ in range(2)]
        writer.start()
        stack.push_async_callback(asyncio.to_thread, writer.join)
        database = Database(writer, reader, slow, vault)
        stack.callback(database.close)
        yield database


@asynccontextmanager
async def _reading(address: Path | str, vault: Vault, **more: Any) -> AsyncIterator[aiosqlite.Connection]:
    async with aiosqlite.connect(address, isolation_level=None, **more) as reader:
        reader.row_factory = sealed.row_type(vault)
        await reader.execute("PRAGMA query_only = ON")
        yield reader


@asynccontextmanager
async def open_reader(path: Path) -> AsyncIterator[Reads]:
    """Open a file for reads alone, also one that a running bot has open: no lock is taken and nothing is written.

    What is sealed stays so. `SetupError` says what is wrong with the file and what to do.
    """
    address, before = await asyncio.to_thread(_readable, path)
    async with _reading(address, PLAIN, uri=True, timeout=_BUSY_MILLISECONDS / 1000) as reader:
        reads = Reads(reader)
        try:
            yield reads
        finally:
            reads.close()
    if _IMMUTABLE in address and await asyncio.to_thread(_stamp, path) != before:
        raise _written_meanwhile(path)


def _written_meanwhile(path: Path) -> SetupError:
    return SetupError(
        f"DATABASE_URL: a bot began to write to {path} while it was read, so what was read may be wrong. "
        "Run this again."
    )


def copy(path: Path, to: Path) -> None:
    """Copy what is committed at one moment into a file that stands alone; a running bot goes on meanwhile.

    Raises `sqlite3.Error`, or `SetupError` where a bot was started just then.
    """
    address, before = _address(path), _stamp(path)
    with (
        closing(sqlite3.connect(address, uri=True, timeout=_BUSY_MILLISECONDS / 1000)) as source,
        closing(sqlite3.connect(to, isolation_level=None)) as target,
    ):
        # In one step: several would begin anew with every commit of the bot.
        source.backup(target)
        # In a log's stead it is one file, which anybody may read without leaving another beside it.
        target.execute("PRAGMA journal_mode = DELETE")
    if _IMMUTABLE in address and _stamp(path) != before:
        raise _written_meanwhile(path)


def only_process(path: Path) -> FileLock:
    """Hold the database against every other Conch until released; `AlreadyRunning` where one has it."""
    if path.is_dir():
        raise _a_folder(path)
    try:
        # Beside the file itself: a link to it is the same file.
        return lock.hold(
            Path(f"{path.resolve()}.lock"), serves=path, setting="DATA_DIR, or its own DATABASE_URL"
        )
    except OSError as error:
        raise SetupError(
            f"{path} cannot be opened ({error.strerror}). Make the folder writable for this user, or name another "
            "one in DATA_DIR (or DATABASE_URL)."
        ) from error


def _a_folder(path: Path) -> SetupError:
    return SetupError(f"DATABASE_URL: {path} is a folder. Name a file in it, such as {path / 'conch.db'}.")


def examine(path: Path, vault: Vault = PLAIN) -> bool:
    """Check a database without opening it for work or migrating it: whether a start would migrate it.

    `AlreadyRunning` or another `SetupError` as at a start.
    """
    with _told(path):
        must_open(path, vault)
    lock = only_process(path)
    try:
        with _told(path):
            return _pending(path)
    finally:
        lock.release()


def _readable(path: Path) -> tuple[str, tuple[int, int]]:
    """Check a file that is only to be read; its address for SQLite, and what changes when somebody writes to it."""
    if path.is_dir():
        raise _a_folder(path)
    if not os.access(path, os.R_OK):
        raise SetupError(
            f"DATABASE_URL: this user has no {path}: no bot has run with it yet, or another user's."
        )
    with _told(path):
        address, stamp = _address(path), _stamp(path)
        if _looked_at(path, address):
            raise SetupError(
                f"DATABASE_URL: {path} is empty or was written by an older Conch (this one knows schema "
                f"{migrate.known()[-1]}). Start the bot once, which brings it up to date; then run this again."
            )
        return address, stamp


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


def _address(path: Path) -> str:
    """How to open a file that somebody may be writing to, without writing to it."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    # Whoever has it open has such a file beside it, or a crash has left it. Where there is none, SQLite would make
    # one, which may then be this user's and not the bot's.
    used = any(Path(f"{path}{ending}").exists() for ending in ("-wal", "-journal"))
    return address if used else f"{address}&{_IMMUTABLE}"


def _prepare(path: Path, vault: Vault, loop: asyncio.AbstractEventLoop) -> _Writer:
    with _told(path):
        if _pending(path):
            must_open(path, vault)
            connect(path).close()
            migrate.upgrade(path)
        writer = _Writer(path, vault, loop)
        writer.begin()
        return writer


def _pending(path: Path) -> bool:
    """Whether there is something to migrate. Only reads, so a damaged or foreign file stays as it is."""
    if not path.exists():
        return True
    # A journal that a crash has left must be rolled back before anything can be read, and that writes.
    mode = "rw" if Path(f"{path}-journal").exists() else "ro"
    return _looked_at(path, f"{path.absolute().as_uri()}?mode={mode}")


def must_open(path: Path, vault: Vault, *, told_as: Path | None = None) -> None:
    """`SetupError` where what is in a database, if there is one, is sealed with a key that is not here."""
    if path.is_file():
        with closing(sqlite3.connect(_address(path), uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'marks'").fetchone():
                sealed.must_open(Transaction(connection, vault), told_as or path)


def _looked_at(path: Path, address: str) -> bool:
    timeout = _BUSY_MILLISECONDS / 1000
    with closing(sqlite3.connect(address, uri=True, isolation_level=None, timeout=timeout)) as connection:
        damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise sqlite3.DatabaseError(damage)
        return migrate.pending(connection, path)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say of a file that cannot be opened what is wrong with it and what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise SetupError(f"DATABASE_URL: {path}: {_explained(error)}") from error
    except sqlite3.DatabaseError as error:
        raise SetupError(
            f"DATABASE_URL: {path} is damaged ({' '.join(str(error).split())}). Nothing was written to it. "
            "Stop the bot and restore the newest backup with `conch restore`."
        ) from error
