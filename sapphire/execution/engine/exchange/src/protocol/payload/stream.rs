//! Depth, trades, candles and tickers, as the streams send them.

use serde::Serialize;

use super::market::{AggTradeRow, average, percent, trade_count, trade_id};
use super::{level, levels, ms, price, quantity};
use crate::matching::api::{AggTrade, BookTicker, DepthDiff, KlineUpdate, PublicTrade, SymbolInfo, Ticker24h};
use sapphire_core::decimal::atoms_text;

/// `24hrTicker` of the streams.
#[derive(Debug, Serialize)]
#[expect(non_snake_case, reason = "the venue's field names differ by case alone")]
pub struct TickerEvent<'a> {
    e: &'static str,
    E: i64,
    s: &'a str,
    p: String,
    P: String,
    w: String,
    x: String,
    c: String,
    Q: String,
    b: String,
    B: String,
    a: String,
    A: String,
    o: String,
    h: String,
    l: String,
    v: String,
    q: String,
    O: i64,
    C: i64,
    F: i64,
    L: i64,
    n: u64,
}

impl<'a> TickerEvent<'a> {
    /// The last 24 hours of a symbol.
    pub fn of(symbol: &'a SymbolInfo, ticker: &Ticker24h) -> Self {
        let price = |ticks| price(&symbol.instrument, ticks);
        let [bid, bid_quantity] = level(&symbol.instrument, ticker.bid);
        let [ask, ask_quantity] = level(&symbol.instrument, ticker.ask);
        Self {
            e: "24hrTicker",
            E: ms(ticker.close_ns),
            s: &symbol.symbol,
            p: price(ticker.last - ticker.open),
            P: percent(ticker),
            w: average(symbol, ticker),
            x: price(ticker.previous_close),
            c: price(ticker.last),
            Q: quantity(&symbol.instrument, ticker.last_lots),
            b: bid,
            B: bid_quantity,
            a: ask,
            A: ask_quantity,
            o: price(ticker.open),
            h: price(ticker.high),
            l: price(ticker.low),
            v: quantity(&symbol.instrument, ticker.volume_lots),
            q: atoms_text(ticker.quote_atoms),
            O: ms(ticker.open_ns),
            C: ms(ticker.close_ns),
            F: trade_id(ticker.first_trade_id),
            L: trade_id(ticker.last_trade_id),
            n: trade_count(ticker),
        }
    }
}

/// `24hrMiniTicker` of the streams.
#[derive(Debug, Serialize)]
#[expect(non_snake_case, reason = "the venue's field names differ by case alone")]
pub struct MiniTickerEvent<'a> {
    e: &'static str,
    E: i64,
    s: &'a str,
    c: String,
    o: String,
    h: String,
    l: String,
    v: String,
    q: String,
}

impl<'a> MiniTickerEvent<'a> {
    /// The last 24 hours of a symbol, in short.
    pub fn of(symbol: &'a SymbolInfo, ticker: &Ticker24h) -> Self {
        let price = |ticks| price(&symbol.instrument, ticks);
        Self {
            e: "24hrMiniTicker",
            E: ms(ticker.close_ns),
            s: &symbol.symbol,
            c: price(ticker.last),
            o: price(ticker.open),
            h: price(ticker.high),
            l: price(ticker.low),
            v: quantity(&symbol.instrument, ticker.volume_lots),
            q: atoms_text(ticker.quote_atoms),
        }
    }
}

/// `trade` of the streams.
#[derive(Debug, Serialize)]
#[expect(non_snake_case, reason = "the venue's field names differ by case alone")]
pub struct TradeEvent<'a> {
    e: &'static str,
    E: i64,
    s: &'a str,
    t: u64,
    p: String,
    q: String,
    T: i64,
    m: bool,
    M: bool,
}

impl<'a> TradeEvent<'a> {
    /// A trade of the tape.
    pub fn of(symbol: &'a SymbolInfo, trade: &PublicTrade) -> Self {
        Self {
            e: "trade",
            E: ms(trade.time_ns),
            s: &symbol.symbol,
            t: trade.trade_id,
            p: price(&symbol.instrument, trade.ticks),
            q: quantity(&symbol.instrument, trade.lots),
            T: ms(trade.time_ns),
            m: trade.buyer_is_maker,
            M: true,
        }
    }
}

/// `aggTrade` of the streams.
#[derive(Debug, Serialize)]
#[expect(non_snake_case, reason = "the venue's field names differ by case alone")]
pub struct AggTradeEvent<'a> {
    e: &'static str,
    E: i64,
    s: &'a str,
    #[serde(flatten)]
    trade: AggTradeRow,
}

impl<'a> AggTradeEvent<'a> {
    /// An aggregate of the tape.
    pub fn of(symbol: &'a SymbolInfo, trade: &AggTrade) -> Self {
        Self { e: "aggTrade", E: ms(trade.time_ns), s: &symbol.symbol, trade: AggTradeRow::of(symbol, trade) }
    }
}

/// `depthUpdate` of the streams.
#[derive(Debug, Serialize)]
#[expect(non_snake_case, reason = "the venue's field names differ by case alone")]
pub struct DepthEvent<'a> {
    e: &'static str,
    E: i64,
    s: &'a str,
    U: u64,
    u: u64,
    b: Vec<[String; 2]>,
    a: Vec<[String; 2]>,
}

impl<'a> DepthEvent<'a> {
    /// Changed levels of a symbol's book.
    pub fn of(symbol: &'a SymbolInfo, diff: &DepthDiff) -> Self {
        Self {
            e: "depthUpdate",
            E: ms(diff.time_ns),
            s: &symbol.symbol,
            U: diff.first_update_id,
            u: diff.last_update_id,
            b: levels(&symbol.instrument, &diff.bids),
            a: levels(&symbol.instrument, &diff.asks),
        }
    }
}

/// `bookTicker` of the streams, which on spot has no event type and no time.
#[derive(Debug, Serialize)]
#[expect(non_snake_case, reason = "the venue's field names differ by case alone")]
pub struct BookTickerEvent<'a> {
    u: u64,
    s: &'a str,
    b: String,
    B: String,
    a: String,
    A: String,
}

impl<'a> BookTickerEvent<'a> {
    /// Best prices of a symbol.
    pub fn of(symbol: &'a SymbolInfo, ticker: &BookTicker) -> Self {
        let [bid, bid_quantity] = level(&symbol.instrument, ticker.bid);
        let [ask, ask_quantity] = level(&symbol.instrument, ticker.ask);
        Self { u: ticker.update_id, s: &symbol.symbol, b: bid, B: bid_quantity, a: ask, A: ask_quantity }
    }
}

/// `kline` of the streams.
#[derive(Debug, Serialize)]
#[expect(non_snake_case, reason = "the venue's field names differ by case alone")]
pub struct KlineEvent<'a> {
    e: &'static str,
    E: i64,
    s: &'a str,
    k: Candle<'a>,
}

#[derive(Debug, Serialize)]
#[expect(non_snake_case, reason = "the venue's field names differ by case alone")]
struct Candle<'a> {
    t: i64,
    T: i64,
    s: &'a str,
    i: &'static str,
    f: i64,
    L: i64,
    o: String,
    c: String,
    h: String,
    l: String,
    v: String,
    n: u64,
    x: bool,
    q: String,
    V: String,
    Q: String,
    B: &'static str,
}

impl<'a> KlineEvent<'a> {
    /// A candle that changed.
    pub fn of(symbol: &'a SymbolInfo, update: &KlineUpdate) -> Self {
        let kline = &update.kline;
        let price = |ticks| price(&symbol.instrument, ticks);
        let quantity = |lots| quantity(&symbol.instrument, lots);
        let (first, last) = update.trade_ids.unzip();
        let candle = Candle {
            t: ms(kline.open_ns),
            T: ms(kline.end_ns) - 1,
            s: &symbol.symbol,
            i: update.interval.text(),
            f: trade_id(first),
            L: trade_id(last),
            o: price(kline.open),
            c: price(kline.close),
            h: price(kline.high),
            l: price(kline.low),
            v: quantity(kline.volume_lots),
            n: kline.trades,
            x: kline.closed,
            q: atoms_text(kline.quote_atoms),
            V: quantity(kline.taker_buy_lots),
            Q: atoms_text(kline.taker_buy_quote_atoms),
            B: "0",
        };
        Self { e: "kline", E: ms(update.time_ns), s: &symbol.symbol, k: candle }
    }
}
