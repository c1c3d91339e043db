"""Tells moderators of a reported clip."""

from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
import discord

from bot.domain.clip_reports import ClipReport, Verdict
from bot.domain.errors import Refusal
from bot.domain.language import reading, tr
from bot.domain.servers import Server
from bot.domain.task import Task
from bot.posting import texts
from bot.posting.delivery import is_closed
from bot.posting.moderation import button_ids, find

_SILENT = discord.AllowedMentions.none()
_PROMPT = 500


async def tell(
    client: discord.Client,
    server: Server,
    report: ClipReport,
    task: Task,
    buttons: Sequence[Callable[[int], discord.ui.Item[Any]]],
    *,
    locale: str,
) -> int:
    """Post a report with its buttons to the moderators' channel, unless it stands there, and return the message's id.

    `locale` is the moderators'. `Refusal` tells the reporter that nobody was told.
    """
    view = discord.ui.View(timeout=None)
    with reading(locale):
        text = report_text(report, task)
        for button in buttons:
            view.add_item(button(report.id))
    channel = client.get_partial_messageable(server.notices_channel_id or 0, guild_id=server.id)
    try:
        if found := await _told_before(client, channel, report, view):
            if found.content != text:
                await found.edit(content=text, allowed_mentions=_SILENT)
            return found.id
        sent = await channel.send(text, view=view, nonce=f"c{report.id}", allowed_mentions=_SILENT)
    except discord.HTTPException as error:
        if not is_closed(error):
            raise _later() from error
        raise Refusal(
            tr(
                "The channel in which moderators are told things is gone or closed to the bot, so nobody was told. "
                "Ask an admin to choose another one with `/admin notices`."
            )
        ) from error
    except (aiohttp.ClientError, OSError) as error:
        raise _later() from error
    return sent.id


async def _told_before(
    client: discord.Client,
    channel: discord.PartialMessageable,
    report: ClipReport,
    view: discord.ui.View,
) -> discord.Message | None:
    """What a try has posted whose answer was lost, or that a crash left unrecorded."""
    buttons = {getattr(button, "custom_id", None) for button in view.children}
    return await find(client, channel, report.at, lambda one: bool(buttons & button_ids(one)))


def _later() -> Refusal:
    return Refusal(
        tr(
            "Discord made trouble just now, so the moderators may not have been told. Send the report once more in "
            "some minutes; they read it once."
        )
    )


def report_text(report: ClipReport, task: Task) -> str:
    """What moderators read, before and after the verdict."""
    lines = [
        tr(
            "🚩 **Reported clip:** {clip} of {member}, reported by {reporter}.",
            clip=texts.link_of(task),
            member=f"<@{task.member_id}>",
            reporter=f"<@{report.member_id}>",
        ),
        tr("Reason: {reason}", reason=texts.plain(report.reason, length=1000)),
        texts.quoted(task.prompt, task.camera, length=_PROMPT),
        f"-# `{task.id}`",
    ]
    return texts.cut("\n".join([*_verdict(report), *lines]))


def _verdict(report: ClipReport) -> list[str]:
    moderator = f"<@{report.decided_by}>"
    match report.verdict:
        case Verdict.REMOVED:
            return [tr("🗑️ **Deleted** by {moderator}.", moderator=moderator)]
        case Verdict.DISMISSED:
            return [tr("✅ **Dismissed** by {moderator}.", moderator=moderator)]
        case None:
            return []
