"""Giving a held task to another provider, and what is read to do so: all or nothing, never above the hold."""

from dataclasses import replace

import pytest

from bot.catalog import load
from bot.domain.catalog import Offer
from bot.domain.errors import StaleTask
from bot.domain.limits import Limit, LimitHit, Period, Scope, Usage
from bot.domain.task import Task, TaskState
from storage.database import Database
from storage.ledger import LedgerStore
from storage.limits import LimitStore
from storage.tasks import TaskStore
from tests.storage.drafts import COST, NOON, PRICE, SECOND, again, brought, draft, everything, move, placed

LATER = NOON + 60 * SECOND
OFFER = load().offers[0].model_copy(update={"provider": "gmi", "price": "0.25"})


async def fail_over(
    store: TaskStore, task: Task, offer: Offer = OFFER, *, due_at: int = LATER
) -> LimitHit | None:
    return await store.fail_over(task, offer, LATER, due_at=due_at, tried=("novita",), note="429")


# ----------------------------------------------------------------------- giving on


@pytest.mark.parametrize("state", [TaskState.HELD, TaskState.SUBMITTING])
async def test_the_next_provider_has_it_held_and_due(store: TaskStore, state: TaskState) -> None:
    task = await brought(store, await placed(store, 1), state)
    assert await fail_over(store, task) is None
    moved = await again(store, task)
    assert (moved.state, moved.provider, moved.due_at) == (TaskState.HELD, "gmi", LATER)
    assert (moved.list_micros, moved.price_micros, moved.tried) == (250_000, PRICE, ("novita",))
    assert (moved.problem, moved.polls) == (None, 1)
    assert await store.body(task) is None


async def test_one_that_waits_for_its_next_provider_says_why(store: TaskStore) -> None:
    task = await placed(store, 1)
    await fail_over(store, task, due_at=LATER + SECOND)
    moved = await again(store, task)
    assert (moved.due_at, moved.problem) == (LATER + SECOND, "429")


async def test_the_move_and_its_reason_stand_in_the_history(store: TaskStore) -> None:
    task = await brought(store, await placed(store, 1), TaskState.SUBMITTING)
    await fail_over(store, task)
    event = (await store.events(task.id))[-1]
    assert (event.state, event.at, event.note) == (TaskState.HELD, LATER, "goes to gmi: 429")


async def test_the_hold_stays_as_it_was(store: TaskStore, ledger: LedgerStore) -> None:
    task = await placed(store, 1)
    before = await ledger.of_task(task.id)
    await fail_over(store, task)
    assert await ledger.of_task(task.id) == before


async def test_the_next_provider_gets_bytes_of_its_own(store: TaskStore) -> None:
    task = await brought(store, await placed(store, 1), TaskState.SUBMITTING)
    await fail_over(store, task)
    assert await store.begin_submit(await again(store, task), b"other", LATER) == b"other"


@pytest.mark.parametrize("state", sorted(set(TaskState) - {TaskState.HELD, TaskState.SUBMITTING}))
async def test_what_a_provider_may_have_is_not_given_on(
    database: Database, store: TaskStore, state: TaskState
) -> None:
    task = await brought(store, await placed(store, 1), state)
    before = await everything(database)
    for believed in (state, TaskState.HELD, TaskState.SUBMITTING):
        with pytest.raises(StaleTask):
            await fail_over(store, replace(task, state=believed))
    assert await everything(database) == before


async def test_what_another_provider_has_by_now_is_not_given_on(database: Database, store: TaskStore) -> None:
    task = await placed(store, 1)
    await fail_over(store, task)
    before = await everything(database)
    with pytest.raises(StaleTask):
        await fail_over(store, task)
    assert await everything(database) == before


async def test_an_offer_above_the_hold_is_not_taken(database: Database, store: TaskStore) -> None:
    task = await placed(store, 1)
    before = await everything(database)
    with pytest.raises(StaleTask):
        await fail_over(store, task, OFFER.model_copy(update={"price": "0.280001"}))
    assert await everything(database) == before
    await fail_over(store, task, OFFER.model_copy(update={"price": "0.28"}))


# ------------------------------------------------------------------------ budgets


async def test_a_budget_of_the_next_provider_stands_in_the_way(
    database: Database, store: TaskStore, limits: LimitStore
) -> None:
    task = await placed(store, 1)
    limit = Limit(Scope.PROVIDER, Period.DAY, PRICE - 1, "gmi")
    await limits.set_operators([limit])
    before = await everything(database)
    assert await fail_over(store, task) == LimitHit(limit, Usage(0, 0), PRICE, NOON + 12 * 3600 * SECOND)
    assert await everything(database) == before


@pytest.mark.parametrize("scope", [Scope.MEMBER, Scope.SERVER, Scope.BOT])
async def test_limits_that_count_it_already_do_not(
    store: TaskStore, limits: LimitStore, scope: Scope
) -> None:
    task = await placed(store, 1)
    await limits.set_operators([Limit(scope, Period.DAY, PRICE)])
    assert await fail_over(store, task) is None


async def test_a_task_counts_with_the_provider_that_has_it(store: TaskStore, limits: LimitStore) -> None:
    await limits.set_operators([Limit(Scope.PROVIDER, Period.DAY, PRICE)])
    task = await placed(store, 1)
    await fail_over(store, task)
    assert (await store.place([draft(2)], server_name="x")).hit is None
    hit = (await store.place([draft(3, provider="gmi")], server_name="x")).hit
    assert hit is not None
    assert hit.usage == Usage(0, PRICE)


async def test_a_cost_counts_with_the_provider_that_made_it(store: TaskStore, limits: LimitStore) -> None:
    task = await placed(store, 1)
    await fail_over(store, task)
    task = await brought(store, await again(store, task), TaskState.SUCCEEDED)
    await limits.set_operators([Limit(Scope.PROVIDER, Period.DAY, COST)])
    hit = (await store.place([draft(2, provider="gmi")], server_name="x")).hit
    assert hit is not None
    assert hit.usage == Usage(COST, 0)
    assert (await store.place([draft(3)], server_name="x")).hit is None


# ------------------------------------------------------------------ reads and hints


@pytest.mark.parametrize("state", [TaskState.QUEUED, TaskState.PROCESSING, TaskState.PARKED])
async def test_a_running_job_is_read_now(store: TaskStore, state: TaskState) -> None:
    task = await brought(store, await placed(store, 1), state, NOON + 5 * SECOND)
    assert await store.read_now(task.id, NOON + SECOND)
    assert (await again(store, task)).due_at == NOON + SECOND
    assert not await store.read_now(task.id, NOON + SECOND)


@pytest.mark.parametrize(
    "state", sorted(set(TaskState) - {TaskState.QUEUED, TaskState.PROCESSING, TaskState.PARKED})
)
async def test_there_is_nothing_to_read_of_others(
    database: Database, store: TaskStore, state: TaskState
) -> None:
    task = await brought(store, await placed(store, 1), state, LATER)
    before = await everything(database)
    assert not await store.read_now(task.id, NOON)
    assert not await store.read_now("nobody", NOON)
    assert await everything(database) == before


async def test_a_job_that_is_due_already_stays_so(store: TaskStore) -> None:
    task = await brought(store, await placed(store, 1), TaskState.QUEUED)
    assert not await store.read_now(task.id, LATER)
    assert (await again(store, task)).due_at == NOON


async def test_one_parked_for_good_is_not_read(store: TaskStore) -> None:
    task = await brought(store, await placed(store, 1), TaskState.SUBMITTING)
    await store.park(task, NOON, due_at=None, note="unknown")
    assert not await store.read_now(task.id, LATER)


async def test_known_jobs_are_the_providers_since_a_moment(store: TaskStore) -> None:
    old = await brought(store, await placed(store, 1), TaskState.DELIVERED, NOON)
    new = await brought(store, await placed(store, 2), TaskState.QUEUED, LATER)
    await brought(store, await placed(store, 3, provider="gmi"), TaskState.QUEUED, LATER)
    await brought(store, await placed(store, 4), TaskState.SUBMITTING, LATER)
    assert await store.known_jobs("mindvideo", NOON) == {old.job_id, new.job_id}
    assert await store.known_jobs("mindvideo", NOON + 1) == {new.job_id}


async def test_parked_ones_are_listed_the_oldest_first(store: TaskStore) -> None:
    for number, state in ((1, TaskState.PARKED), (2, TaskState.QUEUED), (3, TaskState.PARKED)):
        await brought(store, await placed(store, number, created_at=NOON - number), state)
    assert [task.id for task in await store.parked()] == ["t3.0", "t1.0"]


async def test_a_later_submit_begins_its_time_anew(store: TaskStore) -> None:
    task = await brought(store, await placed(store, 1), TaskState.SUBMITTING)
    await fail_over(store, task)
    task = await move(store, await again(store, task), TaskState.SUBMITTING, LATER)
    assert task.submitted_at == LATER
