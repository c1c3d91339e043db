"""`/tasks list`, `/tasks show` and `/tasks cancel`: a member looks after the own tasks."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import discord
from discord import app_commands

from bot.domain.catalog import Catalog, Mode
from bot.domain.errors import NobodyThere, ProviderError, Refusal, TooLarge
from bot.domain.language import kept, said, tr
from bot.domain.parcel import Parcel
from bot.domain.ports import Provider, ProviderEvent
from bot.domain.search import Search, Stage
from bot.domain.task import FINAL, HANDED_OVER, Task, TaskState
from bot.posting import delivery, texts
from bot.services import pages
from bot.services.files import Files
from bot.services.packing import Packing
from bot.services.pages import Page
from bot.services.requests import Requests
from cogs import own_list, replies
from cogs.acknowledge import acknowledge
from cogs.finding import STAGE_NAMES, known
from cogs.pages import Turn, page_button, view_of
from cogs.people import server_of
from cogs.story_words import AFTER, BEFORE, story_line
from storage.ledger import LedgerStore
from storage.searches import SearchStore
from storage.stories import StoryStore
from storage.tasks import TaskStore

_SILENT = discord.AllowedMentions.none()
_STAGES = [app_commands.Choice(name=name, value=stage.value) for stage, name in STAGE_NAMES.items()]
_MODES = [app_commands.Choice(name=name, value=mode.value) for mode, name in own_list.MODE_NAMES.items()]


class Tasks:
    """What the three commands and the list's buttons do, apart from their options."""

    def __init__(  # noqa: PLR0913 - all that a task's history tells of, and the ways to hand over its clip
        self,
        tasks: TaskStore,
        ledger: LedgerStore,
        stories: StoryStore,
        requests: Requests,
        catalog: Catalog,
        providers: Mapping[str, Provider],
        *,
        searches: SearchStore,
        files: Files,
        packing: Packing,
        changed: Callable[[Task], None],
        clock: Callable[[], int],
    ) -> None:
        self._tasks = tasks
        self._ledger = ledger
        self._stories = stories
        self._requests = requests
        self._catalog = catalog
        self._providers = providers
        self._files = files
        self._packing = packing
        self._handing: set[str] = set()
        self._changed = changed
        self._clock = clock
        self._searches = searches
        self.button = page_button(own_list.OWN, self.turn)

    async def list_own(
        self, interaction: discord.Interaction[Any], stage: str | None, mode: str | None
    ) -> None:
        if not await acknowledge(interaction, ephemeral=True):
            return
        search = Search(
            server_of(interaction),
            self._clock(),
            interaction.user.id,
            known(Stage, "state", stage or Stage.ANY),
            mode=known(Mode, "mode", mode) if mode else None,
        )
        await self._tell(interaction, search, await pages.find(self._tasks, self._searches, search))

    async def turn(self, interaction: discord.Interaction[Any], turn: Turn) -> None:
        """Whoever clicks sees the own tasks; the answer takes the place of the private message with the button."""
        private = interaction.message is not None and interaction.message.flags.ephemeral
        if not await acknowledge(interaction, ephemeral=True, in_place=private):
            return
        page = await pages.find(self._tasks, self._searches, turn.search, edge=turn.edge, newer=turn.newer)
        await self._tell(interaction, turn.search, page)

    async def _tell(self, interaction: discord.Interaction[Any], search: Search, page: Page) -> None:
        if not page.found:
            await interaction.edit_original_response(
                content=own_list.nothing(search), embed=None, view=None, allowed_mentions=_SILENT
            )
            return
        held = [one.task for one in page.found if one.task.state is TaskState.HELD]
        aheads = {task.id: await self._tasks.ahead_of(task) for task in held}
        paused = await self._tasks.pause_reason(search.server_id)
        lines = [own_list.line(one, self._catalog, aheads, paused=paused) for one in page.found]
        await interaction.edit_original_response(
            content=tr("Newest first: {wanted}.", wanted=own_list.looked_for(search)),
            embed=discord.Embed(description="\n".join(lines)),
            view=view_of(page, search, self.button),
            allowed_mentions=_SILENT,
        )

    async def show(self, interaction: discord.Interaction[Any], task_id: str) -> None:
        if not await acknowledge(interaction, ephemeral=True):
            return
        task = await self._own(interaction, task_id)
        content = await self.history(task)
        if task.state is TaskState.SUCCEEDED and task.due_at is None:
            await self._hand_over(interaction, task, content)
        else:
            await _answer(interaction, content)

    async def history(self, task: Task) -> str:
        """A task's whole life in words, as its owner reads it."""
        return replies.task_history(
            task,
            self._catalog,
            await self._tasks.events(task.id),
            await self._ledger.of_task(task.id),
            await self._theirs(task),
            paused=await self._tasks.pause_reason(task.server_id),
            story=story_line(
                await self._stories.until(task, most=BEFORE + 2),
                await self._stories.after(task, limit=AFTER + 1),
            ),
        )

    async def cancel(self, interaction: discord.Interaction[Any], task_id: str) -> None:
        if not await acknowledge(interaction, ephemeral=True):
            return
        task = await self._requests.cancel(
            task_id.strip(), member_id=interaction.user.id, server_id=server_of(interaction)
        )
        self._changed(task)
        await _answer(interaction, tr("Cancelled; nothing was spent. `{task}`", task=task.id))

    async def complete(
        self, interaction: discord.Interaction[Any], typed: str, *, running: bool
    ) -> list[app_commands.Choice[str]]:
        """The member's own newest tasks; one quick read, as Discord waits three seconds at most."""
        tasks = await self._tasks.of_member(interaction.user.id, server_of(interaction), limit=100)
        return self.choices([task for task in tasks if not (running and task.state in FINAL)], typed)

    def choices(self, tasks: Sequence[Task], typed: str) -> list[app_commands.Choice[str]]:
        """Those of the tasks whose words have what was typed, as many as Discord shows."""
        found = [app_commands.Choice(name=_choice(task, self._catalog), value=task.id) for task in tasks]
        return [choice for choice in found if typed.casefold() in choice.name.casefold()][:25]

    async def _own(self, interaction: discord.Interaction[Any], task_id: str) -> Task:
        task = await self._tasks.get(task_id.strip())
        if task is None or (task.member_id, task.server_id) != (interaction.user.id, server_of(interaction)):
            raise Refusal(tr("There is no such task of yours here. `/tasks list` shows the ones you have."))
        return task

    async def _theirs(self, task: Task) -> list[ProviderEvent]:
        provider = self._providers.get(task.provider)
        if provider is None or task.job_id is None or task.erased:
            return []
        try:
            return await provider.events(task.job_id)
        except ProviderError as error:
            return [ProviderEvent("", tr("not readable just now: {problem}", problem=said(str(error))))]

    async def _hand_over(self, interaction: discord.Interaction[Any], task: Task, content: str) -> None:
        """A clip that could be posted nowhere is given in the answer, which needs no rights in the channel."""
        if not await asyncio.to_thread(self._files.clip(task).exists):
            await _answer(interaction, content)
            return
        if task.id in self._handing:
            raise Refusal(
                tr("This clip is being made ready already; it comes in the answer you asked for before.")
            )
        self._handing.add(task.id)
        try:
            await self._hand(interaction, task, content)
        finally:
            self._handing.discard(task.id)

    async def _hand(self, interaction: discord.Interaction[Any], task: Task, content: str) -> None:
        async def give(parcel: Parcel) -> discord.InteractionMessage:
            save_it = tr("Here is your clip. Save it: Discord forgets this answer.")
            lines = [*([save_it] if parcel.file else []), *texts.parcel_words(parcel), content]
            try:
                return await interaction.edit_original_response(
                    content=texts.cut("\n".join(lines)),
                    attachments=await asyncio.to_thread(delivery.attachments, task, parcel),
                    allowed_mentions=_SILENT,
                )
            except discord.HTTPException as error:
                if parcel.file is None or not delivery.is_too_large(error):
                    raise
                size = (await asyncio.to_thread(parcel.file.stat)).st_size
                raise TooLarge(
                    "an answer takes no such file", limit=delivery.below(size, delivery.LEAST_LIMIT)
                ) from error

        try:
            parcel, sent = await self._packing.send(task, interaction.filesize_limit, give)
        except (NobodyThere, ProviderError):
            theirs = tr("The clip is too large for Discord; the operator has it in the folder `clips`.")
            await _answer(interaction, texts.cut(f"{theirs}\n{content}"))
            return
        if parcel.file is None:
            return  # the clip stays with the task: a link ends, so it may be asked for again
        await self._tasks.delivered(
            task,
            self._clock(),
            channel_id=sent.channel.id,
            message_id=sent.id,
            note=kept("handed over in an answer to the member, {change}", change=parcel.change),
            problem=HANDED_OVER,
        )
        await self._files.forget_clip(task, linked=parcel.link is not None)
        if delivered := await self._tasks.get(task.id):
            self._changed(delivered)


def group(tasks: Tasks) -> app_commands.Group:
    commands = app_commands.Group(name="tasks", description="Look after your videos")

    @commands.command(
        name="list", description="Your videos here, newest first: where they are and what they cost"
    )
    @app_commands.describe(state="In which state; left out, all", mode="Made from what; left out, all")
    @app_commands.choices(state=_STAGES, mode=_MODES)
    async def list_(
        interaction: discord.Interaction[Any], state: str | None = None, mode: str | None = None
    ) -> None:
        await tasks.list_own(interaction, state, mode)

    @commands.command(name="show", description="Everything that happened to one video, with its ledger lines")
    @app_commands.describe(task="One of your videos; begin to type to choose")
    async def show(interaction: discord.Interaction[Any], task: app_commands.Range[str, 1, 100]) -> None:
        await tasks.show(interaction, task)

    @commands.command(name="cancel", description="Cancel a video; free as long as no provider has it")
    @app_commands.describe(task="One of your videos; begin to type to choose")
    async def cancel(interaction: discord.Interaction[Any], task: app_commands.Range[str, 1, 100]) -> None:
        await tasks.cancel(interaction, task)

    @show.autocomplete("task")
    async def complete_all(
        interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        return await tasks.complete(interaction, typed, running=False)

    @cancel.autocomplete("task")
    async def complete_running(
        interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        return await tasks.complete(interaction, typed, running=True)

    return commands


async def _answer(interaction: discord.Interaction[Any], content: str) -> None:
    await interaction.edit_original_response(content=content, allowed_mentions=_SILENT)


def _choice(task: Task, catalog: Catalog) -> str:
    """At most 100 characters, as Discord wants it, with the id whole so that it can be typed."""
    start, end = f"{replies.state_name(task.state)} · {texts.task_format(task, catalog)} · ", f" · {task.id}"
    return start + " ".join(_words(task).split())[: 100 - len(start) - len(end)] + end


def _words(task: Task) -> str:
    return texts.erased(task) if task.erased else task.prompt
