"""What a server's own settings say of `/admin`, and a server of which Discord has not told."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.cogs.scene import Scene


async def override(scene: Scene, allowed: dict[Any, bool], *, lost: bool = False) -> None:
    """Change the settings under Integrations; `lost`: the bot is not told of it."""
    command_id = int(scene.env.backend.find_command("admin", scene.guild.id, type=1)["id"])
    scene.guild.set_command_permissions(command_id, allowed)
    if lost:
        return
    changed = {
        "id": str(command_id),
        "application_id": str(scene.app.client.application_id),
        "guild_id": str(scene.guild.id),
        "permissions": scene.env.backend.get_command_permissions(scene.guild.id, command_id),
    }
    scene.env.backend.emit("APPLICATION_COMMAND_PERMISSIONS_UPDATE", changed)
    await scene.env.settle()


@contextmanager
def unknown(scene: Scene, *, at_start: bool) -> Iterator[None]:
    """As between READY and GUILD_CREATE `at_start`, else as in a server that the bot is not in."""
    state = scene.app.client._connection
    known = state._guilds.pop(scene.guild.id)
    if at_start:
        state._add_guild_from_data({"id": str(scene.guild.id), "unavailable": True})  # type: ignore[typeddict-item]
    try:
        yield
    finally:
        state._guilds[scene.guild.id] = known
