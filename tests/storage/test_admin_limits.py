"""What admins set: exact under a rush, the closest word counts, in the server's own calendar and nowhere else."""

import asyncio
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from bot.catalog import load
from bot.domain.audit import Deed
from bot.domain.limits import FOREVER, Limit, LimitHit, Period, Scope, Usage
from bot.domain.task import TaskState
from storage.database import Database
from storage.limits import LimitStore
from storage.servers import ServerStore
from storage.tasks import TaskStore
from tests.storage.drafts import COST, DAY, NOON, PRICE, again, brought, draft, everything, move, placed

#: The server and member of `draft`, and the roles the member has here.
SERVER, MEMBER = 50, 70
ROLES = frozenset({901, 902})
OWN = Limit(Scope.MEMBER, Period.DAY, PRICE, str(MEMBER), SERVER)
ROLE = Limit(Scope.ROLE, Period.DAY, PRICE, "901", SERVER)
BEST_ROLE = Limit(Scope.ROLE, Period.DAY, PRICE, "902", SERVER)
EACH = Limit(Scope.MEMBER, Period.DAY, PRICE, "", SERVER)
BUDGET = Limit(Scope.SERVER, Period.DAY, PRICE, "", SERVER)
KINDS = [
    pytest.param(replace(limit, period=period), id=f"{name} {period}")
    for name, limit in (("own", OWN), ("role", ROLE), ("each", EACH), ("server", BUDGET))
    for period in Period
]
PERSONAL = [pytest.param(limit, id=name) for name, limit in (("own", OWN), ("role", ROLE), ("each", EACH))]


async def allow(limits: LimitStore, *chosen: Limit) -> None:
    for limit in chosen:
        await limits.put(limit, Deed(limit.server_id, 1, "limits set"), NOON)


async def hit(
    store: TaskStore, number: int, roles: frozenset[int] = ROLES, **changes: object
) -> LimitHit | None:
    placing = store.place([draft(number, **changes)], server_name="Harbour", role_ids=roles)
    return (await placing).hit


async def in_zone(database: Database, zone: str) -> None:
    await ServerStore(database).change(
        SERVER, "Harbour", NOON, lambda chosen: (replace(chosen, zone=zone), Deed(SERVER, 1, "zone"))
    )


def at(text: str, zone: str, fold: int = 0) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return round(moment.timestamp() * 1000)


# ------------------------------------------------------------------ how much


@pytest.mark.parametrize("limit", KINDS)
async def test_of_twenty_five_at_once_exactly_as_many_pass_as_may(
    store: TaskStore, limits: LimitStore, limit: Limit
) -> None:
    await allow(limits, replace(limit, micros=3 * PRICE + PRICE // 2))

    def changes(number: int) -> dict[str, object]:
        # A server's budget is shared by all its members, whatever their roles.
        whose = {"member_id": number, "roles": frozenset({number})} if limit.scope is Scope.SERVER else {}
        return {"provider": f"p{number}", **whose}

    hits = await asyncio.gather(*(hit(store, number, **changes(number)) for number in range(25)))  # type: ignore[arg-type]
    assert hits.count(None) == 3
    assert {found.usage for found in hits if found} == {Usage(0, 3 * PRICE)}
    assert len(await store.to_show(limit=99)) == 3


@pytest.mark.parametrize("limit", KINDS)
@pytest.mark.parametrize(("spare", "passes"), [(0, True), (-1, False)])
async def test_exactly_at_the_limit_passes_and_a_micro_above_does_not(
    store: TaskStore, limits: LimitStore, limit: Limit, spare: int, *, passes: bool
) -> None:
    chosen = replace(limit, micros=2 * PRICE + spare)
    await allow(limits, chosen)
    assert await hit(store, 1) is None
    found = await hit(store, 2)
    assert (found is None) is passes
    if found:
        assert (found.limit, found.price, found.usage) == (chosen, PRICE, Usage(0, PRICE))


async def test_the_clips_of_a_command_pass_together_or_not_at_all(
    store: TaskStore, limits: LimitStore
) -> None:
    await allow(limits, replace(OWN, micros=3 * PRICE - 1))
    outcome = await store.place([draft(1, ordinal=ordinal) for ordinal in range(3)], server_name="Harbour")
    assert outcome.hit is not None
    assert outcome.hit.price == 3 * PRICE
    assert await store.to_show(limit=9) == []


@pytest.mark.parametrize("limit", KINDS)
async def test_nothing_at_all_may_be_allowed_and_what_is_free_passes_still(
    store: TaskStore, limits: LimitStore, limit: Limit
) -> None:
    await allow(limits, replace(limit, micros=0))
    assert await hit(store, 1, price_micros=1) is not None
    assert await hit(store, 2, price_micros=0) is None


@pytest.mark.parametrize("limit", KINDS)
async def test_a_limit_set_below_what_is_used_stops_the_next_clip_alone(
    store: TaskStore, limits: LimitStore, limit: Limit
) -> None:
    running = await brought(store, await placed(store, 1), TaskState.QUEUED)
    await allow(limits, replace(limit, micros=1))
    assert await hit(store, 2, price_micros=1) is not None
    assert (await move(store, running, TaskState.SUCCEEDED, NOON)).state is TaskState.SUCCEEDED
    found = await hit(store, 3, price_micros=1)
    assert found is not None
    assert found.usage == Usage(COST, 0)


@pytest.mark.parametrize("limit", KINDS)
async def test_a_cleared_limit_stands_in_nobodys_way(
    store: TaskStore, limits: LimitStore, limit: Limit
) -> None:
    await allow(limits, replace(limit, micros=0))
    assert await limits.clear(limit, Deed(SERVER, 1, "limits clear"), NOON)
    assert await hit(store, 1) is None


# ------------------------------------------------------------------ whose word counts

_MUCH, _LITTLE = 9 * PRICE, PRICE - 1


@pytest.mark.parametrize(
    ("chosen", "decides"),
    [
        pytest.param([(EACH, _LITTLE)], EACH, id="each"),
        pytest.param([(EACH, _LITTLE), (ROLE, _MUCH)], None, id="a role over each"),
        pytest.param([(EACH, _MUCH), (ROLE, _LITTLE)], ROLE, id="a role over each, also below it"),
        pytest.param([(ROLE, _LITTLE), (BEST_ROLE, _MUCH)], None, id="the best role"),
        pytest.param([(ROLE, _LITTLE - 1), (BEST_ROLE, _LITTLE)], BEST_ROLE, id="the best role of two"),
        pytest.param([(EACH, _LITTLE), (ROLE, _LITTLE), (OWN, _MUCH)], None, id="the own over all"),
        pytest.param([(EACH, _MUCH), (ROLE, _MUCH), (OWN, _LITTLE)], OWN, id="the own, also below all"),
        pytest.param([(OWN, _MUCH), (BUDGET, _LITTLE)], BUDGET, id="the budget beside the own"),
        pytest.param(
            [(replace(OWN, subject="71"), 0), (replace(ROLE, subject="903"), 0)], None, id="others'"
        ),
        pytest.param(
            [(OWN, _MUCH), (replace(EACH, period=Period.MONTH), _LITTLE)],
            replace(EACH, period=Period.MONTH),
            id="each period by itself",
        ),
    ],
)
async def test_the_closest_word_decides(
    store: TaskStore, limits: LimitStore, chosen: list[tuple[Limit, int]], decides: Limit | None
) -> None:
    rows = [replace(limit, micros=micros) for limit, micros in chosen]
    await allow(limits, *rows)
    found = await hit(store, 1)
    assert (found and replace(found.limit, micros=PRICE)) == decides


@pytest.mark.parametrize("limit", KINDS)
async def test_no_word_of_an_admin_lifts_the_operators(
    store: TaskStore, limits: LimitStore, limit: Limit
) -> None:
    operators = Limit(Scope.MEMBER, Period.DAY, _LITTLE)
    await limits.set_operators([operators])
    await allow(limits, replace(limit, micros=_MUCH))
    found = await hit(store, 1)
    assert found is not None
    assert found.limit == operators


async def test_a_role_taken_away_counts_no_more_at_once(store: TaskStore, limits: LimitStore) -> None:
    await allow(limits, EACH, replace(ROLE, micros=_MUCH))
    assert await hit(store, 1) is None
    assert await hit(store, 2) is None
    found = await hit(store, 3, roles=frozenset())
    assert found is not None
    assert (found.limit, found.usage) == (EACH, Usage(0, 2 * PRICE))


async def test_members_of_a_role_do_not_share_its_limit(store: TaskStore, limits: LimitStore) -> None:
    await allow(limits, ROLE)
    assert await hit(store, 1) is None
    assert await hit(store, 2) is not None
    assert await hit(store, 3, member_id=71) is None


# ------------------------------------------------------------------ where


@pytest.mark.parametrize("limit", KINDS)
async def test_another_servers_limit_is_none_here(store: TaskStore, limits: LimitStore, limit: Limit) -> None:
    await allow(limits, replace(limit, micros=0))
    assert await hit(store, 1, server_id=51) is None
    assert await hit(store, 2) is not None


@pytest.mark.parametrize("limit", KINDS)
async def test_what_was_spent_in_another_server_does_not_count(
    store: TaskStore, limits: LimitStore, limit: Limit
) -> None:
    await allow(limits, limit)
    await brought(store, await placed(store, 1, server_id=51), TaskState.SUCCEEDED)
    await placed(store, 2, server_id=51)
    assert await hit(store, 3) is None
    assert await hit(store, 4) is not None


@pytest.mark.parametrize("limit", PERSONAL)
async def test_another_provider_changes_nothing_for_the_member(
    store: TaskStore, limits: LimitStore, limit: Limit
) -> None:
    offer = load().offers[0].model_copy(update={"provider": "gmi", "price": "0.28"})
    task = await placed(store, 1)
    await allow(limits, replace(limit, micros=1))
    before = await store.room(draft(2), ROLES)
    assert await store.fail_over(task, offer, NOON, due_at=NOON, tried=(), note="429") is None
    assert (await again(store, task)).provider == "gmi"
    assert await store.room(draft(2), ROLES) == before == 1 - PRICE


# ------------------------------------------------------------------ when


async def test_a_total_counts_over_all_years(store: TaskStore, limits: LimitStore) -> None:
    await allow(limits, replace(OWN, period=Period.TOTAL, micros=COST + PRICE))
    await brought(store, await placed(store, 1), TaskState.SUCCEEDED)
    later = NOON + 20 * 365 * DAY
    assert await hit(store, 2, created_at=later - DAY) is None
    found = await hit(store, 3, created_at=later)
    assert found is not None
    assert (found.usage, found.until) == (Usage(COST, PRICE), FOREVER)


async def test_what_is_given_back_makes_room_in_a_total(store: TaskStore, limits: LimitStore) -> None:
    await allow(limits, replace(EACH, period=Period.TOTAL))
    task = await placed(store, 1)
    assert await hit(store, 2, created_at=NOON + 999 * DAY) is not None
    await move(store, task, TaskState.CANCELLED, NOON + 999 * DAY)
    assert await hit(store, 3, created_at=NOON + 999 * DAY) is None


@pytest.mark.parametrize(
    ("zone", "period", "held", "asked", "counts"),
    [
        # 28 March 2027 has 23 hours in Berlin, 31 October 25.
        ("Europe/Berlin", Period.DAY, ("2027-03-28T00:00", 0), ("2027-03-28T23:59:59.999", 0), True),
        ("Europe/Berlin", Period.DAY, ("2027-03-27T23:59:59.999", 0), ("2027-03-28T00:00", 0), False),
        ("Europe/Berlin", Period.DAY, ("2027-03-28T00:00", 0), ("2027-03-29T00:00", 0), False),
        ("Europe/Berlin", Period.DAY, ("2027-10-31T00:00", 0), ("2027-10-31T23:59:59.999", 0), True),
        ("Europe/Berlin", Period.DAY, ("2027-10-31T02:30", 0), ("2027-10-31T02:30", 1), True),
        ("Europe/Berlin", Period.MONTH, ("2027-10-31T23:59:59.999", 0), ("2027-11-01T00:00", 0), False),
        # Midnight comes twice in Havana on 7 November 2027, and not at all on 14 March.
        ("America/Havana", Period.DAY, ("2027-11-07T00:00", 0), ("2027-11-07T00:00", 1), True),
        ("America/Havana", Period.DAY, ("2027-11-06T23:59:59.999", 0), ("2027-11-07T00:00", 0), False),
        ("America/Havana", Period.DAY, ("2027-11-06T23:59:59.999", 0), ("2027-11-07T00:00", 1), False),
        ("America/Havana", Period.DAY, ("2027-03-13T23:59:59.999", 0), ("2027-03-14T01:00", 0), False),
        ("America/Havana", Period.DAY, ("2027-03-14T01:00", 0), ("2027-03-14T23:59:59.999", 0), True),
        # The last hour of 30 October 2027 comes twice in Beirut.
        ("Asia/Beirut", Period.DAY, ("2027-10-30T23:00", 0), ("2027-10-30T23:59:59.999", 1), True),
        ("Asia/Beirut", Period.DAY, ("2027-10-30T23:59:59.999", 1), ("2027-10-31T00:00", 0), False),
        # Half an hour is gained and lost on Lord Howe Island, at two in the morning.
        ("Australia/Lord_Howe", Period.DAY, ("2027-04-04T01:30", 0), ("2027-04-04T01:30", 1), True),
        ("Australia/Lord_Howe", Period.DAY, ("2027-10-03T00:00", 0), ("2027-10-03T23:59:59.999", 0), True),
        ("Australia/Lord_Howe", Period.MONTH, ("2027-09-30T23:59:59.999", 0), ("2027-10-01", 0), False),
        # A quarter past six in the evening, UTC.
        ("Asia/Kathmandu", Period.DAY, ("2027-12-31T23:59:59.999", 0), ("2028-01-01", 0), False),
        ("Asia/Kathmandu", Period.MONTH, ("2028-02-01", 0), ("2028-02-29T23:59:59.999", 0), True),
        ("Asia/Kathmandu", Period.MONTH, ("2028-02-29T23:59:59.999", 0), ("2028-03-01", 0), False),
    ],
)
async def test_days_and_months_are_those_of_the_servers_zone(
    database: Database,
    store: TaskStore,
    limits: LimitStore,
    zone: str,
    period: Period,
    held: tuple[str, int],
    asked: tuple[str, int],
    *,
    counts: bool,
) -> None:
    await in_zone(database, zone)
    await allow(limits, replace(EACH, period=period))
    first, second = at(held[0], zone, held[1]), at(asked[0], zone, asked[1])
    await placed(store, 1, created_at=first)
    assert (await hit(store, 2, created_at=second) is not None) is counts


async def test_a_refusal_names_the_end_of_the_servers_own_day(
    database: Database, store: TaskStore, limits: LimitStore
) -> None:
    await in_zone(database, "Europe/Berlin")
    await allow(limits, replace(EACH, micros=0))
    found = await hit(store, 1, created_at=at("2027-10-31T02:30", "Europe/Berlin", fold=1))
    assert found is not None
    assert found.until == at("2027-11-01", "Europe/Berlin")


async def test_another_zone_counts_at_once_for_what_was_held_before(
    database: Database, store: TaskStore, limits: LimitStore
) -> None:
    await allow(limits, EACH)
    await placed(store, 1, created_at=at("2026-11-20T23:00", "UTC"))
    assert await hit(store, 2, created_at=at("2026-11-21T01:00", "UTC")) is None
    await in_zone(database, "America/Havana")
    found = await hit(store, 3, created_at=at("2026-11-21T01:00", "UTC"))
    assert found is not None
    assert found.usage == Usage(0, 2 * PRICE)


async def test_the_operators_days_stay_those_of_utc(
    database: Database, store: TaskStore, limits: LimitStore
) -> None:
    await in_zone(database, "America/Havana")
    await limits.set_operators([Limit(Scope.MEMBER, Period.DAY, PRICE)])
    await placed(store, 1, created_at=at("2026-11-20T23:00", "UTC"))
    assert await hit(store, 2, created_at=at("2026-11-20T23:59", "UTC")) is not None
    assert await hit(store, 3, created_at=at("2026-11-21", "UTC")) is None


async def test_a_refusal_leaves_no_trace_but_its_answer(
    database: Database, store: TaskStore, limits: LimitStore
) -> None:
    await allow(limits, replace(BUDGET, micros=1))
    before = await everything(database)
    assert await hit(store, 1) is not None
    assert await everything(database) == before
    assert await database.read("SELECT * FROM alarms") == []
