"""Money limits: who may spend how much in which window, and what a limit says when it stands in the way."""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum

from bot.domain.money import dollars


class Scope(StrEnum):
    MEMBER = "member"
    SERVER = "server"
    PROVIDER = "provider"
    BOT = "bot"


class Period(StrEnum):
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Window:
    """From `since` to just before `until`, milliseconds since 1970."""

    since: int
    until: int


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `micros` in each period; `subject` "" means each member, server or provider of the scope."""

    scope: Scope
    period: Period
    micros: int
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What counts in a window, in micros: booked, and set aside for tasks still under way."""

    spent: int
    held: int

    @property
    def total(self) -> int:
        return self.spent + self.held


@dataclass(frozen=True, slots=True)
class LimitHit:
    """A limit that `price` micros more would pass; `until` is when its window ends, milliseconds since 1970."""

    limit: Limit
    usage: Usage
    price: int
    until: int


_NAMES = {
    (Scope.MEMBER, Period.DAY): "your limit for one day",
    (Scope.MEMBER, Period.MONTH): "your limit for one month",
    (Scope.SERVER, Period.DAY): "this server's budget for one day",
    (Scope.SERVER, Period.MONTH): "this server's budget for one month",
    (Scope.PROVIDER, Period.DAY): "the operator's budget for this provider and one day",
    (Scope.PROVIDER, Period.MONTH): "the operator's budget for this provider and one month",
    (Scope.BOT, Period.DAY): "the operator's budget for one day",
    (Scope.BOT, Period.MONTH): "the operator's budget for one month",
}


def explain(hit: LimitHit) -> str:
    """The rule, the numbers and when it changes (as a Discord timestamp), for the member who was refused."""
    name, most, usage = _NAMES[hit.limit.scope, hit.limit.period], hit.limit.micros, hit.usage
    price, left = dollars(hit.price), dollars(max(0, most - usage.total))
    numbers = (
        f"{dollars(usage.spent)} spent and {dollars(usage.held)} held of {dollars(most)}, so {left} is left"
    )
    again = f"<t:{hit.until // 1000}:R>"
    if hit.price > most:
        return (
            f"That costs {price}, and {name} is {dollars(most)}: too dear at any time. "
            "Choose a cheaper format, or fewer clips."
        )
    if usage.spent + hit.price > most:
        return (
            f"That costs {price}, and {name} is used up: {numbers}. It starts anew {again}; "
            "until then choose a cheaper format, if one fits."
        )
    return (
        f"That costs {price}, and tasks under way hold the rest of {name}: {numbers}. Wait until one of them "
        f"ends, or until the limit starts anew {again}."
    )


def window(period: Period, at: int, zone: tzinfo) -> Window:
    """The day or month of the zone's calendar that holds the moment `at` (milliseconds since 1970)."""
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
