"""Draws a chart: bars for days, stacked and coloured by series, with a line where the limit is.

1100×550 with letters that can still be read at half the size, as which Discord shows it.
"""

from collections.abc import Sequence
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
#: Okabe and Ito's colours, which the colour-blind tell apart too; those that stand out from the ground.
_COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#f0e442")
_TITLE, _LETTERS = 19, 16
_BAR_WIDTH = 0.78
_FEWEST_BARS = 7
#: Micros: an axis of cents at least, so that its labels are whole cents.
_LOWEST_TOP = 100_000
#: A limit this many times above the highest bar would press the bars flat: it is told above them instead.
_FAR = 8
_LABELS = 7
#: Days from which on single bars are thinner than can be seen.
_LONG = 120
_LEGEND_COLUMNS, _LABEL_LENGTH = 3, 24
#: Letters of a legend that is one line, each entry's square and space counted as six.
_LEGEND_LINE = 84


def run(
    title: str,
    days: list[str],
    series: list[tuple[str, list[int]]],
    limit: int | None,
    limit_label: str,
    nothing: str,
    target: str,
) -> dict[str, Any]:
    """`days` are the names of the bars, `nothing` is said where there are none."""
    mpl.rcParams["text.parse_math"] = False  # two dollar signs would else begin and end a formula
    mpl.rcParams["font.size"] = _LETTERS
    figure = Figure(figsize=_INCHES, dpi=_DOTS_PER_INCH, facecolor=_GROUND)
    figure.set_layout_engine("constrained", w_pad=0.2, h_pad=0.15)
    axes = figure.add_subplot(facecolor=_GROUND)
    axes.set_title(title, color=_TEXT, fontsize=_TITLE, loc="left", pad=14)
    highest = _bars(axes, series, len(days))
    top = _top(highest, limit)
    axes.set_ylim(0, top)
    _days(axes, days)
    _amounts(axes)
    if limit is not None:
        _line(axes, limit, limit_label, top)
    if not highest:
        _middle(axes, nothing)
    if len(series) > 1 and highest:
        _legend(figure, [label for label, _ in series])
    figure.savefig(target, format="png")
    return {}


def _bars(axes: Axes, series: Sequence[tuple[str, list[int]]], count: int) -> int:
    """Draw them one on the other; the height of the highest."""
    reached = [0] * count
    for (label, micros), colour in zip(series, _COLOURS, strict=False):
        below, reached = reached, [low + more for low, more in zip(reached, micros, strict=True)]
        if count > _LONG:  # thousands of bars one by one take seconds, and the gaps between them flicker
            edges = [number - 0.5 for number in range(count + 1)]
            axes.stairs(
                reached, edges, baseline=below, fill=True, color=colour, label=_short(label), zorder=2
            )
        else:
            axes.bar(
                range(count), micros, _BAR_WIDTH, bottom=below, color=colour, label=_short(label), zorder=2
            )
    # A single day is a bar, not a wall.
    margin = max(0.0, (_FEWEST_BARS - count) / 2)
    axes.set_xlim(-0.6 - margin, count - 0.4 + margin)
    return max(reached, default=0)


def _top(highest: int, limit: int | None) -> float:
    reached = highest
    if limit is not None and (not highest or limit <= highest * _FAR):
        reached = max(highest, limit)
    return max(_LOWEST_TOP, reached * 1.18)


def _days(axes: Axes, days: Sequence[str]) -> None:
    last = len(days) - 1
    step = max(1, -(-len(days) // _LABELS))
    shown = range(last, -1, -step)
    axes.set_xticks(list(shown), [days[number] for number in shown])
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


def _middle(axes: Axes, words: str) -> None:
    axes.text(0.5, 0.45, words, transform=axes.transAxes, ha="center", color=_QUIET, fontsize=_TITLE)


def _legend(figure: Figure, labels: Sequence[str]) -> None:
    length = sum(len(_short(label)) + 6 for label in labels)
    figure.legend(
        loc="outside lower left",
        ncols=len(labels) if length <= _LEGEND_LINE else _LEGEND_COLUMNS,
        frameon=False,
        labelcolor=_TEXT,
        handlelength=1,
        handleheight=1,
        columnspacing=1.5,
    )


def _short(label: str) -> str:
    return label if len(label) <= _LABEL_LENGTH else f"{label[: _LABEL_LENGTH - 1]}…"
