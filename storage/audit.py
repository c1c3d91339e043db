"""What admins did, written in the transaction that did it, and never rewritten."""

import asyncio
import sqlite3

from bot.domain.audit import AuditEntry, Deed
from storage.database import Database, Transaction


def note(tx: Transaction, deed: Deed, at: int) -> None:
    tx.run(
        """
        INSERT INTO audit (server_id, at, actor_id, action, subject, before, after, reason)
        VALUES (:server, :at, :actor, :action, :subject, :before, :after, :reason)
        """,
        server=deed.server_id,
        at=at,
        actor=deed.actor_id,
        action=deed.action,
        subject=deed.subject,
        before=deed.before,
        after=deed.after,
        reason=deed.reason,
    )


class AuditStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_server(self, server_id: int, *, limit: int, actor_id: int | None = None) -> list[AuditEntry]:
        """The newest first, of one admin or of all."""
        rows = await self._database.read(
            """
            SELECT * FROM audit WHERE server_id = :server AND (:actor = 0 OR actor_id = :actor)
            ORDER BY id DESC LIMIT :limit
            """,
            server=server_id,
            actor=actor_id or 0,
            limit=limit,
        )
        # Thousands of them take longer than the event loop should wait.
        return await asyncio.to_thread(lambda: [_entry_of(row) for row in rows])


def _entry_of(row: sqlite3.Row) -> AuditEntry:
    return AuditEntry(
        row["at"],
        Deed(
            server_id=row["server_id"],
            actor_id=row["actor_id"],
            action=row["action"],
            subject=row["subject"],
            before=row["before"],
            after=row["after"],
            reason=row["reason"],
        ),
    )
