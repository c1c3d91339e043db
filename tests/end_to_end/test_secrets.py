"""Whoever repeats our secrets to us, as an error or a proxy may: nothing that stays or is shown has them."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.demo.standin import Fault as DiscordFault
from tests.end_to_end.stage import Stage, open_stage
from tests.providers.standin import always, once, says

IDLE = {
    "GMI_API_KEY": "gmi-key-never-used",
    "NOVITA_API_KEY": "novita-key-never-used",
    "RUNWARE_API_KEY": "runware-key-never-used",
    "MINIMAX_API_KEY": "minimax-key-never-used",
    "METRICS_TOKEN": "metrics-token-of-the-operator",
}


@pytest.fixture
async def stage(tmp_path: Path, clip: bytes, jpeg: bytes) -> AsyncIterator[Stage]:
    with socket.create_server(("", 0)) as free:
        port = str(free.getsockname()[1])
    settings = {"PROVIDERS": "mindvideo", "LOG_FORMAT": "json", "HTTP_PORT": port, **IDLE}
    async with open_stage(tmp_path, clip, picture=jpeg, **settings) as stage:
        yield stage


class Echo:
    """Discord's answer to the first request that ends so: an error that repeats the token."""

    def __init__(self, stage: Stage, method: str, ending: str, status: int) -> None:
        self._fault = DiscordFault(status, {"code": 0, "message": f"bad header: Bot {stage.discord.token}"})
        self._method, self._ending = method, ending
        self.said = 0

    async def __call__(self, request: Any) -> DiscordFault | None:
        if self.said or request.method != self._method or not request.path.endswith(self._ending):
            return None
        self.said += 1
        return self._fault


async def trouble(stage: Stage) -> list[str]:
    """Every kind of error with an echo, then all that can be read or taken away; what was read."""
    bot, key, read = await stage.start(), stage.mindvideo.key, []
    echoed = {"error": f"Bearer {key}", "message": f"Bearer {key}", "detail": f"Bearer {key}"}
    # A status read, then Discord's answer to the clip; it comes all the same.
    stage.mindvideo.before = once(says(echoed, 500), "GET")
    stage.discord.before = upload = Echo(stage, "POST", f"/channels/{stage.channel.id}/messages", 400)
    await stage.ask("video text", prompt="a paper boat")
    await stage.linked()
    assert upload.said == 1
    # A command that Discord does not let us answer.
    stage.discord.before = answer = Echo(stage, "PATCH", "/messages/@original", 400)
    await stage.ask("usage")
    await stage.until(lambda: answer.said)
    # A refused job, and a refused key.
    stage.mindvideo.before = always(says(echoed, 422), "POST")
    await stage.ask("video text", prompt="a paper plane")
    await stage.until(lambda: any("❌" in message.words for message in stage.progress()))
    stage.mindvideo.before = always(says(echoed, 401), None)
    await stage.ask("video text", prompt="a paper hat")
    await stage.until(lambda: any("does not accept the key" in one.words for one in stage.progress()))
    for command in ("tasks list", "usage", "privacy show", "privacy export"):
        message = await stage.say(command)
        read += [stage.discord.attachment_bytes(one.url).decode("latin-1") for one in message.attachments]
    for task in stage.rows("SELECT id FROM tasks"):
        await stage.say("tasks show", task=task["id"])
    port = stage.settings["HTTP_PORT"]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as operator:
        known = {"Authorization": f"Bearer {IDLE['METRICS_TOKEN']}"}
        metrics = (await operator.get("/metrics", headers=known)).text
        read += [metrics, (await operator.get("/healthz")).text]
        assert 'conch_provider_errors_total{kind="closed",provider="mindvideo"}' in metrics
        assert "conch_posting_delay_seconds_count 1.0" in metrics
        assert "conch_spent_dollars_total" in metrics
    for words in ("report --format json", "report --format csv", "report --check", "tasks list", "doctor"):
        await (await stage.launch(*words.split())).end()
    assert await bot.stop() == 0
    return read


async def test_nothing_that_stays_or_is_shown_has_a_secret(stage: Stage) -> None:
    read = await trouble(stage)
    backend = stage.discord.backend
    messages = [repr(message) for each in backend.messages.values() for message in each.values()]
    files = {path: path.read_bytes().decode("latin-1") for path in stage.folder.rglob("*") if path.is_file()}
    assert {stage.database, stage.processes[0].log} <= set(files)
    places = {str(path): text for path, text in files.items()}
    places |= {"messages": "\n".join(messages), "read": "\n".join(read)}
    secrets = {stage.discord.token, stage.mindvideo.key, *IDLE.values()}
    found = [(place, secret) for place, text in places.items() for secret in secrets if secret in text]
    assert found == []

    # The echoes did get as far as the log, and each line says of which task it is.
    assert "Traceback" in stage.logged
    assert "[hidden]" in stage.logged
    for task in stage.rows("SELECT id FROM tasks"):
        assert f'"task": "{task["id"]}"' in stage.logged
