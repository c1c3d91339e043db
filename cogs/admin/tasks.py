"""`/admin tasks`: find a server's tasks, look at one, cancel it, refund it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import discord
from discord import app_commands

from bot.domain.catalog import Catalog
from bot.domain.errors import Refusal
from bot.domain.language import tr
from bot.domain.money import dollars
from bot.domain.search import Age, Search, Stage
from bot.services.oversight import Oversight
from bot.services.pages import Page
from cogs.admin import found
from cogs.admin.answers import answer, begin
from cogs.admin.pages import FOUND
from cogs.admin.rights import must_be_admin
from cogs.finding import STAGE_NAMES, known
from cogs.pages import Turn, page_button, view_of
from cogs.tasks import Tasks

_TASK = "Begin to type to choose"
_ID = app_commands.Range[str, 1, 100]
_REASON = app_commands.Range[str, 1, 200]
_STAGES = [app_commands.Choice(name=name, value=stage.value) for stage, name in STAGE_NAMES.items()]
_AGES = [app_commands.Choice(name=name, value=age.value) for age in Age if (name := found.age(age))]


class ServerTasks:
    """What the four commands and the two buttons do, apart from their options."""

    def __init__(
        self, oversight: Oversight, members: Tasks, catalog: Catalog, clock: Callable[[], int]
    ) -> None:
        self._oversight = oversight
        self._members = members
        self._catalog = catalog
        self._clock = clock
        self.button = page_button(FOUND, self.turn)

    async def find(
        self, interaction: discord.Interaction[Any], member_id: int | None, stage: str | None, age: str | None
    ) -> None:
        if server_id := await begin(interaction):
            search = Search(
                server_id,
                self._clock(),
                member_id,
                known(Stage, "state", stage or Stage.ANY),
                known(Age, "age", age or Age.ANY),
            )
            await self._tell(interaction, search, await self._oversight.find(search))

    async def turn(self, interaction: discord.Interaction[Any], turn: Turn) -> None:
        if await begin(interaction):
            page = await self._oversight.find(turn.search, edge=turn.edge, newer=turn.newer)
            await self._tell(interaction, turn.search, page)

    async def _tell(self, interaction: discord.Interaction[Any], search: Search, page: Page) -> None:
        if not page.found:
            await answer(
                interaction, tr("Nothing was found. Looked for: {wanted}.", wanted=found.looked_for(search))
            )
            return
        lines = [found.line(one, self._catalog) for one in page.found]
        await answer(
            interaction,
            tr("Newest first: {wanted}.", wanted=found.looked_for(search)),
            embed=discord.Embed(description="\n".join(lines)),
            view=view_of(page, search, self.button),
        )

    async def show(self, interaction: discord.Interaction[Any], task_id: str) -> None:
        if server_id := await begin(interaction):
            task = await self._oversight.task(server_id, task_id)
            history = await self._members.history(task)
            head = tr("What {member} reads of it:", member=f"<@{task.member_id}>")
            await answer(interaction, f"{head}\n{history}")

    async def cancel(self, interaction: discord.Interaction[Any], task_id: str, reason: str) -> None:
        if server_id := await begin(interaction):
            task = await self._oversight.cancel(server_id, interaction.user.id, task_id, reason=reason)
            await answer(
                interaction,
                tr(
                    "Cancelled `{task}` of {member}; {price} was given back. Its progress message shows your reason.",
                    task=task.id,
                    member=f"<@{task.member_id}>",
                    price=dollars(task.price_micros),
                ),
            )

    async def refund(
        self, interaction: discord.Interaction[Any], task_id: str, reason: str, amount: str | None
    ) -> None:
        if server_id := await begin(interaction):
            made = await self._oversight.refund(
                server_id, interaction.user.id, task_id, reason=reason, amount=amount
            )
            await answer(
                interaction,
                tr(
                    "Refunded {refund} of {cost} for `{task}` of {member}. The member's own limits have that room "
                    "again, for the day and month in which the clip was asked for. The budgets of this server, the "
                    "operator and the provider still count it, since the provider has the money. `/tasks show` tells "
                    "the member.",
                    refund=dollars(made.micros),
                    cost=dollars(made.cost),
                    task=made.task.id,
                    member=f"<@{made.task.member_id}>",
                ),
            )

    async def complete(
        self,
        interaction: discord.Interaction[Any],
        typed: str,
        stage: Stage = Stage.ANY,
        *,
        refundable: bool = False,
    ) -> list[app_commands.Choice[str]]:
        """The server's newest tasks; nothing for those who may not see them."""
        try:
            await must_be_admin(interaction)
        except Refusal:
            return []
        tasks = await self._oversight.suggestions(interaction.guild_id or 0, stage, refundable=refundable)
        # What is private is shown to those who ask for it, not to all who complete an option.
        hidden = [replace(task, prompt=tr("a private clip")) if task.private else task for task in tasks]
        return self._members.choices(hidden, typed)


def commands(tasks: ServerTasks) -> list[app_commands.Group]:
    group = app_commands.Group(name="tasks", description="Look after this server's videos")

    @group.command(name="find", description="This server's videos, newest first")
    @app_commands.describe(member="Whose", state="In which state", age="How old")
    @app_commands.choices(state=_STAGES, age=_AGES)
    async def find(
        interaction: discord.Interaction[Any],
        member: discord.User | None = None,
        state: str | None = None,
        age: str | None = None,
    ) -> None:
        await tasks.find(interaction, member.id if member else None, state, age)

    @group.command(name="show", description="Everything that happened to one video")
    @app_commands.describe(task=_TASK)
    async def show(interaction: discord.Interaction[Any], task: _ID) -> None:
        await tasks.show(interaction, task)

    @group.command(name="cancel", description="Cancel a video that no provider has yet")
    @app_commands.describe(task=_TASK, reason="What the member reads")
    async def cancel(interaction: discord.Interaction[Any], task: _ID, reason: _REASON) -> None:
        await tasks.cancel(interaction, task, reason)

    @group.command(name="refund", description="Give a member back what a video cost")
    @app_commands.describe(task=_TASK, reason="What the member reads", amount="Dollars; left out, all of it")
    async def refund(
        interaction: discord.Interaction[Any],
        task: _ID,
        reason: _REASON,
        amount: app_commands.Range[str, 1, 20] | None = None,
    ) -> None:
        await tasks.refund(interaction, task, reason, amount)

    @show.autocomplete("task")
    async def complete_all(
        interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        return await tasks.complete(interaction, typed)

    @cancel.autocomplete("task")
    async def complete_waiting(
        interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        return await tasks.complete(interaction, typed, Stage.WAITING)

    @refund.autocomplete("task")
    async def complete_paid(
        interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        return await tasks.complete(interaction, typed, refundable=True)

    return [group]
