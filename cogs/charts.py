"""Pictures for answers: a comfort that no answer waits for or fails by."""

import io
import logging
from pathlib import Path
from typing import Any

import aiohttp
import discord

from bot.media.charts import Chart, draw
from bot.media.child import ChildFailed

log = logging.getLogger(__name__)


async def attach(interaction: discord.Interaction[Any], chart: Chart, *, cache: Path) -> None:
    """Add a chart to an answer that is already there; where it cannot be drawn or sent the words stand alone."""
    try:
        picture = discord.File(
            io.BytesIO(await draw(chart, cache=cache)), "spending.png", description=chart.title
        )
        await interaction.edit_original_response(
            attachments=[picture], allowed_mentions=discord.AllowedMentions.none()
        )
    except (ChildFailed, discord.HTTPException, aiohttp.ClientError, OSError) as error:
        log.warning("interaction %d gets no chart: %s", interaction.id, error)
