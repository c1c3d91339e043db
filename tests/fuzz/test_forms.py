"""Forms that no honest client sends: fields missing, of other types or twice, any text, ids of any form.

Each is answered or left alone; nothing is held that is not right, and nothing told of another server.
"""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.cogs.clips import click, posted
from tests.cogs.moderators import asked
from tests.cogs.scene import Scene
from tests.cogs.test_animate import CAT, opened
from tests.fuzz.examples import fuzz
from tests.fuzz.strangers import Strangers, anything, strangers

MODAL = 5
_ROW, _MENU, _TEXT, _LABEL, _TICK = 1, 3, 4, 18, 23
Form = dict[str, Any]


@pytest.fixture
async def there(scene: Scene, caplog: pytest.LogCaptureFixture) -> Strangers:
    return await strangers(scene, caplog)


@dataclass
class Open:
    """A form as its member has it open. `ends` is whether it can be sent once for all: then only by others."""

    shown: Any
    member: Any
    message: Any = None
    ends: bool = False

    @property
    def form(self) -> Form:
        found: Form = self.shown._interaction.modal
        return found


async def begun(there: Strangers, clip: bytes) -> tuple[Any, Any]:
    """A posted clip, and a question in the moderators' channel."""
    if not there.more:
        task = await posted(there.scene, clip)
        there.more = task, (await asked(there.scene)).history()[-1]
    task, question = there.more
    return task, question


async def forms(there: Strangers, clip: bytes) -> list[Open]:
    """Every form there is, open now."""
    scene = there.scene
    task, question = await begun(there, clip)
    # So that it may be reported anew.
    await scene.app.database.write(lambda tx: tx.run("DELETE FROM clip_reports"))
    own, others = stored(scene, scene.channel, task.message_id), stored(scene, question.channel, question.id)
    return [
        Open(await click(scene, task, "Edit"), scene.alice, own),
        Open(await click(scene, task, "Delete"), scene.alice, own, ends=True),
        Open(await click(scene, task, "Report", scene.bob), scene.bob, own),
        Open(await scene.carol.click(question, label="Decline"), scene.carol, others, ends=True),
        Open(await opened(scene, CAT), scene.alice),
    ]


def stored(scene: Scene, channel: Any, message_id: int) -> Any:
    from simcord.backend.serializers import message_payload  # noqa: PLC0415 - only here, and untyped

    return dict(message_payload(scene.env.backend, scene.env.backend.messages[channel.id][message_id]))


def fields(form: Form) -> list[dict[str, Any]]:
    parts = [
        part for outer in form["components"] for part in outer.get("components", [outer.get("component")])
    ]
    return [part for part in parts if part]


_values = anything | st.lists(anything, max_size=3) | st.booleans() | st.none() | st.integers()


@st.composite
def filled(draw: st.DrawFn, form: Form, known: list[str]) -> list[dict[str, Any]]:
    """What is sent for a form: its fields and others, each with something in it."""
    sent = []
    own = fields(form)
    for number in draw(st.lists(st.integers(0, len(own)), max_size=len(own) + 1)):
        if number < len(own):
            field = {"type": own[number]["type"], "custom_id": own[number]["custom_id"]}
        else:
            field = {"type": draw(st.sampled_from([_MENU, _TEXT, _TICK])), "custom_id": draw(anything)}
        text = draw(anything | st.sampled_from(known))
        chosen: dict[str, Any] = {"values": [text]}
        if field["type"] in {_TEXT, _TICK}:
            chosen = {"value": text if field["type"] == _TEXT else draw(st.booleans())}
        if draw(st.integers(0, 4)) == 0:
            chosen = draw(st.dictionaries(st.sampled_from(["value", "values"]), _values))
        outer = draw(st.sampled_from([_ROW, _LABEL]))
        inner = {**field, **chosen}
        sent.append(
            {"type": outer, "components": [inner]} if outer == _ROW else {"type": outer, "component": inner}
        )
    return sent


@fuzz(6, shrink=False, data=st.data())
async def test_forged_form(data: st.DataObject, there: Strangers, real_clip: bytes) -> None:
    """Each example sends each form there is, by its member or anybody, so that a new one is sent too."""
    for one in await forms(there, real_clip):
        form, member = one.form, one.member
        if one.ends:
            member = data.draw(st.sampled_from([there.scene.bob, there.lagoon.dora]))
        elif data.draw(st.integers(0, 2)) == 0:
            member = there.somebody(data.draw(st.integers(0, 3)))
        custom_id = form["custom_id"]
        if data.draw(st.integers(0, 9)) == 0:
            custom_id = data.draw(
                st.sampled_from(["conch:animate:1", "conch:animate:" + "9" * 30]) | anything
            )
        sent = {"custom_id": custom_id, "components": data.draw(filled(form, there.known))}
        more = {"message": one.message} if one.message else {}
        spoke = await there.send(MODAL, sent, member, may_hold=True, **more)
        assert spoke or custom_id != form["custom_id"]
