"""`/video …` from the command to the clip, and every refusal: told in private, with nothing held, sent or kept."""

import json
import re
import threading
from typing import Any

import pytest

from bot.domain.catalog import Format
from bot.domain.task import TaskState
from storage.database import Database, Transaction
from tests.cogs.fixtures import Open
from tests.cogs.pictures import animated, picture
from tests.cogs.scene import Scene, drawn, nothing_happened, says, told

FIRST: dict[str, Any] = {"first_frame": ("first.png", picture())}
BOTH: dict[str, Any] = {**FIRST, "last_frame": ("last.jpg", picture("JPEG", (500, 400)))}
STRING, INTEGER = 3, 4


def wish(scene: Scene) -> dict[str, Any]:
    """What the provider was asked to make."""
    (request,) = scene.standin.sent("POST")
    return dict(json.loads(request.body)["input"])


# -------------------------------------------------------------- the whole path


@pytest.mark.parametrize(
    ("mode", "frames", "made"),
    [
        ("text", {}, "hailuo-2.3/6/768p"),
        ("image", FIRST, "hailuo-2.3/6/768p"),
        ("transition", BOTH, "hailuo-02/5/768p"),
    ],
)
async def test_every_mode_goes_from_the_command_to_a_playable_clip(
    scene: Scene, real_clip: bytes, mode: str, frames: dict[str, Any], made: str
) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    await scene.video(mode, **frames)
    await scene.step(4)
    await scene.redraw()
    task, (progress, clip) = await scene.task(), scene.shown()
    assert (task.state, task.format.id) == (TaskState.DELIVERED, made)
    assert scene.env.backend.cdn.get(clip.attachments[0]["url"]) == real_clip
    link = f"https://discord.com/channels/{scene.guild.id}/{scene.channel.id}/{clip.id}"
    assert says(progress) == f"✅ Ready: {link} `{task.id}`"
    assert (len(progress.components), progress.attachments) == (1, [])
    assert [name.split("/")[0] for name in scene.files()] == ["ends", *("frames" for _ in frames)]


async def test_what_is_spent_is_what_the_provider_charged(scene: Scene, real_clip: bytes) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    await scene.video()
    assert await scene.spent_and_held() == (0, 329_400)
    await scene.step(4)
    assert await scene.spent_and_held() == (329_400, 0)


async def test_the_provider_gets_every_option_written_out(scene: Scene) -> None:
    await scene.video(format="hailuo-02/10/768p", camera="Pan left", enhance=False)
    await scene.step()
    asked = wish(scene)
    assert asked["prompt"] == "a whale [Pan left]"
    assert (asked["duration"], asked["resolution"]) == (10, "768p")
    assert asked["prompt_optimizer"] is False


async def test_the_provider_reads_the_frames_from_the_progress_message(scene: Scene) -> None:
    await scene.video("transition", **BOTH)
    await scene.step()
    urls = [file["url"] for file in scene.shown()[0].attachments]
    assert [wish(scene)["first_frame_image"], wish(scene)["last_frame_image"]] == urls
    assert all(scene.env.backend.cdn.get(url)[:3] == b"\xff\xd8\xff" for url in urls)


async def test_the_sandbox_makes_a_clip_for_nothing(open_bot: Open) -> None:
    async with open_bot(providers=("sandbox",), sandbox_seconds=0) as scene:
        await scene.video(format="hailuo-2.3/6/768p")
        assert "· $0.00 · Sandbox" in drawn(scene)
        await scene.step()
        assert (await scene.task()).state in {TaskState.QUEUED, TaskState.PROCESSING}


async def test_a_clip_that_nobody_can_be_given_is_kept_until_its_member_asks(
    scene: Scene, real_clip: bytes
) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    await scene.video()
    scene.env.inject_error("POST", "/channels/*/messages", status=403, code=50007, times=None)
    await scene.step(4)
    listed = await scene.alice.slash(scene.channel, "tasks list")
    assert "could not be posted" in listed.response.embeds[0].description
    shown = await scene.alice.slash(scene.channel, "tasks show", task="task0001")
    assert scene.env.backend.cdn.get(shown.response.attachments[0].url) == real_clip
    assert (await scene.task()).state is TaskState.DELIVERED


async def test_a_clip_that_meets_trouble_is_posted_later_once(scene: Scene, real_clip: bytes) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    await scene.video()
    scene.env.inject_error("POST", "/channels/*/messages", status=503)
    await scene.step(6)
    assert (await scene.task()).state is TaskState.DELIVERED
    assert len([one for one in scene.shown() if one.attachments]) == 1


@pytest.mark.parametrize("count", [1, 2, 3, 4])
async def test_each_clip_of_a_count_is_a_task_of_its_own(scene: Scene, count: int) -> None:
    await scene.video(count=count, format="hailuo-02/5/768p")
    tasks = await scene.tasks()
    assert [task.ordinal for task in tasks] == list(range(count))
    assert await scene.spent_and_held() == (0, count * 225_000)
    assert len(scene.shown()) == 1


async def test_an_event_that_comes_twice_is_placed_once(scene: Scene) -> None:
    await scene.video()
    events = [payload for _, name, payload in scene.env.backend.transcript if name == "INTERACTION_CREATE"]
    scene.env.backend.emit("INTERACTION_CREATE", events[0])
    await scene.env.settle()
    assert len(await scene.tasks()) == 1
    assert (len(scene.shown()), len(scene.sent("PATCH", "/@original"))) == (1, 1)


async def test_what_the_interaction_says_of_file_sizes_is_kept_with_the_task(scene: Scene) -> None:
    await scene.video()
    assert (await scene.task()).upload_limit == 25 * 2**20


# ------------------------------------------------------------------ acknowledged


async def test_the_acknowledgement_does_not_wait_for_the_database(scene: Scene) -> None:
    acknowledged = threading.Event()

    class Seen(list[Any]):
        def append(self, entry: Any) -> None:
            super().append(entry)
            if entry.path.endswith("/callback"):
                acknowledged.set()

    scene.env.backend.http_requests = Seen()

    def slow(_: Transaction) -> bool:
        return acknowledged.wait(5)

    holding = scene.app.database.write(slow)
    _, in_time = await scene.video(), await holding
    assert in_time


async def test_nothing_at_all_comes_before_the_acknowledgement(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a read of the database, in whichever command."""
    early: list[str] = []

    def watched(name: str) -> None:
        real = getattr(Database, name)

        async def call(*arguments: Any, **values: Any) -> Any:
            early.extend([] if scene.sent("POST", "/callback") else [name])
            return await real(*arguments, **values)

        monkeypatch.setattr(Database, name, call)

    watched("read")
    watched("write")
    for command, options in (
        ("tasks list", {}),
        ("usage", {}),
        ("formats", {}),
        ("video text", {"prompt": "x"}),
    ):
        scene.env.backend.http_requests.clear()
        await scene.alice.slash(scene.channel, command, **options)
    assert early == []


async def test_a_command_that_came_too_late_places_nothing(scene: Scene) -> None:
    scene.env.inject_error("POST", "/interactions/*/callback", status=404, code=10062)
    await scene.video()
    assert await nothing_happened(scene)


async def test_a_price_stays_held_where_the_progress_message_fails(scene: Scene) -> None:
    scene.env.inject_error("PATCH", "/webhooks/*/messages/@original", status=503)
    await scene.video()
    await scene.step()
    assert (await scene.task()).job_id == "task_1"
    assert "`task0001`" in says(scene.shown()[-1])


# --------------------------------------------------------------------- refusals


async def refused(scene: Scene, result: Any) -> str:
    """The words of a refusal, after which nothing may have happened."""
    words = told(result)
    assert await nothing_happened(scene)
    assert len(words) <= 2000
    return words


async def test_a_refusal_is_told_to_the_member_alone(scene: Scene) -> None:
    result = await scene.raw("video text", prompt=(STRING, " \u200b "))
    assert "only invisible characters" in await refused(scene, result)
    assert [one.ephemeral for one in result.followups] == [True]


@pytest.mark.parametrize(
    "prompt", ["", "   ", "\u200b\u2060\ufeff", "\u3164\u2800", "\n\t", "\ud800", "\u0301"]
)
async def test_a_prompt_that_shows_nothing_is_refused(scene: Scene, prompt: str) -> None:
    words = await refused(scene, await scene.raw("video text", prompt=(STRING, prompt)))
    assert "Say in words what should be seen." in words


async def test_a_prompt_too_long_says_by_how_much(scene: Scene) -> None:
    words = await refused(scene, await scene.raw("video text", prompt=(STRING, "x" * 4000)))
    assert "has 4,000 characters; at most 2,000 are allowed. Shorten it by 2,000." in words


async def test_the_camera_command_counts_into_the_prompt(scene: Scene) -> None:
    words = await refused(scene, await scene.video(prompt="x" * 1995, camera="Pan left"))
    assert "2,006 characters" in words
    assert "Shorten it by 6." in words


@pytest.mark.parametrize("format_id", ["hailuo-9/6/768p", "hailuo-02/6/768p", "", "`@everyone`", "x" * 5000])
async def test_a_format_that_does_not_exist_names_those_that_do(scene: Scene, format_id: str) -> None:
    result = await scene.raw("video text", prompt=(STRING, "a whale"), format=(STRING, format_id))
    words = await refused(scene, result)
    assert words.startswith("There is no format `")
    assert "`hailuo-2.3/6/768p`" in words


async def test_a_format_of_another_mode_is_refused(scene: Scene) -> None:
    result = await scene.raw("video text", prompt=(STRING, "a whale"), format=(STRING, "hailuo-02/5/512p"))
    assert "for text clips" in await refused(scene, result)


async def test_a_camera_command_that_does_not_exist_names_those_that_do(scene: Scene) -> None:
    result = await scene.raw("video text", prompt=(STRING, "a whale"), camera=(STRING, "Roll\n`over`"))
    words = await refused(scene, result)
    assert "There is no camera command `Roll 'over'`" in words
    assert "Static shot" in words


@pytest.mark.parametrize("count", [0, -1, 5, 10**9])
async def test_a_count_that_is_not_allowed_says_what_is(scene: Scene, count: int) -> None:
    result = await scene.raw("video text", prompt=(STRING, "a whale"), count=(INTEGER, count))
    assert f"`count` was {count}; it can be 1 to 4." in await refused(scene, result)


async def test_too_dear_a_format_names_the_limit_and_the_way_out(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=300_000) as scene:
        words = await refused(scene, await scene.video())
    assert words.startswith(
        "That costs $0.3294, and your limit for one day over all servers is $0.30: too dear at any time."
    )
    assert "would still fit." in words


async def test_what_running_tasks_hold_is_told_with_numbers_and_the_hour(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=500_000) as scene:
        await scene.video()
        words = told(await scene.video())
        midnight = scene.now() // 86_400_000 * 86_400 + 86_400
        assert (
            "your limit for one day over all servers leaves too little, as tasks under way hold the rest"
            in words
        )
        assert "$0.00 spent and $0.3294 held of $0.50, so $0.1706 is left" in words
        assert f"<t:{midnight}:R>" in words
        assert len(await scene.tasks()) == 1


async def test_a_used_up_limit_says_when_it_starts_anew(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=500_000) as scene:
        await scene.succeeded()
        words = told(await scene.video())
        assert (
            "your limit for one day over all servers leaves too little: $0.3294 spent and $0.00 held of $0.50"
            in words
        )
        assert re.search(r"It starts anew <t:\d+:R>", words)


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("server_monthly_limit", "the operator's budget for this server for one month"),
        ("bot_daily_limit", "the operator's budget for one day"),
        ("provider_daily_limit", "the operator's budget for this provider for one day"),
    ],
)
async def test_every_limit_is_called_by_its_name(open_bot: Open, setting: str, name: str) -> None:
    async with open_bot(**{setting: 100_000}) as scene:
        assert f"and {name} is $0.10" in await refused(scene, await scene.video())


async def test_several_clips_are_held_all_or_none(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=1_000_000) as scene:
        words = await refused(scene, await scene.video(count=4))
        assert words.startswith("That costs $1.3176")
        await scene.video(count=3)
        assert len(await scene.tasks()) == 3


async def test_a_refused_picture_command_keeps_no_picture(open_bot: Open) -> None:
    async with open_bot(user_daily_limit=0) as scene:
        assert "it allows nothing" in await refused(scene, await scene.video("transition", **BOTH))


# --------------------------------------------------------------------- pictures


WRONG = {
    "a GIF": (picture("GIF"), "is a GIF; only PNG, JPEG and WEBP pictures are allowed."),
    "a text": (b"hello there", "is a text; only PNG"),
    "an empty file": (b"", "is an empty file"),
    "a web page": (b"<!doctype html><p>hi", "is an HTML page"),
    "too narrow": (picture(size=(100, 4000)), "has 100 × 4,000 pixels; each side needs at least 301."),
    "a bomb": (picture(size=(8000, 8000), mode="1"), "at most 40 million pixels are allowed."),
    "too large": (b"\0" * 20_000_001, "has 20.0 MB; at most 20 MB are allowed. Send a smaller copy."),
    "animated": (animated(), "is animated; a still picture is needed."),
    "cut short": (picture()[:60], "is damaged or cut short"),
}


@pytest.mark.parametrize("kind", WRONG)
async def test_a_wrong_attachment_is_refused_with_what_was_found_and_what_is_allowed(
    scene: Scene, kind: str
) -> None:
    content, expected = WRONG[kind]
    words = await refused(scene, await scene.video("image", first_frame=("p.png", content)))
    assert "`p.png`" in words
    assert expected in words.replace("that is damaged", "is damaged")


async def test_a_wrong_last_frame_keeps_no_first_one(scene: Scene) -> None:
    frames = {**FIRST, "last_frame": ("notes.txt", b"hello")}
    assert "`notes.txt` is a text" in await refused(scene, await scene.video("transition", **frames))


async def test_a_hostile_file_name_stays_words(scene: Scene) -> None:
    name = "`@everyone` <@1>\n# x.png"
    words = await refused(scene, await scene.video("image", first_frame=(name, b"hello")))
    assert "\n" not in words
    assert words.count("`") == 2


async def test_a_picture_that_discord_does_not_give_says_to_try_again(scene: Scene) -> None:
    scene.env.backend.cdn.get = lambda _url: None
    words = await refused(scene, await scene.video("image", **FIRST))
    assert "`first.png` could not be read from Discord" in words
    assert "Send the command once more" in words


# ---------------------------------------------------------------------- defaults


@pytest.mark.parametrize(
    ("wished", "mode", "frames", "taken"),
    [
        ("hailuo-2.3/6/768p", "text", {}, "hailuo-2.3/6/768p"),
        ("hailuo-02/10/768p", "text", {}, "hailuo-02/10/768p"),
        ("hailuo-2.3/6/768p", "transition", BOTH, "hailuo-02/5/768p"),
        ("hailuo-02/5/512p", "text", {}, "hailuo-02/5/768p"),
        ("hailuo-02/5/512p", "image", FIRST, "hailuo-02/5/512p"),
        ("hailuo-9/6/768p", "text", {}, "hailuo-02/5/768p"),
    ],
)
async def test_left_out_the_format_is_the_operators_or_the_cheapest_768p(
    open_bot: Open, wished: str, mode: str, frames: dict[str, Any], taken: str
) -> None:
    async with open_bot(default_format=Format.parse(wished)) as scene:
        await scene.video(mode, **frames)
        assert (await scene.task()).format.id == taken
