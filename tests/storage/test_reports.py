"""Reports: each clip once, where it was held, in its group, and every sum the ledger's."""

import pytest

from bot.catalog import load
from bot.domain.catalog import Format
from bot.domain.limits import FOREVER, Usage, Window
from bot.domain.report import Group, Report, Result, Sums
from bot.domain.task import TaskState
from storage import ledger
from storage.database import Database
from storage.reports import ReportStore
from storage.tasks import TaskStore
from tests.storage.drafts import COST, DAY, NOON, PRICE, again, brought, placed

EVER = Window(0, FOREVER)
GMI = load().offers[0].model_copy(update={"provider": "gmi", "price": "0.28"})


@pytest.fixture
def reports(database: Database) -> ReportStore:
    return ReportStore(database)


async def by_result(reports: ReportStore) -> dict[Result, Sums]:
    return (await reports.of_server(50, EVER)).by(lambda group: group.result)


async def everywhere(reports: ReportStore, server_id: int | None = None) -> list[Group]:
    return [group async for group in reports.groups(EVER, server_id=server_id)]


async def test_clips_of_every_state_have_their_word_and_their_money(
    store: TaskStore, reports: ReportStore
) -> None:
    for number, state in enumerate(TaskState):
        await brought(store, await placed(store, number), state)
    assert await by_result(reports) == {
        Result.WAITING: Sums(1, held=PRICE),
        Result.RUNNING: Sums(3, held=3 * PRICE),
        Result.PARKED: Sums(1, held=PRICE),
        Result.READY: Sums(1, spent=COST),
        Result.DELIVERED: Sums(1, spent=COST),
        Result.FAILED: Sums(1, released=PRICE),
        Result.CANCELLED: Sums(1, released=PRICE),
    }


async def test_a_failed_clip_costs_what_the_operator_has_settled(
    store: TaskStore, reports: ReportStore
) -> None:
    task = await brought(store, await placed(store, 1), TaskState.PARKED)
    await store.end(task, TaskState.FAILED, NOON, note="settled", cost_micros=COST)
    assert await by_result(reports) == {Result.FAILED: Sums(1, spent=COST)}


async def test_a_refund_stands_beside_what_was_spent(
    database: Database, store: TaskStore, reports: ReportStore
) -> None:
    task = await brought(store, await placed(store, 1), TaskState.DELIVERED)
    await database.write(lambda tx: ledger.refund(tx, task, COST // 3, NOON))
    assert await by_result(reports) == {Result.DELIVERED: Sums(1, spent=COST, refunded=COST // 3)}


async def test_a_clip_counts_where_it_was_held_whenever_it_ended(
    store: TaskStore, reports: ReportStore
) -> None:
    task = await placed(store, 1, created_at=NOON)
    await brought(store, task, TaskState.DELIVERED, NOON + 3 * DAY)
    counted = {
        span: (await reports.of_server(50, span)).total.clips
        for span in (Window(NOON, NOON + 1), Window(NOON - DAY, NOON), Window(NOON + 1, NOON + 9 * DAY))
    }
    assert list(counted.values()) == [1, 0, 0]


async def test_groups_tell_apart_all_that_a_report_does(store: TaskStore, reports: ReportStore) -> None:
    dear = Format(model="hailuo-2.3", duration=10, resolution="768p")
    other = Format(model="hailuo-02", duration=6, resolution="768p")
    await placed(store, 1)
    await placed(store, 2)
    await placed(store, 3, member_id=71)
    await placed(store, 4, provider="gmi")
    await placed(store, 5, format=dear)
    await placed(store, 6, format=other)
    groups = (await reports.of_server(50, EVER)).groups
    assert sorted((one.member_id, one.model, one.format, one.provider, one.sums.clips) for one in groups) == [
        (70, "hailuo-02", "hailuo-02/6/768p", "mindvideo", 1),
        (70, "hailuo-2.3", "hailuo-2.3/10/768p", "mindvideo", 1),
        (70, "hailuo-2.3", "hailuo-2.3/6/768p", "gmi", 1),
        (70, "hailuo-2.3", "hailuo-2.3/6/768p", "mindvideo", 2),
        (71, "hailuo-2.3", "hailuo-2.3/6/768p", "mindvideo", 1),
    ]


async def test_a_clip_counts_at_the_provider_that_has_it_now(store: TaskStore, reports: ReportStore) -> None:
    task = await placed(store, 1)
    await store.fail_over(task, GMI, NOON, due_at=NOON, tried=["mindvideo"], note="busy")
    await brought(store, await again(store, task), TaskState.DELIVERED)
    report = await reports.of_server(50, EVER)
    assert report.by(lambda group: group.provider) == {"gmi": Sums(1, spent=COST)}


async def test_a_server_sees_its_own_rows_alone(store: TaskStore, reports: ReportStore) -> None:
    await placed(store, 1)
    await placed(store, 2, server_id=51)
    assert [group.server_id for group in (await reports.of_server(51, EVER)).groups] == [51]
    assert await reports.of_server(52, EVER) == Report(EVER, ())
    assert [group.server_id for group in await everywhere(reports, 51)] == [51]
    assert await reports.paid(51, EVER) == Usage(0, PRICE)


async def test_all_servers_come_one_after_the_other(store: TaskStore, reports: ReportStore) -> None:
    for number, (server, member) in enumerate([(51, 71), (50, 71), (51, 70), (50, 70)]):
        await placed(store, number, server_id=server, member_id=member)
    found = [(group.server_id, group.member_id) for group in await everywhere(reports)]
    assert found == [(50, 70), (50, 71), (51, 70), (51, 71)]
    assert await reports.server_name(51) == "Harbour"
    assert not await reports.server_name(52)
