"""How far a server's budget is used up: noted once for each step and window, in the transaction that gets there."""

from collections.abc import Iterable

from bot.domain.limits import Scope
from bot.domain.task import Task
from storage.database import Transaction
from storage.limits import Counted

#: Percent of a budget that moderators want to know of.
STEPS = (50, 80, 100)


def note(tx: Transaction, applicable: Iterable[Counted], task: Task, price_micros: int) -> None:
    """Note the steps that a hold of `price_micros` reaches."""
    for one in _budgets(applicable):
        used = one.usage.total + price_micros
        for step in STEPS:
            if used * 100 >= step * one.limit.micros:
                _add(tx, one, task, step, used)


def note_refused(tx: Transaction, applicable: Iterable[Counted], task: Task, price_micros: int) -> None:
    """Note that a budget is used up: what is left of it is too little for a clip that was asked for."""
    for one in _budgets(applicable):
        if price_micros > one.room:
            _add(tx, one, task, STEPS[-1], one.usage.total)


def _budgets(applicable: Iterable[Counted]) -> list[Counted]:
    return [one for one in applicable if one.limit.scope is Scope.SERVER and one.limit.micros]


def _add(tx: Transaction, one: Counted, task: Task, step: int, used: int) -> None:
    tx.run(
        """
        INSERT INTO alarms (server_id, owner_id, period, since, percent, limit_micros, used_micros, at)
        VALUES (:server, :owner, :period, :since, :percent, :limit, :used, :at)
        ON CONFLICT (server_id, owner_id, period, since, percent) DO NOTHING
        """,
        server=task.server_id,
        owner=one.limit.server_id,
        period=one.limit.period.value,
        since=one.span.since,
        percent=step,
        limit=one.limit.micros,
        used=used,
        at=task.created_at,
    )
