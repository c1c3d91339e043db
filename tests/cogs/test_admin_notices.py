"""`/admin notices`, the alarms of budgets and the monthly posts: each once, in time, to those who want them."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import discord
import pytest

from bot.domain.audit import Deed
from bot.domain.errors import StorageError
from bot.domain.limits import Limit, Period, Scope
from bot.domain.servers import Server
from storage.alarms import AlarmStore
from storage.audit import AuditStore
from storage.database import Transaction
from storage.limits import LimitStore
from storage.servers import ServerStore
from tests.cogs.fixtures import Open
from tests.cogs.moderators import moderators_channel, raw, said, speak, tell, told_in
from tests.cogs.scene import Scene, told

DOLLAR = 1_000_000
#: Three clips of $0.3294 fit in it: after the second 65 % is used up, after the third 98 %.
TIGHT = {"server_monthly_limit": DOLLAR, "user_daily_limit": 100 * DOLLAR}
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


async def server(scene: Scene) -> Server:
    return await ServerStore(scene.app.database).get(scene.guild.id)


async def audit(scene: Scene) -> list[Deed]:
    return [entry.deed for entry in await AuditStore(scene.app.database).of_server(scene.guild.id, limit=9)]


async def until(scene: Scene, moment: datetime) -> None:
    await scene.pass_time(moment.timestamp() - scene.now() / 1000)


async def in_zone(scene: Scene, name: str) -> None:
    def work(tx: Transaction) -> None:
        tx.run("UPDATE servers SET zone = :zone WHERE id = :id", zone=name, id=scene.guild.id)

    await scene.app.database.write(work)


async def own_budget(scene: Scene, period: Period, micros: int = DOLLAR) -> None:
    limit = Limit(Scope.SERVER, period, micros, server_id=scene.guild.id)
    deed = Deed(scene.guild.id, scene.carol.id, "limits set")
    await LimitStore(scene.app.database).put(limit, deed, scene.now())


async def alarms_after(scene: Scene, channel: Any, clips: int) -> list[str]:
    """What is told of alarms while Alice asks for clips, one after the other."""
    for _ in range(clips):
        await scene.video()
        await tell(scene)
    return said(scene, channel)


# --------------------------------------------------------------------- command


async def test_it_says_what_moderators_are_told_and_where(scene: Scene) -> None:
    channel = moderators_channel(scene)
    words = told(await scene.admin("notices", channel=channel, monthly_report=True))
    assert words == (
        f"Moderators are told in <#{channel.id}>: when a budget is used up by 50, 80 and 100 %; at the end of each "
        "month (UTC) what it cost."
    )
    (deed,) = await audit(scene)
    assert (deed.actor_id, deed.action, deed.before) == (scene.carol.id, "notices", "no channel")
    assert deed.after == f"in <#{channel.id}>, monthly report on, alarms on"


async def test_a_switch_left_out_stays_as_it_was(scene: Scene) -> None:
    await told_in(scene, monthly_report=True, alarms=False)
    await told_in(scene)
    now = await server(scene)
    assert (now.monthly_report, now.alarms) == (True, False)


async def test_the_bot_must_be_able_to_post_there(scene: Scene) -> None:
    channel = moderators_channel(scene, without="send_messages")
    assert "the bot lacks: *Send Messages*" in told(await scene.admin("notices", channel=channel))
    assert (await server(scene)).notices_channel_id is None


async def test_a_member_without_the_right_changes_nothing(scene: Scene) -> None:
    result = await raw(scene, "notices", scene.alice, moderators_channel(scene))
    assert "Manage Server" in told(result)
    assert (await server(scene)).notices_channel_id is None


async def test_another_server_is_told_nothing(scene: Scene) -> None:
    there = await scene.elsewhere()
    await told_in(scene, monthly_report=True)
    assert await ServerStore(scene.app.database).get(there.guild.id) == Server(there.guild.id)


# ---------------------------------------------------------------------- alarms


async def test_each_step_of_a_budget_is_told_once(open_bot: Open) -> None:
    async with open_bot(**TIGHT) as scene:
        channel = await told_in(scene)
        half, eighty = await alarms_after(scene, channel, 3)
        anew = f"<t:{int(FEBRUARY.timestamp())}:R>"
        assert half == (
            "⚠️ The operator's budget for this server for one month is 65 % used up: $0.00 spent and $0.6588 held "
            f"of $1.00. It starts anew {anew}. "
            "`/admin report` shows who spent it, only the bot's operator can raise it."
        )
        assert "is 98 % used up: $0.00 spent and $0.9882 held of $1.00." in eighty
        await tell(scene)
        assert len(said(scene, channel)) == 2


async def test_a_command_that_passes_several_steps_tells_the_highest_alone(open_bot: Open) -> None:
    async with open_bot(**TIGHT) as scene:
        channel = await told_in(scene)
        await scene.video(count=3)
        await tell(scene)
        (words,) = said(scene, channel)
        assert "98 %" in words


async def test_a_budget_used_up_to_the_last_cent_is_told(open_bot: Open) -> None:
    async with open_bot(server_monthly_limit=329_400) as scene:
        channel = await told_in(scene)
        (words,) = await alarms_after(scene, channel, 1)
        assert words.startswith(
            "🛑 The operator's budget for this server for one month is used up: $0.00 spent and $0.3294 held of "
        )


async def test_a_refusal_tells_that_the_rest_is_too_little(open_bot: Open) -> None:
    async with open_bot(**TIGHT) as scene:
        channel = await told_in(scene)
        words = (await alarms_after(scene, channel, 6))[-1]
        assert "leaves no room for a clip that was asked for: $0.00 spent and $0.9882 held of $1.00." in words
        assert len(said(scene, channel)) == 3


async def test_a_clip_dearer_than_the_whole_budget_is_no_alarm(open_bot: Open) -> None:
    async with open_bot(server_monthly_limit=100_000) as scene:
        channel = await told_in(scene)
        assert await alarms_after(scene, channel, 1) == []


async def test_in_the_next_month_it_is_told_again(open_bot: Open) -> None:
    async with open_bot(**TIGHT) as scene:
        channel = await told_in(scene)
        await alarms_after(scene, channel, 2)
        await until(scene, FEBRUARY)
        assert len(await alarms_after(scene, channel, 1)) == 1
        assert len(await alarms_after(scene, channel, 1)) == 2


async def test_a_budget_of_the_servers_own_says_who_can_change_it(scene: Scene) -> None:
    await own_budget(scene, Period.TOTAL, 400_000)
    channel = await told_in(scene)
    (words,) = await alarms_after(scene, channel, 1)
    assert words == (
        "⚠️ This server's budget in total is 82 % used up: $0.00 spent and $0.3294 held of $0.40. "
        "`/admin report` shows who spent it, `/admin limits` changes it."
    )


async def test_two_budgets_are_two_alarms(open_bot: Open) -> None:
    async with open_bot(**TIGHT) as scene:
        await own_budget(scene, Period.DAY)
        channel = await told_in(scene)
        assert len(await alarms_after(scene, channel, 2)) == 2


async def test_switched_off_nothing_is_told_nor_made_up_for_later(open_bot: Open) -> None:
    async with open_bot(**TIGHT) as scene:
        channel = await told_in(scene, alarms=False)
        assert await alarms_after(scene, channel, 2) == []
        await scene.admin("notices", channel=channel, alarms=True)
        await tell(scene)
        assert said(scene, channel) == []


async def test_without_a_channel_nothing_is_told(open_bot: Open) -> None:
    async with open_bot(**TIGHT) as scene:
        await alarms_after(scene, None, 2)
        channel = await told_in(scene)
        await tell(scene)
        assert said(scene, channel) == []


async def test_what_could_not_be_told_in_its_own_month_is_not_told_any_more(open_bot: Open) -> None:
    async with open_bot(**TIGHT) as scene:
        channel = await told_in(scene)
        await scene.video(count=2)
        await until(scene, FEBRUARY)
        await tell(scene)
        assert said(scene, channel) == []


async def test_an_alarm_is_posted_once_even_if_its_record_was_lost(
    open_bot: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bot(**TIGHT) as scene:
        channel = await told_in(scene)
        await scene.video(count=2)
        with monkeypatch.context() as patch:
            patch.setattr(AlarmStore, "told", crash)
            await tell(scene)
        assert len(said(scene, channel)) == 1
        await scene.restart()
        await tell(scene)
        assert len(said(scene, channel)) == 1
        assert await AlarmStore(scene.app.database).untold(each=9) == []


async def crash(*_: object, **__: object) -> None:
    raise StorageError("the disk is full")


async def test_a_raised_budget_is_another_one(scene: Scene) -> None:
    channel = await told_in(scene)
    for micros in (400_000, 800_000):
        await own_budget(scene, Period.TOTAL, micros)
        await alarms_after(scene, channel, 1)
    assert [words.split("$")[-1][:4] for words in said(scene, channel)] == ["0.40", "0.80"]


async def test_a_clip_too_dear_for_what_is_left_hides_no_later_step(scene: Scene) -> None:
    channel = await told_in(scene)
    await own_budget(scene, Period.TOTAL, 500_000)
    await scene.video(format="hailuo-02/5/768p")  # 45 %
    await scene.video()
    await tell(scene)
    await scene.video(format="hailuo-02/5/768p")  # 90 %
    await tell(scene)
    assert ["leaves no room" in words for words in said(scene, channel)] == [True, False]
    assert "is 90 % used up" in said(scene, channel)[1]


async def test_a_closed_channel_is_logged_once_and_the_next_one_told(
    open_bot: Open, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_bot(**TIGHT) as scene:
        channel = await told_in(scene)
        scene.env.backend.delete_channel(channel.id)
        await scene.video(count=2)
        await tell(scene)
        await tell(scene)
        assert caplog.text.count("the moderators' channel is gone") == 1
        assert len(said(scene, await told_in(scene))) == 0
        channel = await told_in(scene)
        await tell(scene)
        assert len(said(scene, channel)) == 1


async def test_trouble_at_discord_is_tried_again_after_growing_pauses(open_bot: Open) -> None:
    async with open_bot(**TIGHT) as scene:
        channel = await told_in(scene)
        path = f"/channels/{channel.id}/messages"
        scene.env.inject_error("POST", path, status=503, times=2)
        await scene.video(count=2)
        for pause in (5, 10):
            await tell(scene)
            assert await scene.app.notices.step() == pytest.approx(pause, abs=0.5)
            await scene.pass_time(pause - 1)
            await tell(scene)
            assert said(scene, channel) == []
            await scene.pass_time(1)
        await tell(scene)
        assert len(said(scene, channel)) == 1


# --------------------------------------------------------------- monthly posts


async def test_the_month_in_which_it_was_switched_on_is_reported_when_it_ends(scene: Scene) -> None:
    await scene.succeeded()
    channel = await told_in(scene, monthly_report=True)
    await scene.video()
    await until(scene, FEBRUARY)
    await tell(scene)
    (words,) = said(scene, channel)
    assert words.startswith("**Report: January 2026** (UTC)\n**$0.3294 spent**, $0.3294 held")
    (message,) = scene.shown(channel)
    assert [file["filename"] for file in message.attachments] == ["conch-report.png", "conch-report.csv"]
    await tell(scene)
    await scene.restart()
    await tell(scene)
    assert len(said(scene, channel)) == 1


async def test_the_servers_zone_says_when_a_month_ends_whatever_its_clocks_do(scene: Scene) -> None:
    """Berlin's clocks are put forward in March: the month ends at 22:00 UTC, having begun at 23:00."""
    await scene.admin("pause", reason="so that the server is known")
    await in_zone(scene, "Europe/Berlin")
    await until(scene, datetime(2026, 3, 10, tzinfo=BERLIN))
    channel = await told_in(scene, monthly_report=True)
    end = datetime(2026, 4, 1, tzinfo=BERLIN)
    assert end.astimezone(UTC).hour == 22
    await scene.pass_time(end.timestamp() - scene.now() / 1000 - 1)
    await tell(scene)
    assert said(scene, channel) == []
    await scene.pass_time(1)
    await tell(scene)
    assert said(scene, channel)[0].startswith("**Report: March 2026** (Europe/Berlin)")


async def test_switched_on_again_it_does_not_go_back(scene: Scene) -> None:
    channel = await told_in(scene, monthly_report=True)
    await scene.admin("notices", channel=channel, monthly_report=False)
    await until(scene, datetime(2026, 4, 10, tzinfo=UTC))
    await scene.admin("notices", channel=channel, monthly_report=True)
    await tell(scene)
    assert said(scene, channel) == []


async def test_a_month_is_reported_in_the_servers_language(scene: Scene) -> None:
    channel = await told_in(scene, monthly_report=True)
    speak(scene, discord.Locale.german)
    await until(scene, FEBRUARY)
    await tell(scene)
    assert "Januar 2026" in said(scene, channel)[0].splitlines()[0]


async def test_after_a_long_stop_each_month_is_reported_once_at_most_twelve(scene: Scene) -> None:
    channel = await told_in(scene, monthly_report=True)
    await until(scene, datetime(2027, 4, 10, tzinfo=UTC))
    await tell(scene)
    heads = [words.split("**")[1].removeprefix("Report: ") for words in said(scene, channel)]
    assert (heads[0], heads[-1], len(heads)) == ("April 2026", "March 2027", 12)
    await tell(scene)
    assert len(said(scene, channel)) == 12


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_another_zone_reports_no_month_twice_and_leaves_none_out(scene: Scene, zone: str) -> None:
    channel = await told_in(scene, monthly_report=True)
    await until(scene, datetime(2026, 2, 10, tzinfo=UTC))
    await tell(scene)
    await in_zone(scene, zone)
    await until(scene, datetime(2026, 3, 10, tzinfo=UTC))
    await tell(scene)
    heads = [words.split("**")[1].removeprefix("Report: ") for words in said(scene, channel)]
    assert heads == ["January 2026", "February 2026"]


async def test_a_report_is_posted_once_even_if_its_record_was_lost(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await told_in(scene, monthly_report=True)
    await until(scene, FEBRUARY)
    with monkeypatch.context() as patch:
        patch.setattr(ServerStore, "reported", crash)
        await tell(scene)
    await scene.restart()
    await tell(scene)
    assert len(said(scene, channel)) == 1
    assert (await server(scene)).reported_until == FEBRUARY.timestamp() * 1000


async def test_a_report_whose_channel_is_gone_comes_to_the_next_one(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    channel = await told_in(scene, monthly_report=True)
    scene.env.backend.delete_channel(channel.id)
    await until(scene, FEBRUARY)
    await tell(scene)
    await tell(scene)
    assert caplog.text.count("the moderators' channel is gone") == 1
    channel = await told_in(scene)
    await tell(scene)
    assert len(said(scene, channel)) == 1
    assert (await server(scene)).reported_until == FEBRUARY.timestamp() * 1000


async def test_to_choose_again_skips_no_month_that_is_due(scene: Scene) -> None:
    await told_in(scene, monthly_report=True)
    await until(scene, FEBRUARY)
    channel = await told_in(scene, monthly_report=True)
    await tell(scene)
    (words,) = said(scene, channel)
    assert words.startswith("**Report: January 2026**")


async def test_nobody_who_did_not_ask_gets_a_report(scene: Scene) -> None:
    channel = await told_in(scene)
    await scene.video()
    await until(scene, FEBRUARY)
    await tell(scene)
    assert said(scene, channel) == []
