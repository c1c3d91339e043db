"""Words on a picture: wrapped, as large as fits, readable on any ground."""

import unicodedata
from functools import cache

from PIL import Image, ImageDraw, ImageFilter, ImageFont

_WIDEST, _TALLEST = 0.80, 0.62
#: Letter heights to try, as shares of the frame's height.
_STEPS = (0.115, 0.1, 0.088, 0.076, 0.066, 0.057, 0.05, 0.044, 0.038, 0.034)
_LEADING = 1.32
_NO_SUCH_LETTER = "\uffff"
_CLOSE = {"–": "-", "×": "x", "‑": "-", "„": "“", "«": "“", "»": "”", "→": "->"}


class Stamp:
    """White letters with a soft shadow, drawn once and laid on every frame."""

    def __init__(self, letters: Image.Image, place: tuple[int, int], *, strength: int, blur: float) -> None:
        self._letters = letters.point(lambda value: value * strength // 255)
        shadow = letters.filter(ImageFilter.GaussianBlur(blur))
        self._shadow = shadow.point(lambda value: min(200, value * 2))
        self._place = place

    def draw(self, frame: Image.Image) -> None:
        frame.paste("#05060f", self._place, self._shadow)
        frame.paste("white", self._place, self._letters)


class Lettering(Stamp):
    """The prompt, centred."""

    def __init__(self, size: tuple[int, int], text: str) -> None:
        font, lines = _fit(text, size)
        leading = round(font.size * _LEADING)
        margin = round(font.size)
        letters = Image.new("L", (size[0], min(size[1], leading * len(lines) + 2 * margin)))
        pen = ImageDraw.Draw(letters)
        for number, line in enumerate(lines):
            pen.text((size[0] / 2, margin + (number + 0.5) * leading), line, 255, font, anchor="mm")
        place = (0, (size[1] - letters.height) // 2)
        super().__init__(letters, place, strength=255, blur=font.size / 7)


def corner(size: tuple[int, int], text: str) -> Stamp:
    """A small label at the lower left."""
    font = _font(max(14, round(size[1] * 0.026)))
    margin = round(font.size)
    letters = Image.new("L", (round(font.getlength(text)) + 2 * margin, 3 * margin))
    ImageDraw.Draw(letters).text((margin, 1.5 * margin), text, 255, font, anchor="lm")
    return Stamp(letters, (0, size[1] - letters.height), strength=215, blur=font.size / 5)


def plain(text: str) -> str:
    """Only letters that Pillow's built-in font has; the nearest one for accents and dashes, none for the rest."""
    kept = "".join(_nearest(letter) for letter in text)
    words = " ".join(kept.split())
    return words or f"A prompt of {len(text)} characters"


@cache
def _nearest(letter: str) -> str:
    if letter.isspace() or _has(letter):
        return letter
    near = _CLOSE.get(letter) or unicodedata.normalize("NFKD", letter)
    return "".join(part for part in near if _has(part))


def _has(letter: str) -> bool:
    font = _font(20)
    return letter.isprintable() and bytes(font.getmask(letter)) != bytes(font.getmask(_NO_SUCH_LETTER))


@cache
def _font(height: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=height)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("Pillow was built without FreeType")
    return font


def _fit(text: str, size: tuple[int, int]) -> tuple[ImageFont.FreeTypeFont, list[str]]:
    """The largest letters in which the text fits; in the smallest ones its end is cut."""
    for step in _STEPS:
        font = _font(round(size[1] * step))
        lines = _wrap(text, font, size[0] * _WIDEST)
        room = int(size[1] * _TALLEST / (font.size * _LEADING))
        if len(lines) <= room:
            return font, _balanced(text, font, size[0] * _WIDEST)
    return font, [*lines[: room - 1], lines[room - 1][:-1] + "…"]


def _balanced(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """No more lines than needed, and no last line of one short word."""
    lines = _wrap(text, font, width)
    for percent in range(98, 48, -2):
        narrower = _wrap(text, font, width * percent / 100)
        if len(narrower) > len(lines):
            break
        lines = narrower
    return lines


def _wrap(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.extend(_broken(word, font, width))
    return lines


def _broken(word: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """A word in pieces that fit; nearly always one."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and font.getlength(pieces[-1] + letter) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces
