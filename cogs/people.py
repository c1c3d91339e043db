"""Who is at the other end of an interaction, and from which server, as Discord's payload says it."""

from typing import Any

import discord

from bot.domain.errors import Refusal
from bot.domain.language import tr


def role_ids(user: object) -> frozenset[int]:
    """The ids of a member's roles, without @everyone; none for somebody who is in no server.

    `Member.roles` leaves out those that discord.py does not know, which is all of them until Discord has told of the
    server; the ids that came with the member are whole.
    """
    return frozenset(getattr(user, "_roles", ()))


def must_know_server(interaction: discord.Interaction[Any]) -> None:
    """`Refusal` while a channel's category is not known, or a server's name: after every start, and in an outage."""
    guild = interaction.client.get_guild(interaction.guild_id)
    if guild is None or guild.unavailable:
        raise Refusal(
            tr(
                "Discord has not told me about this server yet, so I cannot look up its rules. Nothing was held or "
                "changed; try again in a minute. If this stays, an admin must invite me here again."
            )
        )
