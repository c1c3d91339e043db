"""Money is whole micros: millionths of a US dollar, always an `int`, never a float."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

MICROS_PER_DOLLAR = 1_000_000
#: One hundred million dollars: far above any price here, far below what 64 bits hold.
_LARGEST = Decimal(100_000_000)


def micros_of(dollars: Decimal) -> int:
    """Round dollars half up to whole micros; `ValueError` for what cannot be an amount."""
    if not dollars.is_finite() or abs(dollars) > _LARGEST:
        raise ValueError(f"{dollars} is not an amount of money")
    return int((dollars * MICROS_PER_DOLLAR).to_integral_value(rounding=ROUND_HALF_UP))


def parse_dollars(text: str) -> int:
    """Micros of a written amount such as `2` or `0.50`; `ValueError` says what is wrong with it."""
    try:
        dollars = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(f"found {text!r}, need dollars such as 2 or 0.50") from None
    if not dollars.is_finite() or dollars < 0:
        raise ValueError(f"found {text!r}, need an amount of 0 or more")
    return micros_of(dollars)


def dollars(micros: int) -> str:
    """Write an amount as `$0.28`; digits beyond the cent only where they are not zero: `$0.3294`."""
    sign = "-" if micros < 0 else ""
    whole, part = divmod(abs(micros), MICROS_PER_DOLLAR)
    decimals = f"{part:06d}"
    return f"{sign}${whole:,}.{decimals[:2]}{decimals[2:].rstrip('0')}"
