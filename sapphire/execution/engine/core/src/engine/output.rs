//! What the engine decides, and the bytes by which two runs are compared.

use crate::amounts::Atoms;
use crate::instrument::{Asset, InstrumentId};
use crate::orders::{ClientOrderId, Order, OrderState, ReleaseId, Report};
use crate::risk::{Approved, Cause, Denial, TradingState};

mod bytes;

/// Why a signal was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Its bar had been ended, or closed too long ago.
    Late,
    /// The same signal was taken before.
    Repeated,
    /// A later bar's signal was taken before, or its bar has not closed yet.
    OutOfOrder,
    /// Its release has no evidence that verifies.
    NoEvidence,
    /// The engine does not trade the instrument.
    UnknownInstrument,
    /// Trading is halted.
    Halted,
    /// Its time to live is over.
    Expired,
    /// Spot is not held below zero.
    BelowZero,
    /// It is more than an account can hold.
    TooLarge,
    /// A command has closed the instrument.
    Closed,
}

impl Refusal {
    /// All reasons.
    pub const ALL: [Self; 10] = [
        Self::UnknownInstrument,
        Self::NoEvidence,
        Self::Repeated,
        Self::OutOfOrder,
        Self::Expired,
        Self::Late,
        Self::BelowZero,
        Self::TooLarge,
        Self::Halted,
        Self::Closed,
    ];

    /// The reason as messages carry it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Late => "LATE",
            Self::Repeated => "REPEATED",
            Self::OutOfOrder => "OUT_OF_ORDER",
            Self::NoEvidence => "NO_EVIDENCE",
            Self::UnknownInstrument => "UNKNOWN_INSTRUMENT",
            Self::Halted => "HALTED",
            Self::Expired => "EXPIRED",
            Self::BelowZero => "BELOW_ZERO",
            Self::TooLarge => "TOO_LARGE",
            Self::Closed => "CLOSED",
        }
    }

    /// What it means, in one line.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Late => "it came after the end marker of its bar, or too long after its bar had closed",
            Self::Repeated => "the same signal (release, instrument, close of the bar) was taken before",
            Self::OutOfOrder => "a later bar's signal was taken before, or its bar has not closed yet",
            Self::NoEvidence => "its release has no evidence that verifies",
            Self::UnknownInstrument => "the engine does not trade this instrument",
            Self::Halted => "trading is halted",
            Self::Expired => "its time to live was over when it came",
            Self::TooLarge => "the target is more than an account can hold: 10^20 units of an asset",
            Self::BelowZero => "the target is below zero, and spot cannot be held below zero",
            Self::Closed => "a command has closed the position; no signal of the symbol is taken until one resumes",
        }
    }
}

/// Why a target ended before it was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndCause {
    /// Its time to live is over.
    TimeToLive,
    /// Another target took its place.
    Superseded,
    /// Its release lost its evidence.
    Withdrawn,
    /// Trading was halted.
    Halted,
    /// A command closes the position.
    Closed,
    /// A command lets signals set the targets again.
    Resumed,
}

impl EndCause {
    /// The cause as messages carry it.
    pub fn text(self) -> &'static str {
        match self {
            Self::TimeToLive => "TIME_TO_LIVE",
            Self::Superseded => "SUPERSEDED",
            Self::Withdrawn => "WITHDRAWN",
            Self::Halted => "HALTED",
            Self::Closed => "CLOSED",
            Self::Resumed => "RESUMED",
        }
    }
}

/// Identity of a signal and of the target that it set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignalId {
    /// Who said so.
    pub release: ReleaseId,
    /// Of what.
    pub instrument: InstrumentId,
    /// Close of the bar it stands on.
    pub bar_close_ns: i64,
}

/// One decision.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this order.
    Place(Approved),
    /// Ask the venue to end this order.
    Cancel {
        /// The order.
        order: ClientOrderId,
        /// Its instrument.
        instrument: InstrumentId,
    },
    /// Ask the venue what became of this order.
    Query {
        /// The order.
        order: ClientOrderId,
        /// Its instrument.
        instrument: InstrumentId,
    },
    /// A signal was not taken.
    SignalRefused {
        /// Which.
        signal: SignalId,
        /// Why.
        reason: Refusal,
    },
    /// The gate refused an order.
    Denied {
        /// The order.
        order: Order,
        /// Why.
        denial: Denial,
    },
    /// The position is where the signal wants it, to less than the venue's smallest order.
    TargetReached {
        /// Which.
        signal: SignalId,
        /// Whole lots held.
        held_lots: i64,
    },
    /// The target ended with a gap left.
    TargetExpired {
        /// Which.
        signal: SignalId,
        /// Lots to the target: above zero when too little is held.
        remaining_lots: i64,
        /// Why.
        cause: EndCause,
    },
    /// The trading state was set.
    Trading {
        /// To what.
        state: TradingState,
        /// By what.
        cause: Cause,
    },
    /// A snapshot changed what is held: a deposit, a withdrawal, or a difference that reconciliation has to explain.
    Adjusted {
        /// Of which asset.
        asset: Asset,
        /// By how much.
        atoms: Atoms,
    },
    /// A snapshot names more of an asset than an account can hold. Nothing of it was used.
    NotHoldable {
        /// Of which asset.
        asset: Asset,
        /// How much.
        atoms: Atoms,
    },
    /// A snapshot was not used: orders are on the way, or it is older than the last trade.
    BalancesSkipped {
        /// Its time.
        as_of_ns: i64,
    },
    /// A report that fits no order, no transition of its state, or no account that could hold what it says. It changed
    /// nothing.
    Unmatched {
        /// What was said.
        report: Report,
        /// State of the order, where there is one.
        state: Option<OrderState>,
    },
    /// The venue traded more of an order than was asked for. It is booked.
    Overfilled {
        /// The order.
        order: ClientOrderId,
        /// By how much.
        lots: i64,
    },
    /// Send [`Body::Timer`](super::Body::Timer) at this market time.
    WakeAt(i64),
}

/// The decisions of one step, in order.
#[derive(Debug, Default)]
pub struct Outputs {
    list: Vec<Output>,
}

impl Outputs {
    /// None yet, with room for `outputs`.
    #[must_use]
    pub fn with_capacity(outputs: usize) -> Self {
        Self { list: Vec::with_capacity(outputs) }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// In order.
    pub fn iter(&self) -> std::slice::Iter<'_, Output> {
        self.list.iter()
    }

    /// Takes them out, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Output> {
        self.list.drain(..)
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// Appends their bytes to `bytes`: equal decisions have equal bytes, different ones different bytes.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        self.list.iter().for_each(|output| bytes::encode(output, bytes));
    }

    /// BLAKE3 of their bytes.
    pub fn digest(&self) -> [u8; 32] {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        *blake3::hash(&bytes).as_bytes()
    }

    pub(super) fn push(&mut self, output: Output) {
        self.list.push(output);
    }
}

impl<'a> IntoIterator for &'a Outputs {
    type Item = &'a Output;
    type IntoIter = std::slice::Iter<'a, Output>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
