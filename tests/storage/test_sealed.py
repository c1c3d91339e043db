"""Sealed columns: nothing plain in the file, a new key brought in at the start, and no start without the old."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bot.domain.errors import SetupError
from bot.vault import LOST, PLAIN, Vault, new_key
from storage import migrate, sealed
from storage.database import Transaction, examine, open_database, open_reader
from storage.drafts import Draft, DraftStore
from storage.privacy import PrivacyStore
from storage.sealed import SealedStore
from storage.tasks import TaskStore
from tests.storage.drafts import placed

OLD, NEW, NEWEST = new_key(), new_key(), new_key()
SECRET = "Ambergris"
BODY = b'{"prompt":"Ambergris"}'
MEMBER = 4


async def write(path: Path, vault: Vault, number: int = 1) -> None:
    async with open_database(path, vault) as database:
        store = TaskStore(database)
        task = await placed(store, number, id=f"task{number}", prompt=f"{SECRET} {number}", member_id=MEMBER)
        assert await store.begin_submit(task, BODY, task.created_at) == BODY
        draft = Draft(number, "menu", 1, MEMBER, f'{{"prompt":"{SECRET}"}}', 10**15)
        await DraftStore(database).keep(draft)


async def reseal(path: Path, vault: Vault) -> int | None:
    """What a start does with a new key; None where there was nothing to do."""
    async with open_database(path, vault) as database:
        store = SealedStore(database)
        if not await store.pending():
            return None
        count = await store.reseal()
        await store.done()
        return count


async def known(path: Path, vault: Vault, number: int = 1) -> tuple[Any, ...]:
    async with open_database(path, vault) as database:
        store = TaskStore(database)
        task = await store.get(f"task{number}")
        assert task is not None
        again = await DraftStore(database).claim(number, "menu", server_id=1, member_id=MEMBER, by=9, at=0)
        assert again is not None
        return task.prompt, await store.body(task), again.content


def plain_bytes(path: Path) -> list[str]:
    return [file.name for file in path.parent.iterdir() if SECRET.encode() in file.read_bytes()]


def rows(path: Path, sql: str) -> Sequence[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


async def test_no_byte_of_prompt_order_or_draft_is_plain(tmp_path: Path) -> None:
    path = tmp_path / "conch.db"
    await write(path, Vault([NEW]))
    assert plain_bytes(path) == []
    assert await known(path, Vault([NEW])) == (f"{SECRET} 1", BODY, f'{{"prompt":"{SECRET}"}}')


async def test_a_body_that_is_on_disk_already_is_the_one_that_is_sent(tmp_path: Path) -> None:
    async with open_database(tmp_path / "conch.db", Vault([NEW])) as database:
        store = TaskStore(database)
        task = await placed(store, 1)
        await store.begin_submit(task, BODY, task.created_at)
        moved = await store.get(task.id)
        assert moved is not None
        await store.not_accepted(moved, task.created_at, due_at=task.created_at, note="not now")
        assert await store.begin_submit(task, b"another", task.created_at) == BODY


async def test_an_export_opens_what_is_sealed(tmp_path: Path) -> None:
    path = tmp_path / "conch.db"
    await write(path, Vault([NEW]))
    async with open_database(path, Vault([NEW])) as database:
        found = [row async for row in PrivacyStore(database).everything(MEMBER)]
    assert [row["prompt"] for table, row in found if table == "tasks"] == [f"{SECRET} 1"]
    assert [row["content"] for table, row in found if table == "drafts"] == [f'{{"prompt":"{SECRET}"}}']


async def test_a_first_key_seals_what_was_plain_before(tmp_path: Path) -> None:
    path = tmp_path / "conch.db"
    await write(path, PLAIN)
    assert plain_bytes(path)
    assert await reseal(path, Vault([NEW])) == 3
    assert plain_bytes(path) == []
    assert (await known(path, Vault([NEW])))[:2] == (f"{SECRET} 1", BODY)
    assert await reseal(path, Vault([NEW])) is None


async def test_all_is_brought_to_a_new_key_and_the_old_one_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed, "_PASSES", [(select, update, 2) for select, update, _ in sealed._PASSES])
    path = tmp_path / "conch.db"
    for number in range(1, 6):
        await write(path, Vault([OLD]), number)
    await reseal(path, Vault([OLD]))
    assert await reseal(path, Vault([NEW, OLD])) == 15
    for number in range(1, 6):
        assert (await known(path, Vault([NEW]), number))[0] == f"{SECRET} {number}"


async def test_what_is_empty_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "conch.db"
    await write(path, PLAIN)
    async with open_database(path) as database:
        await database.write(lambda tx: tx.run("UPDATE tasks SET prompt = ''"))
    await reseal(path, Vault([NEW]))
    assert rows(path, "SELECT prompt FROM tasks") == [("",)]


@pytest.mark.parametrize(
    ("keys", "found"),
    [([], "DATA_KEY is not set, but"), ([OLD], "DATA_KEY is another one, but")],
)
async def test_without_the_key_the_start_is_refused_and_nothing_written(
    tmp_path: Path, keys: list[str], found: str
) -> None:
    path = tmp_path / "conch.db"
    await write(path, Vault([NEW]))
    before = path.read_bytes()
    with pytest.raises(SetupError, match=found) as refused:
        async with open_database(path, Vault(keys)):
            pass
    assert "DATA_KEY=new,old. Nothing was changed." in str(refused.value)
    with pytest.raises(SetupError, match=found):
        examine(path, Vault(keys))
    assert path.read_bytes() == before
    assert (await known(path, Vault([NEW])))[0] == f"{SECRET} 1"


async def test_until_all_is_brought_over_both_keys_are_needed(tmp_path: Path) -> None:
    """A crash in the middle: rows of either key lie side by side."""
    path = tmp_path / "conch.db"
    await write(path, Vault([OLD]))
    await reseal(path, Vault([OLD]))
    await write(path, Vault([NEW, OLD]), 2)
    for one in (OLD, NEW):
        with pytest.raises(SetupError, match="DATA_KEY is another one, but"):
            examine(path, Vault([one]))
    assert await reseal(path, Vault([NEW, OLD])) == 6
    assert (await known(path, Vault([NEW]), 1))[0] == f"{SECRET} 1"


async def test_the_order_of_keys_may_be_turned_back(tmp_path: Path) -> None:
    path = tmp_path / "conch.db"
    await write(path, Vault([OLD]))
    await reseal(path, Vault([NEW, OLD]))
    assert await reseal(path, Vault([OLD, NEW])) == 3
    assert (await known(path, Vault([OLD])))[0] == f"{SECRET} 1"


async def test_a_reader_without_a_key_reads_all_but_the_words(tmp_path: Path) -> None:
    path = tmp_path / "conch.db"
    await write(path, Vault([NEW]))
    async with open_reader(path) as reads:
        (row,) = await reads.read("SELECT * FROM tasks")
    assert row["id"] == "task1"
    assert SECRET not in row["prompt"]


async def test_a_value_that_no_key_opens_reads_as_lost_and_holds_nothing_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as by a restore of single rows: the start cannot know of it."""
    path = tmp_path / "conch.db"
    for number in (1, 2):
        await write(path, Vault([NEW]), number)
    strange = Vault([OLD])

    def work(tx: Transaction) -> None:
        tx.run("UPDATE submissions SET body = :body WHERE task_id = 'task1'", body=strange.seal(BODY))
        tx.run("UPDATE tasks SET prompt = :prompt WHERE id = 'task1'", prompt=strange.seal_text("a whale"))

    async with open_database(path, Vault([NEW])) as database:
        await database.write(work)
        shown = await TaskStore(database).to_show(limit=10)
        assert [task.prompt for task in shown] == [LOST, f"{SECRET} 2"]
        assert [await TaskStore(database).body(task) for task in shown] == [None, BODY]
    assert "a prompt cannot be read: What is stored here is sealed with another DATA_KEY" in caplog.text
    assert await reseal(path, Vault([NEWEST, NEW])) == 6
    assert (await known(path, Vault([NEWEST]), 2))[:2] == (f"{SECRET} 2", BODY)
    (kept, _) = rows(path, "SELECT prompt FROM tasks ORDER BY id")
    assert strange.open_text(kept[0]) == "a whale"


async def test_an_update_asks_for_the_key_before_it_changes_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "conch.db"
    await write(path, Vault([NEW]))
    monkeypatch.setattr(migrate, "known", lambda: ["0001", "9999"])
    monkeypatch.setattr(migrate, "pending", lambda *_: True)
    monkeypatch.setattr(migrate, "upgrade", lambda _: pytest.fail("it was changed"))
    for opened in (lambda: examine(path, Vault([OLD])), lambda: asyncio.run(open_and_leave(path))):
        with pytest.raises(SetupError, match="DATA_KEY is another one, but"):
            await asyncio.to_thread(opened)


async def open_and_leave(path: Path) -> None:
    async with open_database(path, Vault([OLD])):
        pass
