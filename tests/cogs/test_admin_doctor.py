"""`/admin doctor`: everything well, and each thing that can be wrong with how it is mended."""

from typing import Any

import discord
import pytest

from bot.client import PERMISSIONS
from bot.domain.audit import Deed
from bot.domain.errors import ProviderClosed
from bot.domain.finding import Finding
from bot.domain.limits import Limit, Period, Scope
from bot.domain.servers import Server
from bot.services.router import Router
from cogs.admin.doctor import described
from storage.limits import LimitStore
from storage.marks import MarkStore
from storage.servers import ServerStore
from tests.cogs.fixtures import Open
from tests.cogs.scene import Scene, told


def words(result: Any) -> str:
    return "\n".join([told(result), *(embed.description for embed in result.response.embeds)])


async def examined(scene: Scene, channel: Any = None) -> str:
    """As Discord shows it, without the backslashes."""
    return (await escaped(scene, channel)).replace("\\", "")


async def escaped(scene: Scene, channel: Any = None) -> str:
    return words(await scene.carol.slash(channel or scene.channel, "admin doctor"))


async def choose(scene: Scene, **changes: Any) -> None:
    """What an admin chose for the server."""
    deed = Deed(scene.guild.id, scene.carol.id, "chosen")

    def decide(server: Server) -> tuple[Server, Deed]:
        return Server(**{"id": server.id, "name": server.name, **changes}), deed

    await ServerStore(scene.app.database).change(scene.guild.id, "Reef", scene.now(), decide)


def closed(scene: Scene, **rights: bool) -> Any:
    """A channel where the bot lacks some rights."""
    return scene.guild.create_text_channel(
        "closed", overwrites={scene.guild.me: discord.PermissionOverwrite(**rights)}
    )


async def test_where_nothing_is_wrong_it_says_so_line_by_line(scene: Scene) -> None:
    assert (await examined(scene)).split("\n") == [
        "All is well:",
        "✅ **This channel**: the bot has every permission it needs",
        "✅ **Moderators' channel**: none is chosen, so moderators are told nothing",
        "✅ **Commands**: Discord has this version's",
        "✅ **MindVideo**: takes jobs; 6 of its 8 prices are assumed, as nobody publishes them",
        "✅ **Database**: it can be written",
        "✅ **New videos**: they are made",
        (
            "✅ **Limits**: set here: none; by the operator: each member $2.00 a day over all servers, "
            "the whole server $50.00 a month"
        ),
        "✅ **Calendar**: days and months of this server's own limits are those of UTC",
    ]


async def test_published_prices_are_told_as_such(open_bot: Open) -> None:
    async with open_bot(providers=("sandbox",)) as scene:
        assert "**Sandbox**: takes jobs; its 14 prices are published" in await examined(scene)


async def test_rights_that_lack_here_come_first_with_the_invitation(scene: Scene) -> None:
    said = await examined(scene, closed(scene, attach_files=False, embed_links=False))
    head, first, mend, *_ = said.split("\n")
    assert head == "1 of 8 needs a hand:"
    assert first == "❌ **This channel**: the bot lacks: Embed Links, Attach Files"
    assert (
        f"or invite the bot again: <https://discord.com/oauth2/authorize?client_id={scene.app.client.application_id}"
        in mend
    )
    assert f"permissions={PERMISSIONS.value}" in mend


async def test_the_moderators_channel_is_looked_at_too(scene: Scene) -> None:
    await choose(scene, notices_channel_id=closed(scene, view_channel=False).id)
    said = await examined(scene)
    assert "❌ **Moderators' channel**: the bot lacks: View Channel, Send Messages" in said
    assert "✅ **This channel**" in said


async def test_a_moderators_channel_that_is_gone_is_to_be_chosen_anew(scene: Scene) -> None:
    await choose(scene, notices_channel_id=123)
    assert (
        "❌ **Moderators' channel**: the one that was chosen is gone\n-# → Choose another one"
        in await examined(scene)
    )


async def test_a_moderators_channel_of_another_server_is_not_looked_at(scene: Scene) -> None:
    there = await scene.elsewhere()
    await choose(scene, notices_channel_id=there.channel.id)
    assert "the one that was chosen is gone" in await examined(scene)


async def test_commands_that_discord_does_not_have_are_told(scene: Scene) -> None:
    await MarkStore(scene.app.database).set(f"commands of {scene.app.client.application_id}", "older")
    assert "❌ **Commands**: Discord was not sent this version's\n-# → Ask the operator" in await examined(
        scene
    )


async def test_a_provider_that_rests_is_told_with_the_reason(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Router, "resting", lambda *_: str(ProviderClosed("The balance is `empty`.")))
    said = await escaped(scene)
    assert (
        "nobody publishes them; it gets no jobs now\\: The balance is \\`empty\\`.\n-# → It is tried again by itself"
        in said
    )


async def test_a_database_that_takes_nothing_is_told(scene: Scene) -> None:
    await scene.app.database.write(lambda tx: tx.all("PRAGMA query_only = ON"))
    said = await examined(scene)
    assert "❌ **Database**: " in said
    assert "Nothing was changed" in said
    assert "→ Ask the operator to look at the bot's log" in said


async def test_what_admins_chose_is_told_in_one_line_each(scene: Scene) -> None:
    await choose(scene, zone="Europe/Berlin", pause_reason="@everyone is away")
    limit = Limit(Scope.MEMBER, Period.MONTH, 5_000_000, str(scene.alice.id), scene.guild.id)
    await LimitStore(scene.app.database).put(limit, Deed(scene.guild.id, 1, "limits set"), scene.now())
    said = await examined(scene)
    assert "❌ **New videos**: they are paused: @everyone is away\n-# → `/admin resume`" in said
    assert f"**Limits**: set here: <@{scene.alice.id}> $5.00 a month; by the operator:" in said
    assert "those of Europe/Berlin" in said


async def test_another_servers_choices_are_not_told(scene: Scene) -> None:
    there = await scene.elsewhere()
    await there.dora.slash(there.channel, "admin pause", reason="theirs alone")
    assert "theirs alone" not in await examined(scene)


async def test_a_member_without_the_right_is_told_nothing(scene: Scene) -> None:
    result = await scene.raw("admin doctor", member=scene.alice)
    assert "Manage Server" in told(result)
    assert result.response.embeds == []


def test_however_much_is_wrong_it_fits_and_what_is_well_goes_first() -> None:
    ill = [Finding("Somebody", "*" * 2000, "m" * 200)] * 6
    text = described([Finding("Else", "*" * 2000)] * 6 + ill)
    assert len(text) <= 4096
    assert text.count("❌") == 6
