"""`/admin report` of a whole bot: this server's clips, in the days of its own calendar, in words and files."""

import csv
import io
from datetime import datetime
from typing import Any

import pytest

from bot.domain.limits import FOREVER, Limit, Period, Scope, Window
from bot.domain.servers import Server
from bot.domain.task import Task, TaskState
from bot.media import charts
from bot.media.charts import Chart
from bot.media.child import ChildFailed
from bot.posting import reports
from storage import ledger, limits, servers
from storage.database import Transaction
from storage.reports import ReportStore
from tests.cogs.scene import Scene, told
from tests.storage.drafts import COST, PRICE, brought, draft


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


async def made(scene: Scene, number: int, state: TaskState = TaskState.DELIVERED, **changes: Any) -> Task:
    """A clip in the server, held at `created_at`, now if left out."""
    whose = {"server_id": scene.guild.id, "member_id": scene.alice.id, "created_at": scene.now()}
    task = draft(number, **{**whose, **changes})
    await scene.app.tasks.place([task], server_name="Reef")
    return await brought(scene.app.tasks, task, state, task.created_at)


async def asked(scene: Scene, *, first: str | None = None, last: str | None = None, **options: Any) -> str:
    days = {name: day for name, day in (("from", first), ("to", last)) if day is not None}
    return told(await scene.admin("report", **options, **days))


def file(scene: Scene, answer: Any, name: str) -> bytes:
    (found,) = [one for one in answer.response.attachments if one.filename == name]
    data = scene.env.backend.cdn.get(found.url)
    assert isinstance(data, bytes)
    return data


async def in_zone(scene: Scene, zone: str) -> None:
    def work(tx: Transaction) -> None:
        servers.meet(tx, scene.guild.id, "Reef", 0)
        servers.put(tx, Server(scene.guild.id, zone=zone))

    await scene.app.database.write(work)


async def until(scene: Scene, moment: str) -> None:
    await scene.pass_time((ms(moment) - scene.now()) / 1000)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Chart]:
    """What is given to be drawn; the drawing itself has its own tests."""
    given: list[Chart] = []

    async def draw(chart: Chart, **_: Any) -> bytes:
        given.append(chart)
        return b"a picture"

    monkeypatch.setattr(charts, "draw", draw)
    return given


# --------------------------------------------------------------------- answers


async def test_the_report_is_told_in_private_with_a_chart_and_a_table(scene: Scene) -> None:
    await made(scene, 1)
    await made(scene, 2, TaskState.FAILED, member_id=scene.bob.id)
    answer = await scene.admin("report")
    said = told(answer)
    assert said.startswith("**Report: January 2026** (UTC)\n**$0.30 spent**")
    assert f"- <@{scene.alice.id}>: 1 clip, $0.30 spent" in said
    assert f"- <@{scene.bob.id}>: 1 clip, $0.28 given back unspent" in said
    assert file(scene, answer, "conch-report.png").startswith(b"\x89PNG")
    (request,) = scene.sent("PATCH", "/messages/@original")
    assert request.json["allowed_mentions"] == {"parse": []}
    assert not scene.shown()


async def test_the_tables_sums_are_the_ledgers(scene: Scene, drawn: list[Chart]) -> None:
    for number, state in enumerate(TaskState, 1):
        await made(scene, number, state, member_id=scene.bob.id if number % 2 else scene.alice.id)
    task = await made(scene, 20)
    await scene.app.database.write(lambda tx: ledger.refund(tx, task, 1, scene.now()))
    there = await scene.elsewhere()
    await made(scene, 21, server_id=there.guild.id)
    answer = await scene.admin("report", period="all")
    rows = list(csv.DictReader(io.StringIO(file(scene, answer, "conch-report.csv").decode("utf-8"))))
    found = [
        sum(int(row[f"{kind}_micros"]) for row in rows) for kind in ("spent", "held", "refunded", "released")
    ]
    (total,) = await scene.app.database.read(
        """
        SELECT SUM(spent_micros), SUM(held_micros), SUM(refunded_micros),
          SUM(CASE WHEN kind = 'release' THEN -held_micros ELSE 0 END) FROM ledger WHERE server_id = :server
        """,
        server=scene.guild.id,
    )
    assert found == list(total) == [3 * COST, 5 * PRICE, 1, 2 * PRICE]
    assert sum(int(row["clips"]) for row in rows) == len(TaskState) + 1
    assert {row["server_id"] for row in rows} == {str(scene.guild.id)}


async def test_an_empty_period_says_so_and_has_no_file(scene: Scene, drawn: list[Chart]) -> None:
    answer = await scene.admin("report", period="last-month")
    assert told(answer) == (
        "**Report: December 2025** (UTC)\nNo clip was asked for in this time, so there is nothing to count."
    )
    assert answer.response.attachments == []
    assert not drawn


async def test_without_its_chart_a_report_is_still_told(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> bytes:
        raise ChildFailed("it needs too much memory")

    monkeypatch.setattr(charts, "draw", fail)
    await made(scene, 1)
    answer = await scene.admin("report")
    assert "**$0.30 spent**" in told(answer)
    assert [one.filename for one in answer.response.attachments] == ["conch-report.csv"]


async def test_a_table_too_large_for_discord_is_left_to_the_operator(
    scene: Scene, drawn: list[Chart], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "_LARGEST_CSV", 100)
    await made(scene, 1)
    answer = await scene.admin("report")
    assert f"`conch report --format csv --server {scene.guild.id}`" in told(answer)
    assert [one.filename for one in answer.response.attachments] == ["conch-report.png"]


# --------------------------------------------------------------------- periods


async def test_days_and_months_are_those_of_the_servers_zone(scene: Scene, drawn: list[Chart]) -> None:
    await in_zone(scene, "America/New_York")
    await until(scene, "2026-03-08T12:00-04:00")
    moments = {
        1: "2026-02-28T23:59:59-05:00",
        2: "2026-03-01T00:00:00-05:00",
        3: "2026-03-07T23:59:59-05:00",
        # A day of twenty-three hours.
        4: "2026-03-08T00:00:00-05:00",
        5: "2026-03-08T11:00:00-04:00",
    }
    for number, moment in moments.items():
        await made(scene, number, created_at=ms(moment))
    clips = {
        period: (await asked(scene, period=period)).split("; ")[1].split(" clip")[0]
        for period in ("today", "month", "last-month", "30d", "all")
    }
    assert clips == {"today": "2", "month": "4", "last-month": "1", "30d": "5", "all": "5"}
    assert "**Report: 2026-03-08** (America/New\\_York)" in await asked(scene, period="today")
    assert drawn[-1].days == (datetime(2026, 3, 8).date(),)  # noqa: DTZ001 - a day of the zone


async def test_days_replace_the_period_and_are_both_in_it(scene: Scene, drawn: list[Chart]) -> None:
    await in_zone(scene, "Asia/Kathmandu")
    await until(scene, "2026-01-20T12:00+05:45")
    for number, moment in enumerate(
        (
            "2026-01-09T23:59+05:45",
            "2026-01-10T00:00+05:45",
            "2026-01-11T23:59+05:45",
            "2026-01-12T00:00+05:45",
        ),
        1,
    ):
        await made(scene, number, created_at=ms(moment))
    said = await asked(scene, period="today", first="2026-01-10", last="2026-01-11")
    assert said.startswith("**Report: 2026-01-10 to 2026-01-11** (Asia/Kathmandu)")
    assert "2 clips asked for" in said
    assert "3 clips asked for" in await asked(scene, first="2026-01-10")


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ({"first": "1.1.2026"}, "`from`: found '1.1.2026', need a day such as 2026-01-01"),
        ({"last": "2026-01-02"}, "`to`: 2026-01-02 is yet to come; today is 2026-01-01 (UTC)"),
        ({"first": "2025-12-31", "last": "2025-12-30"}, "end on 2025-12-30, before it begins"),
    ],
)
async def test_days_that_cannot_be_are_refused(
    scene: Scene, drawn: list[Chart], days: dict[str, str], words: str
) -> None:
    await made(scene, 1)
    assert words in await asked(scene, **days)
    assert not drawn


async def test_a_period_that_no_client_offers_is_refused(scene: Scene) -> None:
    said = told(await scene.raw("admin report", member=scene.carol, period=(3, "century")))
    assert "found 'century', need one of today, month" in said


# --------------------------------------------------------------------- budgets


async def test_the_running_month_tells_how_far_every_budget_is_used_up(
    scene: Scene, drawn: list[Chart]
) -> None:
    mine = [
        Limit(Scope.SERVER, Period.DAY, 1_000_000, server_id=scene.guild.id),
        Limit(Scope.SERVER, Period.TOTAL, 600_000, server_id=scene.guild.id),
        Limit(Scope.SERVER, Period.TOTAL, 1, server_id=scene.guild.id + 1),
        Limit(Scope.MEMBER, Period.DAY, 5_000_000, server_id=scene.guild.id),
    ]

    def work(tx: Transaction) -> None:
        for limit in mine:
            limits._put(tx, limit)

    await made(scene, 1, created_at=ms("2025-12-31T12:00+00:00"))
    await made(scene, 2)
    await scene.app.database.write(work)
    budgets = [line for line in (await asked(scene)).splitlines() if "% used" in line]
    assert [line.split(" spent")[0] for line in budgets] == [
        "This server's budget for one day: 30 % used, $0.30",
        "This server's budget in total: 100 % used, $0.60",
        "The operator's budget for this server for one month: 0 % used, $0.30",
    ]
    assert drawn[-1].limit_micros == 1_000_000
    assert "% used" in await asked(scene, period="today")
    # Of what has ended the budgets of just that, which start no more anew.
    (ended,) = [line for line in (await asked(scene, period="last-month")).splitlines() if "% used" in line]
    assert (
        ended
        == "The operator's budget for this server for one month: 0 % used, $0.30 spent and $0.00 held of $50.00"
    )
    for period in ("30d", "all"):
        assert "% used" not in await asked(scene, period=period)


# ---------------------------------------------------------------------- rights


async def test_a_member_without_the_right_gets_nowhere(scene: Scene, drawn: list[Chart]) -> None:
    await made(scene, 1)
    answer = await scene.raw("admin report", member=scene.alice)
    assert "Manage Server" in told(answer)
    assert "$" not in told(answer)
    assert not drawn


async def test_each_server_reads_of_its_own_clips_alone(scene: Scene, drawn: list[Chart]) -> None:
    there = await scene.elsewhere()
    await made(scene, 1)
    await made(scene, 2, server_id=there.guild.id, member_id=there.eve.id)
    said = told(await there.dora.slash(there.channel, "admin report", period="all"))
    assert "1 clip asked for" in said
    assert str(there.eve.id) in said
    assert str(scene.alice.id) not in said
    assert str(there.eve.id) not in await asked(scene, period="all")
    store = ReportStore(scene.app.database)
    assert len((await store.of_server(there.guild.id, Window(0, FOREVER))).groups) == 1
