"""`/usage`: numbers that follow the server's calendar and the ledger, for oneself and for admins."""

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot.domain.audit import Deed
from bot.domain.limits import OPERATOR, Limit, Period, Scope
from bot.domain.task import Task
from bot.media.charts import Chart
from bot.media.charts import draw as really_draw
from bot.media.child import ChildFailed
from bot.posting.texts import MESSAGE_LENGTH
from storage import ledger
from storage.limits import LimitStore
from storage.servers import ServerStore
from tests.cogs.fixtures import Open
from tests.cogs.scene import NEW_YEAR, Scene, told

HOUR = 3600
DAY = 24 * HOUR
JANUARY = 31
DOLLAR = 1_000_000
CLIP = 329_400
CHEAP = "hailuo-02/5/768p"
NOBODY = Deed(0, 0, "test")


@pytest.fixture(autouse=True)
def charts(monkeypatch: pytest.MonkeyPatch) -> list[Chart]:
    """What was to be drawn: to draw it really takes a process each time."""
    asked: list[Chart] = []

    async def draw(chart: Chart, *, cache: Path) -> bytes:
        asked.append(chart)
        return b"a picture"

    monkeypatch.setattr("cogs.charts.draw", draw)
    return asked


async def usage(scene: Scene, who: Any = None, **options: Any) -> str:
    return told(await (who or scene.alice).slash(scene.channel, "usage", **options))


def line(words: str, part: str) -> str:
    """The one line that has this in it."""
    (found,) = [one for one in words.splitlines() if part in one]
    return found


def anew(seconds: int) -> str:
    """So long after New Year."""
    return f"starts anew <t:{NEW_YEAR // 1000 + seconds}:R>"


async def limit(
    scene: Scene, micros: int, *, scope: Scope = Scope.MEMBER, period: Period = Period.DAY, **changes: Any
) -> None:
    changes = {"server_id": scene.guild.id} | changes
    await LimitStore(scene.app.database).put(Limit(scope, period, micros, **changes), NOBODY, scene.now())


async def move_to(scene: Scene, zone: str) -> None:
    servers = ServerStore(scene.app.database)
    await servers.change(
        scene.guild.id, "Reef", scene.now(), lambda server: (replace(server, zone=zone), NOBODY)
    )


async def refund(scene: Scene, task: Task, micros: int) -> None:
    await scene.app.database.write(lambda tx: ledger.refund(tx, task, micros, scene.now()))


# ----------------------------------------------------------------------- sums


async def test_a_member_who_spent_nothing_reads_how_to_begin_and_what_is_left(scene: Scene) -> None:
    words = await usage(scene)
    assert "Nothing was spent this month. `/video text` makes the first clip." in words
    assert "Today" not in words
    assert line(words, "Your limit for one day") == (
        f"- Your limit for one day over all servers: $0.00 used, $2.00 left of $2.00; it {anew(DAY)}"
    )
    assert line(words, "budget") == (
        "- The operator's budget for this server for one month: $0.00 used, $50.00 left of $50.00; "
        f"it {anew(JANUARY * DAY)}"
    )


async def test_spent_and_held_are_told_apart_and_by_model(scene: Scene) -> None:
    await scene.succeeded()
    await scene.video(format=CHEAP)
    words = await usage(scene)
    assert line(words, "**Today**") == "**Today**: $0.3294 spent, $0.225 held"
    assert line(words, "**This month**") == "**This month**: $0.3294 spent, $0.225 held"
    assert "- Hailuo 2.3: $0.3294 spent, $0.00 held\n- Hailuo 02: $0.00 spent, $0.225 held\n" in words
    assert "$0.5544 used, $1.4456 left of $2.00" in line(words, "Your limit")


async def test_what_was_given_back_is_as_if_never_held(scene: Scene) -> None:
    await scene.video()
    await scene.alice.slash(scene.channel, "tasks cancel", task="task0001")
    words = await usage(scene)
    assert "Nothing was spent this month" in words
    assert "$0.00 used" in line(words, "Your limit")


async def test_a_refund_is_shown_and_gives_the_member_room_but_not_the_budget(scene: Scene) -> None:
    await refund(scene, await scene.succeeded(), 100_000)
    words = await usage(scene)
    assert line(words, "**Today**") == "**Today**: $0.3294 spent, $0.10 of it refunded, $0.00 held"
    assert "$0.3294 used" in line(words, "Your limit")
    assert "$0.3294 used" in line(words, "budget for this server")


async def test_others_are_counted_in_the_budget_alone(scene: Scene) -> None:
    await scene.succeeded()
    words = await usage(scene, scene.bob)
    assert "Nothing was spent this month" in words
    assert "$0.00 used" in line(words, "Your limit")
    assert "$0.3294 used" in line(words, "budget for this server")


async def test_nothing_is_left_below_zero(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=400_000) as scene:
        await scene.succeeded()
        await scene.restart(user_daily_limit=100_000)
        assert "$0.3294 used, $0.00 left of $0.10" in line(await usage(scene), "Your limit")


async def test_the_answer_is_private_and_mentions_nobody(scene: Scene) -> None:
    result = await scene.alice.slash(scene.channel, "usage")
    assert result.ephemeral
    assert scene.shown() == []
    edits = scene.sent("PATCH", "/messages/@original")
    assert edits
    assert all(edit.json["allowed_mentions"] == {"parse": []} for edit in edits)


# --------------------------------------------------------------------- limits


async def test_every_limit_that_decides_is_told_by_its_name(scene: Scene) -> None:
    role = scene.guild.create_role("Artists")
    artist = scene.guild.add_member(scene.env.create_user("art"), roles=[role])
    await limit(scene, 3 * DOLLAR)
    await limit(scene, 4 * DOLLAR, scope=Scope.ROLE, subject=str(role.id))
    await limit(scene, 5 * DOLLAR, period=Period.MONTH, subject=str(artist.id))
    await limit(scene, 6 * DOLLAR, scope=Scope.ROLE, period=Period.TOTAL, subject=str(role.id))
    await limit(scene, 7 * DOLLAR, scope=Scope.SERVER)
    words = await usage(scene, artist)
    assert "$4.00 left of $4.00" in line(words, f"The limit of your role <@&{role.id}> for one day")
    assert "of $5.00" in line(words, "Your own limit in this server for one month")
    assert line(words, f"<@&{role.id}> in total").endswith("of $6.00; it never starts anew")
    assert "of $7.00" in line(words, "- This server's budget for one day")
    assert "each member" not in words  # the role's goes before it


async def test_beside_a_limit_above_the_operators_it_says_what_the_operator_allows(scene: Scene) -> None:
    await limit(scene, 3 * DOLLAR, subject=str(scene.alice.id))
    await limit(scene, 70 * DOLLAR, scope=Scope.SERVER, period=Period.MONTH)
    words = await usage(scene)
    assert "$3.00 left of $3.00, but the operator allows only $2.00; it starts" in line(
        words, "Your own limit"
    )
    assert "of $70.00, but the operator allows only $50.00; it" in line(words, "This server's budget")
    assert words.count("but the operator") == 2


async def test_a_role_of_others_decides_nothing(scene: Scene) -> None:
    role = scene.guild.create_role("Artists")
    await limit(scene, 3 * DOLLAR)
    await limit(scene, 4 * DOLLAR, scope=Scope.ROLE, subject=str(role.id))
    words = await usage(scene)
    assert "of $3.00" in line(words, "This server's limit for each member for one day")
    assert "role" not in words


async def test_what_others_limits_and_the_operators_budgets_are_is_not_told(open_bot: Open) -> None:
    async with open_bot(bot_daily_limit=90 * DOLLAR, provider_daily_limit=91 * DOLLAR) as scene:
        await limit(scene, 3 * DOLLAR, subject=str(scene.bob.id))
        await limit(scene, 4 * DOLLAR, server_id=scene.guild.id + 1)
        words = await usage(scene)
    assert not any(amount in words for amount in ("$90", "$91", "$3.00", "$4.00"))


async def test_without_any_limit_it_says_so(scene: Scene) -> None:
    await LimitStore(scene.app.database).set_operators([])
    assert "No limit applies here." in await usage(scene)


async def test_many_models_and_limits_are_one_message(scene: Scene) -> None:
    for period in Period:
        await limit(scene, 3 * DOLLAR, period=period)
        await limit(scene, 30 * DOLLAR, period=period, scope=Scope.SERVER)
    await scene.video(format=CHEAP)
    made = await scene.task()
    for number in range(12):
        model = made.format.model_copy(update={"model": f"a-model-with-a-long-name-{number:07}"})
        dear = replace(
            made,
            id=f"other{number}",
            interaction_id=number,
            format=model,
            price_micros=100_000 - number * 5_000,
            list_micros=0,
        )
        assert (await scene.app.tasks.place([dear], server_name="Reef")).tasks
    words = await usage(scene)
    assert len(words) <= MESSAGE_LENGTH
    assert "- 5 others: $0.00 spent, $0.275 held" in words
    assert words.count("starts anew") == 2 + 3 * 2


# ------------------------------------------------------------------- calendar


async def test_after_midnight_the_day_is_new_and_the_month_goes_on(scene: Scene) -> None:
    await scene.succeeded()
    await scene.pass_time(DAY)
    words = await usage(scene)
    assert line(words, "**Today**") == "**Today**: $0.00 spent, $0.00 held"
    assert line(words, "**This month**").startswith("**This month**: $0.3294 spent")
    assert anew(2 * DAY) in line(words, "Your limit")


async def test_a_clip_counts_on_the_day_of_its_hold_although_it_ends_later(scene: Scene) -> None:
    await scene.pass_time(DAY - 30)
    task = await scene.accepted()
    await scene.pass_time(60)
    await scene.app.tasks.succeed(
        task, scene.now(), job_id="task_1", clip=("https://x/", None), cost_micros=100_000, note="finished"
    )
    words = await usage(scene)
    assert line(words, "**Today**").startswith("**Today**: $0.00 spent")
    assert line(words, "**This month**").startswith("**This month**: $0.10 spent")


async def test_after_the_last_day_the_month_is_new_and_the_chart_goes_on(
    scene: Scene, charts: list[Chart]
) -> None:
    await scene.succeeded()
    await scene.pass_time(JANUARY * DAY - 60)
    assert "**This month**: $0.3294 spent" in await usage(scene)
    await scene.pass_time(60)
    words = await usage(scene)
    assert "Nothing was spent this month" in words
    assert anew((JANUARY + 28) * DAY) in line(words, "budget for this server")
    assert [chart.days[-1] for chart in charts] == [date(2026, 1, 31), date(2026, 2, 1)]
    assert {len(chart.days) for chart in charts} == {30}


async def test_the_servers_calendar_decides_and_the_operators_stays_in_utc(scene: Scene) -> None:
    """In New York the year begins five hours later."""
    await move_to(scene, "America/New_York")
    await limit(scene, 3 * DOLLAR)
    await scene.succeeded()
    words = await usage(scene)
    assert r"by the calendar of America/New\_York" in words
    assert anew(5 * HOUR) in line(words, "each member")
    assert anew(DAY) in line(words, "Your limit")
    await scene.pass_time(5 * HOUR)
    words = await usage(scene)
    assert "Nothing was spent this month" in words
    assert "$0.00 used" in line(words, "each member")
    assert "$0.3294 used" in line(words, "Your limit")


async def test_a_day_on_which_the_clocks_go_forward_is_an_hour_shorter(
    scene: Scene, charts: list[Chart]
) -> None:
    march_29 = 87 * DAY
    await move_to(scene, "Europe/Berlin")
    await limit(scene, 3 * DOLLAR)
    await scene.pass_time(march_29 + 12 * HOUR)
    await scene.succeeded()
    assert anew(march_29 + 22 * HOUR) in line(await usage(scene), "each member")
    await scene.pass_time(10 * HOUR)
    words = await usage(scene)
    assert "**Today**: $0.00 spent" in words
    assert charts[-1].days[-1] == date(2026, 3, 30)
    assert charts[-1].series[0].micros[-2:] == (CLIP, 0)


# --------------------------------------------------------------- somebody else


async def test_an_admin_sees_what_a_member_spent_here(scene: Scene, charts: list[Chart]) -> None:
    await refund(scene, await scene.succeeded(), 100_000)
    await limit(scene, 3 * DOLLAR, subject=str(scene.alice.id))
    words = await usage(scene, scene.carol, member=scene.alice)
    assert f"What the clips of <@{scene.alice.id}> cost in this server" in words
    assert "**Today**: $0.3294 spent, $0.10 of it refunded, $0.00 held" in words
    assert "$0.2294 used, $2.7706 left of $3.00" in line(words, "Their own limit in this server for one day")
    assert sum(charts[0].series[0].micros) == CLIP - 100_000


async def test_an_admin_sees_the_limit_of_the_members_role(scene: Scene) -> None:
    role = scene.guild.create_role("Artists")
    artist = scene.guild.add_member(scene.env.create_user("art"), roles=[role])
    await limit(scene, 4 * DOLLAR, scope=Scope.ROLE, subject=str(role.id))
    await limit(scene, 5 * DOLLAR, scope=Scope.ROLE, subject=str(scene.bosses.id))
    words = await usage(scene, scene.carol, member=artist)
    assert f"The limit of their role <@&{role.id}> for one day: $0.00 used, $4.00 left" in words
    assert "$5.00" not in words


async def test_members_without_the_right_see_only_themselves(scene: Scene, charts: list[Chart]) -> None:
    await scene.succeeded()
    assert "for this server's admins" in await usage(scene, scene.bob, member=scene.alice)
    assert not charts


async def test_to_name_oneself_needs_no_right(scene: Scene) -> None:
    await scene.succeeded()
    words = await usage(scene, member=scene.alice)
    assert "What your clips cost" in words
    assert "**Today**: $0.3294 spent" in words


async def test_who_has_left_the_server_can_still_be_looked_at(scene: Scene) -> None:
    await scene.succeeded()
    scene.guild.remove_member(scene.alice)
    assert "**Today**: $0.3294 spent" in await usage(scene, scene.carol, member=scene.alice.user)


async def test_every_server_shows_its_own_alone(scene: Scene, charts: list[Chart]) -> None:
    """What the member's limit counts in all servers is shown to the member, and to no admin."""
    there = await scene.elsewhere()
    await there.alice.slash(there.channel, "video text", prompt="a whale", format=CHEAP)
    own = await usage(scene)
    assert "Nothing was spent this month" in own
    assert "$0.225 used" in line(own, "Your limit for one day over all servers")
    assert "$0.00 used" in line(own, "budget for this server")
    seen = await usage(scene, scene.carol, member=scene.alice)
    assert "Nothing was spent this month.\n" in seen
    assert "$0.225" not in seen
    assert "only the member is shown it" in seen
    assert [chart.series for chart in charts] == [(), ()]


async def test_an_admin_of_another_server_sees_nothing_of_this_one(scene: Scene) -> None:
    there = await scene.elsewhere()
    await scene.succeeded()
    words = told(await there.dora.slash(there.channel, "usage", member=there.alice))
    assert "Nothing was spent this month" in words
    assert "$0.3294" not in words


# ---------------------------------------------------------------------- chart


async def test_the_chart_shows_thirty_days_by_model_against_the_strictest_daily_limit(
    scene: Scene, charts: list[Chart]
) -> None:
    await limit(scene, 1_500_000)
    await limit(scene, 1 * DOLLAR, scope=Scope.SERVER)  # of all members together
    await scene.pass_time(10 * DAY)
    await scene.succeeded()
    await scene.pass_time(2 * DAY)
    await scene.video(format=CHEAP)
    await usage(scene)
    (chart,) = charts
    last = date(2026, 1, 13)
    assert chart.days == tuple(last - timedelta(days=number) for number in reversed(range(30)))
    assert {one.label: _not_zero(one.micros) for one in chart.series} == {
        "Hailuo 2.3": {-3: CLIP},
        "Hailuo 02": {-1: 225_000},
    }
    assert (chart.limit_micros, chart.limit_label) == (1_500_000, "limit $1.50 a day")


def _not_zero(micros: Sequence[int]) -> dict[int, int]:
    """Counted from the end."""
    return {place - len(micros): amount for place, amount in enumerate(micros) if amount}


async def test_without_a_daily_limit_there_is_no_line(scene: Scene, charts: list[Chart]) -> None:
    store = LimitStore(scene.app.database)
    await store.set_operators(
        [one for one in await store.of_server(OPERATOR) if one.scope is not Scope.MEMBER]
    )
    await usage(scene)
    assert charts[0].limit_micros is None


async def test_the_chart_is_a_picture_beside_the_words(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cogs.charts.draw", really_draw)
    await scene.succeeded()
    result = await scene.alice.slash(scene.channel, "usage")
    assert "**Today**: $0.3294 spent" in told(result)
    (picture,) = result.response.attachments
    assert (picture.filename, picture.description) == (
        "spending.png",
        "Spent and held here, last 30 days",
    )
    blob = scene.env.backend.cdn.get(picture.url)
    with Image.open(io.BytesIO(blob)) as image:
        assert (image.format, image.size) == ("PNG", (1100, 550))
    assert [name for name in scene.files() if not name.startswith("cache/fontlist")] == []


@pytest.mark.parametrize("failure", ["drawing", "sending"])
async def test_without_the_chart_the_words_stand_alone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    async def draw(chart: Chart, *, cache: Path) -> bytes:
        if failure == "drawing":
            raise ChildFailed("it took more than 30 seconds")
        # As `inject_error`, which may not be called from inside the bot: the words were sent by now.
        fault = {"status": 413, "code": 40005, "message": "Request entity too large", "times": 1}
        scene.env.backend.faults.append({"method": "PATCH", "path": "/webhooks/*", **fault})
        return b"a picture"

    monkeypatch.setattr("cogs.charts.draw", draw)
    result = await scene.alice.slash(scene.channel, "usage")
    assert "Nothing was spent this month" in told(result)
    assert not result.response.attachments
