"""`/video text`, `/video image` and `/video transition`: a member asks for clips."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import aiohttp
import discord
from discord import app_commands

from bot.domain.catalog import Catalog, Mode, Offer
from bot.domain.errors import WrongShape
from bot.domain.servers import NO_SERVER
from bot.posting.board import Board
from bot.services.drafts import Drafts
from bot.services.requests import COUNT_LIMIT, PROMPT_LIMIT, Attachment, Order, Requests
from cogs.acknowledge import acknowledge
from cogs.admin.answers import name_of_server
from cogs.people import must_be_in_server, must_know_server, privately, roles_here, server_of
from cogs.shapes import Shapes
from storage.tasks import TaskStore

log = logging.getLogger(__name__)

#: More choices Discord does not take; beyond them the option completes what is typed.
CHOICES = 25

Prompt = app_commands.Range[str, 1, PROMPT_LIMIT]
Count = app_commands.Range[int, 1, COUNT_LIMIT]
F = TypeVar("F", bound=Callable[..., Any])

_DESCRIPTIONS = {
    "prompt": "What should be seen and how it moves, in your own words",
    "format": "Model, length, size and price of one clip; left out, the server's default",
    "camera": "How the camera moves; left out, the model decides",
    "count": "How many clips, each with its own price; left out, one",
    "private": "Only you see the clip, by direct message; admins can look it up with its prompt. Left out, no",
    "enhance": "Let the model add detail to your prompt; left out, yes",
}


class Video:
    """Takes the three commands' options to one order, one hold and one progress message; `wake` when it is placed.

    `direct`: clips may be ordered outside servers too.
    """

    def __init__(
        self,
        requests: Requests,
        tasks: TaskStore,
        board: Board,
        wake: Callable[[], None],
        clock: Callable[[], int],
        drafts: Drafts,
        catalog: Catalog,
        *,
        direct: bool,
    ) -> None:
        self._direct = direct
        self._requests = requests
        self._tasks = tasks
        self._board = board
        self._wake = wake
        self._clock = clock
        #: Offers to make pictures fit; its button belongs to the client.
        self.shapes = Shapes(drafts, catalog, self.wish)

    async def place(
        self,
        interaction: discord.Interaction[Any],
        mode: Mode,
        options: dict[str, Any],
        attachments: Sequence[discord.Attachment] = (),
    ) -> None:
        options = {**options, "private": privately(interaction, options["private"])}
        if await acknowledge(interaction, ephemeral=options["private"]):
            files = [Attachment(file.filename, file.url, file.size) for file in attachments]
            await self.wish(interaction, mode, options, files)

    async def wish(
        self,
        interaction: discord.Interaction[Any],
        mode: Mode,
        options: dict[str, Any],
        pictures: Sequence[Attachment] = (),
    ) -> None:
        """As `order`, of the options of a command or form: a picture of the wrong shape is offered in others."""
        try:
            await self.order(interaction, order_of(interaction, mode, options, pictures))
        except WrongShape as problem:
            await self.shapes.propose(interaction, mode, options, problem)

    async def order(self, interaction: discord.Interaction[Any], order: Order) -> None:
        """Place what an interaction orders that was acknowledged, whatever it was."""
        if not self._direct:
            must_be_in_server(interaction)  # also for what was begun while the operator allowed it elsewhere
        must_know_server(interaction)
        placed = await self._requests.place(order)
        if placed.again:
            return
        try:
            posted = await self._board.begin(interaction, placed.tasks)
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            # The price is held, so the member is owed a clip: the engine posts a progress message itself.
            log.warning("interaction %d: its answer took no progress message: %s", interaction.id, error)
            await self._tasks.hurry(interaction.id, self._clock())
        else:
            await self._tasks.announced(
                interaction.id,
                channel_id=posted.channel_id,
                message_id=posted.message_id,
                urls=posted.picture_urls,
                at=self._clock(),
            )
        self._wake()


def group(video: Video, catalog: Catalog, providers: Sequence[str]) -> app_commands.Group:
    """The command group, its choices made from the catalog and the providers that are switched on."""
    commands = app_commands.Group(name="video", description="Make short videos")

    def options(mode: Mode) -> Callable[[F], F]:
        return _options(catalog, catalog.menu(mode, providers))

    @commands.command(name="text", description="Make a video from a prompt")
    @options(Mode.TEXT)
    async def text(
        interaction: discord.Interaction[Any],
        prompt: Prompt,
        format: str | None = None,  # noqa: A002 - the option's public name
        camera: str | None = None,
        count: Count = 1,
        enhance: bool = True,  # noqa: FBT001, FBT002 - an option of Discord
        private: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        chosen = _chosen(prompt, format, camera, count, enhance=enhance, private=private)
        await video.place(interaction, Mode.TEXT, chosen)

    @commands.command(name="image", description="Make a video that begins with your picture")
    @app_commands.describe(first_frame="The picture the video begins with: JPEG, PNG or WebP")
    @options(Mode.IMAGE)
    async def image(
        interaction: discord.Interaction[Any],
        prompt: Prompt,
        first_frame: discord.Attachment,
        format: str | None = None,  # noqa: A002
        camera: str | None = None,
        count: Count = 1,
        enhance: bool = True,  # noqa: FBT001, FBT002
        private: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        chosen = _chosen(prompt, format, camera, count, enhance=enhance, private=private)
        await video.place(interaction, Mode.IMAGE, chosen, [first_frame])

    @commands.command(name="transition", description="Make a video that goes from one picture to another")
    @app_commands.describe(
        first_frame="The picture the video begins with: JPEG, PNG or WebP",
        last_frame="The picture the video ends with: JPEG, PNG or WebP",
    )
    @options(Mode.TRANSITION)
    async def transition(
        interaction: discord.Interaction[Any],
        prompt: Prompt,
        first_frame: discord.Attachment,
        last_frame: discord.Attachment,
        format: str | None = None,  # noqa: A002
        camera: str | None = None,
        count: Count = 1,
        enhance: bool = True,  # noqa: FBT001, FBT002
        private: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        chosen = _chosen(prompt, format, camera, count, enhance=enhance, private=private)
        await video.place(interaction, Mode.TRANSITION, chosen, [first_frame, last_frame])

    return commands


def _chosen(
    prompt: str, format_id: str | None, camera: str | None, count: int, *, enhance: bool, private: bool
) -> dict[str, Any]:
    """By the options' public names, as forms give them too."""
    return {
        "prompt": prompt,
        "format": format_id,
        "camera": camera,
        "count": count,
        "enhance": enhance,
        "private": private,
    }


def _options(catalog: Catalog, menu: Sequence[Offer]) -> Callable[[F], F]:
    """Describe the common options and fill their choices; a longer menu completes what is typed."""
    labelled = [app_commands.Choice(name=catalog.label(offer), value=offer.format.id) for offer in menu]
    cameras = [app_commands.Choice(name=name, value=name) for name in catalog.cameras]

    async def complete(_: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return [choice for choice in labelled if typed.casefold() in choice.name.casefold()][:CHOICES]

    def decorate(command: F) -> F:
        command = app_commands.describe(**_DESCRIPTIONS)(command)
        command = app_commands.choices(camera=cameras)(command)
        if len(labelled) > CHOICES:
            return app_commands.autocomplete(format=complete)(command)
        return app_commands.choices(format=labelled)(command)

    return decorate


def order_of(
    interaction: discord.Interaction[Any],
    mode: Mode,
    options: dict[str, Any],
    pictures: Sequence[Attachment] = (),
) -> Order:
    """The options as an order of the member's, to be made where the member is."""
    server_id = server_of(interaction)
    return Order(
        interaction_id=interaction.id,
        server_id=server_id,
        server_name=name_of_server(interaction) if server_id != NO_SERVER else "",
        channel_id=interaction.channel_id or 0,
        member_id=interaction.user.id,
        mode=mode,
        prompt=options["prompt"],
        format_id=options["format"],
        camera=options["camera"],
        count=options["count"],
        enhance=options["enhance"],
        private=privately(interaction, options["private"]),
        attachments=tuple(pictures),
        upload_limit=interaction.filesize_limit,
        role_ids=roles_here(interaction),
        around_ids=_around(interaction.channel),
    )


def _around(channel: Any) -> tuple[int, ...]:
    """What a channel lies in, the nearest first: a thread's channel and its category, a channel's category."""
    thread = isinstance(channel, discord.Thread)
    found = (channel.parent_id if thread else None, _category(channel.parent if thread else channel))
    return tuple(one for one in found if one)


def _category(channel: Any) -> int | None:
    found: int | None = getattr(channel, "category_id", None)
    return found
