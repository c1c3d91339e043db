"""The files of tasks: pictures by their command, clips by their task; none outlives its owner and its links."""

import asyncio
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from bot.domain.errors import StorageError
from bot.domain.ports import Clock
from bot.domain.task import FINAL, Task, TaskState
from bot.media import files
from bot.services.kept import Kept
from bot.vault import PLAIN, Vault
from storage.tasks import TaskStore

log = logging.getLogger(__name__)

_DAY_SECONDS = 86_400


class Files:
    """Below the data folder. A file's name begins with the id it belongs to.

    `links_last` is milliseconds for which the clip of a delivered task can be fetched by a link; 0 where by none.
    `keep` is for how many of them after its delivery `kept` keeps what belongs to a clip; 0 for not at all.
    """

    def __init__(
        self, folder: Path, tasks: TaskStore, *, links_last: int = 0, keep: int = 0, vault: Vault = PLAIN
    ) -> None:
        self._clips, self._frames, self._ends = folder / "clips", folder / "frames", folder / "ends"
        self._tasks = tasks
        self._links_last = links_last
        self.kept = Kept(folder, tasks, keep=keep, vault=vault)

    def clip(self, task: Task) -> Path:
        """As it came from the provider."""
        return clip_of(self._clips.parent, task.id)

    def fitted(self, task: Task) -> Path:
        """The same clip made to fit into a message."""
        return self.clip(task).with_suffix(".fit.mp4")

    async def make_room(self) -> None:
        await asyncio.to_thread(files.make_room, self._clips)

    async def forget_pictures(self, task: Task) -> None:
        await self.kept.forget_pictures(task)

    async def forget_clip(self, task: Task, *, linked: bool) -> None:
        """Remove the files of a clip that its member has; `linked`: the original stays as long as links last."""
        await asyncio.to_thread(files.discard, self.fitted(task))
        if not (linked and self._links_last):
            await asyncio.to_thread(files.discard, self.clip(task))

    async def erase(self, tasks: Sequence[Task]) -> None:
        """Remove whatever lies here of tasks; pictures stay as long as another clip of the command needs them."""
        gone = {task.id for task in tasks}
        for interaction_id in {task.interaction_id for task in tasks}:
            siblings = await self._tasks.of_interaction(interaction_id)
            if all(sibling.state in FINAL or sibling.stranded for sibling in siblings):
                gone.add(str(interaction_id))
        await asyncio.to_thread(_remove_of, gone, (self._clips, self._frames, self._ends))

    async def forget_posted(self, task: Task) -> None:
        """Remove what is left of a clip whose message was deleted: nobody shall have it any more."""
        await self.forget_clip(task, linked=False)
        await self.kept.forget_end(task)

    async def sweep(self, at: int) -> None:
        """At start: remove what a crash left behind, and what is too old."""
        await self.kept.sweep(at, orphans=True)
        await asyncio.to_thread(_remove_unfinished, self._frames / "drafts")
        await self._sweep_clips(await asyncio.to_thread(_owners, self._clips), at)

    async def sweep_daily(self, clock: Clock) -> None:
        """Remove what is too old, until cancelled."""
        while True:
            await asyncio.sleep(_DAY_SECONDS)
            try:
                await self.kept.sweep(clock())
                found = await asyncio.to_thread(_owners, self._clips)
                # Files on their way begin with a dot, and so have no owner.
                await self._sweep_clips({file: owner for file, owner in found.items() if owner}, clock())
            except (StorageError, OSError) as error:
                log.warning("files that are too old stay for another day: %s", error)

    async def _sweep_clips(self, found: Mapping[Path, str], at: int) -> None:
        kept = {owner for owner in set(found.values()) if await self._needed(owner, at)}
        await asyncio.to_thread(_remove, found, kept)

    async def _needed(self, task_id: str, at: int) -> bool:
        task = await self._tasks.get(task_id)
        if task is None or task.state not in FINAL:
            return task is not None
        linked = task.state is TaskState.DELIVERED and task.removed_by is None
        return linked and at < task.changed_at + self._links_last


def clip_of(folder: Path, task_id: str) -> Path:
    """Where in the data folder the clip of a task lies."""
    return folder / "clips" / f"{task_id}.mp4"


def settle(arriving: Path, clip: Path) -> None:
    """Give a checked file its name, its bytes on disk before: the name alone is believed after a power cut."""
    with files.on_disk(clip):
        with arriving.open("rb") as file:
            os.fsync(file.fileno())
        arriving.replace(clip)


def _owners(folder: Path) -> dict[Path, str]:
    """Each file with the id it belongs to."""
    if not folder.is_dir():
        return {}
    return {file: file.name.split("-")[0].split(".")[0] for file in folder.iterdir() if file.is_file()}


def _remove_of(gone: AbstractSet[str], folders: Iterable[Path]) -> None:
    for folder in folders:
        for file, owner in _owners(folder).items():
            if owner in gone:
                files.remove(file)


def _remove_unfinished(folder: Path) -> None:
    for file in folder.glob(".*"):
        file.unlink(missing_ok=True)


def _remove(found: Mapping[Path, str], kept: set[str]) -> None:
    for file, owner in found.items():
        if owner not in kept:
            file.unlink(missing_ok=True)
