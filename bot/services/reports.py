"""Reports of one server: which tasks a period has, what they cost, and how far its budgets are used up."""

from collections.abc import Sequence
from datetime import UTC

from bot.domain.limits import FOREVER, OPERATOR, Limit, Period, Scope, Window, window
from bot.domain.ports import Clock
from bot.domain.report import Report, asked_for
from bot.domain.servers import Server
from bot.domain.spending import DaySpending
from storage.limits import Counted, LimitStore
from storage.reports import ReportStore
from storage.servers import ServerStore
from storage.spending import SpendingStore


class Reports:
    def __init__(
        self,
        reports: ReportStore,
        spending: SpendingStore,
        limits: LimitStore,
        servers: ServerStore,
        clock: Clock,
    ) -> None:
        self._reports = reports
        self._spending = spending
        self._limits = limits
        self._servers = servers
        self._clock = clock

    async def asked_for(
        self, server_id: int, period: str, *, first: str | None = None, last: str | None = None
    ) -> tuple[Server, Window]:
        """A period in the server's own calendar; the words are those of `bot.domain.report.asked_for`."""
        server = await self._servers.get(server_id)
        return server, asked_for(period, self._clock(), server.tz, first=first, last=last)

    async def of_server(self, server: Server, span: Window) -> Report:
        return await self._reports.of_server(server.id, span)

    def ended(self, span: Window) -> bool:
        return span.until <= self._clock()

    def so_far(self, span: Window) -> Window:
        """Without what is yet to come."""
        return Window(span.since, max(span.since + 1, min(span.until, self._clock() + 1)))

    async def daily(self, server: Server, span: Window) -> list[DaySpending]:
        """The same money by day of the server's calendar and by model."""
        return await self._spending.daily(span, server.tz, server_id=server.id)

    async def budgets(self, server: Server, span: Window) -> Sequence[Counted]:
        """For a whole day or month: each budget, counted in its own window; nothing for another period.

        Of one that has ended the budgets for just that, as they are now. The operator's follow UTC, so they are those
        of the day or month in which the middle lies.
        """
        if span.until >= FOREVER:
            return []
        middle = (span.since + span.until) // 2
        whole = [one for one in (Period.DAY, Period.MONTH) if span == window(one, middle, server.tz)]
        if not whole:
            return []
        ended, found = self.ended(span), []
        for limit in await self._limits_of(server):
            if ended and limit.period not in whole:
                continue
            at = middle if ended else self._clock()
            counts = window(limit.period, at, UTC if limit.server_id == OPERATOR else server.tz)
            found.append(Counted(limit, counts, await self._reports.paid(server.id, counts)))
        return found

    async def daily_budget(self, server: Server) -> int | None:
        """Micros that may be spent in a day; None where nobody has set that."""
        daily = [limit.micros for limit in await self._limits_of(server) if limit.period is Period.DAY]
        return min(daily, default=None)

    async def _limits_of(self, server: Server) -> list[Limit]:
        """The budgets of the whole server: what its admins have set, and the operator's above it."""
        limits = [*await self._limits.of_server(server.id), *await self._limits.of_server(OPERATOR)]
        return [
            limit for limit in limits if limit.scope is Scope.SERVER and limit.subject in {"", str(server.id)}
        ]
