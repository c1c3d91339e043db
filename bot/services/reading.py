"""What a provider says of a job becomes the task's next state, with its money."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bot.domain.errors import JobNotFound, OutcomeUnknown, ProviderBusy, ProviderError
from bot.domain.language import kept
from bot.domain.money import dollars
from bot.domain.ports import Announcer, Provider, Report
from bot.domain.task import Task, TaskState, switched_off
from bot.services.files import Files
from bot.services.timetable import CLOSED, PARKED, Timetable
from storage.tasks import TaskStore

log = logging.getLogger(__name__)

Outcome = Report | ProviderError


class Reading:
    def __init__(
        self,
        tasks: TaskStore,
        providers: Mapping[str, Provider],
        announcer: Announcer,
        files: Files,
        timetable: Timetable,
    ) -> None:
        self._tasks = tasks
        self._providers = providers
        self._announcer = announcer
        self._files = files
        self._timetable = timetable

    async def ask(self, tasks: Sequence[Task]) -> dict[str, Outcome]:
        """One call for the status of tasks of one provider; what it said of each, by task id."""
        provider = self._providers.get(tasks[0].provider)
        if provider is None:
            off = ProviderBusy(switched_off(tasks[0].provider))
            return {task.id: off for task in tasks}
        jobs = {task.id: task.job_id for task in tasks if task.job_id is not None}
        said = await provider.statuses(list(jobs.values()))
        silence = ProviderBusy(kept("{provider} said nothing of this job", provider=provider.name))
        return {task_id: said.get(job_id, silence) for task_id, job_id in jobs.items()}

    async def take(self, task: Task, outcome: Outcome | None) -> None:
        """Act on what a status read said; None where there was no job to ask about."""
        match outcome:
            case None:
                await self._tasks.postpone(task, self._timetable.now(), due_at=None, problem=task.problem)
            case Report():
                await self.apply(task, outcome)
            case ProviderBusy() | OutcomeUnknown() | JobNotFound():
                await self.later(task, str(outcome), at_least=getattr(outcome, "retry_after", None))
            case _:
                log.error("task %s: %s", task.id, outcome)
                await self.later(task, str(outcome), at_least=CLOSED)

    async def take_up(self, task: Task, report: Report) -> None:
        """A submit was accepted. The job's id first, also of one that ended at once: it may have to be asked for."""
        if report.state in {TaskState.FAILED, TaskState.CANCELLED}:
            now = self._timetable.now()
            await self._tasks.accepted(task, report.job_id, TaskState.QUEUED, now, due_at=now)
            task = replace(task, state=TaskState.QUEUED, job_id=report.job_id)
        await self.apply(task, report)

    async def apply(self, task: Task, report: Report) -> None:
        match report.state:
            case TaskState.SUCCEEDED if report.clip_url:
                await self._succeed(task, report, report.clip_url)
            case TaskState.FAILED:
                if report.cost_micros:
                    # The member gets the hold back all the same: no clip, no charge.
                    cost = dollars(report.cost_micros)
                    log.error("task %s failed, but %s charged %s for it", task.id, task.provider, cost)
                why = report.reason or kept("no reason was given")
                await self.fail(task, why, content=report.content_refused, charged=report.cost_micros)
            case TaskState.CANCELLED:
                note = kept("cancelled by {provider}", provider=task.provider)
                await self._tasks.end(
                    task,
                    TaskState.CANCELLED,
                    self._timetable.now(),
                    note=note,
                    charged_micros=report.cost_micros,
                )
                await self._files.forget_pictures(task)
            case _:
                await self._wait_on(task, report)

    async def fail(self, task: Task, why: str, *, content: bool = False, charged: int | None = None) -> None:
        """A definite failure: the hold is given back at once. `charged` is the provider's own figure, micros."""
        note = kept("the content was refused: {why}", why=why) if content else why
        await self._tasks.end(
            task, TaskState.FAILED, self._timetable.now(), note=note, charged_micros=charged
        )
        log.info("task %s failed, its hold is given back: %s", task.id, note)
        await self._files.forget_pictures(task)

    async def later(self, task: Task, why: str, *, at_least: float | None = None) -> None:
        if self._timetable.overdue(task) and task.state is not TaskState.PARKED:
            await self._park(task)
            return
        pause = PARKED if task.state is TaskState.PARKED else self._timetable.pause(task)
        due_at = self._timetable.after(max(pause, at_least or 0))
        await self._tasks.postpone(task, self._timetable.now(), due_at=due_at, problem=why)

    async def _wait_on(self, task: Task, report: Report) -> None:
        now = self._timetable.now()
        working = report.state is TaskState.PROCESSING
        if task.state is TaskState.SUBMITTING:
            fresh = replace(task, polls=0, job_id=report.job_id)
            due_at = self._timetable.after(self._timetable.until_read(fresh))
            state = TaskState.PROCESSING if working else TaskState.QUEUED
            await self._tasks.accepted(task, report.job_id, state, now, due_at=due_at)
        elif task.state is TaskState.PARKED:
            await self._tasks.postpone(task, now, due_at=self._timetable.after(PARKED), problem=task.problem)
        elif self._timetable.overdue(task):
            await self._park(task)
        else:
            due_at = self._timetable.after(self._timetable.until_read(task))
            await self._tasks.observed(
                task, TaskState.PROCESSING if working else task.state, now, due_at=due_at
            )
        self._announcer.changed(task, progress=report.progress)

    async def _succeed(self, task: Task, report: Report, url: str) -> None:
        cost = task.list_micros if report.cost_micros is None else report.cost_micros
        if cost > task.price_micros:
            note = kept(
                "finished for {cost}, above the {held} that were held",
                cost=dollars(cost),
                held=dollars(task.price_micros),
            )
            log.warning("task %s cost %s, more than was held", task.id, dollars(cost))
        else:
            note = kept("finished for {cost} after {number} reads", cost=dollars(cost), number=task.polls + 1)
        await self._tasks.succeed(
            task,
            self._timetable.now(),
            job_id=report.job_id,
            clip=(url, report.clip_expires_at),
            cost_micros=cost,
            note=note,
            charged_micros=report.cost_micros,
        )
        self._timetable.learn(task)

    async def _park(self, task: Task) -> None:
        minutes = self._timetable.deadline_minutes
        note = kept(
            "no result after {minutes} minutes; its hold is kept and it is still looked at", minutes=minutes
        )
        due_at = self._timetable.after(PARKED)
        await self._tasks.park(task, self._timetable.now(), due_at=due_at, note=note)
        log.warning("task %s has no result after %d minutes: parked", task.id, minutes)
