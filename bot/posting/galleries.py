"""The clips of one command in one message: each is added to it as it comes, and may be taken out again.

What it carries is read from itself: files named after a clip, lines that end with its id, a row of buttons.
So nothing about it has to be remembered, and a crash between adding a clip and writing that down does no harm.
"""

import asyncio
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

import discord

from bot.domain.task import Task
from bot.posting import texts

#: Files, and rows of buttons, that Discord takes in one message.
_MOST_FILES, _MOST_ROWS = 10, 5
#: Lines that are of all clips: whose they are, and the prompt.
_HEAD = 2

_turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()


def turn(message_id: int) -> asyncio.Lock:
    """One change of a message at a time: each is made from what the message was before."""
    return _turns.setdefault(message_id, asyncio.Lock())


def view_of(buttons: Sequence[discord.ui.Item[Any]], number: int | None = None) -> discord.ui.View:
    """The buttons of a clip, the `number`th of several where there are."""
    view = discord.ui.View(timeout=None)
    _add_row(view, buttons, number, 0 if number is not None else None)
    return view


def carries(message: discord.Message, task: Task) -> bool:
    return f"`{task.id}`" in message.content


def with_clip(
    message: discord.Message, task: Task, lines: Sequence[str], buttons: Sequence[discord.ui.Item[Any]]
) -> dict[str, Any] | None:
    """What to change to add a clip, but for its files; None where there is no room for it."""
    content = "\n".join([message.content, *lines])
    rows = len(message.components)
    if len(content) > texts.MESSAGE_LENGTH or rows >= _MOST_ROWS or len(message.attachments) >= _MOST_FILES:
        return None
    view = discord.ui.View.from_message(message, timeout=None)
    _add_row(view, buttons, task.ordinal + 1, rows)
    view.stop()  # or discord.py would remember it for ever; the buttons mean what stands in their ids
    return {"content": content, "view": view}


def without_clip(message: discord.Message, task: Task) -> dict[str, Any] | None:
    """What to change to take a clip out; None where nothing would be left."""
    content = _without_lines(message.content, task)
    if len(content.splitlines()) <= _HEAD:
        return None
    others = [file for file in message.attachments if not is_of(file, task)]
    view = discord.ui.View.from_message(message, timeout=None)
    for item in list(view.children):
        if str(getattr(item, "custom_id", "")).endswith(f":{task.id}"):
            view.remove_item(item)
    view.stop()
    return {"content": content, "attachments": others, "view": view}


def is_of(file: discord.Attachment, task: Task) -> bool:
    return file.filename.startswith(f"conch-{task.id}.")


def _add_row(
    view: discord.ui.View, buttons: Sequence[discord.ui.Item[Any]], number: int | None, row: int | None
) -> None:
    for place, button in enumerate(buttons):
        if number is not None:
            button.row = row
            if place == 0:
                _label(button, number)
        view.add_item(button)


def _label(button: discord.ui.Item[Any], number: int) -> None:
    drawn = button.item if isinstance(button, discord.ui.DynamicItem) else button
    if isinstance(drawn, discord.ui.Button):
        drawn.label = f"{number}. {drawn.label}"


def _without_lines(content: str, task: Task) -> str:
    """Without the lines of a clip, of which the last one ends with its id."""
    lines = content.splitlines()
    kept, own = lines[:_HEAD], list[str]()
    for line in lines[_HEAD:]:
        own.append(line)
        if line.endswith("`"):
            kept += [] if line.endswith(f"`{task.id}`") else own
            own = []
    return "\n".join([*kept, *own])
