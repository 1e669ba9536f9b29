"""How far two tellings of the same views are apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sapphire.agents.view_panels import ViewPanel, numbers_of
from sapphire.domain.bars import Bars
from sapphire.domain.clocks import from_ns
from sapphire.domain.views import View

__all__ = ["Found", "Numbers", "far_apart", "numbers_of_panel", "numbers_of_views"]

Numbers = Mapping[str, NDArray[np.float64]]
"""What is stated ("score", "mean_bps", "q0.1", ...) to [N, S], NaN where nothing is."""


class Found(NamedTuple):
    """The outcome of one comparison: bars compared, worst difference, and where it was."""

    bars: int
    worst: float
    note: str = ""


def numbers_of_panel(panel: ViewPanel, rows: int | None = None) -> Numbers:
    """The numbers of a panel, of its first `rows` rows where said so."""
    return {name: frame.to_numpy()[:rows] for name, frame in panel.numbers.items()}


def numbers_of_views(answers: Iterable[list[View]], symbols: tuple[str, ...]) -> Numbers:
    """The numbers of views, one row per list."""
    lists = list(answers)
    numbers: dict[str, NDArray[np.float64]] = {}
    for row, views in enumerate(lists):
        for view in views:
            for name, value in numbers_of(view).items():
                numbers.setdefault(name, np.full((len(lists), len(symbols)), np.nan))
                numbers[name][row, symbols.index(view.symbol)] = value
    return numbers


def far_apart(first: Numbers, second: Numbers, bars: Bars, rows: NDArray[np.int64]) -> Found:
    r"""The worst relative difference between two tellings, and where.

    .. math:: d = \frac{|a - b|}{\max(|a|, |b|, m)}, \quad m = \text{median of } |a| \text{ where } a \ne 0

    with m per stated number and symbol. A number that stands on one side only differs infinitely.

    Parameters
    ----------
    first, second : [N, S] each; a name that is missing counts as NaN throughout.
    bars, rows : the N rows of `bars` that they speak of.
    """
    worst, note, spoken = 0.0, "", False
    for name in sorted({*first, *second}):
        silent = np.full((rows.size, len(bars.symbols)), np.nan)
        a, b = first.get(name, silent), second.get(name, silent)
        spoken = spoken or bool(np.isfinite(a).any() or np.isfinite(b).any())
        apart = _relative(a, b)
        if apart.size and not apart.max() <= worst:
            worst = float(apart.max())
            row, column = (int(i) for i in np.unravel_index(int(apart.argmax()), apart.shape))
            at = from_ns(int(bars.close_time_ns[rows[row]]))
            note = f"{name} of {bars.symbols[column]} at {at:%Y-%m-%dT%H:%MZ}: {a[row, column]:g}, {b[row, column]:g}"
    return Found(rows.size, worst, note if spoken else "no view at any of them")


def _relative(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    sizes = np.where(np.isfinite(a) & (a != 0.0), np.abs(a), np.nan)
    usual = [float(np.median(of[np.isfinite(of)])) if np.isfinite(of).any() else 0.0 for of in sizes.T]
    size = np.fmax(np.fmax(np.abs(a), np.abs(b)), np.array(usual))
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.where(a == b, 0.0, np.abs(a - b) / size)
    one_sided = np.isnan(a) != np.isnan(b)
    return np.where(one_sided, math.inf, np.where(np.isnan(a), 0.0, apart))
