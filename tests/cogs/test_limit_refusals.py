"""What a member reads where a limit stands in the way: for every kind of limit, and at the edges of its window."""

from typing import Any

import pytest

from tests.cogs.fixtures import Open
from tests.cogs.limiting import asks, cleared, limited, unix, until
from tests.cogs.scene import Scene, nothing_happened, told

NAMES = {
    "server": "this server's budget",
    "each": "this server's limit for each member",
    "member": "your own limit in this server",
}
CHEAPEST_EACH = "Hailuo 02 · 5 s · 768p at $0.225 each"
SPANS = {"day": "for one day", "month": "for one month", "total": "in total"}
ENDS = {"day": f"<t:{unix('2026-01-02T00:00Z')}:R>", "month": f"<t:{unix('2026-02-01T00:00Z')}:R>"}
DEFAULT = "Hailuo 2.3 · 6 s · 768p · $0.3294"
CHEAPEST = "Hailuo 02 · 5 s · 768p · $0.225"


async def limit_for_alice(scene: Scene, kind: str, amount: str, period: str) -> str:
    """Set a limit that decides for Alice, and how a refusal names it to her."""
    if kind == "role":
        role = scene.guild.create_role("Artists")
        scene.env.backend.add_member_role(scene.guild.id, scene.alice.id, role.id)
        await limited(scene, amount, period, role)
        return f"the limit of your role <@&{role.id}> {SPANS[period]}"
    whom = {"server": None, "each": scene.guild.default_role, "member": scene.alice}[kind]
    await limited(scene, amount, period, whom)
    return f"{NAMES[kind]} {SPANS[period]}"


@pytest.mark.parametrize("period", SPANS)
@pytest.mark.parametrize("kind", ["server", "each", "role", "member"])
async def test_every_limit_of_an_admin_is_named_with_numbers_time_and_a_way_out(
    scene: Scene, kind: str, period: str
) -> None:
    name = await limit_for_alice(scene, kind, "0.6", period)
    assert await asks(scene, scene.alice) == ""
    words = await asks(scene, scene.alice)
    assert f"That costs $0.3294, and {name} leaves too little, as tasks under way hold the rest" in words
    assert "$0.00 spent and $0.3294 held of $0.60, so $0.2706 is left" in words
    assert "A clip that fails or is cancelled gives its hold back (`/tasks cancel` is free" in words
    anew = (
        f"Else it starts anew {ENDS[period]}." if period in ENDS else "An admin of this server can raise it."
    )
    assert words.endswith(f" {anew} {CHEAPEST} would still fit.")
    assert len(await scene.tasks()) == 1


@pytest.mark.parametrize("period", SPANS)
@pytest.mark.parametrize("kind", ["server", "each", "role", "member"])
async def test_a_limit_that_leaves_too_little_says_when_it_starts_anew(
    scene: Scene, kind: str, period: str
) -> None:
    name = await limit_for_alice(scene, kind, "0.4", period)
    await scene.succeeded()
    words = await asks(scene, scene.alice)
    assert f"{name} leaves too little: $0.3294 spent and $0.00 held of $0.40, so $0.0706 is left" in words
    again = f"It starts anew {ENDS[period]}." if period in ENDS else "An admin of this server can raise it."
    assert f"{again} No other format would fit either." in words


@pytest.mark.parametrize(
    ("setting", "name", "end"),
    [
        ("user_daily_limit", "your limit for one day over all servers", ENDS["day"]),
        ("server_monthly_limit", "the operator's budget for this server for one month", ENDS["month"]),
        ("bot_daily_limit", "the operator's budget for one day", ENDS["day"]),
        ("provider_daily_limit", "the operator's budget for this provider for one day", ENDS["day"]),
    ],
)
async def test_every_limit_of_the_operator_is_named(
    open_bot: Open, setting: str, name: str, end: str
) -> None:
    async with open_bot(**{setting: 600_000}) as scene:
        await scene.succeeded()
        words = await asks(scene, scene.alice)
        assert f"{name} leaves too little: $0.3294 spent and $0.00 held of $0.60" in words
        assert f"It starts anew {end}. {CHEAPEST} would still fit." in words


@pytest.mark.parametrize(
    ("setting", "who"),
    [("user_daily_limit", "Only the operator of this bot"), (None, "An admin of this server")],
)
async def test_a_limit_of_nothing_says_who_can_raise_it(
    open_bot: Open, setting: str | None, who: str
) -> None:
    async with open_bot(**({setting: 0} if setting else {})) as scene:
        if not setting:
            await limited(scene, "0", "month", scene.guild.default_role)
        words = await asks(scene, scene.alice)
        assert f"is $0.00: it allows nothing. {who} can raise it. No other format would fit either." in words
        assert not await scene.tasks()


async def test_of_four_clips_as_many_are_offered_as_fit(scene: Scene) -> None:
    await limited(scene, "0.9", "day", scene.alice)
    words = await asks(scene, scene.alice, count=4)
    assert "That costs $1.3176, and your own limit in this server for one day is $0.90: too dear" in words
    assert words.endswith(
        f"An admin of this server can raise it. 4 clips of {CHEAPEST_EACH} would still fit."
    )
    words = await asks(scene, scene.alice, count=4, format="hailuo-02/5/1080p")
    assert words.endswith(f"4 clips of {CHEAPEST_EACH} would still fit.")
    await limited(scene, "0.7", "day", scene.alice)
    assert (await asks(scene, scene.alice, count=4)).endswith(f"3 clips of {CHEAPEST_EACH} would still fit.")


@pytest.mark.parametrize("kind", ["server", "each", "role", "member"])
async def test_of_four_clips_where_one_fits_none_is_made_and_one_is_offered(scene: Scene, kind: str) -> None:
    await limit_for_alice(scene, kind, "0.4", "day")
    words = await asks(scene, scene.alice, count=4)
    assert words.endswith(f"One clip of {DEFAULT} would still fit.")
    assert await nothing_happened(scene)
    assert await asks(scene, scene.alice) == ""


async def test_what_would_still_fit_does_fit(scene: Scene) -> None:
    await limited(scene, "0.5", "total", scene.alice)
    assert CHEAPEST_EACH in await asks(scene, scene.alice, count=2)
    assert await asks(scene, scene.alice, count=2, format="hailuo-02/5/768p") == ""


# ---------------------------------------------------------------- for whom


async def test_each_member_has_their_own_share_and_all_share_the_budget(scene: Scene) -> None:
    await limited(scene, "0.4", "day", scene.guild.default_role)
    await limited(scene, "0.75", "day")
    assert [await asks(scene, one) for one in (scene.alice, scene.bob)] == ["", ""]
    assert "this server's limit for each member for one day" in await asks(scene, scene.alice)
    assert "this server's budget for one day" in await asks(scene, scene.carol)


async def test_an_own_limit_goes_before_roles_and_these_before_each_members(scene: Scene) -> None:
    await limited(scene, "0.1", "day", scene.guild.default_role)
    artists = scene.guild.create_role("Artists")
    await limited(scene, "0.2", "day", artists)
    assert "limit for each member for one day is $0.10" in await asks(scene, scene.alice)
    scene.env.backend.add_member_role(scene.guild.id, scene.alice.id, artists.id)
    assert f"the limit of your role <@&{artists.id}> for one day is $0.20" in await asks(scene, scene.alice)
    scene.env.backend.remove_member_role(scene.guild.id, scene.alice.id, artists.id)
    assert "limit for each member for one day is $0.10" in await asks(scene, scene.alice)
    await limited(scene, "0.4", "day", scene.alice)
    assert await asks(scene, scene.alice) == ""
    assert "your own limit in this server for one day" in await asks(scene, scene.alice)
    await cleared(scene, "day", scene.alice)
    assert "limit for each member for one day is $0.10" in await asks(scene, scene.alice)


async def test_the_best_of_two_roles_counts(scene: Scene) -> None:
    for name, amount in (("Poor", "0.1"), ("Rich", "0.5"), ("Fair", "0.3")):
        role = scene.guild.create_role(name)
        await limited(scene, amount, "day", role)
        scene.env.backend.add_member_role(scene.guild.id, scene.alice.id, role.id)
    assert await asks(scene, scene.alice) == ""
    assert f"<@&{scene.guild.roles['Rich'].id}> for one day" in await asks(scene, scene.alice)


async def test_of_several_periods_the_strictest_decides(scene: Scene) -> None:
    await limited(scene, "2", "day", scene.alice)
    await limited(scene, "0.5", "month", scene.guild.default_role)
    await limited(scene, "0.4", "total", scene.bosses)
    assert await asks(scene, scene.alice) == ""
    assert "this server's limit for each member for one month" in await asks(scene, scene.alice)
    assert await asks(scene, scene.carol) == ""
    words = await asks(scene, scene.carol)
    assert f"the limit of your role <@&{scene.bosses.id}> in total" in words


async def test_what_was_spent_in_another_server_counts_against_the_operators_alone(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=750_000) as scene:
        there = await scene.elsewhere()
        await limited(scene, "0.4", "day", scene.alice)
        await limited(scene, "0.41", "day")
        assert await asks(scene, there.alice) == ""
        assert await asks(scene, scene.alice) == ""
        assert "in this server" in await asks(scene, scene.alice)
        words = await asks(scene, there.alice)
        assert "your limit for one day over all servers leaves too little" in words
        assert "as tasks under way hold the rest: $0.00 spent and $0.6588 held of $0.75" in words


async def test_a_failed_clip_gives_the_room_back(scene: Scene) -> None:
    await limited(scene, "0.4", "total", scene.alice)
    await scene.video()
    assert await asks(scene, scene.alice)
    await scene.alice.slash(scene.channel, "tasks cancel", task="task0001")
    assert await asks(scene, scene.alice) == ""


# ----------------------------------------------------------------- windows


@pytest.mark.parametrize(
    ("zone", "period", "held", "asked", "end"),
    [
        # Midnight, month end and leap day, in UTC.
        ("UTC", "day", "2026-01-01T23:59:40Z", "2026-01-01T23:59:59Z", "2026-01-02T00:00Z"),
        ("UTC", "day", "2026-01-01T23:59:40Z", "2026-01-02T00:00:00Z", None),
        ("UTC", "month", "2026-01-01T00:10:00Z", "2026-01-31T23:59:59Z", "2026-02-01T00:00Z"),
        ("UTC", "month", "2026-01-31T23:59:40Z", "2026-02-01T00:00:00Z", None),
        ("UTC", "month", "2028-02-01T00:00:00Z", "2028-02-29T23:59:59Z", "2028-03-01T00:00Z"),
        ("UTC", "day", "2028-02-28T23:59:40Z", "2028-02-29T00:00:00Z", None),
        ("UTC", "day", "2028-02-29T00:00:00Z", "2028-02-29T23:59:59Z", "2028-03-01T00:00Z"),
        ("UTC", "total", "2026-01-01T00:10:00Z", "2028-03-01T00:00:00Z", ""),
        # The same moments are other days where the server is.
        ("Europe/Berlin", "day", "2026-01-01T23:10:00Z", "2026-01-02T22:59:59Z", "2026-01-02T23:00Z"),
        ("Europe/Berlin", "day", "2026-01-01T22:50:00Z", "2026-01-01T23:00:00Z", None),
        ("Asia/Kathmandu", "day", "2026-01-01T18:00:00Z", "2026-01-01T18:15:00Z", None),
        ("Pacific/Auckland", "month", "2026-01-31T11:00:00Z", "2026-01-31T12:00:00Z", "2026-02-28T11:00Z"),
        ("America/New_York", "month", "2026-02-01T04:59:59Z", "2026-02-01T05:00:00Z", None),
        # 29 March has 23 hours in Berlin, 25 October has 25.
        ("Europe/Berlin", "day", "2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z", "2026-03-29T22:00Z"),
        ("Europe/Berlin", "day", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", None),
        ("Europe/Berlin", "day", "2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z", "2026-10-25T23:00Z"),
        ("Europe/Berlin", "day", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", None),
        ("Europe/Berlin", "month", "2026-02-28T23:00:00Z", "2026-03-31T21:59:59Z", "2026-03-31T22:00Z"),
    ],
)
async def test_a_hold_counts_in_the_window_of_the_servers_zone(
    scene: Scene, zone: str, period: str, held: str, asked: str, end: str | None
) -> None:
    if zone != "UTC":
        await scene.admin("limits zone", zone=zone)
    await limited(scene, "0.4", period, scene.alice)
    await until(scene, held)
    assert await asks(scene, scene.alice) == ""
    await until(scene, asked)
    words = await asks(scene, scene.alice)
    assert (words == "") is (end is None)
    if end:
        assert f"Else it starts anew <t:{unix(end)}:R>" in words


async def test_the_operators_day_stays_in_utc_whatever_the_servers_zone(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=400_000) as scene:
        await scene.admin("limits zone", zone="Asia/Tokyo")
        await until(scene, "2026-01-01T14:50:00Z")
        assert await asks(scene, scene.alice) == ""
        await until(scene, "2026-01-01T15:10:00Z")
        assert f"starts anew {ENDS['day']}" in await asks(scene, scene.alice)


async def test_another_zone_counts_what_was_spent_where_it_falls_then(scene: Scene) -> None:
    await limited(scene, "0.4", "day", scene.alice)
    await until(scene, "2026-01-01T16:00:00Z")
    assert await asks(scene, scene.alice) == ""
    await scene.admin("limits zone", zone="Asia/Tokyo")
    await until(scene, "2026-01-02T00:10:00Z")
    words = await asks(scene, scene.alice)
    assert f"starts anew <t:{unix('2026-01-02T15:00Z')}:R>" in words


def nobody_pinged(scene: Scene) -> bool:
    bodies = [one.json or {} for one in scene.sent("PATCH", "/messages/@original")]
    return all(body.get("allowed_mentions") == {"parse": []} for body in bodies if "content" in body)


async def test_a_refusal_that_names_a_role_pings_nobody(scene: Scene) -> None:
    await limited(scene, "0.1", "day", scene.bosses)
    result: Any = await scene.carol.slash(scene.channel, "video text", prompt="a whale")
    assert f"<@&{scene.bosses.id}>" in told(result)
    assert nobody_pinged(scene)
