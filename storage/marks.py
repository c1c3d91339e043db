"""Small facts the bot keeps about itself, such as which commands Discord already has."""

from storage.database import Database, Transaction


class MarkStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, name: str) -> str | None:
        row = await self._database.read_one("SELECT value FROM marks WHERE name = :name", name=name)
        return row["value"] if row else None

    async def set(self, name: str, value: str) -> None:
        def work(tx: Transaction) -> None:
            tx.run(
                """
                INSERT INTO marks (name, value) VALUES (:name, :value)
                ON CONFLICT (name) DO UPDATE SET value = excluded.value
                """,
                name=name,
                value=value,
            )

        await self._database.write(work)
