//! What the venue says about orders, and what is asked of it: cancels and questions.

use super::{Engine, Output, Outputs, REFUSED_NS};
use crate::amounts::is_holdable;
use crate::instrument::{InstrumentId, Side};
use crate::orders::{Applied, ClientOrderId, Fill, OrderState, ReleaseId, Report, ReportKind, Transition};

/// The code of a refusal that is not the venue's: the order cannot be said to it at all, now or later.
const NEVER_SENT: i32 = 0;

impl Engine {
    pub(super) fn take_report(&mut self, report: &Report, out: &mut Outputs) {
        if !self.is_bookable(report) {
            let state = self.orders.get(report.order).map(|tracked| tracked.state);
            out.push(Output::Unmatched { report: *report, state });
            return;
        }
        let state = match self.orders.apply(report, self.now_ns) {
            Applied::Moved { .. } => return self.apply_consequences(report, out),
            Applied::Repeated => return,
            Applied::Illegal(state) => Some(state),
            Applied::Unknown => None,
        };
        out.push(Output::Unmatched { report: *report, state });
    }

    /// Whether an account can hold what a report says that an order has traded.
    fn is_bookable(&self, report: &Report) -> bool {
        let Some(tracked) = self.orders.get(report.order) else { return true };
        let (fill, executed_lots) = match report.kind {
            ReportKind::Trade { fill, executed_lots } => (Some(fill), executed_lots),
            ReportKind::Canceled { executed_lots } | ReportKind::Expired { executed_lots } => (None, executed_lots),
            _ => return true,
        };
        let filled_lots = fill.map_or(Some(0), |fill| tracked.filled_lots.checked_add(fill.lots));
        let instrument = &self.instruments[tracked.order.instrument.0 as usize];
        let is_whole = |lots: i64| {
            is_holdable(instrument.base_atoms(lots)) && instrument.checked_notional(tracked.order.ticks, lots).is_some()
        };
        let are_holdable = fill.is_none_or(|fill| is_holdable(fill.quote_atoms) && is_holdable(fill.fee_atoms));
        are_holdable && is_whole(executed_lots) && filled_lots.is_some_and(is_whole)
    }

    /// Draws the consequences of a report that was applied.
    fn apply_consequences(&mut self, report: &Report, out: &mut Outputs) {
        let Some(tracked) = self.orders.get(report.order) else { return };
        let (order, state, settled) = (tracked.order, tracked.state, tracked.is_settled());
        let (excess, missing) = (tracked.filled_lots - order.lots, tracked.missing_lots());
        let index = order.instrument.0 as usize;
        if let ReportKind::Trade { fill, .. } = &report.kind {
            self.book(index, order.side, fill);
            if excess > 0 {
                out.push(Output::Overfilled { order: order.id, lots: excess.min(fill.lots) });
            }
        }
        let work = &mut self.work[index];
        let known = work.live.iter().position(|live| *live == order.id);
        match (known, settled) {
            (Some(place), true) => {
                work.live.remove(place);
                if was_never_there(report.kind, state) {
                    // Nothing has happened at the venue: this is the moment before the order, and there is no pause.
                    self.gate.forget(&order);
                } else {
                    work.retry_ns = self.now_ns.saturating_add(self.execution.retry_ns);
                }
                // The venue's refusal would be the same next time: wait for something to change.
                if let ReportKind::Rejected { venue_code } = report.kind {
                    let by_command = work.target.is_some_and(|target| target.release == ReleaseId::OPERATOR);
                    if by_command && venue_code != NEVER_SENT {
                        work.retry_ns = self.now_ns.saturating_add(REFUSED_NS);
                    } else {
                        work.suspended = true;
                    }
                }
            }
            // An order that had been given up lives.
            (None, false) => work.live.push(order.id),
            _ => {}
        }
        match report.kind {
            ReportKind::Unanswered if state == OrderState::Unresolved => self.ask(index, order.id, out),
            _ if state == OrderState::Unresolved || missing > 0 => {
                self.work[index].ask_ns = self.now_ns.saturating_add(self.execution.query_ns);
            }
            _ => {}
        }
    }

    fn book(&mut self, index: usize, side: Side, fill: &Fill) {
        let id = InstrumentId(index as u16);
        let Some(instrument) = self.instruments.get(index).copied() else { return };
        self.ledger.apply(&instrument, id, side, fill);
        self.traded_ns = self.now_ns;
        self.position_changed();
        if let Some(target) = self.work[index].target.as_mut() {
            target.reached = false;
        }
    }

    /// Asks the venue for the end of the orders of an instrument (of one side only, where one is given).
    pub(super) fn cancel_live(&mut self, index: usize, side: Option<Side>, out: &mut Outputs) {
        for place in 0..self.work[index].live.len() {
            let id = self.work[index].live[place];
            let Some(tracked) = self.orders.get(id) else { continue };
            let wanted = side.is_none_or(|side| side == tracked.order.side);
            if !wanted || tracked.state.is_final() || tracked.state == OrderState::PendingCancel {
                continue;
            }
            let instrument = tracked.order.instrument;
            if matches!(self.orders.act(id, Transition::RequestCancel, self.now_ns), Applied::Moved { .. }) {
                out.push(Output::Cancel { order: id, instrument });
            }
        }
    }

    /// Asks what became of an order, and notes when to ask again.
    pub(super) fn ask(&mut self, index: usize, order: ClientOrderId, out: &mut Outputs) {
        out.push(Output::Query { order, instrument: InstrumentId(index as u16) });
        self.work[index].ask_ns = self.now_ns.saturating_add(self.execution.query_ns);
    }

    /// Asks again for every order that is still owed an answer.
    pub(super) fn ask_again(&mut self, out: &mut Outputs) {
        for index in 0..self.work.len() {
            if !self.owes_answer(index) || self.work[index].ask_ns > self.now_ns {
                continue;
            }
            for place in 0..self.work[index].live.len() {
                let id = self.work[index].live[place];
                if self.is_owed(id) {
                    self.ask(index, id, out);
                }
            }
        }
    }

    /// Whether the venue owes an answer about an order of an instrument.
    pub(super) fn owes_answer(&self, index: usize) -> bool {
        self.work[index].live.iter().any(|id| self.is_owed(*id))
    }

    /// The order is unresolved, or trades of it have not been told.
    fn is_owed(&self, id: ClientOrderId) -> bool {
        self.orders.get(id).is_some_and(|tracked| tracked.state == OrderState::Unresolved || tracked.missing_lots() > 0)
    }
}

/// The venue says for certain that the order never reached it.
fn was_never_there(kind: ReportKind, state: OrderState) -> bool {
    kind == ReportKind::NotFound { conclusive: true } && state == OrderState::Rejected
}
