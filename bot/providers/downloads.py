"""Guarded downloads: only public addresses, bounded in bytes and time, whole files or none."""

import asyncio
import ipaddress
import os
import re
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import httpcore
import httpx

from bot.domain.errors import NotAVideo, ProviderBusy
from bot.domain.language import kept
from bot.media.files import PART, discard, on_disk

#: Host and port to the addresses found, as text.
Resolver = Callable[[str, int], Awaitable[list[str]]]

REDIRECTS = 3
BATCH = 1024 * 1024
_TIMEOUTS = {"connect": 5.0, "read": 15.0, "write": 15.0, "pool": 10.0}
_HEADERS = [(b"Accept", b"*/*"), (b"Accept-Encoding", b"identity"), (b"User-Agent", b"conch")]
_MOVED = {301, 302, 303, 307, 308}
#: Answers that may be different the next time; every other 4xx means that the link is used up.
_PASSING = {408, 425, 429}
_TRANSPORT = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError)

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
#: Networks that lead inside or nowhere although Python calls them global.
_INSIDE = [ipaddress.ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "fec0::/10")]

_LAST_PORT = 65_535


class LinkExpired(ProviderBusy):
    """The address does not lead to the file any more; ask whoever gave it for a new one."""


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet; one that wraps an IPv4 address counts as that one."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and (wrapped := _wrapped(found)):
        return is_public(str(wrapped))
    return (
        found.is_global
        and not (found.is_multicast or found.is_reserved or found.is_unspecified)
        and not any(found in network for network in _INSIDE)
    )


def _wrapped(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that 6to4 or NAT64 would send this to; mapped ones are refused as they are."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour


async def resolve(host: str, port: int) -> list[str]:
    """Ask the system's resolver; `OSError` where it knows no address."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _Guard(httpcore.AsyncNetworkBackend):
    """Connects to the very address it has checked, so that a name cannot change its meaning in between.

    httpcore asks for the TLS name by itself, from the URL.
    """

    def __init__(
        self, trusted: frozenset[str], resolver: Resolver, inner: httpcore.AsyncNetworkBackend
    ) -> None:
        self._trusted = trusted
        self._resolve = resolver
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} has no address") from error
        if host not in self._trusted and not all(map(is_public, addresses)):
            raise NotAVideo(
                kept("The link leads to {host}, which is inside a private network: refused.", host=host)
            )
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class Downloads:
    """Fetches files from addresses that others chose. No key, cookie or proxy is ever involved.

    `trusted_hosts` may be reached by plain http and at private addresses: a provider on this machine.
    """

    def __init__(
        self,
        *,
        trusted_hosts: frozenset[str] = frozenset(),
        resolver: Resolver = resolve,
        backend: httpcore.AsyncNetworkBackend | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._trusted = frozenset(host.lower() for host in trusted_hosts)
        # httpx offers no network backend, its httpcore does. No connection is kept: each is checked anew.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or httpx.create_ssl_context(trust_env=False),
            max_connections=20,
            max_keepalive_connections=0,
            network_backend=_Guard(self._trusted, resolver, backend or httpcore.AnyIOBackend()),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.aclose()

    async def fetch(self, url: str, to: Path, *, limit: int, seconds: float) -> int:
        """Stream the file to `to` and return its bytes; whatever fails, `to` is as it was.

        `LinkExpired` or another `ProviderBusy` where it may work later, `NotAVideo` where it never will: too long,
        or an address we do not ask. `StorageError` where the disk does not take it.
        """
        start = _parsed(url)
        host = start.host or kept("no host")
        try:
            async with asyncio.timeout(seconds):
                return await self._fetch(start, to, limit)
        except TimeoutError as error:
            raise ProviderBusy(
                kept(
                    "The file at {host} did not arrive within {seconds} s.", host=host, seconds=f"{seconds:g}"
                )
            ) from error
        except _TRANSPORT as error:
            raise ProviderBusy(
                kept("The file at {host} cannot be read ({reason}).", host=host, reason=type(error).__name__)
            ) from error

    async def _fetch(self, url: httpx.URL, to: Path, limit: int) -> int:
        for _ in range(REDIRECTS + 1):
            self._check(url)
            async with self._opened(url) as answer:
                if answer.status not in _MOVED:
                    _accept(answer, url.host, limit)
                    return await _store(answer, url.host, to, limit)
                url = _onward(url, answer)
        raise NotAVideo(
            kept("The link at {host} leads from one address to the next: refused.", host=url.host)
        )

    def _check(self, url: httpx.URL) -> None:
        if url.scheme not in {"http", "https"} or not url.host:
            raise NotAVideo(kept("The link is no web address: refused."))
        if url.scheme == "http" and url.host not in self._trusted:
            raise NotAVideo(kept("The link to {host} is not encrypted: refused.", host=url.host))

    @asynccontextmanager
    async def _opened(self, url: httpx.URL) -> AsyncIterator[httpcore.Response]:
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        headers = [(b"Host", url.netloc), *_HEADERS]
        async with self._pool.stream(
            "GET", target, headers=headers, extensions={"timeout": _TIMEOUTS}
        ) as answer:
            yield answer


def _parsed(url: str) -> httpx.URL:
    try:
        return _whole(httpx.URL(url))
    except (httpx.InvalidURL, ValueError) as error:
        raise NotAVideo(kept("The link is no web address: refused.")) from error


def _whole(url: httpx.URL) -> httpx.URL:
    """The same; `ValueError` where there is no host, its name cannot be read or its port cannot be."""
    if not url.host or (url.port or 0) > _LAST_PORT:
        raise ValueError("no host, or no such port")
    return url


def _header(answer: httpcore.Response, name: bytes) -> str:
    return next((value.decode("latin-1").strip() for key, value in answer.headers if key.lower() == name), "")


def _onward(url: httpx.URL, answer: httpcore.Response) -> httpx.URL:
    place = _header(answer, b"location")
    try:
        return _whole(url.join(place))
    except (httpx.InvalidURL, ValueError) as error:
        raise NotAVideo(
            kept("The link at {host} leads to no web address: refused.", host=url.host)
        ) from error


def _accept(answer: httpcore.Response, host: str, limit: int) -> None:
    status = answer.status
    if httpx.codes.is_client_error(status) and status not in _PASSING:
        raise LinkExpired(
            kept("The link at {host} does not work any more ({status}).", host=host, status=status)
        )
    if status != httpx.codes.OK:
        raise ProviderBusy(
            kept("The file at {host} cannot be read now ({status}).", host=host, status=status)
        )
    if _header(answer, b"content-encoding").lower() not in {"", "identity"}:
        raise NotAVideo(
            kept("The file at {host} is packed although we asked for it unpacked: refused.", host=host)
        )
    length = _header(answer, b"content-length")
    if re.fullmatch(r"\d{1,18}", length, re.ASCII) and int(length) > limit:
        raise NotAVideo(
            kept(
                "The file at {host} has {found} MB, at most {most} MB are taken.",
                host=host,
                found=_megabytes(int(length)),
                most=_megabytes(limit),
            )
        )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f}"


async def _store(answer: httpcore.Response, host: str, to: Path, limit: int) -> int:
    with _part(to) as (descriptor, part):
        written = 0
        async for batch in _batches(answer):
            written += len(batch)
            if written > limit:
                raise NotAVideo(
                    kept(
                        "The file at {host} has more than {found} MB, at most {most} MB are taken.",
                        host=host,
                        found=_megabytes(limit),
                        most=_megabytes(limit),
                    )
                )
            with on_disk(to):
                await _to_the_end(_append, descriptor, batch)
        with on_disk(to):
            part.replace(to)
        return written


async def _batches(answer: httpcore.Response) -> AsyncIterator[bytes]:
    """The body in pieces worth a thread's trip to the disk."""
    batch = bytearray()
    async for chunk in answer.aiter_stream():
        batch += chunk
        if len(batch) >= BATCH:
            yield bytes(batch)
            batch.clear()
    if batch:
        yield bytes(batch)


@contextmanager
def _part(to: Path) -> Iterator[tuple[int, Path]]:
    """A file beside `to` that only we can read (0600), gone at the end unless it was renamed."""
    with on_disk(to):
        descriptor, name = tempfile.mkstemp(prefix=f".{to.name}.", suffix=PART, dir=to.parent)
    part = Path(name)
    try:
        yield descriptor, part
    finally:
        os.close(descriptor)
        discard(part)


def _append(descriptor: int, batch: bytes) -> None:
    rest = memoryview(batch)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


async def _to_the_end(work: Callable[[int, bytes], None], descriptor: int, batch: bytes) -> None:
    """Run in a thread, and wait for it even when cancelled: the descriptor must not be closed under its hands."""
    writing = asyncio.ensure_future(asyncio.to_thread(work, descriptor, batch))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])
        raise
