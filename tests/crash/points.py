"""Finds, names and numbers the points at which a process may be killed, and kills it at one of them.

Nothing here knows the steps of a clip's life. Five seams are wrapped through which everything must go that leaves
the process or comes into it, so a new step is a new point by itself:

- aiohttp: every request to Discord, before it is sent and once its answer is there (`→`, `←`);
- httpcore: the same for every provider and download, and their bodies: begun, half there, whole;
- discord.py's gateway: every frame, received or sent;
- sqlite3: every COMMIT, before and after it;
- Python's own audit of files and processes: before each file below `DATA_DIR` is opened for writing, renamed or
  removed, and each child process: before it starts, once it has its order, once it has answered.

What SQLite and child processes do with files themselves passes none of these: SQLite's are behind the COMMITs, and a
child writes a `.part` file that counts only once it is renamed.

A point's name is its label and its occurrence, `commit tasks→queued, task_events; before #1`. It is no plain number,
since timers and threads change the order of points that have nothing to do with each other. Labels leave ids out, so
the third status read of one run is the third of another, though it may be of another task. A point that hangs on a
timer (a heartbeat, one more redrawing) may not come every time: the matrix tells how many did not.
"""

import os
import re
import signal
import sqlite3
import sqlite3.dbapi2
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import httpcore
from discord.gateway import DiscordWebSocket
from discord.utils import _from_json

from bot.media import child

T = TypeVar("T")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
_CHANGE = re.compile(r"\s*(?:INSERT\s+(?:OR\s+\w+\s+)?INTO|UPDATE|DELETE\s+FROM)\s+(\w+)", re.IGNORECASE)
_NEW_STATE = re.compile(r"\bSET\s+state = (?:'(\w+)'|:(\w+))")
_ID = re.compile(r"\b[a-z2-9]{16}\b|[\w.+=-]{30,}|\b(?!v\d+\b|mp4\b)[\w-]*\d[\w-]*")


class Points:
    """Writes the name of every point it passes to `record`; at `end_at` it kills the process."""

    def __init__(self, record: Path, end_at: str | None) -> None:
        self._record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._end_at = end_at
        self._seen: Counter[str] = Counter()
        # Not a plain lock: while it is held, the interpreter may collect a thing whose end removes a file.
        self._lock = threading.RLock()

    def passed(self, label: str) -> None:
        with self._lock:
            self._seen[label] += 1
            name = f"{label} #{self._seen[label]}"
            # A killed process loses nothing that it has written: only a power cut could.
            os.write(self._record, f"{name}\n".encode())
            if name == self._end_at:
                os.kill(os.getpid(), signal.SIGKILL)


def watch(points: Points, data: Path) -> None:
    """Wrap the seams of this process, for good."""
    _watch_discord(points)
    _watch_providers(points)
    _watch_gateway(points)
    _watch_commits(points)
    _watch_children(points)
    sys.addaudithook(_Audit(points, data.resolve()))


def shape(path: str) -> str:
    """A path whose ids and tokens are left out."""
    return "/".join(_ID.sub("…", part) for part in path.split("/"))


def _wrap(owner: Any, name: str, around: Callable[..., Awaitable[Any]]) -> None:
    inner = getattr(owner, name)

    @wraps(inner)
    async def wrapped(*arguments: Any, **more: Any) -> Any:
        return await around(inner, *arguments, **more)

    setattr(owner, name, wrapped)


def _watch_discord(points: Points) -> None:
    async def request(inner: Any, *arguments: Any, **more: Any) -> Any:
        _, method, url, *_ = arguments
        asked = f"{method} {shape(urlsplit(str(url)).path)}"
        points.passed(f"discord → {asked}")
        answer = await inner(*arguments, **more)
        points.passed(f"discord ← {asked}")
        return answer

    _wrap(aiohttp.ClientSession, "_request", request)


def _watch_providers(points: Points) -> None:
    async def handle(inner: Any, pool: httpcore.AsyncConnectionPool, request: httpcore.Request) -> Any:
        asked = f"{request.method.decode()} {shape(urlsplit(request.url.target.decode()).path)}"
        points.passed(f"provider → {asked}")
        answer = await inner(pool, request)
        points.passed(f"provider ← {asked}")
        length = next((int(value) for name, value in answer.headers if name.lower() == b"content-length"), 0)
        answer.stream = _Body(answer.stream, length, lambda how: points.passed(f"provider ← {asked}, {how}"))
        return answer

    _wrap(httpcore.AsyncConnectionPool, "handle_async_request", handle)


class _Body:
    """The body of an answer, which tells how far it has come."""

    def __init__(self, inner: Any, length: int, tell: Callable[[str], None]) -> None:
        self._inner = inner
        self._length = length
        self._tell = tell

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for chunk in self._inner:
            before, seen = seen, seen + len(chunk)
            if not before and seen < self._length:
                self._tell("begun")
            if before * 2 < self._length <= seen * 2 < self._length * 2:
                self._tell("half")
            yield chunk
        self._tell("whole")

    async def aclose(self) -> None:
        await self._inner.aclose()


def _watch_gateway(points: Points) -> None:
    async def receive(inner: Any, socket: DiscordWebSocket, frame: Any, /) -> None:
        read = _from_json(frame) if isinstance(frame, str) else {}
        points.passed(f"gateway ← {read.get('t') or read.get('op')}")
        await inner(socket, frame)

    async def send(inner: Any, socket: DiscordWebSocket, data: str, /) -> None:
        points.passed(f"gateway → {_from_json(data).get('op')}")
        await inner(socket, data)

    _wrap(DiscordWebSocket, "received_message", receive)
    _wrap(DiscordWebSocket, "send", send)


def _watch_commits(points: Points) -> None:
    class Connection(sqlite3.Connection):
        """Labels a commit with the tables it changes, and a task's new state."""

        changed: dict[str, None]

        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            if sql == "COMMIT":
                return self._committed(partial(super().execute, sql))
            if sql.startswith("BEGIN"):
                self.changed = {}
            elif (match := _CHANGE.match(sql)) and self.in_transaction:
                self.changed[match[1] + _state_in(sql, parameters)] = None
            return super().execute(sql, parameters)

        def commit(self) -> None:
            self._committed(super().commit) if self.in_transaction else super().commit()

        def _committed(self, commit: Callable[[], T]) -> T:
            label = f"commit {', '.join(getattr(self, 'changed', {})) or 'nothing'}"
            points.passed(f"{label}; before")
            done = commit()
            points.passed(f"{label}; after")
            return done

    # Alembic's driver asks the inner module.
    for module in (sqlite3, sqlite3.dbapi2):
        setattr(module, "connect", partial(module.connect, factory=Connection))  # noqa: B010 - mypy knows it as fixed


def _state_in(sql: str, parameters: Any) -> str:
    if not (match := _NEW_STATE.search(sql)):
        return ""
    return f"→{match[1] or parameters[match[2]]}"


def _watch_children(points: Points) -> None:
    async def feed(inner: Any, *arguments: Any) -> None:
        await inner(*arguments)
        points.passed("child has its order")

    async def run(inner: Any, job: str, *arguments: Any, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await inner(job, *arguments, **more)
        points.passed(f"child ← {job}")
        return answer

    _wrap(child, "_feed", feed)
    _wrap(child, "run", run)


class _Audit:
    """Called by the interpreter before each of its audited events."""

    def __init__(self, points: Points, data: Path) -> None:
        self._points = points
        self._data = str(data) + os.sep

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        match event:
            case "open" if _writes(*arguments[1:]):
                self._file("write", arguments[0])
            case "os.rename":
                self._file("rename", arguments[0], arguments[1])
            case "os.remove":
                self._file("remove", arguments[0])
            case "subprocess.Popen":
                self._points.passed(f"child → {list(arguments[1])[-1]}")

    def _file(self, deed: str, *paths: Any) -> None:
        known = [self._short(path) for path in paths if isinstance(path, (str, bytes, os.PathLike))]
        if any(known):
            self._points.passed(f"{deed} {' as '.join(filter(None, known))}")

    def _short(self, path: Any) -> str:
        """Within the data folder; "" for all others."""
        full = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - a link counts by its own name
        return shape(full.removeprefix(self._data)) if full.startswith(self._data) else ""


def _writes(mode: str | None, flags: int) -> bool:
    return bool(flags & _WRITING) if mode is None else not mode.startswith("r") or "+" in mode
