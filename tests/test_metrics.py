"""What `/metrics` tells, from a real database and real provider objects over real HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.domain.errors import (
    ContentRefused,
    JobNotFound,
    JobRejected,
    NotAVideo,
    OutcomeUnknown,
    ProviderBusy,
    ProviderClosed,
    ProviderError,
    StorageError,
)
from bot.domain.task import TaskState
from bot.metrics import Metrics
from bot.providers.downloads import Downloads
from bot.providers.measured import Measured
from storage.database import Database, open_database
from storage.figures import FigureStore
from storage.tasks import TaskStore
from tests.fakes import FakeClock
from tests.providers.cases import CASES
from tests.providers.standin import Fault, always
from tests.storage.drafts import brought, placed

Values = dict[tuple[str, ...], float]


class Book:
    """A database, its metrics, and a clock that a test moves."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tasks = TaskStore(database)
        self.connected = True
        self.clock = FakeClock()
        self.metrics = Metrics(FigureStore(database.slow), lambda: self.connected, self.clock.monotonic)

    async def told(self) -> Values:
        """Every sample by its name and its labels' values, which are sorted."""
        families = text_string_to_metric_families((await self.metrics.text()).decode())
        return {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
        }

    async def told_anew(self) -> Values:
        self.clock.advance(16)
        return await self.told()


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[Book]:
    async with open_database(tmp_path / "conch.db") as database:
        yield Book(database)


async def test_an_empty_bot_tells_zeros(book: Book) -> None:
    told = await book.told()
    assert [told["conch_tasks", state.value] for state in TaskState] == [0] * len(TaskState)
    assert (told["conch_queue_length",], told["conch_gateway_connected",]) == (0, 1)
    book.connected = False
    assert (await book.told())["conch_gateway_connected",] == 0


async def test_tasks_queue_and_spending_are_those_of_the_database(book: Book) -> None:
    for number in range(1, 4):
        await placed(book.tasks, number)
    waiting = await placed(book.tasks, 4)
    await book.database.write(
        lambda tx: tx.run("UPDATE tasks SET due_at = NULL WHERE id = :id", id=waiting.id)
    )
    done = await brought(book.tasks, await placed(book.tasks, 5), TaskState.SUCCEEDED)
    told = await book.told_anew()
    assert (told["conch_tasks", "held"], told["conch_tasks", "succeeded"]) == (4, 1)
    assert told["conch_queue_length",] == 3
    row = await book.database.read_one("SELECT SUM(spent_micros) AS spent FROM ledger")
    assert row
    assert told["conch_spent_dollars_total", done.provider] == row["spent"] / 1_000_000 > 0


async def test_every_entry_of_the_ledger_counts_once(book: Book) -> None:
    for number in range(1, 4):
        await brought(book.tasks, await placed(book.tasks, number), TaskState.SUCCEEDED)
        told = await book.told_anew()
        row = await book.database.read_one("SELECT SUM(spent_micros) AS spent FROM ledger")
        assert row
        assert told["conch_spent_dollars_total", "mindvideo"] == pytest.approx(row["spent"] / 1_000_000)


async def test_the_database_is_asked_once_in_fifteen_seconds(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, read = [], book.database.slow.read

    async def counted(sql: str, **values: object) -> object:
        asked.append(sql)
        return await read(sql, **values)

    monkeypatch.setattr(book.database.slow, "read", counted)
    await book.told()
    once = len(asked)
    book.clock.advance(14)
    await book.told()
    assert len(asked) == once > 0
    book.clock.advance(1)
    await book.told()
    assert len(asked) == 2 * once


async def test_a_failing_database_leaves_its_figures_out_and_no_others(
    book: Book, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await book.told()

    async def broken(*_: object, **__: object) -> None:
        raise StorageError("The database could not do it.")

    monkeypatch.setattr(book.database.slow, "read", broken)
    book.metrics.posted(1500)
    told = await book.told_anew()
    assert not [name for name in told if name[0] in {"conch_tasks", "conch_queue_length"}]
    assert told["conch_posting_delay_seconds_sum",] == 1.5
    assert told["conch_gateway_connected",] == 1
    assert "The database could not do it." in caplog.text
    monkeypatch.undo()
    assert ("conch_queue_length",) in await book.told_anew()


async def test_errors_are_counted_by_provider_and_kind(book: Book) -> None:
    kinds: dict[str, Exception] = {
        "busy": ProviderBusy("x"),
        "unknown": OutcomeUnknown("x"),
        "rejected": JobRejected("x"),
        "content_refused": ContentRefused("x"),
        "closed": ProviderClosed("x"),
        "no_such_job": JobNotFound("x"),
        "not_a_video": NotAVideo("x"),
        "other": ZeroDivisionError("a prompt"),
    }
    for kind, error in kinds.items():
        book.metrics.called("gmi", "submit", 0.3, [error])
        assert (await book.told())["conch_provider_errors_total", *sorted(["gmi", kind])] == 1
    assert {type(error) for error in kinds.values()} >= set(ProviderError.__subclasses__())
    assert (await book.told())["conch_provider_call_seconds_count", "gmi", "submit"] == len(kinds)
    assert b"a prompt" not in await book.metrics.text()


async def test_calls_of_a_provider_are_measured_and_answered_as_before(book: Book) -> None:
    async with (
        CASES["mindvideo"].standin() as standin,
        httpx.AsyncClient(trust_env=False) as client,
        Downloads(trusted_hosts=frozenset({"127.0.0.1"})) as downloads,
    ):
        inner = CASES["mindvideo"].provider(client, downloads, key=standin.key, base=standin.url)
        provider = Measured(inner, book.metrics.called)
        assert (provider.name, provider.recovers, provider.batch) == (
            "mindvideo",
            inner.recovers,
            inner.batch,
        )
        assert await provider.check() == await inner.check()
        standin.before = always(Fault(401, b"{}"), None)
        with pytest.raises(ProviderClosed):
            await provider.check()
        outcomes = await provider.statuses(["1", "2"])
        assert all(isinstance(outcome, ProviderClosed) for outcome in outcomes.values())
    told = await book.told()
    assert told["conch_provider_call_seconds_count", "check", "mindvideo"] == 2
    assert told["conch_provider_call_seconds_count", "mindvideo", "status"] == 1
    assert told["conch_provider_errors_total", "closed", "mindvideo"] == 3


async def test_no_label_grows_with_tasks_members_or_servers(book: Book) -> None:
    await placed(book.tasks, 1)
    few = set(await book.told_anew())
    for number in range(2, 30):
        await placed(book.tasks, number)
    assert set(await book.told_anew()) == few


def test_two_bots_in_one_process_share_nothing(book: Book) -> None:
    Metrics(FigureStore(book.database.slow), lambda: False)
