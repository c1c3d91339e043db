"""Posts to moderators by the bot's own token: once, whatever crashed between posting and recording."""

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
import discord

from bot.domain.alarms import Alarm
from bot.domain.approvals import Decision, Question
from bot.domain.catalog import Catalog
from bot.domain.errors import DeliveryError, NobodyThere
from bot.domain.language import ENGLISH, reading
from bot.domain.limits import Window
from bot.domain.ports import Posted
from bot.domain.servers import Server
from bot.domain.task import Task
from bot.posting import notices, texts
from bot.posting.delivery import is_closed, note_closed, own_messages
from bot.posting.frames import noted, with_frames
from bot.vault import PLAIN, Vault

log = logging.getLogger(__name__)

#: Begins the id of the button that approves; the interaction's id follows.
APPROVE = "conch:approve:"
_SECONDS = 120
_SILENT = discord.AllowedMentions.none()


class Moderation:
    """`buttons` makes those of a question, from its interaction's id."""

    def __init__(
        self,
        client: discord.Client,
        catalog: Catalog,
        *,
        buttons: Callable[[int], Sequence[discord.ui.Item[Any]]],
        vault: Vault = PLAIN,
    ) -> None:
        self._client = client
        self._catalog = catalog
        self._buttons = buttons
        self._vault = vault

    @property
    def ready(self) -> bool:
        return self._client.is_ready()

    def reading(self, server_id: int) -> AbstractContextManager[None]:
        return moderators_reading(self._client, server_id)

    # --------------------------------------------------------------- questions

    async def ask(self, server: Server, question: Question, tasks: Sequence[Task], spent: int) -> Posted:
        """In the moderators' channel, else where the clip was asked for, unless it is a private one."""
        reasons: list[str] = []
        async with _told():
            # Both are looked through before anything is posted: which of them was open may have changed since.
            sent = await self._asked_before(server, question, tasks[0])
            for channel in [] if sent else self._places(server, tasks[0]):
                try:
                    content = self._words(server, question, tasks, spent, in_channel=channel.id)
                    ask = partial(self._ask, channel, question, tasks[0], content)
                    sent = await (
                        ask([], "") if tasks[0].private else with_frames(tasks[0], self._vault, ask)
                    )
                    break
                except discord.HTTPException as error:
                    note_closed(error, reasons)
        if sent is None:
            raise NobodyThere(f"no channel to ask in is open to the bot ({'; '.join(reasons)})")
        return Posted(sent.channel.id, sent.id)

    async def _ask(
        self,
        channel: discord.PartialMessageable,
        question: Question,
        task: Task,
        content: str,
        files: list[discord.File],
        note: str,
    ) -> discord.Message:
        return await channel.send(
            noted(content, note),
            view=self._view(question),
            files=[*files, *_whole_prompt(task)],
            nonce=f"q{question.interaction_id}",
            allowed_mentions=_SILENT,
        )

    async def redraw(self, server: Server, question: Question, tasks: Sequence[Task], spent: int) -> None:
        changes: dict[str, Any] = {
            "content": self._words(server, question, tasks, spent, in_channel=question.channel_id),
            "view": self._view(question),
            "allowed_mentions": _SILENT,
        }
        if question.decision not in {None, Decision.APPROVED} or tasks[0].erased:
            changes["attachments"] = []  # no clip is made of them, or its member wants them gone
        async with _told():
            message = await self._message(server, question, tasks[0])
            if message is None:
                return
            try:
                await message.edit(**changes)
            except discord.HTTPException as error:
                if not is_closed(error):
                    raise
                log.info("question %d is no longer shown: %s", question.interaction_id, error)

    async def _message(
        self, server: Server, question: Question, task: Task
    ) -> discord.Message | discord.PartialMessage | None:
        if question.channel_id is None or question.message_id is None:
            return await self._asked_before(server, question, task)
        return self._channel(server, question.channel_id).get_partial_message(question.message_id)

    async def _asked_before(self, server: Server, question: Question, task: Task) -> discord.Message | None:
        """The question that a crash left unrecorded."""
        wanted = f"{APPROVE}{question.interaction_id}"
        since = round(discord.utils.snowflake_time(question.interaction_id).timestamp() * 1000)
        for channel in self._places(server, task):
            if found := await find(self._client, channel, since, lambda one: wanted in button_ids(one)):
                return found
        return None

    def _places(self, server: Server, task: Task) -> list[discord.PartialMessageable]:
        wanted = [server.notices_channel_id, None if task.private else task.channel_id]
        return [self._channel(server, channel_id) for channel_id in dict.fromkeys(filter(None, wanted))]

    def _words(
        self, server: Server, question: Question, tasks: Sequence[Task], spent: int, *, in_channel: int | None
    ) -> str:
        """What a member spent is for the moderators' channel alone."""
        private = in_channel is not None and in_channel == server.notices_channel_id
        return notices.question(question, tasks, self._catalog, spent=spent if private else None)

    def _view(self, question: Question) -> Any:
        if question.decision is not None:
            return None
        view = discord.ui.View(timeout=None)
        for button in self._buttons(question.interaction_id):
            view.add_item(button)
        return view

    # ------------------------------------------------------- alarms and months

    async def alarm(self, server: Server, alarm: Alarm) -> None:
        await self._tell(server, notices.alarm(alarm, server), since=alarm.at, nonce=f"a{alarm.id}")

    async def report(
        self, server: Server, span: Window, words: str, files: Sequence[tuple[str, bytes]]
    ) -> None:
        """One message: the words, of which the first line names the month, and the files."""
        hours = span.until // 3_600_000
        await self._tell(
            server, texts.cut(words), since=span.until, nonce=f"r{server.id:x}.{hours:x}", files=files
        )

    async def _tell(
        self, server: Server, text: str, *, since: int, nonce: str, files: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """Post to the moderators, unless a message that begins with the same line was posted `since` then."""
        head, reasons = text.splitlines()[0], list[str]()
        channel = self._channel(server, server.notices_channel_id or 0)
        async with _told():
            if await find(self._client, channel, since, lambda one: one.content.splitlines()[:1] == [head]):
                return
            try:
                attached = [discord.File(io.BytesIO(data), name) for name, data in files]
                await channel.send(text, files=attached, nonce=nonce, allowed_mentions=_SILENT)
            except discord.HTTPException as error:
                note_closed(error, reasons)
        if reasons:
            raise NobodyThere(f"the moderators' channel is gone or closed to the bot ({reasons[0]})")

    def _channel(self, server: Server, channel_id: int) -> discord.PartialMessageable:
        return self._client.get_partial_messageable(channel_id, guild_id=server.id)


async def find(
    client: discord.Client,
    channel: discord.PartialMessageable,
    since: int,
    is_it: Callable[[discord.Message], bool],
) -> discord.Message | None:
    """The bot's own message of that kind, posted at `since` (milliseconds since 1970) or later."""
    try:
        async for message in own_messages(client, channel, since):
            if is_it(message):
                return message
    except discord.HTTPException as error:
        if not is_closed(error):
            raise
        log.info("channel %d cannot be read, so the nonce alone must do: %s", channel.id, error)
    return None


def moderators_reading(client: discord.Client, server_id: int) -> AbstractContextManager[None]:
    """Words within are in the language that the server has chosen: many read them, whoever made the bot write."""
    server = client.get_guild(server_id)
    return reading(str(server.preferred_locale) if server else ENGLISH)


@asynccontextmanager
async def _told() -> AsyncIterator[None]:
    """Discord's trouble as ours: what passes here may be tried again."""
    try:
        async with asyncio.timeout(_SECONDS):
            yield
    except discord.HTTPException as error:
        raise DeliveryError(f"Discord answered {error.status} (code {error.code})") from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise DeliveryError(f"Discord could not be reached ({type(error).__name__})") from error


def _whole_prompt(task: Task) -> list[discord.File]:
    """The prompt as a file, where the message does not show it whole."""
    if not notices.is_cut(task):
        return []
    return [discord.File(io.BytesIO(task.prompt.encode()), "prompt.txt")]


def button_ids(message: discord.Message) -> set[str | None]:
    rows = [row for row in message.components if isinstance(row, discord.ActionRow)]
    return {item.custom_id for row in rows for item in row.children if isinstance(item, discord.Button)}
