"""A disk that fails at any transaction behind a command: clear words, nothing half done, and on by itself."""

import itertools

import pytest

from bot.domain.task import TaskState
from bot.media import clips
from cogs.acknowledge import no_storage
from tests.cogs.clips import FIRST, delivered, posted
from tests.cogs.fixtures import Open
from tests.cogs.scene import Scene, told
from tests.disk import FAULTS, Disk, Fault, ReadOnly
from tests.media.glance import glance


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


async def in_a_folder_read_only_at(scene: Scene, number: int) -> bool:
    """A command of which that change of a file is refused, and the next one; whether there was one of that number.

    Either the member is told and nothing is held, or the clip comes.
    """
    before = await scene.tasks()
    with ReadOnly(scene.settings.data_dir, lambda change: change in {number, number + 1}) as folder:
        result = await scene.video("image", prompt=f"fails at {number}", **FIRST)
        tasks = await scene.tasks()
        if len(tasks) == len(before):
            assert told(result) == no_storage(), number
            assert folder.met
        else:
            await delivered(scene)
    return bool(folder.met)


async def test_a_folder_that_is_read_only_for_a_while_costs_only_time(
    open_bot: Open, real_clip: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(clips, "probe", glance)
    async with open_bot(user_daily_limit=100_000_000) as scene:
        scene.standin.clip, scene.standin.auto = real_clip, True
        for number in itertools.count(1, 2):
            if not await in_a_folder_read_only_at(scene, number):
                break
        assert number > 15
        tasks = await scene.tasks()
        assert {task.state for task in tasks} == {TaskState.DELIVERED}
        assert len(scene.standin.jobs) == len(tasks) >= 7
        assert (await scene.spent_and_held())[1] == 0
        # The operator reads what to do, and nothing of a bug.
        assert "Read-only file system. Make room in" in caplog.text
        assert not [record for record in caplog.records if record.exc_info]
        await scene.restart()
        await scene.app.engine.recover()
        known = {f"ends/{task.id}.png" for task in tasks}
        known |= {f"frames/{task.interaction_id}-first.jpg" for task in tasks}
        assert set(scene.files()) <= known


async def test_what_cannot_be_erased_for_the_disk_is_erased_later(scene: Scene, real_clip: bytes) -> None:
    await posted(scene, real_clip, "image", **FIRST)
    assert len(scene.files()) == 2
    offered = await scene.alice.slash(scene.channel, "privacy erase")
    with ReadOnly(scene.settings.data_dir):
        result = await scene.alice.click(offered.response, label="Erase my data")
    assert told(result) == no_storage()
    assert (await scene.task()).prompt == "a whale"
    await scene.pass_time(3600)
    await scene.app.retention.step()
    assert scene.files() == []
    assert (await scene.task()).erased
