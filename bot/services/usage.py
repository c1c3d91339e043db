"""What one member's clips cost in one server, and the limits that decide there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from bot.domain.limits import OPERATOR, Limit, Period, Window, window
from bot.domain.ports import Clock
from bot.domain.spending import DaySpending, days_of, last_days
from storage.limits import Case, Counted, LimitStore
from storage.servers import ServerStore
from storage.spending import SpendingStore

_DAYS = 30


@dataclass(frozen=True, slots=True)
class MemberUsage:
    """By the calendar of the server's `zone`. The last of the thirty `days` is today.

    `rows` reach back to the first of them, and to the first of this month; what came to nothing is not among them.
    """

    zone: str
    days: tuple[date, ...]
    rows: Sequence[DaySpending]
    limits: Sequence[Counted]

    @property
    def today(self) -> list[DaySpending]:
        return [row for row in self.rows if row.day == self.days[-1]]

    @property
    def this_month(self) -> list[DaySpending]:
        return [row for row in self.rows if row.day >= self.days[-1].replace(day=1)]

    @property
    def daily_limit(self) -> int | None:
        """Micros of the strictest limit on what the member may spend in one day."""
        daily = [
            one.limit.micros for one in self.limits if one.limit.personal and one.limit.period is Period.DAY
        ]
        return min(daily, default=None)


class Usages:
    def __init__(
        self, spending: SpendingStore, limits: LimitStore, servers: ServerStore, clock: Clock
    ) -> None:
        self._spending = spending
        self._limits = limits
        self._servers = servers
        self._clock = clock

    async def of_member(
        self, member_id: int, role_ids: frozenset[int], server_id: int, *, own: bool
    ) -> MemberUsage:
        """`own`: the member asks. Everybody else sees nothing of what was spent in other servers."""
        server, now = await self._servers.get(server_id), self._clock()
        days, month = last_days(_DAYS, now, server.tz), window(Period.MONTH, now, server.tz)
        rows = await self._spending.daily(
            Window(min(days.since, month.since), days.until),
            server.tz,
            server_id=server_id,
            member_id=member_id,
        )
        limits = await self._limits.for_member(Case(member_id, role_ids, server_id, now), server.tz)
        return MemberUsage(
            server.zone,
            days_of(days, server.tz),
            [row for row in rows if row.paid],
            [one for one in limits if own or not _everywhere(one.limit)],
        )


def _everywhere(limit: Limit) -> bool:
    """Whether it counts what a member spends in all servers."""
    return limit.personal and limit.server_id == OPERATOR
