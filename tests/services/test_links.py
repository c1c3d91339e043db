"""Addresses of clips: they lead back to their task until they end, and cannot be made or changed by others."""

import pytest

from bot.services.hooks import Hooks
from bot.services.links import Claim, ClipLinks
from tests.fakes import START, FakeClock

SECRET = b"a secret"
EXPIRES = START // 1000 + 2 * 86_400


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def links(clock: FakeClock) -> ClipLinks:
    return ClipLinks("https://bot.example/conch/", SECRET, days=2, clock=clock)


def path(links: ClipLinks, task: str = "task0001") -> str:
    return links.new(task).url.removeprefix("https://bot.example/conch")


def test_an_address_leads_back_to_its_task_and_tells_its_end(links: ClipLinks) -> None:
    assert links.new("task0001").expires_at == EXPIRES * 1000
    assert links.claim(path(links)) == Claim("task0001", EXPIRES)


def test_an_address_is_over_after_its_days(links: ClipLinks, clock: FakeClock) -> None:
    claim = links.claim(path(links))
    assert claim is not None
    clock.set_ahead(2 * 86_400 - 1)
    assert not links.is_over(claim)
    clock.set_ahead(1)
    assert links.is_over(claim)


def test_nothing_in_an_address_can_be_changed(links: ClipLinks) -> None:
    good = path(links)
    for changed in (
        good.replace("task0001", "task0002"),
        good.replace(str(EXPIRES), str(EXPIRES + 1)),
        good.replace(str(EXPIRES), ""),
        good.replace(f"task0001/{EXPIRES}", f"task0001\n{EXPIRES}/"),
        good[:-1],
        good + "0",
        good + "/",
        good.removeprefix("/clips"),
        "/clips/task0001//",
        "/clips/../conch.db",
        "/clips/x/9/schlüssel",
    ):
        assert links.claim(changed) is None, changed


def test_neither_another_secret_nor_a_webhooks_signature_opens_it(links: ClipLinks, clock: FakeClock) -> None:
    other = ClipLinks("https://bot.example/conch/", b"another", days=2, clock=clock)
    assert other.claim(path(links)) is None
    signature = Hooks("", SECRET).address("task0001").rpartition("/")[2]
    assert links.claim(f"/clips/task0001/{EXPIRES}/{signature}") is None
