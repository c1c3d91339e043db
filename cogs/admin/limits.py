"""`/admin limits`: money limits of the server, a role, a member or each member, and the zone of their days."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import discord
from discord import app_commands

from bot.domain.errors import Refusal
from bot.domain.language import short, tr
from bot.domain.limits import Limit, Period, Scope, each
from bot.domain.servers import zones_like
from bot.services.limits import LimitRules, amount_of
from cogs.acknowledge import errors_told
from cogs.admin import limit_list, limit_words
from cogs.admin.answers import answer, begin, name_of_server
from cogs.admin.members import roles_of
from cogs.buttons import Button, lasting_button
from cogs.people import role_ids

Whom = discord.Member | discord.User | discord.Role

_CHOICES = 25
_PERIODS = [app_commands.Choice(name=each(period), value=period.value) for period in Period]
_DESCRIPTIONS = {
    "whom": "A member, a role, or @everyone for each member; left out, the whole server's budget",
    "period": "A day, a month, or in total, which never starts anew",
}
_LEAVE = "conch:limit:leave"
#: All that a confirming button knows, so that it works after a restart: the limit, and the micros it replaces.
_PROPOSAL = re.compile(limit_list.WHICH + r":(?P<micros>[0-9]{1,15}):(?P<before>[0-9]{1,15}|none)")


def group(
    rules: LimitRules, button: Callable[[str], discord.ui.DynamicItem[Any]], menu: limit_list.Menu
) -> app_commands.Group:
    """The commands; `button` makes what `set_button` returned, of a proposal, and `menu` stands under the list."""
    limits = app_commands.Group(name="limits", description="Money limits of this server")

    @limits.command(name="set", description="Set or change a limit; you see first what it means")
    @app_commands.describe(amount="Dollars, such as 2.50; 0 allows nothing", **_DESCRIPTIONS)
    @app_commands.choices(period=_PERIODS)
    async def set_limit(
        interaction: discord.Interaction[Any], amount: str, period: str, whom: Whom | None = None
    ) -> None:
        if server_id := await begin(interaction):
            limit = _limit(server_id, whom, period, amount_of(amount))
            found = await rules.propose(limit, roles_of(interaction))
            view = discord.ui.View(timeout=None)
            view.add_item(button(_written(limit, found.before)))
            view.add_item(LeaveButton())
            await answer(interaction, limit_words.preview(found), view=view)

    @limits.command(name="list", description="Every limit here, and the operator's above them")
    async def list_limits(interaction: discord.Interaction[Any]) -> None:
        if server_id := await begin(interaction):
            await limit_list.show(interaction, await rules.overview(server_id), menu)

    @limits.command(name="clear", description="Take a limit away")
    @app_commands.describe(**_DESCRIPTIONS)
    @app_commands.choices(period=_PERIODS)
    async def clear_limit(
        interaction: discord.Interaction[Any], period: str, whom: Whom | None = None
    ) -> None:
        if server_id := await begin(interaction):
            limit = _limit(server_id, whom, period, micros=0)
            done = await rules.clear(limit, interaction.user.id, role_ids(whom))
            await answer(interaction, limit_words.cleared(done))

    @limits.command(name="zone", description="Where this server's days and months begin at midnight")
    @app_commands.describe(zone="A time zone such as Europe/Berlin")
    async def choose_zone(interaction: discord.Interaction[Any], zone: str) -> None:
        if server_id := await begin(interaction):
            name = name_of_server(interaction)
            now = await rules.choose_zone(server_id, name, interaction.user.id, zone)
            await answer(interaction, limit_words.zone_chosen(now))

    @choose_zone.autocomplete("zone")
    async def complete(_: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        found = await asyncio.to_thread(zones_like, typed, most=_CHOICES)
        return [app_commands.Choice(name=name, value=name) for name in found]

    return limits


def set_button(rules: LimitRules) -> Button:
    """Sets the limit that its id names, while what it replaces is still what was shown."""

    def draw(proposal: str) -> discord.ui.Button[Any]:
        return discord.ui.Button(
            label=short("Set it"), style=discord.ButtonStyle.primary, custom_id=f"conch:limit:set:{proposal}"
        )

    async def press(interaction: discord.Interaction[Any], proposal: str) -> None:
        if server_id := await begin(interaction):
            limit, before = _proposed(proposal, server_id)
            await rules.set(limit, before, interaction.user.id)
            await answer(interaction, limit_words.was_set(limit, before))

    return lasting_button(
        r"conch:limit:set:(?P<proposal>.{0,80})", draw, lambda match, _: match["proposal"], press
    )


class LeaveButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=_LEAVE):
    """Takes the offer to set a limit away."""

    def __init__(self) -> None:
        super().__init__(discord.ui.Button(label=short("Leave it"), custom_id=_LEAVE))

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], _match: re.Match[str], /
    ) -> "LeaveButton":
        return cls()

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with errors_told(interaction):
            if await begin(interaction):
                await answer(interaction, tr("Left as it is: nothing was changed."))


def _written(limit: Limit, before: int | None) -> str:
    was = "none" if before is None else before
    return f"{limit_list.which(limit)}:{limit.micros}:{was}"


def _proposed(text: str, server_id: int) -> tuple[Limit, int | None]:
    found = _PROPOSAL.fullmatch(text)
    if found is None:
        raise Refusal(tr("This button names no limit. Nothing was changed; use `/admin limits set` again."))
    limit = limit_list.limit_of(found, server_id, micros=int(found["micros"]))
    return limit, None if found["before"] == "none" else int(found["before"])


def _limit(server_id: int, whom: Whom | None, period: str, micros: int) -> Limit:
    if period not in set(Period):
        raise Refusal(tr("There is no such period. Choose a day, a month, or in total."))
    scope, subject = _target(whom)
    return Limit(scope, Period(period), micros, subject, server_id=server_id)


def _target(whom: Whom | None) -> tuple[Scope, str]:
    if whom is None:
        return Scope.SERVER, ""
    if isinstance(whom, discord.Role):
        return (Scope.MEMBER, "") if whom.is_default() else (Scope.ROLE, str(whom.id))
    return Scope.MEMBER, str(whom.id)
