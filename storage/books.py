"""The books looked through, entry by entry. Reads alone, and never more than a few rows in memory."""

from collections.abc import AsyncIterator

from bot.domain.books import Charge, PriceGap, TaskBooks
from bot.domain.task import TaskState
from storage.database import Reads


class BookStore:
    def __init__(self, database: Reads) -> None:
        self._database = database

    async def tasks(self) -> AsyncIterator[TaskBooks]:
        """Every task with what its entries add up to."""
        rows = self._database.stream(
            """
            SELECT tasks.id AS task_id, state, price_micros, COUNT(ledger.id) AS entries,
              COUNT(CASE WHEN kind = 'hold' THEN 1 END) AS holds,
              COUNT(CASE WHEN kind = 'settle' THEN 1 END) AS settles,
              COUNT(CASE WHEN kind = 'release' THEN 1 END) AS releases,
              COUNT(CASE WHEN kind = 'refund' THEN 1 END) AS refunds,
              COUNT(CASE WHEN ledger.server_id <> tasks.server_id OR ledger.member_id <> tasks.member_id
                OR held_at <> created_at THEN 1 END) AS astray,
              COUNT(CASE WHEN ledger.id IS NOT NULL AND NOT (
                (kind = 'hold' AND held_micros >= 0 AND spent_micros = 0 AND refunded_micros = 0)
                OR (kind = 'settle' AND held_micros <= 0 AND spent_micros >= 0 AND refunded_micros = 0)
                OR (kind = 'release' AND held_micros <= 0 AND spent_micros = 0 AND refunded_micros = 0)
                OR (kind = 'refund' AND held_micros = 0 AND spent_micros = 0 AND refunded_micros > 0)
              ) THEN 1 END) AS misfits,
              COALESCE(SUM(CASE WHEN kind = 'hold' THEN held_micros END), 0) AS hold_micros,
              COALESCE(SUM(held_micros), 0) AS held_micros, COALESCE(SUM(spent_micros), 0) AS spent_micros,
              COALESCE(SUM(refunded_micros), 0) AS refunded_micros
            FROM tasks LEFT JOIN ledger ON ledger.task_id = tasks.id
            GROUP BY tasks.id ORDER BY tasks.id
            """
        )
        async for row in rows:
            values = dict(row)
            yield TaskBooks(**{**values, "state": TaskState(values["state"])})

    async def strays(self) -> AsyncIterator[str]:
        """Entries whose task does not exist, in words."""
        rows = self._database.stream(
            """
            SELECT id, task_id, kind FROM ledger
            WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.id = ledger.task_id) ORDER BY id
            """
        )
        async for row in rows:
            yield f"entry {row['id']} is a {row['kind']} of task {row['task_id']}, which does not exist"

    async def charges(self) -> AsyncIterator[Charge]:
        """Tasks that have ended and of which the provider's own figure is not what was booked, the newest first."""
        rows = self._database.stream(
            """
            SELECT tasks.id AS task_id, state, tasks.provider, charged_micros,
              COALESCE(spent_micros, 0) AS booked_micros
            FROM tasks LEFT JOIN ledger ON ledger.task_id = tasks.id AND kind = 'settle'
            WHERE charged_micros IS NOT NULL AND charged_micros <> COALESCE(spent_micros, 0)
            ORDER BY created_at DESC, tasks.id
            """
        )
        async for row in rows:
            values = dict(row)
            yield Charge(**{**values, "state": TaskState(values["state"])})

    async def price_gaps(self) -> AsyncIterator[PriceGap]:
        """Where made clips cost something else than the catalog said, by offer, its most frequent cost first."""
        rows = self._database.stream(
            """
            SELECT provider, model, duration, resolution, list_micros, charged_micros, COUNT(*) AS clips
            FROM tasks WHERE charged_micros IS NOT NULL AND charged_micros <> list_micros
              AND state IN ('succeeded', 'delivered')
            GROUP BY provider, model, duration, resolution, list_micros, charged_micros
            ORDER BY provider, model, duration, resolution, list_micros, clips DESC, charged_micros
            """
        )
        async for row in rows:
            yield PriceGap(
                provider=row["provider"],
                format=f"{row['model']}/{row['duration']}/{row['resolution']}",
                list_micros=row["list_micros"],
                charged_micros=row["charged_micros"],
                clips=row["clips"],
            )
