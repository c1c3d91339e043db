"""Draws and encodes the sandbox's clips: words on drifting light, a camera over a picture, or a cross-fade."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from PIL import Image, ImageOps
from PIL.Image import Resampling

from bot.domain.language import kept
from bot.media.jobs import Refused
from bot.media.jobs.backdrop import Backdrop
from bot.media.jobs.camera import Camera
from bot.media.jobs.lettering import Lettering, corner, plain

FRAMES_A_SECOND = 24
_BT709 = 1
#: Frames are only ever pictures that `picture` wrote.
_FORMATS = ("JPEG",)

#: Draws the frame at a moment from 0 (first) to 1 (last).
Scene = Callable[[float], Image.Image]


def run(
    mode: str,
    width: int,
    height: int,
    seconds: int,
    prompt: str,
    label: str,
    pictures: list[str],
    target: str,
) -> dict[str, Any]:
    size = (width, height)
    camera, words = Camera.read(prompt)
    scene = _scene(mode, size, camera, words, pictures)
    mark = corner(size, " · ".join([label, *camera.commands]))
    count = seconds * FRAMES_A_SECOND

    def frames() -> Iterator[Image.Image]:
        for number in range(count):
            frame = scene(number / (count - 1))
            mark.draw(frame)
            yield frame

    _encode(target, size, frames())
    return {"frames": count}


def _scene(mode: str, size: tuple[int, int], camera: Camera, words: str, pictures: list[str]) -> Scene:
    if mode == "text":
        backdrop, lettering = Backdrop(size, seed=words), Lettering(size, plain(words))

        def text(moment: float) -> Image.Image:
            frame = backdrop.at(moment)
            lettering.draw(frame)
            return frame

        return text
    if mode == "image":
        still = _picture(pictures[0], _larger(size, camera.reach))
        return lambda moment: still.resize(size, Resampling.BILINEAR, box=camera.view(still.size, moment))
    first, last = (_picture(path, size) for path in pictures)
    return lambda moment: Image.blend(first, last, _fade(moment))


def _picture(path: str, size: tuple[int, int]) -> Image.Image:
    try:
        with Image.open(Path(path), formats=_FORMATS) as image:
            image.draft("RGB", size)
            return ImageOps.fit(image.convert("RGB"), size, Resampling.LANCZOS)
    except FileNotFoundError:
        raise Refused(kept("the frame's file is gone")) from None


def _larger(size: tuple[int, int], factor: float) -> tuple[int, int]:
    return math.ceil(size[0] * factor), math.ceil(size[1] * factor)


def _fade(moment: float) -> float:
    """0 for the first quarter, 1 for the last, and between them no edge at either end."""
    share = min(1.0, max(0.0, (moment - 0.25) * 2))
    return share * share * (3 - 2 * share)


def _encode(target: str, size: tuple[int, int], frames: Iterator[Image.Image]) -> None:
    with av.open(target, "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream(
            "libx264", rate=FRAMES_A_SECOND, options={"crf": "23", "preset": "veryfast"}
        )
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.thread_count = 1  # one child is one core's work; threads reserve address space
        # Said in the file and used below; without it players guess, and the colours shift.
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.time_base = Fraction(1, FRAMES_A_SECOND)
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_image(picture).reformat(format="yuv420p", dst_colorspace="ITU709")
            frame.pts, frame.time_base = number, context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
