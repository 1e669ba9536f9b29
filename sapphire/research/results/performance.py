"""What an equity curve amounts to: one row of numbers, each with its uncertainty where one can be had."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.domain.errors import StatisticsError
from sapphire.domain.intervals import Interval
from sapphire.statistics import (
    annualise,
    maximum_drawdown,
    probabilistic_sharpe_ratio,
    return_moments,
    sharpe_ratio,
    sharpe_standard_error,
)

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    FloatArray = NDArray[np.floating[Any]]

__all__ = [
    "Performance",
    "active_returns",
    "digest_of_returns",
    "performances_frame",
    "periods_per_year",
    "sharpe_and_error",
    "sharpe_of",
    "sharpe_text",
    "simple_returns",
]

_YEAR = timedelta(days=365)
_FEWEST = 4
"""Returns that `return_moments` asks for, so that a ratio is there where its error is."""


@dataclass(frozen=True, slots=True)
class Performance:
    """An account over a window.

    Parameters
    ----------
    total_return : fraction over the whole window.
    sharpe : per bar, not annualised; NaN where the returns do not vary or are too few.
    sharpe_error : standard error of `sharpe`, with the returns' own skew, kurtosis and autocorrelation; NaN where a
        short record allows none.
    probability : probabilistic Sharpe ratio against zero (2012 convention); NaN as above.
    drawdown : largest fall from a peak, as a fraction of the peak.
    turnover : traded value over mean equity, per year.
    costs : fees paid over starting equity, as a fraction.
    fills : number of fills; the screen fills each of its orders at once.
    bars : number of returns.
    per_year : bars in a year.
    """

    total_return: float
    sharpe: float
    sharpe_error: float
    probability: float
    drawdown: float
    turnover: float
    costs: float
    fills: int
    bars: int
    per_year: float

    @classmethod
    def measure(
        cls, equity: FloatArray, interval: Interval, *, traded_quote: float, fees_quote: float, fills: int
    ) -> Performance:
        """The numbers of an equity curve [T] sampled at bar closes, the first value being the start.

        Parameters
        ----------
        traded_quote, fees_quote : value of all fills, and all fees, in the quote asset.
        """
        returns = simple_returns(equity)
        per_year = periods_per_year(interval)
        years = max(len(returns) / per_year, 1e-9)
        sharpe, error, probability = _sharpe_of(returns)
        return cls(
            total_return=float(equity[-1] / equity[0] - 1),
            sharpe=sharpe,
            sharpe_error=error,
            probability=probability,
            drawdown=maximum_drawdown(equity).depth,
            turnover=traded_quote / float(equity.mean()) / years,
            costs=fees_quote / float(equity[0]),
            fills=fills,
            bars=len(returns),
            per_year=per_year,
        )

    def row(self) -> tuple[str, ...]:
        """The numbers as a table shows them, in the order of `HEADER`."""
        return (
            f"{100 * self.total_return:+.2f} %",
            sharpe_text(self.sharpe, self.sharpe_error, self.per_year),
            _number(self.probability, ".3f"),
            f"{100 * self.drawdown:.2f} %",
            f"{self.turnover:.1f} x",
            f"{10_000 * self.costs:.1f} bps",
            f"{self.fills:,}",
        )

    def as_dict(self) -> dict[str, float | int | None]:
        """Plain numbers for `--json`; a number that could not be had is null."""
        values: dict[str, float | int] = {
            "total_return": self.total_return,
            "sharpe_annual": annualise(self.sharpe, self.per_year),
            "sharpe_annual_standard_error": annualise(self.sharpe_error, self.per_year),
            "probabilistic_sharpe": self.probability,
            "max_drawdown": self.drawdown,
            "turnover_per_year": self.turnover,
            "costs": self.costs,
            "fills": self.fills,
            "bars": self.bars,
        }
        return {name: None if math.isnan(value) else value for name, value in values.items()}


HEADER = ("return", "Sharpe, year ± SE", "P(SR > 0)", "drawdown", "turnover, year", "fees", "fills")


def performances_frame(named: Iterable[tuple[str, Performance]], name: str) -> pd.DataFrame:
    """One row of numbers per performance, under the keys of `Performance.as_dict`; NaN for what could not be had.

    Parameters
    ----------
    named : what each is of, in order.
    name : what the index is called.
    """
    import pandas as pd

    rows = list(named)
    index = pd.Index([of for of, _ in rows], name=name)
    return pd.DataFrame([performance.as_dict() for _, performance in rows], index=index).astype("float64")


def simple_returns(equity: FloatArray) -> FloatArray:
    """Return from each value of an equity curve [T] to the next, [T - 1]."""
    return equity[1:] / equity[:-1] - 1.0


def active_returns(returns: FloatArray, market: FloatArray) -> FloatArray:
    """Returns [T] less the part that the market's [T] explain: r - beta m, with beta by least squares."""
    if not len(market):
        return returns
    about = market - market.mean()
    variance = float(about @ about)
    beta = float(about @ returns) / variance if variance > 0.0 else 0.0
    return returns - beta * market


def sharpe_of(returns: FloatArray) -> float:
    """Sharpe ratio per bar of returns [T]; NaN where they do not vary or are too few."""
    with suppress(StatisticsError):
        return sharpe_ratio(returns) if len(returns) >= _FEWEST else math.nan
    return math.nan


def sharpe_and_error(returns: FloatArray) -> tuple[float, float]:
    """Sharpe ratio per bar of returns [T] and its standard error; NaN for what these returns do not allow."""
    return _sharpe_of(returns)[:2]


def sharpe_text(sharpe: float, error: float, per_year: float) -> str:
    """A ratio and its error per bar as a table shows them, per year; a dash for what is not known."""
    if math.isnan(sharpe):
        return "-"
    return f"{annualise(sharpe, per_year):.2f} ± {_number(annualise(error, per_year), '.2f')}"


def periods_per_year(interval: Interval) -> float:
    """Bars in a year of 365 days: crypto does not close."""
    return _YEAR / interval.timedelta


def digest_of_returns(returns: FloatArray) -> str:
    """sha256 of returns as little-endian doubles: what the ledger keeps of an evaluation's outcome."""
    return hashlib.sha256(np.ascontiguousarray(returns, dtype="<f8").tobytes()).hexdigest()


def _sharpe_of(returns: FloatArray) -> tuple[float, float, float]:
    """Sharpe ratio per bar, its standard error and its probability; NaN for what these returns do not allow.

    An account that never traded has none of the three, and a record of a few bars may have moments for which the
    variance of the ratio comes out below zero.
    """
    try:
        moments = return_moments(returns)
    except StatisticsError:
        return math.nan, math.nan, math.nan
    sharpe, length = moments.sharpe, moments.length
    shape = {"skew": moments.skew, "kurtosis": moments.kurtosis}
    error = probability = math.nan
    with suppress(StatisticsError):
        error = sharpe_standard_error(sharpe, length=length, autocorrelation=moments.autocorrelation, **shape)
    with suppress(StatisticsError):
        probability = probabilistic_sharpe_ratio(sharpe, length=length, convention="psr_2012", **shape)
    return sharpe, error, probability


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)
