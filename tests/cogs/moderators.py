"""A server whose moderators are asked and told in a channel of their own."""

from typing import Any

import discord

from tests.cogs.scene import Scene, says

HOUR = 3600.0
DAY = 24 * HOUR


def moderators_channel(scene: Scene, *, without: str | None = None) -> Any:
    """A channel in which the bot may do everything, or all but one thing."""
    denied = {scene.guild.me: discord.PermissionOverwrite(**{without: False})} if without else None
    return scene.guild.create_text_channel("moderators", overwrites=denied)


async def tell(scene: Scene) -> None:
    """Let the bot tell moderators all there is to tell now."""
    with scene.env.time_context():
        await scene.app.notices.step()
        await scene.app.notices.idle()


async def asking(scene: Scene, above: str = "0.10", **options: Any) -> Any:
    """The moderators' channel of a server in which clips above a price wait."""
    channel = moderators_channel(scene)
    await scene.admin("approvals", above=above, channel=channel, **options)
    return channel


async def asked(scene: Scene, mode: str = "text", **options: Any) -> Any:
    """The moderators' channel, with a question about what Alice asked for."""
    channel = await asking(scene)
    await scene.video(mode, **options)
    await tell(scene)
    return channel


async def told_in(scene: Scene, **switches: bool) -> Any:
    """The channel that carol has chosen for notices."""
    channel = moderators_channel(scene)
    await scene.admin("notices", channel=channel, **switches)
    return channel


def speak(scene: Scene, locale: discord.Locale) -> None:
    """Let the server have chosen another language."""
    server = scene.app.client.get_guild(scene.guild.id)
    assert server is not None
    server.preferred_locale = locale


def said(scene: Scene, channel: Any) -> list[str]:
    """What stands in a channel, oldest first."""
    return [str(says(message)) for message in scene.shown(channel)]


def labels(scene: Scene, channel: Any) -> list[str]:
    """The buttons of the newest message."""
    return [button["label"] for row in scene.shown(channel)[-1].components for button in row["components"]]


async def click(scene: Scene, channel: Any, label: str, member: Any = None) -> Any:
    return await (member or scene.carol).click(channel.history()[-1], label=label)


async def decline(scene: Scene, channel: Any, reason: str = "", member: Any = None) -> Any:
    """Press Decline and send the modal."""
    member = member or scene.carol
    shown = await click(scene, channel, "Decline", member)
    (field,) = [part for row in shown.modal["components"] for part in row["components"]]
    return await member.submit_modal(shown, {field["custom_id"]: reason})


async def raw(scene: Scene, name: str, member: Any, channel: Any, **options: tuple[int, Any]) -> Any:
    """An `/admin` command with a channel from a client that asks nobody for leave. Pairs are (type, value)."""
    command = scene.env.backend.find_command("admin", scene.guild.id, type=1)
    values = [{"name": key, "type": kind, "value": value} for key, (kind, value) in options.items()]
    values.append({"name": "channel", "type": 7, "value": str(channel.id)})
    known = {"id": str(channel.id), "name": channel.name, "type": 0, "permissions": "0"}
    data = {
        "id": command["id"],
        "name": "admin",
        "type": 1,
        "options": [{"name": name, "type": 1, "options": values}],
        "resolved": {"channels": {str(channel.id): known}},
    }
    return await scene.emit(2, data, member=member)
