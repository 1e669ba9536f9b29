"""Importing: recorded candle files into the store, and out of it the CSVs that the embedded exchange reads.

A bad file is refused whole, and a folder with one bad file is refused whole: everything is read and checked before
anything is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sapphire.data import quality
from sapphire.data.candle_files import SUFFIXES, CandleFile, identify, read_candles, rewrite_candles, write_csv
from sapphire.data.rows import Measure, Rows
from sapphire.data.series import EMBEDDED, Series
from sapphire.data.store import Span, Store
from sapphire.domain.clocks import Clock, WallClock
from sapphire.domain.display import bundle, stamp
from sapphire.domain.errors import BadBars, DataError, MissingData, ValueRefused
from sapphire.domain.instruments import InstrumentKind
from sapphire.domain.intervals import INTERVALS

__all__ = ["Imported", "Imports", "check_candles", "export_candles", "import_candles"]


@dataclass(frozen=True, slots=True)
class Imported:
    """One file that was imported.

    Parameters
    ----------
    file : its name.
    series : what it holds.
    rows, added : rows in it, and how many of them are new to the store.
    covered : the stretch it stands for.
    report : what the checks found.
    """

    file: str
    series: Series
    rows: int
    added: int
    covered: Span
    report: quality.QualityReport


@dataclass(frozen=True, slots=True)
class Imports:
    """Files that were imported together."""

    files: tuple[Imported, ...]

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return {
            "files": [
                {
                    "file": one.file,
                    "venue": one.series.venue,
                    "symbol": one.series.symbol,
                    "kind": str(one.series.kind),
                    "measure": str(one.series.measure),
                    "interval": one.series.interval,
                    "rows": one.rows,
                    "added": one.added,
                    "start": stamp(one.covered[0]),
                    "end": stamp(one.covered[1]),
                    "missing_rows": sum(finding.count for finding in one.report.findings),
                }
                for one in self.files
            ]
        }

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        header = ["series", "kind", "from", "to", "rows", "new", "missing"]
        lines = [
            [
                f"{one.series.symbol} {one.series.measure} {one.series.interval}",
                str(one.series.kind),
                stamp(one.covered[0]),
                stamp(one.covered[1]),
                f"{one.rows:,}",
                f"{one.added:,}",
                f"{sum(finding.count for finding in one.report.findings):,}",
            ]
            for one in self.files
        ]
        return bundle(f"imported {len(self.files)} files", header, lines)

    def __str__(self) -> str:
        return self._repr_mimebundle_()["text/plain"]


def import_candles(
    path: str | Path,
    *,
    venue: str = "binance",
    repair: bool = False,
    store: Store | None = None,
    clock: Clock | None = None,
) -> Imports:
    """Import a candle file, or every candle file of a folder; `sapphire.data.candle_files` says which names are known.

    Parameters
    ----------
    path : a file or a folder.
    venue : where the candles were recorded, ccxt's id.
    repair : put rows in order and drop exact repeats first; the file itself stays as it is.
    store : where to; the home's own unless given.
    clock : what "the future" is measured by; the machine's unless given.

    Raises
    ------
    BadBars : an unreadable file, or a fault in it; file, row and what was expected are named. Nothing is imported then.
    DataError : a name that says nothing, a folder without candle files.
    ValueRefused : the embedded exchange as venue; its bars are collected, not imported.
    """
    store = store or Store()
    now_ns = (clock or WallClock()).now_ns()
    if venue == EMBEDDED:
        raise ValueRefused(
            "candle files of the embedded exchange",
            expected="the venue where they were recorded",
            got=venue,
            next="sapphire data collect --exchange embedded asks the exchange itself",
        )
    files = [identify(file, venue=venue) for file in _candle_paths(Path(path))]
    read = [(file, *_sound(file, repair=repair, now_ns=now_ns)) for file in files]
    for series in dict.fromkeys(file.series for file in files):
        group = [(file, rows) for file, rows, _ in read if file.series == series]
        together = quality.repair(Rows.joined(series.measure, [rows for _, rows in group]))
        names = " and ".join(file.path.name for file, _ in group)
        quality.check(together, series.length, name=names).refuse()
        store.prove(series, together, covered=_covered(series, together))
    return Imports(
        tuple(
            Imported(
                file.path.name,
                file.series,
                len(rows),
                store.append(file.series, rows, covered=_covered(file.series, rows)),
                _covered(file.series, rows),
                report,
            )
            for file, rows, report in read
        )
    )


def check_candles(
    path: str | Path, *, venue: str = "binance", repair: bool = False, clock: Clock | None = None
) -> list[quality.QualityReport]:
    """Check candle files, and with `repair` write those anew whose only faults are order and exact repeats.

    Returns
    -------
    One report per file, of the file as it is afterwards.

    Raises
    ------
    BadBars : a file that cannot be read.
    """
    now_ns = (clock or WallClock()).now_ns()
    reports = []
    for candle_path in _candle_paths(Path(path)):
        file = identify(candle_path, venue=venue)
        rows = read_candles(file)
        report = quality.check(rows, file.series.length, name=candle_path.name, as_of_ns=now_ns)
        if repair and report.faults and report.repairable:
            order = rows.order()
            rewrite_candles(file, order[~rows.take(order).exact_repeats()])
            report = quality.check(read_candles(file), file.series.length, name=candle_path.name, as_of_ns=now_ns)
        reports.append(report)
    return reports


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
    files = [identify(path, venue="binance") for path in _candle_paths(Path(source))]
    bars = [file for file in files if file.series.measure is Measure.BARS and kind in (None, file.series.kind)]
    wanted = [_joined(symbol) for symbol in symbols]
    common = [interval] if interval else _common_intervals(wanted, bars)
    chosen = [_choose(pair, bars, common[0]) for pair in wanted]
    rows = [_sound(file, repair=False, now_ns=None)[0] for file in chosen]
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


def _candle_paths(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"no file or folder {path}", expected="a candle file, or a folder of them", got="nothing there")
    found = sorted(file for file in path.iterdir() if file.is_file() and file.suffix in SUFFIXES)
    if not found:
        raise DataError(f"no candle files in {path}", expected=f"files ending in {', '.join(SUFFIXES)}", got="none")
    return found


def _sound(file: CandleFile, *, repair: bool, now_ns: int | None) -> tuple[Rows, quality.QualityReport]:
    """A file's rows if they have no fault."""
    rows = read_candles(file)
    if not len(rows):
        raise BadBars(f"{file.path.name} is empty", expected="at least one row", got="none", next="get the file again")
    if repair:
        rows = quality.repair(rows)
    return rows, quality.check(rows, file.series.length, name=file.path.name, as_of_ns=now_ns).refuse(
        file=str(file.path)
    )


def _covered(series: Series, rows: Rows) -> Span:
    """From the first row's bar to the end of the last one's."""
    length = series.length
    first, last = (int(time) for time in np.asarray(rows.open_time_ns)[[0, -1]])
    return length.floor(first), length.floor(last) + length.ns
