"""One scheduler takes every task from its hold to its delivered clip; the database is its queue."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from bot.domain.catalog import Catalog
from bot.domain.current import working_on
from bot.domain.errors import StaleTask, StorageError
from bot.domain.language import kept
from bot.domain.ports import Announcer, Provider
from bot.domain.task import FINAL, Task, TaskState
from bot.services.delivering import PAUSES, Delivering
from bot.services.files import Files
from bot.services.pace import Pace, Paces
from bot.services.pulse import Pulse
from bot.services.reading import Reading
from bot.services.submitting import STORAGE_SECONDS, Submitting
from bot.services.timetable import Timetable
from storage.tasks import TaskStore

log = logging.getLogger(__name__)

#: Requests in flight at one provider. httpx collapses under more.
_IN_FLIGHT = 10
#: Clips of one provider on their way at once.
_DELIVERIES = 4
_LONGEST_WAIT = 30.0
#: Due times beyond this are brought back when the clock went backwards, and at a start. No provider asks for more.
_CLAMPED_SECONDS = 120
#: Progress messages redrawn at a start.
_REDRAWN = 500
_UNBOUNDED = 1_000_000
#: A stop may take ten seconds in all.
_STOP_SECONDS = 5

#: Works on tasks of one provider: one, or as many as one of its calls reads.
Handler = Callable[..., Coroutine[Any, Any, None]]
_Lane = dict[str, "asyncio.Task[None]"]


@dataclass(frozen=True, slots=True)
class Stages:
    """A task's way: handed to a provider, read until it ends, delivered; and its files."""

    submitting: Submitting
    reading: Reading
    delivering: Delivering
    files: Files


class Engine:
    """`run` is the loop; tests call `step` and `idle` and move the clock."""

    def __init__(
        self,
        tasks: TaskStore,
        providers: Mapping[str, Provider],
        announcer: Announcer,
        catalog: Catalog,
        *,
        stages: Stages,
        paces: Paces,
        timetable: Timetable,
        pulse: Pulse | None = None,
    ) -> None:
        self._tasks = tasks
        self._providers = providers
        self._announcer = announcer
        self._catalog = catalog
        self._stages = stages
        self._paces = paces
        self._timetable = timetable
        self._pulse = pulse or Pulse()
        self._lanes: dict[str, _Lane] = {}
        self._hinted: set[str] = set()
        self._wake = asyncio.Event()
        self._latest = timetable.now()

    async def run(self) -> None:
        """Take up everything unfinished, then go on until cancelled; what is in flight is then ended too.

        The pulse beats at the start and after every round, also one that a failing database has ended.
        """
        self._pulse.beat()
        try:
            await self.recover()
            while True:
                self._wake.clear()
                try:
                    pause = await self.step()
                except StorageError as error:
                    log.error("nothing can be started: %s", error)  # noqa: TRY400 - the sentence says all
                    self._pulse.beat()
                    await self._rest()
                    continue
                self._pulse.beat()
                try:
                    await asyncio.wait_for(self._wake.wait(), pause)
                except TimeoutError:
                    continue
        finally:
            await self.stop()

    def wake(self) -> None:
        """Something is due now: a new task, or one that may start."""
        self._wake.set()

    async def hint(self, task_id: str) -> None:
        """Somebody says that a clip may be ready: read its status now. Believed no further, and harmless again."""
        if any(task_id in lane for lane in self._lanes.values()):
            self._hinted.add(
                task_id
            )  # a read under way may have been answered before, and will set a later one
        if await self._tasks.read_now(task_id, self._timetable.now()):
            self.wake()

    async def recover(self) -> None:
        """At start: no due time left in the far future, no file left whose task has ended."""
        await self._stages.files.sweep(self._timetable.now())
        await self._clamp()
        outdated = await self._tasks.to_show(limit=_REDRAWN)
        for task in outdated:
            self._announcer.changed(task)
        log.info("unfinished tasks are taken up, %d progress messages to look after", len(outdated))

    async def step(self) -> float:
        """Start whatever is due and has room; seconds until there may be more to do."""
        now = self._timetable.now()
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
        while running := self._in_flight():
            await asyncio.gather(*running, return_exceptions=True)

    async def stop(self) -> None:
        """Let what is in flight finish, for some seconds; every state on disk can be gone on from anyway."""
        self._stages.submitting.stopping = True
        if running := self._in_flight():
            _, late = await asyncio.wait(running, timeout=_STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _in_flight(self) -> "set[asyncio.Task[None]]":
        return {running for lane in self._lanes.values() for running in lane.values()}

    # ------------------------------------------------------------------- lanes

    async def _serve(self, name: str, now: int) -> float:
        """Give one provider new submits and its due reads, within its number of jobs and its pace; then clips.

        Submits go first: they are as few as jobs that end, and reads can be more than the pace allows for ever. One
        that takes none is read first: its held tasks, which only wait, may be more than there is room for.
        """
        pace = self._paces.of(name)
        calls = self._stages.submitting.takes_jobs(name)
        if not calls:
            await self._read_due(name, now)
        room = min(pace.available(), await self._free_jobs(name)) if calls else _IN_FLIGHT
        await self._fill(
            name,
            room,
            lambda limit: self._startable(name, now, limit),
            self._start,
            pace=pace if calls else None,
        )
        if calls:
            await self._read_due(name, now)
        # A lane of its own for each provider: one whose downloads hang holds up no other's clips.
        await self._fill(
            f"clips of {name}",
            _DELIVERIES,
            lambda limit: self._tasks.deliverable(now, provider=name, limit=limit),
            self._deliver,
            width=_DELIVERIES,
        )
        return pace.wait() if pace.available() < 1 else _LONGEST_WAIT

    async def _read_due(self, name: str, now: int) -> None:
        pace, provider = self._paces.of(name), self._providers.get(name)
        await self._fill(
            name,
            pace.available(),
            lambda limit: self._tasks.due(name, now, limit=limit),
            self._look,
            pace=pace,
            batch=provider.batch if provider else 1,
        )

    async def _free_jobs(self, name: str) -> int:
        rules = self._catalog.providers.get(name)
        # Before the database is asked: a start that gets there meanwhile counts twice, not never.
        lane = self._lanes.get(name, {})
        starting = sum(running.get_name() == self._start.__name__ for running in lane.values())
        return (rules.concurrency if rules else 1) - starting - await self._tasks.running(name)

    async def _startable(self, name: str, now: int, limit: int) -> list[Task]:
        most = self._timetable.user_concurrency if name in self._providers else _UNBOUNDED
        return await self._tasks.startable(name, now, per_member=most, limit=limit)

    async def _fill(
        self,
        lane: str,
        most: int,
        find: Callable[[int], Awaitable[list[Task]]],
        handle: Handler,
        *,
        pace: Pace | None = None,
        width: int = _IN_FLIGHT,
        batch: int = 1,
    ) -> None:
        """Launch at most `most` calls for what is found, `batch` tasks each, and no more than `width` in all."""
        running = self._lanes.setdefault(lane, {})
        room = min(most, width - len(set(running.values())))
        if room <= 0:
            return
        # These may end while the rows are read, and the rows then tell of a state that is gone.
        before = set(running)
        found = [task for task in await find(room * batch + len(before)) if task.id not in before]
        for together in list(_together(found, batch))[:room]:
            if pace:
                pace.take()
            self._launch(running, together, handle)

    def _launch(self, running: _Lane, together: tuple[Task, ...], handle: Handler) -> None:
        launched = asyncio.create_task(handle(*together), name=handle.__name__)
        for task in together:
            running[task.id] = launched

        def done(_: "asyncio.Task[None]") -> None:
            for task in together:
                running.pop(task.id, None)
                self._hinted.discard(task.id)
            self.wake()

        launched.add_done_callback(done)

    # ---------------------------------------------------------------- handlers

    async def _start(self, task: Task) -> None:
        await self._guarded(task, self._stages.submitting.start(task))

    async def _deliver(self, task: Task) -> None:
        await self._guarded(task, self._stages.delivering.deliver(task))

    async def _look(self, *together: Task) -> None:
        """Read the status of tasks of one provider, or learn of one without a job whether there is one."""
        if (first := together[0]).job_id is None:
            submitting = self._stages.submitting
            lost = first.state is TaskState.SUBMITTING
            await self._guarded(first, submitting.again(first) if lost else submitting.find(first))
            return
        try:
            # A call for several is about none of them.
            with working_on(together[0].id) if len(together) == 1 else nullcontext():
                outcomes = await self._stages.reading.ask(together)
        except Exception:
            log.exception("reading the status of %d tasks stopped", len(together))
            for task in together:
                await self._guarded(task, self._later_after_bug(task))
            return
        for task in together:
            await self._guarded(task, self._stages.reading.take(task, outcomes.get(task.id)))
            if task.id in self._hinted:
                self._hinted.discard(task.id)
                await self._tasks.read_now(task.id, self._timetable.now())

    async def _guarded(self, task: Task, work: Coroutine[Any, Any, None]) -> None:
        """One task's trouble is its own: it is looked at again later, and never holds up the others."""
        with working_on(task.id):
            try:
                await self._handled(task, work)
                if changed := await self._tasks.get(task.id):
                    self._announcer.changed(changed)
            except StaleTask as error:
                log.info("%s", error)
            except StorageError as error:
                log.error("task %s: %s", task.id, error)  # noqa: TRY400 - the sentence says all
                await self._rest()

    async def _handled(self, task: Task, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (StaleTask, StorageError):
            raise
        except Exception:
            log.exception("task %s stopped in state %s", task.id, task.state)
            await self._later_after_bug(task)

    async def _later_after_bug(self, task: Task) -> None:
        current = await self._tasks.get(task.id)
        if current is None or current.state in FINAL:
            return
        problem = kept("an internal error; the operator's log says more")
        due_at = self._timetable.after(PAUSES[-1])
        await self._tasks.postpone(current, self._timetable.now(), due_at=due_at, problem=problem)

    async def _rest(self) -> None:
        """A full or locked database: the due task stays due, so do not spin on it."""
        await asyncio.sleep(STORAGE_SECONDS)

    async def _clamp(self) -> None:
        now = self._timetable.now()
        await self._tasks.clamp_due(now, latest=now + _CLAMPED_SECONDS * 1000)


def _together(tasks: Iterable[Task], batch: int) -> Iterable[tuple[Task, ...]]:
    """What one call works on: several status reads, but one task without a job."""
    reads = []
    for task in tasks:
        if task.job_id is None:
            yield (task,)
        else:
            reads.append(task)
    for first in range(0, len(reads), batch):
        yield tuple(reads[first : first + batch])
