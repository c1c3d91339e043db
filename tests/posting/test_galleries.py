"""The clips of one command share one message: each is added as it comes, and can be taken out again."""

from pathlib import Path
from typing import Any

import pytest
from simcord.components import walk_components

from bot.domain.parcel import Change, Link, Parcel
from bot.domain.ports import Gallery, Posted
from bot.domain.task import Task, TaskState
from tests.cogs import clips
from tests.cogs.clips import fill_in
from tests.cogs.moderators import told_in
from tests.cogs.scene import Scene, drawn, told

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


async def first_of_two(scene: Scene, clip: bytes, **options: Any) -> Task:
    """The first of two clips is posted; the second one is ready at the provider, and `delivered` posts it."""
    await ordered(scene, clip, **options)
    scene.standin.auto = False
    await scene.step(2)
    first, second = await scene.tasks()
    scene.standin.finish(first.job_id or "")
    await scene.step(8)
    scene.standin.finish(second.job_id or "")
    states = [task.state is TaskState.DELIVERED for task in await scene.tasks()]
    assert states == [True, False]
    return (await scene.tasks())[0]


def galleries(scene: Scene) -> list[Any]:
    return [one for one in scene.shown() if one.attachments]


def files(message: Any) -> list[str]:
    return [file["filename"] for file in message.attachments]


def rows(message: Any) -> list[list[str]]:
    return [[button["label"] for button in row["components"]] for row in message.components]


async def removed(scene: Scene, task: Task) -> Any:
    """Alice deletes a clip by the button of its own row."""
    shown = await scene.alice.click(clips.message(scene, task), custom_id=f"conch:clip:delete:{task.id}")
    return await fill_in(scene, shown)


def losing_answers(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The answer to adding a second clip will be lost, once; the messages where it was."""
    edit = scene.env.backend.edit_message
    lost: list[int] = []

    def edited(channel: int, message: int, changes: dict[str, Any]) -> Any:
        done = edit(channel, message, changes)
        if len(changes.get("attachments") or []) == 2 and not lost:
            lost.append(message)
            raise ConnectionResetError
        return done

    monkeypatch.setattr(scene.env.backend, "edit_message", edited)
    return lost


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
    lost = losing_answers(scene, monkeypatch)
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
    for task in tasks[:2]:
        await removed(scene, task)
    (message,) = galleries(scene)
    last = tasks[2]
    assert files(message) == [f"conch-{last.id}.mp4"]
    assert message.content.splitlines()[:2] == [f"<@{scene.alice.id}> your clips are ready.", "> a whale"]
    assert [line for line in message.content.splitlines() if line.startswith("-#")] == [
        f"-# 3. Hailuo 02 · 5 s · 768p · $0.225 · MindVideo · `{last.id}`"
    ]
    ids = [part["custom_id"] for part in walk_components(message.components) if "custom_id" in part]
    assert {one.rsplit(":", 1)[-1] for one in ids} == {last.id}
    await removed(scene, last)
    assert galleries(scene) == []
    assert [task.removed_by for task in await scene.tasks()] == [scene.alice.id] * 3


@pytest.mark.parametrize(
    "prompt",
    [
        "-# 1. x · y · `task0002`",
        "> a\n-# 1. Hailuo · `task0002`",
        "`task0002`",
        "\\`task0002\\`",
        "ends with `",
        "\u2028-# 2. `task0002`",
        "a\x85`task0002`",
        "{price} %s {0} {",
        "_" * 1900,
        "🐳" * 900,
    ],
    ids=lambda prompt: ascii(prompt)[:20],
)
async def test_a_prompt_is_not_taken_for_a_clips_line(scene: Scene, real_clip: bytes, prompt: str) -> None:
    await ordered(scene, real_clip, prompt=prompt)
    tasks = await delivered(scene)
    (message,) = galleries(scene)
    assert sorted(files(message)) == ["conch-task0001.mp4", "conch-task0002.mp4"]
    head = message.content.splitlines()[:2]
    await removed(scene, tasks[1])
    (message,) = galleries(scene)
    assert files(message) == ["conch-task0001.mp4"]
    assert message.content.splitlines()[:2] == head
    assert len(message.content.splitlines()) == 3


async def test_a_reported_clip_is_deleted_alone(scene: Scene, real_clip: bytes) -> None:
    channel = await told_in(scene)
    await ordered(scene, real_clip)
    first, second = await delivered(scene)
    message = clips.message(scene, second)
    shown = await scene.bob.click(message, custom_id=f"conch:clip:report:{second.id}")
    await fill_in(scene, shown, scene.bob, reason="rude {price} %")
    answer = await scene.carol.click(channel.history()[-1], label="Delete clip")
    assert "Deleted the clip" in told(answer)
    assert [files(one) for one in galleries(scene)] == [[f"conch-{first.id}.mp4"]]
    notes = [event.note or "" for event in await scene.app.tasks.events(second.id)]
    assert notes[-1].endswith("reported: rude {price} %")


async def test_a_story_goes_on_from_the_clip_whose_button_it_is(scene: Scene, real_clip: bytes) -> None:
    await ordered(scene, real_clip)
    tasks = await delivered(scene)
    message = clips.message(scene, tasks[1])
    shown = await scene.alice.click(message, custom_id=f"conch:clip:continue:{tasks[1].id}")
    await fill_in(scene, shown, prompt="it dives")
    child = await clips.delivered(scene)
    assert child.parent_id == tasks[1].id
    result = await clips.click(scene, child, "Stitch")
    assert "stitched for" in result.response.content


async def test_private_clips_share_their_direct_message(scene: Scene, real_clip: bytes) -> None:
    await ordered(scene, real_clip, private=True)
    await delivered(scene)
    assert galleries(scene) == []
    (message,) = scene.shown(scene.alice.user.dm_channel)
    assert sorted(files(message)) == ["conch-task0001.mp4", "conch-task0002.mp4"]
    assert sorted(rows(message)) == [["1. Delete"], ["2. Delete"]]


# ------------------------------------------------------------------------ links


async def both_ready(scene: Scene) -> tuple[Task, Task]:
    """Two paid clips of one command, neither of them posted."""
    await scene.video(count=2)
    await scene.step(2)
    for task in await scene.tasks():
        await scene.app.tasks.succeed(
            task,
            scene.now(),
            job_id=task.job_id or "",
            clip=("https://provider.example/clip.mp4", scene.now() + 3_600_000),
            cost_micros=task.price_micros,
            note="finished",
        )
    first, second = await scene.tasks()
    return first, second


async def post(scene: Scene, task: Task, parcel: Parcel, *before: Posted) -> Posted:
    with scene.env.time_context():
        posted = await scene.app.board.deliver(
            task, parcel, cost_micros=1, again=False, gallery=Gallery(before)
        )
    await scene.app.tasks.delivered(
        task, scene.now(), channel_id=posted.channel_id, message_id=posted.message_id, note="posted, as it is"
    )
    return posted


def file_of(scene: Scene, task: Task) -> Path:
    clip = scene.clip(task)
    clip.write_bytes(b"a clip")
    return clip


def link_of(task: Task, length: int = 40) -> Link:
    return Link(f"https://provider.example/{task.id}/".ljust(length, "x"), None, own=False)


async def link_and_file(scene: Scene) -> tuple[Task, Task]:
    """The first clip comes as a link alone, the second one as a file in the same message."""
    first, second = await both_ready(scene)
    posted = await post(scene, first, Parcel(None, link=link_of(first)))
    await post(scene, second, Parcel(file_of(scene, second)), posted)
    first, second = await scene.tasks()
    return first, second


async def test_a_clip_that_came_as_a_link_stays_without_the_file(scene: Scene) -> None:
    linked, filed = await link_and_file(scene)
    (message,) = galleries(scene)
    assert files(message) == [f"conch-{filed.id}.mp4"]
    assert "too large for Discord" in message.content
    await removed(scene, filed)
    (left,) = [one for one in scene.shown() if one.id == message.id]
    assert f"`{linked.id}`" in left.content
    assert f"`{filed.id}`" not in left.content


async def test_a_clip_that_came_as_a_link_is_deleted_with_it(scene: Scene) -> None:
    linked, filed = await link_and_file(scene)
    await removed(scene, linked)
    (left,) = galleries(scene)
    assert files(left) == [f"conch-{filed.id}.mp4"]
    assert "too large for Discord" not in left.content
    assert [row[0] for row in rows(left)] == ["2. Again"]


async def test_the_file_with_a_long_link_goes_with_its_clip(scene: Scene) -> None:
    """A link of over 1,000 characters stands in a file beside the clip."""
    first, second = await both_ready(scene)
    smaller = [Parcel(file_of(scene, one), Change.SMALLER, link_of(one, 1200)) for one in (first, second)]
    posted = await post(scene, first, smaller[0])
    await post(scene, second, smaller[1], posted)
    (message,) = galleries(scene)
    assert len(message.attachments) == 4
    first, _ = await scene.tasks()
    await removed(scene, first)
    (left,) = galleries(scene)
    assert sorted(files(left)) == [f"conch-{second.id}.link.txt", f"conch-{second.id}.mp4"]
