"""What a search among a server's tasks found, in words. Pure functions."""

from bot.domain.catalog import Catalog
from bot.domain.language import tr
from bot.domain.search import Age, Found, Search, Stage
from bot.domain.task import HANDED_OVER, Task, TaskState
from bot.posting import texts
from cogs.finding import money, stage_name


def age(chosen: Age) -> str:
    """In words; "" for any."""
    return {
        Age.HOUR: tr("the last hour"),
        Age.DAY: tr("the last 24 hours"),
        Age.WEEK: tr("the last 7 days"),
        Age.MONTH: tr("the last 30 days"),
        Age.STALE: tr("over a day old and still open"),
        Age.ANY: "",
    }[chosen]


def looked_for(search: Search) -> str:
    """Such as "tasks of <@70> · waiting · the last hour"."""
    member = f"<@{search.member_id}>"
    parts = [tr("tasks of {member}", member=member) if search.member_id else tr("tasks of this server")]
    if search.stage is not Stage.ANY:
        parts.append(stage_name(search.stage))
    return " · ".join(filter(None, [*parts, age(search.age)]))


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
        return tr("waiting for approval")
    if task.state is TaskState.DELIVERED:
        return _delivered(task)
    return {
        TaskState.HELD: tr("waiting"),
        TaskState.SUBMITTING: tr("being sent"),
        TaskState.QUEUED: tr("queued"),
        TaskState.PROCESSING: tr("being made"),
        TaskState.SUCCEEDED: tr("ready, not posted yet"),
        TaskState.FAILED: tr("failed"),
        TaskState.CANCELLED: tr("cancelled"),
        TaskState.PARKED: tr("parked"),
    }[task.state]


def _delivered(task: Task) -> str:
    if task.problem == HANDED_OVER:
        return tr("handed over in private")
    if task.private:
        return tr("delivered in private")
    return tr("[delivered]({link})", link=texts.link_of(task))
