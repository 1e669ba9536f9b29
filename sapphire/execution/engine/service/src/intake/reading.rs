//! What an entry of `signals` says.
//!
//! Invariant: the same messages are taken as by `Message::decode`; signals and end markers are only read in one go,
//! because they are what the whole path is fast for.

use sapphire_core::messages::{HftSignal, MAX_MESSAGE_BYTES, Message, Settled};

use crate::events::ReleaseDigest;

const SIGNAL: &str = "HFT_SIGNAL@1";
const SETTLED: &str = "SETTLED@1";

/// An entry that was understood.
#[derive(Debug)]
pub(super) enum Reading {
    /// A target, and the release that wants it.
    Signal(HftSignal, ReleaseDigest),
    /// All signals of the bar that closed then are in.
    EndOfBar(i64),
}

impl Reading {
    /// Close of the bar that it is about.
    pub(super) fn bar_close_ns(&self) -> i64 {
        match self {
            Self::Signal(signal, _) => signal.bar_close_ns,
            Self::EndOfBar(close_ns) => *close_ns,
        }
    }
}

/// What the bytes say, or why they say nothing.
pub(super) fn read(bytes: &[u8]) -> Result<Reading, String> {
    // What it names itself decides what is tried first; whether it is that, reading it says.
    if names(bytes, SETTLED) {
        if let Some(settled) = read_end(bytes) {
            return Ok(Reading::EndOfBar(settled.bar_close_ns));
        }
    } else if let Some(signal) = read_signal(bytes) {
        return of_signal(signal);
    }
    match Message::decode(bytes).map_err(|error| error.to_string())? {
        Message::HftSignal(signal) => of_signal(*signal),
        Message::Settled(settled) => Ok(Reading::EndOfBar(settled.bar_close_ns)),
        other => Err(format!("expected {SIGNAL}, or SETTLED@1 as an end marker, got {}", other.schema_id())),
    }
}

/// The canonical form of the envelope's schema stands in there.
fn names(bytes: &[u8], schema: &str) -> bool {
    let mark = b"\"schema_id\":\"";
    let place = bytes.windows(mark.len()).position(|window| window == mark);
    place.is_some_and(|place| bytes[place + mark.len()..].starts_with(schema.as_bytes()))
}

fn read_signal(bytes: &[u8]) -> Option<HftSignal> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return None;
    }
    serde_json::from_slice::<HftSignal>(bytes).ok().filter(|signal| signal.envelope.schema_id.as_str() == SIGNAL)
}

fn read_end(bytes: &[u8]) -> Option<Settled> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return None;
    }
    serde_json::from_slice::<Settled>(bytes).ok().filter(|settled| settled.envelope.schema_id.as_str() == SETTLED)
}

fn of_signal(signal: HftSignal) -> Result<Reading, String> {
    match signal.release.as_str().parse() {
        Ok(release) => Ok(Reading::Signal(signal, release)),
        Err(error) => Err(format!("release of {SIGNAL}: {error}")),
    }
}

/// Why an entry without the one field is refused.
pub(super) fn no_message() -> String {
    "expected an entry with the one field m, got others".to_owned()
}
