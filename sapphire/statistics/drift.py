"""Whether a feature or a score is distributed as it was: the population stability index, and what chance makes of it.

The index of two samples from one distribution is not zero: it is the larger the fewer rows there are. The usual alarm
at 0.2 rings by chance in short windows and sleeps through real changes in long ones, so the threshold here follows from
the number of rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics.samples import MINIMUM_RETURNS, FloatArray

__all__ = [
    "Drift",
    "ReferenceHistogram",
    "drift_of",
    "drift_threshold",
    "population_stability_index",
    "reference_histogram",
]

_HALF = 0.5
"""Added to each count, so that an empty bin has a logarithm: Krichevsky and Trofimov (1981)."""


@dataclass(frozen=True, slots=True)
class ReferenceHistogram:
    """How a training sample was distributed: bins of equal shares.

    Attributes
    ----------
    edges : between the bins, rising; a value at an edge belongs to the bin above.
    counts : rows in each bin, one more than edges.
    """

    edges: tuple[float, ...]
    counts: tuple[float, ...]

    def __post_init__(self) -> None:
        finite = np.isfinite(self.edges).all() and np.isfinite(self.counts).all()
        rising = bool((np.diff(self.edges) > 0.0).all())
        if not (finite and rising and self.edges) or len(self.counts) != len(self.edges) + 1 or min(self.counts) < 0.0:
            raise StatisticsError(
                "a histogram that nothing can be held against",
                expected="rising edges, one count of zero or more per bin",
                got=f"{len(self.edges)} edges, {len(self.counts)} counts",
                next="make it with reference_histogram",
            )

    @property
    def bins(self) -> int:
        """How many there are."""
        return len(self.counts)

    @property
    def rows(self) -> float:
        """Size of the sample."""
        return float(sum(self.counts))

    def counts_of(self, values: npt.ArrayLike) -> FloatArray:
        """How many of the finite `values` fall into each bin, [B].

        >>> ReferenceHistogram((0.0, 1.0), (1.0, 1.0, 1.0)).counts_of([-5.0, 0.0, 0.5, float("nan"), 9.0]).tolist()
        [1.0, 2.0, 1.0]
        """
        place = np.searchsorted(self.edges, _finite(values), side="right")
        return np.bincount(place, minlength=self.bins).astype(np.float64)

    def to_arrays(self) -> dict[str, FloatArray]:
        """As float64 arrays "edges" [B - 1] and "counts" [B]."""
        return {"edges": np.array(self.edges), "counts": np.array(self.counts)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.float64]]) -> ReferenceHistogram:
        """What `to_arrays` wrote.

        Raises
        ------
        StatisticsError : other names, or an array of more than one axis.
        """
        if set(arrays) != {"edges", "counts"} or any(array.ndim != 1 for array in arrays.values()):
            raise StatisticsError(
                "arrays that are no reference histogram",
                expected="edges and counts, of one axis each",
                got=", ".join(f"{name} of {array.ndim}" for name, array in arrays.items()),
                next="write them with ReferenceHistogram.to_arrays",
            )
        return cls(tuple(arrays["edges"].tolist()), tuple(arrays["counts"].tolist()))


@dataclass(frozen=True, slots=True)
class Drift:
    """An index beside what chance makes of it.

    Attributes
    ----------
    index : the population stability index.
    threshold : that it is above in a share `false_alarm` of windows without any drift.
    p_value : probability of such an index or a larger one without drift.
    rows : of the window.
    """

    index: float
    threshold: float
    p_value: float
    rows: int

    @property
    def drifted(self) -> bool:
        """Whether the index is above its threshold."""
        return self.index > self.threshold


def reference_histogram(values: npt.ArrayLike, *, bins: int = 10) -> ReferenceHistogram:
    """The histogram of a training sample in quantile bins; fewer where many values are equal.

    Parameters
    ----------
    values : of any shape, training rows only; NaN where missing.
    bins : how many, at least 2.

    Raises
    ------
    TooFewReturns : fewer than 30 finite values.
    StatisticsError : an infinite value, fewer than 2 bins, values that are nearly all equal.

    References
    ----------
    Yurdakul and Naranjo (2020), Journal of Risk Model Validation 14(4), on bins of equal shares.

    >>> reference_histogram(np.arange(40.0), bins=4)
    ReferenceHistogram(edges=(10.0, 20.0, 30.0), counts=(10.0, 10.0, 10.0, 10.0))
    """
    sample = _finite(values)
    if bins < 2:
        raise StatisticsError("a histogram without bins", expected="at least 2", got=str(bins))
    if len(sample) < MINIMUM_RETURNS:
        raise TooFewReturns(
            "too few values for a reference histogram",
            expected=f"at least {MINIMUM_RETURNS}",
            got=str(len(sample)),
            next="use a longer training window",
        )
    edges = np.unique(np.quantile(sample, np.arange(1, bins) / bins, method="higher"))
    edges = edges[edges > sample.min()]
    if not edges.size:
        raise StatisticsError(
            "values that no histogram can be made of",
            expected="values that vary",
            got=f"{100 * float(np.mean(sample == sample.min())):.0f} % of {len(sample)} values are {sample.min():g}",
            next="count how often such a feature is anything else",
        )
    whole = ReferenceHistogram(tuple(edges.tolist()), (0.0,) * (len(edges) + 1))
    return ReferenceHistogram(whole.edges, tuple(whole.counts_of(sample).tolist()))


def population_stability_index(reference: ReferenceHistogram, current: npt.ArrayLike) -> float:
    r"""How differently `current` is distributed from the reference: the symmetrised Kullback-Leibler divergence.

    .. math:: \mathrm{PSI} = \sum_b (c_b - r_b) \ln\frac{c_b}{r_b}, \quad
              c_b = \frac{n_b + 1/2}{n + B/2}

    and r likewise of the reference's counts.

    Parameters
    ----------
    current : of any shape, NaN where missing.

    Raises
    ------
    TooFewReturns : no finite value.
    StatisticsError : an infinite value.

    References
    ----------
    Lewis (1994), An introduction to credit scoring. Kullback and Leibler (1951), Annals of Mathematical Statistics
    22(1), whose J it is. Yurdakul and Naranjo (2020), Statistical properties of the population stability index, Journal
    of Risk Model Validation 14(4).

    >>> reference = ReferenceHistogram((0.0,), (500_000.0, 500_000.0))
    >>> round(population_stability_index(reference, np.repeat([-1.0, 1.0], [600_000, 400_000])), 4)   # 0.1 ln 1.5
    0.0405
    """
    counts = reference.counts_of(current)
    if not counts.sum():
        raise TooFewReturns("no values to hold against a reference", expected="at least 1", got="0")
    now, was = _shares(counts), _shares(np.asarray(reference.counts))
    return float(((now - was) * np.log(now / was)).sum())


def drift_threshold(
    bins: int, rows: float, reference_rows: float, *, false_alarm: float = 0.01, horizon_bars: int = 1
) -> float:
    r"""The index that a window without drift is above with probability `false_alarm`.

    .. math:: \mathrm{PSI} \approx \left(\frac{1}{n} + \frac{1}{m}\right) \chi^2_{B-1}

    for n rows of the window and m of the reference. Rows that look back or ahead over h bars overlap: n / h and m / h
    of them share no bar, and those are counted.

    Parameters
    ----------
    bins : B, at least 2.
    rows, reference_rows : n and m.
    false_alarm : between 0 and 1.
    horizon_bars : how many bars one row looks over.

    Raises
    ------
    StatisticsError : fewer than 2 bins, no rows, a probability or a horizon out of range.

    References
    ----------
    Yurdakul and Naranjo (2020), Journal of Risk Model Validation 14(4).

    >>> [round(drift_threshold(10, n, 10_000, false_alarm=0.05), 3) for n in (100, 300, 1_000, 3_000)]
    [0.171, 0.058, 0.019, 0.007]
    """
    from scipy.special import chdtri

    scale = _null_scale(bins, rows, reference_rows, horizon_bars)
    if not 0.0 < false_alarm < 1.0:
        raise StatisticsError(
            "a false alarm rate that is none", expected="a number between 0 and 1", got=f"{false_alarm:g}"
        )
    return scale * float(chdtri(bins - 1, false_alarm))


def drift_of(
    reference: ReferenceHistogram, current: npt.ArrayLike, *, false_alarm: float = 0.01, horizon_bars: int = 1
) -> Drift:
    """The index of a window beside its threshold.

    Raises
    ------
    TooFewReturns : no finite value.
    StatisticsError : an infinite value, a probability or a horizon out of range.

    References
    ----------
    See `population_stability_index` and `drift_threshold`.

    >>> dice = np.random.default_rng(1)
    >>> reference = reference_histogram(dice.normal(size=10_000))
    >>> drift_of(reference, dice.normal(size=1_000)).drifted, drift_of(reference, 1.5 * dice.normal(size=1_000)).drifted
    (False, True)
    """
    from scipy.special import chdtrc

    index = population_stability_index(reference, current)
    rows = int(reference.counts_of(current).sum())
    threshold = drift_threshold(
        reference.bins, rows, reference.rows, false_alarm=false_alarm, horizon_bars=horizon_bars
    )
    scale = _null_scale(reference.bins, rows, reference.rows, horizon_bars)
    return Drift(index, threshold, float(chdtrc(reference.bins - 1, index / scale)), rows)


def _null_scale(bins: int, rows: float, reference_rows: float, horizon_bars: int) -> float:
    """1/n + 1/m over the rows that share no bar."""
    if bins < 2 or not min(rows, reference_rows) >= 1.0 or horizon_bars < 1:
        raise StatisticsError(
            "a window that has no threshold",
            expected="at least 2 bins, 1 row on either side and a horizon of 1 bar",
            got=f"{bins} bins, {rows:g} and {reference_rows:g} rows, horizon {horizon_bars}",
        )
    return horizon_bars / rows + horizon_bars / reference_rows


def _shares(counts: FloatArray) -> FloatArray:
    return np.asarray((counts + _HALF) / (counts.sum() + _HALF * len(counts)))


def _finite(values: npt.ArrayLike) -> FloatArray:
    """The values that are not missing, as one axis."""
    array = np.asarray(values, dtype=np.float64).ravel()
    if np.isinf(array).any():
        raise StatisticsError(
            "an infinite value",
            expected="finite numbers, NaN where one is missing",
            got=f"{int(np.isinf(array).sum())} infinite of {array.size}",
            next="look for a division by zero where they are made",
        )
    return array[~np.isnan(array)]
