"""`/admin limits`: a preview that changes nothing, a button that sets it, the list, and whom all this is for."""

from typing import Any

import pytest

from tests.cogs.fixtures import Open
from tests.cogs.limiting import (
    LEAVE_IT,
    SET_IT,
    asks,
    cleared,
    deeds,
    limited,
    listed,
    own_limits,
    proposed,
    unix,
    until,
)
from tests.cogs.scene import Scene, told

STRING = 3
PERIODS = {"day": "a day", "month": "a month", "total": "in total"}
MIDNIGHT, NEXT_MONTH = unix("2026-01-02T00:00Z"), unix("2026-02-01T00:00Z")


def target(scene: Scene, kind: str) -> tuple[Any, str]:
    """Whom a limit is for, and what the list calls them."""
    return {
        "server": (None, "this server's budget"),
        "each": (scene.guild.default_role, "each member"),
        "role": (scene.bosses, f"<@&{scene.bosses.id}>"),
        "member": (scene.alice, f"<@{scene.alice.id}>"),
    }[kind]


async def raw_set(scene: Scene, **options: tuple[int, Any]) -> Any:
    values = {"amount": (STRING, "1"), "period": (STRING, "day"), **options}
    return await scene.raw("admin limits set", member=scene.carol, **values)


def retouch(scene: Scene, result: Any, custom_id: str) -> None:
    """Give the confirming button an id of our own, as no honest client could."""
    stored = scene.env.backend.get_message(scene.channel.id, result.response.id)
    stored.components[0]["components"][0]["custom_id"] = custom_id


# ---------------------------------------------------------------------- set


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("kind", ["server", "each", "role", "member"])
async def test_every_kind_can_be_set_for_every_period(scene: Scene, kind: str, period: str) -> None:
    whom, name = target(scene, kind)
    result = await proposed(scene, "$1.50", period, whom)
    assert f"spend at most $1.50 {PERIODS[period]}** (until now: no such limit)" in told(result)
    assert "Nothing is changed yet." in told(result)
    assert await own_limits(scene) == []
    await scene.carol.click(result.response, label=SET_IT)
    assert "there was no such limit before" in told(result)
    (line,) = await own_limits(scene)
    assert line.startswith(f"{name}: $1.50 {PERIODS[period]}")
    (deed,) = await deeds(scene)
    assert (deed.actor_id, deed.action, deed.subject) == (
        scene.carol.id,
        "limits set",
        f"{'the whole server' if kind == 'server' else name}, {PERIODS[period]}",
    )
    assert (deed.before, deed.after) == ("", "$1.50")


async def test_a_change_says_what_it_was(scene: Scene) -> None:
    await limited(scene, "1", "day", scene.alice)
    assert "(until now: $1.00)" in told(await proposed(scene, "0.5", "day", scene.alice))
    assert "it was $1.00 before" in await limited(scene, "0.5", "day", scene.alice)
    assert await own_limits(scene) == [f"<@{scene.alice.id}>: $0.50 a day"]
    assert [(deed.before, deed.after) for deed in await deeds(scene)] == [("$1.00", "$0.50"), ("", "$1.00")]


async def test_zero_is_told_as_nothing(scene: Scene) -> None:
    assert "make nothing that costs anything" in await limited(scene, "0", "day", scene.alice)
    words = await asks(scene, scene.alice)
    assert "your own limit in this server for one day is $0.00: it allows nothing" in words
    assert not await scene.tasks()


async def test_leaving_it_changes_nothing_and_takes_the_buttons_away(scene: Scene) -> None:
    result = await proposed(scene, "1", "day")
    await scene.carol.click(result.response, label=LEAVE_IT)
    assert told(result) == "Left as it is: nothing was changed."
    assert not result.response.components
    assert await own_limits(scene) == []
    assert await deeds(scene) == []


async def test_the_same_amount_again_changes_nothing(scene: Scene) -> None:
    await limited(scene, "1", "month")
    assert "is $1.00 a month already; nothing was changed" in told(await proposed(scene, "1.00", "month"))
    assert len(await deeds(scene)) == 1


@pytest.mark.parametrize(
    "amount",
    ["abc", "-1", "1e9", "0.0000001", "", "١٢", "9" * 30, "1,000", "100000000.01", "$", "NaN", "1 2", "`@a`"],
)
async def test_what_is_no_amount_is_refused_with_what_is_allowed(scene: Scene, amount: str) -> None:
    words = told(await raw_set(scene, amount=(STRING, amount)))
    assert "Write dollars such as 2 or $2.50, $100,000,000 at most" in words
    assert amount.replace("`", "'") in words
    assert await own_limits(scene) == []


@pytest.mark.parametrize("amount", ["2", "2.", "$2", " $ 2.000000 ", "2.00"])
async def test_an_amount_may_be_written_in_many_ways(scene: Scene, amount: str) -> None:
    assert "at most $2.00 a day" in await limited(scene, amount, "day", scene.alice)


async def test_a_period_that_does_not_exist_is_refused(scene: Scene) -> None:
    assert "Choose a day, a month, or in total." in told(await raw_set(scene, period=(STRING, "week")))


@pytest.mark.parametrize(
    ("kind", "period", "most", "allowed", "setting"),
    [
        ("each", "day", 2, "each member: $2.00 a day over all servers.", "USER_DAILY_LIMIT"),
        ("role", "day", 2, "each member: $2.00 a day over all servers.", "USER_DAILY_LIMIT"),
        ("member", "day", 2, "each member: $2.00 a day over all servers.", "USER_DAILY_LIMIT"),
        ("server", "month", 50, "the whole server: $50.00 a month.", "SERVER_MONTHLY_LIMIT"),
    ],
)
async def test_no_admin_goes_above_the_operator(
    scene: Scene, kind: str, period: str, most: int, allowed: str, setting: str
) -> None:
    whom, _ = target(scene, kind)
    words = told(await proposed(scene, f"{most}.01", period, whom))
    assert f"{allowed} An admin can only go lower: choose ${most}.00 or less." in words
    assert f"The operator can raise it (`{setting}`)." in words
    assert await own_limits(scene) == []
    await limited(scene, str(most), period, whom)


@pytest.mark.parametrize(
    ("kind", "period"),
    [("each", "month"), ("role", "total"), ("member", "month"), ("server", "day"), ("server", "total")],
)
async def test_where_the_operator_says_nothing_any_amount_goes(scene: Scene, kind: str, period: str) -> None:
    whom, _ = target(scene, kind)
    assert "$5,000.00" in await limited(scene, "5000", period, whom)


# ------------------------------------------------------------------ previews


async def test_a_preview_for_each_member_names_who_is_above_and_until_when(scene: Scene) -> None:
    await scene.succeeded()
    await scene.video()
    await scene.bob.slash(scene.channel, "video text", prompt="a squid")
    result = await proposed(scene, "0.33", "day", scene.guild.default_role)
    assert (
        f"1 member has used that much or more and could make nothing until <t:{MIDNIGHT}:f>:\n"
        f"- <@{scene.alice.id}>: $0.6588, $0.3294 of it held" in told(result)
    )
    assert str(scene.bob.id) not in told(result)
    assert scene.sent("PATCH", "/messages/@original")[-1].json["allowed_mentions"] == {"parse": []}


@pytest.mark.parametrize(("amount", "above"), [("0.329399", True), ("0.3294", True), ("0.3295", False)])
async def test_who_used_exactly_as_much_is_above(scene: Scene, amount: str, *, above: bool) -> None:
    await scene.succeeded()
    words = told(await proposed(scene, amount, "total", scene.alice))
    assert (f"<@{scene.alice.id}>: $0.3294" in words) is above
    assert ("could make nothing until an admin raises it" in words) is above
    assert ("Nobody is above it." in words) is not above


@pytest.mark.parametrize(
    ("kind", "stopped"),
    [
        ("server", "everybody"),
        ("each", "every member whom no other limit lets, their own or a role's,"),
        ("role", "everybody with {name} whom no other limit lets, their own or another role's,"),
        ("member", "{name}"),
    ],
)
async def test_a_limit_below_the_cheapest_clip_stops_all_it_is_for_at_once(
    scene: Scene, kind: str, stopped: str
) -> None:
    whom, name = target(scene, kind)
    stops = f"stops {stopped.format(name=name)} at once.\nNothing is changed yet."
    assert f"\nThis {stops}" in told(await proposed(scene, "0", "total", whom))
    words = told(await proposed(scene, "0.1499", "total", whom))
    assert f"\nThe cheapest clip here costs $0.15. This {stops}" in words
    assert "Nobody is above it" not in words
    assert "at once" not in told(await proposed(scene, "0.15", "total", whom))


async def test_a_preview_leaves_out_those_for_whom_something_closer_decides(scene: Scene) -> None:
    artists = scene.guild.create_role("Artists")
    dave = scene.guild.add_member(scene.env.create_user("dave"), roles=[artists])
    for member in (scene.alice, scene.bob, dave):
        await asks(scene, member)
    await limited(scene, "1", "day", scene.alice)
    await limited(scene, "1", "day", artists)
    words = told(await proposed(scene, "0.3", "day", scene.guild.default_role))
    assert f"1 member has used that much or more and could make nothing until <t:{MIDNIGHT}:f>" in words
    assert f"<@{scene.bob.id}>" in words


async def test_a_preview_of_a_role_asks_who_has_it_now(scene: Scene) -> None:
    poor, rich = scene.guild.create_role("Poor"), scene.guild.create_role("Rich")
    names = {"poor": [poor], "both": [poor, rich], "none": [], "gone": [poor], "own": [poor]}
    people = {
        name: scene.guild.add_member(scene.env.create_user(name), roles=roles)
        for name, roles in names.items()
    }
    await limited(scene, "1", "day", rich)
    await limited(scene, "1", "day", people["own"])
    for member in people.values():
        await asks(scene, member)
    scene.guild.remove_member(people["gone"])
    words = told(await proposed(scene, "0.3", "day", poor))
    assert words.count("<@") == 1 + words.count("<@&")
    assert f"- <@{people['poor'].id}>: $0.3294" in words


async def test_where_discord_does_not_tell_roles_nothing_is_offered(scene: Scene) -> None:
    await scene.video()
    scene.env.inject_error("GET", "/guilds/*/members/*", status=403, times=None)
    result = await proposed(scene, "0.3", "day", scene.bosses)
    assert "Discord does not say just now which roles members have" in told(result)
    assert not result.response.components


async def test_a_preview_of_the_budget_says_what_is_used_of_it(scene: Scene) -> None:
    await scene.succeeded()
    await scene.bob.slash(scene.channel, "video text", prompt="a squid")
    words = told(await proposed(scene, "1", "month"))
    assert (
        f"$0.3294 is spent already and $0.3294 held, so $0.3412 would be left until <t:{NEXT_MONTH}:f>."
        in words
    )
    words = told(await proposed(scene, "0.5", "total"))
    assert "so nobody could make anything until an admin raises it." in words


async def test_spending_elsewhere_is_not_previewed(scene: Scene) -> None:
    there = await scene.elsewhere()
    await asks(scene, there.alice)
    assert "Nobody is above it." in told(await proposed(scene, "0.3", "day", scene.guild.default_role))
    assert "Nobody is above it." in told(await proposed(scene, "0.3", "day", scene.alice))
    assert "$0.00 is spent already and $0.00 held" in told(await proposed(scene, "0.3", "day"))


# -------------------------------------------------------------------- clicks


async def test_the_button_works_after_a_restart(scene: Scene) -> None:
    result = await proposed(scene, "1", "day", scene.bosses)
    await scene.restart()
    await scene.carol.click(result.response, label=SET_IT)
    assert told(result).startswith("Set: ")
    assert await own_limits(scene) == [f"<@&{scene.bosses.id}>: $1.00 a day"]


@pytest.mark.parametrize("first", ["0.5", None])
async def test_a_click_is_refused_where_the_limit_was_changed_meanwhile(
    scene: Scene, first: str | None
) -> None:
    await limited(scene, "1.5", "day")
    stale = await proposed(scene, "1", "day")
    if first:
        await limited(scene, first, "day")
    else:
        await cleared(scene, "day")
    before = await own_limits(scene)
    await scene.carol.click(stale.response, label=SET_IT)
    now = "it is $0.50 a day now" if first else "there is none now"
    assert f"was changed meanwhile: {now}. Nothing was changed" in told(stale)
    assert not stale.response.components
    assert await own_limits(scene) == before
    assert len(await deeds(scene)) == 2


async def test_the_operator_may_have_become_stricter_before_the_click(scene: Scene) -> None:
    result = await proposed(scene, "1", "day", scene.alice)
    await scene.restart(user_daily_limit=500_000)
    await scene.carol.click(result.response, label=SET_IT)
    assert "An admin can only go lower: choose $0.50 or less." in told(result)
    assert await own_limits(scene) == []


@pytest.mark.parametrize("label", [SET_IT, LEAVE_IT])
async def test_who_lost_the_right_meanwhile_clicks_in_vain(scene: Scene, label: str) -> None:
    result = await proposed(scene, "1", "day")
    scene.env.backend.remove_member_role(scene.guild.id, scene.carol.id, scene.bosses.id)
    await scene.carol.click(result.response, label=label)
    assert "Manage Server" in told(result)
    scene.env.backend.add_member_role(scene.guild.id, scene.carol.id, scene.bosses.id)
    assert await own_limits(scene) == []


@pytest.mark.parametrize(
    "proposal",
    [
        "",
        "role::day:1:none",
        "server:5:day:1:none",
        "provider:gmi:day:1:none",
        "member:7:week:1:none",
        "member:7:day:-1:none",
        "member:7:day:1",
        "member:٧:day:1:none",
        "member:007:day:1:none",
        "role:0:day:1:none",
        "member:7:day:9999999999999999:none",
    ],
)
async def test_a_button_with_another_id_sets_nothing(scene: Scene, proposal: str) -> None:
    result = await proposed(scene, "1", "day")
    retouch(scene, result, f"conch:limit:set:{proposal}")
    await scene.carol.click(result.response, label=SET_IT)
    assert "This button names no limit. Nothing was changed" in told(result)
    assert await own_limits(scene) == []


async def test_a_click_under_a_public_message_leaves_that_message_as_it_is(scene: Scene) -> None:
    result = await proposed(scene, "1", "day")
    stored = scene.env.backend.get_message(scene.channel.id, result.response.id)
    stored.flags = 0
    click = await scene.alice.click(result.response, label=SET_IT)
    assert "Manage Server" in told(click)
    assert result.response.content.startswith("**The whole server may spend")
    assert await own_limits(scene) == []


# ------------------------------------------------------------------ the list


async def test_an_empty_list_says_what_the_operator_allows(scene: Scene) -> None:
    words = await listed(scene)
    assert "This server has set no limits" in words
    assert "- each member: $2.00 a day over all servers" in words
    assert (
        "the operator's budget for this server: $50.00 a month · $0.00 spent, $0.00 held, $50.00 left "
        f"until <t:{NEXT_MONTH}:f>" in words
    )
    assert "- all servers together: $100.00 a day" in words


async def test_the_list_has_the_budget_first_and_members_last(scene: Scene) -> None:
    await limited(scene, "1", "total", scene.alice)
    await limited(scene, "1", "day", scene.bosses)
    await limited(scene, "3", "month", scene.guild.default_role)
    await limited(scene, "2", "day", scene.guild.default_role)
    await limited(scene, "9", "month")
    await limited(scene, "5", "day")
    await scene.succeeded()
    assert await own_limits(scene) == [
        f"this server's budget: $5.00 a day · $0.3294 spent, $0.00 held, $4.6706 left until <t:{MIDNIGHT}:f>",
        f"this server's budget: $9.00 a month · $0.3294 spent, $0.00 held, $8.6706 left until <t:{NEXT_MONTH}:f>",
        "each member: $2.00 a day",
        "each member: $3.00 a month",
        f"<@&{scene.bosses.id}>: $1.00 a day",
        f"<@{scene.alice.id}>: $1.00 in total",
    ]
    assert "a member's own limit decides, else the highest of their roles'" in await listed(scene)


async def test_beside_a_limit_above_the_operators_it_says_what_the_operator_allows(scene: Scene) -> None:
    await limited(scene, "40", "month")
    await limited(scene, "1.5", "day", scene.alice)
    await limited(scene, "0.5", "day", scene.bob)
    await scene.restart(user_daily_limit=500_000, server_monthly_limit=30_000_000)
    budget, alices, bobs = await own_limits(scene)
    assert budget.startswith("this server's budget: $40.00 a month, but the operator allows only $30.00 · ")
    assert alices.endswith("$1.50 a day, but the operator allows only $0.50")
    assert bobs.endswith("$0.50 a day")


async def test_a_long_list_is_one_message_and_a_file_with_all(scene: Scene) -> None:
    people = [scene.guild.add_member(scene.env.create_user(f"user{number}")) for number in range(60)]
    for member in people:
        await limited(scene, "1", "day", member)
    result = await scene.admin("limits list")
    words = told(result)
    assert len(words) <= 2000
    assert words.endswith("the strictest decides.")
    shown = sum(f"<@{member.id}>" in words for member in people)
    assert 30 < shown < 60
    assert f"- … {60 - shown} more; all 60 are in the file" in words
    (file,) = result.response.attachments
    assert file.filename == "limits.txt"
    lines = (await file.read()).decode().splitlines()
    assert [f"member {member.id}: $1.00 a day" in lines for member in people] == [True] * 60


async def test_another_servers_limits_are_neither_seen_nor_touched(scene: Scene) -> None:
    there = await scene.elsewhere()
    await limited(scene, "1", "day", scene.alice)
    offered = await there.dora.slash(
        there.channel, "admin limits set", amount="0.1", period="day", whom=there.alice
    )
    assert "no such limit" in told(offered)
    await there.dora.click(offered.response, label=SET_IT)
    gone = await there.dora.slash(there.channel, "admin limits clear", period="day", whom=there.alice)
    assert told(gone).startswith("Cleared: $0.10 a day")
    again = await there.dora.slash(there.channel, "admin limits clear", period="day", whom=there.alice)
    assert "This server has set none" in told(again)
    assert "This server has set no limits" in told(await there.dora.slash(there.channel, "admin limits list"))
    await there.dora.slash(there.channel, "admin limits zone", zone="Asia/Tokyo")
    assert await own_limits(scene) == [f"<@{scene.alice.id}>: $1.00 a day"]
    assert "at midnight in UTC" in await listed(scene)
    assert len(await deeds(scene)) == 1


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("set", {"amount": (STRING, "1"), "period": (STRING, "day")}),
        ("list", {}),
        ("clear", {"period": (STRING, "day")}),
        ("zone", {"zone": (STRING, "Asia/Tokyo")}),
    ],
)
async def test_a_member_without_the_right_gets_nowhere(
    scene: Scene, command: str, options: dict[str, Any]
) -> None:
    await limited(scene, "1.5", "day")
    before = await listed(scene)
    result = await scene.raw(f"admin limits {command}", member=scene.alice, **options)
    assert "Manage Server" in told(result)
    assert not result.response.components
    assert await listed(scene) == before


# --------------------------------------------------------------------- clear


async def test_what_is_cleared_holds_no_more(scene: Scene) -> None:
    await limited(scene, "9", "month", scene.guild.default_role)
    await limited(scene, "0.1", "day", scene.alice)
    assert await asks(scene, scene.alice)
    words = await cleared(scene, "day", scene.alice)
    assert words.startswith(f"Cleared: $0.10 a day for <@{scene.alice.id}>.")
    assert "This server has no other daily limit in its place." in words
    assert "What the operator allows is as before: each member: $2.00 a day over all servers." in words
    assert await asks(scene, scene.alice) == ""
    assert [(deed.action, deed.before, deed.after) for deed in (await deeds(scene))[:2]] == [
        ("limits clear", "$0.10", ""),
        ("limits set", "", "$0.10"),
    ]


async def test_clearing_says_what_decides_instead(scene: Scene) -> None:
    everyone = scene.guild.default_role
    await limited(scene, "1", "day", everyone)
    await limited(scene, "1.5", "day", scene.bosses)
    for whom in (scene.alice, scene.carol):
        await limited(scene, "0.5", "day", whom)
    assert "Now $1.00 a day for each member decides." in await cleared(scene, "day", scene.alice)
    words = await cleared(scene, "day", scene.carol)
    assert f"Now $1.50 a day for <@&{scene.bosses.id}> decides." in words
    words = await cleared(scene, "day", scene.bosses)
    assert "Now $1.00 a day for each member decides, unless an own limit or another role's does." in words
    assert "The limits of roles and single members stay" in await cleared(scene, "day", everyone)


async def test_a_cleared_budget_leaves_the_operators(scene: Scene) -> None:
    await limited(scene, "9", "month")
    words = await cleared(scene, "month")
    assert "This server has no monthly budget of its own any more." in words
    assert (
        "What the operator allows is as before: the operator's budget for this server: $50.00 a month."
        in words
    )


async def test_what_is_not_there_cannot_be_cleared_and_what_is_there_is_named(scene: Scene) -> None:
    assert "This server has set none" in await cleared(scene, "day", scene.alice)
    await limited(scene, "1", "day", scene.alice)
    words = await cleared(scene, "month", scene.alice)
    assert f"There is no monthly limit for <@{scene.alice.id}>." in words
    assert f"There are: <@{scene.alice.id}> $1.00 a day." in words
    assert len(await deeds(scene)) == 1


async def test_the_limit_of_a_member_who_left_can_be_cleared(scene: Scene) -> None:
    await limited(scene, "1", "day", scene.bob)
    scene.guild.remove_member(scene.bob)
    assert (await cleared(scene, "day", scene.bob.user)).startswith("Cleared: $1.00 a day")


# ---------------------------------------------------------------------- zone


async def test_a_zone_moves_the_servers_windows_and_not_the_operators(scene: Scene) -> None:
    await limited(scene, "1", "day")
    await until(scene, "2026-01-31T20:00+00:00")
    words = told(await scene.admin("limits zone", zone="asia/tokyo"))
    assert (
        f"today began <t:{unix('2026-01-31T15:00Z')}:f> and ends <t:{unix('2026-02-01T15:00Z')}:f>" in words
    )
    assert (
        f"this month began <t:{unix('2026-01-31T15:00Z')}:f> and ends <t:{unix('2026-02-28T15:00Z')}:f>"
        in words
    )
    words = await listed(scene)
    assert "at midnight in Asia/Tokyo" in words
    assert f"$1.00 left until <t:{unix('2026-02-01T15:00Z')}:f>" in words
    assert f"$50.00 left until <t:{NEXT_MONTH}:f>" in words
    deed = (await deeds(scene))[0]
    assert (deed.action, deed.before, deed.after) == ("limits zone", "UTC", "Asia/Tokyo")


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ("Berlin", "Did you mean Europe/Berlin?"),
        ("Middle Earth", "Write one such as Europe/Berlin."),
        ("../etc/passwd", "Write one such as Europe/Berlin."),
        ("localtime", "Write one such as Europe/Berlin."),
        ("  ", "Write one such as Europe/Berlin."),
    ],
)
async def test_a_zone_that_does_not_exist_is_refused(scene: Scene, typed: str, advice: str) -> None:
    words = told(await scene.raw("admin limits zone", member=scene.carol, zone=(STRING, typed)))
    assert "is no time zone." in words
    assert advice in words
    assert await deeds(scene) == []


async def test_the_same_zone_again_changes_nothing(scene: Scene) -> None:
    assert "UTC already; nothing was changed" in told(await scene.admin("limits zone", zone="UTC"))
    assert await deeds(scene) == []


async def test_zones_complete_what_is_typed(scene: Scene) -> None:
    async def complete(typed: str) -> list[str]:
        found = await scene.carol.autocomplete(scene.channel, "admin limits zone", "zone", typed)
        return [choice["value"] for choice in found]

    assert await complete("new y") == ["America/New_York"]
    assert (await complete("europe/b"))[0] == "Europe/Belfast"
    assert (await complete("ber"))[:3] == ["Atlantic/Bermuda", "Europe/Berlin", "Australia/Canberra"]
    assert len(await complete("")) == 25
    assert await complete("nowhere") == []


async def test_the_whole_admin_command_is_short_enough_for_discord(open_bot: Open) -> None:
    def letters(command: Any) -> int:
        own = sum(len(str(command.get(key, ""))) for key in ("name", "description", "value"))
        nested = [*command.get("options", []), *command.get("choices", [])]
        return own + sum(map(letters, nested))

    async with open_bot() as scene:
        command = scene.env.backend.find_command("admin", scene.guild.id, type=1)
        assert letters(command) <= 8000
