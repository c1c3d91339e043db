"""Clips that share a message, where Discord refuses, an answer is lost, or two change the message at once."""

import asyncio
import contextlib
from typing import Any

import pytest

from bot.domain.task import Task, TaskState
from bot.posting.clip_messages import delete_clip
from storage.removals import RemovalStore
from storage.tasks import TaskStore
from tests.cogs.scene import Scene, told
from tests.posting.test_galleries import (
    delivered,
    files,
    first_of_two,
    galleries,
    losing_answers,
    ordered,
    removed,
    rows,
)

THREE: dict[str, Any] = {"count": 3, "format": "hailuo-02/5/768p"}

# -------------------------------------------------------------------- crashes


async def test_a_crash_between_adding_a_clip_and_recording_it_posts_nothing_twice(
    scene: Scene, real_clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ordered(scene, real_clip, **THREE)
    real, recorded = TaskStore.delivered, list[str]()

    async def crash(self: TaskStore, task: Task, *arguments: Any, **more: Any) -> Any:
        recorded.append(task.id)
        if len(recorded) == 2:
            raise RuntimeError("the machine stops here")
        return await real(self, task, *arguments, **more)

    with monkeypatch.context() as patch, contextlib.suppress(RuntimeError):
        patch.setattr(TaskStore, "delivered", crash)
        while len(recorded) < 2:
            await scene.step()
    await scene.pass_time(600)
    await scene.restart()
    await scene.app.engine.recover()
    tasks = await delivered(scene)
    (message,) = galleries(scene)
    assert sorted(files(message)) == sorted(f"conch-{task.id}.mp4" for task in tasks)
    assert len(rows(message)) == 3


@pytest.mark.parametrize("of_those_that_stand", [0, 1])
async def test_a_clip_joins_one_that_a_crash_left_unrecorded_in_the_channel(
    scene: Scene, real_clip: bytes, monkeypatch: pytest.MonkeyPatch, of_those_that_stand: int
) -> None:
    await ordered(scene, real_clip, **THREE)
    unrecorded = list[Task]()

    async def crash(self: TaskStore, task: Task, *arguments: Any, **more: Any) -> Any:
        unrecorded.append(task)
        raise RuntimeError("the machine stops here")

    with monkeypatch.context() as patch, contextlib.suppress(RuntimeError):
        patch.setattr(TaskStore, "delivered", crash)
        while not unrecorded:
            await scene.step()
    await scene.pass_time(600)
    await scene.restart()
    # It is fetched anew, which may take longer than with the others.
    (first,) = [task for task in await scene.tasks() if task.id == unrecorded[0].id]
    later = scene.now() + 630_000 * of_those_that_stand
    await scene.app.tasks.postpone(first, scene.now(), due_at=later, problem=None)
    tasks = await delivered(scene, 50)
    (message,) = galleries(scene)
    assert {task.message_id for task in tasks} == {message.id}
    assert sorted(files(message)) == sorted(f"conch-{task.id}.mp4" for task in tasks)


async def test_an_addition_whose_answer_was_lost_is_found_although_a_newer_message_was_begun(
    scene: Scene, real_clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ordered(scene, real_clip, **THREE)
    scene.standin.auto = False
    await scene.step(2)
    scene.standin.finish((await scene.tasks())[0].job_id or "")
    await scene.step(8)
    await scene.pass_time(45 * 60)
    lost = losing_answers(scene, monkeypatch)
    _, second, third = await scene.tasks()
    scene.standin.finish(second.job_id or "")
    while not lost:
        with scene.env.time_context():
            await scene.app.engine.step()
            await scene.app.engine.idle()
        await scene.pass_time(0 if lost else 30)
    # The bot is down for so long that the third clip, which comes first, begins another message.
    second = (await scene.tasks())[1]
    await scene.app.tasks.postpone(second, scene.now(), due_at=scene.now() + 630_000, problem=None)
    await scene.pass_time(600)
    scene.standin.finish(third.job_id or "")
    tasks = await delivered(scene, 20)
    assert len(galleries(scene)) == 2
    posted = [name for message in galleries(scene) for name in files(message)]
    assert sorted(posted) == [f"conch-{task.id}.mp4" for task in tasks]


async def test_a_clip_from_before_an_update_takes_its_siblings(scene: Scene, real_clip: bytes) -> None:
    """Its line and its buttons had no number."""
    await first_of_two(scene, real_clip)
    (message,) = galleries(scene)
    message.content = message.content.replace("clips are", "clip is").replace("-# 1. ", "-# ")
    for button in message.components[0]["components"]:
        button["label"] = button["label"].removeprefix("1. ")
    tasks = await delivered(scene)
    (message,) = galleries(scene)
    assert len(files(message)) == 2
    for task in tasks:
        await removed(scene, task)
    assert galleries(scene) == []


# ------------------------------------------------------------------- refusals


async def test_a_clip_that_is_refused_beside_another_comes_smaller(scene: Scene, real_clip: bytes) -> None:
    first = await first_of_two(scene, real_clip)
    path = f"/channels/{scene.channel.id}/messages/{first.message_id}"
    scene.env.inject_error("PATCH", path, status=413, code=40005, times=1)
    await delivered(scene)
    (message,) = galleries(scene)
    assert len(files(message)) == 2
    assert message.content.count("Made smaller") == 1


async def test_where_the_channel_was_closed_after_the_first_the_others_come_by_direct_message(
    scene: Scene, real_clip: bytes
) -> None:
    await first_of_two(scene, real_clip)
    scene.env.inject_error("*", f"/channels/{scene.channel.id}/*", status=403, code=50013, times=None)
    _, second = await delivered(scene)
    (message,) = scene.shown(scene.alice.user.dm_channel)
    assert files(message) == [f"conch-{second.id}.mp4"]


async def test_where_direct_messages_were_closed_after_the_first_a_private_clip_is_kept(
    scene: Scene, real_clip: bytes
) -> None:
    await first_of_two(scene, real_clip, private=True)
    place = f"/channels/{scene.alice.user.dm_channel.id}/*"
    scene.env.inject_error("*", place, status=403, code=50007, times=None)
    await scene.step(10)
    first, second = await scene.tasks()
    assert (first.state, second.state, second.stranded) == (TaskState.DELIVERED, TaskState.SUCCEEDED, True)
    assert galleries(scene) == []


async def test_where_discord_allows_no_more_changes_the_member_is_told(
    scene: Scene, real_clip: bytes
) -> None:
    await ordered(scene, real_clip)
    first, _ = await delivered(scene)
    path = f"/channels/{scene.channel.id}/messages/{first.message_id}"
    scene.env.inject_error("PATCH", path, status=400, code=30046, times=None)
    assert "Discord allows few changes of messages that are older" in told(await removed(scene, first))
    assert [one.removed_by for one in await scene.tasks()] == [None, None]


async def test_a_message_whose_files_were_taken_out_still_takes_a_clip(
    scene: Scene, real_clip: bytes
) -> None:
    await first_of_two(scene, real_clip)
    (message,) = galleries(scene)
    message.attachments = []
    _, second = await delivered(scene)
    assert [files(one) for one in galleries(scene)] == [[f"conch-{second.id}.mp4"]]


# --------------------------------------------------------------- at the same time


async def deleted(scene: Scene, task: Task, member: Any) -> None:
    """What a member's form does; simcord sends one form at a time."""
    await delete_clip(scene.app.client, task, shared=True)
    store = RemovalStore(scene.app.database)
    await store.remove(task, scene.now(), by=member.id, note="removed", deed=None)


async def test_two_members_delete_the_same_clip_once(scene: Scene, real_clip: bytes) -> None:
    await ordered(scene, real_clip)
    first, second = await delivered(scene)
    with scene.env.time_context():
        await asyncio.gather(*(deleted(scene, first, member) for member in (scene.alice, scene.carol)))
    assert [files(one) for one in galleries(scene)] == [[f"conch-{second.id}.mp4"]]
    notes = [event.note for event in await scene.app.tasks.events(first.id)]
    assert notes.count("removed") == 1


async def test_two_clips_are_deleted_at_once(scene: Scene, real_clip: bytes) -> None:
    await ordered(scene, real_clip, **THREE)
    *others, last = await delivered(scene)
    with scene.env.time_context():
        await asyncio.gather(*(deleted(scene, task, scene.alice) for task in others))
    assert [files(one) for one in galleries(scene)] == [[f"conch-{last.id}.mp4"]]
    await removed(scene, last)
    assert galleries(scene) == []


async def test_a_clip_is_deleted_while_another_is_added(scene: Scene, real_clip: bytes) -> None:
    first = await first_of_two(scene, real_clip)
    with scene.env.time_context():
        await asyncio.gather(deleted(scene, first, scene.alice), scene.app.engine.step())
        await scene.app.engine.idle()
    _, second = await delivered(scene)
    assert [files(one) for one in galleries(scene)] == [[f"conch-{second.id}.mp4"]]


async def test_after_an_erasure_between_two_clips_both_can_be_deleted(scene: Scene, real_clip: bytes) -> None:
    await first_of_two(scene, real_clip)
    offered = await scene.alice.slash(scene.channel, "privacy erase")
    await scene.alice.click(offered.response, label="Erase my data")
    tasks = await delivered(scene)
    assert sum(len(files(message)) for message in galleries(scene)) == 2
    for task in tasks:
        await removed(scene, task)
    assert galleries(scene) == []


async def test_discord_py_remembers_the_buttons_of_no_message(scene: Scene, real_clip: bytes) -> None:
    remembered = scene.app.client._connection._view_store._views
    before = len(remembered)
    await ordered(scene, real_clip, **THREE)
    first, *_ = await delivered(scene)
    await removed(scene, first)
    assert len(remembered) == before
