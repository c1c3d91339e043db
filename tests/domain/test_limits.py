"""Windows of a calendar, and what a refusal says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.limits import (
    FOREVER,
    Limit,
    LimitHit,
    Period,
    Scope,
    Usage,
    Window,
    applying,
    explain,
    stricter,
    window,
)

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from(
    [UTC, *map(ZoneInfo, ("Europe/Berlin", "Atlantic/Azores", "America/Havana", "Asia/Beirut"))]
)
MOMENTS = st.integers(0, int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000))


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("period", "moment", "since", "until"),
    [
        (Period.DAY, "2026-11-20T00:00:00.000Z", "2026-11-20T00:00Z", "2026-11-21T00:00Z"),
        (Period.DAY, "2026-11-20T23:59:59.999Z", "2026-11-20T00:00Z", "2026-11-21T00:00Z"),
        (Period.DAY, "2028-02-29T12:00Z", "2028-02-29T00:00Z", "2028-03-01T00:00Z"),
        (Period.DAY, "2026-12-31T12:00Z", "2026-12-31T00:00Z", "2027-01-01T00:00Z"),
        (Period.MONTH, "2028-02-29T23:59:59.999Z", "2028-02-01T00:00Z", "2028-03-01T00:00Z"),
        (Period.MONTH, "2027-02-01T00:00Z", "2027-02-01T00:00Z", "2027-03-01T00:00Z"),
        (Period.MONTH, "2026-01-31T12:00Z", "2026-01-01T00:00Z", "2026-02-01T00:00Z"),
        (Period.MONTH, "2026-12-31T23:59:59.999Z", "2026-12-01T00:00Z", "2027-01-01T00:00Z"),
    ],
)
def test_a_window_in_utc(period: Period, moment: str, since: str, until: str) -> None:
    assert window(period, at(moment), UTC) == Window(at(since), at(until))


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_has_the_hours_of_its_zone(day: str, hours: int) -> None:
    noon = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=BERLIN)
    found = window(Period.DAY, int(noon.timestamp() * 1000), BERLIN)
    assert found.until - found.since == hours * 3_600_000


@pytest.mark.parametrize("fold", [0, 1])
def test_a_day_whose_midnight_comes_twice_begins_with_the_first(fold: int) -> None:
    zone = ZoneInfo("America/Havana")  # on 1 November 2026 it is one o'clock and then midnight again
    moment = datetime(2026, 11, 1, 0, 30, tzinfo=zone, fold=fold)
    found = window(Period.DAY, int(moment.timestamp() * 1000), zone)
    assert found == Window(at("2026-11-01T04:00Z"), at("2026-11-02T05:00Z"))


@given(MOMENTS, st.sampled_from(Period), ZONES)
def test_windows_hold_their_moment_and_follow_without_gap(
    moment: int, period: Period, zone: ZoneInfo
) -> None:
    found = window(period, moment, zone)
    assert found.since <= moment < found.until
    assert window(period, found.since, zone) == found
    assert window(period, found.until - 1, zone) == found
    if period is Period.TOTAL:
        assert found.until == FOREVER
    else:
        assert window(period, found.until, zone).since == found.until


@given(MOMENTS)
def test_a_day_in_utc_has_twenty_four_hours(moment: int) -> None:
    found = window(Period.DAY, moment, UTC)
    assert found.until - found.since == timedelta(days=1) // timedelta(milliseconds=1)


# ------------------------------------------------------------------ explain


def hit(*, most: int, spent: int, held: int, price: int) -> LimitHit:
    limit = Limit(Scope.MEMBER, Period.DAY, most)
    return LimitHit(limit, Usage(spent, held), price, at("2026-11-21T00:00Z"))


@pytest.mark.parametrize("price", [2_000_001, 3_000_000])
def test_too_dear_at_any_time_names_no_time(price: int) -> None:
    text = explain(hit(most=2_000_000, spent=1_000_000, held=500_000, price=price))
    assert "your limit for one day over all servers is $2.00: too dear at any time" in text
    assert text.endswith("Only the operator of this bot can raise it.")
    assert "<t:" not in text


@pytest.mark.parametrize(
    ("spent", "held", "state"),
    [
        (1_720_001, 0, "leaves too little"),
        (1_999_999, 0, "leaves too little"),
        (1_999_999, 1, "is used up"),
        (2_000_000, 0, "is used up"),
        (2_500_000, 0, "is used up"),
    ],
)
def test_only_a_limit_with_nothing_left_is_called_used_up(spent: int, held: int, state: str) -> None:
    text = explain(hit(most=2_000_000, spent=spent, held=held, price=280_000))
    assert f"That costs $0.28, and your limit for one day over all servers {state}: " in text
    assert f"It starts anew <t:{at('2026-11-21T00:00Z') // 1000}:R>" in text


def test_tasks_under_way_that_hold_the_rest_give_it_back_only_where_they_fail() -> None:
    text = explain(hit(most=2_000_000, spent=1_000_000, held=900_000, price=280_000))
    assert (
        "your limit for one day over all servers leaves too little, as tasks under way hold the rest" in text
    )
    assert "$1.00 spent and $0.90 held of $2.00, so $0.10 is left" in text
    assert "A clip that fails or is cancelled gives its hold back (`/tasks cancel` is free" in text
    assert text.endswith(f"Else it starts anew <t:{at('2026-11-21T00:00Z') // 1000}:R>.")


def test_a_price_of_the_whole_limit_is_not_too_dear() -> None:
    text = explain(hit(most=280_000, spent=0, held=1, price=280_000))
    assert "hold the rest" in text


def test_an_overdrawn_limit_has_nothing_left() -> None:
    assert "so $0.00 is left" in explain(hit(most=2_000_000, spent=3_000_000, held=1, price=1))


@pytest.mark.parametrize(
    ("scope", "period", "name"),
    [
        (Scope.MEMBER, Period.DAY, "your limit for one day over all servers"),
        (Scope.MEMBER, Period.MONTH, "your limit for one month over all servers"),
        (Scope.SERVER, Period.DAY, "the operator's budget for this server for one day"),
        (Scope.SERVER, Period.MONTH, "the operator's budget for this server for one month"),
        (Scope.PROVIDER, Period.DAY, "the operator's budget for this provider for one day"),
        (Scope.PROVIDER, Period.MONTH, "the operator's budget for this provider for one month"),
        (Scope.BOT, Period.DAY, "the operator's budget for one day"),
        (Scope.BOT, Period.MONTH, "the operator's budget for one month"),
    ],
)
def test_every_limit_of_the_operator_has_its_own_name(scope: Scope, period: Period, name: str) -> None:
    assert name in explain(LimitHit(Limit(scope, period, 1), Usage(0, 1), 1, 0))


@pytest.mark.parametrize(
    ("scope", "subject", "name"),
    [
        (Scope.MEMBER, "7", "your own limit in this server"),
        (Scope.MEMBER, "", "this server's limit for each member"),
        (Scope.ROLE, "8", "the limit of your role <@&8>"),
        (Scope.SERVER, "", "this server's budget"),
    ],
)
@pytest.mark.parametrize(
    ("period", "span"),
    [(Period.DAY, "for one day"), (Period.MONTH, "for one month"), (Period.TOTAL, "in total")],
)
def test_every_limit_of_an_admin_has_its_own_name(
    scope: Scope, subject: str, name: str, period: Period, span: str
) -> None:
    limit = Limit(scope, period, 1, subject, server_id=5)
    assert f"{name} {span}" in explain(LimitHit(limit, Usage(0, 1), 1, 0))


@pytest.mark.parametrize("spent", [0, 2_000_000])
def test_what_never_starts_anew_names_no_time(spent: int) -> None:
    limit = Limit(Scope.MEMBER, Period.TOTAL, 2_000_000, server_id=5)
    text = explain(LimitHit(limit, Usage(spent, 1_900_000), 280_000, FOREVER))
    assert "<t:" not in text
    assert text.endswith("An admin of this server can raise it.")


@pytest.mark.parametrize(
    ("limit", "lies_below"),
    [
        (Limit(Scope.MEMBER, Period.DAY, 3, server_id=5), True),
        (Limit(Scope.ROLE, Period.DAY, 3, "8", server_id=5), True),
        (Limit(Scope.ROLE, Period.DAY, 2, "8", server_id=5), False),
        (Limit(Scope.ROLE, Period.MONTH, 3, "8", server_id=5), False),
        (Limit(Scope.SERVER, Period.DAY, 3, server_id=5), False),
    ],
)
def test_the_operators_limit_lies_below_an_admins_of_its_kind_and_period(
    limit: Limit, *, lies_below: bool
) -> None:
    operators = Limit(Scope.MEMBER, Period.DAY, 2)
    assert stricter(limit, [replace(limit, micros=1), operators]) == (operators if lies_below else None)


# ----------------------------------------------------------------- applying

ROLES = frozenset({8, 9})
MINE, EACH = Limit(Scope.MEMBER, Period.DAY, 3, "7", 5), Limit(Scope.MEMBER, Period.DAY, 1, "", 5)
POOR, RICH = Limit(Scope.ROLE, Period.DAY, 2, "8", 5), Limit(Scope.ROLE, Period.DAY, 9, "9", 5)
STRANGE = [Limit(Scope.MEMBER, Period.DAY, 99, "6", 5), Limit(Scope.ROLE, Period.DAY, 99, "1", 5)]


@pytest.mark.parametrize(
    ("limits", "decides"),
    [
        ([EACH], EACH),
        ([EACH, POOR], POOR),
        ([POOR, EACH, RICH], RICH),
        ([RICH, POOR], RICH),
        ([RICH, MINE, EACH], MINE),
        ([MINE, *STRANGE], MINE),
    ],
)
def test_the_closest_of_the_admins_limits_decides(limits: list[Limit], decides: Limit) -> None:
    assert applying(limits, member_id=7, role_ids=ROLES) == [decides]


def test_every_period_is_decided_for_itself_and_budgets_stand_beside() -> None:
    month = replace(EACH, period=Period.MONTH)
    budget = Limit(Scope.SERVER, Period.DAY, 1, server_id=5)
    operators = [Limit(scope, Period.DAY, 1) for scope in (Scope.MEMBER, Scope.SERVER, Scope.BOT)]
    found = applying([MINE, month, EACH, budget, *operators], member_id=7, role_ids=ROLES)
    assert sorted(found, key=repr) == sorted([MINE, month, budget, *operators], key=repr)


def test_others_limits_do_not_apply() -> None:
    assert applying(STRANGE, member_id=7, role_ids=ROLES) == []


def test_usage_is_what_is_spent_and_held() -> None:
    assert Usage(3, 4).total == 7
