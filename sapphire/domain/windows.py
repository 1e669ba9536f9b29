"""Window: what was knowable at one moment, and nothing else.

An agent sees the market only through a Window, so it cannot look ahead: a bar that closes after `as_of` cannot get in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sapphire.domain.bars import Bars, Field
from sapphire.domain.clocks import Instant, from_ns, to_ns
from sapphire.domain.display import kind_of_value, stamp
from sapphire.domain.documents import Document, Documents, no_documents
from sapphire.domain.errors import BadBars, LeakFound, MissingData, UnknownInstrument, ValueRefused
from sapphire.domain.intervals import Interval
from sapphire.domain.views import View, ViewNote

if TYPE_CHECKING:
    import pandas as pd

    BySymbol = pd.Series[float] | Mapping[str, float]

__all__ = ["Feature", "Window"]

Feature = Callable[["Window"], "pd.DataFrame"]
"""Computes one feature, close time by symbol, from what the window shows."""


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Window:
    """Closed bars up to `as_of`, for all symbols of the universe, and the documents that had been received by then.

    Parameters
    ----------
    bars : bars of which none closes after `as_of`; `bars.head_until(as_of)` makes them so.
    as_of : the moment of the decision, timezone-aware.
    features : name to a function of the window.
    documents : what could be read by `as_of`; what the bars have unless given.

    Raises
    ------
    LeakFound : a bar closes after `as_of`, or a document was received after it.
    BadBars : a bar that comes twice, or out of order.
    ValueRefused : `as_of` has no timezone, or documents that are none.
    """

    bars: Bars
    as_of: datetime
    features: Mapping[str, Feature] = field(default_factory=dict)

    def __init__(
        self,
        bars: Bars,
        as_of: datetime,
        features: Mapping[str, Feature] | None = None,
        documents: Documents | None = None,
    ) -> None:
        object.__setattr__(self, "bars", bars if documents is None else bars.with_documents(_known(documents)))
        object.__setattr__(self, "as_of", as_of)
        object.__setattr__(self, "features", {} if features is None else features)
        self._require_past()

    def _require_past(self) -> None:
        limit = to_ns(self.as_of)
        if len(self.bars) and int(self.bars.close_time_ns.max()) > limit:
            raise LeakFound(
                "a window holds a bar of its own future",
                expected=f"bars that close by {self.as_of.isoformat()}",
                got=f"a bar that closes at {from_ns(int(self.bars.close_time_ns.max())).isoformat()}",
                next="Window(bars.head_until(as_of), as_of)",
            )
        latest = None if self.bars.documents is None else self.bars.documents.latest_ns
        if latest is not None and latest > limit:
            raise LeakFound(
                "a window holds a document of its own future",
                expected=f"documents that were received by {self.as_of.isoformat()}",
                got=f"one that was received at {stamp(latest)}",
                next="Window(bars, as_of, documents=documents.until(as_of))",
            )
        opens = self.bars.open_time_ns
        if (opens[1:] <= opens[:-1]).any():
            row = int(np.argmax(opens[1:] <= opens[:-1])) + 1
            raise BadBars(
                "a window with bars out of order",
                expected="each bar once, each after the one before",
                got=f"{from_ns(int(opens[row])).isoformat()} at row {row:,}, not after the one before",
                next="sort the bars by their open time and keep the one that was final",
            )

    @property
    def symbols(self) -> tuple[str, ...]:
        """The universe, in the order of the panels' columns."""
        return self.bars.symbols

    @property
    def interval(self) -> Interval:
        """Length of the window's bars."""
        return self.bars.interval

    def panel(self, field: Field) -> pd.DataFrame:
        """One field of the bars, close time by symbol; the last row is the latest closed bar."""
        return self.bars.frame(field)

    def resample(self, interval: str | Interval) -> Window:
        """The same window in longer bars, complete ones only.

        A longer bar is complete when all its parts are there and closed; a symbol is listed in it when it was in every
        part.

        Raises
        ------
        UnknownInterval : not a venue's interval.
        ValueRefused : not a multiple of the window's own interval.
        """
        longer = interval if isinstance(interval, Interval) else Interval(interval)
        if not longer.is_multiple_of(self.interval):
            raise ValueRefused(
                "bars cannot be cut",
                expected=f"a multiple of {self.interval}",
                got=longer.text,
                next="take a snapshot with shorter bars",
            )
        return Window(_resample(self.bars, longer), self.as_of, self.features)

    def documents(self, kind: str | None = None, since: Instant | None = None) -> tuple[Document, ...]:
        """What had been received by `as_of`, the newest last; of each document the newest version.

        Where a study, a check or a worker made the window, these are the kinds that the agent names in its class
        (`documents = ("news",)`), from the open of the window's first bar on. An agent says since when it reads as it
        says how many bars it takes, and its warm-up covers both.

        Parameters
        ----------
        kind : "news", "announcement" or "note"; all that the window has unless given.
        since : those that were received at this moment or later.

        Raises
        ------
        MissingData : a kind that nobody looked for; an empty answer says that there was nothing.
        TextExpired : the text of one of them is gone, because its retention is over.
        ValueRefused : no kind of a document, or no moment.
        """
        if self.bars.documents is None:
            raise no_documents(kind)
        return self.bars.documents.of(kind, since)

    def feature(self, name: str) -> pd.DataFrame:
        """A named feature, close time by symbol.

        Raises
        ------
        MissingData : no such feature here.
        LeakFound : the feature has a row after `as_of`.
        """
        if name not in self.features:
            raise MissingData(
                f"no feature {name!r} in this window",
                expected="one of " + (", ".join(sorted(self.features)) or "none: it was made without features"),
                got=name,
            )
        frame = self.features[name](self)
        if len(frame.index) and to_ns(frame.index.max()) > to_ns(self.as_of):
            raise LeakFound(
                f"feature {name!r} looks ahead",
                expected=f"rows up to {self.as_of.isoformat()}",
                got=f"a row at {frame.index.max().isoformat()}",
            )
        return frame

    def views(
        self,
        *,
        score: BySymbol | None = None,
        mean_bps: BySymbol | None = None,
        std_bps: BySymbol | None = None,
        quantiles: Mapping[float, BySymbol] | pd.DataFrame | None = None,
        horizon: timedelta,
        release: str | None = None,
        notes: Mapping[str, ViewNote] | None = None,
    ) -> list[View]:
        """One view per symbol for which every stated number is finite, in the window's order.

        Parameters
        ----------
        score, mean_bps, std_bps : indexed by symbol, a Series or a mapping; see `View`.
        quantiles : probability to a series by symbol; a DataFrame symbol by probability does as well.
        horizon : how far the views look.
        release : who states them; the caller that knows may fill it in later (`View.stated_by`).
        notes : symbol to what stands beside its view's numbers.

        Raises
        ------
        ValueRefused : not exactly one of score, mean_bps with std_bps, quantiles; one that is no Series of numbers.
        UnknownInstrument : a symbol outside the universe.
        """
        given = {"score": score, "mean_bps": mean_bps, "std_bps": std_bps, "quantiles": quantiles}
        stated = [name for name, value in given.items() if value is not None]
        if stated not in (["score"], ["mean_bps", "std_bps"], ["quantiles"]):
            raise ValueRefused(
                "views must state one thing",
                expected="exactly one of: score; mean_bps with std_bps; quantiles",
                got=" and ".join(stated) or "nothing",
            )
        given_levels = {} if quantiles is None else {float(str(level)): of for level, of in quantiles.items()}
        levels = {level: self._by_symbol(f"quantile {level:g}", of) for level, of in given_levels.items()}
        single = (("score", score), ("mean_bps", mean_bps), ("std_bps", std_bps))
        columns = {name: self._by_symbol(name, of) for name, of in single}
        beside = {} if notes is None else _notes(notes)
        self._require_symbols(beside)
        made: list[View] = []
        for symbol in self.symbols:
            numbers = {name: columns[name].get(symbol, math.nan) for name in stated if name != "quantiles"}
            quantile = {level: of.get(symbol, math.nan) for level, of in levels.items()}
            if all(map(math.isfinite, (*numbers.values(), *quantile.values()))):
                made.append(
                    View(
                        symbol=symbol,
                        as_of=self.as_of,
                        horizon=horizon,
                        quantiles_bps=None if quantiles is None else quantile,
                        agent=release or "",
                        note=beside.get(symbol),
                        **numbers,
                    )
                )
        return made

    def _by_symbol(self, name: str, series: BySymbol | None) -> dict[str, float]:
        if series is None:
            return {}
        try:
            values = {str(symbol): float(value) for symbol, value in series.items()}
        except (AttributeError, TypeError, ValueError):
            raise ValueRefused(
                f"{name} of views",
                expected=f"a Series of one number for each of {', '.join(self.symbols)}",
                got=kind_of_value(series),
                next='a row of a panel is one: window.panel("close").iloc[-1]',
            ) from None
        self._require_symbols(values)
        return values

    def _require_symbols(self, given: Mapping[str, object]) -> None:
        unknown = [symbol for symbol in given if symbol not in self.symbols]
        if unknown:
            raise UnknownInstrument(
                "a view of a symbol outside the window",
                expected="symbols among " + ", ".join(self.symbols),
                got=", ".join(unknown),
            )


def _notes(notes: object) -> dict[str, ViewNote]:
    if not isinstance(notes, Mapping):
        raise ValueRefused("notes of views", expected="a mapping of symbol to ViewNote", got=kind_of_value(notes))
    return dict(notes)


def _known(documents: object) -> Documents:
    if isinstance(documents, Documents):
        return documents
    got = kind_of_value(documents)
    raise ValueRefused("documents of a window", expected="Documents", got=got, next="Documents([...])")


def _resample(bars: Bars, longer: Interval) -> Bars:
    """Longer bars of which every part is there."""
    parts = longer.ns // bars.interval.ns
    opens = bars.open_time_ns - bars.open_time_ns % longer.ns
    first = np.flatnonzero(np.diff(opens, prepend=-1 - longer.ns))
    whole = first[np.diff(first, append=len(bars)) == parts]
    rows = whole + np.arange(parts)[:, np.newaxis]  # parts by bars, so that reducing runs along memory
    listed = bars.listed[rows].all(axis=0)

    def shown(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(listed, values, np.nan)

    return Bars(
        symbols=bars.symbols,
        interval=longer,
        open_time_ns=opens[whole],
        open=shown(bars.open[whole]),
        high=shown(bars.high[rows].max(axis=0)),
        low=shown(bars.low[rows].min(axis=0)),
        close=shown(bars.close[whole + parts - 1]),
        volume=shown(bars.volume[rows].sum(axis=0)),
        listed=listed,
        documents=bars.documents,
    )
