"""What a server's admins choose about approvals, and what moderators are told."""

from collections.abc import Callable
from dataclasses import replace

from bot.domain.audit import Deed
from bot.domain.errors import Refusal
from bot.domain.limits import Period, window
from bot.domain.money import dollars, parse_dollars
from bot.domain.ports import Clock
from bot.domain.prose import counted
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
            raise Refusal(f"`hours` was {hours}; it can be 1 to {MOST_HOURS}. Nothing was changed.")

        def decide(server: Server) -> tuple[Server, Deed]:
            chosen = replace(
                server,
                approval_micros=micros,
                approval_hours=server.approval_hours if micros is None else hours,
                notices_channel_id=channel_id or server.notices_channel_id,
            )
            if micros is not None and chosen.notices_channel_id is None:
                raise Refusal(
                    "No channel is known in which moderators can be asked. Name one with `channel`; nothing was "
                    "changed."
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
            f"`above` was `{shown}`. Give dollars such as `0.50`: what costs more than that waits for a moderator; "
            f"or `{OFF}`. Nothing was changed."
        ) from None


def _approvals_in_words(server: Server) -> str:
    where = "in no channel" if server.notices_channel_id is None else f"in <#{server.notices_channel_id}>"
    if server.approval_micros is None:
        return f"{OFF}, {where}"
    return f"above {dollars(server.approval_micros)}, for {counted(server.approval_hours, 'hour')}, {where}"


def _notices_in_words(server: Server) -> str:
    if server.notices_channel_id is None:
        return "no channel"
    report, alarms = ("on" if switch else OFF for switch in (server.monthly_report, server.alarms))
    return f"in <#{server.notices_channel_id}>, monthly report {report}, alarms {alarms}"
