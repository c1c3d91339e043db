"""Clicks that no message of the bot offers."""

from typing import Any

from tests.cogs.scene import Scene

COMPONENT = 3


async def press(scene: Scene, custom_id: str, member: Any = None) -> Any:
    """A click on a public message that never had such a button."""
    from simcord.backend.serializers import message_payload  # noqa: PLC0415 - only here, and untyped

    button = {"type": 2, "style": 2, "label": "Press", "custom_id": custom_id}
    payload = dict(message_payload(scene.env.backend, scene.shown()[0]))
    payload["components"] = [{"type": 1, "components": [button]}]
    data = {"custom_id": custom_id, "component_type": 2}
    return await scene.emit(COMPONENT, data, member=member, message=payload)
