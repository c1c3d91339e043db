"""The clips of one command share one message: each is added as it comes, and can be taken out again."""

from typing import Any

import pytest
from simcord.components import walk_components

from bot.domain.task import Task, TaskState
from tests.cogs.clips import fill_in
from tests.cogs.scene import Scene, drawn

EDIT = "/channels/*/messages/*"


async def ordered(scene: Scene, clip: bytes, count: int = 2, **options: Any) -> list[Task]:
    scene.standin.clip, scene.standin.auto = clip, True
    await scene.video(count=count, **options)
    return await scene.tasks()


async def delivered(scene: Scene, steps: int = 14) -> list[Task]:
    for _ in range(steps):
        await scene.step()
        found = await scene.tasks()
        if all(task.state is TaskState.DELIVERED for task in found):
            return found
    raise AssertionError([(task.state, task.problem) for task in found])


def galleries(scene: Scene) -> list[Any]:
    return [one for one in scene.shown() if one.attachments]


def files(message: Any) -> list[str]:
    return [file["filename"] for file in message.attachments]


def rows(message: Any) -> list[list[str]]:
    return [[button["label"] for button in row["components"]] for row in message.components]


async def test_all_clips_of_a_command_come_in_one_message_with_one_ping(
    scene: Scene, real_clip: bytes
) -> None:
    await ordered(scene, real_clip, 4, format="hailuo-02/5/768p")
    tasks = await delivered(scene)
    (message,) = galleries(scene)
    assert {task.message_id for task in tasks} == {message.id}
    assert sorted(files(message)) == [f"conch-{task.id}.mp4" for task in tasks]
    assert all(scene.env.backend.cdn.get(file["url"]) == real_clip for file in message.attachments)
    head, prompt, *lines = message.content.splitlines()
    assert (head, prompt) == (f"<@{scene.alice.id}> your clips are ready.", "> a whale")
    assert sorted(lines) == [
        f"-# {number}. Hailuo 02 · 5 s · 768p · $0.225 · MindVideo · `{task.id}`"
        for number, task in enumerate(tasks, 1)
    ]
    assert sorted(rows(message)) == [
        [f"{number}. Again", "Edit", "Continue", "Delete", "Report"] for number in (1, 2, 3, 4)
    ]
    posts = [one.json for one in scene.sent("POST", f"/channels/{scene.channel.id}/messages")]
    assert [one["allowed_mentions"]["users"] for one in posts] == [[scene.alice.id]]
    edits = [one.json for one in scene.sent("PATCH", f"/messages/{message.id}")]
    assert [one["allowed_mentions"] for one in edits] == [{"parse": []}] * 3
    await scene.redraw()
    assert drawn(scene).count(f"/{message.id} ") == 4


async def test_each_row_of_buttons_is_its_own_clips(scene: Scene, real_clip: bytes) -> None:
    await ordered(scene, real_clip)
    tasks = await delivered(scene)
    (message,) = galleries(scene)
    for row, line in zip(message.components, message.content.splitlines()[2:], strict=True):
        (task,) = [task for task in tasks if f"`{task.id}`" in line]
        assert {button["custom_id"].rsplit(":", 1)[-1] for button in row["components"]} == {task.id}


async def test_a_failed_sibling_leaves_the_others_together(scene: Scene, real_clip: bytes) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    await scene.video(count=3, format="hailuo-02/5/768p")
    first = (await scene.tasks())[0]
    await scene.app.tasks.end(first, TaskState.CANCELLED, scene.now(), note="cancelled by the member")
    for _ in range(12):
        await scene.step()
    (message,) = galleries(scene)
    assert sorted(files(message)) == ["conch-task0002.mp4", "conch-task0003.mp4"]
    assert sorted(row[0] for row in rows(message)) == ["2. Again", "3. Again"]


async def test_an_addition_whose_answer_was_lost_is_found_in_the_message(
    scene: Scene, real_clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ordered(scene, real_clip)
    edit = scene.env.backend.edit_message
    lost: list[int] = []

    def edited(channel: int, message: int, changes: dict[str, Any]) -> Any:
        done = edit(channel, message, changes)
        if len(changes.get("attachments") or []) == 2 and not lost:
            lost.append(message)
            raise ConnectionResetError
        return done

    monkeypatch.setattr(scene.env.backend, "edit_message", edited)
    await delivered(scene)
    assert len(lost) == 1
    (message,) = galleries(scene)
    assert sorted(files(message)) == ["conch-task0001.mp4", "conch-task0002.mp4"]
    assert message.content.count("`task000") == 2


@pytest.mark.parametrize(("status", "code"), [(404, 10008), (403, 50013)])
async def test_where_the_message_is_gone_or_closed_a_clip_gets_its_own(
    scene: Scene, real_clip: bytes, status: int, code: int
) -> None:
    await ordered(scene, real_clip)
    scene.env.inject_error("GET", EDIT, status=status, code=code, times=None)
    await delivered(scene)
    assert sorted(files(one) for one in galleries(scene)) == [["conch-task0001.mp4"], ["conch-task0002.mp4"]]


@pytest.mark.parametrize(("minutes", "messages"), [(40, 1), (55, 2)])
async def test_a_clip_that_comes_long_after_the_others_is_told_of_anew(
    scene: Scene, real_clip: bytes, minutes: int, messages: int
) -> None:
    await ordered(scene, real_clip)
    scene.standin.auto = False
    await scene.step(2)
    first, second = await scene.tasks()
    scene.standin.finish(first.job_id or "")
    await scene.step(8)
    assert len(galleries(scene)) == 1
    await scene.pass_time(minutes * 60)
    scene.standin.finish(second.job_id or "")
    await delivered(scene)
    assert len(galleries(scene)) == messages


# --------------------------------------------------------------------- taken out


async def test_one_clip_is_deleted_and_the_others_stay(scene: Scene, real_clip: bytes) -> None:
    await ordered(scene, real_clip, 3, format="hailuo-02/5/768p")
    tasks = await delivered(scene)
    (message,) = galleries(scene)
    (seen,) = [one for one in scene.channel.history() if one.id == message.id]
    for task in tasks[:2]:
        shown = await scene.alice.click(seen, custom_id=f"conch:clip:delete:{task.id}")
        await fill_in(scene, shown)
        (seen,) = [one for one in scene.channel.history() if one.id == message.id]
    (message,) = galleries(scene)
    last = tasks[2]
    assert files(message) == [f"conch-{last.id}.mp4"]
    assert message.content.splitlines()[:2] == [f"<@{scene.alice.id}> your clips are ready.", "> a whale"]
    assert [line for line in message.content.splitlines() if line.startswith("-#")] == [
        f"-# 3. Hailuo 02 · 5 s · 768p · $0.225 · MindVideo · `{last.id}`"
    ]
    ids = [part["custom_id"] for part in walk_components(message.components) if "custom_id" in part]
    assert {one.rsplit(":", 1)[-1] for one in ids} == {last.id}
    shown = await scene.alice.click(seen, custom_id=f"conch:clip:delete:{last.id}")
    await fill_in(scene, shown)
    assert galleries(scene) == []
    assert [task.removed_by for task in await scene.tasks()] == [scene.alice.id] * 3


async def test_continue_goes_on_from_the_clip_whose_button_it_is(scene: Scene, real_clip: bytes) -> None:
    await ordered(scene, real_clip)
    tasks = await delivered(scene)
    (message,) = galleries(scene)
    (seen,) = [one for one in scene.channel.history() if one.id == message.id]
    shown = await scene.alice.click(seen, custom_id=f"conch:clip:continue:{tasks[1].id}")
    await fill_in(scene, shown, prompt="it dives")
    assert (await scene.tasks())[-1].parent_id == tasks[1].id


async def test_private_clips_share_their_direct_message(scene: Scene, real_clip: bytes) -> None:
    await ordered(scene, real_clip, private=True)
    await delivered(scene)
    assert galleries(scene) == []
    (message,) = scene.shown(scene.alice.user.dm_channel)
    assert sorted(files(message)) == ["conch-task0001.mp4", "conch-task0002.mp4"]
    assert sorted(rows(message)) == [["1. Delete"], ["2. Delete"]]
