"""Downloads: public addresses only, bounded, whole files or none."""

import asyncio
import logging
import os
import stat
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path

import httpcore
import pytest

from bot.domain.errors import NotAVideo, ProviderBusy, StorageError
from bot.providers import downloads as module
from bot.providers.downloads import BATCH, Downloads, LinkExpired, is_public
from tests.providers.mindvideo_standin import MindVideoStandIn
from tests.providers.rawserver import TLS, RawServer, Stall, served

CLIP = bytes(range(256)) * 10_000
SECONDS = 5.0


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with RawServer() as server:
        yield server


@pytest.fixture
async def trusting() -> AsyncIterator[Downloads]:
    """Trusts this machine by one of its two names: `127.0.0.1` stays what it is, a private address."""
    async with Downloads(trusted_hosts=frozenset({"localhost"}), tls=TLS) as downloads:
        yield downloads


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "clip.mp4"


def contents(target: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in target.parent.iterdir()}


def mode(target: Path) -> int:
    return stat.S_IMODE(target.stat().st_mode)


def nothing_left(target: Path) -> bool:
    return contents(target) == {}


async def test_file_arrives_whole(server: RawServer, trusting: Downloads, target: Path) -> None:
    server.answer = served(CLIP)
    assert await trusting.fetch(server.at("localhost"), target, limit=len(CLIP), seconds=SECONDS) == len(CLIP)
    assert contents(target) == {"clip.mp4": CLIP}
    assert mode(target) == 0o600


async def test_request_carries_nothing_of_ours(server: RawServer, trusting: Downloads, target: Path) -> None:
    server.answer = served(b"x", headers={"Set-Cookie": "a=b"})
    for _ in range(2):
        await trusting.fetch(server.at("localhost", "/a?sig=1"), target, limit=10, seconds=SECONDS)
    head = server.requests[1].lower()
    assert head.startswith(b"get /a?sig=1 http/1.1\r\nhost: localhost:")
    assert b"accept-encoding: identity" in head
    assert not any(word in head for word in (b"authorization", b"cookie", b"referer"))


# Addresses

PRIVATE = [
    *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1"),
    *("192.0.0.8", "192.0.2.1", "192.168.1.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "239.1.1.1"),
    *("240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8"),
    *("64:ff9b::7f00:1", "64:ff9b::a01:203", "64:ff9b:1::1", "2002:7f00:1::", "2002:a01:203::1"),
    *("2001::1", "2001:db8::1", "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1"),
    *("not an address", ""),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_address_is_public(address: str) -> None:
    assert is_public(address)


class Spy(httpcore.AsyncNetworkBackend):
    """Notes whom it was asked to connect to and under which TLS name, and connects to nobody."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.names: list[str | None] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.asked.append(host)
        return SpyStream(self)


class SpyStream(httpcore.AsyncNetworkStream):
    def __init__(self, spy: Spy) -> None:
        self._spy = spy

    async def start_tls(
        self,
        ssl_context: object,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's signature
    ) -> httpcore.AsyncNetworkStream:
        self._spy.names.append(server_hostname)
        raise httpcore.ConnectError

    async def aclose(self) -> None:
        pass


def resolving(*answers: list[str]) -> Callable[[str, int], Awaitable[list[str]]]:
    """A resolver that gives these answers one after the other, the last one for ever."""
    left = list(answers)

    async def resolve(host: str, port: int) -> list[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


async def test_connects_to_the_checked_address_under_the_name_of_the_host(target: Path) -> None:
    # A name that changes its meaning after the first look: there must be no second look.
    spy, resolver = Spy(), resolving(["8.8.8.8"], ["127.0.0.1"])
    async with Downloads(tls=TLS, resolver=resolver, backend=spy) as downloads:
        with pytest.raises(ProviderBusy):
            await downloads.fetch("https://cdn.example/a", target, limit=9, seconds=SECONDS)
        assert (spy.asked, spy.names) == (["8.8.8.8"], ["cdn.example"])
        with pytest.raises(NotAVideo, match="private network"):
            await downloads.fetch("https://cdn.example/a", target, limit=9, seconds=SECONDS)
    assert spy.asked == ["8.8.8.8"]


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::1", "2606:4700::1111"]])
async def test_one_private_address_is_enough_to_refuse(addresses: list[str], target: Path) -> None:
    spy = Spy()
    async with Downloads(tls=TLS, resolver=resolving(addresses), backend=spy) as downloads:
        with pytest.raises(NotAVideo, match=r"cdn\.example, which is inside a private network"):
            await downloads.fetch("https://cdn.example/a?sig=s3cret", target, limit=9, seconds=SECONDS)
    assert spy.asked == []


async def test_next_address_is_tried(server: RawServer, target: Path) -> None:
    server.answer = served(b"x")
    # Nothing listens at 127.0.0.2: the server is bound to 127.0.0.1 alone.
    resolver = resolving(["127.0.0.2", "127.0.0.1"])
    async with Downloads(tls=TLS, trusted_hosts=frozenset({"cdn.example"}), resolver=resolver) as downloads:
        assert await downloads.fetch(server.at("cdn.example"), target, limit=9, seconds=SECONDS) == 1


async def test_host_without_an_address_is_for_later(target: Path, nameless: list[str]) -> None:
    async with Downloads(tls=TLS) as downloads:
        with pytest.raises(ProviderBusy):
            await downloads.fetch("https://cdn.example/clip.mp4", target, limit=10, seconds=SECONDS)
    assert nameless == ["cdn.example"]
    assert nothing_left(target)


async def test_every_download_looks_at_the_address_again(target: Path) -> None:
    asked: list[str] = []

    async def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    trusted = frozenset({"127.0.0.1"})
    async with (
        MindVideoStandIn() as standin,
        Downloads(tls=TLS, trusted_hosts=trusted, resolver=resolver) as downloads,
    ):
        standin.clips["a"] = b"x"
        for _ in range(2):
            await downloads.fetch(f"{standin.url}/clips/a.mp4", target, limit=9, seconds=SECONDS)
    assert asked == ["127.0.0.1", "127.0.0.1"]


LOCAL = [
    *("127.0.0.1", "2130706433", "0177.0.0.1", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]"),
    *("LOCALHOST.", "0.0.0.0", "user@127.0.0.1"),
]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", LOCAL)
async def test_this_machine_is_never_asked(
    host: str, scheme: str, server: RawServer, trusting: Downloads, target: Path
) -> None:
    with pytest.raises((NotAVideo, ProviderBusy)) as caught:
        await trusting.fetch(server.at(host).replace("http", scheme, 1), target, limit=9, seconds=SECONDS)
    assert (server.connections, nothing_left(target)) == (0, True)
    assert isinstance(caught.value, NotAVideo) or "no address" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://cdn.example/a",
        "ftp://localhost/a",
        "data:,x",
        "/a",
        "",
        "https://",
        "https://a:b/",
        "\0",
    ],
)
async def test_other_schemes_are_refused(url: str, trusting: Downloads, target: Path) -> None:
    with pytest.raises(NotAVideo, match="no web address"):
        await trusting.fetch(url, target, limit=9, seconds=SECONDS)


async def test_plain_http_is_refused_elsewhere(trusting: Downloads, target: Path) -> None:
    with pytest.raises(NotAVideo, match=r"cdn\.example is not encrypted"):
        await trusting.fetch("http://cdn.example/a?sig=s3cret", target, limit=9, seconds=SECONDS)


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_to_a_private_address_is_refused(
    status: int, server: RawServer, trusting: Downloads, target: Path
) -> None:
    async with RawServer() as internal:
        for host in ("127.0.0.1", "[::ffff:127.0.0.1]", "2130706433"):
            for scheme in ("http", "https"):
                place = internal.at(host).replace("http", scheme, 1)
                server.answer = served(b"", status=status, headers={"Location": place})
                with pytest.raises(NotAVideo, match=r"not encrypted|private network"):
                    await trusting.fetch(server.at("localhost"), target, limit=9, seconds=SECONDS)
        assert internal.connections == 0
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    "place", ["file:///etc/passwd", "ftp://x/", "https://a:b/", "https://", "gopher://x"]
)
async def test_redirect_to_no_web_address_is_refused(
    place: str, server: RawServer, trusting: Downloads, target: Path
) -> None:
    server.answer = served(b"", status=302, headers={"Location": place})
    with pytest.raises(NotAVideo, match="no web address"):
        await trusting.fetch(server.at("localhost"), target, limit=9, seconds=SECONDS)


@pytest.mark.parametrize(("hops", "arrives"), [(3, True), (4, False)])
async def test_three_redirects_are_followed(
    hops: int, *, arrives: bool, server: RawServer, trusting: Downloads, target: Path
) -> None:
    server.answers = [served(b"", status=302, headers={"Location": f"/hop/{hop}"}) for hop in range(hops)]
    server.answer = served(b"x")
    if arrives:
        assert await trusting.fetch(server.at("localhost"), target, limit=9, seconds=SECONDS) == 1
    else:
        with pytest.raises(NotAVideo, match="from one address to the next"):
            await trusting.fetch(server.at("localhost"), target, limit=9, seconds=SECONDS)
    assert len(server.requests) == 4


# Answers


@pytest.mark.parametrize(
    ("status", "expired"),
    [
        *((status, True) for status in (400, 401, 403, 404, 410)),
        *((status, False) for status in (204, 206, 304, 408, 425, 429, 500, 503)),
    ],
)
async def test_status_says_whether_a_new_link_is_needed(
    status: int, *, expired: bool, server: RawServer, trusting: Downloads, target: Path
) -> None:
    server.answer = served(b"", status=status)
    with pytest.raises(ProviderBusy) as caught:
        await trusting.fetch(server.at("localhost", "/a?sig=s3cret"), target, limit=9, seconds=SECONDS)
    assert isinstance(caught.value, LinkExpired) is expired
    assert str(status) in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert nothing_left(target)


@pytest.mark.parametrize("coding", ["gzip", "br", "x-unknown"])
async def test_packed_file_is_refused(
    coding: str, server: RawServer, trusting: Downloads, target: Path
) -> None:
    server.answer = served(b"x", headers={"Content-Encoding": coding})
    with pytest.raises(NotAVideo, match="packed"):
        await trusting.fetch(server.at("localhost"), target, limit=9, seconds=SECONDS)


async def test_honest_length_over_the_limit_is_refused_at_once(
    server: RawServer, trusting: Downloads, target: Path
) -> None:
    server.answer = served(b"", headers={"Content-Length": "5000000000"})
    with pytest.raises(NotAVideo, match=r"5,000\.0 MB, at most 500\.0 MB"):
        await trusting.fetch(server.at("localhost"), target, limit=500_000_000, seconds=SECONDS)
    assert nothing_left(target)


async def test_endless_file_is_stopped_at_the_limit(
    server: RawServer, trusting: Downloads, target: Path
) -> None:
    server.answer = served(bytes(65536), chunked=True, endless=True)
    tracemalloc.start()
    try:
        with pytest.raises(NotAVideo, match=r"more than 21\.0 MB"):
            await trusting.fetch(server.at("localhost"), target, limit=20 * BATCH, seconds=SECONDS)
        assert tracemalloc.get_traced_memory()[1] < 6 * BATCH
    finally:
        tracemalloc.stop()
    assert nothing_left(target)


@pytest.mark.parametrize("size", [0, 1, BATCH, BATCH + 1])
async def test_limit_itself_is_allowed(
    size: int, server: RawServer, trusting: Downloads, target: Path
) -> None:
    server.answer = served(bytes(size), chunked=True)
    assert await trusting.fetch(server.at("localhost"), target, limit=size, seconds=SECONDS) == size


async def test_false_length_is_noticed(server: RawServer, trusting: Downloads, target: Path) -> None:
    server.answer = served(b"short", headers={"Content-Length": "1000"})
    with pytest.raises(ProviderBusy, match="RemoteProtocolError"):
        await trusting.fetch(server.at("localhost"), target, limit=2000, seconds=SECONDS)
    assert nothing_left(target)


@pytest.mark.parametrize("part", ["nothing", "head", "body"])
async def test_slow_server_is_given_up(
    part: Stall, server: RawServer, trusting: Downloads, target: Path
) -> None:
    server.answer = served(CLIP, stall=part)
    async with asyncio.timeout(2):
        with pytest.raises(ProviderBusy, match=r"within 0\.2 s"):
            await trusting.fetch(server.at("localhost"), target, limit=len(CLIP), seconds=0.2)
    assert nothing_left(target)


async def test_reset_is_told(server: RawServer, trusting: Downloads, target: Path) -> None:
    server.answer = served(b"", stall="reset")
    with pytest.raises(ProviderBusy, match="cannot be read"):
        await trusting.fetch(server.at("localhost"), target, limit=9, seconds=SECONDS)


async def test_nobody_listens(trusting: Downloads, target: Path) -> None:
    async with RawServer() as server:
        url = server.at("localhost")
    with pytest.raises(ProviderBusy, match="ConnectError"):
        await trusting.fetch(url, target, limit=9, seconds=SECONDS)


@pytest.fixture
def old(target: Path) -> Path:
    target.write_bytes(b"old")
    return target


async def test_old_file_survives_a_failure(server: RawServer, trusting: Downloads, old: Path) -> None:
    server.answer = served(b"short", headers={"Content-Length": "1000"})
    with pytest.raises(ProviderBusy):
        await trusting.fetch(server.at("localhost"), old, limit=2000, seconds=SECONDS)
    assert contents(old) == {"clip.mp4": b"old"}


async def test_cancelled_in_the_middle_of_a_write(
    server: RawServer, trusting: Downloads, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, go_on = asyncio.Event(), threading.Event()
    loop, append = asyncio.get_running_loop(), module._append
    ends: list[int] = []

    def slow(descriptor: int, batch: bytes) -> None:
        loop.call_soon_threadsafe(writing.set)
        go_on.wait()
        append(descriptor, batch)
        ends.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(module, "_append", slow)
    server.answer = served(CLIP)
    fetch = asyncio.create_task(
        trusting.fetch(server.at("localhost"), target, limit=len(CLIP), seconds=SECONDS)
    )
    await writing.wait()
    fetch.cancel()
    loop.call_later(0.05, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await fetch
    # The one write that had begun came to its end, on a file still open.
    assert [end >= BATCH for end in ends] == [True]
    assert nothing_left(target)


# Disk


async def test_folder_is_gone(server: RawServer, trusting: Downloads, tmp_path: Path) -> None:
    server.answer = served(b"x")
    with pytest.raises(StorageError, match=r"No such file or directory\. Make room"):
        await trusting.fetch(server.at("localhost"), tmp_path / "no" / "x", limit=9, seconds=SECONDS)


FULL_DISK = """
    import asyncio, resource, signal, sys
    from pathlib import Path
    from bot.domain.errors import StorageError
    from bot.providers.downloads import Downloads

    async def main():
        async with Downloads(trusted_hosts=frozenset({"localhost"})) as downloads:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
            for _ in range(2):
                try:
                    await downloads.fetch(sys.argv[1], Path(sys.argv[2]), limit=10**9, seconds=10)
                except StorageError as error:
                    print(error)

    asyncio.run(main())
"""


async def test_full_disk_leaves_nothing_behind(server: RawServer, target: Path) -> None:
    server.answer = served(CLIP)
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", "-c", textwrap.dedent(FULL_DISK), server.at("localhost"), str(target)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await child.communicate()
    told = f"clip.mp4 could not be saved: File too large. Make room in {target.parent}"
    assert output.decode().count(told) == 2, output.decode()
    assert nothing_left(target)


async def test_signed_address_is_never_logged_by_us(
    server: RawServer, trusting: Downloads, target: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answers = [served(b"", status=302, headers={"Location": "/b?sig=s3cret"})]
    server.answer = served(b"x")
    await trusting.fetch(server.at("localhost", "/a?sig=s3cret"), target, limit=9, seconds=SECONDS)
    told = [record for record in caplog.records if "s3cret" in record.getMessage()]
    # httpcore writes the headers of every answer at DEBUG, Location too: whoever sets up logging caps it.
    assert {record.name for record in told} <= {"httpcore.http11"}
