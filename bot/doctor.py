"""`conch doctor`: looks at everything the bot needs, and says of each failure how it is mended."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import aiohttp
import discord

from bot import app, catalog, discord_setup
from bot.client import PERMISSIONS, invite_link
from bot.domain.catalog import Catalog
from bot.domain.errors import AlreadyRunning, BotError, SetupError
from bot.domain.finding import Finding
from bot.domain.money import dollars
from bot.settings import Settings
from cogs.admin.doctor import missing
from storage import database

_SECONDS = 20
#: Bytes; a clip has some ten megabytes, and four of them may be on their way at once.
_LEAST_SPACE = 1_000_000_000


async def examine(settings: Settings, say: Callable[[str], object]) -> bool:
    """Run every check, say each finding, and return whether all is well."""
    well = True
    async for finding in _findings(settings):
        say(f"{'FAIL' if finding.mend else 'ok  '}  {finding.about}: {finding.text}")
        if finding.mend:
            well = False
            say(f"      → {finding.mend}")
    say("All is well." if well else "Mend what failed, then run `conch doctor` again.")
    return well


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    try:
        offers = catalog.load(settings.catalog_file)
    except SetupError as error:
        yield Finding("catalog", str(error), "Correct that line, or take CATALOG_FILE away.")
        return
    yield _prices(settings, offers)
    for check in (_discord, _providers):
        async for finding in check(settings, offers):
            yield finding
    yield await asyncio.to_thread(_database, settings)
    yield _at_rest(settings)
    yield await asyncio.to_thread(_disk, settings)


def _prices(settings: Settings, offers: Catalog) -> Finding:
    assumed = offers.assumed(settings.providers)
    if not assumed:
        return Finding("catalog", "every price of the enabled providers has a published source")
    listed = ", ".join(f"{offer.provider} {offer.format.id} {dollars(offer.micros)}" for offer in assumed)
    return Finding("catalog", f"these prices are assumed, as nobody publishes them: {listed}")


async def _discord(settings: Settings, _: Catalog) -> AsyncIterator[Finding]:
    if settings.discord_token is None:
        yield Finding(
            "Discord token",
            "DISCORD_TOKEN is not set",
            "Make a bot in Discord's developer portal and put its token there.",
        )
        return
    discord_setup.prepare(settings)
    client = discord.Client(intents=discord.Intents(guilds=True))
    try:
        async with client, asyncio.timeout(_SECONDS):
            await client.login(settings.discord_token.get_secret_value())
            yield Finding("Discord token", f"works; the bot is {client.user}")
            await _ready(client)
            link = invite_link(client.application_id or 0)
            if not client.guilds:
                yield Finding("Discord servers", "the bot is in none", f"Invite it: {link}")
            for server in client.guilds:
                yield _permissions(server, link)
    except discord.LoginFailure:
        yield Finding(
            "Discord token",
            "Discord does not accept it",
            "Reset it in the developer portal and set the new one.",
        )
    except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
        yield Finding(
            "Discord", f"cannot be reached ({type(error).__name__})", "Check the network, then try again."
        )


async def _ready(client: discord.Client) -> None:
    """Connect, and wait until every server is known; the end of `client` ends the connection."""
    connecting = asyncio.create_task(client.connect(reconnect=False))
    ready = asyncio.create_task(client.wait_until_ready())
    try:
        done, _ = await asyncio.wait({connecting, ready}, return_when=asyncio.FIRST_COMPLETED)
        if connecting in done:
            connecting.result()
    finally:
        ready.cancel()
        connecting.cancel()
        await asyncio.gather(ready, connecting, return_exceptions=True)


def _permissions(server: discord.Guild, link: str) -> Finding:
    """What the bot lacks in the server as a whole, else the channels that take something away."""
    about = f"Discord server {server.name!r}"
    if lacking := missing(server.me.guild_permissions, PERMISSIONS):
        return Finding(
            about, f"missing: {lacking}", f"Give the bot's role these rights, or invite it again: {link}"
        )
    closed = [
        f"#{channel.name} ({lacking})"
        for channel in server.text_channels
        if (lacking := missing(channel.permissions_for(server.me), PERMISSIONS))
    ]
    if closed:
        return Finding(
            about, f"all rights, but not in {', '.join(closed[:10])}; clips asked for there go to DMs"
        )
    return Finding(about, "all permissions are there")


async def _providers(settings: Settings, offers: Catalog) -> AsyncIterator[Finding]:
    async with AsyncExitStack() as stack:
        try:
            outbound = await app.open_outbound(stack, settings)
            providers = app.open_providers(stack, settings, offers, app.now, outbound)
        except SetupError as error:
            yield Finding("providers", str(error), "Change that setting.")
            return
        for name in settings.providers:
            try:
                yield Finding(f"provider {name}", await providers[name].check())
            except BotError as error:
                yield Finding(f"provider {name}", str(error), f"See {name.upper()}_API_KEY and _API_URL.")


def _database(settings: Settings) -> Finding:
    try:
        new = not settings.database.exists()
        pending = database.examine(settings.database, settings.vault)
        state = "will be brought up to date at the next start" if pending else "is sound and up to date"
        if new:
            state = "will be made at the first start"
        return Finding("database", f"{settings.database} {state}")
    except AlreadyRunning:
        return Finding("database", f"{settings.database} is in use by a running Conch, which checked it")
    except SetupError as error:
        return Finding("database", str(error), "Do as it says; nothing was changed.")


def _at_rest(settings: Settings) -> Finding:
    state = "sealed with DATA_KEY" if settings.vault.keyed else "plain, as DATA_KEY is not set"
    return Finding("at rest", f"prompts and pictures lie on disk {state}")


def _disk(settings: Settings) -> Finding:
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"conch")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding("disk", f"{folder}: {error.strerror}", "Make DATA_DIR writable for this user.")
    if free < _LEAST_SPACE:
        return Finding("disk", f"{folder} has {free / 1e6:,.0f} MB free", "Free at least 1,000 MB for clips.")
    return Finding("disk", f"{folder} is writable and has {free / 1e9:,.1f} GB free")
