"""The Delete button under a posted clip: for its requester and for moderators, with a form that asks again."""

from functools import partial
from typing import Any

import discord

from bot.domain.errors import Refusal
from bot.domain.language import short, tr
from bot.domain.money import dollars
from bot.domain.task import Task
from bot.posting.clip_messages import delete_clip
from bot.services.removals import REASON_LENGTH, Removals, posted_clip
from cogs.acknowledge import acknowledge
from cogs.admin.rights import must_be_admin
from cogs.clips import clip_button, message_id
from cogs.reasons import ReasonForm
from storage.tasks import TaskStore

_SILENT = discord.AllowedMentions.none()


class Removing:
    """`button` is to be installed, and stands under every clip."""

    def __init__(self, tasks: TaskStore, removals: Removals) -> None:
        self._tasks = tasks
        self._removals = removals
        self.button = clip_button("delete", lambda: short("Delete"), self._ask, discord.ButtonStyle.danger)

    async def _ask(self, interaction: discord.Interaction[Any], task_id: str) -> None:
        # A form must be the first answer, so nothing is acknowledged before.
        await self._clip(interaction, task_id)
        form = ReasonForm(
            short("Delete this clip for everybody?"),
            tr("It cannot be brought back, and what it cost stays booked."),
            partial(self._delete, task_id),
            required=False,
            length=REASON_LENGTH,
        )
        await interaction.response.send_modal(form)

    async def _delete(self, task_id: str, interaction: discord.Interaction[Any], reason: str) -> None:
        if not await acknowledge(interaction, ephemeral=True):
            return
        task = await self._clip(interaction, task_id)
        await delete_clip(interaction.client, task, shared=await self._removals.shares_message(task))
        user = interaction.user
        cost = await self._removals.removed(task, actor_id=user.id, actor=user.display_name, reason=reason)
        await interaction.edit_original_response(
            content=tr(
                "Deleted. What it cost, {cost}, stays booked, and its history stays: `{task}`",
                cost=dollars(cost),
                task=task.id,
            ),
            allowed_mentions=_SILENT,
        )

    async def _clip(self, interaction: discord.Interaction[Any], task_id: str) -> Task:
        task = await posted_clip(
            self._tasks, task_id, server_id=interaction.guild_id, message_id=message_id(interaction)
        )
        await _may_remove(interaction, task)
        return task


async def _may_remove(interaction: discord.Interaction[Any], task: Task) -> None:
    if interaction.user.id == task.member_id or interaction.permissions.manage_messages:
        return
    try:
        await must_be_admin(interaction)
    except Refusal:
        raise Refusal(
            tr(
                "Only {member}, who asked for this clip, and moderators may delete it: that needs *Manage Messages* "
                "in this channel. **Report** tells the moderators of it.",
                member=f"<@{task.member_id}>",
            )
        ) from None
