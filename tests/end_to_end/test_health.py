"""`/healthz` and `conch health` of a real bot whose Discord goes away."""

import asyncio
import socket

import httpx

from tests.end_to_end.stage import PATIENCE, Stage
from tests.end_to_end.test_cli import run


async def answers(client: httpx.AsyncClient, status: int) -> dict[str, str]:
    """Ask, as a container's health check does, until this is the answer."""
    async with asyncio.timeout(PATIENCE):
        while (answer := await client.get("/healthz")).status_code != status:
            pass
    told: dict[str, str] = answer.json()
    return told


async def test_a_lost_gateway_is_seen_at_once_and_the_rest_stays_well(stage: Stage) -> None:
    with socket.create_server(("", 0)) as free:
        port = free.getsockname()[1]
    bot = await stage.start(HTTP_PORT=str(port))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        told = await answers(client, 200)
        assert told == {"status": "well", "gateway": "well", "database": "well", "scheduler": "well"}
        assert await run(stage, "health", HTTP_PORT=str(port)) == (0, "conch: well\n")
        await stage.discord.__aexit__(None, None, None)
        told = await answers(client, 503)
        assert told == {
            "status": "unwell",
            "gateway": "not connected to Discord",
            "database": "well",
            "scheduler": "well",
        }
        assert (await client.get("/metrics")).status_code == 404
        # As the last sign of life is older than that, it says otherwise perhaps.
        code, said = await run(stage, "health", HTTP_PORT=str(port))
        assert (code, said) == (1, "conch: gateway: not connected to Discord\n")
    assert await bot.stop() == 0
    code, said = await run(stage, "health", HTTP_PORT=str(port))
    assert (code, f"no bot answers at port {port}" in said) == (1, True)
