"""What the services ask of the outside: providers, Discord, time and ids."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from bot.domain.catalog import Format, Mode
from bot.domain.errors import ProviderError
from bot.domain.parcel import Parcel
from bot.domain.published import Published
from bot.domain.task import Frame, Task, TaskState

#: Milliseconds since 1970, UTC. Only for what is stored or shown.
Clock = Callable[[], int]
NewId = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Job:
    """What a provider is asked to make. `prompt` already carries the camera command.

    `callback` is an address the provider may call once the job has ended; None where nobody listens. `read` gives a
    frame's JPEG, or raises an `OSError`; it takes long.
    """

    task_id: str
    mode: Mode
    format: Format
    prompt: str
    enhance: bool
    first_frame: Frame | None = None
    last_frame: Frame | None = None
    callback: str | None = None
    read: Callable[[Path], bytes] = Path.read_bytes


@dataclass(frozen=True, slots=True)
class Report:
    """What a provider says of a job, in our words.

    `state` is queued, processing, succeeded, failed or cancelled. `cost_micros` is what the provider charged;
    None where it does not say. `clip_expires_at` is milliseconds since 1970.
    """

    job_id: str
    state: TaskState
    progress: int | None = None
    clip_url: str | None = None
    clip_expires_at: int | None = None
    cost_micros: int | None = None
    reason: str | None = None
    content_refused: bool = False


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """One line of the provider's own history; `when` is its own words, for reading only."""

    when: str
    text: str


class Provider(Protocol):
    """One paid (or sandbox) system. Every method may raise a `ProviderError`."""

    name: str
    #: What became of a lost submit can be found out without a second charge.
    recovers: bool
    #: How many jobs one call of `statuses` reads at the price of one request.
    batch: int

    def request(self, job: Job) -> bytes:
        """The exact body of the submit; kept on disk before it is sent, and the same on every try.

        Reads frame files, so it runs in a thread.
        """

    async def submit(self, body: bytes, *, key: str) -> Report:
        """The one paid call. `OutcomeUnknown` where the answer was lost."""

    async def recover(self, body: bytes, *, key: str, since: int, known: frozenset[str]) -> Report:
        """What became of a submit whose answer was lost: never a second charge.

        `body` and `key` are those of the submit, `since` is when it began (milliseconds since 1970), `known` are
        the job ids of all other tasks. `OutcomeUnknown` where it cannot be told, at once where `recovers` is False;
        `ProviderBusy` and `ProviderClosed` say nothing of the job: it can be asked again.
        """

    async def find(self, key: str) -> Report | None:
        """The job that was made under this key, long ago perhaps; never makes one.

        None where there is none, or no way to tell. Other errors say nothing of the job.
        """

    async def status(self, job_id: str) -> Report: ...

    async def statuses(self, job_ids: Sequence[str]) -> dict[str, Report | ProviderError]:
        """What became of each, or the error that says why it cannot be told. Raises no `ProviderError` itself."""

    async def events(self, job_id: str) -> list[ProviderEvent]:
        """The provider's own history of a job; empty where it has none. For reading only."""

    async def download(self, url: str, to: Path) -> None:
        """Stream the clip to a file; `ProviderBusy` or `NotAVideo` where that fails."""

    async def check(self) -> str:
        """A call that costs nothing and proves the key; returns a sentence for the operator."""

    async def published(self) -> Published:
        """The balance and the prices as the provider tells them, as far as it does; costs nothing."""


@runtime_checkable
class Local(Protocol):
    """A provider whose jobs lie on this machine, so that they can be forgotten here."""

    async def forget(self, job_id: str) -> None:
        """Remove all there is of an ended job."""


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a message stands, and the addresses of the pictures on it."""

    channel_id: int
    message_id: int
    picture_urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gallery:
    """The messages that carry clips of one command, the newest last; further clips go into that."""

    messages: tuple[Posted, ...] = ()


class Announcer(Protocol):
    """The Discord side of a task's life, as the engine sees it."""

    async def announce(self, tasks: list[Task]) -> Posted:
        """Post a progress message for tasks that have none, by the bot's own token."""

    def changed(self, task: Task, *, progress: int | None = None) -> None:
        """Note that a task's progress message is out of date. Never blocks, never fails."""

    def upload_limit(self, task: Task) -> int:
        """Bytes that a file in the task's channel may have, as far as Discord has told."""

    async def find(self, task: Task) -> Posted | None:
        """The message that carries the clip already, posted by an earlier try; `DeliveryError`s pass."""

    async def deliver(
        self, task: Task, parcel: Parcel, *, cost_micros: int, again: bool, gallery: Gallery | None = None
    ) -> Posted:
        """Post the clip, to its `gallery` where that has room. `again`: an earlier try may have, so look first.

        `TooLarge` where Discord does not take the file, `NobodyThere` where neither the channel nor the member can
        be reached; other `DeliveryError`s pass.
        """
