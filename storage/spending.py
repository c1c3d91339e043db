"""All SQL on spending over the calendar."""

import asyncio
import sqlite3
from collections.abc import Iterable
from datetime import date, datetime, tzinfo

from bot.domain.limits import Window
from bot.domain.spending import DaySpending
from storage.database import Reads

#: Milliseconds. Every offset from UTC that is in use is a multiple of it, so no quarter lies in two days of any zone.
_QUARTER = 900_000
_QUARTERS = """
SELECT ledger.held_at / :quarter AS quarter, tasks.model AS model, SUM(ledger.spent_micros) AS spent,
  SUM(ledger.held_micros) AS held, SUM(ledger.refunded_micros) AS refunded
FROM ledger JOIN tasks ON tasks.id = ledger.task_id
WHERE ledger.held_at >= :since AND ledger.held_at < :until"""
_IN_SERVER = " AND ledger.server_id = :server"
_OF_MEMBER = " AND ledger.member_id = :member"
_GROUPED = " GROUP BY 1, 2"


class SpendingStore:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def daily(
        self, span: Window, zone: tzinfo, *, server_id: int | None = None, member_id: int | None = None
    ) -> list[DaySpending]:
        """What was held in a window, by day of the zone's calendar and by model, both in their order.

        Of one server and one member, or of all. A day that a window cuts counts with the part inside it; days and
        models without any clip are left out.
        """
        sql = _QUARTERS
        if server_id is not None:
            sql += _IN_SERVER
        if member_id is not None:
            sql += _OF_MEMBER
        rows = await self._reads.read(
            sql + _GROUPED,
            quarter=_QUARTER,
            since=span.since,
            until=span.until,
            server=server_id,
            member=member_id,
        )
        return await asyncio.to_thread(_by_day, rows, zone)


def _by_day(rows: Iterable[sqlite3.Row], zone: tzinfo) -> list[DaySpending]:
    """Years of quarters are no work for the event loop."""
    sums: dict[tuple[date, str], tuple[int, int, int]] = {}
    for row in rows:
        day = datetime.fromtimestamp(row["quarter"] * _QUARTER / 1000, zone).date()
        spent, held, refunded = sums.get((day, row["model"]), (0, 0, 0))
        sums[day, row["model"]] = (spent + row["spent"], held + row["held"], refunded + row["refunded"])
    return [DaySpending(*key, *sums[key]) for key in sorted(sums)]
