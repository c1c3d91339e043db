"""`/usage` and `/formats`: what was spent, and what things cost."""

from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Any

import discord
from discord import app_commands

from bot.domain.catalog import Catalog, Format, Mode
from bot.domain.limits import OPERATOR, Period, Scope, window
from cogs import replies
from cogs.acknowledge import acknowledge
from storage.ledger import LedgerStore
from storage.limits import LimitStore


def usage_command(
    ledger: LedgerStore, limits: LimitStore, clock: Callable[[], int]
) -> app_commands.Command[Any, ..., None]:
    @app_commands.command(
        name="usage", description="What your videos cost today and this month, and what is left"
    )
    @app_commands.guild_only()
    async def usage(interaction: discord.Interaction[Any]) -> None:
        if not await acknowledge(interaction, ephemeral=True):
            return
        spans = []
        for name, period in (("Today", Period.DAY), ("This month", Period.MONTH)):
            span = window(period, clock(), UTC)
            spans.append((name, span, await ledger.of_member(interaction.user.id, span)))
        daily = [
            limit
            for limit in await limits.of_server(OPERATOR)
            if (limit.scope, limit.period) == (Scope.MEMBER, Period.DAY)
        ]
        await interaction.edit_original_response(content=replies.usage(spans, next(iter(daily), None)))

    return usage


def formats_command(
    catalog: Catalog, providers: Sequence[str], default: Format
) -> app_commands.Command[Any, ..., None]:
    menus = {mode: catalog.menu(mode, providers) for mode in Mode}
    defaults = {mode: catalog.default(mode, providers, default) for mode in Mode}
    content = replies.formats(menus, defaults, catalog)

    @app_commands.command(name="formats", description="Every format this server can make, with its price")
    @app_commands.guild_only()
    async def formats(interaction: discord.Interaction[Any]) -> None:
        if await acknowledge(interaction, ephemeral=True):
            await interaction.edit_original_response(content=content)

    return formats
