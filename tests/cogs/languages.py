"""Members whose Discord is set to another language."""

from typing import Any

from tests.cogs.scene import Scene


def speak_everywhere(scene: Scene, locale: str) -> None:
    """From now on everybody's Discord is set to this one."""
    emit = scene.env.backend.emit

    def emitted(event: str, payload: Any, *rest: Any, **more: Any) -> Any:
        if event == "INTERACTION_CREATE":
            payload = {**payload, "locale": locale}
        return emit(event, payload, *rest, **more)

    scene.env.backend.emit = emitted
