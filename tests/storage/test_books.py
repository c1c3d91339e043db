"""Whatever happens in whatever order, the books are those of a model made of plain dicts."""

import asyncio
import shutil
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bot.domain.errors import StaleTask
from bot.domain.limits import Limit, Period, Scope
from bot.domain.task import FINAL, MOVES, Task, TaskState
from storage.database import open_database
from storage.limits import LimitStore
from storage.tasks import TaskStore
from tests.storage.drafts import DAY, NOON, again, draft, move

LIMITS = [
    Limit(Scope.MEMBER, Period.DAY, 2_000_000),
    Limit(Scope.SERVER, Period.MONTH, 5_000_000),
    Limit(Scope.BOT, Period.DAY, 4_000_000),
    Limit(Scope.PROVIDER, Period.DAY, 3_000_000),
]
#: From each state the first of these that it may go to.
GOOD_WAY = (
    TaskState.DELIVERED,
    TaskState.QUEUED,
    TaskState.PROCESSING,
    TaskState.SUCCEEDED,
    TaskState.SUBMITTING,
)
#: What a clip costs above its price, in micros; it is never less than nothing.
OVER = st.sampled_from([-10_000_000, -1, 0, 1, 1_500_000])
WINDOWS = {Period.DAY: "%Y-%m-%d", Period.MONTH: "%Y-%m"}


@dataclass
class Booked:
    """What the model knows of a task: for whom, when, and what it holds and has spent."""

    for_whom: dict[Scope, object]
    at: int
    price: int
    held: int
    spent: int = 0
    state: TaskState = TaskState.HELD


class Books(RuleBasedStateMachine):
    """Random calls on a real file; `template` is a migrated one."""

    template: Path
    tasks = Bundle("tasks")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.mkdtemp()
        file = Path(shutil.copy(self.template, self._folder))
        self._runner, self._stack = asyncio.Runner(), AsyncExitStack()
        self._database = self._do(self._stack.enter_async_context(open_database(file)))
        self._store = TaskStore(self._database)
        self._do(LimitStore(self._database).set_operators(LIMITS))
        self._now, self._number = NOON, 0
        self._model: dict[str, Booked] = {}
        self._entries: list[tuple[Any, ...]] = []

    def _do(self, what: Any) -> Any:
        return self._runner.run(what)

    def teardown(self) -> None:
        self._do(self._stack.aclose())
        self._runner.close()
        shutil.rmtree(self._folder)

    # -------------------------------------------------------------- the model

    def _used(self, scope: Scope, whom: object, period: Period) -> int:
        def window(at: int) -> str:
            return datetime.fromtimestamp(at / 1000, UTC).strftime(WINDOWS[period])

        return sum(
            booked.held + booked.spent
            for booked in self._model.values()
            if booked.for_whom[scope] == whom and window(booked.at) == window(self._now)
        )

    def _refused(self, for_whom: dict[Scope, object], price: int) -> bool:
        return price > 0 and any(
            self._used(limit.scope, for_whom[limit.scope], limit.period) + price > limit.micros
            for limit in LIMITS
        )

    def _book(self, task: Task, to: TaskState, cost: int) -> None:
        booked = self._model[task.id]
        booked.state = to
        if to in {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED}:
            booked.held, booked.spent = 0, cost if to is TaskState.SUCCEEDED else 0

    # -------------------------------------------------------------- what happens

    @rule(
        target=tasks,
        member=st.integers(1, 3),
        server=st.integers(1, 2),
        provider=st.sampled_from(["mindvideo", "gmi"]),
        price=st.sampled_from([0, 1, 280_000, 280_000, 500_000, 2_000_001]),
        count=st.integers(1, 4),
    )
    def place(self, member: int, server: int, provider: str, price: int, count: int) -> Any:
        self._number += 1
        whom = {"member_id": member, "server_id": server, "provider": provider, "price_micros": price}
        clips = [draft(self._number, ordinal=n, created_at=self._now, **whom) for n in range(count)]
        outcome = self._do(self._store.place(clips, server_name="Harbour"))
        scopes = {Scope.MEMBER: member, Scope.SERVER: server, Scope.PROVIDER: provider, Scope.BOT: None}
        assert (outcome.hit is not None) is self._refused(scopes, price * count)
        for task in outcome.tasks:
            self._model[task.id] = Booked(scopes, self._now, price, price)
        return multiple(*outcome.tasks)

    @rule(task=tasks)
    def place_again(self, task: Task) -> None:
        outcome = self._do(
            self._store.place([replace(task, id="new", price_micros=1)], server_name="Harbour")
        )
        assert outcome.again
        assert task.id in {found.id for found in outcome.tasks}

    @rule(target=tasks, task=consumes(tasks), choice=st.integers(0, 9), over=OVER)
    def go_on(self, task: Task, choice: int, over: int) -> Task:
        """Any legal move from the state the task is really in."""
        current = self._current(task)
        onward = sorted(MOVES[current.state])
        return self._move(current, onward[choice % len(onward)], over) if onward else current

    @rule(target=tasks, task=consumes(tasks), over=OVER, moves=st.integers(1, 5))
    def go_the_good_way(self, task: Task, over: int, moves: int) -> Task:
        """Some moves towards a delivered clip; a success costs less than was held, as much, or more."""
        current = self._current(task)
        for _ in range(moves):
            onward = [state for state in GOOD_WAY if state in MOVES[current.state]]
            if onward:
                current = self._move(current, onward[0], over)
        return current

    def _current(self, task: Task) -> Task:
        current: Task = self._do(again(self._store, task))
        return current

    def _move(self, task: Task, to: TaskState, over: int) -> Task:
        cost = max(0, task.price_micros + over)
        if to is TaskState.SUCCEEDED:
            self._do(self._succeed(task, cost))
        else:
            self._do(move(self._store, task, to, self._now))
        self._book(task, to, cost)
        return self._current(task)

    async def _succeed(self, task: Task, cost: int) -> None:
        job, clip = f"job of {task.id}", ("https://cdn.example/clip", None)
        await self._store.succeed(task, self._now, job_id=job, clip=clip, cost_micros=cost, note="done")

    @rule(task=tasks, believed=st.sampled_from(sorted(set(TaskState) - FINAL)), choice=st.integers(0, 9))
    def act_on_a_wrong_belief(self, task: Task, believed: TaskState, choice: int) -> None:
        """Whoever believes another state than the true one changes nothing."""
        onward = sorted(MOVES[believed])
        if self._model[task.id].state is believed:
            return
        with pytest.raises(StaleTask):
            self._do(
                move(self._store, replace(task, state=believed), onward[choice % len(onward)], self._now)
            )

    @precondition(lambda self: self._model)
    @rule(hours=st.sampled_from([1, 11, 13, 24, 24 * 12, -1, -24]))
    def the_clock_moves(self, hours: int) -> None:
        self._now = max(NOON - DAY, self._now + hours * DAY // 24)

    # -------------------------------------------------------------- what always holds

    @invariant()
    def the_ledger_is_the_model(self) -> None:
        rows = self._do(
            self._database.read(
                "SELECT task_id, SUM(held_micros) AS held, SUM(spent_micros) AS spent FROM ledger GROUP BY task_id"
            )
        )
        assert {row[0]: (row[1], row[2]) for row in rows} == {
            key: (booked.held, booked.spent) for key, booked in self._model.items()
        }

    @invariant()
    def what_is_held_is_the_price_of_the_open_tasks(self) -> None:
        paid = {TaskState.SUCCEEDED, *FINAL}
        rows = self._do(self._database.read("SELECT state, price_micros FROM tasks"))
        (held,) = self._do(self._database.read("SELECT COALESCE(SUM(held_micros), 0) FROM ledger"))
        assert held[0] == sum(price for state, price in rows if TaskState(state) not in paid)

    @invariant()
    def every_task_has_one_hold_and_every_ended_one_a_settle_or_a_release(self) -> None:
        kinds: dict[str, list[str]] = {}
        for _, task, kind, *_ in self._read_entries():
            kinds.setdefault(task, []).append(kind)
        for key, booked in self._model.items():
            if booked.state in {TaskState.SUCCEEDED, TaskState.DELIVERED}:
                assert kinds[key] == ["hold", "settle"]
            elif booked.state in {TaskState.FAILED, TaskState.CANCELLED}:
                assert kinds[key] == ["hold", "release"]
            else:
                assert kinds[key] == ["hold"]

    @invariant()
    def no_entry_is_ever_changed(self) -> None:
        entries = self._read_entries()
        assert entries[: len(self._entries)] == self._entries
        self._entries = entries

    def _read_entries(self) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._do(self._database.read("SELECT * FROM ledger ORDER BY id"))]


def test_the_books_balance_whatever_happens(template: Path) -> None:
    Books.template = template
    run_state_machine_as_test(
        Books,
        settings=settings(
            max_examples=80,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
