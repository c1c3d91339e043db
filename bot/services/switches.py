"""A server's switches: paused or not."""

from collections.abc import Callable
from dataclasses import replace

from bot.domain.audit import Deed
from bot.domain.errors import Refusal
from bot.domain.ports import Clock
from bot.domain.servers import Server
from storage.servers import ServerStore


class Switches:
    """`wake` is called when tasks that waited may go on."""

    def __init__(self, servers: ServerStore, clock: Clock, wake: Callable[[], None]) -> None:
        self._servers = servers
        self._clock = clock
        self._wake = wake

    async def pause(self, server_id: int, server_name: str, actor_id: int, reason: str) -> None:
        """Hold nothing new and send nothing that waits, until resumed; a new reason replaces the old one."""
        words = " ".join(reason.split())
        if not words:
            raise Refusal("The reason is empty. Say in words what members should read.")

        def decide(server: Server) -> tuple[Server, Deed]:
            deed = Deed(server_id, actor_id, "pause", before=server.pause_reason or "", after=words)
            return replace(server, pause_reason=words), deed

        await self._servers.change(server_id, server_name, self._clock(), decide)

    async def resume(self, server_id: int, server_name: str, actor_id: int) -> None:
        def decide(server: Server) -> tuple[Server, Deed]:
            if server.pause_reason is None:
                raise Refusal("Nothing is paused here: videos are made as usual.")
            deed = Deed(server_id, actor_id, "resume", before=server.pause_reason)
            return replace(server, pause_reason=None), deed

        await self._servers.change(server_id, server_name, self._clock(), decide)
        self._wake()
