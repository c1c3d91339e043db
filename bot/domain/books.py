"""What the books promise of every task, and what disagrees where its entries do not keep it."""

from collections.abc import Iterator
from dataclasses import dataclass

from bot.domain.money import dollars
from bot.domain.task import TaskState

#: A cost is booked for these, whatever it is.
_MADE = frozenset({TaskState.SUCCEEDED, TaskState.DELIVERED})
#: What holds of a task after which its hold is gone.
_ENDED = _MADE | {TaskState.FAILED, TaskState.CANCELLED}


@dataclass(frozen=True, slots=True)
class TaskBooks:
    """A task with what its entries add up to: numbers of entries of each kind, and micros.

    `astray` are entries of another server, member or moment than the task's; `misfits` carry amounts that their
    kind has not. `hold_micros` is what the hold alone says; `held_micros` is left of it.
    """

    task_id: str
    state: TaskState
    price_micros: int
    entries: int
    holds: int
    settles: int
    releases: int
    refunds: int
    astray: int
    misfits: int
    hold_micros: int
    held_micros: int
    spent_micros: int
    refunded_micros: int


def disagreements(books: TaskBooks) -> Iterator[str]:
    """Everything about one task that is not as it must be, each as a clause such as "it has 2 holds, not one"."""
    if books.holds != 1:
        yield f"it has {books.holds or 'no'} hold{'s' * (books.holds != 1)}, not one"
    elif books.hold_micros != books.price_micros:
        yield f"{dollars(books.hold_micros)} was held for it, and its price is {dollars(books.price_micros)}"
    yield from _end(books)
    left = 0 if books.state in _ENDED else books.price_micros
    if books.held_micros != left:
        yield f"{dollars(books.held_micros)} is still held for it, not {dollars(left)}"
    yield from _refund(books)
    if books.astray:
        yield f"{_entries(books.astray)} of another server, member or time than the task's"
    if books.misfits:
        yield f"{_entries(books.misfits)} with amounts that such an entry cannot have"


def _end(books: TaskBooks) -> Iterator[str]:
    ends = books.settles + books.releases
    both = f"{books.settles} settle and {books.releases} release entries"
    if books.state not in _ENDED:
        if ends:
            yield f"it is not over, and has {both}"
    elif ends != 1:
        yield f"it is over, and has {both}, not one of them"
    elif books.state in _MADE and not books.settles:
        yield "its clip was made, and its hold was released instead of settled"


def _refund(books: TaskBooks) -> Iterator[str]:
    if books.refunds > 1:
        yield f"it was refunded {books.refunds} times"
    if books.refunds and not books.settles:
        yield f"{dollars(books.refunded_micros)} was refunded, and no cost was ever booked"
    elif books.refunded_micros > books.spent_micros:
        yield f"{dollars(books.refunded_micros)} was refunded of {dollars(books.spent_micros)} spent"


def _entries(number: int) -> str:
    return f"it has {number} {'entry' if number == 1 else 'entries'}"


@dataclass(frozen=True, slots=True)
class Charge:
    """A task for which the provider says that it charged something else than was booked, in micros."""

    task_id: str
    state: TaskState
    provider: str
    charged_micros: int
    booked_micros: int


@dataclass(frozen=True, slots=True)
class PriceGap:
    """Clips for which a provider charged something else than the catalog's price, in micros."""

    provider: str
    format: str
    list_micros: int
    charged_micros: int
    clips: int
