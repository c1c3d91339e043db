"""What waiting and polling cost: the engine against one asyncio task for each video, in the same run.

`python -m benchmarks.engine` prints a table. Each case runs in a process of its own, so that memory compares.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bot.catalog
from bot.domain.catalog import Mode
from bot.domain.parcel import Parcel
from bot.domain.ports import Gallery, Job, Posted, Provider, ProviderEvent, Report
from bot.domain.published import Published
from bot.domain.task import Task, TaskState
from bot.providers.base import OneByOne
from bot.services.delivering import Delivering
from bot.services.engine import Engine, Stages
from bot.services.files import Files
from bot.services.forecast import Forecast
from bot.services.pace import Paces
from bot.services.packing import Packing
from bot.services.reading import Reading
from bot.services.router import Router
from bot.services.submitting import Submitting
from bot.services.timetable import Rules, Timetable
from storage.database import Database, Transaction, open_database
from storage.tasks import TaskStore

WAITING = 10_000
DUE = 2_000
STEPS = 200
NAME = "mindvideo"
PAGE = 4096
START = 1_800_000_000_000
FAR = 600_000
PROMPT = "a paper boat crossing a puddle in the rain " * 5


class Instant(OneByOne):
    """A provider that answers at once, and never with an end."""

    name = NAME
    recovers = True

    def __init__(self) -> None:
        self.reads = 0
        self.enough = asyncio.Event()

    def request(self, job: Job) -> bytes:
        return job.prompt.encode()

    async def submit(self, body: bytes, *, key: str) -> Report:  # noqa: ARG002 - the protocol's
        return Report(key, TaskState.PROCESSING)

    async def status(self, job_id: str) -> Report:
        self.reads += 1
        if self.reads >= DUE:
            self.enough.set()
        return Report(job_id, TaskState.PROCESSING, progress=50)

    async def recover(self, body: bytes, *, key: str, since: int, known: frozenset[str]) -> Report:  # noqa: ARG002 - the protocol's
        return Report(key, TaskState.PROCESSING)

    async def find(self, key: str) -> Report | None:  # noqa: ARG002 - the protocol's
        return None

    async def published(self) -> Published:
        return Published()

    async def events(self, job_id: str) -> list[ProviderEvent]:  # noqa: ARG002 - the protocol's
        return []

    async def download(self, url: str, to: Path) -> None:
        raise NotImplementedError

    async def check(self) -> str:
        return "ready"


class Nobody:
    """An announcer without a Discord."""

    async def announce(self, tasks: list[Task]) -> Posted:
        return Posted(tasks[0].channel_id, 1)

    def changed(self, task: Task, *, progress: int | None = None) -> None:
        pass

    def upload_limit(self, task: Task) -> int:  # noqa: ARG002 - the protocol's
        return 0

    async def find(self, task: Task) -> Posted | None:  # noqa: ARG002 - the protocol's
        return None

    async def deliver(
        self, task: Task, parcel: Parcel, *, cost_micros: int, again: bool, gallery: Gallery | None = None
    ) -> Posted:
        raise NotImplementedError


def fill(count: int, due_at: int, state: TaskState) -> Callable[[Transaction], None]:
    """Tasks that a provider works on or is to get, of a hundred members, each with a prompt of the usual length."""

    def work(tx: Transaction) -> None:
        tx.run("INSERT INTO servers (id, name, first_seen_at) VALUES (1, 'server', 0)")
        for number in range(count):
            tx.run(
                """
                INSERT INTO tasks (id, interaction_id, ordinal, server_id, channel_id, member_id, mode, model,
                  duration, resolution, prompt, enhance, provider, price_micros, list_micros, state, created_at,
                  changed_at, submitted_at, due_at, polls, job_id, progress_channel_id, progress_message_id)
                VALUES (:id, :number, 0, 1, 1, :member, 'text', 'hailuo-02', 10, '768p', :prompt, 1, :provider,
                  450000, 450000, :state, :at, :at, :at, :due, 3, :job, 1, 1)
                """,
                id=f"task{number:012}",
                number=number,
                member=number % 100,
                prompt=PROMPT,
                provider=NAME,
                state=state.value,
                job=None if state is TaskState.HELD else f"task{number:012}",
                at=START,
                due=due_at,
            )

    return work


@asynccontextmanager
async def engine_with(
    count: int, due_at: int, clock: Callable[[], int]
) -> AsyncIterator[tuple[Engine, Instant]]:
    with tempfile.TemporaryDirectory() as folder:
        # By another process: what filling takes is not what waiting takes.
        await asyncio.to_thread(child, "fill", folder, str(count), str(due_at), "processing")
        async with open_database(Path(folder) / "conch.db") as database:
            provider = Instant()
            engine = made(database, provider, Path(folder), clock)
            await engine.recover()
            yield engine, provider


def made(database: Database, provider: Instant, folder: Path, clock: Callable[[], int]) -> Engine:
    catalog = bot.catalog.load()
    fast = catalog.providers[NAME].model_copy(update={"requests_per_minute": 10**9, "concurrency": 10**6})
    catalog = catalog.model_copy(update={"providers": {NAME: fast}})
    tasks = TaskStore(database)
    common: tuple[TaskStore, dict[str, Provider], Nobody] = (tasks, {NAME: provider}, Nobody())
    timetable, files = Timetable(Rules(), clock, Forecast()), Files(folder, tasks)
    paces = Paces(catalog, time.monotonic)
    packing = Packing(tasks, {}, files, None, timetable, paces)
    reading = Reading(*common, files, timetable)
    router = Router(catalog, [NAME], monotonic=time.monotonic, tell=print)
    return Engine(
        *common,
        catalog,
        stages=Stages(
            Submitting(*common, reading, router, timetable, None),
            reading,
            Delivering(*common, files, packing, timetable, paces),
            files,
        ),
        paces=paces,
        timetable=timetable,
    )


def memory() -> int:
    """Resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


async def steps(count: int) -> dict[str, float]:
    async with engine_with(count, START + FAR, lambda: START) as (engine, _):
        await engine.step()
        started = time.process_time()
        for _ in range(STEPS):
            await engine.step()
        return {"cpu": (time.process_time() - started) / STEPS, "memory": memory()}


async def queue() -> dict[str, float]:
    """Find who is next among many that wait, and what place the last one is shown; neither on the loop's thread."""
    with tempfile.TemporaryDirectory() as folder:
        await asyncio.to_thread(child, "fill", folder, str(WAITING), str(START), "held")
        async with open_database(Path(folder) / "conch.db") as database:
            tasks = TaskStore(database)
            last = await tasks.get(f"task{WAITING - 1:012}")
            if last is None or await tasks.ahead_of(last) != WAITING - 1:
                raise SystemExit("the last one does not stand behind all others")
            next_ = await fastest(lambda: tasks.startable(NAME, START, per_member=2, limit=10))
            return {"next": next_, "place": await fastest(lambda: tasks.ahead_of(last))}


async def fastest(call: Callable[[], Awaitable[object]]) -> float:
    """Seconds, the best of ten."""
    found = []
    for _ in range(10):
        began = time.perf_counter()
        await call()
        found.append(time.perf_counter() - began)
    return min(found)


async def polls() -> dict[str, float]:
    """Read tasks that are all due, as the real loop does: every read that ends wakes it."""
    async with engine_with(DUE, START, lambda: START) as (engine, provider):
        started, began = time.process_time(), time.perf_counter()
        running = asyncio.create_task(engine.run())
        await provider.enough.wait()
        running.cancel()
        await asyncio.wait([running])
        spent, took = time.process_time() - started, time.perf_counter() - began
        return {"cpu": spent / provider.reads, "wall": took / provider.reads}


async def follow(provider: Instant, job: Job, pause: float) -> None:
    """What a bot without a scheduler does for each video."""
    while True:
        await asyncio.sleep(pause)
        report = await provider.status(job.task_id)
        if report.state is TaskState.SUCCEEDED:
            return


@asynccontextmanager
async def followed(count: int, pause: float) -> AsyncIterator[Instant]:
    provider, chosen = Instant(), bot.catalog.load().offers[0].format
    jobs = [
        Job(f"task{number:012}", Mode.TEXT, chosen, f"{number} {PROMPT}", enhance=True)
        for number in range(count)
    ]
    tasks = [asyncio.create_task(follow(provider, job, pause)) for job in jobs]
    await asyncio.sleep(0)
    yield provider
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def sleepers(count: int) -> dict[str, float]:
    async with followed(count, 3600):
        return {"memory": memory()}


async def sleeping_polls() -> dict[str, float]:
    async with followed(DUE, 0.001) as provider:
        started = time.process_time()
        await provider.enough.wait()
        return {"cpu": (time.process_time() - started) / provider.reads}


CASES: dict[str, Callable[[], Coroutine[Any, Any, dict[str, float]]]] = {
    "step-none": lambda: steps(0),
    "step-many": lambda: steps(WAITING),
    "queue": queue,
    "poll": polls,
    "sleepers-none": lambda: sleepers(0),
    "sleepers-many": lambda: sleepers(WAITING),
    "sleeping-poll": sleeping_polls,
}


async def filled(folder: str, count: str, due_at: str, state: str) -> dict[str, float]:
    async with open_database(Path(folder) / "conch.db") as database:
        await database.write(fill(int(count), int(due_at), TaskState(state)))
    return {}


def child(*arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.engine", *arguments]
    answer: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)  # noqa: S603 - ourselves
    return answer


def measured(case: str) -> dict[str, float]:
    """The best of three runs, each in a process of its own."""
    runs = [child(case) for _ in range(3)]
    return {name: min(run[name] for run in runs) for name in runs[0]}


def line(name: str, ours: str, theirs: str = "", ratio: str = "") -> str:
    return f"{name:<58}{ours:>14}{theirs:>20}{ratio:>9}"


def table() -> list[str]:
    found = {case: measured(case) for case in CASES}
    none, many = found["step-none"], found["step-many"]
    memory_ours = many["memory"] - none["memory"]
    memory_theirs = found["sleepers-many"]["memory"] - found["sleepers-none"]["memory"]
    poll, sleeping = found["poll"]["cpu"], found["sleeping-poll"]["cpu"]
    return [
        line("", "engine", "a task each", "ratio"),
        line("CPU of a step, nothing waiting", f"{none['cpu'] * 1e3:.2f} ms"),
        line(f"CPU of a step, {WAITING:,} waiting", f"{many['cpu'] * 1e3:.2f} ms"),
        line(
            f"  that is, for each of the {WAITING:,}", f"{(many['cpu'] - none['cpu']) / WAITING * 1e6:.3f} us"
        ),
        line(
            f"the next to start of {WAITING:,} held, not on the loop",
            f"{found['queue']['next'] * 1e3:.1f} ms",
        ),
        line("the place shown in that queue, not on the loop", f"{found['queue']['place'] * 1e3:.1f} ms"),
        line(
            f"memory for {WAITING:,} waiting, above none",
            f"{memory_ours / 1e6:.1f} MB",
            f"{memory_theirs / 1e6:.1f} MB",
            f"{memory_ours / memory_theirs:.2f}",
        ),
        line(
            "CPU of a poll without its request",
            f"{poll * 1e6:.0f} us",
            f"{sleeping * 1e6:.1f} us",
            f"{poll / sleeping:.0f}",
        ),
        line("time of a poll, each outcome durable on disk", f"{found['poll']['wall'] * 1e6:.0f} us"),
    ]


def main() -> None:
    case, *arguments = sys.argv[1:] or ["table"]
    if case == "fill":
        print(json.dumps(asyncio.run(filled(*arguments))))
    elif case in CASES:
        print(json.dumps(asyncio.run(CASES[case]())))
    else:
        print("\n".join(table()))


if __name__ == "__main__":
    main()
