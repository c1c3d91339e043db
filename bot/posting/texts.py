"""What members read about their clips. Pure functions; a prompt can never mention anyone or break the layout."""

from bot.domain.catalog import Catalog
from bot.domain.language import named, said, tr
from bot.domain.money import dollars
from bot.domain.parcel import Change, Link, Parcel
from bot.domain.plain import plain as plain  # noqa: PLC0414 - what is posted calls it texts.plain
from bot.domain.prose import capitalised, sentence, together
from bot.domain.task import HANDED_OVER, SETTLED, UNCOLLECTED, Task, TaskState

MESSAGE_LENGTH = 2000
#: A longer link is sent as a file beside the message.
LONGEST_LINK = 1000
_BAR = 10
#: Characters of others' words in a line.
ROOM = 200
_DIRECT = "@me"


def cut(text: str, more: str = "\n…", *, length: int = MESSAGE_LENGTH) -> str:
    """At most `length` characters, ended at a whole line."""
    if len(text) <= length:
        return text
    return text[: length - len(more)].rsplit("\n", 1)[0] + more


def quoted(prompt: str, camera: str | None, *, length: int) -> str:
    """A member's words as one quoted line of at most `length` characters, the camera command not counted."""
    return f"> {plain(prompt, length=length)}" + (f" [{camera}]" if camera else "")


def wanted(task: Task, *, length: int) -> str:
    """What a task was asked for, as one quoted line; where its words are gone, that they are."""
    if not task.erased:
        return quoted(task.prompt, task.camera, length=length)
    return f"> *{erased(task)}*"


def erased(task: Task) -> str:
    if task.erase_asked_at is not None:
        return tr("erased by its member")
    return tr("erased, as its time was over")


def task_format(task: Task, catalog: Catalog) -> str:
    return catalog.format_label(task.format)


def provider_label(task: Task, catalog: Catalog) -> str:
    rules = catalog.providers.get(task.provider)
    return rules.label if rules else task.provider


def message_link(server_id: int | None, channel_id: int, message_id: int) -> str:
    """The address of a message; a direct message has no server."""
    return f"https://discord.com/channels/{server_id or _DIRECT}/{channel_id}/{message_id}"


def link_of(task: Task) -> str:
    """Where a delivered clip stands."""
    server = task.server_id if task.message_channel_id == task.channel_id else None
    return message_link(server, task.message_channel_id or 0, task.message_id or 0)


def progress_title(task: Task, catalog: Catalog) -> str:
    return (
        f"**{task_format(task, catalog)}** · {dollars(task.price_micros)} · {provider_label(task, catalog)}"
    )


def progress_head(task: Task, catalog: Catalog, *, length: int = 300) -> str:
    return f"{progress_title(task, catalog)}\n{wanted(task, length=length)}"


def alone() -> str:
    """Under the progress of a private clip, as long as its answer can be edited."""
    return "-# " + tr(
        "Only you see this. After 15 minutes `/tasks list` tells the rest; the clip comes by direct message."
    )


def status_line(
    task: Task,
    catalog: Catalog,
    *,
    ahead: int = 0,
    progress: int | None = None,
    expected: int | None = None,
    ready_at: int | None = None,
    paused: str | None = None,
    room: int = ROOM,
) -> str:
    """Where one clip is now. `ready_at` is milliseconds since 1970.

    `progress` is the percentage that the provider tells, `expected` the one that clips of this kind had at this age.

    `paused` is why the task's server makes no clips just now, None where it does. `room` is how many characters
    others' words may have, `ROOM` where there is enough.
    """
    reason = _sentence(said(task.problem), room) if task.problem else ""
    name, bar = provider_label(task, catalog), _bar(progress, expected)
    match task.state:
        case TaskState.HELD if task.approval_until is not None:
            text = tr(
                "✋ Waits for a moderator's approval until {moment}.", moment=_moment(task.approval_until)
            )
            text = together(text, _held(task))
        case TaskState.HELD:
            halted = None if paused is None else _sentence(paused, room)
            text = f"⏳ {together(_waiting(task, name, ahead, halted), _held(task))}"
        case TaskState.SUBMITTING:
            text = tr("📤 Being handed to {provider}.", provider=name)
        case TaskState.QUEUED:
            text = _made("🕒", tr("In {provider}'s queue", provider=name), task, bar, ready_at)
        case TaskState.PROCESSING:
            text = _made("🎬", tr("{provider} is making it", provider=name), task, bar, ready_at)
        case _:
            text = _outcome(task, name, reason)
    return f"{text} `{task.id}`"


def _held(task: Task) -> str:
    return tr("{price} is held; cancelling is free.", price=_price(task))


def _waiting(task: Task, name: str, ahead: int, paused: str | None) -> str:
    if paused is not None:
        return tr("Paused by an admin: {reason}", reason=paused)
    if task.problem:
        return tr("{provider} takes no more jobs just now; it is asked again by itself.", provider=name)
    if ahead:
        return tr("Waiting, {number} ahead.", number=ahead)
    return tr("Waiting, next in line.")


def _made(sign: str, words: str, task: Task, bar: str, ready_at: int | None) -> str:
    """How far a clip is that a provider has: Discord keeps the times up to date by itself."""
    parts = [f"{sign} {bar}", words] if bar else [f"{sign} {words}"]
    if task.submitted_at is not None:
        parts.append(tr("sent {moment}", moment=_relative(task.submitted_at)))
    if ready_at is not None:
        parts.append(tr("ready about {moment}", moment=_relative(ready_at)))
    return " · ".join(parts)


def _outcome(task: Task, name: str, reason: str) -> str:
    match task.state:
        case TaskState.SUCCEEDED:
            return _ready(task, reason)
        case TaskState.DELIVERED:
            return _delivered(task)
        case TaskState.FAILED:
            return _failed(task, reason)
        case TaskState.CANCELLED:
            return tr(
                "🚫 {reason} {price} was given back.", reason=reason or tr("Cancelled."), price=_price(task)
            )
        case _:
            return _parked(task, name, reason or _no_reason())


def _delivered(task: Task) -> str:
    if task.removed_by is not None:
        return tr("🗑️ Deleted by {who}.", who=f"<@{task.removed_by}>")
    if task.problem == HANDED_OVER:
        return tr("✅ Handed to you in private.")
    return tr("✅ Ready: {link}", link=link_of(task))


def _parked(task: Task, name: str, reason: str) -> str:
    if task.private:
        return tr(
            "⏸️ {provider} gives no result so far: {reason} {price} stays held until the outcome is known; if the "
            "clip comes, it is sent to you.",
            provider=name,
            reason=reason,
            price=_price(task),
        )
    return tr(
        "⏸️ {provider} gives no result so far: {reason} {price} stays held until the outcome is known; if the clip "
        "comes, it is posted here.",
        provider=name,
        reason=reason,
        price=_price(task),
    )


def _failed(task: Task, reason: str) -> str:
    if (task.problem or "").startswith((SETTLED, UNCOLLECTED)):
        return tr("❌ It ended without a clip: {reason}", reason=reason or _no_reason())
    reason = reason or (tr("The reason was erased.") if task.erased else _no_reason())
    return tr("❌ It failed and {price} was given back: {reason}", price=_price(task), reason=reason)


def _no_reason() -> str:
    return tr("No reason was given.")


def _ready(task: Task, reason: str) -> str:
    if task.due_at is None and (task.problem or "").startswith("the provider's file"):
        return tr("📦 {reason} The operator has been told.", reason=reason or _no_reason())
    if task.due_at is None:
        return tr(
            "📦 It is ready but could not be posted. {command} hands it to you.",
            command=f"`/{named('tasks')} {named('show')} {named('task')}:{task.id}`",
        )
    if task.problem:
        return tr("📥 It is ready; posting it did not work yet and is tried again by itself.")
    if task.private:
        return tr("📥 It is ready and on its way to your direct messages.")
    return tr("📥 It is ready and on its way here.")


def _price(task: Task) -> str:
    return dollars(task.price_micros)


def ready_head(task: Task, *, several: bool = False) -> str:
    """How the message that carries a clip begins, or `several`; no other message of the bot does."""
    who = f"<@{task.member_id}>"
    return tr("{who} your clips are ready.", who=who) if several else tr("{who} your clip is ready.", who=who)


def ready_message(
    task: Task, catalog: Catalog, *, cost_micros: int, parcel: Parcel, several: bool = False
) -> str:
    """The message that carries a finished clip, or the link to it; the first of `several` that will."""
    return "\n".join(
        [
            ready_head(task, several=several),
            quoted(task.prompt, task.camera, length=700),
            *clip_lines(task, catalog, cost_micros=cost_micros, parcel=parcel, several=several),
        ]
    )


def clip_lines(task: Task, catalog: Catalog, *, cost_micros: int, parcel: Parcel, several: bool) -> list[str]:
    """What is said of one clip; the last line ends with its id and nothing else does."""
    paid = dollars(cost_micros)
    if cost_micros > task.price_micros:
        paid = tr("{price} (more than was held)", price=paid)
    number = f"{task.ordinal + 1}. " if several else ""
    label = f"{number}{task_format(task, catalog)}"
    return [*parcel_words(parcel), f"-# {label} · {paid} · {provider_label(task, catalog)} · `{task.id}`"]


def parcel_words(parcel: Parcel) -> list[str]:
    """What was done to a clip so that Discord takes it, and where it can be had as it was; empty for nothing."""
    link = parcel.link
    if parcel.file is None and link:
        return [_instead(link)]
    if parcel.change is Change.NONE:
        return []
    done = (
        tr("Made smaller to fit.")
        if parcel.change is Change.SMALLER
        else tr("Converted so that it plays everywhere.")
    )
    return [f"-# {done}" if link is None else f"-# {done} {_original(link)}"]


def _instead(link: Link) -> str:
    """Where a clip can be had that no message can carry."""
    address = _address(link)
    if link.own:
        return tr(
            "The clip is too large for Discord; get it here until {moment}: {address}",
            moment=_until(link),
            address=address,
        )
    if link.expires_at is None:
        return tr(
            "The clip is too large for Discord; get it from the provider soon, links are short-lived: {address}",
            address=address,
        )
    return tr(
        "The clip is too large for Discord; get it from the provider until {moment}: {address}",
        moment=_until(link),
        address=address,
    )


def _original(link: Link) -> str:
    # In angle brackets, or Discord would show the same clip a second time below the message.
    address = f"<{link.url}>" if len(link.url) <= LONGEST_LINK else _address(link)
    if link.own:
        return tr("The original until {moment}: {address}", moment=_until(link), address=address)
    if link.expires_at is None:
        return tr("The original at the provider for a short time: {address}", address=address)
    return tr("The original at the provider until {moment}: {address}", moment=_until(link), address=address)


def _address(link: Link) -> str:
    return link.url if len(link.url) <= LONGEST_LINK else tr("the link is in the file")


def _bar(progress: int | None, expected: int | None) -> str:
    """With a number where a provider gives one; what is expected is drawn in whole tenths and ends before the end."""
    if progress is not None:
        percent = max(0, min(100, progress))
        return f"{_drawn(percent * _BAR // 100)} {percent} %"
    return "" if expected is None else _drawn(max(0, min(_BAR - 1, expected * _BAR // 100)))


def _drawn(full: int) -> str:
    return "▰" * full + "▱" * (_BAR - full)


def _until(link: Link) -> str:
    return _moment(link.expires_at or 0)


def _moment(at: int) -> str:
    return f"<t:{at // 1000}:f>"


def _relative(at: int) -> str:
    return f"<t:{at // 1000}:R>"


def _sentence(words: str, room: int) -> str:
    return sentence(capitalised(plain(words, length=room)))
