"""The lines of a task's history, each written in the transaction of what it tells."""

from bot.domain.task import Task, TaskState
from storage.database import Transaction

NOTE_LENGTH = 400


def note(tx: Transaction, task: Task, state: TaskState, at: int, text: str) -> None:
    tx.run(
        "INSERT INTO task_events (task_id, at, state, note) VALUES (:task, :at, :state, :note)",
        task=task.id,
        at=at,
        state=state.value,
        note=text[:NOTE_LENGTH],
    )
