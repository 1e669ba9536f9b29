//! What the engine is told. Every event carries market time; nothing else tells the engine the time.

use crate::amounts::Atoms;
use crate::instrument::{Asset, InstrumentId};
use crate::orders::{ReleaseId, Report};
use crate::risk::{Command, LimitSet};

mod bytes;

pub use bytes::BadEvent;

/// One input of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Market time at which it was taken in, UTC nanoseconds.
    pub market_ns: i64,
    /// What it says.
    pub body: Body,
}

/// The kinds of [`Event`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The process starts anew: order ids carry this epoch from here. Before the first one nothing is sent.
    Epoch {
        /// Greater than every epoch before.
        epoch: u32,
    },
    /// Whether a release's evidence verifies.
    Verdict {
        /// The release.
        release: ReleaseId,
        /// It does.
        ok: bool,
    },
    /// A release's own limits. At the gate they stand beside the ones that the configuration has for its place, and of
    /// the two the tighter holds.
    Limits {
        /// The release.
        release: ReleaseId,
        /// Its limits.
        limits: LimitSet,
    },
    /// A target position.
    Signal(Signal),
    /// All signals of the bars closed up to here are in.
    EndOfBar {
        /// Close of the bar.
        bar_close_ns: i64,
    },
    /// Best prices of an instrument. They are noted; what they mean for a target is decided by the next other event.
    Bbo {
        /// The instrument.
        instrument: InstrumentId,
        /// Best bid.
        bid_ticks: i64,
        /// Best ask.
        ask_ticks: i64,
        /// Market time since which they stand: their age is counted from here.
        as_of_ns: i64,
    },
    /// What the venue, or the way to it, says about an order.
    Report(Report),
    /// What the venue says the account holds.
    Balances(Balances),
    /// Market time has come to where the engine asked to be woken.
    Timer,
    /// An operator's command.
    Command(Command),
}

/// A target position with a time to live. Its identity is (release, instrument, close of the bar).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Who says so.
    pub release: ReleaseId,
    /// Of what.
    pub instrument: InstrumentId,
    /// How much is to be held.
    pub target_lots: i64,
    /// Close of the bar it stands on.
    pub bar_close_ns: i64,
    /// How long after that close it is worked on.
    pub time_to_live_ns: i64,
}

/// A snapshot of the account at the venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balances {
    /// Market time at which the venue made it.
    pub as_of_ns: i64,
    /// Per asset, free and locked together.
    pub holdings: Vec<(Asset, Atoms)>,
}
