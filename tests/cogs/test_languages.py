"""A member reads no English who has set Discord to another language: everything the bot sends is looked through."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import discord
import pytest
import simcord
from simcord.backend.serializers import message_payload
from simcord.interactions import base_payload

from bot.domain import language
from bot.domain.task import TaskState
from bot.posting.board import EDIT_SECONDS
from tests.cogs.clips import BOTH, COMPONENT, FIRST, delivered, fill_in, message, posted
from tests.cogs.fixtures import Open
from tests.cogs.languages import limits_hold, speak_each, speak_everywhere
from tests.cogs.moderators import speak, tell, told_in
from tests.cogs.pictures import picture
from tests.cogs.scene import Scene, drawn, says, told
from tests.cogs.test_shapes import WIDE

#: What stands in every language: the prompt, names of models and providers, ids, commands of the operator.
PROMPT = "鲸鱼在游泳"
OURS = re.compile(
    r"`[^`]*`|<[^>]*>|https?://\S+|\b(MindVideo|Hailuo|Discord|MiniMax|JPEG|PNG|WebP|JSON|conch\S*|[\w-]+\.\w{3,4}|UTC)\b"
)
#: Three words after each other in Latin letters are a sentence.
ENGLISH = re.compile(r"[A-Za-z']+ [A-Za-z']+ [A-Za-z']+")
SHOWN = {"content", "label", "placeholder", "description", "title", "text", "name", "value"}


@pytest.fixture
async def scene(open_bot: Open) -> AsyncIterator[Scene]:
    async with open_bot(user_daily_limit=2_000_000) as scene:
        speak_everywhere(scene, "zh-CN")
        yield scene
        assert foreign(scene) == []


@pytest.fixture
async def german(open_bot: Open) -> AsyncIterator[Scene]:
    async with open_bot() as scene:
        speak_everywhere(scene, "de")
        yield scene


def foreign(scene: Scene) -> list[str]:
    """The sentences in Latin letters that the bot has sent, but for its commands."""
    sent = [one.json for one in scene.env.http_requests if one.json and "commands" not in one.path]
    return [text for text in words_in(sent) if ENGLISH.search(OURS.sub(" 名 ", text))]


def words_in(part: Any, key: str = "") -> Iterator[str]:
    if isinstance(part, dict):
        for name, value in part.items():
            yield from words_in(value, name)
    elif isinstance(part, list):
        for value in part:
            yield from words_in(value, key)
    elif isinstance(part, str) and key in SHOWN:
        yield part


async def test_the_whole_way_of_a_clip(scene: Scene, real_clip: bytes) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    await scene.video(prompt=PROMPT)
    assert "取消" in drawn(scene)
    task = await delivered(scene)
    await scene.redraw()
    assert drawn(scene).startswith("✅")
    assert task.language == "zh-CN"
    (clip,) = [one for one in scene.shown() if one.attachments]
    assert [button["label"] for row in clip.components for button in row["components"]] != []
    for label in ("edit", "continue", "delete"):
        shown = await scene.alice.click(message(scene, task), custom_id=f"conch:clip:{label}:{task.id}")
        assert shown.modal is not None
    for member in (scene.alice, scene.bob):
        await member.click(message(scene, task), custom_id=f"conch:clip:report:{task.id}")
    await scene.alice.click(message(scene, task), custom_id=f"conch:clip:again:{task.id}")
    assert "鲸鱼" in drawn(scene)


async def test_pictures_stories_and_deleting(scene: Scene, real_clip: bytes) -> None:
    scene.standin.clip, scene.standin.auto = real_clip, True
    await scene.video("image", prompt=PROMPT, **FIRST)
    task = await delivered(scene)
    shown = await scene.alice.click(message(scene, task), custom_id=f"conch:clip:continue:{task.id}")
    await fill_in(scene, shown, prompt=PROMPT)
    task = await delivered(scene)
    await scene.alice.click(message(scene, task), custom_id=f"conch:clip:stitch:{task.id}")
    shown = await scene.alice.click(message(scene, task), custom_id=f"conch:clip:delete:{task.id}")
    assert says((await fill_in(scene, shown)).response)
    await scene.redraw()


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("video text", {"prompt": (3, "   ")}),
    ("video text", {"prompt": (3, PROMPT), "format": (3, "hailuo-9/6/768p")}),
    ("video text", {"prompt": (3, PROMPT), "camera": (3, "Sideways")}),
    ("video text", {"prompt": (3, PROMPT), "count": (4, 9)}),
    ("video text", {"prompt": (3, "鲸" * 2001)}),
    ("tasks show", {"task": (3, "zzz")}),
    ("tasks cancel", {"task": (3, "zzz")}),
    ("tasks list", {"state": (3, "nowhere")}),
]


@pytest.mark.parametrize(("path", "options"), REFUSED)
async def test_refusals(scene: Scene, path: str, options: dict[str, Any]) -> None:
    await scene.raw(path, **options)
    assert await scene.tasks() == []


@pytest.mark.parametrize(
    "file",
    [
        ("note.txt", b"no picture"),
        ("small.png", picture(size=(20, 20))),
        ("wide.png", picture(size=(1600, 400))),
        ("broken.png", picture()[:200]),
    ],
)
async def test_refusals_of_pictures(scene: Scene, file: tuple[str, bytes]) -> None:
    await scene.video("image", prompt=PROMPT, first_frame=file)
    assert await scene.tasks() == []


async def test_refusals_of_money_and_rights(scene: Scene) -> None:
    assert told(await scene.video(prompt=PROMPT, count=4, format="hailuo-2.3/10/768p"))
    assert told(await scene.alice.slash(scene.channel, "usage", member=scene.bob))
    for _ in range(9):
        await scene.video(prompt=PROMPT)
    assert "$" in told(await scene.video(prompt=PROMPT))


async def test_rules_pauses_and_approvals(scene: Scene) -> None:
    await scene.admin("access deny", word="鲸鱼")
    assert "鲸鱼" in told(await scene.video(prompt=PROMPT))
    await scene.admin("pause", reason="维护")
    assert "维护" in told(await scene.video(prompt="猫"))
    await scene.admin("resume")
    await scene.admin("approvals", above="0.10")
    await scene.video(prompt="猫")
    await scene.redraw()
    await scene.admin("limits list")
    await scene.admin("limits set", amount="1", period="day", whom=scene.bob)
    await scene.admin("audit")
    await scene.admin("doctor")
    await scene.admin("report")
    await scene.admin("tasks find")


async def test_what_goes_wrong_at_the_provider(scene: Scene) -> None:
    for order in ("busy", "failed"):
        await scene.video(prompt=f"{PROMPT}{len(order)}")
    await scene.step(2)
    first = (await scene.tasks())[0]
    scene.standin.fail(first.job_id or "", "")
    await scene.step(6)
    await scene.redraw()
    first = (await scene.tasks())[0]
    assert first.state is TaskState.FAILED
    shown = told(await scene.alice.slash(scene.channel, "tasks show", task=first.id))
    assert "MindVideo" in shown
    await scene.pass_time(3700)
    await scene.step(3)
    await scene.redraw()
    assert (await scene.tasks())[1].state is TaskState.PARKED


async def test_own_tasks_money_and_data(scene: Scene) -> None:
    await scene.video(prompt=PROMPT)
    task = await scene.task()
    alice, channel = scene.alice, scene.channel
    for command in ("tasks list", "usage", "formats", "privacy show", "privacy export", "privacy erase"):
        await alice.slash(channel, command)
    await alice.slash(channel, "tasks show", task=task.id)
    assert "没有产生花费" in told(await alice.slash(channel, "tasks cancel", task=task.id))
    await scene.pass_time(EDIT_SECONDS)
    await scene.redraw()
    assert drawn(scene).startswith("🚫")


async def test_after_a_restart_the_message_goes_on_in_its_language(scene: Scene) -> None:
    await scene.accepted(prompt=PROMPT)
    await scene.restart()
    await scene.app.engine.recover()
    await scene.redraw()
    assert "MindVideo" in drawn(scene)


# ---------------------------------------------------------------- every language


@pytest.mark.parametrize("locale", [one for one in language.LANGUAGES if one != language.ENGLISH])
async def test_the_longest_words_have_room_in_discord(open_bot: Open, real_clip: bytes, locale: str) -> None:
    async with open_bot(user_daily_limit=20_000_000, user_installs=True, user_concurrency=9) as scene:
        speak_everywhere(scene, locale)
        speak(scene, discord.Locale(locale))
        channel = await told_in(scene)
        await scene.video("image", prompt="a whale", **WIDE)
        await scene.video("transition", prompt="_" * 1900, count=3, **BOTH)
        scene.standin.clip, scene.standin.auto = real_clip, True
        for _ in range(4):
            await scene.step(3)
            await scene.redraw()
        task = await delivered(scene)
        for label in ("edit", "continue", "delete"):
            await scene.alice.click(message(scene, task), custom_id=f"conch:clip:{label}:{task.id}")
        shown = await scene.bob.click(message(scene, task), custom_id=f"conch:clip:report:{task.id}")
        await fill_in(scene, shown, scene.bob, reason="{price} % {0} `" * 20)
        report = channel.history()[-1]
        await scene.carol.click(report, custom_id=report.components[0].children[0].custom_id)
        await scene.admin("approvals", above="0.10", channel=channel)
        await scene.video(prompt="*" * 1900, count=4)
        await tell(scene)
        question = channel.history()[-1]
        for button in [button for row in question.components for button in row.children]:
            await scene.carol.click(channel.history()[-1], custom_id=button.custom_id)
        await scene.admin("pause", reason="{reason} %s " + "*" * 150)
        for path in ("limits list", "audit", "doctor", "report", "tasks find", "access list"):
            await scene.admin(path)
        for path in ("tasks list", "usage", "formats", "privacy show", "privacy erase"):
            await scene.alice.slash(scene.channel, path)
        await scene.alice.slash(scene.channel, "tasks show", task=task.id)
        limits_hold(scene)


@pytest.mark.parametrize("locale", ["xx", "", "de-AT", "es-419", "DE", "tlh-Latn-x-foo", "x" * 3000])
async def test_whatever_locale_is_told_a_clip_is_ordered(open_bot: Open, locale: str) -> None:
    async with open_bot() as scene:
        speak_everywhere(scene, locale)
        await scene.video(prompt="{price} %s {0}")
        assert "`task0001`" in drawn(scene)
        listed = await scene.alice.slash(scene.channel, "tasks list")
        assert "task0001" in listed.response.embeds[0].description


async def test_each_reads_their_own_language_at_once(open_bot: Open, real_clip: bytes) -> None:
    async with open_bot() as scene:
        members = (scene.alice, scene.bob, scene.carol)
        speak_each(scene, dict(zip((one.id for one in members), ("fr", "ja", "de"), strict=True)))
        task = await posted(scene, real_clip)
        stored = scene.env.backend.messages[task.message_channel_id][task.message_id]
        clicks = []
        for member in members:
            record, payload = base_payload(
                scene.env.backend,
                type=COMPONENT,
                channel_id=scene.channel.id,
                guild_id=scene.guild.id,
                user_id=member.id,
                data={"custom_id": f"conch:clip:edit:{task.id}", "component_type": 2},
            )
            payload["message"] = dict(message_payload(scene.env.backend, stored))
            scene.env.backend.emit("INTERACTION_CREATE", payload)
            clicks.append(simcord.InteractionResult(scene.env, record))
        await scene.env.settle()
        assert len({one.modal["title"] for one in clicks}) == 3


# --------------------------------------------------------------- others' words


@pytest.mark.parametrize(
    "reason", ["{price}", "%s %d {0}", "cancelled by the member", "a GIF", "removed by the member", "{"]
)
async def test_the_reason_of_an_admin_stays_as_it_is(german: Scene, reason: str) -> None:
    await german.video()
    task = await german.task()
    await german.admin("tasks cancel", task=task.id, reason=reason)
    await german.pass_time(EDIT_SECONDS)
    await german.redraw()
    assert reason in drawn(german)
    assert reason in told(await german.alice.slash(german.channel, "tasks show", task=task.id))


@pytest.mark.parametrize("reason", ["the member", "a GIF", "cancelled", "found a file without a video"])
async def test_the_reason_of_a_pause_stays_as_it_is(german: Scene, reason: str) -> None:
    await german.admin("pause", reason=reason)
    assert reason in told(await german.video())


@pytest.mark.parametrize("name", ["a text", "the picture", "an empty file"])
async def test_the_name_of_a_file_stays_as_it_is(german: Scene, name: str) -> None:
    assert name in told(await german.video("image", first_frame=(name, b"no picture at all")))


@pytest.mark.parametrize("name", ["the picture", "the member", "allowed"])
async def test_a_moderators_name_stays_as_it_is(german: Scene, real_clip: bytes, name: str) -> None:
    boss = german.guild.add_member(german.env.create_user(name), roles=[german.bosses])
    task = await posted(german, real_clip)
    shown = await boss.click(message(german, task), custom_id=f"conch:clip:delete:{task.id}")
    await fill_in(german, shown, boss)
    history = told(await german.alice.slash(german.channel, "tasks show", task=task.id))
    assert f"von {name} aus der Moderation entfernt" in history
