"""Small clips with a colour for each frame, so that every frame can be told from the others."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from PIL import Image

Colour = tuple[int, int, int]
RED, GREEN, BLUE, GREY = (200, 40, 40), (40, 180, 60), (50, 60, 200), (128, 128, 128)


def encoded(
    path: Path,
    colours: Sequence[Colour],
    *,
    size: tuple[int, int] = (320, 192),
    rate: int = 24,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
) -> Path:
    """A clip of one plain frame for each colour; tagged as BT.709."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        stream.codec_context.colorspace = 1
        for number, colour in enumerate(colours):
            picture = av.VideoFrame.from_image(Image.new("RGB", size, colour))
            frame = picture.reformat(format=pixels, dst_colorspace="ITU709")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def frames(path: Path) -> list[Any]:
    """Every frame, decoded."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def middle(frame: Any) -> Colour:
    """The colour in the middle of a picture or a frame."""
    picture: Any = frame if isinstance(frame, Image.Image) else frame.reformat(format="rgb24").to_image()
    found: Colour = picture.getpixel((picture.width // 2, picture.height // 2))
    return found


def close(one: Colour, other: Colour, *, most: int = 8) -> bool:
    """As close as encoding lets them be."""
    return all(abs(a - b) <= most for a, b in zip(one, other, strict=True))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
