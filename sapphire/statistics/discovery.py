"""How many of the agents that were found to be good are not: false discovery, across releases and for one of them.

A level of 5 % says how often an agent without skill passes. How many of those that pass have none depends on how many
without skill were tried. Sharpe ratios are per period, kurtosis is raw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError
from sapphire.statistics.moments import check_shape
from sapphire.statistics.samples import FloatArray, finite_sample

Dependence = Literal["positive", "any"]
"""What is known of the p-values together: "positive" allows Benjamini-Hochberg, "any" is Benjamini-Yekutieli."""


@dataclass(frozen=True, slots=True, eq=False)
class Discoveries:
    """Which of many hypotheses are rejected, with a bound on the share of wrong ones among them.

    Attributes
    ----------
    adjusted : float64 [N], the least rate at which each is a discovery.
    accepted : positions of the discoveries at `rate`, rising.
    rate : expected share of false ones among them, at most.
    """

    adjusted: FloatArray
    accepted: tuple[int, ...]
    rate: float


def discoveries(p_values: npt.ArrayLike, *, rate: float = 0.10, dependence: Dependence = "any") -> Discoveries:
    r"""The releases that are discoveries, such that the expected share of false ones among them is at most `rate`.

    .. math:: \tilde p_{(i)} = \min_{j \ge i} \min\Bigl(1, \frac{N c(N)}{j}\, p_{(j)}\Bigr), \quad
              c(N) = 1 \ \text{(Hochberg)}, \quad c(N) = \sum_{i=1}^{N} 1/i \ \text{(Yekutieli)}

    Releases that trade one market depend on each other in ways nobody knows, hence the default.

    Parameters
    ----------
    p_values : [N], for a release 1 less its deflated or probabilistic Sharpe ratio.
    rate : between 0 and 1.
    dependence : "positive" for p-values that are independent or positively dependent, "any" for whatever.

    Raises
    ------
    TooFewReturns : no p-values.
    StatisticsError : a p-value outside [0, 1], a rate outside (0, 1), an unknown dependence.

    References
    ----------
    Benjamini and Hochberg (1995), Controlling the false discovery rate, JRSS B 57(1), whose own fifteen p-values are
    below. Benjamini and Yekutieli (2001), Annals of Statistics 29(4). Computed by `scipy.stats`.

    >>> paper = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
    ...          0.7590, 1.0]
    >>> discoveries(paper, rate=0.05, dependence="positive").accepted
    (0, 1, 2, 3)
    >>> discoveries(paper, rate=0.05).accepted
    (0, 1, 2)
    """
    from scipy.stats import false_discovery_control

    found = finite_sample(p_values, name="p-values")
    if bool(((found < 0.0) | (found > 1.0)).any()):
        raise StatisticsError(
            "p-values out of range",
            expected="numbers from 0 to 1",
            got=f"from {found.min():g} to {found.max():g}",
            next="1 less the probabilistic Sharpe ratio is one",
        )
    if dependence not in get_args(Dependence):
        raise StatisticsError(
            "an unknown dependence of p-values",
            expected=" or ".join(get_args(Dependence)),
            got=repr(dependence),
            next='"any" is safe',
        )
    _check_shares(rate=rate)
    adjusted = np.asarray(false_discovery_control(found, method="bh" if dependence == "positive" else "by"))
    accepted = tuple(int(position) for position in np.flatnonzero(adjusted <= rate))
    return Discoveries(adjusted=adjusted, accepted=accepted, rate=rate)


def critical_sharpe_ratio(
    *,
    length: int,
    level: float = 0.05,
    benchmark: float = 0.0,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    autocorrelation: float = 0.0,
) -> float:
    r"""The Sharpe ratio that an agent without skill reaches with probability `level`.

    .. math:: \mathrm{SR}_c = \mathrm{SR}_0 + z_{1-\mathrm{level}}\, \mathrm{SE}(\mathrm{SR}_0)

    Raises
    ------
    StatisticsError : fewer than 2 returns, a level outside (0, 1), moments that no distribution has.

    References
    ----------
    Lopez de Prado, Lipton and Zoonekynd (2025), How to use the Sharpe ratio, SSRN 5520741. Computed by `jsharpe`.

    >>> round(critical_sharpe_ratio(length=24, level=0.10, skew=-2.448, kurtosis=10.164), 3)
    0.262
    """
    from jsharpe.sharpe import critical_sharpe_ratio as critical

    moments = _checked(length, skew, kurtosis, autocorrelation, level=level)
    return float(critical(benchmark, length, alpha=level, **moments))


def sharpe_ratio_power(
    sharpe: float,
    *,
    length: int,
    level: float = 0.05,
    benchmark: float = 0.0,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    autocorrelation: float = 0.0,
) -> float:
    r"""Probability that an agent whose true Sharpe ratio is `sharpe` reaches the critical one.

    .. math:: 1 - \beta = 1 - \Phi\!\left( \frac{\mathrm{SR}_c - \mathrm{SR}_1}{\mathrm{SE}(\mathrm{SR}_1)} \right)

    Raises
    ------
    StatisticsError : fewer than 2 returns, a level outside (0, 1), a ratio not above the benchmark, moments that no
        distribution has.

    References
    ----------
    Lopez de Prado, Lipton and Zoonekynd (2025), How to use the Sharpe ratio, SSRN 5520741. Computed by `jsharpe`.

    >>> round(sharpe_ratio_power(0.5, length=24, level=0.10, skew=-2.448, kurtosis=10.164), 3)
    0.758
    """
    from jsharpe.sharpe import sharpe_ratio_power as power

    moments = _checked(length, skew, kurtosis, autocorrelation, rising=(benchmark, sharpe), level=level)
    return float(power(benchmark, sharpe, length, alpha=level, **moments))


def planned_false_discovery_rate(*, prior: float, level: float, power: float) -> float:
    r"""Probability that an agent that passes a test has no skill (pFDR).

    .. math:: \mathrm{P}[H_0 \mid \mathrm{SR} > \mathrm{SR}_c] =
              \left( 1 + \frac{(1-\beta)\, \mathrm{P}[H_1]}{\alpha\, \mathrm{P}[H_0]} \right)^{-1}

    Parameters
    ----------
    prior : share of agents with skill among those that are tried, P[H1].
    level : probability to pass without skill, alpha.
    power : probability to pass with it, 1 - beta.

    Raises
    ------
    StatisticsError : a share outside (0, 1).

    References
    ----------
    Lopez de Prado, Lipton and Zoonekynd (2025), How to use the Sharpe ratio, SSRN 5520741. Computed by `jsharpe`.

    >>> round(planned_false_discovery_rate(prior=0.10, level=0.10, power=0.758), 3)
    0.543
    """
    from jsharpe.sharpe import pFDR

    _check_shares(prior=prior, level=level, power=power)
    return float(pFDR(prior, level, 1.0 - power))


def observed_false_discovery_rate(
    sharpe: float,
    *,
    alternative: float,
    length: int,
    prior: float,
    benchmark: float = 0.0,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    autocorrelation: float = 0.0,
) -> float:
    r"""Probability that an agent with this Sharpe ratio, or a higher one, has no skill (oFDR).

    .. math:: \mathrm{P}[H_0 \mid \mathrm{SR} \ge \mathrm{sr}] = \frac{p_0\, \mathrm{P}[H_0]}
              {p_0\, \mathrm{P}[H_0] + p_1\, \mathrm{P}[H_1]}, \quad
              p_i = \mathrm{P}[\mathrm{SR} \ge \mathrm{sr} \mid H_i]

    Parameters
    ----------
    sharpe : observed.
    alternative : Sharpe ratio of an agent with skill, SR1; above `benchmark`, SR0.
    length : number of returns.
    prior : share of agents with skill among those that are tried.

    Raises
    ------
    StatisticsError : fewer than 2 returns, a prior outside (0, 1), an alternative not above the benchmark, moments that
        no distribution has.

    References
    ----------
    Lopez de Prado, Lipton and Zoonekynd (2025), How to use the Sharpe ratio, SSRN 5520741. Computed by `jsharpe`.

    >>> round(observed_false_discovery_rate(0.036 / 0.079, alternative=0.5, length=24, prior=0.10, skew=-2.448,
    ...                                     kurtosis=10.164), 3)
    0.173
    """
    from jsharpe.sharpe import oFDR

    moments = _checked(length, skew, kurtosis, autocorrelation, rising=(benchmark, alternative), prior=prior)
    return float(oFDR(sharpe, benchmark, alternative, length, prior, **moments))


def sharpe_ratio_for_rate(
    rate: float,
    *,
    alternative: float,
    length: int,
    prior: float,
    benchmark: float = 0.0,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    autocorrelation: float = 0.0,
) -> tuple[float, float, float]:
    r"""The critical Sharpe ratio at which the share of agents without skill among those that pass is `rate`.

    .. math:: \mathrm{P}[H_0 \mid \mathrm{SR} > c] = q

    Parameters are those of `observed_false_discovery_rate`.

    Returns
    -------
    The critical ratio, the level alpha that it amounts to, and the power.

    Raises
    ------
    StatisticsError : there is no such ratio, or an argument is out of range.

    References
    ----------
    Lopez de Prado, Lipton and Zoonekynd (2025), How to use the Sharpe ratio, SSRN 5520741. Computed by `jsharpe`.

    >>> fund = {"alternative": 0.5, "length": 24, "prior": 0.10, "skew": -2.448, "kurtosis": 10.164}
    >>> [round(value, 4) for value in sharpe_ratio_for_rate(0.25, **fund)]
    [0.4096, 0.0224, 0.6044]
    """
    from jsharpe.sharpe import control_for_FDR

    rising = (benchmark, alternative)
    moments = _checked(length, skew, kurtosis, autocorrelation, rising=rising, rate=rate, prior=prior)
    level, missed, critical, _ = control_for_FDR(rate, SR0=benchmark, SR1=alternative, p_H1=prior, T=length, **moments)
    if not math.isfinite(critical):
        raise StatisticsError(
            "no Sharpe ratio has that false discovery rate",
            expected="a rate that some critical ratio reaches",
            got=f"rate {rate:g} with a share of {prior:g} skilled, {benchmark:g} against {alternative:g}",
            next="a rate above 1 less the prior needs no test; one below it may need more returns",
        )
    return float(critical), float(level), float(1.0 - missed)


def _checked(
    length: int,
    skew: float,
    kurtosis: float,
    autocorrelation: float,
    *,
    rising: tuple[float, float] | None = None,
    **shares: float,
) -> dict[str, float]:
    """The moments by their names in `jsharpe`, once all that is asked with them is known to be possible.

    Parameters
    ----------
    rising : Sharpe ratios SR0 < SR1.
    shares : numbers between 0 and 1.
    """
    check_shape(skew=skew, kurtosis=kurtosis)
    if length < 2 or not -1.0 < autocorrelation < 1.0:
        raise StatisticsError(
            "a number of returns or an autocorrelation out of range",
            expected="at least 2 returns, an autocorrelation between -1 and 1",
            got=f"{length} returns, autocorrelation {autocorrelation:g}",
            next="take both from return_moments(returns)",
        )
    _check_shares(**shares)
    if rising is not None:
        _check_order(*rising)
    return {"gamma3": skew, "gamma4": kurtosis, "rho": autocorrelation}


def _check_shares(**shares: float) -> None:
    for name, share in shares.items():
        if not 0.0 < share < 1.0:
            raise StatisticsError(
                f"a {name} that is no share",
                expected=f"{name} between 0 and 1",
                got=f"{share:g}",
                next="a share of one half is 0.5, not 50",
            )


def _check_order(benchmark: float, alternative: float) -> None:
    if not (math.isfinite(benchmark) and math.isfinite(alternative) and benchmark < alternative):
        raise StatisticsError(
            "an alternative that is not above the benchmark",
            expected="Sharpe ratios SR0 < SR1, both finite",
            got=f"{benchmark:g} and {alternative:g}",
            next="per period, not annualised",
        )
