//! The recorded market: candles of a venue, split into minutes.
//!
//! Invariant: the minutes of a candle, put together again, are that candle exactly; gaps stay gaps; the same seed
//! gives the same minutes. Within a candle the path goes from open to close by way of high and low, in an order that
//! the seed decides; what lies between is a bridge, not data.

use super::normal::quantile;
use crate::candle::{Candle, MINUTE_NS};
use crate::hash::{mix, symbol_key, uniform};
use crate::listing::TradingRules;

/// Keeps these draws apart from those of other users of the same seed.
const RECORDED_STREAM: u64 = 0x7265_6330;

/// Why recorded candles were refused; `index` counts from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// No candles at all.
    #[error("expected at least one candle, got none")]
    Empty,
    /// The interval is not whole minutes.
    #[error("expected an interval of whole minutes, got {interval_ns} ns")]
    Interval {
        /// The interval given.
        interval_ns: i64,
    },
    /// A candle that does not open at a multiple of the interval.
    #[error("candle {index} opens at {open_ns} ns, which is no multiple of its interval")]
    Misaligned {
        /// Which.
        index: usize,
        /// Its open time.
        open_ns: i64,
    },
    /// A candle of a time that the engine does not count in.
    #[error("candle {index} opens at {open_ns} ns, before 1970 or after 2262; give nanoseconds since 1970")]
    OutOfTime {
        /// Which.
        index: usize,
        /// Its open time.
        open_ns: i64,
    },
    /// A candle that opens before the one before it.
    #[error("candle {index} opens at {open_ns} ns, before the candle before it; sort them by open time")]
    Unsorted {
        /// Which.
        index: usize,
        /// Its open time.
        open_ns: i64,
    },
    /// Two candles of one open time.
    #[error("candle {index} opens at {open_ns} ns, as the one before it does; keep one of them")]
    Duplicate {
        /// Which.
        index: usize,
        /// Its open time.
        open_ns: i64,
    },
    /// High and low do not embrace open and close, a price is not positive, or the volume is negative.
    #[error("candle {index} is unsound: low <= open, close <= high, low > 0 and volume >= 0 must hold")]
    Unsound {
        /// Which.
        index: usize,
    },
}

/// A recorded symbol.
#[derive(Clone, Debug)]
pub struct RecordedFeed {
    key: u64,
    candles: Vec<Candle>,
    interval_ns: i64,
    is_delisted: bool,
}

impl RecordedFeed {
    /// A feed of recorded candles of one interval.
    ///
    /// # Errors
    /// [`FeedError`] names the first candle that is out of order, repeated, misaligned or unsound.
    pub fn new(seed: u64, symbol: &str, candles: Vec<Candle>, interval_ns: i64) -> Result<Self, FeedError> {
        if interval_ns <= 0 || interval_ns % MINUTE_NS != 0 {
            return Err(FeedError::Interval { interval_ns });
        }
        if candles.is_empty() {
            return Err(FeedError::Empty);
        }
        for (index, candle) in candles.iter().enumerate() {
            let open_ns = candle.open_ns;
            let before_ns = index.checked_sub(1).map(|before| candles[before].open_ns);
            if before_ns == Some(open_ns) {
                return Err(FeedError::Duplicate { index, open_ns });
            }
            if before_ns.is_some_and(|before_ns| before_ns > open_ns) {
                return Err(FeedError::Unsorted { index, open_ns });
            }
            if open_ns < 0 || open_ns.checked_add(interval_ns).is_none() {
                return Err(FeedError::OutOfTime { index, open_ns });
            }
            if open_ns % interval_ns != 0 {
                return Err(FeedError::Misaligned { index, open_ns });
            }
            if !candle.is_sound() {
                return Err(FeedError::Unsound { index });
            }
        }
        Ok(Self { key: mix(seed, &[RECORDED_STREAM, symbol_key(symbol)]), candles, interval_ns, is_delisted: false })
    }

    /// The candles as recorded.
    pub fn recorded(&self) -> &[Candle] {
        &self.candles
    }

    /// The interval they were recorded at.
    pub fn interval_ns(&self) -> i64 {
        self.interval_ns
    }

    /// The end of the last candle, UTC nanoseconds.
    #[must_use]
    pub fn last_ns(&self) -> i64 {
        self.candles.last().map_or(0, |candle| candle.open_ns + self.interval_ns)
    }

    /// Says why the candles end: the symbol was delisted then.
    pub fn delist(&mut self) {
        self.is_delisted = true;
    }

    /// When the market closes; none where nobody said why the candles end.
    pub(super) fn ends_ns(&self) -> Option<i64> {
        self.is_delisted.then(|| self.last_ns())
    }

    /// Counts in coarser steps from now on. What lies before the last price that is no whole number of their ticks is
    /// forgotten: it was traded by other rules. Volumes are cut to whole lots.
    ///
    /// The steps of `rules` are whole numbers of those of `counted`, which the candles are in.
    pub fn count_in(&mut self, counted: TradingRules, rules: TradingRules) {
        let (ticks, lots) = (rules.tick_atoms / counted.tick_atoms, rules.lot_atoms / counted.lot_atoms);
        let prices = |candle: &Candle| [candle.open, candle.high, candle.low, candle.close];
        let off = self.candles.iter().rposition(|candle| prices(candle).iter().any(|price| price % ticks != 0));
        self.candles.drain(..off.map_or(0, |index| index + 1));
        for candle in &mut self.candles {
            for price in [&mut candle.open, &mut candle.high, &mut candle.low, &mut candle.close] {
                *price /= ticks;
            }
            candle.volume /= lots;
        }
    }

    /// Minutes that open in `[from_ns, to_ns)`.
    pub(super) fn minutes(&self, from_ns: i64, to_ns: i64) -> Vec<Candle> {
        let mut minutes = Vec::new();
        for candle in &self.candles[self.first_ending_after(from_ns)..] {
            if candle.open_ns >= to_ns {
                break;
            }
            minutes.extend(self.split(candle).into_iter().filter(|minute| (from_ns..to_ns).contains(&minute.open_ns)));
        }
        minutes
    }

    /// At most `limit` minutes from `at_or_after_ns` on.
    pub(super) fn upcoming(&self, at_or_after_ns: i64, limit: usize) -> Vec<Candle> {
        let mut minutes = Vec::new();
        for candle in &self.candles[self.first_ending_after(at_or_after_ns)..] {
            if minutes.len() >= limit {
                break;
            }
            minutes.extend(self.split(candle).into_iter().filter(|minute| minute.open_ns >= at_or_after_ns));
        }
        minutes.truncate(limit);
        minutes
    }

    fn first_ending_after(&self, time_ns: i64) -> usize {
        self.candles.partition_point(|candle| candle.open_ns + self.interval_ns <= time_ns)
    }

    /// The minutes of one candle.
    fn split(&self, candle: &Candle) -> Vec<Candle> {
        let count = (self.interval_ns / MINUTE_NS) as usize;
        if count == 1 {
            return vec![*candle];
        }
        let key = mix(self.key, &[candle.open_ns as u64]);
        let turns = Turns::draw(key, candle, count);
        let path = turns.path(key, candle, count);
        let volumes = shares(key, candle.volume, count);
        (0..count)
            .map(|minute| {
                let (open, close) = (path[minute], path[minute + 1]);
                Candle {
                    open_ns: candle.open_ns + minute as i64 * MINUTE_NS,
                    open,
                    high: if minute == turns.high { candle.high } else { open.max(close) },
                    low: if minute == turns.low { candle.low } else { open.min(close) },
                    close,
                    volume: volumes[minute],
                }
            })
            .collect()
    }
}

/// The minutes in which a candle's path reaches its high and its low.
#[derive(Clone, Copy)]
struct Turns {
    high: usize,
    low: usize,
}

impl Turns {
    fn draw(key: u64, candle: &Candle, count: usize) -> Self {
        let first = (mix(key, &[1]) % count as u64) as usize;
        let second = (mix(key, &[2]) % count as u64) as usize;
        let (early, late) = (first.min(second), first.max(second));
        // A candle that rises has mostly been low first: three times in four.
        let low_first = (uniform(key, &[3]) < 0.75) == (candle.close >= candle.open);
        if low_first { Self { high: late, low: early } } else { Self { high: early, low: late } }
    }

    /// Prices at the minutes' boundaries: a bridge from open over the turns to close, inside high and low. A turn is
    /// reached within its minute, so the boundaries around it only lean towards it.
    fn path(self, key: u64, candle: &Candle, count: usize) -> Vec<i64> {
        let mut anchors = [(self.low as f64 + 0.5, candle.low), (self.high as f64 + 0.5, candle.high)];
        if self.high < self.low {
            anchors.swap(0, 1);
        }
        let end = (count as f64, candle.close);
        let noise = (candle.high - candle.low) as f64 / (2.0 * (count as f64).sqrt());
        let (low, high) = (candle.low as f64, candle.high as f64);
        let mut path = Vec::with_capacity(count + 1);
        path.push(candle.open);
        let (mut time, mut price) = (0.0, candle.open as f64);
        for boundary in 1..count {
            let here = boundary as f64;
            for (at, ticks) in anchors {
                if time < at && at < here {
                    (time, price) = (at, ticks as f64);
                }
            }
            let (at, ticks) = anchors.into_iter().find(|(at, _)| *at > here).unwrap_or(end);
            let (step, left) = (here - time, at - time);
            let lean = price + (ticks as f64 - price) * step / left;
            let shock = quantile(uniform(key, &[4, boundary as u64])) * noise * (step * (left - step) / left).sqrt();
            (time, price) = (here, (lean + shock).clamp(low, high));
            path.push((price + 0.5) as i64);
        }
        path.push(candle.close);
        path
    }
}

/// `total` cut into `count` uneven parts that sum to it.
fn shares(key: u64, total: i64, count: usize) -> Vec<i64> {
    let weights: Vec<i128> =
        (0..count).map(|part| i128::from((mix(key, &[5, part as u64]) >> 44) + (1 << 19))).collect();
    let whole: i128 = weights.iter().sum();
    let (mut reached, mut given) = (0_i128, 0_i64);
    weights
        .into_iter()
        .map(|weight| {
            reached += weight;
            let upto = (i128::from(total) * reached / whole) as i64;
            let part = upto - given;
            given = upto;
            part
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candle::aggregate;
    use proptest::prelude::*;

    fn candle(open_ns: i64, [open, high, low, close]: [i64; 4], volume: i64) -> Candle {
        Candle { open_ns, open, high, low, close, volume }
    }

    /// Candles of one interval, some of them missing.
    fn recordings() -> impl Strategy<Value = (Vec<Candle>, i64)> {
        let bars = prop::collection::vec(
            (any::<bool>(), 1_i64..10_000_000, 0_i64..3000, 0_i64..3000, 0_i64..3000, 0_i64..i64::MAX),
            1..12,
        );
        (bars, prop::sample::select(vec![1_i64, 3, 5, 15, 60, 240])).prop_map(|(bars, minutes)| {
            let interval_ns = minutes * MINUTE_NS;
            let candles = bars.into_iter().enumerate().filter(|(index, bar)| *index == 0 || bar.0).map(
                |(index, (_, low, to_open, to_close, above, volume))| {
                    let (open, close) = (low + to_open, low + to_close);
                    candle(index as i64 * interval_ns, [open, open.max(close) + above, low, close], volume)
                },
            );
            (candles.collect(), interval_ns)
        })
    }

    proptest! {
        #[test]
        fn the_minutes_are_the_candles((candles, interval_ns) in recordings(), seed: u64) {
            let feed = RecordedFeed::new(seed, "BTCUSDT", candles.clone(), interval_ns).unwrap();
            let minutes = feed.minutes(0, i64::MAX);
            prop_assert!(minutes.iter().all(Candle::is_sound));
            for pair in minutes.windows(2) {
                let whole = pair[1].open_ns % interval_ns == 0;
                prop_assert!(whole || (pair[0].close == pair[1].open && pair[0].open_ns + MINUTE_NS == pair[1].open_ns));
            }
            prop_assert_eq!(minutes.len() as i64, candles.len() as i64 * (interval_ns / MINUTE_NS));
            prop_assert_eq!(aggregate(minutes, interval_ns), candles);
        }

        #[test]
        fn parts_are_cut_from_the_whole((candles, interval_ns) in recordings(), seed: u64, from in 0_i64..3000, length in 0_i64..500) {
            let feed = RecordedFeed::new(seed, "BTCUSDT", candles, interval_ns).unwrap();
            let (from_ns, to_ns) = (from * MINUTE_NS - 1, (from + length) * MINUTE_NS);
            let mut expected = feed.minutes(0, i64::MAX);
            expected.retain(|minute| (from_ns..to_ns).contains(&minute.open_ns));
            prop_assert_eq!(&feed.minutes(from_ns, to_ns), &expected);
            let upcoming = feed.upcoming(from_ns, expected.len());
            prop_assert_eq!(upcoming, expected);
        }
    }

    #[test]
    fn coarser_steps_forget_what_does_not_fit_them() {
        let candles = [[100, 110, 90, 100], [101, 110, 90, 100], [100, 120, 100, 110], [110, 110, 80, 90]];
        let rows = candles.iter().zip(0_i64..);
        let rows = rows.map(|(prices, minute)| candle(minute * MINUTE_NS, *prices, 25)).collect();
        let mut feed = RecordedFeed::new(1, "LTCUSDT", rows, MINUTE_NS).unwrap();
        let fine = TradingRules { tick_atoms: 1_000_000, lot_atoms: 1_000 };
        feed.count_in(fine, fine);
        assert_eq!(feed.recorded().len(), 4);
        feed.count_in(fine, TradingRules { tick_atoms: 10_000_000, lot_atoms: 10_000 });
        assert_eq!(
            feed.recorded(),
            [candle(2 * MINUTE_NS, [10, 12, 10, 11], 2), candle(3 * MINUTE_NS, [11, 11, 8, 9], 2)]
        );
    }

    #[test]
    fn bad_recordings_are_refused_by_the_candle() {
        let good = candle(0, [10, 12, 9, 11], 5);
        let refusal = |candles: &[Candle]| RecordedFeed::new(1, "BTCUSDT", candles.to_vec(), MINUTE_NS).unwrap_err();
        let later = Candle { open_ns: MINUTE_NS, ..good };
        assert_eq!(refusal(&[]), FeedError::Empty);
        assert_eq!(refusal(&[later, good]), FeedError::Unsorted { index: 1, open_ns: 0 });
        assert_eq!(refusal(&[good, good]), FeedError::Duplicate { index: 1, open_ns: 0 });
        assert_eq!(refusal(&[good, Candle { high: 10, ..later }]), FeedError::Unsound { index: 1 });
        assert_eq!(refusal(&[Candle { open_ns: 7, ..good }]), FeedError::Misaligned { index: 0, open_ns: 7 });
        assert_eq!(
            refusal(&[Candle { open_ns: -MINUTE_NS, ..good }]),
            FeedError::OutOfTime { index: 0, open_ns: -MINUTE_NS }
        );
        for interval_ns in [0, -MINUTE_NS, MINUTE_NS + 1] {
            let refused = RecordedFeed::new(1, "BTCUSDT", vec![good], interval_ns).unwrap_err();
            assert_eq!(refused, FeedError::Interval { interval_ns });
        }
    }
}
