"""What must be told to discord.py's classes before a client is made: they keep it as class attributes."""

import discord
import yarl

from bot.settings import Settings


def prepare(settings: Settings) -> None:
    """Point discord.py at another Discord, if the settings name one, and stop its advice about voice."""
    if settings.discord_api_url:
        discord.http.Route.BASE = settings.discord_api_url
    if settings.discord_gateway_url:
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(settings.discord_gateway_url)
    discord.VoiceClient.warn_nacl = False
    discord.VoiceClient.warn_dave = False
