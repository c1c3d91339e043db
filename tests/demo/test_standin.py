"""The stand-in as a real discord.py client meets it, over sockets."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import aiohttp
import discord
import pytest
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route
from simcord.backend.errors import OptionError, SetupError

from bot.demo.standin import (
    DROP,
    Channel,
    DiscordStandIn,
    Fault,
    Interaction,
    Member,
    Ping,
    Request,
    Response,
    Server,
)

PNG = b"\x89PNG, or so it says"


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


video = app_commands.Group(name="video", description="Make a video")


@video.command(description="From an image")
@app_commands.choices(
    size=[app_commands.Choice(name=f"{side}p", value=str(side)) for side in (768, 1080)],
)
async def image(
    interaction: discord.Interaction,
    prompt: app_commands.Range[str, 1, 20],
    frame: discord.Attachment,
    size: str = "768",
) -> None:
    await interaction.response.defer(ephemeral=prompt == "secret")
    data = await frame.read()
    clip = discord.File(BytesIO(data[::-1]), "clip.mp4", description="a clip")
    await interaction.edit_original_response(
        content=f"{prompt} {size} {frame.filename} {frame.size}", attachments=[clip]
    )


@video.command(description="Leaves the answer to the test")
async def plain(
    interaction: discord.Interaction, tag: str | None = None, who: discord.Member | None = None
) -> None:
    pass


@plain.autocomplete("tag")
async def tags(_interaction: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
    return [app_commands.Choice(name=f"{typed}{n}", value=f"{typed}{n}") for n in range(2)]


@app_commands.command(description="For administrators")
@app_commands.default_permissions(administrator=True)
async def budget(interaction: discord.Interaction) -> None:
    pass


class Press(discord.ui.View):
    @discord.ui.button(label="Again", custom_id="again")
    async def again(self, interaction: discord.Interaction, _button: discord.ui.Button[Any]) -> None:
        await interaction.response.edit_message(content=f"pressed by {interaction.user.name}", view=None)


class Bot(discord.Client):
    def __init__(self, intents: discord.Intents) -> None:
        super().__init__(intents=intents, guild_ready_timeout=0.01)
        self.tree = app_commands.CommandTree(self)
        self.tree.add_command(video)
        self.tree.add_command(budget)
        self.heard: list[discord.Message] = []
        self.asked: list[int] = []

    async def setup_hook(self) -> None:
        await self.tree.sync()

    async def before_identify_hook(self, _shard: int | None, *, initial: bool = False) -> None:
        """Skip the 5 s that discord.py waits before it identifies anew."""

    async def on_message(self, message: discord.Message) -> None:
        self.heard.append(message)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        self.asked.append(interaction.id)


@dataclass
class Scene:
    standin: DiscordStandIn
    clock: Clock
    server: Server
    channel: Channel
    member: Member
    bots: list[tuple[Bot, asyncio.Task[None]]] = field(default_factory=list)

    async def connect(self, intents: discord.Intents | None = None) -> Bot:
        bot = Bot(intents or discord.Intents.default())
        await bot.login(self.standin.token)
        self.bots.append((bot, asyncio.create_task(bot.connect())))
        await asyncio.wait_for(bot.wait_until_ready(), 5)
        return bot

    async def stop(self) -> None:
        for bot, running in self.bots:
            await bot.close()
            with suppress(discord.ConnectionClosed):
                await running
        self.bots.clear()

    def text(self, bot: Bot) -> discord.TextChannel:
        found = bot.get_channel(self.channel.id)
        assert isinstance(found, discord.TextChannel)
        return found

    async def ask(self, bot: Bot, **options: Any) -> tuple[Interaction, discord.Interaction]:
        """One interaction from both sides; nobody has answered it."""
        arrival = bot.wait_for("interaction", timeout=5)
        asked = await self.standin.slash(self.member, self.channel, "video plain", **options)
        return asked, await arrival

    def posts(self) -> list[str]:
        return [message.content for message in self.standin.messages(self.channel)]


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    clock = Clock()
    async with DiscordStandIn(clock=clock) as standin:
        monkeypatch.setattr(Route, "BASE", standin.api_url)
        monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(standin.gateway_url))
        server = await standin.add_server("Reef")
        channel = await standin.add_channel(server, "films")
        member = await standin.add_member(server, "Ada")
        scene = Scene(standin, clock, server, channel, member)
        yield scene
        await scene.stop()
        assert standin.problems == []


async def test_login_shows_the_world_and_syncs_the_commands(scene: Scene) -> None:
    bot = await scene.connect()
    (guild,) = bot.guilds
    assert (guild.name, guild.me.name, [c.name for c in guild.channels]) == ("Reef", "Conch", ["films"])
    allowed = scene.text(bot).permissions_for(guild.me)
    assert allowed.attach_files
    assert not allowed.mention_everyone
    assert [command.name for command in await bot.tree.fetch_commands()] == ["video", "budget"]
    assert all(request.authorized for request in scene.standin.requests)
    assert (await bot.application_info()).id == bot.application_id
    assert bot.latency < 5  # infinite without a heartbeat's answer


async def test_wrong_token_is_refused_by_both_halves(scene: Scene) -> None:
    async with Bot(discord.Intents.default()) as bot:
        with pytest.raises(discord.LoginFailure):
            await bot.login("wrong")
    async with Bot(discord.Intents.default()) as bot:
        await bot.login(scene.standin.token)
        bot.http.token = "wrong"
        with pytest.raises(discord.ConnectionClosed) as closed:
            await bot.connect()
    assert closed.value.code == 4004
    assert [request.authorized for request in scene.standin.requests][:2] == [False, True]


async def test_privileged_intents_need_approval(scene: Scene) -> None:
    wanted = discord.Intents(guilds=True, members=True)
    async with Bot(wanted) as bot:
        await bot.login(scene.standin.token)
        with pytest.raises(discord.PrivilegedIntentsRequired):
            await bot.connect()
    scene.standin.approved_intents.members = True
    bot = await scene.connect(wanted)
    assert {member.name for member in bot.guilds[0].members} >= {"Ada", "Conch"}


async def test_command_defers_and_edits_with_a_file(scene: Scene) -> None:
    await scene.connect()
    standin = scene.standin
    asked = await standin.slash(
        scene.member, scene.channel, "video image", prompt="sea", frame=("my cat.png", PNG), size="1080"
    )
    assert not asked.acknowledged
    await standin.until(lambda: asked.response, 5)
    response = asked.response
    assert response
    assert (response.content, response.ephemeral) == (f"sea 1080 my_cat.png {len(PNG)}", False)
    (clip,) = response.attachments
    assert (clip.filename, clip.size, clip.description) == ("clip.mp4", len(PNG), "a clip")
    assert standin.attachment_bytes(clip.url) == PNG[::-1]
    edit = standin.requests[-1]
    assert (edit.method, edit.files, edit.content_type) == (
        "PATCH",
        (("clip.mp4", len(PNG)),),
        "multipart/form-data",
    )
    assert edit.json["attachments"][0]["filename"] == "clip.mp4"
    assert standin.messages(scene.channel) == [response]


async def test_ephemeral_defer_stays_ephemeral(scene: Scene) -> None:
    await scene.connect()
    asked = await scene.standin.slash(
        scene.member, scene.channel, "video image", prompt="secret", frame=("cat.png", PNG)
    )
    await scene.standin.until(lambda: asked.response, 5)
    assert asked.ephemeral
    assert asked.response
    assert asked.response.ephemeral


async def test_client_checks_what_a_hostile_one_does_not(scene: Scene) -> None:
    bot = await scene.connect()
    fine: dict[str, Any] = {"prompt": "sea", "frame": ("cat.png", PNG)}
    for wrong in ({"size": "9"}, {"prompt": "x" * 21}, {"frame": "cat"}, {"speed": "fast"}):
        with pytest.raises(OptionError):
            await scene.standin.slash(scene.member, scene.channel, "video image", **(fine | wrong))
    with pytest.raises(OptionError, match="requires option 'frame'"):
        await scene.standin.slash(scene.member, scene.channel, "video image", prompt="sea")
    arrival = bot.wait_for("interaction", timeout=5)
    hostile = fine | {"size": "9", "prompt": "x" * 3000}
    await scene.standin.slash(scene.member, scene.channel, "video image", raw=True, **hostile)
    given = (await arrival).namespace
    assert (given.size, len(given.prompt)) == ("9", 3000)


async def test_command_that_was_never_synced_fails_loudly(scene: Scene) -> None:
    with pytest.raises(SetupError, match="not synced /video"):
        await scene.standin.slash(scene.member, scene.channel, "video plain")


async def test_command_for_administrators_is_hidden_from_others(scene: Scene) -> None:
    bot = await scene.connect()
    boss = await scene.standin.add_member(scene.server, "Bo", administrator=True)
    with pytest.raises(SetupError, match="Ada does not see /budget"):
        await scene.standin.slash(scene.member, scene.channel, "budget")
    arrival = bot.wait_for("interaction", timeout=5)
    await scene.standin.slash(boss, scene.channel, "budget")
    assert (await arrival).permissions.administrator


async def test_command_of_one_server_runs_there(scene: Scene) -> None:
    bot = await scene.connect()
    bot.tree.add_command(budget, guild=bot.guilds[0], override=True)
    await bot.tree.sync(guild=bot.guilds[0])
    boss = await scene.standin.add_member(scene.server, "Bo", administrator=True)
    arrival = bot.wait_for("interaction", timeout=5)
    asked = await scene.standin.slash(boss, scene.channel, "budget")
    assert (await arrival).command is budget
    assert asked.payload["data"]["guild_id"] == str(scene.server.id)


async def test_user_option_carries_the_member(scene: Scene) -> None:
    bot = await scene.connect()
    other = await scene.standin.add_member(scene.server, "Bo", administrator=True)
    _, got = await scene.ask(bot, who=other)
    assert got.namespace.who.name == "Bo"
    assert [role.permissions.administrator for role in got.namespace.who.roles] == [False, True]
    assert not got.permissions.administrator


async def test_interaction_tells_the_upload_limit(scene: Scene) -> None:
    bot = await scene.connect()
    scene.standin.upload_limit = 1234
    asked, _ = await scene.ask(bot)
    assert asked.payload["attachment_size_limit"] == 1234


async def test_autocomplete_returns_the_choices(scene: Scene) -> None:
    await scene.connect()
    choices = await scene.standin.autocomplete(scene.member, scene.channel, "video plain", "tag", "a")
    assert [choice["value"] for choice in choices] == ["a0", "a1"]
    with pytest.raises(SetupError, match="completes nothing"):
        await scene.standin.autocomplete(scene.member, scene.channel, "video image", "size", "7")


async def test_button_click_updates_its_message(scene: Scene) -> None:
    bot = await scene.connect()
    view = Press()
    await scene.text(bot).send("press", view=view)
    (message,) = scene.standin.messages(scene.channel)
    click = await scene.standin.click(scene.member, message, custom_id="again")
    await scene.standin.until(lambda: click.acknowledged, 5)
    (after,) = scene.standin.messages(scene.channel)
    assert (after.content, after.components) == ("pressed by Ada", ())
    with pytest.raises(SetupError, match="no one button"):
        await scene.standin.click(scene.member, after, custom_id="again")
    view.again.disabled = True
    await scene.text(bot).send("do not press", view=view)
    with pytest.raises(SetupError, match="no one button"):
        await scene.standin.click(scene.member, scene.standin.messages(scene.channel)[-1], custom_id="again")


async def test_only_the_asker_presses_an_ephemeral_button(scene: Scene) -> None:
    bot = await scene.connect()
    other = await scene.standin.add_member(scene.server, "Bo")
    asked, got = await scene.ask(bot)
    note = discord.File(BytesIO(b"note"), "note.txt", description="a note")
    await got.response.send_message("press", view=Press(), ephemeral=True, file=note)
    assert asked.response
    assert asked.response.attachments[0].description == "a note"
    with pytest.raises(SetupError, match="Bo does not see"):
        await scene.standin.click(other, asked.response, custom_id="again")
    click = await scene.standin.click(scene.member, asked.response, custom_id="again")
    await scene.standin.until(lambda: click.acknowledged, 5)
    assert asked.response.content == "pressed by Ada"


async def test_repeated_nonce_makes_one_message(scene: Scene) -> None:
    bot = await scene.connect()
    channel = scene.text(bot)
    heard = bot.wait_for("message", timeout=5)
    first = await channel.send("one", nonce="n1")
    assert (await heard).nonce == "n1"
    again = await channel.send("two", nonce="n1", file=discord.File(BytesIO(b"x"), "x.bin"))
    assert (again.id, again.content, again.nonce) == (first.id, "one", "n1")
    other = await scene.standin.add_channel(scene.server, "other")
    await bot.get_partial_messageable(other.id).send("elsewhere", nonce="n1")
    scene.clock.now += 299
    await channel.send("three", nonce="n1")
    assert [(m.content, m.nonce) for m in scene.standin.messages(scene.channel)] == [("one", "n1")]
    scene.clock.now += 1
    await channel.send("four", nonce="n1")
    assert scene.posts() == ["one", "four"]
    assert [message.content for message in scene.standin.messages(other)] == ["elsewhere"]


async def test_nonce_of_26_characters_is_refused(scene: Scene) -> None:
    bot = await scene.connect()
    with pytest.raises(discord.HTTPException) as refused:
        await scene.text(bot).send("one", nonce="n" * 26)
    assert (refused.value.status, refused.value.code) == (400, 50035)


async def test_upload_over_the_limit_is_413(scene: Scene) -> None:
    bot = await scene.connect()
    scene.standin.upload_limit = 2 * 2**20
    for size, expected in ((2 * 2**20, None), (2 * 2**20 + 1, (413, 40005))):
        clip = discord.File(BytesIO(bytes(size)), "clip.mp4")
        try:
            await scene.text(bot).send(str(size), file=clip)
            refused = None
        except discord.HTTPException as error:
            refused = (error.status, error.code)
        assert refused == expected
    assert scene.posts() == [str(2 * 2**20)]


async def test_content_over_2000_characters_is_refused_everywhere(scene: Scene) -> None:
    bot = await scene.connect()
    _, got = await scene.ask(bot)
    long = "x" * 2001
    with pytest.raises(discord.HTTPException) as callback:
        await got.response.send_message(long)
    await got.response.send_message("x" * 2000)
    message = await scene.text(bot).send("short")
    tries = (scene.text(bot).send, got.followup.send, got.edit_original_response)
    codes = [callback.value.code]
    for attempt in (*tries, message.edit):
        with pytest.raises(discord.HTTPException) as refused:
            await attempt(content=long)
        codes.append(refused.value.code)
    assert codes == [50035] * 5


async def test_first_response_after_three_seconds_is_too_late(scene: Scene) -> None:
    bot = await scene.connect()
    asked, got = await scene.ask(bot)
    scene.clock.now += 3
    with pytest.raises(discord.NotFound) as refused:
        await got.response.defer()
    assert refused.value.code == 10062
    assert not asked.acknowledged


async def test_second_callback_is_refused(scene: Scene) -> None:
    bot = await scene.connect()
    asked, got = await scene.ask(bot)
    again = bot.wait_for("interaction", timeout=5)
    await scene.standin.replay(asked)
    twin = await again
    assert (twin.id, twin.token) == (got.id, got.token)
    await got.response.send_message("first")
    with pytest.raises(discord.HTTPException) as refused:
        await twin.response.send_message("second")
    assert (refused.value.status, refused.value.code) == (400, 40060)
    assert scene.posts() == ["first"]


async def test_followup_before_any_response_knows_no_webhook(scene: Scene) -> None:
    bot = await scene.connect()
    _, got = await scene.ask(bot)
    with pytest.raises(discord.NotFound) as refused:
        await got.followup.send("too early")
    assert refused.value.code == 10015


async def test_token_dies_after_fifteen_minutes(scene: Scene) -> None:
    bot = await scene.connect()
    asked, got = await scene.ask(bot)
    await got.response.send_message("first")
    scene.clock.now += 899
    await got.edit_original_response(content="in time")
    scene.clock.now += 1
    for late in (got.edit_original_response, got.followup.send):
        with pytest.raises(discord.HTTPException) as refused:
            await late(content="late")
        assert (refused.value.status, refused.value.code) == (401, 50027)
    assert asked.response
    assert asked.response.content == "in time"


async def test_files_are_served_only_under_their_signed_and_living_url(scene: Scene) -> None:
    bot = await scene.connect()
    message = await scene.text(bot).send(file=discord.File(BytesIO(PNG), "cat.png"))
    url = message.attachments[0].url
    assert url.startswith("http://127.0.0.1:")
    assert list(yarl.URL(url).query) == ["ex", "is", "hm"]
    async with aiohttp.ClientSession() as session:

        async def fetch(link: str) -> tuple[int, bytes]:
            async with session.get(link) as answer:
                return answer.status, await answer.read()

        assert await fetch(url) == (200, PNG)
        assert (await fetch(url.partition("?")[0]))[0] == 404
        assert (await fetch(url[:-1] + "x"))[0] == 404
        scene.clock.now += 24 * 3600
        assert (await fetch(url))[0] == 404
    with pytest.raises(LookupError):
        scene.standin.attachment_bytes(url)


async def test_pings_count_what_allowed_mentions_let_through(scene: Scene) -> None:
    bot = await scene.connect()
    ada, text = scene.member, f"{scene.member.mention} @everyone"
    send = scene.text(bot).send
    loud = await send(text)
    await send(text, allowed_mentions=discord.AllowedMentions.none())
    only = discord.AllowedMentions(users=[discord.Object(ada.id)], everyone=False, roles=False)
    quiet = await send(text, allowed_mentions=only)
    await quiet.edit(content=text, allowed_mentions=discord.AllowedMentions.all())
    role = bot.guilds[0].me.roles[-1]
    roles = await send(role.mention, allowed_mentions=discord.AllowedMentions(everyone=False))
    expected = [Ping(loud.id, "everyone"), Ping(quiet.id, (ada.id,)), Ping(roles.id, (role.id,))]
    assert scene.standin.pings == expected


@pytest.mark.parametrize(
    ("permission", "code"),
    [("send_messages", 50013), ("attach_files", 50013), ("embed_links", 50013), ("view_channel", 50001)],
)
async def test_denied_permission_is_403(scene: Scene, permission: str, code: int) -> None:
    bot = await scene.connect()
    channel = scene.text(bot)
    await scene.standin.deny(scene.channel, permission)
    with pytest.raises(discord.Forbidden) as refused:
        await channel.send("x", file=discord.File(BytesIO(PNG), "x"), embed=discord.Embed(title="x"))
    assert refused.value.code == code
    await scene.standin.deny(scene.channel)
    await channel.send("x", file=discord.File(BytesIO(PNG), "x"), embed=discord.Embed(title="x"))


async def test_bot_joins_with_the_given_permissions_only(scene: Scene) -> None:
    bot = await scene.connect()
    joined = bot.wait_for("guild_join", timeout=5)
    only = discord.Permissions(send_messages=True)
    server = await scene.standin.add_server("Quiet", bot_permissions=only)
    assert (await joined).id == server.id
    (guild,) = [guild for guild in (await scene.connect()).guilds if guild.id == server.id]
    assert guild.me.guild_permissions == discord.Permissions(
        send_messages=True, view_channel=True, use_application_commands=True
    )


async def test_deleted_channel_and_closed_dms(scene: Scene) -> None:
    bot = await scene.connect()
    channel = scene.text(bot)
    user = await bot.fetch_user(scene.member.id)
    await user.send("hello")
    await scene.standin.deny_dms(scene.member)
    with pytest.raises(discord.Forbidden) as closed:
        await user.send("hello again")
    assert closed.value.code == 50007
    dm = await scene.standin.dm(scene.member)
    assert [message.content for message in scene.standin.messages(dm)] == ["hello"]
    await scene.standin.delete_channel(scene.channel)
    with pytest.raises(discord.NotFound) as gone:
        await channel.send("x")
    assert gone.value.code == 10003


async def test_thread_takes_messages(scene: Scene) -> None:
    bot = await scene.connect()
    thread = await scene.standin.add_thread(scene.channel, "talk", scene.member)
    await bot.get_partial_messageable(thread.id).send("in here")
    assert scene.standin.messages(thread)[-1].content == "in here"
    await scene.standin.deny(scene.channel, "send_messages_in_threads")
    with pytest.raises(discord.Forbidden):
        await bot.get_partial_messageable(thread.id).send("no more")


async def test_intents_gate_events(scene: Scene) -> None:
    deaf = await scene.connect(discord.Intents(guilds=True))
    hearing = await scene.connect()
    heard = hearing.wait_for("message", timeout=5)
    await scene.text(deaf).send("hello")
    await heard
    await scene.ask(deaf)
    assert deaf.heard == []
    assert [message.content for message in hearing.heard] == ["hello"]


async def test_broken_connection_resumes_and_replays(scene: Scene) -> None:
    bot = await scene.connect()
    before, _ = await scene.ask(bot)
    resumed = bot.wait_for("resumed", timeout=10)
    arrival = bot.wait_for("interaction", timeout=10)
    scene.standin.disconnect()
    asked = await scene.standin.slash(scene.member, scene.channel, "video plain")
    assert (await arrival).id == asked.id
    await resumed
    assert bot.asked == [before.id, asked.id]


async def test_lost_session_starts_anew(scene: Scene) -> None:
    bot = await scene.connect()
    ready = bot.wait_for("ready", timeout=10)
    scene.standin.disconnect(resumable=False)
    await scene.standin.slash(scene.member, scene.channel, "video plain")
    await ready
    asked, _ = await scene.ask(bot)
    assert bot.asked == [asked.id]


CHILD = """
import discord, sys, yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route
Route.BASE, gateway, token, channel = sys.argv[1:]
DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway)
bot = discord.Client(intents=discord.Intents.default(), guild_ready_timeout=0.01)
@bot.event
async def on_interaction(interaction):
    await bot.get_channel(int(channel)).send(f"asked {interaction.id}", nonce=str(interaction.id))
bot.run(token)
"""


async def test_killed_process_is_forgotten_and_its_request_kept(scene: Scene) -> None:
    standin = scene.standin
    handled = asyncio.Event()

    async def hang(request: Request, _response: Response) -> None:
        if request.method == "POST":
            handled.set()
            await asyncio.Event().wait()

    async def start() -> asyncio.subprocess.Process:
        arguments = (standin.api_url, standin.gateway_url, standin.token, str(scene.channel.id))
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHILD, *arguments, stderr=asyncio.subprocess.DEVNULL
        )
        await standin.until(lambda: standin.connected, 20)
        return child

    bot = await scene.connect()
    await scene.stop()
    await standin.until(lambda: not standin.connected, 5)
    standin.after = hang
    child = await start()
    first = await standin.slash(scene.member, scene.channel, "video plain")
    await asyncio.wait_for(handled.wait(), 5)
    child.kill()
    await child.wait()
    await standin.until(lambda: not standin.connected, 5)
    assert bot.asked == []
    assert scene.posts() == [f"asked {first.id}"]

    standin.after = None
    await standin.slash(scene.member, scene.channel, "video plain")
    child = await start()
    third = await standin.slash(scene.member, scene.channel, "video plain")
    await standin.until(lambda: len(scene.posts()) == 2, 5)
    child.kill()
    await child.wait()
    assert scene.posts() == [f"asked {first.id}", f"asked {third.id}"]


async def test_before_hook_answers_instead(scene: Scene) -> None:
    bot = await scene.connect()
    faults = [Fault(429, {"message": "slow", "retry_after": 0, "global": False}), Fault(503, "<html>"), DROP]

    async def before(request: Request) -> Fault | None:
        return faults.pop(0) if faults and request.method == "POST" else None

    scene.standin.before = before
    with pytest.raises(discord.DiscordServerError):  # the 429 was retried
        await scene.text(bot).send("one")
    with pytest.raises(aiohttp.ClientConnectionError):
        await scene.text(bot).send("two")
    await scene.text(bot).send("three")
    assert scene.posts() == ["three"]


async def test_after_hook_sees_the_answer_and_loses_it(scene: Scene) -> None:
    bot = await scene.connect()
    answers: list[Response] = []

    async def after(request: Request, response: Response) -> Fault | None:
        if request.method != "POST":
            return None
        answers.append(response)
        return DROP

    scene.standin.after = after
    with pytest.raises(aiohttp.ClientConnectionError):
        await scene.text(bot).send("one")
    assert scene.posts() == ["one"]
    assert (answers[0].status, answers[0].body["content"]) == (200, "one")


async def test_failing_hook_is_a_problem(scene: Scene) -> None:
    async def before(_request: Request) -> None:
        raise ValueError("the hook is wrong")

    scene.standin.before = before
    async with aiohttp.ClientSession() as session, session.get(f"{scene.standin.api_url}/gateway") as answer:
        assert answer.status == 500
    assert scene.standin.problems == ["ValueError('the hook is wrong')"]
    scene.standin.problems.clear()


async def test_unknown_route_is_a_problem(scene: Scene) -> None:
    bot = await scene.connect()
    with pytest.raises(discord.HTTPException) as gap:
        await bot.http.request(Route("GET", "/sound/of/the/sea"))
    assert gap.value.status == 501
    (problem,) = scene.standin.problems
    assert "GET /sound/of/the/sea" in problem
    scene.standin.problems.clear()


async def test_until_tells_the_last_requests(scene: Scene) -> None:
    bot = await scene.connect()
    for number in range(15):
        await scene.text(bot).send(str(number))
    with pytest.raises(TimeoutError) as late:
        await scene.standin.until(lambda: False, 0.01)
    lines = str(late.value).splitlines()[1:]
    assert [line.strip() for line in lines] == [f"POST /channels/{scene.channel.id}/messages"] * 15
