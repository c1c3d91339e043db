"""All SQL on what servers have chosen."""

import sqlite3
from collections.abc import Callable

from bot.domain.audit import Deed
from bot.domain.servers import Server
from storage import audit
from storage.database import Database, Transaction


def get(tx: Transaction, server_id: int) -> Server:
    """What a server has chosen; the defaults for one never seen before."""
    row = tx.one("SELECT * FROM servers WHERE id = :id", id=server_id)
    return _server_of(row) if row else Server(server_id)


def meet(tx: Transaction, server_id: int, name: str, at: int) -> None:
    """Know a server, by its newest name; an empty one, of a server that Discord has not told of yet, is none."""
    tx.run(
        """
        INSERT INTO servers (id, name, first_seen_at) VALUES (:id, :name, :at)
        ON CONFLICT (id) DO UPDATE
        SET name = CASE WHEN excluded.name = '' THEN servers.name ELSE excluded.name END
        """,
        id=server_id,
        name=name,
        at=at,
    )


def put(tx: Transaction, server: Server) -> None:
    """Keep every choice of a server that is known."""
    tx.run(
        """
        UPDATE servers SET zone = :zone, pause_reason = :pause, approval_micros = :approval,
          approval_hours = :hours, notices_channel_id = :channel, monthly_report = :monthly, alarms = :alarms,
          reported_until = :reported
        WHERE id = :id
        """,
        id=server.id,
        zone=server.zone,
        pause=server.pause_reason,
        approval=server.approval_micros,
        hours=server.approval_hours,
        channel=server.notices_channel_id,
        monthly=int(server.monthly_report),
        alarms=int(server.alarms),
        reported=server.reported_until,
    )


def _wait_anew(tx: Transaction, server_id: int, at: int) -> None:
    """A pause is over: how long held tasks wait for a provider counts from now."""
    tx.run(
        "UPDATE tasks SET waiting_since = :at WHERE server_id = :server AND state = 'held'",
        server=server_id,
        at=at,
    )


def _server_of(row: sqlite3.Row) -> Server:
    return Server(
        id=row["id"],
        name=row["name"],
        zone=row["zone"],
        pause_reason=row["pause_reason"],
        approval_micros=row["approval_micros"],
        approval_hours=row["approval_hours"],
        notices_channel_id=row["notices_channel_id"],
        monthly_report=bool(row["monthly_report"]),
        alarms=bool(row["alarms"]),
        reported_until=row["reported_until"],
    )


class ServerStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, server_id: int) -> Server:
        """What a server has chosen; the defaults for one never seen before."""
        row = await self._database.read_one("SELECT * FROM servers WHERE id = :id", id=server_id)
        return _server_of(row) if row else Server(server_id)

    async def change(
        self, server_id: int, name: str, at: int, decide: Callable[[Server], tuple[Server, Deed]]
    ) -> Server:
        """Change a server's choices and write down who did, in one transaction; `name` is the server's own name.

        `decide` gets what is chosen now and returns what shall be; a `Refusal` it raises changes nothing.
        """

        def work(tx: Transaction) -> Server:
            meet(tx, server_id, name, at)
            before = get(tx, server_id)
            chosen, deed = decide(before)
            put(tx, chosen)
            if before.pause_reason is not None and chosen.pause_reason is None:
                _wait_anew(tx, server_id, at)
            audit.note(tx, deed, at)
            return chosen

        return await self._database.write(work)

    async def awaiting_report(self, reported_before: int, *, limit: int) -> list[Server]:
        """Servers that want a monthly report and had the last one before a moment, those the longest ago first."""
        rows = await self._database.read(
            """
            SELECT * FROM servers WHERE monthly_report = 1 AND notices_channel_id IS NOT NULL
              AND reported_until <= :before
            ORDER BY reported_until LIMIT :limit
            """,
            before=reported_before,
            limit=limit,
        )
        return [_server_of(row) for row in rows]

    async def reported(self, server_id: int, until: int) -> None:
        """The months that ended by `until` (milliseconds since 1970) were reported, or are passed over."""

        def work(tx: Transaction) -> None:
            tx.run(
                "UPDATE servers SET reported_until = :until WHERE id = :id AND reported_until < :until",
                id=server_id,
                until=until,
            )

        await self._database.write(work)
