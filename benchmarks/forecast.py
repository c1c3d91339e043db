"""Status reads and the delay until a ready clip is noticed: a fixed five-second loop against the forecast.

Both see the same clips in the same order; the forecast begins with none and learns as it goes.
"""

import random
import statistics
import sys

from bot.domain.catalog import Format
from bot.services.forecast import Forecast, Kind

CLIPS = 400
POLL_SECONDS = 5.0
#: Median seconds, spread (of the logarithm) and share of clips that wait in a queue first, by kind of service.
SERVICES = {
    "steady (90 s, little spread)": (90.0, 0.12, 0.0),
    "usual (110 s, some spread)": (110.0, 0.22, 0.0),
    "queue before one in ten": (110.0, 0.20, 0.1),
}
KIND = Kind("mindvideo", Format(model="hailuo-2.3", duration=6, resolution="768p"))


def durations(median: float, spread: float, queued: float) -> list[float]:
    chance = random.Random(7)  # noqa: S311 - the same clips in every run
    made = [median * chance.lognormvariate(0, spread) for _ in range(CLIPS)]
    return [seconds + (chance.uniform(30, 120) if chance.random() < queued else 0) for seconds in made]


def fixed(clips: list[float]) -> tuple[float, float]:
    """Mean reads a clip, and mean seconds of delay."""
    reads = [int(seconds // POLL_SECONDS) + 1 for seconds in clips]
    return statistics.mean(reads), statistics.mean(
        count * POLL_SECONDS - seconds for count, seconds in zip(reads, clips, strict=True)
    )


def forecast(clips: list[float]) -> tuple[float, float]:
    learned, reads, delays = Forecast(), [], []
    for seconds in clips:
        elapsed, count = 0.0, 0
        while elapsed < seconds:
            elapsed += learned.until_read(KIND, round(elapsed * 1000), POLL_SECONDS)
            count += 1
        reads.append(count)
        delays.append(elapsed - seconds)
        learned.noticed(KIND, round(elapsed * 1000), first_read=count == 1)
    return statistics.mean(reads), statistics.mean(delays)


def main() -> int:
    """Exit code 1 where the forecast needs more than half the reads, or notices later."""
    well = True
    print(
        f"{'service':32} {'reads: loop':>12} {'forecast':>9} {'ratio':>6} {'delay s: loop':>14} {'forecast':>9}"
    )
    for name, shape in SERVICES.items():
        clips = durations(*shape)
        (loop_reads, loop_delay), (our_reads, our_delay) = fixed(clips), forecast(clips)
        ratio = our_reads / loop_reads
        well = well and ratio <= 0.5 and our_delay <= loop_delay * 1.02
        print(
            f"{name:32} {loop_reads:12.1f} {our_reads:9.1f} {ratio:6.2f} {loop_delay:14.2f} {our_delay:9.2f}"
        )
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
