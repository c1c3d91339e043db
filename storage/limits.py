"""All SQL on limits: the operator's rows, and what counts against each in its window."""

from collections.abc import Iterable
from datetime import UTC

from bot.domain.limits import Limit, LimitHit, Period, Scope, Usage, window
from bot.domain.task import Task
from storage.database import Database, Transaction

#: The server id of the operator's own limits.
_OPERATOR = 0

_COUNTED = {
    Scope.MEMBER: """
        SELECT COALESCE(SUM(spent_micros), 0) AS spent, COALESCE(SUM(held_micros), 0) AS held
        FROM ledger WHERE member_id = :member AND held_at >= :since AND held_at < :until""",
    Scope.SERVER: """
        SELECT COALESCE(SUM(spent_micros), 0) AS spent, COALESCE(SUM(held_micros), 0) AS held
        FROM ledger WHERE server_id = :server AND held_at >= :since AND held_at < :until""",
    # A task may change its provider after the hold: it counts with the one that has it now.
    Scope.PROVIDER: """
        SELECT COALESCE(SUM(spent_micros), 0) AS spent, COALESCE(SUM(held_micros), 0) AS held
        FROM ledger JOIN tasks ON tasks.id = ledger.task_id
        WHERE tasks.provider = :provider AND held_at >= :since AND held_at < :until""",
    Scope.BOT: """
        SELECT COALESCE(SUM(spent_micros), 0) AS spent, COALESCE(SUM(held_micros), 0) AS held
        FROM ledger WHERE held_at >= :since AND held_at < :until""",
}


def first_hit(
    tx: Transaction, task: Task, price_micros: int, *, only: Scope | None = None
) -> LimitHit | None:
    """The limit with the least room left that `price_micros` more would pass, or None; of one scope or of all."""
    if price_micros == 0:
        return None  # nothing more is spent, even where a limit has been passed already
    hits = []
    rows = tx.all(
        "SELECT scope, period, subject, micros FROM limits WHERE server_id = :owner", owner=_OPERATOR
    )
    for row in rows:
        limit = Limit(Scope(row["scope"]), Period(row["period"]), row["micros"], row["subject"])
        if (limit.subject and limit.subject != _subject(task, limit.scope)) or only not in {
            None,
            limit.scope,
        }:
            continue
        span = window(limit.period, task.created_at, UTC)
        counted = tx.one(
            _COUNTED[limit.scope],
            since=span.since,
            until=span.until,
            **_named(task, limit.scope),
        )
        usage = Usage(counted["spent"], counted["held"]) if counted else Usage(0, 0)
        if usage.total + price_micros > limit.micros:
            hits.append(LimitHit(limit, usage, price_micros, span.until))
    return min(hits, key=lambda hit: hit.limit.micros - hit.usage.total, default=None)


def _named(task: Task, scope: Scope) -> dict[str, int | str]:
    values: dict[Scope, dict[str, int | str]] = {
        Scope.MEMBER: {"member": task.member_id},
        Scope.SERVER: {"server": task.server_id},
        Scope.PROVIDER: {"provider": task.provider},
        Scope.BOT: {},
    }
    return values[scope]


def _subject(task: Task, scope: Scope) -> str:
    return str(next(iter(_named(task, scope).values()), ""))


class LimitStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def set_operators(self, limits: Iterable[Limit]) -> None:
        """Make the operator's limits exactly these."""
        wanted = list(limits)

        def work(tx: Transaction) -> None:
            tx.run("DELETE FROM limits WHERE server_id = :owner", owner=_OPERATOR)
            for limit in wanted:
                tx.run(
                    """
                    INSERT INTO limits (server_id, scope, subject, period, micros)
                    VALUES (:owner, :scope, :subject, :period, :micros)
                    """,
                    owner=_OPERATOR,
                    scope=limit.scope.value,
                    subject=limit.subject,
                    period=limit.period.value,
                    micros=limit.micros,
                )

        await self._database.write(work)

    async def operators(self) -> list[Limit]:
        rows = await self._database.read(
            "SELECT scope, period, micros, subject FROM limits WHERE server_id = :owner ORDER BY id",
            owner=_OPERATOR,
        )
        return [
            Limit(Scope(row["scope"]), Period(row["period"]), row["micros"], row["subject"]) for row in rows
        ]
