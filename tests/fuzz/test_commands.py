"""Commands with values that no honest client sends: answered, and nothing held unless all of them are right."""

from typing import Any

import pytest
from discord import app_commands
from hypothesis import strategies as st
from simcord.interactions import resolve_handle

from tests.cogs.scene import Scene
from tests.fuzz.examples import fuzz
from tests.fuzz.strangers import Strangers, strangers
from tests.fuzz.strangers import anything as _words

COMMAND = 2
#: Where what an option of a type names is told.
_RESOLVED = {6: ["users"], 7: ["channels"], 8: ["roles"], 9: ["users", "roles"], 11: ["attachments"]}
Resolved = dict[str, dict[str, Any]]
_numbers = st.integers() | st.sampled_from([0, -1, 2**53, 2**63, 2**64, -(2**63) - 1])


@pytest.fixture
async def there(scene: Scene, caplog: pytest.LogCaptureFixture) -> Strangers:
    return await strangers(scene, caplog)


def leaves(there: Strangers) -> list[app_commands.Command[Any, ..., Any]]:
    found = there.scene.app.client.tree.walk_commands()
    return [one for one in found if isinstance(one, app_commands.Command)]


def values(kind: int, choices: list[Any], known: list[str], resolved: Resolved) -> st.SearchStrategy[Any]:
    """Of the right JSON type and something that is there, as Discord's own API makes sure; whatever else they are."""
    match kind:
        case 3:
            right = st.sampled_from(choices) if choices else st.nothing()
            return right | _words | st.sampled_from(known)
        case 4:
            return _numbers
        case 5:
            return st.booleans()
        case 10:
            return _numbers | st.floats(allow_nan=False, allow_infinity=False)
        case _:
            found = [one for name in _RESOLVED[kind] for one in resolved[name]]
            return st.sampled_from(found)


@st.composite
def options(
    draw: st.DrawFn, command: app_commands.Command[Any, ..., Any], known: list[str], resolved: Resolved
) -> list[dict[str, Any]]:
    given = []
    for one in command.parameters:
        if draw(st.integers(0, 9 if one.required else 1)):
            choices = [choice.value for choice in one.choices]
            kind = one.type.value
            given.append(
                {"name": one.name, "type": kind, "value": draw(values(kind, choices, known, resolved))}
            )
    if draw(st.integers(0, 9)) == 0:
        given.append(
            {"name": draw(st.sampled_from(["more", "task", "self"])), "type": 3, "value": draw(_words)}
        )
    return given


@fuzz(90, shrink=False, data=st.data())
async def test_any_values(data: st.DataObject, there: Strangers) -> None:
    commands = leaves(there)
    command = commands[data.draw(st.integers(0, len(commands) - 1))]
    member = there.somebody(data.draw(st.integers(0, 3)))
    resolved = around(there, member, data.draw(_words))
    found = data.draw(options(command, there.known, resolved))
    path = command.qualified_name
    right = path == "video text" and may_hold({one["name"]: one["value"] for one in found})
    assert await there.send(
        COMMAND, {**said(there, path, found), "resolved": resolved}, member, may_hold=right
    )


def may_hold(given: dict[str, Any]) -> bool:
    """Whether this order may be a right one; pictures are never sent along here."""
    return 0 < len(given.get("prompt", "").strip()) <= 2000 and 1 <= given.get("count", 1) <= 4


def said(there: Strangers, path: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    sent = there.scene.command(path)
    leaf = sent
    while leaf["options"]:
        leaf = leaf["options"][0]
    leaf["options"] = found
    return sent


def around(there: Strangers, member: Any, filename: str) -> Resolved:
    """What is there for somebody to name, and a file that is gone."""
    scene, lagoon = there.scene, there.lagoon
    away = member is lagoon.dora
    resolved: Resolved = {}
    for one in (
        [lagoon.eve, lagoon.channel, there.crew]
        if away
        else [scene.bob, scene.carol, scene.channel, scene.bosses]
    ):
        resolve_handle(member, one, resolved, channel_id=(lagoon if away else scene).channel.id)
    file = {
        "id": "7",
        "filename": filename,
        "size": 2**40,
        "url": f"{scene.standin.root}/clips/gone",
        "proxy_url": "",
    }
    return {**resolved, "attachments": {"7": file}}
