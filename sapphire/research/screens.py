"""What a screen and a sweep found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.research.performance import HEADER, Performance
from sapphire.research.plots import equity_figure, heatmap_figure
from sapphire.research.showing import Shown
from sapphire.statistics import annualise, drawdown_series

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from sapphire.agents import Agent
    from sapphire.research.studies import Study

__all__ = ["Screen", "Sweep", "buy_and_hold"]


def buy_and_hold(study: Study) -> pd.Series[float]:
    """Growth of one unit spread equally over the symbols at the first tested close and left alone, without costs."""
    closes = study.tested.frame("close")
    return (closes / closes.bfill().iloc[0]).mean(axis=1)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Screen(Shown):
    """A first look. Its numbers are vectorbt's; no gate reads them."""

    study: Study
    agent: Agent
    equity: pd.Series[float]
    performance: Performance
    trials: int

    @property
    def caption(self) -> str:
        """One line."""
        return (
            f"screen of {self.agent!r} by vectorbt, long or flat, not evidence: {self.study.label}; "
            f"N = {self.trials} trials in the ledger"
        )

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One row."""
        return HEADER, [self.performance.row()]

    @property
    def figure(self) -> go.Figure:
        """Equity against buy-and-hold, drawdown below."""
        import pandas as pd

        growth = self.equity / self.equity.iloc[0]
        curves = pd.DataFrame({self.agent.name: growth, "buy and hold": buy_and_hold(self.study)})
        drawdown = pd.Series(-drawdown_series(self.equity), index=self.equity.index)
        return equity_figure(f"Screen: {self.agent.name} (not evidence)", self.study.label, curves, drawdown)

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"method": "screen", "agent": self.agent.name, "trials": self.trials, **self.performance.as_dict()}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sweep(Shown):
    """Screens over a grid of parameters, each one counted."""

    study: Study
    agent: Agent
    names: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    performances: tuple[Performance, ...]
    refused: tuple[tuple[Any, ...], ...] = field(default=())
    trials: int = 0

    @property
    def caption(self) -> str:
        """One line."""
        left_out = f", {len(self.refused)} refused by the agent" if self.refused else ""
        return (
            f"sweep of {self.agent.name} over {' x '.join(self.names)}: {len(self.values)} combinations{left_out}, "
            f"each a trial (N = {self.trials} in the ledger); {self.study.label}"
        )

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """The best five by Sharpe ratio: the ones that luck helped most."""
        order = sorted(range(len(self.values)), key=self._sharpe, reverse=True)[:5]
        lines = [(*map(str, self.values[place]), *self.performances[place].row()) for place in order]
        return (*self.names, *HEADER), lines

    @property
    def figure(self) -> go.Figure:
        """Annual Sharpe ratio over the first two parameters, the best of any further ones."""
        import pandas as pd

        frame = pd.DataFrame([tuple(map(str, values)) for values in self.values], columns=list(self.names))
        frame["sharpe"] = [annualise(row.sharpe, row.per_year) for row in self.performances]
        first, second = self.names[0], self.names[1] if len(self.names) > 1 else self.names[0]
        if first == second:
            frame["all"], second = "", "all"
        order = {name: list(dict.fromkeys(frame[name])) for name in (first, second)}
        grid = frame.pivot_table(index=second, columns=first, values="sharpe", aggfunc="max")
        grid = grid.reindex(index=order[second], columns=order[first])
        title = f"Sweep: {self.agent.name}, screened Sharpe ratio per year (not evidence)"
        return heatmap_figure(title, self.study.label, grid, "Sharpe, year")

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        rows = [
            {"parameters": dict(zip(self.names, values, strict=True)), **performance.as_dict()}
            for values, performance in zip(self.values, self.performances, strict=True)
        ]
        return {"method": "sweep", "agent": self.agent.name, "trials": self.trials, "rows": rows}

    def _sharpe(self, place: int) -> float:
        return float(np.nan_to_num(self.performances[place].sharpe, nan=-np.inf))
