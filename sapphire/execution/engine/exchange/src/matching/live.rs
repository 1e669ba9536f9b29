//! Candles that somebody watches.
//!
//! Invariant: a watched candle is announced once as closed, with the feed's final numbers, and never after.

use std::collections::BTreeMap;

use sapphire_core::instrument::InstrumentId;

use super::announce::Stream;
use super::api::{Interval, KlineUpdate, Subscription};
use super::charts::{ChartRoom, Sum, append, minute_of};
use super::tape::Tape;

/// All watched candles.
#[derive(Debug, Default)]
pub(crate) struct LiveKlines {
    watched: BTreeMap<(u16, Interval), Watched>,
}

#[derive(Debug)]
struct Watched {
    stream: Stream<KlineUpdate>,
    open_ns: i64,
    /// Closed minutes of the candle, up to `upto_ns`.
    sum: Option<Sum>,
    upto_ns: i64,
}

impl LiveKlines {
    /// Watches a candle from now on.
    pub(crate) fn subscribe(
        &mut self,
        instrument: InstrumentId,
        interval: Interval,
        charts: &ChartRoom,
        now_ns: i64,
    ) -> Subscription<KlineUpdate> {
        let fresh = || {
            let open_ns = interval.open_ns(now_ns);
            let upto_ns = minute_of(now_ns);
            Watched { stream: Stream::new(), open_ns, sum: charts.closed(instrument, open_ns, upto_ns), upto_ns }
        };
        let watched = self.watched.entry((instrument.0, interval)).or_insert_with(fresh);
        watched.stream.subscribe()
    }

    /// Somebody watches.
    pub(crate) fn is_watched(&self) -> bool {
        !self.watched.is_empty()
    }

    /// When the first of the present candles ends.
    pub(crate) fn next_end_ns(&self) -> Option<i64> {
        let heard = self.watched.iter().filter(|(_, watched)| watched.stream.is_heard());
        heard.map(|((_, interval), watched)| interval.end_ns(watched.open_ns)).min()
    }

    /// Forgets candles that nobody watches any more.
    pub(crate) fn prune(&mut self) {
        self.watched.retain(|_, watched| watched.stream.is_heard());
    }

    /// Announces what closed up to `now_ns`, and the present candle of each symbol that moved.
    pub(crate) fn announce(&mut self, charts: &ChartRoom, tapes: &[Tape], moved: &[bool], now_ns: i64) {
        for ((index, interval), watched) in &mut self.watched {
            let instrument = InstrumentId(*index);
            let at = usize::from(*index);
            watched.roll(instrument, *interval, charts, &tapes[at], now_ns);
            if moved[at] {
                let mut sum = watched.sum;
                append(&mut sum, charts.present_minute(instrument, now_ns));
                watched.send(instrument, *interval, sum, &tapes[at], now_ns);
            }
            watched.stream.let_catch_up();
        }
    }
}

impl Watched {
    /// Takes the minutes in that closed, and announces each candle that they completed.
    fn roll(&mut self, instrument: InstrumentId, interval: Interval, charts: &ChartRoom, tape: &Tape, now_ns: i64) {
        let closed_ns = minute_of(now_ns);
        if closed_ns == self.upto_ns {
            return;
        }
        for (minute_ns, minute) in charts.minutes(instrument, self.upto_ns, closed_ns) {
            self.close_before(minute_ns, instrument, interval, tape, now_ns);
            append(&mut self.sum, Some(minute));
        }
        self.upto_ns = closed_ns;
        self.close_before(closed_ns, instrument, interval, tape, now_ns);
    }

    /// Announces the candle if it ended by `at_ns`, and begins the one that holds `at_ns`.
    fn close_before(&mut self, at_ns: i64, instrument: InstrumentId, interval: Interval, tape: &Tape, now_ns: i64) {
        if interval.end_ns(self.open_ns) > at_ns {
            return;
        }
        let sum = self.sum.take();
        self.send(instrument, interval, sum, tape, now_ns);
        self.open_ns = interval.open_ns(at_ns);
    }

    fn send(&self, instrument: InstrumentId, interval: Interval, sum: Option<Sum>, tape: &Tape, now_ns: i64) {
        let Some(sum) = sum else { return };
        let end_ns = interval.end_ns(self.open_ns);
        self.stream.send(|| KlineUpdate {
            instrument,
            interval,
            kline: sum.kline(self.open_ns, end_ns, now_ns),
            trade_ids: tape.ids_within(self.open_ns, end_ns),
            time_ns: now_ns,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floor::Floor;
    use crate::matching::api::KlinesQuery;

    const MINUTE_NS: i64 = 60_000_000_000;
    /// 2024-03-01T00:00Z.
    const DAY_NS: i64 = 1_709_251_200_000_000_000;

    #[tokio::test]
    async fn each_candle_closes_once_with_the_numbers_of_the_chart() {
        let floor = Floor::lay_out(&["BTCUSDT".into()], 7, None, true).unwrap();
        let info = &floor.catalog.symbols()[0];
        let row = (info.symbol.as_str(), floor.feeds[0].clone(), info.instrument, info.listed_ns);
        let charts = ChartRoom::new(std::iter::once(row), 7);
        let interval = Interval::parse("3m").unwrap();
        let mut live = LiveKlines::default();
        let mut events = live.subscribe(InstrumentId(0), interval, &charts, DAY_NS + MINUTE_NS);
        // Steps every 5 s, with a hole of four minutes.
        for second in (60..400).chain(640..800).step_by(5) {
            live.announce(&charts, &[Tape::default()], &[true], DAY_NS + second * 1_000_000_000);
        }
        drop(live);
        let mut closed = Vec::new();
        while let Ok(event) = events.next().await {
            if event.kline.closed {
                closed.push(event.kline);
            } else {
                assert_ne!(closed.last().map(|kline| kline.open_ns), Some(event.kline.open_ns));
            }
        }
        let query =
            KlinesQuery { instrument: InstrumentId(0), interval, start_ns: Some(DAY_NS), end_ns: None, limit: 4 };
        assert_eq!(closed, charts.compute(&query, DAY_NS + 12 * MINUTE_NS).unwrap());
    }
}
