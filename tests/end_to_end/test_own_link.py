"""A clip that no message takes, fetched from the running bot by the link it gave, over a restart."""

import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.stage import Stage, open_stage


@pytest.fixture
async def stage(tmp_path: Path, clip: bytes) -> AsyncIterator[Stage]:
    with socket.create_server(("", 0)) as free:
        port = free.getsockname()[1]
    settings = {"HTTP_PORT": str(port), "PUBLIC_URL": f"http://127.0.0.1:{port}"}
    async with open_stage(tmp_path, clip, picture=b"", **settings) as stage:
        yield stage


async def test_the_original_can_be_fetched_from_the_bot(stage: Stage, clip: bytes) -> None:
    stage.discord.upload_limit = 1
    bot = await stage.start()
    await stage.ask("video text", prompt="a paper boat")
    await stage.linked()
    (message,) = stage.clips()
    (link,) = re.findall(r"get it here until <t:\d+:f>: (\S+)", message.content)
    async with httpx.AsyncClient(trust_env=False) as outside:
        assert (await outside.get(link)).content == clip
        await bot.stop()
        await stage.start()
        answer = await outside.get(link, headers={"Range": "bytes=100-199"})
        assert (answer.status_code, answer.content) == (206, clip[100:200])
        assert (await outside.get(link[:-1])).status_code == 404
