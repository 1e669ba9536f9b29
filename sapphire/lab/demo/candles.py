"""What a folder of candles has for the demo: which symbols, bars of which length, and of which stretch of time.

Two symbols are better than one, spot is better than perpetuals that stand in for it, and five minutes are better than
other lengths: of what the folder has, the first that is long enough is taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sapphire.data import Measure, Rows
from sapphire.data.candle_files import CandleFile
from sapphire.data.importing import recognised, sound
from sapphire.data.quality import check, repair
from sapphire.data.series import AS_SPOT, pair_of
from sapphire.domain.display import counted, stamp
from sapphire.domain.errors import BadBars, MissingData, SapphireError, ValueRefused
from sapphire.domain.instruments import InstrumentKind
from sapphire.domain.intervals import Interval
from sapphire.lab.demo.windows import PAPER, SPARE, Windows, least_bars, most_bars, training_bars

__all__ = ["FoundCandles", "find_candles"]

_COINS = ("BTC", "ETH", "SOL", "BNB", "XRP", "ADA", "DOGE", "AVAX")
_QUOTES = ("USDT", "USDC", "USD", "FDUSD", "EUR", "BTC", "ETH")
"""What is taken first where nobody says."""
_AT_MOST = 2
"""Symbols where nobody says: more only take longer."""
_HOLE = 48
"""Missing bars that end a stretch."""
_LISTED = 6
"""Groups of candles that a message names."""
_DAY = Interval("1d")
_USUAL = Interval("5m")


@dataclass(frozen=True, slots=True)
class FoundCandles:
    """Candles of a folder that a demo can run on.

    Parameters
    ----------
    venue : whose they are; perpetuals that stand in for spot say so in it.
    rows : bars of each spot symbol, the study's and those behind it.
    windows : of the demo, within them.
    """

    venue: str
    rows: Mapping[str, Rows]
    windows: Windows

    @property
    def label(self) -> str:
        """One line for the summary."""
        kind = "" if self.venue.endswith(AS_SPOT) else " spot"
        last_ns = max(int(rows.open_time_ns[-1]) for rows in self.rows.values()) + self.windows.interval.ns
        days = f"{self.windows.start[:10]} to {stamp(last_ns)[:10]}"
        return f"recorded candles ({self.venue}{kind}), {self.windows.interval}, {days}"


@dataclass(frozen=True, slots=True)
class _Group:
    """Files that could be one universe: of one venue, kind, quote and length of a bar."""

    venue: str
    kind: InstrumentKind
    quote: str
    interval: Interval
    files: Mapping[str, Sequence[CandleFile]]

    def __str__(self) -> str:
        return f"{self.interval} {self.kind} bars of {self.venue}"

    @property
    def rank(self) -> tuple[object, ...]:
        """The first is taken first."""
        quote = _QUOTES.index(self.quote) if self.quote in _QUOTES else len(_QUOTES)
        distance = abs(math.log(self.interval.ns / _USUAL.ns))
        perpetual = self.kind is not InstrumentKind.SPOT
        return (-min(len(self.files), _AT_MOST), perpetual, distance, quote, self.venue, self.interval.ns)


def find_candles(folder: Path, symbols: Sequence[str], *, paper: int | None) -> FoundCandles:
    """What the demo runs on, of a folder of candle files.

    Parameters
    ----------
    symbols : "BTC/USDT" or "BTCUSDT", ":USDT" behind it for perpetuals; the folder's own choice where there are none.
    paper : bars that trade on paper; a fifth of what there is, up to 500, where nobody says.

    Raises
    ------
    ValueRefused : more bars on paper than a release may be used for.
    MissingData : the folder lacks a symbol, or has too few bars; says how many there are and what each step needs.
    DataError : no folder, or nothing in it that is known to be candles.
    """
    lacking: list[str] = []
    groups = sorted(_groups(folder, symbols), key=lambda group: group.rank)
    for group in groups:
        try:
            found = _of_group(group, symbols, paper)
        except SapphireError as error:
            lacking.append(f"{group}: {error.what}")
            if len(groups) == 1:
                raise
            continue
        if isinstance(found, FoundCandles):
            return found
        lacking.append(found)
    count = min(_AT_MOST, max(len(group.files) for group in groups)) if not symbols else len(symbols)
    raise _too_few(lacking, count, paper)


def _groups(folder: Path, symbols: Sequence[str]) -> Iterator[_Group]:
    """The groups of a folder that have every symbol."""
    gathered: dict[tuple[str, InstrumentKind, str, str], dict[str, list[CandleFile]]] = {}
    for file in recognised(folder):
        series = file.series
        if series.measure is Measure.BARS and not file.trades and series.length.ns <= _DAY.ns:
            key = (series.venue, series.kind, pair_of(series.symbol)[1], series.interval)
            gathered.setdefault(key, {}).setdefault(series.symbol, []).append(file)
    complete = False
    for (venue, kind, quote, interval), files in gathered.items():
        wanted = [name for name in files if not symbols or any(_is(name, symbol) for symbol in symbols)]
        if wanted and len(wanted) >= len(symbols):
            complete = True
            yield _Group(venue, kind, quote, Interval(interval), {name: files[name] for name in wanted})
    if not complete:
        available = sorted({f"{name} {key[3]}" for key, files in gathered.items() for name in files})
        raise MissingData(
            f"{folder} has no bars of {' and '.join(symbols) or 'anything'} together",
            expected="of each a file, of one venue, one quote and one length of a bar",
            got=", ".join(available) or "no bars of a day or less",
            next="sapphire demo --candles FOLDER --symbols A B names some of those",
        )


def _is(name: str, symbol: str) -> bool:
    """Whether a symbol as the user writes it means one of a file."""
    if ":" in symbol:
        return name == symbol.upper()
    return name.partition(":")[0].replace("/", "") == symbol.upper().replace("/", "").replace("-", "")


def _of_group(group: _Group, symbols: Sequence[str], paper: int | None) -> FoundCandles | str:
    """What a group has; in words where that is too little."""
    if symbols:
        chosen = [next(name for name in group.files if _is(name, symbol)) for symbol in symbols]
    else:
        chosen = sorted(group.files, key=_preference)[:_AT_MOST]
    rows = {name: _rows(group.files[name], group.interval) for name in chosen}
    times = _longest(reduce(np.intersect1d, [part.open_time_ns for part in rows.values()]), group.interval)
    windows = _windows(times, group.interval, chosen, paper)
    if isinstance(windows, str):
        return windows
    first, last = windows.start_ns, int(times[-1])
    kept = {
        name.partition(":")[0]: part.take(np.flatnonzero((part.open_time_ns >= first) & (part.open_time_ns <= last)))
        for name, part in rows.items()
    }
    venue = group.venue if group.kind is InstrumentKind.SPOT else f"{_perpetual_venue(group.venue)}{AS_SPOT}"
    return FoundCandles(venue, kept, windows)


def _windows(times: NDArray[np.int64], interval: Interval, symbols: Sequence[str], paper: int | None) -> Windows | str:
    """The windows in a stretch of bars, the latest ones; in words where it is too short, or has too many gaps."""
    names = " and ".join(symbols)
    full, most = most_bars(interval)
    if paper is not None and paper > most:
        raise ValueRefused(
            f"{paper:,} bars of {interval} on paper",
            expected=f"at most {most:,}: then a release is too old to be used",
            got=f"{paper:,}",
            next=f"--bars {most}, or candles of shorter bars",
        )
    traded = paper if paper is not None else min(PAPER, most, len(times) // 5)
    study = min(full, len(times) - traded - SPARE)
    if study < least_bars(len(symbols)):
        span = f", {stamp(int(times[0]))} to {stamp(int(times[-1]))}" if len(times) else ""
        return f"{counted(len(times), 'bar')} of {interval} in a row of {names}{span}"
    start_ns, end_ns = int(times[-traded - SPARE - study]), int(times[-traded - SPARE])
    windows = Windows(start_ns, (end_ns - start_ns) // interval.ns, interval, traded)
    half = windows.bars // 2
    train, needed = (
        int(np.count_nonzero((times >= start_ns) & (times < start_ns + half * interval.ns))),
        training_bars(windows.bars, len(symbols)),
    )
    if train < needed:
        return f"{train:,} of {half:,} bars of {interval} to train on, and {needed:,} are needed: {names} have gaps"
    return windows


def _rows(files: Sequence[CandleFile], interval: Interval) -> Rows:
    """The bars of one symbol, put in order; of several files, each once.

    Raises
    ------
    BadBars : a file with a fault, or files that contradict each other.
    """
    read = [sound(file, repair=True, now_ns=None) for file in files]
    foreign = [
        file.series.symbol for (file, _, _), named in zip(read, files, strict=True) if file.series != named.series
    ]
    if foreign:
        raise BadBars(
            f"{files[0].path.name} is of another market than its name says",
            expected=files[0].series.symbol,
            got=foreign[0],
            next="put perpetuals into a folder of their own, data/futures/um",
        )
    rows = repair(Rows.joined(Measure.BARS, [part for _, part, _ in read]))
    check(rows, interval, name=" and ".join(file.path.name for file in files[:_LISTED])).refuse()
    return rows


def _longest(times: NDArray[np.int64], interval: Interval) -> NDArray[np.int64]:
    """The longest stretch without a hole."""
    holes = np.flatnonzero(np.diff(times) > _HOLE * interval.ns) + 1
    return max(np.split(times, holes), key=len)


def _preference(symbol: str) -> tuple[int, str]:
    base = pair_of(symbol)[0]
    return (_COINS.index(base) if base in _COINS else len(_COINS), symbol)


def _perpetual_venue(venue: str) -> str:
    return "binanceusdm" if venue == "binance" else f"{venue}-perpetual"


def _too_few(lacking: Sequence[str], symbols: int, paper: int | None) -> MissingData:
    study = least_bars(symbols)
    traded = PAPER if paper is None else paper
    fewest = study + SPARE + (study // 4 if paper is None else paper)
    train = training_bars(study, symbols)
    on_paper = f"on paper {traded:,}" if paper is not None else "on paper a fifth of all"
    return MissingData(
        "too few candles for the demo",
        expected=f"{fewest:,} bars in a row that {counted(symbols, 'symbol')} share, of the same length:\n"
        f"a study of {study:,} (training {train:,}, tests {study // 3:,}, hold-out {study // 6:,}), {on_paper}, "
        f"{SPARE} behind",
        got="\n".join(lacking[:_LISTED]) + (f"\nand {len(lacking) - _LISTED} more" if len(lacking) > _LISTED else ""),
        next="more candles of these symbols, shorter bars"
        + (f", or fewer on paper: --bars {max(2, traded // 4)}" if paper is not None else ", or other symbols"),
    )
