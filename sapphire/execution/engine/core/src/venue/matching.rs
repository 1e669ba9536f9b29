//! Trades: who meets whom, and what moves between their accounts.

use super::{
    AccountKind, Asset, ExpiryReason, NewOrder, Order, OrderId, Outcome, Party, Resting, Side, Terms, TimeInForce,
    Trade, Venue, fee,
};
use crate::amounts::Atoms;
use crate::instrument::{ATOMS_PER_UNIT, Instrument, InstrumentId};

impl Venue {
    /// Trades an order that passed its checks, then lets the remainder rest or expire.
    pub(super) fn execute(&mut self, request: NewOrder, out: &mut Vec<Outcome>) {
        let Some(instrument) = self.instrument(request.instrument).copied() else { return };
        let mut order = Order { request, filled_lots: 0, filled_quote: 0, locked_atoms: 0 };
        match request.terms {
            Terms::Limit { ticks, lots, time_in_force } => {
                if time_in_force == TimeInForce::FillOrKill && self.reachable(&request, ticks, lots) < lots {
                    out.push(Outcome::Expired(request.id, ExpiryReason::TimeInForce));
                    return;
                }
                self.take(&mut order, Some(ticks), |order| lots - order.filled_lots, out);
                let rest = lots - order.filled_lots;
                if rest > 0 && time_in_force == TimeInForce::ImmediateOrCancel {
                    out.push(Outcome::Expired(request.id, ExpiryReason::TimeInForce));
                } else if rest > 0 {
                    self.rest(order, &instrument, ticks, rest);
                }
            }
            Terms::Market { lots } => {
                self.take(&mut order, None, |order| lots - order.filled_lots, out);
                if order.filled_lots < lots {
                    out.push(Outcome::Expired(request.id, ExpiryReason::NoLiquidity));
                }
            }
            Terms::MarketQuote { quote_atoms } => {
                let complete = self.take_quote(&mut order, &instrument, quote_atoms, out);
                if !complete {
                    out.push(Outcome::Expired(request.id, ExpiryReason::NoLiquidity));
                }
            }
        }
    }

    /// Quote atoms that buying `lots` from the book would cost.
    pub(super) fn sweep_cost(&self, order: &NewOrder, lots: i64) -> Atoms {
        let Some(instrument) = self.instrument(order.instrument) else { return 0 };
        let mut left = lots;
        let mut cost = 0;
        for resting in self.counterparts(order) {
            let taken = left.min(resting.lots);
            cost += instrument.notional(resting.ticks, taken);
            left -= taken;
            if left == 0 {
                break;
            }
        }
        cost
    }

    /// Base atoms that must be sold into the book to receive `quote_atoms`.
    pub(super) fn sweep_base(&self, order: &NewOrder, quote_atoms: Atoms) -> Atoms {
        let Some(instrument) = self.instrument(order.instrument) else { return 0 };
        let mut left = quote_atoms;
        let mut base = 0;
        for resting in self.counterparts(order) {
            let mut standing = resting.lots;
            while standing > 0 {
                let taken = affordable(instrument, resting.ticks, left).min(standing);
                if taken == 0 {
                    return base;
                }
                left -= instrument.notional(resting.ticks, taken);
                base += instrument.base_atoms(taken);
                standing -= taken;
            }
        }
        base
    }

    /// Lots an order could trade at `ticks` or better, counted up to `wanted`.
    fn reachable(&self, order: &NewOrder, ticks: i64, wanted: i64) -> i64 {
        let mut lots = 0_i64;
        for resting in self.counterparts(order) {
            if !within(order.side, resting.ticks, Some(ticks)) || lots >= wanted {
                break;
            }
            lots += resting.lots.min(wanted - lots);
        }
        lots
    }

    fn counterparts(&self, order: &NewOrder) -> impl Iterator<Item = Resting> {
        let own = self.own(order);
        self.book(order.instrument)
            .into_iter()
            .flat_map(move |book| book.queue(order.side.opposite()))
            .filter(move |resting| own != Some(resting.account))
    }

    /// The account an order may not trade with: its own, unless it is the synthetic liquidity.
    fn own(&self, order: &NewOrder) -> Option<super::AccountId> {
        let kind = self.account(order.account).map(super::Account::kind);
        (kind == Some(AccountKind::Client)).then_some(order.account)
    }

    fn take(&mut self, order: &mut Order, limit: Option<i64>, wanted: impl Fn(&Order) -> i64, out: &mut Vec<Outcome>) {
        while let Some(resting) = self.next_counterpart(&order.request, limit, out) {
            let lots = wanted(order).min(resting.lots);
            if lots <= 0 {
                break;
            }
            let complete = lots == wanted(order);
            self.trade(order, resting, lots, complete, out);
            if complete {
                break;
            }
        }
    }

    /// Trades by quote amount; whether what is left of the amount pays for less than one lot where the book goes on.
    /// An amount that pays for no lot at all finds nothing.
    fn take_quote(
        &mut self,
        order: &mut Order,
        instrument: &Instrument,
        amount: Atoms,
        out: &mut Vec<Outcome>,
    ) -> bool {
        while let Some(resting) = self.next_counterpart(&order.request, None, out) {
            let left = amount - order.filled_quote;
            let lots = affordable(instrument, resting.ticks, left).min(resting.lots);
            if lots == 0 {
                return false;
            }
            let rest = left - instrument.notional(resting.ticks, lots);
            let onward = if lots < resting.lots {
                resting.ticks
            } else {
                self.counterparts(&order.request).nth(1).map_or(resting.ticks, |following| following.ticks)
            };
            let complete = affordable(instrument, onward, rest) == 0;
            self.trade(order, resting, lots, complete, out);
            if complete {
                return true;
            }
        }
        false
    }

    /// The order to trade with next; own orders in the way expire.
    fn next_counterpart(&mut self, order: &NewOrder, limit: Option<i64>, out: &mut Vec<Outcome>) -> Option<Resting> {
        loop {
            let resting = self.book(order.instrument)?.front(order.side.opposite())?;
            if !within(order.side, resting.ticks, limit) {
                return None;
            }
            if self.own(order) != Some(resting.account) {
                return Some(resting);
            }
            self.remove(resting.id);
            out.push(Outcome::Expired(resting.id, ExpiryReason::SelfTrade));
        }
    }

    fn trade(&mut self, order: &mut Order, resting: Resting, lots: i64, complete: bool, out: &mut Vec<Outcome>) {
        let id = order.request.instrument;
        let Some(instrument) = self.instrument(id).copied() else { return };
        let quote_atoms = instrument.notional(resting.ticks, lots);
        order.filled_lots += lots;
        order.filled_quote += quote_atoms;
        let maker_complete = self.fill_maker(id, &instrument, &resting, lots, quote_atoms);
        let taker_fee = self.settle(&order.request, &instrument, lots, quote_atoms, Liquidity::Taker);
        let maker = NewOrder { id: resting.id, account: resting.account, side: resting.side, ..order.request };
        let maker_fee = self.settle(&maker, &instrument, lots, quote_atoms, Liquidity::Maker);
        self.trade_numbers[id.0 as usize] += 1;
        self.last_ticks[id.0 as usize] = Some(resting.ticks);
        let party = |order: &NewOrder, fee: (Asset, Atoms), complete| Party {
            order: order.id,
            account: order.account,
            fee_asset: fee.0,
            fee_atoms: fee.1,
            complete,
        };
        out.push(Outcome::Traded(Trade {
            number: self.trade_numbers[id.0 as usize],
            instrument: id,
            ticks: resting.ticks,
            lots,
            quote_atoms,
            taker_side: order.request.side,
            taker: party(&order.request, taker_fee, complete),
            maker: party(&maker, maker_fee, maker_complete),
        }));
    }

    /// Fills the resting order and frees the part of its lock that the trade used; whether it is complete.
    fn fill_maker(
        &mut self,
        id: InstrumentId,
        instrument: &Instrument,
        resting: &Resting,
        lots: i64,
        quote_atoms: Atoms,
    ) -> bool {
        let rest = self.books[id.0 as usize].fill(resting.id, lots).unwrap_or(0);
        let Some(order) = self.standing.get_mut(&resting.id) else { return rest == 0 };
        order.filled_lots += lots;
        order.filled_quote += quote_atoms;
        let needed = locked_for(instrument, resting.side, resting.ticks, rest);
        let freed = order.locked_atoms - needed;
        order.locked_atoms = needed;
        let request = order.request;
        if rest == 0 {
            self.standing.remove(&resting.id);
        }
        self.unlock(&request, freed);
        rest == 0
    }

    /// Moves what a trade moves on one side; the fee taken.
    fn settle(
        &mut self,
        order: &NewOrder,
        instrument: &Instrument,
        lots: i64,
        quote_atoms: Atoms,
        liquidity: Liquidity,
    ) -> (Asset, Atoms) {
        let account = &mut self.accounts[order.account.0 as usize];
        let base_atoms = instrument.base_atoms(lots);
        let (received, amount, given, price) = match order.side {
            Side::Buy => (instrument.base, base_atoms, instrument.quote, quote_atoms),
            Side::Sell => (instrument.quote, quote_atoms, instrument.base, base_atoms),
        };
        let rate = match liquidity {
            Liquidity::Maker => account.fees().maker,
            Liquidity::Taker => account.fees().taker,
        };
        let taken = fee(amount, rate);
        account.credit(received, amount - taken);
        account.credit(given, -price);
        self.collected[received.0 as usize] += taken;
        (received, taken)
    }

    fn rest(&mut self, mut order: Order, instrument: &Instrument, ticks: i64, lots: i64) {
        let request = order.request;
        self.books[request.instrument.0 as usize].insert(Resting {
            id: request.id,
            account: request.account,
            side: request.side,
            ticks,
            lots,
        });
        order.locked_atoms = locked_for(instrument, request.side, ticks, lots);
        self.unlock(&request, -order.locked_atoms);
        self.standing.insert(request.id, order);
    }

    /// Frees `atoms` of an order's lock (negative: locks them). The synthetic liquidity has no locks.
    pub(super) fn unlock(&mut self, request: &NewOrder, atoms: Atoms) {
        let Some(instrument) = self.instrument(request.instrument) else { return };
        let asset = if request.side == Side::Buy { instrument.quote } else { instrument.base };
        let account = &mut self.accounts[request.account.0 as usize];
        if account.kind() == AccountKind::Client {
            account.unlock(asset, atoms);
        }
    }

    /// Takes all standing orders of `ids` out in one go, unreported: how the synthetic liquidity refreshes its quotes.
    pub fn remove_all(&mut self, ids: impl Iterator<Item = OrderId>) {
        for id in ids {
            self.remove(id);
        }
    }
}

#[derive(Clone, Copy)]
enum Liquidity {
    Maker,
    Taker,
}

fn within(side: Side, ticks: i64, limit: Option<i64>) -> bool {
    limit.is_none_or(|limit| match side {
        Side::Buy => ticks <= limit,
        Side::Sell => ticks >= limit,
    })
}

fn locked_for(instrument: &Instrument, side: Side, ticks: i64, lots: i64) -> Atoms {
    match side {
        Side::Buy => instrument.notional(ticks, lots),
        Side::Sell => instrument.base_atoms(lots),
    }
}

/// Lots that `quote_atoms` pays for at `ticks`, as far as 64 bits count them: more than any order has.
fn affordable(instrument: &Instrument, ticks: i64, quote_atoms: Atoms) -> i64 {
    let lot_price = instrument.price_atoms(ticks) * Atoms::from(instrument.lot_atoms);
    let lots = quote_atoms * Atoms::from(ATOMS_PER_UNIT) / lot_price.max(1);
    lots.clamp(0, Atoms::from(i64::MAX)) as i64
}
