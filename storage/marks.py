"""Small facts the bot keeps about itself, such as which commands Discord already has."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.database import Database, Transaction


_GET = "SELECT value FROM marks WHERE name = :name"


def get(tx: "Transaction", name: str) -> str | None:
    row = tx.one(_GET, name=name)
    return row["value"] if row else None


def put(tx: "Transaction", name: str, value: str) -> None:
    tx.run(
        """
        INSERT INTO marks (name, value) VALUES (:name, :value)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value
        """,
        name=name,
        value=value,
    )


class MarkStore:
    def __init__(self, database: "Database") -> None:
        self._database = database

    async def get(self, name: str) -> str | None:
        row = await self._database.read_one(_GET, name=name)
        return row["value"] if row else None

    async def set(self, name: str, value: str) -> None:
        await self._database.write(lambda tx: put(tx, name, value))
