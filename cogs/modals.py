"""Modals, of which some outlive a restart: what they mean stands in their id. No submit of any goes unanswered."""

from collections.abc import Iterable
from typing import Any, TypeAlias

import discord

from bot.domain import language
from bot.domain.catalog import Catalog
from bot.domain.language import read_by, tr
from bot.domain.prose import together
from cogs.acknowledge import refuse

#: What was typed, chosen or ticked.
Value: TypeAlias = str | list[str] | bool

_ROW = discord.ComponentType.action_row.value
#: Characters that Discord takes below the label of a field, and as an option of a menu.
_HINT = 100
#: What the ids of those that outlive a restart begin with.
LASTING = "conch:"
#: For which a form is waited for.
_SECONDS = 900
_AWAITED = "awaited"
#: Characters of a text that is handed back.
_HANDED_BACK = 4096


class Form(discord.ui.Modal):
    """One whose submit this process waits for; `over` answers what comes too late."""

    def __init__(self, title: str) -> None:
        super().__init__(title=title, timeout=_SECONDS)

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        # The first that is done with a submit: before any listener hears of it.
        interaction.extras[_AWAITED] = True
        return True


async def over(interaction: discord.Interaction[Any]) -> None:
    """A listener for every interaction: answers the submit of a form that nobody waits for any more."""
    form, values = submitted(interaction)
    if not form or form.startswith(LASTING) or _AWAITED in interaction.extras:
        return
    read_by(interaction.locale.value)
    sentence = tr(
        "This form is over: it can be sent once, within 15 minutes, and not after a restart of the bot. Nothing was "
        "done with it; open it again."
    )
    if words := _typed(values.values()):
        sentence = together(sentence, tr("What you wrote stands below."))
        await refuse(interaction, sentence, embeds=[discord.Embed(description=words)])
    else:
        await refuse(interaction, sentence)


def _typed(values: Iterable[Value]) -> str:
    """The words of a form, for whoever typed them to copy."""
    words = "\n\n".join(value for value in values if isinstance(value, str) and value.strip())
    return discord.utils.escape_markdown(words)[:_HANDED_BACK]


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
