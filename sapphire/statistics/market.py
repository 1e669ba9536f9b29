"""What an account earned beside the market: alpha, beta, and the returns that the market does not explain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError
from sapphire.statistics.longrun import automatic_lags, long_run_covariance
from sapphire.statistics.moments import constant_returns
from sapphire.statistics.samples import MINIMUM_RETURNS, FloatArray, finite_sample, same_shape, varies


@dataclass(frozen=True, slots=True, eq=False)
class MarketModel:
    """A least-squares line of an account's returns on the market's.

    Attributes
    ----------
    alpha : mean return per period that the market does not explain.
    alpha_t : alpha over its Newey-West error.
    beta : return per return of the market.
    beta_t : beta over its Newey-West error.
    information_ratio : alpha over the standard deviation of what is left, per period; the Sharpe ratio of
        `active_returns` up to one degree of freedom.
    active_returns : float64 [T], returns less beta times the market's; their mean is alpha. A deflated Sharpe ratio of
        them is one that a long position in the market does not earn.
    lags : of the Newey-West errors.
    n : number of periods.
    """

    alpha: float
    alpha_t: float
    beta: float
    beta_t: float
    information_ratio: float
    active_returns: FloatArray
    lags: int
    n: int


def market_model(returns: npt.ArrayLike, market: npt.ArrayLike) -> MarketModel:
    r"""Alpha, beta and information ratio of `returns` against `market`, both [T] and in excess of cash.

    .. math:: r_t = \alpha + \beta m_t + \varepsilon_t, \quad \mathrm{IR} = \alpha / s_\varepsilon, \quad
              s_\varepsilon^2 = \tfrac{1}{T-2}\sum_t \varepsilon_t^2

    Errors are those of Newey and West with as many lags as the data ask for (`automatic_lags`), because an account
    holds its positions for several periods. No annual figures.

    Raises
    ------
    TooFewReturns : fewer than 30 periods.
    StatisticsError : lengths that differ, a value that is not finite, a market or an account that does not vary, an
        account that is the market and nothing else.

    References
    ----------
    Jensen (1968), The performance of mutual funds in the period 1945-1964, Journal of Finance 23(2). Treynor and Black
    (1973), How to use security analysis to improve portfolio selection, Journal of Business 46(1), for the ratio.
    Newey and West (1987), Econometrica 55(3).

    >>> rng = np.random.default_rng(4)
    >>> market = rng.normal(0.0005, 0.02, 1_000)
    >>> model = market_model(0.0002 + 0.5 * market + rng.normal(0.0, 0.001, 1_000), market)
    >>> round(model.beta, 2), 0.0001 < model.alpha < 0.0003, model.alpha_t > 3.0
    (0.5, True, True)
    """
    account, whole = _account_and_market(returns, market)
    design = np.column_stack([np.ones(len(whole)), whole])
    (alpha, beta), *_ = np.linalg.lstsq(design, account, rcond=None)
    active = account - beta * whole
    left = active - alpha
    deviation = math.sqrt(float(left @ left) / (len(left) - 2))
    if deviation <= 1e-9 * float(account.std()):
        raise StatisticsError(
            "an account that is the market and nothing else",
            expected="returns that the market does not explain altogether",
            got=f"beta {beta:.6g}, nothing left of {len(account)} returns",
            next="compare it with the benchmark directly: there is no active return to judge",
        )
    errors, lags = _errors(design, left)
    return MarketModel(
        alpha=float(alpha),
        alpha_t=float(alpha) / errors[0],
        beta=float(beta),
        beta_t=float(beta) / errors[1],
        information_ratio=float(alpha) / deviation,
        active_returns=active,
        lags=lags,
        n=len(account),
    )


def _account_and_market(returns: npt.ArrayLike, market: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Both as arrays [T] that vary."""
    account = finite_sample(returns, name="returns", at_least=MINIMUM_RETURNS)
    whole = finite_sample(market, name="returns of the market", at_least=MINIMUM_RETURNS)
    same_shape(account, whole, names=("returns", "returns of the market"))
    if not varies(account):
        raise constant_returns(len(account))
    if not varies(whole):
        raise StatisticsError(
            "a market that does not move",
            expected="returns of the market with a spread",
            got=f"{len(whole)} equal returns",
            next="see whether the bars are real: sapphire data check",
        )
    return account, whole


def _errors(design: FloatArray, residuals: FloatArray) -> tuple[tuple[float, float], int]:
    """Newey-West standard errors of both coefficients, with T/(T - 2) for the small sample."""
    scores = design * residuals[:, np.newaxis]
    lags = automatic_lags(scores / scores.std(axis=0))
    inverse = np.linalg.inv(design.T @ design)
    covariance = inverse @ long_run_covariance(scores, lags=lags) @ inverse
    variances = np.diag(covariance) * len(residuals) / (len(residuals) - 2)
    return (math.sqrt(float(variances[0])), math.sqrt(float(variances[1]))), lags
