"""The whole way of a clip that does not fit: a real bot, real clips, and a Discord that refuses them."""

import io
from typing import Any

import av
import pytest

from bot.domain.task import Task, TaskState
from tests.cogs.fixtures import Open
from tests.cogs.scene import Scene


async def ready(scene: Scene, clip: bytes) -> Task:
    """A paid clip on the disk, to be posted at the next step."""
    task = await scene.succeeded()
    scene.clip(task).write_bytes(clip)
    return task


def refuse(scene: Scene, times: int) -> None:
    path = f"/channels/{scene.channel.id}/messages"
    scene.env.inject_error("POST", path, status=413, code=40005, times=times)


def clip_messages(scene: Scene) -> list[Any]:
    return [message for message in scene.shown() if "your clip is ready" in message.content]


def clip_files(scene: Scene) -> list[str]:
    return [name for name in scene.files() if name.startswith("clips/")]


async def test_a_clip_refused_once_comes_smaller_in_one_message_and_plays(
    scene: Scene, real_clip: bytes
) -> None:
    await ready(scene, real_clip)
    refuse(scene, 1)
    await scene.step()
    (message,) = clip_messages(scene)
    (file,) = message.attachments
    smaller = scene.env.backend.cdn.get(file["url"])
    assert len(smaller) <= len(real_clip) // 2
    with av.open(io.BytesIO(smaller)) as container:
        assert len(list(container.decode(video=0))) == 24
    assert "-# Made smaller to fit. The original at the provider until <t:" in message.content
    assert ((await scene.task()).state, clip_files(scene)) == (TaskState.DELIVERED, [])


async def test_the_next_clip_of_the_server_is_made_smaller_before_it_is_refused(
    scene: Scene, real_clip: bytes
) -> None:
    await ready(scene, real_clip)
    refuse(scene, 1)
    await scene.step()
    posts = len(scene.sent("POST", "/messages"))
    await ready(scene, real_clip)
    await scene.step()
    assert len(scene.sent("POST", "/messages")) == posts + 1
    assert len(clip_messages(scene)) == 2


@pytest.mark.parametrize("public", [None, "https://bot.example"])
async def test_a_clip_that_is_refused_at_any_size_comes_as_a_link(
    open_bot: Open, real_clip: bytes, public: str | None
) -> None:
    async with open_bot(public_url=public) as scene:
        task = await ready(scene, real_clip)
        refuse(scene, 2)
        await scene.step()
        (message,) = clip_messages(scene)
        assert message.attachments == []
        link = (
            f"here until <t:{scene.now() // 1000 + 7 * 86_400 - 20}:f>: https://bot.example/clips/{task.id}/"
        )
        assert (link if public else "from the provider until <t:") in message.content
        assert clip_files(scene) == ([f"clips/{task.id}.mp4"] if public else [])
