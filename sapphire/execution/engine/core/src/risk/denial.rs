//! Why an order was not let through: stable codes with their meanings, the value met and the limit it met.

use std::fmt;

use crate::amounts::Atoms;

/// What refused an order. The texts are stable: messages, tables and tests carry them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DenialCode {
    /// Trading is halted.
    Halted,
    /// Only orders that reduce a position pass.
    Reducing,
    /// The loss latch has tripped.
    LossLatch,
    /// An instrument or release that the limits do not know.
    Unknown,
    /// No reference price.
    NoReference,
    /// The reference price is too old.
    StaleReference,
    /// Outside the instrument's price bounds.
    Price,
    /// Outside the instrument's quantity bounds.
    Quantity,
    /// Worth, or leading to, more than an account can hold.
    Amount,
    /// Below the instrument's smallest value.
    MinNotional,
    /// Too far from the reference.
    Collar,
    /// More than is held.
    Oversell,
    /// More than the free cash pays for.
    InsufficientCash,
    /// It would trade with an own order.
    SelfTrade,
    /// Sent before.
    Duplicate,
    /// Value of one order.
    OrderNotional,
    /// Value held plus buys on the way.
    Exposure,
    /// Value of orders on the way.
    OpenOrders,
    /// Orders in a second.
    RateSecond,
    /// Orders in a minute.
    RateMinute,
}

impl DenialCode {
    /// All codes, in the order in which the gate asks.
    pub const ALL: [Self; 20] = [
        Self::Halted,
        Self::LossLatch,
        Self::Reducing,
        Self::Unknown,
        Self::NoReference,
        Self::StaleReference,
        Self::Price,
        Self::Quantity,
        Self::Amount,
        Self::MinNotional,
        Self::Collar,
        Self::Oversell,
        Self::InsufficientCash,
        Self::SelfTrade,
        Self::Duplicate,
        Self::OrderNotional,
        Self::Exposure,
        Self::OpenOrders,
        Self::RateSecond,
        Self::RateMinute,
    ];

    /// The code as messages carry it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Halted => "HALTED",
            Self::LossLatch => "LOSS_LATCH",
            Self::Reducing => "REDUCING",
            Self::Unknown => "UNKNOWN",
            Self::NoReference => "NO_REFERENCE",
            Self::StaleReference => "STALE_REFERENCE",
            Self::Price => "PRICE",
            Self::Quantity => "QUANTITY",
            Self::Amount => "AMOUNT",
            Self::MinNotional => "MIN_NOTIONAL",
            Self::Collar => "COLLAR",
            Self::Oversell => "OVERSELL",
            Self::InsufficientCash => "INSUFFICIENT_CASH",
            Self::SelfTrade => "SELF_TRADE",
            Self::Duplicate => "DUPLICATE",
            Self::OrderNotional => "ORDER_NOTIONAL",
            Self::Exposure => "EXPOSURE",
            Self::OpenOrders => "OPEN_ORDERS",
            Self::RateSecond => "RATE_SECOND",
            Self::RateMinute => "RATE_MINUTE",
        }
    }

    /// What it means, in one line.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Halted => "trading is halted: nothing but cancels passes until it is resumed by command",
            Self::LossLatch => {
                "equity fell below the day's start by more than allowed: only reductions pass until a command resumes"
            }
            Self::Reducing => "trading is reducing: only orders that make a position smaller pass",
            Self::Unknown => "the instrument or the release is not one that limits are set for",
            Self::NoReference => "no reference price for the instrument, or for another one that is held",
            Self::StaleReference => "the reference is older than allowed (value and limit in nanoseconds)",
            Self::Price => "the price is outside the instrument's bounds (ticks)",
            Self::Quantity => "the quantity is outside the instrument's bounds (lots)",
            Self::Amount => "the order, or what is held after it, is more than an account can hold (atoms)",
            Self::MinNotional => "the order is worth less than the venue takes (quote atoms)",
            Self::Collar => "the price is further from the middle of the reference than allowed (basis points)",
            Self::Oversell => "more would be sold than is held and not yet promised (lots)",
            Self::InsufficientCash => "the order costs more than the free cash (quote atoms)",
            Self::SelfTrade => "it would trade with an order of ours on the other side (ticks)",
            Self::Duplicate => "this order, or one equal to it, was sent at this moment or before",
            Self::OrderNotional => "the order is worth more than one order may be (quote atoms)",
            Self::Exposure => "what is held, bought on the way and asked for is worth more than allowed (quote atoms)",
            Self::OpenOrders => "what is on the way and asked for is worth more than allowed (quote atoms)",
            Self::RateSecond => "as many orders as allowed were sent within one second of market time",
            Self::RateMinute => "as many orders as allowed were sent within one minute of market time",
        }
    }

    /// The table of all codes for people, in Markdown: `DENIALS.md` in the engine's folder.
    #[must_use]
    pub fn table() -> String {
        let title = String::from(
            "# Why an order was refused by the gate\n\nThe codes in the order in which the gate asks; the first that \
             refuses is told, in RISK_UPDATE messages, in\n`sapphire orders` and in the journal. Made from `core::risk` by \
             `cargo run -p sapphire-core --example denial_table`.\n\n| code | meaning | passes with time |\n|---|---|---|\n",
        );
        let rows = Self::ALL.map(|code| {
            let passes = if code.passes_with_time() { "yes" } else { "" };
            format!("| `{}` | {} | {passes} |\n", code.text(), code.meaning())
        });
        title + &rows.concat()
    }

    /// It can pass by itself as time goes on: the order may be tried again without anyone's doing.
    pub fn passes_with_time(self) -> bool {
        matches!(self, Self::NoReference | Self::StaleReference | Self::RateSecond | Self::RateMinute)
    }
}

/// Which limit set refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// The order by itself.
    Order,
    /// Its instrument.
    Symbol,
    /// The release it serves.
    Strategy,
    /// The account.
    Account,
}

impl Level {
    /// The level as messages carry it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Symbol => "symbol",
            Self::Strategy => "strategy",
            Self::Account => "account",
        }
    }
}

/// A refusal: what refused, where in the tree, the value met and the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What refused.
    pub code: DenialCode,
    /// Where in the tree.
    pub level: Level,
    /// The value that met the limit, in the unit of the code's meaning.
    pub value: Atoms,
    /// The limit.
    pub limit: Atoms,
}

impl Denial {
    /// All codes: the table in the documentation is made of them.
    pub const ALL: [DenialCode; 20] = DenialCode::ALL;

    pub(super) fn order(code: DenialCode, value: impl Into<Atoms>, limit: impl Into<Atoms>) -> Self {
        Self { code, level: Level::Order, value: value.into(), limit: limit.into() }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, level, value, limit } = self;
        write!(formatter, "{}: level={} value={value} limit={limit}", code.text(), level.text())
    }
}

impl std::error::Error for Denial {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_distinct_and_explained() {
        let texts: BTreeSet<&str> = DenialCode::ALL.iter().map(|code| code.text()).collect();
        assert_eq!(texts.len(), Denial::ALL.len());
        for code in Denial::ALL {
            assert!(code.text().bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{code:?}");
            assert!(!code.meaning().contains('\n') && code.meaning().len() > 20, "{code:?}");
        }
    }

    #[test]
    fn the_table_for_people_is_that_of_the_code() {
        let written = include_str!("../../../DENIALS.md");
        assert_eq!(written, DenialCode::table(), "cargo run -p sapphire-core --example denial_table > DENIALS.md");
    }

    #[test]
    fn a_denial_reads_as_code_and_values() {
        let denial = Denial { code: DenialCode::Exposure, level: Level::Account, value: 12, limit: 10 };
        assert_eq!(denial.to_string(), "EXPOSURE: level=account value=12 limit=10");
    }
}
