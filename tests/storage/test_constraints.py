"""What the file itself refuses, whoever writes to it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storage.database import connect

TASK = """
INSERT INTO tasks (id, interaction_id, ordinal, server_id, channel_id, member_id, mode, model, duration, resolution,
  prompt, enhance, provider, price_micros, list_micros, state, created_at, changed_at, polls, job_id, message_id)
VALUES (:id, :interaction, :ordinal, :server, 60, 70, :mode, 'hailuo-02', 6, '768p', 'boat', :enhance, :provider,
  :price, :list, :state, :at, 0, 0, :job, :message)
"""
ENTRY = """
INSERT INTO ledger (task_id, kind, held_micros, spent_micros, server_id, member_id, provider, held_at, at)
VALUES (:task, :kind, :held, :spent, 50, 70, 'gmi', 0, 0)
"""
GOOD = {
    "id": "a",
    "interaction": 1,
    "ordinal": 0,
    "server": 50,
    "mode": "text",
    "enhance": 1,
    "provider": "gmi",
    "price": 5,
    "list": 5,
    "state": "held",
    "at": 0,
    "job": None,
    "message": None,
}


@pytest.fixture
def file(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(path)) as connection:
        connection.execute("INSERT INTO servers (id, name, first_seen_at) VALUES (50, 'Harbour', 0)")
        connection.execute(TASK, GOOD)
        yield connection


def enter(file: sqlite3.Connection, kind: str, held: int, spent: int = 0, task: str = "a") -> None:
    file.execute(ENTRY, {"task": task, "kind": kind, "held": held, "spent": spent})


def kinds(file: sqlite3.Connection) -> list[str]:
    return [row[0] for row in file.execute("SELECT kind FROM ledger ORDER BY id")]


@pytest.mark.parametrize(
    "second",
    [("hold", 5, 0), ("settle", -5, 4), ("release", -5, 0)],
    ids=lambda entry: f"second is {entry[0]}",
)
@pytest.mark.parametrize(
    "ended", [("settle", -5, 5), ("release", -5, 0)], ids=lambda entry: f"after {entry[0]}"
)
def test_an_ended_hold_takes_no_further_entry(
    file: sqlite3.Connection, ended: tuple[str, int, int], second: tuple[str, int, int]
) -> None:
    enter(file, "hold", 5)
    enter(file, *ended)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        enter(file, *second)
    assert kinds(file) == ["hold", ended[0]]


def test_two_holds_are_impossible(file: sqlite3.Connection) -> None:
    enter(file, "hold", 5)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        enter(file, "hold", 5)


@pytest.mark.parametrize(
    "change", ["UPDATE ledger SET spent_micros = 0", "UPDATE ledger SET at = at", "DELETE FROM ledger"]
)
def test_a_ledger_row_is_never_changed(file: sqlite3.Connection, change: str) -> None:
    enter(file, "hold", 5)
    with pytest.raises(sqlite3.IntegrityError, match="ledger entries are never changed"):
        file.execute(change)
    assert kinds(file) == ["hold"]


@pytest.mark.parametrize(
    ("kind", "held", "spent"),
    [
        ("hold", -1, 0),
        ("hold", 5, 1),
        ("hold", 5, -1),
        ("settle", 1, 5),
        ("settle", -5, -1),
        ("release", 1, 0),
        ("release", -5, 1),
        ("release", -5, -1),
        ("gift", 5, 0),
        ("", 0, 0),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(
    file: sqlite3.Connection, kind: str, held: int, spent: int
) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="entry_of_its_kind"):
        enter(file, kind, held, spent)


def test_an_entry_without_its_task_is_refused(file: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        enter(file, "hold", 5, task="nobody's")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"price": -1, "list": -1}, "price_bounds_the_list"),
        ({"list": 6}, "price_bounds_the_list"),
        ({"state": "thinking"}, "known_state"),
        ({"mode": "audio"}, "known_mode"),
        ({"enhance": 2}, "enhance_yes_or_no"),
        ({"state": "delivered", "job": "j"}, "delivered_with_its_message"),
        ({"state": "held", "message": 9}, "delivered_with_its_message"),
        ({"state": "queued"}, "accepted_with_its_job"),
        ({"state": "processing"}, "accepted_with_its_job"),
        ({"state": "succeeded"}, "accepted_with_its_job"),
        ({"state": "delivered", "message": 9}, "accepted_with_its_job"),
        ({"interaction": 1}, "tasks.interaction_id, tasks.ordinal"),
        ({"id": "a"}, "tasks.id"),
        ({"server": 51}, "FOREIGN KEY"),
        ({"price": None}, "NOT NULL"),
        ({"price": "much"}, "cannot store TEXT value in INTEGER column"),
        ({"price": 0.28}, "cannot store REAL value in INTEGER column"),
        ({"id": b"a"}, "cannot store BLOB value in TEXT column"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(
    file: sqlite3.Connection, changes: dict[str, object], rule: str
) -> None:
    with pytest.raises(sqlite3.IntegrityError, match=rule):
        file.execute(TASK, {**GOOD, "id": "b", "interaction": 2, **changes})
    assert file.execute("SELECT COUNT(*) FROM tasks").fetchone()[0] == 1


def test_the_same_task_with_other_numbers_is_taken(file: sqlite3.Connection) -> None:
    file.execute(TASK, {**GOOD, "id": "b", "ordinal": 1})
    file.execute(TASK, {**GOOD, "id": "c", "interaction": 2})


def test_one_job_belongs_to_one_task_of_a_provider(file: sqlite3.Connection) -> None:
    queued = {**GOOD, "state": "queued", "job": "j"}
    file.execute(TASK, {**queued, "id": "b", "interaction": 2})
    file.execute(TASK, {**queued, "id": "c", "interaction": 3, "provider": "novita"})
    with pytest.raises(sqlite3.IntegrityError, match=r"tasks.provider, tasks.job_id"):
        file.execute(TASK, {**queued, "id": "d", "interaction": 4})


def test_a_message_belongs_to_a_delivered_task(file: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="delivered_with_its_message"):
        file.execute("UPDATE tasks SET message_id = 9")


@pytest.mark.parametrize(
    ("scope", "period", "micros", "rule"),
    [
        ("member", "day", -1, "limit_not_negative"),
        ("planet", "day", 1, "known_scope"),
        ("member", "week", 1, "known_period"),
        ("member", "day", 1.5, "cannot store REAL"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(
    file: sqlite3.Connection, scope: str, period: str, micros: float, rule: str
) -> None:
    with pytest.raises(sqlite3.IntegrityError, match=rule):
        file.execute("INSERT INTO limits VALUES (1, 0, ?, '', ?, ?)", (scope, period, micros))


def test_every_table_of_ours_is_strict(file: sqlite3.Connection) -> None:
    tables = {
        row["name"]: row["strict"] for row in file.execute("PRAGMA table_list") if row["schema"] == "main"
    }
    loose = {name for name, strict in tables.items() if not strict}
    assert loose == {"sqlite_schema", "alembic_version"}


def test_a_ledger_row_cannot_be_replaced(file: sqlite3.Connection) -> None:
    enter(file, "hold", 5)
    with pytest.raises(sqlite3.IntegrityError, match="never changed"):
        file.execute(
            ENTRY.replace("INSERT", "INSERT OR REPLACE"), {"task": "a", "kind": "hold", "held": 1, "spent": 0}
        )
    assert [row[0] for row in file.execute("SELECT held_micros FROM ledger")] == [5]
