"""One scheduler takes every task from its hold to its delivered clip; the database is its queue."""

import asyncio
import logging
import os
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from bot.domain.catalog import Catalog
from bot.domain.errors import (
    BotError,
    ContentRefused,
    DeliveryError,
    JobNotFound,
    JobRejected,
    NobodyThere,
    NotAVideo,
    OutcomeUnknown,
    ProviderBusy,
    ProviderClosed,
    ProviderError,
    StaleTask,
    StorageError,
)
from bot.domain.money import dollars
from bot.domain.ports import Announcer, Clock, Job, Provider, Report
from bot.domain.task import FINAL, Frame, Task, TaskState
from bot.media import clips
from bot.providers.downloads import LinkExpired
from bot.services.pace import Pace
from bot.services.requests import with_camera
from storage.tasks import TaskStore

log = logging.getLogger(__name__)

#: Requests in flight at one provider. httpx collapses under more.
_IN_FLIGHT = 10
#: Clips of one provider on their way at once.
_DELIVERIES = 4
_GROWTH = 1.25
#: More reads than this let no pause grow any more; the power itself would leave the floats.
_GROWN = 20
#: The pause between reads grows to this many first pauses.
_SLOWEST = 3
_PARKED_SECONDS = 300
#: A key or balance is not mended in seconds.
_CLOSED_SECONDS = 60
_LONGEST_PAUSE = 900
_LONGEST_WAIT = 30.0
#: Due times beyond this are brought back when the clock went backwards, and at a start. No provider asks for more.
_CLAMPED_SECONDS = 120
#: A database that is full or locked is tried again this often.
_STORAGE_SECONDS = 1.0
#: Progress messages redrawn at a start.
_REDRAWN = 500
_UNBOUNDED = 1_000_000
#: A stop may take ten seconds in all.
_STOP_SECONDS = 5
#: A finished clip that cannot be had is looked for again this often, for as long as it takes.
_DELIVERY_PAUSES = (5, 10, 30, 60, 300, 900)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decides: the first pause between reads, when a task is parked, running tasks a member."""

    poll_seconds: float = 5
    deadline_minutes: float = 60
    user_concurrency: int = 2


class Engine:
    """`run` is the loop; tests call `step` and `idle` and move the clock."""

    def __init__(
        self,
        tasks: TaskStore,
        providers: Mapping[str, Provider],
        announcer: Announcer,
        catalog: Catalog,
        *,
        folder: Path,
        clock: Clock,
        monotonic: Callable[[], float],
        rules: Rules,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._tasks = tasks
        self._providers = providers
        self._announcer = announcer
        self._catalog = catalog
        self._clips = folder / "clips"
        self._frames = folder / "frames"
        self._clock = clock
        self._monotonic = monotonic
        self._poll = rules.poll_seconds
        self._deadline = round(rules.deadline_minutes * 60_000)
        self._user_concurrency = rules.user_concurrency
        self._jitter = jitter
        self._paces = {
            name: Pace(rules.requests_per_minute, monotonic) for name, rules in catalog.providers.items()
        }
        self._lanes: dict[str, dict[str, asyncio.Task[None]]] = {}
        self._announcing: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._wake = asyncio.Event()
        self._latest = clock()
        self._stopping = False

    # ------------------------------------------------------------ the scheduler

    async def run(self) -> None:
        """Take up everything unfinished, then go on until cancelled; what is in flight is then ended too."""
        try:
            await self.recover()
            while True:
                self._wake.clear()
                try:
                    pause = await self.step()
                except StorageError as error:
                    log.error("nothing can be started: %s", error)  # noqa: TRY400 - the sentence says all
                    await self._rest()
                    continue
                try:
                    await asyncio.wait_for(self._wake.wait(), pause)
                except TimeoutError:
                    continue
        finally:
            await self.stop()

    def wake(self) -> None:
        """Something is due now: a new task, or one that may start."""
        self._wake.set()

    async def recover(self) -> None:
        """At start: no due time left in the far future, no file left whose task has ended."""
        # Listed before the tasks are read: a picture that comes later belongs to a command just being placed.
        frames = await asyncio.to_thread(_owners, self._frames)
        kept = {str(number) for number in await self._tasks.unfinished_interactions()}
        await asyncio.to_thread(_sweep, frames, kept)
        files = await asyncio.to_thread(_owners, self._clips)
        kept = {owner for owner in set(files.values()) if await self._unfinished(owner)}
        await asyncio.to_thread(_sweep, files, kept)
        await self._clamp()
        outdated = await self._tasks.to_show(limit=_REDRAWN)
        for task in outdated:
            self._announcer.changed(task)
        log.info("unfinished tasks are taken up, %d progress messages to look after", len(outdated))

    async def step(self) -> float:
        """Start whatever is due and has room; seconds until there may be more to do."""
        now = self._clock()
        if now < self._latest - 1000:
            await self._clamp()
        self._latest = now
        pause = _LONGEST_WAIT
        for name in sorted(await self._tasks.open_providers()):
            pause = min(pause, await self._serve(name, now))
        due = await self._tasks.next_due(now)
        return pause if due is None else max(0.01, min(pause, (due - now) / 1000))

    async def idle(self) -> None:
        """Wait until nothing is in flight."""
        while running := [task for lane in self._lanes.values() for task in lane.values()]:
            await asyncio.gather(*running, return_exceptions=True)

    async def stop(self) -> None:
        """Let what is in flight finish, for some seconds; every state on disk can be gone on from anyway."""
        self._stopping = True
        if running := [task for lane in self._lanes.values() for task in lane.values()]:
            _, late = await asyncio.wait(running, timeout=_STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _serve(self, name: str, now: int) -> float:
        """Give one provider its due reads, then new submits, within its pace and its number of jobs; then clips."""
        pace = self._pace_of(name)
        await self._fill(
            name, pace.available(), lambda limit: self._tasks.due(name, now, limit=limit), self._look, pace
        )
        room = min(pace.available(), await self._free_jobs(name))
        await self._fill(name, room, lambda limit: self._startable(name, now, limit), self._start, pace)
        # A lane of its own for each provider: one whose downloads hang holds up no other's clips.
        await self._fill(
            f"clips of {name}",
            _DELIVERIES,
            lambda limit: self._tasks.deliverable(now, provider=name, limit=limit),
            self._deliver,
            width=_DELIVERIES,
        )
        return pace.wait() if pace.available() < 1 else _LONGEST_WAIT

    def _pace_of(self, name: str) -> Pace:
        """A provider that is in today's catalog no more is asked once a second."""
        return self._paces.setdefault(name, Pace(60, self._monotonic))

    async def _free_jobs(self, name: str) -> int:
        if name not in self._providers:
            return _IN_FLIGHT  # its held tasks are only given back
        rules = self._catalog.providers.get(name)
        # Before the database is asked: a start that gets there meanwhile counts twice, not never.
        starting = sum(task.get_name() == "_start" for task in self._lanes.get(name, {}).values())
        return (rules.concurrency if rules else 1) - starting - await self._tasks.running(name)

    async def _startable(self, name: str, now: int, limit: int) -> list[Task]:
        most = self._user_concurrency if name in self._providers else _UNBOUNDED
        return await self._tasks.startable(name, now, per_member=most, limit=limit)

    async def _fill(
        self,
        lane: str,
        most: int,
        find: Callable[[int], Awaitable[list[Task]]],
        handle: Callable[[Task], Coroutine[Any, Any, None]],
        pace: Pace | None = None,
        *,
        width: int = _IN_FLIGHT,
    ) -> None:
        """Launch at most `most` of what is found, and no more than `width` in all."""
        running = self._lanes.setdefault(lane, {})
        room = min(most, width - len(running))
        if room <= 0:
            return
        # These may end while the rows are read, and the rows then tell of a state that is gone.
        before = set(running)
        found = [task for task in await find(room + len(before)) if task.id not in before]
        for task in found[:room]:
            if pace:
                pace.take()
            self._launch(running, task, handle)

    def _launch(
        self,
        running: dict[str, asyncio.Task[None]],
        task: Task,
        handle: Callable[[Task], Coroutine[Any, Any, None]],
    ) -> None:
        launched = asyncio.create_task(self._guarded(task, handle), name=handle.__name__)
        running[task.id] = launched

        def done(_: asyncio.Task[None]) -> None:
            running.pop(task.id, None)
            self.wake()

        launched.add_done_callback(done)

    async def _guarded(self, task: Task, handle: Callable[[Task], Coroutine[Any, Any, None]]) -> None:
        """One task's trouble is its own: it is looked at again later, and never holds up the others."""
        try:
            await self._handled(task, handle)
            if changed := await self._tasks.get(task.id):
                self._announcer.changed(changed)
        except StaleTask as error:
            log.info("%s", error)
        except StorageError as error:
            log.error("task %s: %s", task.id, error)  # noqa: TRY400 - the sentence says all
            await self._rest()

    async def _handled(self, task: Task, handle: Callable[[Task], Coroutine[Any, Any, None]]) -> None:
        try:
            await handle(task)
        except (StaleTask, StorageError):
            raise
        except Exception:
            log.exception("task %s stopped in state %s", task.id, task.state)
            await self._later_after_bug(task)

    async def _later_after_bug(self, task: Task) -> None:
        current = await self._tasks.get(task.id)
        if current is None or current.state in FINAL:
            return
        await self._tasks.postpone(
            current,
            self._clock(),
            due_at=self._in(_DELIVERY_PAUSES[-1]),
            problem="an internal error; the operator's log says more",
        )

    async def _rest(self) -> None:
        """A full or locked database: the due task stays due, so do not spin on it."""
        await asyncio.sleep(_STORAGE_SECONDS)

    async def _clamp(self) -> None:
        now = self._clock()
        await self._tasks.clamp_due(now, latest=now + _CLAMPED_SECONDS * 1000)

    async def _unfinished(self, task_id: str) -> bool:
        task = await self._tasks.get(task_id)
        return task is not None and task.state not in FINAL

    # ------------------------------------------------------------- held → submit

    async def _start(self, task: Task) -> None:
        provider = self._providers.get(task.provider)
        if provider is None:
            await self._fail(task, f"{task.provider} is no longer switched on")
            return
        task = await self._announced(task)
        try:
            body = await asyncio.to_thread(provider.request, self._job(task))
        except JobRejected as error:
            await self._fail(task, str(error))
            return
        if self._stopping:
            return  # a paid call that is cut off leaves a doubt, one not begun leaves none
        body = await self._tasks.begin_submit(task, body, self._clock())
        current = await self._tasks.get(task.id)
        if current is not None:
            self._announcer.changed(current)
            await self._submit(current, provider, body, maybe_sent=False)

    async def _announced(self, task: Task) -> Task:
        """A task that was held just before a crash has no progress message yet: post one for its command."""
        if task.progress_message_id is not None:
            return task
        async with self._announcing.setdefault(task.interaction_id, asyncio.Lock()):
            siblings = await self._tasks.of_interaction(task.interaction_id)
            current = next(sibling for sibling in siblings if sibling.id == task.id)
            if current.progress_message_id is not None:
                return current
            try:
                posted = await self._announcer.announce(siblings)
            except DeliveryError as error:
                log.warning("task %s goes on without a progress message: %s", task.id, error)
                return task
            await self._tasks.announced(
                task.interaction_id,
                channel_id=posted.channel_id,
                message_id=posted.message_id,
                urls=posted.picture_urls,
                at=self._clock(),
            )
        return await self._tasks.get(task.id) or task

    def _job(self, task: Task) -> Job:
        return Job(
            task_id=task.id,
            mode=task.mode,
            format=task.format,
            prompt=with_camera(task.prompt, task.camera),
            enhance=task.enhance,
            first_frame=task.first_frame,
            last_frame=task.last_frame,
        )

    async def _submit(self, task: Task, provider: Provider, body: bytes, *, maybe_sent: bool) -> None:
        """The paid call. `maybe_sent`: an earlier try may have been accepted, so no answer but a job ends it."""
        answer: Report | ProviderError
        try:
            answer = await provider.submit(body, key=task.key)
        except ProviderError as error:
            answer = error
        while True:
            try:
                await self._keep(task, provider, answer, maybe_sent=maybe_sent)
            except StorageError as error:
                # The answer stands nowhere else, so it is kept in mind until the database takes it.
                said = f"job {answer.job_id}" if isinstance(answer, Report) else str(answer)
                log.error("task %s, %s: %s", task.id, said, error)  # noqa: TRY400 - not a bug
                await self._rest()
            else:
                return

    async def _keep(
        self, task: Task, provider: Provider, answer: Report | ProviderError, *, maybe_sent: bool
    ) -> None:
        """What came of the paid call, on disk."""
        if isinstance(answer, Report):
            await self._take_up(task, answer)
        elif maybe_sent or isinstance(answer, OutcomeUnknown):
            await self._outcome_unknown(task, provider, answer)
        elif isinstance(answer, ProviderBusy) and not self._overdue(task):
            await self._tasks.not_accepted(
                task,
                self._clock(),
                due_at=self._in(max(answer.retry_after or 0, self._pause(task))),
                note=str(answer),
            )
        else:
            await self._fail(task, str(answer), content=isinstance(answer, ContentRefused))
            if isinstance(answer, ProviderClosed):
                log.error("%s takes no jobs: %s", task.provider, answer)

    async def _take_up(self, task: Task, report: Report) -> None:
        """The job's id first: also of one that ended at once, because the provider may have to be asked about it."""
        if report.state in {TaskState.FAILED, TaskState.CANCELLED}:
            now = self._clock()
            await self._tasks.accepted(task, report.job_id, TaskState.QUEUED, now, due_at=now)
            task = replace(task, state=TaskState.QUEUED, job_id=report.job_id)
        await self._apply(task, report)

    async def _outcome_unknown(self, task: Task, provider: Provider, why: ProviderError) -> None:
        """A lost answer is neither success nor failure: ask again where that costs nothing, else park."""
        if not provider.idempotent or self._overdue(task):
            await self._park_unknown(task, str(why))
            return
        at_least = _CLOSED_SECONDS if isinstance(why, ProviderClosed) else getattr(why, "retry_after", None)
        await self._tasks.postpone(
            task,
            self._clock(),
            due_at=self._in(max(self._pause(task), at_least or 0)),
            problem=f"answer lost, asking again: {why}",
        )

    async def _park_unknown(self, task: Task, why: str) -> None:
        """No more looks: without a job there is nothing to look at, and asking again might cost again."""
        await self._tasks.park(
            task, self._clock(), due_at=None, note=f"whether {task.provider} took it is unknown: {why}"
        )
        log.error("task %s is parked, its hold kept: whether %s took it is unknown", task.id, task.provider)

    # ------------------------------------------------------------- status reads

    async def _look(self, task: Task) -> None:
        provider = self._providers.get(task.provider)
        if provider is None:
            await self._later(
                task, f"{task.provider} is switched off: switch it on again to collect this clip"
            )
        elif task.state is TaskState.SUBMITTING:
            await self._submit_again(task, provider)
        elif task.job_id is not None:
            await self._read_status(task, provider, task.job_id)
        else:
            await self._tasks.postpone(task, self._clock(), due_at=None, problem=task.problem)

    async def _submit_again(self, task: Task, provider: Provider) -> None:
        """Found in `submitting`, after a crash or a lost answer: it may have been accepted."""
        body = await self._tasks.body(task)
        if body is None or not provider.idempotent or self._overdue(task):
            await self._park_unknown(task, "no answer came, and the bot was stopped or the deadline passed")
        else:
            await self._submit(task, provider, body, maybe_sent=True)

    async def _read_status(self, task: Task, provider: Provider, job_id: str) -> None:
        try:
            report = await provider.status(job_id)
        except (ProviderBusy, OutcomeUnknown, JobNotFound) as error:
            await self._later(task, str(error), at_least=getattr(error, "retry_after", None))
        except ProviderError as error:
            log.error("task %s: %s", task.id, error)  # noqa: TRY400 - not a bug
            await self._later(task, str(error), at_least=_CLOSED_SECONDS)
        else:
            await self._apply(task, report)

    async def _apply(self, task: Task, report: Report) -> None:
        match report.state:
            case TaskState.SUCCEEDED if report.clip_url:
                await self._succeed(task, report, report.clip_url)
            case TaskState.FAILED:
                await self._fail(task, report.reason or "no reason was given", content=report.content_refused)
            case TaskState.CANCELLED:
                await self._tasks.end(
                    task, TaskState.CANCELLED, self._clock(), note=f"cancelled by {task.provider}"
                )
                await self._clean(task)
            case _:
                await self._wait_on(task, report)

    async def _wait_on(self, task: Task, report: Report) -> None:
        now, state = self._clock(), report.state
        if task.state is TaskState.SUBMITTING:
            first = TaskState.PROCESSING if state is TaskState.PROCESSING else TaskState.QUEUED
            pause = self._pause(replace(task, polls=0))
            await self._tasks.accepted(task, report.job_id, first, now, due_at=self._in(pause))
        elif task.state is TaskState.PARKED:
            due_at = self._in(_PARKED_SECONDS)
            await self._tasks.postpone(task, now, due_at=due_at, problem=task.problem)
        elif self._overdue(task):
            await self._park_overdue(task)
        else:
            onward = TaskState.PROCESSING if state is TaskState.PROCESSING else task.state
            await self._tasks.observed(task, onward, now, due_at=self._in(self._pause(task)))
        self._announcer.changed(task, progress=report.progress)

    async def _succeed(self, task: Task, report: Report, url: str) -> None:
        cost = task.price_micros if report.cost_micros is None else report.cost_micros
        note = f"finished for {dollars(cost)}"
        if cost > task.price_micros:
            note = f"finished for {dollars(cost)}, above the {dollars(task.price_micros)} that were held"
            log.warning("task %s cost %s, more than was held", task.id, dollars(cost))
        await self._tasks.succeed(
            task,
            self._clock(),
            job_id=report.job_id,
            clip=(url, report.clip_expires_at),
            cost_micros=cost,
            note=note,
        )

    async def _fail(self, task: Task, why: str, *, content: bool = False) -> None:
        name = task.provider
        note = f"{name} refused the content: {why}" if content else why
        await self._tasks.end(task, TaskState.FAILED, self._clock(), note=note)
        log.info("task %s failed, its hold is given back: %s", task.id, note)
        await self._clean(task)

    async def _later(self, task: Task, why: str, *, at_least: float | None = None) -> None:
        if self._overdue(task) and task.state is TaskState.SUBMITTING:
            await self._park_unknown(task, why)
            return
        if self._overdue(task) and task.state is not TaskState.PARKED:
            await self._park_overdue(task)
            return
        pause = _PARKED_SECONDS if task.state is TaskState.PARKED else self._pause(task)
        await self._tasks.postpone(
            task, self._clock(), due_at=self._in(max(pause, at_least or 0)), problem=why
        )

    async def _park_overdue(self, task: Task) -> None:
        minutes = self._deadline // 60_000
        await self._tasks.park(
            task,
            self._clock(),
            due_at=self._in(_PARKED_SECONDS),
            note=f"no result after {minutes} minutes; its hold is kept and it is still looked at",
        )
        log.warning("task %s has no result after %d minutes: parked", task.id, minutes)

    def _overdue(self, task: Task) -> bool:
        since = task.submitted_at if task.submitted_at is not None else task.created_at
        return self._clock() - since > self._deadline

    def _pause(self, task: Task) -> float:
        """Seconds: grows with every read, jittered so that tasks do not march in step."""
        grown = min(self._poll * _GROWTH ** min(task.polls, _GROWN), self._poll * _SLOWEST)
        return grown * (0.9 + 0.2 * self._jitter())

    def _in(self, seconds: float) -> int:
        return self._clock() + round(min(seconds, _LONGEST_PAUSE) * 1000)

    # ---------------------------------------------------------------- delivery

    async def _deliver(self, task: Task) -> None:
        provider = self._providers.get(task.provider)
        clip = self._clips / f"{task.id}.mp4"
        try:
            await self._fetch(task, provider, clip)
            again = task.posting_since is not None
            task = await self._tasks.posting(task, self._clock())
            cost = await self._tasks.cost(task.id)
            posted = await self._announcer.deliver(task, clip, cost_micros=cost, again=again)
        except NobodyThere as error:
            await self._tasks.postpone(
                task, self._clock(), due_at=None, problem=f"kept, offered in /tasks list: {error}"
            )
            return
        except (DeliveryError, ProviderError, NotAVideo, StorageError) as error:
            await self._deliver_later(task, error)
            return
        await self._tasks.delivered(
            task,
            self._clock(),
            channel_id=posted.channel_id,
            message_id=posted.message_id,
            note="posted",
        )
        await asyncio.to_thread(clip.unlink, missing_ok=True)
        await self._clean(task)

    async def _fetch(self, task: Task, provider: Provider | None, clip: Path) -> None:
        """The clip on disk, checked to be a playable video."""
        if await asyncio.to_thread(clip.exists):
            return
        if provider is None or task.clip_url is None:
            raise ProviderBusy(f"{task.provider} is switched off: switch it on again to collect this clip")
        await asyncio.to_thread(self._clips.mkdir, parents=True, exist_ok=True)
        arriving = clip.with_suffix(".part.mp4")
        try:
            await self._download(task, provider, task.clip_url, arriving)
            await clips.probe(arriving)
            await asyncio.to_thread(_settle, arriving, clip)
        finally:
            await asyncio.to_thread(arriving.unlink, missing_ok=True)

    async def _download(self, task: Task, provider: Provider, url: str, to: Path) -> None:
        try:
            await provider.download(url, to)
        except LinkExpired:
            if task.job_id is None:
                raise
            self._pace_of(task.provider).take()
            report = await provider.status(task.job_id)
            if not report.clip_url:
                raise
            await self._tasks.new_link(task, report.clip_url, report.clip_expires_at)
            await provider.download(report.clip_url, to)

    async def _deliver_later(self, task: Task, error: BotError) -> None:
        pause = _DELIVERY_PAUSES[min(task.polls, len(_DELIVERY_PAUSES) - 1)]
        await self._tasks.postpone(
            task, self._clock(), due_at=self._in(pause), problem=f"not posted yet: {error}"
        )
        log.log(
            logging.ERROR if task.polls >= len(_DELIVERY_PAUSES) else logging.WARNING,
            "task %s: its clip is not posted yet: %s",
            task.id,
            error,
        )

    async def _clean(self, task: Task) -> None:
        """Forget the pictures once no clip of the same command needs them."""
        siblings = await self._tasks.of_interaction(task.interaction_id)
        if all(sibling.state in FINAL for sibling in siblings):
            await asyncio.to_thread(_unlink_frames, task.first_frame, task.last_frame)


def _unlink_frames(*frames: Frame | None) -> None:
    for frame in frames:
        if frame is not None:
            Path(frame.path).unlink(missing_ok=True)


def _settle(arriving: Path, clip: Path) -> None:
    """Give a checked file its name, its bytes on disk before: the name alone is believed after a power cut."""
    with arriving.open("rb") as file:
        os.fsync(file.fileno())
    arriving.replace(clip)


def _owners(folder: Path) -> dict[Path, str]:
    """Each file with the id it belongs to, which its name begins with."""
    if not folder.is_dir():
        return {}
    return {file: file.name.split("-")[0].split(".")[0] for file in folder.iterdir() if file.is_file()}


def _sweep(files: Mapping[Path, str], kept: set[str]) -> None:
    """Remove files that no unfinished task owns."""
    for file, owner in files.items():
        if owner not in kept:
            file.unlink(missing_ok=True)
