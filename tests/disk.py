"""Real faults of the disk: of a database at numbered transactions, of a folder at numbered changes of its files."""

import errno
import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

from storage.database import Database, Transaction

Fault = Literal["full", "I/O error", "read-only"]
FAULTS: tuple[Fault, ...] = ("full", "I/O error", "read-only")


class Disk:
    """Numbers the transactions of a database from 1 on; `fails` are those that meet the fault."""

    def __init__(self, database: Database, fault: Fault = "full", *fails: int) -> None:
        self.written = 0
        self.met = 0
        self._database = database
        self._write = database.write
        self._fault = fault
        self._fails = set(fails)
        database.write = self._numbered  # type: ignore[method-assign]

    async def _numbered(self, work: Callable[[Transaction], Any]) -> Any:
        self.written += 1
        if self.written not in self._fails:
            return await self._write(work)
        self.met += 1
        if self._fault == "I/O error":
            with no_file_grows():
                return await self._write(work)
        if self._fault == "read-only":
            return await self._write(lambda tx: _refused(tx, work))
        try:
            return await self._write(lambda tx: _too_much(tx, work))
        finally:
            await self._write(lambda tx: tx.all(f"PRAGMA max_page_count = {1 << 30}"))


def _too_much(tx: Transaction, work: Callable[[Transaction], Any]) -> Any:
    """All of the work, and then a row for which there is no page left."""
    (pages,) = tx.all("PRAGMA page_count")
    result = work(tx)
    tx.all(f"PRAGMA max_page_count = {pages[0] + 1}")
    tx.run("INSERT INTO marks (name, value) VALUES ('too much', HEX(ZEROBLOB(1000000)))")
    return result


def _refused(tx: Transaction, work: Callable[[Transaction], Any]) -> Any:
    """Reads are answered; the first statement that would write meets SQLITE_READONLY."""
    tx.all("PRAGMA query_only = ON")
    try:
        return work(tx)
    finally:
        tx.all("PRAGMA query_only = OFF")


@contextmanager
def no_file_grows() -> Iterator[None]:
    """Every write of this process behind the first bytes of a file fails, as on a broken disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


#: What changes files, as Python's audit hooks name it, with the places of the paths among the arguments.
_CHANGES = {"open": (0,), "os.mkdir": (0,), "os.rmdir": (0,), "os.remove": (0,), "os.rename": (0, 1)}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class ReadOnly:
    """Numbers the changes of files below a folder from 1 on; those that `fails` names are refused.

    Child processes are not: what they have written is given its name by this one.
    """

    def __init__(self, folder: Path, fails: Callable[[int], bool] = lambda _: True) -> None:
        self.changes = 0
        self.met = 0
        self._folder = f"{folder.resolve()}{os.sep}"
        self._fails = fails

    def __enter__(self) -> Self:
        if not _hooked:
            sys.addaudithook(_audit)
            _hooked.append(True)
        _watching.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _watching.remove(self)

    def meet(self, paths: list[str]) -> None:
        if not any(path.startswith(self._folder) for path in paths):
            return
        self.changes += 1
        if self._fails(self.changes):
            self.met += 1
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), paths[0])


_watching: list[ReadOnly] = []
#: A hook cannot be taken away again; with nobody to tell it does nothing.
_hooked: list[bool] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _CHANGES or (event == "open" and not arguments[2] & _WRITING):
        return
    paths = [arguments[place] for place in _CHANGES[event]]
    texts = [os.fsdecode(path) for path in paths if isinstance(path, str | bytes | os.PathLike)]
    for one in _watching:
        one.meet(texts)
