//! The trader loop's part of a step of the lock-step: it carries out what [`crate::lockstep`] says.

use sapphire_core::engine::Body;

use super::messages::{SettledFact, account_fact, ms};
use super::{Held, Trader, TraderFailure, Trigger};
use crate::entry::Source;
use crate::events::Step;
use crate::lockstep::{Act, View};

impl Trader {
    /// Does what can be done at the step that is worked on.
    pub(super) fn lockstep_turn(&mut self) -> Result<(), TraderFailure> {
        while !self.lockstep.is_idle() {
            let now_ns = self.clock.now_ns();
            let view = View {
                now_ns,
                is_connected: self.gateway.is_connected(),
                outstanding: self.gateway.outstanding() + self.pending.len() + self.unsent.unconnected(),
                cursor: self.cursor,
                flushed: self.event_publisher.flushed(),
                is_check_due: self.due.is_check_due(now_ns),
            };
            let Some(act) = self.lockstep.next(&view) else { return Ok(()) };
            match act {
                Act::Reconcile => {
                    let Some(round) = self.reconcile() else { return self.put_off() };
                    self.lockstep.reconciling(round);
                }
                Act::AskReferences if !self.ask_quotes() => return self.put_off(),
                Act::AskReferences => {}
                Act::Apply => self.apply_step()?,
                Act::PublishState(close_ns) => self.publish_state(close_ns)?,
                Act::Flush => {
                    let token = self.event_publisher.flush()?;
                    self.lockstep.flushing(token);
                }
                Act::Settle(step) => self.settle(step)?,
            }
            self.take_pending()?;
        }
        Ok(())
    }

    /// A question could not be asked now: the next turn asks it.
    fn put_off(&mut self) -> Result<(), TraderFailure> {
        self.lockstep.put_off(self.clock.now_ns());
        self.take_pending()
    }

    /// References, what the venue sent, and the timer where it is due.
    fn apply_step(&mut self) -> Result<(), TraderFailure> {
        self.show_quotes()?;
        self.take_held()?;
        self.wake_if_due()
    }

    /// Applies what the venue sent before its time had come.
    pub(super) fn take_held(&mut self) -> Result<(), TraderFailure> {
        for _ in 0..self.held.len() {
            let taken_ns = self.clock.now_ns();
            match self.held.pop_front() {
                Some(Held::Report(report, received_ns)) => self.take_report(report, received_ns, taken_ns)?,
                Some(Held::Balances(balances)) => self.take_balances(balances, taken_ns)?,
                None => {}
            }
        }
        Ok(())
    }

    /// Gives the engine the time where it asked to be woken by now.
    pub(super) fn wake_if_due(&mut self) -> Result<(), TraderFailure> {
        let now_ns = self.clock.now_ns();
        let market_ns = self.market.at(now_ns);
        if self.engine.wake_at_ns().is_some_and(|wake_ns| wake_ns <= market_ns) {
            self.show_quotes()?;
            self.apply(Body::Timer, Source::Clock, &Trigger::at(now_ns))?;
        }
        Ok(())
    }

    /// Publishes what the account holds at the close of a bar, and lets the bar's signals in.
    pub(super) fn publish_state(&mut self, close_ns: i64) -> Result<(), TraderFailure> {
        self.last_close_ns = self.last_close_ns.max(close_ns);
        self.gate_ms = self.gate_ms.max(ms(close_ns));
        self.event_publisher.account(account_fact(&self.engine, &self.instruments, close_ns))
    }

    fn settle(&mut self, step: Step) -> Result<(), TraderFailure> {
        let sent = std::mem::take(&mut self.sent);
        self.event_publisher.settled(SettledFact {
            number: step.number,
            message_id: step.message_id,
            now_ns: step.now_ns,
            bar_close_ns: self.last_close_ns,
            cursor: self.cursor,
            sent,
            wake_at_ns: self.engine.wake_at_ns(),
        })
    }
}
