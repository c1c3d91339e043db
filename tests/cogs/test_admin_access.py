"""`/admin access`: every kind of rule refuses before anything is held, and only a server's admins change its own."""

import re
import threading
from collections.abc import Iterable
from typing import Any

import pytest
from simcord.actors import _component_interaction
from simcord.builders import UserHandle
from simcord.interactions import resolve_handle

from bot.domain import words
from bot.domain.access import Kind, Rule
from storage.access import AccessStore
from storage.audit import AuditStore
from tests.cogs.pictures import picture
from tests.cogs.scene import Elsewhere, Scene, nothing_happened, told

HOUR = 3600


async def refused(scene: Scene, **options: Any) -> str:
    """What Alice is told; nothing was held, sent, fetched or posted."""
    said = told(await scene.video(**options))
    assert said.endswith("Nothing was held.")
    assert await nothing_happened(scene)
    return said


async def welcome(scene: Scene, channel: Any = None, **options: Any) -> bool:
    """Whether Alice's command holds a clip."""
    before = len(await scene.tasks())
    await scene.alice.slash(channel or scene.channel, "video text", prompt="a whale", **options)
    return len(await scene.tasks()) == before + 1


async def rules(scene: Scene, server_id: int | None = None) -> list[Rule]:
    return await AccessStore(scene.app.database).of_server(server_id or scene.guild.id, scene.now())


async def recorded(scene: Scene) -> list[tuple[str, ...]]:
    entries = await AuditStore(scene.app.database).of_server(scene.guild.id, limit=99)
    deeds = [entry.deed for entry in reversed(entries)]
    return [(deed.action, deed.subject, deed.before, deed.after, deed.reason) for deed in deeds]


# ------------------------------------------------------------------ channels


async def test_a_denied_channel_refuses_with_its_pictures_unread(scene: Scene) -> None:
    said = told(await scene.admin("access deny", channel=scene.channel))
    assert said == (
        f"Denied: {scene.channel.mention}.\n"
        f"Clips can be made everywhere but in {scene.channel.mention} and what lies in it."
    )
    frame = ("frame.png", picture())
    assert "No clips are made in this channel." in await refused(scene, mode="image", first_frame=frame)


async def test_where_a_channel_is_allowed_only_that_one_and_its_threads_may_be_used(scene: Scene) -> None:
    art = scene.guild.create_text_channel("art")
    thread = thread_in(scene, art)
    said = told(await scene.admin("access allow", channel=art))
    assert f"From now on clips can be made only in {art.mention} and what lies in it." in said
    assert f"Use {art.mention}." in await refused(scene)
    assert await welcome(scene, art)
    assert await welcome(scene, thread)


async def test_a_thread_may_be_denied_alone_and_a_category_with_all_in_it(scene: Scene) -> None:
    talk = scene.guild.create_category("talk")
    chat = scene.guild.create_text_channel("chat", category=talk)
    thread = thread_in(scene, scene.channel)
    await scene.admin("access deny", channel=thread)
    await scene.admin("access deny", channel=talk)
    assert not await welcome(scene, thread)
    assert not await welcome(scene, chat)
    assert not await welcome(scene, thread_in(scene, chat))
    assert await welcome(scene)


def thread_in(scene: Scene, channel: Any) -> Any:
    scene.env.backend.create_thread(channel.id, "talk", owner_id=scene.alice.id)
    return channel.threads[-1]


async def test_allowing_a_denied_channel_opens_it_and_shuts_no_other(scene: Scene) -> None:
    await scene.admin("access deny", channel=scene.channel)
    assert "Clips can be made in every channel." in told(
        await scene.admin("access allow", channel=scene.channel)
    )
    assert await rules(scene) == []
    assert await welcome(scene)


async def test_the_only_channel_or_role_allowed_is_not_denied(scene: Scene) -> None:
    await scene.admin("access allow", channel=scene.channel, role=scene.bosses)
    before = await rules(scene)
    said = told(await scene.admin("access deny", channel=scene.channel))
    assert (
        f"{scene.channel.mention} is the only channel allowed; denied, every other one would be open." in said
    )
    assert "Allow another one first, or remove the rule in `/admin access list`." in said
    said = told(await scene.admin("access deny", role=scene.bosses, word="bad"))
    assert f"<@&{scene.bosses.id}> is the only role allowed" in said
    assert await rules(scene) == before
    art = scene.guild.create_text_channel("art")
    await scene.admin("access allow", channel=art)
    said = told(await scene.admin("access deny", channel=scene.channel))
    assert f"only in {art.mention} and what lies in it, but not in {scene.channel.mention}." in said


# ------------------------------------------------------------------ roles


async def test_a_denied_role_refuses(scene: Scene) -> None:
    fans = await role_of(scene, "Fans")
    said = told(await scene.admin("access deny", role=fans))
    assert f"Everybody can make clips but members with the role <@&{fans.id}>." in said
    assert f"With your role <@&{fans.id}> you may make no clips" in await refused(scene)


async def test_where_a_role_is_allowed_the_others_are_shut_out(scene: Scene) -> None:
    said = told(await scene.admin("access allow", role=scene.bosses))
    assert f"From now on only members with the role <@&{scene.bosses.id}> can make clips." in said
    assert f"takes the role <@&{scene.bosses.id}>, which you do not have" in await refused(scene)
    fans = await role_of(scene, "Fans")
    await scene.admin("access allow", role=fans)
    assert await welcome(scene)


async def role_of(scene: Scene, name: str) -> Any:
    """A role that Alice has."""
    role = scene.guild.create_role(name)
    scene.env.backend.add_member_role(scene.guild.id, scene.alice.id, role.id)
    return role


async def test_everyone_is_no_role_to_rule_out(scene: Scene) -> None:
    for verb in ("allow", "deny"):
        said = told(await scene.admin(f"access {verb}", role=scene.guild.default_role))
        assert "`/admin pause` stops all clips" in said
    assert await rules(scene) == []


# ------------------------------------------------------------------ members


async def test_a_reason_is_shown_as_it_was_typed_and_links_nowhere(scene: Scene) -> None:
    await scene.admin("access deny", member=scene.alice, reason="**x** [here](https://evil.example).")
    assert r"The reason: \*\*x\*\* \[here\](https\://evil\.example)." in await refused(scene)


async def test_a_block_ends_by_itself(scene: Scene) -> None:
    said = told(await scene.admin("access deny", member=scene.alice, **{"for": 6}, reason="spam  in\nhere"))
    until = scene.now() // 1000 + 6 * HOUR
    (moment,) = map(int, re.findall(r"<t:(\d+):f>", said))
    assert abs(moment - until) <= 5
    assert "Blocked members: 1." in said
    assert f"until <t:{moment}:f>. The reason: spam in here." in await refused(scene)
    await scene.pass_time(6 * HOUR - 60)
    assert await refused(scene)
    await scene.pass_time(60)
    assert await welcome(scene)


async def test_a_block_for_ever_ends_when_an_admin_says_so(scene: Scene) -> None:
    await scene.admin("access deny", member=scene.alice)
    await scene.pass_time(365 * 24 * HOUR)
    assert "Ask an admin of this server to end it." in await refused(scene)
    assert "Blocked members: 0." in told(await scene.admin("access allow", member=scene.alice))
    assert await welcome(scene)


async def test_a_blocked_member_is_not_let_in_by_a_role(scene: Scene) -> None:
    fans = await role_of(scene, "Fans")
    await scene.admin("access allow", role=fans)
    await scene.admin("access deny", member=scene.alice)
    assert "blocked you" in await refused(scene)


async def test_only_the_blocked_member_is_refused(scene: Scene) -> None:
    await scene.admin("access deny", member=scene.bob)
    assert await welcome(scene)


async def test_what_a_blocked_member_still_has_waiting_is_told(scene: Scene) -> None:
    there = await scene.elsewhere()
    await there.alice.slash(there.channel, "video text", prompt="a whale")
    await scene.bob.slash(scene.channel, "video text", prompt="a squid")
    assert "still wait" not in told(await scene.admin("access deny", member=scene.alice))
    await scene.admin("access allow", member=scene.alice)
    await scene.video()
    said = told(await scene.admin("access deny", member=scene.alice))
    assert said.endswith(
        "1 clip of theirs still waits ($0.3294): `/admin tasks find member:` shows it, `/admin tasks cancel` gives "
        "the hold back."
    )
    await scene.admin("access allow", member=scene.alice)
    await scene.video(count=2)
    assert "3 clips of theirs still wait ($0.9882): `/admin tasks find member:` shows them" in told(
        await scene.admin("access deny", member=scene.alice)
    )


async def test_oneself_and_the_bot_are_spared(scene: Scene) -> None:
    assert "That is you" in told(await scene.admin("access deny", member=scene.carol))
    bot = UserHandle(scene.env, scene.env.backend.bot_user)
    assert "That is me" in told(await scene.admin("access deny", member=bot))
    assert await rules(scene) == []


@pytest.mark.parametrize("options", [{"for": (4, 6)}, {"reason": (3, "spam")}])
async def test_a_time_and_a_reason_go_with_a_member_alone(scene: Scene, options: Any) -> None:
    said = told(await scene.raw("admin access deny", member=scene.carol, word=(3, "bad"), **options))
    assert "`for` and `reason` go with a `member`" in said
    assert await rules(scene) == []


@pytest.mark.parametrize("hours", [0, -6, 721, 2**53])
async def test_a_time_that_is_no_choice_is_refused(scene: Scene, hours: int) -> None:
    assert f"`for` was {hours} hours; it can be 1 to 720." in await raw_block(scene, hours)
    assert await rules(scene) == []


async def raw_block(scene: Scene, hours: int) -> str:
    """Block Alice for a time that no client offers."""
    resolved: dict[str, Any] = {}
    resolve_handle(scene.carol, scene.alice, resolved, channel_id=scene.channel.id)
    options = [
        {"name": "member", "type": 6, "value": str(scene.alice.id)},
        {"name": "for", "type": 4, "value": hours},
    ]
    command = scene.env.backend.find_command("admin", scene.guild.id, type=1)
    nested = {"name": "access", "type": 2, "options": [{"name": "deny", "type": 1, "options": options}]}
    data = {"id": command["id"], "name": "admin", "type": 1, "options": [nested], "resolved": resolved}
    return told(await scene.emit(2, data, member=scene.carol))


# ------------------------------------------------------------------ words


async def test_a_prompt_with_a_blocked_word_is_refused_and_the_word_named(scene: Scene) -> None:
    said = told(await scene.admin("access deny", word="Bád  THING"))
    assert (
        said
        == "Denied: `bad thing`.\nBlocked words: 1 of at most 500.\nWhole words only: nude does not block nudes."
    )
    said = await refused(scene, prompt="a ＢＡＤ-thing\u200b in the sea")
    assert "has a word that is blocked in this server: `bad thing`. Say it in other words" in said
    await scene.video(prompt="a bad, nothing")
    assert await scene.task()


async def test_words_are_looked_for_beside_the_event_loop(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[int] = []
    find = words.found

    def noted(blocked: Iterable[str], prompt: str) -> list[str]:
        searched.append(threading.get_ident())
        return find(blocked, prompt)

    monkeypatch.setattr(words, "found", noted)
    await scene.admin("access deny", word="bad")
    assert await refused(scene, prompt="a bad cat")
    assert searched
    assert threading.get_ident() not in searched


async def test_a_word_is_unblocked_however_it_is_written(scene: Scene) -> None:
    await scene.admin("access deny", word="bad")
    assert "Blocked words: 0" in told(await scene.admin("access allow", word="BÁD"))
    assert "`bad` is not blocked here." in told(await scene.admin("access allow", word="bad"))
    assert await rules(scene) == []


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("\u200b_", "nothing in it that could be found"),
        ("x" * 101, "has 101 characters"),
        ("ﷺ" * 9, "has 162 characters"),
    ],
)
async def test_a_word_that_cannot_be_compared_is_refused(scene: Scene, word: str, words: str) -> None:
    said = told(await scene.raw("admin access deny", member=scene.carol, word=(3, word)))
    assert words in said
    assert await rules(scene) == []


async def test_five_hundred_words_are_the_most(scene: Scene) -> None:
    await given(scene, *[Rule(Kind.WORD, f"w{number}", allowed=False) for number in range(500)])
    assert "500 words are blocked here" in told(await scene.admin("access deny", word="one more"))
    assert "500 of at most 500" in told(await scene.admin("access deny", word="W7"))
    assert len(await rules(scene)) == 500


async def given(scene: Scene, *wanted: Rule, server_id: int | None = None) -> None:
    store = AccessStore(scene.app.database)
    await store.change(server_id or scene.guild.id, scene.now(), lambda _: (wanted, []))


# ------------------------------------------------------------------ several at once


async def test_several_at_once_are_all_done_and_written_down(scene: Scene) -> None:
    many = {
        "channel": scene.channel,
        "role": scene.bosses,
        "member": scene.bob,
        "word": "bad",
        "reason": "spam",
    }
    said = told(await scene.admin("access deny", **many))
    assert f"Denied: {scene.channel.mention}, <@&{scene.bosses.id}>, <@{scene.bob.id}>, `bad`." in said
    await scene.admin("access allow", role=scene.bosses, word="bad")
    await scene.admin("access allow", role=scene.bosses)
    role, member, channel = await rules(scene)
    assert (role.allowed, member.reason, channel.subject) == (True, "spam", str(scene.channel.id))
    assert await recorded(scene) == [
        ("access deny", scene.channel.mention, "", "denied", ""),
        ("access deny", f"<@&{scene.bosses.id}>", "", "denied", ""),
        ("access deny", f"<@{scene.bob.id}>", "", "denied", "spam"),
        ("access deny", "the word `bad`", "", "denied", ""),
        ("access allow", f"<@&{scene.bosses.id}>", "denied", "", ""),
        ("access allow", "the word `bad`", "denied", "", ""),
        ("access allow", f"<@&{scene.bosses.id}>", "", "allowed", ""),
    ]


async def test_of_several_none_is_done_where_one_cannot_be(scene: Scene) -> None:
    said = told(await scene.admin("access allow", channel=scene.channel, member=scene.bob))
    assert f"<@{scene.bob.id}> is not blocked here." in said
    assert await rules(scene) == []
    assert await recorded(scene) == []


@pytest.mark.parametrize("verb", ["allow", "deny"])
async def test_nothing_named_is_refused(scene: Scene, verb: str) -> None:
    assert "Name at least one of" in told(await scene.admin(f"access {verb}"))


# ------------------------------------------------------------------ the list


async def test_the_list_shows_every_rule_in_force(scene: Scene) -> None:
    assert "There are no rules" in told(await scene.admin("access list"))
    until = scene.now() + 3_600_000
    await given(
        scene,
        Rule(Kind.CHANNEL, str(scene.channel.id), allowed=True),
        Rule(Kind.ROLE, str(scene.bosses.id), allowed=False),
        Rule(Kind.MEMBER, str(scene.alice.id), allowed=False, until=until, reason="*spam*"),
        Rule(Kind.WORD, "@bad", allowed=False),
    )
    listing = await scene.admin("access list")
    assert told(listing).splitlines() == [
        "**Rules, newest first** (page 1 of 1)",
        r"1\. \@bad: blocked word",
        rf"2\. <@{scene.alice.id}> blocked until <t:{until // 1000}:f>: \*spam\*",
        rf"3\. <@&{scene.bosses.id}> denied",
        rf"4\. {scene.channel.mention} allowed",
    ]
    labels = [option["label"] for option in options(listing)]
    assert labels[:1] + labels[2:] == ["1. word @bad", "3. role Bosses", "4. channel clips"]
    await scene.pass_time(HOUR)
    assert "blocked until" not in told(await scene.admin("access list"))


def options(listing: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = listing.response.components[0]["components"][0]["options"]
    return found


async def test_many_rules_have_pages_of_whole_messages(scene: Scene) -> None:
    long = [Rule(Kind.WORD, f"{number:03}{'*' * 97}", allowed=False) for number in range(41)]
    reason = "*" * 300
    blocks = [
        Rule(Kind.MEMBER, str(2**63 + number), allowed=False, until=4 * 10**12, reason=reason)
        for number in range(20)
    ]
    await given(scene, *long, *blocks)
    for page, first, last in [(1, 1, 20), (2, 21, 40), (4, 61, 61), (999, 61, 61)]:
        listing = await scene.admin("access list", page=page)
        lines = told(listing).splitlines()[1:]
        assert [line.split("\\.")[0] for line in (lines[0], lines[-1])] == [str(first), str(last)]
        assert len(options(listing)) == len(lines) == last - first + 1


@pytest.mark.parametrize("page", [0, -1])
async def test_before_the_first_page_is_the_first(scene: Scene, page: int) -> None:
    await given(scene, Rule(Kind.WORD, "bad", allowed=False))
    listing = await scene.raw("admin access list", member=scene.carol, page=(4, page))
    assert told(listing).splitlines()[1:] == [r"1\. bad: blocked word"]


async def test_a_rule_is_removed_from_the_list(scene: Scene) -> None:
    await given(scene, *[Rule(Kind.WORD, f"w{number}", allowed=False) for number in range(21)])
    listing, older = [await scene.admin("access list", page=2) for _ in range(2)]
    (option,) = options(listing)
    said = told(await scene.carol.select(listing.response, [option["value"]]))
    assert said.startswith(
        "Removed: `w0`.\nBlocked words: 20 of at most 500.\n\n**Rules, newest first** (page 1 of 1)"
    )
    assert len(await rules(scene)) == 20
    assert await recorded(scene) == [("access remove", "the word `w0`", "denied", "", "")]
    again = told(await scene.carol.select(older.response, [option["value"]]))
    assert "There is no such rule in this server any more." in again


@pytest.mark.parametrize("same_client", [True, False])
async def test_the_menu_works_after_a_restart(scene: Scene, *, same_client: bool) -> None:
    await scene.admin("access deny", channel=scene.channel)
    listing = await scene.admin("access list")
    await (scene.env.restart_bot() if same_client else scene.restart())
    said = told(await scene.carol.select(listing.response, [options(listing)[0]["value"]]))
    assert "Clips can be made in every channel." in said
    assert "There are no rules" in said
    assert await welcome(scene)


# ------------------------------------------------------------------ who may, and where


@pytest.mark.parametrize(
    ("path", "values"),
    [("allow", {"word": (3, "bad")}), ("deny", {"word": (3, "worse")}), ("list", {})],
)
async def test_a_member_without_the_right_gets_nowhere(scene: Scene, path: str, values: Any) -> None:
    await scene.admin("access deny", word="bad")
    before = await rules(scene)
    assert "Manage Server" in told(await scene.raw(f"admin access {path}", **values))
    assert await rules(scene) == before


async def test_a_member_without_the_right_cannot_use_the_menu(scene: Scene) -> None:
    await scene.admin("access deny", word="bad")
    listing = await scene.admin("access list")
    assert "Manage Server" in await choose(scene.alice, listing, options(listing)[0]["value"])
    assert await rules(scene)


async def choose(member: Any, listing: Any, *values: str) -> str:
    """As no honest client would: by anybody, and with any values."""
    backend = member._env.backend
    stored = backend.get_message(listing.response.channel_id, listing.response.id)
    data = {"custom_id": "conch:rules:1", "component_type": 3, "values": list(values)}
    return told(await _component_interaction(member, stored, data))


@pytest.mark.parametrize("value", ["", "0", "x", "-1", "9" * 90, "1.0", None])
async def test_values_that_are_no_rule_are_refused(scene: Scene, value: str | None) -> None:
    await scene.admin("access deny", word="bad")
    listing = await scene.admin("access list")
    assert "no such rule" in await choose(scene.carol, listing, *([] if value is None else [value]))
    assert await rules(scene)


async def test_another_servers_rules_are_neither_seen_nor_removed_nor_applied(scene: Scene) -> None:
    there = await scene.elsewhere()
    await scene.admin("access deny", member=scene.alice, word="bad")
    assert "There are no rules" in told(await rule_there(there, "list"))
    assert "is not blocked here" in told(await rule_there(there, "allow", word="bad"))
    await rule_there(there, "deny", word="worse")
    for rule in await rules(scene):
        listing = await rule_there(there, "list")
        assert "no such rule" in await choose(there.dora, listing, str(rule.id))
    assert len(await rules(scene)) == 2
    await there.alice.slash(there.channel, "video text", prompt="a bad whale")
    assert await scene.app.tasks.of_member(scene.alice.id, there.guild.id, limit=9)


async def rule_there(there: Elsewhere, path: str, **values: Any) -> Any:
    return await there.dora.slash(there.channel, f"admin access {path}", **values)
