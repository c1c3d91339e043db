"""Every kind of interaction that Discord delivers twice is done once, and answered once."""

from typing import Any

import pytest

from bot.client import _Once
from tests.cogs.clips import FIRST, click, fill_in, posted
from tests.cogs.scene import Scene
from tests.cogs.test_animate import animated

COMMAND, COMPONENT, MODAL = 2, 3, 5
CHAT, MENU = 1, 3


async def used(scene: Scene, clip: bytes) -> None:
    """Commands, a menu, forms and buttons, of members and admins, with and without money."""
    task = await posted(scene, clip, "image", **FIRST)
    await click(scene, task, "Again")
    await fill_in(scene, await click(scene, task, "Edit"), prompt="another")
    await animated(scene)
    await scene.alice.slash(scene.channel, "tasks cancel", task=(await scene.tasks())[-1].id)
    await scene.alice.slash(scene.channel, "tasks list")
    await scene.admin("tasks refund", task=task.id, reason="sorry")
    await scene.admin("access deny", word="shark")
    await scene.admin("pause", reason="a while")
    await scene.admin("resume")
    await click(scene, task, "Delete")


def events(scene: Scene) -> list[dict[str, Any]]:
    return [payload for _, name, payload in scene.env.backend.transcript if name == "INTERACTION_CREATE"]


def kind(event: dict[str, Any]) -> tuple[int, Any]:
    return event["type"], event["data"].get("type") if event["type"] == COMMAND else None


async def state(scene: Scene) -> list[Any]:
    tables = ("tasks", "ledger", "task_events", "audit", "access_rules", "servers", "drafts", "marks")
    return [tuple(row) for table in tables for row in await scene.app.database.read(f"SELECT * FROM {table}")]


async def test_what_comes_again_is_not_even_looked_at(scene: Scene, real_clip: bytes) -> None:
    await used(scene, real_clip)
    came = events(scene)
    assert {kind(event) for event in came} >= {
        (COMMAND, CHAT),
        (COMMAND, MENU),
        (COMPONENT, None),
        (MODAL, None),
    }
    before, asked = await state(scene), len(scene.env.http_requests)
    for event in came:
        scene.env.backend.emit("INTERACTION_CREATE", event)
    await scene.env.settle()
    assert await state(scene) == before
    assert len(scene.env.http_requests) == asked


async def test_what_comes_twice_at_once_is_done_once(
    scene: Scene, real_clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    emit = scene.env.backend.emit

    def twice(name: str, payload: Any, **more: Any) -> None:
        for _ in range(2 if name == "INTERACTION_CREATE" else 1):
            emit(name, payload, **more)

    monkeypatch.setattr(scene.env.backend, "emit", twice)
    await used(scene, real_clip)
    assert len(await scene.tasks()) == 4
    refunds = await scene.app.database.read("SELECT 1 FROM ledger WHERE kind = 'refund'")
    assert len(refunds) == 1
    callbacks = [one.path for one in scene.sent("POST", "/callback")]
    assert len(callbacks) == len(set(callbacks))


def test_the_oldest_of_ten_thousand_are_forgotten() -> None:
    handled: list[int] = []
    once = _Once(lambda event: handled.append(event["id"]))
    for number in [*range(10_001), 10_000, 1, 0]:
        once({"id": number})
    assert handled == [*range(10_001), 0]
