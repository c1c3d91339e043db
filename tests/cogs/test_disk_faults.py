"""A disk that fails at any transaction behind a command: clear words, nothing half done, and on by itself."""

import itertools

import pytest

from bot.domain.task import TaskState
from cogs.acknowledge import no_storage
from tests.cogs.clips import delivered
from tests.cogs.fixtures import Open
from tests.cogs.scene import Scene, told
from tests.disk import FAULTS, Disk, Fault


async def says_so(scene: Scene, number: int, fault: Fault) -> bool:
    """A command whose transaction of that number fails; whether there was one of that number."""
    before = len(await scene.tasks())
    disk = Disk(scene.app.database, fault, number)
    result = await scene.video(prompt=f"fails at {number}")
    if number == 1:
        assert told(result) == no_storage()
    assert len(await scene.tasks()) == before + (number > 1)
    return bool(disk.met)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_command_on_a_failing_disk_holds_nothing_or_is_served(
    open_bot: Open, real_clip: bytes, fault: Fault
) -> None:
    async with open_bot() as scene:
        scene.standin.clip, scene.standin.auto = real_clip, True
        for number in itertools.count(1):
            if not await says_so(scene, number, fault):
                break
            if number > 1:
                await delivered(scene)
        await delivered(scene)
        assert number > 2
        assert {task.state for task in await scene.tasks()} == {TaskState.DELIVERED}
        assert len(scene.standin.jobs) == len(await scene.tasks())
        assert (await scene.spent_and_held())[1] == 0


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_cannot_be_cancelled_for_the_disk_stays_held(scene: Scene, fault: Fault) -> None:
    await scene.video()
    (before,) = await scene.tasks()
    Disk(scene.app.database, fault, 1)
    result = await scene.alice.slash(scene.channel, "tasks cancel", task=before.id)
    assert told(result) == no_storage()
    assert await scene.task() == before
    result = await scene.alice.slash(scene.channel, "tasks cancel", task=before.id)
    assert "nothing was spent" in result.response.content
    assert await scene.spent_and_held() == (0, 0)
