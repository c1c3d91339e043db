"""What moderators read about questions, alarms and months. Pure functions."""

from collections.abc import Sequence

from bot.domain.alarms import Alarm
from bot.domain.approvals import DECLINED, EXPIRED, Decision, Question
from bot.domain.catalog import Catalog, Mode
from bot.domain.limits import FOREVER, OPERATOR, name_of
from bot.domain.money import dollars
from bot.domain.prose import sentence
from bot.domain.servers import Server
from bot.domain.task import Task, TaskState
from bot.posting import texts

#: Characters of a prompt in a question; a longer one is attached whole.
_PROMPT = 1200
_REASON = 300
_MODES = {
    Mode.TEXT: "from a prompt",
    Mode.IMAGE: "from a first frame",
    Mode.TRANSITION: "from a first to a last frame",
}


def question(asked: Question, tasks: Sequence[Task], catalog: Catalog, *, spent: int | None) -> str:
    """One command for which moderators are asked, or were.

    `spent` is the member's month here, in micros; None where everybody reads it.
    """
    first = tasks[0]
    lines = [
        _head(asked, tasks),
        f"**{texts.task_format(first, catalog)}** · {_MODES[first.mode]}",
        _wish(first),
        "-# " + " · ".join([*_spent(first, spent), *_progress(first), *_ids(_asked_for(asked, tasks))]),
    ]
    return texts.cut("\n".join(lines))


def _wish(task: Task) -> str:
    """The prompt; of a private clip only who looks it up sees it."""
    if task.private:
        return f"> 🔒 A private clip: `/admin tasks show task:{task.id}` shows its prompt."
    return texts.wanted(task, length=_PROMPT)


def is_cut(task: Task) -> bool:
    """A question shows the prompt, and not all of it."""
    return not task.private and texts.plain(task.prompt, length=_PROMPT) != texts.plain(
        task.prompt, length=10 * _PROMPT
    )


def _asked_for(asked: Question, tasks: Sequence[Task]) -> Sequence[Task]:
    """Without the clips that the member cancelled, as long as others are left."""
    notes = {Decision.DECLINED: DECLINED, Decision.EXPIRED: EXPIRED}
    note = notes.get(asked.decision) if asked.decision else None
    if note:
        left = [task for task in tasks if (task.problem or "").startswith(note)]
    else:
        left = [task for task in tasks if task.state is not TaskState.CANCELLED]
    return left or tasks


def _spent(task: Task, spent: int | None) -> list[str]:
    return [] if spent is None else [f"<@{task.member_id}> has spent {dollars(spent)} here this month"]


def _ids(tasks: Sequence[Task]) -> list[str]:
    return [" ".join(f"`{task.id}`" for task in tasks)]


def _head(asked: Question, tasks: Sequence[Task]) -> str:
    wanted = _asked_for(asked, tasks)
    clips = f"{len(wanted)} clip{'s' if len(wanted) > 1 else ''}"
    price = dollars(sum(task.price_micros for task in wanted))
    what = f"{clips} of <@{tasks[0].member_id}>, {price}"
    match asked.decision:
        case None:
            until = f"<t:{asked.until // 1000}:f>"
            return f"✋ **Approval wanted** until {until}: <@{tasks[0].member_id}> asks for {clips}, {price} held."
        case Decision.APPROVED:
            return f"✅ **Approved** by <@{asked.decided_by}>: {what}."
        case Decision.DECLINED:
            return f"🚫 **Declined** by <@{asked.decided_by}>: {what}.{_reason(tasks)} Nothing was spent."
        case Decision.EXPIRED:
            return f"⌛ **Nobody approved it in time:** {what}. Nothing was spent."
        case Decision.WITHDRAWN:
            return f"🚫 **Cancelled before a decision:** {what}. Nothing was spent."


def _reason(tasks: Sequence[Task]) -> str:
    start = f"{DECLINED}: "
    reasons = [task.problem for task in tasks if task.problem and task.problem.startswith(start)]
    return (
        f" Reason: {sentence(texts.plain(reasons[0].removeprefix(start), length=_REASON))}" if reasons else ""
    )


def _progress(task: Task) -> list[str]:
    if task.private or task.progress_channel_id is None or task.progress_message_id is None:
        return []
    link = texts.message_link(task.server_id, task.progress_channel_id, task.progress_message_id)
    return [f"[progress]({link})"]


def alarm(told: Alarm, server: Server) -> str:
    """One line; the same words whenever it is made, so that a posted one can be found again."""
    name = name_of(told.limit)
    spent, held = dollars(told.spent_micros), dollars(told.held_micros)
    numbers = f"{spent} spent and {held} held of {dollars(told.limit_micros)}"
    if told.percent < 100:  # noqa: PLR2004 - the whole
        state = f"is {told.used_micros * 100 // told.limit_micros} % used up: {numbers}."
    elif told.percent > 100:  # noqa: PLR2004
        state = f"leaves no room for a clip that was asked for: {numbers}. What is too dear is refused."
    else:
        state = f"is used up: {numbers}. Clips are refused until a hold comes back."
    until = told.span(server.tz).until
    anew = f" It starts anew <t:{until // 1000}:R>." if until < FOREVER else ""
    change = (
        "only the bot's operator can raise it" if told.owner_id == OPERATOR else "`/admin limits` changes it"
    )
    icon = "🛑" if told.percent >= 100 else "⚠️"  # noqa: PLR2004
    return f"{icon} {name[:1].upper()}{name[1:]} {state}{anew} `/admin report` shows who spent it, {change}."
