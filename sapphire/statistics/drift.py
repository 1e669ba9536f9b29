"""Whether what comes now is distributed as what was learned on: a population stability index that knows its window.

The usual alarms, 0.1 and 0.2, hold for thousands of values. Over a hundred, an index of 0.18 is what chance gives. The
threshold here is that of the window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError
from sapphire.statistics.samples import FloatArray, finite_sample

__all__ = ["ReferenceHistogram", "drift_threshold", "population_stability_index"]

_LEAST_SHARE = 1e-4
"""An empty bin counts as this share, so that the index stays finite."""
_DRAWS = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceHistogram:
    """Bins of equal probability of what was learned on.

    Attributes
    ----------
    edges : [B - 1], rising, between the bins; the first and the last bin are open.
    shares : [B], of the sample, summing to one.
    size : values that it is of.
    """

    edges: FloatArray
    shares: FloatArray
    size: int

    @classmethod
    def of(cls, values: npt.ArrayLike, *, bins: int = 10) -> ReferenceHistogram:
        """The histogram of a sample by its quantiles; fewer bins where values repeat.

        Raises
        ------
        TooFewReturns : fewer than ten values for each bin.
        StatisticsError : values that are not finite, fewer than two bins, or a sample that does not vary.

        >>> ReferenceHistogram.of(np.arange(100.0), bins=4).shares.tolist()
        [0.25, 0.25, 0.25, 0.25]
        """
        if bins < 2:
            raise StatisticsError("bins of a reference", expected="two or more", got=str(bins))
        sample = finite_sample(values, name="values of a reference", at_least=10 * bins)
        edges = np.unique(np.quantile(sample, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
        shares = np.bincount(np.searchsorted(edges, sample, side="right"), minlength=len(edges) + 1) / len(sample)
        if np.count_nonzero(shares) < 2:
            raise StatisticsError("a reference that does not vary", expected="two values or more", got="one")
        return cls(edges, shares, len(sample))

    def shares_of(self, values: npt.ArrayLike) -> FloatArray:
        """The shares of another sample in the same bins; [B].

        Raises
        ------
        TooFewReturns, StatisticsError : no values, or one that is not finite.
        """
        sample = finite_sample(values, name="values", at_least=1)
        counts = np.bincount(np.searchsorted(self.edges, sample, side="right"), minlength=len(self.shares))
        return np.asarray(counts / len(sample))


def population_stability_index(reference: ReferenceHistogram, values: npt.ArrayLike) -> float:
    r"""How far a sample is from a reference; 0 where the shares of all bins are equal.

    .. math:: \mathrm{PSI} = \sum_b (q_b - p_b) \ln\frac{q_b}{p_b}

    It is the symmetric Kullback-Leibler divergence of the binned distributions.

    Parameters
    ----------
    reference : what was learned on.
    values : [N], what comes now.

    Raises
    ------
    TooFewReturns, StatisticsError : no values, or one that is not finite.

    References
    ----------
    Jeffreys (1946), An invariant form for the prior probability in estimation problems, Proceedings of the Royal
    Society A 186; as a stability index, Yurdakul and Naranjo (2020), Journal of Risk Model Validation 14(4).

    >>> reference = ReferenceHistogram.of(np.arange(100.0), bins=2)
    >>> round(population_stability_index(reference, np.r_[np.zeros(25), np.full(75, 99.0)]), 4)
    0.2747
    """
    p = np.maximum(reference.shares, _LEAST_SHARE)
    q = np.maximum(reference.shares_of(values), _LEAST_SHARE)
    return float(((q - p) * np.log(q / p)).sum())


def drift_threshold(reference: ReferenceHistogram, window: int, *, false_alarm: float = 0.01, seed: int = 7) -> float:
    r"""The index that a window of so many values exceeds by chance with this probability.

    Without drift the index is about

    .. math:: \mathrm{PSI} \approx \left(\frac1n + \frac1m\right)\chi^2_{B-1}

    for large windows and larger for small ones, whose bins run empty: the quantile is that of 20,000 windows and
    references that are drawn from the reference's own shares.

    Parameters
    ----------
    reference : of m values in B bins.
    window : n, values that are compared with it; they are taken as independent, so overlapping ones count as fewer.
    false_alarm : probability in (0, 1).
    seed : of the draws.

    Raises
    ------
    StatisticsError : a window without values, or no probability.

    References
    ----------
    Yurdakul and Naranjo (2020), Statistical properties of the population stability index, Journal of Risk Model
    Validation 14(4).

    >>> reference = ReferenceHistogram.of(np.arange(100_000.0), bins=10)
    >>> [round(drift_threshold(reference, n, false_alarm=0.05), 2) for n in (100, 300, 1_000, 3_000)]
    [0.18, 0.06, 0.02, 0.01]
    """
    if window < 1 or not 0.0 < false_alarm < 1.0:
        raise StatisticsError(
            "a threshold of drift",
            expected="a window of one value or more, and a probability between 0 and 1",
            got=f"{window} values, {false_alarm:g}",
        )
    dice = np.random.default_rng(seed)
    drawn = (dice.multinomial(size, reference.shares, _DRAWS) / size for size in (reference.size, window))
    p, q = (np.maximum(shares, _LEAST_SHARE) for shares in drawn)
    return float(np.quantile(((q - p) * np.log(q / p)).sum(axis=1), 1.0 - false_alarm))
