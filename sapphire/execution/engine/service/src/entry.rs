//! What the service's journal is made of.
//!
//! Invariant: entries in their order are all that decided: the run they begin with, the releases by slot, and every
//! event of the engine with where it came from. A record's payload is the digest of the outputs of the event before it
//! (none when it is not known), then the entry: events in the byte form of `core`, everything else as JSON.

use sapphire_core::engine::{Body, Event};
use serde::{Deserialize, Serialize};

use crate::events::{EntryId, ReleaseDigest};

mod bytes;
mod run;

pub use bytes::BadEntry;
pub use run::{LimitRules, Listing, RunConfig};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A run begins: a fresh engine. Written by [`Journal::open`](crate::journal::Journal::open).
    Begin(Box<Begin>),
    /// The process starts anew within a run. Written by [`Journal::open`](crate::journal::Journal::open).
    Resume(Resume),
    /// The journal goes on in another file. Written by the journal itself.
    Continue(Predecessor),
    /// A release takes a slot: its index in the engine from here to the end of the run.
    Release(SlotTaken),
    /// An entry of the bus that the engine has no part in (a dead letter): only the cursor moves.
    Passed(EntryId),
    /// An event of the engine.
    Event {
        /// What the engine is given.
        event: Event,
        /// Where it came from.
        source: Source,
    },
}

/// Where an event came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The stream of signals; the cursor moves to this entry.
    Bus(EntryId),
    /// The stream of signals, about a symbol that is not traded here; the cursor moves to this entry.
    Unlisted {
        /// The entry.
        entry: EntryId,
        /// What it named.
        symbol: String,
    },
    /// The venue, or the way to it.
    Venue,
    /// Market time came to where the engine asked to be woken.
    Clock,
    /// A person, by the control API.
    Operator {
        /// Who, or why: as the request said.
        who: String,
    },
    /// Something that a step of the lock-step brought.
    Step(u64),
    /// The start of the process.
    Start,
    /// The service itself: a journal that lags, a watchdog.
    Guard {
        /// Why.
        why: String,
    },
}

/// The first entry of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// What the engine is made of.
    pub run: RunConfig,
    /// What stands before it, when another run does.
    pub follows: Option<Predecessor>,
    /// The release that is traded from here on; journals of before it was written do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseDigest>,
    /// The machine's time, UTC nanoseconds.
    pub wall_ns: i64,
}

/// The first entry of a later start of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// What stands before it.
    pub follows: Predecessor,
    /// Events of the run before it.
    pub steps: u64,
    /// The release that is traded from here on; journals of before it was written do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseDigest>,
    /// The machine's time, UTC nanoseconds.
    pub wall_ns: i64,
}

/// The end of the file before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predecessor {
    /// Its epoch.
    pub epoch: u32,
    /// Its number within the epoch, from 1.
    pub segment: u32,
    /// How many records it has.
    pub records: u64,
    /// Hash of the last of them, 64 hexadecimal digits.
    pub hash: String,
}

/// A release and its slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotTaken {
    /// Index in the engine; slots are taken from 0 without gaps.
    pub slot: u16,
    /// sha256 of the release's manifest.
    pub digest: ReleaseDigest,
    /// Its name.
    pub name: String,
}

impl Entry {
    /// For the first entry of a run: what the numbers of its steps are published on top of, so that no two runs of an
    /// account publish under one number. Nothing for the first run; microseconds of the machine's time for a later one,
    /// of which no run before it can have used up as many steps.
    pub fn published_from(&self) -> u64 {
        match self {
            Self::Begin(begin) if begin.follows.is_some() => (begin.wall_ns.max(0) / 1_000).cast_unsigned(),
            _ => 0,
        }
    }

    /// Whether it is written even when nothing but the reserve is left: what stops, ends or reports, and never what
    /// leads to another order.
    pub fn is_essential(&self) -> bool {
        match self {
            Self::Begin(_) | Self::Resume(_) | Self::Continue(_) => true,
            Self::Release(_) | Self::Passed(_) => false,
            Self::Event { event, .. } => match &event.body {
                Body::Epoch { .. } | Body::Report(_) | Body::Balances(_) | Body::Timer => true,
                Body::Verdict { ok, .. } => !ok,
                Body::Command(command) => !command.leads_to_orders(),
                Body::Signal(_) | Body::EndOfBar { .. } | Body::Bbo { .. } | Body::Limits { .. } => false,
            },
        }
    }
}

impl Source {
    /// Where the stream of signals has been read to, when it came from there.
    pub fn cursor(&self) -> Option<EntryId> {
        match self {
            Self::Bus(entry) | Self::Unlisted { entry, .. } => Some(*entry),
            _ => None,
        }
    }
}
