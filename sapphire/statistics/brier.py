"""Whether stated probabilities meant what they said: Brier's score in its parts, and the reliability diagram.

Bins hold equal numbers of forecasts, so that none is empty and each share has about the same error. Where few different
probabilities were stated, each is a bin of its own and the parts are Murphy's to the last digit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics.reliability import sharing
from sapphire.statistics.samples import FloatArray, paired

__all__ = [
    "BINS",
    "BrierDecomposition",
    "ReliabilityBin",
    "brier_decomposition",
    "expected_calibration_error",
    "probability_pairs",
    "reliability_diagram",
    "wilson_interval",
]

BINS = 10
"""How many bins a diagram has, unless fewer different probabilities were stated."""


@dataclass(frozen=True, slots=True)
class BrierDecomposition:
    """The mean Brier score and its parts: score = reliability - resolution + uncertainty, exactly.

    Attributes
    ----------
    brier : mean score; lower is better.
    reliability : how far the stated probabilities are from the shares that came; 0 is best.
    resolution : how far the shares of the bins are from the base rate, in the generalised form of Stephenson et al.:
        what forecasts of one bin state apart is counted too. Higher is better.
    uncertainty : of the event itself, base rate times its complement: the score of always saying the base rate.
    within_bins : the part of `resolution` that Murphy's bins do not see.
    pairs : number of forecasts with a known outcome.
    """

    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within_bins: float
    pairs: int

    @property
    def skill(self) -> float:
        """Share of the uncertainty that the forecasts take away; 0 where the event leaves none, below 0 where worse."""
        return 1.0 - self.brier / self.uncertainty if self.uncertainty > 0.0 else 0.0


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One point of a reliability diagram.

    Attributes
    ----------
    stated : mean probability that was stated.
    share : how often the event came.
    low, high : Wilson interval of the share.
    pairs : number of forecasts.
    effective : number of independent ones that they amount to.
    """

    stated: float
    share: float
    low: float
    high: float
    pairs: int
    effective: float


def brier_decomposition(
    probabilities: npt.ArrayLike, happened: npt.ArrayLike, *, bins: int = BINS
) -> BrierDecomposition:
    r"""The mean Brier score and its parts.

    .. math:: B = \underbrace{\tfrac1n\sum_k n_k(\bar p_k-\bar o_k)^2}_{\text{reliability}}
              - \Bigl[\underbrace{\tfrac1n\sum_k n_k(\bar o_k-\bar o)^2}_{\text{Murphy's resolution}}
              - \tfrac1n\sum_{k,j}(p_{kj}-\bar p_k)^2 + \tfrac2n\sum_{k,j}(o_{kj}-\bar o_k)(p_{kj}-\bar p_k)\Bigr]
              + \bar o(1-\bar o)

    Parameters
    ----------
    probabilities : [T] or [T, S] in [0, 1], NaN where missing.
    happened : of one shape, 1 or True where the event came, else 0; NaN where it is not known.
    bins : how many, of equal numbers of forecasts.

    Raises
    ------
    TooFewReturns : no pairs.
    StatisticsError : shapes that differ, a probability outside [0, 1], an outcome other than 0 and 1, no bins.

    References
    ----------
    Murphy (1973), A new vector partition of the probability score, Journal of Applied Meteorology 12(4). Stephenson,
    Coelho and Jolliffe (2008), Two extra components in the Brier score decomposition, Weather and Forecasting 23(4),
    for the terms within bins.

    >>> parts = brier_decomposition([0.2, 0.2, 0.8, 0.8], [0, 1, 1, 1])
    >>> [round(each, 4) for each in (parts.brier, parts.reliability, parts.resolution, parts.uncertainty)]
    [0.19, 0.065, 0.0625, 0.1875]
    """
    stated, came, present = probability_pairs(probabilities, happened)
    p, o = stated[present], came[present]
    place = _places(p, bins)
    count = np.bincount(place).astype(np.float64)
    p_bin, o_bin = np.bincount(place, p) / count, np.bincount(place, o) / count
    base = float(o.mean())
    apart = p - p_bin[place]
    within = float(np.mean(2.0 * (o - o_bin[place]) * apart - apart**2))
    return BrierDecomposition(
        brier=float(np.mean((p - o) ** 2)),
        reliability=float((count * (p_bin - o_bin) ** 2).sum()) / len(p),
        resolution=float((count * (o_bin - base) ** 2).sum()) / len(p) + within,
        uncertainty=base * (1.0 - base),
        within_bins=within,
        pairs=len(p),
    )


def reliability_diagram(
    probabilities: npt.ArrayLike,
    happened: npt.ArrayLike,
    *,
    bins: int = BINS,
    horizon_bars: int = 1,
    confidence: float = 0.9,
) -> tuple[ReliabilityBin, ...]:
    r"""How often the event came, by stated probability, in bins of equal numbers of forecasts, the lowest first.

    Outcomes that overlap and symbols that move together are counted as the independent ones that they amount to
    (`sharing`), so an interval is not narrower because the same bar stands in it twelve times.

    Parameters
    ----------
    probabilities, happened, bins : as `brier_decomposition`.
    horizon_bars : how many bars ahead the outcomes look.
    confidence : of the intervals.

    Raises
    ------
    TooFewReturns, StatisticsError : as `brier_decomposition`.

    References
    ----------
    Murphy and Winkler (1977), Reliability of subjective probability forecasts of precipitation and temperature, Applied
    Statistics 26(1). Wilson (1927), JASA 22(158), for the intervals.

    >>> [(bin.stated, bin.share, bin.pairs) for bin in reliability_diagram([0.2, 0.2, 0.8, 0.8], [0, 1, 1, 1])]
    [(0.2, 0.5, 2), (0.8, 1.0, 2)]
    """
    stated, came, present = probability_pairs(probabilities, happened)
    place = np.full(stated.shape, -1)
    place[present] = _places(stated[present], bins)
    points = []
    for number in range(int(place.max()) + 1):
        inside = place == number
        pairs = int(inside.sum())
        share = float(came[inside].mean())
        effective = pairs / sharing((came > 0.0) & inside, inside, horizon_bars=horizon_bars)
        low, high = wilson_interval(share, effective, confidence=confidence)
        points.append(ReliabilityBin(float(stated[inside].mean()), share, low, high, pairs, effective))
    return tuple(points)


def expected_calibration_error(probabilities: npt.ArrayLike, happened: npt.ArrayLike, *, bins: int = BINS) -> float:
    r"""Mean distance of stated probabilities from the shares that came, over bins of equal numbers of forecasts.

    .. math:: \mathrm{ECE} = \sum_k \frac{n_k}{n} \left| \bar o_k - \bar p_k \right|

    It is above zero for a perfect forecaster too, by what chance does to the share of a bin; compare it between
    forecasters of the same outcomes.

    Raises
    ------
    TooFewReturns, StatisticsError : as `brier_decomposition`.

    References
    ----------
    Naeini, Cooper and Hauskrecht (2015), Obtaining well calibrated probabilities using Bayesian binning, AAAI. Guo et
    al. (2017), On calibration of modern neural networks, ICML.

    >>> round(expected_calibration_error([0.2, 0.2, 0.8, 0.8], [0, 1, 1, 1]), 4)
    0.25
    """
    stated, came, present = probability_pairs(probabilities, happened)
    p, o = stated[present], came[present]
    place = _places(p, bins)
    return float(np.abs(np.bincount(place, p) - np.bincount(place, o)).sum()) / len(p)


def wilson_interval(share: float, effective: float, *, confidence: float) -> tuple[float, float]:
    r"""Interval of a share of so many independent outcomes; within [0, 1], and not empty at either end.

    .. math:: \frac{\hat p + z^2/2n \mp z\sqrt{\hat p(1-\hat p)/n + z^2/4n^2}}{1 + z^2/n}

    Raises
    ------
    StatisticsError : a share or a confidence out of range, no outcomes.

    References
    ----------
    Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22(158). The value is that
    of Newcombe (1998), Statistics in Medicine 17(8), table I: 81 of 263.

    >>> [round(end, 4) for end in wilson_interval(81 / 263, 263, confidence=0.95)]
    [0.2553, 0.3662]
    """
    if not (0.0 <= share <= 1.0 and effective > 0.0 and 0.0 < confidence < 1.0):
        raise StatisticsError(
            "no share to take an interval of",
            expected="a share from 0 to 1, outcomes above 0, a confidence between 0 and 1",
            got=f"share {share:g} of {effective:g} at {confidence:g}",
        )
    z = NormalDist().inv_cdf((1.0 + confidence) / 2.0)
    spread = z * math.sqrt(share * (1.0 - share) / effective + z * z / (4.0 * effective**2))
    middle, scale = share + z * z / (2.0 * effective), 1.0 + z * z / effective
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def probability_pairs(
    probabilities: npt.ArrayLike, happened: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    """Probabilities and outcomes as panels [T, S] with 0 where either is missing, and where neither is.

    Raises
    ------
    TooFewReturns : no pairs.
    StatisticsError : shapes that differ, a probability outside [0, 1], an outcome other than 0 and 1.

    >>> probability_pairs([0.2, float("nan")], [1, 0])[2].ravel().tolist()
    [True, False]
    """
    stated, came, present = paired(probabilities, happened, names=("probabilities", "outcomes"))
    p, o = stated[present], came[present]
    if not len(p):
        raise TooFewReturns("no probability with a known outcome", expected="at least 1", got="0")
    if bool(((p < 0.0) | (p > 1.0)).any()) or not bool(np.isin(o, (0.0, 1.0)).all()):
        raise StatisticsError(
            "probabilities or outcomes out of range",
            expected="probabilities in [0, 1], outcomes 0 or 1",
            got=f"probabilities from {p.min():g} to {p.max():g}, outcomes {np.unique(o)[:4].tolist()}",
            next="log-odds become probabilities by fit_probability_calibration",
        )
    return stated, came, present


def _places(p: FloatArray, bins: int) -> npt.NDArray[np.intp]:
    """The bin of each probability, from 0 on and none empty; equal probabilities share one."""
    if bins < 1:
        raise StatisticsError("a diagram without bins", expected="at least 1", got=str(bins))
    values, place = np.unique(p, return_inverse=True)
    if len(values) <= bins:
        return np.asarray(place.ravel(), dtype=np.intp)
    edges = np.unique(np.quantile(p, np.arange(1, bins) / bins))
    _, packed = np.unique(np.searchsorted(edges, p), return_inverse=True)
    return np.asarray(packed.ravel(), dtype=np.intp)
