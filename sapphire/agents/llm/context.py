"""Context: what a language model is shown of a window, typed, and never later than the window's moment.

In:    a window.  Out: a few lines of text for each symbol, as short as a small model needs them.
Never: reads a clock; shows what the window does not have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from sapphire.agents.llm.prompts import without_markup
from sapphire.agents.llm.shown_features import feature_text, latest_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.domain.documents import Document
    from sapphire.domain.windows import Window

__all__ = ["Context", "Indicators", "contexts_of", "horizon_text"]

_RSI_BARS = 14
_HEADLINE = 120
"""Characters of a headline that are shown."""


@dataclass(frozen=True, slots=True)
class Indicators:
    """What a window's bars come to, of one symbol.

    Parameters
    ----------
    volatility_bps : standard deviation of the returns of a bar.
    from_mean_bps : of the close from the mean of the window's closes.
    rsi : relative strength index over 14 bars (Wilder 1978, with plain means), 0 to 100.
    volume_ratio : of the latest bar's volume to the window's mean; nan where nothing was traded.
    """

    volatility_bps: float
    from_mean_bps: float
    rsi: float
    volume_ratio: float


@dataclass(frozen=True, slots=True)
class Context:
    """What is shown of one symbol.

    Parameters
    ----------
    symbol : "BTC/USDT".
    as_of : the window's moment.
    interval : length of a bar, "1h".
    returns_bps : of the latest bars, oldest first.
    indicators : see `Indicators`.
    headlines : of news of the symbol, oldest first.
    read : ids of the documents that they are of.
    named : whether symbol and date are shown.
    features : name and value of each feature that is shown, at the latest bar.
    """

    symbol: str
    as_of: datetime
    interval: str
    returns_bps: tuple[float, ...]
    indicators: Indicators
    headlines: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    named: bool = True
    features: tuple[tuple[str, float], ...] = ()

    @property
    def text(self) -> str:
        """The lines of a prompt."""
        about = self.indicators
        what = f"{self.symbol}, {self.as_of:%Y-%m-%d %H:%M} UTC" if self.named else "A coin"
        lines = [
            f"{what}, bars of {self.interval}.",
            f"Returns of the last {len(self.returns_bps)} bars in bps, oldest first: "
            + " ".join(f"{value:.0f}" for value in self.returns_bps)
            + ".",
            f"Volatility {about.volatility_bps:.0f} bps a bar. From its mean {about.from_mean_bps:+.0f} bps. "
            f"RSI {about.rsi:.0f}."
            + (f" Volume {about.volume_ratio:.1f} of its mean." if math.isfinite(about.volume_ratio) else ""),
        ]
        if self.features:
            lines.append(" ".join(feature_text(name, value) for name, value in self.features))
        if self.headlines:
            lines.append("News: " + " / ".join(self.headlines))
        return "\n".join(lines)


def contexts_of(
    window: Window,
    *,
    bars: int,
    memory: int,
    named: bool = True,
    news: int = 0,
    since: timedelta | None = None,
    features: Sequence[str] = (),
) -> list[Context]:
    """One context for each symbol that was listed in all of the window's latest bars.

    Parameters
    ----------
    bars : returns that are shown; the window has one bar more at least.
    memory : latest bars that the indicators are made of, however long the window is.
    named : whether symbol and date are shown. A model that was trained on later years may remember both.
    news : headlines of a symbol that are shown, the latest; the window must have documents where there are any.
    since : how far back news count; as far as the window goes unless given.
    features : names of features that are shown; one is left out where the window does not have it, or where it is not
        finite at the latest bar.

    Raises
    ------
    MissingData : news are wanted, and nobody looked for any.
    LeakFound : a feature has a row after the window's moment.
    """
    remembered = window.bars.tail(memory)
    values = {name: latest_values(window, name) for name in features}
    documents = window.documents("news", None if since is None else window.as_of - since) if news else ()
    found = []
    for column, symbol in enumerate(window.symbols):
        close, volume = remembered.close[:, column], remembered.volume[:, column]
        if len(close) < bars + 1 or not np.isfinite(close[-bars - 1 :]).all():
            continue
        about = [each for each in documents if symbol in each.symbols][-news:] if news else []
        found.append(
            Context(
                symbol=symbol,
                as_of=window.as_of,
                interval=window.interval.text,
                returns_bps=tuple((1e4 * np.diff(np.log(close[-bars - 1 :]))).tolist()),
                indicators=_indicators(close, volume),
                headlines=tuple(_headline(each) for each in about),
                read=tuple(each.id for each in about),
                named=named,
                features=tuple((name, of[symbol]) for name, of in values.items() if symbol in of),
            )
        )
    return found


def horizon_text(horizon: timedelta) -> str:
    """A horizon in words.

    Examples
    --------
    >>> horizon_text(timedelta(hours=12)), horizon_text(timedelta(minutes=90)), horizon_text(timedelta(days=1))
    ('12 hours', '90 minutes', '1 day')
    """
    minutes = horizon // timedelta(minutes=1)
    for length, unit in ((1_440, "day"), (60, "hour"), (1, "minute")):
        if minutes and minutes % length == 0:
            count = minutes // length
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{horizon.total_seconds():g} seconds"


def _headline(document: Document) -> str:
    return without_markup(document.title or document.text, _HEADLINE)


def _indicators(close: NDArray[np.float64], volume: NDArray[np.float64]) -> Indicators:
    listed = close[np.isfinite(close)]
    moves = np.diff(np.log(listed))
    latest = moves[-_RSI_BARS:]
    up, down = float(latest.clip(min=0.0).sum()), float((-latest).clip(min=0.0).sum())
    mean_volume = float(np.nanmean(volume))
    return Indicators(
        volatility_bps=1e4 * float(moves.std()),
        from_mean_bps=1e4 * float(listed[-1] / listed.mean() - 1.0),
        rsi=100.0 * up / (up + down) if up + down > 0.0 else 50.0,
        volume_ratio=float(volume[-1]) / mean_volume if mean_volume > 0.0 else math.nan,
    )
