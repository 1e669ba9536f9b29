//! What changes the account or the trading state without an order: references, snapshots, commands, losses.

use super::{Balances, EndCause, Engine, Output, Outputs, Target};
use crate::instrument::{InstrumentId, Side};
use crate::orders::ReleaseId;
use crate::positions::NotHoldable;
use crate::risk::{Bbo, Cause, Command};

impl Engine {
    /// A reference is noted and nothing else. A crossed or empty book is no reference.
    pub(super) fn note_bbo(&mut self, instrument: InstrumentId, bbo: Bbo) {
        if let Some(place) = self.bbos.get_mut(instrument.0 as usize)
            && 0 < bbo.bid_ticks
            && bbo.bid_ticks <= bbo.ask_ticks
        {
            *place = Some(bbo);
        }
    }

    /// A snapshot can be compared with what is known only while nothing is on the way and no trade is younger than it.
    pub(super) fn take_balances(&mut self, balances: &Balances, out: &mut Outputs) {
        if !self.is_quiet() || balances.as_of_ns < self.traded_ns {
            out.push(Output::BalancesSkipped { as_of_ns: balances.as_of_ns });
            return;
        }
        let price_atoms = |asset| self.price_of(asset).unwrap_or(0);
        let faulty = balances
            .holdings
            .iter()
            .find_map(|(asset, atoms)| self.ledger.admits(*asset, *atoms, price_atoms(*asset)).err());
        if let Some(NotHoldable { asset, atoms }) = faulty {
            out.push(Output::NotHoldable { asset, atoms });
            return;
        }
        let before = self.equity_atoms();
        for (asset, atoms) in &balances.holdings {
            let price_atoms = self.price_of(*asset).unwrap_or(0);
            let Ok(change) = self.ledger.reconcile(*asset, *atoms, price_atoms) else { continue };
            if change != 0 {
                out.push(Output::Adjusted { asset: *asset, atoms: change });
                self.position_changed();
            }
        }
        if let (Some(before), Some(after)) = (before, self.equity_atoms()) {
            self.gate.shift(after - before);
        }
    }

    pub(super) fn on_command(&mut self, command: Command, out: &mut Outputs) {
        self.gate.command(command);
        out.push(Output::Trading { state: self.gate.state(), cause: Cause::Command });
        for index in 0..self.work.len() {
            match command {
                Command::Halt => {
                    self.cancel_live(index, None, out);
                    self.drop_target(index, EndCause::Halted, out);
                }
                Command::Reduce => self.cancel_live(index, Some(Side::Buy), out),
                Command::Resume => self.reopen(index, out),
                Command::Flatten => self.close(index, out),
                Command::Close(InstrumentId(closed)) if closed as usize == index => self.close(index, out),
                Command::Close(_) => {}
            }
        }
    }

    /// Nothing is the target of an instrument now, and no signal's business. It has no end: what cannot be sold at this
    /// moment is sold later. Commanded again, it is tried again.
    fn close(&mut self, index: usize, out: &mut Outputs) {
        self.cancel_live(index, Some(Side::Buy), out);
        self.drop_target(index, EndCause::Closed, out);
        let bar_close_ns = if self.ended_bar_ns == i64::MIN { self.now_ns } else { self.ended_bar_ns };
        let work = &mut self.work[index];
        work.retry_ns = i64::MIN;
        work.resume();
        work.target = Some(Target {
            release: ReleaseId::OPERATOR,
            lots: 0,
            bar_close_ns,
            deadline_ns: i64::MAX,
            released: true,
            reached: false,
            emitted: false,
        });
    }

    /// Signals set the target of an instrument again.
    fn reopen(&mut self, index: usize, out: &mut Outputs) {
        if self.work[index].target.is_some_and(|target| target.release == ReleaseId::OPERATOR) {
            self.drop_target(index, EndCause::Resumed, out);
        }
        self.work[index].resume();
    }

    /// Lets the loss latch see the equity; when it trips, buys on the way are called back.
    pub(super) fn watch_loss(&mut self, out: &mut Outputs) {
        let Some(equity_atoms) = self.equity_atoms() else { return };
        if self.gate.observe(self.now_ns, equity_atoms) {
            out.push(Output::Trading { state: self.gate.state(), cause: Cause::Loss });
            for index in 0..self.work.len() {
                self.cancel_live(index, Some(Side::Buy), out);
            }
        }
    }

    /// What is held has changed: what waited for that is tried again, what was reached is looked at again.
    pub(super) fn position_changed(&mut self) {
        for work in &mut self.work {
            work.suspended = false;
        }
    }
}
