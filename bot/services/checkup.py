"""What an admin can be told about a server's part of the bot: nothing of it asks the outside."""

from collections.abc import Sequence

from bot.domain.catalog import Catalog
from bot.domain.errors import StorageError
from bot.domain.finding import Finding
from bot.domain.language import said, tr, trn
from bot.domain.limits import OPERATOR, Scope, rate, whom
from bot.domain.ports import Clock
from bot.domain.servers import Server
from bot.services.router import Router
from storage.limits import LimitStore
from storage.marks import MarkStore
from storage.servers import ServerStore


class Checkup:
    def __init__(
        self,
        servers: ServerStore,
        limits: LimitStore,
        marks: MarkStore,
        router: Router,
        catalog: Catalog,
        *,
        providers: Sequence[str],
        clock: Clock,
    ) -> None:
        self._servers = servers
        self._limits = limits
        self._marks = marks
        self._router = router
        self._catalog = catalog
        self._providers = providers
        self._clock = clock

    async def of_server(self, server_id: int) -> list[Finding]:
        server = await self._servers.get(server_id)
        return [
            *(self._provider(name) for name in self._providers),
            await self._database(),
            _pause(server),
            await self._limits_of(server_id),
            Finding(
                tr("Calendar"),
                tr("days and months of this server's own limits are those of {zone}", zone=server.zone),
            ),
        ]

    def _provider(self, name: str) -> Finding:
        label = self._catalog.providers[name].label
        offers = [offer for offer in self._catalog.offers if offer.provider == name]
        assumed = len(self._catalog.assumed([name]))
        prices = (
            trn(
                "{number} of its {all} prices is assumed, as nobody publishes it",
                "{number} of its {all} prices are assumed, as nobody publishes them",
                assumed,
                all=len(offers),
            )
            if assumed
            else trn("its {number} price is published", "its {number} prices are published", len(offers))
        )
        if (why := self._router.resting(name)) is None:
            return Finding(label, tr("takes jobs; {prices}", prices=prices))
        return Finding(
            label,
            tr("{prices}; it gets no jobs now: {why}", prices=prices, why=said(why)),
            tr(
                "It is tried again by itself, and other providers are used meanwhile. If it stays so, ask the "
                "operator to run `conch doctor`."
            ),
        )

    async def _database(self) -> Finding:
        try:
            await self._marks.set("last written for a doctor", str(self._clock()))
        except StorageError as error:
            mend = tr("Ask the operator to look at the bot's log and run `conch doctor`.")
            return Finding(tr("Database"), str(error), mend)
        return Finding(tr("Database"), tr("it can be written"))

    async def _limits_of(self, server_id: int) -> Finding:
        own = [f"{whom(limit)} {rate(limit)}" for limit in await self._limits.of_server(server_id)]
        operators = [
            f"{whom(limit)} {rate(limit)}"
            for limit in await self._limits.of_server(OPERATOR)
            if limit.scope in {Scope.MEMBER, Scope.SERVER}
        ]
        return Finding(
            tr("Limits"),
            tr(
                "set here: {own}; by the operator: {operators}",
                own=", ".join(own) or tr("none"),
                operators=", ".join(operators) or tr("none"),
            ),
        )


def _pause(server: Server) -> Finding:
    if server.pause_reason is None:
        return Finding(tr("New videos"), tr("they are made"))
    return Finding(
        tr("New videos"),
        tr("they are paused: {reason}", reason=server.pause_reason),
        tr("`/admin resume` has them made again."),
    )
