"""Rules over time: read off prices, told by a venue or a file, and what a market goes by."""

import json
from decimal import Decimal

import numpy as np
import pytest

from sapphire.data import Measure, Rows, Series, Store, TradingRules, export_candles, read_rules, snapshot
from sapphire.data.candle_files import write_csv
from sapphire.data.rules import rules_of
from sapphire.data.steps import cut_lots
from sapphire.data.tradable import require_tradable
from sapphire.data.trading_rules import ALWAYS_NS, RULES_FILE, RulesPeriod, rules_beside, write_rules
from sapphire.domain import to_ns
from sapphire.domain.errors import ConfigError, MissingData, Refused, ValueRefused

HOUR_NS = 3_600_000_000_000
START_NS = to_ns("2020-01-01")
CHANGED = 900
"""The row from which on the tick of `litecoin` is 0.1; before, it is 0.01."""


def rows_of(count, tick_of, *, price=41.5, seed=1):
    """Hourly bars of a random walk, on ticks that change; volumes are of no lot."""
    dice = np.random.default_rng(seed)
    ticks = np.array([tick_of(row) for row in range(count)])
    close = price * np.exp(np.cumsum(dice.normal(0, 0.01, count)))
    opened = np.concatenate([[price], close[:-1]])
    opened, close = (np.round(np.rint(each / ticks) * ticks, 8) for each in (opened, close))
    high, low = (np.round(edge, 8) for edge in (np.maximum(opened, close) + ticks, np.minimum(opened, close) - ticks))
    volume = dice.uniform(10, 1000, count)
    return Rows(
        Measure.BARS, START_NS + np.arange(count) * HOUR_NS, np.column_stack([opened, high, low, close, volume])
    )


def litecoin(count=1500):
    return rows_of(count, lambda row: 0.01 if row < CHANGED else 0.1)


def stated(tick, lot="0.001", since_ns=ALWAYS_NS):
    return RulesPeriod(since_ns, Decimal(tick), Decimal(lot), Decimal("10"), "venue")


def ticks(rules):
    return [(str(period.tick), period.from_ns) for period in rules.periods]


def test_prices_show_when_a_tick_changed():
    coarser = litecoin()
    assert ticks(rules_of("LTC/USDT", coarser)) == [("0.01", ALWAYS_NS), ("0.1", START_NS + CHANGED * HOUR_NS)]
    finer = rows_of(1500, lambda row: 0.1 if row < CHANGED else 0.01)
    assert ticks(rules_of("LTC/USDT", finer)) == [("0.1", ALWAYS_NS), ("0.01", START_NS + CHANGED * HOUR_NS)]
    # A few prices are no change: they are multiples of ten ticks by chance.
    assert ticks(rules_of("LTC/USDT", coarser.take(slice(0, CHANGED + 5)))) == [("0.01", ALWAYS_NS)]


def test_rules_of_today_hold_since_prices_fit_them():
    today = TradingRules("LTC/USDT", (stated("0.1"),))
    rules = rules_of("LTC/USDT", litecoin(), today)
    assert ticks(rules) == [("0.01", ALWAYS_NS), ("0.1", START_NS + CHANGED * HOUR_NS)]
    assert [period.source for period in rules.periods] == ["read off the candles", "venue"]
    assert {str(period.lot) for period in rules.periods} == {"0.001"}, "what prices do not show is as told"
    assert ticks(rules_of("LTC/USDT", litecoin(), TradingRules("LTC/USDT", (stated("0.7"),))))[0][0] == "0.01"
    fits = TradingRules("LTC/USDT", (stated("0.01"), stated("0.05", since_ns=START_NS + CHANGED * HOUR_NS)))
    assert rules_of("LTC/USDT", litecoin(), fits) == fits


def test_a_market_goes_by_the_steps_that_hold_to_its_end():
    rules = TradingRules(
        "LTC/USDT", (stated("0.1", "0.01"), stated("0.25", "0.001", since_ns=9), stated("0.5", "1", since_ns=20))
    )
    assert (rules.instrument(0).tick, rules.instrument(0).lot) == (Decimal("0.05"), Decimal("0.001"))
    assert (rules.instrument(9).tick, rules.instrument(20).tick) == (Decimal("0.25"), Decimal("0.5"))
    assert rules.instrument(0, 9).tick == Decimal("0.1")
    assert rules.source(0, 9) == "venue"
    assert "tick 0.1, 0.25 from" in rules.source(0)
    with pytest.raises(ValueRefused, match="periods of the trading rules"):
        TradingRules("LTC/USDT", (stated("0.1", since_ns=9), stated("0.25")))


def test_the_file_says_again_what_was_written(tmp_path):
    rules = rules_of("ADA/BTC", rows_of(60, lambda _: 1e-8, price=5.29e-5))
    rules = [rules, TradingRules("LTC/USDT", (stated("0.01"), stated("0.1", since_ns=START_NS)))]
    write_rules(tmp_path, rules)
    assert rules_beside(tmp_path) == {each.symbol: each for each in rules} == read_rules(tmp_path / RULES_FILE)
    assert rules[0].instrument(START_NS).tick == Decimal("1e-8")
    for text in ("{", "[]", '{"format": "other", "rules": []}', '{"format": "sapphire-rules-1", "rules": [{}]}'):
        (tmp_path / RULES_FILE).write_text(text)
        with pytest.raises(ConfigError, match="trading rules in"):
            rules_beside(tmp_path)


def binance(symbol, base, quote, tick, step, **more):
    filters = [{"filterType": "PRICE_FILTER", "tickSize": tick}, {"filterType": "LOT_SIZE", "stepSize": step}]
    return {
        "symbol": symbol,
        "baseAsset": base,
        "quoteAsset": quote,
        "filters": [*filters, *more.pop("filters", [])],
        **more,
    }


EXCHANGE_INFO = {
    "symbols": [
        binance("LTCUSDT", "LTC", "USDT", "0.01000000", "0.00100000",
                filters=[{"filterType": "NOTIONAL", "minNotional": "5.00000000"}]),
        binance("BTCUSDT", "BTC", "USDT", "0.10", "0.001", contractType="PERPETUAL", marginAsset="USDT",
                filters=[{"filterType": "MIN_NOTIONAL", "notional": "100"}]),
        binance("BTCUSDT_261225", "BTC", "USDT", "0.10", "0.001", contractType="CURRENT_QUARTER", marginAsset="USDT"),
        binance("FINEUSDT", "FINE", "USDT", "0.000000000001", "1"),
    ]
}  # fmt: skip


def test_a_venue_s_own_words_are_read(tmp_path):
    path = tmp_path / "rules"
    path.write_text(json.dumps(EXCHANGE_INFO))
    found = read_rules(path)
    assert sorted(found) == ["BTC/USDT:USDT", "LTC/USDT"]
    (ltc,), (swap,) = found["LTC/USDT"].periods, found["BTC/USDT:USDT"].periods
    assert (ltc.tick, ltc.lot, ltc.min_notional) == (Decimal("0.01"), Decimal("0.001"), 5)
    assert (swap.min_notional, ltc.source) == (100, "exchangeInfo rules")
    market = {"symbol": "LTC/USDT", "precision": {"price": 0.01, "amount": 0.001}, "limits": {"cost": {"min": 5.0}}}
    for content, tick in (
        ({"LTC/USDT": market}, "0.01"),
        ([market], "0.01"),
        ([market | {"precision": {"price": 2, "amount": 3}}], "0.01"),
        ([market | {"precision": {"price": 1e-06, "amount": 1}}], "0.000001"),
    ):
        path.write_text(json.dumps(content))
        assert read_rules(path)["LTC/USDT"].periods[0].tick == Decimal(tick), content
    for text in ("", "{}", "[]", "[1]", '{"symbols": [1]}', '{"a": 1}'):
        path.write_text(text)
        with pytest.raises(ConfigError, match="no trading rules in"):
            read_rules(path)


@pytest.fixture
def recorded(home):
    """Stores bars of a symbol as whoever imported them."""

    def hold(symbol, rows):
        span = int(rows.open_time_ns[0]), int(rows.open_time_ns[-1]) + HOUR_NS
        Store().append(Series("binance", symbol, Measure.BARS, "1h"), rows, covered=span)

    return hold


RANGE = {"interval": "1h", "start": "2020-01-01", "end": "2020-02-20"}


def test_a_snapshot_goes_by_the_rules_of_its_range(recorded, tmp_path):
    recorded("LTC/USDT", litecoin())
    taken = snapshot(["LTC/USDT"], **RANGE)
    (entry,) = taken.manifest["instruments"]
    assert taken.instruments["LTC/USDT"].tick == Decimal("0.01")
    assert entry["rules"] == "read off the candles, lot assumed: tick 0.01, 0.1 from 2020-02-07T12:00Z"
    assert [period["tick"] for period in entry["periods"]] == ["0.01", "0.1"]
    late = snapshot(["LTC/USDT"], **RANGE | {"start": "2020-02-08"})
    assert late.instruments["LTC/USDT"].tick == Decimal("0.1")
    (tmp_path / "info.json").write_text(json.dumps(EXCHANGE_INFO))
    taken = snapshot(["LTC/USDT"], **RANGE, rules=tmp_path / "info.json")
    assert taken.instruments["LTC/USDT"].lot == Decimal("0.001")
    assert taken.manifest["instruments"][0]["rules"] == "exchangeInfo info.json"
    with pytest.raises(ValueRefused, match="rules and listings of its own"):
        snapshot(["BTC/USDT"], **RANGE, source="embedded", rules=tmp_path / "info.json")


def test_a_coin_that_was_delisted_inside_the_range_can_be_studied_once_that_is_said(recorded):
    recorded("LTC/USDT", litecoin())
    recorded("LUNA/USDT", rows_of(600, lambda _: 0.001, price=80.0))
    with pytest.raises(MissingData) as refused:
        snapshot(["LTC/USDT", "LUNA/USDT"], **RANGE)
    assert 'listed_within=["LUNA/USDT"]' in refused.value.next
    assert "LUNA/USDT has bars from 2020-01-01T00:00Z to 2020-01-26T00:00Z" in refused.value.next
    taken = snapshot(["LTC/USDT", "LUNA/USDT"], **RANGE, listed_within=["LUNA/USDT"])
    assert taken.bars.listed.sum(axis=0).tolist() == [1200, 600]
    with pytest.raises(ValueRefused, match="listed_within"):
        snapshot(["LTC/USDT"], **RANGE, listed_within=["LUNA/USDT"])
    # A hole is missed whatever is said.
    recorded("XRP/USDT", rows_of(900, lambda _: 0.001, price=80.0).take(slice(0, 300)))
    recorded("XRP/USDT", rows_of(900, lambda _: 0.001, price=80.0).take(slice(400, 900)))
    with pytest.raises(MissingData, match="XRP/USDT without 2020-01-13T12:00Z to 2020-01-17T16:00Z"):
        snapshot(["XRP/USDT"], **RANGE, listed_within=["XRP/USDT"])


def test_an_export_has_the_rules_and_reads_a_name_as_what_is_asked_for(home, tmp_path):
    write_csv(tmp_path / "BNBUSD-1h.csv", rows_of(60, lambda _: 0.1, price=300.0))
    written = export_candles(tmp_path, tmp_path / "out", ["BNB/USD"])
    assert [path.name for path in written] == ["BNBUSD-1h.csv"]
    assert ticks(rules_beside(tmp_path / "out")["BNB/USD"]) == [("0.1", ALWAYS_NS)]
    write_rules(tmp_path, [TradingRules("BNB/USD", (stated("0.05"),))])
    export_candles(tmp_path, tmp_path / "out", ["BNB/USD"])
    assert ticks(rules_beside(tmp_path / "out")["BNB/USD"]) == [("0.05", ALWAYS_NS)], "those beside the candles"


def test_a_volume_is_cut_to_whole_lots():
    volumes = np.array([0.3, 0.39999, 537249.6070000001, 0.0])
    assert cut_lots(volumes, Decimal("0.1")).tolist() == [3.0, 3.0, 5372496.0, 0.0]
    assert cut_lots(volumes, Decimal("0.001")).tolist() == [300.0, 399.0, 537249607.0, 0.0]


@pytest.mark.parametrize(
    ("symbols", "generated", "what"),
    [
        (["BTC/USDT:USDT"], False, "cannot be traded"),
        (["ADA/BTC", "LTC/USDT"], False, "by one account"),
        (["LTC/USDT"], True, "does not list LTC/USDT"),
    ],
)
def test_what_cannot_be_traded_together_is_refused(symbols, generated, what):
    with pytest.raises(Refused, match=what):
        require_tradable(symbols, generated=generated, who="release coin", next="candles")
    require_tradable(["LTC/USDT", "SOL/USDT"], generated=False, who="release coin", next="")
    require_tradable(["BTC/USDT", "SOL/USDT"], generated=True, who="release coin", next="")
