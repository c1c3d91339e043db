"""The sandbox's camera: a window that moves over a picture as the commands in the prompt's brackets say."""

import math
import re
from dataclasses import dataclass
from typing import Self

_BRACKETS = re.compile(r"\[([^\[\]]{1,100})\]")
_NEAR = 1.3


@dataclass(frozen=True, slots=True)
class _Move:
    """Zoom from and to; how far to the right and down the window travels, in its free room from -1 to 1."""

    zoom: tuple[float, float]
    right: float = 0.0
    down: float = 0.0


_MOVES = {
    "truck left": _Move((1.2, 1.2), right=-1),
    "truck right": _Move((1.2, 1.2), right=1),
    "pan left": _Move((1.2, 1.2), right=-1),
    "pan right": _Move((1.2, 1.2), right=1),
    "push in": _Move((1.0, _NEAR)),
    "pull out": _Move((_NEAR, 1.0)),
    "pedestal up": _Move((1.2, 1.2), down=-1),
    "pedestal down": _Move((1.2, 1.2), down=1),
    "tilt up": _Move((1.2, 1.2), down=-1),
    "tilt down": _Move((1.2, 1.2), down=1),
    "zoom in": _Move((1.0, _NEAR)),
    "zoom out": _Move((_NEAR, 1.0)),
    "shake": _Move((1.08, 1.08)),
    "tracking shot": _Move((1.15, 1.25), right=1),
    "static shot": _Move((1.0, 1.0)),
}
_DEFAULT = _Move((1.0, 1.18), right=0.5, down=-0.2)


@dataclass(frozen=True, slots=True)
class Camera:
    commands: tuple[str, ...]

    @classmethod
    def read(cls, prompt: str) -> tuple[Self, str]:
        """The camera and the prompt without its commands; other words in brackets stay in the prompt."""
        found: list[str] = []

        def take(match: re.Match[str]) -> str:
            names = [name.strip() for name in match[1].split(",")]
            if not all(name.lower() in _MOVES for name in names):
                return match[0]
            found.extend(names)
            return ""

        words = _BRACKETS.sub(take, prompt)
        return cls(tuple(dict.fromkeys(found))[:3]), " ".join(words.split())

    @property
    def reach(self) -> float:
        """How much larger than the frame the picture must be to stay sharp."""
        return max(max(move.zoom) for move in self._moves)

    @property
    def _moves(self) -> list[_Move]:
        return [_MOVES[name.lower()] for name in self.commands] or [_DEFAULT]

    def view(self, size: tuple[int, int], moment: float) -> tuple[float, float, float, float]:
        """The part of a picture to show at a moment from 0 to 1; all commands act together."""
        moves = self._moves
        eased = moment * moment * (3 - 2 * moment)
        zoom = max(move.zoom[0] + (move.zoom[1] - move.zoom[0]) * eased for move in moves)
        right = _travel(sum(move.right for move in moves), eased)
        down = _travel(sum(move.down for move in moves), eased)
        if "shake" in (name.lower() for name in self.commands):
            right += 0.6 * math.sin(moment * 61) + 0.3 * math.sin(moment * 97)
            down += 0.6 * math.sin(moment * 73) + 0.3 * math.sin(moment * 113)
        return _window(size, zoom, right, down)


def _travel(distance: float, moment: float) -> float:
    return distance * (2 * moment - 1)


def _window(
    size: tuple[int, int], zoom: float, right: float, down: float
) -> tuple[float, float, float, float]:
    width, height = size[0] / zoom, size[1] / zoom
    left = (size[0] - width) / 2 * (1 + min(1.0, max(-1.0, right)))
    top = (size[1] - height) / 2 * (1 + min(1.0, max(-1.0, down)))
    return left, top, left + width, top + height
