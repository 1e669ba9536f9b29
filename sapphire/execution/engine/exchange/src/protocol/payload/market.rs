//! Depth, trades, candles and tickers, as REST and the WebSocket API answer them.

use serde::Serialize;

use super::{level, levels, ms, price, quantity};
use crate::matching::api::{AggTrade, BookTicker, DepthView, Kline, PublicTrade, SymbolInfo, Ticker24h};
use sapphire_core::decimal::atoms_text;

/// Answer of `depth`, and the partial depth streams' event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Depth {
    last_update_id: u64,
    bids: Vec<[String; 2]>,
    asks: Vec<[String; 2]>,
}

impl Depth {
    /// A snapshot of a symbol's book.
    pub fn of(symbol: &SymbolInfo, depth: &DepthView) -> Self {
        Self {
            last_update_id: depth.last_update_id,
            bids: levels(&symbol.instrument, &depth.bids),
            asks: levels(&symbol.instrument, &depth.asks),
        }
    }
}

/// A row of `trades` and `historicalTrades`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TradeRow {
    id: u64,
    price: String,
    qty: String,
    quote_qty: String,
    time: i64,
    is_buyer_maker: bool,
    is_best_match: bool,
}

impl TradeRow {
    /// A trade of the tape.
    pub fn of(symbol: &SymbolInfo, trade: &PublicTrade) -> Self {
        Self {
            id: trade.trade_id,
            price: price(&symbol.instrument, trade.ticks),
            qty: quantity(&symbol.instrument, trade.lots),
            quote_qty: atoms_text(trade.quote_atoms),
            time: ms(trade.time_ns),
            is_buyer_maker: trade.buyer_is_maker,
            is_best_match: true,
        }
    }
}

/// A row of `aggTrades`.
#[derive(Debug, Serialize)]
#[expect(non_snake_case, reason = "the venue's field names differ by case alone")]
pub struct AggTradeRow {
    a: u64,
    p: String,
    q: String,
    f: u64,
    l: u64,
    T: i64,
    m: bool,
    M: bool,
}

impl AggTradeRow {
    /// An aggregate of the tape.
    pub fn of(symbol: &SymbolInfo, trade: &AggTrade) -> Self {
        Self {
            a: trade.agg_id,
            p: price(&symbol.instrument, trade.ticks),
            q: quantity(&symbol.instrument, trade.lots),
            f: trade.first_trade_id,
            l: trade.last_trade_id,
            T: ms(trade.time_ns),
            m: trade.buyer_is_maker,
            M: true,
        }
    }
}

/// A row of `klines`: open time, open, high, low, close, volume, close time, quote volume, trades, taker's base volume,
/// taker's quote volume, unused.
pub type KlineRow = (i64, String, String, String, String, String, i64, String, u64, String, String, &'static str);

/// A candle of `klines`.
pub fn kline_row(symbol: &SymbolInfo, kline: &Kline) -> KlineRow {
    let price = |ticks| price(&symbol.instrument, ticks);
    let quantity = |lots| quantity(&symbol.instrument, lots);
    (
        ms(kline.open_ns),
        price(kline.open),
        price(kline.high),
        price(kline.low),
        price(kline.close),
        quantity(kline.volume_lots),
        ms(kline.end_ns) - 1,
        atoms_text(kline.quote_atoms),
        kline.trades,
        quantity(kline.taker_buy_lots),
        atoms_text(kline.taker_buy_quote_atoms),
        "0",
    )
}

/// Answer of `ticker/bookTicker`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BookTickerRow<'a> {
    symbol: &'a str,
    bid_price: String,
    bid_qty: String,
    ask_price: String,
    ask_qty: String,
}

impl<'a> BookTickerRow<'a> {
    /// Best prices of a symbol.
    pub fn of(symbol: &'a SymbolInfo, ticker: &BookTicker) -> Self {
        let [bid_price, bid_qty] = level(&symbol.instrument, ticker.bid);
        let [ask_price, ask_qty] = level(&symbol.instrument, ticker.ask);
        Self { symbol: &symbol.symbol, bid_price, bid_qty, ask_price, ask_qty }
    }
}

/// Answer of `ticker/price`.
#[derive(Debug, Serialize)]
pub struct PriceRow<'a> {
    symbol: &'a str,
    price: String,
}

impl<'a> PriceRow<'a> {
    /// Last price of a symbol.
    pub fn of(symbol: &'a SymbolInfo, ticks: i64) -> Self {
        Self { symbol: &symbol.symbol, price: price(&symbol.instrument, ticks) }
    }
}

/// Answer of `ticker/24hr`; the fields that are none are those of the full form alone.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TickerRow<'a> {
    symbol: &'a str,
    #[serde(flatten)]
    change: Option<Movement>,
    #[serde(flatten)]
    quotes: Option<Quotes>,
    open_price: String,
    high_price: String,
    low_price: String,
    last_price: String,
    volume: String,
    quote_volume: String,
    open_time: i64,
    close_time: i64,
    first_id: i64,
    last_id: i64,
    count: u64,
}

/// How far the price went, and its average.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Movement {
    price_change: String,
    price_change_percent: String,
    weighted_avg_price: String,
    prev_close_price: String,
}

/// Last quantity and best prices.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Quotes {
    last_qty: String,
    bid_price: String,
    bid_qty: String,
    ask_price: String,
    ask_qty: String,
}

/// How much of a ticker is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TickerForm {
    /// `type=FULL`.
    Full,
    /// `type=MINI`.
    Mini,
}

impl<'a> TickerRow<'a> {
    /// The last 24 hours of a symbol.
    pub fn of(symbol: &'a SymbolInfo, ticker: &Ticker24h, form: TickerForm) -> Self {
        let price = |ticks| price(&symbol.instrument, ticks);
        let full = form == TickerForm::Full;
        let [bid_price, bid_qty] = level(&symbol.instrument, ticker.bid);
        let [ask_price, ask_qty] = level(&symbol.instrument, ticker.ask);
        let last_qty = quantity(&symbol.instrument, ticker.last_lots);
        Self {
            symbol: &symbol.symbol,
            change: full.then(|| Movement {
                price_change: price(ticker.last - ticker.open),
                price_change_percent: percent(ticker),
                weighted_avg_price: average(symbol, ticker),
                prev_close_price: price(ticker.previous_close),
            }),
            quotes: full.then_some(Quotes { last_qty, bid_price, bid_qty, ask_price, ask_qty }),
            open_price: price(ticker.open),
            high_price: price(ticker.high),
            low_price: price(ticker.low),
            last_price: price(ticker.last),
            volume: quantity(&symbol.instrument, ticker.volume_lots),
            quote_volume: atoms_text(ticker.quote_atoms),
            open_time: ms(ticker.open_ns),
            close_time: ms(ticker.close_ns),
            first_id: trade_id(ticker.first_trade_id),
            last_id: trade_id(ticker.last_trade_id),
            count: trade_count(ticker),
        }
    }
}

/// A trade id as the venue shows it: -1 where there is none.
pub(super) fn trade_id(id: Option<u64>) -> i64 {
    id.and_then(|id| i64::try_from(id).ok()).unwrap_or(-1)
}

pub(super) fn trade_count(ticker: &Ticker24h) -> u64 {
    match (ticker.first_trade_id, ticker.last_trade_id) {
        (Some(first), Some(last)) => last - first + 1,
        _ => 0,
    }
}

/// Change from open to last in percent, three decimals, truncated.
pub(super) fn percent(ticker: &Ticker24h) -> String {
    let thousandths = i128::from(ticker.last - ticker.open) * 100_000 / i128::from(ticker.open.max(1));
    let sign = if thousandths < 0 { "-" } else { "" };
    let thousandths = thousandths.unsigned_abs();
    format!("{sign}{}.{:03}", thousandths / 1000, thousandths % 1000)
}

/// Quote volume over base volume; zero when nothing traded.
pub(super) fn average(symbol: &SymbolInfo, ticker: &Ticker24h) -> String {
    let base = i128::from(ticker.volume_lots) * i128::from(symbol.instrument.lot_atoms);
    let units = i128::from(sapphire_core::instrument::ATOMS_PER_UNIT);
    atoms_text(if base == 0 { 0 } else { ticker.quote_atoms * units / base })
}
