"""When a task is looked at next: pauses that grow, a deadline, and what the last clips teach."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from bot.domain.ports import Clock
from bot.domain.task import Task
from bot.services.forecast import Forecast, Kind

_GROWTH = 1.25
#: More reads than this let no pause grow any more; the power itself would leave the floats.
_GROWN = 20
#: The pause between reads grows to this many first pauses.
_SLOWEST = 3
_LONGEST_PAUSE = 900
#: Seconds.
PARKED = 300
#: A key or balance is not mended in seconds.
CLOSED = 60


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decides: the first pause between reads, when a task is parked, running tasks a member."""

    poll_seconds: float = 5
    deadline_minutes: float = 60
    user_concurrency: int = 2


class Timetable:
    def __init__(
        self, rules: Rules, clock: Clock, forecast: Forecast, *, jitter: Callable[[], float] = random.random
    ) -> None:
        self._poll = rules.poll_seconds
        self._deadline = round(rules.deadline_minutes * 60_000)
        self._forecast = forecast
        self._jitter = jitter
        self.user_concurrency = rules.user_concurrency
        self.now = clock

    @property
    def deadline_minutes(self) -> int:
        return self._deadline // 60_000

    def after(self, seconds: float) -> int:
        """The due time that many seconds from now, at most a quarter of an hour."""
        return self.now() + round(min(seconds, _LONGEST_PAUSE) * 1000)

    def pause(self, task: Task) -> float:
        """Seconds until a repetition: grows with every one, jittered so that tasks do not march in step."""
        return self._jittered(min(self._poll * _GROWTH ** min(task.polls, _GROWN), self._poll * _SLOWEST))

    def until_read(self, task: Task) -> float:
        """Seconds until the next status read of an accepted task."""
        kind = Kind.of(task)
        if not self._forecast.knows(kind):
            return self.pause(task)
        return self._forecast.until_read(kind, self.age(task), self._jittered(self._poll))

    def ready_at(self, task: Task) -> int | None:
        """When a clip at a provider should be ready, in whole ten seconds; None where too few were made to tell."""
        remaining = self._forecast.remaining(Kind.of(task), self.age(task))
        if task.submitted_at is None or remaining is None:
            return None
        return (self.now() + remaining) // 10_000 * 10_000

    def percent(self, task: Task) -> int | None:
        """How far a clip at a provider should be, by the same clips; None where too few were made to tell."""
        kind, age = Kind.of(task), self.age(task)
        if task.submitted_at is None or not self._forecast.knows(kind):
            return None
        remaining = self._forecast.remaining(kind, age)
        return 100 if remaining is None else age * 100 // max(1, age + remaining)

    def overdue(self, task: Task) -> bool:
        return self.age(task) > self._deadline

    def waits_too_long(self, task: Task) -> bool:
        """For one that nobody took so far."""
        since = task.created_at if task.waiting_since is None else task.waiting_since
        return self.now() - since > self._deadline

    def age(self, task: Task) -> int:
        """Milliseconds since it was sent, or else asked for."""
        return self.now() - (task.submitted_at if task.submitted_at is not None else task.created_at)

    def learn(self, task: Task) -> None:
        """A clip was found ready just now."""
        if task.submitted_at is not None and not self.overdue(task):
            self._forecast.noticed(Kind.of(task), self.age(task), first_read=task.polls == 0)

    def _jittered(self, seconds: float) -> float:
        return seconds * (0.9 + 0.2 * self._jitter())
