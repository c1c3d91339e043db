"""Drafts are used once, by their member; and what stood in the file before there were any stays as it was."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from storage import migrate
from storage.database import Database, open_database
from storage.drafts import Draft, DraftStore
from storage.tasks import TaskStore
from tests.storage.drafts import NOON, draft, everything, placed

END = NOON + 900_000
MADE = Draft(id=5, kind="shape", server_id=50, member_id=70, content="{}", until=END)


async def claimed(database: Database, *, by: int = 8, at: int = NOON, **changes: Any) -> int | None:
    """By which interaction it is used now."""
    about: dict[str, Any] = {"draft_id": 5, "kind": "shape", "server_id": 50, "member_id": 70, **changes}
    found = await DraftStore(database).claim(**about, by=by, at=at)
    return found.used_by if found else None


async def test_the_first_click_has_it_and_the_same_click_again(database: Database) -> None:
    await DraftStore(database).keep(MADE)
    assert [await claimed(database, by=by) for by in (8, 9, 8)] == [8, 8, 8]


async def test_given_back_it_is_the_next_clicks(database: Database) -> None:
    store = DraftStore(database)
    await store.keep(MADE)
    await claimed(database, by=8)
    await store.free(5, by=9)
    assert await claimed(database, by=9) == 8
    await store.free(5, by=8)
    assert await claimed(database, by=9) == 9


@pytest.mark.parametrize("wrong", [{"draft_id": 6}, {"kind": "menu"}, {"server_id": 51}, {"member_id": 71}])
async def test_there_is_none_for_anybody_else(database: Database, wrong: dict[str, Any]) -> None:
    await DraftStore(database).keep(MADE)
    assert await claimed(database, **wrong) is None
    assert await database.read("SELECT 1 FROM drafts WHERE used_by IS NOT NULL") == []


async def test_there_is_none_when_its_time_is_over(database: Database) -> None:
    store = DraftStore(database)
    await store.keep(MADE)
    assert await claimed(database, at=END) is None
    await store.sweep(END - 1)
    assert await claimed(database, at=END - 1) == 8
    await store.sweep(END)
    assert await database.read("SELECT 1 FROM drafts") == []


async def test_what_an_interaction_began_first_stays(database: Database) -> None:
    store = DraftStore(database)
    await store.keep(MADE)
    await store.keep(Draft(id=5, kind="shape", server_id=50, member_id=71, content="other", until=END))
    assert await claimed(database) == 8


async def test_private_is_kept_with_the_task(database: Database) -> None:
    store = TaskStore(database)
    await store.place([draft(1, private=True)], server_name="Harbour")
    await placed(store, 2)
    assert [task.private for task in await store.of_member(70, 50, limit=9)] == [False, True]


async def test_tasks_of_before_are_not_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = tmp_path / "conch.db", migrate._FOLDER
    before = tmp_path / "migrations"
    shutil.copytree(real, before, ignore=shutil.ignore_patterns("__pycache__", "0005_*", "0006_*"))
    monkeypatch.setattr(migrate, "_FOLDER", before)
    migrate.upgrade(path)
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("INSERT INTO servers (id, name, first_seen_at) VALUES (50, 'Harbour', 1)")
        file.execute(
            "INSERT INTO tasks (id, interaction_id, ordinal, server_id, channel_id, member_id, mode, model, duration,"
            " resolution, prompt, enhance, provider, price_micros, list_micros, state, created_at, changed_at, polls)"
            " VALUES ('old', 1, 0, 50, 60, 70, 'text', 'hailuo-02', 6, '768p', 'a boat', 1,"
            " 'gmi', 1, 1, 'held', 1, 1, 0)"
        )
    monkeypatch.setattr(migrate, "_FOLDER", real)
    async with open_database(path) as database:
        task = await TaskStore(database).get("old")
        assert len(await everything(database)) == 1
    assert task is not None
    assert (task.prompt, task.private) == ("a boat", False)
