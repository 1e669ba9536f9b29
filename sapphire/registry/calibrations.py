"""What forecasts were worth, as evidence: the slope of each score in each fold, and what came of what was believed.

A calibration takes a score by its slope, whatever its sign: an agent called "trend" whose slopes are negative is traded
as a reversal, and is marked so wherever it is shown. A forecast that is stated as mean and deviation, or as quantiles,
has no score that could be turned; it is held to what came of it, fold by fold, as a calibrated score is too. A score
that is the log-odds of a rise is calibrated as a probability, which is never turned: what is kept of it is shown, and
Brier's score of it in its parts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sapphire.domain.errors import ValueRefused

__all__ = ["REVERSED", "STATED_COVERAGE", "BeliefCheck", "CalibrationEvidence", "ProbabilityFit", "ScoreSlope"]

REVERSED = "score is traded reversed"
"""The mark of a release that trades against its own score."""
STATED_COVERAGE = 0.8
"""Probability of the central interval whose coverage is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSlope:
    """What an agent's score was worth in a training window.

    Parameters
    ----------
    agent : whose score.
    fold : number, from 1; 0 for the fit that the release has frozen.
    slope_bps, error_bps : change of the outcome per standard deviation of score, and its standard error
        (heteroskedasticity, overlap and symbols that move together allowed for).
    traded_bps : the slope that is traded: shrunk by what the t-value supports, zero where that is within 1 of zero.
    pairs : number of scores with a known outcome.

    Raises
    ------
    ValueRefused : a number that is not finite, an error or a count below zero.
    """

    agent: str
    fold: int
    slope_bps: float
    error_bps: float
    traded_bps: float
    pairs: int

    def __post_init__(self) -> None:
        numbers = (self.slope_bps, self.error_bps, self.traded_bps)
        if not all(map(math.isfinite, numbers)) or self.error_bps < 0.0 or self.fold < 0 or self.pairs < 0:
            raise ValueRefused("slope of a score", expected="finite numbers, counts of zero or more", got=repr(self))

    @property
    def t_value(self) -> float:
        """Slope over its error."""
        if self.error_bps > 0.0:
            return self.slope_bps / self.error_bps
        return math.copysign(math.inf, self.slope_bps) if self.slope_bps else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbabilityFit:
    """What an agent's log-odds were worth in a training window, and what came of them in the test.

    Parameters
    ----------
    agent : whose log-odds.
    fold : number, from 1; 0 for the fit that the release has frozen.
    method : "platt", "temperature" or "isotonic".
    kept : share of the distance from the base rate that the evidence carries; 0 where they are worth nothing.
    t_value : of outcomes on fitted probabilities, overlap and symbols that move together allowed for.
    base_rate : share of the outcomes that rose.
    up_bps, down_bps : what a rise and what a fall is worth.
    brier, reliability, resolution, uncertainty : of the calibrated probabilities on the training pairs themselves; the
        score is the first part less the second plus the third.
    pairs, independent : number of log-odds with a known outcome, and of the independent ones that they amount to.
    test_brier, test_reliability, test_resolution, test_uncertainty, test_pairs : of the fold's test window, which
        nothing was fitted on; None and 0 where the probabilities cannot be had there: of a frozen fit, in a pool.

    Raises
    ------
    ValueRefused : a number that is not finite, a share out of range, a count below zero.
    """

    agent: str
    fold: int
    method: str
    kept: float
    t_value: float
    base_rate: float
    up_bps: float
    down_bps: float
    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    pairs: int
    independent: float
    test_brier: float | None = None
    test_reliability: float | None = None
    test_resolution: float | None = None
    test_uncertainty: float | None = None
    test_pairs: int = 0

    def __post_init__(self) -> None:
        numbers = [each for each in asdict(self).values() if isinstance(each, float)]
        shares = (self.kept, self.base_rate, self.brier, self.uncertainty)
        counts = (self.fold, self.pairs, self.independent, self.test_pairs)
        sound = all(map(math.isfinite, numbers)) and all(0.0 <= each <= 1.0 for each in shares)
        if not sound or min(counts) < 0:
            raise ValueRefused("fit of log-odds", expected="finite numbers, shares from 0 to 1, counts", got=repr(self))

    @property
    def test_skill(self) -> float | None:
        """Share of the test's uncertainty that the probabilities take away; None where it is not known."""
        if self.test_brier is None or not self.test_uncertainty:
            return None
        return 1.0 - self.test_brier / self.test_uncertainty


@dataclass(frozen=True, slots=True, kw_only=True)
class BeliefCheck:
    """What came of what was believed in the test window of a fold.

    Parameters
    ----------
    fold : number, from 1.
    slope, slope_error : outcome per believed mean (Mincer and Zarnowitz): 1 where the means mean what they say, below
        zero where what they call up went down; None where the means or the outcomes do not vary, or are too few.
    p_value : of intercept 0 and slope 1 together; None as above.
    coverage, coverage_error : share of the outcomes inside of the central interval that was stated to hold
        `STATED_COVERAGE` of them, and its error; None where they are too few.
    pairs : number of beliefs with a known outcome.

    Raises
    ------
    ValueRefused : a number that is not finite, a share or a probability out of range.
    """

    fold: int
    slope: float | None
    slope_error: float | None
    p_value: float | None
    coverage: float | None
    coverage_error: float | None
    pairs: int

    def __post_init__(self) -> None:
        shares = [each for each in (self.p_value, self.coverage) if each is not None]
        numbers = [each for each in (self.slope, self.slope_error, self.coverage_error) if each is not None]
        sound = all(0.0 <= each <= 1.0 for each in shares) and all(map(math.isfinite, numbers))
        if not sound or self.fold < 1 or self.pairs < 0:
            raise ValueRefused("check of a belief", expected="finite numbers, shares from 0 to 1", got=repr(self))

    @property
    def t_value(self) -> float | None:
        """Of slope 0: whether the believed means know anything."""
        if self.slope is None or not self.slope_error:
            return None
        return self.slope / self.slope_error


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationEvidence:
    """What scores were worth and what came of beliefs, fold by fold.

    Parameters
    ----------
    slopes : of each score in each fold's training window; none of an agent that states forecasts.
    frozen : of each score in the fit that the release has.
    checks : of what was believed in each fold's test window.
    probabilities : of log-odds, in each fold and, as fold 0, in the fit that the release has.
    """

    slopes: tuple[ScoreSlope, ...] = ()
    frozen: tuple[ScoreSlope, ...] = ()
    checks: tuple[BeliefCheck, ...] = ()
    probabilities: tuple[ProbabilityFit, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values. Evidence of scores reads as it did before there were log-odds, to the last byte."""
        plain = asdict(self)
        return plain if self.probabilities else {key: plain[key] for key in plain if key != "probabilities"}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> CalibrationEvidence:
        """What `as_dict` gave."""
        kinds = {"slopes": ScoreSlope, "frozen": ScoreSlope, "checks": BeliefCheck, "probabilities": ProbabilityFit}
        if set(plain) | {"probabilities"} != set(kinds):
            raise ValueRefused("calibration of the evidence", expected=", ".join(kinds), got=", ".join(sorted(plain)))
        return cls(**{name: tuple(kind(**each) for each in plain.get(name, ())) for name, kind in kinds.items()})

    @property
    def agents(self) -> tuple[str, ...]:
        """Those that state scores."""
        return tuple(dict.fromkeys(each.agent for each in (*self.slopes, *self.frozen)))

    @property
    def negative_share(self) -> float | None:
        """Largest share, over the agents, of fits with a negative slope, the frozen one among them; None without any.

        Where no score is stated: the share of folds in which what was believed to go up went down.
        """
        if self.agents:
            return max(_negative([e.slope_bps for e in self._fits if e.agent == name]) for name in self.agents)
        judged = [each.slope for each in self.checks if each.slope is not None]
        return _negative(judged) if judged else None

    @property
    def least_abs_t(self) -> float | None:
        """The t-value nearest to zero of the same slopes; None without any, or where one has no finite value."""
        if self.agents:
            values = [abs(each.t_value) for each in self._fits]
        else:
            values = [abs(each.t_value) for each in self.checks if each.t_value is not None]
        least = min(values, default=math.inf)
        return least if math.isfinite(least) else None

    @property
    def coverage_gap(self) -> float | None:
        """Largest distance, over the folds, of the realised from the stated coverage."""
        return max((abs(e.coverage - STATED_COVERAGE) for e in self.checks if e.coverage is not None), default=None)

    @property
    def mean_p_value(self) -> float | None:
        """Probability of means as far from meaning what they say, over all folds (Bonferroni)."""
        found = [each.p_value for each in self.checks if each.p_value is not None]
        return min(1.0, len(found) * min(found)) if found else None

    @property
    def marks(self) -> tuple[str, ...]:
        """What has to be said of it wherever it is shown: the scores that are traded reversed."""
        marks = []
        for name in self.agents:
            folds = [each for each in self.slopes if each.agent == name]
            turned = sum(each.traded_bps < 0.0 for each in folds)
            frozen = any(each.traded_bps < 0.0 for each in self.frozen if each.agent == name)
            if turned or frozen:
                where = [f"in {turned} of {len(folds)} folds"] if turned else []
                where += ["as it is released"] if frozen else []
                whose = f"{name}: " if len(self.agents) > 1 else ""
                marks.append(f"{whose}{REVERSED} {' and '.join(where)}")
        return tuple(marks)

    @property
    def _fits(self) -> tuple[ScoreSlope, ...]:
        return (*self.slopes, *self.frozen)


def _negative(slopes: list[float]) -> float:
    return sum(each < 0.0 for each in slopes) / len(slopes)
