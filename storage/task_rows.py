"""Rows of `tasks` as domain objects, and lists of states as SQL."""

import sqlite3

from bot.domain.catalog import Format, Mode
from bot.domain.task import FINAL, RUNNING, Frame, Task, TaskState


def _listed(states: frozenset[TaskState]) -> str:
    """Constants of ours as an SQL list; nothing from outside comes here."""
    return ", ".join(f"'{state.value}'" for state in sorted(states))


FINAL_STATES, RUNNING_STATES = _listed(FINAL), _listed(RUNNING)


def _frame(path: str | None, url: str | None) -> Frame | None:
    return Frame(path, url) if path else None


def task_of(row: sqlite3.Row) -> Task:
    return Task(
        id=row["id"],
        interaction_id=row["interaction_id"],
        ordinal=row["ordinal"],
        server_id=row["server_id"],
        channel_id=row["channel_id"],
        member_id=row["member_id"],
        mode=Mode(row["mode"]),
        format=Format.model_construct(
            model=row["model"], duration=row["duration"], resolution=row["resolution"]
        ),
        prompt=row["prompt"],
        camera=row["camera"],
        enhance=bool(row["enhance"]),
        first_frame=_frame(row["first_frame_path"], row["first_frame_url"]),
        last_frame=_frame(row["last_frame_path"], row["last_frame_url"]),
        provider=row["provider"],
        price_micros=row["price_micros"],
        list_micros=row["list_micros"],
        tried=tuple(name for name in row["tried"].split(",") if name),
        upload_limit=row["upload_limit"],
        state=TaskState(row["state"]),
        created_at=row["created_at"],
        changed_at=row["changed_at"],
        submitted_at=row["submitted_at"],
        due_at=row["due_at"],
        polls=row["polls"],
        job_id=row["job_id"],
        clip_url=row["clip_url"],
        clip_expires_at=row["clip_expires_at"],
        problem=row["problem"],
        progress_channel_id=row["progress_channel_id"],
        progress_message_id=row["progress_message_id"],
        posting_since=row["posting_since"],
        message_channel_id=row["message_channel_id"],
        message_id=row["message_id"],
        approval_until=row["approval_until"],
        waiting_since=row["waiting_since"],
        charged_micros=row["charged_micros"],
        private=bool(row["private"]),
        erase_asked_at=row["erase_asked_at"],
        erased_at=row["erased_at"],
        parent_id=row["parent_id"],
        removed_by=row["removed_by"],
        language=row["language"],
    )
