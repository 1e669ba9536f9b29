//! What the account holds, to the atom: cash, one position per instrument, fees.
//!
//! Invariants, property-tested: a position is what arrived (a fee taken in base makes it smaller); the cash that an
//! instrument has cost so far is the cost of what is held less what is realised, exactly; quantities do not depend on
//! the order in which the trades are told.
//!
//! Average cost: a sale realises its proceeds less its part of the cost, truncated, so that the last lot sold takes
//! what is left. A sale told before its purchase makes the position negative for that moment and is booked as a short.
//!
//! Known limitation: one quote asset for all instruments, and one instrument for a base asset. A fee in a third asset
//! is counted and not valued.

use crate::instrument::{ATOMS_PER_UNIT, Asset, Instrument, InstrumentId, Side};
use crate::orders::Fill;

/// A holding of one instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Position {
    /// Base atoms held.
    pub atoms: i64,
    /// Quote atoms paid for them (negative: received for a short).
    pub cost_atoms: i64,
    /// Quote atoms realised so far, after fees in quote.
    pub realised_atoms: i64,
}

impl Position {
    /// Whole lots held: what can be sold.
    pub fn sellable_lots(&self, instrument: &Instrument) -> i64 {
        (self.atoms / instrument.lot_atoms).max(0)
    }

    /// Average price of what is held in quote atoms per base unit, truncated; none when nothing is held.
    pub fn average_price_atoms(&self) -> Option<i64> {
        let price = i128::from(self.cost_atoms) * i128::from(ATOMS_PER_UNIT)
            / match self.atoms {
                0 => return None,
                atoms => i128::from(atoms),
            };
        Some(price.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }

    /// Quote atoms that the holding is worth at a price of `price_atoms` quote atoms per base unit.
    pub fn value_atoms(&self, price_atoms: i64) -> i64 {
        let value = i128::from(self.atoms) * i128::from(price_atoms) / i128::from(ATOMS_PER_UNIT);
        value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }

    /// `atoms` arrive (negative: leave) for `quote_atoms` of cash paid (negative: received).
    fn trade(&mut self, atoms: i64, quote_atoms: i64) {
        let opposite = self.atoms.signum() * atoms.signum() < 0;
        let closed = if opposite { atoms.abs().min(self.atoms.abs()) } else { 0 };
        let closed_cost = part(self.cost_atoms, closed, self.atoms.abs());
        let closed_quote = part(quote_atoms, closed, atoms.abs());
        self.realised_atoms -= closed_cost + closed_quote;
        self.cost_atoms += quote_atoms - closed_quote - closed_cost;
        self.atoms += atoms;
    }

    /// The holding becomes `atoms`: what is kept of it has cost what it had, what is new costs `price_atoms` a unit.
    fn adopt(&mut self, atoms: i64, price_atoms: i64) {
        let kept = if self.atoms.signum() == atoms.signum() { self.atoms.abs().min(atoms.abs()) } else { 0 };
        let new = Self { atoms: atoms - atoms.signum() * kept, ..Self::default() };
        self.cost_atoms = part(self.cost_atoms, kept, self.atoms.abs()) + new.value_atoms(price_atoms);
        self.atoms = atoms;
    }

    /// Base atoms leave for nothing, as a fee: what is left has cost the same.
    fn shrink(&mut self, atoms: i64) {
        self.atoms -= atoms;
        if self.atoms == 0 {
            self.realised_atoms -= self.cost_atoms;
            self.cost_atoms = 0;
        }
    }
}

/// `amount * numerator / denominator`, truncated; the whole of it when the two are equal.
fn part(amount: i64, numerator: i64, denominator: i64) -> i64 {
    if denominator == 0 { 0 } else { (i128::from(amount) * i128::from(numerator) / i128::from(denominator)) as i64 }
}

/// Everything an account holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    quote: Asset,
    cash_atoms: i64,
    positions: Vec<Position>,
    fees: Vec<i64>,
    /// Which instrument an asset is the base of.
    base_of: Vec<Option<InstrumentId>>,
}

impl Ledger {
    /// An empty account over `instruments` priced in `quote`, among `assets` assets.
    #[must_use]
    pub fn new(instruments: &[Instrument], quote: Asset, assets: usize) -> Self {
        let mut base_of = vec![None; assets];
        for (index, instrument) in instruments.iter().enumerate() {
            if let Some(place) = base_of.get_mut(instrument.base.0 as usize) {
                *place = Some(InstrumentId(index as u16));
            }
        }
        Self {
            quote,
            cash_atoms: 0,
            positions: vec![Position::default(); instruments.len()],
            fees: vec![0; assets],
            base_of,
        }
    }

    /// The asset that cash is in.
    pub fn quote(&self) -> Asset {
        self.quote
    }

    /// Quote atoms held, free or promised to orders.
    pub fn cash_atoms(&self) -> i64 {
        self.cash_atoms
    }

    /// The position in an instrument; empty for one that is not known.
    pub fn position(&self, instrument: InstrumentId) -> Position {
        self.positions.get(instrument.0 as usize).copied().unwrap_or_default()
    }

    /// Positions by instrument.
    pub fn positions(&self) -> &[Position] {
        &self.positions
    }

    /// Fees paid so far, atoms per asset.
    pub fn fees(&self) -> &[i64] {
        &self.fees
    }

    /// Books a trade.
    pub fn apply(&mut self, instrument: &Instrument, id: InstrumentId, side: Side, fill: &Fill) {
        let Some(position) = self.positions.get_mut(id.0 as usize) else { return };
        let fee_in = |asset: Asset| if fill.fee_asset == asset { fill.fee_atoms } else { 0 };
        let atoms = side.sign() * instrument.base_atoms(fill.lots) - fee_in(instrument.base);
        let quote_atoms = side.sign() * fill.quote_atoms + fee_in(instrument.quote);
        position.trade(atoms, quote_atoms);
        self.cash_atoms -= quote_atoms;
        if let Some(paid) = self.fees.get_mut(fill.fee_asset.0 as usize) {
            *paid += fill.fee_atoms;
        }
        // A fee in the base of another instrument comes out of that position.
        if fill.fee_asset != instrument.base
            && let Some(Some(other)) = self.base_of.get(fill.fee_asset.0 as usize)
            && let Some(position) = self.positions.get_mut(other.0 as usize)
        {
            position.shrink(fill.fee_atoms);
        }
    }

    /// Sets what is held of `asset` to what the venue says; by how many atoms that changed it. What comes in is booked
    /// at `price_atoms` quote atoms per base unit, what goes out at its average cost: neither is a gain.
    pub fn adopt(&mut self, asset: Asset, atoms: i64, price_atoms: i64) -> i64 {
        if asset == self.quote {
            let change = atoms - self.cash_atoms;
            self.cash_atoms = atoms;
            return change;
        }
        let Some(Some(id)) = self.base_of.get(asset.0 as usize).copied() else { return 0 };
        let Some(position) = self.positions.get_mut(id.0 as usize) else { return 0 };
        let change = atoms - position.atoms;
        position.adopt(atoms, price_atoms);
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BTC: Asset = Asset(0);
    const USDT: Asset = Asset(1);
    const BTC_USDT: Instrument = Instrument {
        base: BTC,
        quote: USDT,
        tick_atoms: 1_000_000,
        lot_atoms: 1_000,
        min_lots: 1,
        max_lots: 900_000_000,
        min_ticks: 1,
        max_ticks: 100_000_000,
        min_notional_atoms: 500_000_000,
    };
    const ID: InstrumentId = InstrumentId(0);

    fn fill(side: Side, ticks: i64, lots: i64, rate: i64) -> Fill {
        let quote_atoms = BTC_USDT.notional(ticks, lots);
        let (fee_asset, amount) =
            if side == Side::Buy { (BTC, BTC_USDT.base_atoms(lots)) } else { (USDT, quote_atoms) };
        let fee_atoms = crate::instrument::fee(amount, rate);
        Fill { trade: 0, ticks, lots, quote_atoms, fee_asset, fee_atoms }
    }

    #[test]
    fn a_bought_position_is_what_arrived() {
        let mut ledger = Ledger::new(&[BTC_USDT], USDT, 2);
        ledger.adopt(USDT, 100_000_000_000, 0);
        // 0.01 BTC at 50,000.00 with 10 bps in BTC.
        ledger.apply(&BTC_USDT, ID, Side::Buy, &fill(Side::Buy, 5_000_000, 1_000, 100_000));
        let position = ledger.position(ID);
        assert_eq!((position.atoms, position.cost_atoms), (999_000, 50_000_000_000));
        assert_eq!((position.sellable_lots(&BTC_USDT), ledger.cash_atoms()), (999, 50_000_000_000));
        // 500 USDT for 0.00999 BTC: 50,050.05... a unit.
        assert_eq!(position.average_price_atoms(), Some(5_005_005_005_005));
        ledger.apply(&BTC_USDT, ID, Side::Sell, &fill(Side::Sell, 6_000_000, 999, 100_000));
        let position = ledger.position(ID);
        // 599.4 USDT less 0.5994 of fee, for what had cost 500.
        assert_eq!((position.atoms, position.cost_atoms, position.realised_atoms), (0, 0, 9_880_060_000));
        assert_eq!(ledger.fees(), [1_000, 59_940_000]);
    }

    #[test]
    fn deposits_are_no_gain() {
        let mut ledger = Ledger::new(&[BTC_USDT], USDT, 2);
        assert_eq!(ledger.adopt(BTC, 200_000_000, 5_000_000_000_000), 200_000_000);
        assert_eq!(ledger.position(ID).cost_atoms, 10_000_000_000_000);
        assert_eq!(ledger.adopt(BTC, 50_000_000, 9_000_000_000_000), -150_000_000);
        assert_eq!(ledger.position(ID).cost_atoms, 2_500_000_000_000);
        assert_eq!(ledger.position(ID).realised_atoms, 0);
    }

    #[test]
    fn a_fee_in_another_base_comes_out_of_that_position() {
        let bnb = Instrument { base: Asset(2), ..BTC_USDT };
        let mut ledger = Ledger::new(&[BTC_USDT, bnb], USDT, 3);
        ledger.adopt(Asset(2), 1_000, 0);
        let paid = Fill { fee_asset: Asset(2), fee_atoms: 30, ..fill(Side::Buy, 5_000_000, 1_000, 0) };
        ledger.apply(&BTC_USDT, ID, Side::Buy, &paid);
        assert_eq!((ledger.position(ID).atoms, ledger.position(InstrumentId(1)).atoms), (1_000_000, 970));
    }

    fn trades() -> impl Strategy<Value = Vec<(bool, i64, i64)>> {
        prop::collection::vec((any::<bool>(), 1_000_000_i64..9_000_000, 1_i64..5_000), 0..40)
    }

    proptest! {
        #[test]
        fn cash_spent_is_cost_less_what_was_realised(trades in trades(), rate in 0_i64..1_000_000) {
            let mut ledger = Ledger::new(&[BTC_USDT], USDT, 2);
            for (buy, ticks, lots) in trades {
                let side = if buy { Side::Buy } else { Side::Sell };
                ledger.apply(&BTC_USDT, ID, side, &fill(side, ticks, lots, rate));
                let position = ledger.position(ID);
                prop_assert_eq!(-ledger.cash_atoms(), position.cost_atoms - position.realised_atoms);
                prop_assert!(position.atoms != 0 || position.cost_atoms == 0);
                prop_assert!(position.atoms.signum() * position.cost_atoms.signum() >= 0);
            }
        }

        #[test]
        fn quantities_do_not_depend_on_the_order_of_telling(trades in trades().prop_flat_map(|trades| {
            (Just(trades.clone()), Just(trades).prop_shuffle())
        })) {
            let held = |trades: &[(bool, i64, i64)]| {
                let mut ledger = Ledger::new(&[BTC_USDT], USDT, 2);
                for (buy, ticks, lots) in trades {
                    let side = if *buy { Side::Buy } else { Side::Sell };
                    ledger.apply(&BTC_USDT, ID, side, &fill(side, *ticks, *lots, 100_000));
                }
                (ledger.cash_atoms(), ledger.position(ID).atoms, ledger.fees().to_vec())
            };
            prop_assert_eq!(held(&trades.0), held(&trades.1));
        }
    }
}
