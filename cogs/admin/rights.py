"""Who may use `/admin` and its buttons: *Manage Server*, unless the server's own settings say otherwise.

Discord asks this itself before it sends a command, but not before it sends the click of a button.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import discord

from bot.domain.errors import Refusal
from bot.domain.language import tr
from bot.domain.servers import NO_SERVER
from cogs.people import must_know_server, role_ids, server_of

NAME = "admin"
NEEDED = discord.Permissions(manage_guild=True)

#: Seconds that settings are remembered: Discord tells of changes, but not while the connection is lost.
_REMEMBERED = 60
#: Seconds, of the three within which a click must be answered.
_PATIENCE = 2
_MOST_SERVERS = 1000


@dataclass(frozen=True, slots=True)
class _Said:
    """What one of a server's settings says, by the id of a member or role."""

    members: Mapping[int, bool]
    roles: Mapping[int, bool]

    def of(self, member_id: int, roles: frozenset[int], everyone: int) -> bool | None:
        """The member's own entry, else those of the roles, of which one that allows is enough, else everyone's."""
        if member_id in self.members:
            return self.members[member_id]
        found = [self.roles[role] for role in roles if role in self.roles]
        return any(found) if found else self.roles.get(everyone)


_NOTHING = _Said({}, {})
_Pair = tuple[_Said, _Said]


class Overrides:
    """What servers' own settings say of `/admin`, remembered for a minute.

    `command_id` is what Discord gave `/admin`; it stays while the command does.
    """

    def __init__(self, client: discord.Client, command_id: int, monotonic: Callable[[], float]) -> None:
        self._client = client
        self._command_id = command_id
        self._monotonic = monotonic
        self._read: dict[int, tuple[float, asyncio.Task[_Pair]]] = {}

    async def of(self, interaction: discord.Interaction[Any]) -> bool | None:
        """What is said of this member; None where nothing is. `Refusal` where Discord does not answer."""
        server_id, user = interaction.guild_id or 0, interaction.user
        command, app = await self._settings(server_id)
        said = command.of(user.id, role_ids(user), server_id)
        if said is not None:
            return said
        # Settings of the whole app can only forbid; what is allowed there still needs the permission.
        return False if app.of(user.id, role_ids(user), server_id) is False else None

    def forget(self, server_id: int) -> None:
        """The server's settings have changed. What is being read is no longer remembered."""
        self._read.pop(server_id, None)

    async def _settings(self, server_id: int) -> _Pair:
        until, reading = self._read.get(server_id, (0.0, None))
        if reading is None or until <= self._monotonic() or _failed(reading):
            self._read.pop(server_id, None)
            while len(self._read) >= _MOST_SERVERS:
                self._read.pop(next(iter(self._read)))
            reading = asyncio.create_task(self._ask(server_id))
            self._read[server_id] = self._monotonic() + _REMEMBERED, reading
        try:
            # Several may wait for one answer, and one who goes away must not take it from the others.
            return await asyncio.shield(reading)
        except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Refusal(
                tr(
                    "Discord does not say just now who may use this in this server. Nothing was changed; try again "
                    "in a minute."
                )
            ) from error

    async def _ask(self, server_id: int) -> _Pair:
        async with asyncio.timeout(_PATIENCE):
            command, app = await asyncio.gather(
                self._entries(server_id, self._command_id),
                self._entries(server_id, self._client.application_id or 0),
            )
        return command, app

    async def _entries(self, server_id: int, target: int) -> _Said:
        try:
            data = await self._client.http.get_application_command_permissions(
                self._client.application_id or 0, server_id, target
            )
        except discord.NotFound:
            return _NOTHING  # nobody has changed anything there
        types, entries = discord.AppCommandPermissionType, data["permissions"]
        members, roles = (
            {int(entry["id"]): entry["permission"] for entry in entries if entry["type"] == kind.value}
            for kind in (types.user, types.role)
        )
        return _Said(members, roles)


def _failed(reading: asyncio.Task[_Pair]) -> bool:
    return reading.done() and (reading.cancelled() or reading.exception() is not None)


async def must_be_admin(interaction: discord.Interaction[Any]) -> None:
    """`Refusal` for everybody whom the server does not let use `/admin`, and where that cannot be told."""
    if server_of(interaction) == NO_SERVER or not await _may(interaction):
        raise Refusal(
            tr(
                "That is for this server's admins: it needs the permission *Manage Server*, or the `/admin` command "
                "allowed to you in the server's settings under Integrations."
            )
        )


async def _may(interaction: discord.Interaction[Any]) -> bool:
    must_know_server(interaction)
    if interaction.permissions.administrator:
        return True
    overrides: Overrides = interaction.client.overrides
    allowed = await overrides.of(interaction)
    return interaction.permissions >= NEEDED if allowed is None else allowed
