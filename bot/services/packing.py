"""The size ladder: a clip as it is, else made to fit, else the link to it on this bot, else its provider's link."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

from bot.domain.errors import NobodyThere, NotAVideo, ProviderError, TooLarge
from bot.domain.language import kept
from bot.domain.parcel import Change, Link, Parcel
from bot.domain.ports import Provider
from bot.domain.task import Task
from bot.media import clips, fit
from bot.media.clips import ClipInfo, Remedy
from bot.services.files import Files
from bot.services.links import ClipLinks
from bot.services.pace import Paces
from bot.services.timetable import Timetable
from storage.tasks import TaskStore

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Milliseconds a member should have to follow a link.
_LINK_LIFE = 1_800_000
#: Files of a clip that are offered to Discord before it becomes a link: each costs an encode.
_FILES = 2


class Packing:
    """`links` is None where nobody can reach this bot."""

    def __init__(
        self,
        tasks: TaskStore,
        providers: Mapping[str, Provider],
        files: Files,
        links: ClipLinks | None,
        timetable: Timetable,
        paces: Paces,
    ) -> None:
        self._tasks = tasks
        self._providers = providers
        self._files = files
        self._links = links
        self._timetable = timetable
        self._paces = paces

    async def send(
        self,
        task: Task,
        limit: int,
        send: Callable[[Parcel], Awaitable[T]],
        *,
        info: ClipInfo | None = None,
    ) -> tuple[Parcel, T]:
        """Give the clip to `send`, a smaller one where that says `TooLarge`, in the end a link.

        `limit` is bytes. `info` spares a look at the file. `NobodyThere` where there is no link either.
        """
        task = await self._tasks.get(task.id) or task
        for _ in range(_FILES):
            parcel = await self._packed(task, limit, info)
            try:
                return parcel, await send(parcel)
            except TooLarge as error:
                log.info("task %s: %s", task.id, error)
                limit = error.limit
        parcel = await self._link_alone(task)
        return parcel, await send(parcel)

    async def _packed(self, task: Task, limit: int, info: ClipInfo | None) -> Parcel:
        clip = self._files.clip(task)
        size = await asyncio.to_thread(_size, clip)
        fits = size <= limit
        try:
            info = info or await clips.probe(clip)
            if fits and info.remedy is Remedy.NONE:
                return Parcel(clip)
            fitted = await self._fitted(task, info, limit)
        except (NotAVideo, fit.CannotFit) as error:
            # It was a video when it came, so the member has it as it came, whatever is wrong here.
            log.warning("task %s: %s", task.id, error)
            return Parcel(clip) if fits else await self._link_alone(task)
        if fits and info.remedy is Remedy.REMUX:
            return Parcel(fitted)
        change = Change.CONVERTED if fits else Change.SMALLER
        return Parcel(fitted, change, self._links.new(task.id) if self._links else self._providers_link(task))

    async def _fitted(self, task: Task, info: ClipInfo, limit: int) -> Path:
        """The file of an earlier try where that is small enough, as after a crash."""
        fitted = self._files.fitted(task)
        size = await asyncio.to_thread(_size, fitted)
        if not 0 < size <= limit:
            size = await fit.fit(self._files.clip(task), info, fitted, limit=limit)
            log.info("task %s: its clip of %d bytes is now one of %d", task.id, info.bytes, size)
        return fitted

    async def _link_alone(self, task: Task) -> Parcel:
        link = (
            self._links.new(task.id)
            if self._links
            else self._providers_link(await self._with_live_link(task))
        )
        if link is None:
            raise NobodyThere(kept("the clip is too large for Discord and its provider has no link to it"))
        return Parcel(None, link=link)

    async def _with_live_link(self, task: Task) -> Task:
        """Ask the provider for a new link before the old one dies."""
        expires = task.clip_expires_at
        provider = self._providers.get(task.provider)
        soon = self._timetable.now() + _LINK_LIFE
        if expires is None or expires > soon or task.job_id is None or provider is None:
            return task
        self._paces.of(task.provider).take()
        try:
            report = await provider.status(task.job_id)
        except ProviderError:
            if self._providers_link(task) is None:
                raise
            return task
        if report.clip_url:
            await self._tasks.new_link(task, report.clip_url, report.clip_expires_at)
        return await self._tasks.get(task.id) or task

    def _providers_link(self, task: Task) -> Link | None:
        """A link that is dead is none, and neither is a path of this machine."""
        expires = task.clip_expires_at
        dead = expires is not None and expires <= self._timetable.now()
        if dead or not (task.clip_url or "").startswith(("https://", "http://")):
            return None
        return Link(task.clip_url or "", expires, own=False)


def _size(file: Path) -> int:
    """Bytes; 0 where there is no such file."""
    return file.stat().st_size if file.exists() else 0
