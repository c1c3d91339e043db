"""Kills the bot at every point of a clip's life, starts it again, and counts from outside: `make crash`.

Each scenario is played once unharmed, which finds its points, then once for each point: start, crash there, start
again, crash there again if it is reached, start again, wait for the end. Then every task has ended or is parked, each
has at most one job at the provider, the ledger says what the provider charged, each clip stands in the channel once,
and no file is left.

A task is parked where the README says so, and nowhere else: its submit had begun, and nobody can tell whether it
arrived. Novita and MiniMax have no look-up at all; GMI Cloud's list proves nothing where it shows no such job.
"""

import argparse
import asyncio
import re
import sqlite3
import struct
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bot.domain.catalog import Format, Mode
from bot.media.paint import PaintOrder, paint
from bot.vault import new_key
from storage.database import open_database
from tests.at_rest import in_plain
from tests.end_to_end.conftest import picture
from tests.end_to_end.stage import CATALOG, PATIENCE, Process, Stage, open_stage
from tests.providers.cases import CASES
from tests.providers.standin import StandIn

AT_ONCE = 2
_RECEIVED = "gateway ← INTERACTION_CREATE #1"
_ENDED = {"delivered", "failed", "cancelled", "parked"}
_LOOK_SECONDS = 0.03
_HOURS = 2
_KILLED = -9
_NO_LOOK_UP = {"novita", "minimax"}
_PADDING = 11 * 2**20
_PROMPT = "a paper boat"


@dataclass(frozen=True)
class Scenario:
    """One command. `large` is a clip above Discord's limit; `whole` also crashes while the bot starts and stops.

    `sealed` runs with a `DATA_KEY`.
    """

    provider: str
    command: str = "video text"
    count: int = 1
    format: str | None = None
    large: bool = False
    whole: bool = False
    sealed: bool = False

    def options(self, image: bytes) -> dict[str, Any]:
        chosen: dict[str, Any] = {
            "prompt": _PROMPT,
            "format": self.format or CASES[self.provider].text,
        }
        if self.count > 1:
            chosen["count"] = self.count
        if self.command == "video image":
            chosen["first_frame"] = ("me.jpg", image)
        return chosen


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "mindvideo": Scenario("mindvideo", whole=True),
        "gmi": Scenario("gmi"),
        "novita": Scenario("novita"),
        "runware": Scenario("runware"),
        "minimax": Scenario("minimax"),
        "picture": Scenario("minimax", command="video image", sealed=True),
        "gallery": Scenario("mindvideo", count=2),
        "too large": Scenario("mindvideo", large=True),
    }
)


@dataclass(frozen=True)
class Props:
    """What every run needs and one is enough of: made by `make_props`."""

    folder: Path
    clip: bytes
    picture: bytes
    database: Path
    catalog: Path


@dataclass
class Run:
    """What came of a run: the points of its first process, how often it crashed, and how many tasks are parked."""

    points: list[str]
    crashes: int
    parked: int


async def make_props(folder: Path) -> Props:
    target = folder / "clip.mp4"
    await paint(
        PaintOrder(Mode.TEXT, Format(model="hailuo-02", duration=5, resolution="512p"), "a boat", target)
    )
    database = folder / "empty.db"
    async with open_database(database):
        pass
    catalog = folder / "catalog.toml"
    catalog.write_text(
        re.sub(r"(requests_per_minute) = \d+", r"\1 = 60000", CATALOG.read_text("utf-8")), "utf-8"
    )
    return Props(folder, target.read_bytes(), picture("JPEG"), database, catalog)


async def play(scenario: Scenario, props: Props, at: str | None = None, *, twice: bool = False) -> Run:
    """One run that crashes `at` that point; `AssertionError` or `TimeoutError` where a promise is broken.

    `twice`: so does the process that takes it up, where it comes to a point of that name.
    """
    async with _scene(scenario, props) as (stage, provider):
        record = stage.folder / "points"
        first = await stage.launch("run", CRASH_RECORD=str(record), **({"CRASH_AT": at} if at else {}))
        await _until(stage, lambda: stage.discord.connected or _dead(first))
        if not _dead(first):
            await stage.ask(scenario.command, **scenario.options(props.picture))
        await _until(stage, lambda: _dead(first) or _ended(stage, scenario))
        last = _lines(record)
        if not _dead(first):
            first.inner.terminate()
        code = await first.end()
        assert code in {0, _KILLED}, f"it ended with {code}: {stage.logged[-2000:]}"
        doubtful = _doubtful(scenario, stage, provider)
        crashes = 0
        while code == _KILLED:
            crashes += 1
            code = await _restart(scenario, props, stage, doubtful, at if twice and crashes == 1 else None)
            parked = {task["id"] for task in _tasks(stage) if task["state"] == "parked"}
            doubtful = (doubtful & parked) | _doubtful(scenario, stage, provider)
        _check(scenario, stage, provider, doubtful)
        return Run(_lines(record) if scenario.whole else _asked_to(last), crashes, len(doubtful))


@asynccontextmanager
async def _scene(scenario: Scenario, props: Props) -> AsyncIterator[tuple[Stage, StandIn]]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=props.folder)))
        clip = props.clip
        if scenario.large:
            clip += struct.pack(">I4s", _PADDING, b"free") + bytes(_PADDING - 8)
        settings = {"CATALOG_FILE": str(props.catalog), "PROVIDERS": scenario.provider}
        if scenario.sealed:
            settings["DATA_KEY"] = new_key()
        stage = await stack.enter_async_context(open_stage(folder, clip, picture=props.picture, **settings))
        stage.module = "tests.crash.bot"
        stage.settings["CRASH_RECORD"] = str(folder / "points of the second")
        provider: StandIn = stage.mindvideo
        if scenario.provider != "mindvideo":
            provider = await stack.enter_async_context(CASES[scenario.provider].standin(auto=True, clip=clip))
            name = scenario.provider.upper()
            stage.settings |= {f"{name}_API_KEY": provider.key, f"{name}_API_URL": provider.url}
        provider.now = int(time.time())
        stage.data.mkdir()
        if not scenario.whole:
            stage.database.write_bytes(props.database.read_bytes())
        yield stage, provider


async def _restart(scenario: Scenario, props: Props, stage: Stage, doubtful: set[str], at: str | None) -> int:
    """Start again and wait for the end, or for the next crash. Who was promised nothing asks again."""
    await _until(stage, lambda: not stage.discord.connected)
    began = _tasks(stage)
    if began:
        stage.let_time_pass()
    if scenario.provider not in _NO_LOOK_UP:
        _let_deadlines_pass(stage, doubtful)
    second = await stage.launch("run", **({"CRASH_AT": at} if at else {}))
    await _until(stage, lambda: stage.discord.connected or _dead(second))
    if not began and not _dead(second):
        await stage.ask(scenario.command, **scenario.options(props.picture))
    taken_up = "unfinished tasks are taken up"
    await _until(
        stage, lambda: _dead(second) or (_ended(stage, scenario) and taken_up in second.log.read_text())
    )
    if not _dead(second):
        second.inner.terminate()
    code = await second.end()
    assert code in ({0, _KILLED} if at else {0}), f"the next start ended with {code}: {stage.logged[-2000:]}"
    return code


async def _until(stage: Stage, predicate: Callable[[], bool]) -> None:
    """Wait for something that is partly in files of another process, which nobody tells of."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not predicate():  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        told = [dict(row) for row in _rows(stage, "SELECT id, state, problem, due_at, end_shown FROM tasks")]
        raise TimeoutError(f"no end: {told}\nthe log ends:\n{stage.logged[-3000:]}") from None


def _dead(process: Process) -> bool:
    return process.inner.returncode is not None


def _ended(stage: Stage, scenario: Scenario) -> bool:
    tasks = _tasks(stage)
    return len(tasks) == scenario.count and all(
        task["state"] in _ENDED and (task["end_shown"] or task["state"] == "parked") for task in tasks
    )


def _tasks(stage: Stage) -> list[sqlite3.Row]:
    return _rows(stage, "SELECT * FROM tasks ORDER BY ordinal")


def _rows(stage: Stage, sql: str) -> list[sqlite3.Row]:
    """No rows also where a crash came before there were tables."""
    try:
        return stage.rows(sql)
    except sqlite3.OperationalError:
        return []


def _lines(record: Path) -> list[str]:
    return record.read_text("utf-8").splitlines()


def _asked_to(points: Sequence[str]) -> list[str]:
    """Those since the command came."""
    return list(points[points.index(_RECEIVED) :]) if _RECEIVED in points else []


def _doubtful(scenario: Scenario, stage: Stage, provider: StandIn) -> set[str]:
    """The tasks of which nobody can tell whether the provider took them, as the crash has left them."""
    sent = {task["id"] for task in _tasks(stage) if task["state"] == "submitting"}
    if scenario.provider in _NO_LOOK_UP:
        return sent
    return sent if scenario.provider == "gmi" and not provider.jobs else set()


def _let_deadlines_pass(stage: Stage, doubtful: Iterable[str]) -> None:
    with closing(sqlite3.connect(stage.database)) as connection, connection:
        for task in doubtful:
            connection.execute(
                "UPDATE tasks SET submitted_at = submitted_at - ? WHERE id = ?", (_HOURS * 3_600_000, task)
            )


def _check(scenario: Scenario, stage: Stage, provider: StandIn, doubtful: set[str]) -> None:
    tasks = _tasks(stage)
    parked = {task["id"]: task for task in tasks if task["state"] == "parked"}
    done = {task["id"]: task for task in tasks if task["state"] == "delivered"}
    assert len(tasks) == len(parked) + len(done) == scenario.count, f"states {[t['state'] for t in tasks]}"
    _check_money(stage, provider, parked, done)
    assert set(parked) == doubtful, f"parked {set(parked)}, in doubt {doubtful}"
    said = "\n".join(message.words for message in stage.clips())
    assert stage.carried() == len(done), f"{stage.carried()} clips for {len(done)} tasks:\n{said}"
    assert all(said.count(f"`{task}`") == 1 for task in done), f"a clip stands twice:\n{said}"
    assert len(stage.clips()) <= 1, "the clips of one command are in several messages"
    assert sum(len(message.attachments) for message in stage.clips()) == len(done)
    assert len(stage.discord.pings) == len(stage.clips()), f"pings: {stage.discord.pings}"
    links = sum(message.words.count("✅ Ready: ") for message in stage.progress())
    assert links == len(done), f"{links} links in {[message.words for message in stage.progress()]}"
    owners = {str(task["interaction_id"]) for task in parked.values()}
    left = [name for name in stage.files() if Path(name).name.split("-")[0] not in owners]
    assert left == [], f"files are left: {left}"
    if scenario.sealed:
        readable = in_plain(stage.data, _PROMPT)
        assert readable == [], f"these can be read: {readable}"
    assert stage.rows("PRAGMA integrity_check")[0][0] == "ok"
    stage.check_stand_ins()
    assert provider.refused == [], f"refused: {provider.refused}"
    assert provider.key not in stage.logged, "the key is in the log"


def _check_money(
    stage: Stage, provider: StandIn, parked: Mapping[str, sqlite3.Row], done: Mapping[str, sqlite3.Row]
) -> None:
    sums = {
        row["task_id"]: (row["held"], row["spent"])
        for row in stage.rows(
            "SELECT task_id, SUM(held_micros) AS held, SUM(spent_micros) AS spent FROM ledger GROUP BY task_id"
        )
    }
    charged = {job: int(cost * 1_000_000) for job, cost in provider.charges.items()}
    jobs = [task["job_id"] for task in done.values()]
    assert len(set(jobs)) == len(jobs), f"one job for two tasks: {jobs}"
    for task_id, task in done.items():
        assert sums[task_id] == (0, charged[task["job_id"]]), f"{sums[task_id]} booked, {charged} charged"
    for task_id, task in parked.items():
        assert sums[task_id] == (task["price_micros"], 0), f"{sums[task_id]} booked for a parked task"
    stray = set(provider.jobs) - set(jobs)
    assert len(stray) <= len(parked), f"jobs {list(provider.jobs)} for {len(done)} clips: paid twice"


# ------------------------------------------------------------------------- the whole of it


@dataclass
class Outcome:
    """What came of one scenario's points; `twice` counts those that crashed again when they were taken up."""

    points: int = 0
    passed: int = 0
    parked: int = 0
    twice: int = 0
    unreached: int = 0
    failed: dict[str, str] = field(default_factory=dict)


async def crash(name: str, props: Props, *, at: str | None, at_once: int, twice: bool) -> Outcome:
    scenario, outcome = SCENARIOS[name], Outcome()
    points = [at] if at else (await play(scenario, props)).points
    outcome.points = len(points)
    gate = asyncio.Semaphore(at_once)

    async def one(point: str) -> None:
        async with gate:
            try:
                run = await play(scenario, props, point, twice=twice)
            except (AssertionError, TimeoutError) as error:
                outcome.failed[point] = str(error)
                _say(f"  FAILED {name}: {point}")
                return
        outcome.passed += run.crashes > 0 and not run.parked
        outcome.parked += run.parked > 0
        outcome.unreached += not run.crashes
        outcome.twice += run.crashes > 1

    await asyncio.gather(*map(one, points))
    return outcome


async def _all(names: Sequence[str], *, at: str | None, at_once: int, twice: bool) -> int:
    failures: dict[tuple[str, str], str] = {}
    with tempfile.TemporaryDirectory() as folder:
        props = await make_props(Path(folder))
        _say(
            f"{'scenario':12}{'points':>8}{'passed':>8}{'parked':>8}{'failed':>8}{'not reached':>13}{'twice':>8}"
            f"{'seconds':>9}"
        )
        for name in names:
            start = time.monotonic()
            got = await crash(name, props, at=at, at_once=at_once, twice=twice)
            _say(
                f"{name:12}{got.points:8}{got.passed:8}{got.parked:8}{len(got.failed):8}{got.unreached:13}{got.twice:8}"
                f"{time.monotonic() - start:9.0f}"
            )
            failures |= {(name, point): why for point, why in got.failed.items()}
    for (name, point), why in failures.items():
        _say(f"\n{name}: {point}\n  python -m tests.crash.matrix --scenario '{name}' --at '{point}'\n  {why}")
    return 1 if failures else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash.matrix", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS), help="default: all")
    parser.add_argument("--at", help="one point alone, as a run prints it")
    parser.add_argument(
        "--at-once", type=int, default=AT_ONCE, help=f"runs side by side (default: {AT_ONCE})"
    )
    parser.add_argument(
        "--once", action="store_true", help="do not crash again, at the same step, while a crash is taken up"
    )
    chosen = parser.parse_args()
    names = chosen.scenario or list(SCENARIOS)
    return asyncio.run(_all(names, at=chosen.at, at_once=chosen.at_once, twice=not chosen.once))


if __name__ == "__main__":
    sys.exit(main())
