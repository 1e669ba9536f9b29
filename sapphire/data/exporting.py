"""Exporting: bars of candle files in the form that the embedded exchange reads: CSVs, and rules to trade them by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sapphire.data.candle_files import CandleFile, identify, write_csv
from sapphire.data.candle_names import suffix_of
from sapphire.data.importing import files_in, recognised, sound
from sapphire.data.quality import check, repair
from sapphire.data.rows import Measure, Rows
from sapphire.data.rules import rules_of
from sapphire.data.trading_rules import TradingRules, rules_beside, write_rules
from sapphire.domain.errors import DataError, MissingData, ValueRefused
from sapphire.domain.instruments import InstrumentKind
from sapphire.domain.intervals import INTERVALS

__all__ = ["chosen_files", "export_candles"]


def export_candles(
    source: str | Path,
    target: str | Path,
    symbols: Sequence[str],
    *,
    interval: str | None = None,
    kind: InstrumentKind | None = None,
    rules: Mapping[str, TradingRules] | None = None,
) -> list[Path]:
    """Write the bars of a folder's candle files in the form that the embedded exchange reads: one CSV per pair, and
    `rules.json`.

    Parameters
    ----------
    source : a folder of candle files, or of folders of them; files of one series are joined.
    target : the folder to write to. Files of the same pairs are replaced, those of other intervals too, because the
        exchange reads one per pair.
    symbols : "BTC/USDT" or "BTCUSDT".
    interval : which bars; the shortest that every pair has, unless stated.
    kind : spot or perpetual bars; may be left out where a pair has one of them in that interval.
    rules : trading rules by symbol, such as `read_rules(FILE)`; else those in a `rules.json` in `source`. What neither
        tells is read off the candles.

    Returns
    -------
    The files written, in the order of `symbols`.

    Raises
    ------
    MissingData : a pair without such bars, or no interval that all have.
    ValueRefused : more than one series to choose from.
    BadBars : a file with a fault, or files of one series that contradict each other. Nothing is written then.
    ConfigError : a `rules.json` in `source` that cannot be read.
    """
    chosen = chosen_files(Path(source), symbols, interval=interval, kind=kind)
    read = [_joined_rows(files) for files in chosen]
    rules_of_symbols = rules_beside(Path(source)) if rules is None else rules
    traded = [_rules(file, part, rules_of_symbols) for file, part in read]
    written = []
    for file, part in read:
        pair = _joined(file.series.symbol)
        path = Path(target) / f"{pair}-{file.series.interval}.csv"
        write_csv(path, part)
        for other in Path(target).glob(f"{pair}-*.csv"):
            if other != path:
                other.unlink()
        written.append(path)
    write_rules(Path(target), traded)
    return written


def chosen_files(
    source: Path, symbols: Sequence[str], *, interval: str | None = None, kind: InstrumentKind | None = None
) -> list[list[CandleFile]]:
    """The candle files that an export of these symbols is made of, in their order; those of one symbol are joined.

    A name that can be read in two ways is read as the symbol that is asked for.
    """
    files = list(_recognised(source, symbols))
    bars = [file for file in files if file.series.measure is Measure.BARS and kind in (None, file.series.kind)]
    wanted = [_joined(symbol) for symbol in symbols]
    length = interval or _common_intervals(wanted, bars)[0]
    return [_choose(pair, bars, length) for pair in wanted]


def _recognised(source: Path, symbols: Sequence[str]) -> Iterator[CandleFile]:
    named = [symbol for symbol in symbols if "/" in symbol]
    found = False
    for path in files_in(source) if source.is_dir() else ():
        meant = [symbol for symbol in named if path.name.startswith(_joined(symbol))]
        for symbol in (None, *meant):
            try:
                file = identify(path, symbol=symbol)
            except DataError:
                continue
            found = True
            yield file
            break
    folders = sorted(one.name for one in source.iterdir() if one.is_dir() and suffix_of(one)) if source.is_dir() else []
    if not found and folders:
        raise DataError(
            f"no candle files in {source}", expected="files", got=f"folders of such names: {', '.join(folders)}"
        )
    if not found:
        yield from recognised(source)


def _rules(file: CandleFile, rows: Rows, rules_of_symbols: Mapping[str, TradingRules]) -> TradingRules:
    """The rules that a file's bars are traded by, as spot; known of its symbol, or of the spot pair."""
    symbol = file.series.symbol
    pair = symbol.partition(":")[0]
    rules = rules_of(symbol, rows, rules_of_symbols.get(symbol) or rules_of_symbols.get(pair))
    return replace(rules, symbol=pair)


def _common_intervals(pairs: Sequence[str], bars: Sequence[CandleFile]) -> list[str]:
    """Intervals in which every pair has bars, shortest first."""
    of_pairs = [{file.series.interval for file in bars if _joined(file.series.symbol) == pair} for pair in pairs]
    common = sorted(set.intersection(*of_pairs) if of_pairs else set(), key=INTERVALS.index)
    if not common:
        shown = "; ".join(
            f"{pair}: {', '.join(sorted(each)) or 'none'}" for pair, each in zip(pairs, of_pairs, strict=True)
        )
        raise MissingData(
            "the candle files have no bars that all pairs share",
            expected="one interval for all",
            got=shown or "no pairs",
        )
    return common


def _choose(pair: str, bars: Sequence[CandleFile], interval: str) -> list[CandleFile]:
    """The files with bars of `pair`, all of one series."""
    fits = [file for file in bars if _joined(file.series.symbol) == pair and file.series.interval == interval]
    if not fits:
        series = sorted({f"{_joined(file.series.symbol)} {file.series.interval}" for file in bars})
        raise MissingData(
            f"no candle file with {interval} bars of {pair}",
            expected="one of " + (", ".join(series) or "none: the folder holds no such bars"),
            got=pair,
        )
    if len({file.series for file in fits}) > 1:
        raise ValueRefused(
            f"{pair} has more than one file of {interval} bars",
            expected="one series",
            got=", ".join(file.path.name for file in fits),
            next="name the kind (spot or perpetual), or put one of them elsewhere",
        )
    return fits


def _joined_rows(files: Sequence[CandleFile]) -> tuple[CandleFile, Rows]:
    """The rows of files of one series, and one of them; rows that several of them hold, once."""
    read = [sound(file, repair=False, now_ns=None) for file in files]
    if len(read) == 1:
        return read[0][:2]
    series = {file.series for file, _, _ in read}
    if len(series) > 1:  # one of them is told by its header
        names = ", ".join(file.path.name for file in files)
        raise ValueRefused("files of spot and of the perpetual", expected="one series", got=names)
    rows = repair(Rows.joined(Measure.BARS, [rows for _, rows, _ in read]))
    check(rows, files[0].series.length, name=" and ".join(file.path.name for file in files)).refuse()
    return read[0][0], rows


def _joined(symbol: str) -> str:
    """The venue's joined name of a pair, BTCUSDT."""
    return symbol.split(":", 1)[0].replace("/", "").upper()
