"""Questions to moderators reach somebody, once, whatever fails or crashes in between."""

import asyncio
from functools import partial
from typing import Any

import discord
import pytest

from bot.domain import language
from bot.domain.errors import StorageError
from bot.posting import notices
from bot.posting.moderation import Moderation
from storage.approvals import ApprovalStore
from storage.servers import ServerStore
from tests.cogs.fixtures import Open
from tests.cogs.moderators import DAY, asked, asking, click, labels, said, speak, tell
from tests.cogs.scene import Scene, says
from tests.cogs.test_buttons import press


async def crash(*_: object, **__: object) -> None:
    raise StorageError("the disk is full")


async def open_questions(scene: Scene) -> list[Any]:
    store = ApprovalStore(scene.app.database)
    return [*await store.unasked(scene.now(), each=9), *await store.unshown(each=9)]


@pytest.mark.parametrize("gone", [True, False])
async def test_without_the_moderators_channel_they_are_asked_where_the_clip_was(
    scene: Scene, *, gone: bool
) -> None:
    channel = await asking(scene)
    if gone:
        scene.env.backend.delete_channel(channel.id)
    else:
        path = f"/channels/{channel.id}/messages"
        scene.env.inject_error("*", path, status=403, code=50001, times=None)
    await scene.video()
    await tell(scene)
    assert said(scene, scene.channel)[-1].startswith("✋ **Approval wanted**")
    await click(scene, scene.channel, "Approve")
    await tell(scene)
    assert said(scene, scene.channel)[-1].startswith("✅ **Approved**")
    assert not await open_questions(scene)


async def test_where_every_channel_is_closed_it_is_tried_until_the_time_is_over(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    channel = await asking(scene)
    await scene.video()
    scene.env.inject_error("POST", "/channels/*/messages", status=403, code=50013, times=3)
    await tell(scene)
    await scene.pass_time(5)
    await tell(scene)
    assert said(scene, channel) == []
    assert caplog.text.count("no channel to ask in is open to the bot") == 1
    await scene.pass_time(10)
    await tell(scene)
    assert len(said(scene, channel) + said(scene, scene.channel)[1:]) == 1


async def test_a_question_whose_record_was_lost_is_found_and_not_asked_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await asking(scene)
    await scene.video()
    with monkeypatch.context() as patch:
        patch.setattr(ApprovalStore, "asked", crash)
        await tell(scene)
    await scene.restart()
    await tell(scene)
    assert len(said(scene, channel)) == 1
    question = await ApprovalStore(scene.app.database).get((await scene.task()).interaction_id)
    assert question is not None
    assert question.message_id == scene.shown(channel)[0].id


async def test_decided_before_it_was_recorded_it_still_shows_who_decided(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await asking(scene)
    await scene.video()
    with monkeypatch.context() as patch:
        patch.setattr(ApprovalStore, "asked", crash)
        await tell(scene)
    await scene.restart()
    await click(scene, channel, "Approve")
    await tell(scene)
    (words,) = said(scene, channel)
    assert words.startswith("✅ **Approved**")
    assert not await open_questions(scene)


async def test_a_decision_whose_record_was_lost_is_shown_again_harmlessly(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await asked(scene)
    await click(scene, channel, "Approve")
    with monkeypatch.context() as patch:
        patch.setattr(ApprovalStore, "shown", crash)
        await tell(scene)
    await scene.restart()
    await tell(scene)
    assert said(scene, channel)[0].startswith("✅")
    assert not await open_questions(scene)


async def test_a_question_that_somebody_deleted_is_left_alone(scene: Scene) -> None:
    channel = await asked(scene)
    scene.env.backend.delete_message(channel.id, scene.shown(channel)[0].id)
    await scene.pass_time(DAY)
    await tell(scene)
    assert (await scene.task()).state == "cancelled"
    assert not await open_questions(scene)


async def test_an_edit_that_failed_is_tried_again(scene: Scene) -> None:
    channel = await asked(scene)
    scene.env.inject_error("PATCH", f"/channels/{channel.id}/messages/*", status=503)
    await click(scene, channel, "Approve")
    await tell(scene)
    assert labels(scene, channel) == ["Approve", "Decline"]
    await scene.pass_time(5)
    await tell(scene)
    assert labels(scene, channel) == []


async def test_what_was_cancelled_in_part_while_an_edit_failed_is_shown_later(scene: Scene) -> None:
    channel = await asking(scene)
    await scene.video(count=2)
    await tell(scene)
    scene.env.inject_error("PATCH", f"/channels/{channel.id}/messages/*", status=503)
    await press(scene, "conch:cancel:task0002")
    await tell(scene)
    await scene.pass_time(5)
    await tell(scene)
    assert "asks for 1 clip, $0.3294 held" in said(scene, channel)[0]


async def test_a_member_left_without_progress_message_by_a_crash_gets_one(scene: Scene) -> None:
    channel = await asking(scene)
    scene.env.inject_error("PATCH", "/webhooks/*/messages/@original", status=500)
    await scene.video()
    await tell(scene)
    assert said(scene, channel) == []
    await scene.pass_time(20)
    await tell(scene)
    assert "Waits for a moderator's approval" in says(scene.shown()[-1])
    assert f"/{scene.shown()[-1].id})" in said(scene, channel)[0]


async def test_an_unreadable_history_keeps_no_question_back(scene: Scene) -> None:
    channel = await asking(scene)
    scene.env.inject_error("GET", f"/channels/{channel.id}/messages", status=403, code=50013, times=None)
    await scene.video()
    await tell(scene)
    assert len(said(scene, channel)) == 1


async def test_a_server_whose_channel_hangs_holds_up_no_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = await scene.elsewhere()
    await asking(scene)
    await there.dora.slash(there.channel, "admin approvals", above="0.10", channel=there.channel)
    await scene.video()
    await there.eve.slash(there.channel, "video text", prompt="a whale")
    released, elsewhere, ask = asyncio.Event(), asyncio.Event(), Moderation.ask

    async def hanging(self: Moderation, server: Any, *rest: Any) -> Any:
        if server.id == scene.guild.id:
            await released.wait()
        posted = await ask(self, server, *rest)
        if server.id != scene.guild.id:
            elsewhere.set()
        return posted

    monkeypatch.setattr(Moderation, "ask", hanging)
    with scene.env.time_context():
        await scene.app.notices.step()
        await elsewhere.wait()
        await scene.app.notices.step()
    assert said(scene, there.channel)[-1].startswith("✋ **Approval wanted**")
    released.set()
    await scene.app.notices.idle()


async def test_a_bug_in_one_chore_is_logged_and_the_next_one_done(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    channel = await asked(scene)
    await click(scene, channel, "Approve")
    await scene.video()

    async def broken(*_: object) -> None:
        raise RuntimeError("boom")

    with monkeypatch.context() as patch:
        patch.setattr(Moderation, "ask", broken)
        await tell(scene)
    assert "boom" in caplog.text
    assert said(scene, channel)[0].startswith("✅")


async def test_before_discord_has_let_the_bot_in_only_the_time_runs_out(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await asking(scene)
    await scene.video()
    monkeypatch.setattr(Moderation, "ready", False)
    await tell(scene)
    assert said(scene, channel) == []
    await scene.pass_time(DAY)
    await tell(scene)
    assert (await scene.task()).state == "cancelled"


async def test_the_worker_is_woken_by_commands_and_clicks(scene: Scene) -> None:
    worker = scene.app.notices
    channel = await asking(scene)
    acts: list[Any] = [
        scene.video,
        partial(click, scene, channel, "Approve"),
        partial(scene.admin, "notices", channel=channel),
    ]
    for act in acts:
        worker._wake.clear()
        await act()
        assert worker._wake.is_set()
        await tell(scene)


async def test_what_is_told_while_the_rows_are_read_is_not_told_again(
    open_bot: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bot(server_monthly_limit=1_000_000) as scene:
        channel = await asking(scene)
        await scene.admin("approvals", above="off")
        await scene.video(count=2)
        begun, released, alarms = asyncio.Event(), asyncio.Event(), []
        alarm, later = Moderation.alarm, ServerStore.awaiting_report

        async def slow(self: Moderation, *of: Any) -> None:
            alarms.append(of)
            begun.set()
            await released.wait()
            await alarm(self, *of)

        async def after_it_ended(self: ServerStore, *rest: Any, **more: Any) -> Any:
            if alarms:
                released.set()
                await scene.app.notices.idle()
            return await later(self, *rest, **more)

        monkeypatch.setattr(Moderation, "alarm", slow)
        monkeypatch.setattr(ServerStore, "awaiting_report", after_it_ended)
        with scene.env.time_context():
            await scene.app.notices.step()
            await begun.wait()
            await scene.app.notices.step()
            await scene.app.notices.idle()
        assert (len(alarms), len(said(scene, channel))) == (1, 1)


async def test_the_loop_goes_on_until_it_is_cancelled(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = await asking(scene)
    asked_once, real = asyncio.Event(), ApprovalStore.asked

    async def noted(self: ApprovalStore, *rest: Any, **more: Any) -> None:
        await real(self, *rest, **more)
        asked_once.set()

    monkeypatch.setattr(ApprovalStore, "asked", noted)
    with scene.env.time_context():
        running = asyncio.create_task(scene.app.notices.run())
    await scene.video()
    await asked_once.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(said(scene, channel)) == 1


async def test_moderators_read_their_servers_language_whoever_asks_or_clicks(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await asking(scene)
    readers, drawn = list[str](), notices.question

    def noted(*given: Any, **more: Any) -> str:
        readers.append(language.reader())
        return drawn(*given, **more)

    monkeypatch.setattr(notices, "question", noted)
    speak(scene, discord.Locale.german)
    await scene.video()
    await tell(scene)
    with language.reading("de"):
        approve = language.short("Approve")
    await click(scene, channel, approve)
    await tell(scene)
    assert readers == ["de", "de"]
    assert language.reader() == language.ENGLISH
