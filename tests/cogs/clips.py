"""Posted clips, and clicks on their buttons."""

from copy import deepcopy
from typing import Any

from bot.domain.task import Task, TaskState
from tests.cogs.pictures import picture
from tests.cogs.scene import Scene

FIRST: dict[str, Any] = {"first_frame": ("first.png", picture())}
BOTH: dict[str, Any] = {**FIRST, "last_frame": ("last.jpg", picture("JPEG", (500, 400)))}
COMPONENT, MODAL = 3, 5
#: The more clips were made, the surer the bot is when the next one is ready, and looks no sooner.
_STEPS = 12


async def posted(scene: Scene, clip: bytes, mode: str = "text", **options: Any) -> Task:
    """A clip of Alice's that stands in the channel."""
    scene.standin.clip, scene.standin.auto = clip, True
    await scene.video(mode, **options)
    return await delivered(scene)


async def delivered(scene: Scene) -> Task:
    """Alice's newest task, once its clip is posted."""
    for _ in range(_STEPS):
        task = (await scene.tasks())[-1]
        if task.state is TaskState.DELIVERED:
            return task
        await scene.step()
    raise AssertionError(f"{task.id} is still {task.state}: {task.problem}")


def message(scene: Scene, task: Task) -> Any:
    """As discord.py sees the clip's message."""
    (found,) = [one for one in scene.channel.history() if one.id == task.message_id]
    return found


async def click(scene: Scene, task: Task, label: str, member: Any = None) -> Any:
    return await (member or scene.alice).click(message(scene, task), label=label)


async def forge(scene: Scene, task: Task, custom_id: str, member: Any = None) -> Any:
    """A click as no honest client sends it: on a button that the clip's message does not have."""
    from simcord.backend.serializers import message_payload  # noqa: PLC0415 - only here, and untyped

    stored = scene.env.backend.messages[task.message_channel_id][task.message_id]
    payload = deepcopy(dict(message_payload(scene.env.backend, stored)))
    payload["components"][0]["components"][0]["custom_id"] = custom_id
    data = {"custom_id": custom_id, "component_type": 2}
    return await scene.emit(COMPONENT, data, member=member, message=payload)


async def fill_in(scene: Scene, shown: Any, member: Any = None, **values: Any) -> Any:
    """Send a form, changed where values are given: as a client does, which sends the others as they were."""
    fields = {label["component"]["custom_id"]: label["component"] for label in shown.modal["components"]}
    known = {name: _filled_in(field) for name, field in fields.items()}
    filled = {name: value for name, value in {**known, **values}.items() if value is not None}
    return await (member or scene.alice).submit_modal(shown, filled)


def _filled_in(field: dict[str, Any]) -> Any:
    if "options" in field:
        return [option["value"] for option in field["options"] if option.get("default")] or None
    return field["default"] if "default" in field else field.get("value")


def options_of(shown: Any, name: str) -> list[str]:
    fields = {label["component"]["custom_id"]: label["component"] for label in shown.modal["components"]}
    return [option["label"] for option in fields[name]["options"]]
