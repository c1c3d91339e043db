"""Pictures for answers: a comfort that no answer waits for or fails by."""

import io
import logging
from pathlib import Path
from typing import Any

import aiohttp
import discord

from bot.media.charts import Chart, draw, key
from bot.media.child import ChildFailed
from bot.posting.frames import noted

log = logging.getLogger(__name__)


async def attach(interaction: discord.Interaction[Any], words: str, chart: Chart, *, cache: Path) -> None:
    """Add a chart and what its colours mean to an answer of these words, which stand alone where that fails."""
    try:
        picture = discord.File(
            io.BytesIO(await draw(chart, cache=cache)), "spending.png", description=chart.title
        )
        await interaction.edit_original_response(
            content=noted(words, f"-# {key(chart)}"),
            attachments=[picture],
            allowed_mentions=discord.AllowedMentions.none(),
        )
    except (ChildFailed, discord.HTTPException, aiohttp.ClientError, OSError) as error:
        log.warning("interaction %d gets no chart: %s", interaction.id, error)
