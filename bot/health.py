"""A sign of life on disk, for `conch health` and the container's health check."""

import asyncio
import time
from pathlib import Path

from bot.client import Conch
from storage.tasks import TaskStore

_EVERY_SECONDS = 15
#: Older than this, the bot hangs, has lost Discord, or is not running.
_STALE_SECONDS = 90


def _file(folder: Path) -> Path:
    return folder / "alive"


async def beat(folder: Path, client: Conch, tasks: TaskStore) -> None:
    """Touch the file as long as the loop runs, the database answers and Discord is connected."""
    await client.wait_until_ready()
    while True:
        await tasks.next_due(0)
        if client.is_ready() and not client.is_closed():
            await asyncio.to_thread(_file(folder).touch)
        await asyncio.sleep(_EVERY_SECONDS)


def problem(folder: Path) -> str | None:
    """What is wrong, or None where a bot on this data folder is well."""
    try:
        age = time.time() - _file(folder).stat().st_mtime
    except FileNotFoundError:
        return f"no bot has been connected with the data folder {folder} yet"
    if age > _STALE_SECONDS:
        return f"the last sign of life is {age:,.0f} seconds old; the bot hangs, is offline or has ended"
    return None
