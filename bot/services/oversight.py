"""What admins may do with the tasks of their server: look, cancel, refund."""

from collections.abc import Callable
from dataclasses import dataclass

from bot.domain.audit import Deed
from bot.domain.errors import Refusal, StaleTask
from bot.domain.language import kept, said, tr
from bot.domain.money import dollars, parse_dollars
from bot.domain.ports import Clock
from bot.domain.prose import together
from bot.domain.search import Booked, Search, Stage
from bot.domain.task import FINAL, Task, TaskState
from bot.services import pages
from bot.services.files import Files
from bot.services.pages import Page
from bot.services.requests import too_late
from storage.refunds import Refund, RefundStore
from storage.searches import SearchStore
from storage.tasks import TaskStore

_SUGGESTED_FROM = 100


@dataclass(frozen=True, slots=True)
class Refunded:
    """A refund that was made, and the cost it is a part of; in micros."""

    task: Task
    micros: int
    cost: int


class Oversight:
    """Every id is looked up together with its server. `changed` is told of every task that moved."""

    def __init__(
        self,
        tasks: TaskStore,
        searches: SearchStore,
        refunds: RefundStore,
        files: Files,
        *,
        clock: Clock,
        changed: Callable[[Task], None],
    ) -> None:
        self._tasks = tasks
        self._searches = searches
        self._refunds = refunds
        self._files = files
        self._clock = clock
        self._changed = changed

    async def task(self, server_id: int, task_id: str) -> Task:
        task = await self._tasks.get(task_id.strip())
        if task is None or task.server_id != server_id:
            raise Refusal(
                tr("There is no such task in this server. `/admin tasks find` shows the ones there are.")
            )
        return task

    async def find(self, search: Search, *, edge: str | None = None, newer: bool = False) -> Page:
        """As `pages.find`."""
        return await pages.find(self._tasks, self._searches, search, edge=edge, newer=newer)

    async def suggestions(self, server_id: int, stage: Stage, *, refundable: bool = False) -> list[Task]:
        """The newest tasks to choose from, or those of them that have a cost to refund."""
        search = Search(server_id, self._clock(), stage=stage)
        return [
            one.task
            for one in await self._searches.older(search, None, limit=_SUGGESTED_FROM)
            if not refundable or (one.booked.cost and one.booked.refund is None)
        ]

    async def cancel(self, server_id: int, actor_id: int, task_id: str, *, reason: str) -> Task:
        """Cancel a task while nothing was paid; `Refusal` says why it cannot be any more."""
        words = _words(reason)
        task = await self.task(server_id, task_id)
        if task.state is not TaskState.HELD:
            raise Refusal(_not_cancellable(task))
        held = kept("held: {amount}", amount=dollars(task.price_micros))
        deed = Deed(server_id, actor_id, "tasks cancel", _subject(task), held, kept("cancelled"), words)
        note = kept("cancelled by an admin: {reason}", reason=words)
        try:
            await self._tasks.end(task, TaskState.CANCELLED, self._clock(), note=note, deed=deed)
        except StaleTask:
            raise Refusal(_not_cancellable(await self.task(server_id, task_id))) from None
        cancelled = await self.task(server_id, task_id)
        await self._files.forget_pictures(cancelled)
        self._changed(cancelled)
        return cancelled

    async def refund(
        self, server_id: int, actor_id: int, task_id: str, *, reason: str, amount: str | None
    ) -> Refunded:
        """Give a booked cost back to the member's own limits, or `amount` dollars of it; once for each task."""
        words = _words(reason)
        wanted = None if amount is None else _amount(amount)
        task = await self.task(server_id, task_id)

        def decide(now: Task, booked: Booked) -> Refund:
            cost = _refundable(now, booked)
            micros = cost if wanted is None else wanted
            if micros > cost:
                raise Refusal(
                    tr(
                        "Task `{task}` cost {cost}, less than {amount}. Name at most what it cost, or leave "
                        "`amount` out to refund all of it.",
                        task=now.id,
                        cost=dollars(cost),
                        amount=dollars(micros),
                    )
                )
            before = kept("booked: {amount}", amount=dollars(cost))
            given = kept("refunded: {amount}", amount=dollars(micros))
            note = kept("{amount} refunded by an admin: {reason}", amount=dollars(micros), reason=words)
            deed = Deed(server_id, actor_id, "tasks refund", _subject(now), before, given, words)
            return Refund(micros, note, deed)

        given = await self._refunds.refund(task, self._clock(), decide)
        return Refunded(task, given.micros, await self._tasks.cost(task.id))


def _subject(task: Task) -> str:
    return f"{task.id} of <@{task.member_id}>"


def _words(reason: str) -> str:
    words = " ".join(reason.split())
    if not words:
        raise Refusal(tr("The reason is empty. Say in words why, for the member and for the other admins."))
    return words


def _amount(written: str) -> int:
    try:
        micros = parse_dollars(written.strip().removeprefix("$"))
    except ValueError as error:
        raise Refusal(tr("`amount`: {problem}.", problem=said(str(error)))) from error
    if micros == 0:
        raise Refusal(
            tr("`amount` was $0.00. Name what to refund, such as 0.28, or leave it out for all of it.")
        )
    return micros


def _not_cancellable(task: Task) -> str:
    match task.state:
        case TaskState.FAILED | TaskState.CANCELLED:
            return too_late(task)
        case TaskState.SUCCEEDED | TaskState.DELIVERED:
            return tr(
                "Task `{task}` is already finished and paid. `/admin tasks refund` can give its cost back to the "
                "member.",
                task=task.id,
            )
        case TaskState.PARKED:
            return tr(
                "Task `{task}` is parked: nobody knows yet whether its provider bills for it, so its price stays "
                "held. The operator asks the provider and ends it with `conch tasks`.",
                task=task.id,
            )
        case _:
            return tr(
                "Task `{task}` is already with its provider, which cannot stop it and bills for it. Once it is "
                "ready, `/admin tasks refund` can give its cost back to the member.",
                task=task.id,
            )


def _refundable(task: Task, booked: Booked) -> int:
    """The booked cost; `Refusal` where there is none to give back."""
    if booked.refund is not None:
        raise Refusal(
            tr(
                "Task `{task}` has been refunded already: {refunded} of {cost}. A task is refunded once, and what "
                "is booked is never changed.",
                task=task.id,
                refunded=dollars(booked.refund),
                cost=dollars(booked.cost or 0),
            )
        )
    if booked.cost:
        return booked.cost
    if booked.cost == 0:
        raise Refusal(tr("Task `{task}` was free: there is nothing to refund.", task=task.id))
    if task.state is TaskState.CANCELLED:
        raise Refusal(
            tr(
                "Task `{task}` cost nothing: it is cancelled, and what was held for it was given back.",
                task=task.id,
            )
        )
    if task.state in FINAL:
        raise Refusal(
            tr(
                "Task `{task}` cost nothing: it is failed, and what was held for it was given back.",
                task=task.id,
            )
        )
    held = tr(
        "Task `{task}` has cost nothing yet: {price} is held.", task=task.id, price=dollars(task.price_micros)
    )
    if task.state is TaskState.HELD:
        way_on = tr("`/admin tasks cancel` gives that back.")
    elif task.state is TaskState.PARKED:
        way_on = tr("It is parked: the operator finds out what it cost, with `conch tasks`.")
    else:
        way_on = tr("Once it is ready and its cost is booked, it can be refunded.")
    raise Refusal(together(held, way_on))
