"""A busy bot: 1,000 clips for 100 members by two providers, and 10,000 jobs that wait; beside it a minimal bot.

`python -m benchmarks.load` prints a table; exit code 1 where a floor is missed. Each bot is a process of its own
against the same local Discord and providers, one after the other. What is compressed is said in the output.
"""

import asyncio
import os
import random
import re
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import crowd, engine
from benchmarks.crowd import Crowd
from bot.domain.catalog import Format, Mode
from bot.media import clips
from bot.media.paint import PaintOrder, paint
from tests.end_to_end.stage import CATALOG, Process, launch

CLIPS, WAITING = 1_000, 10_000
#: Seconds within which the commands come, and in which waiting is watched.
ASKING, WATCHED = 30.0, 20.0
#: The least and the most seconds that a job takes: in the crowd, beside those that wait, and of those themselves.
BUSY_TAKES, CALM_TAKES, WAITING_TAKES = (20.0, 40.0), (10.0, 20.0), (60.0, 180.0)
REMEMBERED = 50
ASKED_FOR, WAITED_FOR = "hailuo-02", "hailuo-2.3"
CLIP_BYTES = 2_000_000
#: What an account at each provider may do: with the shipped ten jobs at once a thousand clips would take hours.
JOBS, CALLS = 10_000, 6_000
#: Those that wait were sent within so many seconds.
SENT = 120
#: Seconds for the last clip, in the crowd and beside those that wait; half are enough where nothing else runs.
PATIENCE, CALM_PATIENCE = 400.0, 120.0
_LOOK = 0.1
_TICK = 0.005
_TICKS = os.sysconf("SC_CLK_TCK")
_DAY = 86_400_000

Figures = dict[str, float]


class Meter:
    """CPU seconds and memory of a process and of the children that it starts, while it runs."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        #: Bytes, with its children.
        self.most = 0

    def look(self) -> None:
        children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text("ascii").split()
        self.most = max(self.most, sum(_resident(pid) for pid in [str(self._pid), *children]))

    def cpu(self) -> tuple[float, float]:
        """Its own, and that of the children that have ended."""
        ticks = Path(f"/proc/{self._pid}/stat").read_text("utf-8").rpartition(") ")[2].split()
        own, children = sum(map(int, ticks[11:13])), sum(map(int, ticks[13:15]))
        return own / _TICKS, children / _TICKS

    @property
    def peak(self) -> int:
        """The most that was ever resident of the process itself, in bytes."""
        return _bytes(str(self._pid), "VmHWM")

    @property
    def resident(self) -> int:
        return _resident(str(self._pid))


def _resident(pid: str) -> int:
    try:
        return _bytes(pid, "VmRSS")
    except OSError:  # a child that has just ended
        return 0


def _bytes(pid: str, name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("utf-8"))
    return int(found[1]) * 1024 if found else 0


@dataclass(frozen=True)
class Contender:
    """A bot: how it is started, and what is typed to it for a clip of each provider."""

    name: str
    module: str
    command: str
    options: tuple[dict[str, str], ...]


CONCH = Contender(
    "Conch", "bot", "video text", ({"format": "hailuo-02/5/768p"}, {"format": "hailuo-02/6/768p"})
)
MINIMAL = Contender(
    "minimal", "benchmarks.minimal_bot", "video", ({"provider": "mindvideo"}, {"provider": "runware"})
)


@dataclass
class Run:
    """A bot that is connected, and what it is measured by."""

    world: Crowd
    contender: Contender
    process: Process
    meter: Meter
    stalls: list[float]

    async def ask(self, count: int, seconds: float) -> None:
        """Commands at even distances, each provider by turns."""
        began = time.perf_counter()
        for number in range(count):
            await asyncio.sleep(began + number * seconds / count - time.perf_counter())
            await self.world.ask(number, self.contender.command, self.contender.options[number % 2])

    async def until(self, true: Callable[[], object], seconds: float) -> None:
        """Wait for it, or for the end of the bot's process, or of patience."""
        end = time.perf_counter() + seconds
        while not true() and self.process.inner.returncode is None and time.perf_counter() < end:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK)

    async def calm(self) -> None:
        """Wait until what the bot does behind the last clip is done too, half a minute at most."""
        before = -1.0
        for _ in range(30):
            now = sum(self.meter.cpu())
            if now < before + 0.1:
                return
            before = now
            await asyncio.sleep(1)

    async def watch(self) -> None:
        while True:
            self.meter.look()
            await asyncio.sleep(_LOOK)

    async def tick(self) -> None:
        """How late this process itself is: what is measured here cannot be finer."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(_TICK)
            self.stalls.append(time.perf_counter() - began - _TICK)

    def common(self) -> Figures:
        diary = self.world.diary
        first = {number: moments[0] for number, moments in diary.posted.items()}
        return {
            **_spread("posted", [at - diary.ready[number] for number, at in first.items()]),
            "came": len(first),
            "twice posted": sum(len(moments) > 1 for moments in diary.posted.values()),
            "twice charged": sum(jobs > 1 for jobs in diary.jobs.values()),
            **_spread("acknowledged", [at - diary.asked[key] for key, at in diary.acknowledged.items()]),
            **_spread("stalls", self.stalls),
            "unanswered": len(diary.asked) - len(diary.acknowledged),
            "complaints": len(self.world.complaints()),
        }


@asynccontextmanager
async def running(contender: Contender, world: Crowd, folder: Path) -> AsyncIterator[Run]:
    """The bot in a process of its own, connected; ended by its id, whatever happens."""
    env = {
        **world.env,
        "CATALOG_FILE": str(folder / "catalog.toml"),
        "DATA_DIR": str(folder / "data"),
        "TRUSTED_HOSTS": "127.0.0.1",
        "USER_CONCURRENCY": "1000",
        "WAITING": str(folder / "jobs"),
        **dict.fromkeys(("USER_DAILY_LIMIT", "SERVER_MONTHLY_LIMIT", "BOT_DAILY_LIMIT"), "100000"),
    }
    log = folder / "log"
    process = Process(await launch(log, "run", env=env, module=contender.module), log)
    run = Run(world, contender, process, Meter(process.inner.pid), [])
    beside: list[asyncio.Task[None]] = []
    try:
        await run.until(lambda: world.discord.connected, 60)
        if not world.discord.connected:
            raise ConnectionError("it never came to Discord")
        beside = [asyncio.create_task(run.watch()), asyncio.create_task(run.tick())]
        yield run
    except OSError as error:
        said = await asyncio.to_thread(log.read_text, "utf-8", "replace")
        raise SystemExit(f"{contender.name} is gone ({error}); its log ends:\n{said[-3000:]}") from error
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        if process.inner.returncode is None:
            await process.kill()


def _spread(name: str, values: Sequence[float]) -> Figures:
    ordered = sorted(values) or [float("nan")]
    return {
        f"{name} p50": statistics.median(ordered),
        f"{name} p99": ordered[int(0.99 * (len(ordered) - 1))],
        f"{name} max": ordered[-1],
    }


# ------------------------------------------------------------------ a thousand clips


async def busy(contender: Contender, film: bytes, folder: Path) -> Figures:
    async with crowd.gathered(film, BUSY_TAKES) as world:
        prepare(folder, world, [], BUSY_TAKES)
        async with running(contender, world, folder) as run:
            diary = world.diary
            own, children = run.meter.cpu()
            await run.ask(CLIPS, ASKING)
            await run.until(lambda: len(diary.posted) == CLIPS, PATIENCE)
            await run.calm()
            own_after, children_after = run.meter.cpu()
            return {
                **run.common(),
                "calls": diary.calls / CLIPS,
                "looks": diary.looks / CLIPS,
                "requests": len(world.discord.requests) / CLIPS,
                "cpu": (own_after - own) / CLIPS,
                "cpu of children": (children_after - children) / CLIPS,
                "peak": run.meter.peak,
                "peak of all": run.meter.most,
                "took": max((at for moments in diary.posted.values() for at in moments), default=0)
                - min(diary.asked.values()),
            }


# ------------------------------------------------------------------ ten thousand that wait


async def waiting(contender: Contender, film: bytes, folder: Path) -> Figures:
    async with crowd.gathered(film, CALM_TAKES) as world:
        prepare(folder, world, world.hold(WAITING), CALM_TAKES)
        diary, began = world.diary, time.perf_counter()
        async with running(contender, world, folder) as run:
            connected = time.perf_counter() - began
            await run.until(lambda: diary.first_call, 60)
            spent, start = sum(run.meter.cpu()), time.perf_counter()
            calls, looks, requests = diary.calls, diary.looks, len(world.discord.requests)
            await run.ask(crowd.MEMBERS, WATCHED)
            took = time.perf_counter() - start
            watched = {
                "connected": connected,
                "first look": (diary.first_call or float("nan")) - began,
                "calls": (diary.calls - calls) / took,
                "looks": (diary.looks - looks) / took,
                "requests": (len(world.discord.requests) - requests) / took,
                "cpu": (sum(run.meter.cpu()) - spent) / took,
                "resident": run.meter.resident,
            }
            await run.until(lambda: len(diary.posted) == crowd.MEMBERS, CALM_PATIENCE)
            return run.common() | watched


def prepare(folder: Path, world: Crowd, held: list[tuple[str, str]], takes: tuple[float, float]) -> None:
    """What the bots find: Conch a database with these jobs and clips of yesterday, the other a list of the jobs."""
    raised = re.sub(r"(concurrency) = \d+", rf"\1 = {JOBS}", CATALOG.read_text("utf-8"))
    raised = re.sub(r"(requests_per_minute) = \d+", rf"\1 = {CALLS}", raised)
    (folder / "catalog.toml").write_text(raised, "utf-8")
    (folder / "jobs").write_text("\n".join(f"{name} {job}" for name, job in held), "utf-8")
    data, now = folder / "data", time.time_ns() // 1_000_000
    data.mkdir()
    rows = [
        _row(world, WAITED_FOR, name, job, now - place * SENT * 1000 // WAITING)
        for place, (name, job) in enumerate(held)
    ]
    ends = [
        _row(world, model, name, "", now - _DAY) | {"at": now - _DAY + round(spread * 1000)}
        for model, (least, most) in ((ASKED_FOR, takes), (WAITED_FOR, WAITING_TAKES))
        for name in world.providers
        for spread in (least + (most - least) * part / REMEMBERED for part in range(REMEMBERED))
    ]
    rows += ends
    engine.child("fill", str(data), str(len(rows)), str(now), "processing")
    for place, row in enumerate(rows):
        row |= {"id": f"task{place:012}", "job": row["job"] or f"done {place}"}
    with closing(sqlite3.connect(data / "conch.db")) as file, file:
        servers = {(row["server"],) for row in rows}
        file.executemany("INSERT INTO servers (id, name, first_seen_at) VALUES (?, 'Reef', 0)", servers)
        file.executemany(
            """
            UPDATE tasks SET provider = :provider, job_id = :job, model = :model, duration = :duration,
              created_at = :sent, changed_at = :sent, submitted_at = :sent, polls = 0, server_id = :server,
              channel_id = :channel, member_id = :member, progress_channel_id = :channel,
              progress_message_id = :message WHERE id = :id
            """,
            rows,
        )
        file.executemany(
            """
            UPDATE tasks SET state = 'delivered', due_at = NULL, end_shown = 1,
              message_channel_id = channel_id, message_id = progress_message_id WHERE id = :id
            """,
            ends,
        )
        file.executemany(
            "INSERT INTO task_events (task_id, at, state, note) VALUES (:id, :at, 'succeeded', '')", ends
        )


def _row(world: Crowd, model: str, provider: str, job: str, sent: int) -> dict[str, Any]:
    """A task of some member, with a progress message that exists."""
    member, channel = random.choice(world.members)  # noqa: S311
    backend = world.discord.backend
    message = backend.create_message(channel.id, backend.bot_user.id, "…", broadcast=False)
    return {
        "provider": provider,
        "model": model,
        "duration": 10 if model == WAITED_FOR else 5 + list(world.providers).index(provider),
        "job": job,
        "sent": sent,
        "server": member.server.id,
        "channel": channel.id,
        "member": member.id,
        "message": message.id,
    }


# ------------------------------------------------------------------ the table


def milliseconds(value: float) -> str:
    return f"{value * 1000:,.1f} ms"


def seconds(value: float) -> str:
    return f"{value:,.2f} s"


def megabytes(value: float) -> str:
    return f"{value / 1e6:,.0f} MB"


def count(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def share(value: float) -> str:
    return f"{value:.0%}"


Line = tuple[str, str, Callable[[float], str]]
COMMON: list[Line] = [
    ("command sent → acknowledged, p50", "acknowledged p50", milliseconds),
    ("  p99", "acknowledged p99", milliseconds),
    ("  longest", "acknowledged max", milliseconds),
    ("  (so late was what measured it, p99)", "stalls p99", milliseconds),
    ("clip ready → posted, p50", "posted p50", seconds),
    ("  p99", "posted p99", seconds),
    ("clips that came", "came", count),
    ("  that came twice", "twice posted", count),
    ("  that were charged twice", "twice charged", count),
]
BUSY: list[Line] = [
    *COMMON,
    ("first command → last clip", "took", seconds),
    ("CPU a clip", "cpu", milliseconds),
    ("  and of the children that check it", "cpu of children", milliseconds),
    ("most memory of the process", "peak", megabytes),
    ("  with its children", "peak of all", megabytes),
    ("status calls a clip", "calls", count),
    ("requests to Discord a clip", "requests", count),
]
IDLE: list[Line] = [
    *COMMON,
    ("start → connected", "connected", seconds),
    ("start → first status call", "first look", seconds),
    ("CPU, of one core", "cpu", share),
    ("status calls a second", "calls", count),
    ("  jobs asked about in them", "looks", count),
    ("requests to Discord a second", "requests", count),
    ("memory", "resident", megabytes),
]


def table(title: str, lines: list[Line], ours: Figures, theirs: Figures) -> None:
    print(f"\n{title:<52}{CONCH.name:>12}{MINIMAL.name:>12}{'ratio':>8}")
    for words, name, show in lines:
        ratio = f"{ours[name] / theirs[name]:.2f}" if theirs[name] else ""
        print(f"{words:<52}{show(ours[name]):>12}{show(theirs[name]):>12}{ratio:>8}", flush=True)


def missed(busy_ours: Figures, busy_theirs: Figures, calm_ours: Figures, calm_theirs: Figures) -> list[str]:
    """The floors that Conch missed. Only counts and ratios of the same run: noise must not fail a build."""
    ours = (busy_ours, calm_ours)
    floors = {
        f"{CLIPS + crowd.MEMBERS:,} clips came": sum(one["came"] for one in ours) == CLIPS + crowd.MEMBERS,
        "none came or was charged twice": not any(one["twice posted"] + one["twice charged"] for one in ours),
        "every command was acknowledged": not any(one["unanswered"] for one in ours),
        "Discord and the providers took every request": not any(one["complaints"] for one in ours),
        "at most three quarters of the minimal bot's status calls": busy_ours["calls"]
        <= 0.75 * busy_theirs["calls"],
        "at most a third of them while many wait": calm_ours["calls"] <= calm_theirs["calls"] / 3,
        "no more memory than the minimal bot": busy_ours["peak"] <= busy_theirs["peak"],
    }
    return [words for words, held in floors.items() if not held]


async def measured() -> int:
    found: dict[tuple[str, str], Figures] = {}
    with tempfile.TemporaryDirectory() as folder:
        film = await told(Path(folder))
        for case, title, lines in (
            (busy, f"{CLIPS:,} clips of {crowd.MEMBERS} members", BUSY),
            (waiting, f"{WAITING:,} jobs wait, {crowd.MEMBERS} commands come", IDLE),
        ):
            for contender in (MINIMAL, CONCH):
                place = Path(folder) / f"{case.__name__} {contender.name}"
                await asyncio.to_thread(place.mkdir)
                found[case.__name__, contender.name] = await case(contender, film, place)
            table(title, lines, found[case.__name__, CONCH.name], found[case.__name__, MINIMAL.name])
    four = [found[case, name] for case in ("busy", "waiting") for name in (CONCH.name, MINIMAL.name)]
    for words in (sentences := missed(*four)):
        print(f"FLOOR MISSED: {words}")
    return 1 if sentences else 0


async def told(folder: Path) -> bytes:
    """The film that every job makes; and what the figures stand on is printed."""
    small, usual = Format(model="hailuo-02", duration=5, resolution="512p"), 3
    cpu = []
    for chosen in (Format(model="hailuo-02", duration=6, resolution="768p"), small):
        film = folder / "film.mp4"
        await paint(PaintOrder(Mode.TEXT, chosen, "paper boats", film))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for _ in range(usual):
            await clips.probe(film, end=folder / "end.png")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / usual)
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}. {CLIPS:,} commands come in {ASKING:.0f} s, jobs "
        f"take {BUSY_TAKES[0]:.0f} to {BUSY_TAKES[1]:.0f} s: more at once than two cores can check.\n"
        f"An account at a provider may have {JOBS:,} jobs and make {CALLS:,} calls a minute, where Conch's catalog "
        f"has 10 and 300.\nA clip has {CLIP_BYTES / 1e6:.0f} MB, 512p and 5 s: checking it takes Conch "
        f"{cpu[1] * 1000:.0f} ms of CPU, one of 768p and 6 s {cpu[0] * 1000:.0f} ms.\n"
        f"Discord takes {crowd.ANSWER * 1000:.0f} ms to answer, and slows nobody down. Conch remembers "
        f"{REMEMBERED} earlier clips of each kind.\n"
        f"The jobs that wait are not ready before the end, and were sent within {SENT} s; the commands beside them "
        f"come in {WATCHED:.0f} s,\nand their jobs take {CALM_TAKES[0]:.0f} to {CALM_TAKES[1]:.0f} s."
    )
    return await asyncio.to_thread(_padded, film)


def _padded(film: Path) -> bytes:
    made = film.read_bytes()
    left = CLIP_BYTES - len(made) - 8
    return made + (left + 8).to_bytes(4, "big") + b"free" + bytes(left)


if __name__ == "__main__":
    sys.exit(asyncio.run(measured()))
