"""Who is at the other end of an interaction, and from which server, as Discord's payload says it."""

from typing import Any

import discord

from bot.domain.errors import Refusal
from bot.domain.language import tr
from bot.domain.servers import NO_SERVER


def role_ids(user: object) -> frozenset[int]:
    """The ids of a member's roles, without @everyone; none for somebody who is in no server.

    `Member.roles` leaves out those that discord.py does not know, which is all of them until Discord has told of the
    server; the ids that came with the member are whole.
    """
    return frozenset(getattr(user, "_roles", ()))


def server_of(interaction: discord.Interaction[Any]) -> int:
    """The id of the server whose rules and limits hold.

    `NO_SERVER` in direct messages, and where the member has installed the bot and the server has not.
    """
    return NO_SERVER if interaction.guild_id is None or _brought_along(interaction) else interaction.guild_id


def out_of_reach(interaction: discord.Interaction[Any]) -> bool:
    """Whether the bot may answer here but post nothing: in others' direct messages, and in servers it is not in."""
    return interaction.context.private_channel or _brought_along(interaction)


def must_be_in_server(interaction: discord.Interaction[Any]) -> None:
    """`Refusal` where no server is around, for what the operator allows in servers alone."""
    if server_of(interaction) == NO_SERVER:
        raise Refusal(
            tr(
                "That needs a server, whose limits and rules say what may be made, and none is around here. Use "
                "`/video` in a server that has me."
            )
        )


def privately(interaction: discord.Interaction[Any], wished: object) -> bool:
    """Whether an order is for its member's eyes alone: as `wished`, and where nothing else is possible.

    In the bot's own direct messages nobody else reads anyway.
    """
    return out_of_reach(interaction) or (wished is True and not interaction.context.dm_channel)


def _brought_along(interaction: discord.Interaction[Any]) -> bool:
    return interaction.is_user_integration() and not interaction.is_guild_integration()


def roles_here(interaction: discord.Interaction[Any]) -> frozenset[int]:
    """The ids of the roles that count where the member is; a strange server's do not."""
    return role_ids(interaction.user) if server_of(interaction) != NO_SERVER else frozenset()


def must_know_server(interaction: discord.Interaction[Any]) -> None:
    """`Refusal` while a channel's category is not known, or a server's name: after every start, and in an outage."""
    if server_of(interaction) == NO_SERVER:
        return
    guild = interaction.client.get_guild(interaction.guild_id)
    if guild is None or guild.unavailable:
        raise Refusal(
            tr(
                "Discord has not told me about this server yet, so I cannot look up its rules. Nothing was held or "
                "changed; try again in a minute. If this stays, an admin must invite me here again."
            )
        )
