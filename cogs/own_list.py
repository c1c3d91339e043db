"""`/tasks list`: a member's own tasks in a server, a page at a time. Pure functions, and the pages' buttons."""

import re
from collections.abc import Mapping
from typing import Any

import discord

from bot.domain.catalog import Catalog, Mode
from bot.domain.language import named, tr
from bot.domain.search import Found, Search, Stage
from bot.posting import texts
from bot.services.pages import PAGE
from cogs.finding import money, stage_name
from cogs.pages import NEWER, Code, Turn
from cogs.people import server_of

#: Characters of others' words in a line that would else be too long.
_REASON = 80
#: Characters of a line, its end among them: with these a page fits into an embed.
_LINE = 4096 // PAGE
_ANY = "any"
_TEMPLATE = (
    r"conch:own:(?P<way>newer|older)"
    rf":(?P<stage>{'|'.join(Stage)}):(?P<mode>{'|'.join(Mode)}|{_ANY}):(?P<at>[0-9]{{1,14}})"
    r":(?P<edge>[a-z0-9]{1,25})"
)


def mode_name(mode: Mode) -> str:
    match mode:
        case Mode.TEXT:
            return tr("from a prompt")
        case Mode.IMAGE:
            return tr("from a first frame")
        case Mode.TRANSITION:
            return tr("from a first to a last frame")


#: In English, for the choices of the command, which Discord gets in every language.
MODE_NAMES = {mode: mode_name(mode) for mode in Mode}


def _write(turn: Turn) -> str:
    one = turn.search
    return f"conch:own:{turn.way}:{one.stage}:{one.mode or _ANY}:{one.at}:{turn.edge}"


def _read(match: re.Match[str], interaction: discord.Interaction[Any]) -> Turn:
    mode = None if match["mode"] == _ANY else Mode(match["mode"])
    search = Search(
        server_of(interaction),
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
    parts = [tr("your videos here")]
    if search.stage is not Stage.ANY:
        parts.append(stage_name(search.stage))
    if search.mode is not None:
        parts.append(mode_name(search.mode))
    return " · ".join(parts)


def nothing(search: Search) -> str:
    if search.stage is Stage.ANY and search.mode is None:
        return tr("You have made no clips here yet. `/video text` makes the first.")
    return tr("Nothing was found. Looked for: {wanted}.", wanted=looked_for(search))


def line(found: Found, catalog: Catalog, aheads: Mapping[str, int], *, paused: str | None) -> str:
    """When, what and for how much; below it where it is and what can be done. `paused` as in `texts.status_line`."""
    whole = _line(found, catalog, aheads, paused)
    return whole if len(whole) < _LINE else _line(found, catalog, aheads, paused, room=_REASON)


def _line(
    found: Found,
    catalog: Catalog,
    aheads: Mapping[str, int],
    paused: str | None,
    *,
    room: int = texts.ROOM,
) -> str:
    task = found.task
    status = texts.status_line(task, catalog, ahead=aheads.get(task.id, 0), paused=paused, room=room)
    made = f"{texts.task_format(task, catalog)} · {named(task.mode)}"
    return f"- <t:{task.created_at // 1000}:R> {made} · {money(found)}\n  {status}"
