"""A backup of a running bot put back after more has happened: nothing is paid, booked or posted a second time."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.demo.standin import Fault as DiscordFault
from tests.end_to_end.stage import PATIENCE, Hang, Stage
from tests.end_to_end.test_killed import post, submit
from tests.end_to_end.test_operator import conch, ledger, progress

MOMENTS = ["held", "submitting", "processing", "succeeded"]


async def back_up(stage: Stage) -> Path:
    """Beside the running bot, as an operator does."""
    code, said = await conch(stage, "backup")
    assert (code, "is whole and checked" in said) == (0, True), said
    (made,) = (stage.data / "backups").iterdir()
    return made


async def refuse_the_clip(request: Any) -> DiscordFault | None:
    return DiscordFault(503) if post(request) else None


async def until_there_are(stage: Stage, tasks: str) -> None:
    """Wait for what stands in the database alone; meanwhile the member looks again and again."""
    async with asyncio.timeout(PATIENCE):
        while not stage.rows(f"SELECT 1 FROM tasks WHERE {tasks}"):
            await stage.say("tasks list")


async def backed_up_in(stage: Stage, state: str) -> Path:
    """A clip was in this state when the backup was made; it has gone on since, and is posted."""
    bot = await stage.start()
    hang: Hang | None = None
    stage.mindvideo.auto = False
    if state == "held":
        # No provider is asked before the progress message stands.
        hang = stage.discord.before = Hang(lambda request: "is held; cancelling" in str(request.json), None)
    if state == "submitting":
        hang = stage.mindvideo.after = Hang(submit, None)
    if refuse := state == "succeeded":
        stage.discord.before = refuse_the_clip
    await stage.ask("video text", prompt="a paper boat")
    if hang:
        await asyncio.wait_for(hang.reached.wait(), PATIENCE)
    else:
        await stage.mindvideo.until(lambda: bool(stage.mindvideo.jobs), seconds=PATIENCE)
        stage.mindvideo.auto = refuse
        ready = "problem LIKE 'not posted yet%'" if refuse else "state IN ('queued', 'processing')"
        await until_there_are(stage, ready)
    made = await back_up(stage)
    stage.mindvideo.auto = True
    if refuse:
        stage.discord.before = None
    if hang:
        hang.release()
    await stage.linked()
    assert await bot.stop() == 0
    stage.check_books()
    return made


@pytest.mark.parametrize("state", MOMENTS)
async def test_a_clip_that_went_on_since_is_neither_paid_nor_posted_again(stage: Stage, state: str) -> None:
    made = await backed_up_in(stage, state)
    jobs, (clip,) = dict(stage.charged()), stage.clips()
    code, said = await conch(stage, "restore", str(made))
    assert (code, "The former one is kept as" in said) == (0, True), said
    bot = await stage.start()
    if state in {"held", "submitting"}:
        if state == "submitting":
            await stage.until(lambda: "restored from a backup" in progress(stage))
        # Nothing of it is ever due again.
        await until_there_are(stage, "due_at IS NULL")
        assert [kind for kind, _ in ledger(stage)] == ["hold"]
        (task,) = stage.rows("SELECT id, state FROM tasks")
        assert task["state"] == "parked"
        shown = await stage.say("tasks show", task=task["id"])
        assert "restored from a backup" in str(shown.embeds) + shown.words
        (job_id,) = jobs
        code, said = await conch(stage, "tasks", "attach", task["id"], "--job", job_id, "--reason", "asked")
        assert code == 0, said
    await until_there_are(stage, "state = 'delivered'")
    await stage.until(lambda: "✅ Ready: " in progress(stage))
    assert await bot.stop() == 0
    assert [message.id for message in stage.clips()] == [clip.id]
    # Not even under its key, which would have shown the same job.
    assert sum(map(submit, stage.mindvideo.requests)) == len(stage.mindvideo.jobs) == 1
    assert stage.charged() == jobs
    stage.check_books()
    code, said = await conch(stage, "report", "--check")
    assert (code, "all agree" in said) == (0, True)


async def test_a_clip_that_nobody_has_posted_since_is_posted_once(stage: Stage) -> None:
    bot = await stage.start()
    stage.mindvideo.auto = False
    await stage.ask("video text", prompt="a paper boat")
    await until_there_are(stage, "state = 'queued'")
    made = await back_up(stage)
    assert await bot.stop() == 0
    stage.database.write_bytes(b"lost with its disk")
    stage.mindvideo.auto = True
    assert (await conch(stage, "restore", str(made)))[0] == 0
    bot = await stage.start()
    await stage.linked()
    assert await bot.stop() == 0
    assert len(stage.clips()) == len(stage.mindvideo.jobs) == 1
    stage.check_books()


async def test_a_running_bot_keeps_its_database(stage: Stage) -> None:
    bot = await stage.start()
    made = await back_up(stage)
    code, said = await conch(stage, "restore", str(made))
    assert (code, "Another Conch is running" in said) == (2, True)
    await stage.ask("video text", prompt="a paper boat")
    await stage.linked()
    assert await bot.stop() == 0
    stage.check_books()
