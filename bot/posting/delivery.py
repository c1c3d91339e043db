"""Posts a finished clip by the bot's own token: once, whatever crashed before, and where it can be seen."""

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import discord

from bot.domain.catalog import Catalog
from bot.domain.errors import DeliveryError, NobodyThere, TooLarge
from bot.domain.language import kept, reading
from bot.domain.parcel import Parcel
from bot.domain.ports import Gallery, Posted
from bot.domain.task import Task
from bot.media import kinds
from bot.posting import galleries, texts
from bot.posting.progress import words_of

log = logging.getLogger(__name__)

#: Bytes a bot may always upload; servers with boosts allow more.
LEAST_LIMIT = discord.utils.DEFAULT_FILE_SIZE_LIMIT_BYTES
_NONCE_LENGTH = 25
_SECONDS = 120
_SEARCHED = 300
#: Thread locked or archived, not allowed there, no such channel, no direct messages from this bot.
_CLOSED_CODES = frozenset({50001, 50007, 50013, 50083, 10003, 10013, 40333})
_TOO_LARGE = 40005
_DESCRIPTION_LENGTH = 1000
#: Not for ever: a refusal may be a passing fault, and limits change.
_REMEMBERED_SECONDS = 3600
#: An edit notifies nobody, and Discord slows down those of older messages (code 30046).
_GALLERY_OPEN = timedelta(minutes=50)


class Delivery:
    """`clip_buttons` makes those that stand under a clip."""

    def __init__(
        self,
        client: discord.Client,
        catalog: Catalog,
        monotonic: Callable[[], float],
        *,
        clip_buttons: Callable[[Task], Sequence[discord.ui.Item[Any]]],
    ) -> None:
        self._client = client
        self._catalog = catalog
        self._monotonic = monotonic
        self._clip_buttons = clip_buttons
        #: The smallest file that was refused, and until when that counts, by server and by what its boosts allow.
        self._refused: dict[tuple[int, int], tuple[int, float]] = {}

    def upload_limit(self, task: Task) -> int:
        """Bytes. What Discord said at the command may include the member's own allowance: 413 corrects it."""
        boosts = self._boosts(task)
        known = max(boosts, task.upload_limit or 0)
        refused = self._smallest_refused(task, boosts)
        return known if refused is None or known < refused else below(refused, boosts)

    def _smallest_refused(self, task: Task, boosts: int) -> int | None:
        size, until = self._refused.get((task.server_id, boosts), (None, 0.0))
        return size if self._monotonic() < until else None

    def _boosts(self, task: Task) -> int:
        server = None if task.private else self._client.get_guild(task.server_id)
        return max(LEAST_LIMIT, server.filesize_limit if server else 0)

    async def deliver(
        self, task: Task, parcel: Parcel, *, cost_micros: int, again: bool, gallery: Gallery | None = None
    ) -> Posted:
        """Add it to its gallery, else post to the channel, else to the member.

        `NobodyThere` where both are closed to the bot, `TooLarge` where the open one of them takes no such file. A
        private clip is the member's alone: no channel ever sees it.
        """
        self._must_be_logged_in()
        reasons: list[str] = []
        try:
            with reading(task.language):
                if again and (earlier := await self._posted_before(task)):
                    return _posted(earlier)
                if gallery and (found := await self._in_gallery(task, parcel, gallery, cost_micros)):
                    return found
                message = self._message_of(task, parcel, cost_micros, several=gallery is not None)
                async for place in self._places(task, reasons):
                    try:
                        async with asyncio.timeout(_SECONDS):
                            return _posted(await self._send(place, task, parcel, message))
                    except discord.HTTPException as error:
                        if is_too_large(error) and parcel.file:
                            raise await self._refuse_size(task, parcel.file, place) from error
                        note_closed(error, reasons)
        except discord.HTTPException as error:
            raise refused(error) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise unreachable(error) from error
        raise NobodyThere(_closed(task, "; ".join(reasons)))

    async def find(self, task: Task) -> Posted | None:
        """The message that carries the clip already, wherever it was posted; `DeliveryError` where that passes."""
        self._must_be_logged_in()
        try:
            with reading(task.language):
                earlier = await self._posted_before(task)
        except discord.HTTPException as error:
            raise refused(error) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise unreachable(error) from error
        return _posted(earlier) if earlier else None

    async def _in_gallery(
        self, task: Task, parcel: Parcel, gallery: Gallery, cost_micros: int
    ) -> Posted | None:
        """The message that the clip was added to, by this try or an earlier one; None where it needs a new one."""
        for one in gallery.messages:
            # Only the newest takes more, but the others may have got this clip by a try whose answer was lost.
            add = parcel.file is not None and one == gallery.messages[-1]
            if await self._add(task, parcel, one, cost_micros, look_only=not add):
                return one
        return None

    async def _add(
        self, task: Task, parcel: Parcel, gallery: Posted, cost_micros: int, *, look_only: bool
    ) -> bool:
        """Whether the clip stands in that message now.

        It is not added where there is no room, or where the message is so old that nobody would see it.
        """
        place = self._client.get_partial_messageable(gallery.channel_id, guild_id=task.server_id)
        lines = texts.clip_lines(task, self._catalog, cost_micros=cost_micros, parcel=parcel, several=True)
        try:
            async with galleries.turn(gallery.message_id), asyncio.timeout(_SECONDS):
                message = await place.fetch_message(gallery.message_id)
                if galleries.carries(message, task):
                    return True
                changes = galleries.with_clip(message, task, lines, self._clip_buttons(task))
                old = discord.utils.utcnow() - message.created_at > _GALLERY_OPEN
                if look_only or old or changes is None:
                    return False
                files = await asyncio.to_thread(attachments, task, parcel)
                await message.edit(
                    **changes,
                    attachments=[*message.attachments, *files],
                    allowed_mentions=discord.AllowedMentions.none(),
                )
        except discord.HTTPException as error:
            if is_too_large(error) and parcel.file:
                raise await self._refuse_size(task, parcel.file, place) from error
            if not is_closed(error):
                raise
            return False
        return True

    def _message_of(self, task: Task, parcel: Parcel, cost_micros: int, *, several: bool) -> dict[str, Any]:
        buttons = self._clip_buttons(task)
        return {
            "content": texts.ready_message(
                task, self._catalog, cost_micros=cost_micros, parcel=parcel, several=several
            ),
            "view": galleries.view_of(buttons, task.ordinal + 1 if several else None),
        }

    async def _places(self, task: Task, reasons: list[str]) -> AsyncIterator[discord.abc.Messageable]:
        if not task.private:
            yield self._client.get_partial_messageable(task.channel_id, guild_id=task.server_id)
        try:
            member = self._client.get_user(task.member_id) or await self._client.fetch_user(task.member_id)
            yield await member.create_dm()
        except discord.HTTPException as error:
            note_closed(error, reasons)

    async def _refuse_size(self, task: Task, file: Path, place: discord.abc.Messageable) -> TooLarge:
        """Remember it for the server's clips of the next hour; direct messages have their own limit."""
        size, allowed = (await asyncio.to_thread(file.stat)).st_size, LEAST_LIMIT
        if getattr(place, "id", None) == task.channel_id:
            allowed = self._boosts(task)
            smallest = min(size, self._smallest_refused(task, allowed) or size)
            self._refused[task.server_id, allowed] = (smallest, self._monotonic() + _REMEMBERED_SECONDS)
        return TooLarge(
            kept("Discord takes no file of {size} bytes there", size=f"{size:,}"), limit=below(size, allowed)
        )

    async def _send(
        self, place: discord.abc.Messageable, task: Task, parcel: Parcel, message: Mapping[str, Any]
    ) -> discord.Message:
        mentions = discord.AllowedMentions(
            everyone=False, roles=False, users=[discord.Object(task.member_id)], replied_user=False
        )
        return await place.send(
            **message,
            files=await asyncio.to_thread(attachments, task, parcel),
            # Makes Discord return the first message when a lost answer makes discord.py send it twice.
            nonce=task.id[:_NONCE_LENGTH],
            allowed_mentions=mentions,
        )

    def _must_be_logged_in(self) -> None:
        if self._client.user is None:
            raise DeliveryError(kept("Discord has not let the bot in yet"))

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
                words = words_of(message)
                carries = words.startswith((texts.ready_head(task), texts.ready_head(task, several=True)))
                if f"`{task.id}`" in words and carries is carries_clip:
                    return message
        except discord.Forbidden:
            log.warning("task %s: may not read the channel's history, so the nonce alone must do", task.id)
        return None


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


def refused(error: discord.HTTPException) -> DeliveryError:
    return DeliveryError(
        kept("Discord answered {status} (code {code})", status=error.status, code=error.code)
    )


def unreachable(error: Exception) -> DeliveryError:
    return DeliveryError(kept("Discord could not be reached ({error})", error=type(error).__name__))


def _closed(task: Task, reasons: str) -> str:
    if task.private:
        return kept("direct messages are closed to the bot ({reasons})", reasons=reasons)
    return kept("the channel and direct messages are closed to the bot ({reasons})", reasons=reasons)


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


def below(refused: int, allowed: int) -> int:
    """What to try after a file of that size was refused where `allowed` bytes should be."""
    return allowed if allowed < refused else refused // 2


def attachments(task: Task, parcel: Parcel) -> list[discord.File]:
    """What goes beside the words; whoever sends it closes it. Reads the disk, so it runs in a thread."""
    files = []
    if parcel.file:
        with parcel.file.open("rb") as clip:
            name = f"conch-{task.id}.{kinds.container(clip.read(kinds.HEAD))}"
        files.append(discord.File(parcel.file, name, description=task.prompt[:_DESCRIPTION_LENGTH]))
    if parcel.link and len(parcel.link.url) > texts.LONGEST_LINK:
        files.append(discord.File(io.BytesIO(parcel.link.url.encode()), f"conch-{task.id}.link.txt"))
    return files


def _posted(message: discord.Message) -> Posted:
    return Posted(message.channel.id, message.id)
