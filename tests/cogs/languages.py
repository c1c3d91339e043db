"""Members whose Discord is set to another language, and the room that Discord has for words."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.cogs.scene import Scene

BUTTON, SELECT, TEXT, LABEL = 2, 3, 10, 18
MODAL = 9
#: Characters of each field: https://discord.com/developers/docs/components/reference.
ROOM = {
    BUTTON: {"label": 80},
    SELECT: {"placeholder": 150},
    LABEL: {"label": 45, "description": 100},
}
OPTION = {"label": 100, "description": 100}
EMBED = {"title": 256, "description": 4096}
OPTIONS, COMPONENTS = 25, 40
CONTENT, TEXTS, EMBEDS, MODAL_TITLE = 2000, 4000, 6000, 45


def speak_everywhere(scene: Scene, locale: str) -> None:
    """From now on everybody's Discord is set to this one."""
    _speak(scene, lambda _: locale)


def speak_each(scene: Scene, locales: Mapping[int, str]) -> None:
    """From now on the Discord of each member is set to one of its own."""
    _speak(scene, locales.__getitem__)


def _speak(scene: Scene, locale_of: Callable[[int], str]) -> None:
    emit = scene.env.backend.emit

    def emitted(event: str, payload: Any, *rest: Any, **more: Any) -> Any:
        if event == "INTERACTION_CREATE":
            who = (payload.get("member") or payload)["user"]["id"]
            payload = {**payload, "locale": locale_of(int(who))}
        return emit(event, payload, *rest, **more)

    scene.env.backend.emit = emitted


def limits_hold(scene: Scene) -> None:
    """All that the bot has sent, but for its commands, has room in Discord."""
    sent = [
        one for one in scene.env.http_requests if isinstance(one.json, dict) and "commands" not in one.path
    ]
    assert sent
    assert [(one.path, wrong) for one in sent for wrong in _beyond(one.json)] == []


def _beyond(sent: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is too long, too many or too much in a message, a form, or an answer with one of them."""
    body = sent.get("data", sent) or {}
    every = list(_components(body.get("components")))
    embeds = body.get("embeds") or []
    if sent.get("type") == MODAL:
        yield from _too_long(body, {"title": MODAL_TITLE})
    yield from _too_long(body, {"content": CONTENT})
    for part in every:
        yield from _too_long(part, ROOM.get(part["type"], {}))
        options = part.get("options") or []
        for option in options:
            yield from _too_long(option, OPTION)
        if len(options) > OPTIONS:
            yield "options", len(options)
    for embed in embeds:
        yield from _too_long(embed, EMBED)
    sums = {
        "components": (len(every), COMPONENTS),
        "texts": (sum(_length(part["content"]) for part in every if part["type"] == TEXT), TEXTS),
        "embeds": (sum(_length(embed.get(name)) for embed in embeds for name in EMBED), EMBEDS),
    }
    yield from ((name, found) for name, (found, most) in sums.items() if found > most)


def _components(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, list):
        for one in part:
            yield from _components(one)
    elif isinstance(part, dict):
        if isinstance(part.get("type"), int):
            yield part
        for one in part.values():
            yield from _components(one)


def _too_long(part: dict[str, Any], room: Mapping[str, int]) -> Iterator[tuple[str, Any]]:
    return ((name, part[name]) for name, most in room.items() if _length(part.get(name)) > most)


def _length(text: str | None) -> int:
    """As Discord counts."""
    return len((text or "").encode("utf-16-le")) // 2
