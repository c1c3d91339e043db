"""Tasks without a known outcome: an operator who asked the provider ends them, with a reason."""

import re
from collections.abc import Callable

from bot.domain.errors import Refusal
from bot.domain.language import kept
from bot.domain.money import dollars
from bot.domain.ports import Clock
from bot.domain.task import Task, TaskState, settled_at
from bot.services.files import Files
from storage.tasks import TaskStore


class Parked:
    """`changed` is told of every task that moved."""

    def __init__(self, tasks: TaskStore, files: Files, clock: Clock, changed: Callable[[Task], None]) -> None:
        self._tasks = tasks
        self._files = files
        self._clock = clock
        self._changed = changed

    async def list(self) -> list[Task]:
        return await self._tasks.parked()

    async def attach(self, task_id: str, *, job_id: str, reason: str) -> Task:
        """The provider did take it, as this job: it is read again, and its clip delivered.

        A job that an operator named before may have been a slip: this one takes its place.
        """
        task = await self._parked(task_id)
        if task.job_id == job_id or (task.job_id and await self._tasks.body(task) is None):
            raise Refusal(f"Task {task_id} has its job already ({task.job_id}) and is still read.")
        if not re.fullmatch(r"[!-~]{1,200}", job_id):
            raise Refusal(f"{job_id!r} is no job id: copy it from {task.provider}'s own list.")
        if job_id in await self._tasks.known_jobs(task.provider, 0):
            raise Refusal(f"Job {job_id} belongs to another task already: nobody pays twice for one clip.")
        note = kept("found by the operator as {job}: {reason}", job=job_id, reason=reason)
        await self._tasks.attach(task, job_id, self._clock(), note=note)
        return await self._told(task_id)

    async def settle(self, task_id: str, *, cost_micros: int, reason: str) -> Task:
        """The provider charged for it, and there is no clip to be had: the cost is booked."""
        task = await self._parked(task_id)
        note = settled_at(dollars(cost_micros), reason)
        await self._tasks.end(task, TaskState.FAILED, self._clock(), note=note, cost_micros=cost_micros)
        return await self._told(task_id)

    async def release(self, task_id: str, *, reason: str) -> Task:
        """The provider took nothing, or charged nothing: the hold is given back."""
        task = await self._parked(task_id)
        note = kept("released by the operator: {reason}", reason=reason)
        await self._tasks.end(task, TaskState.FAILED, self._clock(), note=note)
        return await self._told(task_id)

    async def _parked(self, task_id: str) -> Task:
        task = await self._tasks.get(task_id)
        if task is None:
            raise Refusal(f"There is no task {task_id}. `conch tasks` lists the parked ones.")
        if task.state is not TaskState.PARKED:
            raise Refusal(f"Task {task_id} is {task.state}, not parked: there is nothing to decide.")
        return task

    async def _told(self, task_id: str) -> Task:
        task = await self._tasks.get(task_id)
        if task is None:
            raise Refusal(f"There is no task {task_id} any more.")
        await self._files.forget_pictures(task)
        self._changed(task)
        return task
