//! Working targets: what to send next, and when to look again.

use super::intake::signal_id;
use super::sizing::{limit_ticks, lots_payable, lots_to_receive};
use super::{EndCause, Engine, FeeSide, Output, Outputs, REFUSED_NS, Style, Target};
use crate::amounts::Atoms;
use crate::instrument::{InstrumentId, Side};
use crate::orders::{ClientOrderId, Order, ReleaseId, Transition};
use crate::risk::{Exposure, LimitSet, TradingState};
use crate::venue::TimeInForce;

/// What a target asks for at this moment.
enum Next {
    /// Nothing more: less than the venue's smallest order is left.
    Reached,
    /// Something, but the free cash does not pay for the venue's smallest order.
    OutOfCash,
    /// An order.
    Send { side: Side, ticks: i64, lots: i64 },
}

impl Engine {
    /// Does what can be done now: ends what is over, then sells, then buys.
    pub(super) fn drive(&mut self, out: &mut Outputs) {
        self.watch_loss(out);
        self.expire_targets(out);
        if self.epoch == 0 || self.gate.state() == TradingState::Halted {
            return;
        }
        self.work(Side::Sell, out);
        let selling = (0..self.work.len()).any(|index| self.live(index).any(|live| live.order.side == Side::Sell));
        if !selling {
            self.work(Side::Buy, out);
        }
    }

    fn expire_targets(&mut self, out: &mut Outputs) {
        for index in 0..self.work.len() {
            if self.work[index].target.is_some_and(|target| target.deadline_ns <= self.now_ns) {
                self.cancel_live(index, None, out);
                self.drop_target(index, EndCause::TimeToLive, out);
            }
        }
    }

    /// Sends the orders of one side that are due.
    fn work(&mut self, side: Side, out: &mut Outputs) {
        for index in 0..self.work.len() {
            let work = &self.work[index];
            let Some(target) = work.target.filter(|target| target.released && !target.reached) else { continue };
            if !work.live.is_empty() {
                continue;
            }
            let waits = work.suspended || work.retry_ns > self.now_ns;
            match self.next(index, &target) {
                Next::Reached => self.reach(index, out),
                Next::Send { side: wanted, ticks, lots } if wanted == side && !waits => {
                    self.send(index, &target, (side, ticks, lots), out);
                }
                Next::OutOfCash if side == Side::Buy => self.work[index].suspended = true,
                Next::Send { .. } | Next::OutOfCash => {}
            }
        }
    }

    /// The order that brings the position of an instrument closer to its target.
    fn next(&self, index: usize, target: &Target) -> Next {
        let instrument = &self.instruments[index];
        let held_atoms = self.ledger.position(InstrumentId(index as u16)).atoms;
        let gap_atoms = instrument.base_atoms(target.lots) - held_atoms;
        let side = if gap_atoms > 0 { Side::Buy } else { Side::Sell };
        let rate = if self.fee_side == FeeSide::Received { self.fee_rate } else { 0 };
        let lots = match side {
            Side::Buy => lots_to_receive(instrument, gap_atoms, rate),
            Side::Sell => {
                let surplus = -gap_atoms / Atoms::from(instrument.lot_atoms);
                surplus.min(Atoms::from(self.held_lots(index))) as i64
            }
        };
        let lots = lots.min(instrument.max_lots);
        // Without a reference there is no price; the gate refuses and says so.
        let Some(bbo) = self.bbos[index] else { return Next::Send { side, ticks: 0, lots } };
        let best_ticks = if side == Side::Buy { bbo.ask_ticks } else { bbo.bid_ticks };
        let Style::Taker = self.execution.style;
        let ticks = limit_ticks(instrument, side, best_ticks, self.execution.max_slippage_bps);
        let too_small = |lots| lots < instrument.min_lots || !instrument.is_worth_an_order(ticks, lots);
        let lots = match self.most_lots(index, target, ticks) {
            Some(most) if most < lots && !too_small(most) => most,
            _ => lots,
        };
        if too_small(lots) {
            return Next::Reached;
        }
        if side == Side::Sell {
            return Next::Send { side, ticks, lots };
        }
        let payable = lots_payable(instrument, ticks, self.free_cash_atoms(), self.fee_rate, self.fee_side);
        let lots = lots.min(payable);
        if too_small(lots) { Next::OutOfCash } else { Next::Send { side, ticks, lots } }
    }

    /// The most lots that the limits on the value of orders let pass at a price. What a command closes is sold in
    /// pieces of that size, where a release's order would be refused.
    fn most_lots(&self, index: usize, target: &Target, ticks: i64) -> Option<i64> {
        if target.release != ReleaseId::OPERATOR {
            return None;
        }
        let open = |exposure: Exposure| exposure.buying_atoms + exposure.selling_atoms;
        let all = (0..self.work.len()).map(|other| open(self.exposure(other))).sum();
        let limits =
            self.gate.value_limits(InstrumentId(index as u16)).into_iter().zip([open(self.exposure(index)), all]);
        let most = limits.filter_map(|(limit_set, open)| {
            let LimitSet { max_order_atoms, max_open_atoms, .. } = limit_set?;
            let left = max_open_atoms.map(|limit| limit - open);
            max_order_atoms.into_iter().chain(left).min()
        });
        most.min().map(|atoms| lots_payable(&self.instruments[index], ticks, atoms, 0, FeeSide::Other))
    }

    fn reach(&mut self, index: usize, out: &mut Outputs) {
        let held_lots = self.held_lots(index);
        let Some(target) = self.work[index].target.as_mut() else { return };
        target.reached = true;
        if !target.emitted {
            target.emitted = true;
            out.push(Output::TargetReached { signal: signal_id(index, target), held_lots });
        }
    }

    /// Takes an order to the gate, and sends it when it passes. A refusal is told once for a target.
    fn send(&mut self, index: usize, target: &Target, terms: (Side, i64, i64), out: &mut Outputs) {
        let (side, ticks, lots) = terms;
        let order = Order {
            id: ClientOrderId { account: self.account_tag, epoch: self.epoch, sequence: self.sequence + 1 },
            instrument: InstrumentId(index as u16),
            release: target.release,
            bar_close_ns: target.bar_close_ns,
            side,
            ticks,
            lots,
            time_in_force: TimeInForce::ImmediateOrCancel,
        };
        let view = self.account_view(&order);
        let verdict = self.gate.check(order, &view, self.bbos[index]);
        let work = &mut self.work[index];
        match verdict {
            Ok(approved) => {
                self.sequence += 1;
                self.orders.open(order, self.now_ns);
                self.orders.act(order.id, Transition::Submit, self.now_ns);
                work.live.push(order.id);
                work.refused = None;
                out.push(Output::Place(approved));
            }
            Err(denial) => {
                if denial.code.passes_with_time() {
                    work.retry_ns = self.now_ns.saturating_add(self.execution.retry_ns);
                } else if target.release == ReleaseId::OPERATOR {
                    work.retry_ns = self.now_ns.saturating_add(REFUSED_NS);
                } else {
                    work.suspended = true;
                }
                if work.refused.replace((denial.code, denial.level)) != Some((denial.code, denial.level)) {
                    self.sequence += 1;
                    self.orders.open(order, self.now_ns);
                    self.orders.act(order.id, Transition::Deny, self.now_ns);
                    out.push(Output::Denied { order, denial });
                }
            }
        }
    }

    /// Says when to look again, where that has changed.
    pub(super) fn ask_to_wake(&mut self, out: &mut Outputs) {
        let wake_ns = (0..self.work.len()).filter_map(|index| self.wake_ns(index)).min();
        if wake_ns != self.asked_wake_ns {
            self.asked_wake_ns = wake_ns;
            if let Some(wake_ns) = wake_ns {
                out.push(Output::WakeAt(wake_ns));
            }
        }
    }

    fn wake_ns(&self, index: usize) -> Option<i64> {
        let work = &self.work[index];
        let target = work.target.filter(|target| !target.reached);
        let deadline_ns = target.map(|target| target.deadline_ns).filter(|deadline_ns| *deadline_ns != i64::MAX);
        let may_retry = target.is_some_and(|target| target.released) && work.live.is_empty() && !work.suspended;
        let retry_ns = (may_retry && work.retry_ns > self.now_ns).then_some(work.retry_ns);
        let ask_ns = self.owes_answer(index).then_some(work.ask_ns);
        [deadline_ns, retry_ns, ask_ns].into_iter().flatten().min()
    }
}
