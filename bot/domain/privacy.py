"""What is stored of a member, and for how long."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Holdings:
    """How much of each kind there is of one member, over all servers. `spent_micros` is what the ledger booked.

    `open` tasks are still under way, `erased` ones have no words and pictures left. `audits` are entries that the
    member made or that name the member.
    """

    tasks: int
    open: int
    erased: int
    uncollected: int
    entries: int
    spent_micros: int
    rules: int
    limits: int
    approvals: int
    audits: int


@dataclass(frozen=True, slots=True)
class Keeping:
    """What the operator chose: days, and whom to ask."""

    prompts_days: int
    pictures_days: int
    clips_days: int
    contact: str | None = None
