"""Where no server is around: direct messages, and members who brought the bot along."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import simcord
from simcord.backend.serializers import message_payload
from simcord.interactions import base_payload

from bot import reporting
from bot.domain.servers import NO_SERVER
from bot.domain.task import Task, TaskState
from cogs.animate import NAME
from tests.cogs.clips import fill_in
from tests.cogs.fixtures import Open
from tests.cogs.pictures import picture
from tests.cogs.scene import Scene, says, told
from tests.cogs.test_shapes import WIDE

USER_INSTALL, GUILD, PRIVATE = 1, 0, 2
COMMAND, MESSAGE_COMMAND = 2, 3


@pytest.fixture
async def scene(open_bot: Open) -> AsyncIterator[Scene]:
    async with open_bot(user_installs=True, user_daily_limit=1_000_000, server_monthly_limit=0) as scene:
        yield scene


def direct(scene: Scene) -> list[Any]:
    return scene.shown(scene.alice.user.dm_channel)


async def asked(scene: Scene, prompt: str = "a whale", **options: Any) -> Any:
    """Alice asks in the bot's direct messages."""
    return await scene.alice.user.slash("video text", prompt=prompt, **options)


async def tasks(scene: Scene) -> list[Task]:
    found = await scene.app.tasks.of_member(scene.alice.id, NO_SERVER, limit=100)
    return sorted(found, key=lambda task: (task.interaction_id, task.ordinal))


async def strange(
    scene: Scene, path: str, *, context: int = GUILD, by: Any = None, **options: tuple[int, Any]
) -> Any:
    """Alice, who has installed the bot for herself, in a server without it."""
    who = by or scene.alice
    owners = {str(USER_INSTALL): str(who.id)}
    return await scene.emit(
        2,
        scene.command(path, **options),
        member=who,
        context=context,
        authorizing_integration_owners=owners,
    )


async def sent(scene: Scene, data: dict[str, Any]) -> Any:
    """A command in the bot's direct messages, whether it is offered there or not."""
    user = scene.alice.user
    await scene.alice.send_dm("hello")
    record, payload = base_payload(
        scene.env.backend,
        type=COMMAND,
        channel_id=user.dm_channel.id,
        guild_id=None,
        user_id=user.id,
        data=data,
    )
    scene.env.backend.emit("INTERACTION_CREATE", payload)
    await scene.env.settle()
    return simcord.InteractionResult(scene.env, record)


async def opened(scene: Scene) -> Any:
    """Alice opens the menu of a picture in her direct messages with the bot."""
    posted = await scene.bob.send(scene.channel, "look", attachments=[("cat.png", picture())])
    stored = scene.env.backend.messages[scene.channel.id][posted.id]
    target = {
        key: value for key, value in message_payload(scene.env.backend, stored).items() if key != "guild_id"
    }
    command = scene.env.backend.find_command(NAME, scene.guild.id, type=MESSAGE_COMMAND)
    data = {
        "id": command["id"],
        "name": NAME,
        "type": MESSAGE_COMMAND,
        "target_id": str(posted.id),
        "resolved": {"messages": {str(posted.id): target}},
    }
    return await sent(scene, data)


async def continued(scene: Scene, clip: bytes) -> Task:
    """What goes on, in direct messages, from a private clip that Alice asked for in the server."""
    scene.standin.clip, scene.standin.auto = clip, True
    await scene.video(private=True)
    await scene.step(4)
    user = scene.alice.user
    shown = await user.click(user.dm_channel.history()[-1], label="Continue")
    await fill_in(scene, shown, user, prompt="it dives")
    await scene.step(8)
    (child,) = await tasks(scene)
    assert child.state is TaskState.DELIVERED
    return child


# ------------------------------------------------------------- direct messages


async def test_a_clip_asked_for_in_direct_messages_is_made_and_posted_there(
    scene: Scene, real_clip: bytes
) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    answer = await asked(scene)
    assert not answer.response.ephemeral
    assert "cancelling is free" in says(answer.response)
    await scene.step(4)
    await scene.redraw()
    progress, clip = direct(scene)
    assert clip.content.startswith(f"<@{scene.alice.id}> your clip is ready.")
    assert scene.env.backend.cdn.get(clip.attachments[0]["url"]) == real_clip
    (task,) = await tasks(scene)
    assert (task.state, task.server_id, task.private) == (TaskState.DELIVERED, NO_SERVER, False)
    link = f"https://discord.com/channels/@me/{scene.alice.user.dm_channel.id}/{clip.id}"
    assert says(progress) == f"✅ Ready: {link} `{task.id}`"


async def test_what_the_operator_lets_a_member_spend_holds_and_no_servers_budget(scene: Scene) -> None:
    for _ in range(3):
        assert "cancelling is free" in says((await asked(scene)).response)
    refused = told(await asked(scene))
    assert "your limit for one day over all servers leaves too little" in refused
    assert "budget" not in refused
    assert len(await tasks(scene)) == 3


async def test_it_counts_with_what_the_member_spends_in_servers(open_bot: Open) -> None:
    async with open_bot(user_installs=True, user_daily_limit=500_000) as scene:
        await scene.video()
        assert "leaves too little" in told(await asked(scene))
        assert await tasks(scene) == []


async def test_own_tasks_are_listed_shown_and_cancelled_there(scene: Scene) -> None:
    await asked(scene)
    (task,) = await tasks(scene)
    user = scene.alice.user
    listed = await user.slash("tasks list")
    assert task.id in str(listed.response.embeds[0].description)
    assert "price held" in told(await user.slash("tasks show", task=task.id))
    assert "nothing was spent" in told(await user.slash("tasks cancel", task=task.id))
    assert "There is no such task of yours here" in told(
        await scene.alice.slash(scene.channel, "tasks show", task=task.id)
    )


async def test_usage_formats_and_privacy_work_there(scene: Scene) -> None:
    user = scene.alice.user
    assert "Your limit for one day over all servers: $0.00 used, $1.00 left" in told(
        await user.slash("usage")
    )
    assert "Hailuo 2.3" in told(await user.slash("formats"))
    assert "Nothing is stored of you" in told(await user.slash("privacy show"))


@pytest.mark.parametrize("context", [GUILD, PRIVATE])
async def test_others_usage_is_nobodys_there(scene: Scene, context: int) -> None:
    # Carol manages the server, but it does not have the bot.
    member = (6, str(scene.alice.id))
    refused = await strange(scene, "usage", context=context, by=scene.carol, member=member)
    assert "for this server's admins" in told(refused)


@pytest.mark.parametrize("label", ["Again", "Edit", "Continue"])
async def test_buttons_order_there_what_the_member_may_have(
    scene: Scene, real_clip: bytes, label: str
) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    await asked(scene)
    await scene.step(4)
    await scene.restart()
    user = scene.alice.user
    (message,) = [one for one in user.dm_channel.history() if one.attachments]
    shown = await user.click(message, label=label)
    if label != "Again":
        await fill_in(scene, shown, user, prompt="it dives")
    newest = (await tasks(scene))[-1]
    assert (newest.state, newest.server_id, len(await tasks(scene))) == (TaskState.HELD, NO_SERVER, 2)
    assert newest.prompt == ("a whale" if label == "Again" else "it dives")


async def test_a_clip_there_is_not_reported_but_deleted(scene: Scene, real_clip: bytes) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    await asked(scene)
    await scene.step(4)
    (message,) = [one for one in scene.alice.user.dm_channel.history() if one.attachments]
    labels = [button.label for row in message.components for button in row.children]
    assert labels == ["Again", "Edit", "Continue", "Delete"]


async def test_the_clips_of_a_command_share_their_message_there_too(scene: Scene, real_clip: bytes) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    await asked(scene, count=3)
    await scene.step(10)
    user = scene.alice.user
    (message,) = [one for one in direct(scene) if one.attachments]
    assert len(message.attachments) == 3
    for task in await tasks(scene):
        (seen,) = [one for one in user.dm_channel.history() if one.id == message.id]
        shown = await user.click(seen, custom_id=f"conch:clip:delete:{task.id}")
        await fill_in(scene, shown, user)
    assert [one for one in direct(scene) if one.attachments] == []


async def test_a_picture_there_is_animated_by_its_menu(scene: Scene) -> None:
    await fill_in(scene, await opened(scene), scene.alice.user, prompt="it purrs")
    (task,) = await tasks(scene)
    assert (task.prompt, task.server_id, task.private) == ("it purrs", NO_SERVER, False)


async def test_a_picture_is_made_to_fit_there_too(scene: Scene) -> None:
    user = scene.alice.user
    (offer,) = (await user.slash("video image", prompt="a whale", **WIDE)).followups
    await user.click(offer, label="Pad")
    (task,) = await tasks(scene)
    assert (task.state, task.server_id) == (TaskState.HELD, NO_SERVER)


async def test_what_is_asked_for_in_private_there_goes_on_without_its_answer(
    scene: Scene, real_clip: bytes
) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    scene.env.inject_error("PATCH", "/webhooks/*/messages/@original", status=500, code=0, times=None)
    await asked(scene, private=True)
    for _ in range(6):
        await scene.step()
        await scene.redraw()
    await scene.pass_time(20)
    await scene.redraw()
    assert any("✅ Ready:" in says(message) for message in direct(scene))


async def test_a_story_from_a_server_is_stitched_where_its_clips_are(
    open_bot: Open, real_clip: bytes
) -> None:
    async with open_bot(user_installs=True) as scene:
        child = await continued(scene, real_clip)
        user = scene.alice.user
        (message,) = [one for one in user.dm_channel.history() if one.id == child.message_id]
        result = await user.click(message, label="Stitch")
        assert "stitched for" in result.response.content


# --------------------------------------------------------- who reads and decides


async def test_admins_are_not_led_from_a_clip_to_what_goes_on_outside(
    open_bot: Open, real_clip: bytes
) -> None:
    async with open_bot(user_installs=True) as scene:
        child = await continued(scene, real_clip)
        (parent,) = await scene.tasks()
        shown = told(await scene.admin("tasks show", task=parent.id))
        assert parent.id in shown
        assert child.id not in shown


@pytest.mark.parametrize(
    ("path", "options"),
    [("tasks show", {}), ("tasks cancel", {"reason": "spam"}), ("tasks refund", {"reason": "spam"})],
)
async def test_admins_reach_no_task_outside(scene: Scene, path: str, options: dict[str, Any]) -> None:
    await asked(scene)
    (task,) = await tasks(scene)
    assert "a whale" not in told(await scene.admin(path, task=task.id, **options))
    assert (await tasks(scene))[0].state is TaskState.HELD


async def test_admins_find_and_sum_up_nothing_of_outside(scene: Scene) -> None:
    await asked(scene)
    (task,) = await tasks(scene)
    found = (await scene.admin("tasks find")).response
    assert task.id not in str([found.content, *(one.description for one in found.embeds)])
    assert "No clip was asked for" in (await scene.admin("report")).response.content


async def test_a_servers_pause_does_not_reach_there(scene: Scene) -> None:
    await scene.admin("pause", reason="spam")
    await asked(scene)
    assert len(await tasks(scene)) == 1


async def test_the_operators_report_says_what_was_asked_for_outside(scene: Scene) -> None:
    await asked(scene)
    lines: list[str] = []
    await reporting.report(scene.settings, reporting.Wanted(), scene.now(), lines.append)
    report = "\n".join(lines).splitlines()
    assert "outside servers" in report
    assert any(str(scene.alice.id) in line for line in report[report.index("outside servers") :])


# --------------------------------------------------- brought along by a member


@pytest.mark.parametrize("context", [GUILD, PRIVATE])
async def test_where_the_bot_can_post_nothing_all_comes_in_private(
    scene: Scene, real_clip: bytes, context: int
) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    answer = await strange(scene, "video text", context=context, prompt=(3, "a secret whale"))
    assert answer.response.ephemeral
    await scene.step(4)
    (clip,) = direct(scene)
    assert "a secret whale" in clip.content
    assert scene.shown() == []
    (task,) = await tasks(scene)
    assert (task.state, task.private) == (TaskState.DELIVERED, True)


async def test_a_strange_servers_roles_and_rules_do_not_count(scene: Scene) -> None:
    await scene.admin("access deny", word="whale")
    assert "cancelling is free" in says((await strange(scene, "video text", prompt=(3, "a whale"))).response)


async def test_with_direct_messages_closed_the_clip_is_handed_over_in_an_answer(
    scene: Scene, real_clip: bytes
) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    await strange(scene, "video text", prompt=(3, "a whale"))
    path = (
        f"/channels/{scene.alice.user.dm_channel.id}/messages"
        if scene.alice.user.dm_channel
        else "*/messages"
    )
    scene.env.inject_error("POST", path, status=403, code=50007, times=None)
    await scene.step(4)
    (task,) = await tasks(scene)
    assert task.stranded
    given = await strange(scene, "tasks show", task=(3, task.id))
    assert scene.env.backend.cdn.get(given.response.attachments[0].url) == real_clip
    assert (await tasks(scene))[0].state is TaskState.DELIVERED


# ------------------------------------------------------------ the operator's no


async def test_without_the_operators_leave_nothing_is_offered_outside_servers(open_bot: Open) -> None:
    async with open_bot() as scene:
        for command in scene.app.client.tree.get_commands():
            sent = command.to_dict(scene.app.client.tree)
            assert sent["integration_types"] == [0]
            # Whoever has left a server may still see and erase what is stored of them.
            assert sent["contexts"] == ([0, 1] if command.name == "privacy" else [0])


async def test_admins_commands_stay_in_servers_that_have_the_bot(scene: Scene) -> None:
    sent = {one.name: one.to_dict(scene.app.client.tree) for one in scene.app.client.tree.get_commands()}
    admins = sent.pop("admin")
    assert (admins["contexts"], admins["integration_types"]) == ([0], [0])
    assert sent.pop("privacy")["contexts"] == [0, 1]
    assert {tuple(one["contexts"]) for one in sent.values()} == {(0, 1, 2)}
    assert {tuple(one["integration_types"]) for one in sent.values()} == {(0, 1)}


async def test_an_offer_from_before_the_operators_no_orders_nothing(scene: Scene) -> None:
    user = scene.alice.user
    (offer,) = (await user.slash("video image", prompt="a whale", **WIDE)).followups
    await scene.restart(user_installs=False)
    await user.click(offer, label="Crop")
    assert await tasks(scene) == []


async def test_a_form_from_before_the_operators_no_orders_nothing(scene: Scene) -> None:
    form = await opened(scene)
    await scene.restart(user_installs=False)
    await fill_in(scene, form, scene.alice.user, prompt="it purrs")
    assert await tasks(scene) == []


async def test_a_command_that_a_client_still_shows_orders_nothing(open_bot: Open) -> None:
    async with open_bot() as scene:
        await sent(scene, scene.command("video text", prompt=(3, "a whale")))
        await strange(scene, "video text", prompt=(3, "a whale"))
        assert await tasks(scene) == []
