"""The Cancel button: it works for ever, for its owner alone, and never promises what cannot be had."""

from gettext import NullTranslations
from typing import Any

import pytest
from simcord.components import walk_components

from bot.domain import language
from bot.domain.task import TaskState
from bot.posting.board import EDIT_SECONDS
from cogs.acknowledge import sorry
from cogs.clips import clip_button
from storage.database import Database
from tests.cogs.scene import Scene, drawn, told

COMPONENT = 3


class Loud(NullTranslations):
    """A language of capitals."""

    def gettext(self, message: str) -> str:
        return message.upper()


async def click(scene: Scene, member: Any = None, number: int = 0) -> str:
    """Press a Cancel button on the newest progress message; what the member alone was told."""
    message = next(one for one in reversed(scene.shown()) if one.interaction_metadata)
    task_id = (await scene.tasks())[number].id
    result = await press(scene, f"conch:cancel:{task_id}", member, message)
    return told(result)


async def press(scene: Scene, custom_id: str, member: Any = None, message: Any = None) -> Any:
    from simcord.backend.serializers import message_payload  # noqa: PLC0415 - only here, and untyped

    message = message or scene.shown()[0]
    payload = dict(message_payload(scene.env.backend, message))
    data = {"custom_id": custom_id, "component_type": 2}
    return await scene.emit(COMPONENT, data, member=member, message=payload)


async def test_the_owner_cancels_a_waiting_clip_and_pays_nothing(scene: Scene) -> None:
    await scene.video()
    assert await click(scene) == "Cancelled; nothing was spent. `task0001`"
    assert (await scene.task()).state is TaskState.CANCELLED
    assert await scene.spent_and_held() == (0, 0)


async def test_after_it_the_progress_message_is_one_line_without_a_button(scene: Scene) -> None:
    await scene.video()
    await click(scene)
    await scene.pass_time(EDIT_SECONDS)
    await scene.redraw()
    assert drawn(scene) == "🚫 Cancelled by the member. $0.3294 was given back. `task0001`"
    assert [part["type"] for part in walk_components(scene.shown()[0].components)] == [10]


async def test_another_member_cannot_cancel(scene: Scene) -> None:
    await scene.video()
    assert "There is no such task of yours here." in await click(scene, scene.bob)
    assert (await scene.task()).state is TaskState.HELD


@pytest.mark.parametrize("same_client", [True, False])
async def test_the_button_works_after_a_restart(scene: Scene, *, same_client: bool) -> None:
    await scene.video()
    await (scene.env.restart_bot() if same_client else scene.restart())
    assert "Cancelled" in await click(scene)
    assert (await scene.task()).state is TaskState.CANCELLED


async def test_pressed_twice_it_says_that_the_clip_has_ended(scene: Scene) -> None:
    await scene.video()
    await click(scene)
    assert "has already ended (cancelled); nothing is held for it any more." in await click(scene)
    assert await scene.spent_and_held() == (0, 0)


async def test_once_submitted_it_says_that_it_cannot_be_stopped_and_is_billed(scene: Scene) -> None:
    await scene.accepted()
    words = await click(scene)
    assert "cannot stop it and bills for it. The clip will be posted when it is ready." in words
    assert await scene.spent_and_held() == (0, 329_400)


async def test_a_finished_clip_says_that_it_is_paid(scene: Scene) -> None:
    await scene.succeeded()
    assert "is already finished and paid." in await click(scene)


async def test_each_button_cancels_its_own_clip(scene: Scene) -> None:
    await scene.video(count=3, format="hailuo-02/5/768p")
    await click(scene, number=1)
    assert [task.state for task in await scene.tasks()] == ["held", "cancelled", "held"]


@pytest.mark.parametrize("custom_id", ["conch:cancel:zzzz9999", "conch:cancel:'; DROP TABLE tasks", "x"])
async def test_a_made_up_button_does_nothing(scene: Scene, custom_id: str) -> None:
    await scene.video()
    result = await press(scene, custom_id)
    assert not result.acknowledged
    assert (await scene.task()).state is TaskState.HELD


async def test_an_unexpected_error_behind_a_button_is_told_as_such(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.video()

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(Database, "read_one", broken)
    assert await click(scene) == sorry()


async def test_a_click_that_came_too_late_cancels_nothing(scene: Scene) -> None:
    await scene.video()
    scene.env.inject_error("POST", "/interactions/*/callback", status=404, code=10062)
    await press(scene, "conch:cancel:task0001")
    assert (await scene.task()).state is TaskState.HELD


def test_a_button_is_labelled_for_whoever_it_is_drawn_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def press(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setitem(language._catalogues, "de", language._Catalogue(Loud(), ()))
    button = clip_button("again", lambda: language.short("Again"), press)
    with language.reading("de"):
        assert button("task0001").item.label == "AGAIN"
    assert button("task0001").item.label == "Again"
