"""The Stitch button under a clip that goes on from another: the whole story as one film, for nothing."""

import asyncio
from collections.abc import Sequence
from typing import Any

import discord

from bot.domain.language import short, trn
from bot.domain.task import Task
from bot.media.join import Film
from bot.posting import texts
from bot.posting.clip_messages import posted_file
from bot.services.stories import Stories, gone
from cogs.acknowledge import acknowledge
from cogs.clips import Clicked, clip_button

_SILENT = discord.AllowedMentions.none()


class Stitching:
    def __init__(self, clicked: Clicked, stories: Stories) -> None:
        self._clicked = clicked
        self._stories = stories
        self.button = clip_button("stitch", lambda: short("Stitch"), self._stitch)

    async def _stitch(self, interaction: discord.Interaction[Any], task_id: str) -> None:
        if not await acknowledge(interaction, ephemeral=interaction.guild_id is None):
            return
        task = await self._clicked.clip(interaction, task_id)
        with self._stories.once(interaction.user.id):
            parts = await self._stories.parts(task)
            urls = await _files(interaction.client, parts)
            async with self._stories.film(urls, limit=interaction.filesize_limit) as (path, film):
                file = await asyncio.to_thread(discord.File, path, f"conch-story-{task.id}.mp4")
                with file.fp:
                    await interaction.edit_original_response(
                        content=_words(parts, film, interaction),
                        attachments=[file],
                        allowed_mentions=_SILENT,
                    )


async def _files(client: discord.Client, parts: Sequence[Task]) -> list[str]:
    """Where Discord has the clips; their addresses are good for a day, so they are asked for anew."""
    urls = []
    for number, part in enumerate(parts, 1):
        url = await posted_file(client, part)
        if url is None:
            raise gone(number, part)
        urls.append(url)
    return urls


def _words(parts: Sequence[Task], film: Film, interaction: discord.Interaction[Any]) -> str:
    links = " · ".join(f"[{number}]({texts.link_of(part)})" for number, part in enumerate(parts, 1))
    seconds = f"{film.milliseconds / 1000:g} s"
    member = f"<@{interaction.user.id}>"
    if film.bytes > interaction.filesize_limit:
        story = trn(
            "🎞️ The story of {number} clip, {seconds}, made smaller to fit here, stitched for {member}.",
            "🎞️ The story of {number} clips, {seconds}, made smaller to fit here, stitched for {member}.",
            len(parts),
            seconds=seconds,
            member=member,
        )
    else:
        story = trn(
            "🎞️ The story of {number} clip, {seconds}, stitched for {member}.",
            "🎞️ The story of {number} clips, {seconds}, stitched for {member}.",
            len(parts),
            seconds=seconds,
            member=member,
        )
    return f"{story}\n-# {links}"
