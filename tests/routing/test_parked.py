"""What the operator decides of a task whose answer was lost: the engine goes on from there."""

import pytest

from bot import control
from bot.domain.task import Task
from bot.services.parked import Parked
from tests.providers.cases import CASES
from tests.providers.standin import Fault, always
from tests.routing.bench import DEADLINE, Bench


async def parked(bench: Bench, name: str) -> Task:
    """A job was made and charged, and nobody told us."""
    standin = bench.standins[name]
    standin.after = always(Fault(drop=True), None)
    task = await bench.ask(CASES[name].text)
    await bench.turn()
    await bench.turn(DEADLINE + 1)
    standin.after = None
    await bench.is_parked(task, jobs=1)
    return task


async def asked(bench: Bench, **request: str) -> control.Answer:
    desk = Parked(bench.tasks, bench.files, bench.clock, bench.announcer.changed)
    return await control.answer(desk, request)


async def test_an_attached_job_is_read_and_its_clip_delivered(bench: Bench, name: str) -> None:
    task = await parked(bench, name)
    (job_id,) = bench.standins[name].jobs
    await asked(bench, do="attach", task=task.id, job=job_id, reason="seen in the dashboard")
    # It was made long ago: one look is enough, and a second step to post it.
    bench.standins[name].finish(job_id)
    for _ in range(2):
        await bench.turn(0)
    await bench.is_delivered(task)


async def test_an_attached_job_that_does_not_exist_can_still_be_decided(bench: Bench, name: str) -> None:
    task = await parked(bench, name)
    await asked(bench, do="attach", task=task.id, job=CASES[name].nobody, reason="a slip of the pen")
    for _ in range(3):
        await bench.turn(400)
    await bench.is_parked(task, jobs=1, said="does not know this job")
    await asked(bench, do="release", task=task.id, reason="never mind")
    task = await bench.read(task)
    assert await bench.booked(task) == [("hold", task.price_micros, 0), ("release", -task.price_micros, 0)]


async def test_a_wrong_job_that_was_looked_for_in_vain_gives_way_to_the_right_one(
    bench: Bench, name: str
) -> None:
    task = await parked(bench, name)
    await asked(bench, do="attach", task=task.id, job=CASES[name].nobody, reason="a slip of the pen")
    await bench.turn(400)
    (job_id,) = bench.standins[name].jobs
    said = await asked(bench, do="attach", task=task.id, job=job_id, reason="read again")
    assert "refused" not in said
    bench.standins[name].finish(job_id)
    for _ in range(2):
        await bench.turn(0)
    await bench.is_delivered(task)


@pytest.mark.parametrize("do", ["settle", "release"])
async def test_a_decided_task_is_left_alone(do: str, bench: Bench, name: str) -> None:
    task = await parked(bench, name)
    await asked(bench, do=do, task=task.id, cost="0.28", reason="told so by the provider")
    requests = len(bench.standins[name].requests)
    books = await bench.booked(task)
    for _ in range(3):
        await bench.turn(DEADLINE)
    assert len(bench.standins[name].requests) == requests
    assert (await bench.booked(task), bench.announcer.clips) == (books, {})
    assert "told so by the provider" in bench.shown(await bench.read(task))
