"""`conch restore`: a backup takes the database's place, and nothing in it is ever paid for again.

A restored database is older than the truth: whatever it says of an open clip, more may have happened since. So in the
one transaction that prepares the copy, before it takes the database's place, every open task is moved to where the
next start only asks and never orders:

| in the backup | may be by now | after the restore |
|---|---|---|
| held, also for moderators | made by any provider, refused, cancelled | parked with its hold, looked up [1] |
| submitting | the same | the same: what was sent is not sent again |
| queued, processing | delivered, failed | read at once: booked and delivered, or given back |
| parked with a job | delivered, failed | read at once: booked and delivered, or given back |
| parked without a job | ended by the operator | parked, without another look |
| succeeded | delivered | delivered |
| succeeded, for nobody there | handed over | still offered in `/tasks list`, which costs nothing |
| delivered, failed, cancelled | refunded, deleted, erased | as it was |

[1] By the next start, at a provider that knows jobs by our key (`Provider.find`). The job it names is read too.

What is delivered is looked for first, in the channel and in direct messages, from the moment of the backup on
(`posting_since`), so a clip that stands there is not posted again. Where neither provider nor channel tells, the task
stays parked with its hold until the operator has asked (`conch tasks attach`, `settle`, `release`).

Questions to moderators and drafts of orders are dropped: a click on one that was answered since would order again.
Which commands Discord has is forgotten, so that they are sent anew. What was asked for after the backup is not known
at all: neither its clip nor its cost.
"""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bot.domain.errors import SetupError, StorageError
from bot.domain.task import TaskState, restored
from bot.vault import PLAIN, Vault
from storage import events, marks, migrate
from storage.backup import TAKEN, check, discard, settle, stamp
from storage.database import Transaction, connect, copy, must_open, only_process
from storage.task_rows import FINAL_STATES, task_of

_BESIDE = ("-wal", "-shm", "-journal")
#: Marks of what is true elsewhere, which may have changed since: when the copy was made, and Discord's commands.
_OUTDATED = ("backed up at", "commands of %", "/% of %")


@dataclass(frozen=True, slots=True)
class Restored:
    """`kept` is where the former database lies now, None where there was none; `taken_at` as in the backup.

    `parked` clips may have been made since, `open` ones go on.
    """

    kept: Path | None
    taken_at: int
    parked: int
    open: int


async def restore(file: Path, database: Path, at: int, vault: Vault = PLAIN) -> Restored:
    """Put a backup in the database's place; the former one is kept beside it.

    `AlreadyRunning` where a bot has the database; another `SetupError` where the file is no sound backup or anything
    else has the database open, `StorageError` where it cannot be written. Then everything is as it was.
    """
    # A link stays one, and what it names is replaced.
    path = await asyncio.to_thread(database.resolve)
    part = path.with_name(f"{path.name}.restoring")
    lock = only_process(database)
    try:
        await asyncio.to_thread(_copy, file, path, part)
        if not await check(part, told_as=file, setting="restore"):
            await asyncio.to_thread(migrate.upgrade, part)
            await check(part, told_as=file, setting="restore")
        await asyncio.to_thread(must_open, part, vault, told_as=file)
        taken_at, parked, left = await asyncio.to_thread(_prepare, part, at)
        kept = await asyncio.to_thread(_swap, part, path, at)
    except (OSError, sqlite3.OperationalError) as error:
        raise StorageError(
            f"{file} could not be put in the place of {path} ({error}). The database is as it was."
        ) from error
    except sqlite3.DatabaseError as error:
        raise SetupError(
            f"{file} is damaged, or no database ({' '.join(str(error).split())}). The database is as it was; take "
            "another backup."
        ) from error
    finally:
        await asyncio.to_thread(discard, part)
        lock.release()
    return Restored(kept, taken_at, parked, left)


def _copy(file: Path, path: Path, part: Path) -> None:
    if not file.is_file() or not os.access(file, os.R_OK):
        raise SetupError(f"{file} is no file that this user can read. `conch backup` makes backups.")
    if path.exists() and file.samefile(path):
        raise SetupError(f"{file} is the database itself. Name a backup of it.")
    discard(part)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    copy(file, part)


def _prepare(part: Path, at: int) -> tuple[int, int, int]:
    """One transaction, and all of it in the one file; when the backup was made, and how many tasks it concerned."""
    with closing(connect(part)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        outcome = _reconcile(Transaction(connection, PLAIN), at)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = DELETE")
    return outcome


def _reconcile(tx: Transaction, at: int) -> tuple[int, int, int]:
    taken_at = _taken_at(tx)
    note = restored(f"{datetime.fromtimestamp(taken_at / 1000, UTC):%Y-%m-%d %H:%M} UTC")
    doubtful = tx.all("SELECT * FROM tasks WHERE state IN ('held', 'submitting') ORDER BY created_at, id")
    for task in map(task_of, doubtful):
        tx.run(
            """
            UPDATE tasks SET state = 'parked', changed_at = :at, due_at = :at, problem = :note, approval_until = NULL
            WHERE id = :id
            """,
            id=task.id,
            at=at,
            note=note,
        )
        events.add(tx, task, TaskState.PARKED, at, note)
    left = tx.run(
        f"""
        UPDATE tasks SET posting_since = COALESCE(posting_since, :taken),
          due_at = CASE WHEN due_at IS NULL THEN NULL ELSE :at END
        WHERE state NOT IN ({FINAL_STATES})
        """,  # noqa: S608 - only constants of ours are put in
        taken=taken_at,
        at=at,
    )
    tx.run("DELETE FROM approvals WHERE decision IS NULL")
    tx.run("DELETE FROM drafts")
    for name in _OUTDATED:
        tx.run("DELETE FROM marks WHERE name LIKE :name", name=name)
    return taken_at, len(doubtful), left - len(doubtful)


def _taken_at(tx: Transaction) -> int:
    """When the backup was made; of a copy made by other means the last that it knows of."""
    if (mark := marks.get(tx, TAKEN)) is not None:
        return int(mark)
    last = tx.one("SELECT COALESCE(MAX(at), 0) AS at FROM task_events")
    return int(last["at"]) if last else 0


def _swap(part: Path, path: Path, at: int) -> Path | None:
    """At every moment the database stands under its name, whole: the former one, then the restored one."""
    if not path.exists():
        settle(part, path)
        return None
    kept = path.with_name(f"{path.name}.until-{stamp(at)}")
    _detach(path, kept)
    shutil.copymode(path, part)
    if os.geteuid() == 0:
        os.chown(part, path.stat().st_uid, path.stat().st_gid)
    try:
        os.link(path, kept)
    except OSError:
        # A file system without links; all of it must be there before its name goes to the other.
        shutil.copy2(path, kept)
    settle(part, path)
    return kept


def _detach(path: Path, kept: Path) -> None:
    """Leave no log beside the former database, which would be taken for the restored one's.

    It goes into its file, which nobody else may have open for that; a damaged one's is kept beside it.
    """
    # Before the file is opened: of one that is no database any more SQLite removes the log by itself.
    for ending in (beside := [ending for ending in _BESIDE if Path(f"{path}{ending}").exists()]):
        shutil.copy2(f"{path}{ending}", f"{kept}{ending}")
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=1)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        _remove(kept, beside)
        if "locked" in str(error) or "busy" in str(error):
            raise SetupError(
                f"Another program has {path} open: close it, then try again. The database is as it was."
            ) from error
        raise
    except sqlite3.DatabaseError:
        _remove(path, beside)
    else:
        _remove(kept, beside)


def _remove(file: Path, endings: Sequence[str]) -> None:
    for ending in endings:
        Path(f"{file}{ending}").unlink(missing_ok=True)
