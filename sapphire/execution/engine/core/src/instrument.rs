//! What is traded, in the integers that it is traded in.
//!
//! Invariant: prices are ticks, quantities are lots, money is atoms of 1e-8 of its asset. Nothing here rounds: a
//! value that does not fit is the caller's error. Products go through `i128` and are truncated toward zero, as the
//! venue does.
//!
//! Known limitation: an amount above about 92 billion units of an asset does not fit an `i64` of atoms.

/// Atoms in one unit of any asset.
pub const ATOMS_PER_UNIT: i64 = 100_000_000;

/// A fee rate of 1.0, in the unit rates are given in (1e-8).
pub const RATE_ONE: i64 = 100_000_000;

/// Dense index of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Asset(pub u16);

/// Dense index of an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstrumentId(pub u16);

/// Buy or sell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Takes base, pays quote.
    Buy,
    /// Gives base, receives quote.
    Sell,
}

impl Side {
    /// The other side of the trade.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// `1` for a buy, `-1` for a sell.
    pub fn sign(self) -> i64 {
        match self {
            Self::Buy => 1,
            Self::Sell => -1,
        }
    }
}

/// A spot instrument and its venue rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// Asset bought and sold.
    pub base: Asset,
    /// Asset it is priced in.
    pub quote: Asset,
    /// Quote atoms that one tick adds to the price of one whole base unit.
    pub tick_atoms: i64,
    /// Base atoms in one lot.
    pub lot_atoms: i64,
    /// Smallest order, in lots.
    pub min_lots: i64,
    /// Largest limit order, in lots.
    pub max_lots: i64,
    /// Lowest price, in ticks.
    pub min_ticks: i64,
    /// Highest price, in ticks.
    pub max_ticks: i64,
    /// Smallest order value, in quote atoms.
    pub min_notional_atoms: i64,
}

impl Instrument {
    /// Value of `lots` at `ticks` in quote atoms, truncated. Saturates at the ends of `i64`.
    pub fn notional(&self, ticks: i64, lots: i64) -> i64 {
        let product = i128::from(ticks) * i128::from(self.tick_atoms) * i128::from(lots) * i128::from(self.lot_atoms);
        saturate(product / i128::from(ATOMS_PER_UNIT))
    }

    /// Base atoms in `lots`.
    pub fn base_atoms(&self, lots: i64) -> i64 {
        saturate(i128::from(lots) * i128::from(self.lot_atoms))
    }
}

/// A fee of `rate` (1e-8) on `amount` atoms, truncated.
pub fn fee(amount: i64, rate: i64) -> i64 {
    saturate(i128::from(amount) * i128::from(rate) / i128::from(RATE_ONE))
}

fn saturate(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn a_lot_of_bitcoin_costs_what_the_venue_says() {
        // 0.00123 BTC at 64,123.45 USDT = 78.8718435 USDT, exact in atoms.
        assert_eq!(BTC_USDT.notional(6_412_345, 123), 7_887_184_350);
    }

    #[test]
    fn a_fee_is_cut_and_never_rounded_up() {
        assert_eq!(fee(7_887_184_350, 100_000), 7_887_184);
    }

    proptest! {
        #[test]
        fn splitting_an_order_never_costs_more(ticks in 1_i64..100_000_000, a in 1_i64..1_000_000, b in 1_i64..1_000_000) {
            let whole = BTC_USDT.notional(ticks, a + b);
            let parts = BTC_USDT.notional(ticks, a) + BTC_USDT.notional(ticks, b);
            prop_assert!(parts <= whole && whole - parts <= 1);
        }
    }
}
