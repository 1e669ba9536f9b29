//! What is traded, in the integers that it is traded in.
//!
//! Invariant: prices are ticks, quantities are lots, money is atoms of 1e-8 of its asset. Nothing here rounds: a
//! value that does not fit is the caller's error. Products are exact and truncated toward zero, as the venue does; one
//! that no account can hold is none.
//!
//! Known limitation: a tick or a lot finer than 1e-8 has no whole number of atoms, and such an instrument is refused.

use crate::amounts::{Atoms, MAX_ATOMS, is_holdable};

/// Atoms in one unit of any asset.
pub const ATOMS_PER_UNIT: i64 = 100_000_000;

/// A fee rate of 1.0, in the unit rates are given in (1e-8).
pub const RATE_ONE: i64 = 100_000_000;

/// Dense index of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Asset(pub u16);

impl Asset {
    /// One that has no index here: a fee in it is known by its amount, and comes out of nothing that is held here.
    pub const UNLISTED: Self = Self(u16::MAX);
}

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
    pub min_notional_atoms: Atoms,
}

impl Instrument {
    /// Value of `lots` at `ticks` in quote atoms, truncated.
    ///
    /// # Panics
    /// When it is far beyond what an account can hold. What comes from outside is asked for its
    /// [`Instrument::checked_notional`] first.
    pub fn notional(&self, ticks: i64, lots: i64) -> Atoms {
        self.price_atoms(ticks) * self.base_atoms(lots) / Atoms::from(ATOMS_PER_UNIT)
    }

    /// Value of `lots` at `ticks` in quote atoms, truncated; none when no account can hold it.
    pub fn checked_notional(&self, ticks: i64, lots: i64) -> Option<Atoms> {
        let product = self.price_atoms(ticks).checked_mul(self.base_atoms(lots))?;
        Some(product / Atoms::from(ATOMS_PER_UNIT)).filter(|value| is_holdable(*value))
    }

    /// Whether `lots` at `ticks` are worth as much as the venue's smallest order.
    pub fn is_worth_an_order(&self, ticks: i64, lots: i64) -> bool {
        // What is more than an account can hold is more than that.
        self.checked_notional(ticks, lots).is_none_or(|value| value >= self.min_notional_atoms)
    }

    /// Quote atoms of one whole base unit at `ticks`.
    pub fn price_atoms(&self, ticks: i64) -> Atoms {
        Atoms::from(ticks) * Atoms::from(self.tick_atoms)
    }

    /// Base atoms in `lots`.
    pub fn base_atoms(&self, lots: i64) -> Atoms {
        Atoms::from(lots) * Atoms::from(self.lot_atoms)
    }

    /// The first rule that cannot be meant, in words.
    pub fn fault(&self) -> Option<String> {
        let (ticks, lots) = ((self.min_ticks, self.max_ticks), (self.min_lots, self.max_lots));
        for (name, step) in [("tick_atoms", self.tick_atoms), ("lot_atoms", self.lot_atoms)] {
            if step < 1 {
                return Some(format!("{name}: expected a whole number of atoms (1e-8), 1 or more, got {step}"));
            }
        }
        for (name, (least, most)) in [("ticks", ticks), ("lots", lots)] {
            if least < 0 || most < least {
                return Some(format!("{name}: expected 0 <= least <= most, got {least} and {most}"));
            }
        }
        // Configurations keep it as an integer of JSON.
        if u64::try_from(self.min_notional_atoms).is_err() {
            let got = self.min_notional_atoms;
            return Some(format!("min_notional_atoms: expected 0 to {}, got {got}", u64::MAX));
        }
        let dearest = self.checked_notional(self.max_ticks, 1);
        dearest.is_none().then(|| {
            let Self { max_ticks, tick_atoms, lot_atoms, .. } = self;
            format!(
                "expected a lot whose value at the highest price is at most {MAX_ATOMS} quote atoms, got {max_ticks} \
                 ticks of {tick_atoms} atoms for a lot of {lot_atoms} atoms"
            )
        })
    }
}

/// A fee of `rate` (1e-8) on `amount` atoms, truncated.
pub fn fee(amount: Atoms, rate: i64) -> Atoms {
    amount * Atoms::from(rate) / Atoms::from(RATE_ONE)
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
    fn a_coin_of_many_zeros_is_valued_and_what_nobody_can_hold_is_none() {
        // 200 billion units at 5e-7 are 100,000 USDT: 2e19 base atoms, more than 64 bits.
        let coin = Instrument { tick_atoms: 1, lot_atoms: 100_000_000, max_lots: i64::MAX, ..BTC_USDT };
        assert_eq!(coin.base_atoms(200_000_000_000), 20_000_000_000_000_000_000);
        assert_eq!(coin.notional(50, 200_000_000_000), 10_000_000_000_000);
        assert_eq!(coin.checked_notional(50, 200_000_000_000), Some(10_000_000_000_000));
        assert_eq!(coin.checked_notional(i64::MAX, i64::MAX), None);
        assert!(coin.is_worth_an_order(i64::MAX, i64::MAX) && !coin.is_worth_an_order(50, 1));
    }

    #[test]
    fn rules_that_cannot_be_meant_are_named() {
        assert_eq!(BTC_USDT.fault(), None);
        let named = |rules: Instrument| rules.fault().unwrap();
        assert!(named(Instrument { tick_atoms: 0, ..BTC_USDT }).starts_with("tick_atoms: "));
        assert!(named(Instrument { lot_atoms: -1, ..BTC_USDT }).starts_with("lot_atoms: "));
        assert!(named(Instrument { max_lots: 0, ..BTC_USDT }).starts_with("lots: "));
        assert!(named(Instrument { min_notional_atoms: -1, ..BTC_USDT }).starts_with("min_notional_atoms: "));
        let dear = Instrument { max_ticks: i64::MAX, lot_atoms: i64::MAX, ..BTC_USDT };
        assert!(named(dear).contains("a lot whose value"));
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
