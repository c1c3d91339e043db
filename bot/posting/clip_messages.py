"""Reads and deletes the messages that carry clips."""

import aiohttp
import discord

from bot.domain.errors import Refusal
from bot.domain.language import tr
from bot.domain.task import Task
from bot.posting import galleries
from bot.posting.delivery import is_closed

#: https://discord.com/developers/docs/topics/opcodes-and-status-codes: edits of old messages are counted apart.
_TOO_MANY_EDITS = 30046


async def _delete(message: discord.PartialMessage) -> None:
    """Twice where the first answer was lost: with the message the button is gone that could be pressed again."""
    try:
        await message.delete()
    except (discord.DiscordServerError, aiohttp.ClientError, OSError):
        await message.delete()


def file_of(message: discord.Message | None, task: Task) -> str | None:
    """Where Discord has the file of a clip in its message; None where that is a link to somewhere else."""
    files = message.attachments if message else []
    return next((file.url for file in files if galleries.is_of(file, task)), None)


async def posted_file(client: discord.Client, task: Task) -> str | None:
    """The same for a clip whose message is not at hand; None also where that is gone or closed to the bot."""
    try:
        return file_of(await _message(client, task).fetch(), task)
    except discord.HTTPException as error:
        if not is_closed(error):
            raise
        return None


def _message(client: discord.Client, task: Task) -> discord.PartialMessage:
    channel = client.get_partial_messageable(task.message_channel_id or 0, guild_id=task.server_id)
    return channel.get_partial_message(task.message_id or 0)


async def delete_clip(client: discord.Client, task: Task, *, shared: bool) -> None:
    """Delete a clip's message, or take the clip out of the one that is `shared` with others.

    One that is gone already is as good. `Refusal` where the channel is closed to us.
    """
    try:
        if not shared:
            await _delete(_message(client, task))
            return
        async with galleries.turn(task.message_id or 0):
            message = await _message(client, task).fetch()
            changes = galleries.without_clip(message, task)
            await (message.delete() if changes is None else message.edit(**changes))
    except discord.NotFound:
        return
    except discord.HTTPException as error:
        if error.code == _TOO_MANY_EDITS:
            raise Refusal(
                tr(
                    "Discord allows few changes of messages that are older than an hour, and this one carries other "
                    "clips too. Try again in some minutes; nothing was changed."
                )
            ) from error
        if not is_closed(error):
            raise
        raise Refusal(
            tr(
                "The bot may not see {channel} any more, so it cannot delete the clip. Allow it *View Channel* "
                "and *Read Message History* there, or delete the message yourself.",
                channel=f"<#{task.message_channel_id}>",
            )
        ) from error
