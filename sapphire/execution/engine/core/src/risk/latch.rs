//! Whether trading goes on: halt, reduce, and the latch that trips on a day's loss.
//!
//! Invariant: the state never loosens by itself. What a loss or a command has closed, only the command to resume opens;
//! a new day does not.

use crate::amounts::Atoms;
use crate::instrument::InstrumentId;

/// What the gate lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TradingState {
    /// Everything within limits.
    Active,
    /// Only what makes a position smaller.
    Reducing,
    /// Only cancels.
    Halted,
}

impl TradingState {
    /// The state as messages carry it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Reducing => "REDUCING",
            Self::Halted => "HALTED",
        }
    }
}

/// An operator's command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Stop: cancel what is on the way, send nothing.
    Halt,
    /// Only reductions.
    Reduce,
    /// Trade again; the only way to re-arm.
    Resume,
    /// Sell everything that is held; only reductions from here on, and no signal is taken. From a halt as well: the way
    /// out needs orders.
    Flatten,
    /// Sell all that is held of an instrument, and take nothing of it on again. The others go on.
    Close(InstrumentId),
}

impl Command {
    /// It leads to orders by itself, so that it needs a journal with room.
    pub fn leads_to_orders(self) -> bool {
        matches!(self, Self::Resume | Self::Flatten | Self::Close(_))
    }
}

/// Why the trading state is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// An operator's command.
    Command,
    /// The loss latch.
    Loss,
}

impl Cause {
    /// The cause as messages carry it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Command => "COMMAND",
            Self::Loss => "LOSS",
        }
    }
}

const DAY_NS: i64 = 24 * 3_600 * 1_000_000_000;

/// State and latch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latch {
    commanded: TradingState,
    /// Equity and floor at the moment the latch tripped.
    tripped: Option<(Atoms, Atoms)>,
    max_loss_bps: Option<i64>,
    day: i64,
    day_start_atoms: Option<Atoms>,
}

impl Latch {
    pub(super) fn new(max_loss_bps: Option<i64>) -> Self {
        Self { commanded: TradingState::Active, tripped: None, max_loss_bps, day: i64::MIN, day_start_atoms: None }
    }

    pub(super) fn state(&self) -> TradingState {
        if self.tripped.is_some() { self.commanded.max(TradingState::Reducing) } else { self.commanded }
    }

    /// Equity and floor when the latch tripped; none while it is armed.
    pub(super) fn tripped(&self) -> Option<(Atoms, Atoms)> {
        self.tripped
    }

    pub(super) fn command(&mut self, command: Command) {
        self.commanded = match command {
            Command::Halt => TradingState::Halted,
            Command::Reduce | Command::Flatten => TradingState::Reducing,
            // The account's state is that of all its instruments; the gate knows which of them are closed.
            Command::Close(_) => return,
            Command::Resume => {
                // The loss that was accepted is not counted again.
                if self.tripped.take().is_some() {
                    self.day_start_atoms = None;
                }
                TradingState::Active
            }
        };
    }

    /// Money came in (negative: went out) that was neither won nor lost.
    pub(super) fn shift(&mut self, atoms: Atoms) {
        self.day_start_atoms = self.day_start_atoms.map(|start| start + atoms);
    }

    /// Takes note of the equity; whether the latch trips by it. A UTC day starts with the first equity known in it.
    pub(super) fn observe(&mut self, now_ns: i64, equity_atoms: Atoms) -> bool {
        let day = now_ns.div_euclid(DAY_NS);
        if day != self.day {
            (self.day, self.day_start_atoms) = (day, None);
        }
        let start = *self.day_start_atoms.get_or_insert(equity_atoms);
        let Some(bps) = self.max_loss_bps.filter(|_| self.tripped.is_none()) else { return false };
        let floor = start * Atoms::from(10_000 - bps) / 10_000;
        if equity_atoms < floor {
            self.tripped = Some((equity_atoms, floor));
        }
        self.tripped.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latch_falls_once_and_stays_down_over_midnight() {
        let mut latch = Latch::new(Some(100));
        assert!(!latch.observe(0, 10_000));
        assert!(!latch.observe(1, 9_900));
        assert!(latch.observe(2, 9_899));
        assert!(!latch.observe(3, 5_000));
        latch.observe(DAY_NS, 20_000);
        assert_eq!((latch.state(), latch.tripped()), (TradingState::Reducing, Some((9_899, 9_900))));
    }

    #[test]
    fn only_resume_re_arms_and_the_loss_is_not_counted_twice() {
        let mut latch = Latch::new(Some(100));
        latch.observe(0, 10_000);
        latch.observe(1, 9_000);
        latch.command(Command::Reduce);
        latch.command(Command::Halt);
        assert_eq!(latch.state(), TradingState::Halted);
        latch.command(Command::Resume);
        assert_eq!(latch.state(), TradingState::Active);
        assert!(!latch.observe(2, 9_000) && latch.observe(3, 8_909));
    }

    #[test]
    fn a_flatten_reduces_from_every_state_and_a_close_changes_none() {
        let mut latch = Latch::new(None);
        for before in [Command::Resume, Command::Reduce, Command::Halt] {
            latch.command(before);
            let state = latch.state();
            latch.command(Command::Close(InstrumentId(0)));
            assert_eq!(latch.state(), state);
            latch.command(Command::Flatten);
            assert_eq!(latch.state(), TradingState::Reducing);
        }
    }

    #[test]
    fn a_withdrawal_is_no_loss() {
        let mut latch = Latch::new(Some(100));
        latch.observe(0, 10_000);
        latch.shift(-5_000);
        assert!(!latch.observe(1, 4_950) && latch.observe(2, 4_949));
    }

    #[test]
    fn a_day_starts_with_its_first_equity() {
        let mut latch = Latch::new(Some(100));
        latch.observe(0, 10_000);
        assert!(!latch.observe(DAY_NS, 9_000));
        assert!(!latch.observe(DAY_NS + 1, 8_910));
    }
}
