"""Commands and clicks outside servers, with any values: nothing of a server is told there, and nothing broken."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.cogs.fixtures import Open
from tests.fuzz.examples import fuzz
from tests.fuzz.strangers import LAGOON, REEF, Strangers, anything, strangers
from tests.fuzz.test_clicks import custom_ids, templates
from tests.fuzz.test_commands import leaves, options, said

COMMAND, COMPONENT = 2, 3
ROLE = {
    "id": "8",
    "name": "x",
    "color": 0,
    "hoist": False,
    "position": 1,
    "permissions": "0",
    "managed": False,
}


@pytest.fixture
async def there(open_bot: Open, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Strangers]:
    async with open_bot(user_installs=True) as scene:
        there = await strangers(scene, caplog)
        for member in (scene.bob, there.lagoon.eve):
            await member.send_dm("hello")
        yield there


def file_of(there: Strangers, name: str) -> dict[str, Any]:
    """One that is gone."""
    address = f"{there.scene.standin.root}/clips/gone"
    return {"7": {"id": "7", "filename": name, "size": 2**40, "url": address, "proxy_url": ""}}


@fuzz(40, shrink=False, data=st.data())
async def test_any_values(data: st.DataObject, there: Strangers) -> None:
    """Also those of `/admin`, which is offered in servers alone."""
    commands = leaves(there)
    command = commands[data.draw(st.integers(0, len(commands) - 1))]
    member, secrets = data.draw(
        st.sampled_from([(there.scene.bob, (REEF, LAGOON)), (there.lagoon.eve, (REEF,))])
    )
    user = {"id": str(member.id), "username": "x", "discriminator": "0", "avatar": None}
    resolved = {"users": {str(member.id): user}, "attachments": file_of(there, data.draw(anything))}
    resolved |= {
        "channels": {"9": {"id": "9", "type": 0, "name": "x", "permissions": "0"}},
        "roles": {"8": ROLE},
    }
    found = data.draw(options(command, there.known, resolved))
    sent = {**said(there, command.qualified_name, found), "resolved": resolved}
    await there.send_directly(COMMAND, sent, member, secrets)


@fuzz(3, shrink=False, data=st.data())
async def test_forged_clicks(data: st.DataObject, there: Strangers) -> None:
    """Each example is a click on each button there is."""
    for template in templates(there):
        custom_id = data.draw(custom_ids(template, there.known))
        part = {"type": 2, "custom_id": custom_id, "style": 2, "label": "x"}
        message = {**there.direct_message(there.scene.bob), "components": [{"type": 1, "components": [part]}]}
        sent = {"custom_id": custom_id, "component_type": 2}
        await there.send_directly(COMPONENT, sent, there.scene.bob, (REEF, LAGOON), message=message)
