"""`/tasks list`: a member's own tasks in a server, a page at a time. Pure functions, and the pages' buttons."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import discord

from bot.domain.catalog import Catalog, Mode
from bot.domain.search import Found, Search, Stage
from bot.posting import texts
from cogs.finding import STAGE_NAMES, money
from cogs.pages import NEWER, Code, Turn

#: Characters of a stranger's words in a line, before escapes: with them ten lines still fit into an embed.
_REASON = 80
_ANY = "any"
_TEMPLATE = (
    r"conch:own:(?P<way>newer|older)"
    rf":(?P<stage>{'|'.join(Stage)}):(?P<mode>{'|'.join(Mode)}|{_ANY}):(?P<at>[0-9]{{1,14}})"
    r":(?P<edge>[a-z0-9]{1,25})"
)
MODE_NAMES = {
    Mode.TEXT: "from a prompt",
    Mode.IMAGE: "from a first frame",
    Mode.TRANSITION: "from a first to a last frame",
}


def _write(turn: Turn) -> str:
    one = turn.search
    return f"conch:own:{turn.way}:{one.stage}:{one.mode or _ANY}:{one.at}:{turn.edge}"


def _read(match: re.Match[str], interaction: discord.Interaction[Any]) -> Turn:
    mode = None if match["mode"] == _ANY else Mode(match["mode"])
    search = Search(
        interaction.guild_id or 0,
        int(match["at"]),
        interaction.user.id,
        Stage(match["stage"]),
        mode=mode,
    )
    return Turn(search, match["edge"], newer=match["way"] == NEWER)


#: Whose tasks and where is not written: it is whoever clicks, where the click is.
OWN = Code(_TEMPLATE, _write, _read)


def looked_for(search: Search) -> str:
    """Such as "your videos here · waiting · from a prompt"."""
    parts = ["your videos here"]
    if search.stage in STAGE_NAMES:
        parts.append(STAGE_NAMES[search.stage])
    if search.mode is not None:
        parts.append(MODE_NAMES[search.mode])
    return " · ".join(parts)


def nothing(search: Search) -> str:
    if search.stage is Stage.ANY and search.mode is None:
        return "You have made no clips in this server yet. `/video text` makes the first."
    return f"Nothing was found. Looked for: {looked_for(search)}."


def line(found: Found, catalog: Catalog, aheads: Mapping[str, int], *, paused: str | None) -> str:
    """When, what and for how much; below it where it is and what can be done. `paused` as in `texts.status_line`."""
    task = replace(found.task, problem=_short(found.task.problem))
    status = texts.status_line(task, catalog, ahead=aheads.get(task.id, 0), paused=_short(paused))
    return (
        f"- <t:{task.created_at // 1000}:R> {texts.task_format(task, catalog)} · {task.mode} · {money(found)}\n"
        f"  {status}"
    )


def _short(words: str | None) -> str | None:
    if words is None or len(words) <= _REASON:
        return words
    return f"{words[: _REASON - 1]}…"
