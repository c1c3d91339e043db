"""Which time a report is of: named periods and days of a zone's calendar, whatever its clocks do."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bot.domain.errors import Refusal
from bot.domain.language import load, reading
from bot.domain.limits import FOREVER, Window
from bot.domain.report import RESULTS, Group, Report, Result, Span, Sums, asked_for, name_of
from bot.domain.task import TaskState

BERLIN, SANTIAGO = ZoneInfo("Europe/Berlin"), ZoneInfo("America/Santiago")


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


#: Still 31 October in UTC, and six days after Berlin's clocks went back.
NOW = ms("2026-10-31T23:30+00:00")


@pytest.mark.parametrize(
    ("period", "since", "until", "name"),
    [
        (Span.TODAY, "2026-11-01T00:00+01:00", "2026-11-02T00:00+01:00", "2026-11-01"),
        (Span.MONTH, "2026-11-01T00:00+01:00", "2026-12-01T00:00+01:00", "November 2026"),
        (Span.LAST_MONTH, "2026-10-01T00:00+02:00", "2026-11-01T00:00+01:00", "October 2026"),
        (Span.LAST_30_DAYS, "2026-10-03T00:00+02:00", "2026-11-02T00:00+01:00", "2026-10-03 to 2026-11-01"),
    ],
)
def test_a_named_period_is_one_of_the_zones_calendar(period: Span, since: str, until: str, name: str) -> None:
    span = asked_for(period, NOW, BERLIN)
    assert span == Window(ms(since), ms(until))
    assert name_of(span, BERLIN) == name


@pytest.mark.parametrize(
    ("locale", "name"), [("fr", "octobre 2026"), ("ja", "2026年10月"), ("es-419", "octubre de 2026")]
)
def test_a_month_is_named_as_its_reader_does(locale: str, name: str) -> None:
    load()
    with reading(locale):
        assert name_of(asked_for(Span.LAST_MONTH, NOW, BERLIN), BERLIN) == name


def test_everything_has_no_bounds() -> None:
    span = asked_for(Span.ALL, NOW, BERLIN)
    assert span == Window(0, FOREVER)
    assert name_of(span, BERLIN) == "everything so far"


def test_both_days_are_in_the_report_and_replace_the_period() -> None:
    span = asked_for(Span.TODAY, NOW, BERLIN, first="2026-10-25", last="2026-10-25")
    assert span == Window(ms("2026-10-25T00:00+02:00"), ms("2026-10-26T00:00+01:00"))
    assert name_of(span, BERLIN) == "2026-10-25"


def test_a_day_without_a_midnight_begins_at_its_first_moment() -> None:
    span = asked_for(Span.TODAY, NOW, SANTIAGO, first="2026-09-06", last="2026-09-06")
    assert span == Window(ms("2026-09-06T01:00-03:00"), ms("2026-09-07T00:00-03:00"))


def test_a_day_left_out_is_the_beginning_or_today() -> None:
    assert asked_for(Span.TODAY, NOW, BERLIN, first="2026-10-30").until == ms("2026-11-02T00:00+01:00")
    span = asked_for(Span.TODAY, NOW, BERLIN, last="2026-10-30")
    assert span == Window(0, ms("2026-10-31T00:00+01:00"))
    assert name_of(span, BERLIN) == "everything until 2026-10-30"


def test_the_first_day_there_is_does_no_harm() -> None:
    span = asked_for(Span.TODAY, NOW, BERLIN, first="0001-01-01")
    assert span.since < 0
    assert name_of(span, BERLIN) == "everything until 2026-11-01"


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        ("1.11.2026", None, "`from`: found '1.11.2026', need a day such as 2026-11-01"),
        ("2026-02-30", None, "`from`: found '2026-02-30', need a day"),
        (None, "", "`to`: found '', need a day"),
        ("2026-11-02", None, "`from`: 2026-11-02 is yet to come; today is 2026-11-01"),
        ("2026-10-01", "9999-12-31", "`to`: 9999-12-31 is yet to come"),
        ("2026-10-30", "2026-10-29", "begin on 2026-10-30 and end on 2026-10-29"),
    ],
)
def test_days_that_cannot_be_are_refused(first: str | None, last: str | None, words: str) -> None:
    with pytest.raises(Refusal) as caught:
        asked_for(Span.MONTH, NOW, BERLIN, first=first, last=last)
    assert words in str(caught.value)


def test_an_unknown_period_is_refused_with_those_there_are() -> None:
    with pytest.raises(Refusal, match="found 'week', need one of today, month, last-month, 30d, all"):
        asked_for("week", NOW, UTC)


def test_every_state_has_its_word() -> None:
    assert set(RESULTS) == set(TaskState)
    assert set(RESULTS.values()) == set(Result)


def test_a_dimension_is_the_sums_of_its_groups_the_dearest_first() -> None:
    def group(member: int, provider: str, sums: Sums) -> Group:
        return Group(50, member, "hailuo-02", "hailuo-02/6/768p", provider, Result.DELIVERED, sums)

    groups = (
        group(1, "gmi", Sums(1, spent=2)),
        group(2, "gmi", Sums(2, spent=1, held=4)),
        group(1, "novita", Sums(3, spent=1, refunded=1, released=9)),
    )
    report = Report(Window(0, 1), groups)
    assert list(report.by(lambda one: one.member_id).items()) == [
        (2, Sums(2, spent=1, held=4)),
        (1, Sums(4, spent=3, refunded=1, released=9)),
    ]
    assert report.total == Sums(6, spent=4, held=4, refunded=1, released=9)
