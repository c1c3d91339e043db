"""Tells moderators of a reported clip."""

from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
import discord

from bot.domain.clip_reports import ClipReport, Verdict
from bot.domain.errors import Refusal
from bot.domain.servers import Server
from bot.domain.task import Task
from bot.posting import texts
from bot.posting.delivery import is_closed

_SILENT = discord.AllowedMentions.none()
_PROMPT = 500
_LATER = "Discord did not take the report, so nobody was told. Send it once more in some minutes."
_ICONS = {Verdict.REMOVED: "🗑️", Verdict.DISMISSED: "✅"}


async def tell(
    client: discord.Client,
    server: Server,
    report: ClipReport,
    task: Task,
    buttons: Sequence[Callable[[int], discord.ui.Item[Any]]],
) -> int:
    """Post a report with its buttons to the moderators' channel and return the message's id.

    `Refusal` tells the reporter that nobody was told.
    """
    view = discord.ui.View(timeout=None)
    for button in buttons:
        view.add_item(button(report.id))
    channel = client.get_partial_messageable(server.notices_channel_id or 0, guild_id=server.id)
    try:
        sent = await channel.send(
            report_text(report, task), view=view, nonce=f"c{report.id}", allowed_mentions=_SILENT
        )
    except discord.HTTPException as error:
        if not is_closed(error):
            raise Refusal(_LATER) from error
        raise Refusal(
            "The channel in which moderators are told things is gone or closed to the bot, so nobody was told. Ask "
            "an admin to choose another one with `/admin notices`."
        ) from error
    except (aiohttp.ClientError, OSError) as error:
        raise Refusal(_LATER) from error
    return sent.id


def report_text(report: ClipReport, task: Task) -> str:
    """What moderators read, before and after the verdict."""
    lines = [
        f"🚩 **Reported clip:** {texts.link_of(task)} of <@{task.member_id}>, reported by <@{report.member_id}>.",
        f"Reason: {texts.plain(report.reason, length=1000)}",
        texts.quoted(task.prompt, task.camera, length=_PROMPT),
        f"-# `{task.id}`",
    ]
    if report.verdict is not None:
        done = "Deleted" if report.verdict is Verdict.REMOVED else "Dismissed"
        lines.insert(0, f"{_ICONS[report.verdict]} **{done}** by <@{report.decided_by}>.")
    return texts.cut("\n".join(lines))
