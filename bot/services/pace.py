"""A token bucket: so many calls a minute, with a small burst, on a clock that is passed in."""

from collections.abc import Callable


class Pace:
    """`per_minute` calls on average, at most a sixth of them at once."""

    def __init__(self, per_minute: int, monotonic: Callable[[], float]) -> None:
        self._rate = per_minute / 60
        self._burst = max(1.0, per_minute / 6)
        self._monotonic = monotonic
        self._tokens = self._burst
        self._at = monotonic()

    def available(self) -> int:
        """Whole calls that may be made now."""
        now = self._monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return int(self._tokens)

    def take(self) -> None:
        self._tokens -= 1

    def wait(self) -> float:
        """Seconds until the next call may be made."""
        return max(0.0, (1 - self._tokens) / self._rate)
