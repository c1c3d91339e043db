"""From the hold to a job at a provider: the one paid call, its lost answers, and the next offer."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from weakref import WeakValueDictionary

from bot.domain.catalog import Offer
from bot.domain.errors import (
    ContentRefused,
    DeliveryError,
    JobRejected,
    OutcomeUnknown,
    ProviderBusy,
    ProviderClosed,
    ProviderError,
    StorageError,
)
from bot.domain.language import kept
from bot.domain.ports import Announcer, Job, Provider, Report
from bot.domain.task import Task, TaskState
from bot.services.announcing import announce
from bot.services.gate import Gate
from bot.services.hooks import Hooks
from bot.services.reading import Outcome, Reading
from bot.services.requests import with_camera
from bot.services.router import Router
from bot.services.timetable import CLOSED, PARKED, Timetable
from bot.vault import LOST, PLAIN, Vault
from storage.tasks import TaskStore

log = logging.getLogger(__name__)

#: A database that is full or locked is tried again this often, in seconds.
STORAGE_SECONDS = 1.0
#: Milliseconds before a submit within which another task's job may have been made.
_KNOWN_SINCE = 86_400_000
#: Tries that nobody took before a task that waits too long is given up.
_TRIES = 2


class Submitting:
    def __init__(
        self,
        tasks: TaskStore,
        providers: Mapping[str, Provider],
        announcer: Announcer,
        reading: Reading,
        router: Router,
        timetable: Timetable,
        hooks: Hooks | None,
        vault: Vault = PLAIN,
    ) -> None:
        self._tasks = tasks
        self._providers = providers
        self._announcer = announcer
        self._reading = reading
        self._router = router
        self._timetable = timetable
        self._hooks = hooks
        self._vault = vault
        self._announcing: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._gates: defaultdict[str, Gate] = defaultdict(Gate)
        self.stopping = False

    def takes_jobs(self, provider: str) -> bool:
        """False while held tasks are only given on, or wait."""
        return provider in self._providers and self._router.resting(provider) is None

    async def start(self, task: Task) -> None:
        """Hand a held task to its provider, or to the next offer where that one cannot take it."""
        provider = self._providers.get(task.provider)
        if provider is None:
            await self._next(
                task, JobRejected(kept("{provider} is no longer switched on", provider=task.provider))
            )
            return
        if resting := self._router.admit(task.provider):
            await self._next(task, resting)
            return
        task = await self._announced(task)
        try:
            body = await asyncio.to_thread(provider.request, self._job(task))
        except JobRejected as error:
            await self._next(task, error)
            return
        async with self._gates[provider.name].together():
            if self.stopping:
                return  # a paid call that is cut off leaves a doubt, one not begun leaves none
            now = self._timetable.now()
            most = self._timetable.user_concurrency
            body = await self._tasks.begin_submit(task, body, now, per_member=most)
            task = replace(task, state=TaskState.SUBMITTING, submitted_at=now, problem=None)
            self._announcer.changed(task)
            await self._keep(task, provider, await _answer(provider.submit(body, key=task.key)))

    async def again(self, task: Task) -> None:
        """Found in `submitting`, after a crash or a lost answer: it may have been accepted."""
        provider = self._providers.get(task.provider)
        body = await self._tasks.body(task)
        if provider is None and not self._timetable.overdue(task):
            off = kept(
                "{provider} is switched off: switch it on again to learn what became of this clip",
                provider=task.provider,
            )
            await self._reading.later(task, off)
        elif provider is None or body is None or not provider.recovers or self._timetable.overdue(task):
            await self._park(task, kept("no answer came, and the bot was stopped or the deadline passed"))
        else:
            # One at a time, each id on disk before the next: two lost submits must not find the same job.
            async with self._gates[provider.name].alone():
                since = task.submitted_at or task.created_at
                known = await self._tasks.known_jobs(provider.name, since - _KNOWN_SINCE)
                answer = await _answer(provider.recover(body, key=task.key, since=since, known=known))
                await self._keep(task, provider, answer, maybe_sent=True)

    async def find(self, task: Task) -> None:
        """Found parked without a job, but due, after a restore: ask for one by its key, and never make one."""
        provider = self._providers.get(task.provider)
        if provider is None:
            due_at: int | None = self._timetable.after(PARKED)  # it may be switched on again
        else:
            try:
                report = await provider.find(task.key)
            except (ProviderBusy, ProviderClosed):
                due_at = self._timetable.after(PARKED)
            except ProviderError:
                due_at = None
            else:
                if report is not None:
                    note = kept("accepted as {job}", job=report.job_id)
                    await self._tasks.attach(task, report.job_id, self._timetable.now(), note=note)
                    return
                due_at = None
        await self._tasks.postpone(task, self._timetable.now(), due_at=due_at, problem=task.problem)

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
                await announce(siblings, self._tasks, self._announcer, self._timetable.now())
            except DeliveryError as error:
                log.warning("task %s goes on without a progress message: %s", task.id, error)
                return task
        return await self._tasks.get(task.id) or task

    def _job(self, task: Task) -> Job:
        if task.prompt == LOST:
            raise JobRejected(kept("The prompt can no longer be read on this machine; send it again."))
        return Job(
            task_id=task.id,
            mode=task.mode,
            format=task.format,
            prompt=with_camera(task.prompt, task.camera),
            enhance=task.enhance,
            first_frame=task.first_frame,
            last_frame=task.last_frame,
            callback=self._hooks.address(task.id) if self._hooks else None,
            read=self._vault.read,
        )

    async def _keep(
        self, task: Task, provider: Provider, answer: Outcome, *, maybe_sent: bool = False
    ) -> None:
        """Put what came of the paid call on disk. It stands nowhere else, so it is kept until the disk takes it."""
        while True:
            try:
                await self._act(task, provider, answer, maybe_sent=maybe_sent)
            except StorageError as error:
                said = f"job {answer.job_id}" if isinstance(answer, Report) else str(answer)
                log.error("task %s, %s: %s", task.id, said, error)  # noqa: TRY400 - not a bug
                await asyncio.sleep(STORAGE_SECONDS)
            else:
                return

    async def _act(self, task: Task, provider: Provider, answer: Outcome, *, maybe_sent: bool) -> None:
        """`maybe_sent`: an earlier try may have been accepted, so no answer but a job ends the doubt."""
        if isinstance(answer, Report):
            self._router.well(task.provider)
            await self._reading.take_up(task, answer)
            return
        if not maybe_sent and isinstance(answer, ProviderBusy | ProviderClosed | OutcomeUnknown):
            self._router.failed(task.provider, answer)
        if maybe_sent or isinstance(answer, OutcomeUnknown):
            await self._unknown(task, provider, answer)
        else:
            await self._next(task, answer)

    async def _next(self, task: Task, error: ProviderError) -> None:
        """Its provider certainly took nothing: the next offer within the hold, or all again later, or the end."""
        if isinstance(error, ContentRefused):
            await self._reading.fail(task, str(error), content=True)
            return
        # One that is only busy is asked again once all others were; one that refused it never is.
        refused = task.tried if isinstance(error, ProviderBusy) else (*task.tried, task.provider)
        order = self._router.order(task.mode, task.format)
        names = [offer.provider for offer in order]
        asked = names.index(task.provider) + 1 if task.provider in names else 0
        for offer in order[asked:]:
            resting = self._router.resting(offer.provider)
            if resting is None and await self._given_to(offer, task, error, refused, self._timetable.now()):
                return
        if self._timetable.waits_too_long(task) and task.polls + 1 >= _TRIES:
            await self._reading.fail(task, str(error))
        else:
            await self._again_later(task, error, order, refused)

    async def _again_later(
        self, task: Task, error: ProviderError, order: Sequence[Offer], refused: tuple[str, ...]
    ) -> None:
        """Wait for the best of those that may still take it, a resting one last, or end where there is none."""
        at_least = getattr(error, "retry_after", None) or 0
        due_at = self._timetable.after(max(at_least, self._timetable.pause(task)))
        for offer in sorted(order, key=lambda offer: self._router.resting(offer.provider) is not None):
            if offer.provider == task.provider and task.provider not in refused:
                break
            if await self._given_to(offer, task, error, refused, due_at):
                return
        if task.provider in refused:
            await self._reading.fail(task, str(error))
        elif task.state is TaskState.HELD:
            await self._tasks.postpone(task, self._timetable.now(), due_at=due_at, problem=str(error))
        else:
            await self._tasks.not_accepted(task, self._timetable.now(), due_at=due_at, note=str(error))

    async def _given_to(
        self, offer: Offer, task: Task, error: ProviderError, refused: tuple[str, ...], due_at: int
    ) -> bool:
        """Give the task to another offer; False where that one may not have it, or a limit stands in the way."""
        known = offer.provider in self._providers and offer.provider not in {task.provider, *refused}
        if not known or offer.micros > task.price_micros:
            return False
        now = self._timetable.now()
        return not await self._tasks.fail_over(
            task, offer, now, due_at=due_at, tried=refused, note=str(error)
        )

    async def _unknown(self, task: Task, provider: Provider, why: ProviderError) -> None:
        """A lost answer is neither success nor failure: ask again where that costs nothing, else park."""
        if not provider.recovers or self._timetable.overdue(task):
            await self._park(task, str(why))
            return
        at_least = CLOSED if isinstance(why, ProviderClosed) else getattr(why, "retry_after", None)
        due_at = self._timetable.after(max(self._timetable.pause(task), at_least or 0))
        problem = kept("answer lost, asking again: {why}", why=why)
        await self._tasks.postpone(task, self._timetable.now(), due_at=due_at, problem=problem)

    async def _park(self, task: Task, why: str) -> None:
        """No more looks: without a job there is nothing to look at, and asking again might cost again."""
        note = kept("whether {provider} took it is unknown: {why}", provider=task.provider, why=why)
        await self._tasks.park(task, self._timetable.now(), due_at=None, note=note)
        log.error("task %s is parked, its hold kept: whether %s took it is unknown", task.id, task.provider)


async def _answer(call: Awaitable[Report]) -> Outcome:
    try:
        return await call
    except ProviderError as error:
        return error
