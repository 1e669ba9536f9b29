"""A candle file says what it is by its name, and what is wrong with it is said by row."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from sapphire.data.candle_files import CandleFile, identify, read_candles, write_csv
from sapphire.data.rows import Measure
from sapphire.data.series import Series
from sapphire.domain import BadBars, DataError

PERPETUAL = Series("binance", "BTC/USDT:USDT", Measure.BARS, "1h")


@pytest.mark.parametrize(
    ("name", "symbol", "measure", "interval"),
    [
        ("BTC_USDT_USDT-5m-futures.feather", "BTC/USDT:USDT", "bars", "5m"),
        ("BTC_USDT_USDT-8h-mark.feather", "BTC/USDT:USDT", "mark", "8h"),
        ("BTC_USDT_USDT-8h-funding_rate.feather", "BTC/USDT:USDT", "funding", "8h"),
        ("BTCUSDT_1h_2023-01-01_2024-12-31.feather", "BTC/USDT", "bars", "1h"),
        ("BTC_USDT-15m.parquet", "BTC/USDT", "bars", "15m"),
        ("ETHBTC-5m.csv", "ETH/BTC", "bars", "5m"),
        ("1000SATSUSDT-1m.csv", "1000SATS/USDT", "bars", "1m"),
        ("BTCFDUSD_12h.feather", "BTC/FDUSD", "bars", "12h"),
    ],
)
def test_the_name_says_what_it_holds(name, symbol, measure, interval):
    file = identify(Path(name), venue="binance")
    assert file.series == Series("binance", symbol, Measure(measure), interval)


@pytest.mark.parametrize(
    "name",
    [
        "btc_1h.parquet",
        "BTCUSDT.csv",
        "BTCUSDT-7m.csv",
        "BTC_USDT_USDT-5m-futures.txt",
        "BTC_USDT_BTC-5m-futures.feather",
        "BTC_USDT_USDT-5m.feather",
        "USDT-5m.csv",
        "XYZABC-5m.csv",
    ],
)
def test_a_name_that_says_nothing_is_refused(name):
    with pytest.raises(DataError, match="does not say what it holds"):
        identify(Path(name), venue="binance")


@pytest.mark.parametrize(("time", "zone"), [("date", "UTC"), ("timestamp", None), ("date", "Asia/Tokyo")])
def test_a_feather_file_reads_as_it_was_recorded(recording, walk, time, zone):
    rows = walk(30)
    path = recording(rows, time=time, zone=zone)
    assert read_candles(CandleFile(path, PERPETUAL)).content_sha256() == rows.content_sha256()


def test_funding_stands_in_open(funding):
    path = funding("BTC_USDT_USDT-8h-funding_rate.feather", [0.0001, -0.0003])
    rows = read_candles(identify(path, venue="binance"))
    assert rows.column("rate").tolist() == [0.0001, -0.0003]
    assert rows.open_time_ns[1] % 1_000_000_000 == 1_000_000


def test_csv_gives_every_number_back(tmp_path, walk):
    rows = walk(200)
    write_csv(tmp_path / "BTCUSDT-1h.csv", rows)
    text = (tmp_path / "BTCUSDT-1h.csv").read_text()
    assert text.startswith("open_time_ms,open,high,low,close,volume\n1706572800000,42000,")
    assert "e" not in text.splitlines()[5]
    back = read_candles(identify(tmp_path / "BTCUSDT-1h.csv", venue="binance"))
    assert back.content_sha256() == rows.content_sha256()


HEADER = "open_time_ms,open,high,low,close,volume\n"
GOOD = "1706572800000,1,2,1,2,5\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEADER + GOOD + "1706576400000,1,x,1,2,5\n", ["bad high", "'x' at row 1 (line 3)", "a number"]),
        (HEADER + GOOD + "1706576400000,1,1_000,1,2,5\n", ["bad high", "'1_000'"]),
        (HEADER + "2024-01-30,1,2,1,2,5\n", ["bad open_time_ms", "whole milliseconds", "row 0 (line 2)"]),
        (HEADER + "1.5,1,2,1,2,5\n", ["bad open_time_ms"]),
        (HEADER + GOOD + "1706576400000,1,2\n", ["cannot be read", "Expected 6 columns"]),
        (HEADER + GOOD + "1706576400000,1,2,1,2,\n", ["bad volume", "'' at row 1"]),
        ("open,high,low,close,volume\n1,2,1,2,5\n", ["lacks a column of times"]),
        ("open_time_ms,open,high,low,close\n1706572800000,1,2,1,2\n", ["lacks volume"]),
        (HEADER + "99999999999999999,1,2,1,2,5\n", ["bad open_time_ms"]),
        (HEADER + "9999999999999999,1,2,1,2,5\n", ["out of range", "row 0", "2262"]),
        ("", ["cannot be read"]),
        ("\x00\xff\xfe", ["BTCUSDT-1h.csv"]),
    ],
)
def test_a_bad_csv_is_refused_by_row(tmp_path, text, says):
    path = tmp_path / "BTCUSDT-1h.csv"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(BadBars) as refused:
        read_candles(identify(path, venue="binance"))
    for part in ["BTCUSDT-1h.csv", *says]:
        assert part in str(refused.value)


@pytest.mark.parametrize("keep", [0, 1, 7, 100, -1, -9])
@pytest.mark.parametrize("suffix", [".feather", ".parquet"])
def test_a_truncated_file_is_refused(tmp_path, walk, keep, suffix, recording):
    whole = recording(walk(40)).read_bytes()
    if suffix == ".parquet":
        pq.write_table(
            feather.read_table(str(tmp_path / "candles" / "BTC_USDT_USDT-1h-futures.feather")), tmp_path / "whole"
        )
        whole = (tmp_path / "whole").read_bytes()
    path = tmp_path / f"BTC_USDT-1h{suffix}"
    path.write_bytes(whole[:keep])
    with pytest.raises(BadBars, match=f"BTC_USDT-1h{suffix} cannot be read"):
        read_candles(identify(path, venue="binance"))


@pytest.mark.parametrize("suffix", [".feather", ".parquet"])
def test_a_file_of_something_else_is_refused(tmp_path, suffix):
    path = tmp_path / f"BTC_USDT-1h{suffix}"
    path.write_bytes(b"PK\x03\x04 this is a zip archive, or says so" * 20)
    with pytest.raises(BadBars, match="cannot be read"):
        read_candles(identify(path, venue="binance"))


def test_a_column_of_another_type_is_refused(tmp_path):
    path = tmp_path / "BTC_USDT-1h.feather"
    times = pa.array([0], pa.timestamp("ms"))
    columns = {name: pa.array([1.0]) for name in ("open", "high", "low", "close")}
    feather.write_feather(pa.table({"date": times, **columns, "volume": pa.array(["5"])}), str(path))
    with pytest.raises(BadBars, match=r"column volume of BTC_USDT-1h\.feather is of another type"):
        read_candles(identify(path, venue="binance"))
    feather.write_feather(pa.table({"date": pa.array([0.5]), **columns, "volume": pa.array([5.0])}), str(path))
    with pytest.raises(BadBars, match="column date"):
        read_candles(identify(path, venue="binance"))


def test_a_moment_that_nanoseconds_cannot_tell_is_refused(tmp_path):
    path = tmp_path / "BTC_USDT-1h.feather"
    columns = {name: pa.array([1.0]) for name in ("open", "high", "low", "close", "volume")}
    feather.write_feather(pa.table({"date": pa.array([2**40], pa.timestamp("s")), **columns}), str(path))
    with pytest.raises(BadBars, match="out of range"):
        read_candles(identify(path, venue="binance"))


def test_an_empty_cell_is_named_by_row(tmp_path):
    path = tmp_path / "BTC_USDT-1h.feather"
    columns = {name: pa.array([1.0, 2.0]) for name in ("open", "high", "low", "close")}
    times = pa.array([0, 3_600_000], pa.timestamp("ms"))
    feather.write_feather(pa.table({"date": times, **columns, "volume": pa.array([5.0, None])}), str(path))
    with pytest.raises(BadBars, match="empty volume") as refused:
        read_candles(identify(path, venue="binance"))
    assert "row 1" in str(refused.value)


def test_times_finer_than_a_millisecond_do_not_go_into_csv(tmp_path, walk):
    rows = walk(2)
    finer = type(rows)(rows.measure, rows.open_time_ns + np.array([0, 1]), rows.values)
    with pytest.raises(BadBars, match="finer than a millisecond"):
        write_csv(tmp_path / "BTCUSDT-1h.csv", finer)
    assert not (tmp_path / "BTCUSDT-1h.csv").exists()
