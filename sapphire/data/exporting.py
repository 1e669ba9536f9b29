"""Exporting: bars of candle files as the CSVs that the embedded exchange reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sapphire.data.candle_files import CandleFile, write_csv
from sapphire.data.importing import recognised, sound
from sapphire.data.rows import Measure
from sapphire.domain.errors import MissingData, ValueRefused
from sapphire.domain.instruments import InstrumentKind
from sapphire.domain.intervals import INTERVALS

__all__ = ["export_candles"]


def export_candles(
    source: str | Path,
    target: str | Path,
    symbols: Sequence[str],
    *,
    interval: str | None = None,
    kind: InstrumentKind | None = None,
) -> list[Path]:
    """Write the bars of a folder's candle files as the CSVs that `exchange --candles` reads, one per pair.

    Parameters
    ----------
    source : a folder of candle files.
    target : the folder to write to. Files of the same pairs are replaced, those of other intervals too, because the
        exchange reads one per pair.
    symbols : "BTC/USDT" or "BTCUSDT".
    interval : which bars; the shortest that every pair has, unless said.
    kind : spot or perpetual bars; may be left out where a pair has one of them in that interval.

    Returns
    -------
    The files written, in the order of `symbols`.

    Raises
    ------
    MissingData : a pair without such bars, or no interval that all have.
    ValueRefused : more than one file to choose from.
    BadBars : a file with a fault. Nothing is written then.
    """
    files = list(recognised(Path(source)))
    bars = [file for file in files if file.series.measure is Measure.BARS and kind in (None, file.series.kind)]
    wanted = [_joined(symbol) for symbol in symbols]
    common = [interval] if interval else _common_intervals(wanted, bars)
    chosen = [_choose(pair, bars, common[0]) for pair in wanted]
    rows = [sound(file, repair=False, now_ns=None)[1] for file in chosen]
    written = []
    for pair, part in zip(wanted, rows, strict=True):
        path = Path(target) / f"{pair}-{common[0]}.csv"
        write_csv(path, part)
        for other in Path(target).glob(f"{pair}-*.csv"):
            if other != path:
                other.unlink()
        written.append(path)
    return written


def _common_intervals(pairs: Sequence[str], bars: Sequence[CandleFile]) -> list[str]:
    """Intervals in which every pair has bars, shortest first."""
    held = [{file.series.interval for file in bars if _joined(file.series.symbol) == pair} for pair in pairs]
    common = sorted(set.intersection(*held) if held else set(), key=INTERVALS.index)
    if not common:
        said = "; ".join(f"{pair}: {', '.join(sorted(each)) or 'none'}" for pair, each in zip(pairs, held, strict=True))
        raise MissingData(
            "the candle files have no bars that all pairs share",
            expected="one interval for all",
            got=said or "no pairs",
        )
    return common


def _choose(pair: str, bars: Sequence[CandleFile], interval: str) -> CandleFile:
    """The one file with bars of `pair`."""
    fits = [file for file in bars if _joined(file.series.symbol) == pair and file.series.interval == interval]
    if not fits:
        held = sorted({f"{_joined(file.series.symbol)} {file.series.interval}" for file in bars})
        raise MissingData(
            f"no candle file with {interval} bars of {pair}",
            expected="one of " + (", ".join(held) or "none: the folder holds no such bars"),
            got=pair,
        )
    if len(fits) > 1:
        raise ValueRefused(
            f"{pair} has more than one file of {interval} bars",
            expected="one",
            got=", ".join(file.path.name for file in fits),
            next="name the kind (spot or perpetual), or put one of them elsewhere",
        )
    return fits[0]


def _joined(symbol: str) -> str:
    """The venue's joined name of a pair, BTCUSDT."""
    return symbol.split(":", 1)[0].replace("/", "").upper()
