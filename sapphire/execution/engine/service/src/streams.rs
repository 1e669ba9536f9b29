//! Names of the bus's streams for one account and the release that it trades.
//!
//! Invariant: Python makes the same names of the same identity (`sapphire/telemetry/streams.py`); both are held to one
//! set of vectors. Names are letters, digits, `-` and `_`, so a colon only ever stands between them.

use std::sync::Arc;

use crate::events::{BadText, ReleaseDigest};

/// Longest name of a venue or an account: the ids of messages have room for it.
const LONGEST: usize = 20;

/// Digits of a release's digest in a name.
const SHORT: usize = 16;

/// The streams of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streams {
    /// The account's steps of the lock-step.
    pub lockstep: Arc<str>,
    /// Its answers to them.
    pub settled: Arc<str>,
    /// What it holds at each bar's close.
    pub states: Arc<str>,
    /// What its release wants.
    pub signals: Arc<str>,
    /// What becomes of its orders.
    pub executions: Arc<str>,
    /// That parts of the venue's accounts are alive.
    pub heartbeats: Arc<str>,
    /// What was refused.
    pub dead_letters: Arc<str>,
    /// Venue and account.
    own: Arc<str>,
}

impl Streams {
    /// The names for an identity.
    ///
    /// # Errors
    /// A venue or an account that is no name.
    pub fn new(venue: &str, account: &str, release: &ReleaseDigest) -> Result<Self, BadText> {
        let own = format!("{}:{}", name(venue)?, name(account)?);
        let short = &release.to_string()[..SHORT];
        let of = |kind: &str| Arc::from(format!("{kind}:{own}"));
        Ok(Self {
            lockstep: of("lockstep"),
            settled: of("settled"),
            states: of("account"),
            signals: format!("signals:{own}:{short}").into(),
            executions: of("executions"),
            heartbeats: format!("heartbeats:{venue}").into(),
            dead_letters: of("dead-letters"),
            own: own.into(),
        })
    }

    /// Trace id of everything that follows from the bar that closed at so many milliseconds.
    pub fn trace(&self, close_ms: u64) -> String {
        format!("bar:{}:{close_ms}", self.own)
    }
}

/// The name of a venue or an account.
///
/// # Errors
/// Other characters, none, or too many of them.
pub fn name(text: &str) -> Result<&str, BadText> {
    let is_name = text.len() <= LONGEST
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let expected = "1 to 20 letters, digits, - and _, with a letter or a digit first";
    if is_name { Ok(text) } else { Err(BadText { expected, got: text.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn each_golden_vector_has_the_names_that_python_gave() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../../../tests/reference/golden/stream_names.json")).unwrap();
        let identities = vectors["named"].as_array().unwrap();
        assert!(identities.len() >= 3);
        for vector in identities {
            let text = |key: &str| vector[key].as_str().unwrap();
            let streams = Streams::new(text("venue"), text("account"), &text("release").parse().unwrap()).unwrap();
            let names = [
                ("lockstep", &streams.lockstep),
                ("settled", &streams.settled),
                ("states", &streams.states),
                ("signals", &streams.signals),
                ("executions", &streams.executions),
                ("heartbeats", &streams.heartbeats),
                ("dead_letters", &streams.dead_letters),
            ];
            for (key, name) in names {
                assert_eq!(&**name, text(key));
            }
            assert_eq!(streams.trace(1_709_294_700_000), text("trace"));
        }
        for refused in vectors["refused"].as_array().unwrap() {
            assert!(name(refused.as_str().unwrap()).is_err(), "{refused}");
        }
    }
}
