"""All SQL on forgetting: the words and pictures of tasks go, their money, times and places stay.

A task loses its prompt, camera, pictures, links and every note of its history. Who asked for it stays with its money:
limits without an end count it for ever, and the ledger is never rewritten.
"""

from collections.abc import Sequence
from typing import NamedTuple

from bot.domain.task import HANDED_OVER, SETTLED, UNCOLLECTED, Task, TaskState
from storage import events
from storage.database import Database, Transaction
from storage.task_rows import FINAL_STATES, task_of

#: Rows that one transaction marks: nobody waits long behind it.
_MARKED = 500
#: Neither ended, nor paid and waiting for nothing but to be collected.
_OPEN = f"(state NOT IN ({FINAL_STATES}) AND (state <> 'succeeded' OR due_at IS NOT NULL))"
#: Said like this, no index of states is read for it: most tasks have ended, and few of them are old.
_UNENDED = f"(state NOT IN ({FINAL_STATES}))"
_ASKED = "SELECT * FROM tasks WHERE erase_asked_at IS NOT NULL AND erased_at IS NULL"


class Why(NamedTuple):
    """Notes for a task's history, and for one whose clip is given up, which begins with `UNCOLLECTED`."""

    note: str
    given_up: str


class ErasureStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    # ----------------------------------------------------------------- intents

    async def ask(self, member_id: int, at: int) -> None:
        """Keep on disk that every task a member has by now is to be erased.

        Orders not placed yet and their words in reports go at once.
        """

        def work(tx: Transaction) -> int:
            tx.run("DELETE FROM drafts WHERE member_id = :member", member=member_id)
            tx.run("UPDATE clip_reports SET reason = '' WHERE member_id = :member", member=member_id)
            return tx.run(
                """
                UPDATE tasks SET erase_asked_at = :at WHERE id IN (
                  SELECT id FROM tasks WHERE member_id = :member AND created_at <= :at
                    AND erase_asked_at IS NULL AND erased_at IS NULL LIMIT :most
                )
                """,
                member=member_id,
                at=at,
                most=_MARKED,
            )

        while await self._database.write(work) == _MARKED:
            pass

    async def asked_by(self, member_id: int, *, limit: int) -> list[Task]:
        """Tasks of a member that are to be erased and can be now."""
        rows = await self._database.read(
            f"{_ASKED} AND NOT {_OPEN} AND member_id = :member ORDER BY id LIMIT :limit",
            member=member_id,
            limit=limit,
        )
        return [task_of(row) for row in rows]

    async def open_of(self, member_id: int) -> list[Task]:
        """Tasks of a member that are erased once they have ended, the oldest first."""
        rows = await self._database.read(
            f"{_ASKED} AND {_OPEN} AND member_id = :member ORDER BY created_at, id", member=member_id
        )
        return [task_of(row) for row in rows]

    async def asked(self, ended_before: int, *, limit: int) -> list[Task]:
        """Tasks of whomever that are to be erased and ended before a moment."""
        rows = await self._database.read(
            f"{_ASKED} AND NOT {_OPEN} AND changed_at <= :before ORDER BY member_id, id LIMIT :limit",
            before=ended_before,
            limit=limit,
        )
        return [task_of(row) for row in rows]

    async def outlived(self, created_before: int, *, limit: int) -> list[Task]:
        """Ended tasks that still have their words and were asked for before a moment, the oldest first."""
        rows = await self._database.read(
            f"""
            SELECT * FROM tasks WHERE erased_at IS NULL AND created_at <= :before AND NOT {_UNENDED}
            ORDER BY created_at LIMIT :limit
            """,  # noqa: S608 - only constants of ours are put in
            before=created_before,
            limit=limit,
        )
        return [task_of(row) for row in rows]

    async def uncollected(self, finished_before: int, *, limit: int) -> list[Task]:
        """Tasks whose clip could be posted nowhere and was made before a moment."""
        rows = await self._database.read(
            """
            SELECT * FROM tasks WHERE state = 'succeeded' AND due_at IS NULL AND changed_at <= :before
            ORDER BY changed_at LIMIT :limit
            """,
            before=finished_before,
            limit=limit,
        )
        return [task_of(row) for row in rows]

    # ------------------------------------------------------------------- deeds

    async def erase(self, tasks: Sequence[Task], at: int, *, why: Why) -> None:
        """Take words, pictures and notes of tasks away; one that went on meanwhile is left alone.

        A clip that waits to be collected is given up.
        """

        def work(tx: Transaction) -> None:
            for task in tasks:
                _give_up(tx, task, at, why.given_up)
                if _erase(tx, task, at):
                    _forget_around(tx, task)
                    row = tx.one("SELECT * FROM tasks WHERE id = :id", id=task.id)
                    state = TaskState(row["state"]) if row else task.state
                    events.add(tx, task, state, at, why.note)

        await self._database.write(work)

    async def give_up(self, tasks: Sequence[Task], at: int, *, why: Why) -> None:
        """End tasks whose clip could be posted nowhere and is kept no longer; their cost stays booked."""

        def work(tx: Transaction) -> None:
            for task in tasks:
                if _give_up(tx, task, at, why.given_up):
                    events.add(tx, task, TaskState.FAILED, at, why.note)

        await self._database.write(work)

    async def end_blocks(self, at: int) -> None:
        """Blocks of members whose time is over are nothing but memories."""

        def work(tx: Transaction) -> None:
            tx.run("DELETE FROM access_rules WHERE until IS NOT NULL AND until <= :at", at=at)

        await self._database.write(work)

    async def leave_no_bytes(self) -> bool:
        """What was erased leaves the disk too; False where it cannot yet."""
        return await self._database.empty_log()


def _give_up(tx: Transaction, task: Task, at: int, problem: str) -> bool:
    changed = tx.run(
        """
        UPDATE tasks SET state = 'failed', changed_at = :at, problem = :problem, clip_url = NULL,
          clip_expires_at = NULL
        WHERE id = :id AND state = 'succeeded' AND due_at IS NULL
        """,
        id=task.id,
        at=at,
        problem=problem,
    )
    return changed == 1


def _erase(tx: Transaction, task: Task, at: int) -> bool:
    """A problem may quote anybody; those kept are our own words, which say how the task ended."""
    changed = tx.run(
        f"""
        UPDATE tasks SET erased_at = :at, prompt = '', camera = NULL, first_frame_path = NULL,
          first_frame_url = NULL, last_frame_path = NULL, last_frame_url = NULL, clip_url = NULL,
          clip_expires_at = NULL, problem = CASE
            WHEN problem LIKE :settled_so THEN :settled
            WHEN problem = :handed OR problem LIKE :uncollected_so THEN problem
          END
        WHERE id = :id AND erased_at IS NULL AND state IN ({FINAL_STATES})
        """,  # noqa: S608 - only constants of ours are put in
        id=task.id,
        at=at,
        settled=SETTLED,
        settled_so=f"{SETTLED}%",
        handed=HANDED_OVER,
        uncollected_so=f"{UNCOLLECTED}%",
    )
    return changed == 1


def _forget_around(tx: Transaction, task: Task) -> None:
    tx.run("DELETE FROM submissions WHERE task_id = :id", id=task.id)
    tx.run("UPDATE task_events SET note = '' WHERE task_id = :id", id=task.id)
    # Moderators' messages that show the prompt are drawn anew, without it.
    tx.run(
        """
        UPDATE approvals SET shown = 0
        WHERE interaction_id = :interaction AND decision IS NOT NULL AND message_id IS NOT NULL
        """,
        interaction=task.interaction_id,
    )
