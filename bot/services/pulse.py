"""A sign that something still goes round, read from elsewhere: another task, or another thread."""

import time
from collections.abc import Callable


class Pulse:
    """`beats` only grows; 0 as long as nothing has begun."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._last = 0.0
        self.beats = 0

    def beat(self) -> None:
        self._last = self._monotonic()
        self.beats += 1

    @property
    def age(self) -> float | None:
        """Seconds since the last beat; None before the first."""
        return self._monotonic() - self._last if self.beats else None
