"""Posts a finished clip by the bot's own token: once, whatever crashed before, and where it can be seen."""

import asyncio
import io
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import aiohttp
import discord

from bot.domain.catalog import Catalog
from bot.domain.errors import DeliveryError, NobodyThere
from bot.domain.ports import Posted
from bot.domain.task import Task
from bot.posting import texts

log = logging.getLogger(__name__)

#: Bytes a bot may always upload; servers with boosts allow more.
_LEAST_LIMIT = discord.utils.DEFAULT_FILE_SIZE_LIMIT_BYTES
_NONCE_LENGTH = 25
_SECONDS = 120
_SEARCHED = 300
#: Thread locked or archived, not allowed there, no such channel, no direct messages from this bot.
_CLOSED_CODES = frozenset({50001, 50007, 50013, 50083, 10003, 10013, 40333})
_TOO_LARGE = 40005


class Delivery:
    def __init__(self, client: discord.Client, catalog: Catalog) -> None:
        self._client = client
        self._catalog = catalog

    async def deliver(self, task: Task, clip: Path, *, cost_micros: int, again: bool) -> Posted:
        """Post to the channel, else to the member; `NobodyThere` where both are closed to the bot."""
        self._must_be_logged_in()
        reasons: list[str] = []
        try:
            if again and (earlier := await self._posted_before(task)):
                return _posted(earlier)
            async for place in self._places(task, reasons):
                try:
                    async with asyncio.timeout(_SECONDS):
                        return await self._post(place, task, clip, cost_micros)
                except discord.HTTPException as error:
                    note_closed(error, reasons)
        except discord.HTTPException as error:
            raise DeliveryError(f"Discord answered {error.status} (code {error.code})") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise DeliveryError(f"Discord could not be reached ({type(error).__name__})") from error
        raise NobodyThere(f"the channel and direct messages are closed to the bot ({'; '.join(reasons)})")

    async def _places(self, task: Task, reasons: list[str]) -> AsyncIterator[discord.abc.Messageable]:
        yield self._client.get_partial_messageable(task.channel_id, guild_id=task.server_id)
        try:
            member = self._client.get_user(task.member_id) or await self._client.fetch_user(task.member_id)
            yield await member.create_dm()
        except discord.HTTPException as error:
            note_closed(error, reasons)

    async def _post(self, place: discord.abc.Messageable, task: Task, clip: Path, cost_micros: int) -> Posted:
        if await asyncio.to_thread(_size, clip) <= self._limit(task):
            try:
                return _posted(await self._send(place, task, cost_micros, clip=clip))
            except discord.HTTPException as error:
                if not is_too_large(error):
                    raise
                log.info("task %s: Discord takes no file of this size here", task.id)
        if task.clip_url is None or not task.clip_url.startswith(("https://", "http://")):
            raise NobodyThere("the clip is too large for Discord and its provider has no link to it")
        return _posted(await self._send(place, task, cost_micros, link=task.clip_url))

    async def _send(
        self,
        place: discord.abc.Messageable,
        task: Task,
        cost_micros: int,
        *,
        clip: Path | None = None,
        link: str | None = None,
    ) -> discord.Message:
        content = texts.ready_message(task, self._catalog, cost_micros=cost_micros, link=link)
        mentions = discord.AllowedMentions(
            everyone=False, roles=False, users=[discord.Object(task.member_id)], replied_user=False
        )
        # The nonce makes Discord return the first message when a lost answer makes discord.py send it twice.
        nonce = task.id[:_NONCE_LENGTH]
        if clip is None:
            files = link_file(link or "")
            return await place.send(content, files=files, nonce=nonce, allowed_mentions=mentions)
        file = await asyncio.to_thread(
            discord.File, clip, f"conch-{task.id}.mp4", description=task.prompt[:1000]
        )
        with file.fp:
            return await place.send(content, file=file, nonce=nonce, allowed_mentions=mentions)

    def _must_be_logged_in(self) -> None:
        if self._client.user is None:
            raise DeliveryError("Discord has not let the bot in yet")

    async def _posted_before(self, task: Task) -> discord.Message | None:
        """The clip's message, from a try whose answer was lost longer ago than nonces last.

        Both places are looked through before anything is posted: which of them was open may have changed since.
        """
        reasons: list[str] = []
        async for place in self._places(task, reasons):
            try:
                async with asyncio.timeout(_SECONDS):
                    since = task.posting_since or task.changed_at
                    if found := await self._find(place, task, since, carries_clip=True):
                        return found
            except discord.HTTPException as error:
                note_closed(error, reasons)
        return None

    async def _find(
        self, place: discord.abc.Messageable, task: Task, since: int, *, carries_clip: bool
    ) -> discord.Message | None:
        """Our own message with this task's id, posted at `since` (milliseconds since 1970) or later."""
        try:
            async for message in own_messages(self._client, place, since):
                # A prompt may contain any words, but not begin a message.
                carries = message.content.startswith(texts.ready_head(task))
                if f"`{task.id}`" in message.content and carries is carries_clip:
                    return message
        except discord.Forbidden:
            log.warning("task %s: may not read the channel's history, so the nonce alone must do", task.id)
        return None

    def _limit(self, task: Task) -> int:
        """What Discord said at the command may include the member's own allowance: 413 corrects it."""
        server = self._client.get_guild(task.server_id)
        return max(_LEAST_LIMIT, server.filesize_limit if server else 0, task.upload_limit or 0)


async def own_messages(
    client: discord.Client, place: discord.abc.Messageable, since: int
) -> AsyncIterator[discord.Message]:
    """What the bot itself posted at `since` (milliseconds since 1970) or later, as far as a search goes."""
    after = datetime.fromtimestamp(since / 1000, UTC) - timedelta(minutes=1)
    me = client.user.id if client.user else 0
    # The first try stands near the beginning, the last one near the end of a busy channel.
    for oldest_first in (True, False):
        async for message in place.history(after=after, limit=_SEARCHED, oldest_first=oldest_first):
            if message.author.id == me:
                yield message


def is_closed(error: discord.HTTPException) -> bool:
    """The place is gone or closed to the bot; everything else may pass."""
    return error.status in {403, 404} or error.code in _CLOSED_CODES


def is_too_large(error: discord.HTTPException) -> bool:
    """A file is larger than Discord takes here."""
    return error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or error.code == _TOO_LARGE


def note_closed(error: discord.HTTPException, reasons: list[str]) -> None:
    """Add why a place is closed to the bot; everything else is raised again."""
    if not is_closed(error):
        raise error
    reasons.append(f"{error.status} {error.text}")


def link_file(link: str) -> list[discord.File]:
    """A link too long for a message, as a small file; nothing for one that fits."""
    if len(link) <= texts.LONGEST_LINK:
        return []
    return [discord.File(io.BytesIO(link.encode()), "link.txt")]


def _posted(message: discord.Message) -> Posted:
    return Posted(message.channel.id, message.id)


def _size(clip: Path) -> int:
    return clip.stat().st_size
