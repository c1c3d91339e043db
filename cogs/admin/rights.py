"""Who may use `/admin` and its buttons: *Manage Server*, unless the server's own settings say otherwise.

Discord asks this itself before it sends a command, but not before it sends the click of a button.
"""

from typing import Any
from weakref import WeakKeyDictionary

import discord
from discord import app_commands

from bot.domain.errors import Refusal

NAME = "admin"
NEEDED = discord.Permissions(manage_guild=True)

#: The id that Discord gave `/admin`: it stays while the command does.
_ids: WeakKeyDictionary[discord.Client, int] = WeakKeyDictionary()


async def must_be_admin(interaction: discord.Interaction[Any]) -> None:
    """`Refusal` for everybody whom the server does not let use `/admin`."""
    if interaction.guild is None or not await _may(interaction):
        raise Refusal(
            "That is for this server's admins: it needs the permission *Manage Server*, or the `/admin` command "
            "allowed to you in the server's settings under Integrations."
        )


async def _may(interaction: discord.Interaction[Any]) -> bool:
    if interaction.permissions.administrator:
        return True
    allowed = await _overridden(interaction)
    return interaction.permissions >= NEEDED if allowed is None else allowed


async def _overridden(interaction: discord.Interaction[Any]) -> bool | None:
    """What the server's settings say of this member and the command; None where they say nothing."""
    guild, client = interaction.guild, interaction.client
    command_id = await _command_id(client)
    if guild is None or command_id is None or client.application_id is None:
        return None
    for target in (command_id, client.application_id):
        try:
            data = await client.http.get_application_command_permissions(
                client.application_id, guild.id, target
            )
        except discord.NotFound:
            continue  # nobody has changed anything there
        said = _said(data["permissions"], interaction.user, guild)
        # Settings of the whole app can only forbid; what is allowed there still needs the permission.
        if said is False or (said and target == command_id):
            return said
    return None


def _said(entries: Any, user: discord.User | discord.Member, guild: discord.Guild) -> bool | None:
    """The member's own entry, else those of the roles, of which one that allows is enough, else everyone's."""
    types = discord.AppCommandPermissionType
    own = {int(entry["id"]): entry["permission"] for entry in entries if entry["type"] == types.user.value}
    by_role = {
        int(entry["id"]): entry["permission"] for entry in entries if entry["type"] == types.role.value
    }
    if user.id in own:
        return bool(own[user.id])
    roles = [role.id for role in getattr(user, "roles", ()) if role.id != guild.id]
    if found := [by_role[role] for role in roles if role in by_role]:
        return any(found)
    return by_role.get(guild.id)


async def _command_id(client: Any) -> int | None:
    if client not in _ids:
        commands: list[app_commands.AppCommand] = await client.tree.fetch_commands()
        for command in commands:
            if command.name == NAME:
                _ids[client] = command.id
    return _ids.get(client)
