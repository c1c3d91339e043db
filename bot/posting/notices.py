"""What moderators read about questions, alarms and months. Pure functions."""

from collections.abc import Sequence

from bot.domain.alarms import Alarm
from bot.domain.approvals import DECLINED, EXPIRED, Decision, Question
from bot.domain.catalog import Catalog, Mode
from bot.domain.language import tr, trn
from bot.domain.limits import FOREVER, OPERATOR, Limit, Period
from bot.domain.money import dollars
from bot.domain.prose import sentence, together
from bot.domain.servers import Server
from bot.domain.task import Task, TaskState
from bot.posting import texts

#: Characters of a prompt in a question; a longer one is attached whole.
_PROMPT = 1200
_REASON = 300


def question(asked: Question, tasks: Sequence[Task], catalog: Catalog, *, spent: int | None) -> str:
    """One command for which moderators are asked, or were.

    `spent` is the member's month here, in micros; None where everybody reads it.
    """
    first = tasks[0]
    lines = [
        _head(asked, tasks),
        f"**{texts.task_format(first, catalog)}** · {_mode(first.mode)}",
        _wish(first),
        "-# " + " · ".join([*_spent(first, spent), *_progress(first), *_ids(_asked_for(asked, tasks))]),
    ]
    return texts.cut("\n".join(lines))


def _mode(mode: Mode) -> str:
    match mode:
        case Mode.TEXT:
            return tr("from a prompt")
        case Mode.IMAGE:
            return tr("from a first frame")
        case Mode.TRANSITION:
            return tr("from a first to a last frame")


def _wish(task: Task) -> str:
    """The prompt; of a private clip only who looks it up sees it."""
    if task.private:
        return tr("> 🔒 A private clip: `/admin tasks show task:{task}` shows its prompt.", task=task.id)
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
    if spent is None:
        return []
    member, amount = f"<@{task.member_id}>", dollars(spent)
    return [tr("{member} has spent {amount} here this month", member=member, amount=amount)]


def _ids(tasks: Sequence[Task]) -> list[str]:
    return [" ".join(f"`{task.id}`" for task in tasks)]


def _head(asked: Question, tasks: Sequence[Task]) -> str:
    wanted = _asked_for(asked, tasks)
    member = f"<@{tasks[0].member_id}>"
    price = dollars(sum(task.price_micros for task in wanted))
    if asked.decision is None:
        return trn(
            "✋ **Approval wanted** until {until}: {member} asks for {number} clip, {price} held.",
            "✋ **Approval wanted** until {until}: {member} asks for {number} clips, {price} held.",
            len(wanted),
            until=f"<t:{asked.until // 1000}:f>",
            member=member,
            price=price,
        )
    clips = trn(
        "{number} clip of {member}, {price}",
        "{number} clips of {member}, {price}",
        len(wanted),
        member=member,
        price=price,
    )
    moderator = f"<@{asked.decided_by}>"
    match asked.decision:
        case Decision.APPROVED:
            return tr("✅ **Approved** by {moderator}: {clips}.", moderator=moderator, clips=clips)
        case Decision.DECLINED:
            head = tr("🚫 **Declined** by {moderator}: {clips}.", moderator=moderator, clips=clips)
            return together(head, *_reason(tasks), tr("Nothing was spent."))
        case Decision.EXPIRED:
            return tr("⌛ **Nobody approved it in time:** {clips}. Nothing was spent.", clips=clips)
        case Decision.WITHDRAWN:
            return tr("🚫 **Cancelled before a decision:** {clips}. Nothing was spent.", clips=clips)


def _reason(tasks: Sequence[Task]) -> list[str]:
    start = f"{DECLINED}: "
    reasons = [task.problem for task in tasks if task.problem and task.problem.startswith(start)]
    if not reasons:
        return []
    words = texts.plain(reasons[0].removeprefix(start), length=_REASON)
    return [tr("Reason: {reason}", reason=sentence(words))]


def _progress(task: Task) -> list[str]:
    if task.private or task.progress_channel_id is None or task.progress_message_id is None:
        return []
    link = texts.message_link(task.server_id, task.progress_channel_id, task.progress_message_id)
    return [tr("[progress]({link})", link=link)]


def alarm(told: Alarm, server: Server) -> str:
    """One line; the same words whenever it is made, so that a posted one can be found again."""
    words, until = [_state(told)], told.span(server.tz).until
    if until < FOREVER:
        words.append(tr("It starts anew {when}.", when=f"<t:{until // 1000}:R>"))
    if told.owner_id == OPERATOR:
        words.append(tr("`/admin report` shows who spent it, only the bot's operator can raise it."))
    else:
        words.append(tr("`/admin report` shows who spent it, `/admin limits` changes it."))
    return together(*words)


def _state(told: Alarm) -> str:
    numbers = {
        "budget": budget(told.limit),
        "spent": dollars(told.spent_micros),
        "held": dollars(told.held_micros),
        "limit": dollars(told.limit_micros),
    }
    if told.percent < 100:  # noqa: PLR2004 - the whole
        percent = told.used_micros * 100 // told.limit_micros
        return tr(
            "⚠️ {budget} is {percent} % used up: {spent} spent and {held} held of {limit}.",
            percent=percent,
            **numbers,
        )
    if told.percent > 100:  # noqa: PLR2004
        return tr(
            "🛑 {budget} leaves no room for a clip that was asked for: {spent} spent and {held} held of {limit}. "
            "What is too dear is refused.",
            **numbers,
        )
    return tr(
        "🛑 {budget} is used up: {spent} spent and {held} held of {limit}. Clips are refused until a hold comes "
        "back.",
        **numbers,
    )


def budget(limit: Limit) -> str:
    """What a server may spend, as a sentence about it begins."""
    if limit.server_id == OPERATOR:
        return {
            Period.DAY: tr("The operator's budget for this server for one day"),
            Period.MONTH: tr("The operator's budget for this server for one month"),
            Period.TOTAL: tr("The operator's budget for this server in total"),
        }[limit.period]
    return {
        Period.DAY: tr("This server's budget for one day"),
        Period.MONTH: tr("This server's budget for one month"),
        Period.TOTAL: tr("This server's budget in total"),
    }[limit.period]
