"""What a score is worth, in basis points, and how surely.

An agent that has only a score (a distance between two averages, an opinion from 1 to 10) hands it over as it is. The
map from score to forecast is fitted on training windows alone and frozen with the agent, as arrays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics.longrun import long_run_variance, overlap_lags
from sapphire.statistics.samples import MINIMUM_RETURNS, FloatArray, panel, same_shape, varies


@dataclass(frozen=True, slots=True)
class ScoreCalibration:
    """A fitted map from score to (mean_bps, std_bps).

    Attributes
    ----------
    score_mean, score_std : of the training scores; the standardised score is (score - mean) / std.
    score_low, score_high : the lowest and highest training score; one beyond is read as the nearer of them.
    intercept_bps : forecast at the mean score, shrunk.
    slope_bps : change of the forecast per standard deviation of score, shrunk.
    intercept_t, slope_t : t-statistics before shrinking.
    slope_error_bps : standard error of the slope before shrinking.
    residual_std_bps : standard deviation of what the forecast left unexplained.
    pairs : number of training pairs.
    """

    score_mean: float
    score_std: float
    score_low: float
    score_high: float
    intercept_bps: float
    slope_bps: float
    intercept_t: float
    slope_t: float
    slope_error_bps: float
    residual_std_bps: float
    pairs: float

    def __post_init__(self) -> None:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        bad = [name for name, value in values.items() if math.isnan(value)]
        bad += [name for name in ("score_std", "residual_std_bps") if not values[name] > 0.0 and name not in bad]
        bad += ["slope_error_bps"] if values["slope_error_bps"] < 0.0 else []
        if bad:
            raise StatisticsError(
                "a calibration that cannot be applied",
                expected="numbers, with score_std and residual_std_bps above zero and an error of zero or more",
                got=", ".join(f"{name} {values[name]:g}" for name in bad),
                next="fit it again with fit_score_calibration",
            )

    @property
    def estimated_slope_bps(self) -> float:
        """The slope before shrinking: its t-statistic times its error.

        >>> x = np.linspace(-1.0, 1.0, 101)
        >>> round(fit_score_calibration(x, 2.0 * x + 5.0 * np.cos(40.0 * x)).estimated_slope_bps, 3)
        1.166
        """
        return self.slope_bps if math.isinf(self.slope_t) else self.slope_t * self.slope_error_bps

    def apply(self, scores: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        r"""Forecasts of `scores`, of any shape: (mean_bps, std_bps), both of that shape.

        .. math:: \mu = \tilde\alpha + \tilde\beta\, z, \quad \sigma = s, \quad
                  z = (\mathrm{clip}(x, x_{\min}, x_{\max}) - \bar x) / s_x

        A missing score (NaN) has a missing forecast.

        Raises
        ------
        StatisticsError : an infinite score.

        >>> x = np.linspace(-1.0, 1.0, 101)
        >>> fitted = fit_score_calibration(x, 20.0 * x + 5.0 * np.cos(40.0 * x))
        >>> mean, std = fitted.apply([0.5, 99.0])
        >>> mean.round(1).tolist(), std.round(1).tolist()
        ([10.0, 20.0], [3.6, 3.6])
        """
        raw = np.asarray(scores, dtype=np.float64)
        if bool(np.isinf(raw).any()):
            raise StatisticsError(
                "an infinite score",
                expected="finite scores, NaN where one is missing",
                got=f"{int(np.isinf(raw).sum())} infinite of {raw.size}",
                next="look for a division by zero in the agent",
            )
        standardised = (np.clip(raw, self.score_low, self.score_high) - self.score_mean) / self.score_std
        mean = self.intercept_bps + self.slope_bps * standardised
        return np.asarray(mean), np.where(np.isnan(raw), np.nan, self.residual_std_bps)

    def card(self) -> dict[str, float]:
        """What a reader should know of it."""
        names = ("slope_bps", "slope_t", "residual_std_bps", "pairs")
        return {name: round(getattr(self, name), 4) for name in names}

    def to_arrays(self) -> dict[str, FloatArray]:
        """The map as named float64 arrays of one value each, for a safetensors file."""
        return {field.name: np.array([getattr(self, field.name)], dtype=np.float64) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.float64]]) -> ScoreCalibration:
        """The map that `to_arrays` wrote.

        Raises
        ------
        StatisticsError : a name is missing or unknown, or an array has another shape than (1,).
        """
        names = [field.name for field in fields(cls)]
        wrong = sorted(set(names) ^ set(arrays)) or [name for name in names if arrays[name].shape != (1,)]
        if wrong:
            raise StatisticsError(
                "arrays that are not a score calibration",
                expected=f"one value each for {', '.join(names)}",
                got=f"missing, unknown or of another shape: {', '.join(wrong)}",
                next="write them with ScoreCalibration.to_arrays",
            )
        return cls(**{name: float(arrays[name][0]) for name in names})


def fit_score_calibration(
    scores: npt.ArrayLike, outcomes_bps: npt.ArrayLike, *, horizon_bars: int = 1
) -> ScoreCalibration:
    r"""Fit the map on training windows: least squares, each coefficient shrunk by what its t-statistic supports.

    .. math:: y = \alpha + \beta z + \varepsilon, \quad z = (x - \bar x)/s_x, \quad
              \tilde\beta = \hat\beta\,\max\!\left(0,\ 1 - 1/t_{\hat\beta}^2\right), \quad
              \tilde\alpha = \hat\alpha\,\max\!\left(0,\ 1 - 1/t_{\hat\alpha}^2\right)

    A coefficient estimated with variance :math:`s^2` around a truth drawn from :math:`N(0, \tau^2)` has the posterior
    mean :math:`\hat\beta\,\tau^2/(\tau^2+s^2)`; with :math:`\tau^2` estimated by :math:`\max(0, \hat\beta^2 - s^2)`
    that is the factor above. So a slope within one standard error of zero is worth nothing, one at t = 2 three quarters
    of itself. The same holds for the intercept, the market's drift in training. Standard errors are Newey-West over
    time of the moments summed over symbols, for outcomes that share bars and symbols that move together.

    The uncertainty is the standard deviation of the residuals around the shrunk line, divisor n - 2. Scores that never
    vary say nothing: slope 0.

    Parameters
    ----------
    scores, outcomes_bps : [T] or [T, S] of one shape, training windows only, NaN where missing; outcomes are forward
        returns in basis points.
    horizon_bars : how many bars ahead the outcomes look.

    Raises
    ------
    TooFewReturns : fewer than 30 pairs.
    StatisticsError : shapes that differ, an infinite value, outcomes that do not vary.

    References
    ----------
    Morris (1983), Parametric empirical Bayes inference, JASA 78(381). van Houwelingen and le Cessie (1990), Predictive
    value of statistical models, Statistics in Medicine 9(11), whose factor (chi2 - p)/chi2 this is for p = 1.
    Driscoll and Kraay (1998), Review of Economics and Statistics 80(4), for the errors.

    >>> x = np.linspace(-1.0, 1.0, 101)
    >>> fitted = fit_score_calibration(x, 2.0 * x + 5.0 * np.cos(40.0 * x))
    >>> round(fitted.slope_t, 2), round(fitted.slope_bps, 3)              # least squares says 1.166
    (3.25, 1.056)
    """
    score_panel, outcome_panel = panel(scores, name="scores"), panel(outcomes_bps, name="outcomes")
    same_shape(score_panel, outcome_panel, names=("scores", "outcomes"))
    present = np.isfinite(score_panel) & np.isfinite(outcome_panel)
    pairs = _sound_pairs(outcome_panel[present])
    score_mean, score_std = _centre_and_spread(score_panel[present])
    z = np.where(present, (np.where(present, score_panel, 0.0) - score_mean) / score_std, 0.0)
    y = np.where(present, outcome_panel, 0.0)
    intercept, slope = float(y.sum()) / pairs, float((z * y).sum()) / pairs
    residual = np.where(present, y - intercept - slope * z, 0.0)
    lags = overlap_lags(len(score_panel), horizon_bars=horizon_bars)
    intercept_t, _ = _t_statistic(intercept, residual.sum(axis=1) / pairs, lags=lags)
    slope_t, slope_error = _t_statistic(slope, (z * residual).sum(axis=1) / pairs, lags=lags)
    intercept, slope = intercept * shrinkage(intercept_t), slope * shrinkage(slope_t)
    left = np.where(present, y - intercept - slope * z, 0.0)
    return ScoreCalibration(
        score_mean=score_mean,
        score_std=score_std,
        score_low=float(score_panel[present].min()),
        score_high=float(score_panel[present].max()),
        intercept_bps=intercept,
        slope_bps=slope,
        intercept_t=intercept_t,
        slope_t=slope_t,
        slope_error_bps=slope_error,
        residual_std_bps=math.sqrt(float((left**2).sum()) / (pairs - 2)),
        pairs=float(pairs),
    )


def shrinkage(t_statistic: float) -> float:
    r"""The share of a coefficient that its t-statistic supports.

    .. math:: \max(0,\ 1 - 1/t^2)

    References
    ----------
    van Houwelingen and le Cessie (1990), Statistics in Medicine 9(11); Morris (1983), JASA 78(381).

    >>> shrinkage(2.0), shrinkage(-2.0), shrinkage(0.9), shrinkage(float("inf"))
    (0.75, 0.75, 0.0, 1.0)
    """
    return 0.0 if abs(t_statistic) <= 1.0 else 1.0 - 1.0 / t_statistic**2


def _sound_pairs(outcomes: FloatArray) -> int:
    """How many there are, if they are enough and vary."""
    pairs = len(outcomes)
    if pairs < MINIMUM_RETURNS:
        raise TooFewReturns(
            "too few pairs of score and outcome to calibrate",
            expected=f"at least {MINIMUM_RETURNS}",
            got=str(pairs),
            next="use a longer training window, or state mean_bps and std_bps in the agent",
        )
    if not varies(outcomes):
        raise StatisticsError(
            "outcomes that do not vary",
            expected="forward returns with a spread",
            got=f"{pairs} equal outcomes",
            next="see whether the training bars are real: sapphire data check",
        )
    return pairs


def _centre_and_spread(scores: FloatArray) -> tuple[float, float]:
    """Mean and standard deviation; 1 for the second where the scores do not vary, so that all standardise to 0."""
    if not varies(scores):
        return float(scores[0]), 1.0
    return float(scores.mean()), float(scores.std())


def _t_statistic(estimate: float, influence: FloatArray, *, lags: int) -> tuple[float, float]:
    """The estimate over its error, and the error."""
    error = math.sqrt(long_run_variance(influence, lags=lags))
    if error > 0.0:
        return estimate / error, error
    return (math.copysign(math.inf, estimate) if estimate != 0.0 else 0.0), error
