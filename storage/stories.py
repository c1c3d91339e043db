"""All SQL on clips that go on from one another."""

from bot.domain.task import Task
from storage.database import Database
from storage.task_rows import task_of


class StoryStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def until(self, task: Task, *, most: int) -> list[Task]:
        """The clips before a clip, and that clip: each goes on from the one in front of it; the last ones of many."""
        rows = await self._database.read(
            """
            WITH RECURSIVE story (id, parent_id, back) AS (
              SELECT id, parent_id, 1 FROM tasks WHERE id = :id
              UNION ALL
              SELECT tasks.id, tasks.parent_id, back + 1
              FROM story JOIN tasks ON tasks.id = story.parent_id
              WHERE back < :most
            )
            SELECT tasks.* FROM story JOIN tasks ON tasks.id = story.id ORDER BY back DESC
            """,
            id=task.id,
            most=most,
        )
        return [task_of(row) for row in rows]

    async def after(self, task: Task, *, limit: int) -> list[Task]:
        """The clips of its server that go on from a clip, in the order they were asked for."""
        rows = await self._database.read(
            "SELECT * FROM tasks WHERE parent_id = :id AND server_id = :server ORDER BY created_at, id LIMIT :limit",
            id=task.id,
            server=task.server_id,
            limit=limit,
        )
        return [task_of(row) for row in rows]
