//! What changes a market, as the journal keeps it.
//!
//! Invariant: the state of a matching service is a fold of these over its genesis; nothing else changes it. The form is
//! JSON, so that a journal can be read with any tool; fields are only ever added.

use sapphire_core::amounts::Atoms;
use sapphire_core::instrument::{InstrumentId, Side};
use sapphire_core::venue::{AccountId, OrderId, Terms, TimeInForce};
use serde::{Deserialize, Serialize};

use crate::settings::Genesis;

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Command {
    /// The market begins. The first record of the first epoch.
    Begin(Genesis),
    /// The process started again. The first record of every later epoch.
    Resume {
        /// Epoch of the file before.
        epoch_before: u64,
        /// Its whole records.
        records_before: u64,
    },
    /// Market time passed something: liquidity orders were due (at a speed).
    Tick,
    /// The control plane moved market time, up to here or to the first thing that a client sees (lock-step).
    Advance {
        /// Where to.
        to_ns: i64,
    },
    /// A new order.
    Place(Place),
    /// A cancel of an open order.
    Cancel(Cancel),
    /// A cancel of all open orders of a symbol.
    CancelAll {
        /// Owner.
        #[serde(with = "index")]
        account: AccountId,
        /// Symbol.
        #[serde(with = "place")]
        instrument: InstrumentId,
    },
    /// A new account.
    OpenAccount(OpenAccount),
    /// A deposit, or a withdrawal when negative.
    Deposit {
        /// Account.
        #[serde(with = "index")]
        account: AccountId,
        /// Name of the asset.
        asset: String,
        /// Atoms.
        atoms: Atoms,
    },
}

/// A new account. Its secret is in the key file, not here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenAccount {
    /// Maker fee rate, 1e-8.
    pub(crate) maker: i64,
    /// Taker fee rate, 1e-8.
    pub(crate) taker: i64,
    /// What it begins with: names of assets and atoms.
    pub(crate) funds: Vec<(String, Atoms)>,
    /// None of the development account, and in journals from before accounts had names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Whether it trades on books of its own. The first account does either way; others of journals from before there
    /// were such books share the first one's.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) own_books: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_false(value: &bool) -> bool {
    !value
}

/// A new order that passed the matching service's checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    #[serde(with = "index")]
    pub(crate) account: AccountId,
    #[serde(with = "place")]
    pub(crate) instrument: InstrumentId,
    #[serde(with = "SideText")]
    pub(crate) side: Side,
    #[serde(with = "TermsText")]
    pub(crate) terms: Terms,
    pub(crate) client_order_id: Option<String>,
}

/// A cancel of an order that was open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cancel {
    #[serde(with = "index")]
    pub(crate) account: AccountId,
    #[serde(with = "number")]
    pub(crate) order: OrderId,
    pub(crate) client_order_id: Option<String>,
}

impl Command {
    /// The journal's number of the kind.
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Self::Begin(_) => 1,
            Self::Resume { .. } => 2,
            Self::Tick => 3,
            Self::Advance { .. } => 4,
            Self::Place(_) => 5,
            Self::Cancel(_) => 6,
            Self::CancelAll { .. } => 7,
            Self::OpenAccount(_) => 8,
            Self::Deposit { .. } => 9,
        }
    }
}

/// A command and the digest of everything that the matching service had put out before it, so that a replay that goes
/// another way is found at the first record that tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    #[serde(rename = "after", with = "hex")]
    pub(crate) outputs_before: u64,
    #[serde(rename = "do")]
    pub(crate) command: Command,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Side", rename_all = "UPPERCASE")]
enum SideText {
    Buy,
    Sell,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TimeInForce")]
enum TimeInForceText {
    #[serde(rename = "GTC")]
    GoodTillCancel,
    #[serde(rename = "IOC")]
    ImmediateOrCancel,
    #[serde(rename = "FOK")]
    FillOrKill,
    #[serde(rename = "POST_ONLY")]
    PostOnly,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Terms")]
enum TermsText {
    Limit {
        ticks: i64,
        lots: i64,
        #[serde(with = "TimeInForceText")]
        time_in_force: TimeInForce,
    },
    Market {
        lots: i64,
    },
    MarketQuote {
        quote_atoms: Atoms,
    },
}

/// Newtypes of the core as the numbers that they are.
macro_rules! as_number {
    ($module:ident, $type:ident, $number:ty) => {
        mod $module {
            use serde::{Deserialize, Deserializer, Serialize, Serializer};

            use super::$type;

            #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
            pub(super) fn serialize<S: Serializer>(value: &$type, serializer: S) -> Result<S::Ok, S::Error> {
                value.0.serialize(serializer)
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                <$number>::deserialize(deserializer).map($type)
            }
        }
    };
}

as_number!(index, AccountId, u32);
as_number!(place, InstrumentId, u16);
as_number!(number, OrderId, u64);

/// A digest as text: many readers of JSON take numbers for floats.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub(super) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn commands() -> impl Strategy<Value = Command> {
        let terms = prop_oneof![
            (any::<i64>(), any::<i64>()).prop_map(|(ticks, lots)| Terms::Limit {
                ticks,
                lots,
                time_in_force: TimeInForce::PostOnly
            }),
            any::<i64>().prop_map(|lots| Terms::Market { lots }),
            any::<i128>().prop_map(|quote_atoms| Terms::MarketQuote { quote_atoms }),
        ];
        prop_oneof![
            Just(Command::Tick),
            any::<i64>().prop_map(|to_ns| Command::Advance { to_ns }),
            (any::<u32>(), any::<u16>(), any::<bool>(), terms, any::<Option<String>>()).prop_map(
                |(account, instrument, buy, terms, client_order_id)| Command::Place(Place {
                    account: AccountId(account),
                    instrument: InstrumentId(instrument),
                    side: if buy { Side::Buy } else { Side::Sell },
                    terms,
                    client_order_id,
                })
            ),
            (any::<u32>(), any::<u64>(), any::<Option<String>>()).prop_map(|(account, order, client_order_id)| {
                let (account, order) = (AccountId(account), OrderId(order));
                Command::Cancel(Cancel { account, order, client_order_id })
            }),
            (any::<u32>(), any::<String>(), any::<i128>()).prop_map(|(account, asset, atoms)| Command::Deposit {
                account: AccountId(account),
                asset,
                atoms
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(command in commands(), outputs_before: u64) {
            let entry = Entry { outputs_before, command };
            let text = serde_json::to_vec(&entry).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Entry>(&text).unwrap(), entry);
        }
    }

    /// A journal from before accounts had names and books of their own is read, and the development account's opening
    /// is written as it was then.
    #[test]
    fn an_account_of_an_older_journal_has_no_name_and_shares_the_first_ones_books() {
        let text = r#"{"OpenAccount":{"maker":1,"taker":2,"funds":[["USDT",5]]}}"#;
        let command: Command = serde_json::from_str(text).unwrap();
        let Command::OpenAccount(opening) = &command else { panic!("{command:?}") };
        assert_eq!((&opening.name, opening.own_books), (&None, false));
        assert_eq!(serde_json::to_string(&command).unwrap(), text);
    }

    #[test]
    fn an_entry_reads_like_a_sentence() {
        let command = Command::Deposit { account: AccountId(1), asset: "USDT".into(), atoms: 5 };
        let text = serde_json::to_string(&Entry { outputs_before: 255, command }).unwrap();
        assert_eq!(text, r#"{"after":"00000000000000ff","do":{"Deposit":{"account":1,"asset":"USDT","atoms":5}}}"#);
    }
}
