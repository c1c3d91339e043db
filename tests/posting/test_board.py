"""Progress messages: drawn in time, never too often, by whichever token still works, and one line at the end."""

from typing import Any

import aiohttp
import pytest
from simcord.components import walk_components

from bot.domain.errors import DeliveryError
from bot.domain.task import Task, TaskState
from bot.posting.board import EDIT_SECONDS
from tests.cogs.clips import BOTH
from tests.cogs.languages import limits_hold, speak_everywhere
from tests.cogs.pictures import picture
from tests.cogs.scene import Scene, drawn, says

ORIGINAL = "/webhooks/*/messages/@original"


async def processing(scene: Scene) -> Task:
    """Alice's task while the provider works on it, its message drawn."""
    task = await scene.accepted()
    await scene.app.tasks.observed(task, TaskState.PROCESSING, scene.now(), due_at=scene.now() + 10**9)
    task = await scene.task()
    await redrawn(scene, task, 1)
    await scene.pass_time(EDIT_SECONDS)
    return task


async def redrawn(scene: Scene, task: Task, percent: int) -> str:
    scene.app.board.changed(task, progress=percent)
    await scene.redraw()
    return drawn(scene)


def edits(scene: Scene) -> tuple[int, int]:
    """How often the message was edited: by the interaction's token, by the bot's own."""
    every = [one.path for one in scene.env.http_requests if one.method == "PATCH"]
    by_interaction = [path for path in every if path.endswith("/@original")]
    return len(by_interaction), len(every) - len(by_interaction)


async def end(scene: Scene, task: Task, note: str = "it crashed") -> None:
    await scene.app.tasks.end(task, TaskState.FAILED, scene.now(), note=note)
    scene.app.board.changed(task)
    await scene.redraw()


async def test_the_first_drawing_quotes_the_prompt_and_offers_to_cancel(scene: Scene) -> None:
    await scene.video(prompt="a whale", camera="Pan left")
    assert drawn(scene) == (
        "**Hailuo 2.3 · 6 s · 768p** · $0.3294 · MindVideo\n"
        "> a whale [Pan left]\n"
        "⏳ Waiting, next in line. $0.3294 is held; cancelling is free. `task0001`"
    )
    assert buttons(scene) == ["Cancel"]


def buttons(scene: Scene) -> list[str]:
    return [part["label"] for part in walk_components(scene.shown()[0].components) if "label" in part]


async def test_edits_are_never_closer_than_the_pause(scene: Scene) -> None:
    task = await processing(scene)
    assert "10 %" in await redrawn(scene, task, 10)
    for percent in (20, 30):
        assert "10 %" in await redrawn(scene, task, percent)
        await scene.pass_time(EDIT_SECONDS / 2)
    assert "40 %" in await redrawn(scene, task, 40)


async def test_the_first_edit_waits_for_the_pause_too(scene: Scene) -> None:
    await scene.video()
    before = edits(scene)
    await end(scene, await scene.task())
    assert edits(scene) == before


async def test_a_change_within_the_pause_is_drawn_after_it(scene: Scene) -> None:
    task = await processing(scene)
    await redrawn(scene, task, 10)
    await redrawn(scene, task, 20)
    await scene.pass_time(EDIT_SECONDS)
    await scene.redraw()
    assert "20 %" in drawn(scene)


async def test_the_board_says_how_long_it_may_rest(scene: Scene) -> None:
    task = await processing(scene)
    await redrawn(scene, task, 10)
    scene.app.board.changed(task, progress=20)
    await scene.pass_time(1)
    assert await scene.app.board.redraw() == pytest.approx(EDIT_SECONDS - 1)


async def test_with_nothing_to_draw_the_board_rests_until_it_is_woken(scene: Scene) -> None:
    await processing(scene)
    assert await scene.app.board.redraw() is None


async def test_what_is_already_shown_is_not_sent_again(scene: Scene) -> None:
    task = await processing(scene)
    await redrawn(scene, task, 10)
    before = edits(scene)
    await scene.pass_time(EDIT_SECONDS)
    await redrawn(scene, task, 10)
    assert edits(scene) == before


async def test_for_fourteen_minutes_the_interactions_token_is_used_then_the_bots(scene: Scene) -> None:
    task = await processing(scene)
    await redrawn(scene, task, 10)
    assert edits(scene)[1] == 0
    await scene.pass_time(14 * 60)
    before = edits(scene)[0]
    assert "20 %" in await redrawn(scene, task, 20)
    assert edits(scene) == (before, 1)


@pytest.mark.parametrize(("status", "code"), [(401, 50027), (404, 10015)])
async def test_when_the_interactions_token_is_dead_the_bots_is_used_at_once(
    scene: Scene, status: int, code: int
) -> None:
    task = await processing(scene)
    scene.env.inject_error("PATCH", ORIGINAL, status=status, code=code)
    assert "10 %" in await redrawn(scene, task, 10)
    before = edits(scene)[0]
    await scene.pass_time(EDIT_SECONDS)
    assert "20 %" in await redrawn(scene, task, 20)
    assert edits(scene) == (before, 2)


async def test_the_end_is_one_line_without_buttons_and_pictures(scene: Scene) -> None:
    task = await processing(scene)
    await end(scene, task)
    message = scene.shown()[0]
    assert says(message) == "❌ It failed and $0.3294 was given back: It crashed. `task0001`"
    assert (buttons(scene), message.attachments) == ([], [])


async def test_the_end_is_drawn_by_the_bots_token_too(scene: Scene) -> None:
    task = await processing(scene)
    await scene.pass_time(60 * 60)
    await end(scene, task)
    assert buttons(scene) == []
    assert drawn(scene).startswith("❌")


async def test_a_task_that_ended_before_its_message_was_noted_is_still_drawn(scene: Scene) -> None:
    await scene.video()
    await scene.app.database.write(lambda tx: tx.run("UPDATE tasks SET progress_message_id = NULL"))
    await scene.pass_time(EDIT_SECONDS)
    await end(scene, await scene.task())
    assert drawn(scene).startswith("❌")


async def test_a_button_stays_as_long_as_a_clip_may_be_stopped_or_waited_for(scene: Scene) -> None:
    task = await scene.succeeded()
    scene.app.board.changed(task)
    await scene.redraw()
    assert drawn(scene).endswith("📥 It is ready and on its way here. `task0001`")
    assert buttons(scene) == []


async def test_several_clips_are_numbered_in_lines_and_buttons(scene: Scene) -> None:
    await scene.video(count=3)
    lines = drawn(scene).splitlines()[2:]
    assert [line[:8] for line in lines] == ["**1.** ⏳", "**2.** ⏳", "**3.** ⏳"]
    assert [line.split(", ")[1].split(".")[0] for line in lines] == ["next in line", "1 ahead", "2 ahead"]
    assert buttons(scene) == ["Cancel 1", "Cancel 2", "Cancel 3"]


async def test_a_clip_that_ended_loses_its_button_alone(scene: Scene) -> None:
    await scene.video(count=2)
    await scene.pass_time(EDIT_SECONDS)
    await end(scene, (await scene.tasks())[0])
    assert buttons(scene) == ["Cancel 2"]


@pytest.mark.parametrize("state", [TaskState.FAILED, TaskState.HELD])
async def test_four_clips_with_long_reasons_fit_into_one_message(scene: Scene, state: TaskState) -> None:
    await scene.video(prompt="_" * 1900, count=4, format="hailuo-02/5/768p")
    await scene.pass_time(EDIT_SECONDS)
    for task in (await scene.tasks())[: 4 if state is TaskState.FAILED else 3]:
        await scene.app.tasks.end(task, TaskState.FAILED, scene.now(), note="*" * 400)
        scene.app.board.changed(task)
    await scene.redraw()
    assert len(drawn(scene)) <= 4000
    assert drawn(scene).endswith("`task0004`")


async def test_four_clips_with_pictures_and_long_reasons_fit_by_either_token(scene: Scene) -> None:
    await scene.video("transition", prompt="_" * 1900, count=3, **BOTH)
    *others, last = await scene.tasks()
    await scene.pass_time(16 * 60)
    for task in others:
        await scene.app.tasks.end(task, TaskState.FAILED, scene.now(), note="*" * 3000)
        scene.app.board.changed(task)
    await scene.redraw()
    assert drawn(scene).count("❌") == len(others)
    await scene.restart()
    await end(scene, last, "*" * 3000)
    assert drawn(scene).count("❌") == len(others) + 1
    assert buttons(scene) == []
    limits_hold(scene)


# --------------------------------------------------------------------- layout


def rows(scene: Scene) -> list[tuple[str, str | None]]:
    """What stands in the box: the first words of each row, and what stands beside them."""
    (box,) = scene.shown()[0].components
    found = []
    for part in box["components"]:
        beside = part.get("accessory", {})
        picture = beside.get("media", {}).get("url", "").rsplit("/", 1)[-1].partition("?")[0]
        found.append(
            (
                next(iter(part.get("components", [part])))["content"][:9],
                beside.get("label") or picture or None,
            )
        )
    return found


async def test_each_row_has_its_button_beside_it(scene: Scene) -> None:
    await scene.video(count=2)
    assert rows(scene) == [("**Hailuo ", None), ("**1.** ⏳ ", "Cancel 1"), ("**2.** ⏳ ", "Cancel 2")]


async def test_pictures_stand_beside_what_is_made_of_them(scene: Scene) -> None:
    await scene.video("transition", first_frame=("a.png", picture()), last_frame=("b.png", picture()))
    both = [("**Hailuo ", "first-frame.jpg"), ("> a whale", "last-frame.jpg"), ("⏳ Waiting", "Cancel")]
    assert rows(scene) == both
    task = await scene.task()
    assert [
        frame and (frame.url or "").rsplit("/", 1)[-1] for frame in (task.first_frame, task.last_frame)
    ] == [
        "first-frame.jpg",
        "last-frame.jpg",
    ]


async def test_one_picture_stands_beside_format_and_prompt_after_a_restart_too(scene: Scene) -> None:
    await scene.video("image", first_frame=("a.png", picture()))
    one = [("**Hailuo ", "first-frame.jpg"), ("⏳ Waiting", "Cancel")]
    assert rows(scene) == one
    await scene.restart()
    await scene.admin("pause", reason="spam")
    await scene.pass_time(EDIT_SECONDS)
    await scene.redraw()
    assert "Paused by an admin" in drawn(scene)
    assert rows(scene) == [one[0], ("⏳ Paused ", "Cancel")]


async def test_the_end_is_drawn_although_the_pictures_are_gone(scene: Scene) -> None:
    await scene.video("transition", **BOTH)
    scene.shown()[0].attachments = []
    await scene.restart()
    await end(scene, await scene.task())
    assert drawn(scene).startswith("❌")


async def test_a_message_of_an_older_version_is_laid_out_anew(scene: Scene) -> None:
    task = await scene.accepted()
    (message,) = scene.shown()
    message.content, message.components, message.flags = "words of before", [], 0
    await scene.restart()
    scene.app.board.changed(task)
    await scene.redraw()
    assert not message.content
    assert "In MindVideo's queue" in drawn(scene)


async def test_a_bar_grows_by_time_alone(scene: Scene, real_clip: Any) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    for _ in range(5):
        await scene.video()
        await scene.step(4)
    await scene.redraw()
    scene.standin.auto = False
    task = await scene.accepted()
    await scene.redraw()
    before = drawn(scene)
    assert 0 < before.count("▰") < 9
    pause = await scene.app.board.redraw()
    assert pause is not None
    assert pause <= 10
    await scene.pass_time(20)
    await scene.redraw()
    assert drawn(scene) != before
    assert drawn(scene).count("▰") > before.count("▰")
    await end(scene, task)
    await scene.pass_time(EDIT_SECONDS)
    assert await scene.app.board.redraw() is None


# -------------------------------------------------------------------- trouble


async def test_after_trouble_the_pauses_grow(scene: Scene) -> None:
    task = await processing(scene)
    scene.env.inject_error("PATCH", ORIGINAL, status=503)
    await redrawn(scene, task, 10)
    await scene.pass_time(EDIT_SECONDS)
    assert "10 %" not in await redrawn(scene, task, 10)
    await scene.pass_time(EDIT_SECONDS)
    assert "10 %" in await redrawn(scene, task, 10)


async def test_a_lost_connection_is_trouble_like_any_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await processing(scene)

    async def lost(*_: object, **__: object) -> None:
        raise aiohttp.ClientOSError

    with monkeypatch.context() as patch:
        patch.setattr("discord.Interaction.edit_original_response", lost)
        await redrawn(scene, task, 10)
    await scene.pass_time(2 * EDIT_SECONDS)
    assert "20 %" in await redrawn(scene, task, 20)


async def test_after_some_tries_a_message_is_left_as_it_is(scene: Scene) -> None:
    task = await processing(scene)
    scene.env.inject_error("PATCH", "*", status=503, times=None)
    before = sum(edits(scene))
    scene.app.board.changed(task, progress=10)
    for _ in range(8):
        await scene.redraw()
        await scene.pass_time(600)
    assert sum(edits(scene)) - before == 5
    assert await scene.app.board.redraw() is None


@pytest.mark.parametrize(("status", "code"), [(404, 10008), (403, 50013)])
async def test_a_message_that_is_gone_or_closed_is_left_at_once(scene: Scene, status: int, code: int) -> None:
    task = await processing(scene)
    scene.env.inject_error("PATCH", ORIGINAL, status=status, code=code)
    await redrawn(scene, task, 10)
    assert await scene.app.board.redraw() is None


# ----------------------------------------------------------- without a message


async def forgotten(scene: Scene, mode: str = "text", *, shown: bool, **options: Any) -> Task:
    """A held task whose process was killed before it noted, or sent, the progress message."""
    await scene.video(mode, **options)
    await forget(scene, shown=shown)
    return await scene.task()


async def forget(scene: Scene, *, shown: bool) -> None:
    await scene.app.database.write(
        lambda tx: tx.run("UPDATE tasks SET progress_message_id = NULL, progress_channel_id = NULL")
    )
    if not shown:
        scene.env.backend.delete_message(scene.channel.id, scene.shown()[0].id)
    await scene.restart()


async def test_tasks_without_a_message_get_one_by_the_bots_token(scene: Scene) -> None:
    task = await forgotten(scene, shown=False)
    posted = await scene.app.board.announce([task])
    (message,) = scene.shown()
    assert (posted.channel_id, posted.message_id) == (scene.channel.id, message.id)
    assert "Waiting, next in line" in says(message)


async def test_a_message_whose_answer_was_lost_is_found_instead(scene: Scene) -> None:
    task = await forgotten(scene, shown=True)
    posted = await scene.app.board.announce([task])
    assert [message.id for message in scene.shown()] == [posted.message_id]


@pytest.mark.parametrize("locale", ["en-US", "de"])
async def test_a_sibling_that_was_posted_is_not_taken_for_it(
    scene: Scene, real_clip: bytes, locale: str
) -> None:
    speak_everywhere(scene, locale)
    scene.standin.clip = real_clip
    await scene.video(count=2)
    await scene.step(2)
    scene.standin.finish((await scene.tasks())[0].job_id or "")
    await scene.step(8)
    await forget(scene, shown=False)
    (clip,) = scene.shown()
    assert clip.attachments
    posted = await scene.app.board.announce(await scene.tasks())
    assert [message.id for message in scene.shown()] == [clip.id, posted.message_id]


@pytest.mark.parametrize("lost", ["first_frame", "last_frame"])
async def test_a_new_message_shows_the_picture_that_is_left(scene: Scene, lost: str) -> None:
    task = await forgotten(scene, "transition", shown=False, **BOTH)
    (scene.settings.data_dir / getattr(task, lost).path).unlink()
    await scene.app.board.announce([task])
    (message,) = scene.shown()
    assert len(message.attachments) == 1


async def test_a_new_message_is_posted_once_and_mentions_nobody(scene: Scene) -> None:
    task = await forgotten(scene, shown=False)
    await scene.app.board.announce([task])
    body = scene.sent("POST", "/messages")[-1].json
    assert (body["nonce"], body["enforce_nonce"]) == (f"p{task.interaction_id}", True)
    assert body["allowed_mentions"] == {"parse": []}


async def test_a_new_message_too_rests_before_its_first_edit(scene: Scene) -> None:
    task = await forgotten(scene, shown=False)
    posted = await scene.app.board.announce([task])
    await scene.app.tasks.announced(
        task.interaction_id,
        channel_id=posted.channel_id,
        message_id=posted.message_id,
        urls=(),
        at=scene.now(),
    )
    await end(scene, task)
    assert "Waiting" in says(scene.shown()[0])


@pytest.mark.parametrize(("status", "code"), [(403, 50013), (503, 0)])
async def test_a_message_that_cannot_be_posted_is_a_delivery_error(
    scene: Scene, status: int, code: int
) -> None:
    task = await forgotten(scene, shown=False)
    scene.env.inject_error("POST", "/channels/*/messages", status=status, code=code)
    with pytest.raises(DeliveryError, match=str(status)):
        await scene.app.board.announce([task])


async def test_after_a_restart_the_old_message_goes_on(scene: Scene) -> None:
    await scene.accepted()
    await scene.restart()
    await scene.app.engine.recover()
    await scene.redraw()
    (message,) = scene.shown()
    assert "🕒 In MindVideo's queue" in says(message)


async def test_the_queue_says_when_the_clip_should_be_ready(scene: Scene, real_clip: Any) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    for _ in range(5):
        await scene.video()
        await scene.step(3)
        await scene.redraw()
    scene.standin.auto = False
    await scene.accepted()
    await scene.redraw()
    assert " · ready about <t:" in drawn(scene)
