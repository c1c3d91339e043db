"""Makes a clip fit: into a number of bytes, and into what plays on every device."""

import os
from pathlib import Path

from bot.domain.errors import BotError
from bot.domain.language import kept
from bot.media import child
from bot.media.clips import ClipInfo, Remedy
from bot.media.files import arriving

#: Each has its share of the address space; more of them gain little.
_MOST_THREADS = 4
# Measured at 1080p: 450 MB of address space for a file of 30 MB or of 100 MB, 535 MB with four threads; 860 MB at
# 8192×4320.
_MEMORY = 1280 << 20
#: Processor time for a clip of any length, and for each second of it: a 1080p clip needs one a second, twice.
_CPU_SECONDS = 60
_CPU_SECONDS_A_SECOND = 30


class CannotFit(BotError):
    """There is no such file; the text says why."""


async def fit(source: Path, info: ClipInfo, target: Path, *, limit: int) -> int:
    """Write `target` with at most `limit` bytes, playable everywhere; returns how many it has.

    It has the duration, the frames and the sound of the source. `info` tells whether a new container suffices.
    """
    cpu_seconds = _CPU_SECONDS + round(info.seconds * _CPU_SECONDS_A_SECOND)
    with arriving(target) as part:
        try:
            answer = await child.run(
                "fit",
                {
                    "source": str(source),
                    "target": str(part),
                    "limit": limit,
                    "threads": min(os.cpu_count() or 1, _MOST_THREADS),
                    "remux": info.remedy is Remedy.REMUX and info.bytes <= limit,
                },
                cpu_seconds=cpu_seconds,
                memory_bytes=_MEMORY,
                seconds=2.0 * cpu_seconds,
                encode=True,
            )
        except child.ChildFailed as error:
            raise CannotFit(kept("The clip could not be made to fit: {problem}.", problem=error)) from error
        if "refused" in answer:
            raise CannotFit(kept("The clip could not be made to fit: {problem}.", problem=answer["refused"]))
        return int(answer["bytes"])
