"""The Sharpe ratio, how sure it is, and how long a record has to be before it means anything.

Ratios are per period unless a name says otherwise; only `annualise` changes that. Putting an annualised ratio into a
per-period formula makes every test pass, which is why nothing else here takes a number of periods per year.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy.typing as npt

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics.moments import check_shape, constant_returns
from sapphire.statistics.samples import finite_sample, varies

Convention = Literal["psr_2012", "psr_2025"]
"""Which paper's probabilistic Sharpe ratio: see `psr_2012` and `psr_2025`."""


def sharpe_ratio(returns: npt.ArrayLike) -> float:
    r"""Sharpe ratio per period of `returns` [T], already in excess of what the money earns at rest.

    .. math:: \mathrm{SR} = \bar r / s, \quad s^2 = \tfrac1{T-1}\sum_t (r_t - \bar r)^2

    Raises
    ------
    TooFewReturns : fewer than 2 returns.
    StatisticsError : a value is not finite, or the returns do not vary.

    References
    ----------
    Sharpe (1994), The Sharpe ratio, Journal of Portfolio Management 21(1).

    >>> round(sharpe_ratio([0.01, -0.02, 0.03, 0.0, 0.01]), 4)
    0.3303
    """
    sample = finite_sample(returns, name="returns", at_least=2)
    if not varies(sample):
        raise constant_returns(len(sample))
    return float(sample.mean() / sample.std(ddof=1))


def annualise(sharpe: float, periods_per_year: float) -> float:
    r"""A per-period Sharpe ratio, or its standard error, in years.

    .. math:: \mathrm{SR}_{\mathrm{year}} = \mathrm{SR}\,\sqrt{q}

    Exact for returns without autocorrelation; with a first-order one of 0.1 it overstates by about a tenth.
    Crypto trades every day: 365 days, 8,760 hours, 105,120 five-minute bars.

    Raises
    ------
    StatisticsError : `periods_per_year` is not above zero.

    References
    ----------
    Lo (2002), The statistics of Sharpe ratios, Financial Analysts Journal 58(4), on time aggregation.

    >>> round(annualise(0.05, 365), 4)
    0.9552
    """
    if not (math.isfinite(periods_per_year) and periods_per_year > 0):
        raise StatisticsError(
            "a year without periods",
            expected="periods_per_year above zero",
            got=f"{periods_per_year:g}",
            next="divide 365 days by the bar interval",
        )
    return sharpe * math.sqrt(periods_per_year)


def sharpe_standard_error(
    sharpe: float, *, length: int, skew: float = 0.0, kurtosis: float = 3.0, autocorrelation: float = 0.0
) -> float:
    r"""Standard error of an estimated Sharpe ratio.

    .. math:: \mathrm{SE} = \sqrt{\frac{a - b\,\gamma_3\,\mathrm{SR} + c\,\frac{\gamma_4 - 1}{4}\,\mathrm{SR}^2}{T}},
              \quad a = \frac{1+\rho}{1-\rho},\; b = \frac{1+\rho+\rho^2}{1-\rho^2},\; c = \frac{1+\rho^2}{1-\rho^2}

    The defaults (normal, independent returns) leave :math:`\sqrt{(1 + \mathrm{SR}^2/2)/T}`, Lo's formula; with skew and
    kurtosis it is Mertens' (2002), with autocorrelation that of 2025.

    Parameters
    ----------
    sharpe : per-period Sharpe ratio.
    length : number of returns.
    skew, kurtosis : of the returns; kurtosis is raw, 3 for a normal distribution.
    autocorrelation : first-order, between -1 and 1.

    Raises
    ------
    TooFewReturns : fewer than 2 returns.
    StatisticsError : moments that no distribution has.

    References
    ----------
    Lo (2002), The statistics of Sharpe ratios, Financial Analysts Journal 58(4).
    Mertens (2002), Comments on variance of the IID estimator in Lo (2002).
    Lopez de Prado, Lipton and Zoonekynd (2025), How to use the Sharpe ratio, SSRN 5520741.

    >>> round(sharpe_standard_error(1.5, length=60), 3)                # Lo (2002)
    0.188
    >>> round(sharpe_standard_error(0.036 / 0.079, length=24, skew=-2.448, kurtosis=10.164), 3)      # 2025
    0.329
    >>> round(sharpe_standard_error(0.036 / 0.079, length=24, skew=-2.448, kurtosis=10.164, autocorrelation=0.2), 3)
    0.379
    """
    _check_length(length)
    return math.sqrt(_variance_of_one(sharpe, skew, kurtosis, autocorrelation) / length)


def psr_2012(sharpe: float, *, length: int, benchmark: float = 0.0, skew: float = 0.0, kurtosis: float = 3.0) -> float:
    r"""Probability that the true Sharpe ratio is above `benchmark`, as published in 2012.

    .. math:: \mathrm{PSR} = \Phi\!\left( \frac{(\mathrm{SR}-\mathrm{SR}^*)\sqrt{T-1}}
              {\sqrt{1 - \gamma_3\,\mathrm{SR} + \frac{\gamma_4-1}{4}\,\mathrm{SR}^2}} \right)

    Parameters
    ----------
    sharpe, benchmark : per-period Sharpe ratios.
    length : number of returns.
    skew, kurtosis : of the returns; kurtosis is raw, 3 for a normal distribution.

    Raises
    ------
    TooFewReturns : fewer than 2 returns.
    StatisticsError : moments that no distribution has.

    References
    ----------
    Bailey and Lopez de Prado (2012), The Sharpe ratio efficient frontier, Journal of Risk 15(2).

    >>> round(psr_2012(1.585 / 12**0.5, length=24, skew=-2.448, kurtosis=10.164), 4)      # the paper's hedge fund
    0.9132
    """
    _check_length(length)
    variance = _variance_of_one(sharpe, skew, kurtosis, 0.0)
    return _normal_cdf((sharpe - benchmark) * math.sqrt((length - 1) / variance))


def psr_2025(
    sharpe: float,
    *,
    length: int,
    benchmark: float = 0.0,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    autocorrelation: float = 0.0,
) -> float:
    r"""Probability that the true Sharpe ratio is above `benchmark`, as revised in 2025.

    .. math:: \mathrm{PSR} = \Phi\!\left( \frac{\mathrm{SR}-\mathrm{SR}_0}{\mathrm{SE}(\mathrm{SR}_0)} \right)

    The standard error (`sharpe_standard_error`) is that under the null hypothesis, at the benchmark and not at the
    estimate, with T and not T - 1, and may carry a first-order autocorrelation.

    Parameters
    ----------
    sharpe, benchmark : per-period Sharpe ratios.
    length : number of returns.
    skew, kurtosis : of the returns; kurtosis is raw, 3 for a normal distribution.
    autocorrelation : first-order, between -1 and 1.

    Raises
    ------
    TooFewReturns : fewer than 2 returns.
    StatisticsError : moments that no distribution has.

    References
    ----------
    Lopez de Prado, Lipton and Zoonekynd (2025), How to use the Sharpe ratio, SSRN 5520741. Computed by `jsharpe`.

    >>> fund = {"length": 24, "skew": -2.448, "kurtosis": 10.164}                        # the paper's own example
    >>> round(psr_2025(0.036 / 0.079, **fund), 3), round(psr_2025(0.036 / 0.079, benchmark=0.1, **fund), 3)
    (0.987, 0.939)
    >>> round(psr_2025(0.036 / 0.079, autocorrelation=0.2, **fund), 3)
    0.966
    """
    from jsharpe.sharpe import probabilistic_sharpe_ratio as psr

    _check_length(length)
    _variance_of_one(benchmark, skew, kurtosis, autocorrelation)  # refuses what has none
    return float(psr(sharpe, benchmark, T=length, gamma3=skew, gamma4=kurtosis, rho=autocorrelation))


def probabilistic_sharpe_ratio(
    sharpe: float,
    *,
    length: int,
    benchmark: float = 0.0,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    autocorrelation: float = 0.0,
    convention: Convention = "psr_2012",
) -> float:
    """Probability that the true Sharpe ratio is above `benchmark`, by the convention that a policy names.

    Parameters are those of `psr_2012` and `psr_2025`; the first knows no autocorrelation and refuses one.

    Raises
    ------
    TooFewReturns : fewer than 2 returns.
    StatisticsError : moments that no distribution has, an unknown convention, or an autocorrelation with `psr_2012`.

    >>> round(probabilistic_sharpe_ratio(1.585 / 12**0.5, length=24, skew=-2.448, kurtosis=10.164), 4)
    0.9132
    """
    _check_convention(convention, autocorrelation)
    if convention == "psr_2012":
        return psr_2012(sharpe, length=length, benchmark=benchmark, skew=skew, kurtosis=kurtosis)
    return psr_2025(
        sharpe, length=length, benchmark=benchmark, skew=skew, kurtosis=kurtosis, autocorrelation=autocorrelation
    )


def minimum_track_record_length(
    sharpe: float,
    *,
    benchmark: float = 0.0,
    confidence: float = 0.95,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    autocorrelation: float = 0.0,
    convention: Convention = "psr_2012",
) -> float:
    r"""Number of returns after which the probabilistic Sharpe ratio reaches `confidence`, if all stays as it is.

    .. math:: \mathrm{MinTRL}_{2012} = 1 + \Bigl(1 - \gamma_3\,\mathrm{SR} + \tfrac{\gamma_4-1}{4}\,\mathrm{SR}^2\Bigr)
              \Bigl(\frac{z_{1-\alpha}}{\mathrm{SR}-\mathrm{SR}^*}\Bigr)^2, \quad
              \mathrm{MinTRL}_{2025} = T\,\mathrm{SE}^2(\mathrm{SR}^*)
              \Bigl(\frac{z_{1-\alpha}}{\mathrm{SR}-\mathrm{SR}^*}\Bigr)^2

    Infinite where `sharpe` is not above `benchmark`: no record is long enough.

    Parameters
    ----------
    sharpe, benchmark : per-period Sharpe ratios.
    confidence : 1 - alpha, at least one half.
    skew, kurtosis, autocorrelation : of the returns; kurtosis is raw, 3 for a normal distribution.

    Raises
    ------
    StatisticsError : a confidence outside [0.5, 1), an unknown convention, moments that no distribution has.

    References
    ----------
    Bailey and Lopez de Prado (2012), The Sharpe ratio efficient frontier, Journal of Risk 15(2), fig. 8.
    Lopez de Prado, Lipton and Zoonekynd (2025), How to use the Sharpe ratio, SSRN 5520741.

    >>> daily = 250**0.5
    >>> round(minimum_track_record_length(2 / daily, benchmark=1 / daily) / 250, 4)      # years; 2012, fig. 8
    2.7312
    >>> fund = {"skew": -2.448, "kurtosis": 10.164, "convention": "psr_2025"}
    >>> round(minimum_track_record_length(0.036 / 0.079, **fund), 3)                      # months; 2025
    13.029
    """
    from scipy.special import ndtri

    _check_convention(convention, autocorrelation)
    if not 0.5 <= confidence < 1.0:
        raise StatisticsError(
            "a confidence that is none",
            expected="confidence in [0.5, 1)",
            got=f"{confidence:g}",
            next="0.95 is usual",
        )
    variance = _variance_of_one(sharpe if convention == "psr_2012" else benchmark, skew, kurtosis, autocorrelation)
    if sharpe <= benchmark:
        return math.inf
    if convention == "psr_2025":
        from jsharpe.sharpe import minimum_track_record_length as mintrl

        return float(
            mintrl(sharpe, benchmark, gamma3=skew, gamma4=kurtosis, rho=autocorrelation, alpha=1.0 - confidence)
        )
    return 1.0 + variance * (float(ndtri(confidence)) / (sharpe - benchmark)) ** 2


def _variance_of_one(sharpe: float, skew: float, kurtosis: float, autocorrelation: float) -> float:
    """T times the variance of the estimated Sharpe ratio: what a single return would leave uncertain."""
    check_shape(skew=skew, kurtosis=kurtosis)
    if not (math.isfinite(sharpe) and -1.0 < autocorrelation < 1.0):
        raise StatisticsError(
            "a Sharpe ratio or an autocorrelation out of range",
            expected="a finite ratio, an autocorrelation between -1 and 1",
            got=f"ratio {sharpe:g}, autocorrelation {autocorrelation:g}",
            next="take both from return_moments(returns)",
        )
    if autocorrelation == 0.0:
        variance = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    else:
        from jsharpe.sharpe import sharpe_ratio_variance

        variance = sharpe_ratio_variance(sharpe, 1, gamma3=skew, gamma4=kurtosis, rho=autocorrelation)
    if variance <= 0.0:
        raise StatisticsError(
            "a Sharpe ratio whose variance is not above zero",
            expected="moments for which 1 - skew SR + (kurtosis - 1)/4 SR^2 > 0",
            got=f"{variance:g} from ratio {sharpe:g}, skew {skew:g}, kurtosis {kurtosis:g}, "
            f"autocorrelation {autocorrelation:g}",
            next="the returns take two values only, or too few of them: use a bootstrap interval instead",
        )
    return variance


def _normal_cdf(value: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(value))


def _check_length(length: int) -> None:
    if length < 2:
        raise TooFewReturns(
            "too few returns for a Sharpe ratio",
            expected="at least 2",
            got=str(length),
            next="use a longer window or a shorter bar interval",
        )


def _check_convention(convention: str, autocorrelation: float) -> None:
    if convention not in get_args(Convention):
        raise StatisticsError(
            "an unknown convention of the probabilistic Sharpe ratio",
            expected=" or ".join(get_args(Convention)),
            got=repr(convention),
            next="name one of them in the policy",
        )
    if convention == "psr_2012" and autocorrelation != 0.0:
        raise StatisticsError(
            "an autocorrelation that psr_2012 has no place for",
            expected="autocorrelation 0 with psr_2012",
            got=f"{autocorrelation:g}",
            next='convention="psr_2025" takes it into account',
        )
