"""`/usage` and `/formats`: numbers that follow the calendar and the ledger, and every price."""

from pathlib import Path

import pytest

from bot.domain.catalog import Format
from tests.cogs.fixtures import Open
from tests.cogs.scene import NEW_YEAR, Scene, told
from tests.cogs.test_menu import catalog_of

DAY = 86_400
JANUARY = 31


async def usage(scene: Scene) -> list[str]:
    """The lines for today and this month."""
    return told(await scene.alice.slash(scene.channel, "usage")).splitlines()[1:]


def starts_anew(days: int) -> str:
    return f"It starts anew <t:{NEW_YEAR // 1000 + days * DAY}:R>."


async def test_a_member_who_spent_nothing_has_the_whole_limit_left(scene: Scene) -> None:
    assert await usage(scene) == [
        f"**Today**: $0.00 spent, $0.00 held, $2.00 left of $2.00. {starts_anew(1)}",
        f"**This month**: $0.00 spent, $0.00 held. {starts_anew(JANUARY)}",
    ]


async def test_spent_and_held_are_told_apart(scene: Scene) -> None:
    await scene.succeeded()
    await scene.video(format="hailuo-02/5/768p")
    today, month = await usage(scene)
    assert today.startswith("**Today**: $0.3294 spent, $0.225 held, $1.4456 left of $2.00.")
    assert month.startswith("**This month**: $0.3294 spent, $0.225 held.")


async def test_what_was_given_back_does_not_count(scene: Scene) -> None:
    await scene.video()
    await scene.alice.slash(scene.channel, "tasks cancel", task="task0001")
    assert (await usage(scene))[0].startswith("**Today**: $0.00 spent, $0.00 held, $2.00 left")


async def test_after_midnight_the_day_is_new_and_the_month_goes_on(scene: Scene) -> None:
    await scene.succeeded()
    await scene.pass_time(DAY)
    today, month = await usage(scene)
    assert today == f"**Today**: $0.00 spent, $0.00 held, $2.00 left of $2.00. {starts_anew(2)}"
    assert month.startswith("**This month**: $0.3294 spent, $0.00 held.")


async def test_a_clip_held_before_midnight_counts_for_that_day_although_it_ends_later(scene: Scene) -> None:
    await scene.pass_time(DAY - 30)
    task = await scene.accepted()
    await scene.pass_time(60)
    await scene.app.tasks.succeed(
        task, scene.now(), job_id="task_1", clip=("https://x/", None), cost_micros=100_000, note="finished"
    )
    today, month = await usage(scene)
    assert today.startswith("**Today**: $0.00 spent")
    assert month.startswith("**This month**: $0.10 spent")


async def test_after_the_last_day_the_month_is_new(scene: Scene) -> None:
    await scene.succeeded()
    await scene.pass_time(JANUARY * DAY - 60)
    assert (await usage(scene))[1].startswith("**This month**: $0.3294 spent")
    await scene.pass_time(60)
    _, month = await usage(scene)
    assert month == f"**This month**: $0.00 spent, $0.00 held. {starts_anew(JANUARY + 28)}"


async def test_nothing_is_left_below_zero(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=400_000) as scene:
        await scene.succeeded()
        await scene.restart(user_daily_limit=100_000)
        assert "$0.00 left of $0.10" in (await usage(scene))[0]


async def test_another_members_spending_is_not_counted(scene: Scene) -> None:
    await scene.succeeded()
    words = told(await scene.bob.slash(scene.channel, "usage"))
    assert "**Today**: $0.00 spent" in words


async def test_the_usage_is_told_to_the_member_alone(scene: Scene) -> None:
    result = await scene.alice.slash(scene.channel, "usage")
    assert result.ephemeral
    assert scene.shown() == []


# ---------------------------------------------------------------------- formats


async def formats(scene: Scene) -> str:
    return told(await scene.alice.slash(scene.channel, "formats"))


async def test_every_format_of_every_mode_is_listed_with_its_price(scene: Scene) -> None:
    words = await formats(scene)
    text, image, transition = words.split("**`/video ")[1:]
    assert text.splitlines()[1] == "- Hailuo 2.3 · 6 s · 768p · $0.3294 · default"
    assert "- Hailuo 02 · 5 s · 512p · $0.15" in image
    assert "- Hailuo 02 · 5 s · 768p · $0.225 · default" in transition


async def test_each_mode_has_one_default(scene: Scene) -> None:
    parts = (await formats(scene)).split("**`/video ")[1:]
    assert [part.count("· default") for part in parts] == [1, 1, 1]


@pytest.mark.parametrize("count", [3, 30, 60])
async def test_the_list_is_one_message_however_long_the_catalog(
    open_bot: Open, tmp_path: Path, count: int
) -> None:
    wished = Format.parse("hailuo-02/2/768p")
    async with open_bot(catalog_file=catalog_of(tmp_path, count), default_format=wished) as scene:
        words = await formats(scene)
    assert len(words) <= 2000
    assert "- Hailuo 02 · 2 s · 768p · $0.02 · default" in words


async def test_a_mode_that_nobody_makes_says_so(open_bot: Open, tmp_path: Path) -> None:
    async with open_bot(catalog_file=catalog_of(tmp_path, 3)) as scene:
        assert (await formats(scene)).endswith("- nothing: no provider makes these")
