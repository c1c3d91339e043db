"""What `/metrics` tells, in Prometheus' own format; of nobody in particular: no ids, no servers, no words."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from bot.domain.errors import (
    ContentRefused,
    JobNotFound,
    JobRejected,
    NotAVideo,
    OutcomeUnknown,
    ProviderBusy,
    ProviderClosed,
    StorageError,
)
from bot.domain.task import TaskState
from storage.figures import Figures, FigureStore

log = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Seconds.
_FRESH, _PATIENCE = 15.0, 5.0
#: The first that fits counts.
_KINDS: Sequence[tuple[type[Exception], str]] = (
    (ContentRefused, "content_refused"),
    (JobRejected, "rejected"),
    (ProviderBusy, "busy"),
    (OutcomeUnknown, "unknown"),
    (ProviderClosed, "closed"),
    (JobNotFound, "no_such_job"),
    (NotAVideo, "not_a_video"),
)
_CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_POSTING_SECONDS = (1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 900, 3600, 86_400)


class Metrics:
    """Counts what passes by, and asks the database, seldom and aside, for the rest."""

    def __init__(
        self,
        figures: FigureStore,
        connected: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = figures
        self._connected = connected
        self._monotonic = monotonic
        self._figures: Figures | None = None
        self._asked: float | None = None
        self._asking = asyncio.Lock()
        self._registry = CollectorRegistry()
        self._calls = Histogram(
            "conch_provider_call_seconds",
            "How long calls of providers took, with all their tries.",
            ["provider", "call"],
            registry=self._registry,
            buckets=_CALL_SECONDS,
        )
        self._errors = Counter(
            "conch_provider_errors",
            "Calls of providers that failed, or jobs whose status could not be read.",
            ["provider", "kind"],
            registry=self._registry,
        )
        self._posting = Histogram(
            "conch_posting_delay_seconds",
            "From the read that found a clip ready to its message.",
            registry=self._registry,
            buckets=_POSTING_SECONDS,
        )
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def called(self, provider: str, call: str, seconds: float, failed: Sequence[Exception]) -> None:
        self._calls.labels(provider, call).observe(seconds)
        for error in failed:
            kind = next((kind for type_, kind in _KINDS if isinstance(error, type_)), "other")
            self._errors.labels(provider, kind).inc()

    def posted(self, delay: int) -> None:
        """A clip was posted, that many milliseconds after it was found ready."""
        self._posting.observe(max(0, delay) / 1000)

    async def text(self) -> bytes:
        await self._ask()
        # Some thousand lines, written aside.
        return await asyncio.to_thread(generate_latest, self._registry)

    async def _ask(self) -> None:
        """Whoever asks meanwhile waits for the same answer; a database that gives none leaves its figures out."""
        async with self._asking:
            now = self._monotonic()
            if self._asked is not None and now - self._asked < _FRESH:
                return
            try:
                async with asyncio.timeout(_PATIENCE):
                    self._figures = await self._store.read()
            except (StorageError, TimeoutError) as error:
                self._figures = None
                log.warning("/metrics is without the database's figures: %s", error or type(error).__name__)
            self._asked = self._monotonic()

    def collect(self) -> Iterable[Metric]:
        """For the registry: what is known only when somebody asks."""
        yield GaugeMetricFamily(
            "conch_gateway_connected", "Whether Discord is connected.", value=float(self._connected())
        )
        if (figures := self._figures) is None:
            return
        tasks = GaugeMetricFamily("conch_tasks", "Tasks by state, all there are.", labels=["state"])
        for state in TaskState:
            tasks.add_metric([state.value], figures.tasks.get(state.value, 0))
        yield tasks
        yield GaugeMetricFamily(
            "conch_queue_length", "Tasks that wait for their turn alone.", value=figures.waiting
        )
        spent = CounterMetricFamily(
            "conch_spent_dollars", "What providers charged, by the ledger.", labels=["provider"]
        )
        for provider, micros in sorted(figures.spent_micros.items()):
            spent.add_metric([provider], micros / 1_000_000)
        yield spent
