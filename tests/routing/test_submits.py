"""A paid call that goes wrong in every way: at most one job, one charge, and the member knows where it stands."""

import pytest

from bot.domain.errors import JobRejected
from bot.domain.task import TaskState
from tests.providers.cases import Case
from tests.providers.standin import LOST, REFUSALS, Fault, always, once, says
from tests.routing.bench import DEADLINE, Bench
from tests.routing.conftest import Open

#: Those that only a deadline ends, which then is so many seconds.
_ENDLESS = 0.3


def deadline_for(fault: Fault | None) -> float:
    return _ENDLESS if fault is None or fault.every else 5.0


@pytest.mark.parametrize("fault", LOST, ids=lambda fault: repr(fault)[:60])
async def test_an_answer_lost_after_the_job_exists_costs_once(
    fault: Fault | None, name: str, case: Case, open_one: Open, quick_probe: None
) -> None:
    bench = await open_one(name, deadline=deadline_for(fault))
    bench.standins[name].after = once(fault)
    task = await bench.made(case.text)
    if bench.providers[name].recovers:
        await bench.is_delivered(task)
    else:
        await bench.is_parked(task, jobs=1)
        assert len(bench.standins[name].sent("POST")) == 1


@pytest.mark.parametrize("fault", LOST, ids=lambda fault: repr(fault)[:60])
async def test_an_answer_lost_before_the_job_exists_makes_one_job_or_none(
    fault: Fault | None, name: str, case: Case, open_one: Open, quick_probe: None
) -> None:
    bench = await open_one(name, deadline=deadline_for(fault))
    bench.standins[name].before = once(fault)
    task = await bench.made(case.text)
    provider = bench.providers[name]
    if task.state is TaskState.SUBMITTING:
        # It can only look for the job, and not finding it proves nothing.
        assert (provider.recovers, case.keyed, bench.jobs()) == (True, False, {})
        assert "Being handed to" in bench.shown(task)
        await bench.turn(DEADLINE)
        await bench.is_parked(task, jobs=0)
    elif provider.recovers:
        await bench.is_delivered(task)
    else:
        await bench.is_parked(task, jobs=0)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_answers_lost_for_an_hour_cost_once(when: str, name: str, case: Case, bench: Bench) -> None:
    """Every request of an hour is answered 500, whatever it did; then all is well again."""
    standin = bench.standins[name]
    task = await bench.ask(case.text)
    setattr(standin, when, always(Fault(500), None))
    for _ in range(20):
        await bench.turn(200)
    setattr(standin, when, None)
    made = sum(map(len, bench.jobs().values()))
    assert made <= 1
    await bench.is_parked(task, jobs=made)
    for _ in range(3):
        await bench.turn(DEADLINE)
    await bench.is_parked(task, jobs=made)


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "3"}, {"Retry-After": "60"}])
async def test_429_only_costs_time(headers: dict[str, str], name: str, case: Case, bench: Bench) -> None:
    bench.standins[name].before = once(Fault(429, b"", headers))
    await bench.is_delivered(await bench.made(case.text))


async def test_429_for_long_is_shown_and_waited_for(name: str, case: Case, bench: Bench) -> None:
    standin = bench.standins[name]
    standin.before = always(Fault(429, b"", {"Retry-After": "100"}), "POST")
    task = await bench.ask(case.text)
    await bench.turn()
    assert (await bench.read(task)).state is TaskState.HELD
    assert "takes no more jobs just now; it is asked again by itself" in bench.shown(await bench.read(task))
    asked = len(standin.requests)
    for _ in range(4):
        await bench.turn(20)
    assert len(standin.requests) == asked
    standin.before = None
    await bench.is_delivered(await bench.until_rest(task))


@pytest.mark.parametrize(("status", "error"), REFUSALS)
async def test_a_definite_refusal_gives_the_hold_back(
    status: int, error: type[Exception], name: str, case: Case, bench: Bench
) -> None:
    bench.standins[name].before = once(says({"message": "no", "error": "no"}, status))
    task = await bench.made(case.text)
    await bench.is_given_back(task, f"({status}: no)")
    assert len(bench.standins[name].sent("POST")) == 1
    # A refused wish says nothing of the next; a refused key does, and the operator is told once.
    assert len(bench.told) == (0 if error is JobRejected else 1)


async def test_a_wish_refused_for_its_content_is_told_as_such(name: str, case: Case, bench: Bench) -> None:
    bench.refusals_expected = True
    task = await bench.made(case.text, prompt="a forbidden boat")
    await bench.is_given_back(task, "The content was refused: ")


async def test_a_provider_that_cannot_be_reached_is_asked_again_and_then_given_up(
    name: str, case: Case, bench: Bench
) -> None:
    """No connection was ever made, so nothing was ever accepted."""
    bench.providers[name]._wire._base = "http://127.0.0.1:1"
    task = await bench.ask(case.text)
    await bench.turn()
    assert (await bench.read(task)).state is TaskState.HELD
    for _ in range(4):
        await bench.turn(DEADLINE)
    await bench.is_given_back(task, "cannot be reached")
