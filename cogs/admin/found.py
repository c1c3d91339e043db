"""What a search among a server's tasks found, in words. Pure functions."""

from bot.domain.catalog import Catalog
from bot.domain.search import Age, Found, Search
from bot.domain.task import HANDED_OVER, TaskState
from bot.posting import texts
from cogs.finding import STAGE_NAMES, money

AGE_NAMES = {
    Age.HOUR: "the last hour",
    Age.DAY: "the last 24 hours",
    Age.WEEK: "the last 7 days",
    Age.MONTH: "the last 30 days",
    Age.STALE: "over a day old and still open",
}
_STATES = {
    TaskState.HELD: "waiting",
    TaskState.SUBMITTING: "being sent",
    TaskState.QUEUED: "queued",
    TaskState.PROCESSING: "being made",
    TaskState.SUCCEEDED: "ready, not posted yet",
    TaskState.FAILED: "failed",
    TaskState.CANCELLED: "cancelled",
    TaskState.PARKED: "parked",
}


def looked_for(search: Search) -> str:
    """Such as "tasks of <@70> · waiting · the last hour"."""
    parts = [f"tasks of <@{search.member_id}>" if search.member_id else "tasks of this server"]
    if search.stage in STAGE_NAMES:
        parts.append(STAGE_NAMES[search.stage])
    if search.age in AGE_NAMES:
        parts.append(AGE_NAMES[search.age])
    return " · ".join(parts)


def line(found: Found, catalog: Catalog) -> str:
    """At most 280 characters, so that a page of ten fits into an embed."""
    task = found.task
    return (
        f"- <t:{task.created_at // 1000}:R> <@{task.member_id}> · {texts.task_format(task, catalog)} · "
        f"{money(found)} · {_state(found)} · `{task.id}`"
    )


def _state(found: Found) -> str:
    task = found.task
    if task.state is TaskState.HELD and task.approval_until is not None:
        return "waiting for approval"
    if task.state is not TaskState.DELIVERED:
        return _STATES[task.state]
    if task.problem == HANDED_OVER:
        return "handed over in private"
    if task.private:
        return "delivered in private"
    return f"[delivered]({texts.link_of(task)})"
