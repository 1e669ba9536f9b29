"""A state folder of its own for each test, and small recordings made by code."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pytest

from sapphire.data.rows import Measure, Rows
from sapphire.domain import Interval, to_ns

HOUR = Interval("1h")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty state folder."""
    folder = tmp_path / "home"
    monkeypatch.setenv("SAPPHIRE_HOME", str(folder))
    return folder


def walk(
    count: int, *, start: str = "2024-01-30", interval: Interval = HOUR, seed: int = 1, price: float = 42_000
) -> Rows:
    """Sound bars of a random walk, prices on a tick of 0.1 and volumes on a lot of 0.001."""
    random = np.random.default_rng(seed)
    close = np.round(price * np.exp(np.cumsum(random.normal(0, 0.004, count))), 1)
    opened = np.round(np.concatenate([[price], close[:-1]]), 1)
    high = np.round(np.maximum(opened, close) + np.round(random.exponential(20, count), 1), 1)
    low = np.round(np.minimum(opened, close) - np.round(random.exponential(20, count), 1), 1)
    volume = np.round(random.exponential(50, count), 3)
    times = to_ns(start) + np.arange(count) * interval.ns
    return Rows(Measure.BARS, times, np.column_stack([opened, high, low, close, volume]))


def table_of(rows: Rows, *, time: str = "date", zone: str | None = "UTC") -> pa.Table:
    """The rows as a recorder writes them."""
    times = pa.array(rows.open_time_ns).cast(pa.timestamp("ns", tz=zone))
    return pa.table([times, *(pa.array(rows.column(name)) for name in rows.columns)], names=[time, *rows.columns])


@pytest.fixture(name="walk", scope="session")
def walk_fixture() -> Callable[..., Rows]:
    return walk


@pytest.fixture
def recording(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows into a candle file of a name."""
    folder = tmp_path / "candles"
    folder.mkdir()

    def write(rows: Rows, name: str = "BTC_USDT_USDT-1h-futures.feather", **how: str | None) -> Path:
        feather.write_feather(table_of(rows, **how), str(folder / name))
        return folder / name

    return write


@pytest.fixture
def funding(tmp_path: Path) -> Callable[..., Path]:
    """Writes funding rates as a recorder does: the rate in `open`, zeros elsewhere, settlements some ms late."""

    def write(name: str, rates: list[float], *, start: str = "2024-01-30") -> Path:
        late = np.array([index % 3 for index in range(len(rates))]) * 1_000_000
        times = to_ns(start) + np.arange(len(rates)) * Interval("8h").ns + late
        zeros = pa.array(np.zeros(len(rates)))
        columns = [pa.array(times).cast(pa.timestamp("ns", tz="UTC")), pa.array(rates), zeros, zeros, zeros, zeros]
        path = tmp_path / "candles" / name
        path.parent.mkdir(exist_ok=True)
        names = ["date", "open", "high", "low", "close", "volume"]
        feather.write_feather(pa.table(columns, names=names), str(path))
        return path

    return write
