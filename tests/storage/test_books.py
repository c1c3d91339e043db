"""Whatever happens in whatever order, the books are those of a model made of plain dicts.

`CONCH_STEPS=100000 pytest tests/storage/test_books.py` takes that many random steps, other ones each time; without
it the same short walk is taken on every run.
"""

import asyncio
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

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

from bot.catalog import load
from bot.domain.audit import Deed
from bot.domain.errors import StaleTask
from bot.domain.limits import Limit, LimitHit, Period, Scope
from bot.domain.servers import Server
from bot.domain.task import FINAL, MOVES, Task, TaskState
from storage import ledger, limits
from storage.database import open_database
from storage.limits import LimitStore
from storage.servers import ServerStore
from storage.tasks import Placed, TaskStore
from tests.storage.books_model import Clip, Model, Order, window_of
from tests.storage.drafts import draft, move

LONG = "CONCH_STEPS" in os.environ
STEPS = int(os.environ.get("CONCH_STEPS", "7000"))
EACH = 100
#: Every commit is flushed all the same; where there is no such folder, to a disk.
MEMORY = Path("/dev/shm")

MEMBERS, SERVERS, ROLES = st.integers(1, 3), st.integers(1, 2), st.integers(901, 902)
PROVIDERS = st.sampled_from(["mindvideo", "gmi", "novita"])
PRICES = st.sampled_from([0, 1, 280_000, 280_000, 280_000, 280_000, 500_000, 2_000_001])
#: Multiples of a price, so that limits are met exactly, and a micro beside them.
AMOUNTS = st.sampled_from(
    [0, 280_000, 559_999, 560_000, 840_000, 1_400_000, 2_000_001, 5_000_000, 20_000_000]
)
#: What a clip costs above its price; it is never less than nothing.
OVER = st.sampled_from([-10_000_000, -1, 0, 0, 1, 1_500_000])
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu", "Asia/Beirut"]
)
HOUR = 3_600_000


def edge(zone: str, text: str, fold: int = 0) -> tuple[str, int]:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return zone, round(moment.timestamp() * 1000)


#: Moments around which commands fall: ends of days, months and years, days with 23, 23.5, 24.5 and 25 hours.
EDGES = [
    edge("UTC", "2026-11-21"),
    edge("UTC", "2027-01-01"),
    edge("UTC", "2028-02-29"),
    edge("UTC", "2028-03-01"),
    edge("Europe/Berlin", "2028-03-01"),
    edge("Europe/Berlin", "2027-03-28"),
    edge("Europe/Berlin", "2027-03-29"),
    edge("Europe/Berlin", "2027-11-01"),
    edge("America/Havana", "2027-03-14T01:00"),  # this day has no midnight
    edge("America/Havana", "2027-11-07"),  # and this one has it twice
    edge("America/Havana", "2027-11-07", fold=1),
    edge("America/Havana", "2027-11-08"),
    edge("Asia/Beirut", "2027-10-31"),  # the hour before it comes twice
    edge("Australia/Lord_Howe", "2027-04-05"),
    edge("Australia/Lord_Howe", "2027-10-04"),
    edge("Asia/Kathmandu", "2027-01-01"),
]
_NEAR = [-1, -1, -1, -1, 0, 0, 0, 0, 1, -HOUR // 2, HOUR // 2, -HOUR, HOUR]
#: From an edge to a moment near it, back and forth; sometimes a day, a month or a year away.
SHIFTS = st.sampled_from(
    [*_NEAR, *(hours * HOUR for hours in (-25, -24, 23, 25, 28 * 24, 31 * 24, 366 * 24))]
)
PLACES = st.tuples(MEMBERS, SERVERS, PROVIDERS, PRICES, st.integers(1, 4))
PERIODS = st.sampled_from(list(Period))
#: Whose limits an admin sets: a member's, everyone's, a role's, the server's.
SUBJECTS = st.one_of(
    st.tuples(st.just(Scope.MEMBER), MEMBERS.map(str)),
    st.tuples(st.just(Scope.MEMBER), st.just("")),
    st.tuples(st.just(Scope.ROLE), ROLES.map(str)),
    st.tuples(st.just(Scope.ROLE), ROLES.map(str)),
    st.tuples(st.just(Scope.SERVER), st.just("")),
)
#: Limits of one period, so that they meet.
WORDS = st.lists(st.tuples(SUBJECTS, AMOUNTS), min_size=1, max_size=5)
OPERATORS = st.lists(
    st.builds(
        Limit,
        scope=st.sampled_from([Scope.MEMBER, Scope.SERVER, Scope.PROVIDER, Scope.PROVIDER, Scope.BOT]),
        period=PERIODS,
        micros=st.sampled_from([560_000, 2_000_000, 5_000_000, 20_000_000]),
        subject=st.sampled_from(["", "", "1", "gmi"]),
    ),
    max_size=3,
    unique_by=lambda limit: (limit.scope, limit.period, limit.subject),
)
OFFER = load().offers[0]
ADMIN = 999

#: What may come next for a task in each state, first of all what its member hopes for; `book` and `refuse` end it
#: with a cost and without one.
ANSWERS: dict[TaskState, tuple[str, ...]] = {
    TaskState.HELD: ("submit", "give on", "submit", "give on", "cancel", "refuse"),
    TaskState.SUBMITTING: (
        "make",
        "queue",
        "busy",
        "give on",
        "succeed",
        "refuse",
        "cancel",
        "book",
        "lose",
        "lose",
    ),
    TaskState.QUEUED: ("make", "succeed", "refuse", "cancel", "book", "lose"),
    TaskState.PROCESSING: ("succeed", "refuse", "cancel", "book", "lose"),
    TaskState.PARKED: ("succeed", "attach", "refuse", "cancel", "book"),
    TaskState.SUCCEEDED: ("deliver",),
}
MOVED = {
    "submit": TaskState.SUBMITTING,
    "busy": TaskState.HELD,
    "queue": TaskState.QUEUED,
    "make": TaskState.PROCESSING,
    "lose": TaskState.PARKED,
    "deliver": TaskState.DELIVERED,
}
ENDED = {
    "succeed": TaskState.SUCCEEDED,
    "book": TaskState.FAILED,
    "refuse": TaskState.FAILED,
    "cancel": TaskState.CANCELLED,
}
#: Which of the open tasks, which answer, what it costs above its price, and who gets it next.
EVENTS = st.tuples(st.integers(0, 99), st.integers(0, 99), OVER, PROVIDERS)


class Books(RuleBasedStateMachine):
    """Random calls on a real file; `template` is a migrated one."""

    template: ClassVar[Path]
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None)
        file = Path(shutil.copy(self.template, self._folder))
        self._runner, self._stack = asyncio.Runner(), AsyncExitStack()
        self._database = self._do(self._stack.enter_async_context(open_database(file)))
        self._store, self._limits = TaskStore(self._database), LimitStore(self._database)
        self._servers = ServerStore(self._database)
        #: Looks at the file as another program would.
        self._other = sqlite3.connect(file, isolation_level=None)
        self._edge = self._now = 0
        self._number = self._checks = 0
        self._model = Model()
        self._deeds: list[tuple[int, int, str]] = []
        self._entries: list[tuple[Any, ...]] = []
        self._notes: list[tuple[Any, ...]] = []

    def _do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(what)

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._other.execute(sql).fetchall()

    def teardown(self) -> None:
        self._other.close()
        self._do(self._stack.aclose())
        self._runner.close()
        shutil.rmtree(self._folder)

    # -------------------------------------------------------------- members

    def _order(self, place: tuple[int, int, str, int, int]) -> Order:
        self._number += 1
        return Order(self._number, self._now, *place)

    def _drafts(self, order: Order) -> list[Task]:
        return [
            draft(
                order.number,
                ordinal=ordinal,
                created_at=order.at,
                member_id=order.member,
                server_id=order.server,
                provider=order.provider,
                price_micros=order.price,
            )
            for ordinal in range(order.count)
        ]

    def _roles(self, order: Order) -> frozenset[int]:
        return self._model.roles.get((order.server, order.member), frozenset())

    def _place(self, order: Order) -> Coroutine[Any, Any, Placed]:
        return self._store.place(self._drafts(order), server_name="Harbour", role_ids=self._roles(order))

    @rule(places=st.lists(PLACES, min_size=2, max_size=8), twice=st.booleans())
    def place_at_once(self, places: list[tuple[int, int, str, int, int]], twice: bool) -> None:  # noqa: FBT001 - hypothesis names it
        """Many members in one instant, so that their holds share commits; Discord may deliver the first twice."""
        orders = [self._order(place) for place in places]
        asked = orders + orders[: int(twice)]

        async def all_of_them() -> list[Placed]:
            return await asyncio.gather(*(self._place(order) for order in asked))

        for order, outcome in zip(asked, self._do(all_of_them()), strict=True):
            self._check_outcome(order, outcome)

    def _check_outcome(self, order: Order, outcome: Placed) -> None:
        known = [key for key, clip in self._model.clips.items() if clip.order == order]
        assert outcome.again is bool(known)
        if known:
            assert [task.id for task in outcome.tasks] == known
        elif reason := self._model.pauses.get(order.server):
            assert (outcome.pause_reason, outcome.tasks) == (reason, [])
        elif not self._model.fits(order):
            assert outcome.hit is not None
            assert outcome.tasks == []
            self._check_hit(order, outcome.hit)
        else:
            assert (outcome.hit, outcome.pause_reason, len(outcome.tasks)) == (None, None, order.count)
            self._model.place(order, [task.id for task in outcome.tasks])
            for room, limit in self._model.rooms(order):
                assert order.total == 0 or room >= 0, limit

    def _check_hit(self, order: Order, hit: LimitHit) -> None:
        """It is a limit with the least room, with the numbers and the moment that a member is told."""
        rooms = self._model.rooms(order)
        least = min(room for room, _ in rooms)
        assert (least, hit.limit) in rooms
        assert (hit.limit.micros - hit.usage.total, hit.price) == (least, order.total)
        zone = self._model.zone(hit.limit, order.server)
        assert hit.until == window_of(order.at, zone, hit.limit.period)[1]

    @precondition(lambda self: self._model.clips)
    @rule(which=st.integers(0, 99))
    def place_again(self, which: int) -> None:
        """An event that comes twice finds its tasks, whatever the limits say now."""
        key, clip = self._pick(self._model.clips, which)
        outcome = self._do(self._place(clip.order))
        assert outcome.again
        assert key in {task.id for task in outcome.tasks}

    @rule(places=st.lists(PLACES, min_size=1, max_size=4), shift=SHIFTS)
    def ask_for_room(self, places: list[tuple[int, int, str, int, int]], shift: int) -> None:
        """At a moment before or after what was held."""
        self._now = self._edge + shift
        for place in places:
            self._ask(self._order(place))

    def _ask(self, order: Order) -> None:
        """What is left, and what stands in the way; of a budget that is too small moderators are told."""
        drafts, roles = self._drafts(order), self._roles(order)
        assert self._do(self._store.room(drafts[0], roles)) == self._model.room(order)
        hit = self._do(self._store.limit_hit(drafts, roles))
        assert (hit is None) is self._model.fits(order)
        if hit is not None:
            self._check_hit(order, hit)
        self._do(self._store.note_refused(drafts, roles))
        self._model.refuse_for_good(order)

    # -------------------------------------------------------------- what becomes of a task

    def _open(self) -> dict[str, Clip]:
        return {key: clip for key, clip in self._model.clips.items() if clip.state not in FINAL}

    @staticmethod
    def _pick(clips: dict[str, Clip], which: int) -> tuple[str, Clip]:
        return list(clips.items())[which % len(clips)]

    @precondition(lambda self: self._open())
    @rule(events=st.lists(EVENTS, min_size=3, max_size=10))
    def things_happen(self, events: list[tuple[int, int, int, str]]) -> None:
        """Answers, cancels and decisions on several tasks at once, each of its own."""
        chosen: dict[str, tuple[str, int, str]] = {}
        for which, choice, over, provider in events:
            key, clip = self._pick(self._open(), which)
            answers = ("cancel",) if clip.waits else ANSWERS[clip.state]
            if self._model.pauses.get(clip.order.server):
                answers = tuple(answer for answer in answers if answer != "submit")
            chosen.setdefault(key, (answers[choice % len(answers)], over, provider))

        async def all_of_them() -> list[Any]:
            tasks = {key: await self._read(key) for key in chosen}
            return await asyncio.gather(*(self._act(tasks[key], *what) for key, what in chosen.items()))

        for (key, what), answer in zip(chosen.items(), self._do(all_of_them()), strict=True):
            self._note_down(key, *what, answer)

    @precondition(lambda self: self._open())
    @rule(which=st.lists(st.integers(0, 99), min_size=1, max_size=6), over=OVER)
    def clips_are_made(self, which: list[int], over: int) -> None:
        for _ in range(3):
            if self._open():
                self.things_happen([(one, 0, over, "") for one in which])

    async def _read(self, key: str) -> Task:
        task = await self._store.get(key)
        assert task is not None
        return task

    def _act(self, task: Task, answer: str, over: int, provider: str) -> Coroutine[Any, Any, Any]:
        """The one write by which the services do it."""
        job, note = f"job of {task.id}", "it happened"
        match answer:
            case "give on":
                price = str(Decimal(task.price_micros) / 1_000_000)
                offer = OFFER.model_copy(update={"provider": provider, "price": price})
                return self._store.fail_over(task, offer, self._now, due_at=self._now, tried=(), note=note)
            case "attach" if task.job_id is None:
                return self._store.attach(task, job, self._now, note=note)
            case "attach":
                return self._store.postpone(task, self._now, due_at=self._now, problem=note)
            case _ if answer in MOVED:
                return move(self._store, task, MOVED[answer], self._now)
        return self._end(task, answer, max(0, task.price_micros + over))

    def _end(self, task: Task, answer: str, cost: int) -> Coroutine[Any, Any, None]:
        if answer == "succeed":
            job, clip = f"job of {task.id}", ("https://cdn.example/clip", None)
            return self._store.succeed(task, self._now, job_id=job, clip=clip, cost_micros=cost, note="made")
        booked = cost if answer == "book" else None
        return self._store.end(task, ENDED[answer], self._now, note="ended", cost_micros=booked)

    def _note_down(self, key: str, answer: str, over: int, provider: str, hit: LimitHit | None) -> None:
        clip = self._model.clips[key]
        if answer == "give on":
            assert (hit is None) is self._model.fits_provider(replace(clip.order, provider=provider))
            if hit is None:
                clip.state, clip.provider = TaskState.HELD, provider
        elif answer in ENDED:
            paid = answer in {"succeed", "book"}
            self._model.end(key, ENDED[answer], max(0, clip.order.price + over) if paid else 0)
        elif answer in MOVED:
            clip.state = MOVED[answer]

    @precondition(lambda self: self._model.clips)
    @rule(
        which=st.integers(0, 99),
        believed=st.sampled_from(sorted(set(TaskState) - FINAL)),
        choice=st.integers(0, 9),
    )
    def act_on_a_wrong_belief(self, which: int, believed: TaskState, choice: int) -> None:
        """Whoever believes another state than the true one changes nothing."""
        key, clip = self._pick(self._model.clips, which)
        onward = sorted(MOVES[believed])
        if clip.state is not believed:
            task = replace(self._do(self._read(key)), state=believed)
            with pytest.raises(StaleTask):
                self._do(move(self._store, task, onward[choice % len(onward)], self._now))

    @precondition(lambda self: any(clip.spent for clip in self._model.clips.values()))
    @rule(which=st.integers(0, 99), part=st.sampled_from([1, 2, 1_000_000]))
    def give_back(self, which: int, part: int) -> None:
        """All or a part of what was booked; a second time the file itself refuses."""
        key, clip = self._pick({key: clip for key, clip in self._model.clips.items() if clip.spent}, which)
        task, micros = self._do(self._read(key)), -(-clip.spent // part)

        def refund() -> None:
            self._do(self._database.write(lambda tx: ledger.refund(tx, task, micros, self._now)))

        if clip.refunded:
            with pytest.raises(sqlite3.IntegrityError):
                refund()
        else:
            refund()
            clip.refunded = micros

    # -------------------------------------------------------------- admins and the operator

    def _deed(self, server: int, action: str) -> Deed:
        self._deeds.append((server, self._now, action))
        return Deed(server, ADMIN, action)

    @rule(server=SERVERS, period=PERIODS, chosen=WORDS)
    def set_limits(self, server: int, period: Period, chosen: list[tuple[tuple[Scope, str], int]]) -> None:
        for (scope, subject), micros in chosen:
            limit = Limit(scope, period, micros, subject, server)
            self._do(self._limits.put(limit, self._deed(server, "limits set"), self._now))
            self._model.admins[server, scope, subject, period] = limit

    @precondition(lambda self: self._model.admins)
    @rule(which=st.integers(0, 99))
    def clear_a_limit(self, which: int) -> None:
        key = list(self._model.admins)[which % len(self._model.admins)]
        limit = self._model.admins.pop(key)
        assert self._do(self._limits.clear(limit, self._deed(key[0], "limits clear"), self._now))
        assert not self._do(self._limits.clear(limit, Deed(key[0], ADMIN, "again"), self._now))

    @rule(chosen=OPERATORS | st.just([]))
    def set_the_operators(self, chosen: list[Limit]) -> None:
        self._do(self._limits.set_operators(chosen))
        self._model.operators = chosen

    @rule(member=MEMBERS, server=SERVERS, roles=st.frozensets(ROLES))
    def give_roles(self, member: int, server: int, roles: frozenset[int]) -> None:
        self._model.roles[server, member] = roles

    def _change(self, server: int, action: str, change: Callable[[Server], Server]) -> None:
        deed = self._deed(server, action)
        self._do(self._servers.change(server, "Harbour", self._now, lambda chosen: (change(chosen), deed)))

    @rule(server=SERVERS, zone=ZONES)
    def move_to_a_zone(self, server: int, zone: str) -> None:
        """Windows are the new zone's at once, also for what was held before."""
        self._change(server, "zone", lambda chosen: replace(chosen, zone=zone))
        self._model.zones[server] = zone

    @rule(
        server=SERVERS,
        paused=st.sampled_from([False, False, False, True]),
        asks_above=st.sampled_from([None, None, 0, 280_000, 500_000]),
    )
    def switch(self, server: int, paused: bool, asks_above: int | None) -> None:  # noqa: FBT001 - hypothesis names it
        """Paused or not, and above which price of a clip moderators are asked."""
        reason = "a rest" if paused else None
        self._change(
            server, "switch", lambda it: replace(it, pause_reason=reason, approval_micros=asks_above)
        )
        self._model.pauses[server], self._model.asks_above[server] = reason, asks_above

    # -------------------------------------------------------------- time

    @initialize(around=st.sampled_from(EDGES), zone=ZONES, operators=OPERATORS, admins=WORDS)
    def begin(
        self,
        around: tuple[str, int],
        zone: str,
        operators: list[Limit],
        admins: list[tuple[tuple[Scope, str], int]],
    ) -> None:
        self.another_time_comes(around, 0)
        self.move_to_a_zone(1, around[0])
        self.move_to_a_zone(2, zone)
        self.set_the_operators(operators)
        self.set_limits(1, Period.DAY, admins)
        self._model.roles = {
            (server, member): frozenset({901, 902}) for server in (1, 2) for member in (1, 2)
        }

    @rule(shift=SHIFTS)
    def the_clock_moves(self, shift: int) -> None:
        """Back and forth around the same moment, so that the same windows are met again."""
        self._now = self._edge + shift

    @rule(around=st.sampled_from(EDGES), shift=SHIFTS)
    def another_time_comes(self, around: tuple[str, int], shift: int) -> None:
        self._edge, self._now = around[1], around[1] + shift

    # -------------------------------------------------------------- what always holds

    @invariant()
    def every_step_is_counted(self) -> None:
        Books.steps += 1

    @invariant()
    def no_entry_is_ever_changed(self) -> None:
        entries = self._rows("SELECT * FROM ledger ORDER BY id")
        notes = self._rows("SELECT * FROM audit ORDER BY id")
        assert entries[: len(self._entries)] == self._entries
        assert notes[: len(self._notes)] == self._notes
        self._entries, self._notes = entries, notes

    @invariant()
    def the_ledger_is_the_model(self) -> None:
        assert {key: balance for key, *balance in self._rows(_OF_TASKS)} == {
            key: [clip.order.at, clip.held, clip.spent, clip.refunded]
            for key, clip in self._model.clips.items()
        }
        assert {tuple(key): tuple(sums) for *key, sums in self._sums()} == self._model.sums()

    def _sums(self) -> list[tuple[Any, ...]]:
        return [(*row[:3], row[3:]) for row in self._rows(_SUMS)]

    @precondition(lambda self: self._model.clips)
    @invariant()
    def every_limit_counts_in_its_window_what_the_model_does(self) -> None:
        """For a command like one of those that passed: then, now, and on both sides of the edge."""
        self._checks += 1
        _, clip = self._pick(self._model.clips, self._checks)
        for at in {clip.order.at, self._now, self._edge - 1, self._edge}:
            self._check_limits(replace(clip.order, provider=clip.provider, at=at))

    def _check_limits(self, order: Order) -> None:
        drafts, roles = self._drafts(order), self._roles(order)
        counted = self._do(self._database.write(lambda tx: limits.counted(tx, drafts[0], roles)))
        assert {one.limit: (one.span.since, one.span.until, one.room) for one in counted} == {
            limit: (*window_of(order.at, self._model.zone(limit, order.server), limit.period), room)
            for room, limit in self._model.rooms(order)
        }

    @invariant()
    def no_balance_is_below_zero(self) -> None:
        for _, _, held, spent, refunded in self._rows(_OF_TASKS):
            assert held >= 0
            assert 0 <= refunded <= spent

    @invariant()
    def a_task_has_one_hold_and_at_its_end_one_settle_or_release(self) -> None:
        kinds: dict[str, list[str]] = {}
        for task, kind in self._rows("SELECT task_id, kind FROM ledger ORDER BY id"):
            kinds.setdefault(task, []).append(kind)
        assert set(kinds) == set(self._model.clips)
        for key, clip in self._model.clips.items():
            ended = clip.state is TaskState.SUCCEEDED or clip.state in FINAL
            first, *others = kinds[key]
            assert first == "hold"
            assert [kind for kind in others if kind != "refund"] in (
                [["settle"], ["release"]] if ended else [[]]
            )
            assert others.count("refund") == int(clip.refunded > 0)

    @invariant()
    def tasks_are_where_the_model_has_them(self) -> None:
        rows = self._rows("SELECT id, state, provider, price_micros FROM tasks")
        assert {key: tuple(rest) for key, *rest in rows} == {
            key: (clip.state.value, clip.provider, clip.order.price)
            for key, clip in self._model.clips.items()
        }

    @invariant()
    def each_alarm_is_noted_once_and_only_where_it_was_reached(self) -> None:
        rows = self._rows(
            "SELECT server_id, owner_id, period, since, limit_micros, percent, spent_micros + held_micros, at "
            "FROM alarms"
        )
        assert len(rows) == len(self._model.alarms)
        assert {row[:6]: row[6:] for row in rows} == self._model.alarms

    @invariant()
    def every_deed_is_noted(self) -> None:
        assert self._rows("SELECT server_id, at, action FROM audit ORDER BY id") == self._deeds

    @invariant()
    def each_command_above_the_price_is_asked_for_once(self) -> None:
        waiting = {clip.order.number for clip in self._model.clips.values() if clip.waits}
        assert {row[0] for row in self._rows("SELECT interaction_id FROM approvals")} == waiting


_OF_TASKS = """
SELECT task_id, MAX(held_at), SUM(held_micros), SUM(spent_micros), SUM(refunded_micros) FROM ledger GROUP BY task_id
"""
_SUMS = """
SELECT ledger.server_id, ledger.member_id, tasks.provider, SUM(held_micros), SUM(spent_micros), SUM(refunded_micros)
FROM ledger JOIN tasks ON tasks.id = task_id GROUP BY 1, 2, 3
"""


@pytest.mark.timeout(0 if LONG else 600)  # a failure is made small before it is shown
def test_the_books_balance_whatever_happens(template: Path) -> None:
    Books.template, Books.steps = template, 0
    run_state_machine_as_test(
        Books,
        settings=settings(
            max_examples=STEPS * 3 // 2 // EACH,  # some walks end early
            stateful_step_count=EACH,
            deadline=None,
            derandomize=not LONG,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Books.steps >= STEPS
