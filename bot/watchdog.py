"""Ends a process that hangs, so that whoever runs it starts it again: everything goes on after a restart.

What watches does not depend on what is watched: a thread looks at the event loop and at the scheduler, and a timer of
the interpreter's own looks at that thread, for the case that nothing lets it run.
"""

import asyncio
import faulthandler
import logging
import os
import sys
import threading
import types
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from bot.services.pulse import Pulse

log = logging.getLogger(__name__)

FAILED = 1
#: Seconds between two looks.
_EVERY = 10.0
#: Looks in a row without a beat, two minutes and five. Not seconds: a machine that was asleep has not hung.
_LOOP_MISSES, _SCHEDULER_MISSES = 12, 30
#: Seconds without any look, after which the interpreter ends by itself; and those that are left for the last words.
_NO_LOOK, _LAST_WORDS = 180.0, 10.0


class Watchdog:
    """`look` is one look; `end` is told why the process has to end."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, scheduler: Pulse, end: Callable[[str], object]
    ) -> None:
        self._loop = loop
        self._end = end
        self._answers = Pulse()
        self._answers.beat()
        self._parts = [
            _Watched("the event loop is blocked", self._answers, _LOOP_MISSES),
            _Watched("the scheduler finishes no round", scheduler, _SCHEDULER_MISSES),
        ]

    def look(self) -> None:
        for part in self._parts:
            if part.hangs():
                self._end(part.what)
        self._loop.call_soon_threadsafe(self._answers.beat)


class _Watched:
    def __init__(self, what: str, pulse: Pulse, patience: int) -> None:
        self.what = what
        self._pulse = pulse
        self._patience = patience
        self._seen = 0
        self._misses = 0

    def hangs(self) -> bool:
        """Whether it has missed too many looks; what has not begun misses none."""
        beats = self._pulse.beats
        self._misses = self._misses + 1 if beats and beats == self._seen else 0
        self._seen = beats
        return self._misses >= self._patience


@asynccontextmanager
async def watching(
    scheduler: Pulse, *, every: float = _EVERY, no_look: float = _NO_LOOK
) -> AsyncIterator[None]:
    """Watch this event loop and the scheduler until left."""
    loop = asyncio.get_running_loop()
    watchdog = Watchdog(loop, scheduler, lambda why: _die(why, loop))
    left = threading.Event()

    def watch() -> None:
        while not left.wait(every):
            faulthandler.dump_traceback_later(no_look, exit=True)
            watchdog.look()

    thread = threading.Thread(target=watch, name="conch-watchdog", daemon=True)
    faulthandler.dump_traceback_later(no_look, exit=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join()
        faulthandler.cancel_dump_traceback_later()


def _die(why: str, loop: asyncio.AbstractEventLoop) -> NoReturn:
    # The log itself may be what hangs: a pipe that nobody reads.
    faulthandler.dump_traceback_later(_LAST_WORDS, exit=True)
    faulthandler.dump_traceback(sys.__stderr__ or sys.stderr)
    log.critical(
        "%s; the process ends now, to be started again. The threads stand above, the tasks wait here:\n%s",
        why,
        "\n".join(waiting(loop)),
    )
    os._exit(FAILED)


def waiting(loop: asyncio.AbstractEventLoop) -> Iterator[str]:
    """Where each of the loop's tasks waits, outermost call first: names and lines, no values."""
    try:
        tasks = asyncio.all_tasks(loop)
    except RuntimeError:  # they change while they are read
        yield "(the tasks cannot be listed)"
        return
    for task in tasks:
        yield f"{task.get_name()}:"
        for frame in _frames(task.get_coro()):
            yield f"  {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"


def _frames(awaited: Any) -> Iterator[types.FrameType]:
    """`Task.get_stack` tells the outermost call alone of a task that waits."""
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            yield frame
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
