"""How good stated probabilities were as a whole: what the Brier score is made of, and a reliability diagram.

A forecaster may be sure and wrong (reliability), or right and vague (resolution). The Brier score adds both up; taken
apart it says which.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError
from sapphire.statistics.samples import FloatArray
from sapphire.statistics.scoring import brier_scores

__all__ = ["BrierDecomposition", "ReliabilityBin", "brier_decomposition", "reliability_diagram"]

_Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class BrierDecomposition:
    """The parts of a Brier score.

    Attributes
    ----------
    score : mean Brier score.
    reliability : how far stated probabilities are from how often the event came; 0 is best.
    resolution : how far these are from the base rate; larger is better.
    uncertainty : of the base rate alone, which no forecaster changes.
    within_bins : what grouping in bins leaves, so that the parts add up exactly.
    base_rate : how often the event came.
    skill : 1 - score / uncertainty, above 0 where it beats the base rate; nan where the event always or never came.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within_bins: float
    base_rate: float

    @property
    def skill(self) -> float:
        """See the class."""
        return 1.0 - self.score / self.uncertainty if self.uncertainty > 0.0 else float("nan")


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One point of a reliability diagram.

    Attributes
    ----------
    stated : mean probability that was stated.
    happened : how often the event came.
    low, high : 95 % interval of that frequency (Wilson 1927).
    count : forecasts.
    """

    stated: float
    happened: float
    low: float
    high: float
    count: int


def brier_decomposition(probabilities: npt.ArrayLike, happened: npt.ArrayLike, *, bins: int = 10) -> BrierDecomposition:
    r"""Reliability, resolution and uncertainty, with what is left within the bins, so that the sum is exact.

    .. math:: B = \underbrace{\tfrac1n\sum_k n_k(\bar p_k-\bar o_k)^2}_{\mathrm{reliability}}
                - \underbrace{\tfrac1n\sum_k n_k(\bar o_k-\bar o)^2}_{\mathrm{resolution}}
                + \underbrace{\bar o(1-\bar o)}_{\mathrm{uncertainty}}
                + \tfrac1n\sum_k\sum_{j\in k}\left[(p_j-\bar p_k)^2 - 2(o_j-\bar o_k)(p_j-\bar p_k)\right]

    Bins hold equal numbers of forecasts, equal probabilities in one bin.

    Parameters
    ----------
    probabilities : [N], each in [0, 1].
    happened : [N], 1 or True where the event came, else 0.
    bins : at most so many.

    Raises
    ------
    TooFewReturns, StatisticsError : as `brier_scores`; fewer than one bin.

    References
    ----------
    Murphy (1973), A new vector partition of the probability score, Journal of Applied Meteorology 12(4). Stephenson,
    Coelho and Jolliffe (2008), Two extra components in the Brier score decomposition, Weather and Forecasting 23(4).

    >>> found = brier_decomposition([0.1, 0.1, 0.9, 0.9], [0, 0, 1, 0], bins=2)
    >>> [round(of, 4) for of in (found.score, found.reliability, found.resolution, found.uncertainty)]
    [0.21, 0.085, 0.0625, 0.1875]
    """
    stated, came, groups = _grouped(probabilities, happened, bins)
    base = float(came.mean())
    reliability = resolution = within = 0.0
    for group in groups:
        p, o = stated[group], came[group]
        p_mean, o_mean = float(p.mean()), float(o.mean())
        reliability += len(p) * (p_mean - o_mean) ** 2
        resolution += len(p) * (o_mean - base) ** 2
        within += float(((p - p_mean) ** 2 - 2.0 * (o - o_mean) * (p - p_mean)).sum())
    n = len(stated)
    score = float(brier_scores(stated, came).mean())
    return BrierDecomposition(score, reliability / n, resolution / n, base * (1.0 - base), within / n, base)


def reliability_diagram(
    probabilities: npt.ArrayLike, happened: npt.ArrayLike, *, bins: int = 10
) -> tuple[ReliabilityBin, ...]:
    r"""How often the event came where a probability was stated, with the interval of that frequency.

    .. math:: \frac{\hat o + z^2/2n \pm z\sqrt{\hat o(1-\hat o)/n + z^2/4n^2}}{1 + z^2/n}

    Parameters
    ----------
    probabilities, happened, bins : as `brier_decomposition`.

    Raises
    ------
    TooFewReturns, StatisticsError : as `brier_decomposition`.

    References
    ----------
    Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22(158).

    >>> low, high = reliability_diagram([0.2] * 10 + [0.8] * 10, [0] * 10 + [1] * 10, bins=2)
    >>> (low.happened, round(low.high, 4), high.happened, round(high.low, 4))
    (0.0, 0.2775, 1.0, 0.7225)
    """
    stated, came, groups = _grouped(probabilities, happened, bins)
    made = []
    for group in groups:
        n, share = len(group), float(came[group].mean())
        middle, weight = share + _Z_95**2 / (2 * n), 1.0 + _Z_95**2 / n
        half = _Z_95 * float(np.sqrt(share * (1.0 - share) / n + _Z_95**2 / (4 * n * n)))
        low, high = max(0.0, (middle - half) / weight), min(1.0, (middle + half) / weight)
        made.append(ReliabilityBin(float(stated[group].mean()), share, low, high, n))
    return tuple(made)


def _grouped(
    probabilities: npt.ArrayLike, happened: npt.ArrayLike, bins: int
) -> tuple[FloatArray, FloatArray, list[npt.NDArray[np.intp]]]:
    """The sample, and the places of each bin by rising probability; equal probabilities are never parted."""
    if bins < 1:
        raise StatisticsError("bins of probabilities", expected="one or more", got=str(bins))
    brier_scores(probabilities, happened)  # what is no probability is refused there
    stated = np.asarray(probabilities, dtype=np.float64)
    came = np.asarray(happened, dtype=np.float64)
    values, where = np.unique(stated, return_inverse=True)
    upto = np.cumsum(np.bincount(where)) / len(stated)
    number = np.minimum((np.concatenate([[0.0], upto[:-1]]) * bins).astype(np.intp), bins - 1)
    of_value = number[where] if len(values) > 1 else np.zeros(len(stated), dtype=np.intp)
    return stated, came, [np.flatnonzero(of_value == each) for each in np.unique(of_value)]
