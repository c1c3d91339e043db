"""A finished clip: one message, for the requester alone to be pinged by, wherever the bot may still speak."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import discord
import pytest
from simcord.backend.models import Overwrite
from simcord.enums import OverwriteType

from bot.domain.errors import DeliveryError, NobodyThere, TooLarge
from bot.domain.parcel import Link, Parcel
from bot.domain.task import Task
from bot.posting import texts
from tests.cogs.scene import Scene


def posted(scene: Scene, place: Any = None) -> Any:
    """The newest message in the channel, or in another place."""
    return scene.shown(place)[-1]


def body(scene: Scene) -> dict[str, Any]:
    """The JSON of the bot's newest post to a channel."""
    return dict(scene.sent("POST", "/messages")[-1].json)


def deny(scene: Scene, **permissions: bool) -> None:
    denied = discord.Permissions(**permissions).value
    backend = scene.env.backend
    backend.set_overwrite(scene.channel.id, Overwrite(backend.bot_user.id, OverwriteType.MEMBER, deny=denied))


def close_dms(scene: Scene) -> None:
    path = f"/channels/{scene.alice.user.dm_channel.id}/messages"
    scene.env.inject_error("POST", path, status=403, code=50007, times=None)


async def test_the_clip_comes_as_a_file_with_its_requester_prompt_and_cost(scene: Scene) -> None:
    await scene.deliver(await scene.succeeded(prompt="a whale", camera="Pan left"))
    message = posted(scene)
    assert message.content == texts.ready_message(
        (await scene.tasks())[0], scene.app.board._catalog, cost_micros=329_400, parcel=Parcel(Path())
    )
    assert [file["filename"] for file in message.attachments] == ["conch-task0001.mp4"]


async def test_the_real_cost_is_shown_not_the_held_price(scene: Scene) -> None:
    await scene.deliver(await scene.succeeded(), cost=250_000)
    assert "$0.25 · MindVideo" in posted(scene).content


async def test_the_prompt_is_the_alternative_text_cut_to_what_discord_takes(scene: Scene) -> None:
    await scene.deliver(await scene.succeeded(prompt="w" * 2000))
    assert posted(scene).attachments[0]["description"] == "w" * 1000


async def test_the_task_id_is_the_enforced_nonce(scene: Scene) -> None:
    task = await scene.succeeded()
    await scene.deliver(task)
    assert (body(scene)["nonce"], body(scene)["enforce_nonce"]) == (task.id, True)


async def test_only_the_requester_may_be_mentioned(scene: Scene) -> None:
    await scene.deliver(await scene.succeeded())
    allowed = body(scene)["allowed_mentions"]
    assert allowed == {"parse": [], "users": [scene.alice.id]}


HOSTILE = [
    "@everyone @here <@{bob}> <@!{bob}> <@&1> hello",
    "# big **bold** ||spoiler|| ```code``` [x](http://evil)",
    "`" * 1999 + "a",
    "\u202e right to left \u2067 and back",
    "a\u200b\u200b\u200b" * 400,
    "line\n\n# line\n> line\n- line",
    "🐋" * 1000,
    "*_~|`<@[" * 250,
]


@pytest.mark.parametrize("prompt", HOSTILE)
async def test_no_prompt_pings_others_or_makes_the_message_too_long(scene: Scene, prompt: str) -> None:
    task = await scene.succeeded(prompt=prompt.format(bob=scene.bob.id) if "{bob}" in prompt else prompt)
    await scene.deliver(task)
    message = posted(scene)
    assert message.ping_user_ids == [scene.alice.id]
    assert not message.mention_everyone
    assert len(message.content) <= 2000
    assert len(message.content.splitlines()) == 3


async def test_lone_surrogates_of_a_raw_prompt_reach_nobody(scene: Scene) -> None:
    await scene.raw("video text", prompt=(3, "a \ud800 whale"))
    await scene.step()
    await scene.deliver(await scene.task())
    assert "\n> a whale\n" in posted(scene).content


# ---------------------------------------------------------------------- size


MIB = 2**20


def boosted(scene: Scene, monkeypatch: pytest.MonkeyPatch, tier: int) -> None:
    monkeypatch.setattr(scene.app.client.get_guild(scene.guild.id), "premium_tier", tier)


def refuse_size(scene: Scene, *, status: int = 413, code: int = 40005) -> None:
    """Discord finds the next file too large."""
    scene.env.inject_error("POST", f"/channels/{scene.channel.id}/messages", status=status, code=code)


async def refused(scene: Scene, task: Task, size: int) -> int:
    """What may be tried after a file of so many bytes was refused."""
    with scene.clip(task).open("wb") as clip:
        clip.truncate(size)
    with pytest.raises(TooLarge) as error:
        await scene.deliver(task)
    return error.value.limit


@pytest.mark.parametrize(
    ("tier", "told", "limit"),
    [
        (0, None, 10 * MIB),
        (2, None, 50 * MIB),
        (0, 25 * MIB, 25 * MIB),
        (2, 10 * MIB, 50 * MIB),
        (0, 1, 10 * MIB),
    ],
)
async def test_the_limit_is_the_most_of_boosts_and_what_the_command_told(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tier: int, told: int | None, limit: int
) -> None:
    boosted(scene, monkeypatch, tier)
    task = replace(await scene.succeeded(), upload_limit=told)
    assert scene.app.board.upload_limit(task) == limit


@pytest.mark.parametrize(("status", "code"), [(413, 40005), (413, 0), (400, 40005)])
async def test_a_file_that_discord_finds_too_large_is_told_as_such(
    scene: Scene, status: int, code: int
) -> None:
    task = await scene.succeeded()
    refuse_size(scene, status=status, code=code)
    assert await refused(scene, task, 12 * MIB) == 10 * MIB
    assert len(scene.shown()) == 1


async def test_a_refused_size_lowers_the_limit_of_the_server_and_of_no_other(scene: Scene) -> None:
    task = replace(await scene.succeeded(), upload_limit=500 * MIB)
    refuse_size(scene)
    await refused(scene, task, 30 * MIB)
    limit = scene.app.board.upload_limit
    assert limit(task) == 10 * MIB
    assert limit(replace(task, upload_limit=30 * MIB)) == 10 * MIB
    assert limit(replace(task, upload_limit=25 * MIB)) == 25 * MIB
    assert limit(replace(task, server_id=1)) == 500 * MIB


async def test_where_even_the_usual_size_is_refused_half_of_it_is_tried(scene: Scene) -> None:
    task = await scene.succeeded()
    refuse_size(scene)
    assert await refused(scene, task, 9 * MIB) == 9 * MIB // 2
    assert scene.app.board.upload_limit(task) == 9 * MIB // 2


async def test_a_refusal_is_forgotten_after_an_hour(scene: Scene) -> None:
    task = await scene.succeeded()
    refuse_size(scene)
    await refused(scene, task, 9 * MIB)
    await scene.pass_time(3599)
    assert scene.app.board.upload_limit(task) == 9 * MIB // 2
    await scene.pass_time(1)
    assert scene.app.board.upload_limit(task) == 25 * MIB


async def test_new_boosts_make_the_refusal_forgotten(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    task = await scene.succeeded()
    refuse_size(scene)
    await refused(scene, task, 9 * MIB)
    boosted(scene, monkeypatch, 2)
    assert scene.app.board.upload_limit(task) == 50 * MIB


async def test_a_size_that_direct_messages_refuse_does_not_bind_the_server(scene: Scene) -> None:
    task = replace(await scene.succeeded(), upload_limit=25 * MIB)
    deny(scene, send_messages=True)
    path = f"/channels/{scene.alice.user.dm_channel.id}/messages"
    scene.env.inject_error("POST", path, status=413, code=40005)
    assert await refused(scene, task, 20 * MIB) == 10 * MIB
    assert scene.app.board.upload_limit(task) == 25 * MIB


async def posted_link(scene: Scene, link: Link) -> Any:
    parcel = Parcel(None, link=link)
    with scene.env.time_context():
        await scene.app.board.deliver(await scene.succeeded(), parcel, cost_micros=0, again=False)
    return posted(scene)


async def test_a_link_alone_pings_its_requester_and_names_its_end(scene: Scene) -> None:
    message = await posted_link(scene, Link("https://cdn.example/x", 70_000, own=False))
    assert "get it from the provider until <t:70:f>: https://cdn.example/x" in message.content
    assert (message.ping_user_ids, message.attachments) == ([scene.alice.id], [])


async def test_a_link_too_long_for_a_message_comes_as_a_small_file(scene: Scene) -> None:
    link = "https://cdn.example/" + "x" * 3000
    (file,) = (await posted_link(scene, Link(link, None, own=False))).attachments
    assert (file["filename"], scene.env.backend.cdn.get(file["url"])) == (
        "conch-task0001.link.txt",
        link.encode(),
    )


async def test_a_webm_is_called_one_so_that_it_plays(scene: Scene) -> None:
    task = await scene.succeeded()
    scene.clip(task).write_bytes(b"\x1aE\xdf\xa3 webm")
    await scene.deliver(task)
    assert [file["filename"] for file in posted(scene).attachments] == ["conch-task0001.webm"]


# -------------------------------------------------------------------- places


@pytest.mark.parametrize(
    ("status", "code"), [(403, 50013), (403, 50001), (404, 10003), (400, 50083), (403, 40333)]
)
async def test_a_closed_channel_sends_the_clip_to_the_members_direct_messages(
    scene: Scene, status: int, code: int
) -> None:
    task = await scene.succeeded()
    path = f"/channels/{scene.channel.id}/messages"
    scene.env.inject_error("POST", path, status=status, code=code, times=None)
    where = await scene.deliver(task)
    assert where.channel_id == scene.alice.user.dm_channel.id
    assert posted(scene, scene.alice.user.dm_channel).attachments


async def test_a_bot_without_the_right_to_speak_uses_direct_messages(scene: Scene) -> None:
    task = await scene.succeeded()
    deny(scene, send_messages=True)
    await scene.deliver(task)
    assert posted(scene, scene.alice.user.dm_channel).content.startswith(f"<@{scene.alice.id}> your clip")


async def test_a_deleted_channel_sends_the_clip_to_direct_messages(scene: Scene) -> None:
    task = await scene.succeeded()
    scene.env.backend.delete_channel(scene.channel.id)
    await scene.deliver(task)
    assert posted(scene, scene.alice.user.dm_channel).attachments


async def test_with_direct_messages_closed_too_nobody_is_there(scene: Scene) -> None:
    task = await scene.succeeded()
    deny(scene, send_messages=True)
    close_dms(scene)
    with pytest.raises(NobodyThere, match="the channel and direct messages are closed to the bot"):
        await scene.deliver(task)


@pytest.mark.parametrize("status", [500, 502, 503, 429])
async def test_trouble_at_discord_is_for_later(scene: Scene, status: int) -> None:
    task = await scene.succeeded()
    path = f"/channels/{scene.channel.id}/messages"
    scene.env.inject_error("POST", path, status=status)
    with pytest.raises(DeliveryError, match=f"answered {status}") as caught:
        await scene.deliver(task)
    assert not isinstance(caught.value, NobodyThere)


@pytest.mark.parametrize("path", ["/users/*", "/users/@me/channels"])
async def test_trouble_while_opening_direct_messages_is_for_later_too(scene: Scene, path: str) -> None:
    task = await scene.succeeded()
    deny(scene, send_messages=True)
    scene.env.inject_error("*", path, status=503)
    with pytest.raises(DeliveryError) as caught:
        await scene.deliver(task)
    assert not isinstance(caught.value, NobodyThere)


@pytest.mark.parametrize("error", [aiohttp.ClientOSError(), ConnectionResetError(), TimeoutError()])
async def test_a_lost_connection_is_for_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    task = await scene.succeeded()

    async def lost(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(scene.app.client.http, "request", lost)
    with pytest.raises(DeliveryError, match=r"could not be reached"):
        await scene.deliver(task)


# ------------------------------------------------------------------ once more


async def test_a_clip_posted_before_a_crash_is_found_and_not_posted_again(scene: Scene) -> None:
    task = await scene.succeeded()
    first = await scene.deliver(task)
    assert await scene.deliver(task, again=True) == first
    assert len(scene.shown()) == 2


async def test_a_clip_in_direct_messages_is_found_although_the_channel_is_open_again(scene: Scene) -> None:
    task = await scene.succeeded()
    path = f"/channels/{scene.channel.id}/messages"
    scene.env.inject_error("POST", path, status=403, code=50013)
    first = await scene.deliver(task)
    assert await scene.deliver(task, again=True) == first


async def test_another_clips_message_is_not_taken_for_it(scene: Scene) -> None:
    other, task = await scene.succeeded(prompt="one"), await scene.succeeded(prompt="two")
    await scene.deliver(other)
    await scene.deliver(task, again=True)
    assert f"`{task.id}`" in posted(scene).content


async def test_other_peoples_words_are_not_taken_for_the_clip(scene: Scene) -> None:
    task = await scene.succeeded()
    await scene.bob.send(scene.channel, f"<@{scene.alice.id}> your clip is ready. `{task.id}`")
    await scene.deliver(task, again=True)
    assert posted(scene).author_id == scene.env.backend.bot_user.id
    assert posted(scene).attachments


async def test_the_progress_message_is_not_taken_for_the_clip(scene: Scene) -> None:
    task = await scene.succeeded(prompt="your clip is great")
    await scene.deliver(task, again=True)
    assert posted(scene).attachments


async def test_a_clip_is_found_behind_much_talk(scene: Scene) -> None:
    task = await scene.succeeded()
    for number in range(120):
        scene.env.backend.create_message(scene.channel.id, scene.bob.id, f"word {number}")
    first = await scene.deliver(task)
    assert await scene.deliver(task, again=True) == first


async def test_a_history_that_may_not_be_read_does_not_hold_the_clip_up(scene: Scene) -> None:
    task = await scene.succeeded()
    path = f"/channels/{scene.channel.id}/messages"
    scene.env.inject_error("GET", path, status=403, code=50013)
    await scene.deliver(task, again=True)
    assert posted(scene).attachments


async def test_a_history_that_cannot_be_read_just_now_is_waited_for(scene: Scene) -> None:
    task = await scene.succeeded()
    path = f"/channels/{scene.channel.id}/messages"
    scene.env.inject_error("GET", path, status=503)
    with pytest.raises(DeliveryError):
        await scene.deliver(task, again=True)
    assert len(scene.shown()) == 1
