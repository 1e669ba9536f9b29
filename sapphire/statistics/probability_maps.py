"""Maps from stated log-odds to probabilities: Platt's line, one temperature, a monotone step.

Each is fitted on pairs of a stated number and of whether the event came. None turns a statement round: where the line
would fall, it is not this room that trades the opposite.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError
from sapphire.statistics.samples import FloatArray, finite_sample, same_shape

__all__ = [
    "EVEN",
    "isotonic_steps",
    "logistic",
    "platt_scaling",
    "smoothed_targets",
    "supported_ends",
    "temperature_scaling",
]

EVEN = 1e-100
"""Log-odds that are no further from each other, or from zero, are the same: slopes of more would overflow."""


def logistic(log_odds: FloatArray) -> FloatArray:
    """Probability of log-odds, 1 / (1 + exp(-x)), without overflow at either end.

    >>> logistic(np.array([0.0, -800.0, 800.0])).tolist()
    [0.5, 0.0, 1.0]
    """
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * log_odds)))


def smoothed_targets(happened: float, missed: float) -> tuple[float, float]:
    r"""What a fit takes instead of 0 and 1 after so many events and non-events: (low, high).

    .. math:: t_- = \frac{1}{N_- + 2}, \quad t_+ = \frac{N_+ + 1}{N_+ + 2}

    References
    ----------
    Platt (1999), Probabilistic outputs for support vector machines, in Advances in Large Margin Classifiers.

    >>> smoothed_targets(8, 2)
    (0.25, 0.9)
    """
    return 1.0 / (missed + 2.0), (happened + 1.0) / (happened + 2.0)


def platt_scaling(log_odds: npt.ArrayLike, happened: npt.ArrayLike, *, shared: float = 1.0) -> tuple[float, float]:
    r"""Slope and intercept of Platt's line: the calibrated log-odds are :math:`a x + b`.

    .. math:: \min_{a,b} -\sum_i t_i \ln\sigma(a x_i + b) + (1 - t_i) \ln(1 - \sigma(a x_i + b))

    with the targets of `smoothed_targets`, so that separated outcomes have a finite slope. The counts in these are of
    independent pairs.

    Parameters
    ----------
    log_odds : [N], finite; any score will do.
    happened : [N], 1 where the event came, else 0; both kinds.
    shared : how many pairs amount to an independent one.

    Raises
    ------
    TooFewReturns : no pairs.
    StatisticsError : lengths that differ, an outcome other than 0 and 1, outcomes of one kind, log-odds that do not
        vary.

    References
    ----------
    Platt (1999). Lin, Lin and Weng (2007), A note on Platt's probabilistic outputs for support vector machines, Machine
    Learning 68(3); the values are those of their code, with both signs turned, as scikit-learn's tests have them:
    it stops at a gradient of 1e-5, this goes on.

    >>> slope, intercept = platt_scaling([5.0, -4.0, 1.0], [1, 0, 0])
    >>> round(slope, 5), round(intercept, 4)
    (0.20261, -0.6524)
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    x, targets = _fit_data(log_odds, happened, shared)
    centre = float(x.mean())
    spread = float(np.abs(x - centre).max())
    if not spread > EVEN:
        raise StatisticsError("log-odds that do not vary", expected="a spread", got=f"{len(x)} times {x[0]:g}")
    z = np.column_stack([(x - centre) / spread, np.ones(len(x))])

    def loss(line: FloatArray) -> float:
        at = z @ line
        return float(np.mean(np.logaddexp(0.0, at) - targets * at))

    def slope_of_loss(line: FloatArray) -> FloatArray:
        return np.asarray(z.T @ (expit(z @ line) - targets)) / len(x)

    def curvature(line: FloatArray) -> FloatArray:
        p = expit(z @ line)
        return np.asarray((z.T * (p * (1.0 - p))) @ z) / len(x)

    found = minimize(
        loss, np.zeros(2), jac=slope_of_loss, hess=curvature, method="trust-exact", options={"gtol": 1e-10}
    )
    slope = float(found.x[0]) / spread
    return slope, float(found.x[1]) - slope * centre


def temperature_scaling(log_odds: npt.ArrayLike, happened: npt.ArrayLike, *, shared: float = 1.0) -> float:
    r"""One over the temperature: the calibrated log-odds are :math:`x / T`, even odds stay even odds.

    The loss and its targets are `platt_scaling`'s, with b = 0 and a = 1/T of zero or more: 0 says that an infinite
    temperature is best, so that the log-odds know nothing.

    Raises
    ------
    TooFewReturns : no pairs.
    StatisticsError : as `platt_scaling`, but for log-odds that do not vary, which are fitted too.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks, ICML.

    >>> stated = np.array([2.0, 2.0, 2.0, 2.0, -2.0, -2.0, -2.0, -2.0])      # they say 88 %; 3 of 4 came
    >>> round(temperature_scaling(stated, [1, 1, 1, 0, 0, 0, 0, 1]), 4)      # ln(2) / 2: a target of 2/3
    0.3466
    """
    from scipy.optimize import brentq
    from scipy.special import expit

    x, targets = _fit_data(log_odds, happened, shared)

    def slope_of_loss(inverse: float) -> float:
        return float(np.mean(x * (expit(inverse * x) - targets)))

    largest = float(np.abs(x).max())
    if largest <= EVEN or slope_of_loss(0.0) >= 0.0:
        return 0.0
    above = 1.0 / largest
    while slope_of_loss(above) < 0.0:  # ends: with targets inside of (0, 1) certainty costs more and more
        above *= 2.0
    return float(brentq(slope_of_loss, 0.0, above, xtol=1e-14 * above, rtol=1e-12))


def isotonic_steps(log_odds: npt.ArrayLike, happened: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """The non-decreasing map nearest to the outcomes by least squares, as knots to interpolate between.

    Pairs of one log-odds are one point, of their mean and their number. Between the blocks of equal probability the map
    is a line, so that it has no jump.

    Returns
    -------
    log_odds, probabilities : [K] each, the first rising, the second not falling; the two ends of each block.

    Raises
    ------
    TooFewReturns : no pairs.
    StatisticsError : lengths that differ, an outcome other than 0 and 1, outcomes of one kind.

    References
    ----------
    Zadrozny and Elkan (2002), Transforming classifier scores into accurate multiclass probability estimates, KDD. By
    `scipy.optimize.isotonic_regression` (pool adjacent violators).

    >>> knots, probabilities = isotonic_steps([1.0, 2.0, 3.0, 4.0, 5.0], [0, 1, 0, 1, 1])
    >>> knots.tolist(), probabilities.tolist()
    ([1.0, 2.0, 3.0, 4.0, 5.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    """
    from scipy.optimize import isotonic_regression

    x, came = _events(log_odds, happened)
    values, place, count = np.unique(x, return_inverse=True, return_counts=True)
    found = isotonic_regression(np.bincount(place.ravel(), came) / count, weights=count)
    first, last = found.blocks[:-1], found.blocks[1:] - 1
    ends = np.unique(np.concatenate([first, last]))
    return values[ends], np.clip(found.x[ends], 0.0, 1.0)


def supported_ends(fitted: npt.ArrayLike, happened: npt.ArrayLike, *, at_least: float) -> FloatArray:
    """The fitted probabilities of a monotone map, with the blocks at each end pooled until enough pairs support them.

    The last block of an isotonic fit is often one pair, so a probability of 0 or 1; all log-odds beyond training are
    read as it. Blocks are pooled inwards until `at_least` pairs stand at that end; pooled they have the share that came
    there, so the map still never falls and its mean is still the base rate. Where the two ends meet, nothing is left to
    tell them apart, and all have the base rate.

    Parameters
    ----------
    fitted : [N], of the training pairs; equal in a block.
    happened : [N], 1 where the event came, else 0.
    at_least : how many pairs each end is to stand on.

    Raises
    ------
    TooFewReturns : no pairs.
    StatisticsError : lengths that differ, an outcome other than 0 and 1, outcomes of one kind.

    References
    ----------
    Pal (2008), Spiking problem in monotone regression, Statistics and Probability Letters 78(12), on the ends; she
    penalises them, here they are pooled.

    >>> supported_ends([0.0, 0.5, 0.5, 0.5, 0.75, 0.75, 0.75, 0.75, 1.0], [0, 1, 0, 1, 1, 1, 0, 1, 1], at_least=3)
    array([0.5, 0.5, 0.5, 0.5, 0.8, 0.8, 0.8, 0.8, 0.8])
    """
    stated, came = _events(fitted, happened)
    place = min(len(stated), math.ceil(at_least)) - 1
    ordered = np.sort(stated)
    low, high = float(ordered[place]), float(ordered[-1 - place])
    if low >= high:
        return np.full(len(stated), came.mean())
    below, above = stated <= low, stated >= high
    return np.where(below, came[below].mean(), np.where(above, came[above].mean(), stated))


def _fit_data(log_odds: npt.ArrayLike, happened: npt.ArrayLike, shared: float) -> tuple[FloatArray, FloatArray]:
    """Log-odds and their smoothed targets."""
    x, came = _events(log_odds, happened)
    low, high = smoothed_targets(came.sum() / shared, (1.0 - came).sum() / shared)
    return x, np.where(came > 0.0, high, low)


def _events(log_odds: npt.ArrayLike, happened: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    x = finite_sample(log_odds, name="log-odds")
    came = finite_sample(happened, name="outcomes")
    same_shape(x, came, names=("log-odds", "outcomes"))
    kinds = np.unique(came)
    if kinds.tolist() != [0.0, 1.0]:
        raise StatisticsError(
            "outcomes that no probability can be fitted to",
            expected="0 and 1, each at least once",
            got=f"{kinds[:4].tolist()} in {len(came)} outcomes",
            next="use a longer training window",
        )
    return x, came
