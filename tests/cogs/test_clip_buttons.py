"""Again, Edit and Continue under a posted clip: for whoever clicks, at that member's cost, for ever."""

import io
import os
from pathlib import Path
from typing import Any

import av
import pytest
import simcord
from PIL import Image, ImageChops, ImageStat
from simcord.backend.serializers import message_payload
from simcord.components import walk_components
from simcord.interactions import base_payload

from bot.domain.task import Task, TaskState
from bot.media import child
from bot.services import kept
from tests.cogs.clips import BOTH, COMPONENT, FIRST, MODAL, click, fill_in, forge, message, options_of, posted
from tests.cogs.fixtures import Open
from tests.cogs.limiting import limited
from tests.cogs.scene import Scene, says, told

#: What a JPEG may differ from its source on average.
JPEG = 1.5
ORDERING = ["Again", "Edit", "Continue"]


async def of(scene: Scene, member: Any, server: Any = None) -> list[Task]:
    return await scene.app.tasks.of_member(member.id, (server or scene.guild).id, limit=9)


def last_frame(clip: bytes) -> Image.Image:
    """Found the slow and certain way: every frame is decoded."""
    with av.open(io.BytesIO(clip)) as container:
        frames = list(container.decode(video=0))
    picture: Image.Image = frames[-1].reformat(format="rgb24").to_image()
    return picture


def apart(one: Image.Image, other: Image.Image) -> float:
    """How far the pixels differ on average, from 0 for the same to 255."""
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


# ------------------------------------------------------------------------- again


async def test_again_orders_the_same_clip_for_whoever_clicks(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip, camera="Pan left", enhance=False)
    await click(scene, task, "Again", scene.bob)
    (new,) = await of(scene, scene.bob)
    assert (new.prompt, new.camera, new.enhance) == ("a whale", "Pan left", False)
    assert (new.mode, new.format) == (task.mode, task.format)
    assert await scene.spent_and_held() == (329_400, 0)
    progress = scene.shown()[-1]
    assert "> a whale [Pan left]" in says(progress)
    assert [part["label"] for part in walk_components(progress.components) if "label" in part] == ["Cancel"]


async def test_the_clip_made_again_is_posted_with_the_same_buttons(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    await click(scene, task, "Again")
    await scene.step(4)
    new = (await scene.tasks())[-1]
    assert (new.id != task.id, new.state) == (True, TaskState.DELIVERED)
    assert set(ORDERING) <= {item.label for row in message(scene, new).components for item in row.children}


@pytest.mark.parametrize(("mode", "pictures"), [("image", FIRST), ("transition", BOTH)])
async def test_again_takes_the_pictures_of_the_first_time(
    scene: Scene, real_clip: bytes, mode: str, pictures: dict[str, Any]
) -> None:
    task = await posted(scene, real_clip, mode, **pictures)
    await click(scene, task, "Again", scene.bob)
    (new,) = await of(scene, scene.bob)
    for old, made in ((task.first_frame, new.first_frame), (task.last_frame, new.last_frame)):
        if old is None:
            assert made is None
            continue
        assert made is not None
        assert made.path != old.path
        assert apart(Image.open(old.path), Image.open(made.path)) < JPEG
    assert len(scene.shown()[-1].attachments) == len(pictures)


async def test_pictures_that_are_gone_are_told_and_nothing_is_ordered(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip, "image", **FIRST)
    await scene.pass_time(31 * 86_400)
    await scene.app.files.kept.sweep(scene.now())
    assert scene.files() == []
    for label in ("Again", "Edit"):
        words = told(await click(scene, task, label, scene.bob))
        assert "The picture of this clip can no longer be had. Attach it to `/video image`" in words
    assert not await of(scene, scene.bob)


async def test_a_second_click_at_once_orders_nothing(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    stored = scene.env.backend.messages[task.message_channel_id][task.message_id]
    payload = dict(message_payload(scene.env.backend, stored))
    data = {"custom_id": f"conch:clip:again:{task.id}", "component_type": 2}
    real = scene.env.settle

    async def not_yet() -> None: ...

    scene.env.settle = not_yet
    first = await scene.emit(COMPONENT, data, member=scene.bob, message=payload)
    scene.env.settle = real
    second = await scene.emit(COMPONENT, data, member=scene.bob, message=payload)
    assert first.response is not None
    assert "this one ordered nothing" in told(second)
    assert len(await of(scene, scene.bob)) == 1


async def test_two_clicks_one_after_the_other_are_two_orders(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    await click(scene, task, "Again", scene.bob)
    await click(scene, task, "Again", scene.bob)
    assert len(await of(scene, scene.bob)) == 2


async def test_a_price_that_rose_is_told_instead_of_spent(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    await scene.app.database.write(
        lambda tx: tx.run("UPDATE tasks SET price_micros = 300000, list_micros = 300000")
    )
    words = told(await click(scene, task, "Again", scene.bob))
    assert "costs $0.3294 now; when the clip was made it was $0.30. **Edit** shows today's prices" in words
    assert not await of(scene, scene.bob)


async def test_a_format_no_longer_offered_is_refused_with_those_that_are(
    scene: Scene, real_clip: bytes
) -> None:
    task = await posted(scene, real_clip)
    await scene.app.database.write(lambda tx: tx.run("UPDATE tasks SET duration = 9"))
    words = told(await click(scene, task, "Again", scene.bob))
    assert "There is no format `hailuo-2.3/9/768p` for text clips here. Choose one of:" in words
    assert not await of(scene, scene.bob)


# ---------------------------------------------------------------------- the rules


@pytest.mark.parametrize("rule", ["access deny", "pause", "limits"])
async def test_what_refuses_a_command_refuses_again(scene: Scene, real_clip: bytes, rule: str) -> None:
    task = await posted(scene, real_clip)
    before = len(scene.shown())
    match rule:
        case "access deny":
            await scene.admin("access deny", member=scene.bob)
        case "pause":
            await scene.admin("pause", reason="we look into spam")
        case _:
            await limited(scene, "0.10", "day", scene.bob)
    result = await click(scene, task, "Again", scene.bob)
    assert {"access deny": "blocked", "pause": "we look into spam", "limits": "$0.10"}[rule] in told(result)
    assert not await of(scene, scene.bob)
    assert len(scene.shown()) == before


@pytest.mark.parametrize("label", ORDERING)
async def test_a_button_works_after_a_restart(scene: Scene, real_clip: bytes, label: str) -> None:
    task = await posted(scene, real_clip)
    await scene.restart()
    result = await click(scene, task, label, scene.bob)
    if label != "Again":
        await fill_in(scene, result, scene.bob, prompt="it dives")
    assert len(await of(scene, scene.bob)) == 1


@pytest.mark.parametrize("name", ["again", "edit", "continue"])
@pytest.mark.parametrize("forged", ["task9999", "task0001", "'; DROP TABLE tasks", "TASK0002"])
async def test_a_made_up_id_orders_nothing(scene: Scene, real_clip: bytes, name: str, forged: str) -> None:
    await posted(scene, real_clip)
    task = await posted(scene, real_clip)
    result = await forge(scene, task, f"conch:clip:{name}:{forged}", scene.bob)
    if result.acknowledged:
        assert "no such clip" in told(result) or "does not carry that clip" in told(result)
    assert not await of(scene, scene.bob)
    assert result.modal is None


@pytest.mark.parametrize("name", ["again", "edit", "continue"])
async def test_another_servers_clip_is_not_to_be_had(scene: Scene, real_clip: bytes, name: str) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    there = await scene.elsewhere()
    await there.eve.slash(there.channel, "video text", prompt="a secret")
    await scene.step(4)
    (secret,) = await of(scene, there.eve, there.guild)
    assert secret.state is TaskState.DELIVERED
    task = await posted(scene, real_clip)
    result = await forge(scene, task, f"conch:clip:{name}:{secret.id}", scene.bob)
    assert told(result) == "There is no such clip in this server."
    assert not await of(scene, scene.bob)


@pytest.mark.parametrize("label", ORDERING)
async def test_in_a_direct_message_they_say_that_a_server_is_needed(
    scene: Scene, real_clip: bytes, label: str
) -> None:
    path = f"/channels/{scene.channel.id}/messages"
    scene.env.inject_error("POST", path, status=403, code=50001, times=None)
    await posted(scene, real_clip)
    dm = scene.alice.user.dm_channel
    result = await scene.alice.user.click(dm.history()[-1], label=label)
    assert "That needs a server" in told(result)
    assert len(await scene.tasks()) == 1


async def test_a_clip_that_was_posted_but_not_yet_recorded_says_so(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    await scene.app.database.write(
        lambda tx: tx.run("UPDATE tasks SET state = 'succeeded', message_id = NULL")
    )
    assert "Click again in some seconds" in told(await click(scene, task, "Again", scene.bob))


# -------------------------------------------------------------------------- edit


async def test_edit_is_filled_in_and_orders_what_was_changed(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip, camera="Pan left", format="hailuo-02/5/768p")
    form = await click(scene, task, "Edit", scene.bob)
    labels = {label["label"]: label["component"] for label in form.modal["components"]}
    assert labels["Prompt"]["value"] == "a whale"
    await fill_in(
        scene, form, scene.bob, prompt="two whales", format=["hailuo-2.3/10/768p"], camera=None, enhance=False
    )
    (new,) = await of(scene, scene.bob)
    assert (new.prompt, new.camera, new.enhance, new.format.id) == (
        "two whales",
        None,
        False,
        "hailuo-2.3/10/768p",
    )


async def test_edit_sent_as_it_is_is_the_same_clip(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip, "image", camera="Pan left", enhance=False, **FIRST)
    await fill_in(scene, await click(scene, task, "Edit", scene.bob), scene.bob)
    (new,) = await of(scene, scene.bob)
    assert (new.prompt, new.camera, new.enhance, new.format) == ("a whale", "Pan left", False, task.format)
    assert new.first_frame is not None


async def test_edit_offers_the_formats_of_the_mode_with_their_prices(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip, "image", **FIRST)
    shown = options_of(await click(scene, task, "Edit"), "format")
    assert shown[0] == "Hailuo 2.3 · 6 s · 768p · $0.3294"
    menu = scene.app.board._catalog.menu(task.mode, ["mindvideo"])
    assert sorted(shown) == sorted(scene.app.board._catalog.label(offer) for offer in menu)


async def test_a_form_sent_twice_at_once_orders_once(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    form = await click(scene, task, "Edit", scene.bob)
    backend, emit, twins = scene.env.backend, scene.env.backend.emit, []

    def twice(name: str, payload: Any, **more: Any) -> Any:
        if name == "INTERACTION_CREATE":
            place = {"channel_id": scene.channel.id, "guild_id": scene.guild.id, "user_id": scene.bob.id}
            record, twin = base_payload(backend, type=MODAL, data=payload["data"], **place)
            twins.append(simcord.InteractionResult(scene.env, record))
            emit(name, twin)
        return emit(name, payload, **more)

    backend.emit = twice
    second = await fill_in(scene, form, scene.bob)
    assert "This form was sent already." in told(second)
    assert twins[0].response is not None
    assert len(await of(scene, scene.bob)) == 1


@pytest.mark.parametrize("label", ["Edit", "Continue"])
async def test_a_form_from_before_a_restart_is_answered_and_its_words_come_back(
    scene: Scene, real_clip: bytes, label: str
) -> None:
    task = await posted(scene, real_clip)
    form = await click(scene, task, label, scene.bob)
    await scene.restart()
    result = await fill_in(scene, form, scene.bob, prompt="a **whale** sings")
    assert "This form is over: it can be sent once, within 15 minutes, and not after a restart" in told(
        result
    )
    (embed,) = result.response.embeds
    assert embed.description == r"a \*\*whale\*\* sings"
    assert not await of(scene, scene.bob)
    await fill_in(scene, await click(scene, task, label, scene.bob), scene.bob, prompt="a whale sings")
    assert len(await of(scene, scene.bob)) == 1


async def test_a_form_that_stood_open_for_too_long_is_answered(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    form = await click(scene, task, "Edit", scene.bob)
    await scene.pass_time(901)
    assert "This form is over" in told(await fill_in(scene, form, scene.bob))
    assert not await of(scene, scene.bob)


async def test_a_form_that_is_sent_again_orders_no_more(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    form = await click(scene, task, "Edit", scene.bob)
    assert not (await fill_in(scene, form, scene.bob)).followups
    form._interaction.modal_consumed = False  # simcord's own members send a form once
    assert "This form is over" in told(await fill_in(scene, form, scene.bob))
    assert len(await of(scene, scene.bob)) == 1


async def test_an_empty_prompt_in_the_form_is_refused(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    result = await fill_in(scene, await click(scene, task, "Edit", scene.bob), scene.bob, prompt=" \u200b ")
    assert "The prompt is empty" in told(result)
    assert not await of(scene, scene.bob)


# ---------------------------------------------------------------------- continue


async def continued(scene: Scene, task: Task, member: Any = None, prompt: str = "it dives") -> Any:
    return await fill_in(scene, await click(scene, task, "Continue", member), member, prompt=prompt)


async def test_the_last_frame_is_the_first_of_what_comes_after(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    end = scene.settings.data_dir / "ends" / f"{task.id}.png"
    assert apart(Image.open(end), last_frame(real_clip)) == 0
    await continued(scene, task, scene.bob)
    (new,) = await of(scene, scene.bob)
    assert (new.parent_id, new.mode, new.prompt, new.last_frame) == (task.id, "image", "it dives", None)
    assert new.first_frame is not None
    assert [file["filename"] for file in scene.shown()[-1].attachments] == ["first-frame.jpg"]
    assert apart(Image.open(new.first_frame.path), last_frame(real_clip)) < JPEG


async def test_one_child_process_looks_into_a_clip_and_takes_its_last_frame(
    scene: Scene, real_clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, run = [], child.run

    async def noted(job: str, *arguments: Any, **more: Any) -> dict[str, Any]:
        jobs.append(job)
        return await run(job, *arguments, **more)

    monkeypatch.setattr(child, "run", noted)
    task = await posted(scene, real_clip)
    assert (scene.settings.data_dir / "ends" / f"{task.id}.png").exists()
    assert jobs == ["clip"]


async def test_a_last_frame_that_is_gone_comes_from_the_posted_file(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    (scene.settings.data_dir / "ends" / f"{task.id}.png").unlink()
    await continued(scene, task, scene.bob)
    (new,) = await of(scene, scene.bob)
    assert new.first_frame is not None
    assert apart(Image.open(new.first_frame.path), last_frame(real_clip)) < JPEG
    assert not [name for name in scene.files() if name.endswith(".mp4")]


async def test_a_clip_that_is_gone_with_its_frame_is_told(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    (scene.settings.data_dir / "ends" / f"{task.id}.png").unlink()
    scene.env.backend.cdn._blobs.clear()
    words = told(await continued(scene, task, scene.bob))
    assert "could not be had" in words
    assert "attach it to `/video image`" in words
    assert not await of(scene, scene.bob)


async def test_a_clip_made_again_goes_on_from_the_same_clip(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    await continued(scene, task)
    await scene.step(4)
    second = (await scene.tasks())[-1]
    await click(scene, second, "Again")
    assert (await scene.tasks())[-1].parent_id == task.id


# ------------------------------------------------------------------ what is kept


async def test_nothing_is_kept_where_the_operator_wants_that(open_bot: Open, real_clip: bytes) -> None:
    async with open_bot(keep_days=0) as scene:
        await posted(scene, real_clip, "image", **FIRST)
        assert scene.files() == []


async def test_what_is_kept_outlives_a_start_for_its_days(scene: Scene, real_clip: bytes) -> None:
    await posted(scene, real_clip, "transition", **BOTH)
    kept = scene.files()
    assert [Path(name).parent.name for name in kept] == ["ends", "frames", "frames"]
    await scene.pass_time(29 * 86_400)
    await scene.app.engine.recover()
    assert scene.files() == kept
    await scene.pass_time(86_400)
    await scene.app.files.kept.sweep(scene.now())
    assert scene.files() == []


async def test_cancelling_the_rest_of_a_command_keeps_the_pictures_of_its_clip(
    scene: Scene, real_clip: bytes
) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    await scene.video("image", count=2, format="hailuo-02/5/768p", **FIRST)
    _, waiting = await scene.tasks()
    await scene.app.database.write(
        lambda tx: tx.run("UPDATE tasks SET due_at = NULL WHERE id = :id", id=waiting.id)
    )
    await scene.step(6)
    assert [task.state for task in await scene.tasks()] == [TaskState.DELIVERED, TaskState.HELD]
    await scene.alice.slash(scene.channel, "tasks cancel", task=waiting.id)
    assert [name.split("/")[0] for name in scene.files()] == ["ends", "frames"]


async def test_a_picture_of_a_command_being_placed_is_not_swept(scene: Scene) -> None:
    folder = scene.settings.data_dir / "frames"
    folder.mkdir(parents=True)
    (folder / "4711-first.jpg").write_bytes(b"x")
    await scene.app.files.kept.sweep(scene.now())
    assert scene.files() == ["frames/4711-first.jpg"]


async def test_the_oldest_goes_where_all_is_too_much(
    scene: Scene, real_clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        await posted(scene, real_clip)
    old, new = (scene.settings.data_dir / "ends" / f"{task.id}.png" for task in await scene.tasks())
    os.utime(old, (1, 1))
    monkeypatch.setattr(kept, "MOST", new.stat().st_size)
    await scene.app.files.kept.sweep(scene.now())
    assert (old.exists(), new.exists()) == (False, True)
