"""Walking an agent forward: in each fold it learns and is calibrated on the past alone, then states views of the test.

What comes out has one row per test bar. In a walk forward no number in it knew a bar that closes after its own row; in
the other splits no number was learned from a test bar of its fold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from sapphire.agents import Agent, Calibrated, Pool, ViewPanel, forecast_panel, view_panel, window_panel
from sapphire.agents.answers import fitted_by
from sapphire.agents.panels import TwinCheck
from sapphire.domain.bars import FIELDS, Bars
from sapphire.domain.clocks import from_ns, to_ns
from sapphire.domain.errors import AgentError, StudyError
from sapphire.domain.progress import Progress
from sapphire.domain.views import Belief
from sapphire.research.results.fitted_scores import probabilities_of, slopes_of
from sapphire.research.runs.splits import Fold, TimeWindow

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from sapphire.registry import ProbabilityFit, ScoreSlope

__all__ = [
    "BeliefPanel",
    "calibrated",
    "one_number",
    "require_once",
    "tested_rows",
    "training_bars",
    "walk_beliefs",
    "walk_views",
]


@dataclass(frozen=True, slots=True, eq=False)
class BeliefPanel:
    """Calibrated forecasts of every test bar.

    Parameters
    ----------
    symbols : one per column.
    horizon : how far the forecasts look.
    close_time_ns : int64 [T], closes of the test bars.
    mean_bps, std_bps : float64 [T, S], NaN where nothing is believed.
    slopes : what each score was worth in the training window of each fold; none where forecasts are stated.
    probabilities : what log-odds were worth there; none where none are stated.
    """

    symbols: tuple[str, ...]
    horizon: timedelta
    close_time_ns: NDArray[np.int64]
    mean_bps: NDArray[np.float64]
    std_bps: NDArray[np.float64]
    slopes: tuple[ScoreSlope, ...] = ()
    probabilities: tuple[ProbabilityFit, ...] = ()

    def frame(self) -> pd.DataFrame:
        """Close time by number and symbol: "mean_bps" and "std_bps"."""
        import pandas as pd

        index = pd.DatetimeIndex(self.close_time_ns.view("datetime64[ns]"), tz="UTC", name="close_time")
        columns = pd.MultiIndex.from_product([("mean_bps", "std_bps"), self.symbols], names=("number", "symbol"))
        return pd.DataFrame(np.hstack([self.mean_bps, self.std_bps]), index=index, columns=columns)

    def at(self, row: int) -> list[Belief]:
        """The beliefs that stand at the close of test bar `row`."""
        as_of = from_ns(int(self.close_time_ns[row]))
        return [
            Belief(symbol, as_of, self.horizon, float(mean), float(std))
            for symbol, mean, std in zip(self.symbols, self.mean_bps[row], self.std_bps[row], strict=True)
            if np.isfinite(mean) and np.isfinite(std)
        ]


def walk_beliefs(agent: Agent, bars: Bars, folds: Sequence[Fold], *, seed: int, on_progress: Progress) -> BeliefPanel:
    """Calibrated forecasts of the folds' test bars, fold after fold.

    An agent is fitted once in each fold, on the bars of its training windows, and states views of each of its test
    windows from the bars up to there. Training windows on both sides of a test are handed to `fit` as bars with a gap;
    what comes after the gap follows what was before it. An outcome across a gap is not known (`outcomes_bps`), so none
    is calibrated on; an agent that takes differences of its own from row to row sees one jump for each gap.

    Raises
    ------
    StudyError : folds that test a bar more than once, a fold without test bars, or one whose training window never made
        the agent state its score.
    TooFewReturns : a training window too short to calibrate a score on.
    """
    require_once(folds)
    means, deviations, closes = [], [], []
    slopes: list[ScoreSlope] = []
    probabilities: list[ProbabilityFit] = []
    for number, fold in enumerate(folds, start=1):
        on_progress(number - 1, len(folds), f"{agent.name}: fold {number} of {len(folds)}")
        train = training_bars(bars, fold)
        tests = [tested_rows(bars, span) for span in fold.testing]
        fitted = calibrated(agent, train, seed)
        slopes.extend(slopes_of(fitted, number))
        probabilities.extend(probabilities_of(fitted, number))
        for start, stop in tests:
            mean, deviation = _forecasts(fitted, train, bars.rows(0, stop), start)
            means.append(mean)
            deviations.append(deviation)
            closes.append(bars.close_time_ns[start:stop])
    on_progress(len(folds), len(folds), f"{agent.name}: {len(folds)} folds")
    return BeliefPanel(
        symbols=bars.symbols,
        horizon=agent.horizon,
        close_time_ns=np.concatenate(closes),
        mean_bps=np.concatenate(means),
        std_bps=np.concatenate(deviations),
        slopes=tuple(slopes),
        probabilities=tuple(probabilities),
    )


def calibrated(agent: Agent, train: Bars, seed: int) -> Agent:
    """The agent fitted and calibrated on `train`; a pool calibrates its own members."""
    whole = agent if isinstance(agent, Calibrated | Pool) else Calibrated(agent)
    return whole.fit(train, seed)


def walk_views(
    agent: Agent, bars: Bars, folds: Sequence[Fold], *, seed: int, on_progress: Progress, check: TwinCheck | None = None
) -> ViewPanel:
    """The agent's own views of the folds' test bars, uncalibrated; it is fitted in each fold if it learns.

    Parameters
    ----------
    check : how a twin is compared with the views; keeps whether it differs.

    Raises
    ------
    StudyError : folds that test a bar more than once, or a fold without test bars.
    """
    require_once(folds)
    if agent.has_twin and not agent.learns:
        first, stop = tested_rows(bars, folds[0].testing[0])[0], tested_rows(bars, folds[-1].testing[-1])[1]
        return _stated(agent, bars.rows(0, stop), first, check)
    parts = []
    for number, fold in enumerate(folds, start=1):
        on_progress(number - 1, len(folds), f"{agent.name}: fold {number} of {len(folds)}")
        fitted = fitted_by(agent, training_bars(bars, fold), seed)
        for span in fold.testing:
            start, end = tested_rows(bars, span)
            parts.append(_stated(fitted, bars.rows(0, end), start, check))
    on_progress(len(folds), len(folds), f"{agent.name}: {len(folds)} folds")
    return _joined(parts)


def _forecasts(fitted: Agent, train: Bars, bars: Bars, first: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation [T, S] at the rows from `first` on; NaN where the agent is silent.

    Raises
    ------
    StudyError : it states a score there and never did in training, so nobody knows what the score is worth.
    """
    if isinstance(fitted, Calibrated) and fitted.calibration is None:
        panel = _stated(fitted.agent, bars, first)
        if panel.score is not None and panel.spoken().to_numpy().any():
            raise StudyError(
                f"{fitted.agent.name} never stated its score in a training window",
                expected=f"more bars than its warm-up of {fitted.warmup}, and views of them",
                got=f"{len(train):,} training bars",
                next="lengthen train, or take an agent that needs fewer bars",
            )
        panel = panel if panel.score is not None else forecast_panel(panel, fitted.agent.name)
    else:
        panel = _stated(fitted, bars, first)
    if panel.mean_bps is None or panel.std_bps is None:  # it said nothing at all
        silent = np.full((len(bars) - first, len(bars.symbols)), np.nan)
        return silent, silent
    return panel.mean_bps.to_numpy(), panel.std_bps.to_numpy()


def _stated(agent: Agent, bars: Bars, first: int, check: TwinCheck | None = None) -> ViewPanel:
    """The views at the rows from `first` on; an agent without a twin is not asked about the rows before."""
    if agent.has_twin:
        panel = view_panel(agent, bars, check)
    elif isinstance(agent, Calibrated):
        panel = agent.forecasts_panel(window_panel(agent.agent, bars, first=first), bars)
    else:
        panel = window_panel(agent, bars, first=first)
    return _from_row(panel, first)


def one_number(views: ViewPanel) -> pd.DataFrame:
    """One number per view, close time by symbol: the score, the mean, or the quantile nearest to the median."""
    if views.score is not None:
        return views.score
    if views.mean_bps is not None:
        return views.mean_bps
    levels = views.quantiles_bps or {}
    return levels[min(levels, key=lambda level: abs(level - 0.5))]


def training_bars(bars: Bars, fold: Fold) -> Bars:
    """The bars that close in the training windows, with a gap where one ends before the next begins."""
    rows = [_rows(bars, span) for span in fold.training]
    if len(rows) == 1:
        return bars.rows(*rows[0])
    kept = np.concatenate([np.arange(start, stop) for start, stop in rows])
    arrays = {name: getattr(bars, name)[kept] for name in ("open_time_ns", *FIELDS, "listed")}
    documents = bars.documents
    if documents is not None:
        closes = bars.close_time_ns
        documents = documents.during((int(bars.open_time_ns[a]), int(closes[b - 1])) for a, b in rows if a < b)
    return Bars(symbols=bars.symbols, interval=bars.interval, documents=documents, **arrays)


def tested_rows(bars: Bars, span: TimeWindow) -> tuple[int, int]:
    """First row and the row behind the last of the bars that close in a test window."""
    start, stop = _rows(bars, span)
    if start == stop:
        raise StudyError(
            "a fold without test bars",
            expected=f"bars that close in {span.start:%Y-%m-%d %H:%M} to {span.end:%Y-%m-%d %H:%M}",
            got="none",
            next="sapphire data check shows the gaps of a snapshot",
        )
    return start, stop


def _rows(bars: Bars, span: TimeWindow) -> tuple[int, int]:
    start, stop = np.searchsorted(bars.close_time_ns, [to_ns(span.start), to_ns(span.end)], side="left")
    return int(start), int(stop)


def require_once(folds: Sequence[Fold]) -> None:
    """Refuse test windows that overlap or go back in time: their views do not form one series."""
    spans = [span for fold in folds for span in fold.testing]
    for earlier, later in pairwise(spans):
        if later.start < earlier.end:
            raise StudyError(
                "folds that test the same time more than once",
                expected="each test window behind the one before, so that there is one account",
                got=f"one from {later.start:%Y-%m-%d %H:%M} behind one to {earlier.end:%Y-%m-%d %H:%M}",
                next="walk_paths puts the folds of a combinatorial split together to several accounts",
            )


def _from_row(panel: ViewPanel, first: int) -> ViewPanel:
    return _made_of(panel, {name: frame.iloc[first:] for name, frame in panel.numbers.items()})


def _joined(parts: Sequence[ViewPanel]) -> ViewPanel:
    """One panel after the other; one in which nothing is said takes the kind of those that speak.

    Raises
    ------
    AgentError : views of different kinds.
    """
    import pandas as pd

    speaking = [part for part in parts if part.spoken().to_numpy().any()]
    like = speaking[0] if speaking else parts[0]
    if any(set(part.numbers) != set(like.numbers) for part in speaking):
        raise AgentError(
            "the views of several folds do not form a panel",
            expected=f"{', '.join(like.numbers)}, as in the first",
            got="; ".join(", ".join(part.numbers) for part in speaking),
            next="state one kind of view, whatever was learned",
        )
    frames = {name: [part.numbers.get(name, _silence(part)) for part in parts] for name in like.numbers}
    return _made_of(like, {name: pd.concat(each) for name, each in frames.items()})


def _silence(part: ViewPanel) -> pd.DataFrame:
    return next(iter(part.numbers.values())) * np.nan


def _made_of(like: ViewPanel, numbers: Mapping[str, pd.DataFrame]) -> ViewPanel:
    """A panel of the kind of `like` from frames under the names of its numbers."""
    levels = like.quantiles_bps
    return ViewPanel(
        like.horizon,
        score=numbers.get("score"),
        mean_bps=numbers.get("mean_bps"),
        std_bps=numbers.get("std_bps"),
        quantiles_bps=levels and {level: numbers[f"q{level:g}"] for level in levels},
    )
