//! The orders of an account: live ones, and for a day of market time the ones that have ended.
//!
//! Invariant: a trade is counted once; `filled_lots <= executed_lots`, neither ever decreases, and an order is settled
//! only when it has ended and every lot that the venue executed has been told as a trade.
//!
//! Known limitation: a report for an order that ended more than `TOMBSTONE_NS` ago finds no order; reconciliation has
//! to place it.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::amounts::Atoms;

use super::transitions::{OrderState, Transition, next};
use super::{ClientOrderId, Order, Report, ReportKind};

#[cfg(test)]
mod tests;

/// How long an ended order is kept, in market time.
pub const TOMBSTONE_NS: i64 = 24 * 3_600 * 1_000_000_000;

/// An order and all that is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// What was asked for.
    pub order: Order,
    /// Where it is in its life.
    pub state: OrderState,
    /// Lots of the trades told so far.
    pub filled_lots: i64,
    /// Quote atoms of the trades told so far.
    pub filled_quote: Atoms,
    /// The venue's cumulative quantity, as far as told: trades may be told later than the quantity.
    pub executed_lots: i64,
    /// When it was made, market time.
    pub made_ns: i64,
    /// When it ended, market time.
    pub ended_ns: Option<i64>,
    /// The venue's own number of it, once it gave one.
    pub venue_order: Option<u64>,
    acknowledged: bool,
    before_cancel: OrderState,
    trades: Vec<u64>,
}

impl Tracked {
    /// Lots that may still trade at the venue.
    pub fn open_lots(&self) -> i64 {
        if self.state.is_final() { 0 } else { (self.order.lots - self.executed_lots).max(0) }
    }

    /// Lots that the venue executed and whose trades have not been told yet.
    pub fn missing_lots(&self) -> i64 {
        self.executed_lots - self.filled_lots
    }

    /// Lots by which a position may still change.
    pub fn in_flight_lots(&self) -> i64 {
        self.open_lots() + self.missing_lots()
    }

    /// It has ended and every executed lot has been told.
    pub fn is_settled(&self) -> bool {
        self.state.is_final() && self.missing_lots() == 0
    }

    /// The transition that a report stands for, given what is known.
    fn transition(&self, kind: &ReportKind) -> Option<Transition> {
        let transition = match kind {
            ReportKind::Accepted { .. } => Transition::Accept,
            ReportKind::Rejected { .. } => Transition::Reject,
            ReportKind::Trade { fill, .. } if fill.lots <= 0 => return None,
            ReportKind::Trade { fill, .. } if self.filled_lots + fill.lots >= self.order.lots => Transition::FillLast,
            ReportKind::Trade { .. } => Transition::Fill,
            ReportKind::Canceled { .. } => Transition::Cancel,
            ReportKind::Expired { .. } => Transition::Expire,
            ReportKind::CancelRejected { .. } => Transition::CancelReject,
            ReportKind::Unanswered | ReportKind::NotFound { conclusive: false } => Transition::Silence,
            // The venue had it and has it no longer: gone, not "never there".
            ReportKind::NotFound { conclusive: true } if self.acknowledged => Transition::Cancel,
            ReportKind::NotFound { conclusive: true } => Transition::NotFound,
        };
        Some(transition)
    }

    fn count(&mut self, kind: &ReportKind) {
        let executed = match kind {
            ReportKind::Trade { fill, executed_lots } => {
                self.filled_lots += fill.lots;
                self.filled_quote += fill.quote_atoms;
                self.trades.push(fill.trade);
                *executed_lots
            }
            ReportKind::Canceled { executed_lots } | ReportKind::Expired { executed_lots } => *executed_lots,
            ReportKind::Accepted { venue_order } => {
                self.venue_order = Some(*venue_order);
                0
            }
            _ => 0,
        };
        self.executed_lots = self.executed_lots.max(executed).max(self.filled_lots);
        self.acknowledged |= self.executed_lots > 0 || matches!(kind, ReportKind::Accepted { .. });
    }

    fn enter(&mut self, transition: Transition, to: OrderState, now_ns: i64) {
        match (transition, to) {
            (Transition::RequestCancel, OrderState::PendingCancel) if self.state != to => {
                self.before_cancel = self.state;
            }
            (Transition::Accept, OrderState::PendingCancel) if self.before_cancel == OrderState::Submitted => {
                self.before_cancel = OrderState::Accepted;
            }
            (Transition::Fill, OrderState::PendingCancel) => self.before_cancel = OrderState::PartiallyFilled,
            _ => {}
        }
        self.ended_ns = if to.is_final() { self.ended_ns.or(Some(now_ns)) } else { None };
        self.state = to;
    }
}

/// What a report did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It moved the order along a transition, which may lead back to where it was.
    Moved {
        /// State before.
        from: OrderState,
        /// State after.
        to: OrderState,
    },
    /// The trade had been counted.
    Repeated,
    /// No transition leads there from this state; nothing was changed.
    Illegal(OrderState),
    /// No such order.
    Unknown,
}

/// Orders by their ids.
#[derive(Debug, Default)]
pub struct OrderTable {
    entries: Vec<Tracked>,
    vacant: Vec<u32>,
    places: FxHashMap<ClientOrderId, u32>,
    ended: VecDeque<(i64, ClientOrderId)>,
}

impl OrderTable {
    /// An empty table with room for `orders` without another allocation.
    #[must_use]
    pub fn with_capacity(orders: usize) -> Self {
        let mut places = FxHashMap::default();
        places.reserve(orders);
        Self {
            entries: Vec::with_capacity(orders),
            vacant: Vec::with_capacity(orders),
            places,
            ended: VecDeque::with_capacity(orders),
        }
    }

    /// Orders known: live ones and tombstones.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// No order is known.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// An order.
    pub fn get(&self, id: ClientOrderId) -> Option<&Tracked> {
        self.places.get(&id).map(|place| &self.entries[*place as usize])
    }

    /// Takes in an order that was made now; an id that is known changes nothing.
    pub fn open(&mut self, order: Order, now_ns: i64) {
        if self.places.contains_key(&order.id) {
            return;
        }
        let place = self.vacant.pop().unwrap_or(self.entries.len() as u32);
        self.places.insert(order.id, place);
        let state = OrderState::Initialized;
        let mut tracked = Tracked {
            order,
            state,
            filled_lots: 0,
            filled_quote: 0,
            executed_lots: 0,
            made_ns: now_ns,
            ended_ns: None,
            venue_order: None,
            acknowledged: false,
            before_cancel: state,
            trades: Vec::new(),
        };
        if let Some(entry) = self.entries.get_mut(place as usize) {
            // The list of trades keeps its memory from the order that stood here before.
            std::mem::swap(&mut tracked.trades, &mut entry.trades);
            tracked.trades.clear();
            *entry = tracked;
        } else {
            tracked.trades.reserve(TRADES_PER_ORDER);
            self.entries.push(tracked);
        }
    }

    /// Moves an order by our own hand.
    pub fn act(&mut self, id: ClientOrderId, transition: Transition, now_ns: i64) -> Applied {
        let Some(tracked) = self.get_mut(id) else { return Applied::Unknown };
        let from = tracked.state;
        let Some(to) = next(from, transition, tracked.before_cancel) else { return Applied::Illegal(from) };
        self.enter(id, transition, to, now_ns);
        Applied::Moved { from, to }
    }

    /// Applies what the venue says.
    pub fn apply(&mut self, report: &Report, now_ns: i64) -> Applied {
        let Some(tracked) = self.get_mut(report.order) else { return Applied::Unknown };
        let from = tracked.state;
        if matches!(report.kind, ReportKind::Trade { fill, .. } if tracked.trades.contains(&fill.trade)) {
            return Applied::Repeated;
        }
        let step = tracked
            .transition(&report.kind)
            .and_then(|transition| Some((transition, next(from, transition, tracked.before_cancel)?)));
        let Some((transition, to)) = step else { return Applied::Illegal(from) };
        tracked.count(&report.kind);
        self.enter(report.order, transition, to, now_ns);
        Applied::Moved { from, to }
    }

    /// Forgets what ended a day or longer before `now_ns`.
    pub fn prune(&mut self, now_ns: i64) {
        while let Some((ended_ns, id)) = self.ended.front().copied() {
            if ended_ns > now_ns.saturating_sub(TOMBSTONE_NS) {
                break;
            }
            self.ended.pop_front();
            let Some(tracked) = self.get(id) else { continue };
            let is_old = tracked.ended_ns.is_some_and(|ended_ns| ended_ns <= now_ns.saturating_sub(TOMBSTONE_NS));
            if is_old && tracked.is_settled() {
                if let Some(place) = self.places.remove(&id) {
                    self.vacant.push(place);
                }
            } else if is_old {
                // It still misses trades: another day.
                self.ended.push_back((now_ns, id));
            }
        }
    }

    fn enter(&mut self, id: ClientOrderId, transition: Transition, to: OrderState, now_ns: i64) {
        let Some(tracked) = self.get_mut(id) else { return };
        let was_final = tracked.state.is_final();
        tracked.enter(transition, to, now_ns);
        if !was_final && to.is_final() {
            self.ended.push_back((now_ns, id));
        }
    }

    fn get_mut(&mut self, id: ClientOrderId) -> Option<&mut Tracked> {
        self.places.get(&id).map(|place| &mut self.entries[*place as usize])
    }
}

/// Room for the trades of an order before its list grows.
const TRADES_PER_ORDER: usize = 8;
