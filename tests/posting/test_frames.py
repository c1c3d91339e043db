"""A command's pictures are shown where Discord takes them, and keep no message back where it does not."""

import io
import random
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from simcord.backend.errors import BackendError
from simcord.http import router

from bot.posting.board import EDIT_SECONDS
from bot.posting.frames import not_shown
from tests.cogs.moderators import asking, labels, said, tell
from tests.cogs.pictures import picture
from tests.cogs.scene import Scene, drawn, says

#: Bytes of a file in a server without boosts.
LEAST = 10_485_760
Strict = Callable[[int], None]


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> Strict:
    """Makes Discord refuse files above so many bytes, as the real one does."""
    arrived = router.RequestContext

    def refuse(most: int) -> None:
        def measured(*request: Any, **more: Any) -> Any:
            for file in more["files"]:
                size = file.fp.seek(0, io.SEEK_END)
                file.fp.seek(0)
                if size > most:
                    raise BackendError(413, 40005, "Request entity too large")
            return arrived(*request, **more)

        monkeypatch.setattr(router, "RequestContext", measured)

    return refuse


def worst() -> bytes:
    """A picture of 3 MB that would be a JPEG of 16 MB."""
    side = 2560
    noise = Image.frombytes("RGB", (side, side), random.Random(7).randbytes(3 * side * side))
    buffer = io.BytesIO()
    noise.point(lambda value: value // 128 * 255).save(buffer, "PNG")
    return buffer.getvalue()


async def test_the_worst_picture_is_shown_to_the_member_and_to_moderators(
    scene: Scene, strict: Strict
) -> None:
    strict(LEAST)
    channel = await asking(scene)
    await scene.video("image", first_frame=("noise.png", worst()))
    await tell(scene)
    for shown in (scene.shown()[0], scene.shown(channel)[0]):
        assert [file["filename"] for file in shown.attachments] == ["first-frame.jpg"]
        assert not_shown() not in says(shown)


async def test_a_progress_message_goes_without_pictures_that_are_too_large(
    scene: Scene, strict: Strict
) -> None:
    strict(100)
    await scene.video("image", first_frame=("f.png", picture()))
    (message,) = scene.shown()
    assert message.attachments == []
    assert says(message).splitlines()[2:] == [
        "⏳ Waiting, next in line. $0.3294 is held; cancelling is free. `task0002`",
        not_shown(),
    ]
    task = await scene.task()
    assert (task.progress_message_id, task.first_frame and task.first_frame.url) == (message.id, None)
    await scene.pass_time(EDIT_SECONDS)
    await scene.admin("pause", reason="spam")
    await scene.redraw()
    assert "Paused by an admin" in drawn(scene)
    assert drawn(scene).endswith(not_shown())


async def test_a_message_by_the_bots_own_token_goes_without_them_too(scene: Scene, strict: Strict) -> None:
    await scene.video("image", first_frame=("f.png", picture()))
    scene.env.backend.delete_message(scene.channel.id, scene.shown()[0].id)
    strict(100)
    await scene.app.board.announce(await scene.tasks())
    (message,) = scene.shown()
    assert message.attachments == []
    assert says(message).endswith(f"`task0002`\n{not_shown()}")


async def test_moderators_are_asked_without_pictures_that_are_too_large(scene: Scene, strict: Strict) -> None:
    channel = await asking(scene)
    strict(2500)
    prompt = "*" * 2000
    await scene.video("image", prompt=prompt, first_frame=("f.png", picture(size=(1200, 1200))))
    await tell(scene)
    (asked,) = said(scene, channel)
    assert asked.endswith(not_shown())
    assert labels(scene, channel) == ["Approve", "Decline"]
    assert [file["filename"] for file in scene.shown(channel)[0].attachments] == ["prompt.txt"]
