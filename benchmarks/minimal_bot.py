"""What `benchmarks.load` compares Conch with: the bot that anybody would write, in one file and without a database.

A command's coroutine makes the job, looks every five seconds whether it is ready, reads the clip into memory and
posts it. It asks for no limit, holds no money, checks no file and forgets everything when it ends. `WAITING` names a
file of jobs, a provider and an id in each line, that it follows as if it had made them.
"""

import asyncio
import io
import os
import uuid
from pathlib import Path
from typing import Any, Literal

import aiohttp
import discord
import yarl
from discord import app_commands

POLL_SECONDS = 5
MINDVIDEO, RUNWARE = (os.environ[f"{name}_API_URL"] for name in ("MINDVIDEO", "RUNWARE"))
KEYS = {name: os.environ[f"{name.upper()}_API_KEY"] for name in ("mindvideo", "runware")}
Provider = Literal["mindvideo", "runware"]


class Bot(discord.Client):
    def __init__(self) -> None:
        super().__init__(intents=discord.Intents(guilds=True))
        self.tree = app_commands.CommandTree(self)
        self.tree.add_command(video)
        self.following: list[asyncio.Task[str]] = []

    async def setup_hook(self) -> None:
        self.web = aiohttp.ClientSession()
        await self.tree.sync()
        if os.environ.get("WAITING"):
            lines = await asyncio.to_thread(Path(os.environ["WAITING"]).read_text, "utf-8")
            jobs = [line.split() for line in lines.splitlines()]
            self.following = [
                asyncio.create_task(self.ready(provider, job, POLL_SECONDS * number / len(jobs)))
                for number, (provider, job) in enumerate(jobs)
            ]

    async def call(self, provider: str, method: str, url: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {KEYS[provider]}"}
        async with self.web.request(method, url, json=body, headers=headers) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def submit(self, provider: Provider, prompt: str) -> str:
        if provider == "mindvideo":
            wish: dict[str, Any] = {"prompt": prompt, "duration": 5, "resolution": "768p"}
            body = {"model": "minimax-hailuo-02", "input": wish}
            return str((await self.call(provider, "POST", f"{MINDVIDEO}/api/v1/tasks", body))["task_id"])
        job = str(uuid.uuid4())
        wish = {"model": "minimax:3@1", "width": 1366, "height": 768, "duration": 6}
        task = {"taskType": "videoInference", "taskUUID": job, "positivePrompt": prompt, **wish}
        await self.call(provider, "POST", f"{RUNWARE}/v1", [task | {"deliveryMethod": "async"}])
        return job

    async def look(self, provider: str, job: str) -> str | None:
        """The address of the clip, once there is one."""
        if provider == "mindvideo":
            told = await self.call(provider, "GET", f"{MINDVIDEO}/api/v1/tasks/{job}")
            return str(told["output"]["videos"][0]["url"]) if told["status"] == "succeeded" else None
        question = {"taskType": "getResponse", "taskUUID": job}
        told = await self.call(provider, "POST", f"{RUNWARE}/v1", [question])
        return next((str(one["videoURL"]) for one in told.get("data", ()) if "videoURL" in one), None)

    async def ready(self, provider: str, job: str, first: float = 0) -> str:
        await asyncio.sleep(first)
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if url := await self.look(provider, job):
                return url


@app_commands.command(description="Make a video from a prompt")
async def video(interaction: discord.Interaction[Bot], prompt: str, provider: Provider) -> None:
    await interaction.response.defer()
    bot = interaction.client
    url = await bot.ready(provider, await bot.submit(provider, prompt))
    async with bot.web.get(url) as answer:
        answer.raise_for_status()
        clip = io.BytesIO(await answer.read())
    words = f"{interaction.user.mention}, your clip is ready: {prompt}"
    await interaction.followup.send(words, file=discord.File(clip, "clip.mp4"))


def main() -> None:
    discord.http.Route.BASE = os.environ["DISCORD_API_URL"]
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(os.environ["DISCORD_GATEWAY_URL"])
    Bot().run(os.environ["DISCORD_TOKEN"])


if __name__ == "__main__":
    main()
