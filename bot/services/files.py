"""The files of tasks: pictures by their command, clips by their task; none outlives its owner."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from bot.domain.task import FINAL, Task
from bot.services.kept import Kept
from storage.tasks import TaskStore


class Files:
    """Below the data folder. A file's name begins with the id it belongs to.

    `keep` is for how many milliseconds after its delivery `kept` keeps what belongs to a clip; 0 for not at all.
    """

    def __init__(self, folder: Path, tasks: TaskStore, *, keep: int = 0) -> None:
        self._clips = folder / "clips"
        self._tasks = tasks
        self.kept = Kept(folder, tasks, keep=keep)

    def clip(self, task: Task) -> Path:
        return self._clips / f"{task.id}.mp4"

    async def make_room(self) -> None:
        await asyncio.to_thread(self._clips.mkdir, parents=True, exist_ok=True)

    async def forget_pictures(self, task: Task) -> None:
        await self.kept.forget_pictures(task)

    async def sweep(self, at: int) -> None:
        """At start: remove what a crash left behind, and what is too old."""
        await self.kept.sweep(at, orphans=True)
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


def _remove(files: Mapping[Path, str], kept: set[str]) -> None:
    for file, owner in files.items():
        if owner not in kept:
            file.unlink(missing_ok=True)
