"""The whole way of a webhook: given to the provider by the real bot, called, and the clip is there at once."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.stage import PATIENCE, Stage, open_stage
from tests.providers.runware_standin import RunwareStandIn


@pytest.fixture
async def runware(clip: bytes) -> AsyncIterator[RunwareStandIn]:
    async with RunwareStandIn(clip=clip) as standin:
        yield standin


@pytest.fixture
async def stage(tmp_path: Path, clip: bytes, runware: RunwareStandIn) -> AsyncIterator[Stage]:
    """One that would not look at a job for ten minutes by itself."""
    with socket.create_server(("", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "PROVIDERS": "runware",
        "RUNWARE_API_KEY": runware.key,
        "RUNWARE_API_URL": runware.url,
        "HTTP_PORT": str(port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "POLL_SECONDS": "600",
    }
    async with open_stage(tmp_path, clip, picture=b"", **settings) as stage:
        yield stage


async def test_a_called_webhook_brings_the_clip_at_once(
    stage: Stage, runware: RunwareStandIn, clip: bytes
) -> None:
    await stage.start()
    await stage.ask("video text", prompt="a paper boat")
    await stage.until(lambda: any("In Runware's queue" in message.words for message in stage.progress()))
    (job,) = runware.jobs.values()
    address = job.input["webhookURL"]
    assert address.startswith(f"{stage.settings['PUBLIC_URL']}/hooks/")
    async with httpx.AsyncClient(trust_env=False) as outside:
        # Too early, and a lie.
        answer = await outside.post(address, json={"data": [{"taskUUID": job.id, "status": "success"}]})
        assert answer.status_code == 204
        await runware.until(lambda: job.reads == 1, seconds=PATIENCE)
        runware.finish(job.id)
        assert (await outside.post(address)).status_code == 204
        await stage.linked()
        assert (await outside.get(f"{stage.settings['PUBLIC_URL']}/health")).text == "well"
    (message,) = stage.clips()
    (attachment,) = message.attachments
    assert stage.discord.attachment_bytes(attachment.url) == clip
    assert (job.reads, runware.refused, len(runware.charges)) == (2, [], 1)
    assert stage.booked() == {job.id: 280_000}
