"""Writes the last frame of a clip as a picture without loss."""

from pathlib import Path
from typing import Any

import av

from bot.domain.language import kept
from bot.media.jobs import Refused, still
from bot.media.jobs.clip import opened, seconds_of, video_of

#: Decoding begins at the key frame before so many seconds from the end.
_TAIL = 0.5


def run(source: str, target: str) -> dict[str, Any]:
    try:
        with opened(Path(source).absolute()) as container:
            frame = _last(container)
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        raise Refused(kept("found a video that is damaged ({reason})", reason=error.strerror)) from error
    width, height = still.save(frame, Path(target))
    return {"width": width, "height": height}


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
