"""`/tasks`: a member's own tasks and nobody else's, their whole history, and a stranded clip handed over."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
import simcord
from simcord.interactions import base_payload

from bot.domain.catalog import Mode
from bot.domain.errors import NotAVideo
from bot.domain.language import kept
from bot.domain.ports import ProviderEvent
from bot.domain.search import Booked, Found, Search, Stage
from bot.domain.task import LedgerEntry, Task, TaskEvent, TaskState
from bot.media import clips
from cogs import replies
from cogs.own_list import OWN, line
from cogs.pages import Turn
from tests.cogs.fixtures import Open
from tests.cogs.forging import press
from tests.cogs.languages import speak_everywhere
from tests.cogs.pictures import picture
from tests.cogs.scene import Scene, says, told
from tests.media.reaping import until
from tests.posting.test_texts import CATALOG, a_task

MIB = 2**20


async def listed(scene: Scene, member: Any = None, **options: Any) -> str:
    return page(await (member or scene.alice).slash(scene.channel, "tasks list", **options))


def page(result: Any) -> str:
    """All that a page of the list says."""
    return "\n".join([told(result), *(embed.description for embed in result.response.embeds)])


async def show(scene: Scene, task_id: str = "task0001", member: Any = None) -> Any:
    return await (member or scene.alice).slash(scene.channel, "tasks show", task=task_id)


async def cancel(scene: Scene, task_id: str = "task0001", member: Any = None) -> str:
    return told(await (member or scene.alice).slash(scene.channel, "tasks cancel", task=task_id))


async def offered(scene: Scene, typed: str = "", command: str = "show", member: Any = None) -> list[Any]:
    return list(await (member or scene.alice).autocomplete(scene.channel, f"tasks {command}", "task", typed))


# ------------------------------------------------------------------------- list


async def test_a_member_without_clips_is_told_how_to_make_one(scene: Scene) -> None:
    assert "`/video text` makes the first." in await listed(scene)


async def test_the_list_shows_the_newest_first_with_state_and_price(scene: Scene) -> None:
    await scene.accepted()
    await scene.video(format="hailuo-02/5/768p")
    newest, oldest = (await listed(scene)).split("\n- ")[1:]
    assert "Hailuo 02 · 5 s · 768p · text · $0.225 held\n  ⏳ Waiting, next in line." in newest
    assert "cancelling is free" in newest
    assert "Hailuo 2.3 · 6 s · 768p · text · $0.3294 held\n  🕒 In MindVideo's queue" in oldest


async def test_the_list_shows_nobody_elses_tasks(scene: Scene) -> None:
    await scene.video()
    assert "task0001" not in await listed(scene, scene.bob)


async def test_the_list_shows_no_tasks_of_another_server(scene: Scene) -> None:
    await scene.video()
    elsewhere = scene.env.create_guild("Lagoon")
    channel = elsewhere.create_text_channel("clips")
    there = elsewhere.add_member(scene.alice.user)
    assert "task0001" not in told(await there.slash(channel, "tasks list"))


@pytest.mark.parametrize("state", TaskState)
def test_ten_of_the_longest_lines_fit_into_an_embed(state: TaskState) -> None:
    task = a_task(
        id="x" * 16,
        state=state,
        mode=Mode.TRANSITION,
        problem="*" * 400,
        message_id=2**63,
        price_micros=329_400,
    )
    one = Found(
        replace(task, channel_id=2**63, message_channel_id=2**63, server_id=2**63), Booked(10**9, 10**9)
    )
    longest = line(one, CATALOG, {task.id: 10**6}, paused="*" * 300)
    assert 10 * len(longest) + 9 <= 4096


def test_a_reason_is_whole_where_there_is_room() -> None:
    reason = "the provider says that this picture " + "really " * 8 + "cannot begin a video"
    one = Found(a_task(state=TaskState.FAILED, problem=reason), Booked())
    assert f"{reason[1:]}." in line(one, CATALOG, {}, paused=None)


async def fill(scene: Scene, clips: int) -> None:
    for number in range(0, clips, 4):
        await scene.video(count=min(4, clips - number))
        await scene.pass_time(1)


def ids(words: str) -> list[str]:
    return re.findall(r"`(task\d+)`", words)


def names(newest: int, oldest: int) -> list[str]:
    return [f"task{number:04}" for number in range(newest, oldest - 1, -1)]


def labels(result: Any) -> list[str]:
    return [button["label"] for row in result.response.components for button in row["components"]]


async def test_pages_of_ten_go_there_and_back_in_place(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=10**9) as scene:
        await fill(scene, 23)
        first = await scene.alice.slash(scene.channel, "tasks list")
        assert (ids(page(first)), labels(first)) == (names(23, 14), ["Older"])
        await scene.restart()
        second = await scene.alice.click(first.response, label="Older")
        assert (ids(page(second)), labels(second)) == (names(13, 4), ["Newer", "Older"])
        third = await scene.alice.click(second.response, label="Older")
        assert (ids(page(third)), labels(third)) == (names(3, 1), ["Newer"])
        back = await scene.alice.click(third.response, label="Newer")
        assert ids(page(back)) == names(13, 4)


async def test_the_buttons_keep_the_filters(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=10**9) as scene:
        await fill(scene, 12)
        await cancel(scene, "task0001")
        first = await scene.alice.slash(scene.channel, "tasks list", state="waiting", mode="text")
        second = await scene.alice.click(first.response, label="Older")
        assert told(second) == "Newest first: your videos here · waiting · from a prompt."
        assert ids(page(second)) == ["task0002"]


async def test_the_list_is_filtered_by_state_and_mode(scene: Scene) -> None:
    await scene.video()
    await cancel(scene)
    await scene.video("image", first_frame=("a.png", picture()))
    assert ids(await listed(scene, state="cancelled")) == ["task0001"]
    assert ids(await listed(scene, mode="image")) == [(await scene.tasks())[-1].id]
    nothing = await listed(scene, state="cancelled", mode="image")
    assert nothing == "Nothing was found. Looked for: your videos here · cancelled · from a first frame."


@pytest.mark.parametrize("option", ["state", "mode"])
async def test_a_filter_that_is_no_choice_is_refused_with_those_there_are(scene: Scene, option: str) -> None:
    said = told(await scene.raw("tasks list", **{option: (3, "@everyone")}))
    assert rf"There is no {option} \@everyone. Choose one of: " in said


async def test_a_line_says_what_it_cost_and_what_was_refunded(scene: Scene) -> None:
    await scene.succeeded()
    await scene.admin("tasks refund", task="task0001", reason="it flickers", amount="0.10")
    assert "text · $0.3294, refund $0.10\n" in await listed(scene)


async def test_a_line_links_to_the_clip(scene: Scene) -> None:
    task = await scene.succeeded()
    await scene.app.tasks.delivered(
        task, scene.now(), channel_id=scene.channel.id, message_id=77, note="posted"
    )
    assert f"✅ Ready: https://discord.com/channels/{scene.guild.id}/{scene.channel.id}/77" in await listed(
        scene
    )


async def test_whoever_clicks_sees_the_own_tasks_alone(scene: Scene) -> None:
    await scene.video()
    await scene.video()
    click = f"conch:own:older:any:any:{10**13}:task0002"
    assert ids(page(await press(scene, click))) == ["task0001"]
    there = await press(scene, click, scene.bob)
    assert told(there) == "You have made no clips here yet. `/video text` makes the first."
    await scene.bob.slash(scene.channel, "video text", prompt="bob's own")
    there = await press(scene, click, scene.bob)
    assert (ids(page(there)), labels(there)) == (["task0003"], [])


async def test_a_click_shows_no_tasks_of_another_server(scene: Scene) -> None:
    there = await scene.elsewhere()
    await there.alice.slash(there.channel, "video text", prompt="a whale")
    await scene.video()
    assert ids(page(await press(scene, f"conch:own:older:any:any:{10**13}:task0001"))) == ["task0002"]


def test_the_longest_search_fits_into_a_buttons_id() -> None:
    search = Search(0, 10**14 - 1, 2**63, Stage.CANCELLED, mode=Mode.TRANSITION)
    assert len(OWN.write(Turn(search, "x" * 25, newer=True))) <= 100


async def test_the_list_offers_a_clip_that_could_be_posted_nowhere(scene: Scene) -> None:
    task = await scene.stranded()
    assert f"📦 It is ready but could not be posted. `/tasks show task:{task.id}`" in await listed(scene)


# ------------------------------------------------------------------------- show


async def test_show_tells_states_ledger_and_the_providers_own_history(scene: Scene) -> None:
    await scene.accepted()
    words = told(await show(scene))
    assert re.search(r"\*\*Ledger\*\*\n- <t:\d+:T> hold \$0.3294", words)
    assert re.search(
        r"held: price held, .*\n- <t:\d+:T> submitting: .*\n- <t:\d+:T> queued: accepted as", words
    )
    assert words.endswith("**At MindVideo**\n- step 1 queued\\: now queued")


async def test_show_tells_what_was_settled(scene: Scene) -> None:
    await scene.succeeded()
    assert "settle $0.3294 (of $0.3294 held)" in told(await show(scene))


async def test_show_tells_what_was_given_back(scene: Scene) -> None:
    await scene.video()
    await cancel(scene)
    assert "release $0.3294" in told(await show(scene))


async def test_a_provider_without_a_history_does_not_spoil_the_answer(
    open_bot: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bot(providers=("sandbox",)) as scene:
        await scene.video()
        await scene.app.database.write(lambda tx: tx.run("UPDATE tasks SET job_id = 'sandbox-gone'"))
        words = told(await show(scene))
    assert "**Ledger**" in words
    assert "not readable just now" in words


@pytest.mark.parametrize("task_id", ["task0001", "zzz", "' OR 1=1 --", "`@everyone`", "x" * 100])
async def test_other_members_and_unknown_ids_are_refused_alike(scene: Scene, task_id: str) -> None:
    await scene.video()
    refusal = "There is no such task of yours here. `/tasks list` shows the ones you have."
    assert told(await show(scene, task_id, scene.bob)) == refusal
    assert await cancel(scene, task_id, scene.bob) == refusal


async def test_an_own_task_of_another_server_is_refused(scene: Scene) -> None:
    await scene.video()
    elsewhere = scene.env.create_guild("Lagoon")
    channel = elsewhere.create_text_channel("clips")
    there = elsewhere.add_member(scene.alice.user)
    assert "no such task" in told(await there.slash(channel, "tasks show", task="task0001"))
    assert "no such task" in told(await there.slash(channel, "tasks cancel", task="task0001"))


async def test_blanks_around_an_id_do_no_harm(scene: Scene) -> None:
    await scene.video()
    assert "Cancelled" in await cancel(scene, " task0001 ")


def test_a_long_history_fits_with_its_ledger_and_both_its_ends() -> None:
    events = [TaskEvent(number, TaskState.HELD, f"{number} " + "*" * 400) for number in range(100)]
    entries = [LedgerEntry("hold", 329_400, 0, 0, 1), LedgerEntry("settle", -329_400, 329_400, 0, 2)]
    theirs = [ProviderEvent("_" * 40, "`" * 120)] * 20
    task = a_task(prompt="*" * 2000, state=TaskState.PARKED, problem="_" * 400, camera="Tracking shot")
    words = replies.task_history(task, CATALOG, events, entries, theirs)
    assert len(words) <= 2000
    assert "settle $0.3294" in words
    assert "held: 0 " in words
    assert "- … 92 more" in words
    assert "held: 99 " in words
    assert "**At MindVideo**" in words


# ---------------------------------------------------------------------- handing


async def test_a_stranded_clip_is_handed_over_and_then_counts_as_delivered(scene: Scene) -> None:
    task = await scene.stranded()
    result = await show(scene)
    assert told(result).startswith("Here is your clip. Save it: Discord forgets this answer.")
    assert [file.filename for file in result.response.attachments] == ["conch-task0001.mp4"]
    assert (await scene.task()).state is TaskState.DELIVERED
    assert not scene.clip(task).exists()


async def test_nobody_else_is_handed_the_clip(scene: Scene) -> None:
    task = await scene.stranded()
    await show(scene, member=scene.bob)
    assert (await scene.task()).state is TaskState.SUCCEEDED
    assert scene.clip(task).exists()


async def test_a_clip_that_discord_does_not_take_stays(scene: Scene) -> None:
    scene.expects_bugs = True
    task = await scene.stranded()
    scene.env.inject_error("PATCH", "/webhooks/*/messages/@original", status=503)
    await show(scene)
    assert (await scene.task()).state is TaskState.SUCCEEDED
    assert scene.clip(task).exists()


def enlarge(path: Path) -> None:
    with path.open("wb") as clip:
        clip.truncate(26 * MIB)


@pytest.mark.parametrize("length", [10, 4000])
async def test_a_clip_too_large_is_handed_over_as_a_link_and_stays(scene: Scene, length: int) -> None:
    task = await scene.stranded()
    link = "https://cdn.example/" + "x" * length
    await scene.app.tasks.new_link(task, link, scene.now() + 60_000)
    enlarge(scene.clip(task))
    result = await show(scene)
    assert told(result).startswith("The clip is too large for Discord; get it from the provider until <t:")
    files = [scene.env.backend.cdn.get(file.url).decode() for file in result.response.attachments]
    assert link in [*files, *re.findall(r"https://cdn\.example/x+", told(result))]
    assert (await scene.task()).state is TaskState.SUCCEEDED


async def test_a_large_clip_without_a_link_is_the_operators_to_give(scene: Scene) -> None:
    task = await scene.stranded()
    await scene.app.tasks.new_link(task, "file:///sandbox/clip.mp4", None)
    enlarge(scene.clip(task))
    words = told(await show(scene))
    assert words.startswith("The clip is too large for Discord; the operator has it")
    assert "file:" not in words


async def test_a_clip_too_large_for_the_answer_is_made_smaller(scene: Scene, real_clip: bytes) -> None:
    task = await scene.stranded()
    scene.clip(task).write_bytes(real_clip)
    scene.env.inject_error("PATCH", "/webhooks/*/messages/@original", status=413, code=40005)
    result = await show(scene)
    (file,) = result.response.attachments
    assert len(scene.env.backend.cdn.get(file.url)) <= len(real_clip) // 2
    assert "-# Made smaller to fit. The original at the provider until <t:" in told(result)
    assert (await scene.task()).state is TaskState.DELIVERED
    assert scene.files() == []


def ask(scene: Scene, task: Task) -> simcord.InteractionResult:
    """`/tasks show` without waiting for the answer."""
    command = scene.env.backend.find_command("tasks", scene.guild.id, type=1)
    options = [{"name": "show", "type": 1, "options": [{"name": "task", "type": 3, "value": task.id}]}]
    record, payload = base_payload(
        scene.env.backend,
        type=2,
        channel_id=scene.channel.id,
        guild_id=scene.guild.id,
        user_id=scene.alice.id,
        data={"id": command["id"], "name": "tasks", "type": 1, "options": options},
    )
    scene.env.backend.emit("INTERACTION_CREATE", payload)
    return simcord.InteractionResult(scene.env, record)


async def test_a_clip_asked_for_twice_is_made_ready_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await scene.stranded()
    asked: list[simcord.InteractionResult] = []

    async def slow(_: Path) -> NoReturn:
        await until(lambda: any(one.response and "already" in one.response.content for one in asked))
        raise NotAVideo("found something else")

    monkeypatch.setattr(clips, "probe", slow)
    asked += [ask(scene, task), ask(scene, task)]
    await scene.env.settle()
    assert sorted(told(one)[:28] for one in asked) == [
        "Here is your clip. Save it: ",
        "This clip is being made read",
    ]


async def test_an_own_link_is_handed_over_where_there_is_an_outside(open_bot: Open) -> None:
    async with open_bot(public_url="https://bot.example") as scene:
        task = await scene.stranded()
        enlarge(scene.clip(task))
        words = told(await show(scene))
        assert words.startswith("The clip is too large for Discord; get it here until <t:")
        assert f"https://bot.example/clips/{task.id}/" in words
        assert scene.clip(task).exists()


async def test_a_stranded_clip_whose_file_is_gone_is_only_told_of(scene: Scene) -> None:
    task = await scene.stranded()
    scene.clip(task).unlink()
    result = await show(scene)
    assert result.response.attachments == []
    assert "**Ledger**" in told(result)


# ----------------------------------------------------------------------- cancel


async def test_cancel_gives_the_price_back_and_redraws_the_message(scene: Scene) -> None:
    await scene.video()
    assert await cancel(scene) == "Cancelled; nothing was spent. `task0001`"
    await scene.pass_time(3)
    await scene.redraw()
    assert says(scene.shown()[0]).startswith("🚫 Cancelled by the member. $0.3294 was given back.")


async def test_cancel_after_the_submit_says_that_it_is_billed(scene: Scene) -> None:
    await scene.accepted()
    assert "cannot stop it and bills for it" in await cancel(scene)


# ----------------------------------------------------------------- autocomplete


async def test_own_tasks_are_offered_with_their_words_and_ids(scene: Scene) -> None:
    await scene.video(prompt="a whale\nsings")
    (choice,) = await offered(scene)
    assert choice == {
        "name": "held · Hailuo 2.3 · 6 s · 768p · a whale sings · task0001",
        "value": "task0001",
    }
    assert await offered(scene, member=scene.bob) == []


async def test_a_task_is_found_by_its_id_behind_a_long_prompt(scene: Scene) -> None:
    await scene.video(prompt="w" * 500)
    (choice,) = await offered(scene, "TASK0001")
    assert len(choice["name"]) == 100


async def test_only_tasks_that_go_on_are_offered_for_cancelling(scene: Scene) -> None:
    await scene.video(prompt="first")
    await cancel(scene)
    await scene.video(prompt="second")
    assert [choice["value"] for choice in await offered(scene, command="cancel")] == ["task0002"]
    assert len(await offered(scene, command="show")) == 2


async def test_at_most_25_tasks_are_offered(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=10**9) as scene:
        for _ in range(7):
            await scene.video(count=4)
        assert len(await offered(scene)) == 25


async def test_a_reason_that_is_cut_is_told_in_the_readers_language(scene: Scene) -> None:
    speak_everywhere(scene, "de")
    inner = kept("direct messages are closed to the bot ({reasons})", reasons="403 Forbidden " * 20)
    note = kept("kept, offered in /tasks list: {error}", error=inner)
    await scene.app.tasks.end(await scene.accepted(), TaskState.FAILED, scene.now(), note=note)
    listed = await scene.alice.slash(scene.channel, "tasks list")
    words = str(listed.response.embeds[0].description)
    assert "…" in words
    assert "closed to the bot" not in words
    assert "Direktnachrichten" in words


@pytest.mark.parametrize("path", ["tasks show", "tasks cancel"])
async def test_half_a_character_is_no_task(path: str, scene: Scene) -> None:
    result = await scene.raw(path, task=(3, "\ud800"))
    assert "There is no such task" in str(result.response.content)
