"""A clip's link and where it leads on: a file or a refusal, whatever stands there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import example
from hypothesis import strategies as st

from bot.domain.errors import NotAVideo, ProviderBusy
from bot.providers.downloads import Downloads
from tests.fuzz.answers import headers, statuses
from tests.fuzz.examples import fuzz
from tests.providers.rawserver import TLS, RawServer, served

_HOSTS = [
    "127.0.0.1",
    "[::1]",
    "[::",
    "xn--",
    "xn--a-.example",
    "0x7f.1",
    "localhost",
    "a" * 300,
    "user:x@127.0.0.1",
    "…",
    "",
]
links = st.one_of(
    st.text(),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["http://", "https://", "HTTPS:", "//", "file:///", "javascript:", ""]),
        st.sampled_from(_HOSTS) | st.text(max_size=10),
        st.sampled_from(["", ":", ":0", ":99999", ":x", ":443"]),
        st.text(max_size=20) | st.sampled_from(["/" + "a" * 70_000, "/../..", "?sig=1", "/%zz"]),
    ),
)


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with RawServer() as server:
        yield server


@pytest.fixture
async def asking_nobody() -> AsyncIterator[Downloads]:
    async def resolve(host: str, port: int) -> list[str]:
        raise OSError(f"no address of {host}")

    async with Downloads(trusted_hosts=frozenset({"127.0.0.1"}), tls=TLS, resolver=resolve) as downloads:
        yield downloads


@example(link="https://127.0.0.1:99999/")
@example(link="https://xn--/clip.mp4")
@fuzz(60, link=links)
async def test_any_link(link: str, asking_nobody: Downloads, tmp_path: Path) -> None:
    with pytest.raises((NotAVideo, ProviderBusy)):
        await asking_nobody.fetch(link, tmp_path / "clip.mp4", limit=1000, seconds=5)
    assert list(tmp_path.iterdir()) == []


@example(status=302, sent={"Location": "//xn--/"}, body=b"")
@fuzz(40, status=statuses, sent=headers, body=st.binary(max_size=2000))
async def test_any_answer_to_a_link(
    status: int, sent: dict[str, str], body: bytes, downloads: Downloads, server: RawServer, tmp_path: Path
) -> None:
    server.answer = served(body, status=status, headers=sent)
    target = tmp_path / "clip.mp4"
    try:
        size = await downloads.fetch(server.at("127.0.0.1"), target, limit=1000, seconds=5)
    except (NotAVideo, ProviderBusy):
        assert list(tmp_path.iterdir()) == []
    else:
        assert status == 200
        assert target.read_bytes() == body
        assert size == len(body) <= 1000
        target.unlink()
