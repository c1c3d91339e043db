"""Draws what was spent day by day, as a picture that fits Discord's dark theme."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from weakref import WeakKeyDictionary

from babel import Locale
from babel.dates import format_skeleton

from bot.domain.language import ENGLISH, kept, reader, reading, tr, trn
from bot.media import child

#: As many colours as the eye keeps apart.
MOST_SERIES = 6
_CPU_SECONDS = 30
_SECONDS = 30.0
# Measured: 189 MB of address space for a month of four models, 207 MB for ten years of six.
_MEMORY = 384 << 20
# Each thread of OpenBLAS reserves tens of megabytes of address space, and there is nothing to multiply.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}

#: Days from which on their months are told instead.
_LONG = 120
#: Languages whose signs are not among the letters that come with Matplotlib.
_UNDRAWN = frozenset({"zh-CN", "ja"})

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Series:
    """What one colour stands for; `micros` has an amount for each day of the chart, none below zero."""

    label: str
    micros: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars of stacked series, one a day. `limit_label` stands at the line of the limit, as it is."""

    title: str
    days: tuple[date, ...]
    series: tuple[Series, ...]
    limit_micros: int | None = None
    limit_label: str = ""


def drawn() -> AbstractContextManager[None]:
    """Words within are for a chart: in the reader's language where it can be drawn, else in English."""
    return reading(ENGLISH if reader() in _UNDRAWN else reader())


async def draw(chart: Chart, *, cache: Path) -> bytes:
    """A PNG of 1100×550; `ChildFailed` where that is not possible.

    `cache` is a folder of ours: the first chart finds the fonts of this machine and writes down there where they are.
    One chart is drawn at a time, so that the pictures of paid clips never wait for several.
    """
    with drawn():
        words = {
            "days": _named(chart.days),
            "series": [[one.label, one.micros] for one in _told_apart(chart.series)],
            "nothing": tr("nothing spent"),
        }
    try:
        async with _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            with _passing(cache) as picture:
                await child.run(
                    "chart",
                    {
                        "title": chart.title,
                        **words,
                        "limit": chart.limit_micros,
                        "limit_label": chart.limit_label,
                        "target": str(picture),
                    },
                    cpu_seconds=_CPU_SECONDS,
                    memory_bytes=_MEMORY,
                    seconds=_SECONDS,
                    environment={**_ENVIRONMENT, "MPLCONFIGDIR": str(cache)},
                )
                return await asyncio.to_thread(picture.read_bytes)
    except OSError as error:
        raise child.ChildFailed(
            kept("its file cannot be written ({reason})", reason=error.strerror)
        ) from error


@contextmanager
def _passing(folder: Path) -> Iterator[Path]:
    """The file in which a picture is handed over, since it may be longer than a child's answer."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / "chart.png"
    try:
        yield picture
    finally:
        picture.unlink(missing_ok=True)


def _named(days: Sequence[date]) -> list[str]:
    # The day before the month, also in English.
    locale = Locale.parse("en-GB" if reader() == ENGLISH else reader(), sep="-")
    return [format_skeleton("yMMM" if len(days) > _LONG else "MMMd", day, locale=locale) for day in days]


def _told_apart(series: Sequence[Series]) -> list[Series]:
    """The series in their order, the smallest of too many as one at the end."""
    if len(series) <= MOST_SERIES:
        return list(series)
    largest = sorted(series, key=lambda one: sum(one.micros), reverse=True)[: MOST_SERIES - 1]
    rest = [one for one in series if one not in largest]
    together = tuple(sum(amounts) for amounts in zip(*(one.micros for one in rest), strict=True))
    others = trn("{number} other", "{number} others", len(rest))
    return [*(one for one in series if one in largest), Series(others, together)]
