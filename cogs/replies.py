"""Domain objects as the words of an answer. Pure functions."""

from collections.abc import Sequence

from bot.domain.catalog import Catalog, Mode, Offer
from bot.domain.limits import Limit, Usage, Window
from bot.domain.money import dollars
from bot.domain.ports import ProviderEvent
from bot.domain.task import LedgerEntry, Task, TaskEvent
from bot.posting import texts

MESSAGE_LENGTH = 2000
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
    return cut("\n".join(["Prices are for one clip and are held before it is made.", *parts]))


def task_list(tasks: Sequence[Task], catalog: Catalog, aheads: dict[str, int]) -> str:
    if not tasks:
        return "You have made no clips in this server yet. `/video text` makes the first."
    lines = ["Your newest tasks here, newest first:"]
    for task in tasks:
        status = texts.status_line(task, catalog, ahead=aheads.get(task.id, 0))
        line = f"- <t:{task.created_at // 1000}:R> {texts.task_format(task, catalog)} · {dollars(task.price_micros)}"
        lines.append(f"{line}\n  {status}")
    return cut("\n".join(lines), "\n- … older ones with `/tasks show`")


def task_history(
    task: Task,
    catalog: Catalog,
    events: Sequence[TaskEvent],
    entries: Sequence[LedgerEntry],
    theirs: Sequence[ProviderEvent],
) -> str:
    """One task's whole life with its ledger lines, and the provider's own history where there is one."""
    lines = [
        texts.progress_head(task, catalog),
        texts.status_line(task, catalog),
        "**History**",
        *(f"- <t:{event.at // 1000}:T> {event.state}: {texts.plain(event.note)}" for event in _ends(events)),
        "**Ledger**",
        *(f"- <t:{entry.at // 1000}:T> {_entry(entry)}" for entry in entries),
    ]
    if theirs:
        lines.append(f"**At {texts.provider_label(task, catalog)}**")
        lines += [f"- {texts.plain(event.when)} {texts.plain(event.text)}" for event in theirs]
    return cut("\n".join(lines))


def usage(spans: Sequence[tuple[str, Window, Usage]], limit: Limit | None) -> str:
    """Spent and held in each window, and what is left of the member's daily limit (in the first)."""
    lines = []
    for number, (name, span, counted) in enumerate(spans):
        line = f"**{name}**: {dollars(counted.spent)} spent, {dollars(counted.held)} held"
        if number == 0 and limit is not None:
            left = max(0, limit.micros - counted.total)
            line += f", {dollars(left)} left of {dollars(limit.micros)}"
        lines.append(f"{line}. It starts anew <t:{span.until // 1000}:R>.")
    return "\n".join(["What your clips cost, in all servers of this bot:", *lines])


def cut(text: str, more: str = "\n…") -> str:
    """At most one message, ended at a whole line."""
    if len(text) <= MESSAGE_LENGTH:
        return text
    return text[: MESSAGE_LENGTH - len(more)].rsplit("\n", 1)[0] + more


def _ends(events: Sequence[TaskEvent], most: int = 16) -> list[TaskEvent]:
    """The beginning and the end of a long history."""
    if len(events) <= most:
        return list(events)
    return [*events[: most // 2], *events[-most // 2 :]]


def _entry(entry: LedgerEntry) -> str:
    match entry.kind:
        case "hold":
            return f"hold {dollars(entry.held_micros)}"
        case "settle":
            return f"settle {dollars(entry.spent_micros)} (of {dollars(-entry.held_micros)} held)"
        case _:
            return f"release {dollars(-entry.held_micros)}"
