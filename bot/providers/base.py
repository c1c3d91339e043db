"""What providers have in common: reading jobs one by one, and a provider's part of the network."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from bot.domain.errors import OutcomeUnknown, ProviderError
from bot.domain.language import kept
from bot.domain.ports import Job, ProviderEvent, Report
from bot.domain.published import Published
from bot.providers.downloads import Downloads
from bot.providers.wire import Classifier, Timing, Wire, bearer

#: Bytes.
LARGEST_CLIP = 500_000_000
#: Seconds one download may take.
DOWNLOAD_SECONDS = 300.0


class OneByOne(ABC):
    """`statuses` for a provider that can be asked about one job only."""

    batch = 1

    @abstractmethod
    async def status(self, job_id: str) -> Report: ...

    async def statuses(self, job_ids: Sequence[str]) -> dict[str, Report | ProviderError]:
        outcomes: dict[str, Report | ProviderError] = {}
        for job_id in dict.fromkeys(job_ids):
            try:
                outcomes[job_id] = await self.status(job_id)
            except ProviderError as error:
                outcomes[job_id] = error
        return outcomes


class Hosted(OneByOne):
    """A provider on the network. What stands here is for those that can do no better.

    `label` names it in sentences, `home` is its address, `key_help` says what to do about a refused key.
    """

    name: str
    label: str
    home: str
    key_help: str
    recovers = False

    def __init__(
        self,
        client: httpx.AsyncClient,
        downloads: Downloads,
        *,
        key: str,
        base: str | None = None,
        headers: Mapping[str, str] | None = None,
        classify: Classifier | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._wire = Wire(
            client,
            base or self.home,
            label=self.label,
            auth={**bearer(key), **(headers or {})},
            key_help=self.key_help,
            classify=classify,
            timing=timing,
        )
        self._downloads = downloads

    @abstractmethod
    def request(self, job: Job) -> bytes: ...

    @abstractmethod
    async def submit(self, body: bytes, *, key: str) -> Report: ...

    @abstractmethod
    async def check(self) -> str: ...

    async def recover(
        self,
        body: bytes,  # noqa: ARG002  # the protocol's signature
        *,
        key: str,  # noqa: ARG002  # the protocol's signature
        since: int,  # noqa: ARG002  # the protocol's signature
        known: frozenset[str],  # noqa: ARG002  # the protocol's signature
    ) -> Report:
        raise OutcomeUnknown(kept("{provider} has no way to ask.", provider=self.label))

    async def find(self, key: str) -> Report | None:  # noqa: ARG002  # the protocol's signature
        """None: most know no key of ours, or only by making a job for one they do not know."""
        return None

    async def events(self, job_id: str) -> list[ProviderEvent]:  # noqa: ARG002  # the protocol's signature
        """None: most keep no history of a job."""
        return []

    async def download(self, url: str, to: Path) -> None:
        await self._downloads.fetch(url, to, limit=LARGEST_CLIP, seconds=DOWNLOAD_SECONDS)

    async def published(self) -> Published:
        return Published(notes=(f"{self.label} publishes no price list or balance.",))
