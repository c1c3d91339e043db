"""The next offer: asked only when the one before certainly took nothing, and never above what is held."""

from collections.abc import Callable

import pytest

from bot.domain.catalog import Mode
from bot.domain.errors import (
    ContentRefused,
    JobRejected,
    OutcomeUnknown,
    ProviderBusy,
    ProviderClosed,
    ProviderError,
)
from bot.domain.limits import Limit, Period, Scope
from bot.domain.ports import Posted
from bot.domain.task import Task, TaskState
from tests.fakes import After, SubmitAnswer
from tests.services.world import CHANNEL, KEYED, LOOKED_UP, PRICE, UNKEYED, World, catalog_of

BUSY, REJECTED = ProviderBusy("429"), JobRejected("takes no such prompt")
LOST = OutcomeUnknown("the connection broke")
PRICES = {KEYED: "0.20", LOOKED_UP: "0.24", UNKEYED: "0.28"}
CERTAIN: list[ProviderError] = [BUSY, ProviderClosed("no balance"), REJECTED]
HOLD = [("hold", PRICE, 0)]
RELEASED = [*HOLD, ("release", -PRICE, 0)]


def named(error: object) -> str:
    return type(error).__name__


@pytest.fixture
def raw(make_world: Callable[[], World], quick_probe: None) -> World:
    world = make_world()
    world.catalog, world.enabled = catalog_of(PRICES), list(PRICES)
    return world


@pytest.fixture
async def three(raw: World) -> World:
    """Three providers of one format: the keyed one is the cheapest, the one without any means the dearest."""
    return await raw.open()


async def held(world: World, *, price: int = PRICE, mode: Mode = Mode.TEXT) -> Task:
    return await world.hold_one(price=price, listed=200_000, mode=mode)


def asked(world: World) -> list[int]:
    """How many submits each provider has seen."""
    return [len(provider.submits) for provider in world.scripted.values()]


def refuse(world: World, *answers: SubmitAnswer) -> None:
    """One answer for each provider, in the order of their prices."""
    for provider, answer in zip(world.scripted.values(), answers, strict=False):
        provider.submit_answers.append(answer)


# --------------------------------------------------------------------- who gets it next


@pytest.mark.parametrize("error", CERTAIN, ids=named)
async def test_next_offer_gets_what_the_first_certainly_did_not_take(
    error: ProviderError, three: World
) -> None:
    refuse(three, error)
    task = await held(three)
    await three.turns(2, 0)
    moved = await three.read(task)
    assert (moved.state, moved.provider, moved.list_micros) == (TaskState.QUEUED, LOOKED_UP, 240_000)
    assert (asked(three), three.keyed.jobs) == ([1, 1, 0], {})
    assert await three.booked(task) == HOLD


async def test_each_provider_gets_a_body_of_its_own(three: World) -> None:
    refuse(three, BUSY)
    await held(three)
    await three.turns(2, 0)
    (first, second) = three.keyed.submits[0][1], three.looked_up.submits[0][1]
    assert (b'"to": "mindvideo"' in first, b'"to": "gmi"' in second) == (True, True)


async def test_history_tells_who_did_not_take_it_and_why(three: World) -> None:
    refuse(three, BUSY)
    task = await held(three)
    await three.turns(2, 0)
    notes = [event.note for event in await three.tasks.events(task.id)]
    assert notes[1:4] == [f"sent to {KEYED}", f"goes to {LOOKED_UP}: 429", f"sent to {LOOKED_UP}"]


@pytest.mark.parametrize("lost", [LOST, After(LOST)], ids=["before", "after"])
@pytest.mark.parametrize("number", [0, 1, 2])
async def test_nobody_else_gets_what_may_have_been_taken(
    number: int, lost: SubmitAnswer, three: World
) -> None:
    refuse(three, *[BUSY] * number, lost)
    task = await held(three)
    await three.turns(3, 0)
    await three.turns(4, 1000)
    await three.restart()
    await three.turns(3, 1000)
    assert [min(count, 1) for count in asked(three)] == [1] * (number + 1) + [0] * (2 - number)
    assert await three.state(task) not in {TaskState.FAILED, TaskState.HELD}


async def test_nobody_else_gets_content_that_was_refused(three: World) -> None:
    refuse(three, ContentRefused("a famous mouse"))
    task = await held(three)
    await three.turns(3, 60)
    assert ((await three.read(task)).problem, asked(three)) == (
        "the content was refused: a famous mouse",
        [1, 0, 0],
    )
    assert await three.booked(task) == RELEASED


async def test_offer_above_the_held_price_is_never_used(three: World) -> None:
    refuse(three, BUSY, BUSY)
    task = await held(three, price=240_000)
    await three.turns(3, 0)
    assert (asked(three), await three.state(task)) == ([1, 1, 0], TaskState.HELD)
    await three.turn(60)
    assert asked(three)[2] == 0


async def test_price_that_rose_in_the_catalog_counts(raw: World) -> None:
    three = await raw.open()
    task = await held(three)
    three.catalog = catalog_of(PRICES | {LOOKED_UP: "0.30", UNKEYED: "0.26"})
    await three.restart()
    refuse(three, BUSY)
    await three.turns(2, 0)
    moved = await three.read(task)
    assert (moved.provider, moved.list_micros, moved.price_micros) == (UNKEYED, 260_000, PRICE)


async def test_provider_beyond_its_daily_budget_is_passed_over(three: World) -> None:
    await three.limited(Limit(Scope.PROVIDER, Period.DAY, 300_000, LOOKED_UP))
    tasks = [await held(three) for _ in range(2)]
    three.keyed.submit_answers.extend([BUSY] * 2)
    await three.turns(3, 0)
    providers = [(await three.read(task)).provider for task in tasks]
    assert sorted(providers) == sorted([LOOKED_UP, UNKEYED])


async def test_budget_of_the_first_is_free_again_for_others(three: World) -> None:
    await three.limited(Limit(Scope.PROVIDER, Period.DAY, 300_000, KEYED))
    refuse(three, BUSY)
    await held(three)
    await three.turns(2, 0)
    task = await held(three)
    await three.turn()
    assert (await three.read(task)).provider == KEYED


async def test_held_task_of_a_provider_that_is_switched_off_goes_on(three: World) -> None:
    task = await held(three)
    three.switch_on(LOOKED_UP, UNKEYED)
    await three.turns(2, 0)
    assert ((await three.read(task)).provider, asked(three)) == (LOOKED_UP, [0, 1, 0])


async def test_provider_that_is_switched_off_gets_nothing(three: World) -> None:
    three.switch_on(KEYED, UNKEYED)
    refuse(three, BUSY)
    task = await held(three)
    await three.turns(2, 0)
    assert (await three.read(task)).provider == UNKEYED


# ------------------------------------------------------------------------- pictures


async def test_next_provider_gets_the_pictures_in_the_form_it_takes(three: World) -> None:
    three.looked_up.by_address = False
    refuse(three, BUSY)
    task = (await three.hold_unannounced(mode=Mode.TRANSITION, price=PRICE, listed=200_000))[0]
    urls = ("https://discord.example/first", "https://discord.example/last")
    await three.tasks.announced(task.interaction_id, channel_id=CHANNEL, message_id=1, urls=urls, at=0)
    await three.turn(20)
    await three.turn()
    (by_address,), (as_data,) = three.keyed.submits, three.looked_up.submits
    assert b'"frames": ["https://discord.example/first", "https://discord.example/last"]' in by_address[1]
    assert b'"frames": [9, 9]' in as_data[1]


async def test_provider_that_cannot_be_asked_for_it_is_passed_over(three: World) -> None:
    three.keyed.refused_requests.append(JobRejected("takes pictures only by an address"))
    task = await held(three, mode=Mode.IMAGE)
    await three.turns(2, 0)
    assert ((await three.read(task)).provider, asked(three)) == (LOOKED_UP, [0, 1, 0])


async def test_pictures_stay_until_the_last_offer_has_refused(three: World) -> None:
    refuse(three, REJECTED, REJECTED, REJECTED)
    await held(three, mode=Mode.IMAGE)
    await three.turns(2, 0)
    assert three.files("frames") == ["1-first.jpg"]
    await three.turn()
    assert three.files("frames") == []


# ------------------------------------------------------------------------ rounds


async def test_everybody_is_asked_once_in_a_round_and_again_after_a_pause(three: World) -> None:
    refuse(three, BUSY, BUSY, BUSY)
    task = await held(three)
    await three.turns(6, 0)
    assert (asked(three), await three.state(task)) == ([1, 1, 1], TaskState.HELD)
    refuse(three, BUSY, BUSY, BUSY)
    await three.turn(30)
    await three.turns(6, 0)
    assert asked(three) == [2, 2, 2]
    await three.turn(30)
    assert ((await three.read(task)).provider, asked(three)) == (KEYED, [3, 2, 2])
    assert await three.state(task) is TaskState.QUEUED


async def test_one_that_refused_it_is_not_asked_again(three: World) -> None:
    refuse(three, REJECTED, BUSY, BUSY)
    task = await held(three)
    await three.turns(4, 0)
    await three.turn(30)
    assert ((await three.read(task)).provider, asked(three)) == (LOOKED_UP, [1, 2, 1])


@pytest.mark.parametrize("refused", [REJECTED, ProviderClosed("no balance")], ids=named)
async def test_refusal_after_a_busy_one_waits_for_that(refused: ProviderError, three: World) -> None:
    refuse(three, BUSY, refused, refused)
    task = await held(three)
    await three.turns(4, 0)
    waiting = await three.read(task)
    assert (waiting.state, waiting.provider) == (TaskState.HELD, KEYED)
    assert waiting.tried == (LOOKED_UP, UNKEYED)
    await three.turn(30)
    assert (await three.state(task), asked(three)) == (TaskState.QUEUED, [2, 1, 1])


async def test_longest_wait_a_provider_asked_for_is_kept(three: World) -> None:
    refuse(three, BUSY, BUSY, ProviderBusy("429", retry_after=77))
    task = await held(three)
    await three.turns(3, 0)
    assert ((await three.read(task)).due_at or 0) - three.clock() == 77_000


async def test_task_waiting_for_a_next_round_can_be_cancelled(three: World) -> None:
    refuse(three, BUSY, BUSY, BUSY)
    task = await held(three)
    await three.turns(3, 0)
    await three.tasks.end(await three.read(task), TaskState.CANCELLED, three.clock(), note="enough")
    await three.turns(2, 60)
    assert (asked(three), await three.booked(task)) == ([1, 1, 1], RELEASED)


# ---------------------------------------------------------------------- nobody is left


async def test_task_that_all_refuse_is_given_back_with_the_last_words(three: World) -> None:
    refuse(three, REJECTED, ProviderClosed("no balance"), JobRejected("no such format"))
    task = await held(three)
    await three.turns(3, 0)
    failed = await three.read(task)
    assert (failed.state, failed.problem, failed.due_at) == (TaskState.FAILED, "no such format", None)
    assert (await three.booked(task), three.announcer.changes[-1]) == (RELEASED, (task.id, None))


async def test_task_for_which_all_are_busy_ends_after_the_deadline(three: World) -> None:
    for provider in three.scripted.values():
        provider.submit_answers.extend([BUSY] * 2000)
    task = await held(three)
    for _ in range(400):
        await three.turn(15)
        if await three.state(task) is TaskState.FAILED:
            break
    failed = await three.read(task)
    assert (failed.state, failed.problem) == (TaskState.FAILED, "429")
    assert 3600 <= (three.clock() - task.created_at) / 1000 <= 3660
    assert await three.booked(task) == RELEASED


async def test_refused_task_whose_next_provider_is_beyond_its_budget_is_given_back(three: World) -> None:
    await three.limited(Limit(Scope.PROVIDER, Period.DAY, 0, LOOKED_UP))
    refuse(three, REJECTED, BUSY, REJECTED)
    task = await held(three)
    await three.turns(4, 0)
    failed = await three.read(task)
    assert (failed.state, failed.problem, asked(three)) == (TaskState.FAILED, str(REJECTED), [1, 0, 1])


# ----------------------------------------------------------------------------- money


@pytest.mark.parametrize(("cost", "booked"), [(None, 240_000), (0, 0), (230_000, 230_000)])
async def test_settled_at_the_real_offer(cost: int | None, booked: int, three: World) -> None:
    refuse(three, BUSY)
    task = await held(three)
    await three.turns(2, 0)
    three.looked_up.finish(await three.read(task), cost=cost)
    await three.turns(2, 10)
    assert await three.state(task) is TaskState.DELIVERED
    assert await three.booked(task) == [*HOLD, ("settle", -PRICE, booked)]
    assert three.rows("SELECT provider FROM ledger ORDER BY id") == [(KEYED,), (LOOKED_UP,)]


async def test_list_price_of_the_first_is_booked_where_it_took_it(three: World) -> None:
    task = await held(three)
    await three.turn()
    three.keyed.finish(task)
    await three.turns(2, 10)
    assert await three.booked(task) == [*HOLD, ("settle", -PRICE, 200_000)]


# --------------------------------------------------------------------- resting providers


def rest(world: World, name: str = KEYED, error: ProviderError = BUSY) -> None:
    for _ in range(5):
        world.router.failed(name, error)


async def test_held_tasks_of_a_resting_provider_go_to_the_next_offer(three: World) -> None:
    task = await held(three)
    rest(three)
    await three.turns(2, 0)
    assert ((await three.read(task)).provider, asked(three)) == (LOOKED_UP, [0, 1, 0])


async def test_resting_provider_gives_its_tasks_on_without_room_or_pace(raw: World) -> None:
    raw.catalog = catalog_of(PRICES, concurrency=1, requests_per_minute=6)
    three = await raw.open()
    await held(three)
    await three.turn()
    waiting = [await three.hold_one(price=PRICE, listed=200_000, member_id=member) for member in range(2, 6)]
    rest(three)
    await three.turns(2, 0)
    assert [(await three.read(task)).provider for task in waiting] == [LOOKED_UP] * 4


async def test_held_tasks_wait_where_everybody_rests(three: World) -> None:
    task = await held(three)
    for name in PRICES:
        rest(three, name)
    await three.turns(2, 0)
    waiting = await three.read(task)
    assert (waiting.state, waiting.problem, asked(three)) == (TaskState.HELD, "429", [0, 0, 0])
    assert await three.turn() == 30.0
    await three.turns(2, 30)
    assert (await three.state(task), asked(three)) == (TaskState.QUEUED, [1, 0, 0])


async def test_busy_provider_is_waited_for_before_a_cheaper_one_that_rests(three: World) -> None:
    three.switch_on(KEYED, LOOKED_UP)
    rest(three, error=ProviderClosed("no balance"))
    refuse(three, BUSY, BUSY)
    task = await held(three)
    await three.turns(3, 0)
    assert ((await three.read(task)).provider, asked(three)) == (LOOKED_UP, [0, 1, 0])
    await three.turn(15)
    assert (await three.state(task), asked(three)) == (TaskState.QUEUED, [0, 2, 0])


async def test_task_waiting_for_resting_providers_is_looked_at_once_a_minute(three: World) -> None:
    task = await held(three)
    for name in PRICES:
        rest(three, name, ProviderClosed("no balance"))
    for _ in range(600):
        await three.turn(1)
    waiting = await three.read(task)
    assert waiting.state is TaskState.HELD
    assert waiting.polls <= 11
    assert len(await three.tasks.events(task.id)) == 2


async def test_task_that_waits_beyond_the_deadline_is_given_back_and_told_why(raw: World) -> None:
    raw.enabled = []
    alone = await raw.open()
    task = await held(alone)
    for _ in range(70):
        alone.clock.advance(60)
        alone.router.failed(KEYED, ProviderClosed("no balance"))
        await alone.turn()
    failed = await alone.read(task)
    assert (failed.state, failed.problem) == (TaskState.FAILED, "no balance")
    assert (await alone.booked(task), asked(alone)) == (RELEASED, [0, 0, 0])


async def test_one_task_tries_a_provider_whose_rest_is_over(three: World) -> None:
    three.switch_on(KEYED)
    rest(three)
    tasks = [await held(three) for _ in range(4)]
    await three.turn()
    three.keyed.submit_answers.append(BUSY)
    await three.turn(60)
    assert (asked(three), {await three.state(task) for task in tasks}) == ([1, 0, 0], {TaskState.HELD})
    await three.turns(3, 30)
    assert asked(three) == [1, 0, 0]
    await three.turns(3, 30)
    assert {await three.state(task) for task in tasks} == {TaskState.QUEUED}


async def test_operator_is_told_once_of_a_provider_that_is_closed(three: World) -> None:
    three.keyed.submit_answers.extend([ProviderClosed("no balance")] * 5)
    for _ in range(4):
        await held(three)
    await three.turns(3, 0)
    assert three.told == [f"{KEYED} gets no new jobs for at least 15 min: no balance"]


async def test_answers_that_get_lost_let_a_provider_rest(three: World) -> None:
    three.switch_on(UNKEYED)
    three.unkeyed.submit_answers.extend([LOST] * 5)
    for member in range(5):
        await three.hold_one(provider=UNKEYED, price=PRICE, member_id=member)
    await three.turns(3, 10)
    assert three.router.resting(UNKEYED) == str(LOST)


# ----------------------------------------------------------------------- in between


async def test_crash_after_the_move_goes_on_at_the_next_provider(three: World) -> None:
    refuse(three, BUSY)
    task = await held(three)
    await three.turn()
    await three.restart()
    await three.turn()
    assert ((await three.read(task)).provider, asked(three)) == (LOOKED_UP, [1, 1, 0])


async def test_task_of_a_next_provider_waits_for_its_room(raw: World) -> None:
    raw.catalog = catalog_of(PRICES, concurrency=1)
    three = await raw.open()
    three.keyed.submit_answers.extend([BUSY] * 3)
    for _ in range(3):
        await held(three)
    await three.turns(4, 0)
    assert (three.looked_up.most_running, asked(three)[1]) == (1, 1)


async def test_progress_message_is_posted_once_over_a_failover(three: World) -> None:
    refuse(three, BUSY)
    (task,) = await three.hold_unannounced(price=PRICE, listed=200_000)
    await three.turn(20)
    await three.turn()
    assert three.announcer.announces == [task.interaction_id]
    assert isinstance(three.announcer.announced[task.interaction_id], Posted)
