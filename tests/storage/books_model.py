"""What the books should say, in plain dicts: with a calendar, a choice of limits and sums of its own."""

from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from bot.domain.limits import FOREVER, OPERATOR, Limit, Period, Scope
from bot.domain.task import TaskState

#: No month is longer, in milliseconds.
MONTH = 32 * 86_400_000
#: The server, the limit's owner, its period, the start of its window and the step, in percent.
AlarmKey = tuple[int, int, str, int, int, int]


@dataclass(frozen=True)
class Order:
    """A command of a member at a moment: so many clips, each at this price."""

    number: int
    at: int
    member: int
    server: int
    provider: str
    price: int
    count: int

    @property
    def total(self) -> int:
        return self.price * self.count


@dataclass
class Clip:
    """A task as the books know it: whose it is, and what it holds and has cost."""

    order: Order
    provider: str
    waits: bool
    state: TaskState = TaskState.HELD
    job: bool = False
    held: int = 0
    spent: int = 0
    refunded: int = 0


@lru_cache(maxsize=100_000)
def calendar(at: int, zone: str, period: Period) -> tuple[int, ...]:
    """The day or month that a wall calendar of the zone shows."""
    day = datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).date()
    return (day.year, day.month, day.day)[: {Period.DAY: 3, Period.MONTH: 2, Period.TOTAL: 0}[period]]


def window_of(at: int, zone: str, period: Period) -> tuple[int, int]:
    """The first moment on which the calendar shows the same, and the first after it: found by looking."""
    if period is Period.TOTAL:
        return 0, FOREVER
    around = range(at - MONTH, at + MONTH)
    shown = calendar(at, zone, period)
    first = bisect_left(around, shown, key=lambda moment: calendar(moment, zone, period))
    after = bisect_right(around, shown, key=lambda moment: calendar(moment, zone, period))
    return around[first], around[after]


@dataclass
class Model:
    """Everything that decides whether a command may pass, and what came of those that did."""

    clips: dict[str, Clip] = field(default_factory=dict)
    operators: list[Limit] = field(default_factory=list)
    admins: dict[tuple[int, Scope, str, Period], Limit] = field(default_factory=dict)
    roles: dict[tuple[int, int], frozenset[int]] = field(default_factory=dict)
    zones: dict[int, str] = field(default_factory=dict)
    pauses: dict[int, str | None] = field(default_factory=dict)
    asks_above: dict[int, int | None] = field(default_factory=dict)
    alarms: dict[AlarmKey, tuple[int, int]] = field(default_factory=dict)

    # -------------------------------------------------------------- which limits decide

    def deciding(self, order: Order) -> list[Limit]:
        """Every limit that stands over a command."""
        whose = {Scope.MEMBER: str(order.member), Scope.SERVER: str(order.server), Scope.BOT: ""}
        whose[Scope.PROVIDER] = order.provider
        found = [limit for limit in self.operators if limit.subject in {"", whose[limit.scope]}]
        for period in Period:
            found += self._personal(order, period)
            found += self._set_for(order.server, [(Scope.SERVER, "")], period)
        return found

    def _personal(self, order: Order, period: Period) -> list[Limit]:
        """The server's word on what a member may spend: the member's own, else the best role's, else everyone's."""
        roles = self.roles.get((order.server, order.member), frozenset())
        own, best = [(Scope.MEMBER, str(order.member))], [(Scope.ROLE, str(role)) for role in roles]
        for group in (own, best, [(Scope.MEMBER, "")]):
            if found := self._set_for(order.server, group, period):
                return [max(found, key=lambda limit: limit.micros)]
        return []

    def _set_for(self, server: int, group: list[tuple[Scope, str]], period: Period) -> list[Limit]:
        keys = [(server, scope, subject, period) for scope, subject in group]
        return [self.admins[key] for key in keys if key in self.admins]

    # -------------------------------------------------------------- what counts against them

    def zone(self, limit: Limit, server: int) -> str:
        return "UTC" if limit.server_id == OPERATOR else self.zones.get(server, "UTC")

    def used(self, limit: Limit, order: Order) -> int:
        """What clips hold and have cost on the same day or month of the same calendar."""
        zone = self.zone(limit, order.server)
        shown = calendar(order.at, zone, limit.period)
        return sum(
            clip.held
            + clip.spent
            - (clip.refunded if limit.scope in {Scope.MEMBER, Scope.ROLE} and limit.server_id else 0)
            for clip in self.clips.values()
            if _shared(limit, clip, order) and calendar(clip.order.at, zone, limit.period) == shown
        )

    def rooms(self, order: Order) -> list[tuple[int, Limit]]:
        return [(limit.micros - self.used(limit, order), limit) for limit in self.deciding(order)]

    def room(self, order: Order) -> int | None:
        return min((room for room, _ in self.rooms(order)), default=None)

    def fits(self, order: Order) -> bool:
        room = self.room(order)
        return order.total == 0 or room is None or order.total <= room

    def fits_provider(self, order: Order) -> bool:
        """Whether another provider's budget leaves room for one clip that it is given."""
        rooms = [room for room, limit in self.rooms(order) if limit.scope is Scope.PROVIDER]
        return order.price == 0 or all(order.price <= room for room in rooms)

    # -------------------------------------------------------------- what comes of it

    def place(self, order: Order, ids: list[str]) -> None:
        """The command passes: its alarms, and its holds."""
        for limit, used in self._budgets(order):
            for step in (50, 80, 100):
                if order.total and (used + order.total) / limit.micros >= step / 100:
                    self._alarm(order, limit, step, used + order.total)
        asks_above = self.asks_above.get(order.server)
        waits = asks_above is not None and order.price > asks_above
        for key in ids:
            self.clips[key] = Clip(order, order.provider, waits, held=order.price)

    def refuse_for_good(self, order: Order) -> None:
        for limit, used in self._budgets(order):
            if used < limit.micros < used + order.price and order.price <= limit.micros:
                self._alarm(order, limit, 101, used)

    def _budgets(self, order: Order) -> list[tuple[Limit, int]]:
        limits = [limit for limit in self.deciding(order) if limit.scope is Scope.SERVER and limit.micros]
        return [(limit, self.used(limit, order)) for limit in limits]

    def _alarm(self, order: Order, limit: Limit, step: int, used: int) -> None:
        since, _ = window_of(order.at, self.zone(limit, order.server), limit.period)
        key = (order.server, limit.server_id, limit.period.value, since, limit.micros, step)
        self.alarms.setdefault(key, (used, order.at))

    def end(self, key: str, state: TaskState, cost: int) -> None:
        clip = self.clips[key]
        clip.state, clip.held, clip.spent = state, 0, cost

    def sums(self) -> dict[tuple[int, int, str], tuple[int, int, int]]:
        """Held, spent and refunded by server, member and provider."""
        held, spent, refunded = Counter[object](), Counter[object](), Counter[object]()
        keys = {(clip.order.server, clip.order.member, clip.provider) for clip in self.clips.values()}
        for clip in self.clips.values():
            key = (clip.order.server, clip.order.member, clip.provider)
            held[key] += clip.held
            spent[key] += clip.spent
            refunded[key] += clip.refunded
        return {key: (held[key], spent[key], refunded[key]) for key in keys}


def _shared(limit: Limit, clip: Clip, order: Order) -> bool:
    """Whether a clip counts against the same limit as a command."""
    if limit.server_id != OPERATOR and clip.order.server != order.server:
        return False
    return {
        Scope.MEMBER: clip.order.member == order.member,
        Scope.ROLE: clip.order.member == order.member,
        Scope.SERVER: clip.order.server == order.server,
        Scope.PROVIDER: clip.provider == order.provider,
        Scope.BOT: True,
    }[limit.scope]
