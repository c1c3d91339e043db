"""A webhook only makes a status read due: what it says is not believed, and nobody but the right caller is heard."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from bot import web
from bot.domain.task import Task, TaskState
from bot.services.hooks import Hooks
from tests.patient import Patient
from tests.providers.cases import Case
from tests.providers.novita_standin import NovitaStandIn
from tests.routing.bench import DEADLINE, Bench
from tests.routing.conftest import Open

HOOKS = Hooks("https://bot.example", b"a secret")
#: Those whose own pages name a field for it. Novita's pages of these models do not: it has a switch.
CALLED = {"runware", "minimax"}


@pytest.fixture
async def bench(open_one: Open, name: str, quick_probe: None) -> Bench:
    return await open_one(name, hooks=HOOKS)


@pytest.fixture
async def outside(bench: Bench, tmp_path: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Whoever can reach the listener."""
    async with (
        web.listening(0, tmp_path, HOOKS, bench.engine.hint, health=Patient().health) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        yield client


def path_of(task: Task) -> str:
    return HOOKS.address(task.id).removeprefix("https://bot.example")


#: What each would push, and more: all of it wrong.
LIES: list[Any] = [
    {},
    [],
    {"task_id": "17", "status": "success", "file_id": "18"},
    {"data": [{"taskType": "videoInference", "status": "success", "videoURL": "https://evil.example/a.mp4"}]},
    {
        "event_type": "ASYNC_TASK_RESULT",
        "payload": {
            "task": {"status": "TASK_STATUS_SUCCEED"},
            "videos": [{"video_url": "https://evil.example/a.mp4"}],
        },
    },
    {"status": "failed", "errors": [{"code": "inferenceError", "message": "it failed"}], "cost": 100},
]


# ------------------------------------------------------------------- addresses


async def test_the_address_goes_to_those_that_have_a_field_for_it(
    name: str, case: Case, bench: Bench
) -> None:
    task = await bench.made(case.text)
    await bench.is_delivered(task)
    (submit, *_) = bench.standins[name].sent("POST")
    assert submit.body.count(HOOKS.address(task.id).encode()) == (name in CALLED)
    assert submit.body.count(b"bot.example") == (name in CALLED)


async def test_novita_is_told_the_address_by_its_switch(open_one: Open, quick_probe: None) -> None:
    bench = await open_one("novita", hooks=HOOKS)
    standin = bench.standins["novita"]
    assert isinstance(standin, NovitaStandIn)
    standin.webhooks = True
    bench.providers["novita"]._webhooks = True  # type: ignore[attr-defined]
    task = await bench.made("hailuo-02/6/768p")
    await bench.is_delivered(task)
    (submit,) = standin.sent("POST")
    assert submit.body.count(HOOKS.address(task.id).encode()) == 1


async def test_without_a_public_address_none_is_sent(
    name: str, case: Case, open_one: Open, quick_probe: None
) -> None:
    bench = await open_one(name)
    await bench.is_delivered(await bench.made(case.text))
    assert all(b"/hooks/" not in request.body for request in bench.standins[name].requests)


# ------------------------------------------------------------------------ hints


async def test_a_call_makes_the_status_of_exactly_that_task_read_now(
    name: str, case: Case, bench: Bench, outside: httpx.AsyncClient
) -> None:
    other, other_job = await bench.accepted(case.text)
    task, job_id = await bench.accepted(case.text)
    await bench.turn(1)
    standin = bench.standins[name]
    before = {job: standin.jobs[job].reads for job in (job_id, other_job)}
    standin.finish(job_id)
    await bench.turn(0)
    assert standin.jobs[job_id].reads == before[job_id]
    assert (await outside.post(path_of(task), json={"status": "processing"})).status_code == 204
    await bench.turn(0)
    await bench.turn(0)
    assert (await bench.read(task)).state is TaskState.DELIVERED
    assert (await bench.read(other)).state in {TaskState.QUEUED, TaskState.PROCESSING}
    assert standin.jobs[other_job].reads == before[other_job]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: repr(lie)[:40])
async def test_nothing_that_a_call_says_is_believed(
    lie: Any, name: str, case: Case, bench: Bench, outside: httpx.AsyncClient
) -> None:
    task, job_id = await bench.accepted(case.text)
    for _ in range(3):
        assert (await outside.post(path_of(task), json=lie)).status_code == 204
        await bench.turn(0.1)
    task = await bench.read(task)
    assert (task.state in {TaskState.QUEUED, TaskState.PROCESSING}, task.job_id) == (True, job_id)
    assert task.clip_url is None
    assert await bench.booked(task) == [("hold", task.price_micros, 0)]
    bench.standins[name].finish(job_id)
    await bench.is_delivered(await bench.until_rest(task))


async def test_calls_before_and_after_the_life_of_a_job_do_nothing(
    name: str, case: Case, bench: Bench, outside: httpx.AsyncClient
) -> None:
    task = await bench.ask(case.text)
    before = await bench.read(task)
    assert (await outside.post(path_of(task))).status_code == 204
    assert await bench.read(task) == before
    task = await bench.until_rest(task)
    asked = len(bench.standins[name].requests)
    for _ in range(3):
        assert (await outside.post(path_of(task))).status_code == 204
        await bench.turn()
    assert len(bench.standins[name].requests) == asked
    await bench.is_delivered(task)


async def test_a_call_wakes_a_parked_task(
    name: str, case: Case, bench: Bench, outside: httpx.AsyncClient
) -> None:
    task, job_id = await bench.accepted(case.text)
    for _ in range(2):
        await bench.turn(DEADLINE + 1)
    assert (await bench.read(task)).state is TaskState.PARKED
    bench.standins[name].finish(job_id)
    await bench.turn(1)
    assert (await bench.read(task)).state is TaskState.PARKED
    await outside.post(path_of(task))
    await bench.is_delivered(await bench.until_rest(task, turns=2))


async def test_a_challenge_reads_nothing(
    name: str, case: Case, bench: Bench, outside: httpx.AsyncClient
) -> None:
    task, job_id = await bench.accepted(case.text)
    await bench.turn(1)
    reads = bench.standins[name].jobs[job_id].reads
    answer = await outside.post(path_of(task), json={"challenge": "a1b2"})
    assert (answer.status_code, answer.json()) == (200, {"challenge": "a1b2"})
    await bench.turn(0)
    assert bench.standins[name].jobs[job_id].reads == reads
