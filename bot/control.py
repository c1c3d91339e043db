"""How `conch tasks` reaches a running bot: one request and one answer, as JSON lines over a local socket.

A second process may not open the database, so what changes it is done by the bot that has it. Without a running
bot the same request is answered from the database directly.
"""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bot.domain.errors import BotError, SetupError
from bot.domain.money import parse_dollars
from bot.domain.task import Task
from bot.services.parked import Parked

log = logging.getLogger(__name__)

Request = Mapping[str, Any]
Answer = dict[str, Any]

_Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_SECONDS = 10
#: Bytes.
_LONGEST_REQUEST, _LONGEST_ANSWER = 64_000, 4_000_000


def _socket(folder: Path) -> Path:
    return folder / "control.sock"


async def answer(parked: Parked, request: Request) -> Answer:
    """Do what is asked; `{"tasks": [...]}`, or `{"refused": sentence}`."""
    try:
        return {"tasks": [_shown(task) for task in await _done(parked, request)]}
    except (BotError, ValueError) as error:
        return {"refused": str(error)}


async def _done(parked: Parked, request: Request) -> list[Task]:
    match request.get("do"):
        case "list":
            return await parked.list()
        case "attach":
            return [await parked.attach(**_decided(request), job_id=_words(request, "job"))]
        case "settle":
            cost = parse_dollars(_words(request, "cost"))
            return [await parked.settle(**_decided(request), cost_micros=cost)]
        case "release":
            return [await parked.release(**_decided(request))]
    raise ValueError(f"This version does not know how to {request.get('do')!r}.")


def _decided(request: Request) -> dict[str, str]:
    """Which task, and why: nothing is decided without a reason."""
    return {"task_id": _words(request, "task"), "reason": _words(request, "reason")}


def _words(request: Request, name: str) -> str:
    words = request.get(name)
    if not isinstance(words, str) or not words.strip():
        raise ValueError(f"{name} is empty: say it in words.")
    return words.strip()


def _shown(task: Task) -> Answer:
    return {
        "task": task.id,
        "state": task.state.value,
        "member": task.member_id,
        "provider": task.provider,
        "format": task.format.id,
        "held_micros": task.price_micros,
        "created_at": task.created_at,
        "job": task.job_id,
        "problem": task.problem,
    }


@asynccontextmanager
async def listening(folder: Path, parked: Parked, wake: Callable[[], None]) -> AsyncIterator[None]:
    """Answer requests until left. The socket is for this user alone."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_SECONDS):
                request = json.loads(await reader.readline())
                said = await answer(parked, request if isinstance(request, dict) else {})
                wake()
                writer.write(json.dumps(said).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError, RecursionError) as error:
            log.warning("a request at the control socket was not answered: %s", error or type(error).__name__)
        finally:
            writer.close()

    path = _socket(folder)
    server = await _opened(path, serve)
    try:
        yield
    finally:
        if server:
            # Who is still connected is not waited for: the stop has other things to do.
            server.close()
            path.unlink(missing_ok=True)


async def _opened(path: Path, serve: _Serve) -> asyncio.Server | None:
    """The server, or None where it cannot be: the bot itself needs none. asyncio removes what a crash left."""
    before = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(serve, path, limit=_LONGEST_REQUEST)
    except OSError as error:
        # A path too long for a socket, or a file system without them.
        log.warning("`conch tasks` cannot reach this bot while it runs: %s", error)
        return None
    finally:
        os.umask(before)


async def ask(folder: Path, request: Request) -> Answer | None:
    """The running bot's answer; None where none runs on this data folder."""
    try:
        reader, writer = await asyncio.open_unix_connection(_socket(folder), limit=_LONGEST_ANSWER)
    except OSError:
        return None
    try:
        async with asyncio.timeout(_SECONDS):
            writer.write(json.dumps(request).encode() + b"\n")
            said: Answer = json.loads(await reader.readline())
            return said
    except (OSError, ValueError) as error:
        raise SetupError(
            f"The running bot did not answer ({type(error).__name__}). Is it hanging?"
        ) from error
    finally:
        writer.close()


async def ask_or_do(folder: Path, request: Request, alone: Callable[[Request], Awaitable[Answer]]) -> Answer:
    """Ask the running bot, or do it with the database where none runs."""
    said = await ask(folder, request)
    return await alone(request) if said is None else said
