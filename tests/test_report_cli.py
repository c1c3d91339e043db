"""`conch report`: on real files, beside a bot that has one open and without any."""

import asyncio
import csv
import io
import json
import os
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bot import app, cli, logs, reporting
from bot.domain.errors import Refusal, StorageError
from bot.domain.task import TaskState
from bot.reporting import Wanted
from bot.settings import Settings
from storage import ledger
from storage.books import BookStore
from storage.database import Database, open_database
from storage.tasks import TaskStore
from tests.cogs.fixtures import template
from tests.storage.drafts import COST, DAY, NOON, PRICE, again, brought, placed

__all__ = ["template"]

Fill = Callable[[Database], Awaitable[None]]


@pytest.fixture
def settings(tmp_path: Path, template: Path) -> Settings:
    shutil.copyfile(template, tmp_path / "conch.db")
    return Settings(database=tmp_path / "conch.db", data_dir=tmp_path)


async def two_servers(database: Database) -> None:
    """A delivered and refunded clip, a failed and a waiting one, last month's clip, and another server's."""
    store = TaskStore(database)
    await brought(store, await placed(store, 1), TaskState.DELIVERED)
    await brought(store, await placed(store, 2), TaskState.FAILED)
    await placed(store, 3, member_id=71)
    await brought(store, await placed(store, 4, created_at=NOON - 30 * DAY), TaskState.DELIVERED)
    await brought(store, await placed(store, 5, server_id=51), TaskState.DELIVERED)
    delivered = await again(store, await placed(store, 1))
    await database.write(lambda tx: ledger.refund(tx, delivered, 1, NOON))


async def filled(settings: Settings, fill: Fill = two_servers) -> Settings:
    async with open_database(settings.database) as database:
        await fill(database)
    return settings


async def reported(settings: Settings, **wanted: Any) -> list[str]:
    lines: list[str] = []
    await reporting.report(settings, Wanted(**wanted), NOON, lines.append)
    return "\n".join(lines).splitlines()


async def checked(settings: Settings) -> tuple[bool, list[str]]:
    lines: list[str] = []
    return await reporting.check(settings, lines.append), lines


# ----------------------------------------------------------------------- forms


async def test_the_table_has_every_servers_groups_with_sums(settings: Settings) -> None:
    said = await reported(await filled(settings))
    assert said[0] == "November 2026 (UTC)"
    assert [" ".join(line.split()) for line in said[1:]] == [
        "",
        "server 50 Harbour",
        "member format provider result clips spent held refunded released",
        "70 hailuo-2.3/6/768p mindvideo delivered 1 $0.30 $0.00 $0.000001 $0.00",
        "70 hailuo-2.3/6/768p mindvideo failed 1 $0.00 $0.00 $0.00 $0.28",
        "71 hailuo-2.3/6/768p mindvideo waiting 1 $0.00 $0.28 $0.00 $0.00",
        "this server 3 $0.30 $0.28 $0.000001 $0.28",
        "",
        "server 51 Harbour",
        "member format provider result clips spent held refunded released",
        "70 hailuo-2.3/6/768p mindvideo delivered 1 $0.30 $0.00 $0.00 $0.00",
        "this server 1 $0.30 $0.00 $0.00 $0.00",
        "",
        "all together 4 $0.60 $0.28 $0.000001 $0.28",
    ]


async def test_a_servers_name_cannot_steer_the_terminal(settings: Settings) -> None:
    await filled(settings)
    with closing(sqlite3.connect(settings.database, isolation_level=None)) as connection:
        connection.execute("UPDATE servers SET name = char(27) || '[2J海螺'")
    assert "server 50 ?[2J海螺" in await reported(settings)


async def test_the_csv_sums_up_to_the_ledger(settings: Settings) -> None:
    lines = await reported(await filled(settings), form="csv", period="all")
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    assert [(row["server_id"], row["result"]) for row in rows] == [
        ("50", "delivered"),
        ("50", "failed"),
        ("50", "waiting"),
        ("51", "delivered"),
    ]
    found = [sum(int(row[f"{kind}_micros"]) for row in rows) for kind in ("spent", "held", "refunded")]
    async with open_database(settings.database) as database:
        (sums,) = await database.read(
            "SELECT SUM(spent_micros), SUM(held_micros), SUM(refunded_micros) FROM ledger"
        )
    assert found == list(sums) == [3 * COST, PRICE, 1]


async def test_the_json_is_one_object_with_micros(settings: Settings) -> None:
    told = json.loads("\n".join(await reported(await filled(settings), form="json", server_id=51)))
    sums = {"clips": 1, "spent_micros": COST, "held_micros": 0, "refunded_micros": 0, "released_micros": 0}
    assert told == {
        "period": "November 2026",
        "zone": "UTC",
        "groups": [
            {
                "server_id": "51",
                "member_id": "70",
                "model": "hailuo-2.3",
                "format": "hailuo-2.3/6/768p",
                "provider": "mindvideo",
                "result": "delivered",
                **sums,
            }
        ],
        "total": sums,
    }
    assert json.loads("\n".join(await reported(settings, form="json")))["total"]["clips"] == 4


async def test_an_empty_period_is_told_in_every_form(settings: Settings) -> None:
    assert await reported(settings) == ["November 2026 (UTC)", "No clip was asked for in this time."]
    assert len(await reported(settings, form="csv")) == 1
    assert json.loads("\n".join(await reported(settings, form="json")))["groups"] == []


# --------------------------------------------------------------------- periods


async def clips(settings: Settings, **wanted: Any) -> int:
    return int(json.loads("\n".join(await reported(settings, form="json", **wanted)))["total"]["clips"])


async def test_a_period_or_days_of_a_zone_are_chosen(settings: Settings) -> None:
    await filled(settings)
    named = {period: await clips(settings, period=period) for period in ("today", "last-month", "30d", "all")}
    assert named == {"today": 4, "last-month": 1, "30d": 4, "all": 5}
    assert await clips(settings, first="2026-10-21", last="2026-10-21") == 1
    # Noon in London is the next day in Kiritimati.
    assert await clips(settings, last="2026-11-20", zone="Pacific/Kiritimati") == 1


async def test_days_and_zones_that_cannot_be_are_refused(settings: Settings) -> None:
    with pytest.raises(Refusal, match="--zone: 'Berlin' is no time zone such as Europe/Berlin"):
        await reported(settings, zone="Berlin")
    with pytest.raises(Refusal, match="found 'soon', need a day such as 2026-11-20"):
        await reported(settings, first="soon")


# ----------------------------------------------------------------------- files


async def test_beside_a_running_bot_both_see_what_is_committed(settings: Settings) -> None:
    async with open_database(settings.database) as database:
        await two_servers(database)
        assert await clips(settings) == 4
        assert (await checked(settings))[0]
        await placed(TaskStore(database), 9)
        assert await clips(settings) == 5


# ----------------------------------------------------------------------- books


async def test_sound_books_agree(settings: Settings) -> None:
    assert await checked(await filled(settings)) == (
        True,
        [
            "5 tasks and 10 entries checked: all agree.",
            "No provider gave a figure of its own that differs.",
        ],
    )


async def test_what_disagrees_is_named_with_its_task(settings: Settings) -> None:
    await filled(settings)
    with closing(sqlite3.connect(settings.database, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER ledger_keeps_from_update")
        connection.execute("UPDATE ledger SET member_id = 72 WHERE task_id = 't3.0'")
        connection.execute("UPDATE ledger SET task_id = 'nobody' WHERE kind = 'refund'")
    agreed, lines = await checked(settings)
    assert not agreed
    assert lines[0] == "task t3.0 (held): it has 1 entry of another server, member or time than the task's"
    assert lines[1].endswith("is a refund of task nobody, which does not exist")
    assert lines[2] == "5 tasks and 10 entries checked: 2 disagree, see above."


async def test_what_a_provider_says_it_charged_is_told_apart(settings: Settings) -> None:
    async def charged(database: Database) -> None:
        store = TaskStore(database)
        task = await brought(store, await placed(store, 1), TaskState.PROCESSING)
        await store.end(task, TaskState.FAILED, NOON, note="broke", charged_micros=PRICE)
        task = await brought(store, await placed(store, 2), TaskState.PROCESSING)
        job, clip = task.job_id or "", ("https://cdn.example/clip", None)
        await store.succeed(
            task, NOON, job_id=job, clip=clip, cost_micros=COST, note="done", charged_micros=COST
        )

    assert await checked(await filled(settings, charged)) == (
        True,
        [
            "2 tasks and 4 entries checked: all agree.",
            "The provider's own figure differs from what was booked:",
            "  task t1.0 (failed): mindvideo charged $0.28, booked $0.00",
            "The provider's own figure differs from the catalog's price; correct it in CATALOG_FILE:",
            "  mindvideo hailuo-2.3/6/768p: list $0.28, charged $0.30, 1 clip",
        ],
    )


# ---------------------------------------------------------------- command line


@pytest.fixture
def conch(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs the command; its exit code and all it said."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{settings.database}")
    monkeypatch.setattr(app, "now", lambda: NOON)
    monkeypatch.setattr(logs, "set_up", lambda **_: None)

    def run(*arguments: str) -> tuple[int, str]:
        code = cli.main(["--env-file", os.devnull, "report", *arguments])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


Conch = Callable[..., tuple[int, str]]


def test_every_option_is_heard(settings: Settings, conch: Conch) -> None:
    asyncio.run(filled(settings))
    code, said = conch("--format", "csv", "--server", "50", "--from", "2026-10-01", "--to", "2026-10-31")
    assert (code, len(said.splitlines())) == (0, 2)
    code, said = conch("--period", "last-month", "--zone", "Europe/Berlin")
    assert (code, said.splitlines()[0]) == (0, "October 2026 (Europe/Berlin)")
    assert conch("--to", "tomorrow") == (
        1,
        "conch: `to`: found 'tomorrow', need a day such as 2026-11-20.\n",
    )


def test_the_check_exits_with_1_where_anything_disagrees(settings: Settings, conch: Conch) -> None:
    asyncio.run(filled(settings))
    assert conch("--check")[0] == 0
    with closing(sqlite3.connect(settings.database, isolation_level=None)) as connection:
        connection.execute("UPDATE tasks SET price_micros = 1000000 WHERE id = 't3.0'")
    code, said = conch("--check")
    assert code == 1
    assert "task t3.0 (held): $0.28 was held for it, and its price is $1.00" in said


def test_a_disk_that_fails_on_the_way_exits_with_2_too(conch: Conch, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: BookStore) -> None:
        raise StorageError("The database could not do it (disk I/O error): look at the disk and at the log.")

    monkeypatch.setattr(BookStore, "tasks", fail)
    code, said = conch("--check")
    assert (code, said) == (
        2,
        "conch: The database could not do it (disk I/O error): look at the disk and at the log.\n",
    )


@pytest.mark.parametrize("arguments", [(), ("--check",)], ids=["report", "check"])
def test_a_file_that_cannot_be_read_exits_with_2_and_stays_as_it_is(
    settings: Settings, conch: Conch, arguments: tuple[str, ...]
) -> None:
    settings.database.write_bytes(b"this is no database, but a letter to its finder\n" * 100)
    before = settings.database.read_bytes()
    code, said = conch(*arguments)
    assert (code, "is damaged" in said, "Traceback" in said) == (2, True, False)
    assert settings.database.read_bytes() == before
    settings.database.unlink()
    code, said = conch(*arguments)
    assert (code, "no bot has run with it yet" in said) == (2, True)
    assert not settings.database.exists()
