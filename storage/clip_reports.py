"""All SQL on reported clips."""

import sqlite3
from dataclasses import dataclass

from bot.domain.audit import Deed
from bot.domain.clip_reports import ClipReport, Verdict
from bot.domain.task import Task
from storage import audit
from storage.database import Database, Transaction


@dataclass(frozen=True, slots=True)
class Sent:
    """Reports that reached moderators: this member's of this clip, and the moments of all lately, oldest first.

    One that was decided did, although a crash kept its message from being noted.
    """

    of_clip: ClipReport | None
    lately: list[int]


class ClipReportStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, report_id: int) -> ClipReport | None:
        row = await self._database.read_one("SELECT * FROM clip_reports WHERE id = :id", id=report_id)
        return _report_of(row) if row else None

    async def sent(self, task: Task, member_id: int, *, since: int) -> Sent:
        """What a member has reported in the clip's server since then, as far as moderators were told."""
        rows = await self._database.read(
            """
            SELECT * FROM clip_reports WHERE server_id = :server AND member_id = :member
              AND (message_id IS NOT NULL OR decision IS NOT NULL) AND (at > :since OR task_id = :task)
            ORDER BY at
            """,
            server=task.server_id,
            member=member_id,
            task=task.id,
            since=since,
        )
        found = [_report_of(row) for row in rows]
        of_clip = next((one for one in found if one.task_id == task.id), None)
        return Sent(of_clip, [one.at for one in found if one.at > since])

    async def add(self, task: Task, member_id: int, at: int, *, reason: str) -> ClipReport:
        """Write a report down; one of which nobody knows that it reached moderators gets the new reason.

        It keeps the moment of its first try: since then its message may stand.
        """

        def work(tx: Transaction) -> ClipReport:
            tx.run(
                """
                INSERT INTO clip_reports (task_id, server_id, member_id, at, reason)
                VALUES (:task, :server, :member, :at, :reason)
                ON CONFLICT (task_id, member_id) DO UPDATE SET reason = excluded.reason
                WHERE clip_reports.message_id IS NULL
                """,
                task=task.id,
                server=task.server_id,
                member=member_id,
                at=at,
                reason=reason,
            )
            (row,) = tx.all(
                "SELECT * FROM clip_reports WHERE task_id = :task AND member_id = :member",
                task=task.id,
                member=member_id,
            )
            return _report_of(row)

        return await self._database.write(work)

    async def told(self, report: ClipReport, message_id: int) -> None:
        def work(tx: Transaction) -> None:
            tx.run(
                "UPDATE clip_reports SET message_id = :message WHERE id = :id",
                id=report.id,
                message=message_id,
            )

        await self._database.write(work)

    async def decide(
        self, report: ClipReport, verdict: Verdict, at: int, *, by: int, deed: Deed | None
    ) -> ClipReport:
        """Keep the first verdict, with its `deed` in the audit; returns the report as it is then."""

        def work(tx: Transaction) -> ClipReport:
            changed = tx.run(
                "UPDATE clip_reports SET decision = :verdict, decided_by = :by WHERE id = :id AND decision IS NULL",
                id=report.id,
                verdict=verdict.value,
                by=by,
            )
            if changed and deed is not None:
                audit.note(tx, deed, at)
            (row,) = tx.all("SELECT * FROM clip_reports WHERE id = :id", id=report.id)
            return _report_of(row)

        return await self._database.write(work)


def _report_of(row: sqlite3.Row) -> ClipReport:
    return ClipReport(
        id=row["id"],
        task_id=row["task_id"],
        server_id=row["server_id"],
        member_id=row["member_id"],
        at=row["at"],
        reason=row["reason"],
        message_id=row["message_id"],
        verdict=Verdict(row["decision"]) if row["decision"] else None,
        decided_by=row["decided_by"],
    )
