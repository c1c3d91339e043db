"""Servers, channels and members of any name: told so that it does no harm, and kept from breaking anything."""

from typing import Any

import pytest

from bot import reporting
from bot.reporting import Wanted
from tests.cogs.moderators import asking, click, tell
from tests.cogs.scene import Scene
from tests.fuzz.examples import fuzz
from tests.fuzz.strangers import Strangers, strangers
from tests.fuzz.test_strangers_words import harmless, words


@pytest.fixture
async def there(scene: Scene, caplog: pytest.LogCaptureFixture) -> Strangers:
    return await strangers(scene, caplog)


def rename(scene: Scene, guild: str, channel: str, member: str) -> None:
    """As the gateway tells of it, and as clicks carry it."""
    known: Any = scene.app.client.get_guild(scene.guild.id)
    known.name = guild
    known.get_channel(scene.channel.id).name = channel
    scene.env.backend.guilds[scene.guild.id].members[scene.carol.id].nick = member


def read(result: Any) -> str:
    return "\n".join(one.content for one in [result.response, *result.followups] if one and one.content)


@fuzz(8, shrink=False, guild=words, channel=words, member=words)
async def test_any_names(there: Strangers, guild: str, channel: str, member: str) -> None:
    scene = there.scene
    rename(scene, guild, channel, member)
    there.log.clear()
    if there.more is None:
        there.more = await asking(scene)
    await scene.video()
    await tell(scene)
    await click(scene, there.more, "Approve")
    task = (await scene.tasks())[-1]
    harmless(read(await scene.alice.slash(scene.channel, "tasks show", task=task.id)))
    notes = [event.note for event in await scene.app.tasks.events(task.id)]
    assert any(note.startswith("approved by ") for note in notes)
    await scene.admin("doctor")
    await scene.alice.slash(scene.channel, "tasks cancel", task=task.id)
    lines: list[str] = []
    await reporting.report(scene.settings, Wanted(), scene.now(), lines.append)
    assert all(line.replace("\n", "").isprintable() for line in lines)
    assert not [record for record in there.log.records if record.levelname == "ERROR"], there.log.text
