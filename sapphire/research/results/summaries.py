"""A replay in one column of numbers, as people compare them: for reading only, no gate asks one of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sapphire.research.results.round_trips import profit_factor, win_rate
from sapphire.statistics import annualise

if TYPE_CHECKING:
    import pandas as pd

    from sapphire.research.results.replays import Replayed

__all__ = ["statistics_of"]


def statistics_of(replayed: Replayed) -> pd.Series[float]:
    r"""The account's numbers and those of its round trips.

    The Sortino ratio is by ffn: mean excess return over the root of the mean squared return below zero. Exposure is the
    value held over equity, time in market the share of closes at which anything was held.
    """
    import pandas as pd

    performance, trips = replayed.performance, replayed.round_trips
    closes = replayed.study.tested.frame("close").ffill().fillna(0.0).to_numpy()
    value = (replayed.positions.to_numpy() * closes).sum(axis=1)
    lots = np.array([float(instrument.lot) for instrument in replayed.study.data.instruments])
    held = (replayed.positions.to_numpy() >= lots).any(axis=1)
    numbers = {
        "total_return": performance.total_return,
        "sharpe_per_year": annualise(performance.sharpe, performance.per_year),
        "sortino_per_year": _sortino(replayed),
        "max_drawdown": performance.drawdown,
        "turnover_per_year": performance.turnover,
        "fees_over_starting_equity": performance.costs,
        "time_in_market": float(held.mean()),
        "mean_exposure": float((value / replayed.worth).mean()),
        "round_trips": float(trips["closed"].notna().sum()),
        "win_rate": win_rate(trips),
        "profit_factor": profit_factor(trips),
    }
    return pd.Series(numbers, name=replayed.agent.name)


def _sortino(replayed: Replayed) -> float:
    """NaN where no return is below zero."""
    import ffn

    returns = replayed.returns
    if not (returns < 0.0).any():
        return math.nan
    return float(ffn.calc_sortino_ratio(returns, nperiods=replayed.performance.per_year, annualize=True))
