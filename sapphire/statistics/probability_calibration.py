"""What a stated probability is worth: from log-odds to how often the event comes.

A model that says 0.9 may be right six times in ten. The map from what it says to what happens is fitted on training
windows alone: a line through the log-odds while outcomes are few, any rising curve once there are many, and in both
cases drawn towards the base rate as far as the outcomes do not support it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics.samples import MINIMUM_RETURNS, FloatArray, finite_sample, same_shape

__all__ = ["ISOTONIC_FROM", "ProbabilityCalibration", "fit_probability_calibration"]

Method = Literal["platt", "temperature", "isotonic"]
ISOTONIC_FROM = 500
"""Resolved views from which a rising curve is fitted instead of a line (Niculescu-Mizil and Caruana 2005: below some
hundreds it overfits)."""
_METHODS: tuple[Method, ...] = ("platt", "temperature", "isotonic")
_PRIOR_WEIGHT = 30.0
"""Independent outcomes at which a calibrated probability and the base rate weigh the same."""


@dataclass(frozen=True, slots=True, eq=False)
class ProbabilityCalibration:
    """A fitted map from log-odds to a probability.

    Attributes
    ----------
    method : how it was fitted.
    knots : [K], log-odds, rising; between them the map is linear, beyond them it stays.
    values : [K], probability of the event at each, rising.
    base_rate : how often the event came in training.
    weight : share of the map in what `apply` gives, the rest is the base rate.
    pairs : resolved views that it was fitted on.
    """

    method: Method
    knots: FloatArray
    values: FloatArray
    base_rate: float
    weight: float
    pairs: int

    def __post_init__(self) -> None:
        knots, values = np.asarray(self.knots, np.float64), np.asarray(self.values, np.float64)
        object.__setattr__(self, "knots", knots)
        object.__setattr__(self, "values", values)
        rising = knots.ndim == 1 and len(knots) > 0 and knots.shape == values.shape
        rising = rising and bool((np.diff(knots) > 0.0).all() and (np.diff(values) >= 0.0).all())
        bounded = rising and bool((values >= 0.0).all() and (values <= 1.0).all() and np.isfinite(knots).all())
        if not bounded or not 0.0 <= self.base_rate <= 1.0 or not 0.0 <= self.weight <= 1.0:
            raise StatisticsError(
                "a calibration that cannot be applied",
                expected="rising knots, rising probabilities, a base rate and a weight between 0 and 1",
                got=f"{len(knots)} knots, base rate {self.base_rate:g}, weight {self.weight:g}",
                next="fit it again with fit_probability_calibration",
            )

    def apply(self, log_odds: npt.ArrayLike) -> FloatArray:
        """Calibrated probabilities, of any shape; NaN where nothing was said.

        Raises
        ------
        StatisticsError : infinite log-odds.
        """
        raw = np.asarray(log_odds, dtype=np.float64)
        if bool(np.isinf(raw).any()):
            raise StatisticsError("infinite log-odds", expected="finite ones, NaN where one is missing", got="infinity")
        mapped = np.interp(raw, self.knots, self.values)
        return np.asarray(np.where(np.isnan(raw), np.nan, self.weight * mapped + (1.0 - self.weight) * self.base_rate))

    def to_arrays(self) -> dict[str, FloatArray]:
        """The map as named float64 arrays, for a safetensors file."""
        single = {
            "method": float(_METHODS.index(self.method)),
            "base_rate": self.base_rate,
            "weight": self.weight,
            "pairs": float(self.pairs),
        }
        return {"knots": self.knots, "values": self.values} | {name: np.array([of]) for name, of in single.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.float64]]) -> ProbabilityCalibration:
        """The map that `to_arrays` wrote.

        Raises
        ------
        StatisticsError : a name is missing or unknown, or an array has another shape.
        """
        single = ("method", "base_rate", "weight", "pairs")
        wrong = sorted({"knots", "values", *single} ^ set(arrays))
        wrong = wrong or [name for name in single if arrays[name].shape != (1,)]
        if wrong or not 0 <= int(arrays["method"][0]) < len(_METHODS):
            raise StatisticsError(
                "arrays that are not a probability calibration",
                expected=f"knots, values and one value each for {', '.join(single)}",
                got=f"missing, unknown or of another shape: {', '.join(wrong) or 'method'}",
                next="write them with ProbabilityCalibration.to_arrays",
            )
        method, pairs = _METHODS[int(arrays["method"][0])], int(arrays["pairs"][0])
        base_rate, weight = float(arrays["base_rate"][0]), float(arrays["weight"][0])
        return cls(method, arrays["knots"], arrays["values"], base_rate, weight, pairs)


def fit_probability_calibration(
    log_odds: npt.ArrayLike, happened: npt.ArrayLike, *, horizon_bars: int = 1, method: Method | None = None
) -> ProbabilityCalibration:
    r"""Fit the map on resolved views.

    Below `ISOTONIC_FROM` resolved views, Platt's line through the log-odds x with smoothed targets,

    .. math:: p(x) = \frac{1}{1 + e^{A x + B}}, \quad t_+ = \frac{N_+ + 1}{N_+ + 2}, \; t_- = \frac{1}{N_- + 2}

    and, where its slope would turn the order round (A > 0), temperature scaling, p = 1 / (1 + e^{-x/T}) with T > 0.
    From there on isotonic regression. What is applied is shrunk towards the base rate with the weight n' / (n' + 30) of
    the independent outcomes n' = n / h, since outcomes of h bars overlap.

    Parameters
    ----------
    log_odds : [N], what was said; NaN where nothing was.
    happened : [N], 1 or True where the event came, else 0; NaN where it is not known yet.
    horizon_bars : h, length of the outcome in bars.
    method : one of them; by the number of resolved views unless given.

    Raises
    ------
    TooFewReturns : fewer than 30 resolved views.
    StatisticsError : lengths that differ, infinite log-odds, an outcome other than 0 and 1, a horizon below one bar.

    References
    ----------
    Platt (1999), Probabilistic outputs for support vector machines; Lin, Lin and Weng (2007), A note on Platt's
    probabilistic outputs for support vector machines, Machine Learning 68(3). Guo et al. (2017), On calibration of
    modern neural networks, ICML. Zadrozny and Elkan (2002), Transforming classifier scores into accurate multiclass
    probability estimates, KDD.

    >>> x = np.linspace(-3.0, 3.0, 400)
    >>> came = np.random.default_rng(7).random(400) < 1.0 / (1.0 + np.exp(-x / 2.0))  # half as sure as it says
    >>> fitted = fit_probability_calibration(x, came)
    >>> fitted.method, (fitted.apply([-2.0, 0.0, 2.0])).round(2).tolist()
    ('platt', [0.26, 0.45, 0.66])
    """
    said, came = _resolved(log_odds, happened, horizon_bars)
    base = float(came.mean())
    chosen = method or ("isotonic" if len(said) >= ISOTONIC_FROM else "platt")
    if chosen == "platt":
        slope, intercept = platt(said, came)
        if slope > 0.0:
            chosen = "temperature"
        else:
            knots, values = _sampled(said, lambda x: slope * x + intercept)
    if chosen == "temperature":
        inverse = _inverse_temperature(said, came)
        knots, values = _sampled(said, lambda x: -inverse * x)
    elif chosen == "isotonic":
        knots, values = _isotonic(said, came)
    independent = len(said) / horizon_bars
    weight = independent / (independent + _PRIOR_WEIGHT)
    return ProbabilityCalibration(chosen, knots, values, base, weight, len(said))


def platt(log_odds: FloatArray, happened: FloatArray) -> tuple[float, float]:
    """Slope A and intercept B of Platt's sigmoid 1 / (1 + exp(A x + B)), fitted to his smoothed targets.

    Parameters
    ----------
    log_odds : [N], finite.
    happened : [N], 1 where the event came, else 0.

    References
    ----------
    Lin, Lin and Weng (2007); the numbers below are those that libsvm gives for the three points.

    >>> [round(of, 4) for of in platt(np.array([5.0, -4.0, 1.0]), np.array([1.0, 0.0, 0.0]))]
    [-0.2026, 0.6524]
    """
    from scipy.optimize import minimize

    came = happened.sum()
    high, low = (came + 1.0) / (came + 2.0), 1.0 / (len(happened) - came + 2.0)
    targets = np.where(happened > 0.0, high, low)

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        z = parameters[0] * log_odds + parameters[1]
        # -t ln p - (1 - t) ln(1 - p) of p = 1 / (1 + e^z)
        value = float((np.logaddexp(0.0, z) - (1.0 - targets) * z).sum())
        left = targets - 1.0 / (1.0 + np.exp(np.clip(z, -500.0, 500.0)))
        return value, np.array([float((left * log_odds).sum()), float(left.sum())])

    start = np.array([0.0, math.log((len(happened) - came + 1.0) / (came + 1.0))])
    found = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-9})
    return float(found.x[0]), float(found.x[1])


def _inverse_temperature(log_odds: FloatArray, happened: FloatArray) -> float:
    from scipy.optimize import minimize_scalar

    signed = np.where(happened > 0.0, log_odds, -log_odds)
    found = minimize_scalar(
        lambda power: float(np.logaddexp(0.0, -math.exp(power) * signed).sum()), bounds=(-12.0, 6.0), method="bounded"
    )
    return math.exp(float(found.x))


def _isotonic(log_odds: FloatArray, happened: FloatArray) -> tuple[FloatArray, FloatArray]:
    from scipy.optimize import isotonic_regression

    knots, where = np.unique(log_odds, return_inverse=True)
    counts = np.bincount(where)
    means = np.bincount(where, weights=happened) / counts
    values = np.asarray(isotonic_regression(means, weights=counts.astype(np.float64)).x, dtype=np.float64)
    inner = np.r_[True, np.diff(values) != 0.0] | np.r_[np.diff(values) != 0.0, True]  # the ends of each step
    return knots[inner], np.clip(values[inner], 0.0, 1.0)


def _sampled(log_odds: FloatArray, exponent: Callable[[FloatArray], FloatArray]) -> tuple[FloatArray, FloatArray]:
    """A sigmoid as knots over what was said in training, and no further: beyond, nobody knows."""
    low, high = float(log_odds.min()), float(log_odds.max())
    knots = np.linspace(low, high, 257) if high > low else np.array([low])
    z = exponent(knots)
    values = 1.0 / (1.0 + np.exp(np.clip(z, -500.0, 500.0)))
    return knots, np.maximum.accumulate(values)


def _resolved(log_odds: npt.ArrayLike, happened: npt.ArrayLike, horizon_bars: int) -> tuple[FloatArray, FloatArray]:
    said = np.asarray(log_odds, dtype=np.float64).ravel()
    came = np.asarray(happened, dtype=np.float64).ravel()
    same_shape(said, came, names=("log-odds", "outcomes"))
    if horizon_bars < 1:
        raise StatisticsError("horizon of the outcomes", expected="one bar or more", got=str(horizon_bars))
    known = ~(np.isnan(said) | np.isnan(came))
    said, came = said[known], came[known]
    if len(said) < MINIMUM_RETURNS:
        raise TooFewReturns(
            "too few resolved views",
            expected=f"at least {MINIMUM_RETURNS}",
            got=str(len(said)),
            next="train on a longer window, or on shorter horizons",
        )
    finite_sample(said, name="log-odds")
    if not bool(np.isin(came, (0.0, 1.0)).all()):
        raise StatisticsError("outcomes of an event", expected="0 or 1", got=str(np.unique(came)[:4].tolist()))
    return said, came
