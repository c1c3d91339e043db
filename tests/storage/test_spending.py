"""Spending by day: the days are those of the zone's calendar, whatever its clocks do."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.domain.catalog import Format
from bot.domain.limits import FOREVER, Window
from bot.domain.spending import DaySpending, by_model, days_of
from bot.domain.task import Task, TaskState
from storage import ledger
from storage.database import Database, open_database
from storage.spending import SpendingStore
from storage.tasks import TaskStore
from tests.storage.drafts import COST, DAY, MIDNIGHT, NOON, PRICE, brought, draft, placed

ALL = Window(0, FOREVER)
BERLIN = ZoneInfo("Europe/Berlin")
#: Whole hours, half hours and quarters; clocks that change by an hour, by half an hour and never.
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "America/St_Johns",
)
#: Days in which one of them changes its clock, and an ordinary one; to the minute around their midnights.
DAYS = [
    int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)
    for day in (
        "2026-03-08",
        "2026-03-29",
        "2026-04-05",
        "2026-10-04",
        "2026-10-25",
        "2026-11-01",
        "2027-01-01",
    )
]
MODELS = ("hailuo-02", "hailuo-2.3")


@pytest.fixture
def spending(database: Database) -> SpendingStore:
    return SpendingStore(database)


def made_by(model: str) -> Format:
    return Format(model=model, duration=6, resolution="768p")


async def refunded(database: Database, task: Task, micros: int) -> None:
    await database.write(lambda tx: ledger.refund(tx, task, micros, NOON))


async def test_spent_held_and_refunded_are_told_apart(
    database: Database, store: TaskStore, spending: SpendingStore
) -> None:
    await placed(store, 1)
    paid = await brought(store, await placed(store, 2), TaskState.SUCCEEDED)
    await refunded(database, paid, 100)
    await brought(store, await placed(store, 3), TaskState.FAILED)
    (row,) = await spending.daily(ALL, UTC)
    assert row == DaySpending(date(2026, 11, 20), "hailuo-2.3", COST, PRICE, 100)
    assert (row.paid, row.borne) == (COST + PRICE, COST + PRICE - 100)


async def test_a_cost_counts_on_the_day_of_its_hold(store: TaskStore, spending: SpendingStore) -> None:
    await brought(store, await placed(store, 1, created_at=MIDNIGHT - 1), TaskState.SUCCEEDED, MIDNIGHT + DAY)
    assert [row.day for row in await spending.daily(ALL, UTC)] == [date(2026, 11, 20)]
    assert [row.day for row in await spending.daily(ALL, BERLIN)] == [date(2026, 11, 21)]


async def test_only_what_is_asked_for_is_counted(store: TaskStore, spending: SpendingStore) -> None:
    """Each hold is a power of two, so that a sum tells which are in it."""
    for number, (server, member) in enumerate([(50, 70), (50, 71), (51, 70), (51, 71)]):
        await placed(store, number, server_id=server, member_id=member, price_micros=1 << number)

    async def held(**whose: int) -> int:
        return sum(row.held for row in await spending.daily(ALL, UTC, **whose))

    assert await held() == 0b1111
    assert await held(server_id=50) == 0b0011
    assert await held(member_id=70) == 0b0101
    assert await held(server_id=51, member_id=71) == 0b1000
    assert await held(server_id=52) == 0


async def test_a_window_begins_with_its_first_moment_and_ends_before_its_last(
    store: TaskStore, spending: SpendingStore
) -> None:
    for number, moment in enumerate([NOON - 1, NOON, NOON + 59_999, NOON + 60_000]):
        await placed(store, number, created_at=moment, price_micros=1 << number)
    rows = await spending.daily(Window(NOON, NOON + 60_000), UTC)
    assert [row.held for row in rows] == [0b0110]


moments = st.builds(
    lambda day, minutes, spare: day + minutes * 60_000 + spare,
    st.sampled_from(DAYS),
    st.integers(-36 * 60, 36 * 60),
    st.sampled_from([0, 59_999]),
)


@pytest.mark.parametrize("name", ZONES)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(holds=st.lists(st.tuples(moments, st.sampled_from(MODELS), st.integers(0, 10**6)), max_size=12))
def test_every_day_is_what_counting_one_by_one_gives(
    path: Path, name: str, holds: Sequence[tuple[int, str, int]]
) -> None:
    zone = ZoneInfo(name)
    expected: Counter[tuple[date, str]] = Counter()
    for at, model, micros in holds:
        expected[datetime.fromtimestamp(at / 1000, zone).date(), model] += micros

    async def counted() -> list[DaySpending]:
        async with open_database(Path(shutil.copy(path, path.with_name("copy.db")))) as database:
            store = TaskStore(database)
            for number, (at, model, micros) in enumerate(holds):
                clip = draft(number, created_at=at, format=made_by(model), price_micros=micros)
                await store.place([clip], server_name="Harbour")
            return await SpendingStore(database).daily(ALL, zone)

    rows = asyncio.run(counted())
    assert [(row.day, row.model) for row in rows] == sorted(expected)
    assert {(row.day, row.model): row.held for row in rows} == expected


# ------------------------------------------------------------------ calendar


def test_the_days_of_a_window_are_all_that_it_touches() -> None:
    start = int(datetime(2026, 10, 24, tzinfo=BERLIN).timestamp() * 1000)
    end = int(datetime(2026, 10, 27, tzinfo=BERLIN).timestamp() * 1000)
    assert end - start == 3 * DAY + 3_600_000  # the clocks go back on the 25th
    assert days_of(Window(start, end), BERLIN) == tuple(date(2026, 10, day) for day in (24, 25, 26))
    assert days_of(Window(start, end + 1), BERLIN)[-1] == date(2026, 10, 27)


def test_each_model_has_an_amount_for_each_day() -> None:
    days = [date(2026, 11, day) for day in (19, 20, 21)]
    rows = [
        DaySpending(days[2], "b", 5, 2, 1),
        DaySpending(days[0], "a", 1, 0, 0),
        DaySpending(days[0], "b", 3, 0, 0),
        DaySpending(days[1], "free", 4, 0, 4),
    ]
    assert by_model(rows, days, lambda row: row.borne) == {"a": (1, 0, 0), "b": (3, 0, 6)}
    assert by_model(rows, days, lambda row: row.paid)["free"] == (0, 4, 0)
