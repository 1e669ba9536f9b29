"""Importing: recorded candle files into the store.

A file is imported whole or not at all: everything is read and checked before anything is written. A folder imports
what it can and lists what it left and why. What does not say that it holds candles is a stranger; a file that does, and
could not go in, has a fault.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sapphire.data import quality
from sapphire.data.candle_columns import mapping_of
from sapphire.data.candle_files import SUFFIXES, CandleFile, identify, read_file, rewrite_candles
from sapphire.data.import_results import SAY_IT, Checked, Imported, Imports, Left, Whole, faults_first
from sapphire.data.rows import Rows
from sapphire.data.series import EMBEDDED, Series
from sapphire.data.store import Span, Store
from sapphire.domain.clocks import Clock, WallClock
from sapphire.domain.display import counted
from sapphire.domain.errors import BadBars, ConfigError, DataError, SapphireError, UnknownFile, ValueRefused

__all__ = ["check_candles", "files_in", "import_candles", "recognised", "sound"]

_LISTED = 12
"""Files of a folder that a message names."""


def import_candles(
    path: str | Path,
    *,
    venue: str | None = None,
    symbol: str | None = None,
    interval: str | None = None,
    market: str | None = None,
    columns: str | Mapping[str, str] | None = None,
    repair: bool = False,
    store: Store | None = None,
    clock: Clock | None = None,
) -> Imports:
    """Import a candle file, or what can be imported of a folder and the folders in it.

    Which names are known says `sapphire.data.candle_names`, which folders `sapphire.data.candle_paths`, which columns
    `sapphire.data.candle_columns`.

    Parameters
    ----------
    path : a file or a folder.
    venue : where the candles were recorded, ccxt's id; what the name or a folder says, else binance.
    symbol : what the file holds, whatever its name is; of one file.
    interval : length of its bars, or of the bars that are made of trades; in a folder, for files that do not say it.
    market : "spot" or "perpetual", whatever folders and headers say; needed where nothing tells.
    columns : which column is what, {"open_time": "ts", "close": "c"} or "open_time=ts,close=c"; of one file.
    repair : put rows in order, drop exact repeats and rows without a price first; the file itself stays as it is.
    store : where to; the home's own unless given.
    clock : what "the future" is measured by; the machine's unless given.

    Raises
    ------
    BadBars : an unreadable file, or a fault in it; file, row and what was expected are named. Of a folder, only where
        nothing could be imported; else `left` says it.
    DataError : a name that says nothing or may be read in two ways, a folder without candle files.
    ValueRefused : the embedded exchange as venue; its bars are collected, not imported. A symbol or columns for
        a folder.
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
    given = _Given(venue, symbol, interval, market, mapping_of(columns) if columns else None)
    if Path(path).is_file():
        read = [sound(given.file(Path(path)), repair=repair, now_ns=now_ns)]
        left: list[Left] = []
    else:
        read, left = _folder(Path(path), given, repair=repair, now_ns=now_ns)
    root = Path(path) if Path(path).is_dir() else Path(path).parent
    kept = _proved(store, read, root, left if Path(path).is_dir() else None)
    if not kept:
        _nothing(Path(path), left)
    stored = [_stored(store, one, root) for group, _ in kept for one in group]
    whole = [_whole(together, [one for one in stored if one.series == group[0][0].series]) for group, together in kept]
    return Imports(tuple(stored), tuple(whole), faults_first(left))


def check_candles(
    path: str | Path,
    *,
    venue: str | None = None,
    symbol: str | None = None,
    interval: str | None = None,
    market: str | None = None,
    columns: str | Mapping[str, str] | None = None,
    repair: bool = False,
    clock: Clock | None = None,
) -> Checked:
    """Check candle files, and with `repair` write anew those that only lack order or have rows to drop.

    Parameters
    ----------
    path, venue, symbol, interval, market, columns, clock : as in `import_candles`.

    Returns
    -------
    One report per file, of the file as it is afterwards.

    Raises
    ------
    BadBars : a file that cannot be read.
    DataError : as in `import_candles`.
    ConfigError : a form that is not written anew: a zip, gzip, JSON, trades.
    """
    now_ns = (clock or WallClock()).now_ns()
    given = _Given(venue, symbol, interval, market, mapping_of(columns) if columns else None)
    if Path(path).is_file():
        return Checked([_checked(given.file(Path(path)), repair=repair, now_ns=now_ns)])
    reports, left = [], []
    for one in _candle_paths(Path(path), given):
        try:
            reports.append(_checked(given.file(one), repair=repair, now_ns=now_ns))
        except SapphireError as error:
            left.append(Left.of(one, error, folder=Path(path)))
    if not reports:
        _nothing(Path(path), left)
    return Checked(reports, faults_first(left))


def recognised(path: Path) -> Iterator[CandleFile]:
    """The candle files of a folder, or the one file; what is none is passed over.

    Raises
    ------
    DataError : no file or folder, a folder without candle files, a file that is none.
    """
    if path.is_file():
        yield identify(path)
        return
    found = False
    for one in _candle_paths(path, _Given()):
        try:
            file = identify(one)
        except DataError:
            continue
        found = True
        yield file
    if not found:
        _nothing(path, [])


def sound(file: CandleFile, *, repair: bool, now_ns: int | None) -> tuple[CandleFile, Rows, quality.QualityReport]:
    """A file's rows if they have no fault, with the report about them.

    Parameters
    ----------
    repair : put rows in order, drop exact repeats and rows without a price first.
    now_ns : no bar may close after it; None asks nothing of the future.

    Raises
    ------
    BadBars : it cannot be read, is empty, or has a fault.
    """
    reading = read_file(file, repair=repair)
    file, rows, notes = reading.file, reading.rows, list(reading.notes)
    if not len(rows):
        raise BadBars(
            f"{file.path.name} is empty",
            expected="at least one whole bar" if file.trades else "at least one row",
            got="none",
            next="get the file again",
        )
    if repair:
        before = quality.check(rows, file.series.length, name=file.path.name)
        notes += [
            replace(finding, fault=False, got=f"repaired, {counted(finding.count, 'row')}: {finding.got}")
            for finding in before.faults
            if finding.check in quality.REPAIRED
        ]
        rows = quality.repair(rows)
    mend = "" if file.rewritable else f"{file.command()} --repair"
    look = file.command(verb="check")
    report = quality.check(rows, file.series.length, name=file.path.name, as_of_ns=now_ns)
    report.refuse(look=look, mend=mend)
    return file, rows, replace(report, findings=(*report.findings, *notes))


@dataclass(frozen=True, slots=True)
class _Given:
    """What the user said about the files."""

    venue: str | None = None
    symbol: str | None = None
    interval: str | None = None
    market: str | None = None
    columns: dict[str, str] | None = None

    def file(self, path: Path) -> CandleFile:
        stated = {"venue": self.venue, "symbol": self.symbol, "interval": self.interval, "market": self.market}
        return identify(path, columns=self.columns, **stated)

    def one_of_folder(self, path: Path) -> CandleFile:
        """A file of a folder: an interval holds for those that do not say theirs."""
        try:
            return identify(path, venue=self.venue, market=self.market)
        except UnknownFile:
            if self.interval is None:
                raise
            return identify(path, venue=self.venue, interval=self.interval, market=self.market)


_Sound = tuple[CandleFile, Rows, quality.QualityReport]


def _folder(path: Path, given: _Given, *, repair: bool, now_ns: int) -> tuple[list[_Sound], list[Left]]:
    """The sound files of a folder, and those that are left."""
    read, left = [], []
    for one in _candle_paths(path, given):
        try:
            read.append(sound(given.one_of_folder(one), repair=repair, now_ns=now_ns))
        except SapphireError as error:
            left.append(Left.of(one, error, folder=path))
    return read, left


def _proved(
    store: Store, read: Sequence[_Sound], root: Path, left: list[Left] | None
) -> list[tuple[list[_Sound], quality.QualityReport]]:
    """The files of each series that agree with each other and with the store, and what they come to together.

    Those that do not go to `left`, or raise.
    """
    kept = []
    for series in dict.fromkeys(file.series for file, _, _ in read):
        group = [one for one in read if one[0].series == series]
        try:
            together = quality.repair(Rows.joined(series.measure, [rows for _, rows, _ in group]))
            report = quality.check(together, series.length, name=_named(group))
            report.refuse()
            store.prove(series, together, covered=_covered(series, together))
        except SapphireError as error:
            if left is None:
                raise
            left += [Left.of(file.path, error, folder=root) for file, _, _ in group]
        else:
            kept.append((group, report))
    return kept


def _named(group: Sequence[_Sound]) -> str:
    names = [file.path.name for file, _, _ in group]
    return " and ".join(names if len(names) <= _LISTED else [*names[:_LISTED], f"{len(names) - _LISTED} more"])


def _stored(store: Store, one: _Sound, root: Path) -> Imported:
    """A file that was proved, put into the store."""
    file, rows, report = one
    covered = _covered(file.series, rows)
    added = store.append(file.series, rows, covered=covered)
    return Imported(str(file.path.relative_to(root)), file.series, len(rows), added, covered, report)


def _whole(together: quality.QualityReport, files: Sequence[Imported]) -> Whole:
    """What the files of one series hold together."""
    covered = min(one.covered[0] for one in files), max(one.covered[1] for one in files)
    added = sum(one.added for one in files)
    return Whole(files[0].series, len(files), together.rows, added, covered, together.missing)


def _checked(file: CandleFile, *, repair: bool, now_ns: int) -> quality.QualityReport:
    """The report of a file, written anew where that mends it."""

    def look() -> tuple[Rows, quality.QualityReport]:
        reading = read_file(file)
        report = quality.check(reading.rows, reading.file.series.length, name=file.path.name, as_of_ns=now_ns)
        return reading.rows, replace(report, findings=(*report.findings, *reading.notes))

    rows, report = look()
    if not repair or not report.faults or not report.repairable:
        return report
    if not file.rewritable:
        raise ConfigError(
            f"{file.path.name} is not written anew",
            expected="a plain CSV, Feather or Parquet file",
            got="a form that is kept as it was got",
            next=f"{file.command()} --repair",
        )
    rewrite_candles(file, quality.repaired_order(rows))
    return look()[1]


def _nothing(path: Path, left: Sequence[Left]) -> None:
    """Raise that nothing of a folder could be used: the fault of a file that is known, else that there is none."""
    faults = [one for one in left if one.fault]
    if faults:
        raise faults[0].error
    names = ", ".join(one.file for one in left[:_LISTED]) + (" and more" if len(left) > _LISTED else "")
    raise DataError(
        f"no candle files in {path}",
        expected=f"files that say what they hold, such as BTC_USDT-1h.feather; one of {', '.join(SUFFIXES)}",
        got=names or "none",
        next=SAY_IT if left else "",
    )


def _candle_paths(path: Path, given: _Given) -> list[Path]:
    if not path.is_dir():
        raise DataError(f"no file or folder {path}", expected="a candle file, or a folder of them", got="nothing there")
    if given.symbol is not None or given.columns is not None:
        raise ValueRefused(
            "a symbol or columns for a folder",
            expected="one file, of which they hold",
            got=str(path),
            next="import the files that need it one by one, and the folder after them",
        )
    return files_in(path)


def files_in(folder: Path) -> list[Path]:
    """Every file of a folder and the folders in it, but hidden ones and the checksums beside Binance Vision's."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            one = Path(place, name)
            if not name.startswith(".") and not (name.endswith(".CHECKSUM") and one.with_suffix("").is_file()):
                found.append(one)
    return sorted(found)


def _covered(series: Series, rows: Rows) -> Span:
    """From the first row's bar to the end of the last one's."""
    length = series.length
    first, last = (int(time) for time in np.asarray(rows.open_time_ns)[[0, -1]])
    return length.floor(first), length.floor(last) + length.ns
