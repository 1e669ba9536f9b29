"""Information before money: whether views go with what came after, for how long, and in which order of quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.agents import horizon_bars
from sapphire.research.ledger import recording
from sapphire.research.results.plots import decay_figure, quantile_figure
from sapphire.research.results.showing import Shown, described
from sapphire.research.runs.walking import one_number
from sapphire.statistics import forward_returns, information_decay, returns_by_quantile

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from sapphire.agents import Agent, ViewPanel
    from sapphire.domain.bars import Bars
    from sapphire.research.studies import Study
    from sapphire.statistics import Information, QuantileReturn

__all__ = ["InformationReport", "inform"]

_HORIZON_SHARES = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class InformationReport(Shown):
    """Rank information coefficients by horizon, and forward returns by quantile of the view.

    `len` counts the horizons, and a loop goes through them (`Information`).
    """

    study: Study
    agent: Agent
    decay: tuple[Information, ...]
    quantiles: tuple[QuantileReturn, ...]
    trials: int = 0

    @property
    def mean_ic(self) -> tuple[float, ...]:
        """Mean rank IC of each horizon."""
        return tuple(row.mean for row in self.decay)

    @property
    def caption(self) -> str:
        """One line."""
        return (
            f"information of {described(self.agent)} over the tested bars: {self.study.label}; "
            f"N = {self.trials} trials in the ledger"
        )

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One line per horizon."""
        lines = [
            (
                self._horizon(row),
                f"{row.mean:+.4f} ± {row.standard_error:.4f}",
                f"{row.t_statistic:+.2f}",
                f"{row.times:,}",
            )
            for row in self.decay
        ]
        return ("horizon", "rank IC ± SE", "t", "bars"), lines

    @property
    def figure(self) -> go.Figure:
        """Decay of the rank IC."""
        return decay_figure(
            f"Rank information of {self.agent.name} by horizon",
            self.study.label,
            [self._horizon(row) for row in self.decay],
            [row.mean for row in self.decay],
            [row.standard_error for row in self.decay],
        )

    @property
    def quantile_figure(self) -> go.Figure:
        """Forward return by quantile of the view."""
        return quantile_figure(
            f"Forward return by quantile of {self.agent.name}",
            self.study.label,
            [1e4 * row.mean for row in self.quantiles],
            [1e4 * row.standard_error for row in self.quantiles],
        )

    @property
    def figures(self) -> tuple[go.Figure, ...]:
        """Decay and quantiles."""
        return self.figure, self.quantile_figure

    @property
    def frame(self) -> pd.DataFrame:
        """One row per horizon, in bars: rank IC, its standard error, t and the number of closes."""
        import pandas as pd

        rows = [(row.mean, row.standard_error, row.t_statistic, row.times) for row in self.decay]
        horizons = pd.Index([row.horizon_bars for row in self.decay], name="horizon_bars")
        return pd.DataFrame(rows, index=horizons, columns=["rank_ic", "standard_error", "t", "closes"])

    def _parts(self) -> Sequence[Information]:
        return self.decay

    def as_dict(self) -> dict[str, Any]:
        """Plain values; an empty quantile has null for its mean."""
        return {
            "method": "information",
            "agent": self.agent.name,
            "trials": self.trials,
            "decay": [
                {"horizon_bars": row.horizon_bars, "rank_ic": row.mean, "standard_error": row.standard_error}
                for row in self.decay
            ],
            "quantiles": [
                {
                    "quantile": row.quantile,
                    "mean_bps": 1e4 * row.mean if row.count else None,
                    "standard_error_bps": 1e4 * row.standard_error if row.count else None,
                    "outcomes": row.count,
                }
                for row in self.quantiles
            ],
        }

    def _horizon(self, row: Information) -> str:
        return f"{row.horizon_bars} x {self.study.data.interval}"


def inform(study: Study, agent: Agent, views: ViewPanel) -> InformationReport:
    """Measure the views against the tested bars' own closes; outcomes beyond the hold-out's border are not used.

    Horizons that are longer than the tested bars are left out. It is in the ledger before anything is measured.

    Raises
    ------
    HoldoutSealed : the study's bars meet a sealed hold-out.
    LedgerDamaged : the ledger does not verify, or lines are missing.
    """
    (begun,) = recording.begin(study, [recording.about(study, agent, "information", sizing={})])
    stated = _on_the_grid(one_number(views).to_numpy(), study.tested)
    closes = _on_the_grid(study.tested.close, study.tested)
    ahead = horizon_bars(agent.horizon, study.data.interval)
    horizons = sorted({max(1, round(share * ahead)) for share in _HORIZON_SHARES})
    horizons = [horizon for horizon in horizons if horizon < len(closes)] or horizons[:1]
    outcomes = forward_returns(closes, horizon_bars=ahead)
    report = InformationReport(
        study,
        agent,
        information_decay(stated, closes, horizons_bars=horizons),
        returns_by_quantile(stated, outcomes, horizon_bars=ahead),
    )
    numbers = np.asarray(report.mean_ic)
    recording.record(study, [recording.evaluation(study, begun, numbers, has_returns=False)])
    return report


def _on_the_grid(values: NDArray[np.float64], bars: Bars) -> NDArray[np.float64]:
    """One row per interval [T, S], NaN where a bar is missing, so that a horizon is as long in a gap as elsewhere."""
    rows = (bars.open_time_ns - bars.open_time_ns[0]) // bars.interval.ns
    grid = np.full((int(rows[-1]) + 1, values.shape[1]), np.nan)
    grid[rows] = values
    return grid
