"""The generated market as Python sees it."""

from decimal import Decimal

import numpy as np
import pytest
import sapphire_engine

HOUR = 3_600_000_000_000
START = 1_704_067_200_000_000_000  # 2024-01-01T00:00Z


def test_the_version_is_the_packages() -> None:
    from importlib.metadata import version

    assert sapphire_engine.engine_version() == version("sapphire-engine")


def test_listings_are_text_and_dates() -> None:
    listings = {entry["symbol"]: entry for entry in sapphire_engine.listings()}
    assert listings["BTC/USDT"] == {
        "symbol": "BTC/USDT",
        "base": "BTC",
        "quote": "USDT",
        "listed_ns": 1_502_942_400_000_000_000,
    }
    assert len(listings) == 8


@pytest.mark.parametrize("symbol", [entry["symbol"] for entry in sapphire_engine.listings()])
def test_a_float_is_the_double_nearest_to_its_decimal(symbol: str) -> None:
    rules = sapphire_engine.generated_rules(symbol, seed=7, at_ns=START + 200 * HOUR - 1)
    request = (7, symbol, HOUR, START, START + 200 * HOUR)
    open_ns, ohlc, volume = sapphire_engine.generated_candles(*request)
    same_ns, ticks, lots = sapphire_engine.generated_candles_ticks(*request)
    assert [array.dtype.name for array in (open_ns, ohlc, volume)] == ["int64", "float64", "float64"]
    assert [array.dtype.name for array in (ticks, lots)] == ["int64", "int64"]
    assert ohlc.shape == ticks.shape == (200, 4)
    assert np.array_equal(open_ns, START + HOUR * np.arange(200))
    assert np.array_equal(open_ns, same_ns)
    assert ohlc.ravel().tolist() == [float(Decimal(n) * Decimal(rules["tick"])) for n in ticks.ravel().tolist()]
    assert volume.tolist() == [float(Decimal(n) * Decimal(rules["lot"])) for n in lots.tolist()]


def test_rules_have_periods_that_hold_for_what_came_before() -> None:
    first = sapphire_engine.generated_rules("ADA/USDT")
    assert (first["tick"], first["lot"], first["min_notional"]) == ("0.00001", "0.1", "5")
    assert sapphire_engine.generated_rules("ADA/USDT", seed=7, at_ns=0) == first
    late = [sapphire_engine.generated_rules("ADA/USDT", seed=seed, at_ns=2_480_000_000 * 10**9) for seed in range(20)]
    assert any(rules["tick_atoms"] < first["tick_atoms"] for rules in late)
    for rules in late:
        assert first["tick_atoms"] % rules["tick_atoms"] == 0
        assert first["lot_atoms"] % rules["lot_atoms"] == 0
        assert float(rules["tick"]) * 1e8 == pytest.approx(rules["tick_atoms"])
    risen = [sapphire_engine.generated_rules("BTC/USDT", seed=seed, at_ns=2_480_000_000 * 10**9) for seed in range(60)]
    assert any(rules["lot_atoms"] < 1_000 for rules in risen)


def test_a_candle_is_the_same_in_any_request() -> None:
    _, whole, _ = sapphire_engine.generated_candles_ticks(7, "BTC/USDT", HOUR, START, START + 48 * HOUR)
    _, part, _ = sapphire_engine.generated_candles_ticks(7, "BTCUSDT", HOUR, START + 20 * HOUR, START + 22 * HOUR)
    assert np.array_equal(whole[20:22], part)
    _, other, _ = sapphire_engine.generated_candles_ticks(8, "BTC/USDT", HOUR, START, START + 48 * HOUR)
    assert not np.array_equal(whole, other)


def test_candles_lie_wholly_within_the_request() -> None:
    open_ns, _, _ = sapphire_engine.generated_candles(7, "BTC/USDT", HOUR, START + 1, START + 4 * HOUR - 1)
    assert open_ns.tolist() == [START + HOUR, START + 2 * HOUR]


def test_nothing_stands_before_the_listing() -> None:
    listed_ns = next(entry["listed_ns"] for entry in sapphire_engine.listings() if entry["symbol"] == "SOL/USDT")
    open_ns, ohlc, volume = sapphire_engine.generated_candles(7, "SOL/USDT", HOUR, listed_ns - 9 * HOUR, listed_ns)
    assert (open_ns.shape, ohlc.shape, volume.shape) == ((0,), (0, 4), (0,))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            (7, "EUR/USD", HOUR, START, START),
            'expected a symbol of the generated market, got "EUR/USD"; it lists BTC/USDT',
        ),
        ((7, "BTC/USDT", 1, START, START), "expected an interval of whole minutes, got 1 ns"),
        ((7, "BTC/USDT", 0, START, START), "expected an interval of whole minutes, got 0 ns"),
        ((7, "BTC/USDT", HOUR, START, START - 1), "expected an end at or after the start"),
    ],
)
def test_a_bad_request_says_what_was_expected(request_: tuple[int, str, int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sapphire_engine.generated_candles(*request_)
