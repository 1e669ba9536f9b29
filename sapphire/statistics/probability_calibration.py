"""What stated log-odds of an event are worth as a probability.

A forecaster that speaks in probabilities is mostly too sure. Where few outcomes are known, a line in log-odds is all
that they support; where many are, a monotone map. Both are drawn back to the base rate as far as their evidence does
not carry them, and neither turns a statement round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics.brier import brier_decomposition
from sapphire.statistics.longrun import long_run_variance, overlap_lags
from sapphire.statistics.probability_maps import (
    EVEN,
    isotonic_steps,
    logistic,
    platt_scaling,
    smoothed_targets,
    supported_ends,
    temperature_scaling,
)
from sapphire.statistics.samples import MINIMUM_RETURNS, FloatArray, paired

__all__ = ["ISOTONIC_PAIRS", "ProbabilityCalibration", "ProbabilityMethod", "fit_probability_calibration"]

ProbabilityMethod = Literal["platt", "temperature", "isotonic"]
"""How log-odds were mapped. In arrays: its place in this list."""

ISOTONIC_PAIRS = 500
"""From so many independent pairs on, the map is isotonic."""

_METHODS: tuple[ProbabilityMethod, ...] = get_args(ProbabilityMethod)


@dataclass(frozen=True, slots=True)
class ProbabilityCalibration:
    """A fitted map from log-odds to the probability of an event.

    Attributes
    ----------
    method : "platt", "temperature" or "isotonic".
    slope, intercept : of the line in log-odds; both 0 where the map is isotonic.
    knots, probabilities : of the isotonic map; none where it is a line.
    low, high : the lowest and highest training log-odds; what is beyond is read as the nearer of them.
    least, most : no probability outside of these is stated: Platt's targets after so many outcomes.
    base_rate : share of the training outcomes that came.
    kept : share of the distance from the base rate that the evidence carries.
    t_value : of the slope of outcomes on the fitted probabilities, overlap allowed for; below zero where they fall.
    brier, reliability, resolution, uncertainty : of the calibrated probabilities on the training pairs themselves, the
        score and its parts (`brier_decomposition`).
    pairs : number of training pairs.
    independent : how many independent ones they amount to.
    """

    method: ProbabilityMethod
    slope: float
    intercept: float
    knots: tuple[float, ...]
    probabilities: tuple[float, ...]
    low: float
    high: float
    least: float
    most: float
    base_rate: float
    kept: float
    t_value: float
    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    pairs: float
    independent: float

    def __post_init__(self) -> None:
        steps = self.method == "isotonic"
        rising = np.all(np.diff(self.knots) > 0.0) and np.all(np.diff(self.probabilities) >= 0.0)
        shares = (*self.probabilities, self.base_rate, self.kept, self.least, self.most)
        sound = {
            "method": self.method in _METHODS,
            "numbers": not any(math.isnan(each) for each in (*self._numbers(), *self.knots, *self.probabilities)),
            "slope": self.slope >= 0.0,
            "knots": len(self.knots) == len(self.probabilities) and bool(self.knots) == steps and bool(rising),
            "shares": all(0.0 <= each <= 1.0 for each in shares) and 0.0 < self.least < self.most < 1.0,
            "range": self.low <= self.high,
        }
        if not all(sound.values()):
            raise StatisticsError(
                "a calibration that cannot be applied",
                expected="a known method, numbers, a slope of zero or more, knots that rise, shares from 0 to 1",
                got=f"wrong: {', '.join(name for name, right in sound.items() if not right)}",
                next="fit it again with fit_probability_calibration",
            )

    def apply(self, log_odds: npt.ArrayLike) -> FloatArray:
        r"""Probabilities of `log_odds`, of any shape.

        .. math:: p = \mathrm{clip}\bigl(\bar o + k\,(m(\mathrm{clip}(x, x_{\min}, x_{\max})) - \bar o),\ t_-, t_+\bigr)

        with m the fitted map and k what is kept. Missing log-odds (NaN) have a missing probability.

        Raises
        ------
        StatisticsError : infinite log-odds.

        >>> x = np.linspace(-2.0, 2.0, 200)
        >>> fitted = fit_probability_calibration(x, np.sin(40.0 * x) < x / 2.0)
        >>> fitted.apply([-1.0, 0.0, 1.0, 99.0]).round(2).tolist()
        [0.34, 0.5, 0.66, 0.79]
        """
        raw = np.asarray(log_odds, dtype=np.float64)
        if bool(np.isinf(raw).any()):
            raise StatisticsError(
                "infinite log-odds",
                expected="finite log-odds, NaN where one is missing",
                got=f"{int(np.isinf(raw).sum())} infinite of {raw.size}",
                next="a probability of 0 or 1 has no log-odds: keep it off both ends",
            )
        fitted = self._fitted(np.clip(raw, self.low, self.high))
        return np.asarray(np.clip(self.base_rate + self.kept * (fitted - self.base_rate), self.least, self.most))

    def to_arrays(self) -> dict[str, FloatArray]:
        """The map as named float64 arrays, of one value each but for the knots of an isotonic one."""
        arrays = {name: np.array([value]) for name, value in zip(_NUMBERS, self._numbers(), strict=True)}
        arrays["method"] = np.array([float(_METHODS.index(self.method))])
        if self.knots:
            arrays |= {name: np.array(getattr(self, name), dtype=np.float64) for name in _KNOTS}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.float64]]) -> ProbabilityCalibration:
        """The map that `to_arrays` wrote.

        Raises
        ------
        StatisticsError : a name is missing or unknown, or an array has another shape.
        """
        expected = {*_NUMBERS, "method"}
        wrong = sorted((expected ^ set(arrays)) - set(_KNOTS))
        wrong = wrong or sorted(name for name in expected if arrays[name].shape != (1,))
        wrong = wrong or [name for name in _KNOTS if name in arrays and arrays[name].ndim != 1]
        if not wrong and arrays["method"][0] not in range(len(_METHODS)):
            wrong = ["method"]
        if wrong:
            raise StatisticsError(
                "arrays that are not a probability calibration",
                expected=f"one value each for {', '.join(sorted(expected))}, and knots where it is isotonic",
                got=f"missing, unknown or of another shape: {', '.join(wrong)}",
                next="write them with ProbabilityCalibration.to_arrays",
            )
        knots, probabilities = (tuple(arrays[name].tolist()) if name in arrays else () for name in _KNOTS)
        numbers = {name: float(arrays[name][0]) for name in _NUMBERS}
        method = _METHODS[int(arrays["method"][0])]
        return cls(method=method, knots=knots, probabilities=probabilities, **numbers)

    def _fitted(self, log_odds: FloatArray) -> FloatArray:
        if self.method == "isotonic":
            return np.asarray(np.interp(log_odds, self.knots, self.probabilities))
        return logistic(self.slope * log_odds + self.intercept)

    def _numbers(self) -> list[float]:
        return [getattr(self, name) for name in _NUMBERS]


_KNOTS = ("knots", "probabilities")
_NUMBERS = tuple(each.name for each in fields(ProbabilityCalibration) if each.name not in ("method", *_KNOTS))


@dataclass(frozen=True, slots=True)
class _Map:
    """A fitted map, not yet drawn back: what it says of the training pairs, and how many numbers it was fitted with."""

    method: ProbabilityMethod
    fitted: FloatArray
    degrees: int
    slope: float = 0.0
    intercept: float = 0.0
    knots: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()


def fit_probability_calibration(
    log_odds: npt.ArrayLike, happened: npt.ArrayLike, *, horizon_bars: int = 1
) -> ProbabilityCalibration:
    r"""Fit the map on training windows: a line, or from 500 pairs on a monotone map, drawn back to the base rate.

    Of n pairs whose outcomes look h bars ahead, n / h share no bar, and where the outcomes of a bar's symbols move
    together by j times what independent ones would, n / hj are independent. Below 500 of those the map is Platt's
    line. It is one temperature, which never falls, where that line falls, and where what came stands apart from what
    did not (every log-odds of the one above each of the other), so that the smoothing of the targets alone would decide
    a line of two numbers. From 500 on it is isotonic, with 30 independent pairs or more at either end
    (`supported_ends`), since whatever lies beyond training is read as the end. Either is drawn back to the base rate by
    what it can support:

    .. math:: k = \max\bigl(0,\ 1 - q / t^2\bigr), \quad t = \hat\gamma / s(\hat\gamma), \quad
              o = \bar o + \gamma\,(m(x) - \bar m) + \varepsilon

    q numbers fitted to noise explain as much as a :math:`\chi^2_q` does, so a fit within that of nothing is worth
    nothing; q is 1 for both lines, and for the isotonic map the number of its blocks less one. This is the factor of
    `fit_score_calibration`. The error is that of no slope, Newey-West over time of the moments summed over symbols, for
    outcomes that share bars and symbols that move together. Where t is below zero, nothing is kept: the base rate is
    stated.

    Nothing looks ahead: the map knows these pairs and no others. A study hands over those of a fold's training window,
    whose outcomes were known by its end.

    Parameters
    ----------
    log_odds : [T] or [T, S], ln(p / (1 - p)) of the event, training windows only, NaN where missing.
    happened : of one shape, 1 or True where the event came, else 0; NaN where it is not known.
    horizon_bars : how many bars ahead the outcomes look.

    Raises
    ------
    TooFewReturns : fewer than 30 pairs.
    StatisticsError : shapes that differ, infinite log-odds, an outcome other than 0 and 1, an event that always or
        never came.

    References
    ----------
    Platt (1999); Lin, Lin and Weng (2007); Guo et al. (2017); Zadrozny and Elkan (2002): see `probability_maps`.
    Niculescu-Mizil and Caruana (2005), Predicting good probabilities with supervised learning, ICML, on how many pairs
    an isotonic map needs. van Houwelingen and le Cessie (1990), Statistics in Medicine 9(11), for the factor. Meyer and
    Woodroofe (2000), Annals of Statistics 28(4), on the degrees of freedom of an isotonic fit.

    >>> x = np.linspace(-2.0, 2.0, 200)
    >>> fitted = fit_probability_calibration(x, np.sin(40.0 * x) < x / 2.0)
    >>> fitted.method, round(fitted.slope, 2), round(fitted.kept, 2)
    ('platt', 0.71, 0.96)
    """
    stated, came, present = paired(log_odds, happened, names=("log-odds", "outcomes"))
    x, o = stated[present], came[present]
    if len(x) < MINIMUM_RETURNS:
        raise TooFewReturns(
            "too few pairs of log-odds and outcome to calibrate",
            expected=f"at least {MINIMUM_RETURNS}",
            got=str(len(x)),
            next="lengthen the training window or shorten the horizon",
        )
    lags = overlap_lags(len(stated), horizon_bars=horizon_bars)  # refuses a horizon that is none
    shared = horizon_bars * _moving_together(came, present)
    independent = len(x) / shared
    found = _isotonic(x, o, shared) if independent >= ISOTONIC_PAIRS else _line(x, o, shared)
    t_value = _slope_t(found.fitted, came, present, lags=lags)
    least, most = smoothed_targets(o.sum() / shared, (1.0 - o).sum() / shared)
    base_rate, kept = float(o.mean()), _kept(t_value, found.degrees)
    parts = brier_decomposition(np.clip(base_rate + kept * (found.fitted - base_rate), least, most), o)
    return ProbabilityCalibration(
        method=found.method,
        slope=found.slope,
        intercept=found.intercept,
        knots=found.knots,
        probabilities=found.probabilities,
        low=float(x.min()),
        high=float(x.max()),
        least=least,
        most=most,
        base_rate=base_rate,
        kept=kept,
        t_value=t_value,
        brier=parts.brier,
        reliability=parts.reliability,
        resolution=parts.resolution,
        uncertainty=parts.uncertainty,
        pairs=float(len(x)),
        independent=independent,
    )


def _moving_together(came: FloatArray, present: npt.NDArray[np.bool_]) -> float:
    """How many pairs of one bar amount to an independent one: the variance of their sum over that of a lone one."""
    away = np.where(present, came - came[present].mean(), 0.0)
    alone = float((away**2).sum())
    return max(1.0, float((away.sum(axis=1) ** 2).sum()) / alone) if alone > 0.0 else 1.0


def _line(x: FloatArray, o: FloatArray, shared: float) -> _Map:
    """Platt's line, or one temperature where that falls, where the outcomes stand apart or where nothing varies."""
    apart = float(x[o > 0.0].min(initial=math.inf)) > float(x[o <= 0.0].max(initial=-math.inf))
    if float(np.abs(x - x.mean()).max()) > EVEN and not apart:
        slope, intercept = platt_scaling(x, o, shared=shared)
        if slope > 0.0:
            return _Map("platt", logistic(slope * x + intercept), 1, slope, intercept)
    slope = temperature_scaling(x, o, shared=shared)
    return _Map("temperature", logistic(slope * x), 1, slope)


def _isotonic(x: FloatArray, o: FloatArray, shared: float) -> _Map:
    """Isotonic steps whose ends stand on 30 independent pairs each."""
    knots, steps = isotonic_steps(x, o)
    fitted = supported_ends(np.interp(x, knots, steps), o, at_least=MINIMUM_RETURNS * shared)
    values, first = np.unique(x, return_index=True)
    probabilities = fitted[first[np.searchsorted(values, knots)]]  # each knot is one of the log-odds
    blocks = len(np.unique(probabilities))
    return _Map(
        "isotonic", fitted, blocks - 1, knots=tuple(knots.tolist()), probabilities=tuple(probabilities.tolist())
    )


def _slope_t(fitted: FloatArray, came: FloatArray, present: npt.NDArray[np.bool_], *, lags: int) -> float:
    """The slope of outcomes on fitted probabilities over its error under no slope; 0 where these do not vary.

    What an isotonic map leaves over at its ends is often nothing at all, so its own residuals would flatter it.
    """
    away = np.zeros(came.shape)
    away[present] = fitted - fitted.mean()
    total = float((away**2).sum())
    if not total > 1e-12 * len(fitted):
        return 0.0
    moments = away * np.where(present, came - came[present].mean(), 0.0)
    slope = float(moments.sum()) / total
    moments[present] -= moments[present].mean()
    error = math.sqrt(long_run_variance(moments.sum(axis=1) / total, lags=lags))
    return slope / error if error > 0.0 else math.copysign(math.inf, slope)


def _kept(t_value: float, degrees: int) -> float:
    """The share of a fit's distance from the base rate that its evidence carries."""
    return max(0.0, 1.0 - degrees / t_value**2) if t_value > 0.0 else 0.0
