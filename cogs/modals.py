"""Modals that outlive a restart: what they mean stands in their id, and their submits are read as they come."""

from typing import Any, TypeAlias

import discord

from bot.domain import language
from bot.domain.catalog import Catalog

#: What was typed, chosen or ticked.
Value: TypeAlias = str | list[str] | bool

_ROW = discord.ComponentType.action_row.value
#: Characters that Discord takes below the label of a field, and as an option of a menu.
_HINT = 100


async def show(interaction: discord.Interaction[Any], modal: discord.ui.Modal) -> None:
    """Answer with a modal whose submit comes to a listener of `on_interaction`, also in a later process.

    discord.py would remember it in this process alone, and for ever where it is never submitted.
    """
    modal.stop()
    await interaction.response.send_modal(modal)


def hint(text: str) -> str:
    """What stands below a field's label, cut where a language needs more room than there is."""
    return text[:_HINT]


def cameras(catalog: Catalog, chosen: str | None = None) -> list[discord.SelectOption]:
    """The camera commands, in the words that the reader knows from the choices of `/video`."""
    # These words are found with the command's choices.
    return [
        discord.SelectOption(label=language.tr(name)[:_HINT], value=name, default=name == chosen)
        for name in catalog.cameras
    ]


def submitted(interaction: discord.Interaction[Any]) -> tuple[str, dict[str, Value]]:
    """The modal's id and what its fields were filled with, by their ids; an empty id where this is no submit."""
    data: dict[str, Any] = dict(interaction.data or {})
    if interaction.type is not discord.InteractionType.modal_submit:
        return "", {}
    values: dict[str, Value] = {}
    for outer in data.get("components", []):
        inner = outer.get("components", []) if outer.get("type") == _ROW else [outer.get("component", {})]
        for field in inner:
            if "custom_id" in field:
                values[field["custom_id"]] = field.get("value", field.get("values", []))
    return str(data.get("custom_id", "")), values
