"""The Report button under a posted clip, and the two with which moderators answer."""

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import aiohttp
import discord

from bot.domain.clip_reports import ClipReport, Verdict
from bot.domain.errors import Refusal
from bot.domain.language import ENGLISH, kept, reading, short, tr
from bot.domain.money import dollars
from bot.domain.task import Task
from bot.posting.clip_messages import delete_clip
from bot.posting.clip_reports import report_text, tell
from bot.services.clip_reports import REASON_LENGTH, ClipReports, already
from bot.services.removals import Removals
from cogs.acknowledge import acknowledge
from cogs.admin.answers import answer, begin
from cogs.buttons import Button, lasting_button
from cogs.clips import Clicked, clip_button
from cogs.reasons import ReasonForm
from storage.tasks import TaskStore

_SILENT = discord.AllowedMentions.none()
#: Numbers that fit into 64 bits with their sign.
_ID = r"(?P<report>[0-9]{1,18})"


class Reporting:
    """`button` stands under every clip, `answers` under every report; all are to be installed."""

    def __init__(self, tasks: TaskStore, reports: ClipReports, removals: Removals) -> None:
        self._tasks = tasks
        self._clicked = Clicked(tasks, direct=False)  # outside servers there are no moderators
        self._reports = reports
        self._removals = removals
        self.button = clip_button("report", lambda: short("Report"), self._ask)
        self.answers = [
            _answer_button("delete", lambda: short("Delete clip"), discord.ButtonStyle.danger, self._delete),
            _answer_button("dismiss", lambda: short("Dismiss"), discord.ButtonStyle.secondary, self._dismiss),
        ]

    async def _ask(self, interaction: discord.Interaction[Any], task_id: str) -> None:
        # A form must be the first answer, so nothing is acknowledged before.
        task = await self._clicked.clip(interaction, task_id)
        await self._reports.allowed(task, interaction.user.id)
        form = ReasonForm(
            short("Report this clip"),
            tr("What is wrong with it? The moderators read this and your name."),
            partial(self._report, task_id),
            required=True,
            length=REASON_LENGTH,
        )
        await interaction.response.send_modal(form)

    async def _report(self, task_id: str, interaction: discord.Interaction[Any], reason: str) -> None:
        if not await acknowledge(interaction, ephemeral=True):
            return
        task = await self._clicked.clip(interaction, task_id)
        server, report = await self._reports.report(task, interaction.user.id, reason)
        message_id = await tell(
            interaction.client, server, report, task, self.answers, locale=_locale(interaction)
        )
        await self._reports.told(report, message_id)
        await interaction.edit_original_response(
            content=tr("Reported: the moderators were told, with your name and your words. Thank you."),
            allowed_mentions=_SILENT,
        )

    async def _delete(self, interaction: discord.Interaction[Any], report_id: int) -> None:
        if server_id := await begin(interaction):
            report, task = await self._open(interaction, report_id, server_id)
            await delete_clip(interaction.client, task, shared=await self._removals.shares_message(task))
            user = interaction.user
            cost = await self._removals.removed(
                task,
                actor_id=user.id,
                actor=user.display_name,
                reason=kept("reported: {reason}", reason=report.reason),
            )
            await self._decided(interaction, task, report, Verdict.REMOVED)
            await answer(
                interaction,
                tr(
                    "Deleted the clip of {member}. What it cost, {cost}, stays booked; `/admin tasks refund` can "
                    "give it back. `{task}`",
                    member=f"<@{task.member_id}>",
                    cost=dollars(cost),
                    task=task.id,
                ),
            )

    async def _dismiss(self, interaction: discord.Interaction[Any], report_id: int) -> None:
        if server_id := await begin(interaction):
            report, task = await self._open(interaction, report_id, server_id)
            await self._decided(interaction, task, report, Verdict.DISMISSED)
            await answer(interaction, tr("Dismissed; the clip stays. `{task}`", task=task.id))

    async def _open(
        self, interaction: discord.Interaction[Any], report_id: int, server_id: int
    ) -> tuple[ClipReport, Task]:
        """A report that can still be decided; the message of one that cannot be, but looks so, is mended."""
        report = await self._reports.of_server(report_id, server_id)
        task = await self._tasks.get(report.task_id)
        if task is None:
            raise Refusal(tr("The reported clip is not known any more."))
        if report.verdict is not None:
            with contextlib.suppress(discord.HTTPException, aiohttp.ClientError, OSError):
                await _show(interaction, task, report)
            raise Refusal(already(report))
        return report, task

    async def _decided(
        self, interaction: discord.Interaction[Any], task: Task, report: ClipReport, verdict: Verdict
    ) -> None:
        decided = await self._reports.decide(report, verdict, interaction.user.id)
        await _show(interaction, task, decided)


async def _show(interaction: discord.Interaction[Any], task: Task, report: ClipReport) -> None:
    """Let the moderators' message say how the report was decided."""
    if interaction.message is not None:
        with reading(_locale(interaction)):
            text = report_text(report, task)
        await interaction.message.edit(content=text, view=None, allowed_mentions=_SILENT)


def _locale(interaction: discord.Interaction[Any]) -> str:
    """The server's: of what is posted for its moderators, whoever made the bot write it."""
    return interaction.guild_locale.value if interaction.guild_locale else ENGLISH


def _answer_button(
    name: str,
    label: Callable[[], str],
    style: discord.ButtonStyle,
    press: Callable[[discord.Interaction[Any], int], Awaitable[None]],
) -> Button:
    return lasting_button(
        rf"conch:report:{name}:{_ID}",
        lambda report_id: discord.ui.Button(
            label=label(), style=style, custom_id=f"conch:report:{name}:{report_id}"
        ),
        lambda match, _: int(match["report"]),
        press,
    )
