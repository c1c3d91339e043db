"""`/tasks list`, `/tasks show` and `/tasks cancel`: a member looks after the own tasks."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import discord
from discord import app_commands

from bot.domain.catalog import Catalog
from bot.domain.errors import ProviderError, Refusal
from bot.domain.ports import Provider, ProviderEvent
from bot.domain.task import FINAL, HANDED_OVER, Task, TaskState
from bot.posting import texts
from bot.posting.delivery import link_file
from bot.services.requests import Requests
from cogs import replies
from cogs.acknowledge import acknowledge
from cogs.story_words import AFTER, BEFORE, story_line
from storage.ledger import LedgerStore
from storage.stories import StoryStore
from storage.tasks import TaskStore

_LISTED = 10
_SILENT = discord.AllowedMentions.none()
_SAVE_IT = "Here is your clip. Save it: Discord forgets this answer."


class Tasks:
    """What the three commands do, apart from their options."""

    def __init__(
        self,
        tasks: TaskStore,
        ledger: LedgerStore,
        stories: StoryStore,
        requests: Requests,
        catalog: Catalog,
        providers: Mapping[str, Provider],
        *,
        clips: Path,
        changed: Callable[[Task], None],
        clock: Callable[[], int],
    ) -> None:
        self._tasks = tasks
        self._ledger = ledger
        self._stories = stories
        self._requests = requests
        self._catalog = catalog
        self._providers = providers
        self._clips = clips
        self._changed = changed
        self._clock = clock

    async def list_own(self, interaction: discord.Interaction[Any]) -> None:
        if not await acknowledge(interaction, ephemeral=True):
            return
        tasks = await self._tasks.of_member(interaction.user.id, interaction.guild_id or 0, limit=_LISTED)
        aheads = {task.id: await self._tasks.ahead_of(task) for task in tasks if task.state is TaskState.HELD}
        paused = await self._tasks.pause_reason(interaction.guild_id or 0)
        await _answer(interaction, replies.task_list(tasks, self._catalog, aheads, paused=paused))

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
            task_id.strip(), member_id=interaction.user.id, server_id=interaction.guild_id or 0
        )
        self._changed(task)
        await _answer(interaction, f"Cancelled; nothing was spent. `{task.id}`")

    async def complete(
        self, interaction: discord.Interaction[Any], typed: str, *, running: bool
    ) -> list[app_commands.Choice[str]]:
        """The member's own newest tasks; one quick read, as Discord waits three seconds at most."""
        tasks = await self._tasks.of_member(interaction.user.id, interaction.guild_id or 0, limit=100)
        return self.choices([task for task in tasks if not (running and task.state in FINAL)], typed)

    def choices(self, tasks: Sequence[Task], typed: str) -> list[app_commands.Choice[str]]:
        """Those of the tasks whose words have what was typed, as many as Discord shows."""
        found = [app_commands.Choice(name=_choice(task, self._catalog), value=task.id) for task in tasks]
        return [choice for choice in found if typed.casefold() in choice.name.casefold()][:25]

    async def _own(self, interaction: discord.Interaction[Any], task_id: str) -> Task:
        task = await self._tasks.get(task_id.strip())
        if task is None or (task.member_id, task.server_id) != (interaction.user.id, interaction.guild_id):
            raise Refusal(
                "There is no such task of yours in this server. `/tasks list` shows the ones you have."
            )
        return task

    async def _theirs(self, task: Task) -> list[ProviderEvent]:
        provider = self._providers.get(task.provider)
        if provider is None or task.job_id is None:
            return []
        try:
            return await provider.events(task.job_id)
        except ProviderError as error:
            return [ProviderEvent("", f"not readable just now: {error}")]

    async def _hand_over(self, interaction: discord.Interaction[Any], task: Task, content: str) -> None:
        """A clip that could be posted nowhere is given in the answer, which needs no rights in the channel."""
        clip = self._clips / f"{task.id}.mp4"
        if not await asyncio.to_thread(clip.exists):
            await _answer(interaction, content)
            return
        if (await asyncio.to_thread(clip.stat)).st_size > interaction.filesize_limit:
            await self._hand_link(interaction, task, content)
            return
        file = await asyncio.to_thread(discord.File, clip, f"conch-{task.id}.mp4")
        with file.fp:
            sent = await interaction.edit_original_response(
                content=texts.cut(f"{_SAVE_IT}\n{content}"), attachments=[file], allowed_mentions=_SILENT
            )
        await self._tasks.delivered(
            task,
            self._clock(),
            channel_id=sent.channel.id,
            message_id=sent.id,
            note="handed over in an answer to the member",
            problem=HANDED_OVER,
        )
        await asyncio.to_thread(clip.unlink, missing_ok=True)
        if delivered := await self._tasks.get(task.id):
            self._changed(delivered)

    async def _hand_link(self, interaction: discord.Interaction[Any], task: Task, content: str) -> None:
        """The clip stays with the task: a link ends, so it may be asked for again."""
        link = task.clip_url or ""
        if not link.startswith(("https://", "http://")):
            words, files = "the operator has it in the folder `clips`.", []
        else:
            words, files = f"{texts.link_words(task, link)}.", link_file(link)
        await interaction.edit_original_response(
            content=texts.cut(f"The clip is too large for Discord; {words}\n{content}"),
            attachments=files,
            allowed_mentions=_SILENT,
        )


def group(tasks: Tasks) -> app_commands.Group:
    commands = app_commands.Group(name="tasks", description="Look after your videos", guild_only=True)

    @commands.command(name="list", description="Your newest videos here: where they are and what they cost")
    async def list_(interaction: discord.Interaction[Any]) -> None:
        await tasks.list_own(interaction)

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
    start, end = f"{task.state} · {texts.task_format(task, catalog)} · ", f" · {task.id}"
    return start + " ".join(task.prompt.split())[: 100 - len(start) - len(end)] + end
