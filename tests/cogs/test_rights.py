"""What a server's own settings say of `/admin` is asked seldom, forgotten at once, and never guessed."""

import asyncio
from typing import Any

import discord
import pytest

from cogs.admin import rights
from storage.marks import MarkStore
from tests.cogs.moderators import asked, click
from tests.cogs.overrides import override
from tests.cogs.scene import Scene, told

ROUTE = "/applications/*/guilds/*/commands/*/permissions"
REASON = (3, "spam")


def questions(scene: Scene) -> int:
    """Of the command's own settings, and of the whole app's."""
    return len(scene.sent("GET", "/permissions"))


async def listing(scene: Scene, member: Any = None) -> str:
    return told(await scene.raw("admin limits list", member=member or scene.carol))


async def test_discord_is_asked_once_a_minute(scene: Scene) -> None:
    for seconds, so_far in [(0, 2), (30, 2), (31, 4), (59, 4)]:
        await scene.pass_time(seconds)
        await listing(scene)
        await listing(scene, scene.alice)
        assert questions(scene) == so_far


async def test_each_server_has_settings_of_its_own(scene: Scene) -> None:
    there = await scene.elsewhere()
    await override(scene, {scene.bosses: False})
    assert "Manage Server" in await listing(scene)
    assert told(await there.dora.slash(there.channel, "admin limits list")).startswith("**")


async def test_a_change_counts_at_once_where_discord_tells_of_it_and_within_a_minute_where_not(
    scene: Scene,
) -> None:
    allowed = await listing(scene)
    await override(scene, {scene.bosses: False})
    assert "Manage Server" in await listing(scene)
    await override(scene, {scene.bosses: True}, lost=True)
    await scene.pass_time(60)
    assert await listing(scene) == allowed


async def test_only_some_servers_are_remembered(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rights, "_MOST_SERVERS", 1)
    there = await scene.elsewhere()
    for so_far in (2, 6):
        await listing(scene)
        assert questions(scene) == so_far
        await there.dora.slash(there.channel, "admin limits list")


async def test_decline_asks_nothing_but_the_settings_before_its_modal(scene: Scene) -> None:
    channel = await asked(scene)
    await scene.restart()
    before = len(scene.env.http_requests)
    shown = await click(scene, channel, "Decline")
    assert shown.modal
    assert [one.method for one in scene.env.http_requests[before:]] == ["GET", "GET", "POST"]
    assert questions(scene) == 4  # two of them for `/admin approvals` before


async def test_where_discord_does_not_answer_only_administrators_pass(scene: Scene) -> None:
    power = scene.guild.create_role("Owners", permissions=discord.Permissions(administrator=True))
    erin = scene.guild.add_member(scene.env.create_user("erin"), roles=[power])
    scene.env.inject_error("GET", ROUTE, status=500, times=None)
    said = told(await scene.raw("admin pause", member=scene.carol, reason=REASON))
    assert "Discord does not say just now who may use this" in said
    assert "Nothing was changed; try again" in said
    assert "Nothing is paused here" in told(await erin.slash(scene.channel, "admin resume"))


async def test_a_failure_is_not_remembered(scene: Scene) -> None:
    scene.env.inject_error("GET", ROUTE, status=500, times=2)
    assert "Discord does not say just now" in await listing(scene)
    assert (await listing(scene)).startswith("**")


async def test_an_answer_that_never_comes_is_not_waited_for(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(rights, "_PATIENCE", 0)
    monkeypatch.setattr(scene.app.client.http, "get_application_command_permissions", never)
    assert "Discord does not say just now" in await listing(scene)


async def test_a_start_knows_the_id_of_the_command_without_asking(scene: Scene) -> None:
    await scene.restart()
    assert len(scene.sent("PUT", "/commands")) == 1
    await override(scene, {scene.bosses: False})
    assert "Manage Server" in await listing(scene)
    assert not scene.sent("GET", "/commands")


async def test_a_start_that_has_lost_the_id_learns_it_again(scene: Scene) -> None:
    marks, client = MarkStore(scene.app.database), scene.app.client
    await marks.set(f"/admin of {client.application_id}", "")
    await scene.restart()
    await override(scene, {scene.bosses: False})
    assert "Manage Server" in await listing(scene)
