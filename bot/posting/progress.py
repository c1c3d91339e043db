"""How a progress message looks: what was asked for beside its pictures, and a row for each clip."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import discord

from bot.posting import texts

#: Characters of one row: four of them, the head and the notes fit into the 4,000 of a layout.
_ROW = 800


@dataclass(frozen=True, slots=True)
class Row:
    """One clip's line, with its button as long as it has one."""

    text: str
    button: discord.ui.Item[Any] | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """`title` and `prompt` are "" once all has ended; `pictures` are addresses, the first picture's first."""

    rows: tuple[Row, ...]
    title: str = ""
    prompt: str = ""
    pictures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """All that it says, to tell whether something changed."""
        return "\n".join(
            filter(None, [self.title, self.prompt, *(row.text for row in self.rows), *self.notes])
        )

    def view(self) -> discord.ui.LayoutView:
        view = discord.ui.LayoutView(timeout=None)
        if not self.title:
            return view.add_item(discord.ui.TextDisplay("\n".join(_cut(row) for row in self.rows)))
        box: discord.ui.Container[Any] = discord.ui.Container()
        for part in self._head():
            box.add_item(part)
        for row in self.rows:
            box.add_item(_beside(_cut(row), row.button))
        for note in self.notes:
            box.add_item(discord.ui.TextDisplay(note))
        return view.add_item(box)

    def _head(self) -> list[discord.ui.Item[Any]]:
        """The first picture stands beside the format, the last one beside the prompt."""
        shown = [discord.ui.Thumbnail[Any](address) for address in self.pictures]
        if len(shown) > 1:
            return [_beside(self.title, shown[0]), _beside(self.prompt, shown[1])]
        return [_beside(f"{self.title}\n{self.prompt}", shown[0] if shown else None)]


def _beside(text: str, accessory: discord.ui.Item[Any] | None) -> discord.ui.Item[Any]:
    if accessory is None:
        return discord.ui.TextDisplay(text)
    return discord.ui.Section(discord.ui.TextDisplay(text), accessory=accessory)


def _cut(row: Row) -> str:
    return texts.cut(row.text, length=_ROW)


def words_of(message: discord.Message) -> str:
    """What a message of ours says, whichever way it is laid out."""
    parts = [part.content for part in _parts(message) if isinstance(part, discord.ui.TextDisplay)]
    return "\n".join(filter(None, [message.content, *parts]))


def picture_urls(message: discord.Message) -> tuple[str, ...]:
    """Where Discord has the pictures of a progress message, in their order."""
    urls = tuple(file.url for file in message.attachments)
    return urls or tuple(part.media.url for part in _parts(message) if isinstance(part, discord.ui.Thumbnail))


def _parts(message: discord.Message) -> Iterable[discord.ui.Item[Any]]:
    if not message.flags.components_v2:
        return ()
    return discord.ui.LayoutView.from_message(message, timeout=None).walk_children()
