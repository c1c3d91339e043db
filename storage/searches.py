"""All SQL on searches among the tasks of a server, the newest first."""

import sqlite3

from bot.domain.limits import FOREVER
from bot.domain.search import STAGES, Age, Booked, Found, Search
from bot.domain.task import Task
from storage.database import Reads
from storage.task_rows import FINAL_STATES, task_of

_STAGES = ", ".join(
    f"('{stage.value}', '{state.value}')" for stage, states in STAGES.items() for state in sorted(states)
)
_FOUND = f"""
WITH stages (stage, state) AS (VALUES {_STAGES})
SELECT tasks.*, settled.spent_micros AS cost, refunded.refunded_micros AS refund FROM tasks
LEFT JOIN ledger AS settled ON settled.task_id = tasks.id AND settled.kind = 'settle'
LEFT JOIN ledger AS refunded ON refunded.task_id = tasks.id AND refunded.kind = 'refund'
WHERE tasks.server_id = :server AND created_at >= :since AND created_at < :until
  AND state IN (SELECT stages.state FROM stages WHERE stage = :stage)
  AND (:open = 0 OR state NOT IN ({FINAL_STATES}))
  AND (:member = 0 OR tasks.member_id = :member) AND (:mode = '' OR mode = :mode)"""  # noqa: S608 - only constants of ours are put in


class SearchStore:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def older(self, search: Search, than: Task | None, *, limit: int) -> list[Found]:
        """What was asked for before a task, or everything; the newest first."""
        rows = await self._reads.read(
            f"""
            {_FOUND} AND (created_at, interaction_id, ordinal) < (:at, :interaction, :ordinal)
            ORDER BY created_at DESC, interaction_id DESC, ordinal DESC LIMIT :limit
            """,
            **_values(search),
            at=than.created_at if than else FOREVER,
            interaction=than.interaction_id if than else 0,
            ordinal=than.ordinal if than else 0,
            limit=limit,
        )
        return [_found(row) for row in rows]

    async def newer(self, search: Search, than: Task, *, limit: int) -> list[Found]:
        """What was asked for next after a task, the nearest first."""
        rows = await self._reads.read(
            f"""
            {_FOUND} AND (created_at, interaction_id, ordinal) > (:at, :interaction, :ordinal)
            ORDER BY created_at, interaction_id, ordinal LIMIT :limit
            """,
            **_values(search),
            at=than.created_at,
            interaction=than.interaction_id,
            ordinal=than.ordinal,
            limit=limit,
        )
        return [_found(row) for row in rows]


def _values(search: Search) -> dict[str, int | str]:
    return {
        "server": search.server_id,
        "since": search.window.since,
        "until": search.window.until,
        "stage": search.stage.value,
        "open": int(search.age is Age.STALE),
        "member": search.member_id or 0,
        "mode": search.mode.value if search.mode else "",
    }


def _found(row: sqlite3.Row) -> Found:
    return Found(task_of(row), Booked(row["cost"], row["refund"]))
