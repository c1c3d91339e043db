"""Killed at every point of a task's life: one job, one charge, one message, whatever the moment."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest
import pytest_asyncio
from aiohttp import web

from bot.demo.standin import DROP, Interaction
from tests.end_to_end.stage import PATIENCE, Hang, Process, Stage, open_stage
from tests.providers.mindvideo_standin import TASKS, Fault

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_ONCE = 4
"""Scenes played side by side; each waits mostly for Discord's pace of edits."""


@dataclass(frozen=True)
class Moment:
    """Where the bot stands when it is killed: at a request, before or after the request has its effect."""

    side: Literal["discord", "mindvideo"]
    when: Literal["before", "after"]
    fits: Callable[[Any], bool]
    past_nonce: bool = False
    blind: bool = False
    """May not read the channel's history, so that only the nonce can tell."""


def callback(request: Any) -> bool:
    return bool(request.path.endswith("/callback"))


def first_drawing(request: Any) -> bool:
    return request.method == "PATCH" and "is held; cancelling" in str(request.json)


def submit(request: Any) -> bool:
    return bool(request.method == "POST" and request.path == TASKS)


def status(request: Any) -> bool:
    return bool(request.method == "GET" and request.path.startswith(TASKS))


def fetch(request: Any) -> bool:
    return bool(request.path.startswith("/clips/"))


def post(request: Any) -> bool:
    return request.method == "POST" and "your clip is ready" in str(request.json)


def last_drawing(request: Any) -> bool:
    return request.method == "PATCH" and "✅ Ready" in str(request.json)


def nth(number: int, fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    left = iter(range(number - 1, -1, -1))
    return lambda request: fits(request) and next(left) == 0


MOMENTS = {
    "held, progress message not sent": lambda: Moment("discord", "before", first_drawing),
    "progress message stored, answer lost": lambda: Moment("discord", "after", first_drawing),
    "submit received, no job made": lambda: Moment("mindvideo", "before", submit),
    "job made, answer lost": lambda: Moment("mindvideo", "after", submit),
    "queued, between reads": lambda: Moment("mindvideo", "before", status),
    "processing, between reads": lambda: Moment("mindvideo", "before", nth(2, status)),
    "succeeded, answer lost": lambda: Moment("mindvideo", "after", nth(2, status)),
    "clip asked for": lambda: Moment("mindvideo", "before", fetch),
    "clip on disk, upload not stored": lambda: Moment("discord", "before", post),
    "clip posted, answer lost": lambda: Moment("discord", "after", post),
    "clip posted, answer lost, history closed": lambda: Moment("discord", "after", post, blind=True),
    "clip posted, answer lost, nonce forgotten": lambda: Moment("discord", "after", post, past_nonce=True),
}


async def killed_at(stage: Stage, bot: Process | None, moment: Moment) -> None:
    """Let the bot run into the moment and end it there with SIGKILL; None for one that is started for it.

    That one is started only now: it takes up its tasks before it has connected to Discord.
    """
    standin: Any = getattr(stage, moment.side)
    hang = Hang(moment.fits, DROP if moment.side == "discord" else Fault(drop=True))
    setattr(standin, moment.when, hang)
    bot = bot or await stage.start()
    async with asyncio.timeout(PATIENCE):
        await hang.reached.wait()
    await bot.kill()
    setattr(standin, moment.when, None)
    hang.release()


async def ask(stage: Stage) -> Interaction:
    return await stage.ask("video image", prompt="a paper boat", first_frame=("me.jpg", stage.picture))


async def finish(stage: Stage) -> None:
    """Start the bot, wait for the end of the story, stop it, and count from outside."""
    bot = await stage.start()
    await stage.linked()
    assert await bot.stop() == 0
    check(stage)


def check(stage: Stage) -> None:
    (clip,) = stage.clips()
    assert len(clip.attachments) == 1
    assert len(stage.mindvideo.jobs) == len(stage.charged()) == 1
    assert all("✅ Ready: " in message.words for message in stage.progress())
    stage.check_books()
    assert stage.files() == []
    stage.check_stand_ins()
    stage.check_secrets()


Scene = Callable[[Stage], Awaitable[None]]


def killed(make: Callable[[], Moment]) -> Scene:
    async def scene(stage: Stage) -> None:
        bot, moment = await stage.start(), make()
        await ask(stage)
        await killed_at(stage, bot, moment)
        stage.let_time_pass()
        if moment.past_nonce:
            stage.clock.ahead += 3600
        if moment.blind:
            await stage.discord.deny(stage.channel, "read_message_history")
        await finish(stage)

    return scene


async def killed_five_times_more(stage: Stage) -> None:
    """Once at the submit, and then at every step of the recovery that follows."""
    bot = await stage.start()
    await ask(stage)
    await killed_at(stage, bot, Moment("mindvideo", "after", submit))
    for moment in (
        Moment("mindvideo", "after", submit),
        Moment("mindvideo", "after", status),
        Moment("mindvideo", "before", fetch),
        Moment("discord", "before", post),
        Moment("discord", "after", post),
    ):
        stage.let_time_pass()
        await killed_at(stage, None, moment)
    stage.let_time_pass()
    await finish(stage)


async def killed_before_the_link(stage: Stage) -> None:
    bot = await stage.start()
    await ask(stage)
    await killed_at(stage, bot, Moment("discord", "before", last_drawing))
    bot = await stage.start()
    await stage.linked(seconds=15)
    assert await bot.stop() == 0
    check(stage)


async def killed_during_the_download(stage: Stage) -> None:
    bot = await stage.start()
    dripping = asyncio.Event()

    async def drip(request: web.Request) -> Fault | None:
        if not fetch(request):
            return None
        dripping.set()
        return Fault(200, stage.mindvideo.clip, {"Content-Type": "video/mp4"}, every=PATIENCE)

    stage.mindvideo.before = drip
    await ask(stage)
    async with asyncio.timeout(PATIENCE):
        await dripping.wait()
    await bot.kill()
    stage.mindvideo.before = None
    await finish(stage)


async def delivered_twice_at_once(stage: Stage) -> None:
    bot = await stage.start()
    asked = await ask(stage)
    await stage.discord.replay(asked)
    await stage.linked()
    assert await bot.stop() == 0
    check(stage)


async def delivered_again_after_a_restart(stage: Stage) -> None:
    bot = await stage.start()
    asked = await ask(stage)
    await killed_at(stage, bot, Moment("mindvideo", "after", submit))
    bot = await stage.start()
    await stage.discord.replay(asked)
    await stage.linked()
    await stage.discord.replay(asked)
    await stage.say("tasks list")
    assert await bot.stop() == 0
    check(stage)


async def killed_before_the_answer(stage: Stage) -> None:
    """The member was promised nothing: Discord itself says that the bot did not respond."""
    bot = await stage.start()
    await ask(stage)
    await killed_at(stage, bot, Moment("discord", "before", callback))
    bot = await stage.start()
    await nothing_held(stage)
    assert await bot.stop() == 0


async def killed_before_the_hold(stage: Stage) -> None:
    """Nothing was held, so nothing is done; the same event delivered again is served."""
    bot = await stage.start()
    asked = await ask(stage)
    await killed_at(stage, bot, Moment("discord", "after", callback))
    bot = await stage.start()
    await nothing_held(stage)
    await stage.discord.replay(asked)
    await stage.linked()
    assert await bot.stop() == 0
    check(stage)


async def nothing_held(stage: Stage) -> None:
    assert "no clips" in (await stage.say("tasks list")).content
    assert stage.rows("SELECT * FROM tasks") == stage.rows("SELECT * FROM ledger") == []
    assert stage.mindvideo.requests == []
    assert stage.files() == []


SCENES: dict[str, Scene] = {
    "killed: clip recorded, progress message without its link": killed_before_the_link,
    "killed before the answer": killed_before_the_answer,
    "killed before the hold": killed_before_the_hold,
    "killed five times more": killed_five_times_more,
    **{f"killed: {name}": killed(make) for name, make in MOMENTS.items()},
    "killed: during the download": killed_during_the_download,
    "event twice at once": delivered_twice_at_once,
    "event again after a restart": delivered_again_after_a_restart,
}

Playing = dict[str, asyncio.Task[None]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def playing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, clip: bytes, jpeg: bytes
) -> AsyncIterator[Playing]:
    """The chosen scenes, some side by side; each has its own Discord, MindVideo, data folder and bot."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def play(scene: Scene) -> None:
        async with gate, open_stage(tmp_path_factory.mktemp("scene"), clip, picture=jpeg) as stage:
            await scene(stage)

    ids = {item.name for item in request.session.items}
    playing = {
        name: asyncio.create_task(play(scene))
        for name, scene in SCENES.items()
        if any(f"[{name}]" in one for one in ids)
    }
    yield playing
    for task in playing.values():
        task.cancel()
    await asyncio.gather(*playing.values(), return_exceptions=True)


@pytest.mark.parametrize("scene", SCENES)
async def test_there_is_one_job_one_charge_and_one_clip(scene: str, playing: Playing) -> None:
    await playing[scene]
