"""What a period cost: its tasks in groups, which every total is a sum of. A task counts where it was held."""

from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import TypeVar

from babel import Locale
from babel.dates import format_skeleton

from bot.domain.errors import Refusal
from bot.domain.language import reader, tr
from bot.domain.limits import FOREVER, Period, Window, window
from bot.domain.task import TaskState

K = TypeVar("K", bound=Hashable)

_DAY = timedelta(days=1)
_LAST_DAYS = 30


class Result(StrEnum):
    """What has become of a clip, in the words of a report."""

    DELIVERED = "delivered"
    READY = "ready"
    RUNNING = "running"
    WAITING = "waiting"
    PARKED = "parked"
    FAILED = "failed"
    CANCELLED = "cancelled"


RESULTS: dict[TaskState, Result] = {
    TaskState.HELD: Result.WAITING,
    TaskState.SUBMITTING: Result.RUNNING,
    TaskState.QUEUED: Result.RUNNING,
    TaskState.PROCESSING: Result.RUNNING,
    TaskState.SUCCEEDED: Result.READY,
    TaskState.DELIVERED: Result.DELIVERED,
    TaskState.FAILED: Result.FAILED,
    TaskState.CANCELLED: Result.CANCELLED,
    TaskState.PARKED: Result.PARKED,
}


@dataclass(frozen=True, slots=True)
class Sums:
    """Micros, but for `clips`. `spent` went to providers, and `refunded` of it back to members besides.

    `held` is still set aside; `released` was given back without having been spent.
    """

    clips: int = 0
    spent: int = 0
    held: int = 0
    refunded: int = 0
    released: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.clips + other.clips,
            self.spent + other.spent,
            self.held + other.held,
            self.refunded + other.refunded,
            self.released + other.released,
        )


@dataclass(frozen=True, slots=True)
class Group:
    """Tasks that are alike in all of these; `format` is an id such as `hailuo-02/6/768p`."""

    server_id: int
    member_id: int
    model: str
    format: str
    provider: str
    result: Result
    sums: Sums


@dataclass(frozen=True, slots=True)
class Report:
    """Every group of the tasks that were held in `span`."""

    span: Window
    groups: tuple[Group, ...]

    @property
    def total(self) -> Sums:
        return sum((group.sums for group in self.groups), Sums())

    def by(self, key: Callable[[Group], K]) -> dict[K, Sums]:
        """The sums of one dimension, the dearest first; what is still held counts as dear as what is spent."""
        found: dict[K, Sums] = defaultdict(Sums)
        for group in self.groups:
            found[key(group)] += group.sums
        order = sorted(
            found.items(), key=lambda item: (item[1].spent + item[1].held, item[1].clips), reverse=True
        )
        return dict(order)


class Span(StrEnum):
    """The periods that a report can be asked for by name."""

    TODAY = "today"
    MONTH = "month"
    LAST_MONTH = "last-month"
    LAST_30_DAYS = "30d"
    ALL = "all"


def asked_for(
    period: str, at: int, zone: tzinfo, *, first: str | None = None, last: str | None = None
) -> Window:
    """The window of a report asked for at the moment `at` (milliseconds since 1970).

    `first` and `last` are days as people write them, both of them in the report; they replace
    `period`, a value of `Span`. `Refusal` where there is no such period.
    """
    if first is None and last is None:
        if period not in set(Span):
            raise Refusal(
                tr(
                    "`period`: found {found}, need one of {periods}.",
                    found=repr(period[:40]),
                    periods=", ".join(Span),
                )
            )
        return _named(Span(period), at, zone)
    today = day_of(at, zone)
    begin = None if first is None else _read_day("from", first, today, zone)
    end = today if last is None else _read_day("to", last, today, zone)
    if begin is not None and begin > end:
        raise Refusal(
            tr(
                "The report would begin on {first} and end on {last}, before it begins. Change one of the two days.",
                first=begin,
                last=end,
            )
        )
    return Window(0 if begin is None else start_of(begin, zone), start_of(end + _DAY, zone))


def _named(span: Span, at: int, zone: tzinfo) -> Window:
    match span:
        case Span.TODAY:
            return window(Period.DAY, at, zone)
        case Span.MONTH:
            return window(Period.MONTH, at, zone)
        case Span.LAST_MONTH:
            return window(Period.MONTH, window(Period.MONTH, at, zone).since - 1, zone)
        case Span.LAST_30_DAYS:
            today = window(Period.DAY, at, zone)
            return Window(start_of(day_of(at, zone) - (_LAST_DAYS - 1) * _DAY, zone), today.until)
        case Span.ALL:
            return window(Period.TOTAL, at, zone)


def _read_day(name: str, text: str, today: date, zone: tzinfo) -> date:
    try:
        day = datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=zone).date()
    except ValueError:
        raise Refusal(
            tr(
                "`{option}`: found {found}, need a day such as {today}.",
                option=name,
                found=repr(text[:40]),
                today=today,
            )
        ) from None
    if day > today:
        raise Refusal(
            tr(
                "`{option}`: {day} is yet to come; today is {today} ({zone}). Name today or a day before.",
                option=name,
                day=day,
                today=today,
                zone=zone,
            )
        )
    return day


def day_of(at: int, zone: tzinfo) -> date:
    """The day of the zone's calendar that holds a moment, milliseconds since 1970."""
    return datetime.fromtimestamp(at / 1000, zone).date()


def start_of(day: date, zone: tzinfo) -> int:
    """When a day of the zone's calendar begins, milliseconds since 1970; also where it has no midnight, or two."""
    return round(datetime.combine(day, time(), zone).timestamp() * 1000)


def name_of(span: Window, zone: tzinfo) -> str:
    """A window of whole days in words, such as "November 2026" or "2026-11-01 to 2026-11-20"."""
    if span.until >= FOREVER:
        return tr("everything so far")
    last = day_of(span.until - 1, zone)
    if span.since <= 0:
        return tr("everything until {day}", day=last)
    first = day_of(span.since, zone)
    if span == window(Period.MONTH, span.since, zone):
        return format_skeleton("yMMMM", first, locale=Locale.parse(reader(), sep="-"))
    return str(first) if first == last else tr("{first} to {last}", first=first, last=last)
