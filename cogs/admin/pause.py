"""`/admin pause` and `/admin resume`: no new clips for a while, with a reason that members read."""

from typing import Any

import discord
from discord import app_commands

from bot.domain.language import tr
from bot.services.switches import Switches
from cogs.admin.answers import answer, begin, name_of_server


def commands(switches: Switches) -> list[app_commands.Command[Any, ..., None]]:
    @app_commands.command(
        name="pause", description="Make no new videos here for now; those under way are finished"
    )
    @app_commands.describe(reason="What members read when they ask for a video")
    async def pause(interaction: discord.Interaction[Any], reason: app_commands.Range[str, 1, 300]) -> None:
        if server_id := await begin(interaction):
            await switches.pause(server_id, name_of_server(interaction), interaction.user.id, reason)
            await answer(
                interaction,
                tr(
                    "Paused. Whoever asks for a video reads your reason and nothing is held. Videos that providers "
                    "already have are finished; those that still wait stay held until `/admin resume`."
                ),
            )

    @app_commands.command(name="resume", description="Make videos here again")
    async def resume(interaction: discord.Interaction[Any]) -> None:
        if server_id := await begin(interaction):
            await switches.resume(server_id, name_of_server(interaction), interaction.user.id)
            await answer(
                interaction, tr("Videos are made here again; those that waited go on by themselves.")
            )

    return [pause, resume]
