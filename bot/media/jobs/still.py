"""One frame of a video as a picture without loss."""

import os
from pathlib import Path
from typing import Any

from av.video.reformatter import Colorspace

#: Lower pictures that say nothing are taken for those of standard definition.
_HD = 720
#: "Unspecified" in FFmpeg and in ISO/IEC 23091-2.
_UNTAGGED = 2


def save(frame: Any, target: Path) -> tuple[int, int]:
    """Write it as a PNG; width and height."""
    colours = guessed_colours(frame.colorspace, frame.height)
    picture = frame.reformat(format="rgb24", src_colorspace=colours).to_image()
    with target.open("wb") as file:
        picture.save(file, "PNG", compress_level=1)
        os.fsync(file.fileno())
    return picture.width, picture.height


def guessed_colours(said: int, height: int) -> Colorspace | None:
    """What players take a picture for that does not say its colours; None for one that does."""
    if said != _UNTAGGED:
        return None
    return Colorspace.ITU709 if height >= _HD else Colorspace.ITU601
