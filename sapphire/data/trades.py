"""Trades into bars: the first price opens, the last closes, the amounts are the volume.

A bar is made where the file holds all of its trades as far as it can show: what comes before the first whole bar, and
the bar of the last trade, are left out, because trades of theirs may lie outside the file. A bar in which nobody traded
is not made.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sapphire.data.candle_cells import Cells
from sapphire.data.candle_columns import Columns
from sapphire.data.candle_names import CandleFile
from sapphire.data.candle_tables import Table
from sapphire.data.decimals import FINEST_DECIMALS, as_decimals, decimals_of
from sapphire.data.quality import Finding, noise
from sapphire.data.rows import Measure, Rows
from sapphire.domain.errors import BadBars
from sapphire.domain.intervals import Interval

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["bars_of_trades", "read_trades"]

_TRADE_COLUMNS = ("timestamp", "id", "type", "side", "price", "amount", "cost")
"""Of freqtrade's trades where the file does not name them."""


def bars_of_trades(
    times_ns: NDArray[np.int64], prices: NDArray[np.float64], amounts: NDArray[np.float64], interval: Interval
) -> Rows:
    """Whole bars of trades.

    Parameters
    ----------
    times_ns : int64 [N], UTC nanoseconds, in order; trades of one moment stand in the order in which they happened.
    prices, amounts : float64 [N], quote per base and base.
    interval : length of a bar.

    Examples
    --------
    >>> minute = 60_000_000_000
    >>> times = np.array([0, 20, 50, 70, 130]) * 1_000_000_000
    >>> prices, amounts = np.array([5.0, 7.0, 6.0, 8.0, 9.0]), np.array([0.1, 0.2, 0.3, 1.0, 1.0])
    >>> bars = bars_of_trades(times, prices, amounts, Interval("1m"))
    >>> bars.open_time_ns.tolist() == [0, minute], bars.values.tolist()
    (True, [[5.0, 7.0, 5.0, 6.0, 0.6], [8.0, 8.0, 8.0, 8.0, 1.0]])
    """
    if not times_ns.size:
        return Rows.empty(Measure.BARS)
    opens = times_ns - times_ns % interval.ns
    first = np.flatnonzero(np.diff(opens, prepend=opens[0] - 1))
    last = np.append(first[1:], opens.size) - 1
    volume = np.add.reduceat(amounts, first)
    decimals = int(decimals_of(amounts).max())
    volume = as_decimals(volume) if decimals > FINEST_DECIMALS else np.round(volume, decimals)
    columns = [
        prices[first],
        np.maximum.reduceat(prices, first),
        np.minimum.reduceat(prices, first),
        prices[last],
        volume,
    ]
    made = Rows(Measure.BARS, opens[first], np.column_stack(columns))
    begins = opens[0] if times_ns[0] == opens[0] else opens[0] + interval.ns
    return made.between(int(begins), int(opens[-1]))


def read_trades(file: CandleFile, table: Table, *, repair: bool) -> tuple[Rows, tuple[Finding, ...]]:
    """Bars of a file of trades, and what was done on the way.

    Parameters
    ----------
    repair : put the trades in order and drop exact repeats first.

    Raises
    ------
    BadBars : columns that are not a trade's, a trade without price or amount, trades out of order or twice.
    """
    names = table.names or (_TRADE_COLUMNS if table.cells.num_columns == len(_TRADE_COLUMNS) else ())
    lacking = [name for name in ("timestamp", "price", "amount") if names.count(name) != 1]
    if lacking:
        raise BadBars(
            f"{file.path.name} does not name {', '.join(lacking)} once",
            expected=f"freqtrade's columns {', '.join(_TRADE_COLUMNS)}",
            got=table.shown,
            next="get the file again",
        )
    named = replace(table, names=tuple(names))
    columns = Columns((names.index("timestamp"),), 0, (names.index("price"), names.index("amount")), False)
    cells = Cells(file, named, columns)
    times, raw = cells.times(), cells.numbers()
    values = as_decimals(raw)
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1) | (values <= 0).any(axis=1))
    if bad.size:
        row = int(bad[0])
        raise BadBars(
            f"{file.path.name} has a trade without price or amount",
            expected="both above zero",
            got=f"price {raw[row, 0]:.12g}, amount {raw[row, 1]:.12g} at {table.place(row)}",
            next="get the file again",
        )
    kept = _trades_in_order(file, table, names, times, values, repair=repair)
    bars = bars_of_trades(times[kept], values[kept, 0], values[kept, 1], file.series.length)
    made = Finding(
        "trades", False, len(kept), 0, f"bars of {file.series.interval}", f"{len(bars):,} whole bars made of trades"
    )
    return bars, (*noise(raw, values), made)


def _trades_in_order(
    file: CandleFile,
    table: Table,
    names: tuple[str, ...],
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    *,
    repair: bool,
) -> NDArray[np.intp]:
    """Places of the trades in order, each once."""
    order = np.argsort(times, kind="stable")
    twice = np.zeros(len(times), np.bool_)
    ids = table.cells.column(names.index("id")) if "id" in names else None
    if ids is not None and not ids.null_count:
        twice[1:] = _repeats(ids, order, times, values)
    disordered = bool((np.diff(times) < 0).any())
    if (disordered or twice.any()) and not repair:
        raise BadBars(
            f"trades {'out of order' if disordered else 'repeat'} in {file.path.name}",
            expected="each trade once, after the one before",
            got=f"{int((np.diff(times) < 0).sum()):,} steps back, {int(twice.sum()):,} repeats",
            next=f"{file.command()} --repair",
        )
    return order[~twice]


def _repeats(
    ids: pa.ChunkedArray, order: NDArray[np.intp], times: NDArray[np.int64], values: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether each trade in order, from the second on, repeats the one before it in id, time, price and amount."""
    codes = ids.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)[order]
    same = (np.diff(codes) == 0) & (np.diff(times[order]) == 0)
    return np.asarray(same & (values[order][1:] == values[order][:-1]).all(axis=1), np.bool_)
