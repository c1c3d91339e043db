"""What members read about their clips. Pure functions; a prompt can never mention anyone or break the layout."""

from bot.domain.catalog import Catalog
from bot.domain.money import dollars
from bot.domain.parcel import Change, Link, Parcel
from bot.domain.plain import plain as plain  # noqa: PLC0414 - what is posted calls it texts.plain
from bot.domain.prose import sentence
from bot.domain.task import HANDED_OVER, SETTLED, UNCOLLECTED, Task, TaskState

MESSAGE_LENGTH = 2000
#: A longer link is sent as the file `link.txt` beside the message.
LONGEST_LINK = 1000
#: Under the progress of a private clip, as long as its answer can be edited.
ALONE = (
    "-# Only you see this. After 15 minutes `/tasks list` tells the rest; the clip comes by direct message."
)
_BAR = 10
_DIRECT = "@me"


def cut(text: str, more: str = "\n…") -> str:
    """At most one message, ended at a whole line."""
    if len(text) <= MESSAGE_LENGTH:
        return text
    return text[: MESSAGE_LENGTH - len(more)].rsplit("\n", 1)[0] + more


def quoted(prompt: str, camera: str | None, *, length: int) -> str:
    """A member's words as one quoted line of at most `length` characters, the camera command not counted."""
    return f"> {plain(prompt, length=length)}" + (f" [{camera}]" if camera else "")


def wanted(task: Task, *, length: int) -> str:
    """What a task was asked for, as one quoted line; where its words are gone, that they are."""
    if not task.erased:
        return quoted(task.prompt, task.camera, length=length)
    return f"> *{erased(task)}*"


def erased(task: Task) -> str:
    return "erased by its member" if task.erase_asked_at is not None else "erased, as its time was over"


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


def progress_head(task: Task, catalog: Catalog, *, length: int = 300) -> str:
    return (
        f"**{task_format(task, catalog)}** · {dollars(task.price_micros)} · {provider_label(task, catalog)}\n"
        f"{wanted(task, length=length)}"
    )


def status_line(
    task: Task,
    catalog: Catalog,
    *,
    ahead: int = 0,
    progress: int | None = None,
    ready_at: int | None = None,
    paused: str | None = None,
) -> str:
    """Where one clip is now. `progress` is percent; `ready_at` is milliseconds since 1970.

    `paused` is why the task's server makes no clips just now, None where it does.
    """
    name = provider_label(task, catalog)
    match task.state:
        case TaskState.HELD if task.approval_until is not None:
            until = f"<t:{task.approval_until // 1000}:f>"
            text = f"✋ Waits for a moderator's approval until {until}. {_price(task)} is held; cancelling is free."
        case TaskState.HELD:
            text = f"⏳ {_waiting(task, name, ahead, paused)} {_price(task)} is held; cancelling is free."
        case TaskState.SUBMITTING:
            text = f"📤 Being handed to {name}."
        case TaskState.QUEUED:
            text = f"🕒 In {name}'s queue{_expected(ready_at)}."
        case TaskState.PROCESSING:
            text = f"🎬 {_bar(progress)}{name} is making it{_expected(ready_at)}."
        case _:
            text = _outcome(task, name)
    return f"{text} `{task.id}`"


def _waiting(task: Task, name: str, ahead: int, paused: str | None) -> str:
    if paused is not None:
        return f"Paused by an admin: {_sentence(paused)}"
    if task.problem:
        return f"{name} takes no more jobs just now; it is asked again by itself."
    return f"Waiting, {ahead} ahead." if ahead else "Waiting, next in line."


def _outcome(task: Task, name: str) -> str:
    match task.state:
        case TaskState.SUCCEEDED:
            return _ready(task)
        case TaskState.DELIVERED if task.removed_by is not None:
            return f"🗑️ Deleted by <@{task.removed_by}>."
        case TaskState.DELIVERED:
            return (
                "✅ Handed to you in private."
                if task.problem == HANDED_OVER
                else f"✅ Ready: {link_of(task)}"
            )
        case TaskState.FAILED:
            return _failed(task)
        case TaskState.CANCELLED:
            return f"🚫 {_reason(task, 'cancelled')} {_price(task)} was given back."
        case _:
            return (
                f"⏸️ {name} gives no result so far: {_reason(task)} {_price(task)} stays held until the outcome "
                f"is known; if the clip comes, it {'is sent to you' if task.private else 'is posted here'}."
            )


def _failed(task: Task) -> str:
    if (task.problem or "").startswith((SETTLED, UNCOLLECTED)):
        return f"❌ It ended without a clip: {_reason(task)}"
    otherwise = "the reason was erased" if task.erased else "no reason was given"
    return f"❌ It failed and {_price(task)} was given back: {_reason(task, otherwise)}"


def _ready(task: Task) -> str:
    if task.due_at is None and (task.problem or "").startswith("the provider's file"):
        return f"📦 {_reason(task)} The operator has been told."
    if task.due_at is None:
        return f"📦 It is ready but could not be posted. `/tasks show task:{task.id}` hands it to you."
    if task.problem:
        return "📥 It is ready; posting it did not work yet and is tried again by itself."
    return f"📥 It is ready and on its way {'to your direct messages' if task.private else 'here'}."


def _price(task: Task) -> str:
    return dollars(task.price_micros)


def ready_head(task: Task) -> str:
    """How the message that carries a clip begins; no other message of the bot does."""
    return f"<@{task.member_id}> your clip is ready."


def ready_message(task: Task, catalog: Catalog, *, cost_micros: int, parcel: Parcel) -> str:
    """The message that carries a finished clip, or the link to it."""
    paid = dollars(cost_micros) + (" (more than was held)" if cost_micros > task.price_micros else "")
    lines = [
        ready_head(task),
        quoted(task.prompt, task.camera, length=700),
        *parcel_words(parcel),
        f"-# {task_format(task, catalog)} · {paid} · {provider_label(task, catalog)} · `{task.id}`",
    ]
    return "\n".join(lines)


def parcel_words(parcel: Parcel) -> list[str]:
    """What was done to a clip so that Discord takes it, and where it can be had as it was; empty for nothing."""
    link = parcel.link
    if parcel.file is None and link:
        where = "here" if link.own else "from the provider"
        until = _until(link, "soon, links are short-lived")
        return [f"The clip is too large for Discord; get it {where} {until}: {_address(link)}"]
    if parcel.change is Change.NONE:
        return []
    done = f"-# {parcel.change.capitalize()}"
    if link is None:
        return [f"{done}."]
    # In angle brackets, or Discord would show the same clip a second time below the message.
    address = f"<{link.url}>" if len(link.url) <= LONGEST_LINK else _address(link)
    where = "" if link.own else " at the provider"
    return [f"{done}; the original{where} {_until(link, 'for a short time')}: {address}"]


def _until(link: Link, unknown: str) -> str:
    return f"until <t:{link.expires_at // 1000}:f>" if link.expires_at else unknown


def _address(link: Link) -> str:
    return link.url if len(link.url) <= LONGEST_LINK else "the link is in the file"


def _bar(progress: int | None) -> str:
    if progress is None:
        return ""
    percent = max(0, min(100, progress))
    full = percent * _BAR // 100
    return f"{'▰' * full}{'▱' * (_BAR - full)} {percent} % · "


def _expected(ready_at: int | None) -> str:
    return f", ready about <t:{ready_at // 1000}:R>" if ready_at is not None else ""


def _reason(task: Task, otherwise: str = "no reason was given") -> str:
    return _sentence(task.problem or otherwise)


def _sentence(words: str) -> str:
    text = plain(words)
    return sentence(text[:1].upper() + text[1:])
