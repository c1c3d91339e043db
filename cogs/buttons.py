"""Buttons that work for ever: what they mean stands in their id, so no restart can forget it."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import discord

from bot.domain.language import short, tr
from bot.services.requests import Requests
from cogs.acknowledge import acknowledge, errors_told
from cogs.people import server_of

M = TypeVar("M")

Button = type[discord.ui.DynamicItem[Any]]


def lasting_button(
    template: str,
    draw: Callable[..., discord.ui.Button[Any]],
    read: Callable[[re.Match[str], discord.Interaction[Any]], M],
    press: Callable[[discord.Interaction[Any], M], Awaitable[None]],
) -> Button:
    """A class of buttons, made as `draw` is called, whose ids match `template`.

    `read` gets the meaning of a click back from such an id, and `press` does it. `draw` takes the meaning first.
    """

    class LastingButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=template):
        def __init__(self, meaning: M, *look: str) -> None:
            super().__init__(draw(meaning, *look))
            self._meaning = meaning

        @classmethod
        async def from_custom_id(
            cls, interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
        ) -> "LastingButton":
            return cls(read(match, interaction))

        async def callback(self, interaction: discord.Interaction[Any]) -> None:
            async with errors_told(interaction):
                await press(interaction, self._meaning)

    return LastingButton


def cancel_button(requests: Requests, changed: Callable[[Any], None]) -> Button:
    """The Cancel button of a task. `changed` redraws its progress message."""

    def draw(task_id: str, label: str = "") -> discord.ui.Button[Any]:
        return discord.ui.Button(
            label=label or short("Cancel"),
            style=discord.ButtonStyle.secondary,
            custom_id=f"conch:cancel:{task_id}",
        )

    async def cancel(interaction: discord.Interaction[Any], task_id: str) -> None:
        if not await acknowledge(interaction, ephemeral=True):
            return
        task = await requests.cancel(
            task_id, member_id=interaction.user.id, server_id=server_of(interaction) or None
        )
        changed(task)
        await interaction.edit_original_response(
            content=tr("Cancelled; nothing was spent. `{task}`", task=task.id)
        )

    return lasting_button(
        r"conch:cancel:(?P<task>[a-z0-9]{1,25})", draw, lambda match, _: match["task"], cancel
    )
