"""Drifting lights behind the words: drawn small, where they cost nothing, and enlarged smoothly."""

import hashlib
import math

from PIL import Image, ImageChops
from PIL.Image import Resampling, Transform

#: Night, then four lights. Dark enough everywhere for white letters.
_PALETTES = (
    ("#0b1026", "#3a2fb8", "#b0246f", "#0e7c86", "#d0552b"),
    ("#071a1f", "#0f6e6e", "#1f4fb0", "#5a2f9e", "#2c8a4b"),
    ("#1a0b1e", "#8e2aa0", "#d1365c", "#3f2fb0", "#c9752a"),
    ("#0a1a14", "#1c7a52", "#0f5f8e", "#a08a1f", "#2f3fa8"),
    ("#160d0a", "#a83f24", "#b07a1e", "#7a1f5e", "#26408f"),
    ("#0a0f1c", "#1e5fa8", "#2aa0b0", "#6a3fc0", "#a83f7a"),
)
_SMALL_WIDTH = 192


class Backdrop:
    def __init__(self, size: tuple[int, int], *, seed: str) -> None:
        self._size = size
        self._small = (_SMALL_WIDTH, round(_SMALL_WIDTH * size[1] / size[0]))
        digest = hashlib.sha256(seed.encode("utf-8", "replace")).digest()
        self._night, *self._colours = _PALETTES[digest[0] % len(_PALETTES)]
        self._phases = [byte / 256 * math.tau for byte in digest[1:9]]
        self._light = ImageChops.invert(Image.radial_gradient("L")).point(_soft)

    def at(self, moment: float) -> Image.Image:
        field = Image.new("RGB", self._small, self._night)
        for number, colour in enumerate(self._colours):
            field.paste(colour, mask=self._spot(number, moment))
        return field.resize(self._size, Resampling.BICUBIC)

    def _spot(self, number: int, moment: float) -> Image.Image:
        """The light's own slow path; moved by fractions of a small pixel, or it would jump when enlarged."""
        width, height = self._small
        across, along = self._phases[number], self._phases[number + 4]
        x = width * (0.5 + 0.42 * math.sin(across + moment * math.tau * (0.22 + 0.05 * number)))
        y = height * (0.5 + 0.45 * math.cos(along + moment * math.tau * (0.17 + 0.06 * number)))
        scale = self._light.width / (width * (1.25 - 0.1 * number))
        middle = self._light.width / 2
        return self._light.transform(
            self._small,
            Transform.AFFINE,
            (scale, 0, middle - x * scale, 0, scale, middle - y * scale),
            Resampling.BILINEAR,
        )


def _soft(value: int) -> int:
    # Pillow's radial gradient is black in the corners only; a light must end before the square does.
    share = max(0.0, (value - 80) / 175)
    return round(235 * share * share * (3 - 2 * share))
