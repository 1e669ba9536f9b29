"""Candles of another form are kept under a name made of their bytes: no two markets share a folder."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from sapphire.domain import to_ns
from sapphire.domain.errors import DataError
from sapphire.execution.candle_folder import exchange_candles

PAIRS = ("BTC/USDT", "ETH/USDT")


@pytest.fixture
def recording(tmp_path, monkeypatch):
    """Writes a folder of candles, at prices around a level."""
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path / "home"))

    def write(name, level):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        times = pa.array(to_ns("2025-03-01") + np.arange(12) * 300_000_000_000).cast(pa.timestamp("ns", tz="UTC"))
        prices = [float(level + step) for step in range(12)]
        columns = {"date": times, "open": prices, "high": [p + 1 for p in prices], "low": [p - 1 for p in prices]}
        columns |= {"close": prices, "volume": [1.0] * 12}
        for pair in PAIRS:
            parquet.write_table(pa.table(columns), folder / f"{pair.replace('/', '_')}-5m.parquet")
        return folder

    return write


def test_other_candles_lie_elsewhere_and_the_first_stay_as_they_are(recording):
    first = exchange_candles(recording("one", 100), PAIRS)
    before = {path.name: path.read_bytes() for path in first.iterdir()}
    other = exchange_candles(recording("two", 900), PAIRS)
    assert other != first
    assert {path.name: path.read_bytes() for path in first.iterdir()} == before
    assert sorted(before) == ["BTCUSDT-5m.csv", "ETHUSDT-5m.csv", "rules.json"]
    # A folder whose files change is another market; the one that a run has begun on is still there.
    changed = exchange_candles(recording("one", 500), PAIRS)
    assert changed not in (first, other)
    assert {path.name: path.read_bytes() for path in first.iterdir()} == before


def test_the_same_candles_are_found_again_and_nothing_else_is_left(recording):
    folder = recording("one", 100)
    kept = exchange_candles(folder, PAIRS)
    assert exchange_candles(folder, PAIRS) == kept
    assert exchange_candles(kept, PAIRS) == kept
    assert exchange_candles(folder, PAIRS[:1]) != kept
    with pytest.raises(DataError):
        exchange_candles(folder, ["DOGE/USDT"])
    assert [path.name for path in kept.parent.iterdir() if path.name.startswith(".")] == []


def test_perpetuals_that_stand_in_for_spot_keep_their_label(recording):
    folder = recording("one", 100)
    assert exchange_candles(folder, PAIRS).name == "one"
    for path in list(folder.iterdir()):
        path.rename(path.with_name(path.name.replace("-5m", "_USDT-5m-futures")))
    kept = exchange_candles(folder, PAIRS)
    assert kept.name == "one-as-spot"
    assert exchange_candles(kept, PAIRS) == kept


def test_a_csv_of_another_form_is_converted(recording):
    folder = recording("one", 100)
    for path in list(folder.iterdir()):
        parquet.read_table(path).to_pandas().to_csv(path.with_suffix(".csv"), index=False)
        path.unlink()
    assert sorted(path.name for path in exchange_candles(folder, PAIRS).iterdir()) == [
        "BTCUSDT-5m.csv",
        "ETHUSDT-5m.csv",
        "rules.json",
    ]


def test_candles_that_are_refused_leave_nothing_at_home(recording, tmp_path):
    with pytest.raises(DataError):
        exchange_candles(recording("one", 100), ["DOGE/USDT"])
    assert not (tmp_path / "home").exists()
