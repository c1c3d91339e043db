"""A server on loopback that writes exactly the bytes it is told to, however wrong they are."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

#: Loading the certificates takes longer than most tests here.
TLS = ssl.create_default_context()

Stall = Literal["nothing", "head", "body", "reset"]


@dataclass(frozen=True)
class Raw:
    """What to write: the head, then the body, once or for ever. `stall` names where to stop without closing."""

    head: bytes
    body: bytes = b""
    endless: bool = False
    stall: Stall | None = None
    #: Seconds between single bytes of the body; of the head where there is no body.
    every: float | None = None


def served(
    body: bytes,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    chunked: bool = False,
    endless: bool = False,
    stall: Stall | None = None,
) -> Raw:
    """A right answer, but for what is asked for."""
    fields = {"Content-Type": "application/json", "Connection": "close", **(headers or {})}
    if chunked:
        fields["Transfer-Encoding"] = "chunked"
        body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        body = body if endless else body + b"0\r\n\r\n"
    else:
        fields.setdefault("Content-Length", str(len(body)))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return Raw(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode("latin-1"), body, endless, stall)


class RawServer:
    """`answers` are given first, one to each request, then `answer` for ever.

    A server that `keeps` leaves a connection open after its answer, and resets it, reading nothing, in the very
    moment something comes on it again: as one that has just given up on an idle connection.
    """

    def __init__(self) -> None:
        self.answers: list[Raw] = []
        self.answer = served(b"{}")
        self.requests: list[bytes] = []
        self.connections = 0
        self.keeps = False
        #: Requests that came on a kept connection; none of them was read.
        self.unread = 0
        #: One entry for each request, for a test to wait for.
        self.arrived: asyncio.Queue[None] = asyncio.Queue()
        self._port = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def at(self, host: str, path: str = "/") -> str:
        return f"http://{host}:{self._port}{path}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append(await _request(reader))
            self.arrived.put_nowait(None)
            await _write(writer, self.answers.pop(0) if self.answers else self.answer)
            if self.keeps and await reader.read(1):
                self.unread += 1
                writer.transport.abort()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + await reader.readexactly(int(length[0].split(b":")[1]) if length else 0)


async def _write(writer: asyncio.StreamWriter, raw: Raw) -> None:
    if raw.stall == "reset":
        writer.transport.abort()
        return
    if raw.stall == "nothing":
        await asyncio.Event().wait()
    writer.write(raw.head[:20] if raw.stall == "head" else raw.head)
    await writer.drain()
    if raw.stall == "head":
        await asyncio.Event().wait()
    half = raw.body[: len(raw.body) // 2]
    await _pour(writer, half if raw.stall == "body" else raw.body, raw.every)
    while raw.endless:
        await _pour(writer, raw.body, raw.every)
    if raw.stall == "body":
        await asyncio.Event().wait()


async def _pour(writer: asyncio.StreamWriter, body: bytes, every: float | None) -> None:
    for piece in [body] if every is None else [bytes([byte]) for byte in body]:
        writer.write(piece)
        await writer.drain()
        if every is not None:
            await asyncio.sleep(every)
