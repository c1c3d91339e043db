"""What is ordered from a posted clip: the same again, the same with changes, or what comes after its last frame."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bot.domain.catalog import Catalog, Mode
from bot.domain.errors import NotAVideo, ProviderBusy, Refusal
from bot.domain.language import said, tr
from bot.domain.money import dollars
from bot.domain.task import Task
from bot.providers.downloads import Downloads
from bot.services.kept import Kept
from bot.services.requests import Attachment, Order

#: Bytes and seconds; Discord takes no larger file than this in any server.
LARGEST = 110_000_000
_SECONDS = 120.0
_PICTURES = {Mode.TEXT: 0, Mode.IMAGE: 1, Mode.TRANSITION: 2}


class Remakes:
    def __init__(
        self,
        catalog: Catalog,
        downloads: Downloads,
        kept: Kept,
        *,
        providers: Sequence[str],
    ) -> None:
        self._catalog = catalog
        self._downloads = downloads
        self._kept = kept
        self._providers = providers
        self._busy: set[tuple[int, str]] = set()

    @contextmanager
    def once(self, member_id: int, task_id: str) -> Iterator[None]:
        """While it is entered, the member's further clicks are refused: each would cost its own price."""
        key = (member_id, task_id)
        if key in self._busy:
            raise Refusal(
                tr(
                    "Your click before this one is still being worked on, and this one ordered nothing. To order "
                    "twice, click again once the first has its own message."
                )
            )
        self._busy.add(key)
        try:
            yield
        finally:
            self._busy.discard(key)

    async def again(self, task: Task, order: Order) -> Order:
        """The same clip anew, at a price not above the one that was held for it: that is the one shown."""
        _must_be_whole(task)
        offers = self._catalog.offers_for(task.mode, task.format, self._providers)
        if offers and offers[0].micros > task.price_micros:
            raise Refusal(
                tr(
                    "This format costs {price} now; when the clip was made it was {before}. **Edit** shows today's "
                    "prices and orders it.",
                    price=dollars(offers[0].micros),
                    before=dollars(task.price_micros),
                )
            )
        return await self.edited(task, order)

    async def edited(self, task: Task, order: Order) -> Order:
        """An order with other words, made of the same pictures."""
        _must_be_whole(task)
        return replace(order, attachments=await self.pictures(task), parent_id=task.parent_id)

    async def pictures(self, task: Task) -> tuple[Attachment, ...]:
        """The pictures a clip was made of; `Refusal` where they are gone."""
        found = [one for one in await self._kept.pictures(task) if await self._kept.can_be_read(one)]
        if len(found) < _PICTURES[task.mode]:
            raise Refusal(_pictures_gone(task))
        return tuple(map(_kept, found))

    async def continued(self, task: Task, order: Order, url: str | None) -> Order:
        """What comes after a clip; `url` is where Discord has it, should its last frame be kept no longer."""
        _must_be_whole(task)
        end = await self._kept.end_of(task) or await self._end_from(task, url)
        return replace(order, attachments=(_kept(end),), parent_id=task.id)

    async def _end_from(self, task: Task, url: str | None) -> Path:
        if url is None:
            raise Refusal(
                tr(
                    "The clip's last frame is no longer kept, and its message has no file. Save a picture of the "
                    "clip's end and attach it to `/video image` instead."
                )
            )
        try:
            async with self._kept.passing() as file:
                await self._downloads.fetch(url, file, limit=LARGEST, seconds=_SECONDS)
                return await self._kept.take_end(task, file)
        except (ProviderBusy, NotAVideo) as error:
            raise Refusal(
                tr(
                    "The clip's last frame could not be had. {problem} Try again; else: Save a picture of the clip's "
                    "end and attach it to `/video image` instead.",
                    problem=said(str(error)),
                )
            ) from error


def _must_be_whole(task: Task) -> None:
    """`Refusal` for a clip whose prompt and pictures were erased."""
    if task.erased:
        raise Refusal(
            tr(
                "The prompt and the pictures of this clip are erased, so nothing can be made of it. Use `/video` "
                "instead."
            )
        )


def _pictures_gone(task: Task) -> str:
    if task.mode is Mode.IMAGE:
        return tr(
            "The picture of this clip can no longer be had. Attach it to `/video image`; the prompt stands in the "
            "message."
        )
    return tr(
        "The pictures of this clip can no longer be had. Attach them to `/video transition`; the prompt stands in "
        "the message."
    )


def _kept(picture: Path) -> Attachment:
    return Attachment(tr("the clip's picture"), "", 0, file=str(picture))
