"""Stopped, cut off, started twice and rushed: nothing is lost, nothing is paid twice."""

import asyncio
import re
from typing import Any

import pytest

from bot.demo.standin import DROP
from bot.demo.standin import Fault as DiscordFault
from tests.end_to_end.stage import PATIENCE, Hang, Stage
from tests.end_to_end.test_killed import post, submit
from tests.providers.mindvideo_standin import Fault


async def test_sigterm_ends_well_and_the_next_start_finishes_the_clips(stage: Stage) -> None:
    bot = await stage.start(USER_CONCURRENCY="3")
    upload = stage.discord.before = Hang(post, DROP)
    await stage.ask("video text", prompt="hangs at its upload")
    await asyncio.wait_for(upload.reached.wait(), PATIENCE)
    stage.mindvideo.auto = False
    await stage.ask("video text", prompt="is being made")
    await stage.mindvideo.until(lambda: len(stage.mindvideo.jobs) == 2, seconds=PATIENCE)
    sending = stage.mindvideo.after = Hang(submit, Fault(drop=True))
    await stage.ask("video text", prompt="hangs at its submit")
    await asyncio.wait_for(sending.reached.wait(), PATIENCE)

    assert await bot.stop() == 0
    stage.discord.before = stage.mindvideo.after = None
    upload.release()
    sending.release()
    stage.mindvideo.auto = True
    bot = await stage.start(USER_CONCURRENCY="3")
    await stage.linked(3)
    assert await bot.stop() == 0
    assert len(stage.clips()) == len(stage.mindvideo.jobs) == 3
    stage.check_books()
    assert stage.files() == []


async def test_a_second_process_refuses_to_start_and_leaves_the_first_alone(stage: Stage) -> None:
    bot = await stage.start()
    second = await stage.launch("run")
    assert await second.end() == 2
    assert f"conch: Another Conch is running on {stage.database}." in second.log.read_text()
    await stage.ask("video text", prompt="a paper boat")
    await stage.until(stage.clips)
    assert await bot.stop() == 0


@pytest.mark.parametrize("resumable", [True, False])
async def test_a_dropped_gateway_loses_no_clip(stage: Stage, *, resumable: bool) -> None:
    await stage.start()
    stage.mindvideo.auto = False
    await stage.ask("video text", prompt="a paper boat")
    await stage.mindvideo.until(lambda: bool(stage.mindvideo.jobs), seconds=PATIENCE)
    stage.discord.disconnect(resumable=resumable)
    (job,) = stage.mindvideo.jobs
    stage.mindvideo.finish(job)
    await stage.linked()
    await stage.until(lambda: stage.discord.connected)
    assert "✅ Ready" in (await stage.say("tasks list")).embeds[0]["description"]


async def test_a_server_error_after_the_clip_was_stored_posts_it_once(stage: Stage) -> None:
    """discord.py sends the message again with the same nonce, by which Discord knows it."""
    await stage.start()
    sent: list[Any] = []

    async def fail_once(request: Any, _answer: Any) -> Any:
        if not post(request):
            return None
        sent.append(request)
        return DiscordFault(500) if len(sent) == 1 else None

    stage.discord.after = fail_once
    await stage.ask("video text", prompt="a paper boat")
    await stage.linked()
    assert len(sent) == 2
    assert len(stage.clips()) == 1


async def test_of_25_commands_at_once_three_fit_the_limit(stage: Stage) -> None:
    bot = await stage.start(USER_DAILY_LIMIT="1")
    asked = [await stage.ask("video text", prompt=f"number {number}") for number in range(25)]
    await stage.linked(3)
    refusals = [one.followups[0] for one in asked if one.followups]
    assert await bot.stop() == 0
    assert len(refusals) == 22
    for refusal in refusals:
        assert refusal.ephemeral
        assert "your limit for one day" in refusal.content
        assert "held of $1.00" in refusal.content
        assert re.search(r"<t:\d+:R>", refusal.content)
    assert len(stage.mindvideo.jobs) == len(stage.charged()) == len(stage.clips()) == 3
    stage.check_books()
