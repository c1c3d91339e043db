"""Draws a chart: bars for days, stacked and coloured by series, with a line where the limit is; and no words.

1100×550 with digits that can still be read at half the size, as which Discord shows it.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator

_INCHES = (11, 5.5)
_DOTS_PER_INCH = 100
#: Discord's dark theme: the ground that messages stand on, its text, and text that stays behind.
_GROUND, _TEXT, _QUIET, _GRID = "#313338", "#f2f3f5", "#b5bac1", "#4e5058"
#: Those of the squares in the words beside it, as Discord draws them: 🟦 🟧 🟥 🟪 🟨 🟩. Of two that lie on each
#: other one is lighter or bluer than the other, so that the colour-blind tell them apart too.
_COLOURS = ("#55acee", "#f4900c", "#dd2e44", "#aa8ed6", "#fdcb58", "#78b159")
_LETTERS = 16
_BAR_WIDTH = 0.78
_FEWEST_BARS = 7
#: Micros: an axis of cents at least, so that its labels are whole cents.
_LOWEST_TOP = 100_000
#: A limit this many times above the highest bar would press the bars flat: it is told above them instead.
_FAR = 8
_LABELS = 7
#: Days from which on single bars are thinner than can be seen.
_LONG = 120


def run(
    days: list[str], series: list[list[int]], limit: int | None, limit_label: str, target: str
) -> dict[str, Any]:
    mpl.rcParams["font.size"] = _LETTERS
    figure = Figure(figsize=_INCHES, dpi=_DOTS_PER_INCH, facecolor=_GROUND)
    figure.set_layout_engine("constrained", w_pad=0.2, h_pad=0.15)
    axes = figure.add_subplot(facecolor=_GROUND)
    highest = _bars(axes, series, len(days))
    top = _top(highest, limit)
    axes.set_ylim(0, top)
    _days(axes, [date.fromisoformat(day) for day in days])
    _amounts(axes)
    if limit is not None:
        _line(axes, limit, limit_label, top)
    figure.savefig(target, format="png")
    return {}


def _bars(axes: Axes, series: Sequence[list[int]], count: int) -> int:
    """Draw them one on the other; the height of the highest."""
    reached = [0] * count
    for micros, colour in zip(series, _COLOURS, strict=False):
        below, reached = reached, [low + more for low, more in zip(reached, micros, strict=True)]
        if count > _LONG:  # thousands of bars one by one take seconds, and the gaps between them flicker
            edges = [number - 0.5 for number in range(count + 1)]
            axes.stairs(reached, edges, baseline=below, fill=True, color=colour, zorder=2)
        else:
            axes.bar(range(count), micros, _BAR_WIDTH, bottom=below, color=colour, zorder=2)
    # A single day is a bar, not a wall.
    margin = max(0.0, (_FEWEST_BARS - count) / 2)
    axes.set_xlim(-0.6 - margin, count - 0.4 + margin)
    return max(reached, default=0)


def _top(highest: int, limit: int | None) -> float:
    reached = highest
    if limit is not None and (not highest or limit <= highest * _FAR):
        reached = max(highest, limit)
    return max(_LOWEST_TOP, reached * 1.18)


def _days(axes: Axes, days: Sequence[date]) -> None:
    last = len(days) - 1
    step = max(1, -(-len(days) // _LABELS))
    shown = range(last, -1, -step)
    written = [f"{day:%Y-%m}" if len(days) > _LONG else f"{day:%m-%d}" for day in days]
    axes.set_xticks(list(shown), [written[number] for number in shown])
    axes.tick_params(axis="x", length=0, colors=_QUIET, pad=8)


def _amounts(axes: Axes) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda micros, _place: f"${micros / 1_000_000:,.2f}"))
    axes.tick_params(axis="y", length=0, colors=_QUIET, pad=8)
    axes.grid(axis="y", color=_GRID, linewidth=1, zorder=0)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _line(axes: Axes, limit: int, label: str, top: float) -> None:
    """The limit where it is, its label above it; at the upper edge where it lies beyond the chart."""
    beyond = limit > top
    if not beyond:
        axes.axhline(limit, color=_TEXT, linewidth=2, linestyle=(0, (5, 3)), zorder=3)
    axes.annotate(
        f"↑ {label}" if beyond else label,
        (1, top if beyond else limit),
        xycoords=("axes fraction", "data"),
        xytext=(0, -4 if beyond else 4),
        textcoords="offset points",
        ha="right",
        va="top" if beyond else "bottom",
        color=_TEXT,
        path_effects=[withStroke(linewidth=5, foreground=_GROUND)],  # readable over bars, too
        zorder=4,
    )
