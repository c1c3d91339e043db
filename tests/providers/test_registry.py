"""The registry: every provider is made from the same parts, with its own key and address."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from bot.domain.errors import ProviderBusy
from bot.providers.downloads import Downloads
from bot.providers.registry import PROVIDERS, Parts
from bot.providers.runware import Runware
from tests.providers.cases import CASES
from tests.providers.kit import FRAME, NOW, job, submitted


@pytest.fixture
def empty(client: httpx.AsyncClient, downloads: Downloads, tmp_path: Path) -> Parts:
    return Parts(client, downloads, {}, {}, tmp_path, lambda: NOW, sandbox_seconds=0)


@pytest.mark.parametrize("name", CASES)
async def test_provider_has_its_own_key_and_address(name: str, empty: Parts) -> None:
    case = CASES[name]
    async with case.standin() as standin:
        parts = replace(
            empty,
            keys=dict.fromkeys(CASES, "a-wrong-key") | {name: standin.key},
            urls=dict.fromkeys(CASES, "http://127.0.0.1:1") | {name: standin.url},
        )
        provider = PROVIDERS[name](parts)
        assert provider.name == name
        await provider.check()
        job_id = await submitted(provider, job(case.text, first=FRAME))
        standin.finish(job_id)
        expires = (await provider.status(job_id)).clip_expires_at
    assert (expires or NOW) >= NOW
    assert (expires is not None) == bool(case.settings)
    assert standin.refused == []
    with pytest.raises(ProviderBusy, match="cannot be reached"):
        await provider.check()


async def test_without_an_address_it_is_the_vendors(empty: Parts) -> None:
    provider = PROVIDERS["runware"](replace(empty, keys={"runware": "key-of-ours"}))
    assert isinstance(provider, Runware)
    assert provider._wire._base == "https://api.runware.ai"


async def test_sandbox_needs_no_key(empty: Parts) -> None:
    sandbox = PROVIDERS["sandbox"](empty)
    assert (sandbox.name, sandbox.recovers, sandbox.batch) == ("sandbox", True, 1)
    assert (await sandbox.published()).notes == (
        "The sandbox publishes no price list or balance: it costs nothing.",
    )
    body = sandbox.request(job())
    first = await sandbox.submit(body, key="conch-t1")
    again = await sandbox.recover(body, key="conch-t1", since=0, known=frozenset())
    assert first.job_id == again.job_id
    assert list(await sandbox.statuses([first.job_id, "unknown"])) == [first.job_id, "unknown"]
    await sandbox.close()  # type: ignore[attr-defined]  # what is being painted ends with the test
