"""`conch tasks` and `conch catalog` without a running bot, and how the command line reads them."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot import catalog, cli, shell
from bot.domain.errors import AlreadyRunning, Refusal, SetupError
from bot.domain.published import Published
from bot.domain.task import Task, TaskState
from bot.providers.base import Hosted
from bot.settings import Settings, read_settings
from storage.database import open_database
from storage.ledger import LedgerStore
from storage.tasks import TaskStore
from tests.cogs.fixtures import template
from tests.providers.cases import CASES
from tests.providers.gmi_standin import FAST, SLUG, GmiStandIn
from tests.providers.runware_standin import RunwareStandIn
from tests.providers.standin import Fault, StandIn, always
from tests.storage.drafts import NOON, PRICE, brought, placed

__all__ = ["template"]


@pytest.fixture
def settings(tmp_path: Path, template: Path) -> Settings:
    shutil.copyfile(template, tmp_path / "conch.db")
    return Settings(database=tmp_path / "conch.db", data_dir=tmp_path)


# ----------------------------------------------------------------------- tasks


@pytest.fixture
async def parked(settings: Settings) -> Task:
    async with open_database(settings.database) as database:
        store = TaskStore(database)
        task = await brought(store, await placed(store, 1), TaskState.SUBMITTING)
        await store.park(task, NOON, due_at=None, note="no answer came")
    return task


async def asked(settings: Settings, **request: Any) -> list[str]:
    lines: list[str] = []
    await shell.tasks(settings, request, lines.append)
    return lines


async def test_the_list_tells_what_there_is_to_decide(settings: Settings, parked: Task) -> None:
    line, problem = await asked(settings, do="list")
    assert line == (
        f"{parked.id}  parked  $0.28 held  mindvideo  hailuo-2.3/6/768p  member {parked.member_id}  "
        "2026-11-20 12:00 UTC  job unknown"
    )
    assert problem == "    no answer came"


async def test_an_empty_list_says_so(settings: Settings) -> None:
    assert await asked(settings, do="list") == ["No task is parked: every outcome is known."]


async def test_without_a_bot_the_database_itself_is_changed(settings: Settings, parked: Task) -> None:
    (line, note) = await asked(settings, do="settle", task=parked.id, cost="0.30", reason="charged")
    assert line.startswith(f"{parked.id}  failed  booked $0.30  mindvideo")
    assert note == "    settled by the operator at $0.30: charged"
    async with open_database(settings.database) as database:
        entries = await LedgerStore(database).of_task(parked.id)
        assert [task.id for task in await TaskStore(database).to_show(limit=9)] == [parked.id]
    assert [(entry.kind, entry.spent_micros) for entry in entries] == [("hold", 0), ("settle", 300_000)]
    assert sum(entry.held_micros for entry in entries) == PRICE - PRICE
    with pytest.raises(Refusal, match="is failed, not parked"):
        await asked(settings, do="release", task=parked.id, reason="again")


async def test_a_release_says_what_was_given_back(settings: Settings, parked: Task) -> None:
    (line, _) = await asked(settings, do="release", task=parked.id, reason="not charged")
    assert line.startswith(f"{parked.id}  failed  $0.28 given back  mindvideo")


async def test_a_refusal_is_said_as_it_is(settings: Settings, parked: Task) -> None:
    with pytest.raises(Refusal, match="There is no task nobody"):
        await asked(settings, do="release", task="nobody", reason="x")
    with pytest.raises(Refusal, match="found 'cheap', need dollars"):
        await asked(settings, do="settle", task=parked.id, cost="cheap", reason="x")
    with pytest.raises(Refusal, match="reason is empty"):
        await asked(settings, do="release", task=parked.id, reason="")


async def test_where_no_bot_ever_ran_no_database_is_made(tmp_path: Path) -> None:
    settings = Settings(database=tmp_path / "typo" / "conch.db", data_dir=tmp_path / "typo")
    with pytest.raises(SetupError, match="no bot has run with it yet"):
        await asked(settings, do="list")
    assert not (tmp_path / "typo").exists()


async def test_a_bot_that_cannot_be_asked_keeps_its_database(settings: Settings, parked: Task) -> None:
    async with open_database(settings.database):
        with pytest.raises(AlreadyRunning, match="Another Conch is running"):
            await asked(settings, do="release", task=parked.id, reason="x")


# --------------------------------------------------------------------- catalog


@pytest.fixture
async def standins() -> AsyncIterator[dict[str, StandIn]]:
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(case.standin()) for name, case in CASES.items()}


@pytest.fixture
def everybody(settings: Settings, standins: dict[str, StandIn]) -> Settings:
    """All paid providers are switched on."""
    keys = {name: SecretStr(standin.key) for name, standin in standins.items()}
    urls = {name: standin.url for name, standin in standins.items()}
    return settings.model_copy(update={"providers": tuple(CASES), "keys": keys, "api_urls": urls})


async def listed(settings: Settings, *, live: bool = False) -> tuple[bool, list[str]]:
    lines: list[str] = []
    return await shell.offers(settings, lines.append, live=live), lines


async def test_every_offer_is_listed_with_price_source_and_whether_it_is_assumed(settings: Settings) -> None:
    well, lines = await listed(settings.model_copy(update={"providers": ("gmi",)}))
    offers = catalog.load().offers
    assert (well, len(lines)) == (True, len(offers))
    for offer, line in zip(offers, lines, strict=True):
        words = line.split()
        assert words[:3] == ["on" if offer.provider == "gmi" else "off", offer.provider, offer.format.id]
        assert words[3].startswith("$")
        assert ("assumed" in words) == offer.assumed
        assert line.endswith(f"{', '.join(offer.modes)} · {offer.source}, {offer.date}")


async def test_live_asks_everybody_for_free(everybody: Settings, standins: dict[str, StandIn]) -> None:
    well, lines = await listed(everybody, live=True)
    told = "\n".join(lines[len(catalog.load().offers) :])
    assert well
    assert all(f"{name}: " in told for name in CASES)
    for line in (
        "novita: balance $100.00",
        "runware: balance $100.00",
        f"gmi: {SLUG}: $0.28 (per_video video).",
        f"gmi: {FAST}: $0.19 (per_video video).",
        "mindvideo: MindVideo publishes no price list or balance.",
        "minimax: MiniMax publishes no price list or balance.",
    ):
        assert line in told.splitlines()
    assert all(standin.requests or name in {"mindvideo", "minimax"} for name, standin in standins.items())
    assert [(standin.charges, standin.refused) for standin in standins.values()] == [({}, [])] * len(CASES)


async def test_a_price_that_differs_is_told_and_is_a_failure(
    everybody: Settings, standins: dict[str, StandIn]
) -> None:
    gmi = standins["gmi"]
    assert isinstance(gmi, GmiStandIn)
    gmi.models[FAST] = {"price": 0.21, "pricing_type": "per_video", "unit": "video"}
    well, lines = await listed(everybody, live=True)
    assert not well
    assert f"gmi: {FAST} is $0.21 there, $0.19, $0.32, $0.33 in the catalog" in lines
    assert not [line for line in lines if f"{SLUG} is" in line]


async def test_a_price_by_format_is_compared_with_that_format(
    everybody: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = {"hailuo-02/6/768p": 280_000, "hailuo-02/10/768p": 280_000, "video-01": 430_000}

    async def published(_: Hosted) -> Published:
        return Published(prices=prices)

    monkeypatch.setattr(CASES["minimax"].provider, "published", published)
    well, lines = await listed(everybody.model_copy(update={"providers": ("minimax",)}), live=True)
    assert not well
    assert lines[-2:] == [
        "minimax: hailuo-02/10/768p is $0.28 there, $0.56 in the catalog",
        "minimax: publishes $0.43 for video-01",
    ]


async def test_a_provider_that_says_nothing_is_a_failure_and_hides_no_other(
    everybody: Settings, standins: dict[str, StandIn]
) -> None:
    standins["novita"].before = always(Fault(401, b'{"reason": "INVALID_API_KEY", "message": "no"}'), None)
    runware = standins["runware"]
    assert isinstance(runware, RunwareStandIn)
    runware.balance = Decimal("12.5")
    well, lines = await listed(everybody, live=True)
    assert not well
    assert any(line.startswith("novita: Novita does ") and "NOVITA_API_KEY" in line for line in lines)
    assert "runware: balance $12.50" in lines


# ---------------------------------------------------------------- command line


@pytest.mark.parametrize(
    "arguments",
    [
        ["release", "t1"],
        ["settle", "t1", "--cost", "1"],
        ["settle", "t1", "--reason", "x"],
        ["attach", "t1", "--reason", "x"],
        ["release", "--reason", "x"],
        ["drop", "t1", "--reason", "x"],
    ],
    ids=" ".join,
)
def test_a_decision_without_all_its_words_is_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["tasks", *arguments])
    assert caught.value.code == 2
    assert "usage: conch tasks" in capsys.readouterr().err


def test_a_key_is_made_that_the_settings_take(capsys: pytest.CaptureFixture[str]) -> None:
    made = [cli.main(["key"]) == 0 and capsys.readouterr().out.strip() for _ in range(2)]
    assert made[0] != made[1]
    assert read_settings({"DATA_KEY": f"{made[0]},{made[1]}"}).vault.keyed
