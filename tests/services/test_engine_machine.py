"""Any order of answers, faults, crashes, clocks and members, over three providers and their failovers.

One charge, one message, books that balance, and nobody asked for what another may have taken.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bot.domain.catalog import Format, Mode
from bot.domain.errors import (
    ContentRefused,
    DeliveryError,
    JobNotFound,
    JobRejected,
    NobodyThere,
    NotAVideo,
    OutcomeUnknown,
    ProviderBusy,
    ProviderClosed,
    ProviderError,
    Refusal,
)
from bot.domain.limits import Limit, Period, Scope
from bot.domain.money import micros_of
from bot.domain.ports import Report
from bot.domain.task import TaskState
from bot.providers.downloads import Downloads
from bot.services.requests import Order, Requests
from bot.services.timetable import Rules
from tests.fakes import (
    After,
    FileAnswer,
    RecordingAnnouncer,
    ScriptedProvider,
    Silence,
    StatusAnswer,
    SubmitAnswer,
)
from tests.services.world import CHANNEL, KEYED, LOOKED_UP, SERVER, UNKEYED, World, catalog_of

FORMAT = "hailuo-02/10/768p"
#: The cheapest can do least, so that failovers meet every kind of doubt.
PRICES = {UNKEYED: "0.20", LOOKED_UP: "0.24", KEYED: "0.24"}
ALL = tuple(PRICES)
BRISK = {"concurrency": 10, "requests_per_minute": 120}
NAMES = st.sampled_from(ALL)
#: Who may get a new task, the first at first.
CHOICES = st.sampled_from([ALL, ALL, ALL, (KEYED,), (LOOKED_UP,), (UNKEYED, KEYED)])
SUBMITS: list[SubmitAnswer] = [
    ProviderBusy("429", retry_after=30),
    ProviderBusy("503"),
    ProviderBusy("503"),
    JobRejected("takes no such prompt"),
    OutcomeUnknown("lost"),
    After(OutcomeUnknown("lost")),
    After(KeyError("a bug in reading the answer")),
    JobRejected("no"),
    ContentRefused("a famous mouse"),
    ProviderClosed("no balance"),
    TaskState.PROCESSING,
    TaskState.SUCCEEDED,
    TaskState.FAILED,
]
LOOKUPS: list[ProviderError] = [ProviderBusy("429"), ProviderClosed("bad key"), OutcomeUnknown("several")]
STATUSES: list[StatusAnswer] = [
    ProviderBusy("503"),
    JobNotFound("no such job"),
    ProviderClosed("bad key"),
    KeyError("a bug"),
    Report("", TaskState.SUCCEEDED),
    Report("", TaskState.HELD),
]
FILES: list[FileAnswer] = [ProviderBusy("503"), NotAVideo("600 MB"), b"<html>"]
POSTS: list[BaseException | After] = [
    DeliveryError("500"),
    After(DeliveryError("reset")),
    NobodyThere("closed"),
    KeyError("a bug"),
]
T = TypeVar("T")
ENDS = [TaskState.PROCESSING, TaskState.SUCCEEDED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED]


def few(answers: list[T]) -> st.SearchStrategy[list[T]]:
    return st.lists(st.sampled_from(answers), max_size=3)


class Life(RuleBasedStateMachine):
    template: ClassVar[Path]
    clip: ClassVar[bytes]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="conch-life-"))
        self.runner = asyncio.Runner()
        self.world = World(self.folder, self.template, self.clip)
        self.world.rules = Rules(user_concurrency=50)
        self.world.catalog, self.world.enabled = catalog_of(PRICES, FORMAT, **BRISK), list(ALL)
        self.orders: list[tuple[tuple[str, ...], Order]] = []
        self.run(self.world.open())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @property
    def scripted(self) -> dict[str, ScriptedProvider]:
        return self.world.scripted

    async def place_order(self, providers: tuple[str, ...], order: Order) -> bool:
        """Place it; whether it was there already."""
        async with Downloads() as downloads:
            requests = Requests(
                self.world.tasks,
                self.world.catalog,
                downloads,
                providers=providers,
                router=self.world.router_of(*providers),
                access=self.world.access,
                default_format=Format.parse(FORMAT),
                frames=self.folder / "frames",
                clock=self.world.clock,
                new_id=self.world.ids,
            )
            return (await requests.place(order)).again

    # ------------------------------------------------------------------ members

    @initialize()
    def begin(self) -> None:
        for name in ALL:
            self.place((name,), member=1, count=2)
        self.place(ALL, member=1, count=1)

    @rule(providers=CHOICES, member=st.integers(1, 3), count=st.integers(1, 3))
    def place(self, providers: tuple[str, ...], member: int, count: int) -> None:
        number = len(self.orders) + 1
        order = Order(number, SERVER, "s", CHANNEL, member, Mode.TEXT, "boat", FORMAT, count=count)
        self.orders.append((providers, order))
        assert not self.run(self.place_order(providers, order))
        announced = self.world.tasks.announced(
            number, channel_id=CHANNEL, message_id=number, urls=(), at=self.world.clock()
        )
        self.run(announced)

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def place_again(self, data: st.DataObject) -> None:
        providers, order = data.draw(st.sampled_from(self.orders))
        before = self.world.rows("SELECT * FROM tasks")
        assert self.run(self.place_order(providers, replace(order, prompt="other words")))
        assert self.world.rows("SELECT * FROM tasks") == before

    @precondition(lambda self: self.world.ids.made)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        task_id = f"task{data.draw(st.integers(1, self.world.ids.made)):06}"

        async def cancel() -> None:
            async with Downloads() as downloads:
                requests = Requests(
                    self.world.tasks,
                    self.world.catalog,
                    downloads,
                    providers=[],
                    router=self.world.router,
                    access=self.world.access,
                    default_format=Format.parse(FORMAT),
                    frames=self.folder / "frames",
                    clock=self.world.clock,
                    new_id=self.world.ids,
                )
                task = await self.world.tasks.get(task_id)
                try:
                    await requests.cancel(task_id, member_id=task.member_id if task else 0, server_id=SERVER)
                except Refusal:
                    assert task is None or task.state is not TaskState.HELD

        self.run(cancel())

    # ------------------------------------------------------------------- answers

    @rule(providers=CHOICES, answers=st.lists(few(SUBMITS), min_size=3, max_size=3))
    def answer_submits(self, providers: tuple[str, ...], answers: list[list[SubmitAnswer]]) -> None:
        """A new task meets these answers, one after the other where it is asked for again or given on."""
        for name, queue in zip(ALL, answers, strict=True):
            self.scripted[name].submit_answers.extend(queue)
        self.place(providers, member=4, count=1)
        self.run(self.world.turns(4, 31))

    @rule(errors=few(LOOKUPS))
    def answer_lookups(self, errors: list[ProviderError]) -> None:
        self.world.looked_up.lookup_answers.extend(errors)

    @rule(
        times=st.integers(1, 5),
        error=st.sampled_from([ProviderBusy("503"), ProviderClosed("no balance")]),
        name=NAMES,
    )
    def let_rest(self, times: int, error: ProviderError, name: str) -> None:
        for _ in range(times):
            self.world.router.failed(name, error)

    @rule(micros=st.sampled_from([0, 300_000, 10**9]), name=NAMES)
    def limit_a_provider(self, micros: int, name: str) -> None:
        """For failovers; new tasks are placed without it."""
        self.run(self.world.limited(Limit(Scope.PROVIDER, Period.MONTH, micros, name)))
        self.run(self.world.turns(2, 16))
        self.run(self.world.limited())

    @rule(name=NAMES, answers=few(STATUSES), files=few(FILES), posts=few(POSTS))
    def answer_the_rest(
        self,
        name: str,
        answers: list[StatusAnswer],
        files: list[FileAnswer],
        posts: list[BaseException | After],
    ) -> None:
        self.scripted[name].status_answers.extend(answers)
        self.scripted[name].files.extend(files)
        self.world.announcer.faults.extend(posts)

    @rule(
        name=NAMES,
        state=st.sampled_from(ENDS),
        cost=st.sampled_from([None, 0, 450_000, 900_000]),
        expired=st.booleans(),
    )
    def move_a_job(self, name: str, state: TaskState, cost: int | None, expired: bool) -> None:  # noqa: FBT001 - hypothesis names it
        for job in self.scripted[name].jobs.values():
            job.links += expired
        running = [job for job in self.scripted[name].jobs.values() if not job.ended]
        for job in running[:1]:
            job.state, job.cost = state, cost
        self.run(self.world.turns(2, 8))

    @rule(off=st.sampled_from([(), (), *((name,) for name in ALL), (KEYED, LOOKED_UP)]))
    def switch(self, off: tuple[str, ...]) -> None:
        self.world.switch_on(*(name for name in self.world.providers if name not in off))

    # ------------------------------------------------------------- time and crashes

    @rule(seconds=st.sampled_from([0, 5, 20, 20, 20, 60, 301, 901]))
    def turn(self, seconds: int) -> None:
        self.run(self.world.turn(seconds))

    @rule(seconds=st.sampled_from([-4000, -700, 4000, 10**8]))
    def set_clock(self, seconds: int) -> None:
        self.world.clock.set_ahead(seconds)
        self.run(self.world.turn())

    @rule()
    def restart(self) -> None:
        self.run(self.world.restart())

    @rule(
        where=st.sampled_from(["submit", "status", "download", "post"]),
        after=st.booleans(),
        seconds=st.sampled_from([0, 20]),
    )
    def crash_in(self, where: str, after: bool, seconds: int) -> None:  # noqa: FBT001 - hypothesis names it
        silence = Silence(after=after)
        queues: dict[str, list[Any]] = {
            "submit": [provider.submit_answers for provider in self.scripted.values()],
            "status": [provider.status_answers for provider in self.scripted.values()],
            "download": [provider.files for provider in self.scripted.values()],
            "post": [self.world.announcer.faults],
        }
        for queue in queues[where]:
            queue.insert(0, silence)
        self.run(self._crash(seconds))
        for queue in queues[where]:
            if silence in queue:
                queue.remove(silence)

    async def _crash(self, seconds: int) -> None:
        """Step until something hangs or nothing is left to do, then lose everything in memory."""
        self.world.clock.advance(seconds)
        outside: list[ScriptedProvider | RecordingAnnouncer]
        outside = [*self.scripted.values(), self.world.announcer]
        for place in outside:
            place.silent = asyncio.Event()
        await self.world.engine.step()
        waits = [asyncio.ensure_future(place.silent.wait()) for place in outside]
        idle = asyncio.ensure_future(self.world.engine.idle())
        await asyncio.wait([idle, *waits], return_when=asyncio.FIRST_COMPLETED)
        for wait in (idle, *waits):
            wait.cancel()
        await asyncio.gather(idle, *waits, return_exceptions=True)
        await self.world.restart()

    # ------------------------------------------------------------------ what holds

    @invariant()
    def books_balance(self) -> None:
        self.world.check()

    @invariant()
    def ends_are_the_providers(self) -> None:
        """A hold is given back only without a job, and a cost is booked only with a finished one, as it was told."""
        jobs = {job.key: (name, job) for name, one in self.scripted.items() for job in one.jobs.values()}
        for task_id, state, provider, listed, spent in self.world.rows(_ENDS):
            name, job = jobs.get(f"conch-{task_id}", ("", None))
            if state in {"failed", "cancelled"}:
                assert job is None or job.state in {TaskState.FAILED, TaskState.CANCELLED}, task_id
            if state in {"succeeded", "delivered"}:
                assert job is not None, task_id
                assert (job.state, name) == (TaskState.SUCCEEDED, provider), task_id
                assert listed == micros_of(Decimal(PRICES[provider])), task_id
                assert spent == (listed if job.cost is None else job.cost), task_id

    def teardown(self) -> None:
        try:
            self.run(self._calm())
            self.world.check()
            self.ends_are_the_providers()
            self._all_ended()
        finally:
            self.run(self.world.crash())
            self.runner.close()
            shutil.rmtree(self.folder)

    async def _calm(self) -> None:
        """No more faults, and enough time for everything."""
        world = self.world
        for provider in self.scripted.values():
            for answers in (
                provider.submit_answers,
                provider.lookup_answers,
                provider.status_answers,
                provider.files,
            ):
                answers.clear()
        world.announcer.faults.clear()
        await world.restart()
        for _ in range(30):
            for provider in self.scripted.values():
                provider.finish_all()
            await world.turn(901)
            await world.turns(3, 5)
            if not world.rows("SELECT id FROM tasks WHERE due_at IS NOT NULL"):
                return

    def _all_ended(self) -> None:
        """Delivered, kept, given back, or in doubt for ever with its hold kept and nothing sent again."""
        for task_id, state, due in self.world.rows("SELECT id, state, due_at FROM tasks"):
            assert state in {"delivered", "succeeded", "failed", "cancelled", "parked"}, (task_id, state)
            assert due is None, (task_id, state, due)


_ENDS = """
SELECT id, state, provider, list_micros,
  (SELECT spent_micros FROM ledger WHERE task_id = tasks.id AND kind = 'settle')
FROM tasks
"""


@pytest.mark.timeout(600)  # a failure is made small before it is shown
def test_no_order_of_events_charges_or_posts_twice(
    template: Path, clip_bytes: bytes, quick_probe: None
) -> None:
    Life.template, Life.clip = template, clip_bytes
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=50,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
