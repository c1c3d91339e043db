"""Buttons that work for ever: what they mean stands in their id, so no restart can forget it."""

import re
from collections.abc import Callable
from typing import Any

import discord

from bot.services.requests import Requests
from cogs.acknowledge import acknowledge, on_error


def cancel_button(requests: Requests, changed: Callable[[Any], None]) -> type[discord.ui.DynamicItem[Any]]:
    """The Cancel button of a task. `changed` redraws its progress message."""

    class CancelButton(
        discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"conch:cancel:(?P<task>[a-z0-9]{1,25})"
    ):
        def __init__(self, task_id: str, label: str = "Cancel") -> None:
            super().__init__(
                discord.ui.Button(
                    label=label, style=discord.ButtonStyle.secondary, custom_id=f"conch:cancel:{task_id}"
                )
            )
            self._task_id = task_id

        @classmethod
        async def from_custom_id(
            cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
        ) -> "CancelButton":
            return cls(match["task"])

        async def callback(self, interaction: discord.Interaction[Any]) -> None:
            if not await acknowledge(interaction, ephemeral=True):
                return
            try:
                task = await requests.cancel(
                    self._task_id, member_id=interaction.user.id, server_id=interaction.guild_id or 0
                )
            except Exception as error:  # noqa: BLE001 - the tree's error hook does not see buttons
                await on_error(interaction, error)
                return
            changed(task)
            await interaction.edit_original_response(content=f"Cancelled; nothing was spent. `{task.id}`")

    return CancelButton
