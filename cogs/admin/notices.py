"""`/admin notices`: what moderators are told by itself, and where."""

from typing import Any

import discord
from discord import app_commands

from bot.domain.language import tr
from bot.domain.servers import Server
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
        await answer(interaction, _chosen(server))

    return [notices]


def _chosen(server: Server) -> str:
    channel, zone = f"<#{server.notices_channel_id}>", server.zone
    match server.alarms, server.monthly_report:
        case True, True:
            return tr(
                "Moderators are told in {channel}: when a budget is used up by 50, 80 and 100 %; at the end of each "
                "month ({zone}) what it cost.",
                channel=channel,
                zone=zone,
            )
        case True, False:
            return tr(
                "Moderators are told in {channel}: when a budget is used up by 50, 80 and 100 %; no reports.",
                channel=channel,
            )
        case False, True:
            return tr(
                "Moderators are told in {channel}: nothing of budgets; at the end of each month ({zone}) what it "
                "cost.",
                channel=channel,
                zone=zone,
            )
        case _:
            return tr("Moderators are told in {channel}: nothing of budgets; no reports.", channel=channel)
