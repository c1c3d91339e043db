"""Who gives a command and from where holds, whatever discord.py remembers of the server."""

from typing import Any

import pytest

from tests.cogs.limiting import asks, limited
from tests.cogs.moderators import asked, click
from tests.cogs.overrides import override, unknown
from tests.cogs.scene import Scene, nothing_happened, told

NOT_TOLD = "Discord has not told me about this server yet"
REASON = (3, "spam")


def forget(scene: Scene, role: Any) -> None:
    """As when the event of its creation was lost."""
    guild = scene.app.client.get_guild(scene.guild.id)
    assert guild
    guild._remove_role(role.id)


async def test_a_denied_role_is_denied_although_the_client_does_not_know_it(scene: Scene) -> None:
    await scene.admin("access deny", role=scene.bosses)
    forget(scene, scene.bosses)
    assert "you may make no clips in this server" in await asks(scene, scene.carol)
    assert await nothing_happened(scene)


async def test_a_roles_limit_holds_although_the_client_does_not_know_the_role(scene: Scene) -> None:
    await limited(scene, "0", "day", scene.bosses)
    forget(scene, scene.bosses)
    limit = f"limit of your role <@&{scene.bosses.id}> for one day"
    assert limit in await asks(scene, scene.carol)
    assert limit in told(await scene.carol.slash(scene.channel, "usage"))


async def test_whose_role_was_denied_admin_may_not_click_although_the_client_does_not_know_it(
    scene: Scene,
) -> None:
    channel = await asked(scene)
    await override(scene, {scene.bosses: False})
    forget(scene, scene.bosses)
    for label in ("Approve", "Decline"):
        assert "Manage Server" in told(await click(scene, channel, label))
    assert (await scene.task()).approval_until is not None


@pytest.mark.parametrize("at_start", [True, False])
async def test_nothing_is_held_in_a_server_of_which_discord_has_not_told(
    scene: Scene, *, at_start: bool
) -> None:
    with unknown(scene, at_start=at_start):
        assert NOT_TOLD in told(await scene.video())
    assert await nothing_happened(scene)
    await scene.video()
    assert await scene.task()


@pytest.mark.parametrize("at_start", [True, False])
async def test_nothing_is_administered_in_a_server_of_which_discord_has_not_told(
    scene: Scene, *, at_start: bool
) -> None:
    channel = await asked(scene)
    with unknown(scene, at_start=at_start):
        assert NOT_TOLD in told(await scene.raw("admin pause", member=scene.carol, reason=REASON))
        for label in ("Approve", "Decline"):
            assert NOT_TOLD in told(await click(scene, channel, label))
    assert (await scene.task()).approval_until is not None
    assert "Nothing is paused here" in told(await scene.admin("resume"))


async def test_commands_are_for_servers_that_have_the_bot(scene: Scene) -> None:
    tree = scene.app.client.tree
    sent = [command.to_dict(tree) for command in tree.get_commands()]
    assert all(command["integration_types"] == [0] for command in sent)
    contexts = {command["name"]: command["contexts"] for command in sent}
    # One's own data can be asked for after one has left, too.
    assert contexts.pop("privacy") == [0, 1]
    assert set(map(tuple, contexts.values())) == {(0,)}
