"""`/admin doctor`: whether everything that the bot needs in this server is there, and how to mend what is not."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import discord
from discord import app_commands

from bot.domain.finding import Finding
from bot.services.checkup import Checkup
from cogs.admin.answers import answer, begin
from cogs.admin.words import shown

_EMBED_LENGTH = 4096
#: As Discord itself calls it, where discord.py does not.
_NAMES = {"read_messages": "view channel"}


@dataclass(frozen=True, slots=True)
class Installed:
    """The bot as Discord knows it: the permissions it needs, its invitation, whether its commands are known."""

    needed: discord.Permissions
    invite: Callable[[int], str]
    in_sync: Callable[[], Awaitable[bool]]


def commands(checkup: Checkup, installed: Installed) -> list[app_commands.Command[Any, ..., None]]:
    @app_commands.command(name="doctor", description="Check what the bot needs here, and how to mend it")
    async def doctor(interaction: discord.Interaction[Any]) -> None:
        if server_id := await begin(interaction):
            findings = [
                _here(interaction, installed),
                _moderators(interaction, installed, await checkup.notices_channel(server_id)),
                await _commands(installed),
                *await checkup.of_server(server_id),
            ]
            ill = sum(finding.mend is not None for finding in findings)
            await answer(
                interaction,
                f"{ill} of {len(findings)} need a hand:" if ill else "All is well:",
                embed=discord.Embed(description=described(findings)),
            )

    return [doctor]


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
    return _rights("This channel", interaction.app_permissions, interaction, installed)


def _moderators(
    interaction: discord.Interaction[Any], installed: Installed, channel_id: int | None
) -> Finding:
    about, guild = "Moderators' channel", interaction.guild
    if channel_id is None or guild is None:
        return Finding(about, "none is chosen, so moderators are told nothing")
    channel = guild.get_channel_or_thread(channel_id)
    if channel is None:
        return Finding(
            about, "the one that was chosen is gone", "Choose another one, where moderators are told."
        )
    return _rights(about, channel.permissions_for(guild.me), interaction, installed)


def _rights(
    about: str, mine: discord.Permissions, interaction: discord.Interaction[Any], installed: Installed
) -> Finding:
    lacking = missing(mine, installed.needed)
    if not lacking:
        return Finding(about, "the bot has every permission it needs")
    link = installed.invite(interaction.application_id)
    return Finding(
        about,
        f"the bot lacks: {lacking}",
        f"Allow the bot's role these in the channel's settings, or invite the bot again: <{link}>",
    )


def missing(mine: discord.Permissions, needed: discord.Permissions) -> str:
    """The permissions that lack, by name; "" where none does."""
    names = [name for name, wanted in needed if wanted and not getattr(mine, name)]
    return ", ".join(_NAMES.get(name, name).replace("_", " ") for name in names)


async def _commands(installed: Installed) -> Finding:
    if await installed.in_sync():
        return Finding("Commands", "Discord has this version's")
    return Finding(
        "Commands", "Discord was not sent this version's", "Ask the operator to start the bot anew."
    )
