"""The world of the stand-in: servers, channels and members, what they show, and what happened so far."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import discord
from simcord.backend.models import Overwrite
from simcord.components import walk_components
from simcord.enums import OverwriteType

from bot.demo.backend import LOADING, Ping, StrictBackend

if TYPE_CHECKING:
    from bot.demo.wire import Request

BOT_PERMISSIONS: Final = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    embed_links=True,
    attach_files=True,
    read_message_history=True,
)
_EVERYONE: Final = discord.Permissions(view_channel=True, use_application_commands=True)
_SHOWN_REQUESTS: Final = 15
_TEXT_DISPLAY: Final = 10


@dataclass(frozen=True, slots=True)
class Server:
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel or thread of a server; without a server, a DM with the bot."""

    id: int
    name: str
    server: Server | None


@dataclass(frozen=True, slots=True)
class Member:
    id: int
    name: str
    server: Server

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"


@dataclass(frozen=True, slots=True)
class Attachment:
    filename: str
    url: str
    size: int
    description: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """What one message showed at the moment of asking."""

    id: int
    channel_id: int
    author_id: int
    content: str
    embeds: tuple[Mapping[str, Any], ...]
    attachments: tuple[Attachment, ...]
    components: tuple[Mapping[str, Any], ...]
    ephemeral: bool
    loading: bool
    nonce: str | int | None

    @property
    def words(self) -> str:
        """All that it says, whichever way it is laid out."""
        return words_of(self.content, self.components)


def words_of(content: str, components: Iterable[Mapping[str, Any]]) -> str:
    displays = [part["content"] for part in walk_components(components) if part["type"] == _TEXT_DISPLAY]
    return "\n".join(filter(None, [content, *displays]))


def see(backend: StrictBackend, stored: Any) -> Message:
    return Message(
        id=stored.id,
        channel_id=stored.channel_id,
        author_id=stored.author_id,
        content=stored.content,
        embeds=tuple(deepcopy(stored.embeds)),
        attachments=tuple(
            Attachment(entry["filename"], entry["url"], entry["size"], entry["description"])
            for entry in stored.attachments
        ),
        components=tuple(deepcopy(stored.components)),
        ephemeral=stored.is_ephemeral,
        loading=bool(stored.flags & LOADING),
        nonce=backend.nonces.get(stored.id),
    )


class Journal:
    """What happened so far, and waiting for what is still to happen."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.problems: list[str] = []
        self._change = asyncio.Event()

    def changed(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    async def until(self, predicate: Callable[[], object], seconds: float = 30) -> None:
        """Wait until the predicate is true; it is asked again after every request and event."""
        try:
            async with asyncio.timeout(seconds):
                while not predicate():
                    await self._change.wait()
        except TimeoutError:
            shown = "".join(f"\n  {request}" for request in self.requests[-_SHOWN_REQUESTS:])
            raise TimeoutError(f"not within {seconds} s; the last requests:{shown or ' none'}") from None


class World(Journal):
    """Servers and who is in them."""

    def __init__(self, backend: StrictBackend) -> None:
        super().__init__()
        self.backend = backend
        self.upload_limit = 10 * 2**20
        #: What members have set Discord to.
        self.locale = "en-US"
        self.nonce_seconds = 300.0

    @property
    def pings(self) -> list[Ping]:
        return self.backend.pings

    async def add_server(self, name: str, bot_permissions: discord.Permissions = BOT_PERMISSIONS) -> Server:
        guild = self.backend.create_guild(name)
        (bot_role,) = guild.members[self.backend.bot_user.id].role_ids
        for role, permissions in ((guild.id, _EVERYONE), (bot_role, bot_permissions)):
            self.backend.edit_role(guild.id, role, {"permissions": permissions.value})
        return Server(guild.id, name)

    async def add_channel(self, server: Server, name: str) -> Channel:
        return Channel(self.backend.create_channel(server.id, name).id, name, server)

    async def add_thread(self, channel: Channel, name: str, owner: Member) -> Channel:
        return Channel(self.backend.create_thread(channel.id, name, owner.id).id, name, channel.server)

    async def delete_channel(self, channel: Channel) -> None:
        self.backend.delete_channel(channel.id)

    async def add_member(self, server: Server, name: str, *, administrator: bool = False) -> Member:
        user = self.backend.make_user(name)
        roles = []
        if administrator:
            power = discord.Permissions(administrator=True).value
            roles.append(self.backend.create_role(server.id, f"{name}'s role", permissions=power).id)
        self.backend.add_member(server.id, user.id, roles=roles, announce=True)
        return Member(user.id, name, server)

    async def deny(self, channel: Channel, *permissions: str) -> None:
        """Take these permissions, and no others, from the bot in this channel."""
        denied = discord.Permissions(**dict.fromkeys(permissions, True)).value
        overwrite = Overwrite(self.backend.bot_user.id, OverwriteType.MEMBER, deny=denied)
        self.backend.set_overwrite(channel.id, overwrite)

    async def deny_dms(self, member: Member) -> None:
        self.backend.closed_dms.add(member.id)

    async def dm(self, member: Member) -> Channel:
        return Channel(self.backend.get_dm_channel(member.id).id, member.name, None)

    def messages(self, channel: Channel) -> list[Message]:
        """All of them, oldest first; the ephemeral ones too."""
        stored = self.backend.messages.get(channel.id, {})
        return [see(self.backend, stored[key]) for key in sorted(stored)]

    def attachment_bytes(self, url: str) -> bytes:
        data: bytes | None = self.backend.cdn.get(url)
        if data is None:
            raise LookupError(f"{url} is no link that works now")
        return data
