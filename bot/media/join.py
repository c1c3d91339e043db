"""Joins clips into one film."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.domain.errors import NotAVideo
from bot.domain.language import kept
from bot.media import child
from bot.media.files import arriving

#: A film of ten clips of ten seconds at 1080p needs some two minutes of a core where it has to be encoded.
_CPU_SECONDS = 600
_SECONDS = 720.0
# Measured at 1080p: 400 MB of address space.
_MEMORY = 1 << 30


@dataclass(frozen=True, slots=True)
class Film:
    """`copied`: the clips' own packets, none encoded anew."""

    frames: int
    milliseconds: int
    bytes: int
    copied: bool


async def join(clips: Sequence[Path], target: Path) -> Film:
    """Write all frames of the clips, one clip after the other, as a silent MP4. `NotAVideo` where that is impossible.

    It may take minutes, and a slot for children: who calls it sees to it that the checks of paid clips find another.
    """
    with arriving(target) as part:
        try:
            answer = await child.run(
                "join",
                {"sources": [str(clip) for clip in clips], "target": str(part)},
                cpu_seconds=_CPU_SECONDS,
                memory_bytes=_MEMORY,
                seconds=_SECONDS,
            )
        except child.ChildFailed as error:
            raise NotAVideo(kept("The clips could not be joined: {problem}.", problem=error)) from error
        if "refused" in answer:
            raise NotAVideo(kept("The clips could not be joined: {problem}.", problem=answer["refused"]))
    return Film(**answer)
