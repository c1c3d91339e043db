"""Older and Newer below what a search found: what they mean stands in their id, so they work for ever."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import discord

from bot.domain.search import Age, Search, Stage
from cogs.acknowledge import on_error

_TURN = (
    r"conch:found:(?P<way>newer|older):(?P<member>[0-9]{1,20})"
    rf":(?P<stage>{'|'.join(Stage)}):(?P<age>{'|'.join(Age)}):(?P<at>[0-9]{{1,14}}):(?P<edge>[a-z0-9]{{1,25}})"
)


@dataclass(frozen=True, slots=True)
class Turn:
    """The page of a search that lies beside the task `edge`."""

    search: Search
    edge: str
    newer: bool

    @property
    def custom_id(self) -> str:
        """All of it but the server, which is that of the click. At most 100 characters, as Discord wants it."""
        one, way = self.search, "newer" if self.newer else "older"
        return f"conch:found:{way}:{one.member_id or 0}:{one.stage}:{one.age}:{one.at}:{self.edge}"

    @classmethod
    def of(cls, match: re.Match[str], server_id: int) -> "Turn":
        member_id, at = int(match["member"]) or None, int(match["at"])
        search = Search(server_id, at, member_id, Stage(match["stage"]), Age(match["age"]))
        return cls(search, match["edge"], newer=match["way"] == "newer")


Turned = Callable[[discord.Interaction[Any], Turn], Awaitable[None]]


def page_button(turned: Turned) -> type[discord.ui.DynamicItem[Any]]:
    """`turned` is told of every click."""

    class PageButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=_TURN):
        def __init__(self, turn: Turn) -> None:
            label = "Newer" if turn.newer else "Older"
            super().__init__(discord.ui.Button(label=label, custom_id=turn.custom_id))
            self._turn = turn

        @classmethod
        async def from_custom_id(
            cls, interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
        ) -> "PageButton":
            return cls(Turn.of(match, interaction.guild_id or 0))

        async def callback(self, interaction: discord.Interaction[Any]) -> None:
            try:
                await turned(interaction, self._turn)
            except Exception as error:  # noqa: BLE001 - the tree's error hook does not see buttons
                await on_error(interaction, error)

    return PageButton
