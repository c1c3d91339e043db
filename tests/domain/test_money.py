"""Money: whole micros, exact to the last digit, and no amount that is none."""

from decimal import Decimal
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.money import MICROS_PER_DOLLAR, dollars, micros_of, parse_dollars

LARGEST = 100_000_000
AMOUNTS = st.decimals(min_value=-LARGEST, max_value=LARGEST, allow_nan=False, allow_infinity=False)
MICROS = st.integers(0, LARGEST * MICROS_PER_DOLLAR)


@given(AMOUNTS)
def test_an_amount_is_rounded_half_away_from_zero(amount: Decimal) -> None:
    exact = abs(Fraction(amount)) * MICROS_PER_DOLLAR
    rounded = floor(exact + Fraction(1, 2))
    assert micros_of(amount) == (rounded if amount >= 0 else -rounded)


@pytest.mark.parametrize(
    ("amount", "micros"),
    [
        ("0", 0),
        ("-0", 0),
        ("0.28", 280_000),
        ("0.3294", 329_400),
        ("0.0000005", 1),
        ("0.00000049999999999999999999999999999999999999", 0),
        ("-0.0000005", -1),
        ("1e-1000000000", 0),
        ("100000000", 10**14),
        ("1E+8", 10**14),
    ],
)
def test_an_amount_in_micros(amount: str, micros: int) -> None:
    found = micros_of(Decimal(amount))
    assert found == micros
    assert type(found) is int


@pytest.mark.parametrize(
    "amount",
    ["NaN", "-NaN", "sNaN", "Infinity", "-Infinity", "1e400", "1e1000000000", "100000000.000001", "-1e9"],
)
def test_what_is_no_amount_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="is not an amount of money"):
        micros_of(Decimal(amount))


@given(MICROS)
def test_what_is_written_is_read_back(micros: int) -> None:
    assert parse_dollars(dollars(micros).replace("$", "").replace(",", "")) == micros


@given(st.text())
def test_any_text_is_an_amount_or_a_value_error(text: str) -> None:
    try:
        micros = parse_dollars(text)
    except ValueError:
        return
    assert 0 <= micros <= LARGEST * MICROS_PER_DOLLAR
    assert text.strip().replace(".", "0").isascii()


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2", 2_000_000),
        ("0.50", 500_000),
        (" 2\n", 2_000_000),
        (".5", 500_000),
        ("2.", 2_000_000),
        ("0", 0),
        ("007", 7_000_000),
    ],
)
def test_a_written_amount(text: str, micros: int) -> None:
    assert parse_dollars(text) == micros


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-1",
        "-0",
        "+1",
        "$2",
        "2$",
        "2,50",
        "1_000",
        "1e2",
        "1e400",
        "NaN",
        "sNaN",
        "inf",
        "Infinity",
        "0x10",
        "½",
        "٣",  # a digit, but not one that operators or readers of a log would take for 3
        "３",
        ".",
        "1.2.3",
        "1 000",
        "2\x00",
    ],
)
def test_what_is_no_written_amount_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"need dollars such as 2 or 0\.50"):
        parse_dollars(text)


@pytest.mark.parametrize("text", ["100000001", "9" * 5000])
def test_a_huge_written_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an amount of money"):
        parse_dollars(text)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "$0.00"),
        (280_000, "$0.28"),
        (329_400, "$0.3294"),
        (500_000, "$0.50"),
        (1, "$0.000001"),
        (10, "$0.00001"),
        (1_000_000, "$1.00"),
        (1_234_567_890_000, "$1,234,567.89"),
        (-280_000, "-$0.28"),
    ],
)
def test_an_amount_is_shown_with_its_cents(micros: int, text: str) -> None:
    assert dollars(micros) == text
