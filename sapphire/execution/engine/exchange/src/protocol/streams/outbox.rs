//! Which events of a symbol become which messages of a socket, and when.
//!
//! Streams of one second gather what the matching service announces every 100 ms; tickers of all symbols gather what
//! one instant brings. What is gathered goes out when market time has moved on by the stream's speed, or on the socket's
//! own timer when it has not, so nothing waits for ever while market time stands.

use std::time::{Duration, Instant};

use sapphire_core::instrument::InstrumentId;
use serde::Serialize;

use super::name::{Stream, Topic, UpdateSpeed};
use crate::matching::api::{Catalog, DepthDiff, KlineUpdate, MarketUpdate, SymbolInfo, Ticker24h};
use crate::protocol::payload::stream::{
    AggTradeEvent, BookTickerEvent, DepthEvent, KlineEvent, MiniTickerEvent, TickerEvent, TradeEvent,
};

/// The interval of a slow stream, market nanoseconds.
const SECOND_NS: i64 = 1_000_000_000;
/// How long tickers of all symbols are gathered for one message.
const GATHERING: Duration = Duration::from_millis(20);
/// How long gathered changes wait for market time to move on.
const PATIENCE: Duration = Duration::from_secs(1);

/// Something to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A finished payload of a stream.
    Ready {
        /// Place of the stream among the socket's.
        stream: usize,
        /// JSON.
        json: String,
    },
    /// The best levels of a symbol, to be asked of the matching service.
    Levels {
        /// Place of the stream among the socket's.
        stream: usize,
        /// Symbol.
        instrument: InstrumentId,
        /// How many.
        levels: usize,
    },
}

/// A running stream and what it has gathered.
#[derive(Debug)]
struct Running {
    stream: Stream,
    gathered: Gathered,
    emitted_ns: i64,
}

#[derive(Debug)]
enum Gathered {
    Nothing,
    Diff(DepthDiff),
    Levels(InstrumentId, i64),
    Tickers(Vec<Ticker24h>),
}

/// The streams of one socket.
#[derive(Debug, Default)]
pub struct Outbox {
    running: Vec<Running>,
    deadline: Option<Instant>,
}

impl Outbox {
    /// Begins a stream; one that runs already goes on.
    pub fn begin(&mut self, stream: Stream) {
        if !self.running.iter().any(|running| running.stream.name == stream.name) {
            self.running.push(Running { stream, gathered: Gathered::Nothing, emitted_ns: 0 });
        }
    }

    /// Ends a stream.
    pub fn end(&mut self, name: &str) {
        self.running.retain(|running| running.stream.name != name);
    }

    /// The running streams.
    pub fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.running.iter().map(|running| &running.stream)
    }

    /// Name of a stream by its place.
    pub fn name(&self, stream: usize) -> &str {
        self.running.get(stream).map_or("", |running| running.stream.name.as_str())
    }

    /// What an event of a symbol gives, at `now` of the socket's own timer.
    pub fn market(
        &mut self,
        catalog: &Catalog,
        instrument: InstrumentId,
        update: &MarketUpdate,
        now: Instant,
    ) -> Vec<Message> {
        let Some(symbol) = catalog.symbol(instrument) else { return Vec::new() };
        let mut out = Vec::new();
        for (stream, running) in self.running.iter_mut().enumerate() {
            if running.stream.is_about(instrument) {
                out.extend(running.take(stream, symbol, instrument, update));
            }
        }
        let patience = self.running.iter().filter_map(Running::patience).min();
        let due = patience.map(|patience| now + patience);
        self.deadline = due.map(|due| self.deadline.map_or(due, |deadline| deadline.min(due)));
        out
    }

    /// What a change of a candle gives.
    pub fn kline(&self, catalog: &Catalog, update: &KlineUpdate) -> Vec<Message> {
        let Some(symbol) = catalog.symbol(update.instrument) else { return Vec::new() };
        let wanted = |running: &Running| {
            running.stream.topic == Topic::Kline(update.interval) && running.stream.is_about(update.instrument)
        };
        let streams = self.running.iter().enumerate().filter(|(_, running)| wanted(running));
        streams.filter_map(|(stream, _)| ready(stream, &KlineEvent::of(symbol, update))).collect()
    }

    /// When [`Outbox::flush`] is due; none when nothing is gathered.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Everything gathered.
    pub fn flush(&mut self, catalog: &Catalog) -> Vec<Message> {
        self.deadline = None;
        let running = self.running.iter_mut().enumerate();
        running.filter_map(|(stream, running)| running.flush(stream, catalog)).collect()
    }
}

impl Running {
    fn take(
        &mut self,
        stream: usize,
        symbol: &SymbolInfo,
        instrument: InstrumentId,
        update: &MarketUpdate,
    ) -> Option<Message> {
        match (self.stream.topic, update) {
            (Topic::Trade, MarketUpdate::Trade(trade)) => ready(stream, &TradeEvent::of(symbol, trade)),
            (Topic::AggTrade, MarketUpdate::AggTrade(trade)) => ready(stream, &AggTradeEvent::of(symbol, trade)),
            (Topic::BookTicker, MarketUpdate::BookTicker(ticker)) => {
                ready(stream, &BookTickerEvent::of(symbol, ticker))
            }
            (Topic::Ticker, MarketUpdate::Ticker(ticker)) => ready(stream, &TickerEvent::of(symbol, ticker)),
            (Topic::MiniTicker, MarketUpdate::Ticker(ticker)) => ready(stream, &MiniTickerEvent::of(symbol, ticker)),
            (Topic::AllTickers | Topic::AllMiniTickers, MarketUpdate::Ticker(ticker)) => {
                self.gather_ticker(*ticker);
                None
            }
            (Topic::Depth(UpdateSpeed::Fast), MarketUpdate::Depth(diff)) => {
                ready(stream, &DepthEvent::of(symbol, diff))
            }
            (Topic::Depth(UpdateSpeed::Slow), MarketUpdate::Depth(diff)) => self.gather_diff(stream, symbol, diff),
            (Topic::Levels(levels, update_speed), MarketUpdate::Depth(diff)) => {
                if update_speed == UpdateSpeed::Slow && diff.time_ns - self.emitted_ns < SECOND_NS {
                    self.gathered = Gathered::Levels(instrument, diff.time_ns);
                    return None;
                }
                self.gathered = Gathered::Nothing;
                self.emitted_ns = diff.time_ns;
                Some(Message::Levels { stream, instrument, levels })
            }
            _ => None,
        }
    }

    /// How long what is gathered may wait.
    fn patience(&self) -> Option<Duration> {
        match self.gathered {
            Gathered::Nothing => None,
            Gathered::Tickers(_) => Some(GATHERING),
            Gathered::Diff(_) | Gathered::Levels(..) => Some(PATIENCE),
        }
    }

    fn gather_ticker(&mut self, ticker: Ticker24h) {
        match &mut self.gathered {
            Gathered::Tickers(tickers) => {
                tickers.retain(|known| known.instrument != ticker.instrument);
                tickers.push(ticker);
            }
            gathered => *gathered = Gathered::Tickers(vec![ticker]),
        }
    }

    /// Puts a diff behind those gathered; all of them go out when the stream last spoke a second ago.
    fn gather_diff(&mut self, stream: usize, symbol: &SymbolInfo, diff: &DepthDiff) -> Option<Message> {
        let whole = match std::mem::replace(&mut self.gathered, Gathered::Nothing) {
            Gathered::Diff(earlier) => merged(earlier, diff),
            _ => diff.clone(),
        };
        if diff.time_ns - self.emitted_ns < SECOND_NS {
            self.gathered = Gathered::Diff(whole);
            return None;
        }
        self.emitted_ns = diff.time_ns;
        ready(stream, &DepthEvent::of(symbol, &whole))
    }

    fn flush(&mut self, stream: usize, catalog: &Catalog) -> Option<Message> {
        match std::mem::replace(&mut self.gathered, Gathered::Nothing) {
            Gathered::Nothing => None,
            Gathered::Diff(diff) => {
                self.emitted_ns = diff.time_ns;
                ready(stream, &DepthEvent::of(catalog.symbol(diff.instrument)?, &diff))
            }
            Gathered::Levels(instrument, time_ns) => {
                self.emitted_ns = time_ns;
                let Topic::Levels(levels, _) = self.stream.topic else { return None };
                Some(Message::Levels { stream, instrument, levels })
            }
            Gathered::Tickers(tickers) => {
                let known = tickers.iter().filter_map(|ticker| Some((catalog.symbol(ticker.instrument)?, ticker)));
                if self.stream.topic == Topic::AllTickers {
                    ready(stream, &known.map(|(symbol, ticker)| TickerEvent::of(symbol, ticker)).collect::<Vec<_>>())
                } else {
                    let tickers = known.map(|(symbol, ticker)| MiniTickerEvent::of(symbol, ticker));
                    ready(stream, &tickers.collect::<Vec<_>>())
                }
            }
        }
    }
}

/// Two diffs in a row as one: the later quantity of a level counts.
fn merged(mut earlier: DepthDiff, later: &DepthDiff) -> DepthDiff {
    for (side, changes, falling) in [(&mut earlier.bids, &later.bids, true), (&mut earlier.asks, &later.asks, false)] {
        side.retain(|(ticks, _)| !changes.iter().any(|(changed, _)| changed == ticks));
        side.extend_from_slice(changes);
        side.sort_unstable_by_key(|(ticks, _)| if falling { -*ticks } else { *ticks });
    }
    earlier.last_update_id = later.last_update_id;
    earlier.time_ns = later.time_ns;
    earlier
}

fn ready(stream: usize, payload: &impl Serialize) -> Option<Message> {
    serde_json::to_string(payload).ok().map(|json| Message::Ready { stream, json })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(ids: (u64, u64), bids: &[(i64, i64)], time_ns: i64) -> DepthDiff {
        DepthDiff {
            instrument: InstrumentId(0),
            first_update_id: ids.0,
            last_update_id: ids.1,
            bids: bids.to_vec(),
            asks: Vec::new(),
            time_ns,
        }
    }

    #[test]
    fn merged_diffs_leave_no_hole_and_keep_the_later_quantity() {
        let whole = merged(diff((5, 7), &[(101, 4), (100, 1)], 1), &diff((8, 9), &[(102, 2), (100, 0)], 2));
        assert_eq!(whole, diff((5, 9), &[(102, 2), (101, 4), (100, 0)], 2));
    }
}
