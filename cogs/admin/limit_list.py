"""The list of a server's limits, and the menu under it that clears one: also that of a role that is no more."""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import discord

from bot.domain.errors import Refusal
from bot.domain.language import tr
from bot.domain.limits import Limit, Period, Scope
from bot.services.limits import LimitRules, Overview
from cogs.acknowledge import errors_told
from cogs.admin import limit_words
from cogs.admin.answers import answer, begin
from cogs.admin.members import roles_of

#: A limit as ids and values of clicks carry it. An id of Discord's has one spelling: another would mean nobody.
WHICH = r"(?P<scope>member|role(?=:[0-9])|server(?=::)):(?P<subject>([1-9][0-9]{0,19})?):(?P<period>day|month|total)"
_MENU = "conch:limits:clear"
_OPTIONS = 25
_LABEL_LENGTH = 100

Menu = Callable[[Sequence[discord.SelectOption]], Any]


def which(limit: Limit) -> str:
    return f"{limit.scope}:{limit.subject}:{limit.period}"


def limit_of(found: re.Match[str], server_id: int, *, micros: int = 0) -> Limit:
    """The limit that a match of `WHICH` names."""
    return Limit(
        Scope(found["scope"]), Period(found["period"]), micros, found["subject"], server_id=server_id
    )


async def show(
    interaction: discord.Interaction[Any], found: Overview, menu: Menu, *, before: str = ""
) -> None:
    """All limits, with the menu that `clear_menu` made; `before` stands above them."""
    guild = interaction.guild
    gone = _deleted_roles(guild, found.limits)
    words, whole = limit_words.overview(found, gone=gone, before=before)
    files = [discord.File(io.BytesIO(whole.encode()), "limits.txt")] if whole else []
    # First those that `/admin limits clear` cannot name.
    ordered = sorted(found.limits, key=lambda limit: limit.subject not in gone)
    options = [
        discord.SelectOption(
            label=limit_words.label(limit, gone, name=_known_name(guild, limit))[:_LABEL_LENGTH],
            value=which(limit),
        )
        for limit in ordered[:_OPTIONS]
    ]
    view = discord.ui.View(timeout=None) if options else None
    if view:
        view.add_item(menu(options))
    await answer(interaction, words, files=files, view=view)


def _deleted_roles(guild: discord.Guild | None, limits: Sequence[Limit]) -> frozenset[str]:
    if guild is None or guild.unavailable:
        return frozenset()  # its roles are not known just now
    return frozenset(
        limit.subject
        for limit in limits
        if limit.scope is Scope.ROLE and guild.get_role(int(limit.subject)) is None
    )


def _known_name(guild: discord.Guild | None, limit: Limit) -> str:
    if guild is None or not limit.subject:
        return ""
    find = guild.get_role if limit.scope is Scope.ROLE else guild.get_member
    known = find(int(limit.subject))
    return known.name if known else ""


def clear_menu(rules: LimitRules) -> type[discord.ui.DynamicItem[Any]]:
    """The menu under the list that clears a limit; it works for ever, and for admins alone."""

    class ClearMenu(discord.ui.DynamicItem[discord.ui.Select[Any]], template=_MENU):
        def __init__(self, options: Sequence[discord.SelectOption]) -> None:
            super().__init__(
                discord.ui.Select(placeholder=tr("Clear a limit"), custom_id=_MENU, options=list(options))
            )

        @classmethod
        async def from_custom_id(
            cls, _interaction: discord.Interaction[Any], item: discord.ui.Item[Any], _match: re.Match[str], /
        ) -> "ClearMenu":
            return cls(item.options if isinstance(item, discord.ui.Select) else ())

        async def callback(self, interaction: discord.Interaction[Any]) -> None:
            async with errors_told(interaction):
                if server_id := await begin(interaction):
                    limit = _chosen(self.item.values, server_id)
                    done = await rules.clear(limit, interaction.user.id, await _roles(interaction, limit))
                    words = f"{limit_words.cleared(done)}\n\n"
                    await show(interaction, await rules.overview(server_id), ClearMenu, before=words)

    return ClearMenu


def _chosen(values: Sequence[str], server_id: int) -> Limit:
    found = re.fullmatch(WHICH, next(iter(values), ""))
    if found is None:
        raise Refusal(
            tr("This choice names no limit. Nothing was changed; look again with `/admin limits list`.")
        )
    return limit_of(found, server_id)


async def _roles(interaction: discord.Interaction[Any], limit: Limit) -> frozenset[int]:
    """Of the member a limit is for: they say what decides in its place."""
    if limit.scope is Scope.MEMBER and limit.subject:
        return await roles_of(interaction)(int(limit.subject)) or frozenset()
    return frozenset()
