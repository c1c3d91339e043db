"""Columns that are sealed with `DATA_KEY`: which they are, with which keys, and how they come to a new one."""

import logging
import sqlite3
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Unreadable
from bot.vault import LOST, Vault
from storage import marks

if TYPE_CHECKING:
    from storage.database import Database, Transaction

log = logging.getLogger(__name__)

_SEALED = {"prompt", "body", "content"}
#: How each is read and written row by row, and how many go into one transaction.
_PASSES = (
    (
        "SELECT id, prompt FROM tasks WHERE :after IS NULL OR id > :after ORDER BY id LIMIT :most",
        "UPDATE tasks SET prompt = :value WHERE id = :id",
        500,
    ),
    (
        "SELECT task_id, body FROM submissions WHERE :after IS NULL OR task_id > :after ORDER BY task_id LIMIT :most",
        "UPDATE submissions SET body = :value WHERE task_id = :id",
        10,  # with pictures some megabytes each
    ),
    (
        "SELECT id, content FROM drafts WHERE :after IS NULL OR id > :after ORDER BY id LIMIT :most",
        "UPDATE drafts SET content = :value WHERE id = :id",
        500,
    ),
)
#: Under this name: a sample of each key that something may be sealed with, the newest first.
_KEYS = "sealed with"


def row_type(vault: Vault) -> type[sqlite3.Row]:
    """Rows whose sealed columns are opened when they are asked for by name.

    What no key opens is `LOST` where it is a text, and None where it is bytes: one such row must not hold up others.
    """
    if not vault.keyed:
        return sqlite3.Row

    class Opened(sqlite3.Row):
        def __getitem__(self, key: Any) -> Any:
            value = super().__getitem__(key)
            if key not in _SEALED:
                return value
            try:
                return vault.open_text(value) if isinstance(value, str) else vault.open(value)
            except Unreadable as error:
                log.error("a %s cannot be read: %s", key, error)  # noqa: TRY400 - not a bug
                return LOST if isinstance(value, str) else None

    return Opened


def must_open(tx: "Transaction", path: Path) -> list[str]:
    """Samples of the keys that are needed here, newest first; `SetupError` where the vault lacks one."""
    samples = _samples(tx)
    tx.vault.must_open_all(samples, path)
    return samples


def agree(tx: "Transaction", path: Path) -> None:
    """Note that the vault's first key is used from now on; `SetupError` as `must_open`."""
    samples = must_open(tx, path)
    if (noted := tx.vault.with_newest(samples)) != samples:
        _note(tx, noted)


class SealedStore:
    """Brings what was sealed with an older key, or not at all, to the vault's first key."""

    def __init__(self, database: "Database") -> None:
        self._database = database

    async def pending(self) -> bool:
        return await self._database.write(lambda tx: len(_samples(tx)) > 1)

    async def reseal(self) -> int:
        """How many rows; those written meanwhile are sealed with the first key anyway."""
        count = 0
        for select, update, most in _PASSES:
            after: str | int | None = None
            while ids := await self._database.write(
                partial(_reseal, select=select, update=update, after=after, most=most)
            ):
                count += len(ids)
                after = ids[-1]
        # Until then it holds the pages as they were.
        await self._database.empty_log()
        return count

    async def done(self) -> None:
        """From now on only the first key is needed."""
        await self._database.write(lambda tx: _note(tx, _samples(tx)[:1]))


def _reseal(
    tx: "Transaction", *, select: str, update: str, after: str | int | None, most: int
) -> list[str | int]:
    """The keys of the next rows, whose values are now sealed with the first key, but for those that none opens."""
    rows = tx.all(select, after=after, most=most)
    for row in rows:
        plain = row[row.keys()[1]]
        if plain and plain != LOST:
            value = tx.vault.seal_text(plain) if isinstance(plain, str) else tx.vault.seal(plain)
            tx.run(update, id=row[0], value=value)
    return [row[0] for row in rows]


def _samples(tx: "Transaction") -> list[str]:
    return (marks.get(tx, _KEYS) or "").splitlines()


def _note(tx: "Transaction", samples: list[str]) -> None:
    marks.put(tx, _KEYS, "\n".join(samples))
