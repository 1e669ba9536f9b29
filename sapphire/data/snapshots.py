"""Snapshot: bars of a universe that stay what they are, with where they are from and the hash of what they say.

The hash is the SHA-256 of the canonical manifest without its as-of time. The manifest holds the request, the trading
rules and the content hash of each symbol's bars, so the same request for the same data has the same hash on every
machine, whatever wrote the files.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.data.rows import Rows
from sapphire.data.series import kind_of, market_label, pair_of
from sapphire.domain.bars import FIELDS, Bars
from sapphire.domain.clocks import from_ns
from sapphire.domain.display import bundle, stamp
from sapphire.domain.instruments import Instrument, Universe
from sapphire.domain.intervals import Interval
from sapphire.domain.provenance import Provenance

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["Snapshot", "canonical", "content_hash", "instruments_of", "panel"]

_SHORT_HASH = 12


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Bars that stay what they are.

    Parameters
    ----------
    bars : the panel, time by symbol, with the documents that were asked for.
    provenance : where they are from; its label is on every plot and gate.
    instruments : the symbols' trading rules, in the order of the bars' columns.
    manifest : what was asked for and what came, as it stands on disk.
    folder : where it is kept.
    """

    bars: Bars
    provenance: Provenance
    instruments: Universe
    manifest: Mapping[str, Any] = field(repr=False)
    folder: Path = field(repr=False)

    @property
    def hash(self) -> str:
        """Content hash, 64 hexadecimal digits."""
        return self.provenance.snapshot_hash

    @property
    def symbols(self) -> tuple[str, ...]:
        """The universe, in the order it was asked for."""
        return self.bars.symbols

    @property
    def interval(self) -> Interval:
        """Length of the bars."""
        return self.bars.interval

    @property
    def start_ns(self) -> int:
        """Start of the request, included; UTC nanoseconds."""
        return int(self.manifest["start_ns"])

    @property
    def end_ns(self) -> int:
        """End of the request, not included; UTC nanoseconds."""
        return int(self.manifest["end_ns"])

    def __len__(self) -> int:
        return len(self.bars)

    def __eq__(self, other: object) -> bool:
        """The same request for the same bars, whenever and wherever they were taken."""
        if not isinstance(other, Snapshot):
            return NotImplemented
        return self.hash == other.hash and self.bars == other.bars

    def __hash__(self) -> int:
        return hash(self.hash)

    def __repr__(self) -> str:
        return f"Snapshot({self.hash[:_SHORT_HASH]}; {self.provenance.label}; {self.bars!r})"

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return (
            summary(self.manifest, self.hash)
            | {
                "label": self.provenance.label,
                "folder": str(self.folder),
                "bars": len(self.bars),
            }
            | ({"documents": dict(self.manifest["documents"])} if "documents" in self.manifest else {})
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        caption = (
            f"snapshot {self.hash[:_SHORT_HASH]}: {self.provenance.label}; {self.interval} bars that open from "
            f"{stamp(self.start_ns)} until before {stamp(self.end_ns)}"
        )
        if self.bars.documents is not None:
            received = Counter(each.kind for each in self.bars.documents)
            caption += "; with " + ", ".join(f"{count:,} {kind}" for kind, count in sorted(received.items()))
        expected = self.interval.bars_between(self.start_ns, self.end_ns)
        header = ["symbol", "kind", "bars", "missing", "first close", "last close", "tick", "lot", "rules"]
        lines = []
        for column, instrument in enumerate(self.instruments):
            closes = self.bars.close[self.bars.listed[:, column], column]
            lines.append(
                [
                    instrument.symbol,
                    str(instrument.kind),
                    f"{closes.size:,}",
                    f"{expected - closes.size:,}",
                    f"{closes[0]:,.8g}",
                    f"{closes[-1]:,.8g}",
                    f"{instrument.tick:f}",
                    f"{instrument.lot:f}",
                    str(self.manifest["instruments"][column]["rules"]),
                ]
            )
        return bundle(caption, header, lines)

    def plot(self, symbols: Sequence[str] | None = None) -> go.Figure:
        """Candles, one panel per symbol, and the value that was traded below; the title says where the bars are from.

        Many bars are put together to longer candles.

        Parameters
        ----------
        symbols : which; all of them unless given, and of many the first six.

        Raises
        ------
        UnknownInstrument : a symbol that the snapshot does not have.
        """
        from sapphire.domain.candles import candle_figure

        return candle_figure(self.bars, self.provenance.label, symbols)


def canonical(manifest: Mapping[str, Any]) -> str:
    """The one way to write a manifest: sorted keys, no spaces."""
    return json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical manifest without the as-of time."""
    lasting = {key: value for key, value in manifest.items() if key != "as_of_ns"}
    return hashlib.sha256(canonical(lasting).encode()).hexdigest()


def summary(manifest: Mapping[str, Any], digest: str) -> dict[str, Any]:
    """What a list of snapshots shows of one, with stable keys."""
    return {
        "hash": digest,
        "symbols": list(manifest["symbols"]),
        "interval": manifest["interval"],
        "start": stamp(int(manifest["start_ns"])),
        "end": stamp(int(manifest["end_ns"])),
        "source": manifest["source"],
        "venue": manifest["venue"],
        "detail": dict(manifest["detail"]),
        "as_of": stamp(int(manifest["as_of_ns"])),
        "label": provenance_of(manifest, digest).label,
    }


def provenance_of(manifest: Mapping[str, Any], digest: str) -> Provenance:
    """Where the data of a manifest are from."""
    return Provenance(
        source=manifest["source"],
        venue=market_label(manifest["venue"], manifest["symbols"]),
        detail=manifest["detail"],
        snapshot_hash=digest,
        as_of=from_ns(int(manifest["as_of_ns"])),
    )


def instruments_of(manifest: Mapping[str, Any]) -> Universe:
    """The trading rules in a manifest."""
    return Universe(
        Instrument(
            entry["symbol"],
            *pair_of(entry["symbol"]),
            kind=kind_of(entry["symbol"]),
            tick=Decimal(entry["tick"]),
            lot=Decimal(entry["lot"]),
            min_notional=Decimal(entry["min_notional"]),
        )
        for entry in manifest["instruments"]
    )


def panel(rows: Mapping[str, Rows], interval: Interval) -> Bars:
    """One panel of the bars of several symbols; a bar that a symbol does not have is not listed.

    Raises
    ------
    BadBars : a bar with a fault; names symbol and row.
    """
    times = np.unique(np.concatenate([part.open_time_ns for part in rows.values()]))
    fields: dict[str, Any] = {name: np.full((times.size, len(rows)), np.nan) for name in FIELDS}
    listed = np.zeros((times.size, len(rows)), np.bool_)
    for column, part in enumerate(rows.values()):
        where = np.searchsorted(times, part.open_time_ns)
        listed[where, column] = True
        for name in FIELDS:
            fields[name][where, column] = part.column(name)
    return Bars(symbols=tuple(rows), interval=interval, open_time_ns=times, listed=listed, **fields).validate()
