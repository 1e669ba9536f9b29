"""Traders whose worth is known: some toss coins, one reads the signal that a planted market shows.

In: closed bars.  Out: one view per symbol.  Never: reads a price; the coins are a hash of the date.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from sapphire.agents.agent import Agent
from sapphire.agents.panels import frame_of
from sapphire.agents.view_panels import ViewPanel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.domain.bars import Bars
    from sapphire.domain.views import View
    from sapphire.domain.windows import Window

__all__ = ["SIGNAL_VOLUME", "CoinTrader", "SignalTrader"]

SIGNAL_VOLUME = 100_000.0
"""A planted market trades more than this on a day after which it drifts up, and less before it drifts down."""

_MEAN_BPS, _STD_BPS = 30.0, 300.0
_GOLDEN = 0x9E3779B97F4A7C15
_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


@dataclass(frozen=True)
class CoinTrader(Agent):
    """Bullish or bearish by a coin that is tossed every few bars: it trades and knows nothing.

    Parameters
    ----------
    coin : which coin; each is independent of the others.
    variant : the same again, to be swept over.
    hold_bars : bars between two tosses.
    horizon : of the views.
    """

    coin: int = 0
    variant: int = 0
    hold_bars: int = 5
    horizon: timedelta = timedelta(days=1)

    @property
    def warmup(self) -> int:
        """One bar."""
        return 1

    def views(self, window: Window) -> list[View]:
        """A forecast up or down for each symbol that has a bar."""
        last = window.bars.rows(len(window.bars) - 1, len(window.bars))
        panel = self.views_panel(last)
        assert panel.mean_bps is not None
        assert panel.std_bps is not None
        return window.views(mean_bps=panel.mean_bps.iloc[-1], std_bps=panel.std_bps.iloc[-1], horizon=self.horizon)

    def views_panel(self, bars: Bars) -> ViewPanel:
        """The same at every bar."""
        mean = np.where(bars.listed, np.where(self.bullish(bars), _MEAN_BPS, -_MEAN_BPS), np.nan)
        std = np.where(bars.listed, _STD_BPS, np.nan)
        return ViewPanel(mean_bps=frame_of(mean, bars), std_bps=frame_of(std, bars), horizon=self.horizon)

    def bullish(self, bars: Bars) -> NDArray[np.bool_]:
        """Whether it is, [T, S]."""
        toss = (bars.close_time_ns // (self.hold_bars * bars.interval.ns)).astype(np.uint64)
        named = _mixed(_mixed(np.uint64(self.coin) + _one()) + np.uint64(self.variant))
        columns = [
            _mixed(_mixed(toss + named) + np.uint64(column)) >> np.uint64(63) for column in range(bars.listed.shape[1])
        ]
        return np.asarray(np.column_stack(columns) == 1)


@dataclass(frozen=True)
class SignalTrader(CoinTrader):
    """Bullish after a day of high volume, which is what a planted market rewards; its other variants toss coins.

    Parameters
    ----------
    coin, variant : the variant 0 reads the signal; each other one is a coin of its own.
    hold_bars : bars between two tosses of a coin.
    horizon : of the views.
    """

    def bullish(self, bars: Bars) -> NDArray[np.bool_]:
        """Whether the volume is high; or the coin's."""
        return np.asarray(bars.volume > SIGNAL_VOLUME) if self.variant == 0 else super().bullish(bars)


def _one() -> np.uint64:
    return np.uint64(1)


def _mixed(value: NDArray[np.uint64] | np.uint64) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014): neighbours get unrelated bits."""
    with np.errstate(over="ignore"):
        mixed = np.atleast_1d(np.asarray(value, np.uint64)) + np.uint64(_GOLDEN)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(_MIX[0])
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(_MIX[1])
        return np.asarray(mixed ^ (mixed >> np.uint64(31)), np.uint64)
