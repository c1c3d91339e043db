"""A command's pictures beside a message, as far as Discord takes them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import discord

from bot.domain.errors import Unreadable
from bot.domain.language import tr
from bot.domain.task import Frame, Task
from bot.posting import texts
from bot.posting.delivery import is_too_large
from bot.vault import Vault

log = logging.getLogger(__name__)

_NAME = "{}-frame.jpg"
_Sent = TypeVar("_Sent", bound=discord.Message)


async def with_frames(
    task: Task, vault: Vault, send: Callable[[list[discord.File], str], Awaitable[_Sent]]
) -> _Sent:
    """Send a message with the pictures, or without where Discord finds them too large: it is owed all the same.

    `send` gets the pictures and what the message says of them, which is "" where they are shown.
    """
    files = await asyncio.to_thread(_files, task, vault)
    try:
        return await send(files, "")
    except discord.HTTPException as error:
        if not files or not is_too_large(error):
            raise
        log.info("task %s: Discord takes no pictures of this size here", task.id)
    return await send([], not_shown())


def not_shown() -> str:
    """Stands in a message that had to go without its pictures."""
    return tr("-# The pictures are too large to be shown here.")


def noted(content: str, note: str) -> str:
    """A message's words with what it says of its pictures, if anything, as the last line."""
    return texts.cut(f"{content}\n{note}", f"\n{note}") if note else content


def frame_urls(task: Task) -> tuple[str, ...]:
    """The addresses that the pictures got from the message that carries them."""
    return tuple(frame.url for _, frame in _frames(task) if frame.url is not None)


def _files(task: Task, vault: Vault) -> list[discord.File]:
    """The checked pictures, in the order first, last."""
    files = []
    for which, frame in _frames(task):
        try:
            files.append(discord.File(vault.source(Path(frame.path)), filename=_NAME.format(which)))
        except FileNotFoundError:
            continue
        except Unreadable as error:
            log.error("task %s: %s is not shown: %s", task.id, frame.path, error)  # noqa: TRY400 - not a bug
    return files


def _frames(task: Task) -> list[tuple[str, Frame]]:
    both = (("first", task.first_frame), ("last", task.last_frame))
    return [(which, frame) for which, frame in both if frame is not None]
