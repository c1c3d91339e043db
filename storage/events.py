"""A task's history: one row for each thing that happened to it, written with what happened."""

from bot.domain.task import Task, TaskState
from storage.database import Transaction

NOTE_LENGTH = 400


def add(tx: Transaction, task: Task, state: TaskState, at: int, note: str) -> None:
    tx.run(
        "INSERT INTO task_events (task_id, at, state, note) VALUES (:task, :at, :state, :note)",
        task=task.id,
        at=at,
        state=state.value,
        note=note[:NOTE_LENGTH],
    )
