"""Which providers this version can speak to, and how each is made. A new provider adds one line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from bot.domain.ports import Clock, Provider
from bot.providers import mindvideo, sandbox
from bot.providers.downloads import Downloads


@dataclass(frozen=True, slots=True)
class Parts:
    """What providers are made from. `keys` and `urls` are by provider name; `urls` only where not the vendor's."""

    client: httpx.AsyncClient
    downloads: Downloads
    keys: Mapping[str, str]
    urls: Mapping[str, str]
    folder: Path
    clock: Clock
    sandbox_seconds: float


def _mindvideo(parts: Parts) -> Provider:
    base = parts.urls.get("mindvideo", mindvideo.BASE)
    return mindvideo.MindVideo(parts.client, parts.downloads, key=parts.keys["mindvideo"], base=base)


def _sandbox(parts: Parts) -> Provider:
    return sandbox.Sandbox(parts.folder / "sandbox", clock=parts.clock, delay_seconds=parts.sandbox_seconds)


PROVIDERS: Mapping[str, Callable[[Parts], Provider]] = {
    "mindvideo": _mindvideo,
    "sandbox": _sandbox,
}
