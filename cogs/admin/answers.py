"""How every admin command begins and answers: in private, after the member's rights were looked at."""

from collections.abc import Sequence
from typing import Any

import discord

from bot.posting import texts
from cogs.acknowledge import acknowledge
from cogs.admin.rights import must_be_admin

_SILENT = discord.AllowedMentions.none()


async def begin(interaction: discord.Interaction[Any]) -> int | None:
    """Acknowledge in private; the server's id, or None where nothing may be started. `Refusal` for no admin."""
    if not await acknowledge(interaction, ephemeral=True):
        return None
    await must_be_admin(interaction)
    return interaction.guild_id


async def begin_click(interaction: discord.Interaction[Any]) -> int | None:
    """As `begin`, for a button: the private message it stands in becomes the answer, any other one stays."""
    private = interaction.message is not None and interaction.message.flags.ephemeral
    if not await acknowledge(interaction, ephemeral=True, thinking=not private):
        return None
    await must_be_admin(interaction)
    return interaction.guild_id


def name_of_server(interaction: discord.Interaction[Any]) -> str:
    return interaction.guild.name if interaction.guild else ""


async def answer(
    interaction: discord.Interaction[Any],
    content: str,
    *,
    files: Sequence[discord.File] = (),
    view: discord.ui.View | None = None,
) -> None:
    """What the admin alone reads; it mentions nobody."""
    await interaction.edit_original_response(
        content=texts.cut(content), attachments=list(files), view=view, allowed_mentions=_SILENT
    )
