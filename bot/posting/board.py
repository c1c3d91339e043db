"""Progress messages: one for each command, redrawn when something changed, at most every 2.5 seconds."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import discord

from bot.domain.catalog import Catalog
from bot.domain.errors import DeliveryError, StorageError
from bot.domain.ports import Posted
from bot.domain.task import FINAL, Task, TaskState
from bot.posting import texts
from bot.posting.delivery import Delivery
from bot.posting.frames import noted, with_frames
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


@dataclass(slots=True)
class _Message:
    """One progress message: what it shows, and what it takes to edit it."""

    interaction_id: int
    dirty: bool = False
    given_up: bool = False
    drawn: str | None = None
    #: What it says of its pictures, below what is drawn.
    note: str = ""
    next_edit: float = 0
    failures: int = 0
    progress: dict[str, int] = field(default_factory=dict)
    interaction: discord.Interaction[Any] | None = None
    token_until: float = 0


class Board(Delivery):
    """The Discord side of a task's life: progress messages, and the clips themselves."""

    def __init__(
        self,
        client: discord.Client,
        tasks: TaskStore,
        catalog: Catalog,
        *,
        cancel_button: Callable[[str, str], discord.ui.Item[Any]],
        clip_buttons: Callable[[Task], discord.ui.View],
        ready_at: Callable[[Task], int | None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(client, catalog, monotonic, clip_buttons=clip_buttons)
        self._tasks = tasks
        self._cancel_button = cancel_button
        self._ready_at = ready_at
        self._messages: dict[int, _Message] = {}
        self._wake = asyncio.Event()

    # ----------------------------------------------------------------- posting

    async def begin(self, interaction: discord.Interaction[Any], tasks: Sequence[Task]) -> Posted:
        """Turn the acknowledgement into the progress message; its pictures get their address from it."""
        message = self._message(tasks[0])
        message.interaction = interaction
        message.token_until = self._monotonic() + _TOKEN_SECONDS
        content = await self._content(tasks, message)

        async def send(files: list[discord.File], note: str) -> discord.InteractionMessage:
            message.note = note
            return await interaction.edit_original_response(
                content=noted(content, message.note),
                view=self._view(tasks),
                attachments=files,
                allowed_mentions=discord.AllowedMentions.none(),
            )

        sent = await with_frames(tasks[0], send)
        message.drawn, message.next_edit = content, self._monotonic() + EDIT_SECONDS
        return Posted(sent.channel.id, sent.id, tuple(file.url for file in sent.attachments))

    async def announce(self, tasks: list[Task]) -> Posted:
        """The progress message of tasks that a crash left without one: the one whose answer was lost, else a new one.

        A new one is posted by the bot's own token; that of private clips to their member.
        """
        self._must_be_logged_in()
        first, message = tasks[0], self._message(tasks[0])
        message.interaction = None
        content = await self._content(tasks, message)

        async def send(files: list[discord.File], note: str) -> discord.Message:
            message.note = note
            return await channel.send(
                noted(content, message.note),
                view=self._view(tasks) or discord.utils.MISSING,
                files=files,
                nonce=f"p{first.interaction_id}",
                allowed_mentions=discord.AllowedMentions.none(),
            )

        try:
            channel = await self._place_of(first)
            # The command itself, not the task: its answer stands there since before its pictures were prepared.
            since = round(discord.utils.snowflake_time(first.interaction_id).timestamp() * 1000)
            sent = await self._find(channel, first, since, carries_clip=False)
            sent = sent or await with_frames(first, send)
        except discord.HTTPException as error:
            raise DeliveryError(f"Discord answered {error.status} (code {error.code})") from error
        except (aiohttp.ClientError, OSError) as error:
            raise DeliveryError(f"Discord could not be reached ({type(error).__name__})") from error
        message.drawn, message.next_edit = content, self._monotonic() + EDIT_SECONDS
        return Posted(sent.channel.id, sent.id, tuple(file.url for file in sent.attachments))

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
        dirty = [message for message in self._messages.values() if message.dirty]
        ready = [message for message in dirty if message.next_edit <= now][:_AT_ONCE]
        await asyncio.gather(*(self._redraw(message) for message in ready))
        left = [message.next_edit for message in self._messages.values() if message.dirty]
        return max(0.01, min(left) - self._monotonic()) if left else None

    async def _redraw(self, message: _Message) -> None:
        message.dirty = False
        message.next_edit = self._monotonic() + EDIT_SECONDS
        try:
            tasks = await self._tasks.of_interaction(message.interaction_id)
            ended = all(task.state in FINAL for task in tasks)
            if tasks and self._in_reach(message, tasks[0]):
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
        content = await self._content(tasks, message)
        if content != message.drawn:
            await self._edit(message, tasks, content, ended=ended)
            message.drawn, message.failures = content, 0

    def _give_up(self, message: _Message) -> None:
        """Draw it no more while this process runs, whatever its tasks still do."""
        message.given_up, message.dirty = True, False
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

    async def _edit(self, message: _Message, tasks: Sequence[Task], content: str, *, ended: bool) -> None:
        changes: dict[str, Any] = {"content": noted(content, message.note), "view": self._view(tasks)}
        if ended:
            changes = {"content": content, "view": None, "attachments": []}
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
        first = tasks[0]
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

    async def _content(self, tasks: Sequence[Task], message: _Message) -> str:
        lines = [_number(task, tasks) + await self._line(task, message) for task in tasks]
        if not all(task.state in FINAL for task in tasks):
            lines.insert(0, texts.progress_head(tasks[0], self._catalog))
            if tasks[0].private and message.interaction is not None:
                lines.append(texts.ALONE)
        return texts.cut("\n".join(lines))

    async def _line(self, task: Task, message: _Message) -> str:
        held = task.state is TaskState.HELD
        ahead = await self._tasks.ahead_of(task) if held else 0
        paused = await self._tasks.pause_reason(task.server_id) if held else None
        waiting = task.state in {TaskState.QUEUED, TaskState.PROCESSING}
        ready_at = self._ready_at(task) if waiting else None
        return texts.status_line(
            task,
            self._catalog,
            ahead=ahead,
            progress=message.progress.get(task.id),
            ready_at=ready_at,
            paused=paused,
        )

    def _view(self, tasks: Sequence[Task]) -> discord.ui.View | None:
        """A Cancel button for each clip that has not ended."""
        running = [
            task for task in tasks if task.state not in FINAL and task.state is not TaskState.SUCCEEDED
        ]
        if not running:
            return None
        view = discord.ui.View(timeout=None)
        for task in running:
            view.add_item(self._cancel_button(task.id, f"Cancel {_number(task, tasks)}".strip(" .")))
        return view

    def _message(self, task: Task) -> _Message:
        return self._messages.setdefault(task.interaction_id, _Message(task.interaction_id))


def _number(task: Task, tasks: Sequence[Task]) -> str:
    """Which of several clips; nothing where there is one."""
    return f"{task.ordinal + 1}. " if len(tasks) > 1 else ""
