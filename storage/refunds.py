"""A booked cost given back to the member: a correcting entry, never a changed one."""

from collections.abc import Callable
from dataclasses import dataclass

from bot.domain.audit import Deed
from bot.domain.search import Booked
from bot.domain.task import Task
from storage import audit, events, ledger
from storage.database import Database, Transaction
from storage.task_rows import task_of


@dataclass(frozen=True, slots=True)
class Refund:
    """How many micros go back, and what the task's history and the server's audit say of it."""

    micros: int
    note: str
    deed: Deed


class RefundStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def refund(self, task: Task, at: int, decide: Callable[[Task, Booked], Refund]) -> Refund:
        """Enter it with its line in the history and in the audit, all in one transaction.

        `decide` gets the task as it is now and what is booked of it; a `Refusal` it raises changes nothing.
        """

        def work(tx: Transaction) -> Refund:
            row = tx.one("SELECT * FROM tasks WHERE id = :id", id=task.id)
            now = task_of(row) if row else task
            given = decide(now, _booked(tx, task))
            ledger.refund(tx, now, given.micros, at)
            events.add(tx, now, now.state, at, given.note)
            audit.note(tx, given.deed, at)
            return given

        return await self._database.write(work)


def _booked(tx: Transaction, task: Task) -> Booked:
    rows = tx.all(
        """
        SELECT kind, spent_micros + refunded_micros AS micros FROM ledger
        WHERE task_id = :task AND kind IN ('settle', 'refund')
        """,
        task=task.id,
    )
    micros = {row["kind"]: row["micros"] for row in rows}
    return Booked(micros.get("settle"), micros.get("refund"))
