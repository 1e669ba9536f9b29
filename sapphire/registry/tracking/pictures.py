"""Pictures of a run: its equity beside the benchmark's, and its gates. MLflow shows PNG without any script."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from sapphire.registry.tracking.pages import BENCHMARK, DRAWDOWN, GROWTH, Series, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_equity", "draw_gates"]

# Okabe and Ito's colours (2008), as in all figures
_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#777777"
_DPI = 110
_FONT_PT = 8.5
_CHARACTER_IN = 8 / _DPI
"""Width of a character of the monospaced font that comes with matplotlib: whole pixels, as it is drawn."""
_LINE_IN = 0.19
_LONGEST = 66


def draw_equity(title: str, series: Mapping[str, Series], path: Path) -> None:
    """Growth of one unit and the benchmark's over market time, and the drawdown below.

    Raises
    ------
    OSError : the file cannot be written.
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.6), dpi=_DPI, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    above.plot(*_points(series[GROWTH]), color=_BLUE, linewidth=1.8, label="account")
    if BENCHMARK in series:
        above.plot(*_points(series[BENCHMARK]), color=_GREY, linewidth=1.3, label="buy and hold, no costs")
    above.set_title(shorten(title, 110, placeholder=" ..."), loc="left", fontsize=11)
    above.set_ylabel("growth of 1")
    above.legend(loc="upper left", frameon=False, fontsize=9)
    if DRAWDOWN in series:
        times, values = _points(series[DRAWDOWN])
        below.fill_between(times, values, color=_ORANGE, alpha=0.35, linewidth=0)
        below.plot(times, values, color=_ORANGE, linewidth=1)
    below.set_ylabel("drawdown, %")
    below.set_xlabel("day, UTC")
    below.xaxis.set_major_formatter(ConciseDateFormatter(AutoDateLocator()))  # type: ignore[no-untyped-call]
    for axes in (above, below):
        _plain(axes)
    figure.savefig(path, format="png", facecolor="white")


def draw_gates(title: str, table: Table, path: Path) -> None:
    """A table of gates: one line per measure, its verdict coloured.

    Raises
    ------
    OSError : the file cannot be written.
    """
    from matplotlib.figure import Figure

    cells = [[shorten(cell, _LONGEST, placeholder=" ...") for cell in row] for row in (table.header, *table.rows)]
    widths = [max(map(len, column)) + 2 for column in zip(*cells, strict=True)]
    verdict = len(widths) - 2
    before = sum(widths[:verdict])
    width, height = _CHARACTER_IN * (sum(widths) + 2), _LINE_IN * (len(cells) + 3)
    figure = Figure(figsize=(width, height), dpi=_DPI)
    plain: dict[str, Any] = {"family": "monospace", "fontsize": _FONT_PT, "va": "top"}
    figure.text(
        _CHARACTER_IN / width, 1 - 0.4 * _LINE_IN / height, shorten(title, sum(widths), placeholder=" ..."), va="top"
    )
    for place, row in enumerate(cells):
        y = 1 - _LINE_IN * (place + 2.2) / height
        padded = [cell.ljust(size) for cell, size in zip(row, widths, strict=True)]
        weight = "bold" if place == 0 else "normal"
        hidden = "".join([*padded[:verdict], " " * widths[verdict], *padded[verdict + 1 :]])
        figure.text(_CHARACTER_IN / width, y, hidden, fontweight=weight, **plain)
        colour = "black" if place == 0 else _GREEN if table.verdicts[place - 1] else _ORANGE
        x = _CHARACTER_IN * (before + 1) / width
        figure.text(x, y, row[verdict], color=colour, fontweight="bold", **plain)
    figure.savefig(path, format="png", facecolor="white")


def _points(points: Series) -> tuple[list[datetime], list[float]]:
    return [datetime.fromtimestamp(at_ms / 1_000, UTC) for at_ms, _ in points], [value for _, value in points]


def _plain(axes: Axes) -> None:
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.01)
