"""All SQL on money. Entries are only ever added; a balance is their sum."""

from bot.domain.limits import Usage, Window
from bot.domain.task import LedgerEntry, Task
from storage.database import Database, Transaction

_ADD = """
INSERT INTO ledger (task_id, kind, held_micros, spent_micros, server_id, member_id, provider, held_at, at)
VALUES (:task, :kind, :held, :spent, :server, :member, :provider, :held_at, :at)
"""


def hold(tx: Transaction, task: Task) -> None:
    _add(tx, task, "hold", held=task.price_micros, spent=0, at=task.created_at)


def settle(tx: Transaction, task: Task, cost_micros: int, at: int) -> None:
    """Book the real cost in place of the hold. A second settle or release of a task cannot be written."""
    _add(tx, task, "settle", held=-task.price_micros, spent=cost_micros, at=at)


def release(tx: Transaction, task: Task, at: int) -> None:
    """Give the hold back. A second settle or release of a task cannot be written."""
    _add(tx, task, "release", held=-task.price_micros, spent=0, at=at)


def _add(tx: Transaction, task: Task, kind: str, *, held: int, spent: int, at: int) -> None:
    tx.run(
        _ADD,
        task=task.id,
        kind=kind,
        held=held,
        spent=spent,
        server=task.server_id,
        member=task.member_id,
        provider=task.provider,
        held_at=task.created_at,
        at=at,
    )


class LedgerStore:
    """Reads of the ledger; it is written inside the transactions of `TaskStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_task(self, task_id: str) -> list[LedgerEntry]:
        rows = await self._database.read(
            "SELECT kind, held_micros, spent_micros, at FROM ledger WHERE task_id = :task ORDER BY id",
            task=task_id,
        )
        return [LedgerEntry(**dict(row)) for row in rows]

    async def of_member(self, member_id: int, span: Window) -> Usage:
        """What a member spent and holds over all servers, counted where the tasks were held."""
        row = await self._database.read_one(
            """
            SELECT COALESCE(SUM(spent_micros), 0) AS spent, COALESCE(SUM(held_micros), 0) AS held
            FROM ledger WHERE member_id = :member AND held_at >= :since AND held_at < :until
            """,
            member=member_id,
            since=span.since,
            until=span.until,
        )
        return Usage(**dict(row)) if row else Usage(0, 0)
