"""A form that asks for a reason before something is done."""

from collections.abc import Awaitable, Callable
from typing import Any

import discord

from bot.domain.language import short
from cogs import modals
from cogs.acknowledge import errors_told


class ReasonForm(modals.Form):
    """`send` gets the reason. A title has 45 characters at most, and of a description as many as fit are shown."""

    def __init__(
        self,
        title: str,
        description: str,
        send: Callable[[discord.Interaction[Any], str], Awaitable[None]],
        *,
        required: bool,
        length: int,
    ) -> None:
        super().__init__(title)
        self._send = send
        self._reason: discord.ui.TextInput[Any] = discord.ui.TextInput(
            custom_id="reason", style=discord.TextStyle.paragraph, required=required, max_length=length
        )
        label = short("Reason") if required else short("Reason, if there is one")
        self.add_item(
            discord.ui.Label(text=label, description=modals.hint(description), component=self._reason)
        )

    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        async with errors_told(interaction):
            await self._send(interaction, self._reason.value)
