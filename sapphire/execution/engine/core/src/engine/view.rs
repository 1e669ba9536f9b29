//! The account as it stands, in values: what the gate and the sizing look at.

use super::Engine;
use crate::instrument::{Asset, Instrument, InstrumentId, Side, fee};
use crate::orders::{Order, Tracked};
use crate::risk::{AccountView, Load};

impl Engine {
    /// Cash and positions at the latest middle prices; none when something held never had a price.
    pub fn equity_atoms(&self) -> Option<i64> {
        (0..self.desks.len()).try_fold(self.ledger.cash_atoms(), |equity, index| {
            let position = self.ledger.position(InstrumentId(index as u16));
            if position.atoms == 0 {
                return Some(equity);
            }
            let price = self.references[index]?.middle_atoms(&self.instruments[index]);
            Some(equity.saturating_add(position.value_atoms(price)))
        })
    }

    /// Latest middle price of the instrument that an asset is the base of.
    pub(super) fn price_of(&self, asset: Asset) -> Option<i64> {
        let index = self.instruments.iter().position(|instrument| instrument.base == asset)?;
        Some(self.references[index]?.middle_atoms(&self.instruments[index]))
    }

    /// Whole lots held.
    pub(super) fn held_lots(&self, index: usize) -> i64 {
        self.ledger.position(InstrumentId(index as u16)).sellable_lots(&self.instruments[index])
    }

    /// Orders of an instrument that may still change its position.
    pub(super) fn live(&self, index: usize) -> impl Iterator<Item = &Tracked> {
        self.desks[index].live.iter().filter_map(|id| self.orders.get(*id))
    }

    /// Cash that no buy on the way may still take.
    pub(super) fn free_cash_atoms(&self) -> i64 {
        let promised = (0..self.desks.len()).flat_map(|index| self.live(index)).map(|tracked| {
            if tracked.order.side == Side::Sell {
                return 0;
            }
            let value = in_flight_atoms(&self.instruments[tracked.order.instrument.0 as usize], tracked);
            value.saturating_add(fee(value, self.quote_fee_rate))
        });
        promised.fold(self.ledger.cash_atoms(), i64::saturating_sub)
    }

    pub(super) fn account_view(&self, order: &Order) -> AccountView {
        let index = order.instrument.0 as usize;
        let selling: i64 =
            self.live(index).filter(|live| live.order.side == Side::Sell).map(Tracked::in_flight_lots).sum();
        let none = Load { held_atoms: Some(0), ..Load::default() };
        let (mut strategy, mut account) = (none, none);
        for other in 0..self.desks.len() {
            let load = self.load(other);
            account = add(account, load);
            if self.desks[other].target.is_some_and(|target| target.release == order.release) {
                strategy = add(strategy, load);
            }
        }
        AccountView {
            now_ns: self.now_ns,
            sellable_lots: self.held_lots(index) - selling,
            free_cash_atoms: self.free_cash_atoms(),
            equity_atoms: self.equity_atoms(),
            symbol: self.load(index),
            strategy,
            account,
            own_opposite_ticks: self.opposite_ticks(index, order.side),
        }
    }

    fn load(&self, index: usize) -> Load {
        let instrument = &self.instruments[index];
        let position = self.ledger.position(InstrumentId(index as u16));
        let price = self.references[index].filter(|reference| self.gate.is_fresh(reference, self.now_ns));
        let held = price.map(|reference| position.value_atoms(reference.middle_atoms(instrument)));
        let held_atoms = if position.atoms == 0 { Some(0) } else { held };
        self.live(index).fold(Load { held_atoms, ..Load::default() }, |load, tracked| {
            let value = in_flight_atoms(instrument, tracked);
            match tracked.order.side {
                Side::Buy => Load { buying_atoms: load.buying_atoms.saturating_add(value), ..load },
                Side::Sell => Load { selling_atoms: load.selling_atoms.saturating_add(value), ..load },
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

fn in_flight_atoms(instrument: &Instrument, tracked: &Tracked) -> i64 {
    instrument.notional(tracked.order.ticks, tracked.in_flight_lots())
}

fn add(one: Load, other: Load) -> Load {
    Load {
        held_atoms: one.held_atoms.zip(other.held_atoms).map(|(one, other)| one.saturating_add(other)),
        buying_atoms: one.buying_atoms.saturating_add(other.buying_atoms),
        selling_atoms: one.selling_atoms.saturating_add(other.selling_atoms),
    }
}
