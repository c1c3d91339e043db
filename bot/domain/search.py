"""What an admin looks for among a server's tasks, or a member among the own."""

from dataclasses import dataclass
from enum import StrEnum

from bot.domain.catalog import Mode
from bot.domain.limits import Window
from bot.domain.task import FINAL, RUNNING, Task, TaskState

_HOUR = 3_600_000
_DAY = 24 * _HOUR


class Stage(StrEnum):
    """States as people see them."""

    WAITING = "waiting"
    RUNNING = "running"
    READY = "ready"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PARKED = "parked"
    OPEN = "open"
    ANY = "any"


STAGES: dict[Stage, frozenset[TaskState]] = {
    Stage.WAITING: frozenset({TaskState.HELD}),
    Stage.RUNNING: RUNNING,
    Stage.READY: frozenset({TaskState.SUCCEEDED}),
    Stage.DELIVERED: frozenset({TaskState.DELIVERED}),
    Stage.FAILED: frozenset({TaskState.FAILED}),
    Stage.CANCELLED: frozenset({TaskState.CANCELLED}),
    Stage.PARKED: frozenset({TaskState.PARKED}),
    Stage.OPEN: frozenset(TaskState) - FINAL,
    Stage.ANY: frozenset(TaskState),
}


class Age(StrEnum):
    """How long before the search a task was asked for; `STALE` is over a day, and only what is still open."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    STALE = "stale"
    ANY = "any"


_SPANS = {Age.HOUR: _HOUR, Age.DAY: _DAY, Age.WEEK: 7 * _DAY, Age.MONTH: 30 * _DAY}


@dataclass(frozen=True, slots=True)
class Search:
    """One server's tasks, of one member or of all, as they were asked for up to `at` (milliseconds since 1970)."""

    server_id: int
    at: int
    member_id: int | None = None
    stage: Stage = Stage.ANY
    age: Age = Age.ANY
    mode: Mode | None = None

    @property
    def window(self) -> Window:
        if self.age is Age.STALE:
            return Window(0, self.at - _DAY)
        return Window(self.at - _SPANS[self.age] if self.age in _SPANS else 0, self.at + 1)


@dataclass(frozen=True, slots=True)
class Booked:
    """What the ledger says of a task, in micros: its cost and what was refunded of it; None for no such entry."""

    cost: int | None = None
    refund: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    task: Task
    booked: Booked
