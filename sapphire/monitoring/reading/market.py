"""The market that a run traded on: its bars and the settings with which the engine replays it.

The bars come from where the exchange has them: the generated path by its seed, or the folder of candles. Nothing is
read from what the run itself wrote, so a collector that showed other bars would be found out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from sapphire.data.steps import cut_lots, nearest_steps
from sapphire.domain.bars import Bars
from sapphire.domain.errors import MissingData, ValueRefused
from sapphire.domain.intervals import INTERVALS, Interval
from sapphire.domain.money import ATOMS_PER_UNIT
from sapphire.domain.precision import cut
from sapphire.domain.provenance import generated_label

if TYPE_CHECKING:
    from sapphire.data.rows import Rows

__all__ = ["Market", "Marks"]

Candles = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""open_ns [T], ohlc [T, 4] in ticks, volume [T] in lots."""


@dataclass(frozen=True, slots=True)
class Market:
    """Whose bars they are.

    Parameters
    ----------
    seed : of the generated path, of synthetic liquidity and of the delays.
    candles : folder of recorded candles; None for the generated market.
    """

    seed: int
    candles: Path | None

    @property
    def label(self) -> str:
        """One line for every table and plot; a folder of candles is named after the venue that they are from."""
        if self.candles is None:
            from sapphire.data.store import Origin

            return generated_label(Origin.of_seed(self.seed).detail)
        return f"recorded candles ({self.candles.name})"

    @property
    def kind(self) -> Literal["recorded", "generated"]:
        """What evidence says of it: neither is the real market, on which alone paper days count."""
        return "generated" if self.candles is None else "recorded"

    @property
    def source(self) -> str:
        """`embedded` for the generated market, `recorded` for candles."""
        return "embedded" if self.candles is None else "recorded"

    def bars(self, symbols: Sequence[str], interval: Interval, *, rows: int, until_ns: int) -> Bars:
        """The latest `rows` bars that close by `until_ns`, or as many as there are.

        Raises
        ------
        MissingData : no bars at all.
        """
        from sapphire.data.generated import generated_rows
        from sapphire.data.longer_bars import longer_bars
        from sapphire.data.snapshots import panel

        start_ns = until_ns - rows * interval.ns
        parts: dict[str, Rows] = {}
        for symbol in symbols:
            if self.candles is None:
                parts[symbol] = generated_rows(symbol, interval, start_ns, until_ns, seed=self.seed)
            else:
                whole, length = _recorded(self.candles, symbol, interval)
                inside = whole.between(start_ns, until_ns)
                parts[symbol] = inside if length == interval else longer_bars(inside, length, interval)
        bars = panel(parts, interval)
        if not len(bars):
            raise MissingData(f"no {interval} bars of {', '.join(symbols)}", expected=self.label, got="none")
        return bars

    def replay_settings(self, listings: Mapping[str, Mapping[str, Any]], interval: Interval) -> dict[str, Any]:
        """What `sapphire_engine.Replay` is told of the market.

        Parameters
        ----------
        listings : by symbol, the venue's rules in the engine's integers: `tick_atoms`, `lot_atoms` and bounds.
        interval : of the bars that were traded on.

        Raises
        ------
        ValueRefused : candles of several intervals, or prices that are no whole ticks of these rules.
        """
        rules = {symbol: _rules(listing) for symbol, listing in listings.items()}
        if self.candles is None:
            return {"seed": self.seed, "instruments": rules}
        recorded = {symbol: _recorded(self.candles, symbol, interval) for symbol in listings}
        lengths = {length.ns for _, length in recorded.values()}
        if len(lengths) != 1:
            got = ", ".join(f"{symbol} {length}" for symbol, (_, length) in recorded.items())
            raise ValueRefused("recorded candles of several intervals", expected="one interval for all", got=got)
        return {
            "seed": self.seed,
            "candles": {symbol: _in_steps(symbol, rows, rules[symbol]) for symbol, (rows, _) in recorded.items()},
            "candle_interval_ns": lengths.pop(),
            "instruments": rules,
        }

    def marks(
        self,
        symbols: Sequence[str],
        interval: Interval,
        ticks: Mapping[str, int],
        *,
        rows: int,
        until_ns: int,
    ) -> Marks:
        """Closes in ticks, to value positions by; `ticks` is each symbol's tick in quote atoms."""
        bars = self.bars(symbols, interval, rows=rows, until_ns=until_ns)
        return Marks.of(bars, ticks)


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """The last known close of each symbol at each bar's close, in ticks.

    Parameters
    ----------
    close_time_ns : int64 [T].
    ticks : by symbol, int64 [T]; 0 before a symbol's first bar.
    tick_atoms : by symbol, quote atoms of one tick.
    """

    close_time_ns: NDArray[np.int64]
    ticks: Mapping[str, NDArray[np.int64]]
    tick_atoms: Mapping[str, int]

    @classmethod
    def of(cls, bars: Bars, tick_atoms: Mapping[str, int]) -> Marks:
        """From bars.

        Raises
        ------
        ValueRefused : a close that is no whole number of ticks.
        """
        ticks = {}
        for column, symbol in enumerate(bars.symbols):
            known = np.where(bars.listed[:, column], np.arange(len(bars)), -1)
            last = np.maximum.accumulate(known)
            closes = np.where(last >= 0, bars.close[np.maximum(last, 0), column], 0.0)
            ticks[symbol] = whole_steps(closes, tick_atoms[symbol], what=f"closes of {symbol}")
        return cls(bars.close_time_ns, ticks, dict(tick_atoms))

    def value_atoms(self, symbol: str, atoms: int, close_ns: int) -> int:
        """What `atoms` of a symbol's base are worth at a close, cut toward zero as the engine does.

        Raises
        ------
        MissingData : no close known by then.
        """
        if not atoms:
            return 0
        row = int(np.searchsorted(self.close_time_ns, close_ns, side="right")) - 1
        ticks = int(self.ticks[symbol][row]) if row >= 0 else 0
        if not ticks:
            raise MissingData(f"no close of {symbol} by {close_ns} ns", expected="a bar before it is held", got="none")
        product = atoms * ticks * self.tick_atoms[symbol]
        return cut(product, ATOMS_PER_UNIT)


def whole_steps(values: NDArray[np.float64], step_atoms: int, *, what: str) -> NDArray[np.int64]:
    """How many steps of `step_atoms` (1e-8) each value is, exactly.

    Raises
    ------
    ValueRefused : a value between two steps.

    Examples
    --------
    >>> whole_steps(np.array([64250.1]), 1_000_000, what="a price").tolist()
    [6425010]
    """
    step = Decimal(step_atoms) / ATOMS_PER_UNIT
    counts, off = nearest_steps(values, step)
    if off.any():
        raise ValueRefused(
            f"{what} are off the grid",
            expected=f"multiples of {step.normalize():f}",
            got=f"{values[off][0]!r} and {int(off.sum()) - 1:,} more",
            next="the run's market and its rules do not belong together",
        )
    return counts


def _recorded(folder: Path, symbol: str, interval: Interval) -> tuple[Rows, Interval]:
    """The candles of which the exchange had a symbol's bars of an interval, and their own interval."""
    from sapphire.data.candle_files import identify, read_candles

    pair = symbol.replace("/", "")
    found = [path for path in sorted(folder.glob(f"{pair}-*.csv")) if path.stem.removeprefix(f"{pair}-") in INTERVALS]
    if len(found) != 1:
        raise MissingData(
            f"no recorded {interval} candles of {symbol}",
            expected=f"one file {pair}-INTERVAL.csv in {folder}",
            got=", ".join(sorted(each.name for each in folder.glob("*.csv"))) or "no candles",
            next="the folder that the exchange ran on is gone or was changed",
        )
    length = found[0].stem.removeprefix(f"{pair}-")
    return read_candles(identify(found[0], venue="recorded", symbol=symbol, interval=length)), Interval(length)


def _in_steps(symbol: str, rows: Rows, rules: Mapping[str, int]) -> Candles:
    """Candles in ticks and lots, as the exchange counts the same file: its past begins where prices fit its rules."""
    tick, lot = (Decimal(rules[name]) / ATOMS_PER_UNIT for name in ("tick_atoms", "lot_atoms"))
    off = np.flatnonzero(nearest_steps(rows.values[:, :4], tick)[1].any(axis=1))
    if off.size:
        rows = rows.take(slice(int(off[-1]) + 1, None))
    ticks = whole_steps(rows.values[:, :4], rules["tick_atoms"], what=f"prices of {symbol}")
    lots = cut_lots(rows.column("volume"), lot).astype(np.int64)
    return np.asarray(rows.open_time_ns), np.ascontiguousarray(ticks), lots


def _rules(listing: Mapping[str, Any]) -> dict[str, int]:
    names = ("tick_atoms", "lot_atoms", "min_lots", "max_lots", "min_ticks", "max_ticks", "min_notional_atoms")
    return {name: int(listing[name]) for name in names}
