"""A server's switches: paused or not."""

from collections.abc import Callable
from dataclasses import replace

from bot.domain.audit import Deed
from bot.domain.errors import Refusal
from bot.domain.language import tr
from bot.domain.ports import Clock
from bot.domain.servers import Server
from bot.domain.task import Task
from storage.servers import ServerStore
from storage.tasks import TaskStore

#: Waiting tasks that are shown anew at a switch, those whose turn is next; more would keep Discord busy for long.
_SHOWN_ANEW = 100


class Switches:
    """`wake` is called when tasks that waited may go on, `changed` for each that waits on otherwise than before."""

    def __init__(
        self,
        servers: ServerStore,
        tasks: TaskStore,
        clock: Clock,
        wake: Callable[[], None],
        changed: Callable[[Task], None],
    ) -> None:
        self._servers = servers
        self._tasks = tasks
        self._clock = clock
        self._wake = wake
        self._changed = changed

    async def pause(self, server_id: int, server_name: str, actor_id: int, reason: str) -> None:
        """Hold nothing new and send nothing that waits, until resumed; a new reason replaces the old one."""
        words = " ".join(reason.split())
        if not words:
            raise Refusal(tr("The reason is empty. Say in words what members should read."))

        def decide(server: Server) -> tuple[Server, Deed]:
            deed = Deed(server_id, actor_id, "pause", before=server.pause_reason or "", after=words)
            return replace(server, pause_reason=words), deed

        await self._servers.change(server_id, server_name, self._clock(), decide)
        await self._announce(server_id)

    async def resume(self, server_id: int, server_name: str, actor_id: int) -> None:
        def decide(server: Server) -> tuple[Server, Deed]:
            if server.pause_reason is None:
                raise Refusal(tr("Nothing is paused here: videos are made as usual."))
            deed = Deed(server_id, actor_id, "resume", before=server.pause_reason)
            return replace(server, pause_reason=None), deed

        await self._servers.change(server_id, server_name, self._clock(), decide)
        self._wake()
        await self._announce(server_id)

    async def _announce(self, server_id: int) -> None:
        for task in await self._tasks.waiting_in(server_id, limit=_SHOWN_ANEW):
            self._changed(task)
