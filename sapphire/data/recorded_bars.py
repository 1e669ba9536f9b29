"""Recorded bars of a universe for a range of time, and what is missing of them where they do not cover it.

A symbol that was listed or delisted inside the range has no bars before and after; the store cannot tell that from bars
that nobody collected, so whoever asks says so. A hole between two bars that are there is always missed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sapphire.data.longer_bars import longer_bars, shorter_series
from sapphire.data.rows import Measure, Rows
from sapphire.data.series import EMBEDDED, Series
from sapphire.data.store import Span, Store, StoredSeries
from sapphire.domain.display import stamp
from sapphire.domain.errors import MissingData, ValueRefused
from sapphire.domain.intervals import Interval

__all__ = ["listed_in_range", "made_from", "recorded_bars"]


def listed_in_range(symbols: tuple[str, ...], named: Sequence[str]) -> frozenset[str]:
    """The symbols that need not cover the range.

    Raises
    ------
    ValueRefused : one that was not asked for.
    """
    within = (named,) if isinstance(named, str) else tuple(named)
    others = [symbol for symbol in within if symbol not in symbols]
    if others:
        raise ValueRefused("listed_within", expected=f"some of {', '.join(symbols)}", got=", ".join(others))
    return frozenset(within)


def recorded_bars(
    symbols: tuple[str, ...], interval: Interval, span: Span, venue: str, within: frozenset[str]
) -> tuple[dict[str, Rows], dict[str, StoredSeries], dict[str, str]]:
    """Recorded bars of each symbol, what is known of them, and the interval that longer ones were made from.

    Parameters
    ----------
    within : symbols that were listed or delisted inside the range.

    Raises
    ------
    MissingData : they do not cover the range.
    """
    start_ns, end_ns = span
    store = Store()
    lacking: list[str] = []
    rows: dict[str, Rows] = {}
    known: dict[str, StoredSeries] = {}
    made: dict[str, str] = {}
    for symbol in symbols:
        series = Series(venue, symbol, Measure.BARS, interval.text)
        shorter = shorter_series(store, series)
        for entry in (store.find(series), *shorter):
            if entry is None or _missing(store, entry, span, within=symbol in within):
                continue
            known[symbol] = entry
            rows[symbol] = store.read(entry.series, start_ns, end_ns)
            if not len(rows[symbol]):
                lacking.append(f"{symbol}: {venue} had no bars in this range")
            elif entry in shorter:
                made[symbol] = entry.series.interval
                rows[symbol] = longer_bars(rows[symbol], entry.series.length, interval)
                if not len(rows[symbol]):
                    lacking.append(f"{symbol}: no {interval} bar of which every {entry.series.interval} part is there")
            break
        else:
            lacking.append(_lacking(store, series, shorter, start_ns, end_ns))
    if lacking:
        raise MissingData(
            f"recorded {interval} bars of {venue} do not cover the request",
            expected=f"bars that open from {stamp(start_ns)} until before {stamp(end_ns)}",
            got="\n".join(lacking),
            next=_how_to_get(symbols, interval, start_ns, end_ns, venue)
            + _or_listed_within(store, symbols, interval, span, venue),
        )
    return rows, known, made


def _missing(store: Store, entry: StoredSeries, span: Span, *, within: bool) -> list[Span]:
    """The parts of a range that a series does not cover; of one that was listed within it, only the holes."""
    if not within or not entry.covered:
        return store.missing(entry.series, *span)
    start_ns, end_ns = max(span[0], entry.covered[0][0]), min(span[1], entry.covered[-1][1])
    return store.missing(entry.series, start_ns, end_ns) if start_ns < end_ns else []


def _or_listed_within(store: Store, symbols: tuple[str, ...], interval: Interval, span: Span, venue: str) -> str:
    """What can be done where every symbol that lacks bars lacks them only before its first or after its last."""
    named = []
    for symbol in symbols:
        entry = store.find(Series(venue, symbol, Measure.BARS, interval.text))
        if entry is not None and not store.missing(entry.series, *span):
            continue
        if entry is None or not entry.covered or _missing(store, entry, span, within=True):
            return ""
        first, last = max(entry.covered[0][0], span[0]), min(entry.covered[-1][1], span[1])
        if first >= last:
            return ""
        named.append((symbol, first, last))
    if not named:
        return ""
    names = ", ".join(f'"{symbol}"' for symbol, _, _ in named)
    spans = ", ".join(f"{symbol} has bars from {stamp(first)} to {stamp(last)}" for symbol, first, last in named)
    return (
        f"\nor, if it was listed or delisted inside the range: listed_within=[{names}] "
        f"({' '.join(f'--listed-within {symbol}' for symbol, _, _ in named)})\nor take the range that it has: {spans}"
    )


def _lacking(store: Store, series: Series, shorter: Sequence[StoredSeries], start_ns: int, end_ns: int) -> str:
    """What is missing of a series, and of the longest that it could be made of."""

    def without(of: Series) -> str:
        missing = store.missing(of, start_ns, end_ns)
        spans = ", ".join(f"{stamp(first)} to {stamp(last)}" for first, last in missing[:3])
        return f"without {spans}" + (f" and {len(missing) - 3} more stretches" if len(missing) > 3 else "")

    if store.find(series) is not None:
        return f"{series.symbol} {without(series)}"
    others = [entry.series for entry in store.stored() if entry.series.symbol == series.symbol]
    listed = ", ".join(f"{other.interval} {other.measure} on {other.venue}" for other in others)
    parts = (
        f"; {shorter[0].series.interval} bars, of which they can be made, {without(shorter[0].series)}"
        if shorter
        else ""
    )
    return f"nothing of {series.symbol}" + (f" (recorded: {listed})" if listed else "") + parts


def made_from(made: Mapping[str, str], symbols: int) -> str:
    """Of which shorter bars, in words: one interval where it is the same for all."""
    if len(made) == symbols and len(set(made.values())) == 1:
        return next(iter(made.values()))
    return ", ".join(f"{symbol} {interval}" for symbol, interval in made.items())


def _how_to_get(symbols: tuple[str, ...], interval: Interval, start_ns: int, end_ns: int, venue: str) -> str:
    url = " --url URL --seed SEED" if venue == EMBEDDED else ""
    collect = (
        f"sapphire data collect {' '.join(symbols)} --interval {interval} --start {stamp(start_ns)} "
        f"--end {stamp(end_ns)} --exchange {venue}{url}"
    )
    if venue == EMBEDDED:
        return f'{collect}\nor source="embedded" for the generated market itself'
    return f"{collect}\nor, for candle files: sapphire data import FOLDER --venue {venue}"
