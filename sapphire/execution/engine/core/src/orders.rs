//! The client's side of an order: what was asked for, what the venue said about it, and what follows from that.
//!
//! Invariants, property-tested in `table`: a state changes only along a transition of `transitions`; the cumulative
//! quantity never decreases; a trade counts once, whatever the order and number of its reports; a report that comes
//! after the end still applies.
//!
//! Known limitation: one price and one quantity for life, an order is never amended.

use std::fmt;
use std::str::FromStr;

use crate::amounts::Atoms;
use crate::instrument::{Asset, InstrumentId, Side};
use crate::venue::TimeInForce;

/// The orders of an account, live and lately ended.
pub mod table;
/// Which state follows which.
pub mod transitions;

pub use table::{Applied, OrderTable, Tracked};
pub use transitions::{OrderState, Transition};

/// Dense index of a release: the strategy in whose name an order is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReleaseId(pub u16);

impl ReleaseId {
    /// Nobody's: an operator's own orders serve no release. It has no place in the limits, and no signal can carry it.
    pub const OPERATOR: Self = Self(u16::MAX - 1);
}

/// Our name of an order at the venue: never used twice, because an epoch is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientOrderId {
    /// Tag of the account.
    pub account: u16,
    /// Epoch of the process that sent it.
    pub epoch: u32,
    /// Number within the epoch, from 1.
    pub sequence: u64,
}

/// Marks an order as ours in a venue's list.
const PREFIX: &str = "sap";

impl fmt::Display for ClientOrderId {
    /// At most 34 characters of `[a-z0-9-]`: a venue takes 36.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{PREFIX}-{:04x}-{:08x}-{:x}", self.account, self.epoch, self.sequence)
    }
}

/// A text that is not one of our order ids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an order id of ours: expected sap-ACCOUNT-EPOCH-SEQUENCE in hexadecimal, got {0:?}")]
pub struct ForeignOrderId(pub String);

impl FromStr for ClientOrderId {
    type Err = ForeignOrderId;

    fn from_str(text: &str) -> Result<Self, ForeignOrderId> {
        let foreign = || ForeignOrderId(text.to_owned());
        let mut parts = text.split('-');
        let mut part = || parts.next().ok_or_else(foreign);
        if part()? != PREFIX {
            return Err(foreign());
        }
        let (account, epoch, sequence) = (part()?, part()?, part()?);
        let id = Self {
            account: u16::from_str_radix(account, 16).map_err(|_| foreign())?,
            epoch: u32::from_str_radix(epoch, 16).map_err(|_| foreign())?,
            sequence: u64::from_str_radix(sequence, 16).map_err(|_| foreign())?,
        };
        // One id has one text: what would print differently is not ours.
        if id.to_string() == text { Ok(id) } else { Err(foreign()) }
    }
}

/// What we ask the venue for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its name.
    pub id: ClientOrderId,
    /// What is traded.
    pub instrument: InstrumentId,
    /// In whose name.
    pub release: ReleaseId,
    /// Close of the bar whose signal it serves.
    pub bar_close_ns: i64,
    /// Buy or sell.
    pub side: Side,
    /// Worst price.
    pub ticks: i64,
    /// Quantity.
    pub lots: i64,
    /// How long it rests.
    pub time_in_force: TimeInForce,
}

/// One trade of an order, as the venue reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The venue's number of the trade, unique for the instrument.
    pub trade: u64,
    /// Price.
    pub ticks: i64,
    /// Quantity.
    pub lots: i64,
    /// Value in quote atoms.
    pub quote_atoms: Atoms,
    /// Asset the fee was taken in.
    pub fee_asset: Asset,
    /// Fee in atoms of that asset.
    pub fee_atoms: Atoms,
}

/// What the venue, or the way to it, says about one of our orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The order.
    pub order: ClientOrderId,
    /// What is said.
    pub kind: ReportKind,
}

/// The kinds of [`Report`]. `executed_lots` is the venue's cumulative quantity at the moment of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportKind {
    /// The venue took the order in.
    Accepted {
        /// The venue's own number of it.
        venue_order: u64,
    },
    /// The venue refused the order.
    Rejected {
        /// The venue's error code.
        venue_code: i32,
    },
    /// It traded.
    Trade {
        /// What moved.
        fill: Fill,
        /// Cumulative quantity.
        executed_lots: i64,
    },
    /// Our cancel took it out.
    Canceled {
        /// Cumulative quantity.
        executed_lots: i64,
    },
    /// The venue ended it.
    Expired {
        /// Cumulative quantity.
        executed_lots: i64,
    },
    /// Our cancel was refused.
    CancelRejected {
        /// The venue's error code.
        venue_code: i32,
    },
    /// The venue, asked, does not know the order.
    NotFound {
        /// The request can no longer arrive: its window has passed by the venue's clock, or the venue says that the
        /// connection it was sent on is drained.
        conclusive: bool,
    },
    /// The answer that was due did not come in time. Whether the request arrived is not known.
    Unanswered,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_order_id_survives_its_text(account: u16, epoch: u32, sequence: u64) {
            let id = ClientOrderId { account, epoch, sequence };
            let text = id.to_string();
            prop_assert!(text.len() <= 36);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
            prop_assert_eq!(text.parse::<ClientOrderId>(), Ok(id));
        }
    }

    #[test]
    fn foreign_ids_are_refused() {
        for text in
            ["", "sap", "web_1234", "sap-1-2-3", "sap-0001-00000002-3-4", "sap-0001-00000002-+3", "x-0001-00000002-3"]
        {
            assert_eq!(text.parse::<ClientOrderId>(), Err(ForeignOrderId(text.to_owned())), "{text}");
        }
    }
}
