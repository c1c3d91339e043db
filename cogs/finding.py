"""What admins and members read alike when they look for tasks, and the choices they have."""

from enum import StrEnum
from typing import TypeVar

from bot.domain.errors import Refusal
from bot.domain.money import dollars
from bot.domain.search import Found, Stage
from bot.domain.task import FINAL
from bot.posting import texts

STAGE_NAMES = {
    Stage.WAITING: "waiting",
    Stage.RUNNING: "at a provider",
    Stage.READY: "ready, not posted yet",
    Stage.DELIVERED: "delivered",
    Stage.FAILED: "failed",
    Stage.CANCELLED: "cancelled",
    Stage.PARKED: "parked: outcome unknown",
    Stage.OPEN: "every open one",
}
_Choice = TypeVar("_Choice", bound=StrEnum)


def money(found: Found) -> str:
    """What a task cost, or what is held for it; and what was refunded."""
    task, booked = found.task, found.booked
    if booked.cost is None:
        return f"{dollars(task.price_micros)} {'given back' if task.state in FINAL else 'held'}"
    refund = f", refund {dollars(booked.refund)}" if booked.refund is not None else ""
    return f"{dollars(booked.cost)}{refund}"


def known(kind: type[_Choice], option: str, value: str) -> _Choice:
    """A choice as a client sent it; `Refusal` for what none of them offers."""
    try:
        return kind(value)
    except ValueError:
        listed = ", ".join(kind)
        raise Refusal(f"There is no {option} {texts.plain(value)}. Choose one of: {listed}.") from None
