"""When a clip will be ready, from how long the last ones took: for the first status read, and for the member."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from bot.domain.catalog import Format
from bot.domain.task import Task

#: Fewer clips than this say too little.
_ENOUGH = 5
_REMEMBERED = 50
#: The share of clips that may be ready before the first read.
_EARLY = 0.05
_LATE = 0.95
#: The pause around the expected end, as a share of the usual one.
_CLOSE = 0.75


@dataclass(frozen=True, slots=True)
class Kind:
    """Clips that take about as long as each other."""

    provider: str
    format: Format

    @classmethod
    def of(cls, task: Task) -> "Kind":
        return cls(task.provider, task.format)


class Forecast:
    """Durations from submit to success, in milliseconds, the newest of each kind."""

    def __init__(self) -> None:
        self._durations: dict[Kind, deque[int]] = {}

    def learn(self, kind: Kind, durations: Iterable[int]) -> None:
        kept = self._durations.setdefault(kind, deque(maxlen=_REMEMBERED))
        kept.extend(duration for duration in durations if duration >= 0)

    def until_read(self, kind: Kind, elapsed: int, usual_pause: float) -> float:
        """Seconds until a status read is worth its call: none before the first clips of this kind were ready.

        Around the expected end it is shorter than `usual_pause`, because that is where the saved reads do some good.
        """
        known = self._durations.get(kind, ())
        if len(known) < _ENOUGH:
            return usual_pause
        ordered = sorted(known)
        first, last = _quantile(ordered, _EARLY), _quantile(ordered, _LATE)
        close = usual_pause * _CLOSE
        if elapsed < first:
            return max((first - elapsed) / 1000, close)
        return close if elapsed <= last else usual_pause

    def remaining(self, kind: Kind, elapsed: int) -> int | None:
        """Milliseconds a clip of this age still takes, in the middle of those that took longer; None if unknown."""
        known = self._durations.get(kind, ())
        if len(known) < _ENOUGH:
            return None
        longer = sorted(duration for duration in known if duration > elapsed)
        return _quantile(longer, 0.5) - elapsed if longer else None


def _quantile(ordered: list[int], share: float) -> int:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
