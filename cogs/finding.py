"""What admins and members read alike when they look for tasks, and the choices they have."""

from enum import StrEnum
from typing import TypeVar

from bot.domain.errors import Refusal
from bot.domain.language import named, tr
from bot.domain.money import dollars
from bot.domain.search import Found, Stage
from bot.domain.task import FINAL
from bot.posting import texts

_Choice = TypeVar("_Choice", bound=StrEnum)


def stage_name(stage: Stage) -> str:
    return {
        Stage.WAITING: tr("waiting"),
        Stage.RUNNING: tr("at a provider"),
        Stage.READY: tr("ready, not posted yet"),
        Stage.DELIVERED: tr("delivered"),
        Stage.FAILED: tr("failed"),
        Stage.CANCELLED: tr("cancelled"),
        Stage.PARKED: tr("parked: outcome unknown"),
        Stage.OPEN: tr("every open one"),
        Stage.ANY: tr("all"),
    }[stage]


#: In English, for the choices of commands, which Discord gets in every language.
STAGE_NAMES = {stage: stage_name(stage) for stage in Stage if stage is not Stage.ANY}


def money(found: Found) -> str:
    """What a task cost, or what is held for it; and what was refunded."""
    task, booked = found.task, found.booked
    if booked.cost is None and task.state in FINAL:
        return tr("{amount} given back", amount=dollars(task.price_micros))
    if booked.cost is None:
        return tr("{amount} held", amount=dollars(task.price_micros))
    if booked.refund is None:
        return dollars(booked.cost)
    return tr("{cost}, refund {amount}", cost=dollars(booked.cost), amount=dollars(booked.refund))


def known(kind: type[_Choice], option: str, value: str) -> _Choice:
    """A choice as a client sent it; `Refusal` for what none of them offers."""
    try:
        return kind(value)
    except ValueError:
        listed = ", ".join(kind)
        raise Refusal(
            tr(
                "There is no {option} {value}. Choose one of: {choices}.",
                option=named(option),
                value=texts.plain(value),
                choices=listed,
            )
        ) from None
