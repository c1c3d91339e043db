"""What is read of tasks and their events: the scheduler's queue, members' lists, one task's history."""

import asyncio

from bot.domain.task import FINAL, Task, TaskEvent, TaskState
from storage.database import Database
from storage.task_rows import FINAL_STATES, RUNNING_STATES, task_of

_UNFINISHED = ", ".join(f"('{state.value}')" for state in TaskState if state not in FINAL)
#: The providers of tasks that have a due time, by leaps through the index: it is never read as a whole.
_OPEN = """
open_ones (name) AS (
  SELECT MIN(provider) FROM tasks WHERE due_at IS NOT NULL
  UNION ALL
  SELECT (SELECT MIN(provider) FROM tasks WHERE due_at IS NOT NULL AND provider > open_ones.name)
  FROM open_ones WHERE name IS NOT NULL
)"""

#: Held tasks of a provider that wait for their turn alone: neither for a moderator nor in a paused server.
_WAITING = """
state = 'held' AND provider = :provider AND due_at IS NOT NULL
  AND server_id NOT IN (SELECT id FROM servers WHERE pause_reason IS NOT NULL)"""
#: Members take turns: all first clips come before all second ones, whoever asked for fifty before.
_TURN = """
id, member_id, created_at, interaction_id, ordinal,
ROW_NUMBER() OVER (PARTITION BY member_id ORDER BY created_at, interaction_id, ordinal) AS turn"""
#: Within a turn those come first who were served longest ago. By the time of the command alone, the second clip of
#: an early command would become a first one when the first ends, and pass those who had none yet.
_SERVED = """COALESCE((
  SELECT MAX(started) FROM tasks AS served
  WHERE served.member_id = waiting.member_id AND served.started IS NOT NULL
), 0)"""


class TaskReads:
    """The reading half of `TaskStore`; every read sees what is committed, and waits for no writer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, task_id: str) -> Task | None:
        row = await self._database.read_one("SELECT * FROM tasks WHERE id = :id", id=task_id)
        return task_of(row) if row else None

    async def of_interaction(self, interaction_id: int) -> list[Task]:
        rows = await self._database.read(
            "SELECT * FROM tasks WHERE interaction_id = :interaction ORDER BY ordinal",
            interaction=interaction_id,
        )
        return [task_of(row) for row in rows]

    async def of_member(self, member_id: int, server_id: int, *, limit: int) -> list[Task]:
        """The member's newest tasks in a server, newest first."""
        rows = await self._database.read(
            """
            SELECT * FROM tasks WHERE member_id = :member AND server_id = :server
            ORDER BY created_at DESC, ordinal LIMIT :limit
            """,
            member=member_id,
            server=server_id,
            limit=limit,
        )
        return [task_of(row) for row in rows]

    async def to_show(self, *, limit: int) -> list[Task]:
        """Tasks whose progress message does not show their end: unfinished ones, and those a crash came after."""
        rows = await self._database.read(
            "SELECT * FROM tasks WHERE end_shown = 0 ORDER BY created_at LIMIT :limit", limit=limit
        )
        # Hundreds of sealed prompts take longer to open than the event loop may stand still.
        return await asyncio.to_thread(lambda: [task_of(row) for row in rows])

    async def waiting_in(self, server_id: int, *, limit: int) -> list[Task]:
        """A server's held tasks, the longest waiting first."""
        rows = await self._database.read(
            """
            SELECT * FROM tasks WHERE server_id = :server AND state = 'held' ORDER BY created_at, id LIMIT :limit
            """,
            server=server_id,
            limit=limit,
        )
        return [task_of(row) for row in rows]

    async def pause_reason(self, server_id: int) -> str | None:
        """Why a server's held tasks wait whatever their turn; None where it is not paused."""
        row = await self._database.read_one("SELECT pause_reason FROM servers WHERE id = :id", id=server_id)
        return row["pause_reason"] if row else None

    async def unfinished_interactions(self) -> set[int]:
        rows = await self._database.read(
            f"SELECT DISTINCT interaction_id FROM tasks WHERE state NOT IN ({FINAL_STATES})"  # noqa: S608
        )
        return {row["interaction_id"] for row in rows}

    async def due(self, provider: str, at: int, *, limit: int) -> list[Task]:
        """Tasks whose status, or lost submit, is due for a look, the longest waiting first."""
        rows = await self._database.read(
            """
            SELECT * FROM tasks WHERE provider = :provider AND due_at IS NOT NULL AND due_at <= :at
              AND state IN ('submitting', 'queued', 'processing', 'parked')
            ORDER BY due_at LIMIT :limit
            """,
            provider=provider,
            at=at,
            limit=limit,
        )
        return [task_of(row) for row in rows]

    async def deliverable(self, at: int, *, provider: str, limit: int) -> list[Task]:
        """Finished tasks of a provider whose clip may be posted now, the longest waiting first."""
        rows = await self._database.read(
            """
            SELECT * FROM tasks WHERE provider = :provider AND state = 'succeeded'
              AND due_at IS NOT NULL AND due_at <= :at
            ORDER BY due_at LIMIT :limit
            """,
            provider=provider,
            at=at,
            limit=limit,
        )
        return [task_of(row) for row in rows]

    async def startable(self, provider: str, at: int, *, per_member: int, limit: int) -> list[Task]:
        """Held tasks in their fair order, the next to start first; `ahead_of` counts in the same.

        Members with `per_member` tasks running wait, and so does everybody's surplus. A paused server's wait too.
        """
        rows = await self._database.read(
            f"""
            WITH running AS (
              SELECT member_id, COUNT(*) AS busy FROM tasks WHERE state IN ({RUNNING_STATES}) GROUP BY member_id
            ), waiting AS (
              SELECT {_TURN} FROM tasks WHERE {_WAITING} AND due_at <= :at
            ), chosen AS (
              SELECT id, turn, {_SERVED} AS served FROM waiting
              LEFT JOIN running ON running.member_id = waiting.member_id
              WHERE turn + COALESCE(busy, 0) <= :per_member
              ORDER BY turn, served, created_at, interaction_id, ordinal LIMIT :limit
            )
            SELECT tasks.* FROM chosen JOIN tasks ON tasks.id = chosen.id
            ORDER BY turn, served, created_at, interaction_id, ordinal
            """,  # noqa: S608 - only constants of ours are put in
            provider=provider,
            at=at,
            per_member=per_member,
            limit=limit,
        )
        return [task_of(row) for row in rows]

    async def ahead_of(self, task: Task) -> int:
        """How many waiting tasks of its provider start before a held one, as far as can be told now.

        A later command of a member who was served longer ago may still come in between.
        """
        row = await self._database.read_one(
            f"""
            WITH waiting AS (
              SELECT {_TURN} FROM tasks WHERE {_WAITING}
            ), mine AS (
              SELECT {_SERVED} AS served, (
                SELECT COUNT(*) + 1 FROM tasks WHERE {_WAITING} AND member_id = :member
                  AND (created_at, interaction_id, ordinal) < (:created, :interaction, :ordinal)
              ) AS turn
              FROM (SELECT :member AS member_id) AS waiting
            )
            SELECT COUNT(*) AS ahead FROM waiting
            WHERE turn < (SELECT turn FROM mine) OR (
              turn = (SELECT turn FROM mine)
              AND ({_SERVED}, created_at, interaction_id, ordinal)
                < ((SELECT served FROM mine), :created, :interaction, :ordinal)
            )
            """,  # noqa: S608 - only constants of ours are put in
            provider=task.provider,
            member=task.member_id,
            created=task.created_at,
            interaction=task.interaction_id,
            ordinal=task.ordinal,
        )
        return int(row["ahead"]) if row else 0

    async def running(self, provider: str) -> int:
        row = await self._database.read_one(
            f"SELECT COUNT(*) AS busy FROM tasks WHERE provider = :provider AND state IN ({RUNNING_STATES})",  # noqa: S608
            provider=provider,
        )
        return int(row["busy"]) if row else 0

    async def open_providers(self) -> set[str]:
        """Providers with something left to do, whatever today's settings say."""
        rows = await self._database.read(
            f"WITH RECURSIVE {_OPEN} SELECT name FROM open_ones WHERE name IS NOT NULL"  # noqa: S608
        )
        return {row["name"] for row in rows}

    async def next_due(self, after: int) -> int | None:
        row = await self._database.read_one(
            f"""
            WITH RECURSIVE {_OPEN}, unfinished (name) AS (VALUES {_UNFINISHED})
            SELECT MIN((
              SELECT MIN(due_at) FROM tasks
              WHERE provider = open_ones.name AND state = unfinished.name
                AND due_at IS NOT NULL AND due_at > :after
            )) AS due
            FROM open_ones CROSS JOIN unfinished
            """,  # noqa: S608 - only constants of ours are put in
            after=after,
        )
        return row["due"] if row else None

    async def body(self, task: Task) -> bytes | None:
        """The bytes of a submit whose outcome is not known yet; None where they cannot be read."""
        row = await self._database.read_one("SELECT body FROM submissions WHERE task_id = :id", id=task.id)
        return await asyncio.to_thread(row.__getitem__, "body") if row else None

    async def cost(self, task_id: str) -> int:
        """Micros booked for a task; 0 where nothing is."""
        row = await self._database.read_one(
            "SELECT spent_micros AS cost FROM ledger WHERE task_id = :task AND kind = 'settle'", task=task_id
        )
        return int(row["cost"]) if row else 0

    async def durations(self, *, each: int) -> list[tuple[Task, int]]:
        """The newest clips of every provider and format, oldest first, with their time from submit to success."""
        rows = await self._database.read(
            """
            SELECT * FROM (
              SELECT tasks.*, finished.at - submitted_at AS took, ROW_NUMBER() OVER (
                PARTITION BY provider, model, duration, resolution ORDER BY created_at DESC, id
              ) AS place
              FROM tasks JOIN (
                SELECT task_id, MIN(at) AS at FROM task_events WHERE state = 'succeeded' GROUP BY task_id
              ) AS finished ON finished.task_id = tasks.id
              WHERE submitted_at IS NOT NULL
            ) AS made WHERE place <= :each ORDER BY created_at, id
            """,
            each=each,
        )
        return [(task_of(row), int(row["took"])) for row in rows]

    async def known_jobs(self, provider: str, since: int) -> frozenset[str]:
        """Job ids that belong to tasks made since a moment, so that no look-up takes another task's job."""
        rows = await self._database.read(
            "SELECT job_id FROM tasks WHERE provider = :provider AND job_id IS NOT NULL AND changed_at >= :since",
            provider=provider,
            since=since,
        )
        return frozenset(row["job_id"] for row in rows)

    async def parked(self) -> list[Task]:
        """Tasks whose outcome is unknown, the oldest first."""
        rows = await self._database.read("SELECT * FROM tasks WHERE state = 'parked' ORDER BY created_at, id")
        return [task_of(row) for row in rows]

    async def events(self, task_id: str) -> list[TaskEvent]:
        rows = await self._database.read(
            "SELECT at, state, note FROM task_events WHERE task_id = :task ORDER BY id", task=task_id
        )
        return [TaskEvent(row["at"], TaskState(row["state"]), row["note"]) for row in rows]
