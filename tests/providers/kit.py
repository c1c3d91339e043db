"""What the tests of every provider start from: a wish, a picture, a clock, a sleep that takes no time."""

from typing import Any

import pytest
from aiohttp import web

import bot.catalog
from bot.domain.catalog import Format, Mode
from bot.domain.errors import JobNotFound, ProviderBusy
from bot.domain.ports import Job, Provider
from bot.domain.task import Frame
from tests.providers.standin import StandIn

CLIP = b"a clip" * 1000
URL = "https://cdn.example/a.jpg?ex=1"
FRAME = Frame("frame.jpg", URL)
KEY = "conch-t1"
#: Milliseconds since 1970, by our clock.
NOW = 1_760_000_000_000


class Sleeper:
    """Stands for `asyncio.sleep` and notes the seconds."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


def job(
    text: str = "hailuo-02/6/768p",
    *,
    mode: Mode = Mode.TEXT,
    prompt: str = "a paper boat [Pan left]",
    enhance: bool = False,
    first: Frame | None = None,
    last: Frame | None = None,
    task_id: str = "t1",
    callback: str | None = None,
) -> Job:
    return Job(task_id, mode, Format.parse(text), prompt, enhance, first, last, callback)


async def submitted(provider: Provider, wish: Job | None = None) -> str:
    """The id of a job that was just accepted."""
    wish = wish or job()
    return (await provider.submit(provider.request(wish), key=f"conch-{wish.task_id}")).job_id


def offers(name: str) -> pytest.MarkDecorator:
    """Every offer of a provider in every mode, as `offer` and `mode`."""
    found = [
        (offer, Mode(mode))
        for offer in bot.catalog.load().offers
        if offer.provider == name
        for mode in offer.modes
    ]
    ids = [f"{offer.format.id}-{mode}" for offer, mode in found]
    return pytest.mark.parametrize(("offer", "mode"), found, ids=ids)


def without_gaps(view: dict[str, Any]) -> dict[str, Any]:
    """The fields but those that are `...`: missing."""
    return {name: value for name, value in view.items() if value is not ...}


#: Job ids that try to lead elsewhere, and the path segment each may become; None where nothing may be asked.
ODD_IDS = pytest.mark.parametrize(
    ("job_id", "segment"),
    [
        ("a/../b", "a%2F..%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("a%2e", "a%252e"),
        ("..", None),
        ("", None),
        ("a b", None),
    ],
)


async def paths_asked(provider: Provider, standin: StandIn, job_id: str) -> set[str]:
    """The paths, as sent, that a status read of a job that cannot be leads to."""
    asked: set[str] = set()

    async def note(request: web.Request) -> None:
        asked.add(request.raw_path)

    standin.before = note
    with pytest.raises((JobNotFound, ProviderBusy)):
        await provider.status(job_id)
    return asked
