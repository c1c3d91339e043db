"""When a clip is looked at: what the last ones took decides, and a hint makes it at once."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from bot.domain.catalog import Format
from bot.domain.errors import ProviderError
from bot.domain.ports import Report
from bot.domain.task import Task, TaskState
from bot.services.forecast import REMEMBERED, Forecast, Kind
from bot.services.timetable import Rules, Timetable
from tests.fakes import START, FakeClock
from tests.services.world import CHANNEL, KEYED, UNKEYED, World
from tests.storage.drafts import draft

FORMAT = Format.parse("hailuo-02/6/768p")
KIND = Kind(KEYED, FORMAT)
HUNDRED = [*range(10_000, 20_000, 200)]


def taught(*durations: int) -> Forecast:
    forecast = Forecast()
    forecast.learn(KIND, durations)
    return forecast


# ------------------------------------------------------------------------- forecast


def test_four_clips_say_nothing() -> None:
    forecast = taught(*[60_000] * 4)
    assert (forecast.knows(KIND), forecast.until_read(KIND, 0, 5), forecast.remaining(KIND, 0)) == (
        False,
        5,
        None,
    )


def test_first_read_is_due_when_the_first_clips_were_ready() -> None:
    assert taught(*[60_000] * 5).until_read(KIND, 0, 5) == 60
    assert taught(*[60_000] * 5).until_read(KIND, 20_000, 5) == 40
    assert taught(*HUNDRED).until_read(KIND, 0, 5) == 10.4


@pytest.mark.parametrize(("elapsed", "pause"), [(10_000, 3.75), (19_400, 3.75), (19_401, 5), (60_000, 5)])
def test_reads_are_closer_around_the_expected_end(elapsed: int, pause: float) -> None:
    assert taught(*HUNDRED).until_read(KIND, elapsed, 5) == pause


def test_what_remains_is_the_middle_of_those_that_took_longer() -> None:
    forecast = taught(10_000, 20_000, 30_000, 40_000, 50_000)
    assert [forecast.remaining(KIND, at) for at in (0, 25_000, 45_000)] == [30_000, 15_000, 5_000]
    assert forecast.remaining(KIND, 50_000) is None


def test_only_the_newest_count() -> None:
    forecast = taught(*[90_000] * 60, *[30_000] * REMEMBERED)
    assert forecast.until_read(KIND, 0, 5) == 30


def test_kinds_do_not_mix() -> None:
    forecast = taught(*[60_000] * 5)
    assert not forecast.knows(Kind(UNKEYED, FORMAT))
    assert not forecast.knows(Kind(KEYED, Format.parse("hailuo-02/10/768p")))


def test_time_before_the_submit_is_not_learned() -> None:
    assert not taught(*[-1] * 9).knows(KIND)


def test_faster_provider_is_noticed() -> None:
    forecast = taught(*[300_000] * REMEMBERED)
    for _ in range(300):
        looked_at = forecast.until_read(KIND, 0, 5)
        forecast.noticed(KIND, round(looked_at * 1000), first_read=True)
    assert forecast.until_read(KIND, 0, 5) < 60


# ------------------------------------------------------------------------ timetable


class Table(Timetable):
    def __init__(self, forecast: Forecast, **rules: float) -> None:
        self.clock = FakeClock()
        super().__init__(Rules(**rules), self.clock, forecast, jitter=lambda: 0.5)  # type: ignore[arg-type]

    def made(self, *seconds: float, polls: int = 1) -> None:
        """Clips that were ready so many seconds after their submit."""
        for took in seconds:
            self.clock.advance(took)
            self.learn(self.task(took, polls=polls))

    def task(self, age: float, *, polls: int = 1) -> Task:
        at = self.clock() - round(age * 1000)
        return draft(
            1,
            provider=KEYED,
            format=FORMAT,
            state=TaskState.QUEUED,
            submitted_at=at,
            created_at=at,
            polls=polls,
        )


def test_pause_grows_until_enough_clips_were_made() -> None:
    table = Table(Forecast())
    table.made(60, 60, 60, 60)
    assert [table.until_read(table.task(10, polls=polls)) for polls in (0, 1, 9)] == [5, 6.25, 15]
    table.made(60)
    assert [table.until_read(table.task(10, polls=polls)) for polls in (0, 1, 9)] == [50, 50, 50]


def test_clip_found_by_the_first_read_is_believed_to_have_been_ready_before() -> None:
    table = Table(Forecast())
    table.made(100, 100, 100, 100, 100, polls=0)
    assert table.until_read(table.task(0)) == 90


def test_clip_found_after_the_deadline_teaches_nothing() -> None:
    table = Table(Forecast(), deadline_minutes=1)
    table.made(*[61] * 9)
    assert table.until_read(table.task(0, polls=0)) == 5


@pytest.mark.parametrize(("age", "ready"), [(0, 60_000), (11, 60_000), (59, 60_000)])
def test_ready_time_is_the_same_while_it_comes_nearer(age: float, ready: int) -> None:
    table = Table(taught(*[60_000] * 5))
    task = table.task(0)
    table.clock.advance(age)
    assert table.ready_at(task) == START + ready


def test_ready_time_is_in_whole_ten_seconds() -> None:
    table = Table(taught(*[69_999] * 5))
    assert table.ready_at(table.task(0)) == START + 60_000


def test_nothing_is_promised_to_the_slowest_or_without_a_submit() -> None:
    table = Table(taught(*[60_000] * 5))
    assert table.ready_at(table.task(61)) is None
    assert table.ready_at(draft(1, provider=KEYED, format=FORMAT, created_at=START)) is None


@pytest.mark.parametrize(("age", "percent"), [(0, 0), (15, 25), (45, 75), (60, 100), (90, 100)])
def test_how_far_a_clip_should_be_is_told_by_the_last_ones(age: float, percent: int) -> None:
    table = Table(taught(*[60_000] * 5))
    assert table.percent(table.task(age)) == percent


def test_how_far_a_clip_is_stays_unknown_until_enough_were_made_and_one_was_sent() -> None:
    table = Table(taught(*[60_000] * 4))
    assert table.percent(table.task(30)) is None
    table.made(60)
    assert table.percent(table.task(30)) == 50
    assert table.percent(draft(1, provider=KEYED, format=FORMAT, created_at=START)) is None


@pytest.mark.parametrize(("seconds", "later"), [(1, 1), (900, 900), (10**9, 900)])
def test_no_look_is_put_off_beyond_a_quarter_of_an_hour(seconds: float, later: int) -> None:
    assert Table(Forecast()).after(seconds) == START + later * 1000


def test_task_waits_too_long_after_the_deadline() -> None:
    table = Table(Forecast(), deadline_minutes=1)
    assert [table.waits_too_long(table.task(age)) for age in (60, 60.001)] == [False, True]


def test_the_wait_for_a_moderator_or_a_pause_does_not_count() -> None:
    table = Table(Forecast(), deadline_minutes=1)
    task = replace(table.task(3600), waiting_since=table.now() - 60_000)
    assert not table.waits_too_long(task)
    assert table.waits_too_long(replace(task, waiting_since=table.now() - 60_001))


# ------------------------------------------------------------------- with the engine


async def made(world: World, count: int, seconds: float) -> None:
    """Clips that were ready so many seconds after their submit."""
    for _ in range(count):
        task = await world.hold_one()
        await world.turn()
        world.keyed.finish(task)
        await world.turn(seconds)
        await world.turn()


async def first_look(world: World, provider: str = KEYED) -> float:
    """Seconds from a submit to its first read."""
    task = await world.hold_one(provider=provider)
    await world.turn()
    return ((await world.read(task)).due_at or 0) / 1000 - world.clock() / 1000


async def test_engine_learns_when_to_look_first(world: World) -> None:
    await made(world, 4, 60)
    assert await first_look(world) == 5
    await made(world, 1, 60)
    assert await first_look(world) == 54
    assert await first_look(world, UNKEYED) == 5


async def test_durations_are_learned_from_the_database_at_a_start(world: World) -> None:
    await made(world, 5, 60)
    await world.restart()
    assert await first_look(world) == 60


async def test_saved_reads_cost_no_time(world: World) -> None:
    await made(world, 5, 60)
    before = len(world.keyed.reads)
    task = await world.hold_one()
    await world.turn()
    await world.turns(59, 1)
    world.keyed.finish(task)
    await world.turns(5, 1)
    assert await world.state(task) is TaskState.DELIVERED
    assert len(world.keyed.reads) - before <= 4


async def test_waiting_clip_has_a_ready_time(world: World) -> None:
    await made(world, 5, 60)
    task = await world.hold_one()
    await world.turn()
    ready = world.timetable.ready_at(await world.read(task)) or 0
    assert 40_000 < ready - world.clock() <= 60_000


# ----------------------------------------------------------------------------- hints


@pytest.fixture
async def slow(make_world: Callable[[], World], quick_probe: None) -> World:
    """Nothing is read for minutes, unless somebody says so."""
    world = make_world()
    world.rules = Rules(poll_seconds=300)
    return await world.open()


async def test_hint_makes_the_read_due_at_once(slow: World) -> None:
    task = await slow.hold_one()
    await slow.turn()
    slow.keyed.finish(task)
    await slow.turn(1)
    assert slow.keyed.reads == []
    await slow.engine.hint(task.id)
    assert slow.engine._wake.is_set()
    await slow.turns(2, 0)
    assert await slow.state(task) is TaskState.DELIVERED


async def test_hint_is_believed_no_further_than_a_read(slow: World) -> None:
    task = await slow.hold_one()
    await slow.turn()
    await slow.engine.hint(task.id)
    await slow.turn()
    assert (await slow.state(task), len(slow.keyed.reads)) == (TaskState.QUEUED, 1)
    assert await slow.booked(task) == [("hold", task.price_micros, 0)]


async def test_hint_during_a_read_is_not_lost(slow: World, monkeypatch: pytest.MonkeyPatch) -> None:
    task = await slow.hold_one()
    await slow.turn()
    read = slow.keyed.statuses

    async def finished_just_after(job_ids: Sequence[str]) -> dict[str, Report | ProviderError]:
        answer = await read(job_ids)
        monkeypatch.undo()
        slow.keyed.finish(task)
        await slow.engine.hint(task.id)
        return answer

    monkeypatch.setattr(slow.keyed, "statuses", finished_just_after)
    await slow.engine.hint(task.id)
    await slow.turns(3, 0)
    assert await slow.state(task) is TaskState.DELIVERED


async def test_hints_again_and_again_are_harmless(slow: World) -> None:
    task = await slow.hold_one()
    await slow.turn()
    slow.keyed.finish(task)
    for _ in range(5):
        await slow.engine.hint(task.id)
    await slow.turns(2, 0)
    for _ in range(5):
        await slow.engine.hint(task.id)
        await slow.turn()
    assert (len(slow.keyed.reads), len(slow.announcer.clips[task.id])) == (1, 1)


async def test_hint_of_a_parked_job_reads_it(slow: World) -> None:
    task = await slow.hold_one()
    await slow.turn()
    await slow.turn(3601)
    slow.keyed.finish(task)
    await slow.engine.hint(task.id)
    await slow.turns(2, 0)
    assert await slow.state(task) is TaskState.DELIVERED


@pytest.mark.parametrize("moment", ["unknown", "held", "ended"])
async def test_hint_for_nothing_to_read_is_ignored(moment: str, slow: World) -> None:
    (task,) = await slow.hold_unannounced()
    if moment == "ended":
        await slow.tasks.end(task, TaskState.CANCELLED, slow.clock(), note="enough")
    before = slow.rows("SELECT * FROM tasks")
    slow.engine._wake.clear()
    await slow.engine.hint("nobody" if moment == "unknown" else task.id)
    assert (slow.rows("SELECT * FROM tasks"), slow.engine._wake.is_set()) == (before, False)


async def test_job_carries_the_address_that_hints_come_to(slow: World) -> None:
    task = await slow.hold_one()
    await slow.turn()
    (job,) = slow.keyed.requested
    assert slow.hooks is not None
    assert job.callback == slow.hooks.address(task.id)
    assert task.progress_channel_id == CHANNEL
