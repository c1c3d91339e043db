"""What a provider says of itself without being paid: the balance and its prices, for the operator."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Published:
    """`balance_micros` is None where none is told; `prices` are micros by format id or the provider's model id."""

    balance_micros: int | None = None
    prices: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
