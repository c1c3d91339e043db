"""Pictures that are too wide or too narrow: both ways to make them fit are shown, and a click orders one of them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import aiohttp
import discord
from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from bot.domain.catalog import Catalog, Mode
from bot.domain.errors import WrongShape
from bot.domain.language import short, tr
from bot.domain.money import dollars
from bot.domain.shapes import Reshaped, Shape
from bot.media.pictures import preview_of
from bot.services.drafts import SHAPE, Drafts
from bot.services.requests import Attachment
from cogs.acknowledge import acknowledge, tell
from cogs.buttons import Button, lasting_button
from cogs.people import server_of

log = logging.getLogger(__name__)

_START: Final = "conch:shape:"
_CANCEL: Final = "cancel"
_PRIVATE: Final = ":private"

#: Offers kept in mind, to take their buttons away.
_REMEMBERED = 1000

_Options = dict[str, Any]


class Place(Protocol):
    """Places an order for an interaction that was acknowledged."""

    def __call__(
        self,
        interaction: discord.Interaction[Any],
        mode: Mode,
        options: _Options,
        pictures: Sequence[Attachment],
    ) -> Awaitable[None]: ...


@dataclass(frozen=True)
class _Kept:
    """An order whose pictures wait for a shape."""

    mode: Mode
    options: _Options
    pictures: tuple[Reshaped, ...]


class _Click(NamedTuple):
    """What a button says: a shape, or that nothing is wanted; and whether its order is private.

    That is known before the draft is read, since the click is acknowledged first.
    """

    answer: str
    draft_id: int
    private: bool


_KEPT = TypeAdapter(_Kept)


class Shapes:
    """Nothing is held for an offer; the click on it is an order like any other, checked anew."""

    def __init__(self, drafts: Drafts, catalog: Catalog, place: Place) -> None:
        self._drafts = drafts
        self._catalog = catalog
        self._order = place
        # With the command's own token; the click's may not edit what an earlier interaction has sent.
        self._open: dict[int, discord.Message] = {}
        self.button = _button(self._answer)

    async def propose(
        self, interaction: discord.Interaction[Any], mode: Mode, options: _Options, problem: WrongShape
    ) -> None:
        """Offer the order to its member alone, with its pictures in both shapes."""
        if problem.offer is None:
            raise problem
        # What was shown is what will be made, whatever the default is by then.
        kept = _Kept(mode, {**options, "format": problem.offer.format.id}, problem.pictures)
        await self._drafts.keep(
            interaction.id,
            SHAPE,
            server_id=server_of(interaction),
            member_id=interaction.user.id,
            content=_KEPT.dump_json(kept).decode(),
        )
        count = options["count"]
        price = self._catalog.label(problem.offer)
        if count > 1:
            price = tr(
                "{price} for each of {count} clips, {total} together",
                price=price,
                count=count,
                total=dollars(count * problem.offer.micros),
            )
        shown = list(_shown(problem.pictures))
        offer = await tell(
            interaction,
            tr(
                "{found}\nIt can be made to fit: **crop** keeps the middle, **pad** keeps everything before a "
                "blurred backdrop.\n**{price}**. Nothing is held until you choose; this stands until {until}.",
                found=problem.found,
                price=price,
                until=f"<t:{self._drafts.until(SHAPE) // 1000}:t>",
            ),
            embeds=[embed for embed, _ in shown],
            files=await asyncio.to_thread(self._files, [file for _, file in shown]),
            view=self._view(interaction.id, private=options["private"]),
        )
        if offer is not None:
            self._open[interaction.id] = offer
            while len(self._open) > _REMEMBERED:
                del self._open[next(iter(self._open))]

    def _files(self, previews: Sequence[tuple[Path, str]]) -> list[discord.File]:
        return [discord.File(self._drafts.picture(path), name) for path, name in previews]

    def _view(self, draft_id: int, *, private: bool) -> discord.ui.View:
        view = discord.ui.View(timeout=None)
        for answer in (*Shape, _CANCEL):
            view.add_item(self.button(_Click(answer, draft_id, private)))
        return view

    async def _answer(self, interaction: discord.Interaction[Any], click: _Click) -> None:
        answer, draft_id, private = click
        cancelled = answer == _CANCEL
        if not await acknowledge(interaction, ephemeral=cancelled or private, in_place=cancelled):
            return
        async with self._drafts.used(
            draft_id,
            SHAPE,
            server_id=server_of(interaction),
            member_id=interaction.user.id,
            by=interaction.id,
        ) as content:
            if not cancelled:
                await self._place(interaction, _KEPT.validate_json(content), Shape(answer))
        await self._drafts.forget_pictures(draft_id)
        if cancelled:
            await tell(interaction, tr("Cancelled; nothing was held."))
        elif offer := self._open.pop(draft_id, None):
            await _end(offer, _ordered(Shape(answer)))

    async def _place(self, interaction: discord.Interaction[Any], kept: _Kept, shape: Shape) -> None:
        pictures = [Attachment(one.name, "", 0, file=one.to(shape)) for one in kept.pictures]
        await self._order(interaction, kept.mode, kept.options, pictures)


def _shown(pictures: Sequence[Reshaped]) -> Iterator[tuple[discord.Embed, tuple[Path, str]]]:
    """What does not fit, in both shapes, as embeds and the small files in them."""
    for number, picture in enumerate(pictures):
        which = [tr("last frame") if number else tr("first frame")] if len(pictures) > 1 else []
        for shape in Shape if not picture.fits else ():
            name = f"{number}-{shape}.jpg"
            title = " · ".join([_label(shape), *which])
            embed = discord.Embed(title=title).set_image(url=f"attachment://{name}")
            yield embed, (preview_of(Path(picture.to(shape))), name)


def _label(shape: Shape) -> str:
    return short("Crop") if shape is Shape.CROP else short("Pad")


def _ordered(shape: Shape) -> str:
    return tr("Ordered, cropped.") if shape is Shape.CROP else tr("Ordered, padded.")


async def _end(offer: discord.Message, words: str) -> None:
    """Take the buttons away. It may fail, and is not done after a restart: they would only be refused."""
    try:
        await offer.edit(content=words, embeds=[], attachments=[], view=None)
    except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
        log.info("offer %d keeps its buttons: %s", offer.id, error)


def _button(answer: Callable[[discord.Interaction[Any], _Click], Awaitable[None]]) -> Button:
    answers = "|".join((*Shape, _CANCEL))

    def draw(click: _Click) -> discord.ui.Button[Any]:
        cancels = click.answer == _CANCEL
        return discord.ui.Button(
            label=short("Cancel") if cancels else _label(Shape(click.answer)),
            style=discord.ButtonStyle.secondary if cancels else discord.ButtonStyle.primary,
            custom_id=f"{_START}{click.answer}:{click.draft_id}{_PRIVATE if click.private else ''}",
        )

    return lasting_button(
        _START + rf"(?P<answer>{answers}):(?P<draft>[1-8]?[0-9]{{1,18}})(?P<private>{_PRIVATE})?",
        draw,
        lambda match, _: _Click(match["answer"], int(match["draft"]), match["private"] is not None),
        answer,
    )
