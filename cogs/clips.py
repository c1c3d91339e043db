"""The buttons under a posted clip. They work for ever: what they mean stands in their ids."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import discord

from bot.domain.catalog import Catalog, Mode
from bot.domain.language import short
from bot.domain.servers import NO_SERVER
from bot.domain.task import Task
from bot.posting.clip_messages import file_of
from bot.services.remakes import Remakes
from bot.services.removals import posted_clip
from cogs.acknowledge import acknowledge
from cogs.buttons import Button, lasting_button
from cogs.people import must_be_in_server
from cogs.video import Video, order_of
from cogs.wish import Wish, WishForm
from storage.tasks import TaskStore

Press = Callable[[discord.Interaction[Any], str], Awaitable[None]]

_SECONDARY = discord.ButtonStyle.secondary


@dataclass(frozen=True, slots=True)
class ClipButtons:
    """Those that stand under posted clips, the one under clips of a story, and those that they lead to.

    `direct`: clips may be ordered in direct messages too.
    """

    ordering: Sequence[Button]
    delete: Button
    report: Button
    stitch: Button
    elsewhere: Sequence[Button]
    direct: bool

    @property
    def all(self) -> list[Button]:
        return [*self.ordering, self.delete, self.report, self.stitch, *self.elsewhere]

    def of(self, task: Task) -> list[discord.ui.Item[Any]]:
        """What stands under a clip; in direct messages only what works there, where no moderators are either."""
        alone = task.private or task.server_id == NO_SERVER
        story = [self.stitch] if task.parent_id else []
        if not alone:
            shown = [*self.ordering, self.delete, self.report, *story]
        elif self.direct:
            shown = [*self.ordering, self.delete, *story]
        else:
            shown = [self.delete]
        return [button(task.id) for button in shown]


class Clicked:
    """Finds the clip whose button was clicked to make something of it; `direct` as in `ClipButtons`."""

    def __init__(self, tasks: TaskStore, *, direct: bool) -> None:
        self._tasks = tasks
        self._direct = direct

    async def clip(self, interaction: discord.Interaction[Any], task_id: str) -> Task:
        """`Refusal` where no server is around it and one is needed."""
        if not self._direct:
            must_be_in_server(interaction)
        return await posted_clip(
            self._tasks, task_id, server_id=interaction.guild_id, message_id=message_id(interaction)
        )


class Ordering:
    """Again, Edit and Continue: each orders a clip for whoever clicks."""

    def __init__(
        self,
        clicked: Clicked,
        remakes: Remakes,
        placing: Video,
        catalog: Catalog,
        providers: Sequence[str],
    ) -> None:
        self._clicked = clicked
        self._remakes = remakes
        self._placing = placing
        self._catalog = catalog
        self._providers = providers
        self.buttons = [
            clip_button("again", lambda: short("Again"), self._again),
            clip_button("edit", lambda: short("Edit"), self._edit),
            clip_button("continue", lambda: short("Continue"), self._continue),
        ]

    async def _again(self, interaction: discord.Interaction[Any], task_id: str) -> None:
        if not await acknowledge(interaction, ephemeral=interaction.guild_id is None):
            return
        task = await self._clicked.clip(interaction, task_id)
        with self._remakes.once(interaction.user.id, task.id):
            order = order_of(interaction, task.mode, _wish_of(task).options)
            await self._placing.order(interaction, await self._remakes.again(task, order))

    async def _edit(self, interaction: discord.Interaction[Any], task_id: str) -> None:
        # A form must be the first answer, so nothing is acknowledged before.
        task = await self._clicked.clip(interaction, task_id)
        await self._remakes.pictures(task)
        await self._ask(interaction, short("Edit"), _wish_of(task), partial(self._order_edited, task))

    async def _order_edited(self, task: Task, interaction: discord.Interaction[Any], wish: Wish) -> None:
        if await acknowledge(interaction, ephemeral=False):
            order = order_of(interaction, wish.mode, wish.options)
            await self._placing.order(interaction, await self._remakes.edited(task, order))

    async def _continue(self, interaction: discord.Interaction[Any], task_id: str) -> None:
        task = await self._clicked.clip(interaction, task_id)
        default = self._catalog.default(Mode.IMAGE, self._providers, task.format)
        wish = replace(
            _wish_of(task),
            mode=Mode.IMAGE,
            prompt="",
            camera=None,
            format_id=default.format.id if default else None,
        )
        url = file_of(interaction.message, task)
        await self._ask(interaction, short("Continue"), wish, partial(self._order_continued, task, url))

    async def _order_continued(
        self, task: Task, url: str | None, interaction: discord.Interaction[Any], wish: Wish
    ) -> None:
        if await acknowledge(interaction, ephemeral=False):
            order = order_of(interaction, wish.mode, wish.options)
            await self._placing.order(interaction, await self._remakes.continued(task, order, url))

    async def _ask(
        self,
        interaction: discord.Interaction[Any],
        title: str,
        wish: Wish,
        send: Callable[[discord.Interaction[Any], Wish], Awaitable[None]],
    ) -> None:
        form = WishForm(title, wish, self._catalog, self._providers, send)
        await interaction.response.send_modal(form)


def message_id(interaction: discord.Interaction[Any]) -> int | None:
    return interaction.message.id if interaction.message else None


def clip_button(
    name: str, label: Callable[[], str], press: Press, style: discord.ButtonStyle = _SECONDARY
) -> Button:
    """`label` is asked for whenever it is drawn, since each reader has a language."""
    return lasting_button(
        rf"conch:clip:{name}:(?P<task>[a-z0-9]{{1,25}})",
        lambda task_id: discord.ui.Button(
            label=label(), style=style, custom_id=f"conch:clip:{name}:{task_id}"
        ),
        lambda match, _: match["task"],
        press,
    )


def _wish_of(task: Task) -> Wish:
    return Wish(task.mode, task.prompt, task.format.id, task.camera, task.enhance)
