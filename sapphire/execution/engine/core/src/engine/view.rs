//! The account as it stands, in values: what the gate and the sizing look at.

use super::Engine;
use crate::amounts::{Atoms, is_holdable};
use crate::instrument::{Asset, Instrument, InstrumentId, Side, fee};
use crate::orders::{Order, ReleaseId, Tracked};
use crate::positions::Position;
use crate::risk::{AccountView, DenialCode, Exposure, LimitSet};

impl Engine {
    /// Cash and positions at the latest middle prices; none when something held never had a price, or when it comes to
    /// more than an account can hold.
    pub fn equity_atoms(&self) -> Option<Atoms> {
        self.equity().ok()
    }

    /// The same; without it, the code of an order that is denied for the want of it.
    fn equity(&self) -> Result<Atoms, DenialCode> {
        let equity = (0..self.work.len()).try_fold(self.ledger.cash_atoms(), |equity, index| {
            let position = self.ledger.position(InstrumentId(index as u16));
            if position.atoms == 0 {
                return Ok(equity);
            }
            let bbo = self.bbos[index].ok_or(DenialCode::NoReference)?;
            let value = position.value_atoms(bbo.middle_atoms(&self.instruments[index]));
            Ok(equity + value.ok_or(DenialCode::Amount)?)
        })?;
        if is_holdable(equity) { Ok(equity) } else { Err(DenialCode::Amount) }
    }

    /// Latest middle price of the instrument that an asset is the base of.
    pub(super) fn price_of(&self, asset: Asset) -> Option<Atoms> {
        let index = self.instruments.iter().position(|instrument| instrument.base == asset)?;
        Some(self.bbos[index]?.middle_atoms(&self.instruments[index]))
    }

    /// What the fees paid in an asset so far are worth in quote at the latest middle price, truncated; none where the
    /// asset has no price here.
    pub fn fee_value_atoms(&self, asset: Asset) -> Option<Atoms> {
        let paid = self.ledger.fees().get(asset.0 as usize).copied()?;
        if asset == self.ledger.quote() {
            return Some(paid);
        }
        Position { atoms: paid, ..Position::default() }.value_atoms(self.price_of(asset)?)
    }

    /// What a release may do: the tighter of the configuration's limits and of its own. None for one without a place.
    pub fn strategy_limits(&self, release: ReleaseId) -> Option<&LimitSet> {
        self.gate.strategy(release)
    }

    /// Whole lots held.
    pub(super) fn held_lots(&self, index: usize) -> i64 {
        self.ledger.position(InstrumentId(index as u16)).sellable_lots(&self.instruments[index])
    }

    /// Orders of an instrument that may still change its position.
    pub(super) fn live(&self, index: usize) -> impl Iterator<Item = &Tracked> {
        self.work[index].live.iter().filter_map(|id| self.orders.get(*id))
    }

    /// Cash that no buy on the way may still take.
    pub(super) fn free_cash_atoms(&self) -> Atoms {
        let promised = (0..self.work.len()).flat_map(|index| self.live(index)).map(|tracked| {
            if tracked.order.side == Side::Sell {
                return 0;
            }
            let value = in_flight_atoms(&self.instruments[tracked.order.instrument.0 as usize], tracked);
            value + fee(value, self.quote_fee_rate)
        });
        self.ledger.cash_atoms() - promised.sum::<Atoms>()
    }

    pub(super) fn account_view(&self, order: &Order) -> AccountView {
        let index = order.instrument.0 as usize;
        let selling: i64 =
            self.live(index).filter(|live| live.order.side == Side::Sell).map(Tracked::in_flight_lots).sum();
        let (mut strategy, mut account) = (Exposure::NONE, Exposure::NONE);
        for other in 0..self.work.len() {
            let exposure = self.exposure(other);
            account = add(account, exposure);
            if self.work[other].target.is_some_and(|target| target.release == order.release) {
                strategy = add(strategy, exposure);
            }
        }
        AccountView {
            now_ns: self.now_ns,
            sellable_lots: self.held_lots(index) - selling,
            free_cash_atoms: self.free_cash_atoms(),
            held_atoms: self.ledger.position(order.instrument).atoms,
            cash_atoms: self.ledger.cash_atoms(),
            equity_atoms: self.equity(),
            symbol: self.exposure(index),
            strategy,
            account,
            own_opposite_ticks: self.opposite_ticks(index, order.side),
        }
    }

    pub(super) fn exposure(&self, index: usize) -> Exposure {
        let instrument = &self.instruments[index];
        let position = self.ledger.position(InstrumentId(index as u16));
        let price = self.bbos[index].filter(|bbo| self.gate.is_fresh(bbo, self.now_ns));
        let held_atoms = match (position.atoms, price) {
            (0, _) => Ok(0),
            (_, None) => Err(DenialCode::NoReference),
            (_, Some(bbo)) => position.value_atoms(bbo.middle_atoms(instrument)).ok_or(DenialCode::Amount),
        };
        self.live(index).fold(Exposure { held_atoms, ..Exposure::NONE }, |exposure, tracked| {
            let value = in_flight_atoms(instrument, tracked);
            match tracked.order.side {
                Side::Buy => Exposure { buying_atoms: exposure.buying_atoms + value, ..exposure },
                Side::Sell => Exposure { selling_atoms: exposure.selling_atoms + value, ..exposure },
            }
        })
    }

    /// Best price of own orders on the other side.
    fn opposite_ticks(&self, index: usize, side: Side) -> Option<i64> {
        let opposite = self.live(index).filter(|live| live.order.side != side && live.open_lots() > 0);
        let ticks = opposite.map(|live| live.order.ticks);
        if side == Side::Buy { ticks.min() } else { ticks.max() }
    }
}

fn in_flight_atoms(instrument: &Instrument, tracked: &Tracked) -> Atoms {
    instrument.notional(tracked.order.ticks, tracked.in_flight_lots())
}

fn add(one: Exposure, other: Exposure) -> Exposure {
    Exposure {
        held_atoms: one.held_atoms.and_then(|one| Ok(one + other.held_atoms?)),
        buying_atoms: one.buying_atoms + other.buying_atoms,
        selling_atoms: one.selling_atoms + other.selling_atoms,
    }
}
