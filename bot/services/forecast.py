"""When a clip will be ready, from how long the last ones took: for the first status read, and for the member."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from bot.domain.catalog import Format
from bot.domain.task import Task

#: Fewer clips than this say too little.
_ENOUGH = 5
REMEMBERED = 50
#: The share of clips that may be ready before the first read.
_EARLY = 0.05
_LATE = 0.95
#: The pause around the expected end, as a share of the usual one.
_CLOSE = 0.75
#: The share of its age at which a clip that the first read found ready is believed to have been so.
_DOUBT = 0.9


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
        kept = self._durations.setdefault(kind, deque(maxlen=REMEMBERED))
        kept.extend(duration for duration in durations if duration >= 0)

    def noticed(self, kind: Kind, elapsed: int, *, first_read: bool) -> None:
        """A clip of this age was found ready. At the first read it may have been ready for a while.

        Without that doubt the forecast could only ever grow: nobody looks earlier than it says.
        """
        self.learn(kind, [round(elapsed * _DOUBT) if first_read else elapsed])

    def knows(self, kind: Kind) -> bool:
        return len(self._durations.get(kind, ())) >= _ENOUGH

    def until_read(self, kind: Kind, elapsed: int, usual_pause: float) -> float:
        """Seconds until a status read is worth its call: none before the first clips of this kind were ready.

        Around the expected end it is shorter than `usual_pause`, because that is where the saved reads do some good.
        """
        if not self.knows(kind):
            return usual_pause
        ordered = sorted(self._durations[kind])
        first, last = _quantile(ordered, _EARLY), _quantile(ordered, _LATE)
        close = usual_pause * _CLOSE
        if elapsed < first:
            return max((first - elapsed) / 1000, close)
        return close if elapsed <= last else usual_pause

    def remaining(self, kind: Kind, elapsed: int) -> int | None:
        """Milliseconds a clip of this age still takes, in the middle of those that took longer; None if unknown."""
        if not self.knows(kind):
            return None
        longer = sorted(duration for duration in self._durations[kind] if duration > elapsed)
        return _quantile(longer, 0.5) - elapsed if longer else None


def _quantile(ordered: list[int], share: float) -> int:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
