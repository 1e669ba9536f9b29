"""Longer bars, made from shorter ones that are held.

A longer bar is made where every part of it is there: the first part opens it, the last closes it, high and low are the
parts' extremes, the volume their sum. Where a part is missing the bar is not made, and is missing like any other:
nobody can tell a minute in which nobody traded from one that was not recorded. `window.resample` does the same.
"""

from __future__ import annotations

import numpy as np

from sapphire.data.decimals import summed
from sapphire.data.rows import Measure, Rows
from sapphire.data.series import Series
from sapphire.data.store import Store, StoredSeries
from sapphire.domain.intervals import INTERVALS, Interval

__all__ = ["longer_bars", "shorter_series"]


def shorter_series(store: Store, series: Series) -> list[StoredSeries]:
    """The series of the same market in shorter bars that the interval is made of, the longest first."""
    shorter = [
        store.find(Series(series.venue, series.symbol, series.measure, interval))
        for interval in reversed(INTERVALS[: INTERVALS.index(series.interval)])
        if series.length.is_multiple_of(Interval(interval))
    ]
    return [entry for entry in shorter if entry is not None]


def longer_bars(rows: Rows, shorter: Interval, longer: Interval) -> Rows:
    """Whole longer bars of shorter ones.

    Parameters
    ----------
    rows : bars of `shorter`, in order.
    longer : a whole multiple of `shorter`.

    Examples
    --------
    >>> values = [[1, 3, 1, 2, 0.1], [2, 5, 2, 4, 0.2], [4, 4, 1, 1, 0.3]]
    >>> half_hours = np.array([0, 1, 2]) * Interval("30m").ns
    >>> hours = longer_bars(Rows(Measure.BARS, half_hours, np.array(values)), Interval("30m"), Interval("1h"))
    >>> hours.open_time_ns.tolist(), hours.values.tolist()
    ([0], [[1.0, 5.0, 1.0, 4.0, 0.3]])
    """
    parts = longer.ns // shorter.ns
    opens = rows.open_time_ns - rows.open_time_ns % longer.ns
    first = np.flatnonzero(np.diff(opens, prepend=-1 - longer.ns))
    whole = first[np.diff(first, append=len(rows)) == parts]
    places = whole + np.arange(parts)[:, np.newaxis]
    made = [
        rows.column("open")[whole],
        rows.column("high")[places].max(axis=0, initial=-np.inf),
        rows.column("low")[places].min(axis=0, initial=np.inf),
        rows.column("close")[whole + parts - 1],
        summed(rows.column("volume")[places]),
    ]
    return Rows(Measure.BARS, opens[whole], np.column_stack(made))
