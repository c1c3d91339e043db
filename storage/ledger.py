"""All SQL on money. Entries are only ever added; a balance is their sum."""

from bot.domain.limits import Usage, Window
from bot.domain.task import LedgerEntry, Task
from storage.database import Database, Transaction

_ADD = """
INSERT INTO ledger (task_id, kind, held_micros, spent_micros, refunded_micros, server_id, member_id, provider,
  held_at, at)
VALUES (:task, :kind, :held, :spent, :refunded, :server, :member, :provider, :held_at, :at)
"""

#: What a budget counts: money that went to providers, whoever bears it in the end.
PAID = """
SELECT COALESCE(SUM(spent_micros), 0) AS spent, COALESCE(SUM(held_micros), 0) AS held
FROM ledger WHERE held_at >= :since AND held_at < :until"""
#: What members bear: a refund gives the room back under the limits of its own server.
BORNE = """
SELECT COALESCE(SUM(spent_micros - refunded_micros), 0) AS spent, COALESCE(SUM(held_micros), 0) AS held
FROM ledger WHERE held_at >= :since AND held_at < :until"""
OF_MEMBER = " AND member_id = :member"
IN_SERVER = " AND server_id = :server"
_SERVERS = f"{PAID}{IN_SERVER}"


def hold(tx: Transaction, task: Task) -> None:
    _add(tx, task, "hold", held=task.price_micros, at=task.created_at)


def settle(tx: Transaction, task: Task, cost_micros: int, at: int) -> None:
    """Book the real cost in place of the hold. A second settle or release of a task cannot be written."""
    _add(tx, task, "settle", held=-task.price_micros, spent=cost_micros, at=at)


def release(tx: Transaction, task: Task, at: int) -> None:
    """Give the hold back. A second settle or release of a task cannot be written."""
    _add(tx, task, "release", held=-task.price_micros, at=at)


def refund(tx: Transaction, task: Task, micros: int, at: int) -> None:
    """Give a booked cost back to the member; budgets still count it, since the provider has it.

    A second refund of a task cannot be written.
    """
    _add(tx, task, "refund", refunded=micros, at=at)


def _add(
    tx: Transaction, task: Task, kind: str, *, at: int, held: int = 0, spent: int = 0, refunded: int = 0
) -> None:
    tx.run(
        _ADD,
        task=task.id,
        kind=kind,
        held=held,
        spent=spent,
        refunded=refunded,
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
            """
            SELECT kind, held_micros, spent_micros, refunded_micros, at FROM ledger
            WHERE task_id = :task ORDER BY id
            """,
            task=task_id,
        )
        return [LedgerEntry(**dict(row)) for row in rows]

    async def of_member(self, member_id: int, span: Window, *, server_id: int | None = None) -> Usage:
        """What a member spent and holds, in one server or over all, counted where the tasks were held."""
        row = await self._database.read_one(
            BORNE + OF_MEMBER + (IN_SERVER if server_id is not None else ""),
            member=member_id,
            server=server_id,
            since=span.since,
            until=span.until,
        )
        return Usage(**dict(row)) if row else Usage(0, 0)

    async def of_server(self, server_id: int, span: Window) -> Usage:
        """What a server's budget counts: money that went to providers, and what is held for them."""
        row = await self._database.read_one(_SERVERS, server=server_id, since=span.since, until=span.until)
        return Usage(**dict(row)) if row else Usage(0, 0)
