"""The menu under `/admin limits list`: it clears any limit of the server, for its admins alone."""

from typing import Any

import pytest
from simcord.actors import _component_interaction

from tests.cogs.limiting import deeds, limited, own_limits
from tests.cogs.scene import Scene, told


async def listing(scene: Scene) -> Any:
    return await scene.admin("limits list")


def options(shown: Any) -> dict[str, str]:
    """The values of the menu by their labels."""
    (row,) = shown.response.components
    return {option["label"]: option["value"] for option in row["components"][0]["options"]}


async def choose(member: Any, shown: Any, *values: str) -> str:
    """As no honest client would: by anybody, and with any values."""
    stored = member._env.backend.get_message(shown.response.channel_id, shown.response.id)
    data = {"custom_id": "conch:limits:clear", "component_type": 3, "values": list(values)}
    return told(await _component_interaction(member, stored, data))


def forget_role(scene: Scene, role: Any) -> None:
    """Discord deletes a role: simcord cannot, so this does what Discord does."""
    backend = scene.env.backend
    del backend.guilds[scene.guild.id].roles[role.id]
    backend.emit("GUILD_ROLE_DELETE", {"guild_id": str(scene.guild.id), "role_id": str(role.id)})


async def test_every_limit_can_be_chosen_by_its_name_and_is_cleared(scene: Scene) -> None:
    await limited(scene, "5", "month")
    await limited(scene, "2", "day", scene.guild.default_role)
    await limited(scene, "1", "day", scene.bosses)
    await limited(scene, "0.5", "total", scene.alice)
    shown = await listing(scene)
    assert options(shown) == {
        "this server's budget: $5.00 a month": "server::month",
        "each member: $2.00 a day": "member::day",
        "role Bosses: $1.00 a day": f"role:{scene.bosses.id}:day",
        f"member {scene.alice.id}: $0.50 in total": f"member:{scene.alice.id}:total",
    }
    for value in options(shown).values():
        said = told(await scene.carol.select(shown.response, [value]))
        assert said.startswith("Cleared: $")
    assert "This server has set no limits" in said
    assert not shown.response.components
    assert [deed.action for deed in await deeds(scene)][:4] == ["limits clear"] * 4


async def test_what_decides_instead_is_told_above_the_list_that_is_left(scene: Scene) -> None:
    scene.env.backend.add_member_role(scene.guild.id, scene.alice.id, scene.bosses.id)
    await limited(scene, "1.5", "day", scene.bosses)
    await limited(scene, "1", "day", scene.alice)
    said = told(await scene.carol.select((await listing(scene)).response, [f"member:{scene.alice.id}:day"]))
    cleared, rest = said.split("\n\n")
    assert f"Now $1.50 a day for <@&{scene.bosses.id}> decides." in cleared
    assert rest.startswith("**Limits of this server")
    assert await own_limits(scene) == [f"<@&{scene.bosses.id}>: $1.50 a day"]


async def test_the_limit_of_a_deleted_role_stands_first_and_can_be_cleared(scene: Scene) -> None:
    artists = scene.guild.create_role("Artists")
    await limited(scene, "2", "day", scene.guild.default_role)
    await limited(scene, "1", "day", artists)
    forget_role(scene, artists)
    await scene.env.settle()
    assert f"deleted role {artists.id}: $1.00 a day" in await own_limits(scene)
    shown = await listing(scene)
    label, value = next(iter(options(shown).items()))
    assert label == f"deleted role {artists.id}: $1.00 a day"
    assert told(await scene.carol.select(shown.response, [value])).startswith("Cleared: $1.00 a day")
    assert await own_limits(scene) == ["each member: $2.00 a day"]


async def test_of_many_limits_a_menu_has_as_many_as_discord_allows(scene: Scene) -> None:
    for number in range(26):
        await limited(scene, "1", "day", scene.guild.add_member(scene.env.create_user(f"user{number}")))
    assert len(options(await listing(scene))) == 25


async def test_the_menu_works_after_a_restart(scene: Scene) -> None:
    await limited(scene, "1", "day", scene.bosses)
    shown = await listing(scene)
    await scene.restart()
    await scene.carol.select(shown.response, [f"role:{scene.bosses.id}:day"])
    assert await own_limits(scene) == []


async def test_what_was_cleared_meanwhile_is_said(scene: Scene) -> None:
    await limited(scene, "1", "day")
    first, second = await listing(scene), await listing(scene)
    await scene.carol.select(first.response, ["server::day"])
    assert "There is no daily limit for the whole server." in await choose(scene.carol, second, "server::day")
    assert len(await deeds(scene)) == 2


async def test_who_lost_the_right_meanwhile_chooses_in_vain(scene: Scene) -> None:
    await limited(scene, "1", "day")
    shown = await listing(scene)
    scene.env.backend.remove_member_role(scene.guild.id, scene.carol.id, scene.bosses.id)
    assert "Manage Server" in told(await scene.carol.select(shown.response, ["server::day"]))
    assert [deed.action for deed in await deeds(scene)] == ["limits set"]


@pytest.mark.parametrize("value", ["server::day", ""])
async def test_a_member_without_the_right_gets_nowhere(scene: Scene, value: str) -> None:
    await limited(scene, "1", "day")
    assert "Manage Server" in await choose(scene.alice, await listing(scene), value)
    assert len(await own_limits(scene)) == 1


@pytest.mark.parametrize(
    "values", [[], [""], ["role::day"], ["server:5:day"], ["bot::day"], ["member:٧:day"], ["server::day:1"]]
)
async def test_values_that_name_no_limit_clear_nothing(scene: Scene, values: list[str]) -> None:
    await limited(scene, "1", "day")
    said = await choose(scene.carol, await listing(scene), *values)
    assert "This choice names no limit. Nothing was changed" in said
    assert len(await own_limits(scene)) == 1


async def test_where_discord_does_not_tell_roles_a_members_limit_stays(scene: Scene) -> None:
    await limited(scene, "1", "day", scene.alice)
    shown = await listing(scene)
    scene.env.inject_error("GET", "/guilds/*/members/*", status=403, times=None)
    said = told(await scene.carol.select(shown.response, [f"member:{scene.alice.id}:day"]))
    assert "Discord does not say just now which roles members have" in said
    assert len(await own_limits(scene)) == 1


async def test_another_servers_limit_cannot_be_chosen(scene: Scene) -> None:
    there = await scene.elsewhere()
    await limited(scene, "1", "day", scene.alice)
    await limited(scene, "1", "day")
    offered = await there.dora.slash(there.channel, "admin limits set", amount="1", period="month")
    await there.dora.click(offered.response, label="Set it")
    shown = await there.dora.slash(there.channel, "admin limits list")
    assert list(options(shown).values()) == ["server::month"]
    for value in ("server::day", f"member:{scene.alice.id}:day"):
        shown = await there.dora.slash(there.channel, "admin limits list")
        assert "There is no daily limit" in await choose(there.dora, shown, value)
    assert len(await own_limits(scene)) == 2
