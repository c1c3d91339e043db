"""What servers have chosen."""

from dataclasses import replace

from bot.domain.audit import Deed
from bot.domain.servers import Server
from storage.database import Database
from storage.servers import ServerStore

SERVER = 50


async def test_a_server_keeps_its_name_while_discord_tells_none(database: Database) -> None:
    servers = ServerStore(database)

    def pause(server: Server) -> tuple[Server, Deed]:
        return replace(server, pause_reason="spam"), Deed(SERVER, 1, "pause")

    for name, known in (("Harbour", "Harbour"), ("", "Harbour"), ("Quay", "Quay")):
        assert (await servers.change(SERVER, name, 0, pause)).name == known
