"""No `repr` tells a secret: whatever holds one may end up in a traceback or a log line."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot import app as composition
from bot import catalog as catalogs
from bot import web
from bot.providers.registry import PROVIDERS, Parts
from bot.services.hooks import Hooks
from bot.services.links import ClipLinks
from bot.settings import PAID, Settings, read_settings
from bot.vault import new_key
from tests.fakes import FakeClock

TOKEN = "discord-token-never-shown"
KEYS = {name: f"{name}-key-never-shown" for name in PAID}
DEPTH = 6


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        discord_token=SecretStr(TOKEN),
        metrics_token=SecretStr("metrics-token-never-shown"),
        sentry_dsn=SecretStr("https://dsn-never-shown@sentry.example/1"),
        database=tmp_path / "conch.db",
        data_dir=tmp_path,
        providers=PAID,
        keys={name: SecretStr(key) for name, key in KEYS.items()},
    )


def reprs(thing: Any, depth: int = DEPTH) -> dict[int, str]:
    """What `repr` says of an object and of all of ours that it is made of; strings and mappings of them stay out."""
    found: dict[int, str] = {}
    waiting = [(thing, depth)]
    while waiting:
        one, left = waiting.pop()
        if id(one) in found or not left:
            continue
        ours = type(one).__module__.startswith(("bot", "cogs", "storage", "httpx", "httpcore"))
        if ours:
            found[id(one)] = f"{one!r} {one!s}"
            inner = getattr(one, "__dict__", {})
            slots = [getattr(one, name, None) for name in getattr(type(one), "__slots__", ())]
            waiting += [(part, left - 1) for part in [*inner.values(), *slots]]
        elif isinstance(one, dict):
            waiting += [(part, left) for part in one.values() if not isinstance(part, str)]
    return found


def told(texts: dict[int, str]) -> list[str]:
    return [text for text in texts.values() if "never-shown" in text]


def test_settings_show_no_secret(settings: Settings) -> None:
    texts = [repr(settings), str(settings), f"{settings.model_dump()}", settings.model_dump_json()]
    assert not [text for text in texts if "never-shown" in text]
    assert sum("never-shown" in secret for secret in settings.secrets) == len(KEYS) + 3


def test_every_secret_setting_is_hidden_in_logs() -> None:
    names = ["DISCORD_TOKEN", "METRICS_TOKEN", "SENTRY_DSN", *(f"{name.upper()}_API_KEY" for name in PAID)]
    values = {name: f"{name}-never-shown-and-more" for name in names}
    values["DATA_KEY"] = new_key()
    read = read_settings({**values, "HTTP_PORT": "8080"})
    assert set(read.secrets) == set(values.values())
    secret = [name for name, kind in Settings.model_fields.items() if "SecretStr" in str(kind.annotation)]
    assert len(secret) == len(values) - len(PAID) + 1


async def test_providers_and_clients_show_no_key(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        outbound = await composition.open_outbound(stack, settings)
        catalog = catalogs.load()
        providers = composition.open_providers(stack, settings, catalog, FakeClock(), outbound)
        assert set(providers) == {*PAID, "sandbox"}
        seen: dict[int, str] = {}
        for provider in providers.values():
            seen |= reprs(provider)
    assert len(seen) > 2 * len(providers)
    assert told(seen) == []


async def test_the_running_bot_shows_no_token(settings: Settings) -> None:
    async with composition.build(settings) as app:
        app.client.http.token = TOKEN
        assert told(reprs(app)) == []
        assert "never-shown" not in repr(app.client.http)


def test_what_signs_and_guards_shows_no_secret(tmp_path: Path) -> None:
    parts = Parts(
        client=None,  # type: ignore[arg-type]
        downloads=None,  # type: ignore[arg-type]
        keys=KEYS,
        urls={},
        folder=tmp_path,
        clock=FakeClock(),
        sandbox_seconds=1,
    )
    holders = [
        parts,
        Hooks("https://bot.example", b"secret-never-shown"),
        ClipLinks("https://bot.example", b"secret-never-shown", days=7, clock=FakeClock()),
        web.Guarded(None, "metrics-token-never-shown"),  # type: ignore[arg-type]
    ]
    assert told({id(one): repr(one) for one in holders}) == []
    assert set(PROVIDERS) == {*KEYS, "sandbox"}
