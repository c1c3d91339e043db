"""Commands before the real services: real clients on loopback, a real database file, a clock that is moved."""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path

import bot.catalog
from bot.domain.catalog import Catalog, Format, Mode
from bot.domain.limits import Limit
from bot.domain.money import micros_of
from bot.domain.task import FINAL, Task, TaskState
from bot.posting.texts import status_line
from bot.providers.base import Hosted
from bot.providers.downloads import Downloads
from bot.providers.wire import Timing, open_client
from bot.services.access import Access
from bot.services.delivering import Delivering
from bot.services.engine import Engine, Stages
from bot.services.files import Files
from bot.services.forecast import Forecast
from bot.services.hooks import Hooks
from bot.services.pace import Paces
from bot.services.packing import Packing
from bot.services.reading import Reading
from bot.services.requests import Attachment, Order, Requests
from bot.services.router import Router
from bot.services.submitting import Submitting
from bot.services.timetable import Rules, Timetable
from storage.access import AccessStore
from storage.database import open_database
from storage.ledger import LedgerStore
from storage.limits import LimitStore
from storage.servers import ServerStore
from storage.tasks import TaskStore
from tests.cogs.pictures import picture
from tests.fakes import FakeClock, RecordingAnnouncer, SequentialIds
from tests.providers.cases import CASES
from tests.providers.kit import NOW, Sleeper
from tests.providers.mindvideo_standin import MindVideoStandIn
from tests.providers.rawserver import TLS
from tests.providers.standin import StandIn

CATALOG = bot.catalog.load()
SERVER, CHANNEL, MEMBER = 77, 88, 99
WAITING = set(TaskState) - FINAL - {TaskState.SUCCEEDED}
#: Seconds: after these a task without a result is parked.
DEADLINE = 3600
READY = f"✅ Ready: https://discord.com/channels/{SERVER}/{CHANNEL}/"


class Bench:
    """Made by `open_bench`, with one stand-in for each provider by name."""

    standins: dict[str, StandIn]
    providers: dict[str, Hosted]
    engine: Engine
    requests: Requests
    tasks: TaskStore
    ledger: LedgerStore
    files: Files

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.clock = FakeClock()
        self.clock.now = NOW
        self.announcer = RecordingAnnouncer()
        self.standins, self.providers = {}, {}
        self.told: list[str] = []
        self.refusals_expected = False
        self.placed: list[Task] = []
        self.picture = ""

    # ------------------------------------------------------------------- doing

    async def ask(
        self,
        format_id: str,
        mode: Mode = Mode.TEXT,
        *,
        prompt: str = "a paper boat",
        camera: str | None = None,
    ) -> Task:
        """A member's command, up to the hold."""
        attachments = [Attachment("picture.png", self.picture, 1000)] * list(Mode).index(mode)
        order = Order(
            interaction_id=len(self.placed) + 1,
            server_id=SERVER,
            server_name="Reef",
            channel_id=CHANNEL,
            member_id=MEMBER,
            mode=mode,
            prompt=prompt,
            format_id=format_id,
            camera=camera,
            attachments=tuple(attachments),
        )
        (task,) = (await self.requests.place(order)).tasks
        self.placed.append(task)
        return task

    async def turn(self, seconds: float = 20) -> None:
        """Move every clock, start what is due and wait for it."""
        self.clock.advance(seconds)
        for standin in self.standins.values():
            standin.now = self.clock.now // 1000
        await self.engine.step()
        await self.engine.idle()

    async def until_rest(self, task: Task, *, turns: int = 12) -> Task:
        """Let time pass until nothing more happens by itself, or these turns are over."""
        for _ in range(turns):
            await self.turn()
            task = await self.read(task)
            if task.state in FINAL | {TaskState.PARKED}:
                break
        return task

    async def made(self, format_id: str, mode: Mode = Mode.TEXT, *, prompt: str = "a paper boat") -> Task:
        return await self.until_rest(await self.ask(format_id, mode, prompt=prompt))

    async def accepted(self, format_id: str) -> tuple[Task, str]:
        """A task that its provider works on without end, and the job's id there."""
        for standin in self.standins.values():
            standin.auto = False
        task = await self.ask(format_id)
        await self.turn()
        task = await self.read(task)
        assert task.job_id
        return task, task.job_id

    # ----------------------------------------------------------------- looking

    async def read(self, task: Task) -> Task:
        found = await self.tasks.get(task.id)
        assert found is not None
        return found

    def jobs(self) -> dict[str, list[str]]:
        """The jobs there are, by provider."""
        return {name: list(standin.jobs) for name, standin in self.standins.items() if standin.jobs}

    def charged(self) -> int:
        """Micros of all providers, by their own count."""
        amounts = (amount for standin in self.standins.values() for amount in standin.charges.values())
        return micros_of(sum(amounts, Decimal(0)))

    async def booked(self, task: Task) -> list[tuple[str, int, int]]:
        entries = await self.ledger.of_task(task.id)
        return [(entry.kind, entry.held_micros, entry.spent_micros) for entry in entries]

    def shown(self, task: Task) -> str:
        """What the member reads, as Discord shows it: without the escapes."""
        return status_line(task, self.catalog).replace("\\", "")

    # --------------------------------------------------------- the three ends

    async def is_delivered(self, task: Task, *, by: str | None = None, cost: int | None = None) -> None:
        """One job, charged once and booked as charged (or at `cost`), one clip, and the member is led to it."""
        task = await self.read(task)
        cost = self.charged() if cost is None else cost
        assert list(self.jobs().values()) == [[task.job_id]]
        assert list(self.jobs()) == [by or task.provider]
        price = task.price_micros
        assert await self.booked(task) == [("hold", price, 0), ("settle", -price, cost)]
        assert (task.state, task.provider) == (TaskState.DELIVERED, by or task.provider)
        assert self.announcer.costs == {task.id: cost}
        assert self.shown(task) == f"{READY}{task.message_id} `{task.id}`"

    async def is_given_back(
        self, task: Task, said: str, *, state: TaskState = TaskState.FAILED, jobs: int = 0, charged: int = 0
    ) -> None:
        """The member pays nothing and reads why."""
        task = await self.read(task)
        assert (sum(map(len, self.jobs().values())), self.charged()) == (jobs, charged)
        price = task.price_micros
        assert await self.booked(task) == [("hold", price, 0), ("release", -price, 0)]
        assert (task.state, self.announcer.clips) == (state, {})
        text = self.shown(task)
        assert "given back" in text
        assert said.lower() in text.lower()

    async def is_parked(self, task: Task, *, jobs: int, said: str = "unknown") -> None:
        """Nobody knows: the hold is kept, and the member is told so."""
        task = await self.read(task)
        assert (sum(map(len, self.jobs().values())), bool(self.charged())) == (jobs, bool(jobs))
        assert await self.booked(task) == [("hold", task.price_micros, 0)]
        assert (task.state, self.announcer.clips) == (TaskState.PARKED, {})
        text = self.shown(task)
        assert text.startswith("⏸️")
        assert said in text
        assert "stays held until the outcome is known" in text

    async def check(self) -> None:
        """What holds after every test, whatever happened in it."""
        assert self.announcer.violations == []
        refused = [line for standin in self.standins.values() for line in standin.refused]
        assert self.refusals_expected or refused == []
        assert sum(map(len, self.jobs().values())) <= len(self.placed)
        for before in self.placed:
            task = await self.read(before)
            balance = sum(held for _, held, _ in await self.booked(task))
            assert balance == (task.price_micros if task.state in WAITING else 0)


@asynccontextmanager
async def open_bench(
    folder: Path,
    template: Path,
    clip: bytes,
    names: Sequence[str],
    *,
    catalog: Catalog = CATALOG,
    deadline: float = 5.0,
    hooks: Hooks | None = None,
    limits: Sequence[Limit] = (),
) -> AsyncIterator[Bench]:
    """The same parts as `bot.app.build` makes. `deadline` is seconds for one call of a provider."""
    bench = Bench(catalog)
    clock, monotonic = bench.clock, bench.clock.monotonic
    shutil.copyfile(template, folder / "conch.db")
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(open_client(TLS))
        downloads = await stack.enter_async_context(
            Downloads(trusted_hosts=frozenset({"127.0.0.1"}), tls=TLS)
        )
        timing = Timing(deadline=deadline, sleep=Sleeper(), chance=lambda: 0.0)
        for name in names:
            case = CASES[name]
            standin = await stack.enter_async_context(case.standin(auto=True, clip=clip))
            settings = {key: clock if key == "clock" else value for key, value in case.settings.items()}
            bench.standins[name] = standin
            bench.providers[name] = case.provider(
                client=client,
                downloads=downloads,
                timing=timing,
                key=standin.key,
                base=standin.url,
                **settings,
            )
        host = await stack.enter_async_context(MindVideoStandIn())
        host.clips["picture"] = picture()
        bench.picture = f"{host.root}/clips/picture.mp4"
        database = await stack.enter_async_context(open_database(folder / "conch.db"))
        bench.tasks, bench.ledger = TaskStore(database), LedgerStore(database)
        await LimitStore(database).set_operators(limits)
        router = Router(catalog, names, monotonic=monotonic, tell=bench.told.append)
        bench.requests = Requests(
            bench.tasks,
            catalog,
            downloads,
            providers=names,
            router=router,
            access=Access(AccessStore(database), ServerStore(database), clock),
            default_format=Format.parse("hailuo-2.3/6/768p"),
            frames=folder / "frames",
            clock=clock,
            new_id=SequentialIds(),
        )
        rules = Rules(deadline_minutes=DEADLINE / 60)
        timetable = Timetable(rules, clock, Forecast(), jitter=lambda: 0.5)
        paces = Paces(catalog, monotonic)
        files = bench.files = Files(folder, bench.tasks)
        packing = Packing(bench.tasks, bench.providers, files, None, timetable, paces)
        shared = (bench.tasks, bench.providers, bench.announcer)
        reading = Reading(*shared, files, timetable)
        bench.engine = Engine(
            *shared,
            catalog,
            stages=Stages(
                Submitting(*shared, reading, router, timetable, hooks),
                reading,
                Delivering(*shared, files, packing, timetable, paces),
                files,
            ),
            paces=paces,
            timetable=timetable,
        )
        yield bench
        await bench.engine.idle()
        await bench.check()
