//! Requests, as the protocol hands them over.

use sapphire_core::amounts::Atoms;
use sapphire_core::instrument::{InstrumentId, Side};
use sapphire_core::venue::AccountId;

use super::{Interval, TimeInForce};

/// Price and quantity of a new order, in atoms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderKind {
    /// `LIMIT`.
    Limit {
        /// Quote atoms for one whole unit of base.
        price_atoms: Atoms,
        /// Base atoms.
        quantity_atoms: Atoms,
        /// How long it stands.
        time_in_force: TimeInForce,
    },
    /// `LIMIT_MAKER`: refused when it would trade at once.
    LimitMaker {
        /// Quote atoms for one whole unit of base.
        price_atoms: Atoms,
        /// Base atoms.
        quantity_atoms: Atoms,
    },
    /// `MARKET` with `quantity`.
    Market {
        /// Base atoms.
        quantity_atoms: Atoms,
    },
    /// `MARKET` with `quoteOrderQty`.
    MarketQuote {
        /// Quote atoms to spend or to receive.
        quote_atoms: Atoms,
    },
}

/// A new order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceOrder {
    /// Owner.
    pub account: AccountId,
    /// What is traded.
    pub instrument: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// Price and quantity.
    pub kind: OrderKind,
    /// `newClientOrderId`; the matching service makes one when there is none.
    pub client_order_id: Option<String>,
}

/// How a request names an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderRef {
    /// `orderId`.
    Id(u64),
    /// `origClientOrderId`.
    Client(String),
    /// Both, and they must name the same order.
    Both(u64, String),
}

/// A cancel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelOrder {
    /// Owner.
    pub account: AccountId,
    /// Symbol of the order.
    pub instrument: InstrumentId,
    /// Which order.
    pub order: OrderRef,
    /// `newClientOrderId` of the cancel itself; the matching service makes one when there is none.
    pub cancel_client_order_id: Option<String>,
}

/// A cancel of all open orders of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelAll {
    /// Owner.
    pub account: AccountId,
    /// Symbol.
    pub instrument: InstrumentId,
}

/// Orders of one account and symbol, oldest first.
///
/// With `from_order_id`: those from it on. Else with a time window: those created in `[start_ns, end_ns]`. With
/// neither: the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrdersQuery {
    /// Owner.
    pub account: AccountId,
    /// Symbol.
    pub instrument: InstrumentId,
    /// First order id.
    pub from_order_id: Option<u64>,
    /// First creation time, market nanoseconds.
    pub start_ns: Option<i64>,
    /// Last creation time, market nanoseconds, included.
    pub end_ns: Option<i64>,
    /// Most rows, up to [`super::MAX_ROWS`].
    pub limit: usize,
}

/// Fills of one account and symbol, oldest first; the same rules as [`OrdersQuery`] with trade ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillsQuery {
    /// Owner.
    pub account: AccountId,
    /// Symbol.
    pub instrument: InstrumentId,
    /// Only fills of this order.
    pub order_id: Option<u64>,
    /// First trade id.
    pub from_trade_id: Option<u64>,
    /// First time, market nanoseconds.
    pub start_ns: Option<i64>,
    /// Last time, market nanoseconds, included.
    pub end_ns: Option<i64>,
    /// Most rows, up to [`super::MAX_ROWS`].
    pub limit: usize,
}

/// Public trades: the latest, or those from a trade id on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradesQuery {
    /// Symbol.
    pub instrument: InstrumentId,
    /// First trade id.
    pub from_id: Option<u64>,
    /// Most rows, up to [`super::MAX_ROWS`].
    pub limit: usize,
}

/// Public trades, those of one taker at one price and instant as one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggTradesQuery {
    /// Symbol.
    pub instrument: InstrumentId,
    /// First aggregate id.
    pub from_id: Option<u64>,
    /// First time, market nanoseconds.
    pub start_ns: Option<i64>,
    /// Last time, market nanoseconds, included.
    pub end_ns: Option<i64>,
    /// Most rows, up to [`super::MAX_ROWS`].
    pub limit: usize,
}

/// Candles whose open time lies in `[start_ns, end_ns]`, oldest first; with no start the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KlinesQuery {
    /// Symbol.
    pub instrument: InstrumentId,
    /// Length of a candle.
    pub interval: Interval,
    /// First open time, market nanoseconds; before the listing it means the listing.
    pub start_ns: Option<i64>,
    /// Last open time, market nanoseconds, included.
    pub end_ns: Option<i64>,
    /// Most rows, up to [`super::MAX_ROWS`].
    pub limit: usize,
}
