"""What happens on a command: everything is checked, then the price of every clip is held at once."""

import asyncio
import logging
import unicodedata
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bot.domain.catalog import Catalog, Format, ImageRules, Mode, Offer
from bot.domain.errors import (
    NotAVideo,
    OverLimit,
    PictureRefused,
    ProviderBusy,
    Refusal,
    StaleTask,
    WrongShape,
)
from bot.domain.language import kept, reader, said, tr
from bot.domain.limits import LimitHit, Scope, explain
from bot.domain.money import dollars
from bot.domain.ports import Clock, NewId
from bot.domain.prose import together
from bot.domain.shapes import Reshaped, Shape
from bot.domain.task import FINAL, Frame, Task, TaskState
from bot.media import pictures
from bot.media.files import discard, make_room, on_disk
from bot.providers.downloads import Downloads
from bot.services.access import Access, paused
from bot.services.router import Router
from bot.vault import PLAIN, Vault
from storage.tasks import Placed, TaskStore

log = logging.getLogger(__name__)

PROMPT_LIMIT = 2000
COUNT_LIMIT = 4
#: A held task waits this long for its progress message, which also gives its pictures their address.
_ANNOUNCE_MILLISECONDS = 20_000
_PICTURE_SECONDS = 60
#: What shows nothing: white space, format and combining marks, and the fillers that Unicode counts as letters.
_BLANK_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Mn", "Me"})
_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file as Discord describes it; nothing of it is believed before it was opened. `size` is bytes.

    `file` is a picture that is on disk already, and then taken from there.
    """

    name: str
    url: str
    size: int
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One command as the member sent it, unchecked. Ids are Discord's; `upload_limit` is bytes.

    `role_ids` are the member's; `around_ids` are what the channel lies in, the nearest first: a thread's channel, its
    category. `parent_id` is the clip that it goes on from.
    """

    interaction_id: int
    server_id: int
    server_name: str
    channel_id: int
    member_id: int
    mode: Mode
    prompt: str
    format_id: str | None = None
    camera: str | None = None
    count: int = 1
    enhance: bool = True
    attachments: tuple[Attachment, ...] = ()
    upload_limit: int | None = None
    role_ids: frozenset[int] = frozenset()
    around_ids: tuple[int, ...] = ()
    private: bool = False
    parent_id: str | None = None


class Requests:
    def __init__(  # noqa: PLR0913 - all that stands between a command and its hold
        self,
        tasks: TaskStore,
        catalog: Catalog,
        downloads: Downloads,
        *,
        providers: Sequence[str],
        router: Router,
        access: Access,
        default_format: Format,
        frames: Path,
        clock: Clock,
        new_id: NewId,
        vault: Vault = PLAIN,
    ) -> None:
        self._tasks = tasks
        self._catalog = catalog
        self._downloads = downloads
        self._providers = providers
        self._router = router
        self._access = access
        self._default = default_format
        self._frames = frames
        #: Where pictures wait for their member's choice of a shape.
        self.drafts = frames / "drafts"
        self._clock = clock
        self._new_id = new_id
        self._vault = vault
        self._placing: set[int] = set()

    async def place(self, order: Order) -> Placed:
        """Check an order and hold its price. `Refusal` says what was wrong; then nothing was held.

        An interaction that Discord delivers twice finds its tasks, or none while the first is being placed.
        """
        if order.interaction_id in self._placing:
            return Placed([], again=True)
        self._placing.add(order.interaction_id)
        try:
            return await self._place(order)
        finally:
            self._placing.discard(order.interaction_id)

    async def _place(self, order: Order) -> Placed:
        # First, because what was allowed when it was placed may be refused by now.
        if known := await self._tasks.of_interaction(order.interaction_id):
            return Placed(known, again=True)
        prompt = clean_prompt(order.prompt)
        await self._allowed(order, prompt)
        offers = self._offers(order.mode, self._format(order.mode, order.format_id))
        self._check_options(order, prompt, offers[0])
        # Before two files are fetched and opened for nothing; the hold looks again.
        if order.attachments and (hit := await self._no_room(order, prompt, offers)):
            raise OverLimit(await self._explained(hit, order, prompt, offers[0]))
        frames = await self._prepare_frames(order, offers)
        try:
            if frames:
                await self._allowed(order, prompt)  # fetching them may have taken a minute
            placed = await self._hold(order, prompt, offers, frames)
        except asyncio.CancelledError:
            raise  # the transaction runs to its end all the same, and its tasks need their pictures
        except BaseException:
            _remove(frames)
            raise
        if placed.tasks:
            return placed
        _remove(frames)
        if placed.hit:
            raise OverLimit(await self._explained(placed.hit, order, prompt, offers[0]))
        raise Refusal(paused(placed.pause_reason or ""))

    async def _allowed(self, order: Order, prompt: str) -> None:
        await self._access.check(
            order.server_id,
            member_id=order.member_id,
            role_ids=order.role_ids,
            channel_ids=(order.channel_id, *order.around_ids),
            prompt=prompt,
        )

    async def cancel(self, task_id: str, *, member_id: int, server_id: int | None) -> Task:
        """Cancel one's own task while nothing was paid; `Refusal` says why it cannot be any more.

        `server_id` is None where its own message is clicked, which may stand in direct messages.
        """
        task = await self._tasks.get(task_id)
        if task is None or task.member_id != member_id or server_id not in {None, task.server_id}:
            raise Refusal(tr("There is no such task of yours here. `/tasks list` shows the ones you have."))
        if task.state is not TaskState.HELD:
            raise Refusal(too_late(task))
        try:
            note = kept("cancelled by the member")
            await self._tasks.end(task, TaskState.CANCELLED, self._clock(), note=note)
        except StaleTask:
            raise Refusal(too_late(await self._tasks.get(task_id) or task)) from None
        siblings = await self._tasks.of_interaction(task.interaction_id)
        # Those of a delivered clip are kept for a while.
        if all(sibling.state in FINAL - {TaskState.DELIVERED} for sibling in siblings):
            await asyncio.to_thread(
                _remove, [frame for frame in (task.first_frame, task.last_frame) if frame]
            )
        return await self._tasks.get(task_id) or task

    async def _no_room(self, order: Order, prompt: str, offers: Sequence[Offer]) -> LimitHit | None:
        """The limit in the way of even the least hold, where no provider is without one."""
        hits = [
            await self._tasks.limit_hit(self._drafts(order, prompt, offer, offer.micros, ()), order.role_ids)
            for offer in offers
        ]
        return hits[0] if all(hits) else None

    async def _explained(self, hit: LimitHit, order: Order, prompt: str, offer: Offer) -> str:
        """The refusal, and the dearest format that would still fit; a budget's end is noted for its alarm."""
        if hit.limit.scope is Scope.SERVER:
            drafts = self._drafts(order, prompt, offer, offer.micros, ())
            await self._tasks.note_refused(drafts, order.role_ids)
        for count in range(order.count, 0, -1):
            if fits := await self._dearest_fitting(replace(order, count=count), prompt):
                return f"{explain(hit)} {self._fitting(fits, count, order.count)}"
        nothing = tr("No other format would fit either.")
        return together(explain(hit), nothing)

    def _fitting(self, offer: Offer, count: int, asked_for: int) -> str:
        """That so many clips of an offer would fit, of the several that were asked for."""
        if asked_for == 1:
            return tr("{format} would still fit.", format=self._catalog.label(offer))
        if count == 1:
            return tr("One clip of {format} would still fit.", format=self._catalog.label(offer))
        return tr(
            "{number} clips of {format} at {price} each would still fit.",
            number=count,
            format=self._catalog.format_label(offer.format),
            price=dollars(offer.micros),
        )

    async def _dearest_fitting(self, order: Order, prompt: str) -> Offer | None:
        """The dearest of the menu's formats for which the limits leave room."""
        rooms: dict[str, int | None] = {}
        for offer in sorted(self._catalog.menu(order.mode, self._providers), key=lambda one: -one.micros):
            if offer.provider not in rooms:
                draft = self._drafts(order, prompt, offer, offer.micros, ())[0]
                rooms[offer.provider] = await self._tasks.room(draft, order.role_ids)
            room = rooms[offer.provider]
            if room is None or offer.micros * order.count <= room:
                return offer
        return None

    async def _hold(
        self, order: Order, prompt: str, offers: Sequence[Offer], frames: Sequence[Frame]
    ) -> Placed:
        """Give it to the best offer that limits leave room for, with the dearest hold they leave room for.

        What is held decides which of the other offers may be used later.
        """
        prices = sorted({offer.micros for offer in offers}, reverse=True)
        hits: list[LimitHit] = []
        for offer in offers:
            for price in (price for price in prices if price >= offer.micros):
                drafts = self._drafts(order, prompt, offer, price, frames)
                placed = await self._tasks.place(
                    drafts, server_name=order.server_name, role_ids=order.role_ids
                )
                if not placed.hit:
                    return placed
                hits.append(placed.hit)
        return Placed([], hit=min(hits, key=lambda hit: hit.price))

    def _offers(self, mode: Mode, chosen: Format) -> list[Offer]:
        """The offers of a format that can be taken now, the best first."""
        if offers := self._router.offers(mode, chosen):
            return offers
        resting = [
            f"{self._catalog.providers[offer.provider].label}: {said(self._router.resting(offer.provider) or '')}"
            for offer in self._catalog.offers_for(mode, chosen, self._providers)
        ]
        raise Refusal(
            tr(
                "No provider of this format takes jobs now ({reasons}). Try again in some minutes, or choose another "
                "format.",
                reasons="; ".join(resting),
            )
        )

    def _format(self, mode: Mode, format_id: str | None) -> Format:
        if format_id is None:
            offer = self._catalog.default(mode, self._providers, self._default)
            if offer is None:
                raise Refusal(_no_provider(mode))
            return offer.format
        try:
            offers = self._catalog.offers_for(mode, Format.parse(format_id), self._providers)
        except ValueError:
            offers = []
        if not offers:
            menu = ", ".join(f"`{offer.format.id}`" for offer in self._catalog.menu(mode, self._providers))
            raise Refusal(_no_format(mode, format=_shown(format_id), formats=menu))
        return offers[0].format

    def _check_options(self, order: Order, prompt: str, offer: Offer) -> None:
        if order.camera is not None and order.camera not in self._catalog.cameras:
            known = ", ".join(self._catalog.cameras)
            raise Refusal(
                tr(
                    "There is no camera command `{camera}`. Choose one of: {cameras}.",
                    camera=_shown(order.camera),
                    cameras=known,
                )
            )
        if not 1 <= order.count <= COUNT_LIMIT:
            raise Refusal(
                tr("`count` was {number}; it can be 1 to {most}.", number=order.count, most=COUNT_LIMIT)
            )
        most = self._catalog.providers[offer.provider].prompt_limit
        length = len(with_camera(prompt, order.camera))
        if length > most:
            raise Refusal(
                tr(
                    "The prompt has {found} characters with its camera command; at most {most} are allowed. Shorten "
                    "it by {surplus}.",
                    found=f"{length:,}",
                    most=f"{most:,}",
                    surplus=f"{length - most:,}",
                )
            )
        wanted = {Mode.TEXT: 0, Mode.IMAGE: 1, Mode.TRANSITION: 2}[order.mode]
        if len(order.attachments) != wanted:
            raise Refusal(_pictures_wanted(order.mode, found=len(order.attachments)))

    def _drafts(
        self, order: Order, prompt: str, offer: Offer, price: int, frames: Sequence[Frame]
    ) -> list[Task]:
        at = self._clock()
        first, last = [*frames, None, None][:2]
        return [
            Task(
                id=self._new_id(),
                interaction_id=order.interaction_id,
                ordinal=ordinal,
                server_id=order.server_id,
                channel_id=order.channel_id,
                member_id=order.member_id,
                mode=order.mode,
                format=offer.format,
                prompt=prompt,
                camera=order.camera,
                enhance=order.enhance,
                first_frame=first,
                last_frame=last,
                provider=offer.provider,
                price_micros=price,
                list_micros=offer.micros,
                upload_limit=order.upload_limit,
                private=order.private,
                state=TaskState.HELD,
                created_at=at,
                changed_at=at,
                due_at=at + _ANNOUNCE_MILLISECONDS,
                parent_id=order.parent_id,
                language=reader(),
            )
            for ordinal in range(order.count)
        ]

    async def _prepare_frames(self, order: Order, offers: Sequence[Offer]) -> list[Frame]:
        """Checked for every provider that may get them."""
        rules = ImageRules.strictest([self._catalog.providers[offer.provider].image for offer in offers])
        frames: list[Frame] = []
        found: list[str] = []
        reshaped: list[Reshaped] = []
        try:
            for attachment, which in zip(order.attachments, ("first", "last"), strict=False):
                target = self._frames / f"{order.interaction_id}-{which}.jpg"
                try:
                    await self._prepare_frame(attachment, target, rules)
                except WrongShape as problem:
                    found.append(problem.found)
                    reshaped += problem.pictures
                else:
                    frames.append(Frame(str(target)))
                    reshaped.append(Reshaped(attachment.name, str(target), str(target)))
            drafted = [await self._drafted(one) for one in reshaped] if found else []
        except BaseException:
            _remove(frames)
            raise
        if found:
            raise WrongShape(together(*found), tuple(drafted), offers[0])
        return frames

    async def _prepare_frame(self, attachment: Attachment, target: Path, rules: ImageRules) -> None:
        if attachment.size > rules.max_bytes:
            raise PictureRefused(
                tr(
                    "`{file}` has {found} MB; at most {most} MB are allowed. Send a smaller copy.",
                    file=_shown(attachment.name),
                    found=f"{attachment.size / 1e6:.1f}",
                    most=f"{rules.max_bytes / 1e6:.0f}",
                )
            )
        await asyncio.to_thread(make_room, self._frames)
        try:
            async with self._raw(attachment, target, rules) as raw:
                try:
                    async with self._vault.arriving(target) as part:
                        await pictures.prepare(raw, part, rules, name=attachment.name)
                except WrongShape as problem:
                    shapes = await self._reshaped(raw, target, rules, attachment.name)
                    raise WrongShape(problem.found, (shapes,)) from problem
        except (ProviderBusy, NotAVideo) as error:
            log.warning("interaction picture not read: %s", error)
            raise PictureRefused(
                tr(
                    "`{file}` could not be read from Discord: {problem} Send the command once more, with a picture "
                    "of at most {most} MB.",
                    file=_shown(attachment.name),
                    problem=said(str(error)),
                    most=f"{rules.max_bytes / 1e6:g}",
                )
            ) from error

    @asynccontextmanager
    async def _raw(self, attachment: Attachment, target: Path, rules: ImageRules) -> AsyncIterator[Path]:
        """The picture as it came, while the block lasts."""
        if attachment.file:
            async with self._vault.opened(Path(attachment.file)) as file:
                yield file
            return
        # As it came it may tell where it was taken; with a dot before its name no start finds an owner for it.
        raw = target.with_name(f".{target.stem}.upload")
        try:
            await self._downloads.fetch(attachment.url, raw, limit=rules.max_bytes, seconds=_PICTURE_SECONDS)
            yield raw
        finally:
            discard(raw)

    async def _reshaped(self, raw: Path, target: Path, rules: ImageRules, name: str) -> Reshaped:
        """Both shapes of a picture, among the drafts: what its member does not choose is swept away there."""
        await asyncio.to_thread(make_room, self.drafts)
        cropped, padded = (self.drafts / f"{target.stem}-{shape}.jpg" for shape in Shape)
        async with AsyncExitStack() as stack:
            parts = [
                await stack.enter_async_context(self._vault.arriving(file))
                for shape in (cropped, padded)
                for file in (shape, pictures.preview_of(shape))
            ]
            await pictures.reshape(
                raw, rules, name=name, cropped=(parts[0], parts[1]), padded=(parts[2], parts[3])
            )
        return Reshaped(name, str(cropped), str(padded))

    async def _drafted(self, picture: Reshaped) -> Reshaped:
        """One that fits, kept with the others."""
        if not picture.fits:
            return picture
        draft = self.drafts / Path(picture.cropped).name
        with on_disk(draft):
            await asyncio.to_thread(Path(picture.cropped).replace, draft)
        return Reshaped(picture.name, str(draft), str(draft))


def clean_prompt(prompt: str) -> str:
    """The prompt without what no provider can read; `Refusal` where nothing visible is left, or too much."""
    words = "".join(
        character
        for character in prompt
        if character in "\n\t" or unicodedata.category(character) not in {"Cc", "Cs"}
    ).strip()
    if not any(_visible(character) for character in words):
        raise Refusal(
            tr("The prompt is empty or has only invisible characters. Say in words what should be seen.")
        )
    if len(words) > PROMPT_LIMIT:
        raise Refusal(
            tr(
                "The prompt has {found} characters; at most {most} are allowed. Shorten it by {surplus}.",
                found=f"{len(words):,}",
                most=f"{PROMPT_LIMIT:,}",
                surplus=f"{len(words) - PROMPT_LIMIT:,}",
            )
        )
    return words


def _visible(character: str) -> bool:
    return character not in _BLANK_LETTERS and unicodedata.category(character) not in _BLANK_CATEGORIES


def with_camera(prompt: str, camera: str | None) -> str:
    """The prompt as a provider gets it: the camera command behind it in square brackets."""
    return f"{prompt} [{camera}]" if camera else prompt


def too_late(task: Task) -> str:
    """Why a task can be cancelled no more."""
    match task.state:
        case TaskState.FAILED:
            return tr(
                "Task `{task}` has already ended (failed); nothing is held for it any more.", task=task.id
            )
        case TaskState.CANCELLED:
            return tr(
                "Task `{task}` has already ended (cancelled); nothing is held for it any more.", task=task.id
            )
        case TaskState.SUCCEEDED | TaskState.DELIVERED:
            return tr("Task `{task}` is already finished and paid.", task=task.id)
        case _:
            return tr(
                "Task `{task}` is already with its provider, which cannot stop it and bills for it. The clip will be "
                "posted when it is ready.",
                task=task.id,
            )


def _no_format(mode: Mode, **values: str) -> str:
    match mode:
        case Mode.TEXT:
            return tr(
                "There is no format `{format}` for text clips here. Choose one of: {formats}.", **values
            )
        case Mode.IMAGE:
            return tr(
                "There is no format `{format}` for image clips here. Choose one of: {formats}.", **values
            )
        case Mode.TRANSITION:
            return tr(
                "There is no format `{format}` for transition clips here. Choose one of: {formats}.", **values
            )


def _pictures_wanted(mode: Mode, *, found: int) -> str:
    match mode:
        case Mode.TEXT:
            return tr("`/video text` takes 0 pictures; {found} came.", found=found)
        case Mode.IMAGE:
            return tr("`/video image` takes 1 picture; {found} came.", found=found)
        case Mode.TRANSITION:
            return tr("`/video transition` takes 2 pictures; {found} came.", found=found)


def _no_provider(mode: Mode) -> str:
    match mode:
        case Mode.TEXT:
            return tr("No provider that is switched on makes text clips. The operator can add one.")
        case Mode.IMAGE:
            return tr("No provider that is switched on makes image clips. The operator can add one.")
        case Mode.TRANSITION:
            return tr("No provider that is switched on makes transition clips. The operator can add one.")


def _shown(text: str) -> str:
    """A member's words inside a code span: short, and unable to end it."""
    return text.replace("`", "'").replace("\n", " ")[:80]


def _remove(frames: Sequence[Frame]) -> None:
    for frame in frames:
        discard(Path(frame.path))
