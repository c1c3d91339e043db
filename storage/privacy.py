"""All SQL that reads what is stored of one member, over all servers; a few rows at a time."""

from collections.abc import AsyncIterator
from typing import Any

from bot.domain.privacy import Holdings
from storage.database import Database
from storage.task_rows import FINAL_STATES

_PAGE = 50
_ABOUT_RULES = "kind = 'member' AND subject = :subject"
_ABOUT_LIMITS = "scope = 'member' AND subject = :subject"
_NAMED = """
(actor_id = :member OR subject LIKE :mention OR before LIKE :mention OR after LIKE :mention
  OR reason LIKE :mention)"""
_RULES = f"""
SELECT * FROM access_rules WHERE {_ABOUT_RULES} AND id > :after ORDER BY id LIMIT :limit"""  # noqa: S608 - as above
_LIMITS = f"""
SELECT * FROM limits WHERE {_ABOUT_LIMITS} AND id > :after ORDER BY id LIMIT :limit"""  # noqa: S608 - as above
#: What admins wrote down; who they were is theirs, not the member's.
_AUDIT = f"""
SELECT id, server_id, at, CASE WHEN actor_id = :member THEN actor_id END AS actor_id, action, subject, before,
  after, reason
FROM audit WHERE {_NAMED} AND id > :after ORDER BY id LIMIT :limit"""  # noqa: S608 - as above
_DECIDED = """
SELECT interaction_id AS id, server_id, until, channel_id, message_id, decision, decided_by, shown FROM approvals
WHERE decided_by = :member AND interaction_id > :after ORDER BY interaction_id LIMIT :limit"""
#: Clips that the member has reported.
_REPORTED = """
SELECT id, task_id, server_id, at, reason, decision FROM clip_reports
WHERE member_id = :member AND id > :after ORDER BY id LIMIT :limit"""
#: Orders not placed yet: forms and offers that stand for an hour at most.
_DRAFTED = """
SELECT id, kind, server_id, content, until FROM drafts
WHERE member_id = :member AND id > :after ORDER BY id LIMIT :limit"""
#: The tasks of a page: of one server, from one moment to another.
_OF_PAGE = """
tasks.member_id = :member AND tasks.server_id = :server
  AND (tasks.created_at, tasks.id) > (:after, :after_id) AND (tasks.created_at, tasks.id) <= (:until, :until_id)"""
#: What hangs on them, by its table.
_HANGING = {
    "task_events": f"""
SELECT task_events.* FROM tasks JOIN task_events ON task_events.task_id = tasks.id
WHERE {_OF_PAGE} ORDER BY task_events.id""",  # noqa: S608 - as above
    "ledger": f"""
SELECT ledger.* FROM tasks JOIN ledger ON ledger.task_id = tasks.id
WHERE {_OF_PAGE} ORDER BY ledger.id""",  # noqa: S608 - as above
    # It is the prompt and the pictures once more, as the provider gets them.
    "submissions": f"""
SELECT task_id, LENGTH(body) AS bytes FROM tasks JOIN submissions ON submissions.task_id = tasks.id
WHERE {_OF_PAGE} ORDER BY task_id""",  # noqa: S608 - as above
    "approvals": f"""
SELECT approvals.interaction_id, approvals.server_id, until, decision FROM approvals
WHERE interaction_id IN (SELECT interaction_id FROM tasks WHERE {_OF_PAGE}) ORDER BY interaction_id""",  # noqa: S608
}

#: A table's name and one of its rows.
Row = tuple[str, dict[str, Any]]


class PrivacyStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def holdings(self, member_id: int) -> Holdings:
        row = await self._database.read_one(
            f"""
            SELECT COUNT(*) AS tasks,
              COUNT(CASE WHEN state NOT IN ({FINAL_STATES}) AND NOT (state = 'succeeded' AND due_at IS NULL)
                THEN 1 END) AS open,
              COUNT(erased_at) AS erased,
              COUNT(CASE WHEN state = 'succeeded' AND due_at IS NULL THEN 1 END) AS uncollected,
              (SELECT COUNT(*) FROM ledger WHERE member_id = :member) AS entries,
              (SELECT COALESCE(SUM(spent_micros), 0) FROM ledger WHERE member_id = :member) AS spent_micros,
              (SELECT COUNT(*) FROM access_rules WHERE {_ABOUT_RULES}) AS rules,
              (SELECT COUNT(*) FROM limits WHERE {_ABOUT_LIMITS}) AS limits,
              (SELECT COUNT(*) FROM approvals WHERE decided_by = :member OR interaction_id IN (
                SELECT interaction_id FROM tasks WHERE member_id = :member)) AS approvals,
              (SELECT COUNT(*) FROM audit WHERE {_NAMED}) AS audits
            FROM tasks WHERE member_id = :member
            """,  # noqa: S608 - only constants of ours are put in
            **_whom(member_id),
        )
        assert row is not None  # noqa: S101 - a sum always has a row
        return Holdings(**dict(row))

    async def frames(self, member_id: int) -> list[str]:
        """The paths of pictures that tasks of a member were given, whether they still exist or not."""
        rows = await self._database.read(
            """
            SELECT first_frame_path AS path FROM tasks WHERE member_id = :member AND first_frame_path IS NOT NULL
            UNION SELECT last_frame_path FROM tasks WHERE member_id = :member AND last_frame_path IS NOT NULL
            ORDER BY path
            """,
            member=member_id,
        )
        return [row["path"] for row in rows]

    async def uncollected(self, member_id: int) -> list[str]:
        """The ids of tasks whose clip waits to be collected."""
        rows = await self._database.read(
            """
            SELECT id FROM tasks WHERE member_id = :member AND state = 'succeeded' AND due_at IS NULL
            ORDER BY id
            """,
            member=member_id,
        )
        return [row["id"] for row in rows]

    async def delivered(self, member_id: int) -> list[str]:
        """The ids of tasks whose clip was posted and not erased."""
        rows = await self._database.read(
            """
            SELECT id FROM tasks WHERE member_id = :member AND state = 'delivered' AND erased_at IS NULL ORDER BY id
            """,
            member=member_id,
        )
        return [row["id"] for row in rows]

    async def everything(self, member_id: int) -> AsyncIterator[Row]:
        """Every row that is about a member, each table's rows in the order they were written.

        A read for each page: one that lasted would show all other readers an old state.
        """
        servers = await self._database.read(
            """
            SELECT id, name FROM servers WHERE id IN (SELECT server_id FROM tasks WHERE member_id = :member)
            ORDER BY id
            """,
            member=member_id,
        )
        for server in servers:
            yield "servers", dict(server)
        for server in servers:
            async for found in self._tasks(member_id, server["id"]):
                yield found
        for table, sql in (
            ("access_rules", _RULES),
            ("limits", _LIMITS),
            ("audit", _AUDIT),
            ("approvals", _DECIDED),
            ("clip_reports", _REPORTED),
            ("drafts", _DRAFTED),
        ):
            async for found in self._paged(table, sql, member_id):
                yield found

    async def _tasks(self, member_id: int, server_id: int) -> AsyncIterator[Row]:
        """Tasks with all that hangs on them."""
        page: dict[str, Any] = {"member": member_id, "server": server_id, "after": -1, "after_id": ""}
        while rows := await self._database.read(
            """
            SELECT * FROM tasks WHERE member_id = :member AND server_id = :server
              AND (created_at, id) > (:after, :after_id) ORDER BY created_at, id LIMIT :limit
            """,
            **page,
            limit=_PAGE,
        ):
            page |= {"until": rows[-1]["created_at"], "until_id": rows[-1]["id"]}
            for row in rows:
                yield "tasks", dict(row)
            for table, sql in _HANGING.items():
                for row in await self._database.read(sql, **page):
                    yield table, dict(row)
            page |= {"after": page["until"], "after_id": page["until_id"]}

    async def _paged(self, table: str, sql: str, member_id: int) -> AsyncIterator[Row]:
        after = 0
        while rows := await self._database.read(sql, **_whom(member_id), after=after, limit=_PAGE):
            for row in rows:
                yield table, dict(row)
            after = rows[-1]["id"]


def _whom(member_id: int) -> dict[str, int | str]:
    """A member as the tables know one: an id, the words of it, and a mention in somebody's words."""
    return {"member": member_id, "subject": str(member_id), "mention": f"%<@{member_id}>%"}
