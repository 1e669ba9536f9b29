//! The border of the matching service: what can be asked of it, what it answers and what it announces.
//!
//! Invariant: everything that crosses is an integer (ticks, lots, atoms of 1e-8, nanoseconds of market time) or a dense
//! index; decimal text and names belong to the protocol. Prices and quantities come in as atoms, so that the matching
//! service can refuse one that does not fit its instrument; they go out as ticks and lots.
//!
//! Requests are answered in the order in which they reach the matching service. Events of one account, and of one
//! instrument, arrive in the order in which they happened and none is left out: a subscriber that falls behind is cut
//! off.

mod catalog;
mod errors;
mod events;
mod handle;
mod interval;
mod requests;
mod views;

pub use catalog::{AssetInfo, Catalog, MarketSource, SymbolInfo};
pub use errors::{Filter, MatchingError, Refusal};
pub use events::{
    BookTicker, DepthDiff, Execution, ExecutionReport, KlineUpdate, MarketUpdate, Subscription, SubscriptionEnd,
    UserEvent, UserEventKind,
};
pub use handle::{Ask, MatchingHandle, Reply};
pub use interval::Interval;
pub use requests::{
    AggTradesQuery, CancelAll, CancelOrder, FillsQuery, KlinesQuery, OrderKind, OrderRef, OrdersQuery, PlaceOrder,
    TradesQuery,
};
pub use views::{
    AccountView, AggTrade, BalanceView, CancelAck, DepthView, FillView, Kline, OrderAck, OrderStatus, OrderType,
    OrderView, PublicTrade, Ticker24h, TimeInForce,
};

/// Most open orders an account may have per symbol (`MAX_NUM_ORDERS`, as Binance spot publishes it).
pub const MAX_OPEN_ORDERS: usize = 200;

/// Longest client order id (`newClientOrderId`), in bytes.
pub const MAX_CLIENT_ORDER_ID: usize = 36;

/// Most rows one query of orders, fills, trades or klines returns.
pub const MAX_ROWS: usize = 1_000;

/// Most levels of a side that one depth snapshot returns.
pub const MAX_DEPTH: usize = 5_000;
