"""A sign of life on disk, for `conch health` and the container's health check."""

import asyncio
import logging
import time
from pathlib import Path

from bot.client import Conch
from bot.domain.errors import StorageError
from storage.tasks import TaskStore

log = logging.getLogger(__name__)

_EVERY_SECONDS = 15
#: Older than this, the bot hangs, has lost Discord, or is not running.
_STALE_SECONDS = 90


def _file(folder: Path) -> Path:
    return folder / "alive"


async def beat(folder: Path, client: Conch, tasks: TaskStore) -> None:
    """Touch the file as long as the loop runs, the database answers and Discord is connected."""
    await asyncio.to_thread(_end, folder)
    try:
        await client.wait_until_ready()
        while True:
            try:
                await tasks.next_due(0)
                if client.is_ready() and not client.is_closed():
                    await asyncio.to_thread(_file(folder).touch)
            except (OSError, StorageError) as error:
                # A full disk makes the bot unwell, not dead: the engine waits for room.
                log.warning("no sign of life can be left: %s", error)
            await asyncio.sleep(_EVERY_SECONDS)
    finally:
        _end(folder)


def _end(folder: Path) -> None:
    try:
        _file(folder).unlink(missing_ok=True)
    except OSError as error:
        log.warning("the last sign of life cannot be removed: %s", error)


def problem(folder: Path) -> str | None:
    """What is wrong, or None where a bot on this data folder is well."""
    try:
        age = time.time() - _file(folder).stat().st_mtime
    except OSError:
        return f"no bot on the data folder {folder} is connected to Discord"
    if age > _STALE_SECONDS:
        return f"the last sign of life is {age:,.0f} seconds old; the bot hangs, is offline or has ended"
    return None
