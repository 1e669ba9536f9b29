"""A name is read where it can only be read in one way; the user decides over it."""

from pathlib import Path

import pytest

from sapphire.data.candle_names import identify
from sapphire.data.rows import Measure
from sapphire.data.series import Series
from sapphire.domain import DataError, UnknownFile, UnknownInterval, ValueRefused


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("BNBUSD-1h.csv", ("BN/BUSD", "BNB/USD")),
        ("DOTUSD_1h_2023.feather", ("DO/TUSD", "DOT/USD")),
        ("SHIBUSD-1h-2024-01.zip", ("SHI/BUSD", "SHIB/USD")),
        ("ARBUSD-1d.parquet", ("AR/BUSD", "ARB/USD")),
        ("Bitstamp_DOTUSD_1h.csv", ("DO/TUSD", "DOT/USD")),
        ("DOTUSD_60.csv", ("DO/TUSD", "DOT/USD")),
    ],
)
def test_an_ambiguous_name_is_refused_with_its_choices(name, choices):
    with pytest.raises(DataError, match="can be read in 2 ways") as refused:
        identify(Path(name))
    for choice in choices:
        assert choice in refused.value.got
        assert f"--symbol {choice}" in refused.value.next


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("BTCFDUSD_12h.feather", "binance BTC/FDUSD bars 12h"),
        ("BTCBUSD-1h.csv", "binance BTC/BUSD bars 1h"),
        ("ETHTUSD-1h.csv", "binance ETH/TUSD bars 1h"),
        ("BTCUSD-1h.csv", "binance BTC/USD bars 1h"),
        ("LTCUSDT-1h-2024-01.zip", "binance LTC/USDT bars 1h"),
        ("BNB_USD-1h.csv", "binance BNB/USD bars 1h"),
        ("BTC-USDT-1h.csv", "binance BTC/USDT bars 1h"),
        ("ADA_BTC-5m.json.gz", "binance ADA/BTC bars 5m"),
        ("Bitstamp_BTCUSD_d.csv", "bitstamp BTC/USD bars 1d"),
        ("Binance_BTCUSDT_2024_minute.csv", "binance BTC/USDT bars 1m"),
        ("mine_BTCUSDT_1h.csv", "binance BTC/USDT bars 1h"),
        ("XBTUSD_60.csv", "kraken BTC/USD bars 1h"),
        ("BITSTAMP_BTCUSD, 240.csv", "bitstamp BTC/USD bars 4h"),
        ("BINANCE_BTCUSDT, 1D_c0ffee.csv", "binance BTC/USDT bars 1d"),
        ("data/futures/um/monthly/klines/BTCUSDT-1h-2020-01.zip", "binance BTC/USDT:USDT bars 1h"),
    ],
)
def test_names_that_cannot_be_misread(name, series):
    assert str(identify(Path(name)).series) == series


@pytest.mark.parametrize(
    "name",
    [
        "BTCUSD_PERP-1h-2024-01.zip",
        "BTCUSDT_240628-1h-2024-01.zip",
        "BTCUSDT-aggTrades-2024-01.zip",
        "XRP_USDT-8h-mark.json",
        "BTCUSDT-1h-mark.csv",
        "BTC_USDT-trades.json.gz",
        "BTC-USD.csv",
        "pairs.json",
        "notes.txt",
    ],
)
def test_strangers(name):
    with pytest.raises(UnknownFile):
        identify(Path(name))


def test_the_user_decides_over_the_name():
    path = Path("BNBUSD-1h.csv")
    assert str(identify(path, symbol="BNB/USD").series) == "binance BNB/USD bars 1h"
    assert str(identify(path, symbol="BNB/USD", interval="4h", venue="kraken").series) == "kraken BNB/USD bars 4h"
    assert str(identify(Path("a.txt"), symbol="BTC/USDT:USDT", interval="1h").series) == "binance BTC/USDT:USDT bars 1h"
    assert str(identify(Path("BTC-USD.csv"), interval="1d").series) == "binance BTC/USD bars 1d"
    assert str(identify(Path("Bitstamp_BTCUSD_1h.csv"), venue="kraken").series) == "kraken BTC/USD bars 1h"
    mark = identify(Path("BTC_USDT_USDT-8h-mark.feather"), symbol="BTC/USDC:USDC", interval="8h")
    assert mark.series == Series("binance", "BTC/USDC:USDC", Measure.MARK, "8h")
    with pytest.raises(UnknownFile):
        identify(Path("anything.csv"), symbol="BTC/USDT")
    with pytest.raises(ValueRefused, match="not a symbol"):
        identify(path, symbol="BNBUSD")
    with pytest.raises(UnknownInterval):
        identify(path, symbol="BNB/USD", interval="7m")


def test_what_the_user_said_is_in_the_command_that_helps():
    file = identify(Path("my file.csv"), symbol="BTC/USDT", interval="1h", columns={"open": "o"})
    assert file.command("close=c") == (
        "sapphire data import 'my file.csv' --symbol BTC/USDT --interval 1h --columns open=o,close=c"
    )
