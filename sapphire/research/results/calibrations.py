"""What a replay's beliefs stood on: what each score was worth in training, and what came of what was believed.

The slope of a score is fitted in each fold's training window and traded in its test window, whatever its sign. What was
believed, of a score that was calibrated or of a forecast that an agent states itself, is held to the outcomes of the
test windows, which nothing was fitted on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.agents import Agent
from sapphire.agents.panels import horizon_bars, outcomes_bps
from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import StatisticsError
from sapphire.registry.calibrations import STATED_COVERAGE, BeliefCheck, CalibrationEvidence, ProbabilityFit, ScoreSlope
from sapphire.research.results.fitted_scores import slopes_in, slopes_of
from sapphire.research.results.plots import reliability_figure, slopes_figure
from sapphire.research.results.probabilities import ProbabilityTable, StatedProbabilities, with_test_scores
from sapphire.research.results.showing import Shown, described
from sapphire.statistics import ReliabilityBin, interval_coverage, mean_calibration, normal_interval

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from sapphire.research.runs.walking import BeliefPanel
    from sapphire.research.studies import Study

__all__ = [
    "CalibrationReport",
    "belief_checks",
    "calibration_of",
    "reliability_points",
    "slopes_in",
    "slopes_of",
    "stated_probabilities",
]

_NO_SCORE = ("no score stated", "", "", "", "")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CalibrationReport(Shown):
    """Fold by fold: the slope of each score in training, and what came of what was believed in the test.

    `len` counts the folds, and a loop goes through what came in each (`BeliefCheck`).

    Parameters
    ----------
    study, agent : of what.
    found : the numbers, as a submit keeps them.
    trials : N in the ledger.
    points : of the reliability diagram of its log-odds, over all test windows; none where there are none.
    """

    study: Study
    agent: Agent
    found: CalibrationEvidence
    trials: int
    points: tuple[ReliabilityBin, ...] = ()

    @property
    def caption(self) -> str:
        """One line."""
        marks = "".join(f"; MARKED: {mark}" for mark in self.found.marks)
        return f"calibration of {described(self.agent)}{marks}; {self.study.label}; N = {self.trials} trials"

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One line per fold and score; of an agent that states forecasts, one line per fold."""
        header = ("fold", "score of", "slope, bps/sd", "t", "traded, bps/sd", "pairs", "outcome per believed bp")
        lines = []
        for check in self.found.checks:
            slopes = [_slope_cells(each) for each in self.found.slopes if each.fold == check.fold]
            slopes += [_odds_cells(each) for each in self.found.probabilities if each.fold == check.fold]
            lines += [(str(check.fold), *cells, *_check_cells(check)) for cells in slopes or [_NO_SCORE]]
        return (*header, f"within {100 * STATED_COVERAGE:g} % interval", "outcomes"), lines

    @property
    def figure(self) -> go.Figure:
        """Slopes by fold with two standard errors: of the scores, or of outcomes on forecasts where none is stated."""
        return slopes_figure(*self._drawn())

    @property
    def reliability_figure(self) -> go.Figure | None:
        """How often the price rose, by the probability that was stated in the test windows; None without log-odds."""
        if not self.points:
            return None
        title = f"What came of stated probabilities of a rise: {self.agent.name}"
        return reliability_figure(title, self.study.label, self.points)

    @property
    def figures(self) -> tuple[go.Figure, ...]:
        """The slopes and, of log-odds, the reliability diagram."""
        diagram = self.reliability_figure
        return (self.figure,) if diagram is None else (self.figure, diagram)

    @property
    def below(self) -> tuple[Shown, ...]:
        """How log-odds were calibrated, where any are stated."""
        folds = tuple(each for each in self.found.probabilities if each.fold)
        return (ProbabilityTable(folds),) if folds else ()

    @property
    def frame(self) -> pd.DataFrame:
        """One row per fold and score: its slope in training, basis points per standard deviation, and what is traded.

        Beside it what came in the fold's test: outcome per believed basis point, and the share of outcomes within the
        stated interval. NaN where a number could not be had.
        """
        import pandas as pd

        checks = pd.DataFrame([asdict(each) for each in self.found.checks]).set_index("fold")
        slopes = pd.DataFrame([asdict(each) | {"t_value": each.t_value} for each in self.found.slopes])
        tested = checks.add_prefix("outcome_")
        return tested.reset_index() if slopes.empty else slopes.join(tested, on="fold")

    def _parts(self) -> Sequence[BeliefCheck]:
        return self.found.checks

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "method": "calibration",
            "agent": self.agent.name,
            "marks": list(self.found.marks),
            **self.found.as_dict(),
        }

    def _drawn(self) -> tuple[str, str, dict[str, list[tuple[int, float, float]]], str, float]:
        """Title, label, name to (fold, slope, error), what the slope is, and what it is held against."""
        if self.found.agents:
            title = f"What the score was worth in training: {self.agent.name}"
            lines = {
                name: [(e.fold, e.slope_bps, e.error_bps) for e in self.found.slopes if e.agent == name]
                for name in self.found.agents
            }
            return title, self.study.label, lines, "slope, bps per standard deviation of score", 0.0
        judged = [(e.fold, e.slope, e.slope_error or 0.0) for e in self.found.checks if e.slope is not None]
        title = f"What came of the forecasts: {self.agent.name}"
        return title, self.study.label, {self.agent.name: judged}, "outcome per forecast basis point", 1.0


def calibration_of(
    study: Study,
    beliefs: BeliefPanel,
    frozen: Sequence[ScoreSlope] = (),
    frozen_probabilities: Sequence[ProbabilityFit] = (),
) -> CalibrationEvidence:
    """What a study's beliefs stood on.

    Parameters
    ----------
    frozen, frozen_probabilities : of the fit that a release has.
    """
    return CalibrationEvidence(
        slopes=beliefs.slopes,
        frozen=tuple(frozen),
        checks=tuple(belief_checks(study, beliefs)),
        probabilities=(*stated_probabilities(study, beliefs).fits, *frozen_probabilities),
    )


def stated_probabilities(study: Study, beliefs: BeliefPanel) -> StatedProbabilities:
    """The probabilities of a rise that were stated at the tested closes, held to what came."""
    folds = np.zeros(len(beliefs.close_time_ns), dtype=np.intp)
    for number, rows in _tested_rows(study, beliefs):
        folds[rows] = number
    return with_test_scores(beliefs.probabilities, folds, beliefs.mean_bps, _came(study, beliefs))


def reliability_points(study: Study, beliefs: BeliefPanel) -> tuple[ReliabilityBin, ...]:
    """Of the reliability diagram of stated log-odds over all test windows; none where none are stated."""
    ahead = horizon_bars(beliefs.horizon, study.evaluation.interval)
    return stated_probabilities(study, beliefs).points(ahead) if beliefs.probabilities else ()


def belief_checks(study: Study, beliefs: BeliefPanel) -> Iterator[BeliefCheck]:
    """What came of what was believed, one fold's test window after the other.

    Outcomes that lie behind the end of the study's bars, in its hold-out, are not known and not looked at.
    """
    ahead = horizon_bars(beliefs.horizon, study.evaluation.interval)
    came = _came(study, beliefs)
    for number, rows in _tested_rows(study, beliefs):
        yield _check(number, beliefs.mean_bps[rows], beliefs.std_bps[rows], came[rows], ahead)


def _came(study: Study, beliefs: BeliefPanel) -> NDArray[np.float64]:
    """The outcome of each belief, [T, S]; NaN where it is not known."""
    places = np.searchsorted(study.evaluation.close_time_ns, beliefs.close_time_ns)
    return np.asarray(outcomes_bps(study.evaluation, beliefs.horizon).to_numpy()[places])


def _tested_rows(study: Study, beliefs: BeliefPanel) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """The number of each fold, and which rows of the beliefs are of its test windows."""
    closes = beliefs.close_time_ns
    for number, fold in enumerate(study.folds, start=1):
        rows = np.zeros(len(closes), dtype=np.bool_)
        for span in fold.testing:
            rows |= (closes >= to_ns(span.start)) & (closes < to_ns(span.end))
        yield number, rows


def _check(
    number: int, mean: NDArray[np.float64], std: NDArray[np.float64], came: NDArray[np.float64], ahead: int
) -> BeliefCheck:
    pairs = int((np.isfinite(mean) & np.isfinite(std) & np.isfinite(came)).sum())
    slope = error = p_value = coverage = coverage_error = None
    try:
        line = mean_calibration(mean, came, horizon_bars=ahead)
        slope, error, p_value = line.slope, line.slope_error, line.p_value
    except StatisticsError:
        pass
    try:
        low, high = normal_interval(mean, std, stated=STATED_COVERAGE)
        inside = interval_coverage(low, high, came, stated=STATED_COVERAGE, horizon_bars=ahead)
        coverage, coverage_error = inside.realised, inside.standard_error
    except StatisticsError:
        pass
    return BeliefCheck(
        fold=number,
        slope=slope,
        slope_error=error,
        p_value=p_value,
        coverage=coverage,
        coverage_error=coverage_error,
        pairs=pairs,
    )


def _slope_cells(slope: ScoreSlope) -> tuple[str, ...]:
    t_value = f"{slope.t_value:+.2f}" if math.isfinite(slope.t_value) else "exact"
    worth = f"{slope.slope_bps:+.2f} ± {slope.error_bps:.2f}"
    return slope.agent, worth, t_value, f"{slope.traded_bps:+.2f}", f"{slope.pairs:,}"


def _odds_cells(fit: ProbabilityFit) -> tuple[str, ...]:
    return fit.agent, "log-odds, see below", f"{fit.t_value:+.2f}", f"{100 * fit.kept:.0f} % kept", f"{fit.pairs:,}"


def _check_cells(check: BeliefCheck) -> tuple[str, str, str]:
    slope = "not known" if check.slope is None else f"{check.slope:+.2f} ± {check.slope_error or 0.0:.2f}"
    inside = "not known"
    if check.coverage is not None and check.coverage_error is not None:
        inside = f"{100 * check.coverage:.1f} ± {100 * check.coverage_error:.1f} %"
    return slope, inside, f"{check.pairs:,}"
