//! Entries as the payloads of records.

use sapphire_core::engine::{BadEvent, Event};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Entry, Source};
use crate::events::EntryId;

/// A payload that is no entry.
#[derive(Debug, thiserror::Error)]
pub enum BadEntry {
    /// Its kind is not one of ours.
    #[error("kind {0} is not one that this version of the service knows; read it with the one that wrote it")]
    Kind(u8),
    /// It ends too early, or holds what no entry holds.
    #[error("it does not read as an entry: {0}")]
    Shape(&'static str),
    /// Its JSON does not parse.
    #[error("its JSON does not parse: {0}")]
    Json(#[from] serde_json::Error),
    /// Its event does not parse.
    #[error("its event does not parse: {0}")]
    Event(#[from] BadEvent),
}

const BEGIN: u8 = 1;
const RESUME: u8 = 2;
const CONTINUE: u8 = 3;
const RELEASE: u8 = 4;
const PASSED: u8 = 5;
const EVENT: u8 = 6;

impl Entry {
    /// What records of this entry are marked with.
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Self::Begin(_) => BEGIN,
            Self::Resume(_) => RESUME,
            Self::Continue(_) => CONTINUE,
            Self::Release(_) => RELEASE,
            Self::Passed(_) => PASSED,
            Self::Event { .. } => EVENT,
        }
    }

    /// Appends the payload to `bytes`. `outputs` is the digest of what the event before led to.
    pub(crate) fn encode(&self, outputs: Option<[u8; 32]>, bytes: &mut Vec<u8>) -> Result<(), BadEntry> {
        bytes.push(outputs.is_some().into());
        bytes.extend_from_slice(outputs.as_ref().map_or(&[], |digest| digest.as_slice()));
        match self {
            Self::Begin(begin) => json(begin, bytes),
            Self::Resume(resume) => json(resume, bytes),
            Self::Continue(follows) => json(follows, bytes),
            Self::Release(slot) => json(slot, bytes),
            Self::Passed(entry) => json(entry, bytes),
            Self::Event { event, source } => {
                encode_source(source, bytes);
                event.encode(bytes);
                Ok(())
            }
        }
    }

    /// The entry of a payload, and the digest of what the event before it led to.
    pub(crate) fn decode(kind: u8, payload: &[u8]) -> Result<(Self, Option<[u8; 32]>), BadEntry> {
        let (outputs, rest) = match payload.split_first() {
            Some((0, rest)) => (None, rest),
            Some((1, rest)) => {
                let (digest, rest) = rest.split_first_chunk().ok_or(BadEntry::Shape("its digest is cut short"))?;
                (Some(*digest), rest)
            }
            _ => return Err(BadEntry::Shape("it does not say whether it has a digest")),
        };
        let entry = match kind {
            BEGIN => Self::Begin(parse(rest)?),
            RESUME => Self::Resume(parse(rest)?),
            CONTINUE => Self::Continue(parse(rest)?),
            RELEASE => Self::Release(parse(rest)?),
            PASSED => Self::Passed(parse(rest)?),
            EVENT => {
                let (source, rest) = decode_source(rest)?;
                Self::Event { event: Event::decode(rest)?, source }
            }
            _ => return Err(BadEntry::Kind(kind)),
        };
        Ok((entry, outputs))
    }
}

fn json(value: &impl Serialize, bytes: &mut Vec<u8>) -> Result<(), BadEntry> {
    Ok(serde_json::to_writer(bytes, value)?)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BadEntry> {
    Ok(serde_json::from_slice(bytes)?)
}

fn encode_source(source: &Source, bytes: &mut Vec<u8>) {
    let tagged = |bytes: &mut Vec<u8>, tag: u8, numbers: &[u64]| {
        bytes.push(tag);
        for number in numbers {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    };
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    };
    match source {
        Source::Bus(entry) => tagged(bytes, 1, &[entry.ms, entry.seq]),
        Source::Unlisted { entry, symbol } => {
            tagged(bytes, 2, &[entry.ms, entry.seq]);
            text(bytes, symbol);
        }
        Source::Venue => tagged(bytes, 3, &[]),
        Source::Clock => tagged(bytes, 4, &[]),
        Source::Operator { who } => {
            tagged(bytes, 5, &[]);
            text(bytes, who);
        }
        Source::Step(step) => tagged(bytes, 6, &[*step]),
        Source::Start => tagged(bytes, 7, &[]),
        Source::Guard { why } => {
            tagged(bytes, 8, &[]);
            text(bytes, why);
        }
    }
}

/// The source that `bytes` begins with, and what stands behind it.
fn decode_source(bytes: &[u8]) -> Result<(Source, &[u8]), BadEntry> {
    let (tag, rest) = bytes.split_first().ok_or(BadEntry::Shape("its source is missing"))?;
    Ok(match tag {
        1 => {
            let (entry, rest) = decode_id(rest)?;
            (Source::Bus(entry), rest)
        }
        2 => {
            let (entry, rest) = decode_id(rest)?;
            let (symbol, rest) = decode_text(rest)?;
            (Source::Unlisted { entry, symbol }, rest)
        }
        3 => (Source::Venue, rest),
        4 => (Source::Clock, rest),
        5 => {
            let (who, rest) = decode_text(rest)?;
            (Source::Operator { who }, rest)
        }
        6 => {
            let (step, rest) = decode_number(rest)?;
            (Source::Step(step), rest)
        }
        7 => (Source::Start, rest),
        8 => {
            let (why, rest) = decode_text(rest)?;
            (Source::Guard { why }, rest)
        }
        _ => return Err(BadEntry::Shape("its source is not one that this version knows")),
    })
}

fn decode_number(bytes: &[u8]) -> Result<(u64, &[u8]), BadEntry> {
    let (number, rest) = bytes.split_first_chunk().ok_or(BadEntry::Shape("its source is cut short"))?;
    Ok((u64::from_le_bytes(*number), rest))
}

fn decode_id(bytes: &[u8]) -> Result<(EntryId, &[u8]), BadEntry> {
    let (ms, rest) = decode_number(bytes)?;
    let (seq, rest) = decode_number(rest)?;
    Ok((EntryId { ms, seq }, rest))
}

fn decode_text(bytes: &[u8]) -> Result<(String, &[u8]), BadEntry> {
    let (length, rest) = bytes.split_first_chunk().ok_or(BadEntry::Shape("its source is cut short"))?;
    let length = u32::from_le_bytes(*length) as usize;
    let (text, rest) = rest.split_at_checked(length).ok_or(BadEntry::Shape("its source is cut short"))?;
    let text = str::from_utf8(text).map_err(|_| BadEntry::Shape("its source is no text"))?;
    Ok((text.to_owned(), rest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Predecessor, Resume, SlotTaken};
    use super::*;
    use crate::events::ReleaseDigest;
    use proptest::prelude::*;
    use sapphire_core::engine::Body;

    fn sources() -> impl Strategy<Value = Source> {
        let entry = any::<(u64, u64)>().prop_map(|(ms, seq)| EntryId { ms, seq });
        prop_oneof![
            entry.clone().prop_map(Source::Bus),
            (entry, any::<String>()).prop_map(|(entry, symbol)| Source::Unlisted { entry, symbol }),
            Just(Source::Venue),
            Just(Source::Clock),
            any::<String>().prop_map(|who| Source::Operator { who }),
            any::<u64>().prop_map(Source::Step),
            Just(Source::Start),
            any::<String>().prop_map(|why| Source::Guard { why }),
        ]
    }

    fn entries() -> impl Strategy<Value = Entry> {
        let follows = (any::<[u32; 2]>(), any::<u64>(), "[0-9a-f]{64}").prop_map(|(numbers, records, hash)| {
            let [epoch, segment] = numbers;
            Predecessor { epoch, segment, records, hash }
        });
        let slot = (any::<u16>(), any::<[u8; 32]>(), any::<String>()).prop_map(|(slot, digest, name)| SlotTaken {
            slot,
            digest: ReleaseDigest(digest),
            name,
        });
        prop_oneof![
            (follows.clone(), any::<u64>(), any::<Option<[u8; 32]>>(), any::<i64>()).prop_map(
                |(follows, steps, release, wall_ns)| {
                    let release = release.map(ReleaseDigest);
                    Entry::Resume(Resume { follows, steps, release, wall_ns })
                }
            ),
            follows.prop_map(Entry::Continue),
            slot.prop_map(Entry::Release),
            any::<(u64, u64)>().prop_map(|(ms, seq)| Entry::Passed(EntryId { ms, seq })),
            (sources(), any::<i64>())
                .prop_map(|(source, market_ns)| Entry::Event { event: Event { market_ns, body: Body::Timer }, source }),
        ]
    }

    #[test]
    fn a_start_of_before_it_named_its_release_is_read() {
        let follows = json!({"epoch": 1, "segment": 1, "records": 2, "hash": "0"});
        let old = json!({"follows": follows, "steps": 7, "wall_ns": 5}).to_string();
        let (entry, _) = Entry::decode(RESUME, &[&[0], old.as_bytes()].concat()).unwrap();
        let Entry::Resume(resume) = entry else { panic!("{entry:?}") };
        assert_eq!((resume.steps, resume.release), (7, None));
    }

    proptest! {
        #[test]
        fn every_entry_survives_its_payload(entry in entries(), outputs: Option<[u8; 32]>) {
            let mut bytes = Vec::new();
            entry.encode(outputs, &mut bytes).unwrap();
            prop_assert_eq!(Entry::decode(entry.kind(), &bytes).unwrap(), (entry.clone(), outputs));
            for length in 0..bytes.len() {
                prop_assert!(Entry::decode(entry.kind(), &bytes[..length]).is_err());
            }
        }
    }

    #[test]
    fn an_entry_of_a_later_version_is_named() {
        assert_eq!(
            Entry::decode(77, &[0]).unwrap_err().to_string(),
            "kind 77 is not one that this version of the service knows; read it with the one that wrote it"
        );
    }
}
