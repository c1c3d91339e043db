"""From a finished job to the posted clip: downloaded, checked to be a video, handed to Discord."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bot.domain.errors import (
    BotError,
    DeliveryError,
    NobodyThere,
    NotAVideo,
    ProviderBusy,
    ProviderError,
    StorageError,
)
from bot.domain.ports import Announcer, Provider
from bot.domain.task import Task
from bot.media import clips
from bot.providers.downloads import LinkExpired
from bot.services.files import Files, settle
from bot.services.pace import Paces
from bot.services.timetable import Timetable
from storage.tasks import TaskStore

log = logging.getLogger(__name__)

#: Seconds: a finished clip that cannot be had is looked for again this often, for as long as it takes.
PAUSES = (5, 10, 30, 60, 300, 900)
#: Bytes. Every channel takes less than this.
_MAY_BE_TOO_LARGE = 8_000_000
#: Milliseconds a member should have to follow a link.
_LINK_LIFE = 1_800_000
#: Files of a provider that are no video: after so many it is not asked again by itself.
_NO_VIDEO = 12


class Delivering:
    def __init__(
        self,
        tasks: TaskStore,
        providers: Mapping[str, Provider],
        announcer: Announcer,
        files: Files,
        timetable: Timetable,
        paces: Paces,
    ) -> None:
        self._tasks = tasks
        self._providers = providers
        self._announcer = announcer
        self._files = files
        self._timetable = timetable
        self._paces = paces

    async def deliver(self, task: Task) -> None:
        clip = self._files.clip(task)
        try:
            await self._fetch(task, clip)
            again = task.posting_since is not None
            task = await self._tasks.posting(await self._with_live_link(task, clip), self._timetable.now())
            cost = await self._tasks.cost(task.id)
            posted = await self._announcer.deliver(self._honest(task), clip, cost_micros=cost, again=again)
        except NobodyThere as error:
            kept = f"kept, offered in /tasks list: {error}"
            await self._tasks.postpone(task, self._timetable.now(), due_at=None, problem=kept)
            return
        except (DeliveryError, ProviderError, NotAVideo, StorageError) as error:
            await self._later(task, error)
            return
        await self._tasks.delivered(
            task,
            self._timetable.now(),
            channel_id=posted.channel_id,
            message_id=posted.message_id,
            note="posted",
        )
        await self._files.kept.take_end_of_delivered(task, clip)
        await asyncio.to_thread(clip.unlink, missing_ok=True)
        await self._files.forget_pictures(task)

    async def _fetch(self, task: Task, clip: Path) -> None:
        """The clip on disk, checked to be a playable video."""
        if await asyncio.to_thread(clip.exists):
            return
        provider = self._providers.get(task.provider)
        if provider is None or task.clip_url is None:
            raise ProviderBusy(f"{task.provider} is switched off: switch it on again to collect this clip")
        await self._files.make_room()
        arriving = clip.with_suffix(".part.mp4")
        try:
            await self._download(task, provider, task.clip_url, arriving)
            await clips.probe(arriving)
            await asyncio.to_thread(settle, arriving, clip)
        finally:
            await asyncio.to_thread(arriving.unlink, missing_ok=True)

    async def _download(self, task: Task, provider: Provider, url: str, to: Path) -> None:
        try:
            await provider.download(url, to)
        except LinkExpired:
            if task.job_id is None:
                raise
            self._paces.of(task.provider).take()
            report = await provider.status(task.job_id)
            if not report.clip_url:
                raise
            await self._tasks.new_link(task, report.clip_url, report.clip_expires_at)
            await provider.download(report.clip_url, to)

    async def _with_live_link(self, task: Task, clip: Path) -> Task:
        """A clip that may be too large for Discord is posted as a link: ask for a new one before it dies."""
        size = (await asyncio.to_thread(clip.stat)).st_size
        soon = self._timetable.now() + _LINK_LIFE
        expires = task.clip_expires_at
        if size < _MAY_BE_TOO_LARGE or expires is None or expires > soon or task.job_id is None:
            return task
        provider = self._providers.get(task.provider)
        if provider is not None:
            self._paces.of(task.provider).take()
            report = await provider.status(task.job_id)
            if report.clip_url:
                await self._tasks.new_link(task, report.clip_url, report.clip_expires_at)
        return task

    def _honest(self, task: Task) -> Task:
        """A link that is dead is none."""
        expires = task.clip_expires_at
        dead = expires is not None and expires <= self._timetable.now()
        return replace(task, clip_url=None) if dead else task

    async def _later(self, task: Task, error: BotError) -> None:
        if isinstance(error, NotAVideo) and task.polls >= _NO_VIDEO:
            problem = f"the provider's file is no playable video: {error}"
            await self._tasks.postpone(task, self._timetable.now(), due_at=None, problem=problem)
            log.error("task %s was paid, but %s", task.id, problem)
            return
        pause = PAUSES[min(task.polls, len(PAUSES) - 1)]
        problem = f"not posted yet: {error}"
        due_at = self._timetable.after(pause)
        await self._tasks.postpone(task, self._timetable.now(), due_at=due_at, problem=problem)
        level = logging.ERROR if task.polls >= len(PAUSES) else logging.WARNING
        log.log(level, "task %s: its clip is not posted yet: %s", task.id, error)
