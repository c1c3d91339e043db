"""Domain objects as the words of an answer. Pure functions."""

from collections.abc import Sequence

from bot.domain.catalog import Catalog, Mode, Offer
from bot.domain.money import dollars
from bot.domain.ports import ProviderEvent
from bot.domain.task import LedgerEntry, Task, TaskEvent
from bot.posting import texts

_HISTORY = 8
_THEIRS = 4
#: Characters. A refund's reason stands nowhere else for its member.
_NOTE, _LAST_NOTE = 80, 300
_MODES = {
    Mode.TEXT: "`/video text`: from a prompt",
    Mode.IMAGE: "`/video image`: from a first frame",
    Mode.TRANSITION: "`/video transition`: from a first to a last frame",
}


def formats(menus: dict[Mode, list[Offer]], defaults: dict[Mode, Offer | None], catalog: Catalog) -> str:
    """Every format with its price, by command."""
    parts = []
    for mode, offers in menus.items():
        chosen = defaults[mode]
        lines = [
            f"- {catalog.label(offer)}{' · default' if chosen and offer.format == chosen.format else ''}"
            for offer in offers
        ]
        parts.append("\n".join([f"**{_MODES[mode]}**", *(lines or ["- nothing: no provider makes these"])]))
    return texts.cut("\n".join(["Prices are for one clip and are held before it is made.", *parts]))


def task_history(
    task: Task,
    catalog: Catalog,
    events: Sequence[TaskEvent],
    entries: Sequence[LedgerEntry],
    theirs: Sequence[ProviderEvent],
    *,
    paused: str | None = None,
    story: str = "",
) -> str:
    """One task's whole life with its ledger lines, and the provider's own history where there is one.

    `paused` as in `texts.status_line`; `story` is a line about the clips around it.
    """
    lines = [
        texts.progress_head(task, catalog, length=120),
        texts.status_line(task, catalog, paused=paused),
        *([story] if story else []),
        "**Ledger**",
        *(f"- <t:{entry.at // 1000}:T> {_entry(entry)}" for entry in entries),
        "**History**",
        *_ends([_event(event, last=event is events[-1]) for event in events], _HISTORY),
    ]
    if theirs:
        lines.append(f"**At {texts.provider_label(task, catalog)}**")
        lines += _ends([_their(event) for event in theirs], _THEIRS)
    return texts.cut("\n".join(lines))


def _event(event: TaskEvent, *, last: bool) -> str:
    note = f": {texts.plain(event.note, length=_LAST_NOTE if last else _NOTE)}" if event.note else ""
    return f"- <t:{event.at // 1000}:T> {event.state}{note}"


def _their(event: ProviderEvent) -> str:
    return f"- {texts.plain(event.when, length=40)} {texts.plain(event.text, length=60)}"


def _ends(lines: Sequence[str], most: int) -> list[str]:
    """The beginning and the end of a long history."""
    if len(lines) <= most:
        return list(lines)
    return [*lines[: most // 2], f"- … {len(lines) - most} more", *lines[-(most // 2) :]]


def _entry(entry: LedgerEntry) -> str:
    match entry.kind:
        case "hold":
            return f"hold {dollars(entry.held_micros)}"
        case "settle":
            return f"settle {dollars(entry.spent_micros)} (of {dollars(-entry.held_micros)} held)"
        case "refund":
            return f"refund {dollars(entry.refunded_micros)}"
        case _:
            return f"release {dollars(-entry.held_micros)}"
