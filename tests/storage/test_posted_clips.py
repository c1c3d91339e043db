"""Migration 0003 over rows of 0002, and what is kept of removed, continued and reported clips."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.domain.audit import Deed
from bot.domain.clip_reports import Verdict
from bot.domain.task import TaskState
from storage import migrate
from storage.audit import AuditStore
from storage.clip_reports import ClipReportStore
from storage.database import Database, open_database
from storage.removals import RemovalStore
from storage.stories import StoryStore
from storage.tasks import TaskStore
from tests.storage.drafts import NOON, brought, placed

MIGRATIONS = Path(__file__).parents[2] / "storage" / "migrations"
TASK = """
INSERT INTO tasks (id, interaction_id, ordinal, server_id, channel_id, member_id, mode, model, duration, resolution,
  prompt, enhance, provider, price_micros, list_micros, state, created_at, changed_at, polls, job_id, message_id,
  message_channel_id)
VALUES ('old', 1, 0, 50, 60, 70, 'text', 'hailuo-2.3', 6, '768p', 'a paper boat', 1, 'mindvideo', 280000, 280000,
  'delivered', 1, 2, 3, 'job', 9, 60)
"""
DEED = Deed(50, 8, "clips delete", "t1.0 of <@70>")


@pytest.fixture
def of_0002(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of the migration before, with a delivered clip in it."""
    versions = tmp_path / "migrations" / "versions"
    shutil.copytree(MIGRATIONS, tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    for file in versions.glob("0*.py"):
        if file.name >= "0003":
            file.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "_FOLDER", tmp_path / "migrations")
        migrate.upgrade(tmp_path / "old.db")
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.execute("INSERT INTO servers (id, name, first_seen_at) VALUES (50, 'Harbour', 1)")
        connection.execute(TASK)
        connection.commit()
    return tmp_path / "old.db"


async def test_clips_of_before_stand_alone_and_can_be_gone_on_from(of_0002: Path) -> None:
    async with open_database(of_0002) as database:
        tasks, stories = TaskStore(database), StoryStore(database)
        old = await tasks.get("old")
        assert old is not None
        assert (old.state, old.parent_id, old.removed_by) == (TaskState.DELIVERED, None, None)
        assert await stories.until(old, most=9) == [old]
        new = await placed(tasks, 2, parent_id="old")
        assert await stories.until(new, most=9) == [old, new]
        assert await stories.after(old, limit=9) == [new]
        await RemovalStore(database).remove(old, NOON, by=8, note="removed", deed=None)
        removed = await tasks.get("old")
        assert removed is not None
        assert removed.removed_by == 8


async def test_a_story_is_read_from_its_end_as_far_as_asked(database: Database) -> None:
    tasks, stories = TaskStore(database), StoryStore(database)
    parts = [await placed(tasks, 1)]
    for number in range(2, 6):
        parts.append(await placed(tasks, number, parent_id=parts[-1].id))
    assert await stories.until(parts[-1], most=9) == parts
    assert await stories.until(parts[-1], most=3) == parts[-3:]
    assert await stories.after(parts[0], limit=9) == [parts[1]]
    await placed(tasks, 6, parent_id=parts[0].id)
    assert len(await stories.after(parts[0], limit=1)) == 1


async def test_a_clip_is_removed_once_and_its_money_stays(database: Database) -> None:
    tasks, removals = TaskStore(database), RemovalStore(database)
    task = await brought(tasks, await placed(tasks, 1), TaskState.DELIVERED)
    before = await database.read("SELECT * FROM ledger")
    for by in (8, 9):
        await removals.remove(task, NOON, by=by, note=f"removed by {by}", deed=DEED)
    now = await tasks.get(task.id)
    assert now is not None
    assert now.removed_by == 8
    assert [event.note for event in await tasks.events(task.id)][-1] == "removed by 8"
    assert len(await AuditStore(database).of_server(50, limit=9)) == 1
    assert await database.read("SELECT * FROM ledger") == before


async def test_a_clip_that_was_never_posted_is_not_removed(database: Database) -> None:
    tasks = TaskStore(database)
    task = await brought(tasks, await placed(tasks, 1), TaskState.SUCCEEDED)
    await RemovalStore(database).remove(task, NOON, by=8, note="removed", deed=DEED)
    now = await tasks.get(task.id)
    assert now is not None
    assert now.removed_by is None
    assert await AuditStore(database).of_server(50, limit=9) == []


async def test_a_report_counts_once_moderators_were_told(database: Database) -> None:
    tasks, reports = TaskStore(database), ClipReportStore(database)
    task = await placed(tasks, 1)
    unsent = await reports.add(task, 7, NOON, reason="first words")
    assert (await reports.sent(task, 7, since=0)).of_clip is None
    report = await reports.add(task, 7, NOON + 1, reason="other words")
    assert (report.id, report.reason, report.at) == (unsent.id, "other words", NOON)
    await reports.told(report, 99)
    sent = await reports.sent(task, 7, since=NOON - 1)
    assert (sent.of_clip and sent.of_clip.message_id, sent.lately) == (99, [NOON])
    assert (await reports.sent(task, 7, since=NOON + 1)).lately == []
    assert (await reports.add(task, 7, NOON + 2, reason="too late")).reason == "other words"


async def test_other_members_servers_and_clips_are_not_counted(database: Database) -> None:
    tasks, reports = TaskStore(database), ClipReportStore(database)
    here, there = await placed(tasks, 1), await placed(tasks, 2, server_id=51)
    for task, member in ((here, 7), (here, 8), (there, 7)):
        await reports.told(await reports.add(task, member, NOON, reason="words"), 99)
    other = await placed(tasks, 3)
    sent = await reports.sent(other, 7, since=0)
    assert (sent.of_clip, sent.lately) == (None, [NOON])


async def test_the_first_verdict_counts(database: Database) -> None:
    tasks, reports = TaskStore(database), ClipReportStore(database)
    report = await reports.add(await placed(tasks, 1), 7, NOON, reason="words")
    await reports.decide(report, Verdict.DISMISSED, NOON, by=8, deed=DEED)
    after = await reports.decide(report, Verdict.REMOVED, NOON, by=9, deed=DEED)
    assert (after.verdict, after.decided_by) == (Verdict.DISMISSED, 8)
    assert len(await AuditStore(database).of_server(50, limit=9)) == 1
