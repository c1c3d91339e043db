"""What a server's admins choose about approvals, and what moderators are told."""

from collections.abc import Callable
from dataclasses import replace

from bot.domain.audit import Deed
from bot.domain.errors import Refusal
from bot.domain.language import kept, tr
from bot.domain.limits import Period, window
from bot.domain.money import dollars, parse_dollars
from bot.domain.ports import Clock
from bot.domain.servers import Server
from storage.servers import ServerStore

OFF = "off"
#: A week.
MOST_HOURS = 168


class Moderators:
    """`chosen` is called with a server that has changed what its moderators are told, or where."""

    def __init__(self, servers: ServerStore, clock: Clock, chosen: Callable[[int], None]) -> None:
        self._servers = servers
        self._clock = clock
        self._chosen = chosen

    async def channel_of(self, server_id: int) -> int | None:
        """Where moderators are told; None where no channel was chosen."""
        return (await self._servers.get(server_id)).notices_channel_id

    async def approvals(
        self, server_id: int, name: str, actor_id: int, *, above: str, hours: int, channel_id: int | None
    ) -> Server:
        """Let clips above a price wait for a moderator, or (`OFF`) no more; what waits already goes on waiting."""
        micros = _micros(above)
        if not 1 <= hours <= MOST_HOURS:
            raise Refusal(
                tr(
                    "`hours` was {hours}; it can be 1 to {most}. Nothing was changed.",
                    hours=hours,
                    most=MOST_HOURS,
                )
            )

        def decide(server: Server) -> tuple[Server, Deed]:
            chosen = replace(
                server,
                approval_micros=micros,
                approval_hours=server.approval_hours if micros is None else hours,
                notices_channel_id=channel_id or server.notices_channel_id,
            )
            if micros is not None and chosen.notices_channel_id is None:
                raise Refusal(
                    tr(
                        "No channel is known in which moderators can be asked. Name one with `channel`; nothing was "
                        "changed."
                    )
                )
            before, after = _approvals_in_words(server), _approvals_in_words(chosen)
            return chosen, Deed(server_id, actor_id, "approvals", before=before, after=after)

        chosen = await self._servers.change(server_id, name, self._clock(), decide)
        self._chosen(server_id)
        return chosen

    async def notices(
        self,
        server_id: int,
        name: str,
        actor_id: int,
        *,
        channel_id: int,
        monthly_report: bool | None,
        alarms: bool | None,
    ) -> Server:
        """Choose the moderators' channel and what comes there; None leaves a switch as it is.

        The first report is that of the month in which reports are switched on.
        """
        at = self._clock()

        def decide(server: Server) -> tuple[Server, Deed]:
            reports = server.monthly_report if monthly_report is None else monthly_report
            begins = server.reported_until
            if reports and not server.monthly_report:
                begins = window(Period.MONTH, at, server.tz).since
            chosen = replace(
                server,
                notices_channel_id=channel_id,
                monthly_report=reports,
                alarms=server.alarms if alarms is None else alarms,
                reported_until=begins,
            )
            before, after = _notices_in_words(server), _notices_in_words(chosen)
            return chosen, Deed(server_id, actor_id, "notices", before=before, after=after)

        chosen = await self._servers.change(server_id, name, at, decide)
        self._chosen(server_id)
        return chosen


def _micros(above: str) -> int | None:
    text = above.strip()
    if text.casefold() == OFF:
        return None
    try:
        return parse_dollars(text.removeprefix("$"))
    except ValueError:
        shown = text.replace("`", "'")[:40]
        raise Refusal(
            tr(
                "`above` was `{typed}`. Give dollars such as `0.50`: what costs more than that waits for a "
                "moderator; or `{off}`. Nothing was changed.",
                typed=shown,
                off=OFF,
            )
        ) from None


def _approvals_in_words(server: Server) -> str:
    channel, hours = f"<#{server.notices_channel_id}>", server.approval_hours
    if server.approval_micros is not None:
        price = dollars(server.approval_micros)
        if hours == 1:
            return kept("above {price}, for 1 hour, in {channel}", price=price, channel=channel)
        return kept(
            "above {price}, for {hours} hours, in {channel}", price=price, hours=hours, channel=channel
        )
    if server.notices_channel_id is None:
        return kept("off, in no channel")
    return kept("off, in {channel}", channel=channel)


def _notices_in_words(server: Server) -> str:
    if server.notices_channel_id is None:
        return kept("no channel")
    channel = f"<#{server.notices_channel_id}>"
    match server.monthly_report, server.alarms:
        case True, True:
            return kept("in {channel}, monthly report on, alarms on", channel=channel)
        case True, False:
            return kept("in {channel}, monthly report on, alarms off", channel=channel)
        case False, True:
            return kept("in {channel}, monthly report off, alarms on", channel=channel)
        case _:
            return kept("in {channel}, monthly report off, alarms off", channel=channel)
