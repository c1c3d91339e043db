"""`/admin doctor`: whether everything that the bot needs in this server is there, and how to mend what is not."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import discord
from discord import app_commands

from bot.domain.finding import Finding
from bot.domain.language import tr, trn
from bot.services.checkup import Checkup
from bot.services.moderators import Moderators
from cogs.admin.answers import answer, begin
from cogs.admin.words import permission, shown

_EMBED_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class Installed:
    """The bot as Discord knows it: the permissions it needs, its invitation, whether its commands are known."""

    needed: discord.Permissions
    invite: Callable[[int], str]
    in_sync: Callable[[], Awaitable[bool]]


def commands(
    checkup: Checkup, moderators: Moderators, installed: Installed
) -> list[app_commands.Command[Any, ..., None]]:
    @app_commands.command(name="doctor", description="Check what the bot needs here, and how to mend it")
    async def doctor(interaction: discord.Interaction[Any]) -> None:
        if server_id := await begin(interaction):
            findings = [
                _here(interaction, installed),
                _moderators(interaction, installed, await moderators.channel_of(server_id)),
                await _commands(installed),
                *await checkup.of_server(server_id),
            ]
            ill = sum(finding.mend is not None for finding in findings)
            await answer(
                interaction,
                _head(ill, len(findings)),
                embed=discord.Embed(description=described(findings)),
            )

    return [doctor]


def _head(ill: int, findings: int) -> str:
    if not ill:
        return tr("All is well:")
    return trn("{number} of {all} needs a hand:", "{number} of {all} need a hand:", ill, all=findings)


def described(findings: Sequence[Finding]) -> str:
    """At most the 4,096 characters of an embed; what is wrong comes first."""
    lines = [_line(finding) for finding in sorted(findings, key=lambda one: one.mend is None)]
    while sum(len(line) + 1 for line in lines) > _EMBED_LENGTH:
        lines.pop()
    return "\n".join(lines)


def _line(finding: Finding) -> str:
    about, text = finding.about, shown(finding.text, length=300)
    if finding.mend is None:
        return f"✅ **{about}**: {text}"
    return f"❌ **{about}**: {text}\n-# → {finding.mend}"


def _here(interaction: discord.Interaction[Any], installed: Installed) -> Finding:
    return _rights(tr("This channel"), interaction.app_permissions, interaction, installed)


def _moderators(
    interaction: discord.Interaction[Any], installed: Installed, channel_id: int | None
) -> Finding:
    about, guild = tr("Moderators' channel"), interaction.guild
    if channel_id is None or guild is None:
        return Finding(about, tr("none is chosen, so moderators are told nothing"))
    channel = guild.get_channel_or_thread(channel_id)
    if channel is None:
        return Finding(
            about,
            tr("the one that was chosen is gone"),
            tr("Choose another one, where moderators are told."),
        )
    return _rights(about, channel.permissions_for(guild.me), interaction, installed)


def _rights(
    about: str, mine: discord.Permissions, interaction: discord.Interaction[Any], installed: Installed
) -> Finding:
    lacking = missing(mine, installed.needed)
    if not lacking:
        return Finding(about, tr("the bot has every permission it needs"))
    link = installed.invite(interaction.application_id)
    return Finding(
        about,
        tr("the bot lacks: {permissions}", permissions=lacking),
        tr(
            "Allow the bot's role these in the channel's settings, or invite the bot again: {link}",
            link=f"<{link}>",
        ),
    )


def missing(mine: discord.Permissions, needed: discord.Permissions) -> str:
    """The permissions that lack, by name; "" where none does."""
    return ", ".join(permission(name) for name, wanted in needed if wanted and not getattr(mine, name))


async def _commands(installed: Installed) -> Finding:
    if await installed.in_sync():
        return Finding(tr("Commands"), tr("Discord has this version's"))
    return Finding(
        tr("Commands"),
        tr("Discord was not sent this version's"),
        tr("Ask the operator to start the bot anew."),
    )
