"""Which providers this version can speak to, and how each is made. A new provider adds one line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypedDict

import httpx

from bot.domain.ports import Clock, Provider
from bot.providers.downloads import Downloads
from bot.providers.gmi import Gmi
from bot.providers.mindvideo import MindVideo
from bot.providers.minimax import MiniMax
from bot.providers.novita import Novita
from bot.providers.runware import Runware
from bot.providers.sandbox import Sandbox
from bot.vault import PLAIN, Vault


@dataclass(frozen=True, slots=True)
class Parts:
    """What providers are made from. `keys` and `urls` are by provider name; `urls` only where not the vendor's."""

    client: httpx.AsyncClient
    downloads: Downloads
    keys: Mapping[str, str] = field(repr=False)
    urls: Mapping[str, str]
    folder: Path
    clock: Clock
    sandbox_seconds: float
    vault: Vault = PLAIN
    gmi_organization: str | None = None
    novita_image_field: Literal["image_url", "image"] = "image_url"
    novita_webhooks: bool = False
    runware_safety: bool = False


class _Reach(TypedDict):
    client: httpx.AsyncClient
    downloads: Downloads
    key: str
    base: str | None


def _reach(parts: Parts, name: str) -> _Reach:
    """What every provider on the network is given."""
    return {
        "client": parts.client,
        "downloads": parts.downloads,
        "key": parts.keys[name],
        "base": parts.urls.get(name),
    }


def _sandbox(parts: Parts) -> Provider:
    return Sandbox(
        parts.folder / "sandbox", clock=parts.clock, vault=parts.vault, delay_seconds=parts.sandbox_seconds
    )


PROVIDERS: Mapping[str, Callable[[Parts], Provider]] = {
    "mindvideo": lambda parts: MindVideo(**_reach(parts, "mindvideo")),
    "gmi": lambda parts: Gmi(**_reach(parts, "gmi"), organization=parts.gmi_organization),
    "novita": lambda parts: Novita(
        **_reach(parts, "novita"),
        clock=parts.clock,
        image_field=parts.novita_image_field,
        webhooks=parts.novita_webhooks,
    ),
    "runware": lambda parts: Runware(
        **_reach(parts, "runware"), clock=parts.clock, safety=parts.runware_safety
    ),
    "minimax": lambda parts: MiniMax(**_reach(parts, "minimax"), clock=parts.clock),
    "sandbox": _sandbox,
}
