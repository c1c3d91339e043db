"""Every command is acknowledged first; what goes wrong after that is told to the member alone."""

import logging
from typing import Any

import discord

from bot.domain.errors import BotError

log = logging.getLogger(__name__)

_TOO_LATE = 10062
_ALREADY = 40060
SORRY = "Something went wrong on our side; the operator's log says more. `/tasks list` shows what was held."


async def acknowledge(interaction: discord.Interaction[Any], *, ephemeral: bool) -> bool:
    """Answer within Discord's three seconds. False where the token is void: then nothing may be started.

    An event that Discord delivers twice is acknowledged already; what follows finds the same tasks.
    """
    try:
        await interaction.response.defer(ephemeral=ephemeral, thinking=True)
    except discord.HTTPException as error:
        if error.code == _ALREADY:
            return True
        if error.code == _TOO_LATE:
            log.warning("interaction %d came too late to be answered", interaction.id)
            return False
        raise
    return True


async def refuse(interaction: discord.Interaction[Any], text: str) -> None:
    """Tell the member alone: a public acknowledgement is taken back first, as it cannot be made private."""
    silent = discord.AllowedMentions.none()
    try:
        if not interaction.response.is_done():
            await interaction.response.send_message(text, ephemeral=True, allowed_mentions=silent)
            return
        await interaction.delete_original_response()
        await interaction.followup.send(text, ephemeral=True, allowed_mentions=silent)
    except discord.HTTPException as error:
        log.warning("interaction %d could not be told: %s", interaction.id, error)


async def on_error(interaction: discord.Interaction[Any], error: BaseException) -> None:
    """The one place where a command's error becomes words."""
    cause = error.__cause__ if isinstance(error, discord.app_commands.CommandInvokeError) else error
    if isinstance(cause, BotError):
        await refuse(interaction, str(cause))
        return
    log.error("interaction %d failed", interaction.id, exc_info=error)
    await refuse(interaction, SORRY)
