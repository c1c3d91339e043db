"""`/admin notices`: what moderators are told by itself, and where."""

from typing import Any

import discord
from discord import app_commands

from bot.services.moderators import Moderators
from cogs.admin.answers import answer, begin, name_of_server
from cogs.admin.channels import must_take_posts


def commands(moderators: Moderators) -> list[app_commands.Command[Any, ..., None]]:
    @app_commands.command(name="notices", description="Where moderators are told of budgets and months")
    @app_commands.describe(
        channel="The moderators' channel",
        monthly_report="Post a report when a month ends; left out, as it was",
        alarms="Tell when a budget is used up by 50, 80 and 100 %; left out, as it was",
    )
    async def notices(
        interaction: discord.Interaction[Any],
        channel: discord.TextChannel,
        monthly_report: bool | None = None,  # noqa: FBT001 - an option of Discord
        alarms: bool | None = None,  # noqa: FBT001
    ) -> None:
        server_id = await begin(interaction)
        if not server_id:
            return
        must_take_posts(interaction, channel.id)
        server = await moderators.notices(
            server_id,
            name_of_server(interaction),
            interaction.user.id,
            channel_id=channel.id,
            monthly_report=monthly_report,
            alarms=alarms,
        )
        told = "when a budget is used up by 50, 80 and 100 %" if server.alarms else "nothing of budgets"
        report = (
            f"at the end of each month ({server.zone}) what it cost"
            if server.monthly_report
            else "no reports"
        )
        await answer(interaction, f"Moderators are told in <#{channel.id}>: {told}; {report}.")

    return [notices]
