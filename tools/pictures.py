"""`python -m tools.pictures`: what members see, as the pictures of `docs/`, from the real bot in a local Discord.

Needs `pip install '.[dev,pictures]'` and Chromium from the system's packages.
"""

import asyncio
import io
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import BrowserType

from bot.demo.pictures import harbour
from bot.domain.catalog import Format, Mode
from bot.domain.task import Task
from bot.media.paint import PaintOrder, paint
from storage.database import open_database
from tests.cogs.clips import delivered
from tests.cogs.languages import speak_everywhere
from tests.cogs.scene import Scene, open_scene
from tests.providers.mindvideo_standin import MindVideoStandIn

DOCS = Path(__file__).parent.parent / "docs"
FORMAT = "hailuo-02/5/768p"
DAY, NIGHT = ("harbour-day.png", harbour(night=False)), ("harbour-night.png", harbour(night=True))
#: Pixels.
WIDE = 720
_TAUGHT = 5
_STEPS = 8


async def main() -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        _use_own_browser(patch)
        folder = Path(name)
        clip = await _clip(folder)
        async with _scene(folder, patch) as scene:
            await _teach(scene, clip)
            await _progress_and_clip(scene, clip)
            await _gallery(scene, clip)
        async with _scene(Path(tempfile.mkdtemp(dir=folder)), patch) as scene:
            speak_everywhere(scene, "zh-CN")
            await _teach(scene, clip)
            await _in_chinese(scene)


async def _progress_and_clip(scene: Scene, clip: bytes) -> None:
    there = scene.guild.create_text_channel("harbour")
    task = await _transition(scene, there, "night falls over the harbour")
    await _shoot(scene, there, "progress", 460)
    await _finish(scene, [task], clip)
    await _shoot(scene, there, "clip", 730)


async def _gallery(scene: Scene, clip: bytes) -> None:
    there = scene.guild.create_text_channel("gallery")
    await scene.alice.slash(there, "video text", prompt="boats at dusk", count=2, format=FORMAT)
    await _under_way(scene)
    await _finish(scene, (await scene.tasks())[-2:], clip)
    await _shoot(scene, there, "gallery", 1190)


async def _in_chinese(scene: Scene) -> None:
    there = scene.guild.create_text_channel("港口")
    await _transition(scene, there, "夜色降临港口")
    await _shoot(scene, there, "chinese", 460, locale="zh-CN")


# ---------------------------------------------------------------------- how


async def _transition(scene: Scene, there: Any, prompt: str) -> Task:
    await scene.alice.slash(
        there, "video transition", prompt=prompt, first_frame=DAY, last_frame=NIGHT, format=FORMAT
    )
    await _under_way(scene)
    return (await scene.tasks())[-1]


async def _under_way(scene: Scene) -> None:
    await scene.step()
    await scene.pass_time(3)
    await scene.redraw()


async def _teach(scene: Scene, clip: bytes) -> None:
    """Let the bot learn how long clips take."""
    scene.standin.clip, scene.standin.auto = clip, True
    for _ in range(_TAUGHT):
        await scene.video(format=FORMAT)
        await delivered(scene)
        await scene.redraw()
    scene.standin.auto = False


async def _finish(scene: Scene, tasks: list[Task], clip: bytes) -> None:
    for task in tasks:
        scene.standin.finish(task.job_id or "", clip=clip)
    for _ in range(_STEPS):
        await scene.step()
    await scene.redraw()


async def _shoot(scene: Scene, channel: Any, name: str, height: int, *, locale: str = "en-US") -> None:
    async with scene.env.preview(channel, viewers=(scene.alice,), layout="channel", locale=locale) as preview:
        await preview.screenshot(
            DOCS / f"{name}.png", mode="viewport", viewport=(WIDE, height), allow_incomplete=True
        )


@asynccontextmanager
async def _scene(folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    template = folder / "template.db"
    async with open_database(template):
        pass
    async with (
        MindVideoStandIn() as standin,
        open_scene(folder, template, standin, patch, user_daily_limit=100_000_000) as scene,
    ):
        scene.env.backend.bot_user.name = "Conch"
        scene.env.backend.bot_user.global_name = "Conch"
        yield scene


async def _clip(folder: Path) -> bytes:
    frames = [folder / "day.jpg", folder / "night.jpg"]
    for file, (_, picture) in zip(frames, (DAY, NIGHT), strict=True):
        await asyncio.to_thread(lambda: Image.open(io.BytesIO(picture)).convert("RGB").save(file))  # noqa: B023
    target = folder / "clip.mp4"
    shape = Format(model="hailuo-02", duration=5, resolution="512p")
    await paint(PaintOrder(Mode.TRANSITION, shape, "night falls", target, frames[0], frames[1]))
    return await asyncio.to_thread(target.read_bytes)


def _use_own_browser(patch: pytest.MonkeyPatch) -> None:
    launch, path = BrowserType.launch, shutil.which("chromium")

    async def own(browser: BrowserType, **options: Any) -> Any:
        return await launch(browser, executable_path=path, args=["--no-sandbox"], **options)

    patch.setattr(BrowserType, "launch", own)


if __name__ == "__main__":
    asyncio.run(main())
