"""How every admin command begins and answers: in private, after the member's rights were looked at."""

from collections.abc import Sequence
from typing import Any

import discord

from bot.posting import texts
from cogs.acknowledge import acknowledge
from cogs.admin.rights import must_be_admin

_SILENT = discord.AllowedMentions.none()


async def begin(interaction: discord.Interaction[Any]) -> int | None:
    """Acknowledge in private; the server's id, or None where nothing may be started. `Refusal` for no admin.

    The answer to a click on a private message takes that message's place.
    """
    private = interaction.message is not None and interaction.message.flags.ephemeral
    if not await acknowledge(interaction, ephemeral=True, in_place=private):
        return None
    await must_be_admin(interaction)
    return interaction.guild_id


def name_of_server(interaction: discord.Interaction[Any]) -> str:
    """Halves of characters in it, which SQLite refuses, are `?`."""
    return interaction.guild.name.encode("utf-8", "replace").decode() if interaction.guild else ""


async def answer(
    interaction: discord.Interaction[Any],
    content: str,
    *,
    files: Sequence[discord.File] = (),
    view: discord.ui.View | None = None,
    embed: discord.Embed | None = None,
) -> None:
    """What the admin alone reads; it mentions nobody."""
    await interaction.edit_original_response(
        content=texts.cut(content),
        attachments=list(files),
        view=view,
        embed=embed,
        allowed_mentions=_SILENT,
    )
