"""Latency: when each order passed where, from the side files that the service writes beside its journal.

Spans are monotonic nanoseconds of one process, so they are never compared across two starts. A percentile is told only
where enough orders stand beyond it, and no number is told without its n.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sapphire.domain.errors import DataError

__all__ = [
    "HOPS",
    "SIGNAL_TO_WIRE",
    "LatencySummary",
    "LatencyTrace",
    "order_id",
    "read_latency_traces",
    "summarise_latency",
]

_TIMES = (
    "market_ns",
    "received_ns",
    "parsed_ns",
    "taken_ns",
    "journalled_ns",
    "decided_ns",
    "framed_ns",
    "written_ns",
    "acknowledged_ns",
    "bar_close_ns",
)
_RECORD = np.dtype(
    [("account", "<u2"), ("unused", "<u2"), ("epoch", "<u4"), ("sequence", "<u8"), *((name, "<i8") for name in _TIMES)]
)
SIGNAL_TO_WIRE = "signal to wire"
HOPS: Mapping[str, tuple[str, str]] = {
    "parse": ("received_ns", "parsed_ns"),
    "queue": ("parsed_ns", "taken_ns"),
    "journal": ("taken_ns", "journalled_ns"),
    "decide": ("journalled_ns", "decided_ns"),
    "frame": ("decided_ns", "framed_ns"),
    "write": ("framed_ns", "written_ns"),
    "acknowledge": ("written_ns", "acknowledged_ns"),
    SIGNAL_TO_WIRE: ("received_ns", "written_ns"),
}
"""Hop to the two stamps between which it lies, as the service's own histograms count them."""

_BEYOND = 10
"""Observations that must lie beyond a percentile for it to be told: p90 from n = 100, p99 from n = 1,000."""
_PERCENTILES = (90.0, 99.0, 99.9)
_NS_PER_US = 1_000.0


@dataclass(frozen=True, slots=True)
class LatencyTrace:
    """One order's way through the service.

    Parameters
    ----------
    order : client order id.
    market_ns, bar_close_ns : market time of the decision, and the close of the bar that it serves.
    stamps : name to monotonic nanoseconds; a stamp that never came is not there.
    """

    order: str
    market_ns: int
    bar_close_ns: int
    stamps: Mapping[str, int]

    def span_ns(self, hop: str) -> int | None:
        """How long a hop took; None where it was not passed."""
        first, last = (self.stamps.get(name) for name in HOPS[hop])
        return None if first is None or last is None else last - first


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """One hop over all orders, microseconds.

    Parameters
    ----------
    n : orders that passed it; with none there is no median and no maximum.
    percentiles : percent to value, only those that n allows.
    """

    hop: str
    n: int
    median_us: float | None
    max_us: float | None
    percentiles: Mapping[float, float]


def order_id(account: int, epoch: int, sequence: int) -> str:
    """The client order id, as the engine spells it.

    Examples
    --------
    >>> order_id(1, 1732320000, 26)
    'sap-0001-67411b00-1a'
    """
    return f"sap-{account:04x}-{epoch:08x}-{sequence:x}"


def read_latency_traces(folder: Path, window: tuple[int, int] | None = None) -> tuple[LatencyTrace, ...]:
    """Every order's stamps in `folder` (EPOCH.bin, or EPOCH.bin.zst of an earlier start), by epoch and then as written.

    None where nothing was sent.

    Parameters
    ----------
    window : only orders that were decided from then on and before, market time.

    A last record that a killed service left half written is passed over.

    Raises
    ------
    DataError : a file whose name is no epoch.
    """
    if not folder.is_dir():
        return ()
    epochs = set()
    for path in (*folder.glob("*.bin"), *folder.glob("*.bin.zst")):
        epoch = path.name.partition(".")[0]
        if not epoch.isdigit():
            raise DataError(f"{path.name} is no file of stamps", expected="EPOCH.bin", got=path.name, next="remove it")
        epochs.add(int(epoch))
    return tuple(trace for epoch in sorted(epochs) for trace in _read(folder / f"{epoch}.bin", window))


def summarise_latency(orders: Sequence[LatencyTrace]) -> tuple[LatencySummary, ...]:
    """Each hop's n, median and maximum, in the order of `HOPS`."""
    return tuple(_summary(hop, [order.span_ns(hop) for order in orders]) for hop in HOPS)


def _summary(hop: str, spans: Iterable[int | None]) -> LatencySummary:
    micros = np.array([span for span in spans if span is not None], dtype=np.float64) / _NS_PER_US
    if not micros.size:
        return LatencySummary(hop, 0, None, None, {})
    percents = [percent for percent in _PERCENTILES if _allowed(percent, micros.size)]
    return LatencySummary(
        hop,
        int(micros.size),
        float(np.median(micros)),
        float(micros.max()),
        {percent: float(np.percentile(micros, percent)) for percent in percents},
    )


def _allowed(percent: float, n: int) -> bool:
    """Whether `n` observations say something about a percentile.

    >>> _allowed(99.0, 999), _allowed(99.0, 1_000)
    (False, True)
    """
    return round(n * (100.0 - percent), 6) >= 100.0 * _BEYOND


def _read(path: Path, window: tuple[int, int] | None) -> list[LatencyTrace]:
    data = _bytes(path)
    whole = len(data) - len(data) % _RECORD.itemsize
    records: NDArray[np.void] = np.frombuffer(data[:whole], _RECORD)
    if window is not None:
        records = records[(records["market_ns"] >= window[0]) & (records["market_ns"] < window[1])]
    return [_trace(record) for record in records]


def _bytes(path: Path) -> bytes:
    """A file's bytes, plain, or from its archive."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        import pyarrow

        with pyarrow.input_stream(path.with_name(f"{path.name}.zst"), compression="zstd") as stream:
            return bytes(stream.read())


def _trace(record: np.void) -> LatencyTrace:
    stamps = {name: int(record[name]) for name in _TIMES[1:-1] if int(record[name]) > 0}
    order = order_id(int(record["account"]), int(record["epoch"]), int(record["sequence"]))
    return LatencyTrace(order, int(record["market_ns"]), int(record["bar_close_ns"]), stamps)
