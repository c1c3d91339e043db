"""Report under a posted clip: moderators read it in their channel and decide, and nobody can flood them."""

from typing import Any

import pytest

from bot.domain.errors import StorageError
from bot.domain.task import Task
from storage.clip_reports import ClipReportStore
from tests.cogs import moderators
from tests.cogs.clips import click, fill_in, forge, posted
from tests.cogs.limiting import deeds
from tests.cogs.moderators import DAY, labels, said, told_in
from tests.cogs.scene import Scene, told
from tests.cogs.test_discord_faults import Faults
from tests.cogs.test_twice import events

WHY = "it shows *my* face <@1>"


async def no_room(*_: object) -> None:
    raise StorageError("the disk is full")


async def report(scene: Scene, task: Task, member: Any = None, reason: str = WHY) -> str:
    """Bob's words, unless another member is named, and what the member is told then."""
    member = member or scene.bob
    form = await click(scene, task, "Report", member)
    return told(form) if form.modal is None else told(await fill_in(scene, form, member, reason=reason))


async def reported(scene: Scene, clip: bytes) -> tuple[Any, Task]:
    """The moderators' channel, with Bob's report of Alice's clip in it."""
    channel = await told_in(scene)
    task = await posted(scene, clip)
    assert "the moderators were told" in await report(scene, task)
    return channel, task


def stands(scene: Scene, task: Task) -> bool:
    return task.message_id in scene.env.backend.messages[scene.channel.id]


async def test_moderators_read_who_what_and_why(scene: Scene, real_clip: bytes) -> None:
    channel, task = await reported(scene, real_clip)
    link = f"https://discord.com/channels/{scene.guild.id}/{scene.channel.id}/{task.message_id}"
    (words,) = said(scene, channel)
    assert words.splitlines() == [
        f"🚩 **Reported clip:** {link} of <@{scene.alice.id}>, reported by <@{scene.bob.id}>.",
        r"Reason: it shows \*my\* face \<\@1\>",
        "> a whale",
        f"-# `{task.id}`",
    ]
    assert labels(scene, channel) == ["Delete clip", "Dismiss"]
    assert scene.shown(channel)[-1].ping_user_ids == []


async def test_a_moderator_deletes_the_clip(scene: Scene, real_clip: bytes) -> None:
    channel, task = await reported(scene, real_clip)
    words = told(await moderators.click(scene, channel, "Delete clip"))
    assert "$0.3294, stays booked; `/admin tasks refund` can give it back" in words
    assert not stands(scene, task)
    assert (await scene.task()).removed_by == scene.carol.id
    assert said(scene, channel)[0].startswith(f"🗑️ **Deleted** by <@{scene.carol.id}>.\n🚩")
    assert scene.shown(channel)[0].components == []
    assert [deed.action for deed in await deeds(scene)] == ["clips delete", "notices"]


async def test_a_moderator_dismisses_it_and_the_clip_stays(scene: Scene, real_clip: bytes) -> None:
    channel, task = await reported(scene, real_clip)
    assert "the clip stays" in told(await moderators.click(scene, channel, "Dismiss"))
    assert stands(scene, task)
    assert said(scene, channel)[0].startswith(f"✅ **Dismissed** by <@{scene.carol.id}>.")
    deed = (await deeds(scene))[0]
    assert (deed.action, deed.before) == ("clips dismiss", WHY)


@pytest.mark.parametrize("label", ["Delete clip", "Dismiss"])
async def test_the_answers_work_after_a_restart(scene: Scene, real_clip: bytes, label: str) -> None:
    channel, task = await reported(scene, real_clip)
    await scene.restart()
    await moderators.click(scene, channel, label)
    assert stands(scene, task) is (label == "Dismiss")


@pytest.mark.parametrize("label", ["Delete clip", "Dismiss"])
async def test_who_may_not_use_admin_decides_nothing(scene: Scene, real_clip: bytes, label: str) -> None:
    channel, task = await reported(scene, real_clip)
    assert "Manage Server" in told(await moderators.click(scene, channel, label, scene.bob))
    assert stands(scene, task)
    assert "🚩" in said(scene, channel)[0][:2]


@pytest.mark.parametrize("name", ["delete", "dismiss"])
@pytest.mark.parametrize("number", ["{theirs}", "7", "9" * 18, "9" * 19])
async def test_another_servers_report_cannot_be_decided(
    scene: Scene, real_clip: bytes, name: str, number: str
) -> None:
    task = await posted(scene, real_clip)
    there = await scene.elsewhere()
    await there.eve.slash(there.channel, "video text", prompt="a whale")
    await scene.step(4)
    (theirs,) = await scene.app.tasks.of_member(there.eve.id, there.guild.id, limit=9)
    store = ClipReportStore(scene.app.database)
    open_one = await store.add(theirs, there.alice.id, scene.now(), reason=WHY)
    custom_id = f"conch:report:{name}:{number.format(theirs=open_one.id)}"
    result = await forge(scene, task, custom_id, scene.carol)
    assert not result.acknowledged or "There is no such report in this server." in told(result)
    assert await store.get(open_one.id) == open_one
    assert len(scene.shown(there.channel)) == 2


async def test_a_second_decision_changes_nothing(scene: Scene, real_clip: bytes) -> None:
    channel, task = await reported(scene, real_clip)
    scene.env.inject_error("PATCH", f"/channels/{channel.id}/messages/*", status=500, times=9)
    scene.expects_bugs = True
    await moderators.click(scene, channel, "Dismiss")
    words = told(await moderators.click(scene, channel, "Delete clip"))
    assert words == f"<@{scene.carol.id}> has decided it already: dismissed."
    assert stands(scene, task)


async def test_a_member_reports_a_clip_once(scene: Scene, real_clip: bytes) -> None:
    channel, task = await reported(scene, real_clip)
    assert "You reported this clip <t:" in await report(scene, task)
    assert "the moderators were told" in await report(scene, task, scene.carol)
    assert len(said(scene, channel)) == 2


async def test_only_so_many_reports_a_day(scene: Scene, real_clip: bytes) -> None:
    channel = await told_in(scene)
    found = [await posted(scene, real_clip) for _ in range(6)]
    for task in found[:5]:
        await report(scene, task)
    words = await report(scene, found[5])
    assert "You sent 5 reports in the last 24 hours; 5 are allowed. The next one can be sent <t:" in words
    assert len(said(scene, channel)) == 5
    await scene.pass_time(DAY)
    assert "the moderators were told" in await report(scene, found[5])


async def test_without_a_channel_the_reporter_is_told_whom_to_ask(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    assert "Ask an admin to choose one with `/admin notices`" in await report(scene, task)


async def test_ones_own_clip_is_deleted_rather_than_reported(scene: Scene, real_clip: bytes) -> None:
    channel = await told_in(scene)
    task = await posted(scene, real_clip)
    assert "**Delete** removes it" in await report(scene, task, scene.alice)
    assert said(scene, channel) == []


@pytest.mark.parametrize(("status", "words"), [(403, "gone or closed to the bot"), (400, "in some minutes")])
async def test_a_report_that_reached_nobody_may_be_sent_again(
    scene: Scene, real_clip: bytes, status: int, words: str
) -> None:
    channel = await told_in(scene)
    task = await posted(scene, real_clip)
    path = f"/channels/{channel.id}/messages"
    scene.env.inject_error("POST", path, status=status)
    assert words in await report(scene, task)
    assert "the moderators were told" in await report(scene, task, reason="once more")
    assert "once more" in said(scene, channel)[0]


@pytest.mark.parametrize("lost", ["answer", "record"])
async def test_a_report_that_stands_is_found_where_it_is_sent_again(
    scene: Scene, real_clip: bytes, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """Long after Discord has forgotten the nonce, and over a restart, with a form that comes again."""
    channel = await told_in(scene)
    task = await posted(scene, real_clip)
    with monkeypatch.context() as patch:
        if lost == "answer":
            faults = Faults(patch)
            faults.lost = {("POST", "/channels/:id/messages")}
        else:
            patch.setattr(ClipReportStore, "told", no_room)
        assert "the moderators were told" not in await report(scene, task)
    assert len(said(scene, channel)) == 1
    await scene.pass_time(3600)
    await scene.restart()
    for event in events(scene):
        scene.env.backend.emit("INTERACTION_CREATE", event)
    await scene.env.settle()
    assert len(said(scene, channel)) == 1
    assert "the moderators were told" in await report(scene, task, reason="other words")
    (words,) = said(scene, channel)
    assert "Reason: other words" in words
    assert "You reported this clip <t:" in await report(scene, task)
    await moderators.click(scene, channel, "Delete clip")
    assert not stands(scene, task)


async def test_a_report_that_was_decided_is_not_sent_again(
    scene: Scene, real_clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await told_in(scene)
    task = await posted(scene, real_clip)
    with monkeypatch.context() as patch:
        patch.setattr(ClipReportStore, "told", no_room)
        await report(scene, task)
    await moderators.click(scene, channel, "Dismiss")
    assert "You reported this clip <t:" in await report(scene, task)
    assert len(said(scene, channel)) == 1


async def test_a_reason_of_nothing_is_refused(scene: Scene, real_clip: bytes) -> None:
    channel = await told_in(scene)
    task = await posted(scene, real_clip)
    assert "The reason is empty" in await report(scene, task, reason="  \n ")
    assert said(scene, channel) == []


@pytest.mark.parametrize("forged", ["task9999", "task0001"])
async def test_a_made_up_id_is_not_reported(scene: Scene, real_clip: bytes, forged: str) -> None:
    channel = await told_in(scene)
    await posted(scene, real_clip)
    task = await posted(scene, real_clip)
    result = await forge(scene, task, f"conch:clip:report:{forged}", scene.bob)
    assert "no such clip" in told(result) or "does not carry that clip" in told(result)
    assert said(scene, channel) == []


async def test_another_servers_clip_cannot_be_reported(scene: Scene, real_clip: bytes) -> None:
    channel, task = await reported(scene, real_clip)
    there = await scene.elsewhere()
    await there.eve.slash(there.channel, "video text", prompt="a secret")
    await scene.step(4)
    (secret,) = await scene.app.tasks.of_member(there.eve.id, there.guild.id, limit=9)
    result = await forge(scene, task, f"conch:clip:report:{secret.id}", scene.bob)
    assert told(result) == "There is no such clip in this server."
    assert len(said(scene, channel)) == 1
