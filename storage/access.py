"""All SQL on access rules, and on what waits of those they shut out."""

import sqlite3
from collections.abc import Callable, Sequence

from bot.domain.access import Kind, Rule
from bot.domain.audit import Deed
from storage import audit
from storage.database import Database, Transaction

#: A rule whose time is over is none, although it is still there until the next change.
_IN_FORCE = "SELECT * FROM access_rules WHERE server_id = :server AND (until IS NULL OR until > :at)"
_ALL = f"{_IN_FORCE} ORDER BY id DESC"

#: Gets the rules in force, and returns what they shall be and what is written down.
Decide = Callable[[Sequence[Rule]], tuple[Sequence[Rule], Sequence[Deed]]]


def _rule_of(row: sqlite3.Row) -> Rule:
    return Rule(
        Kind(row["kind"]), row["subject"], bool(row["allowed"]), row["until"], row["reason"], id=row["id"]
    )


def _in_force(tx: Transaction, server_id: int, at: int) -> list[Rule]:
    return [_rule_of(row) for row in tx.all(_ALL, server=server_id, at=at)]


def _put(tx: Transaction, server_id: int, rule: Rule) -> None:
    tx.run(
        """
        INSERT INTO access_rules (server_id, kind, subject, allowed, until, reason)
        VALUES (:server, :kind, :subject, :allowed, :until, :reason)
        """,
        server=server_id,
        kind=rule.kind.value,
        subject=rule.subject,
        allowed=int(rule.allowed),
        until=rule.until,
        reason=rule.reason,
    )


class AccessStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_server(self, server_id: int, at: int) -> list[Rule]:
        """Every rule in force, the newest first."""
        rows = await self._database.read(_ALL, server=server_id, at=at)
        return [_rule_of(row) for row in rows]

    async def concerning(self, member_id: int, server_id: int, at: int) -> list[Rule]:
        """The rules in force that can decide about a member: all but other members' blocks."""
        rows = await self._database.read(
            f"{_IN_FORCE} AND (kind <> 'member' OR subject = :member) ORDER BY id",
            server=server_id,
            at=at,
            member=str(member_id),
        )
        return [_rule_of(row) for row in rows]

    async def waiting(self, server_id: int, member_id: int) -> tuple[int, int]:
        """How many clips of a member no provider has yet, and the micros held for them."""
        row = await self._database.read_one(
            """
            SELECT COUNT(*) AS clips, COALESCE(SUM(price_micros), 0) AS held FROM tasks
            WHERE server_id = :server AND member_id = :member AND state = 'held'
            """,
            server=server_id,
            member=member_id,
        )
        return (row["clips"], row["held"]) if row else (0, 0)

    async def change(self, server_id: int, at: int, decide: Decide) -> list[Rule]:
        """Change a server's rules and write down who did, in one transaction; the rules then, the newest first.

        A `Refusal` that `decide` raises changes nothing. Rules whose time is over go for good.
        """

        def work(tx: Transaction) -> list[Rule]:
            before = _in_force(tx, server_id, at)
            after, deeds = decide(before)
            tx.run(
                "DELETE FROM access_rules WHERE server_id = :server AND until <= :at", server=server_id, at=at
            )
            kept, known = set(after), set(before)
            for rule in before:
                if rule not in kept:
                    tx.run("DELETE FROM access_rules WHERE id = :id", id=rule.id)
            for rule in after:
                if rule not in known:
                    _put(tx, server_id, rule)
            for deed in deeds:
                audit.note(tx, deed, at)
            return _in_force(tx, server_id, at)

        return await self._database.write(work)
