"""What stays of a delivered clip for a while: the pictures it was made of, and the frame it ends with."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from bot.domain.errors import BotError, StorageError, Unreadable
from bot.domain.task import FINAL, Task, TaskState
from bot.media import clips
from bot.media.clips import ClipInfo
from bot.media.files import discard, make_room
from bot.media.last_frame import last_frame
from bot.vault import Vault
from storage.tasks import TaskStore

log = logging.getLogger(__name__)

#: Bytes of all that is kept, whatever its age; the oldest goes first.
MOST = 2_000_000_000
#: Discord's ids, and the database's numbers, are below this.
_IDS = 2**63


class Kept:
    """Below the data folder: `frames`, named by their command, and `ends`, named by their task.

    `keep` is milliseconds from a clip's delivery on; 0 keeps nothing.
    """

    def __init__(self, folder: Path, tasks: TaskStore, *, keep: int, vault: Vault) -> None:
        self._frames = folder / "frames"
        self._ends = folder / "ends"
        self._tasks = tasks
        self._keep = keep
        self._vault = vault

    async def pictures(self, task: Task) -> list[Path]:
        """The checked pictures a clip was made of, first and last, as far as they are still there."""
        frames = [Path(frame.path) for frame in (task.first_frame, task.last_frame) if frame]
        return [frame for frame in frames if await asyncio.to_thread(frame.exists)]

    async def forget_pictures(self, task: Task) -> None:
        """Remove the pictures once no clip of the same command needs them, now or to be made again."""
        siblings = await self._tasks.of_interaction(task.interaction_id)
        if any(sibling.state not in FINAL for sibling in siblings):
            return
        if self._keep and any(sibling.state is TaskState.DELIVERED for sibling in siblings):
            return
        for frame in await self.pictures(task):
            await asyncio.to_thread(discard, frame)

    async def end_of(self, task: Task) -> Path | None:
        """The picture of a clip's last frame, where it is still there and can be read."""
        end = self._end(task)
        return end if await self.can_be_read(end) else None

    async def can_be_read(self, picture: Path) -> bool:
        try:
            await asyncio.to_thread(self._vault.must_read, picture)
        except FileNotFoundError:
            return False
        except Unreadable as error:
            log.error("%s is not used: %s", picture, error)  # noqa: TRY400 - not a bug
            return False
        return True

    async def take_end(self, task: Task, clip: Path) -> Path:
        """Keep the last frame of a clip; `NotAVideo` or a `StorageError` where that fails."""
        end = self._end(task)
        await asyncio.to_thread(make_room, self._ends)
        async with self._vault.arriving(end) as part:
            await last_frame(clip, part)
        return end

    async def look_into(self, task: Task, clip: Path) -> ClipInfo:
        """What is known of a clip that has just come; `NotAVideo` where it is none.

        Its last frame is taken on the way: starting a child process and decoding cost more than all else of a clip.
        """
        if not self._keep:
            return await clips.probe(clip)
        try:
            await asyncio.to_thread(make_room, self._ends)
            async with self._vault.arriving(self._end(task)) as part:
                return await clips.probe(clip, end=part)
        except StorageError:
            return await clips.probe(clip)

    async def take_end_of_delivered(self, task: Task, clip: Path) -> None:
        """Keep the last frame if it is not there yet. Its posted file has it too, whatever happens."""
        if self._keep and await self.end_of(task) is None:
            try:
                await self.take_end(task, clip)
            except BotError as error:
                log.warning("the last frame of task %s is not kept: %s", task.id, error)

    async def forget_end(self, task: Task) -> None:
        await asyncio.to_thread(discard, self._end(task))

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[Path]:
        """A name for a file that is gone again at the end; a crash's left-over is swept at the next start."""
        await asyncio.to_thread(make_room, self._ends)
        file = self._ends / f".{uuid4().hex}.mp4"
        try:
            yield file
        finally:
            await asyncio.to_thread(discard, file)

    def _end(self, task: Task) -> Path:
        return self._ends / f"{task.id}.png"

    # ---------------------------------------------------------------- sweeping

    async def sweep(self, at: int, *, orphans: bool = False) -> None:
        """Remove what is too old or too much.

        `orphans`: also what belongs to nothing known. Only at a start is that a crash's left-over; later it may
        belong to a command just being placed.
        """
        # Listed before the tasks are read, for the same reason.
        files = await asyncio.to_thread(_listed, self._frames, self._ends)
        unfinished = {str(number) for number in await self._tasks.unfinished_interactions()}
        spare = []
        for file in files:
            if file.owner in unfinished:
                continue
            owners = await self._owners(file)
            if owners and self._wanted(owners, at):
                spare.append(file)
            elif owners or orphans:
                await asyncio.to_thread(file.path.unlink, missing_ok=True)
        for file in _beyond(spare, MOST):
            await asyncio.to_thread(file.path.unlink, missing_ok=True)

    async def _owners(self, file: "_File") -> list[Task]:
        if file.path.parent == self._frames:
            number = int(file.owner) if file.owner.isdecimal() else 0
            return await self._tasks.of_interaction(number) if number < _IDS else []
        task = await self._tasks.get(file.owner)
        return [task] if task else []

    def _wanted(self, owners: Sequence[Task], at: int) -> bool:
        return any(
            owner.state not in FINAL
            or (
                owner.state is TaskState.DELIVERED
                and owner.removed_by is None
                and at < owner.changed_at + self._keep
            )
            for owner in owners
        )


@dataclass(frozen=True, slots=True)
class _File:
    """`owner` is the id that its name begins with; `at` is seconds, for an order alone."""

    path: Path
    owner: str
    bytes: int
    at: float


def _listed(*folders: Path) -> list[_File]:
    found = []
    for path in (path for folder in folders if folder.is_dir() for path in folder.iterdir()):
        if path.is_file():
            known = path.stat()
            owner = path.name.split("-")[0].split(".")[0]
            found.append(_File(path, owner, known.st_size, known.st_mtime))
    return found


def _beyond(files: Sequence[_File], most: int) -> list[_File]:
    """The oldest, so many that the others have at most that many bytes."""
    left, beyond = most, []
    for file in sorted(files, key=lambda one: one.at, reverse=True):
        left -= file.bytes
        if left < 0:
            beyond.append(file)
    return beyond
