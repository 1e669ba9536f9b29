//! Signals, verdicts and the end of a bar: what may set a target.

use super::{EndCause, Engine, Output, Outputs, Refusal, Signal, SignalId, Target};
use crate::amounts::is_holdable;
use crate::instrument::InstrumentId;
use crate::orders::ReleaseId;
use crate::risk::{LimitSet, TradingState};

impl Engine {
    pub(super) fn take_signal(&mut self, signal: &Signal, out: &mut Outputs) {
        let id = SignalId { release: signal.release, instrument: signal.instrument, bar_close_ns: signal.bar_close_ns };
        if let Some(reason) = self.refusal(signal) {
            out.push(Output::SignalRefused { signal: id, reason });
            return;
        }
        let index = signal.instrument.0 as usize;
        let cursor = self.cursor(signal);
        self.cursors[cursor] = signal.bar_close_ns;
        self.drop_target(index, EndCause::Superseded, out);
        self.work[index].target = Some(Target {
            release: signal.release,
            lots: signal.target_lots,
            bar_close_ns: signal.bar_close_ns,
            deadline_ns: signal.bar_close_ns.saturating_add(signal.time_to_live_ns),
            released: false,
            reached: false,
            emitted: false,
        });
        self.work[index].retry_ns = i64::MIN;
    }

    /// The first reason against a signal, in the order of [`Refusal::ALL`].
    fn refusal(&self, signal: &Signal) -> Option<Refusal> {
        let index = signal.instrument.0 as usize;
        if index >= self.work.len() {
            return Some(Refusal::UnknownInstrument);
        }
        if !self.evidence.get(signal.release.0 as usize).is_some_and(|ok| *ok) {
            return Some(Refusal::NoEvidence);
        }
        let taken_ns = self.cursors[self.cursor(signal)];
        let target_ns = self.work[index].target.map_or(i64::MIN, |target| target.bar_close_ns);
        let age_ns = self.now_ns.saturating_sub(signal.bar_close_ns);
        let reasons = [
            (signal.bar_close_ns == taken_ns, Refusal::Repeated),
            (signal.bar_close_ns < taken_ns.max(target_ns) || age_ns < 0, Refusal::OutOfOrder),
            (age_ns >= signal.time_to_live_ns, Refusal::Expired),
            (signal.bar_close_ns <= self.ended_bar_ns || age_ns > self.execution.max_signal_age_ns, Refusal::Late),
            (signal.target_lots < 0, Refusal::BelowZero),
            (!is_holdable(self.instruments[index].base_atoms(signal.target_lots)), Refusal::TooLarge),
            (self.gate.state() == TradingState::Halted, Refusal::Halted),
            (self.gate.is_closed(signal.instrument), Refusal::Closed),
        ];
        reasons.into_iter().find_map(|(met, reason)| met.then_some(reason))
    }

    fn cursor(&self, signal: &Signal) -> usize {
        signal.release.0 as usize * self.work.len() + signal.instrument.0 as usize
    }

    /// A release whose evidence no longer verifies has no say: its targets end.
    pub(super) fn take_verdict(&mut self, release: ReleaseId, ok: bool, out: &mut Outputs) {
        if let Some(known) = self.evidence.get_mut(release.0 as usize) {
            *known = ok;
        }
        for index in 0..self.work.len() {
            if !ok && self.work[index].target.is_some_and(|target| target.release == release) {
                self.cancel_live(index, None, out);
                self.drop_target(index, EndCause::Withdrawn, out);
            }
        }
    }

    /// A release's own limits. What the gate refused in its name may pass now, so it is tried again.
    pub(super) fn take_limits(&mut self, release: ReleaseId, limits: &LimitSet) {
        self.gate.tighten(release, limits);
        for work in &mut self.work {
            work.suspended &= work.target.is_none_or(|target| target.release != release);
        }
    }

    pub(super) fn end_bar(&mut self, bar_close_ns: i64) {
        self.ended_bar_ns = self.ended_bar_ns.max(bar_close_ns);
        for target in self.work.iter_mut().filter_map(|work| work.target.as_mut()) {
            target.released |= target.bar_close_ns <= bar_close_ns;
        }
    }

    /// Ends a target; one that was not reached is told.
    pub(super) fn drop_target(&mut self, index: usize, cause: EndCause, out: &mut Outputs) {
        let Some(target) = self.work[index].target.take() else { return };
        if !target.reached {
            let remaining_lots = target.lots - self.held_lots(index);
            out.push(Output::TargetExpired { signal: signal_id(index, &target), remaining_lots, cause });
        }
        self.work[index].resume();
    }
}

pub(super) fn signal_id(index: usize, target: &Target) -> SignalId {
    SignalId { release: target.release, instrument: InstrumentId(index as u16), bar_close_ns: target.bar_close_ns }
}
