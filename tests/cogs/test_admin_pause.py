"""`/admin pause` and `resume`, and who may use `/admin` at all."""

from typing import Any

import pytest

from bot.domain.task import TaskState
from bot.posting.board import EDIT_SECONDS
from tests.cogs.overrides import override
from tests.cogs.scene import Scene, drawn, nothing_happened, says, told
from tests.cogs.test_tasks import listed

REASON = (3, "the budget is being counted")


async def paused(scene: Scene) -> Any:
    return await scene.admin("pause", reason="we look into spam")


async def raw_pause(scene: Scene, member: Any) -> Any:
    """As a client would that Discord lets through, whatever it should."""
    return await scene.raw("admin pause", member=member, reason=REASON)


async def test_a_paused_server_refuses_with_the_reason_and_holds_nothing(scene: Scene) -> None:
    assert "Paused." in told(await paused(scene))
    said = told(await scene.video())
    assert "paused new clips: we look into spam. Nothing was held. Clips that a provider has" in said
    assert await nothing_happened(scene)


async def test_the_reason_is_shown_as_it_was_typed_and_links_nowhere(scene: Scene) -> None:
    await scene.admin("pause", reason="**x** [here](https://evil.example)")
    assert r"paused new clips: \*\*x\*\* \[here\](https\://evil\.example)" in told(await scene.video())


async def test_resumed_it_goes_on(scene: Scene) -> None:
    await paused(scene)
    assert "made here again" in told(await scene.admin("resume"))
    await scene.video()
    assert (await scene.task()).state is TaskState.HELD


async def test_what_waits_is_not_sent_while_paused_and_can_still_be_cancelled(scene: Scene) -> None:
    await scene.video()
    await paused(scene)
    await scene.step()
    assert (await scene.task()).state is TaskState.HELD
    assert not scene.standin.requests
    await scene.admin("resume")
    await scene.step()
    assert (await scene.task()).state is not TaskState.HELD


async def redrawn(scene: Scene) -> str:
    await scene.pass_time(EDIT_SECONDS)
    await scene.redraw()
    return drawn(scene)


async def test_whoever_waits_reads_why_until_it_goes_on(scene: Scene) -> None:
    await scene.video(count=2)
    await scene.admin("pause", reason="we look into *spam*.")
    words = r"⏳ Paused by an admin: We look into \*spam\*. $0.3294 is held; cancelling is free."
    assert (await redrawn(scene)).count(words) == 2
    assert (await listed(scene)).count(words) == 2
    task_id = (await scene.tasks())[0].id
    assert words in told(await scene.alice.slash(scene.channel, "tasks show", task=task_id))
    await scene.admin("pause", reason="lunch?")
    assert "Paused by an admin: Lunch? $0.3294" in await redrawn(scene)
    assert "paused new clips: lunch? Nothing was held." in told(await scene.video())
    await scene.admin("resume")
    shown = await redrawn(scene)
    assert "Paused" not in shown
    assert "**1.** ⏳ Waiting, next in line." in shown


async def test_what_a_provider_has_is_not_called_paused(scene: Scene) -> None:
    await scene.accepted()
    await paused(scene)
    assert "MindVideo's queue" in await redrawn(scene)
    assert "Paused" not in await listed(scene)


async def test_another_servers_messages_are_not_drawn_anew(scene: Scene) -> None:
    there = await scene.elsewhere()
    await there.eve.slash(there.channel, "video text", prompt="a whale")
    await paused(scene)
    await scene.pass_time(EDIT_SECONDS)
    before = len(scene.env.http_requests)
    await scene.redraw()
    assert len(scene.env.http_requests) == before
    assert "Waiting, next in line." in says(scene.shown(there.channel)[0])


async def test_to_resume_what_is_not_paused_changes_nothing(scene: Scene) -> None:
    assert "Nothing is paused here" in told(await scene.admin("resume"))


async def test_another_server_goes_on(scene: Scene) -> None:
    there = await scene.elsewhere()
    await paused(scene)
    await there.eve.slash(there.channel, "video text", prompt="a whale")
    assert await scene.app.tasks.of_member(there.eve.id, there.guild.id, limit=9)


async def test_a_member_without_the_right_gets_nowhere(scene: Scene) -> None:
    assert "Manage Server" in told(await raw_pause(scene, scene.alice))
    await scene.video()
    assert await scene.task()


@pytest.mark.parametrize("by_role", [True, False])
async def test_the_servers_settings_may_allow_it_to_others(scene: Scene, *, by_role: bool) -> None:
    helpers = scene.guild.create_role("Helpers")
    dave = scene.guild.add_member(scene.env.create_user("dave"), roles=[helpers])
    await override(scene, {helpers if by_role else dave: True})
    assert "Paused." in told(await dave.slash(scene.channel, "admin pause", reason="spam"))


async def test_the_servers_settings_may_take_it_from_those_who_manage_it(scene: Scene) -> None:
    await override(scene, {scene.bosses: False})
    assert "Manage Server" in told(await raw_pause(scene, scene.carol))
    await scene.video()
    assert await scene.task()


async def test_what_waited_through_a_long_pause_is_not_given_up_for_it(scene: Scene) -> None:
    await scene.video()
    await paused(scene)
    await scene.pass_time(3 * 3600)
    await scene.admin("resume")
    assert (await scene.task()).waiting_since == scene.now()


@pytest.mark.parametrize(("whom", "allowed"), [("alice", True), ("carol", False)])
async def test_settings_of_the_whole_app_can_only_forbid(scene: Scene, whom: str, *, allowed: bool) -> None:
    member = getattr(scene, whom)
    scene.guild.set_command_permissions(scene.app.client.application_id, {member: allowed})
    assert "Manage Server" in told(await raw_pause(scene, member))
    await scene.video()
    assert await scene.task()
