"""The menu **Animate image**, its form, and the order that comes of it; also after a restart."""

import io
import json
from typing import Any

import discord
import pytest
import simcord
from PIL import Image
from simcord.interactions import base_payload

from bot.domain.errors import StorageError
from bot.domain.task import TaskState
from cogs.acknowledge import no_storage
from cogs.animate import NAME, pictures_of
from storage.database import Database
from tests.cogs.fixtures import Open
from tests.cogs.pictures import picture
from tests.cogs.scene import Scene, drawn, says, told

MESSAGE_COMMAND, MODAL = 3, 5
CAT, DOG, COW = (("cat.png", picture()), ("dog.jpg", picture("JPEG")), ("cow.webp", picture("WEBP")))


async def message(scene: Scene, *files: tuple[str, bytes], channel: Any = None) -> Any:
    """Bob posts files."""
    return await scene.bob.send(channel or scene.channel, "look", attachments=files)


async def opened(scene: Scene, *files: tuple[str, bytes], member: Any = None) -> Any:
    return await (member or scene.alice).context_menu(scene.channel, NAME, await message(scene, *files))


async def animated(scene: Scene, *files: tuple[str, bytes], **values: Any) -> Any:
    """Alice animates what Bob posted."""
    form = await opened(scene, *(files or (CAT,)))
    return await scene.alice.submit_modal(form, {"prompt": "it purrs", **_filled(form), **values})


def _filled(form: Any) -> dict[str, Any]:
    """What Discord itself has chosen in a form that is shown."""
    return {
        field["custom_id"]: [option["value"] for option in field["options"] if option.get("default")]
        for field in fields(form).values()
        if any(option.get("default") for option in field.get("options", []))
    }


def fields(form: Any) -> dict[str, dict[str, Any]]:
    labels = form._interaction.modal["components"]  # simcord shows it nowhere else
    return {label["component"]["custom_id"]: label["component"] for label in labels}


async def from_embed(scene: Scene, embed: dict[str, Any], **more: Any) -> Any:
    """Alice opens the menu on a message with an embed, as Discord describes it."""
    posted = await message(scene)
    record, payload = base_payload(
        scene.env.backend,
        type=2,
        channel_id=scene.channel.id,
        guild_id=scene.guild.id,
        user_id=scene.alice.id,
        data={},
    )
    stored = {
        "id": str(posted.id),
        "channel_id": str(scene.channel.id),
        "author": {"id": str(scene.bob.id), "username": "bob", "discriminator": "0", "avatar": None},
        "content": "",
        "timestamp": "2026-01-01T00:00:00+00:00",
        "edited_timestamp": None,
        "tts": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [embed],
        "pinned": False,
        "type": 0,
        **more,
    }
    command = scene.env.backend.find_command(NAME, scene.guild.id, type=MESSAGE_COMMAND)
    payload["data"] = {
        "id": command["id"],
        "name": NAME,
        "type": MESSAGE_COMMAND,
        "target_id": str(posted.id),
        "resolved": {"messages": {str(posted.id): stored}},
    }
    scene.env.backend.emit("INTERACTION_CREATE", payload)
    await scene.env.settle()
    return simcord.InteractionResult(scene.env, record)


def wish(scene: Scene) -> dict[str, Any]:
    (request,) = scene.standin.sent("POST")
    return dict(json.loads(request.body)["input"])


# --------------------------------------------------------------------- the order


async def test_a_picture_of_anybody_becomes_a_clip_that_whoever_asks_pays(
    scene: Scene, real_clip: bytes
) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    await animated(scene)
    assert "it purrs" in drawn(scene)
    assert await scene.spent_and_held() == (0, 329_400)
    await scene.step(4)
    task = await scene.task()
    assert (task.member_id, task.mode, task.state) == (scene.alice.id, "image", TaskState.DELIVERED)
    assert scene.env.backend.cdn.get(scene.shown()[-1].attachments[0]["url"]) == real_clip
    assert not [name for name in scene.files() if "drafts" in name]


async def test_format_and_camera_are_those_of_the_form(scene: Scene) -> None:
    await animated(scene, CAT, format=["hailuo-02/5/512p"], camera=["Pan left"])
    await scene.step()
    assert (wish(scene)["prompt"], wish(scene)["resolution"]) == ("it purrs [Pan left]", "512p")


async def test_the_form_has_every_format_of_the_mode_with_its_price_and_the_operators_default(
    scene: Scene,
) -> None:
    form = await opened(scene, CAT)
    assert set(fields(form)) == {"prompt", "format", "camera", "private"}
    formats = {one["value"]: one for one in fields(form)["format"]["options"]}
    command = scene.env.backend.find_command("video", scene.guild.id, type=1)
    (image,) = (option for option in command["options"] if option["name"] == "image")
    (choices,) = (option["choices"] for option in image["options"] if option["name"] == "format")
    assert [(one["label"], one["value"]) for one in formats.values()] == [
        (choice["name"], choice["value"]) for choice in choices
    ]
    assert [value for value, one in formats.items() if one.get("default")] == ["hailuo-2.3/6/768p"]


async def test_of_several_pictures_the_first_is_chosen_and_another_can_be(scene: Scene) -> None:
    form = await opened(scene, CAT, DOG, COW)
    names = [option["label"] for option in fields(form)["picture"]["options"]]
    assert names == ["1. cat.png", "2. dog.jpg", "3. cow.webp"]
    wide = ("wide.png", picture(size=(800, 400)))
    for chosen, size in (({}, (400, 400)), ({"picture": ["1"]}, (800, 400))):
        await animated(scene, CAT, wide, **chosen)
        assert frame_size(scene) == size


def frame_size(scene: Scene) -> tuple[int, int]:
    """The size of the first frame that the newest progress message carries."""
    progress = next(one for one in reversed(scene.shown()) if one.interaction_metadata)
    with Image.open(io.BytesIO(scene.env.backend.cdn.get(progress.attachments[0]["url"]))) as found:
        return found.size


async def test_it_works_in_threads_and_in_the_text_of_voice_channels(scene: Scene) -> None:
    parent: Any = scene.app.client.get_channel(scene.channel.id)
    thread = await parent.create_thread(name="cats", type=discord.ChannelType.public_thread)
    places = [scene.guild.create_voice_channel("talk")]
    places += [one for one in scene.channel.threads if one.id == thread.id]
    for place in places:
        form = await scene.alice.context_menu(place, NAME, await message(scene, CAT, channel=place))
        await scene.alice.submit_modal(form, {"prompt": "it purrs", **_filled(form)})
        assert (await scene.tasks())[-1].channel_id == place.id
        assert "it purrs" in says(scene.shown(place)[-1])


async def test_the_form_comes_at_once_whatever_the_disk_does(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise StorageError("The disk is full.")

    monkeypatch.setattr(Database, "write", full)
    form = await opened(scene, CAT)
    assert set(fields(form)) == {"prompt", "format", "camera", "private"}
    assert [one.content for one in form.followups if one.ephemeral] == [no_storage()]


# ------------------------------------------------------------------ no picture


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "That message has no picture. Choose one with a PNG, JPEG or WebP picture."),
        ([("party.gif", picture("GIF"))], "only party\\.gif (image/gif). Choose one with a PNG"),
        ([("bill.pdf", b"%PDF-1.7")], "only bill\\.pdf (application/pdf)."),
        ([("<@1>", b"?")], "only \\<\\@1\\> (application/octet-stream)."),
    ],
)
async def test_a_message_without_a_picture_says_what_it_has(
    scene: Scene, files: list[tuple[str, bytes]], words: str
) -> None:
    result = await opened(scene, *files)
    assert words in told(result)
    assert result.response.ephemeral
    assert not await scene.tasks()


async def test_a_picture_that_is_none_is_refused_when_it_is_opened(scene: Scene) -> None:
    words = told(await animated(scene, ("cat.png", b"<html>")))
    assert "`cat.png` is an HTML page; only PNG, JPEG and WEBP pictures are allowed." in words
    assert (await scene.tasks(), scene.files()) == ([], [])


# ----------------------------------------------------------------------- embeds


async def test_the_picture_of_an_embed_is_read_from_discords_own_copy(scene: Scene) -> None:
    (file,) = scene.env.backend.store_attachments(scene.channel.id, [CAT])
    media = {"url": "https://elsewhere.example/a/cat.png?x=1", "proxy_url": file["url"]}
    form = await from_embed(scene, {"type": "rich", "image": media, "thumbnail": media})
    names = [option["label"] for option in fields(form)["picture"]["options"]]
    assert names == ["1. cat.png", "2. cat.png"]
    await scene.alice.submit_modal(form, {"prompt": "it purrs", **_filled(form)})
    assert frame_size(scene) == (400, 400)


@pytest.mark.parametrize(
    "proxy",
    [
        None,
        "https://elsewhere.example/cat.png",
        "http://cdn.discordapp.com/cat.png",
        "https://cdn.discordapp.com.elsewhere.example/cat.png",
        "https://cdn.discordapp.com@elsewhere.example/cat.png",
        "https://evildiscordapp.net/cat.png",
        "https://169.254.169.254/latest",
        "file:///etc/passwd",
        "",
    ],
)
async def test_an_address_that_is_not_discords_is_no_picture(scene: Scene, proxy: str | None) -> None:
    media = {"url": "https://elsewhere.example/cat.png", **({} if proxy is None else {"proxy_url": proxy})}
    result = await from_embed(scene, {"type": "image", "image": media, "thumbnail": media})
    assert "That message has no picture." in told(result)


async def test_discords_own_hosts_are_taken_and_a_forwarded_message_too() -> None:
    class Part:
        def __init__(self, *addresses: str) -> None:
            self.attachments: list[Any] = []
            self.embeds = [
                discord.Embed.from_dict({"image": {"url": "https://x.example/p.png", "proxy_url": address}})
                for address in addresses
            ]
            self.message_snapshots: list[Any] = []

    found = Part("https://media.discordapp.net/a/1.png", "https://images-ext-1.discordapp.net/external/x")
    found.message_snapshots = [Part("https://cdn.discordapp.com/attachments/1/2/3.png")]
    assert len(list(pictures_of(found))) == 3  # type: ignore[arg-type]


# --------------------------------------------------------------- once, and by whom


@pytest.mark.parametrize("same_client", [True, False])
async def test_a_form_is_taken_after_a_restart(scene: Scene, *, same_client: bool) -> None:
    form = await opened(scene, CAT)
    await (scene.env.restart_bot() if same_client else scene.restart())
    await scene.alice.submit_modal(form, {"prompt": "it purrs", **_filled(form)})
    assert (await scene.task()).prompt == "it purrs"


async def submit(scene: Scene, number: int, member: Any = None, **values: Any) -> Any:
    """A submit as no honest client sends it."""
    rows = [
        {"type": 18, "id": place, "component": {"custom_id": name, "type": 4, **field}}
        for place, (name, field) in enumerate(values.items())
    ]
    data = {"custom_id": f"conch:animate:{number}", "components": rows}
    return await scene.emit(MODAL, data, member=member)


def number_of(form: Any) -> int:
    return int(form._interaction.modal["custom_id"].rpartition(":")[2])


async def test_a_form_sent_twice_is_refused_and_nothing_more_is_held(scene: Scene) -> None:
    form = await opened(scene, CAT)
    await scene.alice.submit_modal(form, {"prompt": "it purrs", **_filled(form)})
    words = told(await submit(scene, number_of(form), prompt={"value": "again"}))
    assert "This was answered already, and nothing more was held." in words
    assert len(await scene.tasks()) == 1


async def test_a_submit_that_discord_delivers_twice_is_placed_once(scene: Scene) -> None:
    await animated(scene)
    events = [payload for _, name, payload in scene.env.backend.transcript if name == "INTERACTION_CREATE"]
    scene.env.backend.emit("INTERACTION_CREATE", events[-1])
    await scene.env.settle()
    assert len(await scene.tasks()) == 1
    assert "it purrs" in drawn(scene)


async def test_anothers_form_and_that_of_another_server_are_refused(scene: Scene) -> None:
    form = await opened(scene, CAT)
    there = await scene.elsewhere()
    away, payload = base_payload(
        scene.env.backend,
        type=MODAL,
        channel_id=there.channel.id,
        guild_id=there.guild.id,
        user_id=scene.alice.id,
        data={"custom_id": f"conch:animate:{number_of(form)}", "components": []},
    )
    scene.env.backend.emit("INTERACTION_CREATE", payload)
    await scene.env.settle()
    for result in (
        simcord.InteractionResult(scene.env, away),
        await submit(scene, number_of(form), scene.bob, prompt={"value": "mine"}),
        await submit(scene, 999, prompt={"value": "mine"}),
    ):
        assert told(result).startswith("This form is over")
    assert await scene.app.database.read("SELECT 1 FROM tasks") == []


async def test_an_hour_later_the_form_is_over(scene: Scene) -> None:
    form = await opened(scene, CAT)
    await scene.pass_time(3601)
    result = await scene.alice.submit_modal(form, {"prompt": "it purrs", **_filled(form)})
    assert "it can be sent once, within an hour" in told(result)
    await scene.app.drafts.sweep()
    assert await scene.app.database.read("SELECT 1 FROM drafts") == []


async def test_a_form_that_was_refused_can_be_sent_once_more(scene: Scene) -> None:
    form = await opened(scene, CAT)
    words = told(await submit(scene, number_of(form), prompt={"value": " "}))
    assert "Say in words what should be seen." in words
    await scene.alice.submit_modal(form, {"prompt": "it purrs", **_filled(form)})
    assert len(await scene.tasks()) == 1


@pytest.mark.parametrize("number", ["7", "-1", "x", "1" * 30])
async def test_a_picture_that_was_not_there_cannot_be_chosen(scene: Scene, number: str) -> None:
    form = await opened(scene, CAT)
    fields = {"prompt": {"value": "a"}, "picture": {"values": [number]}}
    assert "The message had 1 picture" in told(await submit(scene, number_of(form), **fields))


async def test_a_form_without_its_fields_is_refused_in_words(scene: Scene) -> None:
    form = await opened(scene, CAT)
    assert "Say in words what should be seen." in told(await submit(scene, number_of(form)))


@pytest.mark.parametrize(
    "custom_id", ["conch:animate:", "conch:animate:1x", f"conch:animate:{2**64}", "conch:cancel:a"]
)
async def test_another_modals_submit_is_left_alone(scene: Scene, custom_id: str) -> None:
    result = await scene.emit(MODAL, {"custom_id": custom_id, "components": []})
    assert not result.acknowledged


# --------------------------------------------------------------- as for a command


async def test_limits_hold_as_for_a_command(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=100_000) as scene:
        assert "your limit for one day over all servers is $0.10" in told(await animated(scene))
        assert (await scene.tasks(), scene.files()) == ([], [])


async def test_a_paused_server_takes_no_form(scene: Scene) -> None:
    await scene.admin("pause", reason="no more")
    assert "has paused new clips" in told(await animated(scene))


async def test_a_blocked_member_gets_nowhere(scene: Scene) -> None:
    await scene.admin("access deny", member=scene.alice)
    assert "Nothing was held." in told(await animated(scene))


async def test_a_submit_that_came_too_late_uses_nothing_up(scene: Scene) -> None:
    form = await opened(scene, CAT)
    scene.env.inject_error("POST", "/interactions/*/callback", status=404, code=10062)
    await submit(scene, number_of(form), prompt={"value": "late"})
    assert not await scene.tasks()
    await scene.alice.submit_modal(form, {"prompt": "in time", **_filled(form)})
    assert (await scene.task()).prompt == "in time"
