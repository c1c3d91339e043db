"""All SQL on clips that wait for a moderator: one question for all clips of a command."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.domain.approvals import Decision, Question
from bot.domain.audit import Deed
from bot.domain.errors import StaleTask
from bot.domain.servers import Server
from bot.domain.task import Task, TaskState
from storage import audit, events, ledger, servers
from storage.database import Database, Transaction
from storage.task_rows import task_of

_HOUR = 3_600_000


def until(server: Server, task: Task) -> int | None:
    """How long moderators have to approve a clip, milliseconds since 1970; None where none has to.

    What counts is the price its member was shown: how much more is held depends on the member's limits.
    """
    if server.approval_micros is None or task.list_micros <= server.approval_micros:
        return None
    return task.created_at + server.approval_hours * _HOUR


def ask(tx: Transaction, task: Task, until: int) -> None:
    """Put the question on disk; moderators are asked from there, whatever crashes."""
    tx.run(
        "INSERT INTO approvals (interaction_id, server_id, until) VALUES (:interaction, :server, :until)",
        interaction=task.interaction_id,
        server=task.server_id,
        until=until,
    )


def clamp(tx: Transaction, at: int) -> None:
    """Let no open question end later than if it were asked now."""
    rows = tx.all(
        """
        SELECT interaction_id, approval_hours FROM approvals JOIN servers ON servers.id = server_id
        WHERE decision IS NULL AND until > :at + approval_hours * :hour
        """,
        at=at,
        hour=_HOUR,
    )
    for row in rows:
        values = {"until": at + row["approval_hours"] * _HOUR, "interaction": row["interaction_id"]}
        tx.run("UPDATE approvals SET until = :until WHERE interaction_id = :interaction", **values)
        tx.run(
            """
            UPDATE tasks SET approval_until = :until
            WHERE interaction_id = :interaction AND approval_until IS NOT NULL
            """,
            **values,
        )


def withdraw(tx: Transaction, task: Task) -> None:
    """A clip that waited was cancelled: with the last of its command the question is over."""
    tx.run(
        """
        UPDATE approvals SET decision = 'withdrawn'
        WHERE interaction_id = :interaction AND decision IS NULL AND NOT EXISTS (
          SELECT 1 FROM tasks WHERE tasks.interaction_id = approvals.interaction_id
            AND state = 'held' AND approval_until IS NOT NULL
        )
        """,
        interaction=task.interaction_id,
    )


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a decision came to: `tasks` are the clips it moved, none where the question was no longer open."""

    question: Question
    tasks: Sequence[Task]
    paused: bool


class ApprovalStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, interaction_id: int) -> Question | None:
        row = await self._database.read_one(
            "SELECT * FROM approvals WHERE interaction_id = :interaction", interaction=interaction_id
        )
        return _question_of(row) if row else None

    async def unasked(self, placed_before: int, *, each: int) -> list[Question]:
        """Open questions that moderators have not got, the oldest first, at most `each` of a server.

        A command younger than `placed_before` is left out as long as it has no progress message to point at.
        """
        rows = await self._database.read(
            """
            WITH unasked AS (
              SELECT *, ROW_NUMBER() OVER (PARTITION BY server_id ORDER BY until) AS place
              FROM approvals WHERE shown = 0 AND decision IS NULL AND message_id IS NULL AND EXISTS (
                SELECT 1 FROM tasks WHERE tasks.interaction_id = approvals.interaction_id
                  AND (progress_message_id IS NOT NULL OR created_at <= :before)
              )
            )
            SELECT * FROM unasked WHERE place <= :each ORDER BY until
            """,
            before=placed_before,
            each=each,
        )
        return [_question_of(row) for row in rows]

    async def open(self, *, limit: int) -> list[Question]:
        """Questions that moderators have got and not decided, the oldest first."""
        rows = await self._database.read(
            """
            SELECT * FROM approvals WHERE shown = 0 AND decision IS NULL AND message_id IS NOT NULL
            ORDER BY until LIMIT :limit
            """,
            limit=limit,
        )
        return [_question_of(row) for row in rows]

    async def overdue(self, at: int, *, limit: int) -> list[Question]:
        """Open questions that nobody has decided in time."""
        rows = await self._database.read(
            """
            SELECT * FROM approvals WHERE shown = 0 AND decision IS NULL AND until <= :at
            ORDER BY until LIMIT :limit
            """,
            at=at,
            limit=limit,
        )
        return [_question_of(row) for row in rows]

    async def unshown(self, *, each: int) -> list[Question]:
        """Decided questions whose message does not say so, at most `each` of a server."""
        rows = await self._database.read(
            """
            WITH unshown AS (
              SELECT *, ROW_NUMBER() OVER (PARTITION BY server_id ORDER BY until) AS place
              FROM approvals WHERE shown = 0 AND decision IS NOT NULL
            )
            SELECT * FROM unshown WHERE place <= :each ORDER BY until
            """,
            each=each,
        )
        return [_question_of(row) for row in rows]

    async def next_end(self) -> int | None:
        """When the next open question ends by itself."""
        row = await self._database.read_one(
            "SELECT MIN(until) AS ends FROM approvals WHERE shown = 0 AND decision IS NULL"
        )
        return row["ends"] if row else None

    async def asked(self, interaction_id: int, *, channel_id: int, message_id: int) -> None:
        def work(tx: Transaction) -> None:
            tx.run(
                """
                UPDATE approvals SET channel_id = :channel, message_id = :message
                WHERE interaction_id = :interaction
                """,
                interaction=interaction_id,
                channel=channel_id,
                message=message_id,
            )

        await self._database.write(work)

    async def shown(self, interaction_id: int) -> None:
        """The moderators' message says how it was decided, or is gone."""

        def work(tx: Transaction) -> None:
            tx.run(
                "UPDATE approvals SET shown = 1 WHERE interaction_id = :interaction AND decision IS NOT NULL",
                interaction=interaction_id,
            )

        await self._database.write(work)

    async def approve(
        self, question: Question, at: int, *, by: int, note: str, deed: Callable[[Sequence[Task]], Deed]
    ) -> Ruling:
        """Let every clip that still waits be made; nothing where the question is decided, or its time over."""

        def work(tx: Transaction) -> Ruling:
            tasks = _decide(tx, question, Decision.APPROVED, by=by, later_than=at)
            for task in tasks:
                changed = tx.run(
                    """
                    UPDATE tasks SET approval_until = NULL, due_at = :at, changed_at = :at, waiting_since = :at
                    WHERE id = :id AND state = 'held' AND approval_until IS NOT NULL
                    """,
                    id=task.id,
                    at=at,
                )
                _must_change(changed, task)
                events.add(tx, task, TaskState.HELD, at, note)
            if tasks:
                audit.note(tx, deed(tasks), at)
            return _ruling(tx, question, tasks)

        return await self._database.write(work)

    async def decline(
        self, question: Question, at: int, *, by: int, note: str, deed: Callable[[Sequence[Task]], Deed]
    ) -> Ruling:
        """Cancel every clip that still waits; nothing where the question is decided, or its time over."""

        def work(tx: Transaction) -> Ruling:
            tasks = _decide(tx, question, Decision.DECLINED, by=by, later_than=at)
            _cancel(tx, tasks, at, note)
            if tasks:
                audit.note(tx, deed(tasks), at)
            return _ruling(tx, question, tasks)

        return await self._database.write(work)

    async def expire(self, question: Question, at: int, *, note: str) -> Ruling:
        """Its time is over: cancel every clip that still waits; nothing where the question is decided."""

        def work(tx: Transaction) -> Ruling:
            tasks = _decide(tx, question, Decision.EXPIRED)
            _cancel(tx, tasks, at, note)
            return _ruling(tx, question, tasks)

        return await self._database.write(work)


def _decide(
    tx: Transaction, question: Question, decision: Decision, *, by: int | None = None, later_than: int = 0
) -> list[Task]:
    """Decide an open question that ends `later_than` a moment; the clips that wait for it, or none."""
    changed = tx.run(
        """
        UPDATE approvals SET decision = :decision, decided_by = :by
        WHERE interaction_id = :interaction AND decision IS NULL AND until > :later
        """,
        interaction=question.interaction_id,
        decision=decision.value,
        by=by,
        later=later_than,
    )
    if not changed:
        return []
    rows = tx.all(
        """
        SELECT * FROM tasks WHERE interaction_id = :interaction AND state = 'held' AND approval_until IS NOT NULL
        ORDER BY ordinal
        """,
        interaction=question.interaction_id,
    )
    return [task_of(row) for row in rows]


def _cancel(tx: Transaction, tasks: Sequence[Task], at: int, note: str) -> None:
    for task in tasks:
        changed = tx.run(
            """
            UPDATE tasks SET state = 'cancelled', changed_at = :at, due_at = NULL, approval_until = NULL,
              problem = :note
            WHERE id = :id AND state = 'held' AND approval_until IS NOT NULL
            """,
            id=task.id,
            at=at,
            note=note[: events.NOTE_LENGTH],
        )
        _must_change(changed, task)
        events.add(tx, task, TaskState.CANCELLED, at, note)
        ledger.release(tx, task, at)


def _must_change(changed: int, task: Task) -> None:
    if changed != 1:
        raise StaleTask(f"task {task.id} no longer waits for a moderator")


def _ruling(tx: Transaction, question: Question, tasks: Sequence[Task]) -> Ruling:
    row = tx.one(
        "SELECT * FROM approvals WHERE interaction_id = :interaction", interaction=question.interaction_id
    )
    paused = servers.get(tx, question.server_id).pause_reason is not None
    return Ruling(_question_of(row) if row else question, tasks, paused)


def _question_of(row: sqlite3.Row) -> Question:
    return Question(
        interaction_id=row["interaction_id"],
        server_id=row["server_id"],
        until=row["until"],
        channel_id=row["channel_id"],
        message_id=row["message_id"],
        decision=Decision(row["decision"]) if row["decision"] else None,
        decided_by=row["decided_by"],
    )
