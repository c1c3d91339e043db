"""`/usage` and `/formats`: what was spent, and what things cost."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import discord
from discord import app_commands

from bot.domain.catalog import Catalog, Format, Mode
from bot.domain.servers import NO_SERVER
from bot.services.usage import Usages
from cogs import charts, replies, usage_words
from cogs.acknowledge import acknowledge
from cogs.admin.answers import answer
from cogs.admin.rights import must_be_admin
from cogs.people import role_ids, server_of


def usage_command(usages: Usages, catalog: Catalog, cache: Path) -> app_commands.Command[Any, ..., None]:
    @app_commands.command(
        name="usage", description="What your videos cost today and this month, and what is left"
    )
    @app_commands.describe(member="Somebody else, if you are an admin of this server")
    async def usage(interaction: discord.Interaction[Any], member: discord.User | None = None) -> None:
        if not await acknowledge(interaction, ephemeral=True):
            return
        asked_for = member or interaction.user
        own = asked_for.id == interaction.user.id
        if not own:
            await must_be_admin(interaction)
        found = await usages.of_member(
            asked_for.id,
            role_ids(asked_for) if server_of(interaction) != NO_SERVER else frozenset(),
            server_of(interaction),
            own=own,
        )
        words = usage_words.words(found, catalog, member_id=None if own else asked_for.id)
        await answer(interaction, words)
        await charts.attach(interaction, words, usage_words.chart(found, catalog), cache=cache)

    return usage


def formats_command(
    catalog: Catalog, providers: Sequence[str], default: Format
) -> app_commands.Command[Any, ..., None]:
    menus = {mode: catalog.menu(mode, providers) for mode in Mode}
    defaults = {mode: catalog.default(mode, providers, default) for mode in Mode}

    @app_commands.command(name="formats", description="Every format this server can make, with its price")
    async def formats(interaction: discord.Interaction[Any]) -> None:
        if await acknowledge(interaction, ephemeral=True):
            await interaction.edit_original_response(content=replies.formats(menus, defaults, catalog))

    return formats
