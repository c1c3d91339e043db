"""From the command to the clip, in one long-lived bot: what members see, what is sent, what is booked."""

import io
import json
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from bot.demo.standin import Channel, Fault, Interaction, Member, Message, Ping
from tests.end_to_end.stage import CATALOG, PATIENCE, Stage, open_stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = "@everyone <@&1> [x](http://evil) ``` ||"
FIRST, LAST = "first_frame", "last_frame"


@dataclass
class Scene:
    """A new member in a new channel, before a bot that has served others."""

    stage: Stage
    channel: Channel
    member: Member
    known: set[str]

    async def ask(self, command: str, *, by: Member | None = None, **options: Any) -> Interaction:
        return await self.stage.ask(command, by=by or self.member, at=self.channel, **options)

    async def say(self, command: str, *, by: Member | None = None, **options: Any) -> Message:
        return await self.stage.answer(await self.ask(command, by=by, **options))

    async def jobs(self, count: int = 1) -> list[str]:
        """MindVideo's ids of the jobs of this scene, once there are so many."""
        await self.stage.mindvideo.until(lambda: len(self._fresh()) >= count, seconds=PATIENCE)
        return self._fresh()

    def _fresh(self) -> list[str]:
        return [job for job in self.stage.mindvideo.jobs if job not in self.known]

    async def clips(self, count: int = 1) -> list[Message]:
        """The messages that carry so many clips."""
        await self.stage.until(lambda: self.stage.carried(self.channel) == count)
        return self.stage.clips(self.channel)

    async def linked(self, count: int = 1) -> Message:
        """The one progress message, once it links to so many clips."""
        await self.stage.linked(count, self.channel)
        (message,) = self.stage.progress(self.channel)
        return message

    def tasks(self) -> list[Any]:
        return self.stage.rows("SELECT * FROM tasks WHERE member_id = ? ORDER BY ordinal", self.member.id)

    def ledger(self) -> list[tuple[str, int, int]]:
        found = self.stage.rows(
            "SELECT kind, held_micros, spent_micros FROM ledger WHERE member_id = ? ORDER BY id",
            self.member.id,
        )
        return [tuple(row) for row in found]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory, clip: bytes, jpeg: bytes) -> AsyncIterator[Stage]:
    """One bot for all, with limits and a pace that stand in nobody's way."""
    folder = tmp_path_factory.mktemp("whole-path")
    catalog = folder / "catalog.toml"
    catalog.write_text(
        CATALOG.read_text().replace("requests_per_minute = 300", "requests_per_minute = 60000")
    )
    limits = dict.fromkeys(("USER_DAILY_LIMIT", "SERVER_MONTHLY_LIMIT", "BOT_DAILY_LIMIT"), "10000")
    async with open_stage(folder, clip, picture=jpeg, CATALOG_FILE=str(catalog), **limits) as stage:
        await stage.start()
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def scene(shared: Stage, clip: bytes) -> AsyncIterator[Scene]:
    number = len(shared.asked)
    channel = await shared.discord.add_channel(shared.server, f"channel-{number}")
    member = await shared.discord.add_member(shared.server, f"member-{number}")
    shared.mindvideo.auto, shared.mindvideo.clip = True, clip
    limit = shared.discord.upload_limit
    yield Scene(shared, channel, member, set(shared.mindvideo.jobs))
    shared.discord.upload_limit = limit
    shared.discord.before = shared.discord.after = None
    shared.mindvideo.before = shared.mindvideo.after = None
    shared.check_stand_ins()
    shared.check_secrets()


def file_of(stage: Stage, message: Message) -> bytes:
    (attachment,) = message.attachments
    return stage.discord.attachment_bytes(attachment.url)


def sent_body(stage: Stage) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(stage.mindvideo.sent("POST")[-1].body)
    return body


# -------------------------------------------------------------- the three modes


@pytest.mark.parametrize(
    ("mode", "format_id", "label"),
    [
        ("text", None, "Hailuo 2.3 · 6 s · 768p"),
        ("image", "hailuo-02/5/512p", "Hailuo 02 · 5 s · 512p"),
        ("transition", "hailuo-02/5/768p", "Hailuo 02 · 5 s · 768p"),
    ],
)
async def test_a_command_ends_as_a_clip(
    scene: Scene, clip: bytes, jpeg: bytes, png: bytes, mode: str, format_id: str | None, label: str
) -> None:
    stage = scene.stage
    stage.mindvideo.auto = False
    frames = {FIRST: ("a.jpg", jpeg), LAST: ("b.png", png)}
    names = list(frames)[: ["text", "image", "transition"].index(mode)]
    given: dict[str, Any] = {name: frames[name] for name in names}
    chosen: dict[str, Any] = {"format": format_id} if format_id else {}
    asked = await scene.ask(f"video {mode}", prompt="a paper boat", camera="Pan left", **chosen, **given)
    (job,) = await scene.jobs()
    begun = asked.response
    assert begun
    wish = sent_body(stage)["input"]
    assert wish["prompt"] == "a paper boat [Pan left]"
    assert f"**{label}** · $" in begun.words
    assert "> a paper boat [Pan left]" in begun.words
    assert [wish[f"{name}_image"] for name in given] == [file.url for file in begun.attachments]
    for file in begun.attachments:
        sees_only_upright_pixels(stage.discord.attachment_bytes(file.url))
    stage.mindvideo.finish(job, cost=Decimal("0.1234"))

    (posted,) = await scene.clips()
    (task,) = scene.tasks()
    assert posted.content == (
        f"{scene.member.mention} your clip is ready.\n"
        f"> a paper boat [Pan left]\n-# {label} · $0.1234 · MindVideo · `{task['id']}`"
    )
    assert file_of(stage, posted) == clip
    assert [ping for ping in stage.discord.pings if ping.message_id == posted.id] == [
        Ping(posted.id, (scene.member.id,))
    ]
    progress = await scene.linked()
    link = f"https://discord.com/channels/{stage.server.id}/{scene.channel.id}/{posted.id}"
    assert progress.words == f"✅ Ready: {link} `{task['id']}`"
    assert (progress.attachments, len(progress.components)) == ((), 1)
    price = task["price_micros"]
    assert scene.ledger() == [("hold", price, 0), ("settle", -price, 123_400)]
    assert stage.booked()[job] == stage.charged()[job] == 123_400


def sees_only_upright_pixels(data: bytes) -> None:
    """A JPEG turned as the camera was held, that says nothing of camera or place."""
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (400, 640))
        assert not picture.getexif()
        red, green, *_ = picture.crop((390, 310, 400, 330)).resize((1, 1)).tobytes()
        assert red > 150 > green
    assert b"Exif" not in data


async def test_three_clips_are_three_tasks_and_charges_and_one_message(scene: Scene) -> None:
    await scene.ask("video text", prompt="a paper boat", count=3)
    (posted,) = await scene.clips(3)
    progress = await scene.linked(3)
    charged = [scene.stage.charged()[job] for job in await scene.jobs(3)]
    assert len(charged) == len(scene.tasks()) == 3
    assert sum(charged) == sum(spent for _, _, spent in scene.ledger())
    assert progress.words.count(f"/{posted.id} ") == len(posted.attachments) == 3
    assert [kind for kind, *_ in scene.ledger()].count("settle") == 3


async def test_every_choice_of_every_format_is_made_as_chosen(scene: Scene, jpeg: bytes) -> None:
    stage, wanted = scene.stage, []
    (synced,) = [request.json for request in stage.discord.requests if request.method == "PUT"]
    (video,) = [command for command in synced if command["name"] == "video"]
    for command in video["options"]:
        options = {option["name"]: option for option in command["options"]}
        given = {name: ("a.jpg", jpeg) for name in (FIRST, LAST) if name in options}
        for choice in options["format"]["choices"]:
            member = await stage.discord.add_member(stage.server, f"{command['name']}-{choice['value']}")
            wanted.append((choice["value"], len(given)))
            await scene.ask(
                f"video {command['name']}", by=member, prompt="boat", format=choice["value"], **given
            )
    await scene.clips(len(wanted))
    bodies = [json.loads(one.body) for one in stage.mindvideo.sent("POST")[-len(wanted) :]]
    assert sorted(made(body) for body in bodies) == sorted(wanted)
    assert len(wanted) > 15


def made(body: dict[str, Any]) -> tuple[str, int]:
    """The format id and the number of pictures of what MindVideo was asked for."""
    model = {"minimax-hailuo-02": "hailuo-02", "minimax-hailuo-2-3": "hailuo-2.3"}[body["model"]]
    wish = body["input"]
    pictures = sum(f"{name}_image" in wish for name in (FIRST, LAST))
    return f"{model}/{wish['duration']}/{wish['resolution']}", pictures


async def test_a_hostile_prompt_pings_only_its_author(scene: Scene) -> None:
    await scene.ask("video text", prompt=HOSTILE)
    (posted,) = await scene.clips()
    await scene.linked()
    assert sent_body(scene.stage)["input"]["prompt"] == HOSTILE
    here = {message.id for message in scene.stage.discord.messages(scene.channel)}
    pings = [ping for ping in scene.stage.discord.pings if ping.message_id in here]
    assert pings == [Ping(posted.id, (scene.member.id,))]
    assert not any(text in posted.content for text in ("[x](http", "```", "||"))


# ------------------------------------------------------------ where the clip goes


async def test_a_clip_above_the_limit_is_made_smaller(scene: Scene, clip: bytes) -> None:
    stage = scene.stage
    stage.mindvideo.clip = clip + struct.pack(">I4s", 11 * 2**20, b"free") + bytes(11 * 2**20 - 8)
    await scene.ask("video text", prompt="a paper boat")
    (posted,) = await scene.clips()
    (task,) = scene.tasks()
    assert len(file_of(stage, posted)) <= 10 * 2**20
    assert "-# Made smaller to fit. The original at the provider for a short time" in posted.content
    assert f"<{task['clip_url']}>" in posted.content


async def test_without_its_channel_a_clip_comes_by_direct_message(scene: Scene, clip: bytes) -> None:
    stage = scene.stage
    stage.mindvideo.auto = False
    await scene.ask("video text", prompt="a paper boat")
    (job,) = await scene.jobs()
    await stage.discord.delete_channel(scene.channel)
    stage.mindvideo.finish(job)
    direct = await stage.discord.dm(scene.member)
    await stage.until(lambda: stage.clips(direct))
    (posted,) = stage.clips(direct)
    assert file_of(stage, posted) == clip


async def test_a_clip_that_can_be_posted_nowhere_is_handed_over(scene: Scene, clip: bytes) -> None:
    stage = scene.stage
    stage.mindvideo.auto = False
    await stage.discord.deny_dms(scene.member)
    await scene.ask("video text", prompt="a paper boat")
    (job,) = await scene.jobs()
    await stage.discord.deny(scene.channel, "send_messages")
    stage.mindvideo.finish(job)
    await stage.until(lambda: "could not be posted" in stage.progress(scene.channel)[0].words)
    (task,) = scene.tasks()
    assert stage.files() == [f"clips/{task['id']}.mp4"]
    shown = await scene.say("tasks show", task=task["id"])
    assert shown.ephemeral
    assert file_of(stage, shown) == clip
    await stage.until(lambda: "✅ Handed to you" in stage.progress(scene.channel)[0].words)
    assert [row["state"] for row in scene.tasks()] == ["delivered"]
    assert stage.files() == []


# ------------------------------------------------------------ refused and cancelled


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"format": "hailuo-2.3/6/512p"}, "Choose one of: `hailuo-2.3/6/768p`"),
        ({"format": "` @everyone"}, "Choose one of: `hailuo-2.3/6/768p`"),
        ({"camera": "Spin"}, "Choose one of: Truck left"),
        ({"count": 9}, "4"),
        ({"count": 0}, "4"),
        ({"prompt": "x" * 2001}, "2,000"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "\u200b \u2060"}, "invisible"),
    ],
    ids=[
        "no such format",
        "markup for a format",
        "camera",
        "count 9",
        "count 0",
        "long",
        "empty",
        "invisible",
    ],
)
async def test_a_value_no_client_offers_is_refused_before_any_hold(
    scene: Scene, wrong: dict[str, Any], told: str
) -> None:
    requests = len(scene.stage.mindvideo.requests)
    answer = await scene.say("video text", raw=True, **{"prompt": "a paper boat", **wrong})
    assert answer.ephemeral
    assert told in answer.content
    assert "Something went wrong" not in answer.content
    assert scene.tasks() == scene.ledger() == []
    assert len(scene.stage.mindvideo.requests) == requests


async def test_a_command_that_came_too_late_to_answer_holds_nothing(scene: Scene) -> None:
    async def delay(request: Any) -> None:
        if request.path.endswith("/callback"):
            scene.stage.discord.before = None
            scene.stage.clock.ahead += 3

    scene.stage.discord.before = delay
    asked = await scene.ask("video text", prompt="a paper boat")
    await scene.stage.until(lambda: scene.stage.discord.before is None)
    assert "no clips" in (await scene.say("tasks list")).content
    assert not asked.acknowledged
    assert scene.tasks() == scene.ledger() == []


async def test_waiting_clips_are_cancelled_by_their_owner_alone(scene: Scene) -> None:
    stage = scene.stage
    stage.mindvideo.auto = False
    other = await stage.discord.add_member(stage.server, "Mallory")
    asked = await scene.ask("video text", prompt="a paper boat", count=4)
    running = await scene.jobs(2)
    begun, tasks = asked.response, [row["id"] for row in scene.tasks()]
    assert begun

    async def click(member: Member, task: str) -> str:
        clicked = await stage.discord.click(member, begun, custom_id=f"conch:cancel:{task}")
        stage.asked.append(clicked)
        answer = await stage.answer(clicked)
        assert answer.ephemeral
        return answer.content

    assert "no such task of yours" in await click(other, tasks[2])
    refused = await scene.say("tasks cancel", by=other, task=tasks[3])
    assert "no such task of yours" in refused.content
    assert "already with" in await click(scene.member, tasks[0])
    assert "Cancelled" in await click(scene.member, tasks[2])
    assert "Cancelled" in (await scene.say("tasks cancel", task=tasks[3])).content
    for job in running:
        stage.mindvideo.finish(job)
    progress = await scene.linked(2)
    assert progress.words.count("was given back") == 2
    assert [row["state"] for row in scene.tasks()] == ["delivered"] * 2 + ["cancelled"] * 2
    assert await scene.jobs(2) == running


# ------------------------------------------------------------------------- the end


async def test_troubles_of_discord_are_overcome_and_leave_no_token_in_the_log(scene: Scene) -> None:
    """On the address with the interaction's token: 429, a server error, and at last a token that is void."""
    answers = iter(
        [
            Fault(429, {"message": "slower", "retry_after": 0.01, "global": False}, {"Retry-After": "1"}),
            Fault(500),
            None,
            Fault(401, {"message": "Invalid Webhook Token", "code": 50027}),
        ]
    )

    async def trouble(request: Any) -> Fault | None:
        drawing = request.method == "PATCH" and request.path.endswith("/@original")
        return next(answers, None) if drawing else None

    scene.stage.discord.before = trouble
    await scene.ask("video text", prompt="a paper boat")
    await scene.clips()
    await scene.linked()
    assert next(answers, "all were given") == "all were given"
    scene.stage.check_secrets()


async def test_at_the_end_the_books_are_those_of_the_provider(shared: Stage) -> None:
    """The last test here: it stops the bot that all others shared."""
    (bot,) = shared.processes
    assert await bot.stop() == 0
    shared.check_books()
    assert shared.files() == []
    people = {asked.payload["member"]["user"]["id"] for asked in shared.asked}
    assert {str(who) for ping in shared.discord.pings for who in ping.whom} <= people
