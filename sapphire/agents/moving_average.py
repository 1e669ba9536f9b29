"""Moving-average cross.

In: closed bars.  Out: one view per symbol.  Never: sizes, orders, I/O, the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sapphire.agents.agent import Agent
from sapphire.agents.view_panels import ViewPanel
from sapphire.domain.errors import AgentError

if TYPE_CHECKING:
    from sapphire.domain.bars import Bars
    from sapphire.domain.views import View
    from sapphire.domain.windows import Window

__all__ = ["MovingAverageCross"]


@dataclass(frozen=True)
class MovingAverageCross(Agent):
    """How far the fast average stands above the slow one.

    Parameters
    ----------
    fast, slow : lengths of the averages, bars; fast below slow.
    horizon : how far the score is meant to look.

    Raises
    ------
    AgentError : fast is not below slow, or below one bar.
    """

    fast: int = 12
    slow: int = 48
    horizon: timedelta = timedelta(hours=12)

    def __post_init__(self) -> None:
        self.require_kinds()
        if not 1 <= self.fast < self.slow:
            raise AgentError(
                "averages that cannot cross",
                expected="1 <= fast < slow, both in bars",
                got=f"fast {self.fast}, slow {self.slow}",
            )

    @property
    def warmup(self) -> int:
        """The slow average's length."""
        return self.slow

    def views(self, window: Window) -> list[View]:
        """One score per symbol."""
        close = window.panel("close")
        score = close.tail(self.fast).mean() / close.tail(self.slow).mean() - 1.0
        return window.views(score=score, horizon=self.horizon)

    def views_panel(self, bars: Bars) -> ViewPanel:
        """The scores of every bar."""
        close = bars.frame("close")
        fast, slow = (close.rolling(length, min_periods=1).mean() for length in (self.fast, self.slow))
        return ViewPanel(score=fast / slow - 1.0, horizon=self.horizon)
