"""What stated log-odds of a rise are worth in basis points.

The probability is calibrated first; how far prices move when they rise and when they do not is known from training. The
two together are a forecast: a mean with its deviation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError
from sapphire.statistics.calibration import shrinkage
from sapphire.statistics.longrun import long_run_variance, overlap_lags
from sapphire.statistics.probability_calibration import ProbabilityCalibration, fit_probability_calibration
from sapphire.statistics.samples import FloatArray, paired

__all__ = ["DirectionCalibration", "fit_direction_calibration"]


@dataclass(frozen=True, slots=True)
class DirectionCalibration:
    """A fitted map from log-odds of a rise to (mean_bps, std_bps).

    Attributes
    ----------
    probability : the map from log-odds to the probability of a return above zero.
    up_mean_bps, up_std_bps : mean and standard deviation of the training outcomes above zero.
    down_mean_bps, down_std_bps : of the others. Both means are moved by the part of the drift that has no evidence.
    drift_t : t-statistic of the mean outcome before shrinking.
    """

    probability: ProbabilityCalibration
    up_mean_bps: float
    up_std_bps: float
    down_mean_bps: float
    down_std_bps: float
    drift_t: float

    def __post_init__(self) -> None:
        numbers = {name: getattr(self, name) for name in _MOVES}
        bad = [name for name, value in numbers.items() if math.isnan(value)]
        bad += [name for name in ("up_std_bps", "down_std_bps") if numbers[name] < 0.0]
        if not bad and not self.up_mean_bps > self.down_mean_bps:
            bad = ["up_mean_bps", "down_mean_bps"]
        if bad:
            raise StatisticsError(
                "a calibration that cannot be applied",
                expected="numbers, deviations of zero or more, rises above falls",
                got=", ".join(f"{name} {numbers[name]:g}" for name in bad),
                next="fit it again with fit_direction_calibration",
            )

    @property
    def pairs(self) -> float:
        """Number of training pairs."""
        return self.probability.pairs

    def apply(self, scores: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        r"""Forecasts of log-odds, of any shape: (mean_bps, std_bps), both of that shape.

        .. math:: \mu = p\,m_u + (1-p)\,m_d, \quad
                  \sigma^2 = p\,s_u^2 + (1-p)\,s_d^2 + p(1-p)(m_u - m_d)^2

        the law of total expectation and of total variance over rise and fall. Missing log-odds (NaN) have a missing
        forecast. The deviation is above zero: no probability is 0 or 1, and rises are not falls.

        Raises
        ------
        StatisticsError : infinite log-odds.

        >>> x = np.linspace(-2.0, 2.0, 200)
        >>> came = np.where(np.sin(40.0 * x) < x / 2.0, 30.0, -30.0)
        >>> mean, std = fit_direction_calibration(x, came).apply([-1.0, 0.0, 1.0])
        >>> mean.round(1).tolist(), std.round(1).tolist()
        ([-9.8, 0.0, 9.8], [28.3, 30.0, 28.3])
        """
        p = self.probability.apply(scores)
        mean = p * self.up_mean_bps + (1.0 - p) * self.down_mean_bps
        between = p * (1.0 - p) * (self.up_mean_bps - self.down_mean_bps) ** 2
        return mean, np.sqrt(p * self.up_std_bps**2 + (1.0 - p) * self.down_std_bps**2 + between)

    def probability_of(self, mean_bps: npt.ArrayLike) -> FloatArray:
        r"""The probability of a rise that a mean which it stated stands for: :math:`(\mu - m_d) / (m_u - m_d)`.

        >>> x = np.linspace(-2.0, 2.0, 200)
        >>> fitted = fit_direction_calibration(x, np.where(np.sin(40.0 * x) < x / 2.0, 30.0, -30.0))
        >>> mean, _ = fitted.apply([-1.0, 1.0])
        >>> bool(np.allclose(fitted.probability_of(mean), fitted.probability.apply([-1.0, 1.0])))
        True
        """
        stated = np.asarray(mean_bps, dtype=np.float64)
        return np.asarray((stated - self.down_mean_bps) / (self.up_mean_bps - self.down_mean_bps))

    def card(self) -> dict[str, float | str]:
        """What a reader should know of it."""
        names = ("kept", "base_rate", "brier", "reliability", "resolution", "uncertainty", "pairs", "independent")
        return {
            "method": self.probability.method,
            **{name: round(getattr(self.probability, name), 4) for name in names},
            **{name: round(getattr(self, name), 4) for name in _MOVES[:4]},
        }

    def to_arrays(self) -> dict[str, FloatArray]:
        """Both maps as named float64 arrays, for a safetensors file."""
        moves = {name: np.array([getattr(self, name)], dtype=np.float64) for name in _MOVES}
        return moves | self.probability.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.float64]]) -> DirectionCalibration:
        """The maps that `to_arrays` wrote.

        Raises
        ------
        StatisticsError : a name is missing or unknown, or an array has another shape.
        """
        wrong = [name for name in _MOVES if name not in arrays or arrays[name].shape != (1,)]
        if wrong:
            raise StatisticsError(
                "arrays that are not a calibration of log-odds",
                expected=f"one value each for {', '.join(_MOVES)}",
                got=f"missing or of another shape: {', '.join(wrong)}",
                next="write them with DirectionCalibration.to_arrays",
            )
        rest = {name: array for name, array in arrays.items() if name not in _MOVES}
        moves = {name: float(arrays[name][0]) for name in _MOVES}
        return cls(probability=ProbabilityCalibration.from_arrays(rest), **moves)


_MOVES = tuple(each.name for each in fields(DirectionCalibration) if each.name != "probability")


def fit_direction_calibration(
    log_odds: npt.ArrayLike, outcomes_bps: npt.ArrayLike, *, horizon_bars: int = 1
) -> DirectionCalibration:
    r"""Fit both maps on training windows.

    The probability is that of `fit_probability_calibration` for outcomes above zero. The means of rises and of falls
    are the training ones, both lowered by :math:`(1 - k)\,\bar y`, with k the share of the mean outcome, the market's
    drift in training, that its t-statistic supports (`shrinkage`): log-odds that know nothing state the shrunk drift,
    as a score that knows nothing does under `fit_score_calibration`.

    Parameters
    ----------
    log_odds, outcomes_bps : [T] or [T, S] of one shape, training windows only, NaN where missing; outcomes are forward
        returns in basis points.
    horizon_bars : how many bars ahead the outcomes look.

    Raises
    ------
    TooFewReturns : fewer than 30 pairs.
    StatisticsError : shapes that differ, an infinite value, outcomes that all rise or never do.

    References
    ----------
    See `fit_probability_calibration` and `fit_score_calibration`.

    >>> x = np.linspace(-2.0, 2.0, 200)
    >>> fitted = fit_direction_calibration(x, np.where(np.sin(40.0 * x) < x / 2.0, 30.0, -30.0))
    >>> fitted.up_mean_bps - fitted.down_mean_bps, fitted.up_std_bps
    (60.0, 0.0)
    """
    stated, came, present = paired(log_odds, outcomes_bps, names=("log-odds", "outcomes"))
    happened = np.where(present, came > 0.0, np.nan)
    probability = fit_probability_calibration(np.where(present, stated, np.nan), happened, horizon_bars=horizon_bars)
    y = came[present]
    drift = float(y.mean())
    influence = np.where(present, came - drift, 0.0).sum(axis=1) / len(y)
    error = math.sqrt(long_run_variance(influence, lags=overlap_lags(len(came), horizon_bars=horizon_bars)))
    drift_t = drift / error if error > 0.0 else math.copysign(math.inf, drift) if drift else 0.0
    unsupported = (1.0 - shrinkage(drift_t)) * drift
    up, down = y[y > 0.0], y[y <= 0.0]
    return DirectionCalibration(
        probability=probability,
        up_mean_bps=float(up.mean()) - unsupported,
        up_std_bps=float(up.std()),
        down_mean_bps=float(down.mean()) - unsupported,
        down_std_bps=float(down.std()),
        drift_t=drift_t,
    )
