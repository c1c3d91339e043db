"""How the pages of `/admin tasks find` stand in their buttons' ids; the server is that of the click."""

import re
from typing import Any

import discord

from bot.domain.search import Age, Search, Stage
from cogs.pages import NEWER, Code, Turn

_TEMPLATE = (
    r"conch:found:(?P<way>newer|older):(?P<member>[0-9]{1,20})"
    rf":(?P<stage>{'|'.join(Stage)}):(?P<age>{'|'.join(Age)}):(?P<at>[0-9]{{1,14}}):(?P<edge>[a-z0-9]{{1,25}})"
)


def _write(turn: Turn) -> str:
    one = turn.search
    return f"conch:found:{turn.way}:{one.member_id or 0}:{one.stage}:{one.age}:{one.at}:{turn.edge}"


def _read(match: re.Match[str], interaction: discord.Interaction[Any]) -> Turn:
    member_id, at = int(match["member"]) or None, int(match["at"])
    search = Search(interaction.guild_id or 0, at, member_id, Stage(match["stage"]), Age(match["age"]))
    return Turn(search, match["edge"], newer=match["way"] == NEWER)


FOUND = Code(_TEMPLATE, _write, _read)
