"""A resolver that knows nobody, as when the machine's DNS is gone."""

import socket

import pytest


@pytest.fixture
def nameless(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names are looked up in vain from now on; those that were."""
    asked: list[str] = []
    ask = socket.getaddrinfo

    def unknown(host: str | bytes | None, *arguments: object, **more: object) -> object:
        name = host.decode() if isinstance(host, bytes) else host or ""
        if name.replace(".", "").isdigit():
            return ask(host, *arguments, **more)  # type: ignore[arg-type]
        asked.append(name)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    return asked
