"""The token bucket: never more than its number in any minute, whatever the rhythm of asking."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.services.pace import Pace
from tests.fakes import FakeClock


def taken(pace: Pace) -> int:
    calls = pace.available()
    for _ in range(calls):
        pace.take()
    return calls


@pytest.mark.parametrize(("per_minute", "burst"), [(1, 1), (6, 1), (60, 10), (6000, 1000)])
def test_a_sixth_may_be_called_at_once(per_minute: int, burst: int) -> None:
    clock = FakeClock()
    pace = Pace(per_minute, clock.monotonic)
    assert (taken(pace), taken(pace)) == (burst, 0)
    clock.advance(86_400)
    assert taken(pace) == burst


@pytest.mark.parametrize("per_minute", [1, 2, 7, 60, 300])
def test_waiting_as_long_as_told_is_enough(per_minute: int) -> None:
    clock = FakeClock()
    pace = Pace(per_minute, clock.monotonic)
    for _ in range(3 * per_minute):
        if not pace.available():
            clock.advance(pace.wait() + 1e-6)
        assert pace.available() >= 1
        pace.take()
    assert clock.seconds - 1000 >= 120


def test_free_pace_waits_for_nothing() -> None:
    assert Pace(60, FakeClock().monotonic).wait() == 0


def test_call_that_could_not_wait_is_paid_back() -> None:
    clock = FakeClock()
    pace = Pace(60, clock.monotonic)
    taken(pace)
    pace.take()
    assert pace.available() == -1
    assert pace.wait() == pytest.approx(2 * 60 / 51)
    clock.advance(2 * 60 / 51 + 1e-6)
    assert pace.available() == 1


@given(st.integers(1, 120), st.lists(st.floats(0, 40), max_size=40))
def test_no_minute_has_more_calls_than_allowed(per_minute: int, pauses: list[float]) -> None:
    clock = FakeClock()
    pace = Pace(per_minute, clock.monotonic)
    calls: list[float] = []
    for pause in pauses:
        clock.advance(pause)
        calls += [clock.seconds] * taken(pace)
        in_minute = sum(at > clock.seconds - 60 + 1e-6 for at in calls)
        assert in_minute <= per_minute
