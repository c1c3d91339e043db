"""Limits and holds: exact under any rush, counted in the window of the hold."""

import asyncio
import sqlite3
from datetime import UTC, datetime

import pytest

from bot.domain.limits import OPERATOR, Limit, LimitHit, Period, Scope, Usage, window
from bot.domain.task import TaskState
from storage.ledger import LedgerStore
from storage.limits import LimitStore
from storage.tasks import TaskStore
from tests.storage.drafts import COST, DAY, MIDNIGHT, NOON, PRICE, brought, draft, move, placed

KINDS = [
    (Scope.MEMBER, Period.DAY),
    (Scope.SERVER, Period.MONTH),
    (Scope.BOT, Period.DAY),
    (Scope.PROVIDER, Period.DAY),
]
#: What differs between the tasks of a rush, so that only the limit in question can stop them.
OTHERS = {
    Scope.MEMBER: ("server_id", "provider"),
    Scope.SERVER: ("member_id", "provider"),
    Scope.BOT: ("member_id", "server_id", "provider"),
    Scope.PROVIDER: ("member_id", "server_id"),
}


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


async def hit(store: TaskStore, number: int, **changes: object) -> LimitHit | None:
    return (await store.place([draft(number, **changes)], server_name="Harbour")).hit


async def allow(
    limits: LimitStore, micros: int, scope: Scope = Scope.MEMBER, period: Period = Period.DAY
) -> None:
    await limits.set_operators([Limit(scope, period, micros)])


@pytest.mark.parametrize(("scope", "period"), KINDS)
async def test_of_twenty_five_at_once_exactly_as_many_pass_as_may(
    store: TaskStore, limits: LimitStore, scope: Scope, period: Period
) -> None:
    await allow(limits, 3 * PRICE + PRICE // 2, scope, period)

    def changes(number: int) -> dict[str, object]:
        return {name: f"p{number}" if name == "provider" else 100 + number for name in OTHERS[scope]}

    hits = await asyncio.gather(*(hit(store, number, **changes(number)) for number in range(25)))
    assert hits.count(None) == 3
    assert {found.usage for found in hits if found} == {Usage(0, 3 * PRICE)}
    assert len(await store.to_show(limit=99)) == 3


@pytest.mark.parametrize(("scope", "period"), KINDS)
@pytest.mark.parametrize(("spare", "passes"), [(0, True), (-1, False)])
async def test_exactly_at_the_limit_passes_and_a_micro_above_does_not(
    store: TaskStore, limits: LimitStore, scope: Scope, period: Period, spare: int, *, passes: bool
) -> None:
    await allow(limits, 2 * PRICE + spare, scope, period)
    assert await hit(store, 1) is None
    found = await hit(store, 2)
    assert (found is None) is passes
    if found:
        assert found.limit == Limit(scope, period, 2 * PRICE - 1)
        assert (found.price, found.usage) == (PRICE, Usage(0, PRICE))


@pytest.mark.parametrize(("scope", "period"), KINDS)
async def test_others_have_their_own_share(
    store: TaskStore, limits: LimitStore, scope: Scope, period: Period
) -> None:
    await allow(limits, PRICE, scope, period)
    await placed(store, 1)
    other = {Scope.MEMBER: "member_id", Scope.SERVER: "server_id", Scope.PROVIDER: "provider"}
    changes = {name: "gmi" if name == "provider" else 99 for key, name in other.items() if key is scope}
    assert (await hit(store, 2, **changes) is None) is bool(changes)
    assert await hit(store, 3) is not None


@pytest.mark.parametrize(
    ("scope", "subject"), [(Scope.MEMBER, "70"), (Scope.SERVER, "50"), (Scope.PROVIDER, "mindvideo")]
)
async def test_a_limit_with_a_subject_holds_for_nobody_else(
    store: TaskStore, limits: LimitStore, scope: Scope, subject: str
) -> None:
    await limits.set_operators([Limit(scope, Period.DAY, 0, subject)])
    assert await hit(store, 1) is not None
    assert await hit(store, 2, member_id=7, server_id=5, provider="gmi") is None


async def test_the_limit_with_the_least_room_is_named(store: TaskStore, limits: LimitStore) -> None:
    rows = [
        Limit(scope, period, most) for (scope, period), most in zip(KINDS, (900, 500, 600, 700), strict=True)
    ]
    await limits.set_operators(rows)
    found = await hit(store, 1, price_micros=1000)
    assert found is not None
    assert found.limit == rows[1]
    assert found.until == at("2026-12-01")


async def test_without_limits_everything_passes(store: TaskStore) -> None:
    assert await hit(store, 1, price_micros=10**14) is None


async def test_what_costs_nothing_passes_a_limit_that_is_used_up(
    store: TaskStore, limits: LimitStore
) -> None:
    await placed(store, 1)
    await allow(limits, 1)
    assert await hit(store, 2, price_micros=0) is None


# ------------------------------------------------------------------ windows


@pytest.mark.parametrize(
    ("scope", "period", "held", "asked", "counts"),
    [
        (Scope.MEMBER, Period.DAY, "2026-11-20T00:00:00.000", "2026-11-20T23:59:59.999", True),
        (Scope.MEMBER, Period.DAY, "2026-11-20T23:59:59.999", "2026-11-21T00:00:00.000", False),
        (Scope.MEMBER, Period.DAY, "2028-02-29T12:00", "2028-02-29T13:00", True),
        (Scope.MEMBER, Period.DAY, "2028-02-29T23:59:59.999", "2028-03-01", False),
        (Scope.SERVER, Period.MONTH, "2028-02-01", "2028-02-29T23:59:59.999", True),
        (Scope.SERVER, Period.MONTH, "2028-02-29T23:59:59.999", "2028-03-01", False),
        (Scope.SERVER, Period.MONTH, "2026-11-30T23:59:59.999", "2026-12-01", False),
        (Scope.SERVER, Period.MONTH, "2026-12-31T23:59:59.999", "2027-01-01", False),
        (Scope.BOT, Period.DAY, "2026-12-31T00:00", "2026-12-31T23:59:59.999", True),
        (Scope.PROVIDER, Period.DAY, "2026-12-31T23:59:59.999", "2027-01-01", False),
        # A clock that was set back: the next window is not this one.
        (Scope.MEMBER, Period.DAY, "2026-11-21", "2026-11-20T23:59:59.999", False),
        (Scope.SERVER, Period.MONTH, "2026-12-01", "2026-11-30T23:59:59.999", False),
        (Scope.BOT, Period.DAY, "2026-11-21", "2026-11-20T23:59:59.999", False),
        (Scope.PROVIDER, Period.DAY, "2026-11-21", "2026-11-20T23:59:59.999", False),
    ],
)
async def test_windows_end_at_midnight_utc(
    store: TaskStore, limits: LimitStore, scope: Scope, period: Period, held: str, asked: str, *, counts: bool
) -> None:
    await allow(limits, PRICE, scope, period)
    await placed(store, 1, created_at=at(held))
    assert (await hit(store, 2, created_at=at(asked)) is not None) is counts


async def test_a_clock_set_back_opens_no_window_twice(store: TaskStore, limits: LimitStore) -> None:
    await allow(limits, PRICE)
    await placed(store, 1)
    await placed(store, 2, created_at=NOON + DAY)
    assert await hit(store, 3) is not None
    assert await hit(store, 4, created_at=NOON + DAY) is not None


async def test_a_release_gives_back_to_the_day_of_the_hold(
    store: TaskStore, ledger: LedgerStore, limits: LimitStore
) -> None:
    await allow(limits, PRICE)
    task = await placed(store, 1, created_at=MIDNIGHT - 1)
    await move(store, task, TaskState.CANCELLED, MIDNIGHT + 1)
    today, tomorrow = (window(Period.DAY, moment, UTC) for moment in (MIDNIGHT - 1, MIDNIGHT))
    assert await ledger.of_member(70, today) == Usage(0, 0)
    assert await ledger.of_member(70, tomorrow) == Usage(0, 0)
    assert await hit(store, 2, created_at=MIDNIGHT - 1) is None
    assert await hit(store, 3, created_at=MIDNIGHT) is None
    assert await hit(store, 4, created_at=MIDNIGHT) is not None


async def test_a_cost_counts_in_the_day_of_the_hold(store: TaskStore, ledger: LedgerStore) -> None:
    task = await brought(store, await placed(store, 1, created_at=MIDNIGHT - 1), TaskState.QUEUED)
    await move(store, task, TaskState.SUCCEEDED, MIDNIGHT + DAY)
    assert await ledger.of_member(70, window(Period.DAY, MIDNIGHT - 1, UTC)) == Usage(COST, 0)
    assert await ledger.of_member(70, window(Period.DAY, MIDNIGHT + DAY, UTC)) == Usage(0, 0)


async def test_a_cost_above_the_hold_counts_in_full(store: TaskStore, limits: LimitStore) -> None:
    await allow(limits, PRICE + COST)
    await brought(store, await placed(store, 1), TaskState.SUCCEEDED)
    assert await hit(store, 2) is None
    found = await hit(store, 3)
    assert found is not None
    assert found.usage == Usage(COST, PRICE)


async def test_a_cost_below_the_hold_frees_the_rest(store: TaskStore, limits: LimitStore) -> None:
    await allow(limits, PRICE + 1)
    task = await brought(store, await placed(store, 1), TaskState.QUEUED)
    clip = ("https://cdn.example/clip", None)
    await store.succeed(task, NOON, job_id="j", clip=clip, cost_micros=1, note="cheap")
    assert await hit(store, 2) is None


@pytest.mark.parametrize("state", [TaskState.PARKED, TaskState.QUEUED, TaskState.SUBMITTING])
async def test_an_unknown_outcome_keeps_its_hold(
    store: TaskStore, limits: LimitStore, state: TaskState
) -> None:
    await allow(limits, PRICE)
    await brought(store, await placed(store, 1), state)
    assert await hit(store, 2) is not None


@pytest.mark.parametrize("state", [TaskState.FAILED, TaskState.CANCELLED])
async def test_a_failed_task_gives_its_hold_back_at_once(
    store: TaskStore, limits: LimitStore, state: TaskState
) -> None:
    await allow(limits, PRICE)
    await brought(store, await placed(store, 1), state)
    assert await hit(store, 2) is None


# ------------------------------------------------------------------ the rows


async def test_the_operators_limits_are_exactly_the_given_ones(limits: LimitStore) -> None:
    first = [Limit(Scope.MEMBER, Period.DAY, 1), Limit(Scope.BOT, Period.DAY, 2)]
    second = [Limit(Scope.SERVER, Period.MONTH, 3, "50"), Limit(Scope.PROVIDER, Period.DAY, 0)]
    for rows in (first, second):
        await limits.set_operators(rows)
        assert await limits.of_server(OPERATOR) == rows
    await limits.set_operators([])
    assert await limits.of_server(OPERATOR) == []


async def test_refused_limits_leave_the_old_ones(limits: LimitStore) -> None:
    await allow(limits, 5)
    with pytest.raises(sqlite3.IntegrityError):
        await limits.set_operators([Limit(Scope.BOT, Period.DAY, 1), Limit(Scope.BOT, Period.DAY, 2)])
    assert await limits.of_server(OPERATOR) == [Limit(Scope.MEMBER, Period.DAY, 5)]
