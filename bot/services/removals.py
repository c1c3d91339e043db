"""Posted clips: which one a message carries, and that one was removed."""

from collections.abc import Callable

from bot.domain.audit import Deed
from bot.domain.errors import Refusal
from bot.domain.language import kept, tr
from bot.domain.ports import Clock
from bot.domain.task import Task, TaskState
from bot.services.files import Files
from storage.removals import RemovalStore
from storage.tasks import TaskStore

REASON_LENGTH = 300


async def posted_clip(
    tasks: TaskStore, task_id: str, *, server_id: int | None, message_id: int | None
) -> Task:
    """The clip that a message carries; `Refusal` for every other, whatever a button says.

    `server_id` is None in a direct message.
    """
    task = await tasks.get(task_id)
    if task is None or (server_id is not None and task.server_id != server_id):
        raise Refusal(tr("There is no such clip in this server."))
    if task.state is TaskState.SUCCEEDED:
        raise Refusal(tr("The clip has only just been posted. Click again in some seconds."))
    if message_id is None or task.message_id != message_id:
        raise Refusal(tr("This message does not carry that clip."))
    if task.removed_by is not None:
        raise Refusal(tr("The clip was removed already, by {member}.", member=f"<@{task.removed_by}>"))
    return task


class Removals:
    """What is left to do once the message is gone. `changed` is told of the task."""

    def __init__(
        self,
        store: RemovalStore,
        tasks: TaskStore,
        files: Files,
        clock: Clock,
        changed: Callable[[Task], None],
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._files = files
        self._clock = clock
        self._changed = changed

    async def shares_message(self, task: Task) -> bool:
        """Whether other clips stand in the message that carries this one."""
        every = await self._tasks.of_interaction(task.interaction_id)
        return any(
            one.id != task.id and one.message_id == task.message_id and one.removed_by is None
            for one in every
        )

    async def removed(self, task: Task, *, actor_id: int, actor: str, reason: str) -> int:
        """Write down who had a clip removed; returns what it cost, in micros, which stays booked.

        `actor` is the name for the history. It is a deed for the server's audit unless it was the member's own clip.
        """
        words = " ".join(reason.split())[:REASON_LENGTH]
        own = actor_id == task.member_id
        deed = Deed(
            task.server_id, actor_id, "clips delete", f"{task.id} of <@{task.member_id}>", reason=words
        )
        await self._store.remove(
            task,
            self._clock(),
            by=actor_id,
            note=_note(None if own else actor, words),
            deed=None if own else deed,
        )
        await self._files.forget_posted(task)
        if removed := await self._tasks.get(task.id):
            self._changed(removed)
        return await self._tasks.cost(task.id)


def _note(actor: str | None, reason: str) -> str:
    """For the history; `actor` is None for the clip's own member, `reason` is "" where there is none."""
    match actor, reason:
        case None, "":
            return kept("removed by the member")
        case None, _:
            return kept("removed by the member: {reason}", reason=reason)
        case _, "":
            return kept("removed by a moderator, {actor}", actor=actor)
        case _:
            return kept("removed by a moderator, {actor}: {reason}", actor=actor, reason=reason)
