"""The forms in which candles go round, each as its source writes it."""

import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from sapphire.data import Measure, Rows, check_candles, import_candles, snapshot
from sapphire.data.candle_files import identify, read_candles, read_file, write_csv
from sapphire.domain import BadBars, ConfigError, InstrumentKind, UnknownFile, ValueRefused, to_ns

MS = 1_000_000
HEADERS = {
    "house": "open_time_ms,open,high,low,close,volume",
    "vision": "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
    "taker_buy_quote_volume,ignore",
}


@pytest.fixture
def read(tmp_path):
    """The rows of a file of this name and content, as the user describes it."""

    def rows_of(name, content, **options):
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content)
        return read_candles(identify(path, **options))

    return rows_of


def same(left, right):
    return left.content_sha256() == right.content_sha256()


def klines(rows, unit_ns=MS):
    """Lines as Binance Vision writes them."""
    return "".join(
        f"{time // unit_ns},{o:.8f},{h:.8f},{low:.8f},{c:.8f},{v:.8f},{(time + 3_600_000_000_000) // unit_ns - 1},"
        f"{v * c:.8f},100,{v / 2:.8f},{v * c / 2:.8f},0\n"
        for time, (o, h, low, c, v) in zip(rows.open_time_ns.tolist(), rows.values.tolist(), strict=True)
    )


def zipped(path: Path, text: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(path.with_suffix(".csv").name, text)
    return path


def lines(rows, time, columns=(0, 1, 2, 3, 4), separator=","):
    """Each row as text: what `time` says of its open time, then these columns."""
    return "".join(
        separator.join([time(at), *(repr(values[column]) for column in columns)]) + "\n"
        for at, values in zip(rows.open_time_ns.tolist(), rows.values.tolist(), strict=True)
    )


def seconds(at):
    return str(at // 1_000_000_000)


def day(at):
    return f"{pd.Timestamp(at):%Y-%m-%d}"


def iso(at):
    return f"{pd.Timestamp(at):%Y-%m-%d %H:%M:%S}"


@pytest.mark.parametrize("unit_ns", [MS, 1_000])
@pytest.mark.parametrize("form", ["zip", "csv"])
def test_binance_vision(tmp_path, walk, unit_ns, form):
    rows = walk(48)
    path = tmp_path / f"BTCUSDT-1h-2024-01.{form}"
    if form == "zip":
        zipped(path, klines(rows, unit_ns))
    else:
        path.write_text(klines(rows, unit_ns))
    assert same(read_candles(identify(path)), rows)


def test_units_may_change_within_a_file(read, walk):
    rows = walk(48)
    text = klines(rows.take(slice(0, 20))) + klines(rows.take(slice(20, 48)), 1_000)
    assert same(read("BTCUSDT-1h-all.csv", text), rows)


def test_vision_s_futures_are_known_by_their_header(tmp_path, walk):
    path = zipped(tmp_path / "BTCUSDT-1h-2025-01.zip", HEADERS["vision"] + "\n" + klines(walk(5)))
    reading = read_file(identify(path))
    assert reading.file.series.symbol == "BTC/USDT:USDT"
    assert reading.file.series.kind is InstrumentKind.LINEAR_PERPETUAL
    assert same(reading.rows, walk(5))
    assert read_file(identify(path, symbol="BTC/USDT")).file.series.symbol == "BTC/USDT"


@pytest.mark.parametrize("time", ["5", "1706572800000000000000", "99999999999"])
def test_a_time_of_which_the_unit_cannot_be_told_is_refused(read, time):
    with pytest.raises(BadBars) as refused:
        read("BTCUSDT-1h.csv", f"time,open,high,low,close,volume\n{time},1,2,1,2,5\n")
    assert "cannot be told" in str(refused.value) or "bad time" in str(refused.value)


def test_a_unit_that_is_said_is_not_guessed(read):
    rows = read("BTCUSDT-1h.csv", "n,o,h,l,c,v\n3600,1,2,1,2,5\n", columns={"open_time_s": "n"})
    assert rows.open_time_ns.tolist() == [3_600_000_000_000]


@pytest.mark.parametrize("members", [0, 2])
def test_a_zip_holds_one_file(tmp_path, members):
    path = tmp_path / "BTCUSDT-1h.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(members):
            archive.writestr(f"{number}.csv", "1,2")
    with pytest.raises(BadBars, match="does not hold one file"):
        read_candles(identify(path))


@pytest.mark.parametrize("suffix", [".zip", ".json.gz", ".csv.gz", ".json"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x1f\x8b\x08\x00cut", b"{not json", b"\xff\xfe\x00"])
def test_a_damaged_file_of_any_form_is_refused_by_name(tmp_path, suffix, content):
    path = tmp_path / f"BTC_USDT-1h{suffix}"
    path.write_bytes(content)
    with pytest.raises(BadBars, match=f"BTC_USDT-1h{suffix}"):
        read_candles(identify(path))


@pytest.mark.parametrize("packed", [False, True])
def test_freqtrade_json(read, walk, packed):
    rows = walk(48)
    listed = [[at // MS, *values] for at, values in zip(rows.open_time_ns.tolist(), rows.values.tolist(), strict=True)]
    text = json.dumps(listed).encode()
    name = "BTC_USDT-1h.json" + (".gz" if packed else "")
    assert same(read(name, gzip.compress(text) if packed else text), rows)


def test_json_of_an_api_with_text_and_names(read, walk):
    rows = walk(5)
    pairs = list(zip(rows.open_time_ns.tolist(), rows.values.tolist(), strict=True))
    arrays = [[at // MS, *map(repr, values), 0, "1", 2, "3", "4", "0"] for at, values in pairs]
    assert same(read("BTCUSDT-1h.json", json.dumps(arrays)), rows)
    names = ("open", "high", "low", "close", "volume")
    objects = [{"timestamp": at // 1_000, **dict(zip(names, values, strict=True))} for at, values in pairs]
    assert same(read("BTCUSDT-1h.json", json.dumps(objects)), rows)


@pytest.mark.parametrize("content", ["{}", "[1,2]", "[[1,2],[1]]", '[{"a":1},{"b":1}]', "[[]]", "7", "[[1],{}]"])
def test_json_of_something_else_is_refused(read, content):
    with pytest.raises(BadBars, match=r"BTC_USDT-1h\.json"):
        read("BTC_USDT-1h.json", content)


def test_cryptodatadownload_is_the_newest_first(tmp_path, home, walk):
    rows = walk(30).take(np.arange(30)[::-1])
    path = tmp_path / "Bitstamp_BTCUSD_1h.csv"
    text = "https://www.CryptoDataDownload.com\nunix,date,symbol,open,high,low,close,Volume BTC,Volume USD\n"
    for at, values in zip(rows.open_time_ns.tolist(), rows.values.tolist(), strict=True):
        text += f"{seconds(at)},{iso(at)},BTC/USD,{','.join(map(repr, values))},{values[4] * values[3]}\n"
    path.write_text(text)
    with pytest.raises(BadBars, match="out of order") as refused:
        import_candles(path)
    assert "the newest first" in refused.value.got
    done = import_candles(path, repair=True)
    assert str(done.files[0].series) == "bitstamp BTC/USD bars 1h"
    assert [note.check for note in done.files[0].notes] == ["order"]
    assert "the newest first" in str(done)


def test_cryptodatadownload_s_older_half_days(read):
    text = "Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USD\n2020-07-24 11-PM,BTCUSD,1,2,1,2,5,9\n"
    assert read("Gemini_BTCUSD_1h.csv", text).open_time_ns.tolist() == [to_ns("2020-07-24T23:00Z")]


def test_kaggle_s_bitcoin(read, walk):
    rows = walk(30)
    header = "Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency),Weighted_Price\n"
    text = header + lines(rows, seconds, (0, 1, 2, 3, 4, 4, 3))
    assert same(read("bitstampUSD.csv", text, symbol="BTC/USD", interval="1h"), rows)
    floats = "Timestamp,Open,High,Low,Close,Volume\n" + lines(rows, lambda at: seconds(at) + ".0")
    assert same(read("btcusd.csv", floats, symbol="BTC/USD", interval="1h"), rows)


def test_kraken_s_ohlcvt(read, walk):
    rows = walk(30)
    assert same(read("XBTUSD_60.csv", lines(rows, seconds, (0, 1, 2, 3, 4, 4))), rows)


def test_tradingview_with_columns_that_repeat_and_are_not_read(read, walk):
    rows = walk(30)
    text = "time,open,high,low,close,Volume,Plot,Plot\n" + lines(rows, seconds, (0, 1, 2, 3, 4, 0, 0))
    assert same(read("BITSTAMP_BTCUSD, 60.csv", text), rows)


@pytest.mark.parametrize("form", ["old", "new"])
def test_yahoo_s_volume_is_in_quote(read, form):
    if form == "old":
        text = "Date,Open,High,Low,Close,Adj Close,Volume\n2024-01-30,10,40,10,20,20,2000\n"
    else:
        text = "Price,Close,High,Low,Open,Volume\nTicker,BTC-USD,BTC-USD,BTC-USD,BTC-USD,BTC-USD\nDate,,,,,\n"
        text += "2024-01-30,20,40,10,10,2000\n"
    with pytest.raises(BadBars, match="may be in USD") as refused:
        read("BTC-USD.csv", text, interval="1d")
    assert "--columns quote_volume=Volume" in refused.value.next
    rows = read("BTC-USD.csv", text, interval="1d", columns={"quote_volume": "Volume"})
    assert rows.values.tolist() == [[10, 40, 10, 20, 100]]
    assert read("BTC-USD.csv", text, interval="1d", columns={"volume": "Volume"}).values[0, 4] == 2000


def test_a_volume_in_quote_alone_is_refused_with_the_mapping(read):
    text = "date,open,high,low,close,Volume USDT\n2024-01-30,1,2,1,2,5\n"
    with pytest.raises(BadBars, match="is in USDT") as refused:
        read("BTC_USDT-1d.csv", text)
    assert "'quote_volume=Volume USDT'" in refused.value.next


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
@pytest.mark.parametrize("packed", [False, True])
def test_any_separator_and_short_names(read, walk, separator, packed):
    rows = walk(30)
    text = separator.join(["TS", "O", "H", "L", "C", "V"]) + "\n" + lines(rows, seconds, separator=separator)
    content = gzip.compress(text.encode()) if packed else b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
    assert same(read("BTC_USDT-1h.csv" + (".gz" if packed else ""), content), rows)


def test_date_and_time_in_two_columns(read, walk):
    rows = walk(30)
    apart = lines(rows, lambda at: iso(at).replace(" ", ","))
    assert same(read("BTC_USDT-1h.csv", "<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>\n" + apart), rows)
    columns = {"open_time": "d+t"}
    assert same(read("BTC_USDT-1h.csv", "d,t,open,high,low,close,volume\n" + apart, columns=columns), rows)
    slashes = lines(rows, lambda at: iso(at).replace("-", "/") + " UTC")
    assert same(read("BTC_USDT-1h.csv", "date,open,high,low,close,volume\n" + slashes), rows)


def test_a_mapping_by_number_where_there_is_no_header(read, walk):
    rows = walk(30)
    coinbase = lines(rows, seconds, (2, 1, 0, 3, 4, 4, 4))
    with pytest.raises(BadBars, match="lacks open") as refused:
        read("BTC_USDT-1h.csv", coinbase)
    assert "open_time=1,open=2" in refused.value.next
    columns = {"open_time": "1", "low": "2", "high": "3", "open": "4", "close": "5", "volume": "6"}
    assert same(read("BTC_USDT-1h.csv", coinbase, columns=columns), rows)


@pytest.mark.parametrize("form", ["parquet", "feather", "csv"])
def test_two_columns_of_one_name_are_named(tmp_path, form):
    path = tmp_path / f"BTC_USDT-1h.{form}"
    names = ["date", "open", "high", "low", "close", "close", "volume"]
    if form == "csv":
        path.write_text(",".join(names) + "\n2024-01-30,1,2,1,2,2,5\n")
    else:
        table = pa.table([pa.array(["2024-01-30"]), *[pa.array([1.0])] * 6], names=names)
        (pq.write_table if form == "parquet" else feather.write_feather)(table, str(path))
    with pytest.raises(BadBars, match="2 columns of the name close"):
        read_candles(identify(path))


def test_two_columns_that_may_be_meant_are_refused_with_the_mappings(read):
    text = "date,open,high,low,Close,close_price,volume\n2024-01-30,1,2,1,2,2,5\n"
    with pytest.raises(BadBars, match="2 columns that may be the close") as refused:
        read("BTC_USDT-1d.csv", text)
    assert "--columns close=Close" in refused.value.next
    assert "--columns close=close_price" in refused.value.next
    assert read("BTC_USDT-1d.csv", text, columns={"close": "Close"}).values[0, 3] == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ts;o;h;l;c;v\n1706572800;42000,5;2;1;2;5\n", ["'42000,5', with a comma", "decimal point"]),
        ("date,o,h,l,c,v\n30/01/2024,1,2,1,2,5\n", ["day or month first", "the year first"]),
        ('date,o,h,l,c,v\n2024-01-30,"42,000.5",2,1,2,5\n', ["bad o", "thousands"]),
        ("date,o,h,l,c,v,symbol\n2024-01-30,1,2,1,2,5,A\n2024-01-30,1,2,1,2,5,B\n", ["several symbols", "A, B"]),
        ("date,price,amount\n2024-01-30,1,2\n", ["lacks open", "--columns open=NAME"]),
        ("one column\n", ["separated by"]),
        ("https://only.an/address\n", ["cannot be read"]),
    ],
)
def test_what_cannot_be_read_is_said_in_words(read, text, says):
    with pytest.raises(BadBars) as refused:
        read("BTC_USDT-1d.csv", text)
    for part in says:
        assert part in str(refused.value)


@pytest.mark.parametrize(
    "mapping",
    ["", "open", "open=", "opens=o", "open=a,open=b", "volume=v,quote_volume=q", "open_time=a,open_time_ms=b", {}],
)
def test_a_mapping_that_is_none_is_refused(home, recording, walk, mapping):
    path = recording(walk(3))
    if not mapping:
        assert import_candles(path, columns=mapping).ok
        return
    with pytest.raises(ValueRefused, match="not a mapping of columns"):
        import_candles(path, columns=mapping)


def test_a_mapping_to_a_column_that_is_not_there_names_those_that_are(read):
    with pytest.raises(BadBars, match="has no column amount") as refused:
        read("BTC_USDT-1d.csv", "date,o,h,l,c,v\n2024-01-30,1,2,1,2,5\n", columns={"volume": "amount"})
    assert refused.value.expected == "date, o, h, l, c, v"


def test_frames_as_pandas_and_polars_keep_them(tmp_path, walk):
    rows = walk(30)
    frame = rows.frame()
    path = tmp_path / "BTC_USDT-1h.parquet"
    for index in ("open_time", None, "Date"):
        frame.rename_axis(index).to_parquet(path)
        assert same(read_candles(identify(path)), rows)
    narrow = frame.astype("float32").reset_index()
    narrow.to_parquet(path)
    assert same(read_candles(identify(path)), rows)
    feathered = tmp_path / "BTC_USDT-1h.feather"
    narrow.astype(dict.fromkeys(rows.columns, "float64")).to_feather(feathered)
    assert same(read_candles(identify(feathered)), rows)
    pl.from_pandas(frame.reset_index()).with_columns(pl.col("open_time").dt.to_string("iso")).write_ipc(feathered)
    assert same(read_candles(identify(feathered)), rows)
    decimals = [
        pa.array([f"{value:.8f}" for value in rows.column(name)]).cast(pa.decimal128(20, 8)) for name in rows.columns
    ]
    pq.write_table(pa.table([pa.array(rows.open_time_ns // MS), *decimals], names=["time", *rows.columns]), path)
    assert same(read_candles(identify(path)), rows)


def test_text_in_a_typed_file_is_read_where_it_is_meant(tmp_path, walk):
    rows = walk(5)
    path = tmp_path / "BTC_USDT-1h.parquet"
    rows.frame().astype(str).to_parquet(path)
    with pytest.raises(BadBars, match="column open of") as refused:
        read_candles(identify(path))
    assert refused.value.next.endswith("--columns open=open")
    assert same(read_candles(identify(path, columns={"open": "open"})), rows)


def test_the_file_that_was_refused_only_at_the_snapshot(home, tmp_path):
    path = tmp_path / "ADA_BTC-1h.csv"
    path.write_text(f"{HEADERS['house']}\n1515564000000,5.29e-05,5.31e-05,5.28e-05,5.2900000000000005e-05,1000\n")
    done = import_candles(path)
    assert "5.2900000000000005e-05 read as 5.29e-05 at row 0" in str(done)
    taken = snapshot(["ADA/BTC"], interval="1h", start="2018-01-10T06:00Z", end="2018-01-10T07:00Z")
    assert taken.bars.close.tolist() == [[5.29e-05]]
    assert f"{taken.instruments['ADA/BTC'].tick:f}" == "0.0000001"


def test_a_price_that_no_account_counts_is_refused_at_the_door(home, tmp_path, walk):
    path = tmp_path / "SHIB_BTC-1h.csv"
    rows = walk(5)
    write_csv(path, Rows(Measure.BARS, rows.open_time_ns, rows.values * [1e-15, 1e-15, 1e-15, 1e-15, 1]))
    with pytest.raises(BadBars, match="prices finer than 1e-8") as refused:
        import_candles(path)
    assert "SHIB/USDT" in refused.value.next
    assert not home.exists()


def trades(step_ms=10_000, count=100):
    """freqtrade's rows: time, id, type, side, price, amount, cost."""
    start = to_ns("2024-01-30T00:00:30Z") // MS
    return [
        [start + number * step_ms, str(number), None, "buy", 100 + number % 7, 0.1 * (number % 3 + 1), 1.0]
        for number in range(count)
    ]


@pytest.mark.parametrize("form", ["json.gz", "feather", "objects", "parquet"])
def test_bars_are_made_of_trades(tmp_path, home, form):
    rows = trades()
    names = ["timestamp", "id", "type", "side", "price", "amount", "cost"]
    path = tmp_path / f"XRP_USDT-trades.{'json.gz' if form == 'objects' else form}"
    if form == "json.gz":
        path.write_bytes(gzip.compress(json.dumps(rows).encode()))
    elif form == "objects":
        objects = [dict(zip(names, row, strict=True)) for row in rows]
        path.write_bytes(gzip.compress(json.dumps(objects).encode()))
    else:
        frame = pd.DataFrame(rows, columns=names)
        frame.to_feather(path) if form == "feather" else frame.to_parquet(path)
    done = import_candles(path, interval="1m")
    # 00:00:30 to 00:17:00: the first bar began before the file, the last may go on behind it
    assert [(one.rows, str(one.series)) for one in done.files] == [(16, "binance XRP/USDT bars 1m")]
    bars = read_candles(identify(path, interval="1m"))
    assert bars.open_time_ns[0] == to_ns("2024-01-30T00:01Z")
    inside = rows[3:9]
    prices = [row[4] for row in inside]
    assert bars.values[0].tolist() == [prices[0], max(prices), min(prices), prices[-1], 1.2]
    assert "16 whole bars made of trades" in str(done)


def test_trades_say_which_bars_and_stand_in_order(tmp_path, home):
    path = tmp_path / "XRP_USDT-trades.json.gz"
    rows = trades()
    muddled = [*rows[5:], *rows[:5], rows[7]]
    path.write_bytes(gzip.compress(json.dumps(muddled).encode()))
    with pytest.raises(UnknownFile, match="which bars to make") as unsaid:
        import_candles(path)
    assert unsaid.value.next.endswith("--interval 1m")
    with pytest.raises(BadBars, match="trades out of order") as refused:
        import_candles(path, interval="1m")
    assert refused.value.next.endswith("--interval 1m --repair")
    repaired = import_candles(path, interval="1m", repair=True)
    path.write_bytes(gzip.compress(json.dumps(rows).encode()))
    assert import_candles(path, interval="1m").files[0].added == 0
    assert repaired.files[0].rows == 16


def test_forms_that_are_kept_as_they_were_got_are_not_written_anew(tmp_path, home, walk):
    rows = walk(30).take(np.arange(30)[::-1])
    path = zipped(tmp_path / "BTCUSDT-1h-2024-01.zip", klines(rows))
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="is not written anew") as refused:
        check_candles(path, repair=True)
    assert refused.value.next == f"sapphire data import {path} --repair"
    with pytest.raises(BadBars) as unordered:
        import_candles(path)
    assert unordered.value.next == refused.value.next
    assert import_candles(path, repair=True).files[0].rows == 30
    assert path.read_bytes() == before


def test_a_repair_keeps_what_stands_above_the_rows(tmp_path, walk):
    rows = walk(30)
    path = tmp_path / "Bitstamp_BTCUSD_1h.csv"
    head = "https://www.CryptoDataDownload.com\nunix,open,high,low,close,Volume BTC\n"
    path.write_text(head + lines(rows.take(np.arange(30)[::-1]), seconds))
    assert check_candles(path, repair=True).ok
    assert path.read_text() == head + lines(rows, seconds)
