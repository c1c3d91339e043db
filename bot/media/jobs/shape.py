"""Gives a picture that is too wide or too narrow a shape that is allowed: cropped, and padded."""

from pathlib import Path
from typing import Any

from PIL import Image, ImageFilter, ImageOps
from PIL.Image import Resampling, Transpose

from bot.media.jobs.picture import opened, save, scaled, turned, upright

#: The backdrop is blurred this much smaller: quick, and as smooth when it is enlarged.
_SMALLER = 16
_BLUR = 4
#: The longer side of a preview.
_PREVIEW = 640


def run(
    source: str, cropped: list[str], padded: list[str], rules: dict[str, Any], name: str
) -> dict[str, Any]:
    """`cropped` and `padded` each name two files: the frame and its small preview. `name` as for `picture`."""
    for make, (frame, preview) in ((_cropped, cropped), (_padded, padded)):
        # Opened for each: what a JPEG is decoded to depends on what is made of it.
        with opened(Path(source), rules["max_bytes"], name) as (image, _, turn):
            picture = make(image, turn, rules)
        save(picture, Path(frame), rules["max_bytes"], name)
        picture.thumbnail((_PREVIEW, _PREVIEW), Resampling.LANCZOS)
        save(picture, Path(preview), rules["max_bytes"], name)
    return {}


def _cropped(image: Image.Image, turn: Transpose | None, rules: dict[str, Any]) -> Image.Image:
    """The middle, as much of it as is allowed."""
    width, height = turned(image.size, turn)
    if width / height < rules["min_ratio"]:
        middle = (width, int(width / rules["min_ratio"]))
    else:
        middle = (int(height * rules["max_ratio"]), height)
    return upright(image, turn, scaled(*middle, rules), middle)


def _padded(image: Image.Image, turn: Transpose | None, rules: dict[str, Any]) -> Image.Image:
    """The whole picture before its own blurred enlargement."""
    width, height = turned(image.size, turn)
    if width / height < rules["min_ratio"]:
        canvas = scaled(_up(height * rules["min_ratio"]), height, rules)
    else:
        canvas = scaled(width, _up(width / rules["max_ratio"]), rules)
    factor = min(canvas[0] / width, canvas[1] / height)
    picture = upright(image, turn, (max(1, round(width * factor)), max(1, round(height * factor))))
    small = (max(1, canvas[0] // _SMALLER), max(1, canvas[1] // _SMALLER))
    backdrop = ImageOps.fit(picture, small).filter(ImageFilter.GaussianBlur(_BLUR))
    backdrop = backdrop.resize(canvas, Resampling.BICUBIC)
    backdrop.paste(picture, ((canvas[0] - picture.width) // 2, (canvas[1] - picture.height) // 2))
    return backdrop


def _up(side: float) -> int:
    return int(side) if side == int(side) else int(side) + 1
