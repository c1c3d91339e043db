"""`/admin approvals`, and the buttons with which moderators answer."""

from collections.abc import Awaitable, Callable
from typing import Any

import discord
from discord import app_commands

from bot.domain.language import short, tr, trn
from bot.domain.money import dollars
from bot.domain.prose import together
from bot.domain.servers import Server
from bot.posting.moderation import APPROVE
from bot.services.approvals import REASON_LENGTH, Approvals
from bot.services.moderators import MOST_HOURS, OFF, Moderators
from cogs import modals
from cogs.acknowledge import errors_told
from cogs.admin.answers import answer, begin, name_of_server
from cogs.admin.channels import must_take_posts
from cogs.admin.rights import must_be_admin
from cogs.buttons import Button, lasting_button
from storage.approvals import Ruling

_DECLINE = "conch:decline:"
#: A Discord id that fits into 64 bits with their sign; a made-up one need not.
_ID = r"(?P<question>[1-8]?[0-9]{1,18})"

_Press = Callable[[discord.Interaction[Any], int], Awaitable[None]]


def commands(moderators: Moderators) -> list[app_commands.Command[Any, ..., None]]:
    @app_commands.command(name="approvals", description="Let dear clips wait for a moderator's click")
    @app_commands.describe(
        above=f"Clips that cost more dollars than this wait; or {OFF}",
        channel="The moderators' channel, for alarms and reports too; left out, the one chosen before",
        hours="How long they have; then the clip is cancelled. Left out, 24",
    )
    async def approvals(
        interaction: discord.Interaction[Any],
        above: app_commands.Range[str, 1, 20],
        channel: discord.TextChannel | None = None,
        hours: app_commands.Range[int, 1, MOST_HOURS] = 24,
    ) -> None:
        server_id = await begin(interaction)
        if not server_id:
            return
        known = await moderators.channel_of(server_id)
        if channel is not None:
            must_take_posts(interaction, channel.id)
        elif known is not None and above.strip().casefold() != OFF:
            must_take_posts(interaction, known)
        server = await moderators.approvals(
            server_id,
            name_of_server(interaction),
            interaction.user.id,
            above=above,
            hours=hours,
            channel_id=channel.id if channel else None,
        )
        await answer(interaction, _chosen(server))

    return [approvals]


def _chosen(server: Server) -> str:
    if server.approval_micros is None:
        return tr("New clips wait for no moderator any more. Those that wait already go on waiting.")
    waits = trn(
        "A clip that costs more than {price} now waits for a click in {channel}, {number} hour at most; then it is "
        "cancelled and nothing is spent.",
        "A clip that costs more than {price} now waits for a click in {channel}, {number} hours at most; then it is "
        "cancelled and nothing is spent.",
        server.approval_hours,
        price=dollars(server.approval_micros),
        channel=f"<#{server.notices_channel_id}>",
    )
    more = tr(
        "Who may use `/admin` may click. Clips asked for before this go on as they were. Alarms and monthly reports "
        "come there too, as `/admin notices` has them."
    )
    return together(waits, more)


def buttons(approvals: Approvals) -> tuple[Button, Button]:
    """Approve and Decline of a question, which work as long as its message stands."""

    async def approve(interaction: discord.Interaction[Any], question: int) -> None:
        if server_id := await begin(interaction):
            ruling = await approvals.approve(
                question, server_id, actor_id=interaction.user.id, actor=interaction.user.display_name
            )
            clips = _clips(ruling)
            await answer(
                interaction,
                tr("Approved, to be made once `/admin resume` ends the pause: {clips}.", clips=clips)
                if ruling.paused
                else tr("Approved, to be made now: {clips}.", clips=clips),
            )

    async def decline(interaction: discord.Interaction[Any], question: int) -> None:
        # A modal must be the first answer, so nothing is acknowledged before.
        await must_be_admin(interaction)
        await approvals.open_question(question, interaction.guild_id or 0)
        await interaction.response.send_modal(_Reason(approvals, question))

    return (
        _button(APPROVE, lambda: short("Approve"), discord.ButtonStyle.success, approve),
        _button(_DECLINE, lambda: short("Decline"), discord.ButtonStyle.danger, decline),
    )


def _button(start: str, label: Callable[[], str], style: discord.ButtonStyle, press: _Press) -> Button:
    return lasting_button(
        start + _ID,
        lambda question: discord.ui.Button(label=label(), style=style, custom_id=f"{start}{question}"),
        lambda match, _: int(match["question"]),
        press,
    )


class _Reason(modals.Form):
    def __init__(self, approvals: Approvals, question: int) -> None:
        super().__init__(short("Decline"))
        self._approvals = approvals
        self._question = question
        self._reason: discord.ui.TextInput[Any] = discord.ui.TextInput(
            label=short("Reason, which the member reads"),
            style=discord.TextStyle.paragraph,
            required=False,
            max_length=REASON_LENGTH,
        )
        self.add_item(self._reason)

    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        async with errors_told(interaction):
            await self._decline(interaction)

    async def _decline(self, interaction: discord.Interaction[Any]) -> None:
        if server_id := await begin(interaction):
            ruling = await self._approvals.decline(
                self._question, server_id, actor_id=interaction.user.id, reason=self._reason.value
            )
            await answer(interaction, tr("Declined: {clips}. The hold was given back.", clips=_clips(ruling)))


def _clips(ruling: Ruling) -> str:
    tasks = ruling.tasks
    price = dollars(sum(task.price_micros for task in tasks))
    return trn(
        "{number} clip of {member}, {price}",
        "{number} clips of {member}, {price}",
        len(tasks),
        member=f"<@{tasks[0].member_id}>",
        price=price,
    )
