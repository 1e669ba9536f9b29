//! The last 24 hours of one symbol, kept as minutes.

use std::collections::VecDeque;

use sapphire_core::instrument::InstrumentId;
use sapphire_sim::candle::MINUTE_NS;

use super::api::{BookTicker, Ticker24h};
use super::charts::{ChartRoom, Sum, append, minute_of};
use super::tape::Tape;

const DAY_NS: i64 = 24 * 60 * MINUTE_NS;

/// Closed minutes of the last 24 hours and the one before them.
#[derive(Debug)]
pub(crate) struct DayWindow {
    instrument: InstrumentId,
    minutes: VecDeque<(i64, Sum)>,
    upto_ns: i64,
}

impl DayWindow {
    pub(crate) fn new(instrument: InstrumentId) -> Self {
        Self { instrument, minutes: VecDeque::new(), upto_ns: i64::MIN }
    }

    /// The statistics at a time; none before the first candle.
    pub(crate) fn ticker(
        &mut self,
        charts: &ChartRoom,
        tape: &Tape,
        best: &BookTicker,
        now_ns: i64,
    ) -> Option<Ticker24h> {
        self.roll(charts, now_ns);
        let first_ns = minute_of(now_ns) - DAY_NS;
        let mut sum = None;
        for (_, minute) in self.minutes.iter().filter(|(open_ns, _)| *open_ns >= first_ns) {
            append(&mut sum, Some(*minute));
        }
        append(&mut sum, charts.present_minute(self.instrument, now_ns));
        let sum = sum?;
        let before = self.minutes.front().filter(|(open_ns, _)| *open_ns < first_ns);
        let last = tape.last();
        let price = last.map_or(sum.close, |trade| trade.ticks);
        let ids = tape.ids_since(now_ns - DAY_NS);
        Some(Ticker24h {
            instrument: self.instrument,
            open_ns: now_ns - DAY_NS,
            close_ns: now_ns,
            open: sum.open,
            high: sum.high.max(price),
            low: sum.low.min(price),
            last: price,
            last_lots: last.map_or(0, |trade| trade.lots),
            previous_close: before.map_or(sum.open, |(_, minute)| minute.close),
            volume_lots: sum.volume_lots,
            quote_atoms: sum.quote_atoms,
            first_trade_id: ids.map(|(first, _)| first),
            last_trade_id: ids.map(|(_, last)| last),
            bid: best.bid,
            ask: best.ask,
        })
    }

    fn roll(&mut self, charts: &ChartRoom, now_ns: i64) {
        let upto_ns = minute_of(now_ns);
        let keep_ns = upto_ns - DAY_NS - MINUTE_NS;
        let from_ns = self.upto_ns.max(keep_ns);
        if from_ns < upto_ns {
            self.minutes.extend(charts.minutes(self.instrument, from_ns, upto_ns));
            self.upto_ns = upto_ns;
        }
        while self.minutes.front().is_some_and(|(open_ns, _)| *open_ns < keep_ns) {
            self.minutes.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floor::Floor;
    use crate::matching::api::{Interval, KlinesQuery};

    #[test]
    fn at_midnight_the_window_is_the_day_that_ended() {
        let floor = Floor::lay_out(&["ETHUSDT".into()], 3, None, true).unwrap();
        let info = &floor.catalog.symbols()[0];
        let row = (info.symbol.as_str(), floor.feeds[0].clone(), info.instrument, info.listed_ns);
        let charts = ChartRoom::new(std::iter::once(row), 3);
        let midnight_ns = 1_709_251_200_000_000_000;
        let best = BookTicker { instrument: InstrumentId(0), update_id: 0, bid: None, ask: None, time_ns: midnight_ns };
        let mut window = DayWindow::new(InstrumentId(0));
        let before_ns = midnight_ns - 3 * MINUTE_NS;
        window.ticker(&charts, &Tape::default(), &best, before_ns);
        // A nanosecond before midnight everything but the last minute's rest is closed.
        let rolled = window.ticker(&charts, &Tape::default(), &best, midnight_ns - 1).unwrap();
        let fresh = DayWindow::new(InstrumentId(0)).ticker(&charts, &Tape::default(), &best, midnight_ns - 1).unwrap();
        assert_eq!(rolled, fresh, "rolling on and starting afresh are the same");
        let interval = Interval::parse("1d").unwrap();
        let query = KlinesQuery {
            instrument: InstrumentId(0),
            interval,
            start_ns: Some(midnight_ns - DAY_NS),
            end_ns: None,
            limit: 1,
        };
        let day = charts.compute(&query, midnight_ns).unwrap()[0];
        assert_eq!(rolled.last, day.close);
        assert!(rolled.high >= day.high && rolled.low <= day.low && rolled.volume_lots >= day.volume_lots);
        assert!(rolled.previous_close > 0 && rolled.close_ns - rolled.open_ns == DAY_NS);
    }
}
