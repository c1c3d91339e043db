"""What was spent on each day of a calendar."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from bot.domain.limits import Window


@dataclass(frozen=True, slots=True)
class DaySpending:
    """One model's micros of one day: booked, still held, and given back of what was booked.

    A clip counts on the day on which its price was held.
    """

    day: date
    model: str
    spent: int
    held: int
    refunded: int

    @property
    def paid(self) -> int:
        """What counts against a budget: a refund does not bring the provider's money back."""
        return self.spent + self.held

    @property
    def borne(self) -> int:
        """What counts against a member: a refund gives the room back."""
        return self.paid - self.refunded


def days_of(span: Window, zone: tzinfo) -> tuple[date, ...]:
    """Every day of the zone's calendar that the window touches."""
    first, last = (
        datetime.fromtimestamp(moment / 1000, zone).date() for moment in (span.since, span.until - 1)
    )
    return tuple(first + timedelta(days=number) for number in range((last - first).days + 1))


def by_model(
    rows: Iterable[DaySpending], days: Sequence[date], amount: Callable[[DaySpending], int]
) -> dict[str, tuple[int, ...]]:
    """An amount for each of the days, by model in the order of their names; models without any are left out."""
    place = {day: number for number, day in enumerate(days)}
    found: dict[str, list[int]] = {}
    for row in sorted(rows, key=lambda row: row.model):
        found.setdefault(row.model, [0] * len(days))[place[row.day]] += amount(row)
    return {model: tuple(micros) for model, micros in found.items() if any(micros)}
