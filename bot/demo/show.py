"""`conch demo`: the real bot, a local Discord, one member, three clips; no account, no network, no cost."""

import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from simcord.components import walk_components

from bot.demo.pictures import harbour
from bot.demo.standin import DiscordStandIn
from bot.demo.world import Channel, Member, Message
from bot.domain.errors import SetupError
from bot.domain.language import ENGLISH, load, named, reading
from bot.media import clips

Say = Callable[[str], object]

_START_SECONDS = 60
_CLIPS_SECONDS = 180
_STOP_SECONDS = 10
_BOT_LOG = "bot.log"
#: In what a progress message ends as, in any language.
_LINK = "https://discord.com/channels/"


class Conversation:
    """Prints what a channel shows, as it changes, in the words a terminal can show."""

    def __init__(self, discord: DiscordStandIn, channel: Channel, member: Member, say: Say) -> None:
        self._discord = discord
        self._channel = channel
        self._member = member
        self._say = say
        self._shown: dict[int, str] = {}

    def typed(self, command: str, options: dict[str, str]) -> None:
        words = [f"{named(name)}:{value}" for name, value in options.items()]
        path = " ".join(named(part) for part in command.split())
        self._say(f"\n{self._member.name}  /{path} {' '.join(words)}")

    def update(self) -> None:
        """Print every message that is new or was changed since the last time."""
        for message in self._discord.messages(self._channel):
            text = self._readable(message)
            if text and self._shown.get(message.id) != text:
                again = "  (edited)" if message.id in self._shown else ""
                self._shown[message.id] = text
                self._say(f"\nConch{again}\n" + "\n".join(f"  {line}" for line in text.splitlines()))

    def _readable(self, message: Message) -> str:
        text = message.words.replace(self._member.mention, f"@{self._member.name}")
        text = re.sub(r"<t:(\d+):\w>", _clock, text).replace("**", "").replace("-# ", "")
        files = [f"📎 {file.filename} ({file.size / 1e6:.2f} MB)" for file in message.attachments]
        buttons = " ".join(
            f"[{part['label']}]" for part in walk_components(message.components) if "label" in part
        )
        return "\n".join([text, *files, buttons]).strip()


async def run(folder: Path, say: Say, *, shown: bool = True, language: str = ENGLISH) -> bool:
    """Play the demo and leave three clips in `folder`; False where something did not come.

    The member's Discord is set to `language`.
    """
    try:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"--folder: {folder} cannot be made ({error.strerror}). Name another one."
        ) from error
    await asyncio.to_thread(load)
    with tempfile.TemporaryDirectory(prefix="conch-demo-") as data:
        async with DiscordStandIn() as discord, _bot(discord, Path(data), folder / _BOT_LOG) as bot:
            discord.locale = language
            server = await discord.add_server("The Harbour")
            channel = await discord.add_channel(server, "clips")
            member = await discord.add_member(server, "Ann")
            talk = Conversation(discord, channel, member, say if shown else lambda _: None)
            try:
                await _until(discord, bot, lambda: discord.connected, _START_SECONDS)
                for command, options in _commands():
                    names = {
                        name: value if isinstance(value, str) else value[0] for name, value in options.items()
                    }
                    with reading(language):
                        talk.typed(command, names)
                    await discord.slash(member, channel, command, **options)
                await _watch(discord, bot, channel, talk)
            except TimeoutError:
                say(f"conch: the clips did not come in time. {folder / _BOT_LOG} says what the bot did.")
                return False
            return await _keep(discord, channel, folder, say)


def _commands() -> list[tuple[str, dict[str, Any]]]:
    day, night = ("harbour-day.png", harbour(night=False)), ("harbour-night.png", harbour(night=True))
    return [
        ("video text", {"prompt": "a paper boat crossing a puddle, rain begins to fall"}),
        ("video image", {"prompt": "the boats begin to rock", "first_frame": day, "camera": "Zoom in"}),
        (
            "video transition",
            {"prompt": "night falls over the harbour", "first_frame": day, "last_frame": night},
        ),
    ]


async def _watch(
    discord: DiscordStandIn, bot: asyncio.subprocess.Process, channel: Channel, talk: Conversation
) -> None:
    """Print the conversation until every clip was posted and every progress message has its link."""
    modes = len(_commands())

    def finished() -> bool:
        talk.update()
        messages = discord.messages(channel)
        posted = sum(_carries_clip(message) for message in messages)
        linked = sum(_LINK in message.words for message in messages)
        return posted == linked == modes

    await _until(discord, bot, finished, _CLIPS_SECONDS)


def _clock(moment: re.Match[str]) -> str:
    """A Discord timestamp as this machine's time."""
    return time.strftime("%H:%M:%S", time.localtime(int(moment[1])))


def _carries_clip(message: Message) -> bool:
    return any(file.filename.startswith("conch-") for file in message.attachments)


async def _until(
    discord: DiscordStandIn, bot: asyncio.subprocess.Process, done: Callable[[], bool], seconds: float
) -> None:
    """Wait for something to be seen at Discord, but not for a bot that has ended."""
    ended = asyncio.ensure_future(bot.wait())
    waiting = asyncio.ensure_future(discord.until(done, seconds))
    try:
        await asyncio.wait({ended, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise TimeoutError
        waiting.result()
    finally:
        ended.cancel()
        waiting.cancel()
        await asyncio.gather(ended, waiting, return_exceptions=True)


async def _keep(discord: DiscordStandIn, channel: Channel, folder: Path, say: Say) -> bool:
    say("\nThe clips:")
    names = {"paper boat": "text", "begin to rock": "image", "night falls": "transition"}
    for message in discord.messages(channel):
        for words, name in names.items():
            if _carries_clip(message) and words in message.content:
                path = folder / f"{name}.mp4"
                await asyncio.to_thread(
                    path.write_bytes, discord.attachment_bytes(message.attachments[0].url)
                )
                found = await clips.probe(path)
                say(f"  {path}  {found.width}×{found.height}, {found.seconds:.0f} s, {found.codec}")
    return True


@asynccontextmanager
async def _bot(discord: DiscordStandIn, data: Path, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The real bot as a process of its own, stopped as an operator stops it."""
    settings = {
        "DISCORD_TOKEN": discord.token,
        "DISCORD_API_URL": discord.api_url,
        "DISCORD_GATEWAY_URL": discord.gateway_url,
        "PROVIDERS": "sandbox",
        "DATA_DIR": str(data),
        "TRUSTED_HOSTS": "127.0.0.1",
        "POLL_SECONDS": "1",
        "SANDBOX_SECONDS": "3",
        "PYTHONPATH": os.pathsep.join(part for part in sys.path if part),
    }
    kept = {name: value for name in ("PATH", "HOME", "LANG", "SYSTEMROOT") if (value := os.environ.get(name))}
    command = [sys.executable, "-m", "bot", "--env-file", os.devnull, "run"]
    with log.open("wb") as output:
        bot = await asyncio.create_subprocess_exec(
            *command, env=kept | settings, stdout=output, stderr=output
        )
        try:
            yield bot
        finally:
            if bot.returncode is None:
                bot.terminate()
            try:
                await asyncio.wait_for(bot.wait(), _STOP_SECONDS)
            except TimeoutError:
                bot.kill()
                await bot.wait()
