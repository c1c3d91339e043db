"""Money is whole micros: millionths of a US dollar, always an `int`, never a float."""

import re
from decimal import ROUND_HALF_UP, Decimal

from bot.domain.language import kept

MICROS_PER_DOLLAR = 1_000_000
#: One hundred million dollars: far above any price here, far below what 64 bits hold.
_LARGEST = Decimal(100_000_000)
_MICRO = Decimal("0.000001")
#: A seventh digit would have to be rounded: nobody means that.
_WRITTEN = re.compile(r"[0-9]+(\.[0-9]{0,6})?|\.[0-9]{1,6}")


def micros_of(dollars: Decimal) -> int:
    """Round dollars half up to whole micros; `ValueError` for what cannot be an amount."""
    # `abs` and `*` round to 28 digits first, and overflow; these two do neither.
    if not dollars.is_finite() or dollars.copy_abs() > _LARGEST:
        raise ValueError(kept("{amount} is not an amount of money", amount=dollars))
    return int(dollars.quantize(_MICRO, rounding=ROUND_HALF_UP).scaleb(6))


def parse_dollars(text: str) -> int:
    """Micros of a written amount such as `2` or `0.50`; `ValueError` says what is wrong with it."""
    if not _WRITTEN.fullmatch(text.strip()):
        raise ValueError(
            kept(
                "found {text}, need dollars such as 2 or 0.50, with six digits after the dot at most",
                text=repr(text),
            )
        )
    return micros_of(Decimal(text.strip()))


def dollars(micros: int) -> str:
    """Write an amount as `$0.28`; digits beyond the cent only where they are not zero: `$0.3294`."""
    sign = "-" if micros < 0 else ""
    whole, part = divmod(abs(micros), MICROS_PER_DOLLAR)
    decimals = f"{part:06d}"
    return f"{sign}${whole:,}.{decimals[:2]}{decimals[2:].rstrip('0')}"
