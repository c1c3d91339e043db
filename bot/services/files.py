"""The files of tasks: pictures by their command, clips by their task; none outlives its owner."""

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from bot.domain.task import FINAL, Task
from storage.tasks import TaskStore


class Files:
    """Below the data folder. A file's name begins with the id it belongs to."""

    def __init__(self, folder: Path, tasks: TaskStore) -> None:
        self._clips = folder / "clips"
        self._frames = folder / "frames"
        self._tasks = tasks

    def clip(self, task: Task) -> Path:
        return self._clips / f"{task.id}.mp4"

    async def make_room(self) -> None:
        await asyncio.to_thread(self._clips.mkdir, parents=True, exist_ok=True)

    async def forget_pictures(self, task: Task) -> None:
        """Remove the pictures once no clip of the same command needs them."""
        siblings = await self._tasks.of_interaction(task.interaction_id)
        if all(sibling.state in FINAL for sibling in siblings):
            for frame in (task.first_frame, task.last_frame):
                if frame is not None:
                    await asyncio.to_thread(Path(frame.path).unlink, missing_ok=True)

    async def erase(self, tasks: Sequence[Task]) -> None:
        """Remove whatever lies here of tasks; pictures stay as long as another clip of the command needs them."""
        gone = {task.id for task in tasks}
        for interaction_id in {task.interaction_id for task in tasks}:
            siblings = await self._tasks.of_interaction(interaction_id)
            if all(sibling.state in FINAL or sibling.stranded for sibling in siblings):
                gone.add(str(interaction_id))
        await asyncio.to_thread(_remove_of, gone, (self._clips, self._frames))

    async def sweep(self) -> None:
        """At start: remove what a crash left behind."""
        # Listed before the tasks are read: a picture that comes later belongs to a command just being placed.
        frames = await asyncio.to_thread(_owners, self._frames)
        kept = {str(number) for number in await self._tasks.unfinished_interactions()}
        await asyncio.to_thread(_remove, frames, kept)
        files = await asyncio.to_thread(_owners, self._clips)
        kept = {owner for owner in set(files.values()) if await self._unfinished(owner)}
        await asyncio.to_thread(_remove, files, kept)

    async def _unfinished(self, task_id: str) -> bool:
        task = await self._tasks.get(task_id)
        return task is not None and task.state not in FINAL


def settle(arriving: Path, clip: Path) -> None:
    """Give a checked file its name, its bytes on disk before: the name alone is believed after a power cut."""
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
                file.unlink(missing_ok=True)


def _remove(files: Mapping[Path, str], kept: set[str]) -> None:
    for file, owner in files.items():
        if owner not in kept:
            file.unlink(missing_ok=True)
