"""`/admin tasks`: an admin finds, reads, cancels and refunds the tasks of the own server, and of no other."""

import re
from typing import Any

import pytest

from bot.domain.audit import Deed
from bot.domain.limits import Limit, Period, Scope
from bot.domain.search import Age, Booked, Found, Search, Stage
from bot.domain.task import Task, TaskState
from bot.posting.board import EDIT_SECONDS
from cogs.admin import found
from cogs.admin.pages import FOUND
from cogs.pages import Turn
from storage.audit import AuditStore
from storage.limits import LimitStore
from storage.tasks import TaskStore
from tests.cogs.fixtures import Open
from tests.cogs.forging import press
from tests.cogs.pictures import picture
from tests.cogs.scene import Scene, drawn, told
from tests.posting.test_texts import CATALOG, a_task

UNKNOWN = "There is no such task in this server. `/admin tasks find` shows the ones there are."
AUTOCOMPLETE = 4
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
    assert page == (f"Nothing was found. Looked for: tasks of <@{scene.bob.id}> · failed · the last 7 days.")


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
    return [button["label"] for row in page.response.components for button in row["components"]]


def older(edge: str) -> str:
    return FOUND.write(Turn(Search(0, 10**13), edge, newer=False))


async def test_pages_of_ten_go_there_and_back_in_place(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=10**9) as scene:
        await fill(scene, 23)
        page = first = await scene.admin("tasks find")
        assert (ids(words(page)), labels(page)) == (names(23, 14), ["Older"])
        page = await click(scene, page, "Older")
        assert (ids(words(page)), labels(page)) == (names(13, 4), ["Newer", "Older"])
        page = await click(scene, page, "Older")
        assert (ids(words(page)), labels(page)) == (names(3, 1), ["Newer"])
        page = await click(scene, page, "Newer")
        assert ids(words(page)) == names(13, 4)
        page = await click(scene, page, "Newer")
        assert (ids(words(page)), labels(page)) == (names(23, 14), ["Older"])
        assert page.response.id == first.response.id


async def test_the_buttons_keep_their_search_over_a_restart_and_new_tasks(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=10**9) as scene:
        await fill(scene, 12)
        page = await scene.admin("tasks find", state="waiting", member=scene.alice.user)
        await scene.restart()
        await cancel(scene, "task0001")
        await scene.pass_time(60)
        await scene.video()
        page = await click(scene, page, "Older")
        assert told(page) == f"Newest first: tasks of <@{scene.alice.id}> · waiting."
        assert ids(words(page)) == ["task0002"]
        page = await click(scene, page, "Newer")
        assert (ids(words(page)), labels(page)) == (names(12, 3), ["Older"])


async def test_a_button_shows_a_member_without_the_right_nothing(scene: Scene) -> None:
    await fill(scene, 2)
    said = words(await press(scene, older("task0002"), scene.alice))
    assert "Manage Server" in said
    assert ids(said) == []
    assert ids(words(await press(scene, older("task0002"), scene.carol))) == ["task0001"]


async def test_a_button_shows_nothing_of_another_server(scene: Scene) -> None:
    there = await scene.elsewhere()
    await there.eve.slash(there.channel, "video text", prompt="a whale")
    await scene.video()
    assert ids(words(await press(scene, older("task0001"), scene.carol))) == ["task0002"]


def test_the_longest_search_fits_into_a_buttons_id() -> None:
    search = Search(0, 10**13 - 1, 2**63, Stage.CANCELLED, Age.STALE)
    assert len(FOUND.write(Turn(search, "x" * 25, newer=True))) <= 100


# ------------------------------------------------------------------------- show


async def test_show_tells_what_the_member_reads(scene: Scene) -> None:
    await scene.succeeded()
    await refund(scene, amount="0.28")
    said = await show(scene)
    assert said.startswith(f"What <@{scene.alice.id}> reads of it:\n**Hailuo 2.3")
    assert re.search(r"hold \$0.3294\n.*settle \$0.3294.*\n- <t:\d+:T> refund \$0.28\n", said)
    assert said.endswith("**At MindVideo**\n- step 1 queued\\: now queued")


async def test_the_member_reads_of_the_refund_too(scene: Scene) -> None:
    await scene.succeeded()
    await refund(scene)
    said = told(await scene.alice.slash(scene.channel, "tasks show", task="task0001"))
    assert "refund $0.3294" in said
    assert "succeeded: $0\\.3294 refunded by an admin\\: it flickers" in said


async def test_show_hands_no_clip_over(scene: Scene) -> None:
    task = await scene.stranded()
    result = await scene.admin("tasks show", task=task.id)
    assert "**Ledger**" in told(result)
    assert result.response.attachments == []
    assert scene.clip(task).exists()
    assert (await scene.task()).state is TaskState.SUCCEEDED


# ----------------------------------------------------------------------- cancel


async def test_cancelled_the_hold_is_released_and_the_member_reads_why(scene: Scene) -> None:
    await scene.video()
    said = await cancel(scene, " task0001 ", "it is\n@everyone off topic")
    assert said.startswith(f"Cancelled `task0001` of <@{scene.alice.id}>; $0.3294 was given back.")
    assert await kinds(scene) == ["hold", "release"]
    await scene.pass_time(EDIT_SECONDS)
    await scene.redraw()
    assert drawn(scene).startswith(
        "🚫 Cancelled by an admin\\: it is \\@everyone off topic. $0.3294 was given back."
    )
    assert await audited(scene) == [
        (
            "tasks cancel",
            f"task0001 of <@{scene.alice.id}>",
            "held: $0.3294",
            "cancelled",
            "it is @everyone off topic",
        )
    ]


async def test_what_waits_for_approval_can_be_cancelled(scene: Scene) -> None:
    await scene.video()
    await scene.app.database.write(lambda tx: tx.run("UPDATE tasks SET approval_until = 1, due_at = NULL"))
    assert "· waiting for approval ·" in await find(scene)
    assert "was given back" in await cancel(scene)
    assert (await scene.task()).approval_until is None


async def test_its_pictures_are_removed_with_the_last_clip_of_the_command(scene: Scene) -> None:
    await scene.video("image", first_frame=("boat.png", picture()), count=2)
    first, second = await scene.tasks()
    await cancel(scene, first.id)
    assert len(scene.files()) == 1
    await cancel(scene, second.id)
    assert scene.files() == []


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (TaskState.QUEUED, "already with its provider, which cannot stop it and bills for it"),
        (TaskState.PARKED, "nobody knows yet whether its provider bills for it"),
        (TaskState.SUCCEEDED, "already finished and paid. `/admin tasks refund`"),
        (TaskState.CANCELLED, "already ended (cancelled); nothing is held"),
    ],
)
async def test_what_cannot_be_cancelled_is_refused_with_the_reason(
    scene: Scene, state: TaskState, why: str
) -> None:
    await bring(scene, state)
    before = await kinds(scene)
    assert why in await cancel(scene)
    assert (await scene.task()).state is state
    assert (await kinds(scene), await audited(scene)) == (before, [])


async def test_a_task_sent_in_the_same_moment_is_not_cancelled(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.video()
    end = TaskStore.end

    async def late(store: TaskStore, task: Task, *args: Any, **options: Any) -> None:
        await store.begin_submit(task, b"{}", scene.now())
        await end(store, task, *args, **options)

    monkeypatch.setattr(TaskStore, "end", late)
    assert "already with its provider" in await cancel(scene)
    assert (await kinds(scene), await audited(scene)) == (["hold"], [])


async def bring(scene: Scene, state: TaskState) -> None:
    """A task of Alice's in that state."""
    match state:
        case TaskState.SUCCEEDED:
            await scene.succeeded()
        case TaskState.QUEUED:
            await scene.accepted()
        case TaskState.PARKED:
            await scene.app.tasks.park(await scene.accepted(), scene.now(), due_at=None, note="lost")
        case TaskState.FAILED | TaskState.CANCELLED:
            await scene.video()
            await scene.app.tasks.end(await scene.task(), state, scene.now(), note="over")
        case _:
            await scene.video()


# ----------------------------------------------------------------------- refund


async def test_a_refund_is_an_entry_of_its_own_and_says_what_it_means(scene: Scene) -> None:
    await delivered(scene)
    said = await refund(scene)
    assert said.startswith(f"Refunded $0.3294 of $0.3294 for `task0001` of <@{scene.alice.id}>.")
    assert "own limits have that room again, for the day and month in which the clip was asked for" in said
    assert "budgets of this server, the operator and the provider still count it" in said
    entry = (await scene.app.ledger.of_task("task0001"))[-1]
    assert (entry.kind, entry.held_micros, entry.spent_micros, entry.refunded_micros) == (
        "refund",
        0,
        0,
        329_400,
    )
    assert await audited(scene) == [
        (
            "tasks refund",
            f"task0001 of <@{scene.alice.id}>",
            "booked: $0.3294",
            "refunded: $0.3294",
            "it flickers",
        )
    ]


async def test_the_member_has_the_room_again_under_the_servers_limits(scene: Scene) -> None:
    limit = Limit(Scope.MEMBER, Period.DAY, 400_000, server_id=scene.guild.id)
    await LimitStore(scene.app.database).put(limit, Deed(scene.guild.id, scene.carol.id, "limits set"), 0)
    await scene.succeeded()
    assert "this server's limit for each member for one day" in told(await scene.video())
    await refund(scene)
    await scene.video()
    second = (await scene.tasks())[1]
    await cancel(scene, second.id)
    said = told(await scene.alice.slash(scene.channel, "usage"))
    assert "**Today**: $0.3294 spent, $0.3294 of it refunded, $0.00 held" in said


async def test_no_refund_gives_room_under_the_operators_limit(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=400_000) as scene:
        await scene.succeeded()
        await refund(scene)
        assert "your limit for one day" in told(await scene.video())
        assert len(await scene.tasks()) == 1


async def test_a_cost_without_a_clip_can_be_refunded(scene: Scene) -> None:
    await bring(scene, TaskState.PARKED)
    await scene.app.tasks.end(
        await scene.task(), TaskState.FAILED, scene.now(), note="billed all the same", cost_micros=200_000
    )
    assert "Refunded $0.20 of $0.20" in await refund(scene)


@pytest.mark.parametrize(
    ("amount", "why"),
    [
        ("0", "`amount` was $0.00"),
        ("0.0000001", "with six digits after the dot at most"),
        ("-1", "found '-1', need dollars such as 2 or 0.50"),
        ("much", "found 'much', need dollars"),
        ("1e3", "need dollars"),
        ("999999999999", "is not an amount of money"),
        ("0.329401", "cost $0.3294, less than $0.329401. Name at most what it cost"),
    ],
)
async def test_an_amount_that_makes_no_sense_is_refused(scene: Scene, amount: str, why: str) -> None:
    await delivered(scene)
    assert why in await refund(scene, amount=amount)
    assert (await kinds(scene), await audited(scene)) == (["hold", "settle"], [])


async def test_a_second_refund_is_refused_with_the_firsts_amount(scene: Scene) -> None:
    await delivered(scene)
    await refund(scene, amount="$0.10")
    assert "has been refunded already: $0.10 of $0.3294" in await refund(scene)
    assert await kinds(scene) == ["hold", "settle", "refund"]
    assert len(await audited(scene)) == 1


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (TaskState.HELD, "$0.3294 is held. `/admin tasks cancel` gives that back."),
        (TaskState.QUEUED, "Once it is ready and its cost is booked"),
        (TaskState.PARKED, "the operator finds out what it cost, with `conch tasks`"),
        (TaskState.FAILED, "cost nothing: it is failed, and what was held for it was given back"),
    ],
)
async def test_what_has_no_cost_is_not_refunded(scene: Scene, state: TaskState, why: str) -> None:
    await bring(scene, state)
    before = await kinds(scene)
    assert why in await refund(scene)
    assert (await kinds(scene), await audited(scene)) == (before, [])


async def test_a_free_task_is_not_refunded(open_bot: Open) -> None:
    async with open_bot(providers=("sandbox",)) as scene:
        await scene.succeeded()
        assert "`task0001` was free: there is nothing to refund." in await refund(scene)
        assert await kinds(scene) == ["hold", "settle"]


# ------------------------------------------------------------- who, and whose


@pytest.mark.parametrize("ask", [cancel, refund])
async def test_a_reason_of_blanks_is_refused(scene: Scene, ask: Any) -> None:
    await delivered(scene)
    assert "The reason is empty." in await ask(scene, reason=" \n ")
    assert await kinds(scene) == ["hold", "settle"]


@pytest.mark.parametrize("ask", [show, cancel, refund])
@pytest.mark.parametrize("task_id", ["task0001", "zzz", "' OR 1=1 --", "x" * 100])
async def test_another_servers_task_is_as_unknown_as_none(scene: Scene, ask: Any, task_id: str) -> None:
    there = await scene.elsewhere()
    await there.eve.slash(there.channel, "video text", prompt="a whale")
    assert await ask(scene, task_id) == UNKNOWN
    task = await scene.app.tasks.get("task0001")
    assert task is not None
    assert (task.state, await kinds(scene), await audited(scene)) == (TaskState.HELD, ["hold"], [])


async def test_another_servers_tasks_are_neither_found_nor_suggested(scene: Scene) -> None:
    there = await scene.elsewhere()
    await there.alice.slash(there.channel, "video text", prompt="a whale")
    assert ids(await find(scene)) == ids(await find(scene, member=scene.alice.user)) == []
    assert [await offered(scene, command) for command in ("show", "cancel", "refund")] == [[], [], []]


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("find", {}),
        ("show", {"task": ID}),
        ("cancel", {"task": ID, "reason": REASON}),
        ("refund", {"task": ID, "reason": REASON}),
    ],
)
async def test_a_member_without_the_right_gets_nowhere(
    scene: Scene, command: str, options: dict[str, Any]
) -> None:
    await scene.video()
    result = await scene.raw(f"admin tasks {command}", member=scene.alice, **options)
    assert "Manage Server" in words(result)
    assert "task0001" not in words(result)
    assert (await kinds(scene), await audited(scene)) == (["hold"], [])


# ----------------------------------------------------------------- autocomplete


async def test_each_command_is_offered_what_it_can_take(scene: Scene) -> None:
    await scene.succeeded()
    await scene.video()
    assert await offered(scene, "show") == ["task0002", "task0001"]
    assert await offered(scene, "cancel") == ["task0002"]
    assert await offered(scene, "refund") == ["task0001"]
    await refund(scene)
    assert await offered(scene, "refund") == []
    assert await offered(scene, "show", "SUCCEEDED") == ["task0001"]


@pytest.mark.parametrize("command", ["show", "cancel", "refund"])
async def test_a_member_without_the_right_is_offered_nothing(scene: Scene, command: str) -> None:
    await delivered(scene)
    await scene.video()
    focused = {"name": "task", "type": 3, "value": "", "focused": True}
    leaf = [{"name": "tasks", "type": 2, "options": [{"name": command, "type": 1, "options": [focused]}]}]
    root = scene.env.backend.find_command("admin", scene.guild.id, type=1)
    data = {"id": root["id"], "name": "admin", "type": 1, "options": leaf}
    for member, offered_any in ((scene.alice, False), (scene.carol, True)):
        result = await scene.emit(AUTOCOMPLETE, data, member=member)
        assert bool(result.autocomplete_choices) is offered_any
