"""Tasks as the services place them, and the short way to any state, all through the public methods."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bot.domain.catalog import Format, Mode
from bot.domain.task import Task, TaskState
from storage.database import Database
from storage.tasks import TaskStore

SECOND = 1000
DAY = 86_400_000
#: Noon of 20 November 2026, UTC.
NOON = 1_795_176_000_000
MIDNIGHT = NOON + DAY // 2
PRICE = 280_000
COST = 300_000

_BLANK = Task(
    id="",
    interaction_id=0,
    ordinal=0,
    server_id=50,
    channel_id=60,
    member_id=70,
    mode=Mode.TEXT,
    format=Format(model="hailuo-2.3", duration=6, resolution="768p"),
    prompt="a paper boat",
    camera=None,
    enhance=True,
    first_frame=None,
    last_frame=None,
    provider="mindvideo",
    price_micros=PRICE,
    list_micros=PRICE,
    state=TaskState.HELD,
    created_at=NOON,
    changed_at=NOON,
    due_at=NOON,
)


def draft(number: int, **changes: Any) -> Task:
    """One clip of interaction `number`; it is due when it was created, unless `changes` say otherwise."""
    at = changes.get("created_at", NOON)
    ordinal = changes.get("ordinal", 0)
    first: dict[str, Any] = {"id": f"t{number}.{ordinal}", "interaction_id": number, "due_at": at}
    first["list_micros"] = changes.get("price_micros", PRICE)
    return replace(_BLANK, **{**first, "changed_at": at, **changes})


async def placed(store: TaskStore, number: int, **changes: Any) -> Task:
    outcome = await store.place([draft(number, **changes)], server_name="Harbour")
    return outcome.tasks[0]


async def again(store: TaskStore, task: Task) -> Task:
    found = await store.get(task.id)
    assert found is not None
    return found


#: How a task comes to each state, one move after the other.
WAYS_TO: dict[TaskState, Sequence[TaskState]] = {
    TaskState.HELD: (),
    TaskState.SUBMITTING: (TaskState.SUBMITTING,),
    TaskState.QUEUED: (TaskState.SUBMITTING, TaskState.QUEUED),
    TaskState.PROCESSING: (TaskState.SUBMITTING, TaskState.QUEUED, TaskState.PROCESSING),
    TaskState.PARKED: (TaskState.SUBMITTING, TaskState.QUEUED, TaskState.PARKED),
    TaskState.SUCCEEDED: (TaskState.SUBMITTING, TaskState.QUEUED, TaskState.SUCCEEDED),
    TaskState.DELIVERED: (
        TaskState.SUBMITTING,
        TaskState.QUEUED,
        TaskState.SUCCEEDED,
        TaskState.DELIVERED,
    ),
    TaskState.FAILED: (TaskState.SUBMITTING, TaskState.QUEUED, TaskState.FAILED),
    TaskState.CANCELLED: (TaskState.CANCELLED,),
}


async def move(store: TaskStore, task: Task, to: TaskState, at: int) -> Task:
    """Make a legal move by the method that is there for it."""
    match to:
        case TaskState.SUBMITTING:
            await store.begin_submit(task, b"{}", at)
        case TaskState.HELD:
            await store.not_accepted(task, at, due_at=at, note="busy")
        case TaskState.QUEUED | TaskState.PROCESSING if task.state is TaskState.SUBMITTING:
            await store.accepted(task, f"job of {task.id}", to, at, due_at=at)
        case TaskState.PROCESSING:
            await store.observed(task, to, at, due_at=at)
        case TaskState.PARKED:
            await store.park(task, at, due_at=at, note="unknown")
        case TaskState.SUCCEEDED:
            job, clip = f"job of {task.id}", ("https://cdn.example/clip", None)
            await store.succeed(task, at, job_id=job, clip=clip, cost_micros=COST, note="done")
        case TaskState.DELIVERED:
            await store.delivered(task, at, channel_id=60, message_id=int(at), note="posted")
        case TaskState.FAILED | TaskState.CANCELLED | TaskState.QUEUED:
            await store.end(task, to, at, note="ended")
    return await again(store, task)


async def brought(store: TaskStore, task: Task, to: TaskState, at: int = NOON) -> Task:
    """Take a held task to any state."""
    for state in WAYS_TO[to]:
        task = await move(store, task, state, at)
    return task


async def everything(database: Database) -> list[tuple[Any, ...]]:
    """Every row that a move may touch."""
    rows: list[tuple[Any, ...]] = []
    for table in ("tasks", "ledger", "task_events", "submissions"):
        rows += [(table, *row) for row in await database.read(f"SELECT * FROM {table} ORDER BY 1")]
    return rows
