//! What the matching service announces.

use std::sync::Arc;

use sapphire_core::amounts::Atoms;
use sapphire_core::instrument::{Asset, InstrumentId};
use sapphire_core::venue::AccountId;
use tokio::sync::broadcast;

use super::{AggTrade, BalanceView, FillView, Interval, Kline, OrderView, PublicTrade, Refusal, Ticker24h};

/// What happened to an order (`x` of an execution report).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// `NEW`: it reached the book.
    New,
    /// `TRADE`.
    Trade(FillView),
    /// `CANCELED` by its owner.
    Canceled,
    /// `REJECTED` on arrival.
    Rejected(Refusal),
    /// `EXPIRED`.
    Expired,
    /// `TRADE_PREVENTION`: it would have traded with its own account.
    TradePrevention,
}

/// Everything an `executionReport` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionReport {
    /// What happened.
    pub execution: Execution,
    /// The order after it.
    pub order: OrderView,
    /// `c` of a cancel: the cancel's own client order id (`C` is then the order's).
    pub cancel_client_order_id: Option<String>,
    /// The order stands in the book (`w`).
    pub is_on_book: bool,
}

/// Something that an account sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserEvent {
    /// Account.
    pub account: AccountId,
    /// Counts the account's events from 1 (`I` of an execution report).
    pub sequence: u64,
    /// Market time.
    pub time_ns: i64,
    /// What.
    pub kind: UserEventKind,
}

/// What an account can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserEventKind {
    /// `executionReport`.
    Execution(ExecutionReport),
    /// A cancel that travelled found nothing to cancel (lock-step only; Binance has no such event).
    CancelRejected {
        /// The order it was for.
        order: OrderView,
        /// Client order id of the cancel.
        cancel_client_order_id: String,
    },
    /// `outboundAccountPosition`: the assets that one instant changed, after its execution reports.
    AccountPosition(Vec<BalanceView>),
    /// `balanceUpdate`: a deposit, or a withdrawal when negative.
    BalanceUpdate {
        /// Asset.
        asset: Asset,
        /// Atoms.
        delta_atoms: Atoms,
    },
}

/// Changed levels of a book, with absolute quantities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepthDiff {
    /// Symbol.
    pub instrument: InstrumentId,
    /// `U`: one more than the `u` of the diff before.
    pub first_update_id: u64,
    /// `u`.
    pub last_update_id: u64,
    /// `(ticks, lots)`, best first; 0 lots removes the level.
    pub bids: Vec<(i64, i64)>,
    /// `(ticks, lots)`, best first; 0 lots removes the level.
    pub asks: Vec<(i64, i64)>,
    /// Market time of the cut.
    pub time_ns: i64,
}

/// Best prices of a book after they changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookTicker {
    /// Symbol.
    pub instrument: InstrumentId,
    /// Update id of the change.
    pub update_id: u64,
    /// Best bid, `(ticks, lots)`.
    pub bid: Option<(i64, i64)>,
    /// Best ask, `(ticks, lots)`.
    pub ask: Option<(i64, i64)>,
    /// Market time.
    pub time_ns: i64,
}

/// Something that everybody sees of one symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MarketUpdate {
    /// `trade`.
    Trade(PublicTrade),
    /// `aggTrade`.
    AggTrade(AggTrade),
    /// `depthUpdate`, at most one per 100 ms of market time.
    Depth(DepthDiff),
    /// `bookTicker`, at each change of a best price or quantity.
    BookTicker(BookTicker),
    /// `24hrTicker` and `24hrMiniTicker`, at most one per second of market time, when something traded.
    Ticker(Ticker24h),
}

/// A candle that changed: at each liquidity step, and once when it closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KlineUpdate {
    /// Symbol.
    pub instrument: InstrumentId,
    /// Length of the candle.
    pub interval: Interval,
    /// The candle so far.
    pub kline: Kline,
    /// First and last trade id of the tape in it, as far as the tape reaches back.
    pub trade_ids: Option<(u64, u64)>,
    /// Market time.
    pub time_ns: i64,
}

/// Why a subscription gives nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionEnd {
    /// The subscriber fell behind by the whole buffer: `missed` events are lost to it. It must be disconnected.
    #[error("the subscriber fell behind and missed {missed} events")]
    TooSlow {
        /// How many.
        missed: u64,
    },
    /// The exchange shuts down.
    #[error("the exchange is shutting down")]
    Closed,
}

/// A bounded stream of events, in order, without holes until its end.
#[derive(Debug)]
pub struct Subscription<T>(broadcast::Receiver<Arc<T>>);

impl<T> Subscription<T> {
    pub(crate) fn new(receiver: broadcast::Receiver<Arc<T>>) -> Self {
        Self(receiver)
    }

    /// The next event.
    ///
    /// # Errors
    /// The reason why there will be none. The subscription is over and must be dropped.
    pub async fn next(&mut self) -> Result<Arc<T>, SubscriptionEnd> {
        self.0.recv().await.map_err(|error| match error {
            broadcast::error::RecvError::Lagged(missed) => SubscriptionEnd::TooSlow { missed },
            broadcast::error::RecvError::Closed => SubscriptionEnd::Closed,
        })
    }
}
