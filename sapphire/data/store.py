"""Store: recorded series on disk, and which stretches of time they are known for.

Layout, under `$SAPPHIRE_HOME/data/recorded/`::

    venue=binance/symbol=BTC_USDT/measure=bars/interval=1h/2024-03.parquet     one file per month
                                                          /series.json         what is covered, and where it is from

DuckDB and Polars read it as one table (`read_parquet('.../**/*.parquet', hive_partitioning = true)`).

A stretch is covered when the venue was asked for all of it, or an imported file holds it: a bar that is missing inside
it never was there. `series.json` is written last, so rows of a run that was killed are not seen until they are covered,
and the run that follows writes them again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.data.durable import locked, write_text
from sapphire.data.generated import generator_version
from sapphire.data.parquet import read_rows, write_rows
from sapphire.data.quality import check, repair
from sapphire.data.rows import Rows
from sapphire.data.series import Series
from sapphire.data.shared_recordings import SERIES_FILE, SharedSeries, shared_series
from sapphire.data.spans import Span, joined_spans, month_span, without
from sapphire.domain.display import stamp
from sapphire.domain.errors import BadBars, DataError, HeadMoved, MissingData
from sapphire.domain.workspace import home

if TYPE_CHECKING:
    import polars as pl

    from sapphire.data.places.place import Head

__all__ = ["Origin", "Span", "Store", "StoredSeries"]

_FORMAT = "sapphire-series-1"


@dataclass(frozen=True, slots=True)
class Origin:
    """Whether a venue's market is a real one or made here.

    Parameters
    ----------
    generated : the venue shows the generated market.
    detail : what identifies it, {"generator": "2", "seed": "7"}; empty for a real market.
    """

    generated: bool = False
    detail: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_seed(cls, seed: int) -> Origin:
        """The generated market of a seed, in the version that the compiled engine makes.

        Raises
        ------
        EngineMissing : the engine is not built.
        """
        return cls(generated=True, detail={"generator": str(generator_version()), "seed": str(seed)})

    def __str__(self) -> str:
        named = "".join(f", {key} {value}" for key, value in sorted(self.detail.items()))
        return ("the generated market" if self.generated else "a real market") + named


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """What the store knows about one series.

    Parameters
    ----------
    series : which one.
    covered : stretches it is known for, in order, apart from each other.
    months : rows in each month's file.
    origin : whose market it is.
    rules : trading rules as the venue states them (tick, lot, min_notional as text); empty where nobody does.
    """

    series: Series
    covered: tuple[Span, ...]
    months: Mapping[str, int]
    origin: Origin
    rules: Mapping[str, str]

    @property
    def rows(self) -> int:
        """Rows on disk."""
        return sum(self.months.values())

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return {
            "venue": self.series.venue,
            "symbol": self.series.symbol,
            "kind": str(self.series.kind),
            "measure": str(self.series.measure),
            "interval": self.series.interval,
            "rows": self.rows,
            "covered": [{"from": stamp(start), "to": stamp(end)} for start, end in self.covered],
            "generated": self.origin.generated,
            "detail": dict(self.origin.detail),
        }


class Store:
    """The recorded series of one home.

    Parameters
    ----------
    root : its folder; by default `data/recorded` in `$SAPPHIRE_HOME`, which the shared place has too. Another one is
        this machine's alone.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or home() / "data" / "recorded"
        self._is_shared = root is None

    def folder(self, series: Series) -> Path:
        """Where a series is kept."""
        return self.root / series.folder

    def stored(self) -> list[StoredSeries]:
        """Every series, by name; those in the shared place too, as far as they are known there."""
        paths = sorted(self.root.glob("venue=*/symbol=*/measure=*/interval=*/series.json"))
        here = {path.parent.relative_to(self.root).as_posix(): self._load(path) for path in paths}
        there = {name: data for name, data in shared_series().items() if name not in here} if self._is_shared else {}
        loaded = {name: self._parsed(data, self.root / name / SERIES_FILE) for name, data in there.items()}
        return [each for _, each in sorted({**here, **loaded}.items())]

    def find(self, series: Series) -> StoredSeries | None:
        """What is known about a series, here and in the shared place; None if it was never recorded.

        Raises
        ------
        PlaceError : the shared place does not answer.
        DataError : what is there contradicts what is here.
        """
        shared = self._shared(series)
        if shared is not None and not shared.is_seen(shared.head()):
            with locked(self.folder(series) / ".lock"):
                self._join(series, shared)
        return self._known(series)

    def _known(self, series: Series) -> StoredSeries | None:
        path = self.folder(series) / SERIES_FILE
        return self._load(path) if path.is_file() else None

    def _shared(self, series: Series) -> SharedSeries | None:
        return SharedSeries.of(self.root, self.folder(series)) if self._is_shared else None

    def _join(self, series: Series, shared: SharedSeries) -> Head | None:
        """Add what the place has to what is here, under the lock; where the place stands."""
        head = shared.head()
        if head is not None and not shared.is_seen(head):
            with shared.fetched(head) as folder:
                other = Store(folder)
                theirs = other._known(series)
                for covered in () if theirs is None else theirs.covered:
                    rows = other.read(series, *covered)
                    self._add(
                        series, rows, covered, theirs.origin if theirs else Origin(), theirs.rules if theirs else {}
                    )
            shared.note(head)
        return head

    def missing(self, series: Series, start_ns: int, end_ns: int) -> list[Span]:
        """The parts of `[start_ns, end_ns)` that are not covered."""
        known = self.find(series)
        return without((start_ns, end_ns), known.covered if known else ())

    def read(self, series: Series, start_ns: int | None = None, end_ns: int | None = None) -> Rows:
        """Rows that open in `[start_ns, end_ns)` and are covered, in order.

        Raises
        ------
        MissingData : the series was never recorded.
        DataError : a file is missing or damaged; names it.
        """
        known = self.find(series)
        if known is None:
            raise MissingData(
                f"no recording of {series}", expected=f"a series in {self.folder(series)}", got="nothing there"
            )
        parts = []
        for month, count in sorted(known.months.items()):
            first, last = month_span(month)
            if (start_ns is None or last > start_ns) and (end_ns is None or first < end_ns):
                parts.append(self._read_month(series, month, count))
        rows = Rows.joined(series.measure, parts)
        inside = np.zeros(len(rows), np.bool_)
        for start, end in known.covered:
            inside |= (rows.open_time_ns >= start) & (rows.open_time_ns < end)
        rows = rows.take(inside)
        low = start_ns if start_ns is not None else np.iinfo(np.int64).min
        high = end_ns if end_ns is not None else np.iinfo(np.int64).max
        return rows.between(int(low), int(high))

    def scan(self, series: Series) -> pl.LazyFrame:
        """The series' files as a lazy Polars frame, as they stand on disk."""
        import polars as pl

        return pl.scan_parquet(self.folder(series) / "*.parquet")

    def append(
        self,
        series: Series,
        rows: Rows,
        *,
        covered: Span,
        origin: Origin | None = None,
        rules: Mapping[str, str] | None = None,
    ) -> int:
        """Add rows, in one step as far as a reader sees; rows that are there already are not added again.

        Parameters
        ----------
        rows : in order, without faults, inside `covered`; may be empty where the venue had nothing. Numbers with
            rounding noise are kept as the decimals that they stand for.
        covered : the stretch that these rows are all of.
        origin : whose market it is; a real one unless stated.
        rules : trading rules as the venue states them.

        Returns
        -------
        How many rows are new.

        Raises
        ------
        BadBars : a fault in `rows`, a row outside `covered`, or a row that contradicts a stored one.
        DataError : the stored series is from another market, or a file of it is damaged.
        PlaceError : the shared place does not answer, and nothing is added; or it does not take what was added here,
            which the next call sends.
        """
        origin, rows = origin or Origin(), rows.as_decimals()
        folder, shared = self.folder(series), self._shared(series)
        with locked(folder / ".lock"):
            for torn in folder.glob(".writing-*"):  # a writer that was killed; the lock is ours now
                torn.unlink()
            added = 0
            while True:
                head = None if shared is None else self._join(series, shared)
                added += self._add(series, rows, covered, origin, rules)
                try:
                    if shared is not None:
                        shared.send(head)
                except HeadMoved:
                    continue
                return added

    def _add(self, series: Series, rows: Rows, covered: Span, origin: Origin, rules: Mapping[str, str] | None) -> int:
        """Write rows, then what is covered; how many are new."""
        known, merged = self._prove(series, rows, covered, origin)
        added = 0
        for month, whole in merged.items():
            added += len(whole) - known.months.get(month, 0)
            write_rows(self.folder(series) / f"{month}.parquet", whole)
        counts = dict(known.months) | {month: len(whole) for month, whole in merged.items()}
        spans = joined_spans([*known.covered, covered])
        self._save(StoredSeries(series, spans, counts, origin, dict(rules or known.rules)))
        return added

    def share(self) -> int:
        """Put every series that is here into the shared place, joined with what it has; how many it did not have so.

        Raises
        ------
        PlaceError : it does not answer or take them.
        DataError : what is there contradicts what is here.
        """
        sent = 0
        for path in sorted(self.root.glob(f"venue=*/symbol=*/measure=*/interval=*/{SERIES_FILE}")):
            series = self._load(path).series
            shared = self._shared(series)
            if shared is None:
                continue
            with locked(path.parent / ".lock"):
                while True:
                    head = self._join(series, shared)
                    try:
                        sent += shared.send(head)
                    except HeadMoved:
                        continue
                    break
        return sent

    def prove(self, series: Series, rows: Rows, *, covered: Span, origin: Origin | None = None) -> None:
        """Raise what `append` would raise, and write nothing."""
        self._prove(series, rows.as_decimals(), covered, origin or Origin())

    def _prove(self, series: Series, rows: Rows, covered: Span, origin: Origin) -> tuple[StoredSeries, dict[str, Rows]]:
        """What is known of the series, and each month that `rows` touch as it would be with them."""
        check(rows, series.length, name=str(series), tradable=False).refuse()
        if len(rows.between(*covered)) != len(rows):
            raise BadBars(
                f"rows of {series} outside the stretch they were asked for",
                expected=f"{stamp(covered[0])} to {stamp(covered[1])}",
                got=f"{stamp(rows.open_time_ns[0])} to {stamp(rows.open_time_ns[-1])}",
            )
        known = self._known(series) or StoredSeries(series, (), {}, origin, {})
        if known.origin != origin:
            raise DataError(
                f"{series} is from another market",
                expected=str(known.origin),
                got=str(origin),
                next=f"delete {self.folder(series)}, or keep the other market in another SAPPHIRE_HOME",
            )
        return known, {month: self._merge(series, month, part) for month, part in _by_month(rows)}

    def _merge(self, series: Series, month: str, part: Rows) -> Rows:
        """The month's rows on disk together with `part`."""
        path = self.folder(series) / f"{month}.parquet"
        if not path.is_file():
            return part
        stored = read_rows(path, next=self._start_again(series)).as_decimals()
        whole = repair(Rows.joined(series.measure, [stored, part]))
        twice = np.flatnonzero(np.diff(whole.open_time_ns) == 0)
        if twice.size:
            row = int(twice[0])
            rows = ["; ".join(f"{value:.12g}" for value in whole.values[i]) for i in (row, row + 1)]
            raise BadBars(
                f"{series} contradicts what is stored",
                expected=f"the same values for {stamp(whole.open_time_ns[row])} as before",
                got=f"{rows[0]} and {rows[1]} ({twice.size:,} such rows)",
                next=self._start_again(series),
            )
        return whole

    def _read_month(self, series: Series, month: str, count: int) -> Rows:
        path = self.folder(series) / f"{month}.parquet"
        rows = read_rows(path, next=self._start_again(series))
        if len(rows) < count or rows.measure is not series.measure:
            raise DataError(
                f"{path.name} lost rows",
                expected=f"{count:,} rows of {series.measure} in {path}",
                got=f"{len(rows):,} rows of {rows.measure}",
                next=self._start_again(series),
            )
        return rows.as_decimals()

    def _start_again(self, series: Series) -> str:
        return f"delete {self.folder(series)} and collect or import it again"

    def _load(self, path: Path) -> StoredSeries:
        return self._parsed(path.read_bytes(), path)

    def _parsed(self, data: bytes, path: Path) -> StoredSeries:
        try:
            content = json.loads(data)
            if content["format"] != _FORMAT:
                raise ValueError(f"format {content['format']}")
            return StoredSeries(
                series=Series.from_folder(PurePosixPath(*path.parent.relative_to(self.root).parts)),
                covered=tuple((int(start), int(end)) for start, end in content["covered"]),
                months={str(month): int(count) for month, count in content["months"].items()},
                origin=Origin(bool(content["origin"]["generated"]), dict(content["origin"]["detail"])),
                rules=dict(content["rules"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path.name} of {path.parent.relative_to(self.root)} cannot be read",
                expected=f"a description of the form {_FORMAT}",
                got=str(error),
                next=f"delete {path.parent} and collect or import it again",
            ) from error

    def _save(self, known: StoredSeries) -> None:
        content = {
            "format": _FORMAT,
            "covered": [[str(start), str(end)] for start, end in known.covered],
            "months": dict(sorted(known.months.items())),
            "origin": {"generated": known.origin.generated, "detail": dict(known.origin.detail)},
            "rules": dict(known.rules),
        }
        write_text(self.folder(known.series) / SERIES_FILE, json.dumps(content, indent=1, sort_keys=True) + "\n")


def _by_month(rows: Rows) -> Iterator[tuple[str, Rows]]:
    """Rows of each month, by the open time's UTC month; `rows` are in order."""
    months = rows.open_time_ns.view("datetime64[ns]").astype("datetime64[M]")
    for month in np.unique(months):
        yield str(month), rows.take(months == month)
