"""What a report says: sums in words, a table that no spreadsheet misreads, and a chart of its days."""

import csv
import io
from datetime import date
from typing import Any

import pytest

from bot.catalog import load
from bot.domain.limits import FOREVER, OPERATOR, Limit, Period, Scope, Usage, Window
from bot.domain.report import Group, Report, Result, Sums
from bot.domain.servers import Server
from bot.domain.spending import DaySpending
from bot.posting import sheets
from bot.posting.reports import report_chart, report_csv, report_words
from storage.limits import Counted
from tests.storage.drafts import DAY, NOON

CATALOG = load()
SERVER = Server(50, zone="Europe/Berlin")
#: November 2026 in Berlin.
SPAN = Window(1_793_487_600_000, 1_796_079_600_000)


def group(sums: Sums, **changes: Any) -> Group:
    alike: dict[str, Any] = {
        "server_id": 50,
        "member_id": 70,
        "model": "hailuo-2.3",
        "format": "hailuo-2.3/6/768p",
        "provider": "mindvideo",
        "result": Result.DELIVERED,
    }
    return Group(sums=sums, **{**alike, **changes})


def report(*groups: Group, span: Window = SPAN) -> Report:
    return Report(span, groups)


def words(*groups: Group, budgets: tuple[Counted, ...] = ()) -> list[str]:
    return report_words(report(*groups), SERVER, CATALOG, budgets).splitlines()


# ----------------------------------------------------------------------- words


def test_the_headline_tells_period_zone_and_every_sum() -> None:
    said = words(
        group(Sums(40, spent=11_200_000, refunded=280_000)),
        group(Sums(2, held=560_000), result=Result.RUNNING),
        group(Sums(1, released=329_400), result=Result.FAILED),
    )
    assert said[:2] == [
        "**Report: November 2026** (Europe/Berlin)",
        "**$11.20 spent**, $0.56 held, $0.28 refunded, $0.3294 given back unspent; 43 clips asked for",
    ]


def test_each_dimension_has_its_lines_the_dearest_first() -> None:
    said = words(
        group(Sums(1, spent=280_000)),
        group(Sums(2, spent=980_000), member_id=71, model="hailuo-02", provider="gmi"),
        group(Sums(1, released=280_000), result=Result.FAILED),
    )
    assert said[2:] == [
        "**By member**",
        "- <@71>: 2 clips, $0.98 spent",
        "- <@70>: 2 clips, $0.28 spent, $0.28 given back unspent",
        "**By model**",
        "- Hailuo 02: 2 clips, $0.98 spent",
        r"- Hailuo 2\.3: 2 clips, $0.28 spent, $0.28 given back unspent",
        "**By provider**",
        "- GMI Cloud: 2 clips, $0.98 spent",
        "- MindVideo: 2 clips, $0.28 spent, $0.28 given back unspent",
        "**By result**",
        "- delivered: 3 clips, $1.26 spent",
        "- failed: 1 clip, $0.28 given back unspent",
    ]


def test_all_but_eight_members_are_one_line() -> None:
    said = words(*(group(Sums(1, spent=number), member_id=number) for number in range(1, 12)))
    assert "- <@4>: 1 clip, $0.000004 spent" in said
    assert "- 3 others: 3 clips, $0.000006 spent" in said
    assert not [line for line in said if "<@3>" in line]


def test_a_model_and_a_provider_that_are_no_longer_offered_keep_their_own_names() -> None:
    said = words(group(Sums(1, spent=1), model="old_*one", provider="gone"))
    assert r"- old\_\*one: 1 clip, $0.000001 spent" in said
    assert "- gone: 1 clip, $0.000001 spent" in said


def test_an_empty_period_says_so() -> None:
    assert words() == [
        "**Report: November 2026** (Europe/Berlin)",
        "No clip was asked for in this time, so there is nothing to count.",
    ]


def test_budgets_tell_how_far_they_are_used_up() -> None:
    def counted(limit: Limit, until: int) -> Counted:
        return Counted(limit, Window(0, until), Usage(30_000_000, 9_990_000))

    said = words(
        budgets=(
            counted(Limit(Scope.SERVER, Period.MONTH, 50_000_000, server_id=50), SPAN.until),
            counted(Limit(Scope.SERVER, Period.TOTAL, 0, server_id=OPERATOR), FOREVER),
        )
    )
    assert said[2:] == [
        (
            "This server's budget for one month: 79 % used, $30.00 spent and $9.99 held of $50.00; "
            "it starts anew <t:1796079600:R>"
        ),
        "The operator's budget for this server in total: used up, $30.00 spent and $9.99 held of $0.00",
    ]


def test_the_longest_report_fits_one_message() -> None:
    groups = [
        group(Sums(9, 9 << 40, 9 << 40, 9 << 40, 9 << 40), member_id=(1 << 62) + n, model=f"{n}" * 32)
        for n in range(20)
    ]
    assert len("\n".join(words(*groups))) <= 2000


# ----------------------------------------------------------------------- table


def test_the_table_has_every_group_exactly() -> None:
    table = report_csv(report(group(Sums(3, 280_001, 1, 20, 300)), group(Sums(1), member_id=1 << 62)))
    first, second = csv.DictReader(io.StringIO(table.decode("utf-8")))
    assert first == {
        "server_id": "50",
        "member_id": "70",
        "model": "hailuo-2.3",
        "format": "hailuo-2.3/6/768p",
        "provider": "mindvideo",
        "result": "delivered",
        "clips": "3",
        "spent_dollars": "0.280001",
        "held_dollars": "0.000001",
        "refunded_dollars": "0.000020",
        "released_dollars": "0.000300",
        "spent_micros": "280001",
        "held_micros": "1",
        "refunded_micros": "20",
        "released_micros": "300",
    }
    assert (second["member_id"], second["spent_dollars"]) == ("4611686018427387904", "0.000000")


def test_ids_are_quoted_and_numbers_are_not() -> None:
    line = report_csv(report(group(Sums(1, spent=1)))).decode().splitlines()[1]
    assert line.startswith('"50","70","hailuo-2.3",')
    assert line.endswith(',"delivered",1,0.000001,0.000000,0.000000,0.000000,1,0,0,0')


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum(a1)", "\t=1", "\r=1", "\n=1", "＝1"])
def test_no_text_is_a_formula(text: str) -> None:
    (cells,) = csv.reader(io.StringIO(sheets.line([text, -1])))
    assert cells == [f"'{text}", "-1"]


def test_quotes_commas_and_line_ends_stay_in_their_cell() -> None:
    strange = ['a "b"', "c,d", "e\nf", "海螺"]
    assert list(csv.reader(io.StringIO(sheets.table(["x"], [strange]).decode("utf-8")))) == [["x"], strange]


# ----------------------------------------------------------------------- chart


def day(number: int, **changes: Any) -> DaySpending:
    alike: dict[str, Any] = {"model": "hailuo-2.3", "spent": 280_000, "held": 0, "refunded": 0}
    return DaySpending(date(2026, 11, number), **{**alike, **changes})


def test_the_chart_stacks_models_by_day_against_the_daily_budget() -> None:
    daily = [day(1), day(3, held=10, refunded=280_000), day(3, model="hailuo-02", spent=5)]
    chart = report_chart(daily, SPAN, SERVER, CATALOG, 2_000_000)
    assert chart is not None
    assert (chart.days[0], chart.days[-1], len(chart.days)) == (date(2026, 11, 1), date(2026, 11, 30), 30)
    assert {one.label: one.micros[:4] for one in chart.series} == {
        "Hailuo 02": (0, 0, 5, 0),
        "Hailuo 2.3": (280_000, 0, 280_010, 0),
    }
    assert (chart.limit_micros, chart.limit_label) == (2_000_000, "daily budget $2.00")
    assert chart.title == "Spent and held each day, 2026-11-01 to 2026-11-30"


def test_a_period_without_bounds_is_drawn_from_its_first_clip_to_its_last() -> None:
    chart = report_chart([day(3), day(7)], Window(0, FOREVER), SERVER, CATALOG, None)
    assert chart is not None
    assert (chart.days[0], chart.days[-1], chart.limit_micros) == (
        date(2026, 11, 3),
        date(2026, 11, 7),
        None,
    )


def test_of_a_very_long_period_the_newest_year_is_drawn() -> None:
    old = DaySpending(date(2019, 1, 1), "hailuo-02", 1, 0, 0)
    chart = report_chart([old, day(7)], Window(0, NOON + DAY), SERVER, CATALOG, None)
    assert chart is not None
    assert (len(chart.days), chart.days[-1]) == (366, date(2026, 11, 21))
    assert [one.label for one in chart.series] == ["Hailuo 2.3"]


def test_where_nothing_is_spent_or_held_nothing_is_drawn() -> None:
    assert report_chart([day(3, spent=0)], SPAN, SERVER, CATALOG, 1) is None
