"""`/admin audit`: what admins did in this server, in words and as a file."""

import asyncio
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import discord
from discord import app_commands

from bot.domain.audit import AuditEntry, Deed
from bot.domain.language import named, said, tr
from bot.posting import sheets, texts
from cogs.admin.answers import answer, begin
from cogs.admin.words import shown
from storage.audit import AuditStore

_SHOWN = 15
_IN_FILE = 5000
#: Bytes: below what Discord takes as a file everywhere, ten MiB.
_FILE_BYTES = 8_000_000
_HEADER = ("time", "admin", "action", "subject", "before", "after", "reason")


def commands(audit: AuditStore) -> list[app_commands.Command[Any, ..., None]]:
    @app_commands.command(name="audit", description="What admins changed here, newest first")
    @app_commands.describe(by="Only what this admin did")
    async def audit_(interaction: discord.Interaction[Any], by: discord.User | None = None) -> None:
        if server_id := await begin(interaction):
            whose = by.id if by else None
            entries = await audit.of_server(server_id, limit=_IN_FILE, actor_id=whose)
            if not entries:
                await answer(interaction, _nothing_done(whose))
                return
            sheet, rows = await asyncio.to_thread(written, entries)
            lines = [_head(whose, rows), *(line(entry) for entry in entries[:_SHOWN])]
            await answer(
                interaction,
                texts.cut("\n".join(lines), "\n" + tr("… and more in the file")),
                files=[discord.File(io.BytesIO(sheet), "audit.csv")],
            )

    return [audit_]


def _nothing_done(by: int | None) -> str:
    if by is None:
        return tr("Admins have changed nothing in this server so far.")
    return tr("{admin} has changed nothing in this server so far.", admin=f"<@{by}>")


def _head(by: int | None, rows: int) -> str:
    if by is None:
        return tr("Admins changed, newest first ({rows} in the file):", rows=f"{rows:,}")
    return tr("{admin} changed, newest first ({rows} in the file):", admin=f"<@{by}>", rows=f"{rows:,}")


def line(entry: AuditEntry) -> str:
    """When, who, what; before → after; the reason."""
    deed = entry.deed
    parts = [f"- <t:{entry.at // 1000}:f> <@{deed.actor_id}> **{_action(deed)}**"]
    if deed.subject:
        parts.append(shown(said(deed.subject), length=100))
    if deed.before or deed.after:
        parts.append(f"· {_or_nothing(deed.before)} → {_or_nothing(deed.after)}")
    if deed.reason:
        parts.append(f"· {shown(deed.reason, length=150)}")
    return " ".join(parts)


def _or_nothing(text: str) -> str:
    return shown(said(text), length=100) if text else tr("nothing")


def _action(deed: Deed) -> str:
    """The command, by the names that the reader types."""
    return " ".join(named(word) for word in deed.action.split())


def written(entries: Sequence[AuditEntry], most: int = _FILE_BYTES) -> tuple[bytes, int]:
    """As a CSV file of at most so many bytes, the newest first, and the number of its rows."""
    lines, left = [sheets.line(_HEADER).encode()], most
    for entry in entries:
        row = sheets.line(_row(entry)).encode()
        left -= len(row)
        if left < 0:
            break
        lines.append(row)
    return b"".join(lines), len(lines) - 1


def _row(entry: AuditEntry) -> list[str]:
    deed = entry.deed
    time = datetime.fromtimestamp(entry.at / 1000, UTC).isoformat(timespec="seconds")
    return [time, str(deed.actor_id), deed.action, deed.subject, deed.before, deed.after, deed.reason]
