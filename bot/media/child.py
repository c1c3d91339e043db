"""Runs one media job in a child process with limits of its own, and always ends it."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

from bot.domain.errors import BotError
from bot.domain.language import kept

#: Children at once. Each may take its whole memory limit.
AT_ONCE = 2
#: Besides those; an encode has as many threads as there are cores, so a second one would make none faster.
ENCODES_AT_ONCE = 1
_ROOT = Path(__file__).resolve().parents[2]
# -I keeps the working folder, PYTHONPATH and the user's own packages out of the child's import path, and with
# them the bot when it runs from a checkout; so the folder this very package came from is named instead.
_START = "import sys; sys.path.insert(0, sys.argv[1]); from bot.media.worker import main; main(sys.argv[2])"
# The rest of the environment holds tokens and keys; what decodes strangers' files never sees them.
_KEPT = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
# Each arena of glibc's malloc reserves 64 MB of address space, which RLIMIT_AS counts.
_EXTRA = {"MALLOC_ARENA_MAX": "1"}
_STDOUT_LIMIT = 64 * 1024
_STDERR_LIMIT = 4 * 1024
_STARVED = re.compile(
    r"MemoryError|Cannot allocate memory|failed to map segment|out of memory", re.IGNORECASE
)

#: By event loop: the slots of quick jobs, and of encodes.
_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[asyncio.Semaphore, asyncio.Semaphore]] = (
    WeakKeyDictionary()
)


class ChildFailed(BotError):
    """The job was not done: crashed, killed, out of time or memory. The text says which."""


async def run(
    job: str,
    arguments: dict[str, Any],
    *,
    cpu_seconds: int,
    memory_bytes: int,
    seconds: float,
    encode: bool = False,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """The job's answer. Waits for a free slot first; `seconds` count from the start of the child.

    `encode`: it may take minutes, so it waits in a line of its own and keeps no check of a file waiting.
    `environment` is what the job's libraries read besides the little that every child is given.
    `{"refused": "sentence"}` is an answer too; `ChildFailed` where there is none.
    """
    order = {"arguments": arguments, "cpu_seconds": cpu_seconds, "memory_bytes": memory_bytes}
    async with _slot(encode=encode):
        process = await _start(job, environment)
        try:
            async with asyncio.timeout(seconds):
                stdout, stderr = await _converse(process, json.dumps(order).encode())
        except TimeoutError:
            raise ChildFailed(kept("it took more than {seconds} seconds", seconds=f"{seconds:g}")) from None
        finally:
            await _end(process)
    return _answer(process.returncode, stdout, stderr, cpu_seconds)


async def _start(job: str, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-X", "utf8", "-c", _START, str(_ROOT), job),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={name: os.environ[name] for name in _KEPT if name in os.environ} | _EXTRA | dict(environment),
            start_new_session=True,  # Ctrl+C in a terminal is for the bot, which then ends its children
        )
    except OSError as error:
        raise ChildFailed(
            kept("no process could be started for it ({reason})", reason=error.strerror)
        ) from error


def _slot(*, encode: bool) -> asyncio.Semaphore:
    both = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(ENCODES_AT_ONCE)
    return _slots.setdefault(asyncio.get_running_loop(), both)[encode]


async def _converse(process: asyncio.subprocess.Process, order: bytes) -> tuple[bytes, bytes]:
    if not (process.stdin and process.stdout and process.stderr):
        raise ChildFailed(kept("it has no pipes"))
    _, stdout, stderr, _ = await asyncio.gather(
        _feed(process.stdin, order),
        _read(process.stdout, _STDOUT_LIMIT),
        _read(process.stderr, _STDERR_LIMIT),
        process.wait(),
    )
    return stdout, stderr


async def _feed(pipe: asyncio.StreamWriter, order: bytes) -> None:
    # A child that dies before it reads is told of by its exit code.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        pipe.write(order)
        await pipe.drain()
    pipe.close()


async def _read(pipe: asyncio.StreamReader, limit: int) -> bytes:
    """Read to the end and keep the first `limit` bytes, so that a talkative child neither blocks nor fills us."""
    taken = b""
    while chunk := await pipe.read(16 * 1024):
        taken += chunk[: limit - len(taken)]
    return taken


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    # Shielded: whoever cancels us twice must not leave a zombie or an open pipe.
    await asyncio.shield(asyncio.ensure_future(process.communicate()))


def _answer(code: int | None, stdout: bytes, stderr: bytes, cpu_seconds: int) -> dict[str, Any]:
    if code:
        raise ChildFailed(_obituary(code, stderr, cpu_seconds))
    try:
        answer = json.loads(stdout)
    except ValueError:
        raise ChildFailed(kept("its answer cannot be read")) from None
    if "failed" in answer:
        raise ChildFailed(answer["failed"])
    done: dict[str, Any] = answer.get("done", answer)
    return done


def _obituary(code: int, stderr: bytes, cpu_seconds: int) -> str:
    if code > 0:
        last = stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:300]
        if _STARVED.search(last):
            return kept("it needs too much memory")
        return kept("it crashed ({reason})", reason=last)
    name = _signal_name(-code)
    if name == "SIGXCPU":
        return kept("it took more than {seconds} seconds of processor time", seconds=cpu_seconds)
    return kept("it was ended by the signal {signal}", signal=name)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
