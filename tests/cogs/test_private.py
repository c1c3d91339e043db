"""Private clips: nothing of them is ever seen in the channel, and they come by direct message, once."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.domain.task import TaskState
from bot.posting import texts
from bot.posting.board import EDIT_SECONDS
from cogs.animate import NAME
from tests.cogs import moderators
from tests.cogs.fixtures import Open
from tests.cogs.pictures import picture
from tests.cogs.scene import Scene, says, told

SECRET = "a whale in a top hat"
FIRST: dict[str, Any] = {"first_frame": ("first.png", picture())}


async def asked(scene: Scene, mode: str = "text", **options: Any) -> Any:
    return await scene.video(mode, **{"prompt": SECRET, "private": True, **options})


def unseen(scene: Scene) -> bool:
    """No message that others see was ever made in a channel of the server, not even one that is gone by now."""
    made = scene.env.backend.made
    assert made
    return all(one.is_ephemeral for one in made if one.channel_id == scene.channel.id)


@pytest.fixture
async def scene(open_bot: Open) -> AsyncIterator[Scene]:
    """A bot of which every message is remembered."""
    async with open_bot() as scene:
        backend = scene.env.backend
        backend.made, real = [], backend.commit_message

        def commit(*arguments: Any, **values: Any) -> Any:
            backend.made.append(real(*arguments, **values))
            return backend.made[-1]

        backend.commit_message = commit
        yield scene


def direct(scene: Scene) -> list[Any]:
    """What Alice has in her direct messages, oldest first."""
    return scene.shown(scene.alice.user.dm_channel) if scene.alice.user.dm_channel else []


def close_direct_messages(scene: Scene) -> None:
    scene.env.inject_error("POST", "/channels/*/messages", status=403, code=50007, times=None)


def ready(scene: Scene, clip: bytes) -> None:
    scene.standin.clip, scene.standin.auto = clip, True


# ----------------------------------------------------------------------- the way


async def test_progress_is_the_members_alone_and_the_clip_comes_by_direct_message(
    scene: Scene, real_clip: bytes
) -> None:
    ready(scene, real_clip)
    answer = await asked(scene)
    assert answer.response.ephemeral
    assert SECRET in says(answer.response)
    assert "cancelling is free" in says(answer.response)
    assert texts.alone() in says(answer.response)
    await scene.step(4)
    await scene.redraw()
    (clip,) = direct(scene)
    assert clip.content.startswith(f"<@{scene.alice.id}> your clip is ready.")
    assert scene.env.backend.cdn.get(clip.attachments[0]["url"]) == real_clip
    link = f"https://discord.com/channels/@me/{scene.alice.user.dm_channel.id}/{clip.id}"
    assert says(answer.response) == f"✅ Ready: {link} `{(await scene.task()).id}`"
    assert unseen(scene)


async def test_its_frames_go_to_the_provider_from_the_private_answer(scene: Scene) -> None:
    await asked(scene, "image", **FIRST)
    await scene.step()
    task = await scene.task()
    assert task.state in {TaskState.QUEUED, TaskState.PROCESSING}
    assert task.first_frame is not None
    assert scene.env.backend.cdn.get(task.first_frame.url or "")[:3] == b"\xff\xd8\xff"
    assert unseen(scene)


async def test_a_command_that_is_not_private_is_not(scene: Scene) -> None:
    await scene.video(prompt=SECRET)
    assert SECRET in says(scene.shown()[0])
    assert not (await scene.task()).private


async def test_a_refusal_is_told_in_the_private_answer(scene: Scene) -> None:
    answer = await scene.raw("video text", prompt=(3, " "), private=(5, True))
    assert "only invisible characters" in told(answer)
    assert unseen(scene)


async def test_the_cancel_button_works_in_the_private_answer(scene: Scene) -> None:
    answer = await asked(scene)
    assert "Cancelled; nothing was spent." in told(await scene.alice.click(answer.response, label="Cancel"))
    assert (await scene.task()).state is TaskState.CANCELLED


async def test_animate_image_can_be_private(scene: Scene) -> None:
    posted = await scene.bob.send(scene.channel, "look", attachments=[FIRST["first_frame"]])
    form = await scene.alice.context_menu(scene.channel, NAME, posted)
    values = {"prompt": SECRET, "format": ["hailuo-02/5/512p"], "private": True}
    answer = await scene.alice.submit_modal(form, values)
    assert SECRET in says(answer.response)
    assert answer.response.ephemeral
    assert [one.id for one in scene.env.backend.made if not one.is_ephemeral] == [posted.id]


async def test_an_offer_of_shapes_stays_private_too(scene: Scene) -> None:
    answer = await asked(scene, "image", first_frame=("wide.png", picture(size=(1600, 400))))
    assert "It can be made to fit" in told(answer)
    clicked = await scene.alice.click(answer.response, label="Crop")
    assert SECRET in says(clicked.response)
    assert (await scene.task()).private
    assert unseen(scene)


# ------------------------------------------------------------ after fifteen minutes


async def test_after_fifteen_minutes_progress_is_told_by_the_list_alone(
    scene: Scene, real_clip: bytes
) -> None:
    answer = await asked(scene)
    before = says(answer.response)
    await scene.pass_time(15 * 60)
    ready(scene, real_clip)
    await scene.step(4)
    scene.env.backend.http_requests.clear()
    await scene.redraw()
    assert scene.env.http_requests == []
    assert says(answer.response) == before
    assert await scene.app.database.read("SELECT 1 FROM tasks WHERE end_shown = 0") == []
    listed = await scene.alice.slash(scene.channel, "tasks list")
    assert "✅ Ready: https://discord.com/channels/@me/" in listed.response.embeds[0].description


async def test_a_token_that_dies_early_leads_to_no_other_message(scene: Scene) -> None:
    await asked(scene)
    scene.env.inject_error("PATCH", "/webhooks/*/messages/@original", status=401, code=50027, times=None)
    await scene.pass_time(EDIT_SECONDS)
    scene.env.backend.http_requests.clear()
    await scene.step()
    await scene.redraw()
    edits = [one.path for one in scene.env.http_requests if one.method == "PATCH"]
    assert all(path.endswith("/@original") for path in edits)
    assert unseen_requests(scene)


def unseen_requests(scene: Scene) -> bool:
    return not [
        one for one in scene.env.http_requests if f"/channels/{scene.channel.id}/messages" in one.path
    ]


async def test_after_a_restart_it_goes_on_unseen(scene: Scene, real_clip: bytes) -> None:
    ready(scene, real_clip)
    await asked(scene, "image", **FIRST)
    await scene.restart()
    await scene.app.engine.recover()
    await scene.redraw()
    await scene.step(4)
    await scene.redraw()
    assert len(direct(scene)) == 1
    assert scene.shown() == []
    assert unseen_requests(scene)


async def test_what_a_crash_left_without_an_answer_is_announced_to_the_member(
    scene: Scene, real_clip: bytes
) -> None:
    ready(scene, real_clip)
    scene.env.inject_error("PATCH", "/webhooks/*/messages/@original", status=503)
    await asked(scene, "image", **FIRST)
    await scene.step(5)
    await scene.redraw()
    progress, clip = direct(scene)
    assert says(progress).startswith("✅ Ready: https://discord.com/channels/@me/")
    assert clip.attachments
    assert scene.shown() == []
    assert unseen_requests(scene)


# ----------------------------------------------------------------------- delivery


async def test_with_direct_messages_closed_the_clip_is_kept_and_handed_over(
    scene: Scene, real_clip: bytes
) -> None:
    ready(scene, real_clip)
    answer = await asked(scene)
    close_direct_messages(scene)
    await scene.step(4)
    await scene.redraw()
    task = await scene.task()
    assert f"`/tasks show task:{task.id}` hands it to you." in says(answer.response)
    assert (direct(scene), scene.shown()) == ([], [])
    assert "direct messages are closed to the bot" in (task.problem or "")
    shown = await scene.alice.slash(scene.channel, "tasks show", task=task.id)
    assert shown.response.ephemeral
    assert scene.env.backend.cdn.get(shown.response.attachments[0].url) == real_clip
    assert (await scene.task()).state is TaskState.DELIVERED
    assert scene.shown() == []


async def test_killed_between_posting_and_recording_it_is_posted_once(scene: Scene) -> None:
    task = await scene.succeeded(private=True)
    task = await scene.app.tasks.posting(task, scene.now())
    first = await scene.deliver(task)
    await scene.pass_time(3600)
    await scene.restart()
    again = await scene.deliver(task, again=True)
    assert again == first
    assert len(direct(scene)) == 1
    assert scene.shown() == []


async def test_the_channel_is_not_even_looked_through(scene: Scene) -> None:
    task = await scene.succeeded(private=True)
    scene.env.backend.http_requests.clear()
    await scene.deliver(task, again=True)
    assert unseen_requests(scene)


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_trouble_at_discord_never_leads_to_the_channel(scene: Scene, status: int) -> None:
    task = await scene.succeeded(private=True)
    scene.env.inject_error("POST", "/users/@me/channels", status=status)
    scene.env.inject_error("GET", "/users/*", status=status)
    await scene.step(6)
    assert (await scene.task()).id == task.id
    assert scene.shown() == []


# ------------------------------------------------------------------ other people


async def test_other_members_find_nothing_of_it(scene: Scene) -> None:
    task = await scene.accepted(prompt=SECRET, private=True)
    assert SECRET not in told(await scene.bob.slash(scene.channel, "tasks list"))
    assert "no such task of yours" in told(await scene.bob.slash(scene.channel, "tasks show", task=task.id))
    assert await scene.bob.autocomplete(scene.channel, "tasks show", "task", "") == []


async def test_admins_see_its_price_and_only_who_looks_it_up_sees_the_prompt(scene: Scene) -> None:
    task = await scene.succeeded(prompt=SECRET, private=True)
    await scene.deliver(task)
    found = await scene.admin("tasks find")
    assert "$0.3294" in found.response.embeds[0].description
    assert SECRET not in found.response.embeds[0].description
    (choice,) = await scene.carol.autocomplete(scene.channel, "admin tasks show", "task", "")
    assert "a private clip" in choice["name"]
    assert SECRET not in choice["name"]
    assert SECRET in told(await scene.admin("tasks show", task=task.id))


async def test_admins_are_not_led_to_a_members_direct_messages(scene: Scene, real_clip: bytes) -> None:
    ready(scene, real_clip)
    await asked(scene)
    await scene.step(4)
    line = (await scene.admin("tasks find")).response.embeds[0].description
    assert "delivered in private" in line
    assert "@me" not in line


async def test_moderators_are_asked_without_prompt_and_picture_and_never_in_the_channel(scene: Scene) -> None:
    channel = await moderators.asking(scene)
    await asked(scene, "image", **FIRST)
    await moderators.tell(scene)
    (question,) = scene.shown(channel)
    task = await scene.task()
    assert "asks for 1 clip, $0.3294 held" in question.content
    assert f"A private clip: `/admin tasks show task:{task.id}` shows its prompt." in question.content
    assert (SECRET in question.content, question.attachments) == (False, [])
    await moderators.click(scene, channel, "Approve")
    await moderators.tell(scene)
    assert SECRET not in says(scene.shown(channel)[0])
    assert scene.shown() == []


async def test_without_an_open_moderators_channel_a_private_question_stays_unasked(scene: Scene) -> None:
    channel = await moderators.asking(scene)
    scene.env.inject_error("*", f"/channels/{channel.id}/messages", status=403, code=50001, times=None)
    answer = await asked(scene)
    await moderators.tell(scene)
    assert "Waits for a moderator's approval" in says(answer.response)
    assert (scene.shown(), scene.shown(channel)) == ([], [])
