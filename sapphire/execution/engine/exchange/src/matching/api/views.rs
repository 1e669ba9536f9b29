//! What the matching service answers.

use sapphire_core::amounts::Atoms;
use sapphire_core::instrument::{Asset, InstrumentId, Side};
use sapphire_core::venue::{AccountId, FeeRates};

/// State of an order in Binance's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderStatus {
    /// Received and travelling: it has not reached the book (lock-step only).
    PendingNew,
    /// Standing, nothing traded.
    New,
    /// Standing, partly traded.
    PartiallyFilled,
    /// Complete.
    Filled,
    /// Ended by its owner.
    Canceled,
    /// Refused on arrival (lock-step only: else the request is answered with the refusal and leaves no order).
    Rejected,
    /// Ended by the venue: time in force, or nothing left to trade with.
    Expired,
    /// Ended by the venue because it would have traded with its own account.
    ExpiredInMatch,
}

impl OrderStatus {
    /// Binance's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PendingNew => "PENDING_NEW",
            Self::New => "NEW",
            Self::PartiallyFilled => "PARTIALLY_FILLED",
            Self::Filled => "FILLED",
            Self::Canceled => "CANCELED",
            Self::Rejected => "REJECTED",
            Self::Expired => "EXPIRED",
            Self::ExpiredInMatch => "EXPIRED_IN_MATCH",
        }
    }

    /// Travelling or standing: it can still trade.
    pub fn is_open(self) -> bool {
        matches!(self, Self::PendingNew | Self::New | Self::PartiallyFilled)
    }
}

/// Type of an order in Binance's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderType {
    /// `LIMIT`.
    Limit,
    /// `LIMIT_MAKER`.
    LimitMaker,
    /// `MARKET`.
    Market,
}

impl OrderType {
    /// All that the exchange takes.
    pub const ALL: [Self; 3] = [Self::Limit, Self::LimitMaker, Self::Market];

    /// Binance's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Limit => "LIMIT",
            Self::LimitMaker => "LIMIT_MAKER",
            Self::Market => "MARKET",
        }
    }
}

/// Time in force in Binance's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeInForce {
    /// Until filled or cancelled.
    Gtc,
    /// What cannot trade at once expires.
    Ioc,
    /// All at once or nothing.
    Fok,
}

impl TimeInForce {
    /// Binance's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gtc => "GTC",
            Self::Ioc => "IOC",
            Self::Fok => "FOK",
        }
    }
}

/// An order of an account's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderView {
    /// Owner.
    pub account: AccountId,
    /// Symbol.
    pub instrument: InstrumentId,
    /// `orderId`, one sequence for all symbols.
    pub order_id: u64,
    /// `clientOrderId`.
    pub client_order_id: String,
    /// Buy or sell.
    pub side: Side,
    /// Type.
    pub order_type: OrderType,
    /// Time in force (`GTC` for a market order).
    pub time_in_force: TimeInForce,
    /// Price in ticks, 0 for a market order.
    pub price_ticks: i64,
    /// `origQty` in lots; for a `quoteOrderQty` order what was executed.
    pub quantity_lots: i64,
    /// `origQuoteOrderQty` in quote atoms, 0 when there was none.
    pub quote_order_atoms: Atoms,
    /// `executedQty` in lots.
    pub executed_lots: i64,
    /// `cummulativeQuoteQty` in quote atoms.
    pub executed_quote_atoms: Atoms,
    /// State.
    pub status: OrderStatus,
    /// When it was received, market nanoseconds.
    pub time_ns: i64,
    /// Last change, market nanoseconds.
    pub update_ns: i64,
    /// When it reached the book; none while it travels and when it was refused.
    pub working_ns: Option<i64>,
}

/// One side of a trade, as its owner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillView {
    /// Symbol.
    pub instrument: InstrumentId,
    /// Trade id, counted per symbol.
    pub trade_id: u64,
    /// The order.
    pub order_id: u64,
    /// Price.
    pub ticks: i64,
    /// Quantity.
    pub lots: i64,
    /// Value in quote atoms.
    pub quote_atoms: Atoms,
    /// Asset the commission was taken in.
    pub commission_asset: Asset,
    /// Commission in atoms of that asset.
    pub commission_atoms: Atoms,
    /// Market time.
    pub time_ns: i64,
    /// Side of the order.
    pub side: Side,
    /// The order stood in the book.
    pub is_maker: bool,
}

/// Answer to a new order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderAck {
    /// The order after whatever happened at once.
    pub order: OrderView,
    /// What it traded at once (none in lock-step).
    pub fills: Vec<FillView>,
    /// `transactTime`, market nanoseconds.
    pub transact_ns: i64,
}

/// Answer to a cancel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelAck {
    /// The order: cancelled, or as it stands while the cancel travels.
    pub order: OrderView,
    /// Client order id of the cancel itself.
    pub cancel_client_order_id: String,
    /// The cancel has not reached the book (lock-step only).
    pub in_flight: bool,
    /// `transactTime`, market nanoseconds.
    pub transact_ns: i64,
}

/// What an account has of one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceView {
    /// Asset.
    pub asset: Asset,
    /// At its owner's disposal, atoms.
    pub free_atoms: Atoms,
    /// Promised to standing orders, atoms.
    pub locked_atoms: Atoms,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// Index.
    pub account: AccountId,
    /// One row per asset, in the catalogue's order, zeros included.
    pub balances: Vec<BalanceView>,
    /// Fee rates, 1e-8.
    pub fees: FeeRates,
    /// Last change, market nanoseconds.
    pub update_ns: i64,
    /// Events the account has had so far: the sequence of the last [`super::UserEvent`].
    pub event_sequence: u64,
}

/// Both sides of a book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepthView {
    /// Update id of the last change in it (`lastUpdateId`); diffs continue at the next.
    pub last_update_id: u64,
    /// `(ticks, lots)`, best first.
    pub bids: Vec<(i64, i64)>,
    /// `(ticks, lots)`, best first.
    pub asks: Vec<(i64, i64)>,
    /// Market time.
    pub time_ns: i64,
}

/// A trade of the public tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicTrade {
    /// Trade id, counted per symbol.
    pub trade_id: u64,
    /// Price.
    pub ticks: i64,
    /// Quantity.
    pub lots: i64,
    /// Value in quote atoms.
    pub quote_atoms: Atoms,
    /// Market time.
    pub time_ns: i64,
    /// The buyer stood in the book.
    pub buyer_is_maker: bool,
}

/// Trades of one taker at one price and instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggTrade {
    /// Aggregate id, counted per symbol.
    pub agg_id: u64,
    /// Price.
    pub ticks: i64,
    /// Quantity.
    pub lots: i64,
    /// First trade id.
    pub first_trade_id: u64,
    /// Last trade id.
    pub last_trade_id: u64,
    /// Market time.
    pub time_ns: i64,
    /// The buyer stood in the book.
    pub buyer_is_maker: bool,
}

/// A candle of the feed.
///
/// It is the synthetic liquidity's path: trades of clients are not in it. The feed knows quantity alone, so the quote
/// volume is the quantity at each minute's typical price (high + low + close) / 3 and the taker's part is half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kline {
    /// Start of the interval.
    pub open_ns: i64,
    /// Start of the next interval; the protocol shows the millisecond before it as `closeTime`.
    pub end_ns: i64,
    /// First price, ticks.
    pub open: i64,
    /// Highest price, ticks.
    pub high: i64,
    /// Lowest price, ticks.
    pub low: i64,
    /// Last price, ticks.
    pub close: i64,
    /// Traded quantity, lots.
    pub volume_lots: i64,
    /// Traded value, quote atoms (a month of a large symbol does not fit an `i64`).
    pub quote_atoms: i128,
    /// Number of trades: one per liquidity step.
    pub trades: u64,
    /// Quantity bought by takers, lots.
    pub taker_buy_lots: i64,
    /// Value bought by takers, quote atoms.
    pub taker_buy_quote_atoms: i128,
    /// The interval is over: the candle does not change any more.
    pub closed: bool,
}

/// The last 24 hours: prices and volume of the feed, last price and trade ids of the tape, quotes of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticker24h {
    /// Symbol.
    pub instrument: InstrumentId,
    /// Start of the window.
    pub open_ns: i64,
    /// Its end: now.
    pub close_ns: i64,
    /// First price, ticks.
    pub open: i64,
    /// Highest price, ticks.
    pub high: i64,
    /// Lowest price, ticks.
    pub low: i64,
    /// Last trade's price, ticks.
    pub last: i64,
    /// Last trade's quantity, lots.
    pub last_lots: i64,
    /// Close of the minute before the window, ticks (the first price when there is none).
    pub previous_close: i64,
    /// Traded quantity, lots.
    pub volume_lots: i64,
    /// Traded value, quote atoms.
    pub quote_atoms: i128,
    /// First trade id of the tape within the window.
    pub first_trade_id: Option<u64>,
    /// Last trade id of the tape within the window.
    pub last_trade_id: Option<u64>,
    /// Best bid, `(ticks, lots)`.
    pub bid: Option<(i64, i64)>,
    /// Best ask, `(ticks, lots)`.
    pub ask: Option<(i64, i64)>,
}
