//! How many lots, at what price: arithmetic without state.

use super::FeeSide;
use crate::amounts::Atoms;
use crate::instrument::{ATOMS_PER_UNIT, Instrument, RATE_ONE, Side, fee};

/// Worst price of an order that takes from the best price of the other side to `slippage_bps` beyond it, kept within
/// the instrument's bounds.
pub(super) fn limit_ticks(instrument: &Instrument, side: Side, best_ticks: i64, slippage_bps: i64) -> i64 {
    let best = i128::from(best_ticks);
    let ticks = match side {
        Side::Buy => best * i128::from(10_000 + slippage_bps) / 10_000,
        // Rounded up: never beyond what is allowed.
        Side::Sell => (best * i128::from(10_000 - slippage_bps) + 9_999) / 10_000,
    };
    ticks.clamp(i128::from(instrument.min_ticks), i128::from(instrument.max_ticks)) as i64
}

/// The fewest lots of which at least `base_atoms` arrive when `rate` (1e-8) of what is received goes as a fee; never
/// more than the venue's largest order.
pub(super) fn lots_to_receive(instrument: &Instrument, base_atoms: Atoms, rate: i64) -> i64 {
    let wanted = base_atoms.max(0) * i128::from(RATE_ONE);
    let lot = i128::from(instrument.lot_atoms) * i128::from(RATE_ONE - rate);
    let lots = ((wanted + lot - 1) / lot).min(i128::from(instrument.max_lots)) as i64;
    // The fee is truncated, so that one lot less may be enough.
    let arrives = |lots: i64| instrument.base_atoms(lots) - fee(instrument.base_atoms(lots), rate);
    if lots > 0 && arrives(lots - 1) >= base_atoms { lots - 1 } else { lots }
}

/// The most lots that `cash_atoms` pays for at `ticks`, with the fee where it is taken in quote; never more than the
/// venue's largest order.
pub(super) fn lots_payable(instrument: &Instrument, ticks: i64, cash_atoms: Atoms, rate: i64, side: FeeSide) -> i64 {
    let rate = if side == FeeSide::Quote { rate } else { 0 };
    let value = cash_atoms.max(0) * i128::from(RATE_ONE) / i128::from(RATE_ONE + rate);
    let lot_price = instrument.price_atoms(ticks) * i128::from(instrument.lot_atoms);
    // The value of an order is truncated, so an order worth less than one atom more is still paid for.
    let lots = ((value + 1) * i128::from(ATOMS_PER_UNIT) - 1) / lot_price.max(1);
    lots.min(i128::from(instrument.max_lots)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instrument::Asset;
    use proptest::prelude::*;

    const BTC_USDT: Instrument = Instrument {
        base: Asset(0),
        quote: Asset(1),
        tick_atoms: 1_000_000,
        lot_atoms: 1_000,
        min_lots: 1,
        max_lots: 900_000_000,
        min_ticks: 1,
        max_ticks: 100_000_000,
        min_notional_atoms: 500_000_000,
    };

    #[test]
    fn a_price_goes_through_the_spread_and_no_further() {
        assert_eq!(limit_ticks(&BTC_USDT, Side::Buy, 5_000_001, 20), 5_010_001);
        assert_eq!(limit_ticks(&BTC_USDT, Side::Sell, 5_000_001, 20), 4_990_001);
        assert_eq!(limit_ticks(&BTC_USDT, Side::Buy, 99_999_999, 20), 100_000_000);
    }

    proptest! {
        #[test]
        fn what_arrives_is_the_target_and_less_than_a_lot_more(
            atoms in 1_i128..800_000_000_000, rate in 0_i64..10_000_000,
        ) {
            let arrives = |lots| BTC_USDT.base_atoms(lots) - fee(BTC_USDT.base_atoms(lots), rate);
            let lots = lots_to_receive(&BTC_USDT, atoms, rate);
            prop_assert!(arrives(lots) >= atoms && arrives(lots - 1) < atoms);
            prop_assert!(arrives(lots) < atoms + Atoms::from(BTC_USDT.lot_atoms));
        }

        #[test]
        fn cash_pays_for_that_much_and_for_no_lot_more(
            cash in 0_i128..1_000_000_000_000_000, ticks in 1_i64..100_000_000, rate in 0_i64..10_000_000, quote: bool,
        ) {
            let side = if quote { FeeSide::Quote } else { FeeSide::Received };
            let cost = |lots| {
                let value = BTC_USDT.notional(ticks, lots);
                value + if quote { fee(value, rate) } else { 0 }
            };
            let lots = lots_payable(&BTC_USDT, ticks, cash, rate, side);
            prop_assert!(cost(lots) <= cash);
            // With a fee in quote both parts are truncated, and the last atom may stay free.
            prop_assert!(lots == BTC_USDT.max_lots || cost(lots + 1) > cash || (quote && cost(lots + 1) == cash));
        }
    }
}
