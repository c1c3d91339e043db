"""Several providers at once: the cheapest gets the job, the next only what the first certainly did not take."""

import json

import pytest

from bot.domain.catalog import Catalog
from bot.domain.limits import Limit, Period, Scope
from bot.domain.money import parse_dollars
from bot.domain.task import Task, TaskState
from tests.providers.cases import CASES
from tests.providers.standin import Fault, always, once, says
from tests.routing.bench import CATALOG, Bench
from tests.routing.conftest import Open
from tests.routing.test_reads import TELLS_COST
from tests.routing.test_submits import deadline_for

FORMAT = "hailuo-02/10/768p"
#: Of the first, the second and the third.
PRICES = ("0.40", "0.50", "0.56")
CHEAP, MIDDLE, DEAR = map(parse_dollars, PRICES)
#: How each says that it is not paid, where that is not the HTTP code 402.
_NO_BALANCE = {
    "novita": says({"code": 400, "reason": "BILLING_BALANCE_NOT_ENOUGH", "message": "top up"}, 400),
    "runware": says({"errors": [{"code": "insufficientCredits", "message": "top up"}]}, 400),
    "minimax": says({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}),
}
_LIMITED = Limit(Scope.MEMBER, Period.DAY, MIDDLE)


def three(first: str) -> list[str]:
    """A provider and the two behind it in the table, cheapest first."""
    names = [*CASES, *CASES]
    return names[names.index(first) :][:3]


def priced(names: list[str]) -> Catalog:
    """The built-in catalog, but with our prices for one format of three providers."""
    prices = dict(zip(names, PRICES, strict=True))
    offers = [
        offer.model_copy(update={"price": prices[offer.provider]})
        if offer.provider in prices and offer.format.id == FORMAT
        else offer
        for offer in CATALOG.offers
    ]
    return Catalog(**{**dict(CATALOG), "offers": offers})


async def open_three(open_one: Open, name: str, **more: object) -> tuple[Bench, list[str]]:
    names = three(name)
    # The operator names the dearest first: a price counts more than an order.
    return await open_one(*reversed(names), catalog=priced(names), **more), names


async def is_made_by(bench: Bench, task: Task, name: str) -> None:
    """At its own price, or at the cost that it tells."""
    task = await bench.read(task)
    assert task.list_micros == [CHEAP, MIDDLE, DEAR][three_of(bench).index(name)]
    cost = bench.charged() if name in TELLS_COST else task.list_micros
    await bench.is_delivered(task, by=name, cost=cost)


def three_of(bench: Bench) -> list[str]:
    return list(reversed(bench.standins))


def asked(bench: Bench) -> list[str]:
    """Who was asked for anything at all, cheapest first."""
    return [name for name in three_of(bench) if bench.standins[name].requests]


def fault_of(kind: str, name: str) -> Fault:
    match kind:
        case "no balance":
            return _NO_BALANCE.get(name, says({"message": "top up"}, 402))
        case "429":
            return Fault(429)
        case "429 for long":
            return Fault(429, b"", {"Retry-After": "60"})
    return says({"message": "no"}, int(kind))


async def test_the_cheapest_gets_the_job_and_the_dearest_is_held(
    name: str, open_one: Open, quick_probe: None
) -> None:
    bench, (first, *_) = await open_three(open_one, name)
    task = await bench.ask(FORMAT)
    assert (task.provider, task.price_micros, task.list_micros) == (first, DEAR, CHEAP)
    await bench.until_rest(task)
    await is_made_by(bench, task, first)
    assert asked(bench) == [first]


@pytest.mark.parametrize(
    "kind", ["401", "402", "403", "no balance", "429", "429 for long", "400", "404", "unreachable"]
)
async def test_what_the_first_did_not_take_the_second_makes_at_its_own_price(
    kind: str, name: str, open_one: Open, quick_probe: None
) -> None:
    bench, (first, second, _) = await open_three(open_one, name)
    if kind == "unreachable":
        bench.providers[first]._wire._base = "http://127.0.0.1:1"
    else:
        bench.standins[first].before = always(fault_of(kind, first), "POST")
    task = await bench.until_rest(await bench.ask(FORMAT))
    await is_made_by(bench, task, second)
    assert asked(bench) == ([second] if kind == "unreachable" else [first, second])
    notes = [event.note for event in await bench.tasks.events(task.id)]
    assert sum(note.startswith(f"goes to {second}: ") for note in notes) == 1


@pytest.mark.parametrize("kind", ["401", "no balance"])
async def test_a_closed_provider_rests_and_the_operator_is_told_once(
    kind: str, name: str, open_one: Open, quick_probe: None
) -> None:
    bench, (first, second, _) = await open_three(open_one, name)
    bench.standins[first].before = always(fault_of(kind, first), "POST")
    await bench.made(FORMAT)
    submits = len(bench.standins[first].requests)
    task = await bench.made(FORMAT)
    assert (task.provider, task.price_micros, task.list_micros) == (second, DEAR, MIDDLE)
    assert len(bench.standins[first].requests) == submits
    assert len(bench.told) == 1
    assert bench.told[0].startswith(f"{first} gets no new jobs for at least 15 min")
    assert list(map(len, bench.jobs().values())) == [2]


async def test_content_refused_by_one_is_shown_to_no_other(
    name: str, open_one: Open, quick_probe: None
) -> None:
    bench, (first, *_) = await open_three(open_one, name)
    bench.refusals_expected = True
    task = await bench.made(FORMAT, prompt="a forbidden boat")
    await bench.is_given_back(task, "The content was refused: ")
    assert asked(bench) == [first]


async def test_nobody_dearer_than_the_hold_is_asked(name: str, open_one: Open, quick_probe: None) -> None:
    bench, (first, second, _) = await open_three(open_one, name, limits=[_LIMITED])
    for one in (first, second):
        bench.standins[one].before = always(fault_of("402", one), "POST")
    task = await bench.ask(FORMAT)
    assert (task.provider, task.price_micros) == (first, MIDDLE)
    task = await bench.until_rest(task)
    await bench.is_given_back(task, "(402: ")
    assert asked(bench) == [first, second]


async def test_where_nobody_takes_it_the_hold_is_given_back(
    name: str, open_one: Open, quick_probe: None
) -> None:
    bench, names = await open_three(open_one, name)
    for one in names:
        bench.standins[one].before = always(fault_of("no balance", one), "POST")
    task = await bench.made(FORMAT)
    await bench.is_given_back(task, CATALOG.providers[names[2]].label)
    assert asked(bench) == names


async def test_where_all_are_busy_it_waits_and_is_made_once(
    name: str, open_one: Open, quick_probe: None
) -> None:
    bench, names = await open_three(open_one, name)
    for one in names:
        bench.standins[one].before = always(fault_of("429 for long", one), "POST")
    task = await bench.ask(FORMAT)
    shown = set()
    for _ in range(12):
        await bench.turn()
        shown.add(bench.shown(await bench.read(task)))
    assert ((await bench.read(task)).state, bench.jobs(), asked(bench)) == (TaskState.HELD, {}, names)
    assert all("$0.56 is held; cancelling is free." in text for text in shown)
    assert any("it is asked again by itself." in text for text in shown)
    # Each says that it wants to be left alone for a minute.
    assert max(len(bench.standins[one].requests) for one in names) <= 12 * 20 / 60 + 1
    for one in names:
        bench.standins[one].before = None
    await bench.turn(100)
    task = await bench.until_rest(task)
    await is_made_by(bench, task, task.provider)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("fault", [Fault(500), Fault(drop=True), None], ids=repr)
async def test_nobody_else_gets_a_job_whose_answer_was_lost(
    fault: Fault | None, when: str, name: str, open_one: Open, quick_probe: None
) -> None:
    bench, (first, *_) = await open_three(open_one, name, deadline=deadline_for(fault))
    setattr(bench.standins[first], when, once(fault))
    task = await bench.made(FORMAT)
    assert asked(bench) == [first]
    if task.state is TaskState.DELIVERED:
        await is_made_by(bench, task, first)
    else:
        assert bench.providers[first].recovers == (task.state is TaskState.SUBMITTING)
        assert await bench.booked(task) == [("hold", DEAR, 0)]
        assert sum(map(len, bench.jobs().values())) == (when == "after")


async def test_a_failed_job_is_given_to_nobody_else(name: str, open_one: Open, quick_probe: None) -> None:
    bench, (first, *_) = await open_three(open_one, name)
    task, job_id = await bench.accepted(FORMAT)
    bench.standins[first].fail(job_id, "out of whales")
    await bench.until_rest(task)
    await bench.is_given_back(task, "out of whales", jobs=1)
    assert asked(bench) == [first]


async def test_the_next_provider_gets_a_wish_of_its_own(name: str, open_one: Open, quick_probe: None) -> None:
    """The bytes kept for the first are not sent to the second, nor does a key of one reach the other."""
    bench, (first, second, _) = await open_three(open_one, name)
    bench.standins[first].before = always(fault_of("402", first), "POST")
    await bench.made(FORMAT)
    bodies = [json.loads(bench.standins[one].sent("POST")[0].body) for one in (first, second)]
    assert bodies[0] != bodies[1]
    keys = [bench.standins[one].key for one in (first, second)]
    for one, foreign in ((first, keys[1]), (second, keys[0])):
        assert foreign not in "".join(str(request) for request in bench.standins[one].requests)
