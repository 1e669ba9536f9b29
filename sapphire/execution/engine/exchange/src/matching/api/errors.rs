//! Refusals and failures, typed. The protocol gives them their codes and texts.

use sapphire_core::venue;

/// A filter of the venue, by Binance's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    /// Price below, above or between the ticks.
    Price,
    /// Quantity below, above or between the lots.
    LotSize,
    /// Quantity of a market order below or above its bounds.
    MarketLotSize,
    /// Value below or above its bounds.
    Notional,
    /// Too many open orders in the symbol.
    MaxNumOrders,
    /// More than an account can hold.
    MaxPosition,
}

impl Filter {
    /// Binance's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Price => "PRICE_FILTER",
            Self::LotSize => "LOT_SIZE",
            Self::MarketLotSize => "MARKET_LOT_SIZE",
            Self::Notional => "NOTIONAL",
            Self::MaxNumOrders => "MAX_NUM_ORDERS",
            Self::MaxPosition => "MAX_POSITION",
        }
    }
}

/// Why the venue refuses an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// `-1013 Filter failure: NAME`.
    #[error("Filter failure: {}", .0.name())]
    Filter(Filter),
    /// `-2010 Duplicate order sent.`: the client order id stands in the account's history.
    #[error("Duplicate order sent.")]
    DuplicateOrder,
    /// `-2010 Account has insufficient balance for requested action.`
    #[error("Account has insufficient balance for requested action.")]
    InsufficientBalance,
    /// `-2010 Order would immediately match and take.`
    #[error("Order would immediately match and take.")]
    WouldTake,
    /// `-2010 Market is closed.`: before the listing, or after the end of the symbol's market.
    #[error("Market is closed.")]
    MarketClosed,
    /// The client order id is empty or too long.
    #[error("Illegal client order id.")]
    ClientOrderId,
}

impl Refusal {
    /// Binance's `r` of an execution report.
    pub fn name(self) -> &'static str {
        match self {
            Self::InsufficientBalance => "INSUFFICIENT_BALANCES",
            Self::WouldTake => "WOULD_MATCH_IMMEDIATELY",
            Self::DuplicateOrder => "DUPLICATE_ORDER",
            Self::MarketClosed => "MARKET_CLOSED",
            Self::Filter(filter) => filter.name(),
            Self::ClientOrderId => "ILLEGAL_CLIENT_ORDER_ID",
        }
    }

    /// The matching service's word for a refusal of the core.
    pub(crate) fn from_venue(rejection: venue::Rejection, market: bool) -> Self {
        match rejection {
            venue::Rejection::Unknown | venue::Rejection::MarketClosed => Self::MarketClosed,
            venue::Rejection::DuplicateId | venue::Rejection::UnknownOrder => Self::DuplicateOrder,
            venue::Rejection::Price => Self::Filter(Filter::Price),
            venue::Rejection::Quantity if market => Self::Filter(Filter::MarketLotSize),
            venue::Rejection::Quantity => Self::Filter(Filter::LotSize),
            venue::Rejection::Notional => Self::Filter(Filter::Notional),
            venue::Rejection::Amount => Self::Filter(Filter::MaxPosition),
            venue::Rejection::InsufficientBalance => Self::InsufficientBalance,
            venue::Rejection::WouldTake => Self::WouldTake,
        }
    }
}

/// Why the matching service did not do what was asked. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatchingError {
    /// The venue refuses the order.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A cancel names no open order of the account: `-2011 Unknown order sent.`
    #[error("Unknown order sent.")]
    UnknownOrder,
    /// A query names no order of the account: `-2013 Order does not exist.`
    #[error("Order does not exist.")]
    NoSuchOrder,
    /// No such account.
    #[error("Unknown account.")]
    UnknownAccount,
    /// No such instrument: `-1121 Invalid symbol.`
    #[error("Invalid symbol.")]
    UnknownInstrument,
    /// No such asset, or an amount that cannot be taken from it.
    #[error("{0}")]
    Deposit(String),
    /// An account name that does not fit, or that no account has.
    #[error("{0}")]
    AccountName(String),
    /// A new account's name is another's.
    #[error("there is an account {0:?} already; expected another name, or ask for that account's keys")]
    NameTaken(String),
    /// The request could not be written to the journal, so it was not carried out.
    #[error("the journal could not be written, so the request was not carried out: {0}")]
    Journal(String),
    /// The control command does not fit how the exchange's time runs.
    #[error("{0}")]
    Clock(String),
    /// The matching service has ended.
    #[error("the exchange is shutting down")]
    Closed,
}
