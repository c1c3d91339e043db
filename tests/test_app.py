"""What a start builds."""

import ssl
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from bot import app
from bot.settings import Settings


async def test_a_start_loads_the_certificates_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, load = [], httpx.create_ssl_context

    def counted(*, trust_env: bool) -> ssl.SSLContext:
        loaded.append(load(trust_env=trust_env))
        return loaded[-1]

    monkeypatch.setattr(httpx, "create_ssl_context", counted)
    settings = Settings(
        discord_token=SecretStr("token"),
        database=tmp_path / "conch.db",
        data_dir=tmp_path,
        providers=("gmi", "sandbox"),
        keys={"gmi": SecretStr("key")},
    )
    async with app.build(settings):
        assert len(loaded) == 1
