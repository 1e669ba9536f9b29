"""What a Sharpe ratio is worth once it is known how many were tried.

The number of trials is counted by the ledger and never by the author. All ratios and variances are per period.
"""

from __future__ import annotations

import math

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics.samples import MINIMUM_RETURNS
from sapphire.statistics.sharpe import psr_2012, sharpe_standard_error

EULER_GAMMA = 0.5772156649015329


def expected_maximum_sharpe(trials: float, variance: float) -> float:
    r"""Expected best Sharpe ratio of `trials` agents without skill.

    .. math:: \mathrm{E}[\max_N] \approx \sqrt{V}\left( (1-\gamma)\,\Phi^{-1}\!\left(1-\tfrac1N\right)
              + \gamma\,\Phi^{-1}\!\left(1-\tfrac1{N e}\right) \right)

    With one trial nothing was chosen and it is 0; between one and two, where the approximation falls below zero, it is
    held there.

    Parameters
    ----------
    trials : number of independent trials N, at least 1; an effective number need not be whole.
    variance : variance V of the trials' Sharpe ratios, in the unit squared that the answer is wanted in.

    Raises
    ------
    StatisticsError : fewer than one trial, or a negative variance.

    References
    ----------
    Bailey and Lopez de Prado (2014), The deflated Sharpe ratio, Journal of Portfolio Management 40(5).

    >>> round(expected_maximum_sharpe(100, 1.0), 12)
    2.530602893202
    >>> expected_maximum_sharpe(1, 1.0)
    0.0
    """
    from scipy.special import ndtri

    if not (math.isfinite(trials) and trials >= 1.0):
        raise StatisticsError(
            "fewer trials than one",
            expected="at least 1 trial: the agent itself is one",
            got=f"{trials:g}",
            next="take the number from the trial ledger",
        )
    if not (math.isfinite(variance) and variance >= 0.0):
        raise StatisticsError(
            "a variance of trials below zero",
            expected="the variance of the trials' Sharpe ratios, 0 or more",
            got=f"{variance:g}",
            next="take it from the trial ledger, per period and not annualised",
        )
    if trials == 1.0:
        return 0.0
    best = (1.0 - EULER_GAMMA) * float(ndtri(1.0 - 1.0 / trials)) + EULER_GAMMA * float(
        ndtri(1.0 - 1.0 / (trials * math.e))
    )
    return math.sqrt(variance) * max(best, 0.0)


def deflated_sharpe_ratio(
    sharpe: float,
    *,
    trials: float,
    variance_of_trials: float,
    length: int,
    skew: float = 0.0,
    kurtosis: float = 3.0,
) -> float:
    r"""Probability that the true Sharpe ratio is above the best of `trials` lucky ones.

    .. math:: \mathrm{DSR} = \Phi\!\left( \frac{(\mathrm{SR}-\mathrm{SR}_0)\sqrt{T-1}}
              {\sqrt{1 - \gamma_3\,\mathrm{SR} + \frac{\gamma_4-1}{4}\,\mathrm{SR}^2}} \right), \quad
              \mathrm{SR}_0 = \mathrm{E}[\max_N]

    With one trial it is the probabilistic Sharpe ratio (`psr_2012`).

    Parameters
    ----------
    sharpe : per-period Sharpe ratio of the chosen trial, not annualised.
    trials : number of independent trials, from the ledger, never from the author.
    variance_of_trials : variance of the trials' per-period Sharpe ratios.
    length : number of returns.
    skew, kurtosis : of the chosen trial's returns; kurtosis is raw, 3 for a normal distribution.

    Raises
    ------
    TooFewReturns : fewer than 30 returns; says how many there were.
    StatisticsError : fewer than one trial, a negative variance, moments that no distribution has.

    References
    ----------
    Bailey and Lopez de Prado (2014), The deflated Sharpe ratio, Journal of Portfolio Management 40(5), eq. 2.

    >>> round(deflated_sharpe_ratio(2.5 / 250**0.5, trials=100, variance_of_trials=0.5 / 250, length=1250,
    ...                             skew=-3.0, kurtosis=10.0), 4)       # the paper's own example
    0.9004
    """
    if length < MINIMUM_RETURNS:
        raise TooFewReturns(
            "too few returns to deflate a Sharpe ratio",
            expected=f"at least {MINIMUM_RETURNS}",
            got=str(length),
            next="use a longer window or a shorter bar interval",
        )
    luck = expected_maximum_sharpe(trials, variance_of_trials)
    return psr_2012(sharpe, length=length, benchmark=luck, skew=skew, kurtosis=kurtosis)


def deflated_sharpe_ratio_2025(
    sharpe: float,
    *,
    trials: int,
    variance_of_trials: float,
    length: int,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    autocorrelation: float = 0.0,
) -> float:
    r"""Probability that the true Sharpe ratio is above the best of `trials` lucky ones, as revised in 2025.

    .. math:: \mathrm{DSR} = \Phi\!\left( \frac{\mathrm{SR}-\mathrm{SR}_0}
              {\mathrm{SE}(\mathrm{SR}_0)\,\sqrt{\mathrm{Var}[\max_N Z]}} \right), \quad
              \mathrm{SR}_0 = \mathrm{E}[\max_N]

    The best of N varies less than one of them: the error at SR0 is multiplied by the standard deviation of the maximum
    of N standard normal variables. Gates use `deflated_sharpe_ratio`; this one is for a second opinion.

    Parameters
    ----------
    sharpe : per-period Sharpe ratio of the chosen trial.
    trials : number of independent trials, whole, from the ledger.
    variance_of_trials : variance of the trials' per-period Sharpe ratios.
    length : number of returns.
    skew, kurtosis, autocorrelation : of the chosen trial's returns; kurtosis is raw, 3 for a normal distribution.

    Raises
    ------
    TooFewReturns : fewer than 2 returns.
    StatisticsError : fewer than one trial, a negative variance, moments that no distribution has.

    References
    ----------
    Lopez de Prado, Lipton and Zoonekynd (2025), How to use the Sharpe ratio, SSRN 5520741. Computed by `jsharpe`.

    >>> fund = {"length": 24, "skew": -2.448, "kurtosis": 10.164}
    >>> round(deflated_sharpe_ratio_2025(0.036 / 0.079, trials=10, variance_of_trials=0.1, **fund), 3)
    0.416
    """
    from jsharpe.sharpe import probabilistic_sharpe_ratio

    luck = expected_maximum_sharpe(trials, variance_of_trials)
    sharpe_standard_error(luck, length=length, skew=skew, kurtosis=kurtosis, autocorrelation=autocorrelation)
    return float(
        probabilistic_sharpe_ratio(sharpe, luck, T=length, gamma3=skew, gamma4=kurtosis, rho=autocorrelation, K=trials)
    )


def minimum_backtest_length(trials: float, sharpe: float) -> float:
    r"""Length below which the best of `trials` agents without skill is expected to show a Sharpe ratio of `sharpe`.

    .. math:: \mathrm{MinBTL} = \left( \mathrm{E}[\max_N] / \mathrm{SR} \right)^2

    Parameters
    ----------
    trials : number of independent trials.
    sharpe : Sharpe ratio of the chosen trial, annualised for an answer in years, per period for one in periods.

    Raises
    ------
    StatisticsError : fewer than one trial, or a ratio that is not above zero.

    References
    ----------
    Bailey, Borwein, Lopez de Prado and Zhu (2014), Pseudo-mathematics and financial charlatanism, Notices of the AMS
    61(5), where five years of data bear no more than 45 independent configurations.

    >>> round(minimum_backtest_length(45, 1.0), 4)
    4.9981
    """
    if not (math.isfinite(sharpe) and sharpe > 0.0):
        raise StatisticsError(
            "a Sharpe ratio that is not above zero needs no backtest length",
            expected="a ratio above zero",
            got=f"{sharpe:g}",
            next="there is nothing to explain by luck",
        )
    return (expected_maximum_sharpe(trials, 1.0) / sharpe) ** 2
