"""The windows of the demo, in bars: how much its study takes, how it splits that, and what trades on paper behind it.

A study of the full length is thirty days of five-minute bars. Where there is less, every length shrinks with it, the
agents' memories too; below a least length a model could not be fitted, and nothing begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sapphire.agents import duration_text
from sapphire.agents.release import MAX_AGE
from sapphire.domain.display import stamp
from sapphire.domain.intervals import Interval

__all__ = ["FULL", "PAPER", "SPARE", "Windows", "least_bars", "most_bars", "training_bars"]

FULL = 8640
"""Bars of a study of the full length."""
PAPER = 500
"""Bars that trade on paper where nobody says how many and there are enough."""
SPARE = 2
"""Bars behind the last that trades: a market closes where its candles end."""

_CONTEXT, _BATCH, _VALIDATION = 32, 64, 4
"""Of Lag-Llama: positions of a context, contexts of a batch, and one in how many judges."""
_SHORTEST = {"fast": 2, "slow": 12, "memory": 12, "horizon": 1, "long_horizon": 1}
_FULL_LENGTHS = {"fast": 48, "slow": 288, "memory": 240, "horizon": 12, "long_horizon": 48}
"""Bars of the agents' lengths in a study of the full length."""


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of one demo.

    Parameters
    ----------
    start_ns : open time of the study's first bar.
    bars : of the study, counted as if none were missing.
    interval : length of a bar.
    paper : bars that trade on paper behind the study.
    """

    start_ns: int
    bars: int
    interval: Interval
    paper: int

    @property
    def end_ns(self) -> int:
        """Where the study ends and trading begins."""
        return self.start_ns + self.bars * self.interval.ns

    @property
    def start(self) -> str:
        """The first moment, ISO 8601."""
        return stamp(self.start_ns)

    @property
    def end(self) -> str:
        """Where trading begins, ISO 8601."""
        return stamp(self.end_ns)

    @property
    def showing(self) -> dict[str, Any]:
        """Parameters of the notebook that shows agents: the training half of the study and a fifth of it more."""
        lengths = _lengths(self.bars)
        end_ns = self.start_ns + self.bars * 7 // 10 * self.interval.ns
        horizon = self._text(lengths["horizon"])
        return {"start": self.start, "end": stamp(end_ns), "horizon": horizon, "memory": lengths["memory"]}

    @property
    def studying(self) -> dict[str, Any]:
        """Parameters of the notebook that studies: half to train on, tests of a tenth each, a sealed sixth."""
        lengths = _lengths(self.bars)
        return self._span | {
            "train": self._text(self.bars // 2),
            "test": self._text(self.bars // 10),
            "embargo": self._text(lengths["horizon"]),
            "horizon": self._text(lengths["horizon"]),
            "fast": lengths["fast"],
            "slow": lengths["slow"],
        }

    @property
    def promoting(self) -> dict[str, Any]:
        """Parameters of the notebook that promotes: the same with one test of a third."""
        lengths = _lengths(self.bars)
        return self.studying | {
            "test": self._text(self.bars // 3),
            "horizon": self._text(lengths["long_horizon"]),
            "memory": lengths["memory"],
        }

    @property
    def _span(self) -> dict[str, str]:
        return {"start": self.start, "end": self.end, "holdout": self._text(self.bars // 6)}

    def _text(self, bars: int) -> str:
        """A length in bars as text, "15d"."""
        return duration_text(timedelta(seconds=bars * self.interval.seconds))


def training_bars(bars: int, symbols: int) -> int:
    """Bars that the training window of a study of so many bars has to hold, for a model of so many symbols.

    The model's warm-up, a batch of contexts to judge by in its last quarter, and what lies between the two.
    """
    lengths = _lengths(bars)
    warmup = _CONTEXT + lengths["memory"]
    judged = -(-_BATCH // symbols)
    return max(warmup + _VALIDATION * (judged + 2) + 4 * lengths["long_horizon"], lengths["slow"] + 1)


def most_bars(interval: Interval) -> tuple[int, int]:
    """Bars that a study, and what trades behind it, may have at most.

    A release may be used for `MAX_AGE` after its training, which ends where the hold-out begins: half is for the
    hold-out, a sixth of the study, and half for trading.
    """
    half = int(MAX_AGE.total_seconds() // interval.seconds) // 2
    return min(FULL, 6 * half), half


def least_bars(symbols: int) -> int:
    """Bars of the shortest study, for so many symbols."""
    return next(bars for bars in range(60, FULL) if bars // 2 >= training_bars(bars, symbols))


def _lengths(bars: int) -> dict[str, int]:
    """Lengths of the agents in a study of so many bars."""
    return {name: max(_SHORTEST[name], round(full * min(1.0, bars / FULL))) for name, full in _FULL_LENGTHS.items()}
