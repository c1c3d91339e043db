"""What members read about their clips. Pure functions; a prompt can never mention anyone or break the layout."""

import discord

from bot.domain.catalog import Catalog
from bot.domain.money import dollars
from bot.domain.task import Task, TaskState

_BAR = 10
_DIRECT = "@me"


def quoted(prompt: str, camera: str | None, *, length: int) -> str:
    """A member's words as one quoted line, cut to `length` characters before they are escaped."""
    words = " ".join(prompt.split())
    shown = words if len(words) <= length else words[: length - 1] + "…"
    return f"> {plain(shown, length=length)}" + (f" [{camera}]" if camera else "")


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


def progress_head(task: Task, catalog: Catalog) -> str:
    return (
        f"**{task_format(task, catalog)}** · {dollars(task.price_micros)} · {provider_label(task, catalog)}\n"
        f"{quoted(task.prompt, task.camera, length=300)}"
    )


def status_line(
    task: Task, catalog: Catalog, *, ahead: int = 0, progress: int | None = None, usual: int | None = None
) -> str:
    """Where one clip is now. `progress` is percent; `usual` is how long such clips take, in milliseconds."""
    name = provider_label(task, catalog)
    match task.state:
        case TaskState.HELD:
            text = f"⏳ Waiting, {f'{ahead} ahead' if ahead else 'next'}. {_price(task)} is held; cancelling is free."
        case TaskState.SUBMITTING:
            text = f"📤 Being handed to {name}."
        case TaskState.QUEUED:
            text = f"🕒 In {name}'s queue{_expected(task, usual)}."
        case TaskState.PROCESSING:
            text = f"🎬 {_bar(progress)}{name} is making it{_expected(task, usual)}."
        case _:
            text = _outcome(task, name)
    return f"{text} `{task.id}`"


def _outcome(task: Task, name: str) -> str:
    match task.state:
        case TaskState.SUCCEEDED if task.due_at is None:
            return f"📦 It is ready but could not be posted. `/tasks show task:{task.id}` hands it to you."
        case TaskState.SUCCEEDED:
            return "📥 It is ready and on its way here."
        case TaskState.DELIVERED:
            return f"✅ Ready: {link_of(task)}"
        case TaskState.FAILED:
            return f"❌ It failed and {_price(task)} was given back: {_reason(task)}"
        case TaskState.CANCELLED:
            return f"🚫 {_sentence(task.problem or 'cancelled')} {_price(task)} was given back."
        case _:
            return (
                f"⏸️ {name} gives no result so far: {_reason(task)} {_price(task)} stays held until the outcome "
                "is known; if the clip comes, it is posted here."
            )


def _price(task: Task) -> str:
    return dollars(task.price_micros)


def ready_message(task: Task, catalog: Catalog, *, cost_micros: int, link: str | None = None) -> str:
    """The message that carries a finished clip, or the provider's `link` to it."""
    paid = dollars(cost_micros) + (" (more than was held)" if cost_micros > task.price_micros else "")
    lines = [
        f"<@{task.member_id}> your clip is ready.",
        quoted(task.prompt, task.camera, length=700),
        f"-# {task_format(task, catalog)} · {paid} · {provider_label(task, catalog)} · `{task.id}`",
    ]
    if link:
        until = f" until <t:{task.clip_expires_at // 1000}:f>" if task.clip_expires_at else ", not for long"
        lines.insert(2, f"It is too large for this channel; get it from the provider{until}: {link}")
    return "\n".join(lines)


def _bar(progress: int | None) -> str:
    if progress is None:
        return ""
    percent = max(0, min(100, progress))
    full = percent * _BAR // 100
    return f"{'▰' * full}{'▱' * (_BAR - full)} {percent} % · "


def _expected(task: Task, usual: int | None) -> str:
    if usual is None or task.submitted_at is None:
        return ""
    return f", ready about <t:{(task.submitted_at + usual) // 1000}:R>"


def plain(text: str, *, length: int = 200) -> str:
    """A provider's words on one line: cut, then escaped."""
    words = " ".join(text.split())[:length]
    return discord.utils.escape_mentions(discord.utils.escape_markdown(words))


def _reason(task: Task) -> str:
    return _sentence(plain(task.problem or "no reason was given"))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
