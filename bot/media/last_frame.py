"""Takes the last frame out of a clip."""

from pathlib import Path

from bot.domain.errors import NotAVideo
from bot.domain.language import kept
from bot.media import child
from bot.media.files import arriving

_CPU_SECONDS = 30
_SECONDS = 60.0
# Measured at 1080p: 186 MB of address space; a clip may be as large as `clips.probe` lets pass.
_MEMORY = 1 << 30


async def last_frame(clip: Path, target: Path) -> None:
    """Write the very last decoded frame as a PNG to `target`. `NotAVideo` tells what was found instead."""
    with arriving(target) as part:
        try:
            answer = await child.run(
                "last_frame",
                {"source": str(clip), "target": str(part)},
                cpu_seconds=_CPU_SECONDS,
                memory_bytes=_MEMORY,
                seconds=_SECONDS,
            )
        except child.ChildFailed as error:
            raise NotAVideo(
                kept("The clip's last frame could not be read: {problem}.", problem=error)
            ) from error
        if "refused" in answer:
            raise NotAVideo(
                kept("The clip's last frame could not be read: {problem}.", problem=answer["refused"])
            )
