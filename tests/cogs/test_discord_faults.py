"""Discord fails at any route the bot uses: no clip is lost or posted twice, and money stays right.

simcord stands where discord.py's own retries are, so each fault here is one that outlasted them.
"""

import asyncio
import re
import socket
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import pytest
from simcord.backend.errors import BackendError
from simcord.http import router

from bot.domain.task import FINAL, TaskState
from tests.cogs.scene import Scene, open_scene
from tests.providers.mindvideo_standin import MindVideoStandIn

Route = tuple[str, str]
Fault = Callable[[], BaseException]

REFUSALS: dict[str, Fault] = {
    "429": lambda: BackendError(429, 0, "You are being rate limited."),
    "500": lambda: BackendError(500, 0, "Internal Server Error"),
    "502": lambda: BackendError(502, 0, "Bad Gateway"),
    "503": lambda: BackendError(503, 0, "Service Unavailable"),
    "reset": ConnectionResetError,
    "no such host": lambda: socket.gaierror("Temporary failure in name resolution"),
}
#: Where a command is lost with it: the member sees that nothing answered, and nothing is held.
ACKNOWLEDGING = ("POST", "/interactions/:id/:token/callback")


def route_of(method: str, path: str) -> Route:
    return method, re.sub(r"simcord_interaction_\d+", ":token", re.sub(r"\b\d{6,}\b", ":id", path))


class Faults:
    """Between the bot and Discord: notes every route, and fails the first `times` uses of those that it is to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.used: dict[Route, int] = {}
        self.before: Fault | None = None
        self.lost: Container[Route] = ()
        self.times = 1
        self._dispatch = router.dispatch
        monkeypatch.setattr(router, "dispatch", self)

    def __call__(self, backend: Any, method: str, path: str, **more: Any) -> Any:
        route = route_of(method, path)
        self.used[route] = self.used.get(route, 0) + 1
        first = self.used[route] <= self.times
        if self.before and first:
            raise self.before()
        answer = self._dispatch(backend, method, path, **more)
        if route in self.lost and first:
            raise ConnectionResetError
        return answer


async def story(scene: Scene, clip: bytes) -> None:
    """Two clips in one message, a private one, one of which the channel is gone, Again, Cancel, Delete."""
    scene.standin.clip, scene.standin.auto = clip, True
    await scene.video(count=2, format="hailuo-02/5/768p")
    await scene.video(private=True, format="hailuo-02/5/768p")
    await settled(scene)
    gone = scene.guild.create_text_channel("gone")
    await scene.alice.slash(gone, "video text", prompt="a door", format="hailuo-02/5/768p")
    del scene.env.backend.channels[gone.id]
    await settled(scene)
    await scene.video(format="hailuo-02/5/768p")
    for task in (await scene.tasks())[-1:]:
        await scene.alice.slash(scene.channel, "tasks cancel", task=task.id)
    await settled(scene)


async def settled(scene: Scene) -> None:
    """All that is under way comes to its end, and every message to its last drawing."""
    for _ in range(60):
        await scene.step()
        await scene.pass_time(60)
        await scene.redraw()
        if all(task.state in FINAL for task in await scene.tasks()):
            return
    raise AssertionError([(task.id, task.state, task.problem) for task in await scene.tasks()])


def carried(scene: Scene) -> list[str]:
    """The clips that stand anywhere, by the names of their files."""
    return sorted(
        file["filename"]
        for stored in scene.env.backend.messages.values()
        for message in stored.values()
        for file in message.attachments
        if file["filename"].startswith("conch-")
    )


async def check(scene: Scene) -> None:
    tasks = await scene.tasks()
    done = [task for task in tasks if task.state is TaskState.DELIVERED]
    assert carried(scene) == sorted(f"conch-{task.id}.mp4" for task in done)
    assert len(scene.standin.jobs) == len(done)
    spent, held = await scene.spent_and_held()
    assert (spent, held) == (sum(scene.standin.charges.values()) * 1_000_000, 0)


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_every_route_may_be_refused_at_first(
    scene: Scene, real_clip: bytes, monkeypatch: pytest.MonkeyPatch, refusal: str
) -> None:
    scene.expects_bugs = True  # what simcord calls one: a command that could not even be answered
    faults = Faults(monkeypatch)
    faults.before, faults.times = REFUSALS[refusal], 2
    await story(scene, real_clip)
    await check(scene)
    assert len(await scene.tasks()) >= 2
    assert faults.used[ACKNOWLEDGING] > 2


async def test_on_every_route_an_answer_may_be_lost(
    tmp_path: Path, template: Path, real_clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Collected from a run without faults, so that a new route is covered by itself."""
    routes = await played(tmp_path / "whole", template, real_clip, monkeypatch, None)
    assert len(routes) >= 7
    for number, route in enumerate(sorted(routes)):
        await played(tmp_path / str(number), template, real_clip, monkeypatch, route)


async def played(
    folder: Path, template: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch, lost: Route | None
) -> set[Route]:
    """The story with two lost answers on one route; the routes that it took."""
    await asyncio.to_thread(folder.mkdir)
    with monkeypatch.context() as patch:
        async with MindVideoStandIn() as standin, open_scene(folder, template, standin, patch) as scene:
            faults = Faults(patch)
            faults.lost, faults.times = {lost} if lost else set(), 2
            scene.expects_bugs = lost == ACKNOWLEDGING
            await story(scene, clip)
            await check(scene)
            assert len(await scene.tasks()) == (3 if lost == ACKNOWLEDGING else 5), lost
            return set(faults.used)
