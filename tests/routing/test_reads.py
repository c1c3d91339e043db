"""A job that was accepted: whatever is said of it, it is paid once and its clip comes, or the hold is given back."""

import inspect
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from aiohttp import web

from bot.domain.money import micros_of
from bot.domain.task import FINAL, TaskState
from tests.providers.cases import CASES, Case
from tests.providers.runware_standin import RunwareStandIn
from tests.providers.standin import UNREAD, Fault, StandIn, always, once
from tests.routing.bench import DEADLINE, Bench
from tests.routing.conftest import Open
from tests.routing.test_submits import deadline_for

#: Stand-ins that tell what a clip cost.
TELLS_COST = [
    name
    for name, case in CASES.items()
    if "cost" in inspect.signature(getattr(case.standin, "finish", StandIn.finish)).parameters
]

Change = Callable[[Any], Any]


def change_answers(standin: StandIn, change: Change) -> Callable[[], None]:
    """Send other JSON than what the stand-in says, until the answer of this is called."""
    right = standin._answer

    def changed(request: web.Request, path: str, body: bytes) -> web.Response:
        answer = right(request, path, body)
        assert isinstance(answer.body, bytes)
        return web.json_response(change(json.loads(answer.body)), status=answer.status)

    def heal() -> None:
        standin._answer = right  # type: ignore[method-assign]

    standin._answer = changed  # type: ignore[method-assign]
    return heal


def without_costs(view: Any) -> Any:
    if isinstance(view, dict):
        return {key: without_costs(value) for key, value in view.items() if not key.startswith("cost")}
    return [without_costs(entry) for entry in view] if isinstance(view, list) else view


# ---------------------------------------------------------------- lost and late


@pytest.mark.parametrize("fault", UNREAD, ids=lambda fault: repr(fault)[:60])
async def test_a_lost_read_changes_nothing(
    fault: Fault | None, name: str, case: Case, open_one: Open, quick_probe: None
) -> None:
    bench = await open_one(name, deadline=deadline_for(fault))
    task = await bench.ask(case.text)
    await bench.turn()
    bench.standins[name].before = once(fault, case.reads)
    await bench.is_delivered(await bench.until_rest(task))


async def test_a_job_that_never_ends_is_parked_and_its_late_clip_delivered(
    name: str, case: Case, bench: Bench
) -> None:
    task, job_id = await bench.accepted(case.text)
    for _ in range(5):
        await bench.turn(DEADLINE / 4)
    await bench.is_parked(task, jobs=1, said="No result after 60 minutes")
    for _ in range(5):
        await bench.turn(DEADLINE)
    await bench.is_parked(task, jobs=1, said="No result after 60 minutes")
    bench.standins[name].finish(job_id)
    await bench.turn(400)
    await bench.is_delivered(await bench.until_rest(task, turns=3))


async def test_a_provider_that_is_dumb_for_hours_is_outwaited(name: str, case: Case, bench: Bench) -> None:
    task, job_id = await bench.accepted(case.text)
    standin = bench.standins[name]
    standin.finish(job_id)
    standin.before = always(Fault(502, b"<html>"), None)
    for _ in range(12):
        await bench.turn(DEADLINE / 4)
    await bench.is_parked(task, jobs=1, said="gave no usable answer (status 502)")
    standin.before = None
    await bench.turn(400)
    await bench.is_delivered(await bench.until_rest(task, turns=3))


async def test_a_job_that_its_provider_has_forgotten_is_parked_not_failed(
    name: str, case: Case, bench: Bench
) -> None:
    task, job_id = await bench.accepted(case.text)
    standin = bench.standins[name]
    job = standin.jobs.pop(job_id)
    for _ in range(8):
        await bench.turn(DEADLINE / 4)
    standin.jobs[job_id] = job
    await bench.is_parked(task, jobs=1, said="does not know this job")


async def test_a_status_nobody_knows_is_no_end(name: str, case: Case, bench: Bench) -> None:
    task, job_id = await bench.accepted(case.text)
    bench.standins[name].advance(job_id, "dreaming")
    for _ in range(3):
        await bench.turn()
    assert (await bench.read(task)).state in {TaskState.QUEUED, TaskState.PROCESSING}
    bench.standins[name].finish(job_id)
    await bench.is_delivered(await bench.until_rest(task))


# ------------------------------------------------------------------------ ends


@pytest.mark.parametrize(
    ("reason", "said"),
    [("out of whales", "Out of whales"), ("content policy violation", "The content was refused: ")],
)
async def test_a_failed_job_gives_the_hold_back(
    reason: str, said: str, name: str, case: Case, bench: Bench
) -> None:
    task, job_id = await bench.accepted(case.text)
    bench.standins[name].fail(job_id, reason)
    await bench.until_rest(task)
    await bench.is_given_back(task, reason, jobs=1)
    assert said.lower() in bench.shown(await bench.read(task)).lower()


async def test_a_failed_job_that_was_charged_costs_the_member_nothing(
    name: str, case: Case, bench: Bench
) -> None:
    task, job_id = await bench.accepted(case.text)
    bench.standins[name].fail(job_id, "out of whales", cost=Decimal("0.10"))
    await bench.until_rest(task)
    await bench.is_given_back(task, "out of whales", jobs=1, charged=100_000)


async def test_a_cancelled_job_gives_the_hold_back_where_its_provider_knows_the_word(
    name: str, case: Case, bench: Bench
) -> None:
    task, job_id = await bench.accepted(case.text)
    standin = bench.standins[name]
    if isinstance(standin, RunwareStandIn):
        standin.fail(job_id, "somebody did", code="taskCancelled")
    else:
        standin.advance(job_id, "cancelled")
        standin.charges[job_id] = Decimal(0)
    knows = (await bench.providers[name].status(job_id)).state is TaskState.CANCELLED
    assert knows == (name not in {"novita", "minimax"})
    task = await bench.until_rest(task)
    if knows:
        await bench.is_given_back(task, f"Cancelled by {name}", state=TaskState.CANCELLED, jobs=1)
    else:
        assert task.state not in FINAL


# ------------------------------------------------------------------------ cost


@pytest.mark.parametrize("cost", ["0.01", "0.9", "0.123457", "0"])
@pytest.mark.parametrize("name", TELLS_COST)
async def test_the_cost_that_is_told_is_booked_in_full(
    cost: str, name: str, case: Case, bench: Bench
) -> None:
    task, job_id = await bench.accepted(case.text)
    bench.standins[name].finish(job_id, cost=Decimal(cost))  # type: ignore[call-arg]
    await bench.until_rest(task)
    await bench.is_delivered(task, cost=micros_of(Decimal(cost)))
    notes = [event.note for event in await bench.tasks.events(task.id)]
    assert any("above the" in note for note in notes) == (micros_of(Decimal(cost)) > task.price_micros)


async def test_without_a_cost_the_list_price_is_booked(name: str, case: Case, bench: Bench) -> None:
    task, job_id = await bench.accepted(case.text)
    change_answers(bench.standins[name], without_costs)
    bench.standins[name].finish(job_id)
    await bench.until_rest(task)
    await bench.is_delivered(task, cost=task.list_micros)


@pytest.mark.parametrize("cost", ["free", -1, [0.1], {}, True, "NaN", 1e9, None], ids=repr)
@pytest.mark.parametrize("name", TELLS_COST)
async def test_a_cost_that_is_none_counts_as_absent(cost: Any, name: str, case: Case, bench: Bench) -> None:
    def told(view: Any) -> Any:
        if isinstance(view, list):
            return [told(entry) for entry in view]
        if not isinstance(view, dict):
            return view
        return {key: cost if key.startswith("cost") else told(value) for key, value in view.items()}

    task, job_id = await bench.accepted(case.text)
    change_answers(bench.standins[name], told)
    bench.standins[name].finish(job_id)
    await bench.until_rest(task)
    await bench.is_delivered(task, cost=task.list_micros)


# ------------------------------------------------------- fields more, less, odd


def wider(view: Any) -> Any:
    """With fields that nobody knows, on every level."""
    if isinstance(view, dict):
        return {
            "zz": {"status": "failed"},
            **{key: wider(value) for key, value in view.items()},
            "zy": [None],
        }
    return [wider(entry) for entry in view] if isinstance(view, list) else view


async def test_unknown_fields_change_nothing(name: str, case: Case, bench: Bench) -> None:
    change_answers(bench.standins[name], wider)
    await bench.is_delivered(await bench.made(case.text))


async def places_of_answers(bench: Bench, name: str, case: Case) -> list[tuple[str | int, ...]]:
    """The way to every field that is said of a finished job."""
    found: dict[tuple[str | int, ...], None] = {}

    def noted(view: Any) -> Any:
        found.update(dict.fromkeys(places(view)))
        return view

    task, job_id = await bench.accepted(case.text)
    bench.standins[name].finish(job_id)
    heal = change_answers(bench.standins[name], noted)
    await bench.until_rest(task)
    heal()
    return list(found)


def places(view: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every field, also of objects in lists."""
    if isinstance(view, dict | list):
        for key, value in view.items() if isinstance(view, dict) else enumerate(view):
            yield (*at, key)
            yield from places(value, (*at, key))


def put(view: Any, at: tuple[str | int, ...], odd: Any) -> Any:
    """A copy with something odd in one place, if it has that place; with `...` the field is missing."""
    key, *rest = at
    if isinstance(view, dict) and key in view:
        changed = put(view[key], tuple(rest), odd) if rest else odd
        kept = {**view, key: changed}
        return {name: value for name, value in kept.items() if value is not ...}
    if isinstance(view, list) and isinstance(key, int) and key < len(view):
        changed = put(view[key], tuple(rest), odd) if rest else odd
        return [entry for entry in [*view[:key], changed, *view[key + 1 :]] if entry is not ...]
    return view


@pytest.mark.parametrize(
    "odd", [..., None, True, "", "odd" * 2000, [], {"odd": [None]}], ids=lambda odd: repr(odd)[:8]
)
async def test_any_field_that_is_missing_or_odd_for_a_while_costs_only_time(
    odd: Any, name: str, case: Case, bench: Bench
) -> None:
    """Each field of the answers to a finished job, one after the other; then the answers are right again."""
    standin = bench.standins[name]
    bench.refusals_expected = True  # MiniMax is asked for an odd file
    for at in await places_of_answers(bench, name, case):
        before = bench.charged()
        task, job_id = await bench.accepted(case.text)
        standin.finish(job_id)
        heal = change_answers(standin, partial(put, at=at, odd=odd))
        for _ in range(3):
            await bench.turn()
        heal()
        task = await bench.until_rest(task)
        assert task.state is TaskState.DELIVERED, (at, task.problem)
        paid = bench.charged() - before
        assert await bench.booked(task) == [
            ("hold", task.price_micros, 0),
            ("settle", -task.price_micros, paid),
        ], at


# ----------------------------------------------------------------- expired links


async def test_an_expired_link_is_asked_for_again(name: str, case: Case, bench: Bench) -> None:
    standin = bench.standins[name]
    faults = [Fault(403), Fault(410)]

    async def expired(request: web.Request) -> Fault | None:
        return faults.pop() if request.path.startswith("/clips/") and faults else None

    task, job_id = await bench.accepted(case.text)
    standin.finish(job_id)
    reads = standin.jobs[job_id].reads
    standin.before = expired
    await bench.is_delivered(await bench.until_rest(task))
    assert (faults, standin.jobs[job_id].reads - reads) == ([], 2)


async def test_a_page_in_place_of_the_clip_is_not_posted(name: str, case: Case, bench: Bench) -> None:
    standin = bench.standins[name]
    task, job_id = await bench.accepted(case.text)
    standin.finish(job_id, clip=b"<html>sorry</html>")
    task = await bench.until_rest(task, turns=5)
    assert (task.state, bench.announcer.clips) == (TaskState.SUCCEEDED, {})
    assert "posting it did not work yet and is tried again by itself" in bench.shown(task)
    standin.clips[job_id] = standin.clip
    await bench.turn(1000)
    await bench.is_delivered(task)
