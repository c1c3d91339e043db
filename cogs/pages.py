"""Older and Newer below what a search found: what they mean stands in their id, so they work for ever."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import discord

from bot.domain.language import short
from bot.domain.search import Search
from bot.services.pages import Page
from cogs.buttons import Button, lasting_button

NEWER, OLDER = "newer", "older"


@dataclass(frozen=True, slots=True)
class Turn:
    """The page of a search that lies beside the task `edge`."""

    search: Search
    edge: str
    newer: bool

    @property
    def way(self) -> str:
        return NEWER if self.newer else OLDER


@dataclass(frozen=True, slots=True)
class Code:
    """How a turn is written into a button's id of at most 100 characters, and read from a click on it."""

    template: str
    write: Callable[[Turn], str]
    read: Callable[[re.Match[str], discord.Interaction[Any]], Turn]


Turned = Callable[[discord.Interaction[Any], Turn], Awaitable[None]]


def page_button(code: Code, turned: Turned) -> Button:
    """`turned` is told of every click."""

    def draw(turn: Turn) -> discord.ui.Button[Any]:
        label = short("Newer") if turn.newer else short("Older")
        return discord.ui.Button(label=label, custom_id=code.write(turn))

    return lasting_button(code.template, draw, code.read, turned)


def view_of(page: Page, search: Search, button: Button) -> discord.ui.View | None:
    """The buttons below a page; None where it is the only one."""
    view = discord.ui.View(timeout=None)
    if page.newer:
        view.add_item(button(Turn(search, page.found[0].task.id, newer=True)))
    if page.older:
        view.add_item(button(Turn(search, page.found[-1].task.id, newer=False)))
    return view if view.children else None
