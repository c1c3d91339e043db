"""`/admin report`: what a period cost this server, by member, model, provider and result."""

import io
from typing import Any

import discord
from discord import app_commands

from bot.domain.report import Span
from bot.posting.reports import ReportWriter
from bot.services.reports import Reports
from cogs.admin.answers import answer, begin

_NAMES = {
    Span.TODAY: "today",
    Span.MONTH: "this month",
    Span.LAST_MONTH: "last month",
    Span.LAST_30_DAYS: "last 30 days",
    Span.ALL: "everything",
}
_PERIODS = [app_commands.Choice(name=name, value=span.value) for span, name in _NAMES.items()]


def commands(reports: Reports, writer: ReportWriter) -> list[app_commands.Command[Any, ..., None]]:
    @app_commands.command(name="report", description="What a period cost here: totals, a chart and a CSV")
    @app_commands.describe(
        period="Which time; this month if left out",
        first="First day instead of a period, such as 2026-11-01",
        last="Last day; today if left out",
    )
    @app_commands.rename(first="from", last="to")
    @app_commands.choices(period=_PERIODS)
    async def report(
        interaction: discord.Interaction[Any],
        period: str = Span.MONTH.value,
        first: app_commands.Range[str, 1, 40] | None = None,
        last: app_commands.Range[str, 1, 40] | None = None,
    ) -> None:
        if server_id := await begin(interaction):
            server, span = await reports.asked_for(server_id, period, first=first, last=last)
            words, files = await writer.write(server, span)
            await answer(
                interaction, words, files=[discord.File(io.BytesIO(data), name) for name, data in files]
            )

    return [report]
