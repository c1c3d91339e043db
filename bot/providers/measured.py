"""A provider whose calls are measured; it does nothing else."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bot.domain.errors import ProviderError
from bot.domain.ports import Job, Provider, ProviderEvent, Report
from bot.domain.published import Published

#: Is told the provider, the call, how many seconds it took with all its tries, and how it failed, once or for each
#: of several jobs.
Seen = Callable[[str, str, float, Sequence[Exception]], None]


class Measured:
    def __init__(self, inner: Provider, seen: Seen, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.name = inner.name
        self.recovers = inner.recovers
        self.batch = inner.batch
        self._inner = inner
        self._seen = seen
        self._monotonic = monotonic

    def request(self, job: Job) -> bytes:
        return self._inner.request(job)

    async def submit(self, body: bytes, *, key: str) -> Report:
        with self._measured("submit"):
            return await self._inner.submit(body, key=key)

    async def recover(self, body: bytes, *, key: str, since: int, known: frozenset[str]) -> Report:
        with self._measured("recover"):
            return await self._inner.recover(body, key=key, since=since, known=known)

    async def find(self, key: str) -> Report | None:
        with self._measured("find"):
            return await self._inner.find(key)

    async def status(self, job_id: str) -> Report:
        with self._measured("status"):
            return await self._inner.status(job_id)

    async def statuses(self, job_ids: Sequence[str]) -> dict[str, Report | ProviderError]:
        with self._measured("status") as failed:
            outcomes = await self._inner.statuses(job_ids)
            failed += [outcome for outcome in outcomes.values() if isinstance(outcome, ProviderError)]
            return outcomes

    async def events(self, job_id: str) -> list[ProviderEvent]:
        with self._measured("events"):
            return await self._inner.events(job_id)

    async def download(self, url: str, to: Path) -> None:
        with self._measured("download"):
            await self._inner.download(url, to)

    async def check(self) -> str:
        with self._measured("check"):
            return await self._inner.check()

    async def published(self) -> Published:
        with self._measured("published"):
            return await self._inner.published()

    @contextmanager
    def _measured(self, call: str) -> Iterator[list[Exception]]:
        """A call that is cancelled counts for nothing: we ended it, not the provider."""
        began = self._monotonic()
        failed: list[Exception] = []
        try:
            yield failed
        except Exception as error:
            self._seen(self.name, call, self._monotonic() - began, [error])
            raise
        self._seen(self.name, call, self._monotonic() - began, failed)
