"""An update of the bot in the middle of its work: whatever an old file left open comes to its end, paid once."""

from pathlib import Path

import pytest

from bot import reporting
from bot.domain.audit import Deed
from bot.domain.ports import Posted
from bot.domain.task import FINAL, TaskState
from bot.settings import Settings
from storage.approvals import ApprovalStore
from tests.fakes import ScriptedJob
from tests.services.world import World
from tests.storage.drafts import NOON
from tests.storage.old_files import ASKED, EARLIER, FRAME, QUESTION, STATES, made

OPEN = [state.value for state in STATES if state not in FINAL]


def known_outside(world: World) -> None:
    """What the provider and Discord have of the old bot's work."""
    for state in (TaskState.QUEUED, TaskState.PROCESSING, TaskState.PARKED, TaskState.SUCCEEDED):
        key = f"conch-{state.value}"
        world.keyed.jobs[f"job of {state.value}"] = ScriptedJob(
            f"job of {state.value}",
            key,
            TaskState.SUCCEEDED if state is TaskState.SUCCEEDED else TaskState.QUEUED,
        )
        world.keyed.charges[key] += 1
    world.announcer.clips["delivered"] = [Posted(60, 9, ())]


def with_pictures(folder: Path) -> None:
    picture = folder / FRAME
    picture.parent.mkdir()
    picture.write_bytes(b"\xff\xd8 pixels")


async def approved(world: World) -> None:
    store = ApprovalStore(world.database)
    if (question := await store.get(QUESTION)) is not None:
        deed = Deed(50, 71, "approvals approve", ASKED)
        await store.approve(question, world.clock(), by=71, note="approved", deed=lambda _: deed)


@pytest.mark.usefixtures("quick_probe")
@pytest.mark.parametrize("schema", EARLIER)
async def test_what_an_old_bot_left_open_comes_to_its_end(
    schema: str, tmp_path: Path, clip_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = made(tmp_path / "old", schema)
    monkeypatch.chdir(tmp_path)
    with_pictures(tmp_path)
    world = World(tmp_path, old, clip_bytes)
    world.clock.now = NOON + 1000
    known_outside(world)
    await world.open()
    await approved(world)
    wanted = [*OPEN, *([ASKED] if schema >= "0002" else [])]
    for _ in range(20):
        await world.turn(60)
        world.keyed.finish_all()
    states = dict(world.rows("SELECT id, state FROM tasks"))
    assert {name: states[name] for name in wanted} == dict.fromkeys(wanted, "delivered")
    assert world.keyed.charges == {f"conch-{name}": 1 for name in wanted}
    assert {name: len(world.announcer.clips[name]) for name in wanted} == dict.fromkeys(wanted, 1)
    assert [*world.keyed.violations, *world.announcer.violations] == []
    said: list[str] = []
    assert await reporting.check(Settings(database=world.path, data_dir=tmp_path), said.append), said
    await world.crash()
