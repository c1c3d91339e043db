"""What a server's clips came to in a window."""

from dataclasses import dataclass

from bot.domain.limits import Window
from storage.database import Database
from storage.ledger import IN_SERVER


@dataclass(frozen=True, slots=True)
class Totals:
    """Micros, but for `clips`: how many were asked for."""

    clips: int
    spent: int
    refunded: int
    held: int


class TotalStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_server(self, server_id: int, span: Window) -> Totals:
        """Clips count in the window in which they were held."""
        row = await self._database.read_one(
            f"""
            SELECT COUNT(DISTINCT task_id) AS clips, COALESCE(SUM(spent_micros), 0) AS spent,
              COALESCE(SUM(refunded_micros), 0) AS refunded, COALESCE(SUM(held_micros), 0) AS held
            FROM ledger WHERE held_at >= :since AND held_at < :until {IN_SERVER}
            """,  # noqa: S608 - only constants of ours are put in
            server=server_id,
            since=span.since,
            until=span.until,
        )
        return Totals(**dict(row)) if row else Totals(0, 0, 0, 0)
