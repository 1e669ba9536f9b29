"""Fees are summed in the quote asset, whatever they were taken in."""

from decimal import Decimal

from sapphire.domain.instruments import Instrument, InstrumentKind, Universe
from sapphire.research.results.fees import Fee, fees_paid

RULES = Universe(
    Instrument(symbol, symbol.split("/")[0], "USDT", InstrumentKind.SPOT, Decimal("0.01"), Decimal("0.001"), Decimal(5))
    for symbol in ("BTC/USDT", "ETH/USDT")
)
ONE = 10**8


def test_a_fee_counts_at_the_price_of_its_own_fill():
    paid = fees_paid(
        [
            Fee("BTC/USDT", "BTC", ONE // 1_000, 6_000_000, 1),  # 0.001 BTC at 60,000
            Fee("BTC/USDT", "BTC", ONE // 1_000, 6_100_000, 2),  # 0.001 BTC at 61,000
            Fee("ETH/USDT", "USDT", 7 * ONE, 300_000, 3),
        ],
        RULES,
    )
    assert paid.total_quote == 60.0 + 61.0 + 7.0
    assert paid.atoms == {"BTC": 2 * ONE // 1_000, "USDT": 7 * ONE}
    assert str(paid) == "128.00 USDT (0.00200000 BTC, 7.00000000 USDT, at the price of each fill)"


def test_a_fee_in_a_third_asset_counts_at_what_that_was_worth_then():
    asked = []

    def price_at(asset, time_ns):
        asked.append((asset, time_ns))
        return 600 * ONE

    paid = fees_paid([Fee("BTC/USDT", "BNB", ONE // 100, 6_000_000, 5)], RULES, price_at=price_at)
    assert (paid.total_quote, asked) == (6.0, [("BNB", 5)])


def test_a_fee_without_a_price_is_in_no_sum_and_named():
    fees = [Fee("BTC/USDT", "BNB", ONE, 6_000_000, 5), Fee("ETH/USDT", "USDT", ONE, 300_000, 6)]
    paid = fees_paid(fees, RULES)
    assert (paid.total_quote_atoms, paid.unpriced) == (ONE, ("BNB",))
    assert str(paid).endswith("without a price, in no sum: BNB")
    assert str(fees_paid([], RULES)) == "none"
    assert str(fees_paid(fees[1:], RULES)) == "1.00 USDT"
