//! Candles of every interval, of any time, the present one included.
//!
//! A candle is a pure function of (feed, synthetic liquidity, now): closed minutes are the feed's, the present minute
//! is made of the synthetic liquidity's steps so far. So charts are computed beside the matching service and need
//! nothing of its state.
//!
//! Known limitation: clients' trades are not in candles; the path is the synthetic liquidity's.

use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;
use sapphire_core::instrument::{ATOMS_PER_UNIT, Instrument, InstrumentId, Side};
use sapphire_sim::candle::{Candle, MINUTE_NS};
use sapphire_sim::feed::Feed;
use sapphire_sim::liquidity::{LiquidityStep, STEPS_PER_MINUTE, SyntheticLiquidity};

use super::api::{Kline, KlinesQuery, MAX_ROWS, MatchingError};

const HOUR_NS: i64 = 60 * MINUTE_NS;

/// Candles put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) open: i64,
    pub(crate) high: i64,
    pub(crate) low: i64,
    pub(crate) close: i64,
    pub(crate) volume_lots: i64,
    pub(crate) quote_atoms: i128,
    pub(crate) trades: u64,
}

impl Sum {
    fn of(candle: &Candle, instrument: &Instrument, trades: u64) -> Self {
        let typical = i128::from(candle.high) + i128::from(candle.low) + i128::from(candle.close);
        let lot_value = i128::from(instrument.tick_atoms) * i128::from(instrument.lot_atoms);
        let quote_atoms = typical * lot_value * i128::from(candle.volume) / i128::from(3 * ATOMS_PER_UNIT);
        let Candle { open, high, low, close, volume, .. } = *candle;
        Self { open, high, low, close, volume_lots: volume, quote_atoms, trades }
    }

    pub(crate) fn extend(&mut self, later: &Self) {
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.volume_lots += later.volume_lots;
        self.quote_atoms += later.quote_atoms;
        self.trades += later.trades;
    }

    pub(crate) fn kline(&self, open_ns: i64, end_ns: i64, now_ns: i64) -> Kline {
        Kline {
            open_ns,
            end_ns,
            open: self.open,
            high: self.high,
            low: self.low,
            close: self.close,
            volume_lots: self.volume_lots,
            quote_atoms: self.quote_atoms,
            trades: self.trades,
            taker_buy_lots: self.volume_lots / 2,
            taker_buy_quote_atoms: self.quote_atoms / 2,
            closed: end_ns <= now_ns,
        }
    }
}

/// Puts `later` behind what there is.
pub(crate) fn append(sum: &mut Option<Sum>, later: Option<Sum>) {
    match (sum.as_mut(), later) {
        (Some(sum), Some(later)) => sum.extend(&later),
        (None, later) => *sum = later,
        (Some(_), None) => {}
    }
}

/// The minute that holds a time.
pub(crate) fn minute_of(at_ns: i64) -> i64 {
    at_ns - at_ns.rem_euclid(MINUTE_NS)
}

/// What one symbol's charts are made from.
#[derive(Debug)]
struct Row {
    feed: Feed,
    liquidity: SyntheticLiquidity,
    instrument: Instrument,
    listed_ns: i64,
}

/// Charts of all symbols; cloned handles share one cache of closed hours.
#[derive(Clone, Debug)]
pub struct ChartRoom {
    rows: Arc<Vec<Row>>,
    hours: Arc<Mutex<Hours>>,
}

/// Closed hours, by instrument and open time.
type Hours = FxHashMap<(u16, i64), Option<Sum>>;

impl ChartRoom {
    /// Charts of `(symbol, feed, instrument, listing time)` under a seed.
    pub(crate) fn new<'a>(rows: impl Iterator<Item = (&'a str, Feed, Instrument, i64)>, seed: u64) -> Self {
        let rows = rows
            .map(|(symbol, feed, instrument, listed_ns)| Row {
                liquidity: SyntheticLiquidity::new(seed, symbol, instrument),
                feed,
                instrument,
                listed_ns,
            })
            .collect();
        Self { rows: Arc::new(rows), hours: Arc::default() }
    }

    /// Answers a query off the caller's thread.
    pub(crate) async fn klines(&self, query: KlinesQuery, now_ns: i64) -> Result<Vec<Kline>, MatchingError> {
        let room = self.clone();
        let task = tokio::task::spawn_blocking(move || room.compute(&query, now_ns));
        task.await.map_err(|_| MatchingError::Closed)?
    }

    /// Answers a query.
    pub(crate) fn compute(&self, query: &KlinesQuery, now_ns: i64) -> Result<Vec<Kline>, MatchingError> {
        let row = self.row(query.instrument).ok_or(MatchingError::UnknownInstrument)?;
        let interval = query.interval;
        let limit = query.limit.min(MAX_ROWS);
        let last_ns = interval.open_ns(query.end_ns.map_or(now_ns, |end_ns| end_ns.min(now_ns)));
        let listed_ns = interval.open_ns(row.listed_ns);
        let first_ns = match query.start_ns {
            Some(start_ns) if start_ns > listed_ns => {
                let open_ns = interval.open_ns(start_ns);
                if open_ns == start_ns { open_ns } else { interval.end_ns(open_ns) }
            }
            Some(_) => listed_ns,
            None => interval.back_ns(last_ns, limit as i64 - 1).max(listed_ns),
        };
        let mut klines = Vec::new();
        let mut open_ns = first_ns;
        while klines.len() < limit && open_ns <= last_ns {
            let found = self.batch(query, open_ns, last_ns, limit - klines.len(), now_ns);
            klines.extend(found.klines);
            open_ns = found.next_ns;
        }
        Ok(klines)
    }

    /// At most `limit` candles from `open_ns` on, and where to go on; jumps over a gap.
    fn batch(&self, query: &KlinesQuery, open_ns: i64, last_ns: i64, limit: usize, now_ns: i64) -> Batch {
        let Some(row) = self.row(query.instrument) else { return Batch::end() };
        let interval = query.interval;
        let Some(next) = row.feed.next_minute(open_ns) else { return Batch::end() };
        let mut open_ns = interval.open_ns(next.open_ns).max(open_ns);
        let mut klines = Vec::new();
        if interval.end_ns(open_ns) - open_ns >= HOUR_NS {
            while klines.len() < limit && open_ns <= last_ns {
                let end_ns = interval.end_ns(open_ns);
                let sum = self.closed(query.instrument, open_ns, end_ns.min(minute_of(now_ns)));
                klines.extend(self.with_present(query.instrument, sum, open_ns, end_ns, now_ns));
                open_ns = end_ns;
            }
            return Batch { klines, next_ns: open_ns };
        }
        let span_ns = interval.end_ns(open_ns) - open_ns;
        let upto_ns = last_ns.min(open_ns + span_ns * (limit as i64 - 1)) + span_ns;
        let mut minutes = row.feed.minutes(open_ns, upto_ns.min(minute_of(now_ns))).into_iter().peekable();
        while open_ns < upto_ns {
            let end_ns = open_ns + span_ns;
            let mut sum = None;
            while let Some(minute) = minutes.next_if(|minute| minute.open_ns < end_ns) {
                append(&mut sum, Some(Sum::of(&minute, &row.instrument, STEPS_PER_MINUTE as u64)));
            }
            klines.extend(self.with_present(query.instrument, sum, open_ns, end_ns, now_ns));
            open_ns = end_ns;
        }
        Batch { klines, next_ns: open_ns }
    }

    fn with_present(
        &self,
        instrument: InstrumentId,
        mut sum: Option<Sum>,
        open_ns: i64,
        end_ns: i64,
        now_ns: i64,
    ) -> Option<Kline> {
        if (open_ns..end_ns).contains(&now_ns) {
            append(&mut sum, self.present_minute(instrument, now_ns));
        }
        sum.map(|sum| sum.kline(open_ns, end_ns, now_ns))
    }

    /// All closed minutes that open in `[from_ns, to_ns)`; the caller sees to it that they have closed.
    pub(crate) fn closed(&self, instrument: InstrumentId, from_ns: i64, to_ns: i64) -> Option<Sum> {
        let row = self.row(instrument)?;
        let mut sum = None;
        let mut at_ns = from_ns;
        while at_ns < to_ns {
            let hour_end_ns = at_ns - at_ns.rem_euclid(HOUR_NS) + HOUR_NS;
            let is_whole = at_ns.rem_euclid(HOUR_NS) == 0 && hour_end_ns <= to_ns;
            let upto_ns = hour_end_ns.min(to_ns);
            append(&mut sum, if is_whole { self.hour(instrument, row, at_ns) } else { row.sum(at_ns, upto_ns) });
            at_ns = upto_ns;
        }
        sum
    }

    fn hour(&self, instrument: InstrumentId, row: &Row, hour_ns: i64) -> Option<Sum> {
        let key = (instrument.0, hour_ns);
        if let Some(kept) = self.hours.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return *kept;
        }
        let sum = row.sum(hour_ns, hour_ns + HOUR_NS);
        self.hours.lock().unwrap_or_else(PoisonError::into_inner).insert(key, sum);
        sum
    }

    /// The minute that holds `now_ns`, as far as the synthetic liquidity has walked it.
    pub(crate) fn present_minute(&self, instrument: InstrumentId, now_ns: i64) -> Option<Sum> {
        let row = self.row(instrument)?;
        let minute_ns = minute_of(now_ns);
        let whole = row.feed.minutes(minute_ns, minute_ns + MINUTE_NS).first().copied()?;
        let steps = row.liquidity.steps(&whole);
        let passed = steps.iter().take_while(|step| step.time_ns <= now_ns).count();
        let mut candle = Candle { high: whole.open, low: whole.open, close: whole.open, ..whole };
        for price in steps[..passed].iter().filter_map(price) {
            let price = price.clamp(whole.low, whole.high);
            candle.high = candle.high.max(price);
            candle.low = candle.low.min(price);
            candle.close = price;
        }
        let volume = i128::from(whole.volume) * passed as i128 / STEPS_PER_MINUTE as i128;
        candle.volume = volume as i64;
        Some(Sum::of(&candle, &row.instrument, passed as u64))
    }

    /// Closed minutes that open in `[from_ns, to_ns)`, one by one.
    pub(crate) fn minutes(&self, instrument: InstrumentId, from_ns: i64, to_ns: i64) -> Vec<(i64, Sum)> {
        let Some(row) = self.row(instrument) else { return Vec::new() };
        let minutes = row.feed.minutes(from_ns, to_ns).into_iter();
        minutes.map(|minute| (minute.open_ns, Sum::of(&minute, &row.instrument, STEPS_PER_MINUTE as u64))).collect()
    }

    fn row(&self, instrument: InstrumentId) -> Option<&Row> {
        self.rows.get(instrument.0 as usize)
    }
}

impl Row {
    fn sum(&self, from_ns: i64, to_ns: i64) -> Option<Sum> {
        let mut sum = None;
        for minute in self.feed.minutes(from_ns, to_ns) {
            append(&mut sum, Some(Sum::of(&minute, &self.instrument, STEPS_PER_MINUTE as u64)));
        }
        sum
    }
}

struct Batch {
    klines: Vec<Kline>,
    next_ns: i64,
}

impl Batch {
    fn end() -> Self {
        Self { klines: Vec::new(), next_ns: i64::MAX }
    }
}

/// Where a step's taker trades: the best quote that it meets.
fn price(step: &LiquidityStep) -> Option<i64> {
    let met = step.taker.map_or(Side::Buy, |taker| taker.side.opposite());
    step.quotes.iter().find(|quote| quote.side == met).map(|quote| quote.ticks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floor::Floor;
    use crate::matching::api::Interval;

    /// 2024-03-01T00:00Z.
    const DAY_NS: i64 = 1_709_251_200_000_000_000;

    fn room() -> ChartRoom {
        let floor = Floor::lay_out(&["BTCUSDT".into()], 7, None, true).unwrap();
        let info = &floor.catalog.symbols()[0];
        let row = (info.symbol.as_str(), floor.feeds[0].clone(), info.instrument, info.listed_ns);
        ChartRoom::new(std::iter::once(row), 7)
    }

    fn query(interval: &str, start_ns: Option<i64>, end_ns: Option<i64>, limit: usize) -> KlinesQuery {
        let interval = Interval::parse(interval).unwrap();
        KlinesQuery { instrument: InstrumentId(0), interval, start_ns, end_ns, limit }
    }

    #[test]
    fn long_candles_are_their_minutes() {
        let room = room();
        let now_ns = DAY_NS + 17 * HOUR_NS;
        let minutes = room.compute(&query("1m", Some(DAY_NS), None, 240), now_ns).unwrap();
        assert_eq!(minutes.len(), 240);
        for (interval, span) in [("5m", 5), ("1h", 60), ("4h", 240)] {
            let grouped = room.compute(&query(interval, Some(DAY_NS), None, 240 / span), now_ns).unwrap();
            for (kline, parts) in grouped.iter().zip(minutes.chunks(span)) {
                assert_eq!(kline.open, parts[0].open);
                assert_eq!(kline.close, parts[span - 1].close);
                assert_eq!(kline.high, parts.iter().map(|part| part.high).max().unwrap());
                assert_eq!(kline.low, parts.iter().map(|part| part.low).min().unwrap());
                assert_eq!(kline.volume_lots, parts.iter().map(|part| part.volume_lots).sum::<i64>());
                assert_eq!(kline.quote_atoms, parts.iter().map(|part| part.quote_atoms).sum::<i128>());
                assert!(kline.closed);
            }
        }
    }

    #[test]
    fn the_present_candle_grows_into_the_closed_one_and_knows_no_future() {
        let room = room();
        let closed = room.compute(&query("1m", Some(DAY_NS), None, 1), DAY_NS + MINUTE_NS).unwrap()[0];
        let mut before: Option<Kline> = None;
        for second in 0..60 {
            let now_ns = DAY_NS + second * 1_000_000_000;
            let present = room.compute(&query("1m", None, None, 1), now_ns).unwrap()[0];
            assert!(!present.closed && present.open == closed.open);
            assert!(present.high <= closed.high && present.low >= closed.low);
            assert!(present.volume_lots <= closed.volume_lots);
            if let Some(before) = before {
                assert!(present.high >= before.high && present.low <= before.low);
                assert!(present.volume_lots >= before.volume_lots);
            }
            before = Some(present);
        }
        let last = before.unwrap();
        assert_eq!((last.high, last.low, last.close), (closed.high, closed.low, closed.close));
    }

    #[test]
    fn the_beginning_of_time_is_the_listing() {
        let room = room();
        let first = room.compute(&query("1d", Some(0), None, 2), DAY_NS).unwrap();
        assert_eq!(first[0].open_ns / 1_000_000_000, 1_502_928_000, "2017-08-17T00:00Z");
        assert_eq!(first[1].open_ns - first[0].open_ns, 24 * HOUR_NS);
        assert_eq!(room.compute(&query("1d", Some(0), Some(0), 2), DAY_NS).unwrap(), []);
    }

    #[test]
    fn without_a_start_the_latest_come() {
        let room = room();
        let now_ns = DAY_NS + 90 * MINUTE_NS + 1;
        let klines = room.compute(&query("1h", None, None, 3), now_ns).unwrap();
        let opens: Vec<i64> = klines.iter().map(|kline| (kline.open_ns - DAY_NS) / HOUR_NS).collect();
        assert_eq!(opens, [-1, 0, 1]);
        assert_eq!(klines.iter().map(|kline| kline.closed).collect::<Vec<_>>(), [true, true, false]);
        let until = room.compute(&query("1h", None, Some(DAY_NS), 2), now_ns).unwrap();
        assert_eq!(until.last().map(|kline| kline.open_ns), Some(DAY_NS));
    }
}
