"""Chooses among the providers: the cheapest first, none that keeps failing, never above the held price."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.domain.catalog import Catalog, Format, Mode, Offer
from bot.domain.errors import ProviderBusy, ProviderClosed, ProviderError

#: Failures in a row that let a provider rest.
_PATIENCE = 5
_FIRST_REST, _LONGEST_REST = 60.0, 1800.0
#: A key or balance is not mended in a minute.
_CLOSED_REST = 900.0
#: Seconds after which a task that waits for a rest to end looks again.
_LOOK_AGAIN = 60.0


@dataclass(slots=True)
class _Health:
    """How one provider did lately. `until` is on the monotonic clock, seconds; `trying`: one job tests it."""

    failures: int = 0
    rest: float = 0.0
    until: float = 0.0
    why: str = ""
    closed: bool = False
    trying: bool = False


class Router:
    """A circuit breaker per provider, and the order of the offers. `tell` reaches the operator."""

    def __init__(
        self,
        catalog: Catalog,
        providers: Sequence[str],
        *,
        monotonic: Callable[[], float],
        tell: Callable[[str], None],
    ) -> None:
        self._catalog = catalog
        self._providers = list(providers)
        self._monotonic = monotonic
        self._tell = tell
        self._health: dict[str, _Health] = {}

    def order(self, mode: Mode, chosen: Format) -> list[Offer]:
        """Offers of all enabled providers, cheapest first, then in the operator's order."""
        return self._catalog.offers_for(mode, chosen, self._providers)

    def offers(self, mode: Mode, chosen: Format) -> list[Offer]:
        """The same without the providers that rest."""
        return [offer for offer in self.order(mode, chosen) if self.resting(offer.provider) is None]

    def resting(self, provider: str) -> str | None:
        """Why a provider gets no new jobs now, or None where it does."""
        health = self._health.get(provider)
        return health.why if health and self._monotonic() < health.until else None

    def admit(self, provider: str) -> ProviderBusy | None:
        """Why a job may not be sent now; None where it may, and after a rest it is the only one until it is known.

        A try that never comes to an end counts for no longer than the shortest rest.
        """
        health = self._health.get(provider)
        if health is None or not health.until:
            return None
        left = health.until - self._monotonic()
        if left > 0:
            return ProviderBusy(health.why, retry_after=None if health.trying else min(left, _LOOK_AGAIN))
        health.trying, health.until = True, self._monotonic() + _FIRST_REST
        return None

    def well(self, provider: str) -> None:
        """A submit was accepted: what went before is forgotten."""
        health = self._health.pop(provider, None)
        if health and health.until:
            self._tell(f"{provider} takes jobs again.")

    def failed(self, provider: str, error: ProviderError) -> None:
        """A submit came to nothing. A refused key or empty balance rests at once, other trouble after a while."""
        health = self._health.setdefault(provider, _Health())
        newly_closed = isinstance(error, ProviderClosed) and not health.closed
        if self._monotonic() < health.until and not health.trying and not newly_closed:
            return  # sent before the rest began
        health.failures += 1
        first = not health.until
        # One that has rested before gets a single try: it rests again at the first failure.
        if first and not newly_closed and health.failures < _PATIENCE:
            return
        closed = isinstance(error, ProviderClosed)
        health.rest = _CLOSED_REST if closed else min(_LONGEST_REST, max(_FIRST_REST, health.rest * 2))
        health.until = self._monotonic() + health.rest
        health.why, health.closed, health.trying = str(error), health.closed or closed, False
        if first or newly_closed:
            self._tell(f"{provider} gets no new jobs for at least {health.rest / 60:.0f} min: {error}")
