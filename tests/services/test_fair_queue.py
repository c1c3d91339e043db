"""Who is next: members take turns, the place shown is the true one, and nobody waits for those who may not start."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bot.domain.audit import Deed
from bot.domain.errors import ProviderBusy
from bot.domain.task import Task, TaskState
from bot.services.timetable import Rules
from storage.servers import ServerStore
from tests.services.world import KEYED, SERVER, UNKEYED, World, catalog_with

ELSEWHERE = SERVER + 1
FLOODER, OTHERS = 1, range(2, 12)


@pytest.fixture
def raw(make_world: Callable[[], World], quick_probe: None) -> World:
    return make_world()


async def opened(world: World, *, concurrency: int, members: int = 2) -> World:
    """A provider that does so many jobs at once, for members who may have so many running."""
    world.catalog = catalog_with(KEYED, concurrency=concurrency, requests_per_minute=10**6)
    world.rules = Rules(user_concurrency=members)
    return await world.open()


async def choose(world: World, server: int, **changes: Any) -> None:
    await ServerStore(world.database).change(
        server, "A server", world.clock(), lambda chosen: (replace(chosen, **changes), Deed(server, 9, "x"))
    )


async def places(world: World, tasks: list[Task]) -> dict[str, int]:
    """Where each task that still waits stands."""
    current = [await world.read(task) for task in tasks]
    return {task.id: await world.tasks.ahead_of(task) for task in current if task.state is TaskState.HELD}


async def flooded(world: World) -> list[Task]:
    """One member asks for fifty clips, then ten others for one each."""
    tasks = await world.hold(50, member_id=FLOODER)
    for member in OTHERS:
        world.clock.advance(1)
        tasks += await world.hold(1, member_id=member)
    return tasks


def sent(world: World) -> list[str]:
    return [key.removeprefix("conch-") for key, _ in world.keyed.submits]


async def drained(world: World, count: int) -> None:
    """Steps in which every job is done at once, until so many were sent."""
    for _ in range(3 * count):
        await world.turn(20)
        world.keyed.finish_all()
    assert len(sent(world)) == count


async def test_the_place_shown_is_the_order_of_the_starts(raw: World) -> None:
    world = await opened(raw, concurrency=1)
    tasks = await flooded(world)
    shown = await places(world, tasks)
    assert sorted(shown.values()) == list(range(60))
    assert [shown[task.id] for task in tasks[50:]] == list(range(1, 11))
    await drained(world, 60)
    assert sent(world) == sorted(shown, key=lambda key: shown[key])


@pytest.mark.parametrize("concurrency", [2, 3, 7])
async def test_whoever_starts_had_the_first_places(raw: World, concurrency: int) -> None:
    world = await opened(raw, concurrency=concurrency, members=concurrency)
    tasks = await flooded(world)
    for _ in range(120):
        shown, before = await places(world, tasks), len(sent(world))
        await world.turn(20)
        new = sent(world)[before:]
        assert sorted(shown[key] for key in new) == list(range(len(new)))
        world.keyed.finish_all()
    assert len(sent(world)) == 60


async def test_a_place_only_gets_better_while_nobody_comes(raw: World) -> None:
    world = await opened(raw, concurrency=1)
    tasks = await flooded(world)
    shown = await places(world, tasks)
    while shown:
        await world.turn(20)
        now = await places(world, tasks)
        assert all(place <= shown[key] for key, place in now.items())
        shown = now
        world.keyed.finish_all()


async def test_whoever_was_served_longest_ago_is_next(raw: World) -> None:
    """Also where the other asked for all of it long before."""
    world = await opened(raw, concurrency=1)
    await world.hold(9, member_id=FLOODER)
    await world.turn()
    (second,) = await world.hold(1, member_id=2)
    world.keyed.finish_all()
    await world.turn(20)
    await world.turn()
    assert sent(world)[1:] == [second.id]
    (again,) = await world.hold(1, member_id=2)
    assert await world.tasks.ahead_of(again) == 1


async def test_a_clock_set_back_changes_no_turns(raw: World) -> None:
    world = await opened(raw, concurrency=1)
    tasks = await world.hold(2, member_id=FLOODER)
    await world.turn()
    world.clock.set_ahead(-4000)
    (other,) = await world.hold(1, member_id=2)
    later = await world.hold(2, member_id=2)
    await drained(world, 5)
    assert sent(world) == [tasks[0].id, other.id, tasks[1].id, later[0].id, later[1].id]


async def test_a_members_limit_counts_over_servers_and_providers(raw: World) -> None:
    world = await opened(raw, concurrency=9, members=2)
    await world.hold(2)
    await world.hold(2, server_id=ELSEWHERE)
    await world.hold(2, provider=UNKEYED, server_id=ELSEWHERE)
    other = await world.hold_one(member_id=2, server_id=ELSEWHERE)
    await world.turns(4, 1)
    assert len(world.keyed.jobs) + len(world.unkeyed.jobs) == 3
    assert await world.state(other) is TaskState.QUEUED
    for _ in range(9):
        world.keyed.finish_all()
        world.unkeyed.finish_all()
        await world.turn(20)
        running = world.rows(
            "SELECT COUNT(*) FROM tasks WHERE member_id = 1 AND state IN ('submitting', 'queued', 'processing')"
        )
        assert running[0][0] <= 2
    assert len(world.keyed.jobs) + len(world.unkeyed.jobs) == 7


async def test_a_paused_servers_tasks_neither_block_nor_count(raw: World) -> None:
    world = await opened(raw, concurrency=1, members=1)
    resting = await world.hold(5, server_id=ELSEWHERE)
    await choose(world, ELSEWHERE, pause_reason="a rest")
    here = await world.hold(1)
    other = await world.hold(1, member_id=2)
    assert await places(world, here + other) == {here[0].id: 0, other[0].id: 1}
    await drained(world, 2)
    assert sent(world) == [here[0].id, other[0].id]
    await choose(world, ELSEWHERE, pause_reason=None)
    assert list((await places(world, resting)).values()) == [0, 1, 2, 3, 4]
    await drained(world, 7)


async def test_tasks_that_wait_for_moderators_neither_block_nor_count(raw: World) -> None:
    world = await opened(raw, concurrency=1, members=1)
    await choose(world, SERVER, approval_micros=100)
    waiting = await world.hold(4, price=101)
    await choose(world, SERVER, approval_micros=None)
    here = await world.hold(1)
    other = await world.hold(1, member_id=2)
    assert await places(world, here + other) == {here[0].id: 0, other[0].id: 1}
    await drained(world, 2)
    assert [await world.state(task) for task in waiting] == [TaskState.HELD] * 4


async def test_one_that_waits_for_its_busy_provider_lets_others_pass(raw: World) -> None:
    world = await opened(raw, concurrency=1, members=1)
    world.keyed.submit_answers.append(ProviderBusy("429", retry_after=600))
    first = await world.hold_one()
    await world.turn()
    second, other = await world.hold_one(), await world.hold_one(member_id=2)
    await world.turn()
    world.keyed.finish_all()
    await world.turns(3, 20)
    assert sent(world) == [first.id, other.id, second.id]
