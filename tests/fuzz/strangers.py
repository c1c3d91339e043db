"""A server with things to find in it, a second one, and what a forged interaction leads to."""

import logging
import sqlite3
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import strategies as st
from simcord.interactions import base_payload

from cogs.acknowledge import sorry
from tests.cogs.scene import Elsewhere, Scene
from tests.cogs.test_shapes import WIDE

#: What stands in the prompts of each server's clips, and must never be told in the other.
#: Made here, because hypothesis also tries words that stand in our code.
REEF, LAGOON = "anemone"[::-1], "mangrove"[::-1]


#: Any text, and what has a meaning somewhere.
anything = st.text() | st.sampled_from(
    [
        "",
        " ",
        "x" * 6000,
        "\x00",
        "\ud800",
        "@everyone <@1>",
        "task0001",
        "hailuo-02/5/768p",
        "hailuo-2.3/6/768p",
        "hailuo-02/999/768p",
        "a/b/c",
        "1e400",
        "NaN",
        "-1",
        "0.000001",
        "$2",
        "9" * 5000,
        "2026-02-30",
        "Europe/Berlin",
        "10m",
    ]
)


@dataclass
class Strangers:
    """The reef of `Scene` and the lagoon elsewhere, each with a clip that waits and, in the lagoon, an open offer."""

    scene: Scene
    lagoon: Elsewhere
    #: A role of the lagoon.
    crew: Any
    log: pytest.LogCaptureFixture
    #: What a test has begun in the reef beside that.
    more: Any = None

    @property
    def known(self) -> list[str]:
        """Ids that a forger could have seen."""
        members = [self.scene.alice.id, self.scene.carol.id, self.lagoon.eve.id, self.lagoon.dora.id]
        return ["task0001", "task0002", "0", "1", "2", *map(str, members), str(self.scene.channel.id)]

    def holds(self) -> int:
        with sqlite3.connect(self.scene.settings.database) as database:
            (number,) = database.execute("SELECT count(*) FROM ledger WHERE kind = 'hold'").fetchone()
        database.close()
        return int(number)

    async def send(
        self, kind: int, data: dict[str, Any], member: Any, *, may_hold: bool = False, **more: Any
    ) -> int:
        """How often the bot spoke; nothing is held, no bug, and nothing told of the other server."""
        away = member is self.lagoon.dora
        channel = self.lagoon.channel if away else self.scene.channel
        sending = self.scene.emit(kind, data, member=member, channel=channel, **more)
        return await self._spoke(sending, (REEF if away else LAGOON,), may_hold=may_hold)

    async def send_directly(
        self, kind: int, data: dict[str, Any], member: Any, secrets: tuple[str, ...], **more: Any
    ) -> int:
        """The same in the member's direct messages with the bot; `secrets` are prompts of others."""

        async def sending() -> None:
            place = {"channel_id": member.user.dm_channel.id, "guild_id": None, "user_id": member.id}
            _, payload = base_payload(self.scene.env.backend, type=kind, data=data, **place)
            self.scene.env.backend.emit("INTERACTION_CREATE", {**payload, **more})
            await self.scene.env.settle()

        return await self._spoke(sending(), secrets, may_hold=True)

    def direct_message(self, member: Any) -> dict[str, Any]:
        from simcord.backend.serializers import message_payload  # noqa: PLC0415 - only here, and untyped

        messages = self.scene.env.backend.messages[member.user.dm_channel.id]
        return dict(message_payload(self.scene.env.backend, next(iter(messages.values()))))

    async def _spoke(self, sending: Awaitable[Any], secrets: tuple[str, ...], *, may_hold: bool) -> int:
        held, asked = self.holds(), len(self.scene.env.http_requests)
        self.log.clear()
        await sending
        told = repr([one.json for one in self.scene.env.http_requests[asked:]])
        wrong = [record for record in self.log.records if record.levelno >= logging.ERROR]
        assert not wrong, self.log.text
        assert sorry() not in told
        assert not [secret for secret in secrets if secret in told]
        assert may_hold or self.holds() == held
        return len(self.scene.env.http_requests) - asked

    def somebody(self, number: int) -> Any:
        """Of each kind: who owns what is there, a member, an admin, and an admin of the other server."""
        people = [self.scene.alice, self.scene.bob, self.scene.carol, self.lagoon.dora]
        return people[number % len(people)]


async def strangers(scene: Scene, log: pytest.LogCaptureFixture) -> Strangers:
    # That a command does not fit ours is no bug here; bugs are seen in the log.
    scene.expects_bugs = True
    lagoon = await scene.elsewhere()
    await scene.accepted(prompt=REEF)
    await lagoon.eve.slash(lagoon.channel, "video text", prompt=LAGOON)
    await lagoon.eve.slash(lagoon.channel, "video image", prompt=LAGOON, **WIDE)
    await scene.step()
    return Strangers(scene, lagoon, lagoon.guild.create_role("Crew"), log)
