"""`/privacy show`, `export` and `erase`: a member and the own data, over all servers of this bot."""

import contextlib
import io
from typing import Any

import discord
from discord import app_commands

from bot.domain.errors import Refusal
from bot.domain.language import short, tr
from bot.services.privacy import Part, Privacy
from cogs import privacy_words
from cogs.acknowledge import acknowledge
from cogs.buttons import Button, lasting_button

_SILENT = discord.AllowedMentions.none()
#: Files of one export. Beyond them Discord would hold the answer for longer than its fifteen minutes.
_MOST_PARTS = 20


class OwnData:
    """What the three commands and the button do. Whoever asks is the member: nobody is named."""

    def __init__(self, privacy: Privacy) -> None:
        self._privacy = privacy
        self.button = erase_button(self)

    async def show(self, interaction: discord.Interaction[Any]) -> None:
        if await acknowledge(interaction, ephemeral=True):
            overview = await self._privacy.overview(interaction.user.id)
            await _answer(interaction, privacy_words.overview(overview))

    async def export(self, interaction: discord.Interaction[Any]) -> None:
        """Each file in an answer of its own, so that no request is larger than Discord takes."""
        if not await acknowledge(interaction, ephemeral=True):
            return
        left_out: list[str] = []
        sent = 0
        async with contextlib.aclosing(self._privacy.export(interaction.user.id, left_out=left_out)) as parts:
            async for part in parts:
                if sent == _MOST_PARTS:
                    await _also(interaction, privacy_words.too_much(sent))
                    return
                await (_hand(interaction, part) if sent == 0 else _also(interaction, "", part))
                sent += 1
        if left_out:
            await _also(interaction, privacy_words.left_out(left_out))

    async def offer(self, interaction: discord.Interaction[Any]) -> None:
        """Say what would go and what would stay, above the button that does it."""
        if not await acknowledge(interaction, ephemeral=True):
            return
        overview = await self._privacy.overview(interaction.user.id)
        view = discord.ui.View(timeout=None)
        view.add_item(self.button(interaction.user.id))
        await interaction.edit_original_response(
            content=privacy_words.offer(overview), view=view, allowed_mentions=_SILENT
        )

    async def erase(self, interaction: discord.Interaction[Any], member_id: int) -> None:
        private = interaction.message is not None and interaction.message.flags.ephemeral
        if not await acknowledge(interaction, ephemeral=True, in_place=private):
            return
        if interaction.user.id != member_id:
            raise Refusal(
                tr(
                    "This button erases somebody else's data, and only that member may press it. `/privacy erase` "
                    "offers you your own. Nothing was erased."
                )
            )
        erased = await self._privacy.erase(member_id)
        await interaction.edit_original_response(
            content=privacy_words.erased(erased), view=None, allowed_mentions=_SILENT
        )


def erase_button(own: OwnData) -> Button:
    """Erases the data of the member in its id, for that member alone."""

    def draw(member_id: int) -> discord.ui.Button[Any]:
        return discord.ui.Button(
            label=short("Erase my data"),
            style=discord.ButtonStyle.danger,
            custom_id=f"conch:erase:{member_id}",
        )

    return lasting_button(
        r"conch:erase:(?P<member>[0-9]{1,20})", draw, lambda match, _: int(match["member"]), own.erase
    )


def group(own: OwnData) -> app_commands.Group:
    """Also in direct messages: whoever has left a server still has their rights."""
    commands = app_commands.Group(
        name="privacy",
        description="What this bot keeps of you",
        # Also for those who have left the server.
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=False),
    )

    @commands.command(name="show", description="What is stored of you, why and for how long")
    async def show(interaction: discord.Interaction[Any]) -> None:
        await own.show(interaction)

    @commands.command(name="export", description="All that is stored of you, as a file")
    async def export(interaction: discord.Interaction[Any]) -> None:
        await own.export(interaction)

    @commands.command(name="erase", description="Erase your prompts and pictures; asks you once more")
    async def erase(interaction: discord.Interaction[Any]) -> None:
        await own.offer(interaction)

    return commands


async def _answer(interaction: discord.Interaction[Any], content: str) -> None:
    await interaction.edit_original_response(content=content, allowed_mentions=_SILENT)


async def _hand(interaction: discord.Interaction[Any], part: Part) -> None:
    await interaction.edit_original_response(
        content=privacy_words.exported(), attachments=[_file(part)], allowed_mentions=_SILENT
    )


async def _also(interaction: discord.Interaction[Any], content: str, part: Part | None = None) -> None:
    await interaction.followup.send(
        content,
        files=[_file(part)] if part else [],
        ephemeral=True,
        allowed_mentions=_SILENT,
    )


def _file(part: Part) -> discord.File:
    return discord.File(io.BytesIO(part.data), part.name)
