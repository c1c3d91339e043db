"""Progress messages: one for each command, redrawn when something changed, at most every 2.5 seconds."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import discord

from bot.domain.catalog import Catalog
from bot.domain.errors import StorageError
from bot.domain.language import reading, short
from bot.domain.ports import Posted
from bot.domain.task import FINAL, Task, TaskState
from bot.posting import texts
from bot.posting.delivery import Delivery, refused, unreachable
from bot.posting.frames import frame_urls, with_frames
from bot.posting.progress import Progress, Row, picture_urls
from bot.services.timetable import Timetable
from bot.vault import PLAIN, Vault
from storage.tasks import TaskStore

log = logging.getLogger(__name__)

#: Discord allows about five edits in five seconds in a channel that everybody shares.
EDIT_SECONDS = 2.5
#: The interaction's token lives fifteen minutes; the last one is left to clocks and queues.
_TOKEN_SECONDS = 14 * 60
_TRIES = 5
_AT_ONCE = 4
#: Messages kept in mind, those given up among them.
_REMEMBERED = 10_000
#: How often it is looked whether Discord has let the bot in.
_LOGIN_SECONDS = 1.0
#: How often the bar of a clip that a provider has is drawn anew.
_LOOK_SECONDS = 10.0
_AT_A_PROVIDER = frozenset({TaskState.QUEUED, TaskState.PROCESSING})


@dataclass(slots=True)
class _Message:
    """One progress message: what it shows, and what it takes to edit it."""

    interaction_id: int
    dirty: bool = False
    given_up: bool = False
    drawn: str | None = None
    #: What it says of its pictures, below what is drawn.
    note: str = ""
    #: Addresses of its pictures; None where it was made before a restart.
    pictures: tuple[str, ...] | None = None
    next_edit: float = 0
    #: When it is looked whether time alone has changed it.
    look_again: float = math.inf
    failures: int = 0
    progress: dict[str, int] = field(default_factory=dict)
    interaction: discord.Interaction[Any] | None = None
    token_until: float = 0

    @property
    def due(self) -> float:
        """When it may be redrawn and is worth it."""
        return self.next_edit if self.dirty else max(self.next_edit, self.look_again)


class Board(Delivery):
    """The Discord side of a task's life: progress messages, and the clips themselves."""

    def __init__(
        self,
        client: discord.Client,
        tasks: TaskStore,
        catalog: Catalog,
        *,
        cancel_button: Callable[[str, str], discord.ui.Item[Any]],
        clip_buttons: Callable[[Task], Sequence[discord.ui.Item[Any]]],
        timetable: Timetable,
        monotonic: Callable[[], float] = time.monotonic,
        vault: Vault = PLAIN,
    ) -> None:
        super().__init__(client, catalog, monotonic, clip_buttons=clip_buttons)
        self._tasks = tasks
        self._cancel_button = cancel_button
        self._timetable = timetable
        self._vault = vault
        self._messages: dict[int, _Message] = {}
        self._wake = asyncio.Event()

    # ----------------------------------------------------------------- posting

    async def begin(self, interaction: discord.Interaction[Any], tasks: Sequence[Task]) -> Posted:
        """Turn the acknowledgement into the progress message; its pictures get their address from it."""
        message = self._message(tasks[0])
        message.interaction = interaction
        message.token_until = self._monotonic() + _TOKEN_SECONDS

        async def send(files: list[discord.File], note: str) -> discord.InteractionMessage:
            drawing = await self._first_drawing(tasks, message, files, note)
            return await interaction.edit_original_response(
                view=drawing.view(), attachments=files, allowed_mentions=discord.AllowedMentions.none()
            )

        with reading(tasks[0].language):
            sent = await with_frames(tasks[0], self._vault, send)
        return self._was_drawn(message, sent)

    async def announce(self, tasks: list[Task]) -> Posted:
        """The progress message of tasks that a crash left without one: the one whose answer was lost, else a new one.

        A new one is posted by the bot's own token; that of private clips to their member.
        """
        self._must_be_logged_in()
        first, message = tasks[0], self._message(tasks[0])
        message.interaction = None

        async def send(files: list[discord.File], note: str) -> discord.Message:
            drawing = await self._first_drawing(tasks, message, files, note)
            return await channel.send(
                view=drawing.view(),
                files=files,
                nonce=f"p{first.interaction_id}",
                allowed_mentions=discord.AllowedMentions.none(),
            )

        try:
            channel = await self._place_of(first)
            # The command itself, not the task: its answer stands there since before its pictures were prepared.
            since = round(discord.utils.snowflake_time(first.interaction_id).timestamp() * 1000)
            with reading(first.language):
                sent = await self._find(channel, first, since, carries_clip=False)
                sent = sent or await with_frames(first, self._vault, send)
        except discord.HTTPException as error:
            raise refused(error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise unreachable(error) from error
        return self._was_drawn(message, sent)

    async def _first_drawing(
        self, tasks: Sequence[Task], message: _Message, files: Sequence[discord.File], note: str
    ) -> Progress:
        message.note, message.pictures = note, tuple(f"attachment://{file.filename}" for file in files)
        drawing = await self._drawing(tasks, message)
        message.drawn = drawing.words
        return drawing

    def _was_drawn(self, message: _Message, sent: discord.Message) -> Posted:
        message.next_edit = self._monotonic() + EDIT_SECONDS
        message.pictures = picture_urls(sent)
        return Posted(sent.channel.id, sent.id, message.pictures)

    # --------------------------------------------------------------- redrawing

    def changed(self, task: Task, *, progress: int | None = None) -> None:
        """Note that a task's progress message is out of date; `progress` is percent."""
        message = self._message(task)
        if progress is not None:
            message.progress[task.id] = progress
        if not message.given_up:
            message.dirty = True
            self._wake.set()

    async def run(self) -> None:
        """Redraw what is out of date, until cancelled."""
        while True:
            self._wake.clear()
            pause = await self.redraw()
            try:
                await asyncio.wait_for(self._wake.wait(), pause)
            except TimeoutError:
                continue

    async def redraw(self) -> float | None:
        """Edit every message that is out of date and may be edited now; seconds until the next may be."""
        if self._client.user is None:
            return _LOGIN_SECONDS
        now = self._monotonic()
        ready = [message for message in self._messages.values() if message.due <= now][:_AT_ONCE]
        await asyncio.gather(*(self._redraw(message) for message in ready))
        first = min((message.due for message in self._messages.values()), default=math.inf)
        return max(0.01, first - self._monotonic()) if first < math.inf else None

    async def _redraw(self, message: _Message) -> None:
        message.dirty, message.look_again = False, math.inf
        message.next_edit = self._monotonic() + EDIT_SECONDS
        try:
            tasks = await self._tasks.of_interaction(message.interaction_id)
            ended = all(task.state in FINAL for task in tasks)
            if tasks and self._in_reach(message, tasks[0]):
                with reading(tasks[0].language):
                    await self._draw(message, tasks, ended=ended)
            elif not ended:
                return
            if ended:
                await self._forget(message)
        except (discord.HTTPException, aiohttp.ClientError, OSError, StorageError) as error:
            await self._failed(message, error)
        except Exception:
            # One message that cannot be drawn must not end the bot.
            log.exception("progress of interaction %d cannot be drawn", message.interaction_id)
            self._give_up(message)

    async def _draw(self, message: _Message, tasks: Sequence[Task], *, ended: bool) -> None:
        drawing = await self._drawing(tasks, message)
        if drawing.words != message.drawn:
            await self._edit(message, tasks[0], drawing, ended=ended)
            message.drawn, message.failures = drawing.words, 0
        if any(self._expected(task) is not None for task in tasks):
            message.look_again = self._monotonic() + _LOOK_SECONDS

    def _give_up(self, message: _Message) -> None:
        """Draw it no more while this process runs, whatever its tasks still do."""
        message.given_up, message.dirty, message.look_again = True, False, math.inf
        while len(self._messages) > _REMEMBERED:
            self._messages.pop(next(iter(self._messages)))

    async def _forget(self, message: _Message) -> None:
        """Nothing more is drawn; not after a restart either, where all its clips have ended."""
        self._messages.pop(message.interaction_id, None)
        await self._tasks.end_shown(message.interaction_id)

    async def _failed(self, message: _Message, error: Exception) -> None:
        """A progress message is a comfort, not a promise: after some tries it is left as it is."""
        message.failures += 1
        gone = isinstance(error, discord.Forbidden | discord.NotFound)
        if gone or message.failures >= _TRIES:
            log.info("progress of interaction %d is no longer shown: %s", message.interaction_id, error)
            self._give_up(message)
            try:
                await self._tasks.end_shown(message.interaction_id)
            except StorageError as worse:
                log.warning("interaction %d: %s", message.interaction_id, worse)
        else:
            message.dirty = True
            message.next_edit = self._monotonic() + EDIT_SECONDS * 2**message.failures

    async def _edit(self, message: _Message, first: Task, drawing: Progress, *, ended: bool) -> None:
        # A message from before it was laid out like this has words, which a layout may not have beside it.
        changes: dict[str, Any] = {"content": None, "view": drawing.view()}
        if ended:
            changes["attachments"] = []
        changes["allowed_mentions"] = discord.AllowedMentions.none()
        interaction = message.interaction
        if interaction is not None and self._monotonic() < message.token_until:
            try:
                await interaction.edit_original_response(**changes)
            except discord.HTTPException as error:
                if error.code not in {50027, 10015}:
                    raise
                message.interaction = None
            else:
                return
        if not self._in_reach(message, first):
            return
        channel = self._client.get_partial_messageable(
            first.progress_channel_id or first.channel_id, guild_id=first.server_id
        )
        await channel.get_partial_message(first.progress_message_id or 0).edit(**changes)

    async def _place_of(self, task: Task) -> discord.abc.Messageable:
        if task.private:
            member = self._client.get_user(task.member_id) or await self._client.fetch_user(task.member_id)
            return await member.create_dm()
        return self._client.get_partial_messageable(task.channel_id, guild_id=task.server_id)

    def _in_reach(self, message: _Message, task: Task) -> bool:
        """Whether there is a message, and a token that may edit it.

        An answer for its member alone can be edited by the interaction's only, for as long as that lives.
        """
        if message.interaction is not None and self._monotonic() < message.token_until:
            return True
        alone = task.private and task.progress_channel_id == task.channel_id
        return task.progress_message_id is not None and not alone

    # ----------------------------------------------------------------- drawing

    async def _drawing(self, tasks: Sequence[Task], message: _Message) -> Progress:
        first = tasks[0]
        rows = [
            Row(_number(task, tasks) + await self._line(task, message), self._button(task, tasks))
            for task in tasks
        ]
        if all(task.state in FINAL for task in tasks):
            return Progress(tuple(rows))
        notes = [message.note, texts.alone() if first.private and message.interaction is not None else ""]
        return Progress(
            tuple(rows),
            title=texts.progress_title(first, self._catalog),
            prompt=texts.wanted(first, length=300),
            pictures=frame_urls(first) if message.pictures is None else message.pictures,
            notes=tuple(filter(None, notes)),
        )

    async def _line(self, task: Task, message: _Message) -> str:
        held = task.state is TaskState.HELD
        ahead = await self._tasks.ahead_of(task) if held else 0
        paused = await self._tasks.pause_reason(task.server_id) if held else None
        waiting = task.state in _AT_A_PROVIDER
        return texts.status_line(
            task,
            self._catalog,
            ahead=ahead,
            progress=message.progress.get(task.id) if waiting else None,
            expected=self._expected(task),
            ready_at=self._timetable.ready_at(task) if waiting else None,
            paused=paused,
        )

    def _expected(self, task: Task) -> int | None:
        """How far it should be, in percent, where time alone moves it on."""
        return self._timetable.percent(task) if task.state in _AT_A_PROVIDER else None

    def _button(self, task: Task, tasks: Sequence[Task]) -> discord.ui.Item[Any] | None:
        """Cancel, for a clip that has not ended."""
        if task.state in FINAL or task.state is TaskState.SUCCEEDED:
            return None
        label = short("Cancel") if len(tasks) == 1 else short("Cancel {number}", number=task.ordinal + 1)
        return self._cancel_button(task.id, label)

    def _message(self, task: Task) -> _Message:
        return self._messages.setdefault(task.interaction_id, _Message(task.interaction_id))


def _number(task: Task, tasks: Sequence[Task]) -> str:
    """Which of several clips; nothing where there is one. Bold, or each row would begin a list of its own."""
    return f"**{task.ordinal + 1}.** " if len(tasks) > 1 else ""
