"""All SQL on posted clips that were removed: their tasks and their money stay."""

from bot.domain.audit import Deed
from bot.domain.task import Task
from storage import audit, events
from storage.database import Database, Transaction


class RemovalStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def remove(self, task: Task, at: int, *, by: int, note: str, deed: Deed | None) -> None:
        """Note who had a delivered clip removed, once, with its line in the history and a `deed` in the audit."""

        def work(tx: Transaction) -> None:
            changed = tx.run(
                """
                UPDATE tasks SET removed_by = :by
                WHERE id = :id AND state = 'delivered' AND removed_by IS NULL
                """,
                id=task.id,
                by=by,
            )
            if changed:
                events.add(tx, task, task.state, at, note)
                if deed is not None:
                    audit.note(tx, deed, at)

        await self._database.write(work)
