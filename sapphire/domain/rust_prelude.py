"""The part of the generated Rust that is the same whatever the messages are.

`PRELUDE` reads and writes text, and finds the field that an error is about; `MESSAGE` is the enumeration over all
messages, with places for what `rust_source` fills in.
"""

from __future__ import annotations

__all__ = ["MESSAGE", "PRELUDE"]

PRELUDE = r"""//! Messages: what the parts of Sapphire tell each other, as they look on the wire.
//!
//! Generated from `sapphire/domain/messages.py` by `@COMMAND@`; change it there.
//!
//! Invariant: what `Message::decode` accepts, `Message::encode` writes in canonical form (keys sorted, no spaces,
//! every field present), byte for byte as Python writes it. Decimals stay text; 64-bit numbers are text on the wire and
//! `i64` here, amounts of an asset are text and `Atoms`.
//!
//! Known limitation: rules between fields (a limit order has a limit) are checked where a message is made in Python and
//! where the engine takes it in, not here; and serde lets an object come as the array of its values.

use std::fmt;

use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::amounts::{Atoms, MAX_ATOMS};

/// Larger messages are refused, by whoever would send or read them.
pub const MAX_MESSAGE_BYTES: usize = 65_536;

/// Longest [`Name`], in bytes.
pub const MAX_NAME_LENGTH: usize = 128;

/// Longest [`Prose`], in characters.
pub const MAX_PROSE_LENGTH: usize = 1_000;

/// Longest [`DecimalText`], in bytes.
pub const MAX_DECIMAL_LENGTH: usize = 400;

/// Largest JSON integer that every reader keeps exact.
pub const MAX_COUNTER: u64 = (1 << 53) - 1;

/// Why a message was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A schema id that this version does not have.
    #[error("message of an unknown schema: expected one of {known}, got {got}")]
    UnknownSchema {
        /// The schemas that there are.
        known: &'static str,
        /// The one that came.
        got: String,
    },
    /// A field that is missing, unknown or bad, or bytes that are no message at all.
    #[error("bad field {field:?} of {schema_id}: {reason}")]
    BadMessage {
        /// The schema of the message, empty where it could not be read.
        schema_id: String,
        /// Path of the field from the top, joined by dots; empty where the whole is unreadable.
        field: String,
        /// What was expected and what came.
        reason: String,
    },
}

/// Text that is not of its type's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct BadText(&'static str);

/// An identifier: 1 to 128 printable ASCII characters, no spaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<str>);

/// Text for people, at most 1,000 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prose(Box<str>);

/// An exact decimal number as plain text: no exponent, no leading zeros; with the decimals it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecimalText(Box<str>);

impl Name {
    const EXPECTED: &'static str = "1 to 128 printable ASCII characters without spaces";

    fn fits(text: &str) -> bool {
        (1..=MAX_NAME_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

impl Prose {
    const EXPECTED: &'static str = "text of at most 1000 characters";

    fn fits(text: &str) -> bool {
        text.len() <= MAX_PROSE_LENGTH || text.chars().count() <= MAX_PROSE_LENGTH
    }
}

impl DecimalText {
    const EXPECTED: &'static str = "a decimal number as text, without exponent or leading zeros";

    fn fits(text: &str) -> bool {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let whole = whole.strip_prefix('-').unwrap_or(whole);
        text.len() <= MAX_DECIMAL_LENGTH
            && digits(whole)
            && digits(fraction)
            && (whole.len() == 1 || !whole.starts_with('0'))
    }
}

macro_rules! text_type {
    ($type:ident) => {
        impl $type {
            /// Takes text of the type's form.
            ///
            /// # Errors
            /// [`BadText`], which says what the form is.
            pub fn new(text: &str) -> Result<Self, BadText> {
                if Self::fits(text) { Ok(Self(text.into())) } else { Err(BadText(Self::EXPECTED)) }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $type;

                    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                        out.write_str($type::EXPECTED)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        $type::new(text).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

text_type!(Name);
text_type!(Prose);
text_type!(DecimalText);

/// A whole number of `MIN` or more that travels as text.
struct Whole<const MIN: i64>(i64);

impl<'de, const MIN: i64> Deserialize<'de> for Whole<MIN> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<const MIN: i64>;
        impl<const MIN: i64> Visitor<'_> for Text<MIN> {
            type Value = Whole<MIN>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "a whole number of {MIN} or more as text, without leading zeros")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Whole<MIN>, E> {
                let digits = text.strip_prefix('-').unwrap_or(text);
                let leads = digits.as_bytes().first().is_some_and(|first| (b'1'..=b'9').contains(first));
                match text.parse() {
                    Ok(number) if (leads || text == "0") && number >= MIN => Ok(Whole(number)),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_str(Text)
    }
}

fn read_whole<'de, const MIN: i64, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Whole::<MIN>::deserialize(deserializer).map(|whole| whole.0)
}

fn read_option<'de, const MIN: i64, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Option::<Whole<MIN>>::deserialize(deserializer).map(|whole| whole.map(|whole| whole.0))
}

/// An amount of an asset, of `MIN` atoms or more, that travels as text.
struct Amount<const MIN: Atoms>(Atoms);

impl<'de, const MIN: Atoms> Deserialize<'de> for Amount<MIN> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<const MIN: Atoms>;
        impl<const MIN: Atoms> Visitor<'_> for Text<MIN> {
            type Value = Amount<MIN>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "a whole number from {MIN} to {MAX_ATOMS} as text, without leading zeros")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount<MIN>, E> {
                let digits = text.strip_prefix('-').unwrap_or(text);
                let leads = digits.as_bytes().first().is_some_and(|first| (b'1'..=b'9').contains(first));
                match text.parse() {
                    Ok(atoms) if (leads || text == "0") && (MIN..=MAX_ATOMS).contains(&atoms) => Ok(Amount(atoms)),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_str(Text)
    }
}

fn read_amount<'de, const MIN: Atoms, D: Deserializer<'de>>(deserializer: D) -> Result<Atoms, D::Error> {
    Amount::<MIN>::deserialize(deserializer).map(|amount| amount.0)
}

/// Reads a field that may be null and may not be missing.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

fn read_counter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let count = u64::deserialize(deserializer)?;
    if count > MAX_COUNTER {
        return Err(de::Error::invalid_value(Unexpected::Unsigned(count), &"a count that every reader keeps exact"));
    }
    Ok(count)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn write_whole<S: Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

fn write_amount<S: Serializer>(atoms: &Atoms, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(atoms)
}

#[expect(clippy::ref_option, reason = "serde hands over a reference")]
fn write_option<S: Serializer>(number: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) => serializer.collect_str(number),
        None => serializer.serialize_none(),
    }
}

#[derive(Deserialize)]
struct Head {
    envelope: HeadEnvelope,
}

#[derive(Deserialize)]
struct HeadEnvelope {
    schema_id: String,
}

fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8], schema_id: &str) -> Result<T, MessageError> {
    serde_json::from_slice(bytes).map_err(|error| bad_message(bytes, schema_id, &error))
}

fn write<T: Serialize>(message: &T) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(message)
}

fn bad_message(bytes: &[u8], schema_id: &str, error: &serde_json::Error) -> MessageError {
    let lines_before = bytes.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    let offset = lines_before.map(<[u8]>::len).sum::<usize>() + error.column();
    let read = &bytes[..offset.min(bytes.len())];
    let mut path = path_at(read);
    let reason = error.to_string();
    if let Some(named) = ["missing", "unknown", "duplicate"].iter().find_map(|what| {
        let rest = reason.strip_prefix(what)?.strip_prefix(" field `")?;
        rest.split('`').next()
    }) {
        // serde says these after the object or after the key; after the key the last step is still the sibling before
        if !read.ends_with(b"}") {
            path.pop();
        }
        path.push(Step::Key(named.to_owned()));
    }
    let parts: Vec<String> = path.into_iter().filter_map(Step::text).collect();
    MessageError::BadMessage { schema_id: schema_id.to_owned(), field: parts.join("."), reason }
}

/// One step from a JSON value to a value in it.
enum Step {
    /// An object, before its first key.
    Object,
    /// Into an object.
    Key(String),
    /// Into an array.
    Index(usize),
}

impl Step {
    fn text(self) -> Option<String> {
        match self {
            Self::Object => None,
            Self::Key(key) => Some(key),
            Self::Index(index) => Some(index.to_string()),
        }
    }
}

/// Way to the value in which the JSON text `read` breaks off.
fn path_at(read: &[u8]) -> Vec<Step> {
    let mut path = Vec::new();
    let mut text = Vec::new();
    let (mut inside, mut escaped) = (false, false);
    for &byte in read {
        if inside {
            inside = byte != b'"' || escaped;
            escaped = byte == b'\\' && !escaped;
            if inside {
                text.push(byte);
            }
            continue;
        }
        match (byte, path.last_mut()) {
            (b'"', _) => {
                inside = true;
                text.clear();
            }
            (b'{', _) => path.push(Step::Object),
            (b'[', _) => path.push(Step::Index(0)),
            (b'}' | b']', _) => drop(path.pop()),
            (b',', Some(Step::Index(index))) => *index += 1,
            (b':', Some(last)) => *last = Step::Key(String::from_utf8_lossy(&text).into_owned()),
            _ => {}
        }
    }
    path
}
"""

MESSAGE = r"""/// A message of some schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
@VARIANTS@
}

impl Message {
    /// Every schema id, sorted.
    pub const KNOWN: &'static str =@KNOWN@;

    /// Reads one message.
    ///
    /// # Errors
    /// [`MessageError::UnknownSchema`], or [`MessageError::BadMessage`] with the field that is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        check_size(bytes, "")?;
        let schema_id = read::<Head>(bytes, "")?.envelope.schema_id;
        match schema_id.as_str() {
@DECODE@
            _ => Err(MessageError::UnknownSchema { known: Self::KNOWN, got: schema_id }),
        }
    }

    /// Writes the canonical bytes.
    ///
    /// # Errors
    /// [`MessageError::BadMessage`] where the envelope names another schema or the message is too large.
    pub fn encode(&self) -> Result<Vec<u8>, MessageError> {
        let refused = |field: &str, reason: String| MessageError::BadMessage {
            schema_id: self.schema_id().to_owned(),
            field: field.to_owned(),
            reason,
        };
        if self.envelope().schema_id.as_str() != self.schema_id() {
            return Err(refused("envelope.schema_id", format!("got {}", self.envelope().schema_id)));
        }
        let written = match self {
@ENCODE@
        };
        let bytes = written.map_err(|error| refused("", error.to_string()))?;
        check_size(&bytes, self.schema_id())?;
        Ok(bytes)
    }

    /// Who says it, when, and why.
    pub fn envelope(&self) -> &Envelope {
        match self {
@ENVELOPE@
        }
    }

    /// Its schema id.
    pub fn schema_id(&self) -> &'static str {
        match self {
@SCHEMA@
        }
    }
}

fn check_size(bytes: &[u8], schema_id: &str) -> Result<(), MessageError> {
    if bytes.len() <= MAX_MESSAGE_BYTES {
        return Ok(());
    }
    Err(MessageError::BadMessage {
        schema_id: schema_id.to_owned(),
        field: String::new(),
        reason: format!("expected at most {MAX_MESSAGE_BYTES} bytes, got {}", bytes.len()),
    })
}
"""
