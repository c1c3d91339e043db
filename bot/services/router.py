"""Chooses among the providers: the cheapest first, none that keeps failing, never above the held price."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bot.domain.catalog import Catalog, Format, Mode, Offer
from bot.domain.errors import ProviderClosed, ProviderError

log = logging.getLogger(__name__)

#: Failures in a row that let a provider rest.
_PATIENCE = 5
_FIRST_REST, _LONGEST_REST = 60.0, 1800.0
#: A key or balance is not mended in a minute.
_CLOSED_REST = 900.0


@dataclass(slots=True)
class _Health:
    """How one provider did lately. `until` is on the monotonic clock, seconds."""

    failures: int = 0
    rest: float = 0.0
    until: float = 0.0
    why: str = ""


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

    def offers(self, mode: Mode, chosen: Format, *, without: Iterable[str] = ()) -> list[Offer]:
        """Offers of enabled providers that are not resting, cheapest first, then in the operator's order."""
        left = set(without)
        return [
            offer
            for offer in self._catalog.offers_for(mode, chosen, self._providers)
            if offer.provider not in left and self.resting(offer.provider) is None
        ]

    def resting(self, provider: str) -> str | None:
        """Why a provider gets no new jobs now, or None where it does."""
        health = self._health.get(provider)
        return health.why if health and self._monotonic() < health.until else None

    def well(self, provider: str) -> None:
        """A submit was accepted: what went before is forgotten."""
        health = self._health.pop(provider, None)
        if health and health.until:
            self._tell(f"{provider} takes jobs again.")

    def failed(self, provider: str, error: ProviderError) -> None:
        """A submit was not accepted. A refused key or empty balance rests at once, other trouble after a while."""
        health = self._health.setdefault(provider, _Health())
        health.failures += 1
        closed = isinstance(error, ProviderClosed)
        first = not health.until
        # One that has rested before gets a single try: it rests again at the first failure.
        if first and not closed and health.failures < _PATIENCE:
            return
        health.rest = _CLOSED_REST if closed else min(_LONGEST_REST, max(_FIRST_REST, health.rest * 2))
        health.until = self._monotonic() + health.rest
        health.why = str(error)
        health.failures = 0
        if first:
            self._tell(f"{provider} gets no new jobs for {health.rest / 60:.0f} minutes at least: {error}")
