//! Depth, trades, candles and tickers.

use std::future::{Ready, ready};

use crate::matching::api::{AggTradesQuery, Interval, KlinesQuery, MAX_DEPTH, MAX_ROWS, Ticker24h, TradesQuery};
use crate::protocol::call::{Answer, Call};
use crate::protocol::errors::Refusal;
use crate::protocol::exchange_info::{self, Answered};
use crate::protocol::params::Params;
use crate::protocol::payload::market::{
    AggTradeRow, BookTickerRow, Depth, PriceRow, TickerForm, TickerRow, TradeRow, kline_row,
};
use serde::Serialize;

/// Rows of a list whose request names no limit.
const DEFAULT_ROWS: usize = 500;
/// Levels of a depth request that names no limit.
const DEFAULT_DEPTH: usize = 100;

/// `ping`.
pub fn ping(_: &Call<'_>) -> Ready<Result<Answer, Refusal>> {
    ready(Ok(Answer::empty()))
}

/// `time`.
pub fn time(call: &Call<'_>) -> Ready<Result<Answer, Refusal>> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Time {
        server_time: i64,
    }
    ready(Answer::of(&Time { server_time: call.protocol.now_ms() }))
}

/// `exchangeInfo`.
pub fn exchange_info(call: &Call<'_>) -> Ready<Result<Answer, Refusal>> {
    ready(exchange_info::selected(call).and_then(|selected| Answer::of(&Answered::of(call, selected))))
}

/// `depth`.
pub async fn depth(call: &Call<'_>) -> Result<Answer, Refusal> {
    let (instrument, symbol) = call.symbol()?;
    let limit = call.params.limit(DEFAULT_DEPTH, MAX_DEPTH)?;
    Answer::of(&Depth::of(symbol, &call.matching().depth(instrument, limit).await?))
}

/// Weight of `depth` by its limit.
pub fn depth_weight(params: &Params) -> u32 {
    match params.limit(DEFAULT_DEPTH, MAX_DEPTH) {
        Ok(0..=100) | Err(_) => 5,
        Ok(101..=500) => 25,
        Ok(501..=1000) => 50,
        Ok(_) => 250,
    }
}

/// `trades` and `trades.recent`.
pub async fn trades(call: &Call<'_>) -> Result<Answer, Refusal> {
    rows_of_trades(call, None).await
}

/// `historicalTrades` and `trades.historical`.
pub async fn historical_trades(call: &Call<'_>) -> Result<Answer, Refusal> {
    rows_of_trades(call, trade_id(call, "fromId")?).await
}

async fn rows_of_trades(call: &Call<'_>, from_id: Option<u64>) -> Result<Answer, Refusal> {
    let (instrument, symbol) = call.symbol()?;
    let limit = call.params.limit(DEFAULT_ROWS, MAX_ROWS)?;
    let trades = call.matching().trades(TradesQuery { instrument, from_id, limit }).await?;
    Answer::of(&trades.iter().map(|trade| TradeRow::of(symbol, trade)).collect::<Vec<_>>())
}

/// `aggTrades` and `trades.aggregate`.
pub async fn agg_trades(call: &Call<'_>) -> Result<Answer, Refusal> {
    let (instrument, symbol) = call.symbol()?;
    let (start_ns, end_ns) = (call.time_ns("startTime")?, call.end_ns("endTime")?);
    let from_id = trade_id(call, "fromId")?;
    if from_id.is_some() && (start_ns.is_some() || end_ns.is_some()) {
        return Err(Refusal::bad_combination());
    }
    let limit = call.params.limit(DEFAULT_ROWS, MAX_ROWS)?;
    let query = AggTradesQuery { instrument, from_id, start_ns, end_ns, limit };
    let trades = call.matching().agg_trades(query).await?;
    Answer::of(&trades.iter().map(|trade| AggTradeRow::of(symbol, trade)).collect::<Vec<_>>())
}

/// `klines` and `uiKlines`.
pub async fn klines(call: &Call<'_>) -> Result<Answer, Refusal> {
    let (instrument, symbol) = call.symbol()?;
    let interval = Interval::parse(call.params.text("interval")?).ok_or_else(Refusal::bad_interval)?;
    let query = KlinesQuery {
        instrument,
        interval,
        start_ns: call.time_ns("startTime")?,
        end_ns: call.end_ns("endTime")?,
        limit: call.params.limit(DEFAULT_ROWS, MAX_ROWS)?,
    };
    let candles = call.matching().klines(query).await?;
    Answer::of(&candles.iter().map(|candle| kline_row(symbol, candle)).collect::<Vec<_>>())
}

/// `ticker/24hr` and `ticker.24hr`.
pub async fn ticker_24hr(call: &Call<'_>) -> Result<Answer, Refusal> {
    let (instruments, single) = call.instruments()?;
    let form = match call.params.optional("type")? {
        None | Some("FULL") => TickerForm::Full,
        Some("MINI") => TickerForm::Mini,
        Some(_) => return Err(Refusal::bad_ticker_type()),
    };
    let now_ns = call.matching().now_ns();
    let found = call.matching().tickers_24h(instruments.clone()).await?;
    let mut rows = Vec::with_capacity(instruments.len());
    for instrument in instruments {
        let ticker = found.iter().find(|ticker| ticker.instrument == instrument);
        let ticker = ticker.copied().unwrap_or_else(|| untraded(instrument, now_ns));
        rows.push(TickerRow::of(call.info(instrument)?, &ticker, form));
    }
    one_or_all(&rows, single)
}

/// The ticker of a symbol that was not listed in the last 24 hours: zeros, as the venue shows it.
fn untraded(instrument: sapphire_core::instrument::InstrumentId, now_ns: i64) -> Ticker24h {
    const DAY_NS: i64 = 86_400_000_000_000;
    Ticker24h {
        instrument,
        open_ns: now_ns - DAY_NS,
        close_ns: now_ns,
        open: 0,
        high: 0,
        low: 0,
        last: 0,
        last_lots: 0,
        previous_close: 0,
        volume_lots: 0,
        quote_atoms: 0,
        first_trade_id: None,
        last_trade_id: None,
        bid: None,
        ask: None,
    }
}

/// `ticker/bookTicker` and `ticker.book`.
pub async fn book_ticker(call: &Call<'_>) -> Result<Answer, Refusal> {
    let (instruments, single) = call.instruments()?;
    let tickers = call.matching().book_tickers(instruments).await?;
    let mut rows = Vec::with_capacity(tickers.len());
    for ticker in &tickers {
        rows.push(BookTickerRow::of(call.info(ticker.instrument)?, ticker));
    }
    one_or_all(&rows, single)
}

/// `ticker/price` and `ticker.price`.
pub async fn price(call: &Call<'_>) -> Result<Answer, Refusal> {
    let (instruments, single) = call.instruments()?;
    let prices = call.matching().prices(instruments.clone()).await?;
    let mut rows = Vec::with_capacity(prices.len());
    for (instrument, ticks) in instruments.into_iter().zip(prices) {
        rows.push(PriceRow::of(call.info(instrument)?, ticks));
    }
    one_or_all(&rows, single)
}

/// Weight of `ticker/24hr` by how many symbols it is about.
pub fn ticker_24hr_weight(params: &Params) -> u32 {
    let listed = params.get("symbols").map(|list| list.matches(',').count() + 1);
    match (params.get("symbol"), listed) {
        (Some(_), _) | (None, Some(0..=20)) => 2,
        (None, Some(21..=100)) => 40,
        (None, _) => 80,
    }
}

/// Weight of `ticker/price` and `ticker/bookTicker`.
pub fn ticker_weight(params: &Params) -> u32 {
    if params.get("symbol").is_some() { 2 } else { 4 }
}

fn one_or_all(rows: &[impl Serialize], single: bool) -> Result<Answer, Refusal> {
    match rows {
        [row] if single => Answer::of(row),
        rows => Answer::of(&rows),
    }
}

fn trade_id(call: &Call<'_>, name: &str) -> Result<Option<u64>, Refusal> {
    Ok(call.params.integer(name)?.map(i64::unsigned_abs))
}
