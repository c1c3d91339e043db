"""Pictures that nearly fit: offered cropped and padded, in private; nothing is held before the member's click."""

import io
from typing import Any

import pytest
from PIL import Image
from simcord.backend.serializers import message_payload

from bot.domain.catalog import Format
from bot.domain.errors import StorageError
from bot.domain.task import TaskState
from cogs.acknowledge import no_storage
from cogs.animate import NAME
from tests.cogs.fixtures import Open
from tests.cogs.pictures import picture
from tests.cogs.scene import Scene, drawn, told

COMPONENT = 3
RED, BLUE = (200, 20, 30), (20, 40, 200)


def halves(size: tuple[int, int]) -> bytes:
    """Red at the left, blue at the right."""
    drawn = Image.new("RGB", size, RED)
    drawn.paste(BLUE, (size[0] // 2, 0, *size))
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG")
    return buffer.getvalue()


WIDE: dict[str, Any] = {"first_frame": ("wide.png", halves((1600, 400)))}
FITS: dict[str, Any] = {"first_frame": ("fits.png", picture(size=(500, 400)))}


async def offered(scene: Scene, mode: str = "image", **options: Any) -> Any:
    """The private answer with the offer."""
    result = await scene.video(mode, **{**WIDE, **options})
    assert "It can be made to fit" in told(result)
    return result.followups[0]


def opened(scene: Scene, url: str) -> Image.Image:
    return Image.open(io.BytesIO(scene.env.backend.cdn.get(url))).convert("RGB")


def frames(scene: Scene) -> list[Image.Image]:
    """The pictures on the newest progress message: those that the provider gets."""
    progress = next(one for one in reversed(scene.shown()) if one.interaction_metadata)
    return [opened(scene, file["url"]) for file in progress.attachments]


async def forged(scene: Scene, answer: str, draft_id: int, member: Any = None) -> Any:
    """A click that no honest client sends."""
    custom_id = f"conch:shape:{answer}:{draft_id}"
    carrier = scene.env.backend.create_message(scene.channel.id, scene.env.backend.bot_user.id, "anything")
    button = {"type": 2, "style": 1, "label": "x", "custom_id": custom_id}
    message: dict[str, Any] = dict(message_payload(scene.env.backend, carrier))
    message["components"] = [{"type": 1, "components": [button]}]
    scene.env.backend.delete_message(scene.channel.id, carrier.id)
    data = {"custom_id": custom_id, "component_type": 2}
    return await scene.emit(COMPONENT, data, member=member, message=message)


def draft_of(offer: Any) -> int:
    return int(offer.components[0]["components"][0]["custom_id"].rpartition(":")[2])


# ---------------------------------------------------------------------- the offer


async def test_the_offer_tells_what_was_found_the_ways_out_and_the_price(scene: Scene) -> None:
    offer = await offered(scene)
    assert "`wide.png` has 1,600 × 400 pixels, a ratio of 4.00; from 0.4 to 2.5" in offer.content
    assert "**Hailuo 2.3 · 6 s · 768p · $0.3294**. Nothing is held until you choose" in offer.content
    assert f"<t:{scene.now() // 1000 + 900}:t>" in offer.content
    assert [button["label"] for button in offer.components[0]["components"]] == ["Crop", "Pad", "Cancel"]


async def test_nothing_is_held_or_shown_to_others_before_the_click(scene: Scene) -> None:
    await offered(scene)
    assert (await scene.tasks(), scene.shown(), scene.standin.requests) == ([], [], [])
    assert all(name.startswith("frames/drafts/") for name in scene.files())


async def test_both_shapes_are_shown_as_pictures(scene: Scene) -> None:
    offer = await offered(scene)
    assert [embed.title for embed in offer.embeds] == ["Crop", "Pad"]
    crop, pad = (opened(scene, file.url) for file in offer.attachments)
    assert (crop.size, pad.size) == ((640, 256), (640, 256))
    assert near(crop.getpixel((10, 128)), RED)
    assert near(pad.getpixel((10, 128)), RED)
    assert offer.embeds[0].image.url.endswith("0-crop.jpg")


def near(found: Any, wanted: tuple[int, int, int]) -> bool:
    return all(abs(a - b) <= 16 for a, b in zip(found, wanted, strict=True))


async def test_several_clips_are_offered_with_their_sum(scene: Scene) -> None:
    offer = await offered(scene, count=3)
    assert "$0.3294 for each of 3 clips, $0.9882 together**" in offer.content
    await scene.alice.click(offer, label="Crop")
    assert len(await scene.tasks()) == 3


async def test_what_is_too_small_is_refused_and_not_offered(scene: Scene) -> None:
    words = told(await scene.video("image", first_frame=("small.png", picture(size=(1000, 200)))))
    assert "each side needs at least 301. Choose a larger picture." in words
    assert not [name for name in scene.files() if "drafts" in name]


# ---------------------------------------------------------------------- the click


async def test_crop_makes_the_clip_begin_with_the_middle(scene: Scene, real_clip: bytes) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    await scene.alice.click(await offered(scene), label="Crop")
    (frame,) = frames(scene)
    assert frame.size == (1000, 400)
    assert near(frame.getpixel((20, 200)), RED)
    assert near(frame.getpixel((980, 200)), BLUE)
    assert await scene.spent_and_held() == (0, 329_400)
    await scene.step(4)
    assert (await scene.task()).state is TaskState.DELIVERED
    assert not [name for name in scene.files() if "drafts" in name]


async def test_pad_makes_it_begin_with_the_whole_picture(scene: Scene) -> None:
    await scene.alice.click(await offered(scene), label="Pad")
    (frame,) = frames(scene)
    assert frame.size == (1600, 640)
    assert near(frame.getpixel((20, 320)), RED)
    assert near(frame.getpixel((1580, 320)), BLUE)


async def test_the_order_is_the_commands_own(scene: Scene) -> None:
    options: dict[str, Any] = {
        "prompt": "a kite",
        "format": "hailuo-02/5/512p",
        "camera": "Pan left",
        "enhance": False,
    }
    await scene.alice.click(await offered(scene, **options), label="Pad")
    task = await scene.task()
    assert (task.prompt, task.format.id, task.camera, task.enhance) == tuple(options.values())
    assert "a kite" in drawn(scene)


async def test_after_the_click_the_buttons_are_gone(scene: Scene) -> None:
    offer = await offered(scene)
    await scene.alice.click(offer, label="Crop")
    stored = scene.env.backend.messages[scene.channel.id][offer.id]
    assert (stored.content, stored.components, stored.embeds) == ("Ordered, cropped.", [], [])


async def test_cancel_forgets_the_order_and_its_pictures(scene: Scene) -> None:
    offer = await offered(scene)
    await scene.alice.click(offer, label="Cancel")
    stored = scene.env.backend.messages[scene.channel.id][offer.id]
    assert (stored.content, stored.components) == ("Cancelled; nothing was held.", [])
    assert (await scene.tasks(), scene.files(), scene.shown()) == ([], [], [])


# -------------------------------------------------------------------- transitions


async def test_of_two_frames_the_one_that_does_not_fit_is_shown(scene: Scene) -> None:
    offer = await offered(scene, "transition", **FITS, last_frame=WIDE["first_frame"])
    assert [embed.title for embed in offer.embeds] == ["Crop · last frame", "Pad · last frame"]
    await scene.alice.click(offer, label="Crop")
    assert [frame.size for frame in frames(scene)] == [(500, 400), (1000, 400)]
    assert (await scene.task()).mode == "transition"


async def test_of_two_frames_that_do_not_fit_both_are_shown(scene: Scene) -> None:
    offer = await offered(scene, "transition", last_frame=("tall.png", picture(size=(400, 1200))))
    assert [embed.title for embed in offer.embeds] == [
        "Crop · first frame",
        "Pad · first frame",
        "Crop · last frame",
        "Pad · last frame",
    ]
    assert "`wide.png` has" in offer.content
    assert "`tall.png` has" in offer.content
    await scene.alice.click(offer, label="Pad")
    assert [frame.size for frame in frames(scene)] == [(1600, 640), (480, 1200)]


async def test_a_frame_that_cannot_be_helped_is_refused_for_both(scene: Scene) -> None:
    words = told(await scene.video("transition", **WIDE, last_frame=("notes.txt", b"hello")))
    assert "`notes.txt` is a text" in words
    assert (await scene.tasks(), scene.shown()) == ([], [])


async def test_animate_image_offers_it_too(scene: Scene) -> None:
    posted = await scene.bob.send(scene.channel, "look", attachments=[WIDE["first_frame"]])
    form = await scene.alice.context_menu(scene.channel, NAME, posted)
    values = {"prompt": "it turns", "format": ["hailuo-02/5/512p"]}
    result = await scene.alice.submit_modal(form, values)
    await scene.alice.click(result.followups[0], label="Crop")
    task = await scene.task()
    assert (task.prompt, task.format.id) == ("it turns", "hailuo-02/5/512p")


# ------------------------------------------------------------ once, by whom, how long


async def test_clicked_twice_it_is_ordered_once(scene: Scene) -> None:
    offer = await offered(scene)
    number = draft_of(offer)
    await scene.alice.click(offer, label="Crop")
    for answer in ("crop", "pad"):
        words = told(await forged(scene, answer, number))
        assert "This was answered already, and nothing more was held." in words
    await forged(scene, "cancel", number)
    assert [task.state for task in await scene.tasks()] == ["held"]
    assert await scene.spent_and_held() == (0, 329_400)


async def test_a_click_that_discord_delivers_twice_is_ordered_once(scene: Scene) -> None:
    await scene.alice.click(await offered(scene), label="Crop")
    events = [payload for _, name, payload in scene.env.backend.transcript if name == "INTERACTION_CREATE"]
    scene.env.backend.emit("INTERACTION_CREATE", events[-1])
    await scene.env.settle()
    assert len(await scene.tasks()) == 1
    assert "a whale" in drawn(scene)


@pytest.mark.parametrize("answer", ["crop", "pad", "cancel"])
async def test_strangers_other_servers_and_made_up_offers_get_nowhere(scene: Scene, answer: str) -> None:
    offer = await offered(scene)
    there = await scene.elsewhere()
    for member, number in ((scene.bob, draft_of(offer)), (scene.carol, draft_of(offer)), (None, 12345)):
        result = await forged(scene, answer, number, member)
        if answer != "cancel":
            assert told(result).startswith("This offer is over: it stood for 15 minutes, for you alone.")
    scene.guild, scene.channel, home = there.guild, there.channel, (scene.guild, scene.channel)
    await forged(scene, answer, draft_of(offer))
    scene.guild, scene.channel = home
    assert await scene.app.database.read("SELECT 1 FROM tasks") == []
    await scene.alice.click(offer, label="Crop")
    assert len(await scene.tasks()) == 1


async def test_a_form_is_no_offer(scene: Scene) -> None:
    posted = await scene.bob.send(scene.channel, "look", attachments=[FITS["first_frame"]])
    form = await scene.alice.context_menu(scene.channel, NAME, posted)
    number = int(form._interaction.modal["custom_id"].rpartition(":")[2])
    assert "This offer is over" in told(await forged(scene, "crop", number))


@pytest.mark.parametrize("same_client", [True, False])
async def test_the_buttons_work_after_a_restart(scene: Scene, *, same_client: bool) -> None:
    offer = await offered(scene)
    await (scene.env.restart_bot() if same_client else scene.restart())
    await scene.app.engine.recover()
    await scene.alice.click(offer, label="Crop")
    assert [frame.size for frame in frames(scene)] == [(1000, 400)]


async def test_after_its_time_the_offer_is_over(scene: Scene) -> None:
    offer = await offered(scene)
    await scene.pass_time(901)
    words = told(await scene.alice.click(offer, label="Crop"))
    assert "Nothing was held; send the command again." in words
    assert await scene.tasks() == []


async def test_what_is_over_is_swept_away_and_nothing_else(scene: Scene) -> None:
    await offered(scene)
    await scene.pass_time(1700)
    second = await offered(scene)
    await scene.pass_time(200)
    await scene.app.drafts.sweep()
    number = draft_of(second)
    assert {name.split("/")[-1].split("-")[0] for name in scene.files()} == {str(number)}
    assert [row["id"] for row in await scene.app.database.read("SELECT id FROM drafts")] == [number]
    await scene.alice.click(second, label="Crop")
    assert len(await scene.tasks()) == 1


# ----------------------------------------------------------------- checked anew


async def test_limits_are_checked_at_the_click_and_the_offer_stays(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=400_000) as scene:
        offer = await offered(scene)
        await scene.video()
        words = told(await scene.alice.click(offer, label="Crop"))
        assert "so $0.0706 is left" in words
        assert len(await scene.tasks()) == 1
        await scene.alice.slash(scene.channel, "tasks cancel", task=(await scene.task()).id)
        await scene.alice.click(offer, label="Crop")
        assert [task.state for task in await scene.tasks()] == ["cancelled", "held"]


async def test_without_room_nothing_is_offered(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=100_000) as scene:
        assert "your limit for one day over all servers is $0.10" in told(await scene.video("image", **WIDE))
        assert not [name for name in scene.files() if "drafts" in name]


async def test_a_pause_meanwhile_stops_the_click(scene: Scene) -> None:
    offer = await offered(scene)
    await scene.admin("pause", reason="no more")
    assert "has paused new clips" in told(await scene.alice.click(offer, label="Pad"))
    assert await scene.tasks() == []


async def test_a_click_that_came_too_late_orders_nothing_and_uses_nothing_up(scene: Scene) -> None:
    offer = await offered(scene)
    scene.env.inject_error("POST", "/interactions/*/callback", status=404, code=10062)
    await forged(scene, "crop", draft_of(offer))
    assert await scene.tasks() == []
    await scene.alice.click(offer, label="Crop")
    assert len(await scene.tasks()) == 1


async def test_a_full_disk_at_the_click_uses_nothing_up(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = await offered(scene)

    async def full(*_: object, **__: object) -> None:
        raise StorageError("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(scene.app.tasks, "place", full)
        assert told(await scene.alice.click(offer, label="Crop")) == no_storage()
    await scene.alice.click(offer, label="Crop")
    assert [frame.size for frame in frames(scene)] == [(1000, 400)]


async def test_what_was_offered_is_made_whatever_the_default_is_by_then(scene: Scene) -> None:
    offer = await offered(scene)
    await scene.restart(default_format=Format.parse("hailuo-02/5/768p"))
    await scene.alice.click(offer, label="Crop")
    assert (await scene.task()).format.id == "hailuo-2.3/6/768p"
