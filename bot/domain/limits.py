"""Money limits: who may spend how much in which window, and what a limit says when it stands in the way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum

from bot.domain.language import tr
from bot.domain.money import dollars
from bot.domain.prose import together

#: The server id of the operator's own limits, which hold in every server.
OPERATOR = 0
#: The end of a window that never ends: beyond every date, within SQL's integers.
FOREVER = 1 << 62


class Scope(StrEnum):
    MEMBER = "member"
    ROLE = "role"
    SERVER = "server"
    PROVIDER = "provider"
    BOT = "bot"


class Period(StrEnum):
    DAY = "day"
    MONTH = "month"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Window:
    """From `since` to just before `until`, milliseconds since 1970."""

    since: int
    until: int


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `micros` in each period; `subject` "" means each member, server or provider of the scope.

    `server_id` is the server whose admin set it; its members, roles and budget are meant in that server alone.
    """

    scope: Scope
    period: Period
    micros: int
    subject: str = ""
    server_id: int = OPERATOR

    @property
    def personal(self) -> bool:
        """Counts what one member spent, rather than a budget that several share."""
        return self.scope in {Scope.MEMBER, Scope.ROLE}

    @property
    def kind(self) -> Scope:
        """What the operator limits too: what one member spends, or a server."""
        return Scope.MEMBER if self.personal else self.scope


@dataclass(frozen=True, slots=True)
class Usage:
    """What counts in a window, in micros: booked, and set aside for tasks still under way."""

    spent: int
    held: int

    @property
    def total(self) -> int:
        return self.spent + self.held


@dataclass(frozen=True, slots=True)
class Spender:
    """A member and what counts against them."""

    member_id: int
    usage: Usage


@dataclass(frozen=True, slots=True)
class LimitHit:
    """A limit that `price` micros more would pass; `until` is when its window ends, milliseconds since 1970."""

    limit: Limit
    usage: Usage
    price: int
    until: int


def applying(limits: Sequence[Limit], *, member_id: int, role_ids: frozenset[int]) -> list[Limit]:
    """The limits that decide for one member, of all that a server and the operator have set.

    For each period an admin's limit for the member goes before those for roles, of which the highest counts, and
    these go before the one for each member. Everything else stands beside them: the strictest decides.
    """
    chosen: dict[Period, tuple[int, int, Limit]] = {}
    found: list[Limit] = []
    for limit in limits:
        if not limit.personal or limit.server_id == OPERATOR:
            found.append(limit)
            continue
        rank = _rank(limit, member_id, role_ids)
        best = chosen.get(limit.period)
        if rank and (best is None or (rank, limit.micros) > best[:2]):
            chosen[limit.period] = (rank, limit.micros, limit)
    return found + [limit for _, _, limit in chosen.values()]


def stricter(limit: Limit, operators: Iterable[Limit]) -> Limit | None:
    """The operator's limit that allows less than an admin's, for the same kind and period."""
    return next(
        (
            one
            for one in operators
            if one.server_id == OPERATOR
            and (one.kind, one.period) == (limit.kind, limit.period)
            and one.micros < limit.micros
        ),
        None,
    )


def _rank(limit: Limit, member_id: int, role_ids: frozenset[int]) -> int:
    """How close an admin's personal limit is to a member; 0 where it is another's."""
    if limit.scope is Scope.ROLE:
        return 2 if int(limit.subject) in role_ids else 0
    if limit.subject:
        return 3 if int(limit.subject) == member_id else 0
    return 1


def name_of(limit: Limit, *, own: bool = True) -> str:
    """What a member calls it, such as "your own limit for one day": a phrase that can be a sentence's subject.

    `own`: it limits whoever reads this. A role is its Discord mention.
    """
    name = _named(limit, own=own)
    match limit.period, _everywhere(limit):
        case Period.DAY, True:
            return tr("{limit} for one day over all servers", limit=name)
        case Period.DAY, _:
            return tr("{limit} for one day", limit=name)
        case Period.MONTH, True:
            return tr("{limit} for one month over all servers", limit=name)
        case Period.MONTH, _:
            return tr("{limit} for one month", limit=name)
        case Period.TOTAL, True:
            return tr("{limit} in total over all servers", limit=name)
        case _:
            return tr("{limit} in total", limit=name)


def _named(limit: Limit, *, own: bool) -> str:
    if limit.server_id == OPERATOR:
        return _named_of_operator(limit.scope, own=own)
    match limit.scope:
        case Scope.MEMBER if limit.subject:
            return tr("your own limit in this server") if own else tr("their own limit in this server")
        case Scope.MEMBER:
            return tr("this server's limit for each member")
        case Scope.ROLE:
            role = f"<@&{limit.subject}>"
            return (
                tr("the limit of your role {role}", role=role)
                if own
                else tr("the limit of their role {role}", role=role)
            )
        case _:
            return tr("this server's budget")


def _named_of_operator(scope: Scope, *, own: bool) -> str:
    match scope:
        case Scope.SERVER:
            return tr("the operator's budget for this server")
        case Scope.PROVIDER:
            return tr("the operator's budget for this provider")
        case Scope.BOT:
            return tr("the operator's budget")
        case _:
            return tr("your limit") if own else tr("their limit")


def _everywhere(limit: Limit) -> bool:
    """Only what the operator lets a member spend counts beyond one server."""
    return limit.scope is Scope.MEMBER and limit.server_id == OPERATOR


def whom(limit: Limit) -> str:
    """What an admin calls those it holds for; members and roles are Discord mentions."""
    match limit.scope:
        case Scope.MEMBER:
            return f"<@{limit.subject}>" if limit.subject else tr("each member")
        case Scope.ROLE:
            return f"<@&{limit.subject}>"
        case Scope.SERVER:
            return tr("the whole server")
        case Scope.PROVIDER:
            return tr("each provider")
        case Scope.BOT:
            return tr("all servers together")


def each(period: Period) -> str:
    """As it stands behind an amount, such as "a day"."""
    match period:
        case Period.DAY:
            return tr("a day")
        case Period.MONTH:
            return tr("a month")
        case Period.TOTAL:
            return tr("in total")


def rate(limit: Limit) -> str:
    """The amount and its period, such as "$2.00 a day"; where it counts in every server, that too."""
    amount = dollars(limit.micros)
    match limit.period, _everywhere(limit):
        case Period.DAY, True:
            return tr("{amount} a day over all servers", amount=amount)
        case Period.DAY, _:
            return tr("{amount} a day", amount=amount)
        case Period.MONTH, True:
            return tr("{amount} a month over all servers", amount=amount)
        case Period.MONTH, _:
            return tr("{amount} a month", amount=amount)
        case Period.TOTAL, True:
            return tr("{amount} in total over all servers", amount=amount)
        case _:
            return tr("{amount} in total", amount=amount)


def explain(hit: LimitHit) -> str:
    """The rule, the numbers and when it changes (as a Discord timestamp), for the member who was refused."""
    limit, most, usage = hit.limit, hit.limit.micros, hit.usage
    values = {
        "price": dollars(hit.price),
        "limit": name_of(limit),
        "spent": dollars(usage.spent),
        "held": dollars(usage.held),
        "most": dollars(most),
        "left": dollars(max(0, most - usage.total)),
    }
    if most == 0:
        why = tr("That costs {price}, and {limit} is {most}: it allows nothing.", **values)
        return together(why, _way_out(limit))
    if hit.price > most:
        why = tr("That costs {price}, and {limit} is {most}: too dear at any time.", **values)
        return together(why, _way_out(limit))
    if usage.total >= most and usage.spent + hit.price > most:
        why = tr(
            "That costs {price}, and {limit} is used up: {spent} spent and {held} held of {most}, so {left} is left.",
            **values,
        )
        return together(why, _again(hit))
    if usage.spent + hit.price > most:
        why = tr(
            "That costs {price}, and {limit} leaves too little: {spent} spent and {held} held of {most}, so "
            "{left} is left.",
            **values,
        )
        return together(why, _again(hit))
    # Not "wait until one ends": a clip that is finished is spent, and leaves as little.
    why = tr(
        "That costs {price}, and {limit} leaves too little, as tasks under way hold the rest: {spent} spent and "
        "{held} held of {most}, so {left} is left. A clip that fails or is cancelled gives its hold back "
        "(`/tasks cancel` is free as long as it waits).",
        **values,
    )
    return together(why, _else(hit))


def _again(hit: LimitHit) -> str:
    if hit.until >= FOREVER:
        never = tr("It never starts anew by itself.")
        return together(never, _way_out(hit.limit))
    return tr("It starts anew {when}.", when=_moment(hit))


def _else(hit: LimitHit) -> str:
    if hit.until >= FOREVER:
        return _way_out(hit.limit)
    return tr("Else it starts anew {when}.", when=_moment(hit))


def _way_out(limit: Limit) -> str:
    if limit.server_id == OPERATOR:
        return tr("Only the operator of this bot can raise it.")
    return tr("An admin of this server can raise it.")


def _moment(hit: LimitHit) -> str:
    return f"<t:{hit.until // 1000}:R>"


def window(period: Period, at: int, zone: tzinfo) -> Window:
    """The day or month of the zone's calendar that holds the moment `at` (milliseconds since 1970), or all time."""
    if period is Period.TOTAL:
        return Window(0, FOREVER)
    moment = datetime.fromtimestamp(at / 1000, zone)
    start = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if period is Period.DAY:
        end = start + timedelta(days=1)
    else:
        start = start.replace(day=1)
        end = (start + timedelta(days=32)).replace(day=1)
    return Window(_milliseconds(start), _milliseconds(end))


def _milliseconds(moment: datetime) -> int:
    # A zone may change its offset within the window: build the moment anew so that its own offset counts.
    return round(moment.replace(fold=0).timestamp() * 1000)
