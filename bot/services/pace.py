"""A token bucket: at most so many calls in any minute, with a small burst, on a clock that is passed in."""

from collections.abc import Callable

from bot.domain.catalog import Catalog


class Pace:
    """At most `per_minute` calls in any minute, and at most a sixth of them at once."""

    def __init__(self, per_minute: int, monotonic: Callable[[], float]) -> None:
        self._burst = max(1.0, per_minute / 6)
        # What a full bucket gives at once comes on top of what flows in, so that much less flows.
        self._rate = (per_minute - self._burst + 1) / 60
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


class Paces:
    """One pace for each provider, by name."""

    def __init__(self, catalog: Catalog, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._paces = {
            name: Pace(rules.requests_per_minute, monotonic) for name, rules in catalog.providers.items()
        }

    def of(self, provider: str) -> Pace:
        """A provider that is in today's catalog no more is asked once a second."""
        return self._paces.setdefault(provider, Pace(60, self._monotonic))
