"""`/admin tasks`: an admin finds, reads, cancels and refunds the tasks of the own server, and of no other."""

import re
from typing import Any

import pytest

from bot.domain.search import Age, Booked, Found, Search, Stage
from bot.domain.task import Task, TaskState
from bot.posting.board import EDIT_SECONDS
from cogs.admin import found
from cogs.admin.pages import Turn
from storage.audit import AuditStore
from storage.tasks import TaskStore
from tests.cogs.fixtures import Open
from tests.cogs.scene import Scene, drawn, told
from tests.posting.test_texts import CATALOG, a_task

UNKNOWN = "There is no such task in this server. `/admin tasks find` shows the ones there are."
COMPONENT = 3
REASON = (3, "spam")
ID = (3, "task0001")


def words(result: Any) -> str:
    """All that a page says."""
    return "\n".join([told(result), *(embed.description for embed in result.response.embeds)])


async def find(scene: Scene, **options: Any) -> str:
    return words(await scene.admin("tasks find", **options))


async def show(scene: Scene, task_id: str = "task0001") -> str:
    return told(await scene.admin("tasks show", task=task_id))


async def cancel(scene: Scene, task_id: str = "task0001", reason: str = "it is off topic") -> str:
    return told(await scene.admin("tasks cancel", task=task_id, reason=reason))


async def refund(scene: Scene, task_id: str = "task0001", **options: Any) -> str:
    return told(await scene.admin("tasks refund", **{"task": task_id, "reason": "it flickers", **options}))


async def offered(scene: Scene, command: str, typed: str = "", member: Any = None) -> list[str]:
    who = member or scene.carol
    choices = await who.autocomplete(scene.channel, f"admin tasks {command}", "task", typed)
    return [choice["value"] for choice in choices]


async def audited(scene: Scene) -> list[tuple[str, str, str, str, str]]:
    entries = await AuditStore(scene.app.database).of_server(scene.guild.id, limit=9)
    deeds = [entry.deed for entry in entries]
    assert all(deed.actor_id == scene.carol.id for deed in deeds)
    return [(deed.action, deed.subject, deed.before, deed.after, deed.reason) for deed in deeds]


async def kinds(scene: Scene) -> list[str]:
    return [entry.kind for entry in await scene.app.ledger.of_task("task0001")]


def ids(page: str) -> list[str]:
    return re.findall(r"`(task\d+)`", page)


async def delivered(scene: Scene) -> Task:
    task = await scene.succeeded()
    await scene.app.tasks.delivered(
        task, scene.now(), channel_id=scene.channel.id, message_id=77, note="posted"
    )
    return await scene.task()


# ------------------------------------------------------------------------- find


async def test_a_line_says_when_who_what_price_and_state(scene: Scene) -> None:
    await scene.video()
    assert re.search(
        rf"- <t:\d+:R> <@{scene.alice.id}> · Hailuo 2.3 · 6 s · 768p · \$0.3294 held · waiting · `task0001`",
        await find(scene),
    )


async def test_a_delivered_clip_has_its_link_and_its_refund(scene: Scene) -> None:
    await delivered(scene)
    await refund(scene, amount="0.1")
    link = f"https://discord.com/channels/{scene.guild.id}/{scene.channel.id}/77"
    assert f"$0.3294, refund $0.10 · [delivered]({link})" in await find(scene)


async def test_nothing_found_says_what_was_looked_for(scene: Scene) -> None:
    await scene.video()
    page = await find(scene, member=scene.bob.user, state="failed", age="week")
    assert page == (
        f"Nothing was found. Looked for: tasks of <@{scene.bob.id}> · failed · the last 7 days."
    )


@pytest.mark.parametrize(
    ("state", "hits"), [("waiting", True), ("open", True), ("running", False), ("delivered", False)]
)
async def test_the_state_is_looked_for(scene: Scene, state: str, *, hits: bool) -> None:
    await scene.video()
    assert bool(ids(await find(scene, state=state))) is hits


@pytest.mark.parametrize(
    ("age", "after_hours"), [("hour", 1), ("day", 24), ("week", 24 * 7), ("month", 24 * 30)]
)
async def test_the_age_is_looked_for(scene: Scene, age: str, after_hours: int) -> None:
    await scene.video()
    await scene.pass_time(after_hours * 3600 - 5)
    assert ids(await find(scene, age=age)) == ["task0001"]
    await scene.pass_time(10)
    assert ids(await find(scene, age=age)) == []


async def test_stale_ones_are_over_a_day_old_and_still_open(scene: Scene) -> None:
    await scene.video()
    await scene.video()
    await cancel(scene, "task0002")
    assert ids(await find(scene, age="stale")) == []
    await scene.pass_time(24 * 3600 + 1)
    assert ids(await find(scene, age="stale")) == ["task0001"]


@pytest.mark.parametrize(("option", "value"), [("state", "lost"), ("age", "`@everyone`")])
async def test_a_made_up_choice_is_refused_with_those_there_are(
    scene: Scene, option: str, value: str
) -> None:
    said = told(await scene.raw("admin tasks find", member=scene.carol, **{option: (3, value)}))
    assert f"There is no {option} " in said
    assert "Choose one of: " in said


def test_ten_of_the_longest_lines_fit_into_an_embed() -> None:
    longest = a_task(
        id="x" * 25,
        state=TaskState.DELIVERED,
        **dict.fromkeys(["server_id", "channel_id", "member_id", "message_channel_id", "message_id"], 10**19),
    )
    line = found.line(Found(longest, Booked(10**14 - 1, 10**14 - 1)), CATALOG)
    assert len(line) <= 280


# -------------------------------------------------------------------- the pages


async def many(open_bot: Open, number: int = 23) -> Any:
    return open_bot(user_daily_limit=10**9)


async def fill(scene: Scene, number: int) -> None:
    """Tasks of a minute each, so that they have an order."""
    for _ in range(number):
        await scene.video()
        await scene.pass_time(60)


def names(first: int, last: int) -> list[str]:
    return [f"task{number:04d}" for number in range(first, last - 1, -1)]


async def click(scene: Scene, page: Any, label: str, member: Any = None) -> Any:
    return await (member or scene.carol).click(page.response, label=label)


def labels(page: Any) -> list[str]:
    return [button.label for row in page.response.components for button in row.children]


async def test_pages_of_ten_go_there_and_back_in_place(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=10**9) as scene:
        await fill(scene, 23)
        page = await scene.admin("tasks find")
        assert (ids(words(page)), labels(page)) == (names(23, 14), ["Older"])
        page = await click(scene, page, "Older")
        assert (ids(words(page)), labels(page)) == (names(13, 4), ["Newer", "Older"])
        page = await click(scene, page, "Older")
        assert (ids(words(page)), labels(page)) == (names(3, 1), ["Newer"])
        page = await click(scene, page, "Newer")
        assert ids(words(page)) == names(13, 4)
        page = await click(scene, page, "Newer")
        assert (ids(words(page)), labels(page)) == (names(23, 14), ["Older"])
