"""The form behind Edit and Continue: what a clip shall be, filled in with what is known of it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import discord

from bot.domain.catalog import Catalog, Mode
from bot.domain.errors import Refusal
from bot.domain.language import named, short, tr
from bot.services.requests import PROMPT_LIMIT
from cogs import modals
from cogs.acknowledge import errors_told

#: More options a menu does not take.
_OPTIONS = 25


@dataclass(frozen=True, slots=True)
class Wish:
    """What the form holds. `format_id` is None for the default, `camera` for none."""

    mode: Mode
    prompt: str
    format_id: str | None
    camera: str | None
    enhance: bool

    @property
    def options(self) -> dict[str, Any]:
        """As the options of a command."""
        return {
            "prompt": self.prompt,
            "format": self.format_id,
            "camera": self.camera,
            "count": 1,
            "enhance": self.enhance,
            "private": False,
        }


class WishForm(modals.Form):
    """`send` gets what was filled in, once; a format that is no longer offered has to be chosen anew."""

    def __init__(
        self,
        title: str,
        wish: Wish,
        catalog: Catalog,
        providers: Sequence[str],
        send: Callable[[discord.Interaction[Any], Wish], Awaitable[None]],
    ) -> None:
        super().__init__(title)
        self._mode = wish.mode
        self._send = send
        self._sent = False
        self._prompt: discord.ui.TextInput[Any] = discord.ui.TextInput(
            custom_id="prompt",
            style=discord.TextStyle.paragraph,
            default=wish.prompt or None,
            max_length=PROMPT_LIMIT,
        )
        self._format: discord.ui.Select[Any] = discord.ui.Select(
            custom_id="format", options=_formats(wish, catalog, providers)
        )
        self._camera: discord.ui.Select[Any] = discord.ui.Select(
            custom_id="camera", options=modals.cameras(catalog, wish.camera), required=False, min_values=0
        )
        self._enhance: discord.ui.Checkbox[Any] = discord.ui.Checkbox(
            custom_id="enhance", default=wish.enhance
        )
        for text, description, field in (
            (short("Prompt"), tr("What should be seen and how it moves"), self._prompt),
            (short("Format"), tr("Model, length, size and price, which you pay"), self._format),
            (short("Camera"), tr("How it moves; with none, the model decides"), self._camera),
            (short("Enhance"), tr("Let the model add detail to the prompt"), self._enhance),
        ):
            self.add_item(discord.ui.Label(text=text, description=modals.hint(description), component=field))

    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        async with errors_told(interaction):
            self._take()
            await self._send(interaction, self._filled_in)

    def _take(self) -> None:
        if self._sent:
            raise Refusal(tr("This form was sent already. Nothing was ordered a second time."))
        self._sent = True

    @property
    def _filled_in(self) -> Wish:
        return Wish(
            mode=self._mode,
            prompt=self._prompt.value,
            format_id=next(iter(self._format.values), None),
            camera=next(iter(self._camera.values), None),
            enhance=self._enhance.value,
        )


def _formats(wish: Wish, catalog: Catalog, providers: Sequence[str]) -> list[discord.SelectOption]:
    """Those of the mode with their prices; the wished one is among them although others are left out."""
    menu = catalog.menu(wish.mode, providers)
    if not menu:
        raise Refusal(
            tr(
                "No provider that is switched on makes what `/video {mode}` asks for. The operator can add one.",
                mode=named(wish.mode),
            )
        )
    menu.sort(key=lambda offer: offer.format.id != wish.format_id)
    return [
        discord.SelectOption(
            label=catalog.label(offer),
            value=offer.format.id,
            default=offer.format.id == wish.format_id,
        )
        for offer in menu[:_OPTIONS]
    ]
