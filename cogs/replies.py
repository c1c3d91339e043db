"""Domain objects as the words of an answer. Pure functions."""

from collections.abc import Sequence

from bot.domain.catalog import Catalog, Mode, Offer
from bot.domain.language import said, tr, trn
from bot.domain.money import dollars
from bot.domain.ports import ProviderEvent
from bot.domain.task import LedgerEntry, Task, TaskEvent, TaskState
from bot.posting import texts

_HISTORY = 8
_THEIRS = 4
#: Characters. A refund's reason stands nowhere else for its member.
_NOTE, _LAST_NOTE = 80, 300


def formats(menus: dict[Mode, list[Offer]], defaults: dict[Mode, Offer | None], catalog: Catalog) -> str:
    """Every format with its price, by command."""
    parts = []
    for mode, offers in menus.items():
        chosen = defaults[mode]
        lines = [
            tr("- {format} · default", format=catalog.label(offer))
            if chosen and offer.format == chosen.format
            else f"- {catalog.label(offer)}"
            for offer in offers
        ]
        parts += [_command(mode), *(lines or [tr("- nothing: no provider makes these")])]
    return texts.cut("\n".join([tr("Prices are for one clip and are held before it is made."), *parts]))


def _command(mode: Mode) -> str:
    match mode:
        case Mode.TEXT:
            return tr("**`/video text`: from a prompt**")
        case Mode.IMAGE:
            return tr("**`/video image`: from a first frame**")
        case Mode.TRANSITION:
            return tr("**`/video transition`: from a first to a last frame**")


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
        tr("**Ledger**"),
        *(f"- <t:{entry.at // 1000}:T> {_entry(entry)}" for entry in entries),
        tr("**History**"),
        *_ends([_event(event, last=event is events[-1]) for event in events], _HISTORY),
    ]
    if theirs:
        lines.append(tr("**At {provider}**", provider=texts.provider_label(task, catalog)))
        lines += _ends([_their(event) for event in theirs], _THEIRS)
    return texts.cut("\n".join(lines))


def _event(event: TaskEvent, *, last: bool) -> str:
    note = f": {texts.plain(said(event.note), length=_LAST_NOTE if last else _NOTE)}" if event.note else ""
    return f"- <t:{event.at // 1000}:T> {state_name(event.state)}{note}"


def _their(event: ProviderEvent) -> str:
    return f"- {texts.plain(event.when, length=40)} {texts.plain(said(event.text), length=60)}"


def _ends(lines: Sequence[str], most: int) -> list[str]:
    """The beginning and the end of a long history."""
    if len(lines) <= most:
        return list(lines)
    more = trn("- … {number} more", "- … {number} more", len(lines) - most)
    return [*lines[: most // 2], more, *lines[-(most // 2) :]]


def state_name(state: TaskState) -> str:
    return {
        TaskState.HELD: tr("held"),
        TaskState.SUBMITTING: tr("submitting"),
        TaskState.QUEUED: tr("queued"),
        TaskState.PROCESSING: tr("processing"),
        TaskState.SUCCEEDED: tr("succeeded"),
        TaskState.DELIVERED: tr("delivered"),
        TaskState.FAILED: tr("failed"),
        TaskState.CANCELLED: tr("cancelled"),
        TaskState.PARKED: tr("parked"),
    }[state]


def _entry(entry: LedgerEntry) -> str:
    match entry.kind:
        case "hold":
            return tr("hold {amount}", amount=dollars(entry.held_micros))
        case "settle":
            return tr(
                "settle {amount} (of {held} held)",
                amount=dollars(entry.spent_micros),
                held=dollars(-entry.held_micros),
            )
        case "refund":
            return tr("refund {amount}", amount=dollars(entry.refunded_micros))
        case _:
            return tr("release {amount}", amount=dollars(-entry.held_micros))
