"""One data folder, its database and its engine, with everything outside them scripted; `crash` throws both away."""

import asyncio
import shutil
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bot.catalog
from bot.domain.catalog import Catalog, Format, Mode, Offer
from bot.domain.limits import Limit
from bot.domain.ports import Provider
from bot.domain.task import Frame, Task, TaskState
from bot.services.access import Access
from bot.services.delivering import Delivering
from bot.services.engine import Engine, Stages
from bot.services.files import Files
from bot.services.forecast import REMEMBERED, Forecast, Kind
from bot.services.hooks import Hooks
from bot.services.pace import Paces
from bot.services.packing import Packing
from bot.services.reading import Reading
from bot.services.router import Router
from bot.services.submitting import Submitting
from bot.services.timetable import Rules, Timetable
from storage.access import AccessStore
from storage.database import Database, open_database
from storage.ledger import LedgerStore
from storage.limits import LimitStore
from storage.servers import ServerStore
from storage.tasks import TaskStore
from tests.fakes import FakeClock, RecordingAnnouncer, ScriptedProvider, SequentialIds

if TYPE_CHECKING:
    from bot.services.links import ClipLinks

PRICE = 280_000
#: Milliseconds.
LINKS_LAST = 7 * 86_400_000
SERVER, CHANNEL = 77, 88
KEYED, LOOKED_UP, UNKEYED = "mindvideo", "gmi", "novita"
CATALOG = bot.catalog.load()
WAITING = {"held", "submitting", "queued", "processing", "parked"}


def catalog_of(prices: Mapping[str, str], chosen: str = "hailuo-02/6/768p", **rules: Any) -> Catalog:
    """The catalog with these offers of a format alone, for every mode, and the same rules for all providers."""
    wanted, template = Format.parse(chosen), CATALOG.offers[0].model_dump()
    template |= {"modes": [mode.value for mode in Mode], **wanted.model_dump()}
    offers = [Offer(**{**template, "provider": name, "price": price}) for name, price in prices.items()]
    providers = {name: known.model_copy(update=rules) for name, known in CATALOG.providers.items()}
    return CATALOG.model_copy(update={"offers": offers, "providers": providers})


def catalog_with(provider: str, **changes: Any) -> Catalog:
    """The catalog with other rules for one provider."""
    rules = CATALOG.providers[provider].model_copy(update=changes)
    return CATALOG.model_copy(update={"providers": {**CATALOG.providers, provider: rules}})


class Store(TaskStore):
    """Hides finished clips while `quiet`: else they may be posted in the very step that reads their end."""

    quiet = False

    async def deliverable(self, at: int, *, provider: str, limit: int) -> list[Task]:
        return [] if self.quiet else await super().deliverable(at, provider=provider, limit=limit)


class World:
    providers: Mapping[str, Provider]

    def __init__(self, folder: Path, template: Path, clip: bytes) -> None:
        self.folder = folder
        self.path = folder / "conch.db"
        shutil.copyfile(template, self.path)
        self.clock = FakeClock()
        self.ids = SequentialIds()
        self.announcer = RecordingAnnouncer()
        doubts: dict[str, str] = {}
        self.keyed = ScriptedProvider(KEYED, self.clock, keyed=True, clip=clip, doubts=doubts)
        self.looked_up = ScriptedProvider(LOOKED_UP, self.clock, looks_up=True, clip=clip, doubts=doubts)
        self.unkeyed = ScriptedProvider(UNKEYED, self.clock, clip=clip, doubts=doubts)
        self.scripted = {KEYED: self.keyed, LOOKED_UP: self.looked_up, UNKEYED: self.unkeyed}
        self.providers = self.scripted
        self.catalog = CATALOG
        self.rules = Rules(user_concurrency=4)
        self.enabled: list[str] = []
        self.hooks: Hooks | None = Hooks("https://bot.example", b"secret")
        self.links: ClipLinks | None = None
        self.told: list[str] = []
        self.chance = 0.5
        self.interactions = 0
        self._stack = AsyncExitStack()

    async def open(self) -> "World":
        """A start of the bot, up to the first step."""
        self.database: Database = await self._stack.enter_async_context(open_database(self.path))
        self.tasks = Store(self.database)
        self.ledger = LedgerStore(self.database)
        self.access = Access(AccessStore(self.database), ServerStore(self.database), self.clock)
        self.engine = await self._engine()
        await self.engine.recover()
        return self

    async def _engine(self) -> Engine:
        """All parts, connected as in `bot.app`."""
        forecast = Forecast()
        for task, took in await self.tasks.durations(each=REMEMBERED):
            forecast.learn(Kind.of(task), [took])
        # A dictionary of its own, so that `switch_on` reaches every part.
        self._switched_on = dict(self.providers)
        common = (self.tasks, self._switched_on, self.announcer)
        self.timetable = Timetable(self.rules, self.clock, forecast, jitter=lambda: self.chance)
        self.router = self.router_of(*self.enabled)
        self.paces = Paces(self.catalog, self.clock.monotonic)
        files = Files(self.folder, self.tasks, links_last=LINKS_LAST if self.links else 0)
        packing = Packing(self.tasks, self._switched_on, files, self.links, self.timetable, self.paces)
        reading = Reading(*common, files, self.timetable)
        return Engine(
            *common,
            self.catalog,
            stages=Stages(
                Submitting(*common, reading, self.router, self.timetable, self.hooks),
                reading,
                Delivering(*common, files, packing, self.timetable, self.paces),
                files,
            ),
            paces=self.paces,
            timetable=self.timetable,
        )

    def router_of(self, *providers: str) -> Router:
        """A router of its own, for requests that only these providers may take."""
        return Router(self.catalog, providers, monotonic=self.clock.monotonic, tell=self.told.append)

    def switch_on(self, *names: str) -> None:
        """Only these providers from now on."""
        self._switched_on.clear()
        self._switched_on.update({name: self.providers[name] for name in names})

    async def crash(self) -> None:
        """Everything in memory is gone, whatever it was doing."""
        running = [task for lane in self.engine._lanes.values() for task in lane.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._stack.aclose()

    async def restart(self) -> None:
        await self.crash()
        await self.open()

    async def turn(self, seconds: float = 0) -> float:
        """Move the clock, start what is due and wait for it."""
        self.clock.advance(seconds)
        pause = await self.engine.step()
        await self.engine.idle()
        return pause

    async def quiet_turn(self, seconds: float = 0) -> None:
        """A turn that posts nothing."""
        self.tasks.quiet = True
        await self.turn(seconds)
        self.tasks.quiet = False

    async def turns(self, count: int, seconds: float) -> None:
        for _ in range(count):
            await self.turn(seconds)

    async def limited(self, *limits: Limit) -> None:
        await LimitStore(self.database).set_operators(limits)

    async def hold(self, count: int = 1, **changes: Any) -> list[Task]:
        """Tasks of a new command, held and with a progress message, so that they may start at once."""
        tasks = await self.hold_unannounced(count, **changes)
        await self.tasks.announced(
            tasks[0].interaction_id, channel_id=CHANNEL, message_id=500, urls=(), at=self.clock()
        )
        return [await self.read(task) for task in tasks]

    async def hold_one(self, **changes: Any) -> Task:
        (task,) = await self.hold(**changes)
        return task

    async def hold_unannounced(self, count: int = 1, **changes: Any) -> list[Task]:
        self.interactions += 1
        drafts = [self._draft(ordinal, **changes) for ordinal in range(count)]
        placed = await self.tasks.place(drafts, server_name="A server")
        return placed.tasks

    def _draft(
        self,
        ordinal: int,
        *,
        provider: str = KEYED,
        mode: Mode = Mode.TEXT,
        member_id: int = 1,
        server_id: int = SERVER,
        price: int = PRICE,
        listed: int | None = None,
        camera: str | None = None,
    ) -> Task:
        frames = [self._frame(which) for which in _FRAMES[mode]] + [None, None]
        at = self.clock()
        return Task(
            id=self.ids(),
            interaction_id=self.interactions,
            ordinal=ordinal,
            server_id=server_id,
            channel_id=CHANNEL,
            member_id=member_id,
            mode=mode,
            format=Format.parse("hailuo-02/6/768p"),
            prompt="a paper boat",
            camera=camera,
            enhance=True,
            first_frame=frames[0],
            last_frame=frames[1],
            provider=provider,
            price_micros=price,
            list_micros=price if listed is None else listed,
            tried=(),
            upload_limit=None,
            state=TaskState.HELD,
            created_at=at,
            changed_at=at,
            submitted_at=None,
            due_at=at + 20_000,
            polls=0,
            job_id=None,
            clip_url=None,
            clip_expires_at=None,
            problem=None,
            progress_channel_id=None,
            progress_message_id=None,
            posting_since=None,
            message_channel_id=None,
            message_id=None,
        )

    def _frame(self, which: str) -> Frame | None:
        path = self.folder / "frames" / f"{self.interactions}-{which}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\xff\xd8 pixels")
        return Frame(str(path))

    # ------------------------------------------------------------------- looking

    async def read(self, task: Task) -> Task:
        found = await self.tasks.get(task.id)
        assert found is not None
        return found

    async def state(self, task: Task) -> TaskState:
        return (await self.read(task)).state

    async def booked(self, task: Task) -> list[tuple[str, int, int]]:
        return [
            (entry.kind, entry.held_micros, entry.spent_micros)
            for entry in await self.ledger.of_task(task.id)
        ]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What another program finds in the file."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(sql).fetchall()

    def files(self, folder: str) -> list[str]:
        return sorted(file.name for file in (self.folder / folder).glob("*"))

    def check(self) -> None:
        """What holds at every moment, whatever happened."""
        scripted = list(self.scripted.values())
        assert [*self.announcer.violations, *(told for one in scripted for told in one.violations)] == []
        charged = sum((one.charges for one in scripted), Counter[str]())
        assert all(count == 1 for count in charged.values()), charged
        assert all(len(posts) <= 1 for posts in self.announcer.clips.values())
        held = 0
        for task_id, state, price, kinds, balance, bodies in self.rows(_BOOKS):
            held += price if state in WAITING else 0
            assert kinds == _ENTRIES.get(state, "hold"), (task_id, state, kinds)
            assert balance == (price if state in WAITING else 0), (task_id, state)
            assert not (state == "delivered" and not self.announcer.clips.get(task_id)), task_id
            assert bodies == 0 or state in {"held", "submitting", "parked"}, (task_id, state)
            assert not (state in {"failed", "cancelled"} and self.announcer.clips.get(task_id)), task_id
        assert self.rows("SELECT COALESCE(SUM(held_micros), 0) FROM ledger") == [(held,)]


_FRAMES: dict[Mode, tuple[str, ...]] = {
    Mode.TEXT: (),
    Mode.IMAGE: ("first",),
    Mode.TRANSITION: ("first", "last"),
}
_ENTRIES = {
    "succeeded": "hold,settle",
    "delivered": "hold,settle",
    "failed": "hold,release",
    "cancelled": "hold,release",
}
_BOOKS = """
SELECT id, state, price_micros,
  (SELECT GROUP_CONCAT(kind) FROM (SELECT kind FROM ledger WHERE task_id = tasks.id ORDER BY id)),
  (SELECT SUM(held_micros) FROM ledger WHERE task_id = tasks.id),
  (SELECT COUNT(*) FROM submissions WHERE task_id = tasks.id)
FROM tasks
"""
