"""Markets of known worth: generated ones, which are martingales, and planted ones, whose drift follows a signal."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np

from sapphire.data import Measure, Rows, Snapshot, import_candles, snapshot
from sapphire.data.candle_files import write_csv
from sapphire.domain.clocks import to_ns
from sapphire.domain.intervals import Interval
from sapphire.research.proof.settings import END, INTERVAL, PLANTED_SHARPES, START, SYMBOL
from sapphire.research.proof.traders import SIGNAL_VOLUME

__all__ = ["VENUE", "generated_market", "planted_edge", "planted_market", "planted_sharpe"]

VENUE = "planted"
"""The venue that planted candles are said to be of, in every label and hash."""

_DEVIATION = 0.01
"""Of a day's return; an account with an edge may not grow tenfold, where the standard limits end."""
_START_PRICE = 20_000.0
_WICK = 0.002
_PER_YEAR = 365


def generated_market(number: int, *, seed: int) -> Snapshot:
    """The generated market of a seed of its own: nothing in its past tells of its future."""
    return snapshot(
        [SYMBOL], interval=INTERVAL, start=START, end=END, source="embedded", seed=seed * 1_000_003 + number
    )


def planted_sharpe(number: int) -> float:
    """True Sharpe ratio per year of who trades on the signal of a planted market, long or flat."""
    return PLANTED_SHARPES[number % len(PLANTED_SHARPES)]


def planted_edge(per_year: float) -> tuple[float, float]:
    r"""True Sharpe ratios per bar of who is long on the signal or flat: whole, and beside the market's.

    .. math:: r_{t+1} = \mu s_t + \sigma \epsilon, \quad
              \mathrm{SR} = \frac{\mu/2}{\sqrt{\sigma^2/2 + \mu^2/4}}, \quad
              \mathrm{SR}_{\mathrm{active}} = \mu / \sigma = \mathrm{SR} \sqrt{2 / (1 - \mathrm{SR}^2)}

    with the signal s up or down by a fair coin. Half of the market's return is the trader's; what is left is half of
    the return with the sign of the signal.

    >>> total, active = planted_edge(2.0)
    >>> round(total, 4), round(active, 4)
    (0.1047, 0.1489)
    """
    ratio = per_year / math.sqrt(_PER_YEAR)
    return ratio, ratio * math.sqrt(2.0 / (1.0 - ratio**2))


def planted_market(number: int, *, seed: int) -> Snapshot:
    """A market whose next day drifts with the sign of today's signal, which the day's volume shows.

    It is imported as candles of a venue of its own. Its Sharpe ratio is zero: nothing but the signal earns anything.
    """
    interval = Interval(INTERVAL)
    opens = np.arange(to_ns(START), to_ns(END), interval.ns, dtype=np.int64)
    random = np.random.default_rng([seed, number])
    signal = np.where(random.random(len(opens)) < 0.5, -1.0, 1.0)
    drift = _DEVIATION * planted_edge(planted_sharpe(number))[1]
    returns = drift * np.concatenate([[0.0], signal[:-1]]) + _DEVIATION * random.standard_normal(len(opens))
    close = np.round(_START_PRICE * np.cumprod(1.0 + returns), 2)
    start = np.concatenate([[_START_PRICE], close[:-1]])
    high = np.round(np.maximum(start, close) * (1.0 + _WICK * random.random(len(opens))), 2)
    low = np.round(np.minimum(start, close) * (1.0 - _WICK * random.random(len(opens))), 2)
    volume = np.round(SIGNAL_VOLUME * (1.0 + signal * random.uniform(0.1, 0.6, len(opens))), 3)
    rows = Rows(Measure.BARS, opens, np.column_stack([start, high, low, close, volume]))
    with tempfile.TemporaryDirectory() as folder:
        write_csv(Path(folder) / f"{SYMBOL.replace('/', '')}-{INTERVAL}.csv", rows)
        import_candles(folder, venue=VENUE)
    return snapshot([SYMBOL], interval=INTERVAL, start=START, end=END, venue=VENUE)
