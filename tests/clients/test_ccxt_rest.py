"""Every spot call about the market of the unmodified ccxt over REST, on an exchange that stands still."""

from decimal import Decimal
from typing import Any

import ccxt
import pytest

from sapphire.execution import Exchange, ccxt_config

SYMBOL = "BTC/USDT"
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def test_load_markets_reads_the_rules(reader: ccxt.binance) -> None:
    market = reader.load_markets()[SYMBOL]
    assert [market[flag] for flag in ("spot", "active", "margin")] == [True, True, False]
    assert market["precision"]["price"] == 0.01
    assert market["precision"]["amount"] == 0.00001
    assert market["limits"]["cost"]["min"] == 5.0
    assert market["limits"]["amount"]["min"] == 0.00001
    assert market["info"]["orderTypes"] == ["LIMIT", "LIMIT_MAKER", "MARKET"]
    assert market["info"]["permissionSets"] == [["SPOT"]]
    assert "contractType" not in market["info"]


def test_an_unconfigured_client_finds_spot_alone(history: Exchange) -> None:
    """ccxt's own defaults ask for futures and wallets too; they are answered with the truth."""
    address = history.address
    urls = ccxt_config(address.url, address.ws_url)["urls"]
    client = ccxt.binance({"apiKey": address.api_key, "secret": address.api_secret, "urls": urls})
    client.options["fetchMargins"] = client.options["fetchCurrencies"] = True
    markets = client.load_markets()
    assert sorted(markets) == ["BTC/USDT", "ETH/USDT"]
    assert {"BTC", "ETH", "USDT"} <= set(client.currencies)
    assert client.currencies["BTC"]["networks"] == {}
    assert not client.markets[SYMBOL]["marginModes"]["cross"]


def test_exchange_info_can_be_narrowed(reader: ccxt.binance) -> None:
    assert [row["symbol"] for row in reader.public_get_exchangeinfo({"symbol": "ETHUSDT"})["symbols"]] == ["ETHUSDT"]
    both = reader.public_get_exchangeinfo({"symbols": '["ETHUSDT","BTCUSDT"]'})
    assert [row["symbol"] for row in both["symbols"]] == ["ETHUSDT", "BTCUSDT"]
    assert reader.public_get_exchangeinfo({"permissions": "MARGIN"})["symbols"] == []
    limits = {(limit["rateLimitType"], limit["interval"]): limit["limit"] for limit in both["rateLimits"]}
    assert limits == {("REQUEST_WEIGHT", "MINUTE"): 6000, ("ORDERS", "SECOND"): 100, ("ORDERS", "DAY"): 200_000}


def test_time_ping_and_status(reader: ccxt.binance, history: Exchange) -> None:
    assert reader.fetch_time() == history.control.now_ns() // 1_000_000
    assert reader.public_get_ping() == {}
    assert reader.fetch_status()["status"] == "ok"


def test_fetch_ohlcv_counts_back_from_now(reader: ccxt.binance) -> None:
    now_ms = reader.fetch_time()
    minutes = reader.fetch_ohlcv(SYMBOL, "1m", limit=60)
    opens = [row[0] for row in minutes]
    assert opens == [now_ms // 60_000 * 60_000 - 60_000 * back for back in range(59, -1, -1)]
    for _, first, high, low, last, volume in minutes:
        assert low <= min(first, last) <= max(first, last) <= high
        assert volume > 0


def test_fetch_ohlcv_hours_are_made_of_minutes(reader: ccxt.binance) -> None:
    start = reader.fetch_time() // HOUR_MS * HOUR_MS - HOUR_MS
    (hour,) = reader.public_get_klines(
        {"symbol": "BTCUSDT", "interval": "1h", "startTime": start, "endTime": start, "limit": 1}
    )
    minutes = reader.public_get_klines({"symbol": "BTCUSDT", "interval": "1m", "startTime": start, "limit": 60})
    assert len(minutes) == 60
    assert hour[1] == minutes[0][1]
    assert Decimal(hour[2]) == max(Decimal(minute[2]) for minute in minutes)
    assert Decimal(hour[3]) == min(Decimal(minute[3]) for minute in minutes)
    assert hour[4] == minutes[-1][4]
    for column in (5, 7):
        assert Decimal(hour[column]) == sum(Decimal(minute[column]) for minute in minutes)
    assert int(hour[6]) == start + HOUR_MS - 1
    assert int(hour[8]) == sum(int(minute[8]) for minute in minutes)
    assert 0 < Decimal(hour[9]) < Decimal(hour[5])
    assert 0 < Decimal(hour[10]) < Decimal(hour[7])
    assert len(hour) == 12


def test_fetch_ohlcv_from_the_beginning_starts_at_the_listing(reader: ccxt.binance) -> None:
    (first, second) = reader.fetch_ohlcv(SYMBOL, "1d", since=0, limit=2)
    assert first[0] == reader.parse8601("2017-08-17T00:00:00Z")
    assert second[0] == first[0] + DAY_MS
    assert second[1] == first[4], "a generated day opens where the one before closed"


@pytest.mark.parametrize("timeframe", ["3m", "5m", "15m", "30m", "2h", "4h", "6h", "8h", "12h", "3d", "1w", "1M"])
def test_fetch_ohlcv_has_every_interval(reader: ccxt.binance, timeframe: str) -> None:
    rows = reader.fetch_ohlcv(SYMBOL, timeframe, limit=3)
    assert len(rows) == 3
    assert rows[0][0] < rows[1][0] < rows[2][0] <= reader.fetch_time()


def test_fetch_ohlcv_pages_without_a_hole(reader: ccxt.binance) -> None:
    start = reader.fetch_time() - 10 * DAY_MS
    whole = reader.fetch_ohlcv(SYMBOL, "15m", since=start, limit=900)
    pages = []
    while len(pages) < len(whole):
        pages += reader.fetch_ohlcv(SYMBOL, "15m", since=pages[-1][0] + 1 if pages else start, limit=250)
    assert pages[: len(whole)] == whole


def test_fetch_ticker_is_a_spot_ticker(reader: ccxt.binance) -> None:
    ticker = reader.fetch_ticker(SYMBOL)
    assert ticker["symbol"] == SYMBOL
    assert ticker["timestamp"] == reader.fetch_time()
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert ticker["bid"] < ticker["ask"]
    assert ticker["bidVolume"] > 0 < ticker["askVolume"]
    assert ticker["baseVolume"] > 0 < ticker["quoteVolume"]
    assert ticker["change"] == pytest.approx(ticker["last"] - ticker["open"])
    assert "time" not in ticker["info"]


def test_fetch_tickers_of_some_and_of_all(reader: ccxt.binance) -> None:
    assert sorted(reader.fetch_tickers()) == ["BTC/USDT", "ETH/USDT"]
    assert list(reader.fetch_tickers(["ETH/USDT"])) == ["ETH/USDT"]
    mini = reader.public_get_ticker_24hr({"symbol": "BTCUSDT", "type": "MINI"})
    full = reader.public_get_ticker_24hr({"symbol": "BTCUSDT"})
    assert set(mini) < set(full)
    assert "bidPrice" not in mini


def test_fetch_bids_asks_is_the_top_of_the_book(reader: ccxt.binance) -> None:
    tops = reader.fetch_bids_asks()
    assert sorted(tops) == ["BTC/USDT", "ETH/USDT"]
    book = reader.fetch_order_book(SYMBOL, 5)
    assert [tops[SYMBOL]["bid"], tops[SYMBOL]["bidVolume"]] == book["bids"][0]
    assert [tops[SYMBOL]["ask"], tops[SYMBOL]["askVolume"]] == book["asks"][0]
    assert "time" not in tops[SYMBOL]["info"]


def test_fetch_last_prices_are_the_tickers(reader: ccxt.binance) -> None:
    last = reader.fetch_last_prices()
    assert last[SYMBOL]["price"] == reader.fetch_ticker(SYMBOL)["last"]
    assert set(last[SYMBOL]["info"]) == {"symbol", "price"}


@pytest.mark.parametrize("limit", [None, 5, 10, 20, 50, 100, 500, 1000, 5000])
def test_fetch_order_book_is_sorted_and_never_crossed(reader: ccxt.binance, limit: int | None) -> None:
    book = reader.fetch_order_book(SYMBOL, limit)
    bids, asks = [price for price, _ in book["bids"]], [price for price, _ in book["asks"]]
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    assert book["nonce"] > 0
    assert len(bids) <= (limit or 100)


def test_fetch_trades_of_each_kind_tell_the_same_tape(reader: ccxt.binance) -> None:
    aggregated = reader.fetch_trades(SYMBOL, limit=50)
    assert len(aggregated) == 50
    assert all(trade["symbol"] == SYMBOL and trade["side"] in ("buy", "sell") for trade in aggregated)
    recent = reader.fetch_trades(SYMBOL, limit=50, params={"fetchTradesMethod": "publicGetTrades"})
    historical = reader.fetch_trades(SYMBOL, limit=50, params={"fetchTradesMethod": "publicGetHistoricalTrades"})
    assert [trade["id"] for trade in recent] == [trade["id"] for trade in historical]
    assert recent[-1]["timestamp"] == aggregated[-1]["timestamp"]
    assert str(aggregated[-1]["info"]["l"]) == recent[-1]["id"]


def test_fetch_trades_pages_by_id(reader: ccxt.binance) -> None:
    start = int(reader.fetch_trades(SYMBOL, limit=100)[0]["id"])
    pages: list[Any] = []
    for _ in range(4):
        pages += reader.fetch_trades(SYMBOL, limit=25, params={"fromId": start + len(pages)})
    assert [int(trade["id"]) for trade in pages] == list(range(start, start + 100))


def test_fetch_trades_since(reader: ccxt.binance) -> None:
    since = reader.fetch_time() - 600_000
    trades = reader.fetch_trades(SYMBOL, since=since, limit=1000)
    assert trades
    assert trades[0]["timestamp"] >= since
    assert trades[0]["timestamp"] < since + 60_000
