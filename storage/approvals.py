"""All SQL on clips that wait for a moderator: one question for all clips of a command."""

from bot.domain.servers import Server
from bot.domain.task import Task
from storage.database import Transaction

_HOUR = 3_600_000


def until(server: Server, task: Task) -> int | None:
    """How long moderators have to approve a clip, milliseconds since 1970; None where none has to."""
    if server.approval_micros is None or task.price_micros <= server.approval_micros:
        return None
    return task.created_at + server.approval_hours * _HOUR


def ask(tx: Transaction, task: Task, until: int) -> None:
    """Put the question on disk; moderators are asked from there, whatever crashes."""
    tx.run(
        "INSERT INTO approvals (interaction_id, server_id, until) VALUES (:interaction, :server, :until)",
        interaction=task.interaction_id,
        server=task.server_id,
        until=until,
    )
