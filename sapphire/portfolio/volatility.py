"""How much each symbol moves, and how much of it together: exponentially weighted, from closed bars.

A window of five half-lives is looked at and nothing before it (what is left out weighs 3 %), so a study that has years
of bars and a coordinator that has just enough come to the same number. With fewer bars the estimate uses what there is,
from 30 returns on.
"""

from __future__ import annotations

import math
from datetime import timedelta
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import ValueRefused
from sapphire.domain.intervals import Interval

FloatArray = npt.NDArray[np.float64]

RISKMETRICS_HALF_LIFE = timedelta(days=math.log(0.5) / math.log(0.94))
"""Half-life of the daily decay factor 0.94, 11.2 days (RiskMetrics Technical Document, 1996, chapter 5)."""

MINIMUM_RETURNS = 30
"""Below this an estimate is NaN: its own standard error would be above 13 %."""

_WINDOW_HALF_LIVES = 5
_YEAR = timedelta(days=365)


def volatility_window(interval: Interval, *, half_life: timedelta = RISKMETRICS_HALF_LIFE) -> int:
    """Number of closes that an estimate looks at: five half-lives and the close before them.

    Raises
    ------
    ValueRefused : a half-life below one bar.

    >>> volatility_window(Interval("1h"))
    1346
    """
    bars = half_life / interval.timedelta
    if bars < 1.0:
        raise ValueRefused(
            "a half-life below one bar",
            expected=f"at least {interval}",
            got=str(half_life),
            next="use a longer half-life or a shorter interval",
        )
    return max(math.ceil(_WINDOW_HALF_LIVES * bars), MINIMUM_RETURNS) + 1


def realised_volatility(
    closes: npt.ArrayLike, interval: Interval, *, half_life: timedelta = RISKMETRICS_HALF_LIFE
) -> FloatArray:
    r"""Annualised volatility of each symbol at the last close.

    .. math:: \sigma = \sqrt{\frac{365\,\mathrm{d}}{\Delta}\;\frac{\sum_k w_k r_{t-k}^2}{\sum_k w_k}}, \quad
              r_t = \ln(c_t / c_{t-1}), \quad w_k = 2^{-k\Delta/\mathrm{half\_life}}

    The mean return is taken as zero, which at these bar lengths costs less than estimating it.

    Parameters
    ----------
    closes : [T] or [T, S], one row per interval, the last one newest; NaN where a symbol had no bar.
    interval : the spacing of the rows.
    half_life : of the weights.

    Returns
    -------
    [S], per year (0.5 is 50 %); NaN where fewer than 30 returns are in the window, or none of them moved.

    Raises
    ------
    ValueRefused : a price that is not above zero, a wrong shape, a half-life below one bar.

    References
    ----------
    J.P. Morgan/Reuters (1996), RiskMetrics Technical Document, 4th edition, chapter 5.

    >>> calm = 100.0 * np.exp(0.01 * (np.arange(60) % 2))                 # up and down 1 % a day
    >>> realised_volatility(calm, Interval("1d")).round(6), round(0.01 * 365**0.5, 6)
    (array([0.19105]), 0.19105)
    """
    returns, weights = _window(closes, interval, half_life)
    present = np.isfinite(returns)
    total = (weights * np.where(present, returns, 0.0) ** 2).sum(axis=1)
    mass = (weights * present).sum(axis=1)
    known = (present.sum(axis=1) >= MINIMUM_RETURNS) & (total > 0.0)
    variance = np.divide(total, mass, out=np.full_like(total, np.nan), where=known)
    return np.asarray(np.sqrt(variance * (_YEAR / interval.timedelta)), dtype=np.float64)


def realised_correlation(
    closes: npt.ArrayLike, interval: Interval, *, half_life: timedelta = RISKMETRICS_HALF_LIFE
) -> FloatArray:
    r"""Correlation of the symbols' returns at the last close, with the weights of `realised_volatility`.

    .. math:: \rho_{ij} = \frac{\sum_k w_k r_{i,t-k} r_{j,t-k}}
              {\sqrt{\sum_k w_k r_{i,t-k}^2 \sum_k w_k r_{j,t-k}^2}}

    over the times that both have.

    Parameters
    ----------
    closes, interval, half_life : as for `realised_volatility`.

    Returns
    -------
    [S, S], ones on the diagonal; NaN where two symbols share fewer than 30 returns or one of them did not move.

    Raises
    ------
    ValueRefused : a price that is not above zero, a wrong shape, a half-life below one bar.

    References
    ----------
    J.P. Morgan/Reuters (1996), RiskMetrics Technical Document, 4th edition, chapter 5.

    >>> one = np.cumprod(1.0 + 0.01 * np.sin(np.arange(60)))
    >>> realised_correlation(np.column_stack([one, 1.0 / one, one**2]), Interval("1d")).round(6).tolist()
    [[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0], [1.0, -1.0, 1.0]]
    """
    returns, weights = _window(closes, interval, half_life)
    present = np.isfinite(returns).astype(np.float64)
    filled = np.where(present > 0.0, returns, 0.0)
    weighted = np.sqrt(weights) * filled
    products = _summed(weighted, weighted)
    own = _summed(weighted**2, present)
    shared = _summed(present, present)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.clip(products / np.sqrt(own * own.T), -1.0, 1.0)
    correlation[shared < MINIMUM_RETURNS] = np.nan
    np.fill_diagonal(correlation, 1.0)
    return np.asarray(correlation, dtype=np.float64)


def _window(closes: npt.ArrayLike, interval: Interval, half_life: timedelta) -> tuple[FloatArray, FloatArray]:
    """The log returns [S, K] in the window, and their weights [K]."""
    window = volatility_window(interval, half_life=half_life)
    prices = np.asarray(closes, dtype=np.float64)
    if prices.ndim == 1:
        prices = prices[:, np.newaxis]
    prices = prices[-window:]
    if prices.ndim != 2 or not bool(((prices > 0.0) | np.isnan(prices)).all()):
        raise ValueRefused(
            "closes that give no returns",
            expected="prices above zero, [T] or [T, S], NaN where a symbol had no bar",
            got=f"shape {prices.shape}, {int((prices <= 0.0).sum())} of zero or less",
            next="sapphire data check names bad bars",
        )
    returns = np.diff(np.log(np.ascontiguousarray(prices.T)), axis=1)
    return returns, _weights(window - 1, half_life / interval.timedelta)[window - 1 - returns.shape[1] :]


@lru_cache(maxsize=32)
def _weights(length: int, half_life_bars: float) -> FloatArray:
    """Weights [length] from the oldest return to the newest, whose weight is 1."""
    weights = np.exp2(-np.arange(length - 1, -1, -1, dtype=np.float64) / half_life_bars)
    weights.setflags(write=False)
    return weights


def _summed(first: FloatArray, second: FloatArray) -> FloatArray:
    """Sums over time of each row of one times each of the other, [S, S].

    Not a matrix product: the order in which BLAS adds may change with the machine's load and the arrays' alignment.
    """
    return np.asarray(np.einsum("ik,jk->ij", first, second, optimize=False), dtype=np.float64)
