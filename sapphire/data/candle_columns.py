"""Candle columns: which column of a file is what, by its header, by its width, or as the user says.

=================  ==================================================================================================
field              what stands in it
=================  ==================================================================================================
`open_time`        when the bar opens: text in ISO 8601 (UTC where it names no zone), or seconds, milliseconds,
                   microseconds or nanoseconds, told from each other by their range. Two columns are joined: `Date+Time`
`open_time_s`      the same in seconds, whatever the range; also `open_time_ms`, `open_time_us`, `open_time_ns`
`open` ... `close` prices, quote per base
`volume`           base
`quote_volume`     in place of `volume`: what was traded in quote, divided by the bar's mean price
=================  ==================================================================================================

A header is read in any letter case, with the usual synonyms. Where two columns may be meant, or the meaning is another
one elsewhere, the file is refused with the mapping that decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sapphire.data.candle_names import CandleFile
from sapphire.data.candle_tables import Table
from sapphire.data.rows import Measure
from sapphire.data.series import pair_of
from sapphire.domain.errors import BadBars, ValueRefused

__all__ = ["FIELDS", "KLINE_WIDTH", "TIME_UNITS", "Columns", "columns_of", "is_vision_futures", "mapping_of"]

TIME_UNITS = {
    "open_time": 0,
    "open_time_s": 1_000_000_000,
    "open_time_ms": 1_000_000,
    "open_time_us": 1_000,
    "open_time_ns": 1,
}
"""Nanoseconds in one unit of each field of times; 0 where the range tells."""
_PRICES = ("open", "high", "low", "close")
FIELDS = (*TIME_UNITS, *_PRICES, "volume", "quote_volume")
"""What a column may be mapped to."""

_TIMES: tuple[tuple[str, ...], ...] = (
    (
        "opentime",
        "opentimestamp",
        "opentimeutc",
        "opendatetime",
        "starttime",
        "periodstart",
        "timeperiodstart",
        "start",
    ),
    ("unix", "unixtimestamp", "unixtime", "epoch", "timestampms", "timestampunix", "ts"),
    ("timestamp", "timestamputc"),
    ("datetime", "datetimeutc", "gmttime"),
    ("date", "dateutc"),
    ("time", "timeutc", "t"),
)
"""Names of the open time, of one rank each, most certain first; lower case, letters and digits alone."""
KLINE_WIDTH = 12
_USUAL_WIDTHS = (6, 7, KLINE_WIDTH)
"""Without a header: time, open, high, low, close, volume; Kraken's with a count behind; Binance's klines."""
_VISION_FUTURES = ("quote_volume", "count", "taker_buy_volume", "taker_buy_quote_volume", "ignore")
"""How the header of Binance Vision's USD-M futures files ends; its spot files have none."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Places of the columns.

    Parameters
    ----------
    times : of the open time; two where date and time of day stand apart.
    unit_ns : nanoseconds in one unit of it; 0 where the range tells.
    values : of each value column of the measure, in its order; the last is a quote volume where `by_quote`.
    by_quote : the volume is in quote.
    """

    times: tuple[int, ...]
    unit_ns: int
    values: tuple[int, ...]
    by_quote: bool


def mapping_of(text: str | Mapping[str, str]) -> dict[str, str]:
    """A mapping of columns as the user gives it: a mapping, or text `open_time=ts,open=o,...`.

    Raises
    ------
    ValueRefused : no pairs, or a field that there is none of.

    Examples
    --------
    >>> mapping_of("open_time=ts,close=c")
    {'open_time': 'ts', 'close': 'c'}
    """
    if isinstance(text, str):
        pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
        if not all(equals and name.strip() for _, equals, name in pairs):
            raise _bad_mapping(text)
        mapped = {field.strip(): name.strip() for field, _, name in pairs}
        if len(mapped) != len(pairs):
            raise _bad_mapping(text)
    else:
        mapped = {str(field): str(name) for field, name in text.items()}
    if not mapped or set(mapped) - set(FIELDS) or len(set(mapped) & set(TIME_UNITS)) > 1:
        raise _bad_mapping(text)
    if {"volume", "quote_volume"} <= set(mapped):
        raise _bad_mapping(text)
    return mapped


def columns_of(file: CandleFile, table: Table) -> Columns:
    """Which column is what.

    Raises
    ------
    BadBars : a column that is missing, that stands there twice, or that two may be; names the mapping that helps.
    """
    search = _Search(file, table)
    wanted = {Measure.BARS: _PRICES, Measure.MARK: _PRICES, Measure.FUNDING: ("open",)}[file.series.measure]
    times, unit_ns = search.times()
    values = [search.one(field, _synonyms(field)) for field in wanted]
    by_quote = False
    if file.series.measure is Measure.BARS:
        by_quote = "quote_volume" in file.columns
        values.append(search.volume())
    missing = [field for field, place in zip((*wanted, "volume"), values, strict=False) if place is None]
    if not times or missing:
        raise search.lacking(missing)
    return Columns(times, unit_ns, tuple(place for place in values if place is not None), by_quote)


def is_vision_futures(table: Table) -> bool:
    """Whether the header is the one that Binance Vision writes into files of USD-M futures, and into no others."""
    return len(table.names) == KLINE_WIDTH and tuple(table.names[-5:]) == _VISION_FUTURES


@dataclass(frozen=True, slots=True)
class _Search:
    """One file's columns by name."""

    file: CandleFile
    table: Table

    def times(self) -> tuple[tuple[int, ...], int]:
        stated = next((field for field in TIME_UNITS if field in self.file.columns), None)
        if stated is not None:
            names = self.file.columns[stated]
            parts = [names] if names in self.table.names else names.split("+")
            return tuple(self.named(part) for part in parts), TIME_UNITS[stated]
        if not self.table.names:
            return ((0,) if self.usual() else ()), 0
        for field, unit_ns in TIME_UNITS.items():
            if unit_ns and (found := self.places((_plain(field),), field)):
                return (found[0],), unit_ns
        for rank in _TIMES:
            if found := self.places(rank, "open_time"):
                if rank[0] == "date" and (rest := self.places(_TIMES[-1], "open_time")):
                    return (found[0], rest[0]), 0
                return (found[0],), 0
        index = [place for place, name in enumerate(self.table.names) if name == "__index_level_0__"]
        return tuple(index), 0  # the index of a DataFrame that has no name

    def one(self, field: str, names: Sequence[str]) -> int | None:
        if field in self.file.columns:
            return self.named(self.file.columns[field])
        if not self.table.names:
            return _PRICES.index(field) + 1 if self.usual() or self.table.cells.num_columns == 5 else None
        found = self.places(names, field)
        return found[0] if found else None

    def volume(self) -> int | None:
        for field in ("volume", "quote_volume"):
            if field in self.file.columns:
                return self.named(self.file.columns[field])
        if not self.table.names:
            return 5 if self.usual() else None
        base, quote = (asset.lower() for asset in pair_of(self.file.series.symbol))
        found = self.places(("volume", "v", "vol"), "volume") or self.places(
            ("basevolume", "volumebase", f"volume{base}", f"vol{base}", f"{base}volume"), "volume"
        )
        if found and (self.table.yahoo or any(_plain(name) == "adjclose" for name in self.table.names)):
            name = self.table.names[found[0]]
            raise BadBars(
                f"the volume of {self.file.path.name} may be in {quote.upper()}",
                expected=f"a volume in {base.upper()}; Yahoo's, which this header is of, are in the quote currency",
                got=f"column {name}",
                next=self.file.command(f"quote_volume={name}")
                + f"\nwhere it is in {base.upper()}: --columns volume={name}",
            )
        if not found and (
            others := self.places((f"volume{quote}", f"vol{quote}", "quotevolume", "turnover"), "volume")
        ):
            name = self.table.names[others[0]]
            raise BadBars(
                f"the volume of {self.file.path.name} is in {quote.upper()}",
                expected=f"a volume in {base.upper()}",
                got=f"column {name}",
                next=self.file.command(f"quote_volume={name}"),
            )
        return found[0] if found else None

    def usual(self) -> bool:
        """Whether the width says the order, where there is no header."""
        return self.table.cells.num_columns in _USUAL_WIDTHS

    def named(self, name: str) -> int:
        """The column that the user named, or counted from 1 where there is no header."""
        exact = [place for place, each in enumerate(self.table.names) if each == name]
        found = exact or [place for place, each in enumerate(self.table.names) if each.casefold() == name.casefold()]
        if not self.table.names and name.isdecimal() and 1 <= int(name) <= self.table.cells.num_columns:
            found = [int(name) - 1]
        if not found:
            raise BadBars(
                f"{self.file.path.name} has no column {name}",
                expected=self.table.shown
                + ("" if self.table.names else f": numbers from 1 to {self.table.cells.num_columns}"),
                got=name,
            )
        return self.single(found, name)

    def places(self, names: Sequence[str], field: str) -> list[int]:
        """The column of one of `names`; Sapphire's own spelling before others."""
        exact = [place for place, each in enumerate(self.table.names) if each == field]
        found = exact or [place for place, each in enumerate(self.table.names) if _plain(each) in names]
        return [self.single(found, field)] if found else []

    def single(self, found: Sequence[int], field: str) -> int:
        names = [self.table.names[place] for place in found] if self.table.names else []
        if len(found) == 1:
            return found[0]
        if len(set(names)) == 1:
            raise BadBars(
                f"{self.file.path.name} has {len(found)} columns of the name {names[0]}",
                expected="each name once, of those that are read",
                got=self.table.shown,
                next="rename one of them, or leave it out",
            )
        raise BadBars(
            f"{self.file.path.name} has {len(found)} columns that may be the {field}",
            expected="one",
            got=", ".join(names),
            next="\nor ".join(self.file.command(f"{field}={name}") for name in names),
        )

    def lacking(self, missing: Sequence[str]) -> BadBars:
        wanted = [*(["open_time"] if not self.times()[0] else []), *missing]
        if self.table.names:
            example = ",".join(f"{field}=NAME" for field in wanted)
        else:
            fields = ["open_time", *_PRICES, "volume"]
            example = ",".join(f"{field}={place}" for place, field in enumerate(fields, start=1))
        return BadBars(
            f"{self.file.path.name} lacks {', '.join(missing) or 'a column of times'}",
            expected="columns open_time (or date, timestamp, unix, ...), open, high, low, close, volume",
            got=self.table.shown,
            next=f"say which is which: {self.file.command(example)}",
        )


def _synonyms(field: str) -> tuple[str, ...]:
    return (field, field[0], f"{field}price", f"price{field}")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _bad_mapping(text: object) -> ValueRefused:
    return ValueRefused(
        "not a mapping of columns",
        expected=f"FIELD=COLUMN,... each of {', '.join(FIELDS)} once, one of the times, one of the volumes",
        got=str(text),
        next="--columns open_time=ts,open=o,high=h,low=l,close=c,volume=v",
    )
