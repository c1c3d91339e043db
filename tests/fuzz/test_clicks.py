"""Buttons and menus that no message of the bot offers: nothing is held, told or broken by a forged id."""

import re
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.cogs.scene import Scene
from tests.fuzz.examples import fuzz
from tests.fuzz.strangers import Strangers, strangers

COMPONENT = 3
_BUTTON, _MENU = 2, 3


@pytest.fixture
async def there(scene: Scene, caplog: pytest.LogCaptureFixture) -> Strangers:
    return await strangers(scene, caplog)


def templates(there: Strangers) -> list[re.Pattern[str]]:
    """Of every button and menu that lasts."""
    found = there.scene.app.client._connection._view_store._dynamic_items
    return sorted(found, key=lambda one: one.pattern)


@st.composite
def custom_ids(draw: st.DrawFn, template: re.Pattern[str], known: list[str]) -> str:
    """Ids that a template matches, or nearly so, with what exists in the places of what they name."""
    text: str = draw(st.from_regex(template, fullmatch=True))
    match = template.fullmatch(text)
    for name in match.groupdict() if match else ():
        found = template.fullmatch(text)
        if found and found[name] is not None and draw(st.booleans()):
            begin, end = found.span(name)
            text = text[:begin] + draw(st.sampled_from(known)) + text[end:]
    if draw(st.integers(0, 4)) == 0:
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.text(max_size=3)) + text[place + draw(st.integers(0, 2)) :]
    return text


def carrier(there: Strangers, member: Any, custom_id: str, kind: int) -> dict[str, Any]:
    """A message of the bot that has such a button or menu."""
    from simcord.backend.serializers import message_payload  # noqa: PLC0415 - only here, and untyped

    scene = there.scene
    channel = there.lagoon.channel if member is there.lagoon.dora else scene.channel
    payload = dict(message_payload(scene.env.backend, scene.shown(channel)[0]))
    part: dict[str, Any] = {"type": kind, "custom_id": custom_id}
    if kind == _BUTTON:
        part |= {"style": 2, "label": "x"}
    else:
        part |= {"options": [{"label": "x", "value": "x"}]}
    return {**payload, "flags": 0, "components": [{"type": 1, "components": [part]}]}


@fuzz(6, shrink=False, data=st.data())
async def test_forged_click(data: st.DataObject, there: Strangers) -> None:
    """Each example is a click on each button there is, so that a new one is clicked too."""
    for template in templates(there):
        custom_id = data.draw(custom_ids(template, there.known))
        member = there.somebody(data.draw(st.integers(0, 3)))
        kind = data.draw(st.sampled_from([_BUTTON, _MENU]))
        sent: dict[str, Any] = {"custom_id": custom_id, "component_type": kind}
        if kind == _MENU:
            sent["values"] = data.draw(st.lists(st.sampled_from([*there.known, "x"]) | st.text(), max_size=3))
        spoke = await there.send(COMPONENT, sent, member, message=carrier(there, member, custom_id, kind))
        if (
            kind == _BUTTON
            and template.fullmatch(custom_id)
            and not template.pattern.startswith("conch:rules")
        ):
            assert spoke
