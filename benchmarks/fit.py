"""How long a clip too large for a message takes to fit, how near it comes to the limit, and in how much memory.

`python -m benchmarks.fit` prints a table; exit code 1 where a file ends above its limit. The first case should take
about six seconds on two free cores; no time fails the build, as a busy machine would decide it.
"""

import asyncio
import os
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.media import clips, fit
from tests.media.films import film

MIB = 2**20
X265 = {"preset": "ultrafast", "x265-params": "log-level=none"}


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    limit: int
    made: dict[str, Any]


CASES = (
    Case("1080p, 10 s, 30 MB", 10 * MIB, {"seconds": 10, "bits": 24_000_000, "noise": 12, "sound": "aac"}),
    Case("1080p, 10 s, 100 MB", 10 * MIB, {"seconds": 10, "bits": 85_000_000}),
    Case("1080p, 10 s, to 2 MiB", 2 * MIB, {"seconds": 10, "bits": 24_000_000, "noise": 12}),
    Case(
        "HEVC, 1080p, 10 s",
        10 * MIB,
        {
            "seconds": 10,
            "codec": "libx265",
            "options": {"preset": "ultrafast", "x265-params": "log-level=none"},
        },
    ),
)


async def run(case: Case, folder: Path) -> bool:
    """Print one line; whether the file fits."""
    source = await asyncio.to_thread(film, folder / "source.mp4", size=(1920, 1080), **case.made)
    info = await clips.probe(source)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    size = await fit.fit(source, info, folder / "fitted.mp4", limit=case.limit)
    took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    found = await clips.probe(folder / "fitted.mp4")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"{case.name:24} {info.bytes / 1e6:7.1f} {size / 1e6:7.2f} {size / case.limit:7.1%} {found.height:6}"
        f" {took:7.1f} {cpu:7.1f} {after.ru_maxrss / 1024:8.0f}"
    )
    return size <= case.limit


async def main() -> int:
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; most memory of any child so far")
    heads = f"{'MB in':>7} {'MB out':>7} {'of it':>7} {'lines':>6} {'s':>7} {'cpu s':>7} {'peak MB':>8}"
    print(f"{'clip':24} {heads}")
    with tempfile.TemporaryDirectory() as folder:
        well = [await run(case, Path(folder)) for case in CASES]
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
