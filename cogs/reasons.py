"""A form that asks for a reason before something is done."""

from collections.abc import Awaitable, Callable
from typing import Any

import discord

from cogs.acknowledge import errors_told

_SECONDS = 900


class ReasonForm(discord.ui.Modal):
    """`send` gets the reason. Titles have 45 characters at most, descriptions 100."""

    def __init__(
        self,
        title: str,
        description: str,
        send: Callable[[discord.Interaction[Any], str], Awaitable[None]],
        *,
        required: bool,
        length: int,
    ) -> None:
        super().__init__(title=title, timeout=_SECONDS)
        self._send = send
        self._reason: discord.ui.TextInput[Any] = discord.ui.TextInput(
            custom_id="reason", style=discord.TextStyle.paragraph, required=required, max_length=length
        )
        label = "Reason" if required else "Reason, if there is one"
        self.add_item(discord.ui.Label(text=label, description=description, component=self._reason))

    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        async with errors_told(interaction):
            await self._send(interaction, self._reason.value)
