"""Clips that Discord refuses for their size, each on a stage of its own: the bot remembers what was refused."""

import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.stage import Stage, open_stage


@pytest.fixture
async def hosting(tmp_path: Path, clip: bytes) -> AsyncIterator[Stage]:
    """A bot that can be reached from outside."""
    with socket.create_server(("", 0)) as free:
        port = free.getsockname()[1]
    settings = {"HTTP_PORT": str(port), "PUBLIC_URL": f"http://127.0.0.1:{port}"}
    async with open_stage(tmp_path, clip, picture=b"", **settings) as stage:
        yield stage


async def test_a_clip_that_is_refused_comes_smaller_and_once(stage: Stage, clip: bytes) -> None:
    stage.discord.upload_limit = len(clip) - 1
    await stage.start()
    await stage.ask("video text", prompt="a paper boat")
    await stage.linked()
    (message,) = stage.clips()
    (attachment,) = message.attachments
    assert 0 < attachment.size <= len(clip) // 2
    assert "-# Made smaller to fit. The original at the provider" in message.words
    assert stage.files() == []


async def test_a_clip_that_no_message_takes_comes_as_the_providers_link(stage: Stage) -> None:
    stage.discord.upload_limit = 1
    await stage.start()
    await stage.ask("video text", prompt="a paper boat")
    await stage.linked()
    (message,) = stage.clips()
    (task,) = stage.rows("SELECT * FROM tasks")
    assert message.attachments == ()
    assert "too large for Discord; get it from the provider" in message.words
    assert task["clip_url"] in message.words


async def test_the_original_can_be_fetched_from_the_bot_over_a_restart(hosting: Stage, clip: bytes) -> None:
    hosting.discord.upload_limit = 1
    bot = await hosting.start()
    await hosting.ask("video text", prompt="a paper boat")
    await hosting.linked()
    (message,) = hosting.clips()
    (link,) = re.findall(r"get it here until <t:\d+:f>: (\S+)", message.words)
    async with httpx.AsyncClient(trust_env=False) as outside:
        assert (await outside.get(link)).content == clip
        await bot.stop()
        await hosting.start()
        answer = await outside.get(link, headers={"Range": "bytes=100-199"})
        assert (answer.status_code, answer.content) == (206, clip[100:200])
        assert (await outside.get(link[:-1])).status_code == 404
