"""Walking an agent forward: in each fold it learns and is calibrated on the past alone, then states views of the test.

What comes out has one row per test bar, and no number in it knew a bar that closes after its own row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from sapphire.agents import Agent, Calibrated, Pool, ViewPanel, view_panel
from sapphire.domain.clocks import from_ns, to_ns
from sapphire.domain.errors import StudyError
from sapphire.domain.views import Belief
from sapphire.research.splits import Fold

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.domain.bars import Bars

__all__ = ["BeliefPanel", "Told", "calibrated", "walk_beliefs", "walk_views"]

Told = Callable[[int, int, str], None]
"""Progress: done, of how many, what is being done."""


@dataclass(frozen=True, slots=True, eq=False)
class BeliefPanel:
    """Calibrated forecasts of every test bar.

    Parameters
    ----------
    symbols : one per column.
    horizon : how far the forecasts look.
    close_time_ns : int64 [T], closes of the test bars.
    mean_bps, std_bps : float64 [T, S], NaN where nothing is believed.
    """

    symbols: tuple[str, ...]
    horizon: timedelta
    close_time_ns: NDArray[np.int64]
    mean_bps: NDArray[np.float64]
    std_bps: NDArray[np.float64]

    def at(self, row: int) -> list[Belief]:
        """The beliefs that stand at the close of test bar `row`."""
        as_of = from_ns(int(self.close_time_ns[row]))
        return [
            Belief(symbol, as_of, self.horizon, float(mean), float(std))
            for symbol, mean, std in zip(self.symbols, self.mean_bps[row], self.std_bps[row], strict=True)
            if np.isfinite(mean) and np.isfinite(std)
        ]


def walk_beliefs(agent: Agent, bars: Bars, folds: Sequence[Fold], *, seed: int, told: Told) -> BeliefPanel:
    """Calibrated forecasts of the folds' test bars.

    Raises
    ------
    StudyError : a fold without test bars.
    TooFewReturns : a training window too short to calibrate a score on.
    """
    means, deviations, closes = [], [], []
    horizon = agent.horizon
    for number, fold in enumerate(folds, start=1):
        told(number - 1, len(folds), f"{agent.name}: fold {number} of {len(folds)}")
        fitted = calibrated(agent, _training(bars, fold), seed)
        start, stop = _test_rows(bars, fold)
        panel = view_panel(fitted, bars.rows(0, stop))
        assert panel.mean_bps is not None  # a calibrated agent states forecasts
        assert panel.std_bps is not None
        means.append(panel.mean_bps.to_numpy()[start:])
        deviations.append(panel.std_bps.to_numpy()[start:])
        closes.append(bars.close_time_ns[start:stop])
    told(len(folds), len(folds), f"{agent.name}: {len(folds)} folds")
    return BeliefPanel(
        symbols=bars.symbols,
        horizon=horizon,
        close_time_ns=np.concatenate(closes),
        mean_bps=np.concatenate(means),
        std_bps=np.concatenate(deviations),
    )


def calibrated(agent: Agent, train: Bars, seed: int) -> Agent:
    """The agent fitted and calibrated on `train`; a pool calibrates its own members."""
    whole = agent if isinstance(agent, Calibrated | Pool) else Calibrated(agent)
    return whole.fit(train, seed)


def walk_views(agent: Agent, bars: Bars, folds: Sequence[Fold], *, seed: int, told: Told) -> ViewPanel:
    """The agent's own views of the folds' test bars, uncalibrated; it is fitted in each fold if it learns."""
    first, stop = _test_rows(bars, folds[0])[0], _test_rows(bars, folds[-1])[1]
    if not agent.learns:
        return _rows(view_panel(agent, bars.rows(0, stop)), first, stop)
    parts = []
    for number, fold in enumerate(folds, start=1):
        told(number - 1, len(folds), f"{agent.name}: fold {number} of {len(folds)}")
        fitted = agent.fit(_training(bars, fold), seed)
        start, end = _test_rows(bars, fold)
        parts.append(_rows(view_panel(fitted, bars.rows(0, end)), start, end))
    told(len(folds), len(folds), f"{agent.name}: {len(folds)} folds")
    return _joined(parts)


def _training(bars: Bars, fold: Fold) -> Bars:
    """The bars that close in the training window."""
    start, stop = np.searchsorted(bars.close_time_ns, [to_ns(fold.train_start), to_ns(fold.train_end)], side="left")
    return bars.rows(int(start), int(stop))


def _test_rows(bars: Bars, fold: Fold) -> tuple[int, int]:
    """First row and the row behind the last of the bars that close in the test window."""
    start, stop = np.searchsorted(bars.close_time_ns, [to_ns(fold.test_start), to_ns(fold.test_end)], side="left")
    if start == stop:
        raise StudyError(
            "a fold without test bars",
            expected=f"bars that close in {fold.test_start:%Y-%m-%d %H:%M} to {fold.test_end:%Y-%m-%d %H:%M}",
            got="none",
            next="sapphire data check shows the gaps of a snapshot",
        )
    return int(start), int(stop)


def _rows(panel: ViewPanel, start: int, stop: int) -> ViewPanel:
    return ViewPanel(
        panel.horizon,
        score=None if panel.score is None else panel.score.iloc[start:stop],
        mean_bps=None if panel.mean_bps is None else panel.mean_bps.iloc[start:stop],
        std_bps=None if panel.std_bps is None else panel.std_bps.iloc[start:stop],
        quantiles_bps=panel.quantiles_bps
        and {level: frame.iloc[start:stop] for level, frame in panel.quantiles_bps.items()},
    )


def _joined(parts: Sequence[ViewPanel]) -> ViewPanel:
    import pandas as pd

    def whole(name: str) -> pd.DataFrame | None:
        frames = [getattr(part, name) for part in parts]
        return None if frames[0] is None else pd.concat(frames)

    levels = parts[0].quantiles_bps
    return ViewPanel(
        parts[0].horizon,
        score=whole("score"),
        mean_bps=whole("mean_bps"),
        std_bps=whole("std_bps"),
        quantiles_bps=levels
        and {level: pd.concat([(part.quantiles_bps or {})[level] for part in parts]) for level in levels},
    )
