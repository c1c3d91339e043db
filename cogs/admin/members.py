"""Members' roles, which Discord must be asked for: without the intent for members the bot knows nobody's."""

from typing import Any

import aiohttp
import discord

from bot.domain.errors import Refusal
from bot.domain.language import tr
from bot.services.limits import RolesOf
from cogs.people import role_ids


def roles_of(interaction: discord.Interaction[Any]) -> RolesOf:
    """Asks Discord about members of the interaction's server; `Refusal` where it does not say."""
    guild = interaction.guild

    async def ask(member_id: int) -> frozenset[int] | None:
        try:
            return role_ids(await guild.fetch_member(member_id)) if guild else None
        except discord.NotFound:
            return None
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            raise Refusal(
                tr(
                    "Discord does not say just now which roles members have, and what a limit does depends on them. "
                    "Nothing was changed; try again in a minute."
                )
            ) from error

    return ask
