"""Folders of candles as people have them: trees by market, pair and interval, and forms of several projects.

The bars are the generated market's; each form is written as its source writes it.
"""

import re
import zipfile

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import sapphire as sp
from sapphire.data import Measure, Series, Store, check_candles, export_candles, import_candles, snapshot
from sapphire.data.candle_files import identify, read_candles, read_file
from sapphire.data.commands import app
from sapphire.data.generated import generated_rows
from sapphire.domain import BadBars, InstrumentKind, Interval, UnknownFile, ValueRefused, to_ns

HOUR = Interval("1h")
NS_PER_S = 1_000_000_000
FUTURES_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore\n"
)


@pytest.fixture(scope="module")
def market():
    """Hourly bars of two months of the generated market, by symbol."""
    span = to_ns("2021-03-01"), to_ns("2021-05-01")
    return {symbol: generated_rows(symbol, HOUR, *span, seed=3) for symbol in ("BTC/USDT", "ETH/USDT")}


def klines(rows, digits=8, unit_ns=1_000_000):
    """Binance Vision's lines: spot's numbers have eight decimals, futures' as many as they need."""

    def number(value):
        return f"{value:.8f}" if digits == 8 else f"{value:.{digits}f}"

    return "".join(
        f"{time // unit_ns},{number(o)},{number(h)},{number(low)},{number(c)},{number(v)},"
        f"{(time + HOUR.ns) // unit_ns - 1},{number(v * c)},100,{number(v / 2)},{number(v * c / 2)},0\n"
        for time, (o, h, low, c, v) in zip(rows.open_time_ns.tolist(), rows.values.tolist(), strict=True)
    )


def vision(folder, rows, tree, *, days=(31, 30), header="", digits=8, pair="BTCUSDT", interval="1h"):
    """A zip for each month, with its checksum beside it, as download-kline.py of binance-public-data keeps them."""
    place = folder / tree / pair / interval
    place.mkdir(parents=True)
    for month, rest in enumerate(days):
        begin = sum(days[:month]) * 24
        name = f"{pair}-{interval}-2021-{month + 3:02d}"
        with zipfile.ZipFile(place / f"{name}.zip", "w") as archive:
            archive.writestr(f"{name}.csv", header + klines(rows.take(slice(begin, begin + rest * 24)), digits))
        (place / f"{name}.zip.CHECKSUM").write_text(f"c0ffee  {name}.zip\n")
    return folder


def same(series, rows):
    return Store().read(series).content_sha256() == rows.content_sha256()


def test_a_tree_of_binance_vision_is_walked(home, tmp_path, market):
    for symbol, rows in market.items():
        vision(tmp_path, rows, "data/spot/monthly/klines", pair=symbol.replace("/", ""))
    last = tmp_path / "data/spot/daily/klines/BTCUSDT/1h"
    last.mkdir(parents=True)
    (last / "BTCUSDT-1h-2021-04-30.csv").write_text(klines(market["BTC/USDT"].take(slice(-24, None))))
    done = import_candles(tmp_path / "data")
    assert done.ok
    assert done.left == ()
    assert [(str(one.series), one.files, one.rows, one.added, one.missing) for one in done.series] == [
        ("binance BTC/USDT bars 1h", 3, 1464, 1464, 0),
        ("binance ETH/USDT bars 1h", 2, 1464, 1464, 0),
    ]
    assert all(same(Series("binance", symbol, Measure.BARS, "1h"), rows) for symbol, rows in market.items())
    assert done.files[1].file == "spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2021-03.zip"
    assert "imported 5 files of binance" in str(done)
    assert check_candles(tmp_path / "data").ok


@pytest.mark.parametrize("header", ["", FUTURES_HEADER])
def test_vision_s_futures_are_told_by_their_folder(home, tmp_path, market, header):
    rows = market["BTC/USDT"]
    vision(tmp_path, rows, "data/futures/um/monthly/klines", header=header, digits=2 if not header else 8)
    vision(tmp_path, rows, "data/futures/um/monthly/markPriceKlines", header=header)
    vision(tmp_path, rows, "data/futures/um/monthly/indexPriceKlines", header=header)
    vision(tmp_path, rows, "data/futures/cm/monthly/klines", header=header, pair="BTCUSD_PERP")
    vision(tmp_path, rows, "data/spot/monthly/klines")
    done = import_candles(tmp_path)
    assert sorted(str(one.series) for one in done.series) == [
        "binance BTC/USDT bars 1h",
        "binance BTC/USDT:USDT bars 1h",
        "binance BTC/USDT:USDT mark 1h",
    ]
    assert [(one.file.split("/")[2], one.why.split(":")[0]) for one in done.left] == [
        ("cm", "holds futures settled in coins"),
        ("cm", "holds futures settled in coins"),
        ("um", "holds an index of prices"),
        ("um", "holds an index of prices"),
    ]
    assert done.ok


def test_klines_that_nothing_tells_are_asked_for(home, tmp_path, market):
    rows = market["BTC/USDT"]
    path = tmp_path / "BTCUSDT-1h-2021-03.csv"
    path.write_text(klines(rows, digits=2))
    with pytest.raises(BadBars, match="may be of spot or of the perpetual") as refused:
        import_candles(path)
    assert f"{path} --market spot" in refused.value.next
    assert f"{path} --market perpetual" in refused.value.next
    assert not home.exists()
    assert str(import_candles(tmp_path, market="perpetual").series[0].series) == "binance BTC/USDT:USDT bars 1h"
    asked = CliRunner().invoke(app, ["import", str(path), "--market", "spot"])
    assert asked.exit_code == 0
    assert "imported 1 file of binance\n" in asked.output
    for unsaid in ("BTC_USDT-1h.csv", "BTCUSDT-1h-2021-04.csv"):  # our own form of a name, and spot's own digits
        (tmp_path / unsaid).write_text(klines(rows, digits=2 if "_" in unsaid else 8))
        assert read_file(identify(tmp_path / unsaid)).file.series.kind is InstrumentKind.SPOT


def test_the_user_decides_over_folder_and_header(tmp_path, market):
    folder = vision(tmp_path, market["BTC/USDT"], "futures", header=FUTURES_HEADER) / "futures/BTCUSDT/1h"
    path = folder / "BTCUSDT-1h-2021-03.zip"
    assert read_file(identify(path)).file.series.symbol == "BTC/USDT:USDT"
    assert read_file(identify(path, market="spot")).file.series.symbol == "BTC/USDT"
    assert read_file(identify(path, symbol="BTC/USDT")).file.series.symbol == "BTC/USDT"
    with pytest.raises(ValueRefused, match="not of spot"):
        identify(path, symbol="BTC/USDT:USDT", market="spot")
    with pytest.raises(ValueRefused, match="not a market"):
        identify(path, market="futures")


@pytest.mark.parametrize(
    ("path", "series"),
    [
        ("kraken/BTC-USD/1h/2021-03.csv", "kraken BTC/USD bars 1h"),
        ("BTC_USDT/15m/candles.parquet", "binance BTC/USDT bars 15m"),
        ("ETHUSDT/1d.csv", "binance ETH/USDT bars 1d"),
        ("1h/SOL-USDC.csv", "binance SOL/USDC bars 1h"),
        ("symbol=ETH_BTC/interval=4h/part-0.parquet", "binance ETH/BTC bars 4h"),
        ("bybit/linear/BTCUSDT-1h.csv", "bybit BTC/USDT:USDT bars 1h"),
        ("user_data/data/kraken/BTC_USD-1h.feather", "kraken BTC/USD bars 1h"),
        ("binance/futures/BTC_USDT_USDT-1h-futures.feather", "binance BTC/USDT:USDT bars 1h"),
        ("spot/daily/klines/BTCUSDT/1m/BTCUSDT-5m-2021-03-01.zip", "binance BTC/USDT bars 5m"),
        ("candles_BTC-USDT_3m.csv", "binance BTC/USDT bars 3m"),
        ("candles_kucoin_BTC-USDT_1h.csv", "kucoin BTC/USDT bars 1h"),
        ("candles_binance_perpetual_BTC-USDT_1h.csv", "binance BTC/USDT:USDT bars 1h"),
        ("binance_perpetual|BTC-USDT|1m.parquet", "binance BTC/USDT:USDT bars 1m"),
    ],
)
def test_folders_say_what_the_name_does_not(tmp_path, path, series):
    assert str(identify(tmp_path / path).series) == series


@pytest.mark.parametrize(
    "path", ["BTCUSDT/1h/notes.csv", "BTCUSDT/1h/BTCUSDT-metrics-2021-03-01.csv", "2021-03.csv", "1h/2021-03.csv"]
)
def test_a_folder_does_not_make_candles_of_a_stranger(tmp_path, path):
    with pytest.raises(UnknownFile):
        identify(tmp_path / path)


def test_many_strangers_do_not_hide_the_faults(home, tmp_path, market):
    vision(tmp_path, market["BTC/USDT"], "spot/monthly/klines")
    for number in range(40):
        (tmp_path / f"notes-{number:02d}.txt").write_text("")
    (tmp_path / "ETH_USDT-1h.feather").write_bytes(b"cut")
    done = import_candles(tmp_path)
    assert len(done.left) == len(done.as_dict()["left"]) == 41
    assert not done.ok
    assert re.search(r"ETH_USDT-1h.feather +fault", str(done))
    assert "and 28 more strangers" in str(done)


def test_export_joins_the_files_of_a_tree(home, tmp_path, market):
    vision(tmp_path / "tree", market["BTC/USDT"], "spot/monthly/klines")
    (written,) = export_candles(tmp_path / "tree", tmp_path / "out", ["BTC/USDT"])
    assert read_candles(identify(written)).content_sha256() == market["BTC/USDT"].content_sha256()


def hummingbot(folder, market):
    """data/candles_*.csv of the script download_candles: seconds, klines' columns by Hummingbot's names."""
    for symbol, rows in market.items():
        frame = rows.frame().assign(quote_asset_volume=0.0, n_trades=7, taker_buy_base_volume=0.0)
        frame = frame.assign(taker_buy_quote_volume=0.0).reset_index(drop=True)
        frame.insert(0, "timestamp", rows.open_time_ns / NS_PER_S)
        frame.to_csv(folder / f"candles_binance_{symbol.replace('/', '-')}_1h.csv", index=False)
    return {"venue": "binance"}


def kraken(folder, market):
    """Kraken's OHLCVT: seconds, no header, no line for an hour without a trade, XBT for bitcoin."""
    for symbol, rows in market.items():
        quiet = np.delete(np.arange(len(rows)), [5, 6, 700])
        lines = zip((rows.open_time_ns // NS_PER_S)[quiet].tolist(), rows.values[quiet].tolist(), strict=True)
        name = symbol.replace("/", "").replace("BTC", "XBT")
        text = "".join(f"{time},{','.join(map(repr, values))},12\n" for time, values in lines)
        (folder / f"{name}_60.csv").write_text(text)
    return {"venue": "kraken", "missing": 3}


def cryptodatadownload(folder, market):
    """An address above the header, the newest first, a volume in base and one in quote."""
    for symbol, rows in market.items():
        base, quote = symbol.split("/")
        head = f"Unix,Date,Symbol,Open,High,Low,Close,Volume {base},Volume {quote},tradecount\n"
        lines = [
            f"{time // 1_000_000},{pd.Timestamp(time):%Y-%m-%d %H:%M:%S},{base}{quote},{','.join(map(repr, values))},"
            f"{values[4] * values[3]:.6f},99\n"
            for time, values in zip(rows.open_time_ns.tolist(), rows.values.tolist(), strict=True)
        ]
        path = folder / f"Binance_{base}{quote}_1h.csv"
        path.write_text("https://www.CryptoDataDownload.com\n" + head + "".join(reversed(lines)))
    return {"venue": "binance", "repair": True}


def bybit(folder, market):
    """Bybit's v5 klines as downloaders keep them: start, prices, volume in base, turnover in quote, under folders."""
    for symbol, rows in market.items():
        place = folder / "bybit" / "spot" / symbol.replace("/", "") / "1h"
        place.mkdir(parents=True)
        frame = rows.frame().reset_index(drop=True).assign(turnover=rows.column("volume") * rows.column("close"))
        frame.insert(0, "startTime", rows.open_time_ns // 1_000_000)
        frame.to_csv(place / "candles.csv.gz", index=False)
    return {"venue": "bybit"}


def ccxt_frames(folder, market):
    """fetch_ohlcv in a DataFrame, kept as Parquet: milliseconds as a datetime index without a zone."""
    for symbol, rows in market.items():
        frame = rows.frame().rename_axis("timestamp").tz_localize(None)
        frame.to_parquet(folder / f"{symbol.replace('/', '_')}-1h.parquet")
    return {"venue": "binance"}


def vectorbt_frames(folder, market):
    """What vectorbt's BinanceData.download gives, kept as Parquet: capitals, an index called Open time, the rest."""
    for symbol, rows in market.items():
        frame = rows.frame().rename(columns=str.capitalize).rename_axis("Open time")
        frame["Close time"] = frame.index + pd.Timedelta("1h") - pd.Timedelta("1ms")
        frame = frame.assign(**{"Quote volume": 0.0, "Number of trades": 7, "Taker base volume": 0.0})
        frame.to_parquet(folder / f"{symbol.replace('/', '')}_1h.parquet")
    return {"venue": "binance"}


@pytest.mark.parametrize("write", [hummingbot, kraken, cryptodatadownload, bybit, ccxt_frames, vectorbt_frames])
def test_a_study_runs_on_a_folder_of_any_kind(home, tmp_path, market, write):
    folder = tmp_path / "candles"
    folder.mkdir()
    facts = write(folder, market)
    done = import_candles(folder, repair=facts.get("repair", False))
    assert done.ok
    assert {str(one.series) for one in done.series} == {f"{facts['venue']} {symbol} bars 1h" for symbol in market}
    assert [one.missing for one in done.series] == [facts.get("missing", 0)] * 2
    taken = snapshot(list(market), interval="1h", start="2021-03-01", end="2021-05-01", venue=facts["venue"])
    assert taken.provenance.label == f"recorded candles ({facts['venue']} spot)"
    for column, rows in enumerate(market.values()):
        close = taken.bars.close[taken.bars.listed[:, column], column]
        assert set(close) <= set(rows.column("close"))
        assert len(close) == len(rows) - facts.get("missing", 0)
    study = sp.study(
        "folder",
        data=taken,
        holdout="10d",
        split=sp.walk_forward(train="20d", test="10d"),
        costs=sp.costs.binance_spot(),
        sizing=sp.portfolio.VolatilityTarget(annual=0.20),
    )
    shown = study.screen(sp.agents.MovingAverageCross(fast=6, slow=24))
    assert np.isfinite(shown.performance.total_return)
    assert "spot" in str(shown)
