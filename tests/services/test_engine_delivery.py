"""A finished clip: fetched, checked, posted once, and never lost."""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.domain.catalog import Mode
from bot.domain.errors import (
    DeliveryError,
    JobNotFound,
    JobRejected,
    NobodyThere,
    NotAVideo,
    ProviderBusy,
    StorageError,
)
from bot.domain.ports import Report
from bot.domain.task import Task, TaskState
from bot.providers.downloads import LinkExpired
from storage.tasks import TaskStore
from tests.fakes import After, FileAnswer, Silence
from tests.services.world import KEYED, PRICE, UNKEYED, World

SETTLED = [("hold", PRICE, 0), ("settle", -PRICE, PRICE)]
CLOSED = NobodyThere("the channel and direct messages are closed to the bot")


async def finished(world: World, **changes: object) -> Task:
    """A task whose job has just been read as finished; the next turn fetches and posts its clip."""
    task = await world.hold_one(**changes)
    await world.turn()
    (world.unkeyed if task.provider == UNKEYED else world.keyed).finish(task)
    await world.quiet_turn(5)
    assert await world.state(task) is TaskState.SUCCEEDED
    return task


# ------------------------------------------------------------------------- fetching


async def test_expired_link_is_replaced_by_a_read(world: World) -> None:
    task = await finished(world)
    world.keyed.job(task).links = 2
    await world.turn()
    delivered = await world.read(task)
    assert (delivered.state, delivered.clip_url) == (TaskState.DELIVERED, world.keyed.job(task).url)
    assert len(world.keyed.downloads) == 2


async def test_expired_link_without_a_new_one_is_tried_again(world: World) -> None:
    task = await finished(world)
    world.keyed.job(task).linked = False
    await world.turn()
    waiting = await world.read(task)
    assert (waiting.state, (waiting.due_at or 0) - world.clock()) == (TaskState.SUCCEEDED, 5000)
    assert "does not work any more" in (waiting.problem or "")


async def test_fresh_link_counts_as_a_request(world: World) -> None:
    task = await finished(world)
    world.keyed.job(task).links = 2
    before = world.paces.of(KEYED).available()
    await world.turn()
    assert world.paces.of(KEYED).available() == before - 1


FILES: list[FileAnswer] = [
    b"<!doctype html><title>Sign in</title>",
    b"",
    ProviderBusy("The CDN is down (503)."),
    NotAVideo("600 MB, at most 500 MB are taken."),
    LinkExpired("gone (404)"),
]


@pytest.mark.parametrize("file", FILES, ids=["page", "empty", "busy", "too long", "expired"])
async def test_file_that_is_no_video_is_never_posted(file: FileAnswer, world: World) -> None:
    task = await finished(world)
    world.keyed.files.extend([file, file])
    await world.turn()
    assert (await world.state(task), world.announcer.asked) == (TaskState.SUCCEEDED, [])
    assert world.files("clips") == []
    await world.turn(10)
    await world.turn(10)
    assert await world.state(task) is TaskState.DELIVERED


async def test_real_probe_refuses_a_cut_clip(make_world: Callable[[], World], clip_bytes: bytes) -> None:
    world = await make_world().open()
    task = await finished(world)
    world.keyed.files.append(clip_bytes[: len(clip_bytes) // 2])
    await world.turn()
    assert "cut short" in ((await world.read(task)).problem or "")
    await world.turn(5)
    assert await world.state(task) is TaskState.DELIVERED


async def test_unknown_job_at_a_fresh_link_is_tried_again(world: World) -> None:
    task = await finished(world)
    world.keyed.files.append(LinkExpired("gone (404)"))
    world.keyed.status_answers.append(JobNotFound("forgotten"))
    await world.turn()
    assert (await world.state(task), await world.booked(task)) == (TaskState.SUCCEEDED, SETTLED)


async def test_clip_of_a_provider_that_is_off_waits_for_it(world: World) -> None:
    task = await finished(world)
    world.switch_on()
    await world.turn()
    assert "switch it on again" in ((await world.read(task)).problem or "")
    world.switch_on(*world.providers)
    await world.turn(5)
    assert await world.state(task) is TaskState.DELIVERED


async def test_clip_is_on_the_disk_before_it_has_its_name(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def flushed(number: int) -> None:
        steps.append("flushed")
        fsync(number)

    def named(path: Path, to: Path) -> Path:
        steps.append(to.suffix)
        return replace(path, to)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", named)
    await finished(world)
    await world.turn()
    assert steps == ["flushed", ".mp4"]


async def test_fetched_clip_is_not_fetched_again(world: World) -> None:
    task = await finished(world)
    world.announcer.faults.append(DeliveryError("Discord answered 500"))
    await world.turn()
    await world.restart()
    await world.turn(5)
    assert (await world.state(task), len(world.keyed.downloads)) == (TaskState.DELIVERED, 1)


# ------------------------------------------------------------------------- posting


async def test_closed_channel_keeps_the_clip_and_asks_no_more(world: World) -> None:
    world.announcer.closed = CLOSED
    task = await finished(world)
    await world.turn()
    for _ in range(3):
        await world.turns(3, 5000)
        await world.restart()
    kept = await world.read(task)
    assert (kept.state, kept.due_at) == (TaskState.SUCCEEDED, None)
    assert "kept, offered in /tasks list" in (kept.problem or "")
    assert (len(world.announcer.asked), world.files("clips")) == (1, [f"{task.id}.mp4"])
    assert await world.booked(task) == SETTLED


async def test_passing_errors_are_tried_again_at_growing_pauses(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    task = await finished(world)
    world.announcer.faults.extend(DeliveryError("Discord answered 500") for _ in range(8))
    found: list[float] = []
    for _ in range(8):
        await world.turn(found[-1] if found else 0)
        found.append(((await world.read(task)).due_at or 0) / 1000 - world.clock() / 1000)
    assert found == [5, 10, 30, 60, 300, 900, 900, 900]
    assert [record.levelno for record in caplog.records].count(logging.ERROR) == 2
    await world.turn(900)
    assert await world.state(task) is TaskState.DELIVERED


@pytest.mark.parametrize("lost", [DeliveryError("reset after the body"), asyncio.CancelledError()])
async def test_answer_lost_after_posting_posts_once(lost: BaseException, world: World) -> None:
    task = await finished(world)
    world.announcer.faults.append(After(lost))
    await world.turn()
    assert await world.state(task) is TaskState.SUCCEEDED
    await world.turn(5)
    assert world.announcer.asked == [(task.id, False), (task.id, True)]
    assert (await world.state(task), len(world.announcer.clips[task.id])) == (TaskState.DELIVERED, 1)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_crash_while_posting_posts_once(after: bool, world: World) -> None:  # noqa: FBT001 - a parameter of the table
    task = await finished(world)
    world.announcer.faults.append(Silence(after=after))
    await world.engine.step()
    await world.announcer.silent.wait()
    await world.restart()
    await world.turn()
    assert world.announcer.asked == [(task.id, False), (task.id, True)]
    assert (await world.state(task), len(world.announcer.clips[task.id])) == (TaskState.DELIVERED, 1)


async def test_message_that_cannot_be_recorded_is_found_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await finished(world)
    real = TaskStore.delivered
    broken = [StorageError("disk full")]

    async def delivered(*arguments: object, **named: object) -> None:
        if broken:
            raise broken.pop()
        await real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("bot.services.engine.STORAGE_SECONDS", 0)
    monkeypatch.setattr(TaskStore, "delivered", delivered)
    await world.turns(2, 0)
    assert world.announcer.asked == [(task.id, False), (task.id, True)]
    assert await world.state(task) is TaskState.DELIVERED


async def test_full_disk_pauses_the_downloads(world: World) -> None:
    task = await finished(world)
    world.keyed.files.append(StorageError("no space left on device"))
    await world.turns(3, 1)
    assert len(world.keyed.downloads) == 1
    await world.turn(5)
    assert await world.state(task) is TaskState.DELIVERED


async def test_crash_while_downloading_leaves_nothing_behind(world: World) -> None:
    task = await finished(world)
    world.keyed.files.append(Silence())
    await world.engine.step()
    await world.keyed.silent.wait()
    (world.folder / "clips" / f"{task.id}.part.mp4").write_bytes(b"half")
    (world.folder / "clips" / f".{task.id}.part.mp4.abc.part").write_bytes(b"half")
    await world.restart()
    await world.turn()
    assert (await world.state(task), world.files("clips")) == (TaskState.DELIVERED, [])


async def test_settled_once_although_the_success_is_read_twice(world: World) -> None:
    task = await finished(world)
    await world.restart()
    world.keyed.status_answers.append(
        Report(f"{KEYED}-job1", TaskState.SUCCEEDED, clip_url="x", cost_micros=1)
    )
    await world.turn()
    assert await world.booked(task) == SETTLED


# --------------------------------------------------------------------- the pictures


async def test_pictures_stay_until_the_last_clip_of_the_command_ended(world: World) -> None:
    tasks = await world.hold(3, mode=Mode.TRANSITION)
    world.keyed.submit_answers.extend([JobRejected("no"), TaskState.QUEUED, TaskState.QUEUED])
    await world.turn()
    failed = [task for task in tasks if await world.state(task) is TaskState.FAILED]
    running = [task for task in tasks if task not in failed]
    world.keyed.finish(running[0])
    await world.turns(2, 5)
    assert [await world.state(task) for task in running] == [TaskState.DELIVERED, TaskState.QUEUED]
    assert world.files("frames") == ["1-first.jpg", "1-last.jpg"]
    world.keyed.finish(running[1], TaskState.CANCELLED)
    await world.turn(20)
    assert world.files("frames") == []


async def test_pictures_of_another_command_stay(world: World) -> None:
    await world.hold(mode=Mode.IMAGE)
    await world.hold(mode=Mode.IMAGE)
    world.keyed.submit_answers.append(JobRejected("no"))
    await world.turn()
    assert len(world.files("frames")) == 1


# ------------------------------------------------------------------ sweeps at a start


async def test_start_sweeps_what_nobody_owns_and_nothing_else(world: World) -> None:
    world.announcer.closed = CLOSED
    kept = await finished(world, mode=Mode.IMAGE)
    await world.turn()
    world.keyed.submit_answers.append(JobRejected("no"))
    failed = await world.hold_one(mode=Mode.IMAGE)
    await world.turn()
    for name in (f"{failed.id}.mp4", f"{failed.id}.part.mp4", ".x.part", "stranger.mp4"):
        (world.folder / "clips" / name).write_bytes(b"x")
    for name in (f"{failed.interaction_id}-first.jpg", "999-first.upload", ".1-first.jpg.abc.part"):
        (world.folder / "frames" / name).write_bytes(b"x")
    (world.folder / "clips" / "folder").mkdir()
    await world.restart()
    assert world.files("clips") == ["folder", f"{kept.id}.mp4"]
    assert world.files("frames") == [f"{kept.interaction_id}-first.jpg"]


async def test_kept_clips_outlive_a_start_however_many_there_are(world: World) -> None:
    world.announcer.closed = CLOSED
    for member in range(2):
        await world.hold(260, member_id=member)
        await world.database.write(
            lambda tx: tx.run("UPDATE tasks SET state = 'parked', due_at = NULL WHERE state = 'held'")
        )
        world.clock.advance(1)
    kept = await finished(world)
    await world.turn()
    await world.restart()
    assert world.files("clips") == [f"{kept.id}.mp4"]


async def test_picture_that_arrives_during_the_start_is_not_swept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TaskStore.unfinished_interactions

    async def slow(store: TaskStore) -> set[int]:
        found = await real(store)
        (world.folder / "frames" / "4711-first.jpg").write_bytes(b"x")
        return found

    (world.folder / "frames").mkdir()
    monkeypatch.setattr(TaskStore, "unfinished_interactions", slow)
    await world.engine.recover()
    assert world.files("frames") == ["4711-first.jpg"]
