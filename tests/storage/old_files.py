"""Files as earlier versions left them: the schema of that time, with rows in every table and every column."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bot.domain.task import FINAL, TaskState
from storage import migrate
from tests.storage.drafts import COST, NOON, PRICE

MIGRATIONS = Path(__file__).parents[2] / "storage" / "migrations"
#: Every schema that a file may have before it is brought up.
EARLIER = migrate.known()[:-1]
#: Every state as 0.1.0 left it: with or without a job, and how its hold ended.
STATES: dict[TaskState, tuple[bool, str]] = {
    TaskState.HELD: (False, ""),
    TaskState.SUBMITTING: (False, ""),
    TaskState.QUEUED: (True, ""),
    TaskState.PROCESSING: (True, ""),
    TaskState.PARKED: (True, ""),
    TaskState.SUCCEEDED: (True, "settle"),
    TaskState.DELIVERED: (True, "settle"),
    TaskState.FAILED: (True, "release"),
    TaskState.CANCELLED: (False, "release"),
}
FRAME = "frames/1-first.jpg"
TASK = f"""
INSERT INTO tasks (id, interaction_id, ordinal, server_id, channel_id, member_id, mode, model, duration, resolution,
  prompt, camera, enhance, first_frame_path, provider, price_micros, list_micros, tried, upload_limit, state,
  created_at, changed_at, due_at, polls, job_id, message_id)
VALUES (:id, :number, 0, :server, 60, 70, 'image', 'hailuo-2.3', 6, '768p', 'a paper boat 船', 'Push in', 1,
  '{FRAME}', 'mindvideo', {PRICE}, 270000, 'gmi,novita', 10485760, :state, :at, :at, :due, 3, :job,
  :message)
"""
ENTRY = """
INSERT INTO ledger (task_id, kind, held_micros, spent_micros, server_id, member_id, provider, held_at, at)
VALUES (:task, :kind, :held, :spent, :server, 70, 'mindvideo', :at, :at)
"""
EVENT = "INSERT INTO task_events (task_id, at, state, note) VALUES (?, ?, ?, 'it happened')"
#: A clip that waits for a moderator; there is one where its schema knows them.
ASKED, QUESTION = "asked", 100
#: What is written at each schema: rows of its new tables, values in its new columns.
WRITTEN: dict[str, str] = {
    "0001": f"""
        INSERT INTO submissions VALUES ('submitting', x'7b7d'), ('held', x'00ff');
        INSERT INTO limits (server_id, scope, subject, period, micros) VALUES (0, 'member', '', 'day', 2000000);
        INSERT INTO marks VALUES ('commands', 'a hash');
        UPDATE tasks SET first_frame_url = 'https://cdn.example/1', last_frame_path = 'frames/1-last.jpg',
          last_frame_url = 'https://cdn.example/2', submitted_at = {NOON}, clip_url = 'https://cdn.example/3',
          clip_expires_at = {NOON}, problem = 'slow', progress_channel_id = 60, progress_message_id = 61,
          end_shown = 1, posting_since = {NOON}, message_channel_id = 60
        WHERE id = 'delivered';
        UPDATE tasks SET clip_url = 'https://cdn.example/job of succeeded/1.mp4' WHERE id = 'succeeded';
    """,
    "0002": f"""
        INSERT INTO servers VALUES (52, 'Shore', 3, 'Asia/Tokyo', 'we move', 200000, 48, 62, 1, 0, {NOON});
        UPDATE tasks SET waiting_since = {NOON}, charged_micros = 7, started = 5 WHERE id = 'delivered';
        UPDATE tasks SET approval_until = {NOON + 86_400_000} WHERE id = '{ASKED}';
        INSERT INTO approvals VALUES ({QUESTION}, 50, {NOON + 86_400_000}, 62, 63, NULL, NULL, 0),
          (6, 50, {NOON}, 62, 64, 'approved', 71, 1);
        INSERT INTO limits (server_id, scope, subject, period, micros) VALUES (50, 'role', '80', 'total', 9000000);
        INSERT INTO access_rules VALUES (1, 50, 'channel', '60', 1, NULL, ''), (2, 50, 'word', 'shark', 0, NULL, ''),
          (3, 51, 'member', '72', 0, {NOON + 9}, 'spam');
        INSERT INTO alarms VALUES (1, 50, 0, 'month', {NOON}, 80, 10, 8, 1, {NOON}, {NOON}),
          (2, 50, 50, 'total', 0, 100, 10, 8, 2, {NOON}, NULL);
        INSERT INTO audit VALUES (1, 50, {NOON}, 71, 'tasks refund', 'delivered', 'a', 'b', 'sorry');
        INSERT INTO ledger VALUES (99, 'delivered', 'refund', 0, 0, {COST}, 50, 70, 'mindvideo', {NOON + 6}, {NOON});
    """,
    "0003": f"""
        UPDATE tasks SET erase_asked_at = {NOON}, erased_at = {NOON + 1}, prompt = '' WHERE id = 'failed';
        UPDATE tasks SET erase_asked_at = {NOON} WHERE id = 'queued';
    """,
    "0004": f"""
        UPDATE tasks SET parent_id = 'delivered' WHERE id = 'processing';
        UPDATE tasks SET removed_by = 71 WHERE id = 'delivered';
        INSERT INTO clip_reports VALUES (1, 'delivered', 50, 72, {NOON}, 'my face', 65, 'removed', 71),
          (2, 'delivered', 50, 73, {NOON}, 'my face, too', NULL, NULL, NULL);
    """,
    "0005": f"""
        INSERT INTO drafts VALUES (200, 'menu', 50, 70, '[]', {NOON + 9}, NULL),
          (201, 'shape', 50, 70, '[]', {NOON + 9}, 202);
        UPDATE tasks SET private = 1 WHERE id = 'processing';
    """,
    "0006": "UPDATE tasks SET language = 'de' WHERE id = 'processing';",
}


def made(folder: Path, schema: str) -> Path:
    """A file that knows the migrations up to that schema alone, with rows in all its tables."""
    known = [one for one in migrate.known() if one <= schema]
    later = [f"{one}_*" for one in migrate.known() if one > schema]
    shutil.copytree(MIGRATIONS, folder / "migrations", ignore=shutil.ignore_patterns("__pycache__", *later))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "_FOLDER", folder / "migrations")
        migrate.upgrade(folder / "conch.db")
    with closing(sqlite3.connect(folder / "conch.db")) as file:
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA foreign_keys = ON")
        _tasks(file, asked="0002" in known)
        for one in known:
            file.executescript(WRITTEN.get(one, ""))
    return folder / "conch.db"


def _tasks(file: sqlite3.Connection, *, asked: bool) -> None:
    file.execute("INSERT INTO servers (id, name, first_seen_at) VALUES (50, 'Harbour', 1), (51, 'Dunes', 2)")
    for number, (state, (job, end)) in enumerate(STATES.items()):
        _task(file, state.value, number, state, job=job, end=end)
    if asked:
        _task(file, ASKED, QUESTION, TaskState.HELD, job=False, end="")
    file.commit()


def _task(file: sqlite3.Connection, name: str, number: int, state: TaskState, *, job: bool, end: str) -> None:
    whose: dict[str, Any] = {"server": 50 + number % 2, "at": NOON + number}
    task = {
        "id": name,
        "number": number,
        "state": state.value,
        "due": None if state in FINAL else NOON + number,
        "job": f"job of {name}" if job else None,
        "message": 9 if state is TaskState.DELIVERED else None,
    }
    file.execute(TASK, {**task, **whose})
    file.execute(EVENT, (name, NOON, state.value))
    entry = {"task": name, **whose}
    file.execute(ENTRY, {**entry, "kind": "hold", "held": PRICE, "spent": 0})
    if end:
        spent = COST if end == "settle" else 0
        file.execute(ENTRY, {**entry, "kind": end, "held": -PRICE, "spent": spent})


def columns(path: Path) -> dict[str, dict[str, str]]:
    """Every table of the file with its columns and what stands in them unless something else is said."""
    with closing(sqlite3.connect(path)) as file:
        tables = [row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: {row[1]: row[4] or "NULL" for row in file.execute(f"PRAGMA table_info({table})")}
            for table in tables
            if table != "alembic_version"
        }


def rows_of(path: Path, like: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row, in the tables and columns that the other file has; the operator's limits are set at every start."""
    with closing(sqlite3.connect(path)) as file:
        return {
            table: file.execute(
                f"SELECT {', '.join(names)} FROM {table} {'WHERE server_id <> 0' * (table == 'limits')} ORDER BY 1"
            ).fetchall()
            for table, names in columns(like).items()
        }


def schema_of(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as file:
        return file.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
