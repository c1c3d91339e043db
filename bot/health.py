"""Whether the bot is well, in three parts, and the same as a sign of life on disk, for `conch health`."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import httpx

from bot.domain.errors import StorageError
from bot.services.pulse import Pulse

log = logging.getLogger(__name__)

#: What is said of a part; all others are what is wrong with it.
WELL = "well"
_EVERY_SECONDS = 15
_WRITE_SECONDS = 10
_ANSWER_SECONDS = 5
#: Older than this, the bot hangs or is not running.
_STALE_SECONDS = 90
#: A round of the scheduler takes half a minute where there is nothing to do.
_ROUND_SECONDS = 120


class Health:
    """`connected` tells of the gateway, `write` changes something on disk, `scheduler` beats with every round.

    The database is written to by `beat` alone: whoever asks, however often, costs nothing.
    """

    def __init__(
        self,
        connected: Callable[[], bool],
        write: Callable[[], Awaitable[object]],
        scheduler: Pulse,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connected = connected
        self._write = write
        self._scheduler = scheduler
        self._written = Pulse(monotonic)
        self._writable = True

    def parts(self) -> dict[str, str]:
        """`WELL` or what is wrong, of each part. Strangers may read it."""
        round_age, write_age = self._scheduler.age, self._written.age
        return {
            "gateway": WELL if self._connected() else "not connected to Discord",
            "database": WELL
            if self._writable and write_age is not None and write_age <= _STALE_SECONDS
            else "not written to" + ("" if write_age is None else f" for {write_age:,.0f} seconds"),
            "scheduler": "not started"
            if round_age is None
            else WELL
            if round_age <= _ROUND_SECONDS
            else f"no round finished for {round_age:,.0f} seconds",
        }

    async def try_write(self) -> None:
        try:
            async with asyncio.timeout(_WRITE_SECONDS):
                await self._write()
        except (StorageError, TimeoutError) as error:
            self._writable = False
            # A full disk makes the bot unwell, not dead: the engine waits for room.
            log.warning("the database cannot be written to: %s", error or type(error).__name__)
        else:
            self._writable = True
            self._written.beat()

    async def beat(self, folder: Path) -> None:
        """Try the database and leave the sign of life, again and again until cancelled."""
        await asyncio.to_thread(_end, folder)
        try:
            while True:
                await self.try_write()
                await asyncio.to_thread(leave, folder, self.parts())
                await asyncio.sleep(_EVERY_SECONDS)
        finally:
            _end(folder)


def wrong(parts: Mapping[str, str]) -> str | None:
    """What is wrong, in one sentence; None where all is well."""
    faults = [f"{part}: {said}" for part, said in parts.items() if said != WELL]
    return "; ".join(faults) or None


def _file(folder: Path) -> Path:
    return folder / "alive"


def leave(folder: Path, parts: Mapping[str, str]) -> None:
    """Leave the sign of life, whole or not at all."""
    new = folder / "alive.new"
    try:
        new.write_text(json.dumps(parts), "utf-8")
        new.replace(_file(folder))
    except OSError as error:
        log.warning("no sign of life can be left: %s", error)


def _end(folder: Path) -> None:
    try:
        _file(folder).unlink(missing_ok=True)
    except OSError as error:
        log.warning("the last sign of life cannot be removed: %s", error)


def problem(folder: Path, port: int | None = None) -> str | None:
    """What is wrong, or None where a bot on this data folder is well; for another process.

    It is asked at `/healthz` where it has a port, else by its sign of life.
    """
    return _answered_at(port) if port else _left_in(folder)


def _answered_at(port: int) -> str | None:
    try:
        # Whatever proxy the environment names is not for this.
        with httpx.Client(trust_env=False, timeout=_ANSWER_SECONDS) as client:
            parts = client.get(f"http://127.0.0.1:{port}/healthz").json()
    except (httpx.HTTPError, ValueError):
        return f"no bot answers at port {port}; it hangs, has ended or has not begun"
    return wrong({part: said for part, said in parts.items() if part != "status"})


def _left_in(folder: Path) -> str | None:
    try:
        age = time.time() - _file(folder).stat().st_mtime
        parts = json.loads(_file(folder).read_text("utf-8"))
    except (OSError, ValueError):
        return f"no bot on the data folder {folder} has left a sign of life"
    if age > _STALE_SECONDS:
        return f"the last sign of life is {age:,.0f} seconds old; the bot hangs, is offline or has ended"
    return wrong(parts)
