"""What the market was like at each close: how much it moved of late, and which way.

The market is the symbols in equal parts. Its volatility and its return over the last bars say which of six regimes a
close is in; what counts as low and high is taken from the training window of the close's own fold, so that no later bar
has a say in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.domain.clocks import to_ns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.domain.bars import Bars
    from sapphire.research.runs.splits import Fold

__all__ = ["REGIMES", "Regimes", "market_regimes"]

_WEEK = timedelta(days=7)
_FEWEST_BARS = 20
_SHARE_OF_TRAINING = 4
_LEVELS = ("low", "middle", "high")
_TERCILES = (1 / 3, 2 / 3)

REGIMES = tuple(f"{level} volatility, {way}" for level in _LEVELS for way in ("falling", "rising"))
"""Volatility by tercile, and the sign of the market's return."""
_UNKNOWN = len(REGIMES)


@dataclass(frozen=True, slots=True, eq=False)
class Regimes:
    """The regime at each tested close.

    Parameters
    ----------
    names : of the regimes.
    codes : int64 [T], place in `names`; the last, "unknown", where there are too few bars before the close.
    bars : how many bars it looks back.
    """

    names: tuple[str, ...]
    codes: NDArray[np.int64]
    bars: int


def market_regimes(evaluation: Bars, folds: Sequence[Fold], tested: Bars) -> Regimes:
    """The regimes of the tested closes.

    It looks back a week of bars, but no more than a quarter of the shortest training window, and at least 20.

    Parameters
    ----------
    evaluation : every bar before the hold-out.
    folds : whose training windows set the terciles of volatility.
    tested : the bars whose closes are asked about.
    """
    shortest = min(fold.train_end - fold.train_start for fold in folds)
    bars = max(_FEWEST_BARS, min(_WEEK, shortest / _SHARE_OF_TRAINING) // evaluation.interval.timedelta)
    volatility, change = _trailing(evaluation, bars)
    closes = evaluation.close_time_ns
    codes = np.full(len(tested), _UNKNOWN, dtype=np.int64)
    for fold in folds:
        train = (closes >= to_ns(fold.train_start)) & (closes < to_ns(fold.train_end)) & np.isfinite(volatility)
        asked = (tested.close_time_ns >= to_ns(fold.test_start)) & (tested.close_time_ns < to_ns(fold.test_end))
        if not train.any():
            continue
        bounds = np.quantile(volatility[train], _TERCILES)
        rows = np.searchsorted(closes, tested.close_time_ns[asked])
        level = np.searchsorted(bounds, volatility[rows])
        code = 2 * level + (change[rows] > 0.0)
        codes[asked] = np.where(np.isfinite(volatility[rows]), code, _UNKNOWN)
    return Regimes((*REGIMES, "unknown"), codes, bars)


def _trailing(evaluation: Bars, bars: int) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """Standard deviation and sum of the market's last `bars` returns at each close, [T]; NaN before there are any."""
    import pandas as pd

    market = evaluation.frame("close").ffill().pct_change(fill_method=None).mean(axis=1)
    window = pd.Series(market.to_numpy()).rolling(bars, min_periods=bars)
    return window.std().to_numpy(), window.sum().to_numpy()
