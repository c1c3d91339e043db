"""Delete under a posted clip: for its requester and for moderators; the clip goes, its history and its cost stay."""

from typing import Any

import discord
import pytest
from simcord.backend.models import Overwrite
from simcord.enums import OverwriteType

from bot.domain.task import Task, TaskState
from bot.posting.board import EDIT_SECONDS
from tests.cogs.clips import click, fill_in, forge, posted
from tests.cogs.fixtures import Open
from tests.cogs.limiting import deeds
from tests.cogs.scene import Scene, says, told
from tests.disk import ReadOnly


async def delete(scene: Scene, task: Task, member: Any = None, reason: str = "") -> str:
    form = await click(scene, task, "Delete", member)
    return told(await fill_in(scene, form, member, reason=reason))


def stands(scene: Scene, task: Task) -> bool:
    return task.message_id in scene.env.backend.messages[scene.channel.id]


def keeper(scene: Scene) -> Any:
    """A member who may manage messages, and nothing else."""
    role = scene.guild.create_role("Keepers", permissions=discord.Permissions(manage_messages=True))
    return scene.guild.add_member(scene.env.create_user("keith"), roles=[role])


async def test_the_requester_deletes_it_and_the_cost_stays_booked(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    words = await delete(scene, task)
    assert words == f"Deleted. What it cost, $0.3294, stays booked, and its history stays: `{task.id}`"
    assert not stands(scene, task)
    assert await scene.spent_and_held() == (329_400, 0)
    now = await scene.task()
    assert (now.state, now.removed_by) == (TaskState.DELIVERED, scene.alice.id)
    assert scene.files() == []
    assert await deeds(scene) == []


async def test_the_link_to_a_clip_ends_with_its_message(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    scene.clip(task).write_bytes(real_clip)
    await delete(scene, task)
    assert scene.files() == []


async def test_history_list_and_progress_say_so(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    await delete(scene, task)
    await scene.pass_time(EDIT_SECONDS)
    await scene.redraw()
    gone = f"🗑️ Deleted by <@{scene.alice.id}>. `{task.id}`"
    assert says(scene.shown()[0]) == gone
    listed = await scene.alice.slash(scene.channel, "tasks list")
    assert gone in listed.response.embeds[0].description
    shown = told(await scene.alice.slash(scene.channel, "tasks show", task=task.id))
    assert "delivered: removed by the member" in shown
    assert "settle $0.3294" in shown


async def test_opening_the_form_deletes_nothing(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    form = await click(scene, task, "Delete")
    assert form.modal["title"] == "Delete this clip for everybody?"
    assert stands(scene, task)


@pytest.mark.parametrize("who", ["carol", "keeper"])
async def test_moderators_delete_it_with_a_reason_and_it_is_written_down(
    scene: Scene, real_clip: bytes, who: str
) -> None:
    task = await posted(scene, real_clip)
    member = scene.carol if who == "carol" else keeper(scene)
    await delete(scene, task, member, reason="not  here")
    assert not stands(scene, task)
    (deed,) = await deeds(scene)
    assert (deed.action, deed.actor_id, deed.reason) == ("clips delete", member.id, "not here")
    assert deed.subject == f"{task.id} of <@{scene.alice.id}>"
    (*_, last) = await scene.app.tasks.events(task.id)
    assert last.note == f"removed by a moderator, {member.name}: not here"


async def test_another_member_is_told_who_may(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    result = await click(scene, task, "Delete", scene.bob)
    assert "that needs *Manage Messages* in this channel. **Report** tells the moderators" in told(result)
    assert stands(scene, task)
    assert result.modal is None


async def test_who_lost_the_right_since_the_form_opened_deletes_nothing(
    scene: Scene, real_clip: bytes
) -> None:
    task = await posted(scene, real_clip)
    keith = keeper(scene)
    form = await click(scene, task, "Delete", keith)
    denied = Overwrite(keith.id, OverwriteType.MEMBER, deny=discord.Permissions(manage_messages=True).value)
    scene.env.backend.set_overwrite(scene.channel.id, denied)
    assert "Only <@" in told(await fill_in(scene, form, keith))
    assert stands(scene, task)


async def test_it_works_after_a_restart(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    await scene.restart()
    await delete(scene, task)
    assert not stands(scene, task)


def gone(scene: Scene, task: Task) -> None:
    """Discord says that the message is not there; simcord itself takes no form over one that is gone."""
    path = f"/channels/{scene.channel.id}/messages/{task.message_id}"
    scene.env.inject_error("DELETE", path, status=404, code=10008)


async def test_two_forms_delete_once(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    mine, carols = await click(scene, task, "Delete"), await click(scene, task, "Delete", scene.carol)
    gone(scene, task)
    await fill_in(scene, mine)
    again = await fill_in(scene, carols, scene.carol)
    assert told(again) == f"The clip was removed already, by <@{scene.alice.id}>."
    assert (await scene.task()).removed_by == scene.alice.id
    assert await deeds(scene) == []


async def test_a_message_that_is_gone_already_is_as_good(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    gone(scene, task)
    assert "Deleted." in await delete(scene, task)
    assert (await scene.task()).removed_by == scene.alice.id


async def test_a_clip_alone_is_deleted_without_the_right_to_read_the_history(
    scene: Scene, real_clip: bytes
) -> None:
    task = await posted(scene, real_clip)
    scene.env.inject_error("GET", "/channels/*/messages/*", status=403, code=50013, times=None)
    assert "Deleted." in await delete(scene, task)
    assert not stands(scene, task)


async def test_a_channel_closed_to_the_bot_is_told(scene: Scene, real_clip: bytes) -> None:
    task = await posted(scene, real_clip)
    form = await click(scene, task, "Delete")
    path = f"/channels/{scene.channel.id}/messages/{task.message_id}"
    scene.env.inject_error("DELETE", path, status=403, code=50001)
    assert "Allow it *View Channel* and *Read Message History* there" in told(await fill_in(scene, form))
    assert (await scene.task()).removed_by is None


@pytest.mark.parametrize("forged", ["task9999", "task0001"])
async def test_a_made_up_id_deletes_nothing(scene: Scene, real_clip: bytes, forged: str) -> None:
    await posted(scene, real_clip)
    task = await posted(scene, real_clip)
    result = await forge(scene, task, f"conch:clip:delete:{forged}")
    assert "no such clip" in told(result) or "does not carry that clip" in told(result)
    assert [one.removed_by for one in await scene.tasks()] == [None, None]


async def test_another_servers_clip_is_not_touched(scene: Scene, real_clip: bytes) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    there = await scene.elsewhere()
    await there.eve.slash(there.channel, "video text", prompt="a secret")
    await scene.step(4)
    (secret,) = await scene.app.tasks.of_member(there.eve.id, there.guild.id, limit=9)
    task = await posted(scene, real_clip)
    result = await forge(scene, task, f"conch:clip:delete:{secret.id}", scene.carol)
    assert told(result) == "There is no such clip in this server."
    assert len(scene.shown(there.channel)) == 2


async def test_the_requester_deletes_it_from_the_direct_messages(scene: Scene, real_clip: bytes) -> None:
    path = f"/channels/{scene.channel.id}/messages"
    scene.env.inject_error("POST", path, status=403, code=50001, times=None)
    await posted(scene, real_clip)
    user = scene.alice.user
    form = await user.click(user.dm_channel.history()[-1], label="Delete")
    assert "Deleted." in told(await user.submit_modal(form, {"reason": ""}))
    assert user.dm_channel.history() == []


async def test_what_a_read_only_folder_kept_of_a_deleted_clip_goes_at_the_next_start(
    open_bot: Open, real_clip: bytes
) -> None:
    async with open_bot(http_port=0, public_url="https://conch.example") as scene:
        task = await posted(scene, real_clip)
        scene.clip(task).write_bytes(real_clip)  # as one that was posted by its link
        data = scene.settings.data_dir
        with ReadOnly(data):
            await delete(scene, task)
        assert {f"ends/{task.id}.png", f"clips/{task.id}.mp4"} <= set(scene.files())
        await scene.restart()
        await scene.app.engine.recover()
        assert [name for name in scene.files() if task.id in name] == []
