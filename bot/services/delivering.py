"""From a finished job to the posted clip: downloaded, checked to be a video, made to fit, handed to Discord."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from weakref import WeakValueDictionary

from bot.domain.errors import (
    BotError,
    DeliveryError,
    NobodyThere,
    NotAVideo,
    ProviderBusy,
    ProviderError,
    StorageError,
)
from bot.domain.language import kept
from bot.domain.parcel import Change, Parcel
from bot.domain.ports import Announcer, Gallery, Posted, Provider
from bot.domain.task import HANDED_OVER, Task, TaskState, switched_off
from bot.media.clips import ClipInfo
from bot.media.files import discard
from bot.providers.downloads import LinkExpired
from bot.services.files import Files, settle
from bot.services.pace import Paces
from bot.services.packing import Packing
from bot.services.timetable import Timetable
from storage.tasks import TaskStore

log = logging.getLogger(__name__)

#: Seconds: a finished clip that cannot be had is looked for again this often, for as long as it takes.
PAUSES = (5, 10, 30, 60, 300, 900)
#: Files of a provider that are no video: after so many it is not asked again by itself.
_NO_VIDEO = 12


class Delivering:
    """`posted` is told how many milliseconds after it was found ready a clip was posted."""

    def __init__(
        self,
        tasks: TaskStore,
        providers: Mapping[str, Provider],
        announcer: Announcer,
        files: Files,
        packing: Packing,
        timetable: Timetable,
        paces: Paces,
        posted: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._tasks = tasks
        self._providers = providers
        self._announcer = announcer
        self._files = files
        self._packing = packing
        self._timetable = timetable
        self._paces = paces
        self._posted = posted
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def deliver(self, task: Task) -> None:
        try:
            info = await self._fetch(task)
        except (ProviderError, NotAVideo, StorageError) as error:
            if not await self._posted_before(task):
                await self._later(task, error)
            return
        # The clips of one command go into one message, one after the other.
        async with self._turns.setdefault(task.interaction_id, asyncio.Lock()):
            await self._post(task, info)

    async def _post(self, task: Task, info: ClipInfo | None) -> None:
        again = task.posting_since is not None
        try:
            gallery = await self._gallery(task)
            cost = await self._tasks.cost(task.id)

            async def post(parcel: Parcel) -> Posted:
                marked = await self._tasks.posting(task, self._timetable.now())
                return await self._announcer.deliver(
                    marked, parcel, cost_micros=cost, again=again, gallery=gallery
                )

            parcel, posted = await self._packing.send(
                task, self._announcer.upload_limit(task), post, info=info
            )
        except NobodyThere as error:
            problem = kept("kept, offered in /tasks list: {error}", error=error)
            await self._tasks.postpone(task, self._timetable.now(), due_at=None, problem=problem)
            return
        except (DeliveryError, ProviderError, NotAVideo, StorageError) as error:
            await self._later(task, error)
            return
        await self._tasks.delivered(
            task,
            self._timetable.now(),
            channel_id=posted.channel_id,
            message_id=posted.message_id,
            note=_posted(parcel),
        )
        await self._files.kept.take_end_of_delivered(task, self._files.clip(task))
        self._posted(self._timetable.now() - task.changed_at)
        # A message from before a crash may carry a link that this try did not need.
        await self._files.forget_clip(task, linked=again or parcel.link is not None)
        await self._files.forget_pictures(task)

    async def _posted_before(self, task: Task) -> bool:
        """Whether a clip that cannot be had again stands in the channel already: then that is noted."""
        if task.posting_since is None:
            return False
        try:
            posted = await self._announcer.find(task)
        except DeliveryError:
            return False
        if posted is None:
            return False
        await self._tasks.delivered(
            task,
            self._timetable.now(),
            channel_id=posted.channel_id,
            message_id=posted.message_id,
            note=kept("posted before, and found again"),
        )
        await self._files.forget_pictures(task)
        return True

    async def _gallery(self, task: Task) -> Gallery | None:
        """The message of all the clips of a command that asked for several."""
        every = await self._tasks.of_interaction(task.interaction_id)
        if len(every) == 1:
            return None
        posted = [one for one in every if one.state is TaskState.DELIVERED and one.problem != HANDED_OVER]
        messages = {Posted(one.message_channel_id or 0, one.message_id or 0) for one in posted}
        for one in every:
            # Its answer was lost, by a crash perhaps: it may have begun the message.
            in_doubt = (
                one.id != task.id and one.state is TaskState.SUCCEEDED and one.posting_since is not None
            )
            if in_doubt and (found := await self._announcer.find(one)):
                messages.add(Posted(found.channel_id, found.message_id))
        return Gallery(tuple(sorted(messages, key=lambda one: one.message_id)))

    async def _fetch(self, task: Task) -> ClipInfo | None:
        """The clip on disk, checked to be a playable video; what is known of it where it has just come."""
        clip = self._files.clip(task)
        if await asyncio.to_thread(clip.exists):
            return None
        provider = self._providers.get(task.provider)
        if provider is None or task.clip_url is None:
            raise ProviderBusy(switched_off(task.provider))
        await self._files.make_room()
        arriving = clip.with_suffix(".part.mp4")
        try:
            await self._download(task, provider, task.clip_url, arriving)
            info = await self._files.kept.look_into(task, arriving)
            await asyncio.to_thread(settle, arriving, clip)
        finally:
            await asyncio.to_thread(discard, arriving)
        return info

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

    async def _later(self, task: Task, error: BotError) -> None:
        if isinstance(error, NotAVideo) and task.polls >= _NO_VIDEO:
            problem = kept("the provider's file is no playable video: {error}", error=error)
            await self._tasks.postpone(task, self._timetable.now(), due_at=None, problem=problem)
            log.error("task %s was paid, but %s", task.id, problem)
            return
        pause = PAUSES[min(task.polls, len(PAUSES) - 1)]
        problem = kept("not posted yet: {error}", error=error)
        due_at = self._timetable.after(pause)
        await self._tasks.postpone(task, self._timetable.now(), due_at=due_at, problem=problem)
        level = logging.ERROR if task.polls >= len(PAUSES) else logging.WARNING
        log.log(level, "task %s: its clip is not posted yet: %s", task.id, error)


def _posted(parcel: Parcel) -> str:
    if parcel.file is None:
        return kept("posted as a link")
    match parcel.change:
        case Change.NONE:
            return kept("posted, as it is")
        case Change.SMALLER:
            return kept("posted, made smaller to fit")
        case Change.CONVERTED:
            return kept("posted, converted so that it plays everywhere")
