"""What a period cost, in groups: all SQL of reports. Reads alone."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator

from bot.domain.limits import Usage, Window
from bot.domain.report import RESULTS, Group, Report, Result, Sums
from storage.database import Reads
from storage.ledger import IN_SERVER, PAID

_WORDS = " ".join(f"WHEN '{state.value}' THEN '{result.value}'" for state, result in RESULTS.items())
_RESULT = f"CASE state {_WORDS} END"
_ALIKE = f"ledger.server_id, ledger.member_id, model, duration, resolution, tasks.provider, {_RESULT}"
#: Money and clips come from the same rows, so that a report's sums are the ledger's.
_GROUPS = f"""
SELECT ledger.server_id, ledger.member_id, model, duration, resolution, tasks.provider, {_RESULT} AS result,
  SUM(CASE WHEN kind = 'hold' THEN 1 ELSE 0 END) AS clips, SUM(spent_micros) AS spent, SUM(held_micros) AS held,
  SUM(refunded_micros) AS refunded, SUM(CASE WHEN kind = 'release' THEN -held_micros ELSE 0 END) AS released
FROM ledger JOIN tasks ON tasks.id = ledger.task_id
WHERE held_at >= :since AND held_at < :until"""  # noqa: S608 - only constants of ours are put in
_OF_ALL = f"{_GROUPS} GROUP BY {_ALIKE} ORDER BY {_ALIKE}"
_OF_SERVER = f"{_GROUPS} AND ledger.server_id = :server GROUP BY {_ALIKE} ORDER BY {_ALIKE}"


class ReportStore:
    def __init__(self, database: Reads) -> None:
        self._database = database

    async def of_server(self, server_id: int, span: Window) -> Report:
        rows = await self._database.read(_OF_SERVER, server=server_id, since=span.since, until=span.until)
        # Tens of thousands of members are too many for the event loop.
        return await asyncio.to_thread(lambda: Report(span, tuple(map(_group_of, rows))))

    async def groups(self, span: Window, *, server_id: int | None = None) -> AsyncIterator[Group]:
        """Of one server or of all, one after the other in the order of their ids."""
        sql = _OF_ALL if server_id is None else _OF_SERVER
        async for row in self._database.stream(sql, server=server_id, since=span.since, until=span.until):
            yield _group_of(row)

    async def paid(self, server_id: int, span: Window) -> Usage:
        """What a server's budget counts."""
        row = await self._database.read_one(
            PAID + IN_SERVER, server=server_id, since=span.since, until=span.until
        )
        return Usage(**dict(row)) if row else Usage(0, 0)

    async def server_name(self, server_id: int) -> str:
        """As it was called last; "" for one never seen."""
        row = await self._database.read_one("SELECT name FROM servers WHERE id = :id", id=server_id)
        return row["name"] if row else ""


def _group_of(row: sqlite3.Row) -> Group:
    return Group(
        server_id=row["server_id"],
        member_id=row["member_id"],
        model=row["model"],
        format=f"{row['model']}/{row['duration']}/{row['resolution']}",
        provider=row["provider"],
        result=Result(row["result"]),
        sums=Sums(row["clips"], row["spent"], row["held"], row["refunded"], row["released"]),
    )
