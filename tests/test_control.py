"""What an operator decides of parked tasks, over the socket of a running bot: money, reasons, and rude callers."""

import asyncio
import json
import logging
import shutil
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bot import control
from bot.domain.errors import SetupError
from bot.domain.task import Frame, Task, TaskState
from bot.posting.texts import status_line
from bot.services.files import Files
from bot.services.parked import Parked
from storage.database import open_database
from storage.ledger import LedgerStore
from storage.tasks import TaskStore
from tests.cogs.fixtures import template
from tests.routing.bench import CATALOG
from tests.storage.drafts import NOON, PRICE, again, brought, placed

__all__ = ["template"]

HELD = ("hold", PRICE, 0)
Books = list[tuple[str, int, int]]


class Desk:
    """A store, and the socket before it; `told` are the tasks whose messages are to be redrawn."""

    def __init__(self, folder: Path, store: TaskStore, ledger: LedgerStore) -> None:
        self.folder = folder
        self.store = store
        self.ledger = ledger
        self.told: list[str] = []
        self.woken = 0
        self.parked = Parked(
            store, Files(folder, store), lambda: NOON, lambda task: self.told.append(task.id)
        )

    def wake(self) -> None:
        self.woken += 1

    async def ask(self, do: str, **more: Any) -> dict[str, Any]:
        said = await control.ask(self.folder, {"do": do, **more})
        assert said is not None
        return said

    async def books(self, task: Task) -> Books:
        entries = await self.ledger.of_task(task.id)
        return [(entry.kind, entry.held_micros, entry.spent_micros) for entry in entries]

    async def lost(self, number: int = 1) -> Task:
        """A task whose submit got no answer."""
        task = await brought(self.store, await placed(self.store, number), TaskState.SUBMITTING)
        await self.store.park(task, NOON, due_at=None, note="no answer came")
        return await again(self.store, task)

    async def shown(self, task: Task) -> str:
        """What the member reads, without Discord's escapes."""
        return status_line(await again(self.store, task), CATALOG).replace("\\", "")


@pytest.fixture
async def closed(tmp_path: Path, template: Path) -> AsyncIterator[Desk]:
    shutil.copyfile(template, tmp_path / "conch.db")
    async with open_database(tmp_path / "conch.db") as database:
        yield Desk(tmp_path, TaskStore(database), LedgerStore(database))


@pytest.fixture
async def desk(closed: Desk) -> AsyncIterator[Desk]:
    async with control.listening(closed.folder, closed.parked, closed.wake):
        yield closed


# ------------------------------------------------------------------- decisions


async def test_parked_tasks_are_listed_with_all_that_an_operator_needs(desk: Desk) -> None:
    assert await desk.ask("list") == {"tasks": []}
    task = await desk.lost()
    await placed(desk.store, 2)
    assert (await desk.ask("list"))["tasks"] == [
        {
            "task": task.id,
            "state": "parked",
            "member": task.member_id,
            "provider": "mindvideo",
            "format": "hailuo-2.3/6/768p",
            "held_micros": PRICE,
            "created_at": NOON,
            "job": None,
            "problem": "no answer came",
        }
    ]


async def test_release_gives_the_hold_back_with_its_reason(desk: Desk) -> None:
    task = await desk.lost()
    said = await desk.ask("release", task=task.id, reason="MindVideo has none")
    assert [one["state"] for one in said["tasks"]] == ["failed"]
    assert await desk.books(task) == [HELD, ("release", -PRICE, 0)]
    assert "$0.28 was given back: Released by the operator: MindVideo has none." in await desk.shown(task)
    assert (desk.told, desk.woken) == ([task.id], 1)


@pytest.mark.parametrize(("cost", "micros"), [("0.28", 280_000), ("1.5", 1_500_000), ("0", 0)])
async def test_settle_books_the_cost_with_its_reason(cost: str, micros: int, desk: Desk) -> None:
    task = await desk.lost()
    said = await desk.ask("settle", task=task.id, cost=cost, reason="charged, no clip")
    assert [one["state"] for one in said["tasks"]] == ["failed"]
    assert await desk.books(task) == [HELD, ("settle", -PRICE, micros)]
    text = await desk.shown(task)
    assert "It ended without a clip: Settled by the operator at $" in text
    assert ("charged, no clip" in text, "given back" in text) == (True, False)


async def test_attach_lets_the_job_be_read_now_and_keeps_the_hold(desk: Desk) -> None:
    task = await desk.lost()
    said = await desk.ask("attach", task=task.id, job="task_17", reason="seen in the dashboard")
    assert [(one["state"], one["job"]) for one in said["tasks"]] == [("parked", "task_17")]
    assert [one.id for one in await desk.store.due("mindvideo", NOON, limit=9)] == [task.id]
    assert await desk.books(task) == [HELD]
    assert "Found by the operator as task_17: seen in the dashboard" in await desk.shown(task)


@pytest.mark.parametrize("do", ["settle", "release", "attach"])
async def test_a_task_is_decided_once(do: str, desk: Desk) -> None:
    task = await desk.lost()
    await desk.ask("settle", task=task.id, cost="0.28", reason="charged")
    before = await desk.books(task)
    said = await desk.ask(do, task=task.id, cost="0.28", job="j", reason="again")
    assert said == {"refused": f"Task {task.id} is failed, not parked: there is nothing to decide."}
    assert await desk.books(task) == before


async def test_of_two_decisions_in_the_same_instant_one_counts(desk: Desk) -> None:
    task = await desk.lost()
    answers = await asyncio.gather(
        desk.ask("settle", task=task.id, cost="0.28", reason="charged"),
        desk.ask("release", task=task.id, reason="not charged"),
    )
    assert sorted("refused" in said for said in answers) == [False, True]
    assert len(await desk.books(task)) == 2


@pytest.mark.parametrize("state", [state for state in TaskState if state is not TaskState.PARKED])
async def test_only_parked_tasks_are_decided(state: TaskState, desk: Desk) -> None:
    task = await brought(desk.store, await placed(desk.store, 1), state)
    before = await desk.books(task)
    said = await desk.ask("release", task=task.id, reason="because")
    assert "not parked" in said["refused"]
    assert (await again(desk.store, task), await desk.books(task)) == (task, before)


async def test_a_task_that_has_its_job_takes_no_other(desk: Desk) -> None:
    task = await brought(desk.store, await placed(desk.store, 1), TaskState.PARKED)
    said = await desk.ask("attach", task=task.id, job="task_17", reason="because")
    assert f"has its job already ({task.job_id})" in said["refused"]


async def test_a_slip_of_the_operators_can_be_mended_as_long_as_it_is_parked(desk: Desk) -> None:
    task = await desk.lost()
    await desk.ask("attach", task=task.id, job="task_71", reason="seen in the dashboard")
    said = await desk.ask("attach", task=task.id, job="task_71", reason="again")
    assert "has its job already (task_71)" in said["refused"]
    said = await desk.ask("attach", task=task.id, job="task_17", reason="misread")
    assert [(one["state"], one["job"]) for one in said["tasks"]] == [("parked", "task_17")]
    assert [one.id for one in await desk.store.due("mindvideo", NOON, limit=9)] == [task.id]
    assert await desk.books(task) == [HELD]
    notes = [event.note for event in await desk.store.events(task.id)]
    assert notes[-2:] == [
        "found by the operator as task_71: seen in the dashboard",
        "found by the operator as task_17: misread",
    ]


async def test_one_job_belongs_to_one_task(desk: Desk) -> None:
    first, second = await desk.lost(1), await desk.lost(2)
    await desk.ask("attach", task=first.id, job="task_17", reason="because")
    said = await desk.ask("attach", task=second.id, job="task_17", reason="because")
    assert "belongs to another task already" in said["refused"]
    assert (await again(desk.store, second)).job_id is None


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"do": "release", "task": "nobody", "reason": "x"}, "There is no task nobody."),
        ({"do": "release", "task": "t1.0"}, "reason is empty"),
        ({"do": "release", "task": "t1.0", "reason": " "}, "reason is empty"),
        ({"do": "release", "task": "t1.0", "reason": 17}, "reason is empty"),
        ({"do": "release", "reason": "x"}, "task is empty"),
        ({"do": "settle", "task": "t1.0", "reason": "x"}, "cost is empty"),
        ({"do": "settle", "task": "t1.0", "reason": "x", "cost": "-1"}, "need dollars"),
        ({"do": "settle", "task": "t1.0", "reason": "x", "cost": "NaN"}, "need dollars"),
        ({"do": "settle", "task": "t1.0", "reason": "x", "cost": "1e3"}, "need dollars"),
        ({"do": "settle", "task": "t1.0", "reason": "x", "cost": "9" * 30}, "not an amount"),
        ({"do": "attach", "task": "t1.0", "reason": "x"}, "job is empty"),
        ({"do": "attach", "task": "t1.0", "reason": "x", "job": "a b"}, "is no job id"),
        ({"do": "attach", "task": "t1.0", "reason": "x", "job": "a" * 201}, "is no job id"),
        ({"do": "settle", "task": "t1.0", "reason": "\ud800", "cost": "1"}, "surrogates"),
        ({"do": "drop"}, "does not know how to 'drop'"),
        ({}, "does not know how to None"),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused(
    request_: dict[str, Any], sentence: str, desk: Desk
) -> None:
    task = await desk.lost()
    said = await control.ask(desk.folder, request_)
    assert said
    assert sentence in said["refused"]
    assert await desk.books(task) == [HELD]
    assert (await again(desk.store, task)).job_id is None


# ---------------------------------------------------------------------- socket


def socket_of(desk: Desk) -> Path:
    return desk.folder / "control.sock"


async def test_the_socket_is_for_this_user_alone_and_gone_after_the_stop(closed: Desk) -> None:
    async with control.listening(closed.folder, closed.parked, closed.wake):
        mode = socket_of(closed).stat().st_mode
        assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)
    assert not socket_of(closed).exists()
    assert await control.ask(closed.folder, {"do": "list"}) is None


async def test_the_socket_is_gone_when_the_bot_is_cancelled(closed: Desk) -> None:
    started = asyncio.Event()

    async def bot() -> None:
        async with control.listening(closed.folder, closed.parked, closed.wake):
            started.set()
            await asyncio.Event().wait()

    running = asyncio.create_task(bot())
    await started.wait()
    running.cancel()
    await asyncio.wait([running])
    assert not socket_of(closed).exists()


async def test_a_socket_that_a_killed_bot_left_hinders_nobody(closed: Desk) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(socket_of(closed)))
    assert await control.ask(closed.folder, {"do": "list"}) is None
    async with control.listening(closed.folder, closed.parked, closed.wake):
        assert await closed.ask("list") == {"tasks": []}


@pytest.mark.parametrize("reason", ["a path too long", "a file in its place", "no folder"])
async def test_a_bot_that_cannot_be_reached_runs_all_the_same(
    reason: str, closed: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    folder = closed.folder / ("x" * 120 if reason == "a path too long" else "data")
    if reason != "no folder":
        folder.mkdir()
    if reason == "a file in its place":
        (folder / "control.sock").write_text("not yours")
    async with control.listening(folder, closed.parked, closed.wake):
        # What the bot makes while it runs is for its group too: the socket's narrow mask is no longer there.
        (closed.folder / "made").mkdir()
        assert stat.S_IMODE((closed.folder / "made").stat().st_mode) & 0o100
        assert await control.ask(folder, {"do": "list"}) is None
    assert "`conch tasks` cannot reach this bot while it runs" in caplog.text
    assert (folder / "control.sock").exists() == (reason == "a file in its place")


async def raw(desk: Desk, said: bytes) -> bytes:
    """What comes back for these bytes."""
    reader, writer = await asyncio.open_unix_connection(socket_of(desk))
    writer.write(said)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    "said",
    [b"", b"\n", b"garbage\n", b"\xff\xfe\n", b"[" * 50_000 + b"\n", b"9" * 5000 + b"\n", b'{"do": "list"'],
    ids=lambda said: repr(said)[:20],
)
async def test_garbage_gets_no_answer_and_hurts_nobody(
    said: bytes, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    assert await raw(desk, said) == b""
    assert "was not answered" in caplog.text
    assert "Traceback" not in caplog.text
    assert await desk.ask("list") == {"tasks": []}


@pytest.mark.parametrize("said", [b"[]\n", b"17\n", b"null\n", b'"list"\n'])
async def test_json_that_is_no_request_is_refused(said: bytes, desk: Desk) -> None:
    assert "refused" in json.loads(await raw(desk, said))


async def test_a_huge_request_is_not_read_to_its_end(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = await asyncio.open_unix_connection(socket_of(desk))
    writer.write(b"x" * 1_000_000)
    with suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    assert "was not answered" in caplog.text
    assert await desk.ask("list") == {"tasks": []}


async def test_a_caller_who_says_nothing_is_hung_up_on_and_holds_up_nobody(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = [await asyncio.open_unix_connection(socket_of(desk)) for _ in range(10)]
    assert await desk.ask("list") == {"tasks": []}
    monkeypatch.setattr(control, "_SECONDS", 0.02)
    reader, writer = await asyncio.open_unix_connection(socket_of(desk))
    assert await reader.read() == b""
    for _, other in [*silent, (reader, writer)]:
        other.close()


async def test_a_bot_that_does_not_answer_is_told(closed: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_SECONDS", 0.02)
    answered = asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answered.wait()
        writer.close()

    async with await asyncio.start_unix_server(hang, socket_of(closed)):
        with pytest.raises(SetupError, match="did not answer"):
            await control.ask(closed.folder, {"do": "list"})
        answered.set()


async def test_callers_leave_nothing_in_the_log_but_what_failed(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await desk.ask("list")
    assert caplog.text == ""


async def test_a_decided_task_leaves_no_picture_behind(desk: Desk) -> None:
    picture = desk.folder / "first.jpg"
    picture.write_bytes(b"pixels")
    task = await placed(desk.store, 77, first_frame=Frame(str(picture)))
    task = await brought(desk.store, task, TaskState.PARKED)
    await desk.parked.release(task.id, reason="never sent")
    assert not picture.exists()
