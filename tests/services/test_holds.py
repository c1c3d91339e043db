"""What a command holds: the dearest offer that may be used, and less where limits leave no room for it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from bot.domain.catalog import Mode
from bot.domain.errors import OverLimit, PictureRefused, ProviderBusy, ProviderClosed, Refusal
from bot.domain.limits import Limit, Period, Scope
from bot.domain.task import Task, TaskState
from bot.providers.downloads import Downloads
from bot.services.requests import Attachment, Order, Requests
from tests.services.test_requests import requests_of
from tests.services.world import CHANNEL, KEYED, LOOKED_UP, SERVER, UNKEYED, World, catalog_of

PRICES = {KEYED: "0.20", LOOKED_UP: "0.24", UNKEYED: "0.28"}
ORDER = Order(4711, SERVER, "s", CHANNEL, 1, Mode.TEXT, "a paper boat", "hailuo-02/6/768p")
CLOSED = ProviderClosed("the balance is used up")


@pytest.fixture
async def world(make_world: Callable[[], World], quick_probe: None) -> World:
    world = make_world()
    world.catalog, world.enabled = catalog_of(PRICES), list(PRICES)
    return await world.open()


@pytest.fixture
async def requests(world: World) -> AsyncIterator[Requests]:
    async with Downloads() as downloads:
        yield requests_of(world, downloads, *PRICES, router=world.router)


async def placed(requests: Requests, order: Order = ORDER) -> Task:
    return (await requests.place(order)).tasks[0]


def limit(micros: int, scope: Scope = Scope.MEMBER, subject: str = "") -> Limit:
    return Limit(scope, Period.DAY, micros, subject)


async def test_dearest_offer_is_held_and_the_cheapest_gets_it(world: World, requests: Requests) -> None:
    task = await placed(requests)
    assert (task.provider, task.list_micros, task.price_micros) == (KEYED, 200_000, 280_000)
    assert await world.booked(task) == [("hold", 280_000, 0)]


async def test_resting_provider_is_neither_asked_nor_held_for(world: World, requests: Requests) -> None:
    world.router.failed(KEYED, CLOSED)
    world.router.failed(UNKEYED, CLOSED)
    task = await placed(requests)
    assert (task.provider, task.list_micros, task.price_micros) == (LOOKED_UP, 240_000, 240_000)


@pytest.mark.parametrize(
    ("room", "price"), [(280_000, 280_000), (279_999, 240_000), (239_999, 200_000), (200_000, 200_000)]
)
async def test_less_is_held_where_a_limit_leaves_no_room(
    room: int, price: int, world: World, requests: Requests
) -> None:
    await world.limited(limit(room))
    task = await placed(requests)
    assert (task.provider, task.list_micros, task.price_micros) == (KEYED, 200_000, price)


async def test_clips_of_one_command_hold_the_same(world: World, requests: Requests) -> None:
    await world.limited(limit(4 * 240_000))
    tasks = (await requests.place(replace(ORDER, count=4))).tasks
    assert {task.price_micros for task in tasks} == {240_000}


async def test_offer_above_a_tight_hold_is_not_used_later(world: World, requests: Requests) -> None:
    await world.limited(limit(250_000))
    for provider in (world.keyed, world.looked_up):
        provider.submit_answers.append(ProviderBusy("429"))
    task = await placed(requests)
    await world.turn(20)
    await world.turns(3, 0)
    assert (len(world.looked_up.submits), world.unkeyed.submits) == (1, [])
    assert await world.state(task) is TaskState.HELD


async def test_limit_without_room_for_the_cheapest_refuses_with_its_price(
    world: World, requests: Requests
) -> None:
    await world.limited(limit(199_999))
    with pytest.raises(OverLimit, match=r"That costs \$0\.20, and your limit for one day over all servers"):
        await requests.place(ORDER)
    assert world.rows("SELECT * FROM ledger") == []


async def test_provider_beyond_its_budget_leaves_the_command_to_the_next(
    world: World, requests: Requests
) -> None:
    await world.limited(limit(0, Scope.PROVIDER, KEYED))
    task = await placed(requests)
    assert (task.provider, task.list_micros, task.price_micros) == (LOOKED_UP, 240_000, 280_000)


async def test_budget_that_only_the_hold_would_pass_gives_the_cheapest_less(
    world: World, requests: Requests
) -> None:
    await world.limited(limit(210_000, Scope.PROVIDER, KEYED))
    task = await placed(requests)
    assert (task.provider, task.price_micros) == (KEYED, 200_000)


async def test_all_providers_beyond_their_budgets_refuse(world: World, requests: Requests) -> None:
    await world.limited(limit(0, Scope.PROVIDER))
    with pytest.raises(OverLimit, match="the operator's budget for this provider"):
        await requests.place(ORDER)
    assert world.rows("SELECT * FROM tasks") == []


@pytest.mark.parametrize(
    ("subject", "refused"), [("", OverLimit), (KEYED, PictureRefused)], ids=["all full", "one full"]
)
async def test_picture_is_fetched_only_where_somebody_has_room(
    subject: str, refused: type[Refusal], world: World, requests: Requests
) -> None:
    await world.limited(limit(0, Scope.PROVIDER, subject))
    nowhere = Attachment("a.png", "http://127.0.0.1:1/a.png", 100)
    with pytest.raises(refused) as caught:
        await requests.place(replace(ORDER, mode=Mode.IMAGE, attachments=(nowhere,)))
    assert type(caught.value) is refused


async def test_command_is_refused_with_every_reason_where_all_rest(world: World, requests: Requests) -> None:
    for name in PRICES:
        world.router.failed(name, CLOSED)
    with pytest.raises(Refusal) as caught:
        await requests.place(ORDER)
    said = str(caught.value)
    assert all(f"{label}: {CLOSED}" in said for label in ("MindVideo", "GMI Cloud", "Novita"))
    assert (world.rows("SELECT * FROM tasks"), world.rows("SELECT * FROM ledger")) == ([], [])


async def test_command_is_taken_again_once_a_rest_is_over(world: World, requests: Requests) -> None:
    for name in PRICES:
        world.router.failed(name, CLOSED)
    world.clock.advance(900)
    assert (await placed(requests)).provider == KEYED


async def test_picture_must_fit_every_provider_that_may_get_it(world: World) -> None:
    rules = world.catalog.providers[UNKEYED]
    image = rules.image.model_copy(update={"max_bytes": 1_000_000})
    providers = world.catalog.providers | {UNKEYED: rules.model_copy(update={"image": image})}
    world.catalog = world.catalog.model_copy(update={"providers": providers})
    big = Attachment("a.png", "https://cdn.example/a.png", 1_000_001)
    async with Downloads() as downloads:
        with pytest.raises(PictureRefused, match="at most 1 MB"):
            await placed(
                requests_of(world, downloads, *PRICES), replace(ORDER, mode=Mode.IMAGE, attachments=(big,))
            )
