"""Momentum: an idea to begin with. What rose over the last bars keeps rising, for a while.

In: closed bars.  Out: one score per symbol.  Never: sizes, orders, I/O, the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sapphire import Agent, View, Window
from sapphire.agents import ViewPanel
from sapphire.domain import Bars


@dataclass(frozen=True)
class Momentum(Agent):
    """Return over the last `lookback` bars. What a unit of it is worth is fitted by the study, on training data."""

    lookback: int = 24
    horizon: timedelta = timedelta(hours=12)

    @property
    def warmup(self) -> int:
        """Closed bars that a view needs."""
        return self.lookback + 1

    def views(self, window: Window) -> list[View]:
        """One score for each symbol, from closed bars only."""
        close = window.panel("close")  # time x symbol
        return window.views(score=close.iloc[-1] / close.iloc[-1 - self.lookback] - 1.0, horizon=self.horizon)

    def views_panel(self, bars: Bars) -> ViewPanel:
        """The same for every bar at once, which makes studies fast; `sapphire agent check` compares the two."""
        close = bars.frame("close")
        return ViewPanel(score=close / close.shift(self.lookback) - 1.0, horizon=self.horizon)
