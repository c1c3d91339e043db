"""Looks whether a downloaded file is a playable video, and where it would play."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bot.domain.errors import NotAVideo
from bot.domain.language import kept
from bot.media import child

_CPU_SECONDS = 30
_SECONDS = 60.0
# Measured: 152 MB of address space at 1080p, 546 MB at 8192×4320.
_MEMORY = 1 << 30
#: yuvj420p is the same with the full range of values.
_PIXELS = frozenset({"yuv420p", "yuvj420p"})
_SOUND = frozenset({None, "aac", "mp3"})
_WEBM = frozenset({"vp8", "vp9"})
_WEBM_SOUND = frozenset({None, "vorbis", "opus"})


class Remedy(Enum):
    """What it takes until a clip plays on every device."""

    NONE = "none"
    REMUX = "remux"
    ENCODE = "encode"


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """`pixels` is FFmpeg's name of the pixel format, `container` is mp4, mov, webm or mkv.

    `faststart`: an MP4 or MOV whose index comes first. `sound` is the codec's name, None where it is silent.
    """

    width: int
    height: int
    seconds: float
    codec: str
    bytes: int
    pixels: str
    container: str
    faststart: bool
    sound: str | None

    @property
    def remedy(self) -> Remedy:
        """Discord's clients have the players of their devices: H.264 with 8 bits in 4:2:0, or WebM."""
        if (self.container, self.codec in _WEBM, self.pixels) == ("webm", True, "yuv420p"):
            return Remedy.NONE if self.sound in _WEBM_SOUND else Remedy.ENCODE
        if self.codec != "h264" or self.pixels not in _PIXELS or self.sound not in _SOUND:
            return Remedy.ENCODE
        return Remedy.NONE if self.container == "mp4" and self.faststart else Remedy.REMUX


async def probe(path: Path, *, end: Path | None = None) -> ClipInfo:
    """Decode the first frame and the end in a child process. `NotAVideo` tells what was found instead.

    The last frame is written to `end`, a PNG, where that can be done; a child that dies may leave a part of it.
    """
    try:
        answer = await child.run(
            "clip",
            {"source": str(path), "end": end and str(end)},
            cpu_seconds=_CPU_SECONDS,
            memory_bytes=_MEMORY,
            seconds=_SECONDS,
        )
    except child.ChildFailed as error:
        raise NotAVideo(kept("The file could not be read as a video: {problem}.", problem=error)) from error
    if "refused" in answer:
        raise NotAVideo(kept("The file is no playable video: {problem}.", problem=answer["refused"]))
    return ClipInfo(**answer)
