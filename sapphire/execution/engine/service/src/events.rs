//! What the threads of the service send to the trader loop.
//!
//! Invariant: whatever the trader loop does follows from an event that came through its [`crate::mailbox::Mailbox`], or
//! from time. Times named `*_ns` without "market" are monotonic, of the process's one [`crate::clock::Monotonic`]
//! clock.

use std::fmt;
use std::str::FromStr;

use sapphire_core::engine::Balances;
use sapphire_core::instrument::InstrumentId;
use sapphire_core::orders::{ClientOrderId, Report};
use sapphire_core::risk::LimitSet;
use serde::{Deserialize, Serialize};

pub use crate::control::Ask;

/// Position of an entry in a stream of the bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct EntryId {
    /// Milliseconds, or whatever the stream counts by.
    pub ms: u64,
    /// Number within them.
    pub seq: u64,
}

impl fmt::Display for EntryId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.ms, self.seq)
    }
}

/// Text that is no entry id or no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got {got:?}")]
pub struct BadText {
    /// The form.
    pub expected: &'static str,
    /// What came.
    pub got: String,
}

impl FromStr for EntryId {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let parts = text.split_once('-').and_then(|(ms, seq)| Some((number(ms)?, number(seq)?)));
        let bad = || BadText { expected: "an entry id such as 1704067200000-1", got: text.to_owned() };
        parts.map(|(ms, seq)| Self { ms, seq }).ok_or_else(bad)
    }
}

impl TryFrom<String> for EntryId {
    type Error = BadText;

    fn try_from(text: String) -> Result<Self, BadText> {
        text.parse()
    }
}

impl From<EntryId> for String {
    fn from(id: EntryId) -> Self {
        id.to_string()
    }
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// sha256 of a release's manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ReleaseDigest(pub [u8; 32]);

impl fmt::Display for ReleaseDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl FromStr for ReleaseDigest {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let bad = || BadText { expected: "64 hexadecimal digits in lower case", got: text.to_owned() };
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0]).zip(digit(pair[1])).map(|(high, low)| high << 4 | low).ok_or_else(bad)?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for ReleaseDigest {
    type Error = BadText;

    fn try_from(text: String) -> Result<Self, BadText> {
        text.parse()
    }
}

impl From<ReleaseDigest> for String {
    fn from(id: ReleaseDigest) -> Self {
        id.to_string()
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// What a thread sends to the trader loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraderEvent {
    /// From the bus.
    Intake(Intake),
    /// From the venue.
    Venue(Venue),
    /// Market time was advanced (lock-step).
    Step(Step),
    /// From the control API.
    Ask(Ask),
}

/// From the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intake {
    /// A release met for the first time, or whose verdict changed.
    Release {
        /// Which.
        digest: ReleaseDigest,
        /// Its name.
        name: String,
        /// Its own limits (they only tighten), or why it is refused.
        verdict: Result<LimitSet, String>,
    },
    /// A target position.
    Signal {
        /// Where it stands in its stream.
        entry: EntryId,
        /// Whose signal it is.
        release: ReleaseDigest,
        /// Of what; none for an unknown symbol.
        instrument: Option<InstrumentId>,
        /// The same by name.
        symbol: String,
        /// How much is to be held.
        target_lots: i64,
        /// Close of the bar it stands on.
        bar_close_ns: i64,
        /// How long after that close it is worked on.
        time_to_live_ns: i64,
        /// When its bytes came.
        received_ns: i64,
        /// When they were understood.
        parsed_ns: i64,
    },
    /// All signals of a bar are in.
    EndOfBar {
        /// Where it stands in its stream.
        entry: EntryId,
        /// Close of the bar.
        bar_close_ns: i64,
        /// When its bytes came.
        received_ns: i64,
        /// When they were understood.
        parsed_ns: i64,
    },
    /// Refused at the edge and kept in `dead-letters`; only the cursor moves.
    DeadLetter {
        /// Where it stood.
        entry: EntryId,
    },
    /// Not from the account's coordinator, or about a bar that is not over: kept in `dead-letters` and taken out of the
    /// stream, so that nothing moves.
    Thrown,
}

/// Best prices of an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The instrument.
    pub instrument: InstrumentId,
    /// Best bid.
    pub bid_ticks: i64,
    /// Best ask.
    pub ask_ticks: i64,
    /// Market time since which they stand.
    pub as_of_ns: i64,
}

/// From the venue, or the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Venue {
    /// The user stream is subscribed.
    Connected {
        /// Counts connections of this process.
        connection: u32,
    },
    /// The connection broke.
    Lost {
        /// Which.
        connection: u32,
        /// Why.
        why: String,
    },
    /// What the user stream or a query says about an order.
    Report {
        /// The report.
        report: Report,
        /// The venue's time of it.
        market_ns: i64,
        /// When it came.
        received_ns: i64,
        /// The account's event number, where the stream gave one; none for answers to questions.
        event: Option<u64>,
    },
    /// An event of the user stream that is about no order of ours (it still counts as read).
    Other {
        /// The account's event number, where there is one.
        event: Option<u64>,
    },
    /// The venue's answer to a placement that it took in (a refusal comes as a report).
    Acknowledged {
        /// The order.
        order: ClientOrderId,
        /// When it came.
        received_ns: i64,
    },
    /// A cancel or query was answered (after its reports).
    Answered {
        /// The order.
        order: ClientOrderId,
    },
    /// Best prices.
    References {
        /// By instrument.
        quotes: Vec<Quote>,
        /// The answer to a question of the trader loop.
        asked: bool,
    },
    /// What the account holds.
    Balances(Balances),
    /// A reconciliation round is complete; its reports and balances came before.
    Reconciled {
        /// Which round.
        round: u32,
        /// Open orders that nobody knew and that were taken out.
        orphans_canceled: u32,
    },
    /// The venue's clock.
    VenueTime {
        /// Market time.
        market_ns: i64,
        /// When it was asked.
        sent_ns: i64,
        /// When the answer came.
        received_ns: i64,
    },
}

/// Market time stands here until every part has settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Number of the step, from 1.
    pub number: u64,
    /// Message that says so.
    pub message_id: String,
    /// Market time.
    pub now_ns: i64,
    /// The bar that has just closed.
    pub bar_close_ns: Option<i64>,
    /// Number of the last event that the exchange sent to the account.
    pub account_events: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_survive_their_text(ms: u64, seq: u64, digest: [u8; 32]) {
            let id = EntryId { ms, seq };
            prop_assert_eq!(id.to_string().parse::<EntryId>(), Ok(id));
            let digest = ReleaseDigest(digest);
            prop_assert_eq!(digest.to_string().parse::<ReleaseDigest>(), Ok(digest));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "1", "1-", "-1", "1-2-3", "+1-2", "a-b", "1-99999999999999999999"] {
            assert!(text.parse::<EntryId>().is_err(), "{text}");
        }
        assert!("AB".repeat(32).parse::<ReleaseDigest>().is_err());
        assert!("ab".repeat(31).parse::<ReleaseDigest>().is_err());
    }
}
