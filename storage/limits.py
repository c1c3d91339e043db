"""All SQL on limits: the operator's and the admins', and what counts against each in its window."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC

from bot.domain.audit import Deed
from bot.domain.limits import OPERATOR, Limit, LimitHit, Period, Scope, Usage, Window, applying, window
from bot.domain.task import Task
from storage import audit, servers
from storage.database import Database, Transaction
from storage.ledger import BORNE, EVER_BORNE, EVER_PAID, IN_SERVER, PAID

_COLUMNS = "server_id, scope, subject, period, micros"
#: A task may change its provider after the hold: it counts with the one that has it now.
_AT_PROVIDER = """
 AND EXISTS (SELECT 1 FROM tasks WHERE tasks.id = ledger.task_id AND tasks.provider = :provider)"""


@dataclass(frozen=True, slots=True)
class Counted:
    """A limit that applies, the window it is in, and what counts in it."""

    limit: Limit
    span: Window
    usage: Usage

    @property
    def room(self) -> int:
        """Micros that may still be held; less than nothing where it has been passed."""
        return self.limit.micros - self.usage.total


def counted(
    tx: Transaction, task: Task, role_ids: frozenset[int], *, only: Scope | None = None
) -> list[Counted]:
    """Every limit that applies to a task, with what counts against it; of one scope or of all."""
    rows = tx.all(
        f"SELECT {_COLUMNS} FROM limits WHERE server_id IN (:operator, :server)",  # noqa: S608 - our constant
        operator=OPERATOR,
        server=task.server_id,
    )
    limits = [limit for limit in map(_limit_of, rows) if _concerns(limit, task)]
    zone = servers.get(tx, task.server_id).tz
    found = []
    for limit in applying(limits, member_id=task.member_id, role_ids=role_ids):
        if only not in {None, limit.scope}:
            continue
        span = window(limit.period, task.created_at, UTC if limit.server_id == OPERATOR else zone)
        found.append(Counted(limit, span, _usage(tx, limit, task, span)))
    return found


def first_hit(
    tx: Transaction,
    task: Task,
    price_micros: int,
    role_ids: frozenset[int] = frozenset(),
    *,
    only: Scope | None = None,
) -> LimitHit | None:
    """The limit with the least room left that `price_micros` more would pass, or None; of one scope or of all."""
    if price_micros == 0:
        return None  # nothing more is spent, even where a limit has been passed already
    return hit_of(counted(tx, task, role_ids, only=only), price_micros)


def hit_of(applicable: Iterable[Counted], price_micros: int) -> LimitHit | None:
    hits = [one for one in applicable if price_micros > one.room]
    least = min(hits, key=lambda one: one.room, default=None)
    return None if least is None else LimitHit(least.limit, least.usage, price_micros, least.span.until)


def _concerns(limit: Limit, task: Task) -> bool:
    """Whether an operator's limit is meant for this task; which of the admins' decides is another question."""
    subjects = {Scope.MEMBER: task.member_id, Scope.SERVER: task.server_id, Scope.PROVIDER: task.provider}
    return limit.server_id != OPERATOR or limit.subject in {"", str(subjects.get(limit.scope))}


def _usage(tx: Transaction, limit: Limit, task: Task, span: Window) -> Usage:
    values: dict[str, int | str] = {"since": span.since, "until": span.until}
    # Sums over all time are kept by member and server alone; no setting makes such a limit for a provider.
    ever = limit.period is Period.TOTAL and limit.scope is not Scope.PROVIDER
    sql = EVER_PAID if ever else PAID
    if limit.personal:
        sql, values["member"] = EVER_BORNE if ever else BORNE, task.member_id
    if limit.scope is Scope.SERVER or (limit.personal and limit.server_id != OPERATOR):
        sql, values["server"] = sql + IN_SERVER, task.server_id
    if limit.scope is Scope.PROVIDER:
        sql, values["provider"] = sql + _AT_PROVIDER, task.provider
    row = tx.one(sql, **values)
    return Usage(row["spent"], row["held"]) if row else Usage(0, 0)


def _limit_of(row: sqlite3.Row) -> Limit:
    return Limit(
        Scope(row["scope"]), Period(row["period"]), row["micros"], row["subject"], server_id=row["server_id"]
    )


def _put(tx: Transaction, limit: Limit) -> None:
    tx.run(
        """
        INSERT INTO limits (server_id, scope, subject, period, micros)
        VALUES (:server, :scope, :subject, :period, :micros)
        """,
        server=limit.server_id,
        scope=limit.scope.value,
        subject=limit.subject,
        period=limit.period.value,
        micros=limit.micros,
    )


def _take(tx: Transaction, limit: Limit) -> bool:
    """Remove it, whatever its amount; whether there was one."""
    changed = tx.run(
        """
        DELETE FROM limits WHERE server_id = :server AND scope = :scope AND subject = :subject
          AND period = :period
        """,
        server=limit.server_id,
        scope=limit.scope.value,
        subject=limit.subject,
        period=limit.period.value,
    )
    return changed == 1


class LimitStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def set_operators(self, limits: Iterable[Limit]) -> None:
        """Make the operator's limits exactly these."""
        wanted = list(limits)

        def work(tx: Transaction) -> None:
            tx.run("DELETE FROM limits WHERE server_id = :owner", owner=OPERATOR)
            for limit in wanted:
                _put(tx, limit)

        await self._database.write(work)

    async def of_server(self, server_id: int) -> list[Limit]:
        """What an owner has set: a server's admins, or the operator (`OPERATOR`); in the order they were set."""
        rows = await self._database.read(
            f"SELECT {_COLUMNS} FROM limits WHERE server_id = :owner ORDER BY id",  # noqa: S608 - our constant
            owner=server_id,
        )
        return [_limit_of(row) for row in rows]

    async def put(self, limit: Limit, deed: Deed, at: int) -> None:
        """Set an admin's limit, or change it, and write down who did."""

        def work(tx: Transaction) -> None:
            _take(tx, limit)
            _put(tx, limit)
            audit.note(tx, deed, at)

        await self._database.write(work)

    async def clear(self, limit: Limit, deed: Deed, at: int) -> bool:
        """Take an admin's limit away, whatever its amount; False where there was none, and nothing is noted."""

        def work(tx: Transaction) -> bool:
            taken = _take(tx, limit)
            if taken:
                audit.note(tx, deed, at)
            return taken

        return await self._database.write(work)
