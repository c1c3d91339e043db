"""Admins' limits: what a new one would mean, setting and clearing it, and the zone whose days they follow."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC

from bot.domain import servers as zones
from bot.domain.audit import Deed
from bot.domain.errors import Refusal
from bot.domain.language import kept, tr, trn
from bot.domain.limits import (
    OPERATOR,
    Limit,
    Period,
    Scope,
    Spender,
    Usage,
    Window,
    applying,
    rate,
    stricter,
    whom,
    window,
)
from bot.domain.money import dollars, parse_dollars
from bot.domain.ports import Clock
from bot.domain.prose import together
from bot.domain.servers import Server
from storage.ledger import LedgerStore
from storage.limits import Counted, LimitStore
from storage.servers import ServerStore

#: A member's roles; None for one who has left the server.
RolesOf = Callable[[int], Awaitable[frozenset[int] | None]]

#: Members whose roles are asked for to say for whom a new limit decides: each is a call to Discord.
LOOKED_UP = 25
_LISTED = 10
_FOUND_LENGTH = 40
#: The operator's settings behind the limits that no admin can go above.
_SETTINGS = {Scope.MEMBER: "USER_DAILY_LIMIT", Scope.SERVER: "SERVER_MONTHLY_LIMIT"}
_AMOUNT = re.compile(r"\$?\s*([0-9]+(?:\.[0-9]{0,6})?|\.[0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class Preview:
    """What a limit would mean if it were set now, in place of `before` micros or of none.

    `usage` is that of a budget, `over` are members whom it would leave nothing, the most spent first, and `more`
    are further ones. Of `unseen` members who used as much it was not looked at whether it decides for them.
    `cheapest` is the price of the cheapest clip, in micros, where the limit is below it.
    """

    limit: Limit
    before: int | None
    until: int
    usage: Usage | None = None
    over: Sequence[Spender] = ()
    more: int = 0
    unseen: int = 0
    cheapest: int | None = None


@dataclass(frozen=True, slots=True)
class Cleared:
    """`limit` as it stood; `instead` decides now for those it was for, or only the operator's `above`."""

    limit: Limit
    instead: Limit | None
    above: Sequence[Limit]


@dataclass(frozen=True, slots=True)
class Overview:
    """All of a server's limits in the order of a list, the operator's, and how far its budgets are used up."""

    limits: Sequence[Limit]
    above: Sequence[Limit]
    budgets: Mapping[Limit, Counted]
    zone: str


@dataclass(frozen=True, slots=True)
class Calendar:
    """The zone a server's limits follow, and its running day and month."""

    zone: str
    day: Window
    month: Window


def amount_of(text: str) -> int:
    """Micros of the dollars that an admin typed."""
    match = _AMOUNT.fullmatch(text.strip())
    try:
        if match:
            return parse_dollars(match[1])
        problem = tr("{typed} is no amount of dollars.", typed=_found(text))
    except ValueError:
        problem = tr("{typed} is too much.", typed=_found(text))
    allowed = tr(
        "Write dollars such as 2 or $2.50, $100,000,000 at most and with no more than six digits after the dot; 0 "
        "allows nothing."
    )
    raise Refusal(together(problem, allowed))


class LimitRules:
    """`cheapest` is the price of the cheapest clip that can be asked for, in micros."""

    def __init__(
        self,
        limits: LimitStore,
        ledger: LedgerStore,
        servers: ServerStore,
        clock: Clock,
        *,
        cheapest: int | None = None,
    ) -> None:
        self._limits = limits
        self._ledger = ledger
        self._servers = servers
        self._clock = clock
        self._cheapest = cheapest

    async def propose(self, limit: Limit, roles_of: RolesOf) -> Preview:
        """What would come of a limit; `Refusal` where it may not be set, or is already."""
        await self._must_be_allowed(limit)
        others = await self._limits.of_server(limit.server_id)
        found = next((one for one in others if _same(one, limit)), None)
        _must_differ(found, limit)
        span = await self._span(limit)
        preview = Preview(limit, _micros(found), span.until)
        if limit.micros < (self._cheapest or 1):
            return replace(preview, cheapest=self._cheapest)
        if limit.scope is Scope.SERVER:
            return replace(preview, usage=await self._ledger.of_server(limit.server_id, span))
        if limit.scope is Scope.MEMBER and limit.subject:
            member = int(limit.subject)
            used = await self._ledger.of_member(member, span, server_id=limit.server_id)
            return replace(preview, over=[Spender(member, used)] if used.total >= limit.micros else [])
        others = [one for one in others if not _same(one, limit)]
        return await self._whom_it_stops(preview, span, others, roles_of)

    async def set(self, limit: Limit, before: int | None, actor_id: int) -> None:
        """Set a limit in place of `before` micros, or of none; `Refusal` where something else stands there."""
        await self._must_be_allowed(limit)

        def check(found: Limit | None) -> None:
            _must_differ(found, limit)
            if before != _micros(found):
                raise Refusal(
                    tr(
                        "The limit for {whom} was changed meanwhile: it is {rate} now. Nothing was changed; look "
                        "again with `/admin limits set`.",
                        whom=whom(limit),
                        rate=rate(found),
                    )
                    if found
                    else tr(
                        "The limit for {whom} was changed meanwhile: there is none now. Nothing was changed; look "
                        "again with `/admin limits set`.",
                        whom=whom(limit),
                    )
                )

        await self._limits.put(limit, _deed(limit, actor_id, "limits set"), self._clock(), check=check)

    async def clear(self, limit: Limit, actor_id: int, role_ids: frozenset[int]) -> Cleared:
        """Take a limit away, whatever its amount; `role_ids` are those of the member it is for."""
        deed = _deed(limit, actor_id, "limits clear")
        taken = await self._limits.clear(limit, deed, self._clock())
        left = await self._limits.of_server(limit.server_id)
        if taken is None:
            raise Refusal(together(_there_is_none(limit), _there_are(left)))
        above = [one for one in await self._limits.of_server(OPERATOR) if one.kind is limit.kind]
        return Cleared(taken, _instead(limit, left, role_ids), above)

    async def overview(self, server_id: int) -> Overview:
        server = await self._servers.get(server_id)
        own = sorted(await self._limits.of_server(server_id), key=_place)
        above = await self._limits.of_server(OPERATOR)
        budgets = {}
        for limit in (one for one in [*own, *above] if one.scope is Scope.SERVER):
            span = await self._span(limit, server)
            budgets[limit] = Counted(limit, span, await self._ledger.of_server(server_id, span))
        return Overview(own, above, budgets, server.zone)

    async def choose_zone(self, server_id: int, server_name: str, actor_id: int, typed: str) -> Calendar:
        """Let the days and months of a server's own limits begin at midnight there."""
        name = await asyncio.to_thread(zones.zone_called, typed)
        if name is None:
            like = await asyncio.to_thread(zones.zones_like, typed, most=1)
            raise Refusal(_no_zone(typed, like[0] if like and typed.strip() else None))

        def decide(server: Server) -> tuple[Server, Deed]:
            if server.zone == name:
                raise Refusal(tr("The time zone is {zone} already; nothing was changed.", zone=name))
            deed = Deed(server_id, actor_id, "limits zone", before=server.zone, after=name)
            return replace(server, zone=name), deed

        at = self._clock()
        tz = (await self._servers.change(server_id, server_name, at, decide)).tz
        return Calendar(name, window(Period.DAY, at, tz), window(Period.MONTH, at, tz))

    async def _must_be_allowed(self, limit: Limit) -> None:
        if most := stricter(limit, await self._limits.of_server(OPERATOR)):
            raise Refusal(
                tr(
                    "{rate} is more than the operator of this bot allows {whom}: {most}. An admin can only go lower: "
                    "choose {amount} or less. The operator can raise it (`{setting}`). Nothing was changed.",
                    rate=rate(limit),
                    whom=whom(most),
                    most=rate(most),
                    amount=dollars(most.micros),
                    setting=_SETTINGS[most.scope],
                )
            )

    async def _whom_it_stops(
        self, preview: Preview, span: Window, others: Sequence[Limit], roles_of: RolesOf
    ) -> Preview:
        limit = preview.limit
        spenders, members = await self._limits.used_up(limit, span, most=LOOKED_UP)
        by_role = any(one.scope is Scope.ROLE and one.period is limit.period for one in [limit, *others])
        if not by_role:
            return replace(preview, over=spenders, more=members - len(spenders))
        roles = await asyncio.gather(*(roles_of(one.member_id) for one in spenders))
        over = [
            one
            for one, role_ids in zip(spenders, roles, strict=True)
            if role_ids is not None
            and limit in applying([limit, *others], member_id=one.member_id, role_ids=role_ids)
        ]
        return replace(preview, over=over, unseen=members - len(spenders))

    async def _span(self, limit: Limit, server: Server | None = None) -> Window:
        if limit.server_id == OPERATOR:
            return window(limit.period, self._clock(), UTC)
        server = server or await self._servers.get(limit.server_id)
        return window(limit.period, self._clock(), server.tz)


def _same(one: Limit, other: Limit) -> bool:
    """For the same in the same period, whatever the amounts."""
    return replace(one, micros=0) == replace(other, micros=0)


def _micros(limit: Limit | None) -> int | None:
    return None if limit is None else limit.micros


def _must_differ(found: Limit | None, limit: Limit) -> None:
    if found == limit:
        raise Refusal(
            tr(
                "The limit for {whom} is {rate} already; nothing was changed.",
                whom=whom(limit),
                rate=rate(limit),
            )
        )


def _place(limit: Limit) -> tuple[int, str, int]:
    """In a list: the budget, each member, roles, members."""
    ranks = {Scope.SERVER: 0, Scope.MEMBER: 3 if limit.subject else 1, Scope.ROLE: 2}
    return ranks[limit.scope], limit.subject, list(Period).index(limit.period)


def _instead(limit: Limit, left: Sequence[Limit], role_ids: frozenset[int]) -> Limit | None:
    """The server's limit that decides where another was taken away; for a role's, where no closer one does."""
    if limit.scope is Scope.SERVER or not limit.subject:
        return None
    member = int(limit.subject) if limit.scope is Scope.MEMBER else 0
    decide = applying(left, member_id=member, role_ids=role_ids)
    return next((one for one in decide if one.personal and one.period is limit.period), None)


def _there_is_none(limit: Limit) -> str:
    match limit.period:
        case Period.DAY:
            return tr("There is no daily limit for {whom}.", whom=whom(limit))
        case Period.MONTH:
            return tr("There is no monthly limit for {whom}.", whom=whom(limit))
        case Period.TOTAL:
            return tr("There is no total limit for {whom}.", whom=whom(limit))


def _there_are(limits: Sequence[Limit]) -> str:
    if not limits:
        return tr("This server has set none; `/admin limits list` shows what the operator allows.")
    named = [f"{whom(one)} {rate(one)}" for one in sorted(limits, key=_place)[:_LISTED]]
    if more := len(limits) - len(named):
        named.append(trn("and {number} more", "and {number} more", more))
    return tr("There are: {limits}.", limits="; ".join(named))


def _no_zone(typed: str, like: str | None) -> str:
    problem = tr("{typed} is no time zone.", typed=_found(typed))
    guess = tr("Did you mean {zone}?", zone=like) if like else tr("Write one such as Europe/Berlin.")
    return together(problem, guess, tr("The option completes what you type."))


def _deed(limit: Limit, actor_id: int, action: str) -> Deed:
    return Deed(limit.server_id, actor_id, action, subject=_subject(limit))


def _subject(limit: Limit) -> str:
    """For the record, whoever reads it."""
    match limit.scope:
        case Scope.SERVER:
            whose = kept("the whole server")
        case Scope.ROLE:
            whose = f"<@&{limit.subject}>"
        case _:
            whose = f"<@{limit.subject}>" if limit.subject else kept("each member")
    match limit.period:
        case Period.DAY:
            return kept("{whom}, a day", whom=whose)
        case Period.MONTH:
            return kept("{whom}, a month", whom=whose)
        case Period.TOTAL:
            return kept("{whom}, in total", whom=whose)


def _found(text: str) -> str:
    """What was typed, inside a code span that it cannot end."""
    words = " ".join(text.replace("`", "'").split())[:_FOUND_LENGTH]
    return f"`{words}`" if words else tr("What you typed")
