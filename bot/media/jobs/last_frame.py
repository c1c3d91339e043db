"""Writes the last frame of a clip as a picture without loss."""

import os
from pathlib import Path
from typing import Any

import av
from av.video.reformatter import Colorspace

from bot.domain.language import kept
from bot.media.jobs import Refused
from bot.media.jobs.clip import opened, seconds_of, video_of

#: Decoding begins at the key frame before so many seconds from the end.
_TAIL = 0.5
#: Lower pictures that say nothing are taken for those of standard definition.
_HD = 720
#: "Unspecified" in FFmpeg and in ISO/IEC 23091-2.
_UNTAGGED = 2


def run(source: str, target: str) -> dict[str, Any]:
    try:
        with opened(Path(source).absolute()) as container:
            frame = _last(container)
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        raise Refused(kept("found a video that is damaged ({reason})", reason=error.strerror)) from error
    colours = guessed_colours(frame.colorspace, frame.height)
    picture = frame.reformat(format="rgb24", src_colorspace=colours).to_image()
    with Path(target).open("wb") as file:
        picture.save(file, "PNG", compress_level=1)
        os.fsync(file.fileno())
    return {"width": picture.width, "height": picture.height}


def _last(container: Any) -> Any:
    stream = video_of(container)
    stream.thread_type = "NONE"  # threads would need address space far beyond the memory limit
    seconds = seconds_of(container, stream)
    container.seek(int(max(0.0, seconds - _TAIL) * 1_000_000), backward=True)
    last = None
    for frame in container.decode(stream):
        last = frame
    if last is None:
        raise Refused(kept("found a video without a frame at its end"))
    return last


def guessed_colours(said: int, height: int) -> Colorspace | None:
    """What players take a picture for that does not say its colours; None for one that does."""
    if said != _UNTAGGED:
        return None
    return Colorspace.ITU709 if height >= _HD else Colorspace.ITU601
