"""The commands' names and descriptions in every language, for Discord to show."""

from typing import Any

import discord
from discord import app_commands
from discord.app_commands import TranslationContextLocation as Location

from bot.domain import language

#: Discord wants these in small letters, without spaces.
NAMES = frozenset({Location.command_name, Location.group_name, Location.parameter_name})


class Words(app_commands.Translator):
    async def translate(
        self, string: app_commands.locale_str, locale: discord.Locale, context: Any
    ) -> str | None:
        with language.reading(locale.value):
            in_a_menu = isinstance(context.data, app_commands.ContextMenu)
            name = context.location in NAMES and not in_a_menu
            words = (language.named if name else language.tr)(string.message)
        return words if words != string.message else None
