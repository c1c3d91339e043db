"""All SQL on orders that wait for their member's next word."""

import sqlite3
from dataclasses import dataclass

from storage.database import Database, Transaction


@dataclass(frozen=True, slots=True)
class Draft:
    """Begun by the interaction `id`; `content` is JSON, read by whoever wrote it; `until` is milliseconds since 1970.

    `used_by` is the interaction that made an order of it.
    """

    id: int
    kind: str
    server_id: int
    member_id: int
    content: str
    until: int
    used_by: int | None = None


class DraftStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, draft: Draft) -> None:
        """An interaction that comes twice keeps what it began first."""

        def work(tx: Transaction) -> None:
            tx.run(
                """
                INSERT INTO drafts (id, kind, server_id, member_id, content, until)
                VALUES (:id, :kind, :server, :member, :content, :until) ON CONFLICT (id) DO NOTHING
                """,
                id=draft.id,
                kind=draft.kind,
                server=draft.server_id,
                member=draft.member_id,
                content=tx.vault.seal_text(draft.content),
                until=draft.until,
            )

        await self._database.write(work)

    async def claim(
        self, draft_id: int, kind: str, *, server_id: int, member_id: int, by: int, at: int
    ) -> Draft | None:
        """The member's draft, which is then used by the interaction `by`, or was already by another.

        None where there is none of this member in this server, or its time is over.
        """

        def work(tx: Transaction) -> Draft | None:
            tx.run(
                """
                UPDATE drafts SET used_by = :by
                WHERE id = :id AND kind = :kind AND server_id = :server AND member_id = :member
                  AND until > :at AND used_by IS NULL
                """,
                id=draft_id,
                kind=kind,
                server=server_id,
                member=member_id,
                by=by,
                at=at,
            )
            row = tx.one(
                """
                SELECT * FROM drafts
                WHERE id = :id AND kind = :kind AND server_id = :server AND member_id = :member AND until > :at
                """,
                id=draft_id,
                kind=kind,
                server=server_id,
                member=member_id,
                at=at,
            )
            return _draft(row) if row else None

        return await self._database.write(work)

    async def free(self, draft_id: int, by: int) -> None:
        """No order came of it: it may be used once more."""

        def work(tx: Transaction) -> None:
            tx.run("UPDATE drafts SET used_by = NULL WHERE id = :id AND used_by = :by", id=draft_id, by=by)

        await self._database.write(work)

    async def sweep(self, at: int) -> None:
        """Forget those whose time is over."""

        def work(tx: Transaction) -> None:
            tx.run("DELETE FROM drafts WHERE until <= :at", at=at)

        await self._database.write(work)


def _draft(row: sqlite3.Row) -> Draft:
    return Draft(
        id=row["id"],
        kind=row["kind"],
        server_id=row["server_id"],
        member_id=row["member_id"],
        content=row["content"],
        until=row["until"],
        used_by=row["used_by"],
    )
