"""One scheduler takes every task from its hold to its delivered clip; the database is its queue."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
_DELIVERIES = 4
_GROWTH = 1.25
#: The pause between reads grows to this many first pauses.
_SLOWEST = 3
_PARKED_SECONDS = 300
#: A key or balance is not mended in seconds.
_CLOSED_SECONDS = 60
_LONGEST_PAUSE = 900
_LONGEST_WAIT = 30.0
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
        self._wake = asyncio.Event()
        self._latest = clock()

    # ------------------------------------------------------------ the scheduler

    async def run(self) -> None:
        """Take up everything unfinished, then go on until cancelled; what is in flight is then ended too."""
        try:
            await self.recover()
            while True:
                self._wake.clear()
                pause = await self.step()
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
        await self._clamp()
        kept = await self._tasks.unfinished_interactions()
        await asyncio.to_thread(_sweep, self._frames, {str(number) for number in kept})
        unfinished = await self._tasks.unfinished(limit=500)
        await asyncio.to_thread(_sweep, self._clips, {task.id for task in unfinished})
        for task in unfinished:
            self._announcer.changed(task)
        log.info("%d unfinished tasks taken up", len(unfinished))

    async def step(self) -> float:
        """Start whatever is due and has room; seconds until there may be more to do."""
        now = self._clock()
        if now < self._latest - 1000:
            await self._clamp()
        self._latest = now
        pause = _LONGEST_WAIT
        for name in sorted(await self._tasks.open_providers()):
            pause = min(pause, await self._serve(name, now))
        await self._fill(
            "delivery", _DELIVERIES, lambda limit: self._tasks.deliverable(now, limit=limit), self._deliver
        )
        due = await self._tasks.next_due(now)
        return pause if due is None else max(0.01, min(pause, (due - now) / 1000))

    async def idle(self) -> None:
        """Wait until nothing is in flight."""
        while running := [task for lane in self._lanes.values() for task in lane.values()]:
            await asyncio.gather(*running, return_exceptions=True)

    async def stop(self) -> None:
        """Let what is in flight finish, for some seconds; every state on disk can be gone on from anyway."""
        if running := [task for lane in self._lanes.values() for task in lane.values()]:
            _, late = await asyncio.wait(running, timeout=_STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _serve(self, name: str, now: int) -> float:
        """Give one provider its due reads and then new submits, within its pace and its number of jobs."""
        pace = self._paces.get(name) or Pace(60, self._monotonic)
        room = min(_IN_FLIGHT, pace.available() + self._busy(name))
        await self._fill(name, room, lambda limit: self._tasks.due(name, now, limit=limit), self._look, pace)
        rules = self._catalog.providers.get(name)
        jobs = (rules.concurrency if rules else 1) - await self._tasks.running(name) - self._starting(name)
        room = min(_IN_FLIGHT, pace.available() + self._busy(name), jobs + self._busy(name))
        await self._fill(name, room, lambda limit: self._startable(name, now, limit), self._start, pace)
        return pace.wait() if pace.available() < 1 else _LONGEST_WAIT

    async def _startable(self, name: str, now: int, limit: int) -> list[Task]:
        return await self._tasks.startable(name, now, per_member=self._user_concurrency, limit=limit)

    def _busy(self, lane: str) -> int:
        return len(self._lanes.get(lane, ()))

    def _starting(self, lane: str) -> int:
        """Held tasks being started at this moment: not running yet by the database, but soon."""
        return sum(task.get_name() == "_start" for task in self._lanes.get(lane, {}).values())

    async def _fill(
        self,
        lane: str,
        room: int,
        find: Callable[[int], Awaitable[list[Task]]],
        handle: Callable[[Task], Coroutine[Any, Any, None]],
        pace: Pace | None = None,
    ) -> None:
        running = self._lanes.setdefault(lane, {})
        if room <= len(running):
            return
        for task in await find(room + len(running)):
            if task.id in running:
                continue
            if len(running) >= room:
                break
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
            await handle(task)
        except StaleTask as error:
            log.info("%s", error)
        except StorageError as error:
            log.error("task %s: %s", task.id, error)  # noqa: TRY400 - the sentence says all
            await self._rest()
        except Exception:
            log.exception("task %s stopped in state %s", task.id, task.state)
            await self._later_after_bug(task)
        else:
            if changed := await self._tasks.get(task.id):
                self._announcer.changed(changed)

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
        await asyncio.sleep(1)

    async def _clamp(self) -> None:
        now = self._clock()
        await self._tasks.clamp_due(now, latest=now + _LONGEST_PAUSE * 1000 + 60_000)

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
        body = await self._tasks.begin_submit(task, body, self._clock())
        current = await self._tasks.get(task.id)
        if current is not None:
            self._announcer.changed(current)
            await self._submit(current, provider, body, maybe_sent=False)

    async def _announced(self, task: Task) -> Task:
        """A task that was held just before a crash has no progress message yet: post one."""
        if task.progress_message_id is not None:
            return task
        siblings = await self._tasks.of_interaction(task.interaction_id)
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
        try:
            report = await provider.submit(body, key=task.key)
        except OutcomeUnknown as error:
            await self._outcome_unknown(task, provider, str(error))
        except ProviderError as error:
            if maybe_sent:
                await self._outcome_unknown(task, provider, str(error))
            elif isinstance(error, ProviderBusy) and not self._overdue(task):
                await self._tasks.not_accepted(
                    task,
                    self._clock(),
                    due_at=self._in(max(error.retry_after or 0, self._pause(task))),
                    note=str(error),
                )
            else:
                await self._fail(task, str(error), content=isinstance(error, ContentRefused))
                if isinstance(error, ProviderClosed):
                    log.error("%s takes no jobs: %s", task.provider, error)  # noqa: TRY400 - not a bug
        else:
            await self._apply(task, report)

    async def _outcome_unknown(self, task: Task, provider: Provider, why: str) -> None:
        """A lost answer is neither success nor failure: ask again where that costs nothing, else park."""
        if provider.idempotent and not self._overdue(task):
            await self._tasks.postpone(
                task,
                self._clock(),
                due_at=self._in(self._pause(task)),
                problem=f"answer lost, asking again: {why}",
            )
            return
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

    async def _submit_again(self, task: Task, provider: Provider) -> None:
        """Found in `submitting`, after a crash or a lost answer: it may have been accepted."""
        body = await self._tasks.body(task)
        if body is None or not provider.idempotent or self._overdue(task):
            await self._outcome_unknown(task, provider, "the bot was stopped before the answer came")
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
            await self._tasks.accepted(task, report.job_id, first, now, due_at=self._in(self._poll))
        elif task.state is TaskState.PARKED:
            await self._tasks.observed(task, TaskState.PARKED, now, due_at=self._in(_PARKED_SECONDS))
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
        self.wake()

    async def _fail(self, task: Task, why: str, *, content: bool = False) -> None:
        name = task.provider
        note = f"{name} refused the content: {why}" if content else why
        await self._tasks.end(task, TaskState.FAILED, self._clock(), note=note)
        log.info("task %s failed, its hold is given back: %s", task.id, note)
        await self._clean(task)

    async def _later(self, task: Task, why: str, *, at_least: float | None = None) -> None:
        if self._overdue(task) and task.state not in {TaskState.PARKED, TaskState.SUCCEEDED}:
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
        grown = min(self._poll * _GROWTH**task.polls, self._poll * _SLOWEST)
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
        except (DeliveryError, ProviderError, NotAVideo) as error:
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
            await asyncio.to_thread(arriving.replace, clip)
        finally:
            await asyncio.to_thread(arriving.unlink, missing_ok=True)

    async def _download(self, task: Task, provider: Provider, url: str, to: Path) -> None:
        try:
            await provider.download(url, to)
        except LinkExpired:
            if task.job_id is None:
                raise
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


def _sweep(folder: Path, kept: set[str]) -> None:
    """Remove files that no unfinished task owns; a name begins with its owner's id."""
    if folder.is_dir():
        for file in folder.iterdir():
            if file.name.split("-")[0].split(".")[0] not in kept:
                file.unlink(missing_ok=True)
