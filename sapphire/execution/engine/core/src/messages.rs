//! Messages: what the parts of Sapphire tell each other, as they look on the wire.
//!
//! Generated from `sapphire/domain/messages.py` by `python -m sapphire.domain.generate`; change it there.
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

/// A message of some schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// `VIEW@1`.
    View(Box<View>),
    /// `VIEW@2`.
    NotedView(Box<NotedView>),
    /// `HFT_SIGNAL@1`.
    HftSignal(Box<HftSignal>),
    /// `MARKET_DATA@1`.
    MarketData(Box<MarketData>),
    /// `ORDER_EXECUTION@1`.
    OrderExecution(Box<OrderExecution>),
    /// `RISK_UPDATE@1`.
    RiskUpdate(Box<RiskUpdate>),
    /// `HEARTBEAT@1`.
    Heartbeat(Box<Heartbeat>),
    /// `SETTLED@1`.
    Settled(Box<Settled>),
    /// `ADVANCED@1`.
    Advanced(Box<Advanced>),
    /// `ACCOUNT_STATE@1`.
    AccountState(Box<AccountState>),
}

impl Message {
    /// Every schema id, sorted.
    pub const KNOWN: &'static str = "ACCOUNT_STATE@1, \
        ADVANCED@1, \
        HEARTBEAT@1, \
        HFT_SIGNAL@1, \
        MARKET_DATA@1, \
        ORDER_EXECUTION@1, \
        RISK_UPDATE@1, \
        SETTLED@1, \
        VIEW@1, \
        VIEW@2";

    /// Reads one message.
    ///
    /// # Errors
    /// [`MessageError::UnknownSchema`], or [`MessageError::BadMessage`] with the field that is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        check_size(bytes, "")?;
        let schema_id = read::<Head>(bytes, "")?.envelope.schema_id;
        match schema_id.as_str() {
            "VIEW@1" => read(bytes, &schema_id).map(Self::View),
            "VIEW@2" => read(bytes, &schema_id).map(Self::NotedView),
            "HFT_SIGNAL@1" => read(bytes, &schema_id).map(Self::HftSignal),
            "MARKET_DATA@1" => read(bytes, &schema_id).map(Self::MarketData),
            "ORDER_EXECUTION@1" => read(bytes, &schema_id).map(Self::OrderExecution),
            "RISK_UPDATE@1" => read(bytes, &schema_id).map(Self::RiskUpdate),
            "HEARTBEAT@1" => read(bytes, &schema_id).map(Self::Heartbeat),
            "SETTLED@1" => read(bytes, &schema_id).map(Self::Settled),
            "ADVANCED@1" => read(bytes, &schema_id).map(Self::Advanced),
            "ACCOUNT_STATE@1" => read(bytes, &schema_id).map(Self::AccountState),
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
            Self::View(message) => write(message.as_ref()),
            Self::NotedView(message) => write(message.as_ref()),
            Self::HftSignal(message) => write(message.as_ref()),
            Self::MarketData(message) => write(message.as_ref()),
            Self::OrderExecution(message) => write(message.as_ref()),
            Self::RiskUpdate(message) => write(message.as_ref()),
            Self::Heartbeat(message) => write(message.as_ref()),
            Self::Settled(message) => write(message.as_ref()),
            Self::Advanced(message) => write(message.as_ref()),
            Self::AccountState(message) => write(message.as_ref()),
        };
        let bytes = written.map_err(|error| refused("", error.to_string()))?;
        check_size(&bytes, self.schema_id())?;
        Ok(bytes)
    }

    /// Who says it, when, and why.
    pub fn envelope(&self) -> &Envelope {
        match self {
            Self::View(message) => &message.envelope,
            Self::NotedView(message) => &message.envelope,
            Self::HftSignal(message) => &message.envelope,
            Self::MarketData(message) => &message.envelope,
            Self::OrderExecution(message) => &message.envelope,
            Self::RiskUpdate(message) => &message.envelope,
            Self::Heartbeat(message) => &message.envelope,
            Self::Settled(message) => &message.envelope,
            Self::Advanced(message) => &message.envelope,
            Self::AccountState(message) => &message.envelope,
        }
    }

    /// Its schema id.
    pub fn schema_id(&self) -> &'static str {
        match self {
            Self::View(_) => "VIEW@1",
            Self::NotedView(_) => "VIEW@2",
            Self::HftSignal(_) => "HFT_SIGNAL@1",
            Self::MarketData(_) => "MARKET_DATA@1",
            Self::OrderExecution(_) => "ORDER_EXECUTION@1",
            Self::RiskUpdate(_) => "RISK_UPDATE@1",
            Self::Heartbeat(_) => "HEARTBEAT@1",
            Self::Settled(_) => "SETTLED@1",
            Self::Advanced(_) => "ADVANCED@1",
            Self::AccountState(_) => "ACCOUNT_STATE@1",
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

/// What every message carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// The message that this one answers.
    #[serde(deserialize_with = "present")]
    pub causation_id: Option<Name>,
    /// Market time of what it is about.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<0, _>")]
    pub event_time_ns: i64,
    /// The same for a message that is sent again.
    pub message_id: Name,
    /// The part that says it.
    pub producer: Name,
    /// Wall time at which it was said.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<0, _>")]
    pub publish_time_ns: i64,
    /// Type and version, "VIEW@1".
    pub schema_id: Name,
    /// Number of the message among its producer's; it rises by one.
    #[serde(deserialize_with = "read_counter")]
    pub sequence: u64,
    /// Shared by everything that follows from one bar.
    pub trace_id: Name,
}

/// One point of a forecast distribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantile {
    /// Between 0 and 1.
    pub probability: DecimalText,
    /// Return in basis points that is not exceeded with this probability.
    pub value_bps: DecimalText,
}

/// An agent's view of a symbol: a score, or a mean with its deviation, or quantiles.
///
/// Schema `VIEW@1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Who says it.
    pub agent: Name,
    /// Up to when the agent saw data, in whole microseconds.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<0, _>")]
    pub as_of_ns: i64,
    /// Who says it, when, and why.
    pub envelope: Envelope,
    /// How far it looks ahead, in whole microseconds.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<1, _>")]
    pub horizon_ns: i64,
    /// Expected return over the horizon.
    #[serde(deserialize_with = "present")]
    pub mean_bps: Option<DecimalText>,
    /// By rising probability; empty where none are stated.
    pub quantiles: Vec<Quantile>,
    /// A number whose worth the calibration decides.
    #[serde(deserialize_with = "present")]
    pub score: Option<DecimalText>,
    /// Its standard deviation.
    #[serde(deserialize_with = "present")]
    pub std_bps: Option<DecimalText>,
    /// Of what, "BTC/USDT".
    pub symbol: Name,
}

/// A view with what stands beside its numbers: why, on what it read, and by what kind of model.
///
/// Schema `VIEW@2`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotedView {
    /// Who says it.
    pub agent: Name,
    /// Up to when the agent saw data, in whole microseconds.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<0, _>")]
    pub as_of_ns: i64,
    /// How the model was asked, "one token"; empty for none.
    pub elicitation: Prose,
    /// Who says it, when, and why.
    pub envelope: Envelope,
    /// How far it looks ahead, in whole microseconds.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<1, _>")]
    pub horizon_ns: i64,
    /// Expected return over the horizon.
    #[serde(deserialize_with = "present")]
    pub mean_bps: Option<DecimalText>,
    /// What kind of model made it, "embedded-default"; empty for none.
    pub model_kind: Prose,
    /// By rising probability; empty where none are stated.
    pub quantiles: Vec<Quantile>,
    /// Ids of the documents that were read.
    pub read: Vec<Prose>,
    /// A number whose worth the calibration decides.
    #[serde(deserialize_with = "present")]
    pub score: Option<DecimalText>,
    /// Its standard deviation.
    #[serde(deserialize_with = "present")]
    pub std_bps: Option<DecimalText>,
    /// Of what, "BTC/USDT".
    pub symbol: Name,
    /// Why, in words; empty for none. A stranger's text: shown as text, never as markup.
    pub thesis: Prose,
}

/// A target position with a time to live, for the execution service.
///
/// Schema `HFT_SIGNAL@1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HftSignal {
    /// Close of the bar it stands on, market time.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<0, _>")]
    pub bar_close_ns: i64,
    /// Who says it, when, and why.
    pub envelope: Envelope,
    /// Price it was decided at.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<1, _>")]
    pub reference_ticks: i64,
    /// Digest of the release that decided.
    pub release: Name,
    /// Of what, "BTC/USDT".
    pub symbol: Name,
    /// Position to hold; negative is short.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<{ i64::MIN }, _>")]
    pub target_lots: i64,
    /// How long after that close it is worth driving towards.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<1, _>")]
    pub time_to_live_ns: i64,
}

/// What market the data are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MarketKind {
    /// `GENERATED`.
    #[serde(rename = "GENERATED")]
    Generated,
    /// `RECORDED`.
    #[serde(rename = "RECORDED")]
    Recorded,
    /// `REAL`.
    #[serde(rename = "REAL")]
    Real,
}

/// One closed bar.
///
/// Schema `MARKET_DATA@1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketData {
    /// Last price.
    pub close: DecimalText,
    /// Who says it, when, and why.
    pub envelope: Envelope,
    /// Highest price.
    pub high: DecimalText,
    /// Length of the bar, "1h".
    pub interval: Name,
    /// Lowest price.
    pub low: DecimalText,
    /// What market it is of; days on the real one count as paper days.
    pub market: MarketKind,
    /// First price, quote per base.
    pub open: DecimalText,
    /// Open time; the bar closes one interval later.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<0, _>")]
    pub open_time_ns: i64,
    /// Of what, "BTC/USDT".
    pub symbol: Name,
    /// Whose bar it is.
    pub venue: Name,
    /// Traded quantity.
    pub volume_base: DecimalText,
}

/// One trade of ours, inside the report of its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FillReport {
    /// Asset in which the venue took its fee.
    pub fee_asset: Name,
    /// The fee; negative for a rebate.
    #[serde(serialize_with = "write_amount", deserialize_with = "read_amount::<{ -MAX_ATOMS }, _>")]
    pub fee_atoms: Atoms,
    /// Whether our order was the resting one.
    pub is_maker: bool,
    /// Quantity.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<1, _>")]
    pub lots: i64,
    /// Price.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<1, _>")]
    pub price_ticks: i64,
    /// What changed hands in quote, as the venue booked it.
    #[serde(serialize_with = "write_amount", deserialize_with = "read_amount::<0, _>")]
    pub quote_atoms: Atoms,
    /// The venue's time of the trade.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<0, _>")]
    pub time_ns: i64,
    /// The venue's own.
    pub trade_id: Name,
}

/// At any price, or at a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderType {
    /// `MARKET`.
    #[serde(rename = "MARKET")]
    Market,
    /// `LIMIT`.
    #[serde(rename = "LIMIT")]
    Limit,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// `BUY`.
    #[serde(rename = "BUY")]
    Buy,
    /// `SELL`.
    #[serde(rename = "SELL")]
    Sell,
}

/// Where an order is in its life. DENIED is our refusal, REJECTED the venue's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderState {
    /// `INITIALIZED`.
    #[serde(rename = "INITIALIZED")]
    Initialized,
    /// `DENIED`.
    #[serde(rename = "DENIED")]
    Denied,
    /// `SUBMITTED`.
    #[serde(rename = "SUBMITTED")]
    Submitted,
    /// `ACCEPTED`.
    #[serde(rename = "ACCEPTED")]
    Accepted,
    /// `PARTIALLY_FILLED`.
    #[serde(rename = "PARTIALLY_FILLED")]
    PartiallyFilled,
    /// `FILLED`.
    #[serde(rename = "FILLED")]
    Filled,
    /// `PENDING_CANCEL`.
    #[serde(rename = "PENDING_CANCEL")]
    PendingCancel,
    /// `CANCELED`.
    #[serde(rename = "CANCELED")]
    Canceled,
    /// `EXPIRED`.
    #[serde(rename = "EXPIRED")]
    Expired,
    /// `REJECTED`.
    #[serde(rename = "REJECTED")]
    Rejected,
    /// `UNRESOLVED`.
    #[serde(rename = "UNRESOLVED")]
    Unresolved,
}

/// How long an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeInForce {
    /// `GTC`.
    #[serde(rename = "GTC")]
    Gtc,
    /// `IOC`.
    #[serde(rename = "IOC")]
    Ioc,
    /// `FOK`.
    #[serde(rename = "FOK")]
    Fok,
    /// `GTX`.
    #[serde(rename = "GTX")]
    Gtx,
}

/// An order as it stands after something happened to it, with the fill if that is what happened.
///
/// Schema `ORDER_EXECUTION@1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderExecution {
    /// Whose order it is.
    pub account: Name,
    /// Market time at which the engine decided it.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<0, _>")]
    pub created_ns: i64,
    /// Who says it, when, and why.
    pub envelope: Envelope,
    /// The trade that this report is about.
    #[serde(deserialize_with = "present")]
    pub fill: Option<FillReport>,
    /// Filled so far.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<0, _>")]
    pub filled_lots: i64,
    /// Quote that changed hands so far.
    #[serde(serialize_with = "write_amount", deserialize_with = "read_amount::<0, _>")]
    pub filled_quote_atoms: Atoms,
    /// The limit; nothing for a market order.
    #[serde(serialize_with = "write_option", deserialize_with = "read_option::<1, _>")]
    pub limit_ticks: Option<i64>,
    /// Ordered quantity.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<1, _>")]
    pub lots: i64,
    /// Our client order id.
    pub order_id: Name,
    /// Market or limit.
    pub order_type: OrderType,
    /// Stable code of a denial, rejection or expiry.
    #[serde(deserialize_with = "present")]
    pub reason: Option<Name>,
    /// The release that it serves; nothing for an operator's order.
    #[serde(deserialize_with = "present")]
    pub release: Option<Name>,
    /// Which way.
    pub side: Side,
    /// Where it is in its life.
    pub state: OrderState,
    /// Of what, "BTC/USDT".
    pub symbol: Name,
    /// How long it stands.
    pub time_in_force: TimeInForce,
    /// The venue's id, once it gave one.
    #[serde(deserialize_with = "present")]
    pub venue_order_id: Option<Name>,
}

/// What an account may do: anything, only reduce, nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TradingState {
    /// `ACTIVE`.
    #[serde(rename = "ACTIVE")]
    Active,
    /// `REDUCING`.
    #[serde(rename = "REDUCING")]
    Reducing,
    /// `HALTED`.
    #[serde(rename = "HALTED")]
    Halted,
}

/// What an account may do, and since which event.
///
/// Schema `RISK_UPDATE@1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskUpdate {
    /// Which account.
    pub account: Name,
    /// Stable code of the reason.
    pub code: Name,
    /// Who says it, when, and why.
    pub envelope: Envelope,
    /// The limit that was met.
    #[serde(deserialize_with = "present")]
    pub limit: Option<DecimalText>,
    /// What it may do from now on.
    pub state: TradingState,
    /// The symbol that it is about, where it is about one.
    #[serde(deserialize_with = "present")]
    pub symbol: Option<Name>,
    /// The reason, for people.
    pub text: Prose,
    /// The value that met it.
    #[serde(deserialize_with = "present")]
    pub value: Option<DecimalText>,
}

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartState {
    /// `STARTING`.
    #[serde(rename = "STARTING")]
    Starting,
    /// `READY`.
    #[serde(rename = "READY")]
    Ready,
    /// `STOPPING`.
    #[serde(rename = "STOPPING")]
    Stopping,
}

/// A part is alive.
///
/// Schema `HEARTBEAT@1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// Where it listens.
    #[serde(deserialize_with = "present")]
    pub address: Option<Name>,
    /// Who says it, when, and why.
    pub envelope: Envelope,
    /// The release that it runs.
    #[serde(deserialize_with = "present")]
    pub release: Option<Name>,
    /// Wall time since when it is there.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<0, _>")]
    pub since_ns: i64,
    /// Where it is in its life.
    pub state: PartState,
}

/// How far a stream was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamPosition {
    /// Id of the last entry that was consumed.
    pub position: Name,
    /// The stream.
    pub stream: Name,
}

/// How much was written to a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// Messages written for this bar.
    #[serde(deserialize_with = "read_counter")]
    pub count: u64,
    /// The stream.
    pub stream: Name,
}

/// In lock-step: a part has nothing more to do until market time moves.
///
/// Schema `SETTLED@1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    /// Close of the bar it is about, market time.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<0, _>")]
    pub bar_close_ns: i64,
    /// What it had read by then.
    pub consumed: Vec<StreamPosition>,
    /// Who says it, when, and why.
    pub envelope: Envelope,
    /// What it sent since it last settled.
    pub sent: Vec<Sent>,
    /// The market time at which it wants to be woken, at the latest.
    #[serde(serialize_with = "write_option", deserialize_with = "read_option::<0, _>")]
    pub wake_at_ns: Option<i64>,
}

/// In lock-step: market time stands here until every part has settled. The envelope's sequence numbers the steps.
///
/// Schema `ADVANCED@1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advanced {
    /// Number of the last event that the exchange told the account; who has read up to it has seen everything.
    #[serde(deserialize_with = "read_counter")]
    pub account_events: u64,
    /// The bar that has just closed; nothing within a bar.
    #[serde(serialize_with = "write_option", deserialize_with = "read_option::<0, _>")]
    pub bar_close_ns: Option<i64>,
    /// Who says it, when, and why.
    pub envelope: Envelope,
    /// Market time.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<0, _>")]
    pub now_ns: i64,
}

/// What an account holds of one symbol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PositionState {
    /// Base held, in atoms of 1e-8.
    #[serde(serialize_with = "write_amount", deserialize_with = "read_amount::<0, _>")]
    pub atoms: Atoms,
    /// Whole lots of it.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<0, _>")]
    pub lots: i64,
    /// Of what, "BTC/USDT".
    pub symbol: Name,
}

/// An account at the close of a bar: what sizing starts from. It values nothing; whoever sizes has the prices.
///
/// Schema `ACCOUNT_STATE@1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountState {
    /// Which account.
    pub account: Name,
    /// Close of the bar, market time.
    #[serde(serialize_with = "write_whole", deserialize_with = "read_whole::<0, _>")]
    pub bar_close_ns: i64,
    /// Cash, in atoms of 1e-8.
    #[serde(serialize_with = "write_amount", deserialize_with = "read_amount::<{ -MAX_ATOMS }, _>")]
    pub cash_quote_atoms: Atoms,
    /// Who says it, when, and why.
    pub envelope: Envelope,
    /// One for each symbol that the account trades, in its order.
    pub positions: Vec<PositionState>,
    /// Asset that its cash is in.
    pub quote: Name,
    /// What it may do.
    pub state: TradingState,
}
