//! What the account holds, to the atom: cash, one position per instrument, fees.
//!
//! Invariants, property-tested: a position is what arrived (a fee taken in base makes it smaller); the cash that an
//! instrument has cost so far is the cost of what is held less what is realised, exactly; quantities do not depend on
//! the order in which the trades are told.
//!
//! Average cost: a sale realises its proceeds less its part of the cost, truncated, so that the last lot sold takes
//! what is left. A sale told before its purchase makes the position negative for that moment and is booked as a short.
//!
//! A fee in a third asset (a venue's own coin) comes out of what is held of that asset: out of the position where the
//! asset is traded, otherwise out of a holding beside the positions, which has no price here and is in no equity.
//!
//! Known limitation: one quote asset for all instruments, and one instrument for a base asset.

use crate::amounts::{Atoms, is_holdable, share};
use crate::instrument::{ATOMS_PER_UNIT, Asset, Instrument, InstrumentId, Side};
use crate::orders::Fill;

/// A holding of one instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Position {
    /// Base atoms held.
    pub atoms: Atoms,
    /// Quote atoms paid for them (negative: received for a short).
    pub cost_atoms: Atoms,
    /// Quote atoms realised so far, after fees in quote.
    pub realised_atoms: Atoms,
}

impl Position {
    /// Whole lots held: what can be sold. Of more than 64 bits of lots, which no order can name, as many as one can.
    pub fn sellable_lots(&self, instrument: &Instrument) -> i64 {
        i64::try_from((self.atoms / Atoms::from(instrument.lot_atoms)).max(0)).unwrap_or(i64::MAX)
    }

    /// Average price of what is held in quote atoms per base unit, truncated; none when nothing is held.
    pub fn average_price_atoms(&self) -> Option<Atoms> {
        (self.atoms != 0).then(|| self.cost_atoms * Atoms::from(ATOMS_PER_UNIT) / self.atoms)
    }

    /// Quote atoms that the holding is worth at a price of `price_atoms` quote atoms per base unit, truncated; none
    /// when no account can hold that much.
    pub fn value_atoms(&self, price_atoms: Atoms) -> Option<Atoms> {
        let product = self.atoms.checked_mul(price_atoms)?;
        Some(product / Atoms::from(ATOMS_PER_UNIT)).filter(|value| is_holdable(*value))
    }

    /// `atoms` arrive (negative: leave) for `quote_atoms` of cash paid (negative: received).
    fn trade(&mut self, atoms: Atoms, quote_atoms: Atoms) {
        let opposite = self.atoms.signum() * atoms.signum() < 0;
        let closed = if opposite { atoms.abs().min(self.atoms.abs()) } else { 0 };
        let closed_cost = share(self.cost_atoms, closed, self.atoms.abs());
        let closed_quote = share(quote_atoms, closed, atoms.abs());
        self.realised_atoms -= closed_cost + closed_quote;
        self.cost_atoms += quote_atoms - closed_quote - closed_cost;
        self.atoms += atoms;
    }

    /// The holding as it is once it is `atoms`: what is kept of it has cost what it had, what is new costs
    /// `price_atoms` a unit. None when no account can hold that much, or what it costs.
    fn adopted(&self, atoms: Atoms, price_atoms: Atoms) -> Option<Self> {
        let kept = if self.atoms.signum() == atoms.signum() { self.atoms.abs().min(atoms.abs()) } else { 0 };
        let new = Self { atoms: atoms - atoms.signum() * kept, ..Self::default() };
        let cost_atoms = share(self.cost_atoms, kept, self.atoms.abs()) + new.value_atoms(price_atoms)?;
        is_holdable(atoms).then_some(Self { atoms, cost_atoms, ..*self })
    }

    /// Base atoms leave for nothing, as a fee: what is left has cost the same.
    fn shrink(&mut self, atoms: Atoms) {
        self.atoms -= atoms;
        if self.atoms == 0 {
            self.realised_atoms -= self.cost_atoms;
            self.cost_atoms = 0;
        }
    }
}

/// Everything an account holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    quote: Asset,
    cash_atoms: Atoms,
    positions: Vec<Position>,
    /// Of assets that are neither cash nor traded, by asset.
    others: Vec<Atoms>,
    fees: Vec<Atoms>,
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
            others: vec![0; assets],
            fees: vec![0; assets],
            base_of,
        }
    }

    /// The asset that cash is in.
    pub fn quote(&self) -> Asset {
        self.quote
    }

    /// Quote atoms held, free or promised to orders.
    pub fn cash_atoms(&self) -> Atoms {
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

    /// Atoms held of assets that are neither cash nor traded, by asset.
    pub fn others(&self) -> &[Atoms] {
        &self.others
    }

    /// Atoms held of an asset, whatever it is here; none of one that is not known.
    pub fn held(&self, asset: Asset) -> Option<Atoms> {
        let index = asset.0 as usize;
        match self.base_of.get(index)? {
            _ if asset == self.quote => Some(self.cash_atoms),
            Some(id) => Some(self.position(*id).atoms),
            None => self.others.get(index).copied(),
        }
    }

    /// Fees paid so far, atoms per asset.
    pub fn fees(&self) -> &[Atoms] {
        &self.fees
    }

    /// Books a trade.
    pub fn apply(&mut self, instrument: &Instrument, id: InstrumentId, side: Side, fill: &Fill) {
        let Some(position) = self.positions.get_mut(id.0 as usize) else { return };
        let fee_in = |asset: Asset| if fill.fee_asset == asset { fill.fee_atoms } else { 0 };
        let sign = Atoms::from(side.sign());
        let atoms = sign * instrument.base_atoms(fill.lots) - fee_in(instrument.base);
        let quote_atoms = sign * fill.quote_atoms + fee_in(instrument.quote);
        position.trade(atoms, quote_atoms);
        self.cash_atoms -= quote_atoms;
        if let Some(paid) = self.fees.get_mut(fill.fee_asset.0 as usize) {
            *paid += fill.fee_atoms;
        }
        if fill.fee_asset == instrument.base || fill.fee_asset == instrument.quote {
            return;
        }
        let index = fill.fee_asset.0 as usize;
        match self.base_of.get(index).copied().flatten() {
            Some(other) => self.positions[other.0 as usize].shrink(fill.fee_atoms),
            None => self.others.iter_mut().skip(index).take(1).for_each(|held| *held -= fill.fee_atoms),
        }
    }

    /// Whether `atoms` of `asset` can be taken on at `price_atoms`.
    ///
    /// # Errors
    /// [`NotHoldable`] for more than an account can hold, in atoms or in cost.
    pub fn admits(&self, asset: Asset, atoms: Atoms, price_atoms: Atoms) -> Result<(), NotHoldable> {
        let position = self.base_of.get(asset.0 as usize).copied().flatten().map(|id| self.position(id));
        let is_held =
            is_holdable(atoms) && position.is_none_or(|position| position.adopted(atoms, price_atoms).is_some());
        if is_held { Ok(()) } else { Err(NotHoldable { asset, atoms }) }
    }

    /// Sets what is held of `asset` to what the venue says; by how many atoms that changed it. What comes in is booked
    /// at `price_atoms` quote atoms per base unit, what goes out at its average cost: neither is a gain.
    ///
    /// # Errors
    /// What [`Ledger::admits`] refuses; then nothing is changed.
    pub fn reconcile(&mut self, asset: Asset, atoms: Atoms, price_atoms: Atoms) -> Result<Atoms, NotHoldable> {
        self.admits(asset, atoms, price_atoms)?;
        let Some(before) = self.held(asset) else { return Ok(0) };
        let index = asset.0 as usize;
        match self.base_of.get(index).copied().flatten() {
            _ if asset == self.quote => self.cash_atoms = atoms,
            Some(id) => {
                let position = &mut self.positions[id.0 as usize];
                *position = position.adopted(atoms, price_atoms).ok_or(NotHoldable { asset, atoms })?;
            }
            None => self.others[index] = atoms,
        }
        Ok(atoms - before)
    }
}

/// More of an asset than an account can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("asset {}: {atoms} atoms, or what they cost, are more than the {} that an account can hold", asset.0, crate::amounts::MAX_ATOMS)]
pub struct NotHoldable {
    /// Of what.
    pub asset: Asset,
    /// How much, atoms.
    pub atoms: Atoms,
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
        ledger.reconcile(USDT, 100_000_000_000, 0).unwrap();
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
        assert_eq!(ledger.reconcile(BTC, 200_000_000, 5_000_000_000_000), Ok(200_000_000));
        assert_eq!(ledger.position(ID).cost_atoms, 10_000_000_000_000);
        assert_eq!(ledger.reconcile(BTC, 50_000_000, 9_000_000_000_000), Ok(-150_000_000));
        assert_eq!(ledger.position(ID).cost_atoms, 2_500_000_000_000);
        assert_eq!(ledger.position(ID).realised_atoms, 0);
    }

    #[test]
    fn a_fee_in_another_base_comes_out_of_that_position() {
        let bnb = Instrument { base: Asset(2), ..BTC_USDT };
        let mut ledger = Ledger::new(&[BTC_USDT, bnb], USDT, 3);
        ledger.reconcile(Asset(2), 1_000, 0).unwrap();
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
