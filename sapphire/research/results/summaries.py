"""A replay in one column of numbers, as people compare them: for reading only, no gate asks one of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sapphire.domain.errors import StatisticsError
from sapphire.research.results.round_trips import profit_factor, win_rate
from sapphire.statistics import annualise, sortino_ratio

if TYPE_CHECKING:
    import pandas as pd

    from sapphire.research.results.replays import Replayed

__all__ = ["statistics_of"]


def statistics_of(replayed: Replayed) -> pd.Series[float]:
    r"""The account's numbers and those of its round trips.

    Exposure is the value held over equity, time in market the share of closes at which anything was held. A ratio that
    cannot be had is NaN.
    """
    import pandas as pd

    performance, trips = replayed.performance, replayed.round_trips
    closes = replayed.study.tested.frame("close").ffill().fillna(0.0).to_numpy()
    value = (replayed.positions.to_numpy() * closes).sum(axis=1)
    lots = np.array([float(instrument.lot) for instrument in replayed.study.data.instruments])
    invested = (replayed.positions.to_numpy() >= lots).any(axis=1)
    numbers = {
        "total_return": performance.total_return,
        "sharpe_per_year": annualise(performance.sharpe, performance.per_year),
        "sortino_per_year": annualise(_sortino(replayed), performance.per_year),
        "max_drawdown": performance.drawdown,
        "turnover_per_year": performance.turnover,
        "fees_over_starting_equity": performance.costs,
        "time_in_market": float(invested.mean()),
        "mean_exposure": float((value / replayed.worth).mean()),
        "round_trips": float(trips["closed"].notna().sum()),
        "win_rate": win_rate(trips),
        "profit_factor": profit_factor(trips),
    }
    return pd.Series(numbers, name=replayed.agent.name)


def _sortino(replayed: Replayed) -> float:
    """Per bar; NaN where no return is below zero."""
    try:
        return sortino_ratio(replayed.returns.to_numpy())
    except StatisticsError:
        return math.nan
