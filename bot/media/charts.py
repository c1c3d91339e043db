"""Draws what was spent day by day, as a picture that fits Discord's dark theme."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from weakref import WeakKeyDictionary

from bot.domain.language import kept, trn
from bot.domain.money import dollars
from bot.domain.plain import plain
from bot.media import child

#: A square in each colour of the bars, as many as the eye keeps apart.
_SQUARES = ("🟦", "🟧", "🟥", "🟪", "🟨", "🟩")
_CPU_SECONDS = 30
_SECONDS = 30.0
# Measured: 189 MB of address space for a month of four models, 207 MB for ten years of six.
_MEMORY = 384 << 20
# Each thread of OpenBLAS reserves tens of megabytes of address space, and there is nothing to multiply.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Series:
    """What one colour stands for; `micros` has an amount for each day of the chart, none below zero."""

    label: str
    micros: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars of stacked series, one a day. The picture has no words, since fonts have not every script: see `key`."""

    title: str
    days: tuple[date, ...]
    series: tuple[Series, ...]
    limit_micros: int | None = None
    limit_label: str = ""


async def draw(chart: Chart, *, cache: Path) -> bytes:
    """A PNG of 1100×550; `ChildFailed` where that is not possible.

    `cache` is a folder of ours: the first chart finds the fonts of this machine and writes down there where they are.
    One chart is drawn at a time, so that the pictures of paid clips never wait for several.
    """
    try:
        async with _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            with _passing(cache) as picture:
                await child.run(
                    "chart",
                    {
                        "days": [day.isoformat() for day in chart.days],
                        "series": [one.micros for one in _told_apart(chart.series)],
                        "limit": chart.limit_micros,
                        "limit_label": "" if chart.limit_micros is None else dollars(chart.limit_micros),
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


def key(chart: Chart) -> str:
    """What a chart shows and what its colours stand for, from the lowest up, for the words beside it."""
    parts = [
        f"{square} {plain(one.label)}"
        for square, one in zip(_SQUARES, _told_apart(chart.series), strict=False)
    ]
    if chart.limit_label:
        parts.append(f"┅ {chart.limit_label}")
    return f"{chart.title}: {' · '.join(parts)}" if parts else chart.title


@contextmanager
def _passing(folder: Path) -> Iterator[Path]:
    """The file in which a picture is handed over, since it may be longer than a child's answer."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / "chart.png"
    try:
        yield picture
    finally:
        picture.unlink(missing_ok=True)


def _told_apart(series: Sequence[Series]) -> list[Series]:
    """The series in their order, the smallest of too many as one at the end."""
    if len(series) <= len(_SQUARES):
        return list(series)
    largest = sorted(series, key=lambda one: sum(one.micros), reverse=True)[: len(_SQUARES) - 1]
    rest = [one for one in series if one not in largest]
    together = tuple(sum(amounts) for amounts in zip(*(one.micros for one in rest), strict=True))
    others = trn("{number} other", "{number} others", len(rest))
    return [*(one for one in series if one in largest), Series(others, together)]
