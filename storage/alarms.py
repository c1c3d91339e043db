"""How far a server's budget is used up: noted once for each step and window, in the transaction that gets there."""

import sqlite3
from collections.abc import Iterable
from dataclasses import replace

from bot.domain.alarms import Alarm
from bot.domain.limits import Period, Scope, Usage
from bot.domain.task import Task
from storage.database import Database, Transaction
from storage.limits import Counted

#: Percent of a budget that moderators want to know of.
STEPS = (50, 80, 100)
#: In the place of a percentage: what is left was too little for a clip that was asked for.
REFUSED = 101


def note(tx: Transaction, applicable: Iterable[Counted], task: Task, price_micros: int) -> None:
    """Note the steps that a hold of `price_micros` reaches."""
    for one in _budgets(applicable):
        used = replace(one.usage, held=one.usage.held + price_micros)
        for step in STEPS:
            if used.total * 100 >= step * one.limit.micros:
                _add(tx, one, task, step, used)


def note_refused(tx: Transaction, applicable: Iterable[Counted], task: Task) -> None:
    """Note that what is left of a budget is too little for one clip that was asked for.

    One that is too dear at any time says nothing of the budget, and of one used up to the end moderators know.
    """
    for one in _budgets(applicable):
        if 0 < one.room < task.price_micros <= one.limit.micros:
            _add(tx, one, task, REFUSED, one.usage)


def _budgets(applicable: Iterable[Counted]) -> list[Counted]:
    return [one for one in applicable if one.limit.scope is Scope.SERVER and one.limit.micros]


def _add(tx: Transaction, one: Counted, task: Task, step: int, used: Usage) -> None:
    tx.run(
        """
        INSERT INTO alarms (server_id, owner_id, period, since, percent, limit_micros, spent_micros, held_micros, at)
        VALUES (:server, :owner, :period, :since, :percent, :limit, :spent, :held, :at)
        ON CONFLICT (server_id, owner_id, period, since, limit_micros, percent) DO NOTHING
        """,
        server=task.server_id,
        owner=one.limit.server_id,
        period=one.limit.period.value,
        since=one.span.since,
        percent=step,
        limit=one.limit.micros,
        spent=used.spent,
        held=used.held,
        at=task.created_at,
    )


class AlarmStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def untold(self, *, each: int) -> list[Alarm]:
        """What moderators have not been told: of each budget's window only the highest step, the oldest first.

        At most `each` of a server, so that one whose channel is closed holds up no other.
        """
        rows = await self._database.read(
            """
            WITH untold AS (
              SELECT *, ROW_NUMBER() OVER (PARTITION BY server_id ORDER BY id) AS place
              FROM alarms WHERE told_at IS NULL AND NOT EXISTS (
                SELECT 1 FROM alarms AS higher
                WHERE higher.told_at IS NULL AND higher.percent > alarms.percent
                  AND higher.server_id = alarms.server_id AND higher.owner_id = alarms.owner_id
                  AND higher.period = alarms.period AND higher.since = alarms.since
                  AND higher.limit_micros = alarms.limit_micros
              )
            )
            SELECT * FROM untold WHERE place <= :each ORDER BY id
            """,
            each=each,
        )
        return [_alarm_of(row) for row in rows]

    async def told(self, alarm: Alarm, at: int) -> None:
        """Moderators know of this step, or do not want to; and so of the lower ones."""

        def work(tx: Transaction) -> None:
            tx.run(
                """
                UPDATE alarms SET told_at = :at
                WHERE server_id = :server AND owner_id = :owner AND period = :period AND since = :since
                  AND limit_micros = :limit AND percent <= :percent AND told_at IS NULL
                """,
                at=at,
                server=alarm.server_id,
                owner=alarm.owner_id,
                period=alarm.period.value,
                since=alarm.since,
                limit=alarm.limit_micros,
                percent=alarm.percent,
            )

        await self._database.write(work)


def _alarm_of(row: sqlite3.Row) -> Alarm:
    return Alarm(
        id=row["id"],
        server_id=row["server_id"],
        owner_id=row["owner_id"],
        period=Period(row["period"]),
        since=row["since"],
        percent=row["percent"],
        limit_micros=row["limit_micros"],
        spent_micros=row["spent_micros"],
        held_micros=row["held_micros"],
        at=row["at"],
    )
