"""Real faults of the disk under a real database: a full file and writes that fail, at numbered transactions."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from storage.database import Database, Transaction

Fault = Literal["full", "I/O error"]
FAULTS: tuple[Fault, ...] = ("full", "I/O error")


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


@contextmanager
def no_file_grows() -> Iterator[None]:
    """Every write of this process behind the first bytes of a file fails, as on a broken disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
