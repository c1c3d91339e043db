"""`/admin approvals`, and the clicks of moderators: decided once, by those who may, in their own server."""

import copy
from typing import Any

import pytest

from bot.domain.task import TaskState
from bot.posting.board import EDIT_SECONDS
from bot.posting.texts import message_link
from storage.audit import AuditStore
from tests.cogs.moderators import (
    DAY,
    HOUR,
    asked,
    asking,
    click,
    decline,
    labels,
    moderators_channel,
    said,
    tell,
)
from tests.cogs.overrides import override
from tests.cogs.pictures import picture
from tests.cogs.scene import Scene, drawn, told
from tests.cogs.test_buttons import press

PRICE = 329_400


async def audit(scene: Scene) -> list[Any]:
    """The newest first."""
    return [entry.deed for entry in await AuditStore(scene.app.database).of_server(scene.guild.id, limit=9)]


async def states(scene: Scene) -> list[str]:
    return [task.state.value for task in await scene.tasks()]


async def events(scene: Scene) -> list[str]:
    return [event.note for event in await scene.app.tasks.events((await scene.task()).id)]


def bearing(scene: Scene, custom_id: str) -> Any:
    """A message with a button that the bot never made."""
    message = copy.copy(scene.shown()[0])
    button = {"type": 2, "style": 1, "label": "Approve", "custom_id": custom_id}
    message.components = [{"type": 1, "components": [button]}]
    return message


# --------------------------------------------------------------------- command


async def test_from_then_on_dear_clips_wait_and_cheap_ones_do_not(scene: Scene) -> None:
    channel = moderators_channel(scene)
    said_ = told(await scene.admin("approvals", above="0.30", channel=channel, hours=2))
    assert f"more than $0.30 now waits for a click in <#{channel.id}>, 2 hours at most" in said_
    await scene.video()
    await scene.video(format="hailuo-02/5/768p")
    await scene.step(2)
    dear, cheap = await scene.tasks()
    assert (dear.state, dear.approval_until) == (TaskState.HELD, dear.created_at + 2 * 3_600_000)
    assert cheap.state is TaskState.QUEUED
    assert len(scene.standin.requests) >= 1


async def test_a_price_just_as_high_does_not_wait(scene: Scene) -> None:
    await asking(scene, above="0.3294")
    assert (await scene.accepted()).state is TaskState.QUEUED


@pytest.mark.parametrize("above", [" ", "cheap", "-1", "0.5 dollars", "1e3", "nan"])
async def test_what_is_no_price_is_refused_with_what_is(scene: Scene, above: str) -> None:
    result = await scene.admin("approvals", above=above, channel=moderators_channel(scene))
    assert f"`above` was `{above.strip()}`. Give dollars such as `0.50`" in told(result)
    assert (await scene.accepted()).state is TaskState.QUEUED


async def test_without_any_channel_it_asks_for_one(scene: Scene) -> None:
    assert "Name one with `channel`; nothing was changed." in told(
        await scene.admin("approvals", above="0.10")
    )
    assert (await scene.accepted()).state is TaskState.QUEUED
    assert not await audit(scene)


async def test_a_known_channel_need_not_be_named_again(scene: Scene) -> None:
    channel = await asking(scene)
    assert f"<#{channel.id}>" in told(await scene.admin("approvals", above="$1"))


@pytest.mark.parametrize("right", ["view_channel", "send_messages", "attach_files", "read_message_history"])
async def test_a_channel_that_is_closed_to_the_bot_is_refused_with_what_it_lacks(
    scene: Scene, right: str
) -> None:
    channel = moderators_channel(scene, without=right)
    words = told(await scene.admin("approvals", above="0.10", channel=channel))
    assert f"the bot lacks: *{right.replace('_', ' ').title()}*" in words
    assert not await audit(scene)


async def test_a_known_channel_that_is_gone_is_refused(scene: Scene) -> None:
    channel = await asking(scene)
    scene.env.backend.delete_channel(channel.id)
    assert "is gone. Name another one" in told(await scene.admin("approvals", above="1"))


async def test_switched_off_new_clips_go_on_and_what_waits_still_waits(scene: Scene) -> None:
    await asked(scene)
    assert "Those that wait already go on waiting." in told(await scene.admin("approvals", above="Off"))
    await scene.video()
    await scene.step(2)
    assert await states(scene) == ["held", "queued"]


async def test_one_hour_is_not_called_hours(scene: Scene) -> None:
    channel = moderators_channel(scene)
    answer = told(await scene.admin("approvals", above="0.30", channel=channel, hours=1))
    assert f"<#{channel.id}>, 1 hour at most; then" in answer
    assert ", for 1 hour, in" in (await audit(scene))[0].after


async def test_the_audit_knows_before_and_after(scene: Scene) -> None:
    channel = await asking(scene)
    await scene.admin("approvals", above="off")
    off, on = await audit(scene)
    assert (on.actor_id, on.action, on.before) == (scene.carol.id, "approvals", "off, in no channel")
    assert on.after == off.before == f"above $0.10, for 24 hours, in <#{channel.id}>"


async def test_a_member_without_the_right_changes_nothing(scene: Scene) -> None:
    result = await scene.raw("admin approvals", member=scene.alice, above=(3, "0"))
    assert "Manage Server" in told(result)
    assert (await scene.accepted()).state is TaskState.QUEUED


async def test_another_server_goes_on(scene: Scene) -> None:
    there = await scene.elsewhere()
    await asking(scene)
    await there.eve.slash(there.channel, "video text", prompt="a whale")
    await scene.step()
    (task,) = await scene.app.tasks.of_member(there.eve.id, there.guild.id, limit=9)
    assert task.state is TaskState.QUEUED


# -------------------------------------------------------------------- question


async def test_moderators_see_all_they_need_and_nobody_is_pinged(scene: Scene) -> None:
    channel = await asked(scene, prompt="a *whale*", camera="Pan left", count=2)
    task, alice = (await scene.tasks())[0], f"<@{scene.alice.id}>"
    until = f"<t:{(task.approval_until or 0) // 1000}:f>"
    link = message_link(scene.guild.id, scene.channel.id, scene.shown()[0].id)
    assert said(scene, channel)[0].splitlines() == [
        f"✋ **Approval wanted** until {until}: {alice} asks for 2 clips, $0.6588 held.",
        "**Hailuo 2.3 · 6 s · 768p** · from a prompt",
        "> a \\*whale\\* [Pan left]",
        f"-# {alice} has spent $0.00 here this month · [progress]({link}) · `task0001` `task0002`",
    ]
    assert labels(scene, channel) == ["Approve", "Decline"]
    assert scene.sent("POST", f"/channels/{channel.id}/messages")[0].json["allowed_mentions"] == {"parse": []}


async def test_what_the_member_spent_this_month_stands_there(scene: Scene) -> None:
    await scene.succeeded()
    channel = await asked(scene)
    assert "has spent $0.3294 here this month" in said(scene, channel)[0]


async def test_the_pictures_are_attached_as_the_provider_would_get_them(scene: Scene) -> None:
    frames = {name: ("p.png", picture()) for name in ("first_frame", "last_frame")}
    channel = await asked(scene, "transition", **frames)
    names = [one["filename"] for one in scene.shown(channel)[0].attachments]
    assert names == ["first-frame.jpg", "last-frame.jpg"]


async def test_a_prompt_too_long_for_the_message_is_attached_whole(scene: Scene) -> None:
    prompt = "word " * 398 + "the end"
    channel = await asked(scene, prompt=prompt)
    (message,) = scene.shown(channel)
    assert len(message.content) < 2000
    (file,) = message.attachments
    assert scene.env.backend.cdn.get(file["url"]) == prompt.encode()


async def test_the_member_reads_until_when_it_waits_and_that_cancelling_is_free(scene: Scene) -> None:
    await asking(scene, hours=1)
    await scene.video()
    until = ((await scene.task()).approval_until or 0) // 1000
    assert drawn(scene).endswith(
        f"✋ Waits for a moderator's approval until <t:{until}:f>. $0.3294 is held; cancelling is free. `task0001`"
    )


async def test_who_waits_for_a_moderator_is_not_ahead_of_anybody(scene: Scene) -> None:
    await asking(scene, above="0.30")
    await scene.video()
    await scene.video(format="hailuo-02/5/768p")
    assert "Waiting, next in line." in drawn(scene)


# --------------------------------------------------------------------- approve


async def test_approved_it_is_made(scene: Scene) -> None:
    channel = await asked(scene)
    result = await click(scene, channel, "Approve")
    assert told(result) == f"Approved, to be made now: 1 clip of <@{scene.alice.id}>, $0.3294."
    await scene.step()
    assert await states(scene) == ["queued"]
    assert "approved by carol" in await events(scene)
    assert (await audit(scene))[0].action == "approvals approve"


async def test_the_question_then_says_who_approved_and_has_no_buttons(scene: Scene) -> None:
    channel = await asked(scene, "image", first_frame=("p.png", picture()))
    await click(scene, channel, "Approve")
    await tell(scene)
    assert said(scene, channel)[0].startswith(
        f"✅ **Approved** by <@{scene.carol.id}>: 1 clip of <@{scene.alice.id}>, $0.3294."
    )
    assert labels(scene, channel) == []
    assert scene.shown(channel)[0].attachments


async def test_the_progress_message_goes_on_from_there(scene: Scene) -> None:
    channel = await asked(scene)
    await scene.pass_time(EDIT_SECONDS)
    await click(scene, channel, "Approve")
    await scene.redraw()
    assert "Waiting, next in line." in drawn(scene)


async def test_four_clips_of_a_command_are_one_question_and_one_click(scene: Scene) -> None:
    channel = await asked(scene, count=4)
    assert len(said(scene, channel)) == 1
    await click(scene, channel, "Approve")
    assert [task.approval_until for task in await scene.tasks()] == [None] * 4


async def test_approved_in_a_paused_server_it_waits_for_the_end_of_the_pause(scene: Scene) -> None:
    channel = await asked(scene)
    await scene.admin("pause", reason="counting")
    assert "once `/admin resume` ends the pause" in told(await click(scene, channel, "Approve"))
    await scene.step()
    assert await states(scene) == ["held"]
    await scene.admin("resume")
    await scene.step()
    assert await states(scene) == ["queued"]


# --------------------------------------------------------------------- decline


async def test_declined_nothing_is_spent_and_the_member_reads_why(scene: Scene) -> None:
    channel = await asked(scene, "image", first_frame=("p.png", picture()))
    await scene.pass_time(EDIT_SECONDS)
    words = told(await decline(scene, channel, "no *whales*\nhere"))
    assert "Declined: 1 clip" in words
    assert await states(scene) == ["cancelled"]
    assert await scene.spent_and_held() == (0, 0)
    assert scene.files() == []
    await scene.redraw()
    assert drawn(scene) == (
        "🚫 A moderator declined it\\: no \\*whales\\* here. $0.3294 was given back. "
        f"`{(await scene.task()).id}`"
    )


async def test_the_question_then_says_who_declined_and_why_without_the_pictures(scene: Scene) -> None:
    channel = await asked(scene, "image", first_frame=("p.png", picture()))
    await decline(scene, channel, "too many whales!")
    await tell(scene)
    head = said(scene, channel)[0].splitlines()[0]
    assert head.startswith(f"🚫 **Declined** by <@{scene.carol.id}>: 1 clip of <@{scene.alice.id}>, $0.3294.")
    assert head.endswith("Reason: too many whales! Nothing was spent.")
    assert (labels(scene, channel), scene.shown(channel)[0].attachments) == ([], [])


async def test_a_reason_is_not_needed(scene: Scene) -> None:
    channel = await asked(scene)
    await decline(scene, channel)
    await tell(scene)
    assert (await scene.task()).problem == "a moderator declined it"
    assert "Reason" not in said(scene, channel)[0]
    deed = (await audit(scene))[0]
    assert (deed.action, deed.before, deed.reason) == ("approvals decline", "$0.3294", "")


# ------------------------------------------------------------- once and for all


async def test_a_second_click_says_who_was_first(scene: Scene) -> None:
    channel = await asked(scene)
    dave = scene.guild.add_member(scene.env.create_user("dave"), roles=[scene.bosses])
    await click(scene, channel, "Approve")
    await scene.step()
    assert f"<@{scene.carol.id}> has approved it already." in told(
        await click(scene, channel, "Approve", dave)
    )
    assert f"<@{scene.carol.id}> has approved it already." in told(
        await click(scene, channel, "Decline", dave)
    )
    assert await states(scene) == ["queued"]
    assert len(await audit(scene)) == 2


async def test_of_two_moderators_with_the_modal_open_the_first_decides(scene: Scene) -> None:
    channel = await asked(scene)
    dave = scene.guild.add_member(scene.env.create_user("dave"), roles=[scene.bosses])
    shown = await click(scene, channel, "Decline", dave)
    await click(scene, channel, "Approve")
    (field,) = [part for row in shown.modal["components"] for part in row["components"]]
    late = await dave.submit_modal(shown, {field["custom_id"]: "no"})
    assert "has approved it already. Nothing was changed." in told(late)
    assert await states(scene) == ["held"]
    assert await scene.spent_and_held() == (0, PRICE)


async def test_the_buttons_work_after_a_restart(scene: Scene) -> None:
    channel = await asked(scene)
    await scene.restart()
    assert "Approved" in told(await click(scene, channel, "Approve"))
    await tell(scene)
    assert said(scene, channel)[0].startswith("✅")


@pytest.mark.parametrize("label", ["Approve", "Decline"])
async def test_a_member_without_the_right_decides_nothing(scene: Scene, label: str) -> None:
    channel = await asked(scene)
    result = await click(scene, channel, label, scene.alice)
    assert "Manage Server" in told(result)
    assert result.modal is None
    assert (await scene.task()).approval_until is not None


async def test_who_lost_the_right_before_sending_the_modal_decides_nothing(scene: Scene) -> None:
    channel = await asked(scene)
    shown = await click(scene, channel, "Decline")
    (field,) = [part for row in shown.modal["components"] for part in row["components"]]
    await override(scene, {scene.bosses: False})
    assert "Manage Server" in told(await scene.carol.submit_modal(shown, {field["custom_id"]: "no"}))
    assert await states(scene) == ["held"]


@pytest.mark.parametrize("kind", ["approve", "decline"])
async def test_another_servers_admin_decides_nothing_here(scene: Scene, kind: str) -> None:
    there = await scene.elsewhere()
    view = copy.copy(scene)
    view.guild, view.channel = there.guild, there.channel
    await asked(scene)
    custom_id = f"conch:{kind}:{(await scene.task()).interaction_id}"
    result = await press(view, custom_id, there.dora, bearing(scene, custom_id))
    assert "no such question in this server" in told(result)
    assert (await scene.task()).approval_until is not None


@pytest.mark.parametrize("number", ["1", "8999999999999999999"])
@pytest.mark.parametrize("kind", ["approve", "decline"])
async def test_a_made_up_question_is_refused(scene: Scene, kind: str, number: str) -> None:
    await asked(scene)
    custom_id = f"conch:{kind}:{number}"
    result = await press(scene, custom_id, scene.carol, bearing(scene, custom_id))
    assert "no such question in this server" in told(result)
    assert (await scene.task()).approval_until is not None


@pytest.mark.parametrize("number", ["9999999999999999999", "-1", "1; DROP TABLE tasks", ""])
async def test_what_is_no_id_is_no_button(scene: Scene, number: str) -> None:
    await asked(scene)
    custom_id = f"conch:approve:{number}"
    result = await press(scene, custom_id, scene.carol, bearing(scene, custom_id))
    assert not result.acknowledged


# ------------------------------------------------- cancelled, or nobody came


async def test_to_cancel_while_it_waits_is_free_and_ends_the_question(scene: Scene) -> None:
    channel = await asked(scene, "image", first_frame=("p.png", picture()))
    await press(scene, f"conch:cancel:{(await scene.task()).id}")
    assert "Its member has cancelled it" in told(await click(scene, channel, "Approve"))
    await tell(scene)
    assert said(scene, channel)[0].startswith("🚫 **Cancelled before a decision:** 1 clip")
    assert (labels(scene, channel), scene.shown(channel)[0].attachments) == ([], [])
    assert await scene.spent_and_held() == (0, 0)


async def test_a_partly_cancelled_command_asks_only_for_the_rest(scene: Scene) -> None:
    channel = await asked(scene, count=3)
    await scene.alice.slash(scene.channel, "tasks cancel", task="task0002")
    await tell(scene)
    assert "asks for 2 clips, $0.6588 held." in said(scene, channel)[0]
    assert labels(scene, channel) == ["Approve", "Decline"]
    assert "2 clips" in told(await click(scene, channel, "Approve"))
    await scene.step()
    assert (await states(scene)).count("cancelled") == 1
    await tell(scene)
    assert f"2 clips of <@{scene.alice.id}>, $0.6588." in said(scene, channel)[0]


async def test_nobody_is_asked_for_what_was_cancelled_before(scene: Scene) -> None:
    channel = await asking(scene)
    await scene.video()
    await press(scene, "conch:cancel:task0001")
    await tell(scene)
    assert said(scene, channel) == []
    assert await scene.app.notices.step() == 30


async def test_to_cancel_after_the_click_is_still_free_and_the_question_stays_approved(scene: Scene) -> None:
    channel = await asked(scene)
    await click(scene, channel, "Approve")
    await press(scene, "conch:cancel:task0001")
    await tell(scene)
    assert await scene.spent_and_held() == (0, 0)
    assert said(scene, channel)[0].startswith("✅ **Approved**")


async def test_after_its_time_it_is_cancelled_and_the_hold_given_back(scene: Scene) -> None:
    channel = await asked(scene, "image", first_frame=("p.png", picture()))
    await scene.pass_time(DAY - HOUR)
    await tell(scene)
    assert await states(scene) == ["held"]
    await scene.pass_time(HOUR)
    await tell(scene)
    assert await states(scene) == ["cancelled"]
    assert await scene.spent_and_held() == (0, 0)
    assert scene.files() == []
    assert said(scene, channel)[0].startswith("⌛ **Nobody approved it in time:**")
    await scene.redraw()
    assert drawn(scene).startswith("🚫 Nobody approved it in time. $0.3294 was given back.")


async def test_a_click_after_its_time_is_too_late_even_before_it_was_cancelled(scene: Scene) -> None:
    channel = await asked(scene)
    await scene.pass_time(DAY)
    assert "Its time was over" in told(await click(scene, channel, "Approve"))
    assert (await scene.task()).approval_until is not None


async def test_the_worker_sleeps_until_the_next_question_ends(scene: Scene) -> None:
    await asked(scene)
    await scene.pass_time(DAY - 10)
    assert await scene.app.notices.step() == pytest.approx(10, abs=1)
