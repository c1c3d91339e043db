"""Channels that an admin chooses for what the bot tells moderators."""

from typing import Any

import discord

from bot.domain.errors import Refusal
from bot.domain.language import tr
from cogs.admin.words import permission

_NEEDED = ("view_channel", "send_messages", "attach_files", "read_message_history")


def must_take_posts(interaction: discord.Interaction[Any], channel_id: int) -> None:
    """`Refusal` where the bot may not post there with files, or find there what it posted."""
    guild = interaction.guild
    channel = guild.get_channel(channel_id) if guild else None
    if guild is None or channel is None:
        raise Refusal(
            tr(
                "The moderators' channel {channel} is gone. Name another one with `channel`; nothing was changed.",
                channel=f"<#{channel_id}>",
            )
        )
    mine = channel.permissions_for(guild.me)
    lacking = [name for name in _NEEDED if not getattr(mine, name)]
    if lacking:
        raise Refusal(
            tr(
                "In {channel} the bot lacks: {permissions}. Allow its role these there, or choose another channel; "
                "nothing was changed.",
                channel=f"<#{channel_id}>",
                permissions=", ".join(f"*{permission(name)}*" for name in lacking),
            )
        )
