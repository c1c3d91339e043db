"""Reads and deletes the messages that carry clips."""

import discord

from bot.domain.errors import Refusal
from bot.domain.task import Task
from bot.posting.delivery import is_closed


def clip_message(client: discord.Client, task: Task) -> discord.PartialMessage:
    channel = client.get_partial_messageable(task.message_channel_id or 0, guild_id=task.server_id)
    return channel.get_partial_message(task.message_id or 0)


async def delete_clip(client: discord.Client, task: Task) -> None:
    """Delete a clip's message; one that is gone already is as good. `Refusal` where the channel is closed to us."""
    try:
        await clip_message(client, task).delete()
    except discord.NotFound:
        return
    except discord.HTTPException as error:
        if not is_closed(error):
            raise
        raise Refusal(
            f"The bot may not see <#{task.message_channel_id}> any more, so it cannot delete the clip. Allow it "
            "*View Channel* there, or delete the message yourself."
        ) from error
