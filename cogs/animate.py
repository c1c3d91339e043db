"""**Animate image**: a message's picture becomes the first frame of a clip."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import discord
from discord import app_commands
from pydantic import TypeAdapter

from bot.domain.catalog import Catalog, Format, Mode
from bot.domain.errors import Refusal
from bot.domain.language import short, tr, trn
from bot.posting import texts
from bot.services.drafts import MENU, Drafts
from bot.services.requests import PROMPT_LIMIT, Attachment
from cogs import modals
from cogs.acknowledge import acknowledge, errors_told
from cogs.people import privately, server_of
from cogs.video import CHOICES, Video

NAME: Final = "Animate image"
#: The menu's interaction follows, with which the pictures are kept.
_FORM = "conch:animate:"
#: A Discord id that fits into 64 bits with their sign; a made-up one need not.
_ID = re.compile(_FORM + r"([1-8]?[0-9]{1,18})")
_TAKEN = ("image/png", "image/jpeg", "image/webp")
#: Discord's own copies: files that members send, and the pictures of embeds, fetched by its proxies.
_FILES, _PROXIES = "cdn.discordapp.com", ".discordapp.net"
_LABEL = 100

_Pictures = TypeAdapter(tuple[Attachment, ...])


class Animate:
    """The menu on a message, and the form behind it. `trusted` are hosts that tests serve Discord's files from."""

    def __init__(
        self,
        video: Video,
        drafts: Drafts,
        catalog: Catalog,
        providers: Sequence[str],
        default_format: Format,
        *,
        trusted: frozenset[str] = frozenset(),
    ) -> None:
        self._video = video
        self._drafts = drafts
        self._catalog = catalog
        self._providers = providers
        self._default = default_format
        self._trusted = trusted

    async def open(self, interaction: discord.Interaction[Any], message: discord.Message) -> None:
        """Show the form; what it is about is kept on disk, since an id has no room for Discord's addresses."""
        pictures = tuple(pictures_of(message, self._trusted))[:CHOICES]
        if not pictures:
            raise Refusal(_nothing(message))
        # A modal must be the first answer and comes in time whatever the disk does.
        await modals.show(interaction, self._form(interaction.id, pictures))
        await self._drafts.keep(
            interaction.id,
            MENU,
            server_id=server_of(interaction),
            member_id=interaction.user.id,
            content=_Pictures.dump_json(pictures).decode(),
        )

    async def submitted(self, interaction: discord.Interaction[Any]) -> None:
        """A listener for every interaction: takes up the submits of this form."""
        form, values = modals.submitted(interaction)
        if not (about := _ID.fullmatch(form)):
            return
        async with errors_told(interaction):
            await self._order(interaction, int(about[1]), values)

    async def _order(
        self, interaction: discord.Interaction[Any], menu: int, values: dict[str, modals.Value]
    ) -> None:
        private = privately(interaction, values.get("private"))
        if not await acknowledge(interaction, ephemeral=private):
            return
        async with self._drafts.used(
            menu,
            MENU,
            server_id=server_of(interaction),
            member_id=interaction.user.id,
            by=interaction.id,
        ) as kept:
            pictures = _Pictures.validate_json(kept)
            number = _chosen(values, "picture") or "0"
            if not (number.isdecimal() and int(number) < len(pictures)):
                raise Refusal(
                    trn(
                        "The message had {number} picture, and that one was not chosen.",
                        "The message had {number} pictures, and one of those was not chosen.",
                        len(pictures),
                    )
                )
            options = {
                "prompt": str(values.get("prompt", "")),
                "format": _chosen(values, "format"),
                "camera": _chosen(values, "camera"),
                "count": 1,
                "enhance": True,
                "private": private,
            }
            await self._video.wish(interaction, Mode.IMAGE, options, [pictures[int(number)]])

    def _form(self, menu: int, pictures: Sequence[Attachment]) -> discord.ui.Modal:
        form = discord.ui.Modal(title=short("Animate image"), custom_id=f"{_FORM}{menu}")
        prompt: discord.ui.TextInput[Any] = discord.ui.TextInput(
            custom_id="prompt", style=discord.TextStyle.paragraph, min_length=1, max_length=PROMPT_LIMIT
        )
        form.add_item(discord.ui.Label(text=short("What should happen in the picture?"), component=prompt))
        if len(pictures) > 1:
            names = [f"{number}. {picture.name}" for number, picture in enumerate(pictures, 1)]
            listed = [
                discord.SelectOption(label=name[:_LABEL], value=str(place), default=place == 0)
                for place, name in enumerate(names)
            ]
            form.add_item(discord.ui.Label(text=short("Picture"), component=_select("picture", listed)))
        form.add_item(discord.ui.Label(text=short("Format"), component=_select("format", self._formats())))
        cameras = modals.cameras(self._catalog)
        if cameras:
            form.add_item(
                discord.ui.Label(
                    text=short("Camera"),
                    description=modals.hint(tr("Left out, the model decides")),
                    component=_select("camera", cameras, required=False),
                )
            )
        form.add_item(
            discord.ui.Label(
                text=short("Private"),
                description=modals.hint(
                    tr("Only you see the clip, by direct message; admins can look it up")
                ),
                component=discord.ui.Checkbox(custom_id="private"),
            )
        )
        return form

    def _formats(self) -> list[discord.SelectOption]:
        """The default and as many others as fit, in the order of the command's choices."""
        menu = self._catalog.menu(Mode.IMAGE, self._providers)
        default = self._catalog.default(Mode.IMAGE, self._providers, self._default)
        if default is None:
            raise Refusal(
                tr("No provider that is switched on makes clips from a picture. The operator can add one.")
            )
        shown = [offer for offer in menu if offer.format != default.format][: CHOICES - 1]
        return [
            discord.SelectOption(
                label=self._catalog.label(offer),
                value=offer.format.id,
                default=offer.format == default.format,
            )
            for offer in menu
            if offer.format == default.format or offer in shown
        ]


def command(animate: Animate) -> app_commands.ContextMenu:
    @app_commands.context_menu(name=NAME)
    async def menu(interaction: discord.Interaction[Any], message: discord.Message) -> None:
        await animate.open(interaction, message)

    return menu


def pictures_of(message: discord.Message, trusted: frozenset[str] = frozenset()) -> Iterator[Attachment]:
    """A message's pictures as Discord serves them, those of what it forwards too: files first, then embeds."""
    for file in (file for part in _parts(message) for file in part.attachments):
        if _kind(file) in _TAKEN and _served(file.url, trusted):
            yield Attachment(file.filename, file.url, file.size)
    for embed in (embed for part in _parts(message) for embed in part.embeds):
        for media in (embed.image, embed.thumbnail):
            # Never its `url`: that is a stranger's server, which would learn of us.
            if media.proxy_url and _served(media.proxy_url, trusted):
                yield Attachment(_name(media.url or media.proxy_url), media.proxy_url, 0)


def _parts(message: discord.Message) -> list[discord.Message | discord.MessageSnapshot]:
    return [message, *message.message_snapshots]


def _kind(file: discord.Attachment) -> str:
    """What Discord says it is, such as image/png."""
    return (file.content_type or "").partition(";")[0].strip().casefold()


def _served(address: str, trusted: frozenset[str]) -> bool:
    parts = urlsplit(address)
    host = parts.hostname or ""
    return host in trusted or (parts.scheme == "https" and (host == _FILES or host.endswith(_PROXIES)))


def _name(address: str) -> str:
    """The last part of an address's path, for people to tell pictures apart."""
    return urlsplit(address).path.rpartition("/")[2] or "picture"


def _nothing(message: discord.Message) -> str:
    others = [file for part in _parts(message) for file in part.attachments if _kind(file) not in _TAKEN]
    if not others:
        return tr("That message has no picture. Choose one with a PNG, JPEG or WebP picture.")
    unknown = tr("unknown")
    found = ", ".join(texts.plain(f"{file.filename} ({_kind(file) or unknown})") for file in others[:3])
    return tr(
        "That message has no picture that can be used, only {files}. Choose one with a PNG, JPEG or WebP picture.",
        files=found,
    )


def _select(
    custom_id: str, options: list[discord.SelectOption], *, required: bool = True
) -> discord.ui.Select[Any]:
    return discord.ui.Select(
        custom_id=custom_id, options=options, required=required, min_values=int(required), max_values=1
    )


def _chosen(values: dict[str, modals.Value], field: str) -> str | None:
    found = values.get(field)
    return str(found[0]) if isinstance(found, list) and found else None
