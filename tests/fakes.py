"""The outside of the services, scripted: time, ids, a provider that counts charges, and Discord."""

import asyncio
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from bot.domain.errors import (
    JobNotFound,
    JobRejected,
    OutcomeUnknown,
    ProviderBusy,
    ProviderClosed,
    ProviderError,
)
from bot.domain.parcel import Parcel
from bot.domain.ports import Gallery, Job, Posted, ProviderEvent, Report
from bot.domain.published import Published
from bot.domain.task import Frame, Task, TaskState
from bot.providers.downloads import LinkExpired

START = 1_800_000_000_000


class FakeClock:
    """Wall milliseconds and monotonic seconds: together by `advance`, the wall clock alone by `set_ahead`."""

    def __init__(self) -> None:
        self.now = START
        self.seconds = 1000.0

    def __call__(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * 1000)
        self.seconds += seconds

    def set_ahead(self, seconds: float) -> None:
        self.now += round(seconds * 1000)


class SequentialIds:
    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> str:
        self.made += 1
        return f"task{self.made:06}"


@dataclass(frozen=True, slots=True)
class After:
    """The effect happens, then the answer is lost like this."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer ever comes; `after`: although the effect happened."""

    after: bool = False


@dataclass(frozen=True, slots=True)
class Late:
    """The effect happens at once, the answer comes later."""

    until: asyncio.Event


@dataclass(slots=True)
class ScriptedJob:
    job_id: str
    key: str
    state: TaskState
    body: bytes = b""
    made_at: int = 0
    cost: int | None = None
    linked: bool = True
    links: int = 1
    reason: str | None = None
    content_refused: bool = False
    progress: int | None = None

    @property
    def url(self) -> str:
        return f"https://cdn.example/{self.job_id}/{self.links}.mp4"

    @property
    def ended(self) -> bool:
        return self.state in {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED}


SubmitAnswer = TaskState | BaseException | After | Silence | Late
StatusAnswer = Report | BaseException | Silence
#: After these the provider has certainly taken nothing.
_CERTAIN = (ProviderBusy, ProviderClosed, JobRejected)
FileAnswer = bytes | BaseException | Silence


class ScriptedProvider:
    """Does what it is told, else accepts everything; counts from outside what was made and charged.

    `keyed`: the same key shows the job that there is. `looks_up`: it finds a lost job by its body instead. `doubts`
    are the keys whose outcome some provider left open, with its name. `alike`: equal wishes make equal bodies.
    `by_address`: it takes pictures by their address, else as data.
    What no provider would bear is noted in `violations`, because the engine outlives an assertion.
    """

    def __init__(
        self,
        name: str,
        clock: FakeClock,
        *,
        clip: bytes,
        keyed: bool = False,
        looks_up: bool = False,
        doubts: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.keyed = keyed
        self.recovers = keyed or looks_up
        self.doubts = {} if doubts is None else doubts
        self.alike = False
        self.by_address = True
        self.batch = 1
        self.clip = clip
        self.clock = clock
        self.jobs: dict[str, ScriptedJob] = {}
        self.charges: Counter[str] = Counter()
        self.requested: list[Job] = []
        self.submits: list[tuple[str, bytes]] = []
        self.lookups: list[tuple[str, frozenset[str]]] = []
        self.finds: list[str] = []
        self.reads: list[str] = []
        self.batches: list[list[str]] = []
        self.downloads: list[str] = []
        self.calls: list[float] = []
        self.violations: list[str] = []
        self.submit_answers: deque[SubmitAnswer] = deque()
        self.lookup_answers: deque[ProviderError] = deque()
        self.status_answers: deque[StatusAnswer] = deque()
        self.by_job: dict[str, BaseException] = {}
        self.files: deque[FileAnswer] = deque()
        self.refused_requests: deque[Exception] = deque()
        self.inside: Callable[[str, bytes], Awaitable[None]] | None = None
        self.silent = asyncio.Event()
        self.in_flight = self.most_in_flight = self.most_running = 0
        self._bodies: dict[str, bytes] = {}

    # ------------------------------------------------------------- the protocol

    def request(self, job: Job) -> bytes:
        """Never the same bytes twice, so that only kept ones can be the same on every try."""
        self.requested.append(job)
        if self.refused_requests:
            raise self.refused_requests.popleft()
        frames = [
            frame and ((self.by_address and frame.url) or len(Path(frame.path).read_bytes()))
            for frame in _frames(job)
        ]
        wish = {"prompt": job.prompt, "format": job.format.id, "mode": job.mode, "enhance": job.enhance}
        nth = 0 if self.alike else len(self.requested)
        return json.dumps(wish | {"frames": frames, "nth": nth, "to": self.name}).encode()

    async def submit(self, body: bytes, *, key: str) -> Report:
        async with self._call():
            self._note(key, body)
            if self.inside:
                await self.inside(key, body)
            answer = self.submit_answers.popleft() if self.submit_answers else TaskState.QUEUED
            if not isinstance(answer, (TaskState, Late, *_CERTAIN)):
                self.doubts[key] = self.name
            if isinstance(answer, _CERTAIN) and key not in self.doubts:
                self._bodies.pop(key)
            if isinstance(answer, BaseException):
                raise answer
            if isinstance(answer, Silence) and not answer.after:
                await self._silence()
            job = self._made(key, body, answer if isinstance(answer, TaskState) else TaskState.QUEUED)
            if isinstance(answer, After):
                raise answer.error
            if isinstance(answer, Silence):
                await self._silence()
            if isinstance(answer, Late):
                self.silent.set()
                await answer.until.wait()
            return self._report(job)

    async def status(self, job_id: str) -> Report:
        async with self._call():
            self.reads.append(job_id)
            answer = self.status_answers.popleft() if self.status_answers else self.by_job.get(job_id)
            if isinstance(answer, BaseException):
                raise answer
            if isinstance(answer, Silence):
                await self._silence()
            if isinstance(answer, Report):
                return answer
            return self._report(self._known(job_id))

    async def recover(self, body: bytes, *, key: str, since: int, known: frozenset[str]) -> Report:
        """Where keys count, by asking again; else by the first job with these bytes that is nobody's."""
        self.lookups.append((key, known))
        if self.keyed:
            return await self.submit(body, key=key)
        if not self.recovers:
            self.violations.append(f"it was asked for {key}, although it cannot tell")
            raise OutcomeUnknown("There is no way to tell.")
        async with self._call():
            if self.lookup_answers:
                raise self.lookup_answers.popleft()
            fitting = [job for job in self.jobs.values() if job.body == body and job.made_at >= since]
            free = [job for job in fitting if job.job_id not in known]
            await asyncio.sleep(0)
            if not free:
                raise OutcomeUnknown("There is no such job, which proves nothing.")
            return self._report(free[0])

    async def find(self, key: str) -> Report | None:
        """By its key, where it looks jobs up at all; a keyed one would make what it does not know."""
        self.finds.append(key)
        async with self._call():
            if self.lookup_answers:
                raise self.lookup_answers.popleft()
            found = [job for job in self.jobs.values() if job.key == key]
            return self._report(found[0]) if found and self.recovers and not self.keyed else None

    async def statuses(self, job_ids: Sequence[str]) -> dict[str, Report | ProviderError]:
        self.batches.append(list(job_ids))
        if len(job_ids) > self.batch:
            self.violations.append(f"{len(job_ids)} jobs were asked for at once")
        outcomes: dict[str, Report | ProviderError] = {}
        for job_id in job_ids:
            try:
                outcomes[job_id] = await self.status(job_id)
            except ProviderError as error:
                outcomes[job_id] = error
        return outcomes

    async def published(self) -> Published:
        return Published()

    async def events(self, job_id: str) -> list[ProviderEvent]:
        self._known(job_id)
        return []

    async def download(self, url: str, to: Path) -> None:
        self.downloads.append(url)
        answer = self.files.popleft() if self.files else self.clip
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, Silence):
            await self._silence()
        if url not in {job.url for job in self.jobs.values() if job.linked}:
            raise LinkExpired("The link at cdn.example does not work any more (403).")
        if isinstance(answer, bytes):
            await asyncio.to_thread(to.write_bytes, answer)

    async def check(self) -> str:
        return "It takes everything."

    # ---------------------------------------------------------------- the strings

    def job(self, task: Task) -> ScriptedJob:
        (found,) = (job for job in self.jobs.values() if job.key == task.key)
        return found

    def finish(
        self, task: Task, state: TaskState = TaskState.SUCCEEDED, *, cost: int | None = None
    ) -> ScriptedJob:
        job = self.job(task)
        job.state, job.cost = state, cost
        return job

    def finish_all(self) -> None:
        for job in self.jobs.values():
            if not job.ended:
                job.state = TaskState.SUCCEEDED

    @property
    def running(self) -> int:
        return sum(not job.ended for job in self.jobs.values())

    def _note(self, key: str, body: bytes) -> None:
        self.submits.append((key, body))
        if self.doubts.get(key, self.name) != self.name:
            self.violations.append(f"{key} came although {self.doubts[key]} may have taken it")
        if key in self.doubts and not self.keyed:
            self.violations.append(f"{key} came again although it may have been taken")
        if self._bodies.setdefault(key, body) != body:
            self.violations.append(f"{key} came with other bytes")
            raise JobRejected("one key for two bodies (409)")

    def _made(self, key: str, body: bytes, state: TaskState) -> ScriptedJob:
        if self.keyed and (known := [job for job in self.jobs.values() if job.key == key]):
            return known[0]
        job = ScriptedJob(f"{self.name}-job{len(self.jobs) + 1}", key, state, body, self.clock.now)
        self.jobs[job.job_id] = job
        self.charges[key] += 1
        self.most_running = max(self.most_running, self.running)
        return job

    def _known(self, job_id: str) -> ScriptedJob:
        if job_id not in self.jobs:
            raise JobNotFound("There is no such job.")
        return self.jobs[job_id]

    def _report(self, job: ScriptedJob) -> Report:
        succeeded = job.state is TaskState.SUCCEEDED
        return Report(
            job_id=job.job_id,
            state=job.state,
            progress=job.progress,
            clip_url=job.url if succeeded and job.linked else None,
            cost_micros=job.cost,
            reason=job.reason,
            content_refused=job.content_refused,
        )

    @asynccontextmanager
    async def _call(self) -> AsyncIterator[None]:
        self.calls.append(self.clock.monotonic())
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            # A loop's turn, so that calls made together are in flight together.
            await asyncio.sleep(0)
            yield
        finally:
            self.in_flight -= 1

    async def _silence(self) -> NoReturn:
        self.silent.set()
        await asyncio.Event().wait()
        raise AssertionError("silence has no end")


def _frames(job: Job) -> list[Frame | None]:
    return [job.first_frame, job.last_frame]


def _is_video(clip: Path) -> bool:
    return clip.read_bytes()[4:8] == b"ftyp"


class RecordingAnnouncer:
    """Discord as the engine sees it: one message for each clip, unless `again` makes it look for the first."""

    def __init__(self) -> None:
        self.clips: dict[str, list[Posted]] = {}
        self.costs: dict[str, int] = {}
        self.asked: list[tuple[str, bool]] = []
        self.changes: list[tuple[str, int | None]] = []
        self.announced: dict[int, Posted] = {}
        self.announces: list[int] = []
        self.faults: deque[BaseException | After | Silence] = deque()
        self.announce_faults: deque[BaseException | After] = deque()
        self.closed: BaseException | None = None
        self.limit = 10 * 2**20
        self.parcels: list[Parcel] = []
        self.violations: list[str] = []
        self.silent = asyncio.Event()
        self._announcing: set[int] = set()
        self._messages = 0

    async def announce(self, tasks: list[Task]) -> Posted:
        interaction = tasks[0].interaction_id
        self.announces.append(interaction)
        if interaction in self._announcing:
            self.violations.append(f"interaction {interaction} announced twice at the same time")
        if any(task.progress_message_id for task in tasks):
            self.violations.append(f"interaction {interaction} has its progress message already")
        self._announcing.add(interaction)
        try:
            await asyncio.sleep(0)
            fault = self.announce_faults.popleft() if self.announce_faults else None
            if isinstance(fault, BaseException):
                raise fault
            # Discord's nonce: the same message for the same interaction.
            posted = self.announced.setdefault(interaction, self._message(tasks[0]))
            if isinstance(fault, After):
                raise fault.error
        finally:
            self._announcing.discard(interaction)
        return posted

    def changed(self, task: Task, *, progress: int | None = None) -> None:
        self.changes.append((task.id, progress))

    def upload_limit(self, task: Task) -> int:
        return self.limit

    async def find(self, task: Task) -> Posted | None:
        return next(iter(self.clips.get(task.id, [])), None)

    async def deliver(
        self, task: Task, parcel: Parcel, *, cost_micros: int, again: bool, gallery: Gallery | None = None
    ) -> Posted:
        self.asked.append((task.id, again))
        self.parcels.append(parcel)
        if parcel.file and not _is_video(parcel.file):
            self.violations.append(f"{task.id} was to be posted with a file that is no video")
        await asyncio.sleep(0)
        fault = self.faults.popleft() if self.faults else self.closed
        if isinstance(fault, BaseException):
            raise fault
        if isinstance(fault, Silence) and not fault.after:
            await self._silence()
        posted = self._post(task, cost_micros, again=again)
        if isinstance(fault, After):
            raise fault.error
        if isinstance(fault, Silence):
            await self._silence()
        return posted

    def _post(self, task: Task, cost_micros: int, *, again: bool) -> Posted:
        earlier = self.clips.setdefault(task.id, [])
        if earlier and again:
            return earlier[0]
        if earlier:
            self.violations.append(f"{task.id} was posted twice")
        if task.state is not TaskState.SUCCEEDED:
            self.violations.append(f"{task.id} was posted while {task.state}")
        earlier.append(self._message(task))
        self.costs[task.id] = cost_micros
        return earlier[-1]

    def _message(self, task: Task) -> Posted:
        self._messages += 1
        urls = tuple(
            f"https://discord.example/{task.interaction_id}/{number}"
            for number, frame in enumerate((task.first_frame, task.last_frame))
            if frame
        )
        return Posted(task.channel_id, 9000 + self._messages, urls)

    async def _silence(self) -> NoReturn:
        self.silent.set()
        await asyncio.Event().wait()
        raise AssertionError("silence has no end")
