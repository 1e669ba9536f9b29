"""What a screen and a sweep found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.agents import duration_text
from sapphire.research.results.performance import HEADER, Performance
from sapphire.research.results.plots import equity_figure, heatmap_figure, line_up_figure
from sapphire.research.results.showing import Shown, described
from sapphire.statistics import annualise, drawdown_series

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from sapphire.agents import Agent
    from sapphire.research.studies import Study

__all__ = ["Screen", "Sweep", "account_frame", "buy_and_hold"]


def account_frame(equity: pd.Series[float]) -> pd.DataFrame:
    """Equity and drawdown (a fraction, at or below zero) of an account, by close time."""
    import pandas as pd

    return pd.DataFrame({"equity": equity, "drawdown": 0.0 - drawdown_series(equity)}, index=equity.index)


def buy_and_hold(study: Study) -> pd.Series[float]:
    """Growth of one unit spread equally over the symbols at the first tested close and left alone, without costs.

    The share of a symbol that is not listed yet waits in cash; where a bar is missing the last close stands.
    """
    closes = study.tested.frame("close")
    return (closes.ffill() / closes.bfill().iloc[0]).fillna(1.0).mean(axis=1)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Screen(Shown):
    """A first look. Its numbers are vectorbt's; no gate reads them.

    `len` counts its closes, and a loop goes through `(time, equity)`.
    """

    study: Study
    agent: Agent
    equity: pd.Series[float]
    performance: Performance
    trials: int

    @property
    def caption(self) -> str:
        """One line."""
        return (
            f"screen of {described(self.agent)} by vectorbt, long or flat, not evidence: {self.study.label}; "
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

    @property
    def frame(self) -> pd.DataFrame:
        """Equity and drawdown (a fraction, at or below zero) at each close."""
        return account_frame(self.equity)

    def _parts(self) -> Sequence[tuple[Any, ...]]:
        return list(self.equity.items())

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"method": "screen", "agent": self.agent.name, "trials": self.trials, **self.performance.as_dict()}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sweep(Shown):
    """Screens over a grid of parameters, each one counted.

    `len` counts its combinations, and a loop goes through `(parameters, performance)`.
    """

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
        left_out = f", {len(self.refused)} refused by the agent ({self._refusals()})" if self.refused else ""
        return (
            f"sweep of {self.agent.name} over {' x '.join(self.names)}: {len(self.values)} combinations{left_out}, "
            f"each a trial (N = {self.trials} in the ledger); {self.study.label}"
        )

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """The best five by Sharpe ratio: the ones that luck helped most."""
        order = sorted(range(len(self.values)), key=self._sharpe, reverse=True)[:5]
        lines = [(*map(_text, self.values[place]), *self.performances[place].row()) for place in order]
        return (*self.names, *HEADER), lines

    @property
    def figure(self) -> go.Figure:
        """Annual Sharpe ratio: bars over one parameter, a heatmap over the first two and the best of further ones."""
        sharpes = [annualise(row.sharpe, row.per_year) for row in self.performances]
        first, *others = self.names
        title = f"Sweep: {self.agent.name}, screened Sharpe ratio per year (not evidence)"
        if not others:
            names = [_text(value) for (value,) in self.values]
            errors = [annualise(row.sharpe_error, row.per_year) for row in self.performances]
            value = "Sharpe ratio per year"
            return line_up_figure(title, self.study.label, names, sharpes, errors, across=first, value=value)
        second, *further = others
        label = f"{self.study.label}; the best over {', '.join(further)}" if further else self.study.label
        return heatmap_figure(title, label, self._grid(first, second, sharpes), "Sharpe, year")

    @property
    def frame(self) -> pd.DataFrame:
        """One row per combination: its parameters, and the numbers of `Performance.as_dict`."""
        import pandas as pd

        rows = [self._named(values) | performance.as_dict() for values, performance in self._rows()]
        return pd.DataFrame(rows)

    def _parts(self) -> Sequence[tuple[dict[str, Any], Performance]]:
        return [(dict(zip(self.names, values, strict=True)), performance) for values, performance in self._rows()]

    def _rows(self) -> Iterator[tuple[tuple[Any, ...], Performance]]:
        return zip(self.values, self.performances, strict=True)

    def as_dict(self) -> dict[str, Any]:
        """Plain values; parameters that JSON has no word for are given as text."""
        rows = [{"parameters": self._named(values), **performance.as_dict()} for values, performance in self._rows()]
        return {
            "method": "sweep",
            "agent": self.agent.name,
            "trials": self.trials,
            "rows": rows,
            "refused": [self._named(values) for values in self.refused],
        }

    def _grid(self, first: str, second: str, sharpes: Sequence[float]) -> pd.DataFrame:
        """The best ratio for each pair of values, both in the order in which they were given."""
        import pandas as pd

        places = [self.names.index(name) for name in (second, first)]
        keys = [tuple(_text(values[place]) for place in places) for values in self.values]
        pairs = pd.MultiIndex.from_tuples(keys, names=[second, first])
        best = pd.Series(sharpes, index=pairs).groupby(level=[0, 1], sort=False).max().unstack(first)
        rows, columns = (list(dict.fromkeys(of)) for of in zip(*keys, strict=True))
        return best.reindex(index=rows, columns=columns)

    def _refusals(self) -> str:
        """The first few combinations that the agent refused."""
        shown = [", ".join(f"{name}={text}" for name, text in self._named(each).items()) for each in self.refused[:3]]
        return "; ".join(shown) + ("; ..." if len(self.refused) > 3 else "")

    def _named(self, values: tuple[Any, ...]) -> dict[str, Any]:
        """Parameter to value, as JSON can hold it."""
        plain = (value if isinstance(value, int | float | str) else _text(value) for value in values)
        return dict(zip(self.names, plain, strict=True))

    def _sharpe(self, place: int) -> float:
        return float(np.nan_to_num(self.performances[place].sharpe, nan=-np.inf))


def _text(value: Any) -> str:
    """A value of a parameter in a table, a figure or a file."""
    readable = isinstance(value, timedelta) and value >= timedelta(0) and not value % timedelta(milliseconds=1)
    return duration_text(value) if readable else str(value)
