"""Baselines: what an agent has to beat. None of them reads anything into prices.

Equal weight is `BuyAndHold` with every symbol: it says the same of each, so sizing treats them alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from sapphire.agents.agent import Agent
from sapphire.agents.panels import frame_of, horizon_bars
from sapphire.agents.view_panels import ViewPanel
from sapphire.domain.errors import AgentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.domain.bars import Bars
    from sapphire.domain.views import View
    from sapphire.domain.windows import Window

__all__ = ["BuyAndHold", "Cash", "RandomWalk"]


@dataclass(frozen=True)
class Cash(Agent):
    """Never has a view, so nothing is ever held.

    Parameters
    ----------
    horizon : of the views it does not have.
    """

    horizon: timedelta = timedelta(hours=12)

    @property
    def warmup(self) -> int:
        """One bar."""
        return 1

    def views(self, window: Window) -> list[View]:
        """No view."""
        return []

    def views_panel(self, bars: Bars) -> ViewPanel:
        """No view at any bar."""
        return ViewPanel(score=frame_of(np.full(bars.close.shape, np.nan), bars), horizon=self.horizon)


@dataclass(frozen=True)
class BuyAndHold(Agent):
    """Always bullish, by the same score of 1 at every bar; calibrated, that is the drift of the training window.

    Parameters
    ----------
    symbols : which to hold; empty for all.
    horizon : of the views.
    """

    symbols: tuple[str, ...] = ()
    horizon: timedelta = timedelta(hours=12)

    @property
    def warmup(self) -> int:
        """One bar."""
        return 1

    def views(self, window: Window) -> list[View]:
        """A score of 1 for each symbol that has a bar."""
        listed = window.panel("close").iloc[-1].notna()
        chosen = listed & self._chosen(window.symbols)
        return window.views(score=listed.astype(float).where(chosen), horizon=self.horizon)

    def views_panel(self, bars: Bars) -> ViewPanel:
        """A score of 1 wherever a symbol has a bar."""
        scores = np.where(bars.listed & self._chosen(bars.symbols), 1.0, np.nan)
        return ViewPanel(score=frame_of(scores, bars), horizon=self.horizon)

    def _chosen(self, symbols: tuple[str, ...]) -> NDArray[np.bool_]:
        return np.array([not self.symbols or symbol in self.symbols for symbol in symbols])


@dataclass(frozen=True)
class RandomWalk(Agent):
    r"""No forecast but the spread: mean zero, and the deviation of the latest bars scaled to the horizon.

    .. math:: \mu = 0, \quad \sigma = \sqrt{h}\ \sqrt{\tfrac1n \sum_{i=1}^{n} r_i^2}

    with r the log returns of the last n bars and h the horizon in bars. What a volatility model has to beat.

    Parameters
    ----------
    lookback : n, bars.
    horizon : of the views; a whole number of bars.

    References
    ----------
    RiskMetrics Technical Document (1996), 4th edition, section 5, with equal weights and zero mean.
    """

    lookback: int = 240
    horizon: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        self.require_kinds()
        if self.lookback < 2:
            raise AgentError("a deviation of too few bars", expected="lookback of 2 or more", got=str(self.lookback))

    @property
    def warmup(self) -> int:
        """The bars whose closes make `lookback` returns."""
        return self.lookback + 1

    def views(self, window: Window) -> list[View]:
        """Mean zero and the trailing deviation, for each symbol listed all through the lookback."""
        returns = window.panel("close").tail(self.warmup).apply(np.log).diff().iloc[1:]
        scale = 1e4 * math.sqrt(horizon_bars(self.horizon, window.interval))
        std = scale * (returns**2).mean(skipna=False) ** 0.5
        std = std.where(std > 0.0)
        return window.views(mean_bps=std * 0.0, std_bps=std, horizon=self.horizon)

    def views_panel(self, bars: Bars) -> ViewPanel:
        """The same at every bar."""
        std = np.full(bars.close.shape, np.nan)
        if len(bars) >= self.warmup:
            squares = np.diff(np.log(bars.close), axis=0) ** 2
            latest = np.lib.stride_tricks.sliding_window_view(squares, self.lookback, axis=0)
            scale = 1e4 * math.sqrt(horizon_bars(self.horizon, bars.interval))
            std[self.lookback :] = scale * np.sqrt(latest.mean(axis=-1))
        std[~(std > 0.0)] = np.nan
        return ViewPanel(mean_bps=frame_of(std * 0.0, bars), std_bps=frame_of(std, bars), horizon=self.horizon)
