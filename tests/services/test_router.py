"""The order of the offers, and the circuit breaker: when a provider rests, for how long, and who is told."""

import pytest

from bot.domain.catalog import Catalog, Format, Mode
from bot.domain.errors import OutcomeUnknown, ProviderBusy, ProviderClosed, ProviderError
from bot.services.router import Router
from tests.fakes import FakeClock
from tests.services.world import catalog_of

A, B, C = "gmi", "minimax", "novita"
FORMAT = Format.parse("hailuo-02/6/768p")
BUSY = ProviderBusy("too many requests (429)")
CLOSED = ProviderClosed("the balance is used up")


class Ward:
    """A router, its clock, and what the operator was told."""

    def __init__(self, catalog: Catalog, *providers: str) -> None:
        self.clock = FakeClock()
        self.told: list[str] = []
        self.router = Router(catalog, providers, monotonic=self.clock.monotonic, tell=self.told.append)

    def fail(self, times: int, error: ProviderError = BUSY) -> None:
        for _ in range(times):
            self.router.failed(A, error)

    def rest_is_over_after(self, seconds: float) -> bool:
        """Whether the rest lasts just so long."""
        self.clock.advance(seconds - 0.001)
        rests = self.router.resting(A) is not None
        self.clock.advance(0.001)
        return rests and self.router.resting(A) is None

    def offered(self) -> list[str]:
        return [offer.provider for offer in self.router.offers(Mode.TEXT, FORMAT)]


@pytest.fixture
def ward() -> Ward:
    return Ward(catalog_of({A: "0.30", B: "0.20", C: "0.20"}), A, C, B)


# ------------------------------------------------------------------------- the order


def test_offers_are_by_price_then_in_the_operators_order(ward: Ward) -> None:
    assert ward.offered() == [C, B, A]


def test_providers_that_are_not_enabled_are_not_offered() -> None:
    assert Ward(catalog_of({A: "0.10", B: "0.20"}), B).offered() == [B]


def test_format_that_nobody_makes_has_no_offers(ward: Ward) -> None:
    assert ward.router.offers(Mode.TEXT, Format.parse("hailuo-02/10/768p")) == []


def test_resting_provider_is_not_offered_but_keeps_its_place(ward: Ward) -> None:
    ward.router.failed(C, CLOSED)
    assert ward.offered() == [B, A]
    assert [offer.provider for offer in ward.router.order(Mode.TEXT, FORMAT)] == [C, B, A]


# ----------------------------------------------------------------------- when it opens


@pytest.mark.parametrize("error", [BUSY, OutcomeUnknown("no answer")], ids=lambda error: type(error).__name__)
def test_five_failures_in_a_row_let_a_provider_rest(error: ProviderError, ward: Ward) -> None:
    ward.fail(4, error)
    assert (ward.router.resting(A), ward.told) == (None, [])
    ward.fail(1, error)
    assert ward.router.resting(A) == str(error)
    assert ward.told == [f"{A} gets no new jobs for at least 1 min: {error}"]


def test_accepted_job_in_between_begins_the_count_anew(ward: Ward) -> None:
    ward.fail(4)
    ward.router.well(A)
    ward.fail(4)
    assert (ward.router.resting(A), ward.told) == (None, [])


def test_refused_key_or_empty_balance_rests_at_once(ward: Ward) -> None:
    ward.fail(1, CLOSED)
    assert ward.router.resting(A) == "the balance is used up"
    assert ward.rest_is_over_after(900)


def test_one_providers_failures_are_not_anothers(ward: Ward) -> None:
    ward.fail(5)
    assert ward.router.resting(B) is None
    assert ward.offered() == [C, B]


def test_failures_of_jobs_sent_before_the_rest_do_not_lengthen_it(ward: Ward) -> None:
    ward.fail(10)
    assert ward.rest_is_over_after(60)


# ------------------------------------------------------------------- after a rest


def test_rests_double_up_to_half_an_hour(ward: Ward) -> None:
    ward.fail(5)
    for seconds in (60, 120, 240, 480, 960, 1800, 1800):
        assert ward.rest_is_over_after(seconds)
        assert ward.router.admit(A) is None
        ward.fail(1)


def test_accepted_job_ends_all_rests(ward: Ward) -> None:
    ward.fail(5)
    ward.clock.advance(60)
    assert ward.router.admit(A) is None
    ward.router.well(A)
    ward.fail(4)
    assert ward.router.resting(A) is None
    ward.fail(1)
    assert ward.rest_is_over_after(60)


def test_after_a_rest_one_job_is_sent_until_its_outcome_is_known(ward: Ward) -> None:
    ward.fail(5)
    ward.clock.advance(60)
    assert ward.router.admit(A) is None
    assert str(ward.router.admit(A)) == str(BUSY)
    assert ward.offered() == [C, B]
    ward.router.well(A)
    assert (ward.router.admit(A), ward.router.admit(A)) == (None, None)


def test_try_that_never_ends_lets_another_go_after_a_minute(ward: Ward) -> None:
    ward.fail(5)
    ward.clock.advance(60)
    assert ward.router.admit(A) is None
    ward.clock.advance(60)
    assert (ward.router.admit(A), str(ward.router.admit(A))) == (None, str(BUSY))


def test_provider_without_trouble_gets_all_jobs(ward: Ward) -> None:
    ward.fail(4)
    assert [ward.router.admit(A) for _ in range(3)] == [None] * 3


@pytest.mark.parametrize(("error", "again"), [(BUSY, 50), (CLOSED, 60)], ids=["busy", "closed"])
def test_waiting_job_is_told_when_to_look_again(error: ProviderError, again: int, ward: Ward) -> None:
    ward.fail(5, error)
    ward.clock.advance(10)
    waiting = ward.router.admit(A)
    assert waiting is not None
    assert waiting.retry_after == again


# ------------------------------------------------------------------------- who is told


def test_operator_is_told_once_when_it_begins_and_once_when_it_is_over(ward: Ward) -> None:
    ward.fail(7)
    for _ in range(6):
        ward.clock.advance(1800)
        ward.router.admit(A)
        ward.fail(3)
    assert ward.told == [f"{A} gets no new jobs for at least 1 min: {BUSY}"]
    ward.router.well(A)
    ward.router.well(A)
    assert ward.told[1:] == [f"{A} takes jobs again."]


def test_next_incident_is_told_anew(ward: Ward) -> None:
    for _ in range(2):
        ward.fail(2, CLOSED)
        ward.router.well(A)
    assert len(ward.told) == 4


def test_provider_that_never_rested_tells_nothing(ward: Ward) -> None:
    ward.fail(4)
    ward.router.well(A)
    assert ward.told == []


def test_balance_that_runs_out_while_a_busy_provider_rests_is_told(ward: Ward) -> None:
    ward.fail(5)
    ward.fail(2, CLOSED)
    assert ward.told[1:] == [f"{A} gets no new jobs for at least 15 min: {CLOSED}"]
    assert ward.rest_is_over_after(900)
