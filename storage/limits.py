"""All SQL on limits: the operator's and the admins', and what counts against each in its window."""

import sqlite3
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo

from bot.domain.audit import Deed
from bot.domain.limits import (
    OPERATOR,
    Limit,
    LimitHit,
    Period,
    Scope,
    Spender,
    Usage,
    Window,
    applying,
    window,
)
from bot.domain.money import dollars
from bot.domain.servers import NO_SERVER
from bot.domain.task import Task
from storage import audit, servers
from storage.database import Database, Transaction
from storage.ledger import BORNE, IN_SERVER, OF_MEMBER, PAID

_COLUMNS = "server_id, scope, subject, period, micros"
#: Without those of other members: a server may have thousands.
_IN_FORCE = f"""
SELECT {_COLUMNS} FROM limits WHERE server_id IN (:operator, :server)
  AND (scope <> 'member' OR subject IN ('', :member))"""  # noqa: S608 - our constant
#: What a member is told of; the other budgets are the operator's own business.
_MEMBERS = frozenset({Scope.MEMBER, Scope.ROLE, Scope.SERVER})
#: A task may change its provider after the hold: it counts with the one that has it now.
_AT_PROVIDER = """
 AND EXISTS (SELECT 1 FROM tasks WHERE tasks.id = ledger.task_id AND tasks.provider = :provider)"""


@dataclass(frozen=True, slots=True)
class Case:
    """For whom, where and when limits are asked for; without a provider, those on providers are not."""

    member_id: int
    role_ids: frozenset[int]
    server_id: int
    at: int
    provider: str = ""


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
    case = Case(task.member_id, role_ids, task.server_id, task.created_at, task.provider)
    rows = tx.all(_IN_FORCE, operator=OPERATOR, server=case.server_id, member=str(case.member_id))
    scopes = frozenset(Scope) if only is None else {only}
    found = []
    for limit, span in _deciding(rows, case, servers.get(tx, case.server_id).tz, scopes):
        sql, values = _counting(limit, case, span)
        found.append(Counted(limit, span, _usage_of(tx.one(sql, **values))))
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


def _deciding(
    rows: Iterable[sqlite3.Row], case: Case, zone: tzinfo, scopes: Container[Scope]
) -> Iterator[tuple[Limit, Window]]:
    """The limits that decide in a case, each with the window it is in; `zone` is the server's."""
    limits = [limit for limit in map(_limit_of, rows) if _concerns(limit, case)]
    for limit in applying(limits, member_id=case.member_id, role_ids=case.role_ids):
        if limit.scope in scopes:
            yield limit, window(limit.period, case.at, UTC if limit.server_id == OPERATOR else zone)


def _concerns(limit: Limit, case: Case) -> bool:
    """Whether an operator's limit is meant for this case; which of the admins' decides is another question."""
    if limit.scope is Scope.SERVER and case.server_id == NO_SERVER:
        return False
    subjects = {Scope.MEMBER: case.member_id, Scope.SERVER: case.server_id, Scope.PROVIDER: case.provider}
    return limit.server_id != OPERATOR or limit.subject in {"", str(subjects.get(limit.scope))}


def _counting(limit: Limit, case: Case, span: Window) -> tuple[str, dict[str, int | str]]:
    """The query for what counts against a limit, and its values."""
    values: dict[str, int | str] = {"since": span.since, "until": span.until}
    sql = PAID
    if limit.personal:
        # A refund is an admin's: it gives no room under what the operator allows.
        sql = PAID if limit.server_id == OPERATOR else BORNE
        sql, values["member"] = sql + OF_MEMBER, case.member_id
    if limit.scope is Scope.SERVER or (limit.personal and limit.server_id != OPERATOR):
        sql, values["server"] = sql + IN_SERVER, case.server_id
    if limit.scope is Scope.PROVIDER:
        sql, values["provider"] = sql + _AT_PROVIDER, case.provider
    return sql, values


def _usage_of(row: sqlite3.Row | None) -> Usage:
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


def _take(tx: Transaction, limit: Limit) -> Limit | None:
    """Remove it, whatever its amount; as it stood, or None where there was none."""
    row = tx.one(
        f"""
        DELETE FROM limits WHERE server_id = :server AND scope = :scope AND subject = :subject
          AND period = :period
        RETURNING {_COLUMNS}
        """,  # noqa: S608 - our constant
        server=limit.server_id,
        scope=limit.scope.value,
        subject=limit.subject,
        period=limit.period.value,
    )
    return _limit_of(row) if row else None


def _anything(_: Limit | None) -> None:
    """The check of what may be changed whatever it is."""


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

    async def for_member(self, case: Case, zone: tzinfo) -> list[Counted]:
        """The member's limits and the server's budgets that decide in a case; `zone` is the server's."""
        rows = await self._database.read(
            _IN_FORCE, operator=OPERATOR, server=case.server_id, member=str(case.member_id)
        )
        found = []
        for limit, span in _deciding(rows, case, zone, _MEMBERS):
            sql, values = _counting(limit, case, span)
            found.append(Counted(limit, span, _usage_of(await self._database.read_one(sql, **values))))
        return found

    async def put(
        self, limit: Limit, deed: Deed, at: int, *, check: Callable[[Limit | None], None] = _anything
    ) -> None:
        """Set an admin's limit, or change it, and write down who did, from which amount to which.

        `check` gets the limit that stands now; a `Refusal` it raises changes nothing.
        """

        def work(tx: Transaction) -> None:
            before = _take(tx, limit)
            check(before)
            _put(tx, limit)
            audit.note(tx, replace(deed, before=_amount(before), after=_amount(limit)), at)

        await self._database.write(work)

    async def clear(self, limit: Limit, deed: Deed, at: int) -> Limit | None:
        """Take an admin's limit away, whatever its amount, and write down who did.

        The limit as it stood; None where there was none, and nothing is noted.
        """

        def work(tx: Transaction) -> Limit | None:
            taken = _take(tx, limit)
            if taken:
                audit.note(tx, replace(deed, before=_amount(taken)), at)
            return taken

        return await self._database.write(work)

    async def used_up(self, limit: Limit, span: Window, *, most: int) -> tuple[list[Spender], int]:
        """Members of its server who used as much as a limit or more, and have none of their own for its period.

        The `most` who used most, and how many there are in all.
        """
        rows = await self._database.read(
            """
            WITH used AS (
              SELECT member_id, SUM(spent_micros - refunded_micros) AS spent, SUM(held_micros) AS held
              FROM ledger WHERE server_id = :server AND held_at >= :since AND held_at < :until
              GROUP BY member_id
            )
            SELECT member_id, spent, held, COUNT(*) OVER () AS members FROM used
            WHERE spent + held >= :least AND NOT EXISTS (
              SELECT 1 FROM limits WHERE server_id = :server AND scope = 'member' AND period = :period
                AND subject = CAST(used.member_id AS TEXT))
            ORDER BY spent + held DESC, member_id LIMIT :most
            """,
            server=limit.server_id,
            since=span.since,
            until=span.until,
            period=limit.period.value,
            least=max(limit.micros, 1),
            most=most,
        )
        spenders = [Spender(row["member_id"], Usage(row["spent"], row["held"])) for row in rows]
        return spenders, rows[0]["members"] if rows else 0


def _amount(limit: Limit | None) -> str:
    return "" if limit is None else dollars(limit.micros)
