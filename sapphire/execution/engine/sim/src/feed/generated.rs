//! The generated market: a price path from a seed.
//!
//! The logarithm of a price is a market factor times the symbol's beta plus a part of its own, each a Brownian path
//! in multifractal time (see `cascade`). High and low are the extremes of the Brownian bridge within the minute,
//! volume follows the minute's variance.
//!
//! Invariant: a minute is a pure function of (seed, symbol, minute), the same on every machine; its open is the close
//! of the minute before. Known limitation: uncalibrated beyond volatility, correlation, tails and clustering; no drift
//! in the logarithm, no seasons, no jumps; history ends in November 2048.

use super::cascade::{LEAVES, Node, Walk};
use super::ceil_to;
use crate::candle::{Candle, MINUTE_NS};
use crate::hash::{mix, symbol_key, uniform};
use crate::listing::{Listing, MARKET_VOLATILITY};

/// First minute of the tree: 2017-01-01T00:00Z, before any listing.
const ORIGIN_NS: i64 = 1_483_228_800_000_000_000;

/// Minutes in a year of 365.25 days.
const YEAR_MINUTES: f64 = 525_960.0;

/// Keep the draws of the paths apart from each other and from those of other users of the same seed.
const MARKET_STREAM: u64 = 0x6d61_726b;
const OWN_STREAM: u64 = 0x6f77_6e00;
const DETAIL_STREAM: u64 = 0x6465_7461;

/// A generated symbol.
#[derive(Clone, Copy, Debug)]
pub struct GeneratedFeed {
    market: Path,
    own: Path,
    detail_key: u64,
    /// What makes the logarithm zero at the listing.
    offset: f64,
    start_ticks: f64,
    min_ticks: i64,
    max_ticks: i64,
    /// Lots of a minute of average variance.
    minute_lots: f64,
    /// Variance of an average minute.
    minute_variance: f64,
    first_minute: u64,
}

/// One part of the path: whose draws, and how much of them.
#[derive(Clone, Copy, Debug)]
struct Path {
    key: u64,
    scale: f64,
}

/// The leaves of both parts over one minute.
struct Parts {
    market: Node,
    own: Node,
}

impl GeneratedFeed {
    /// The path of a listing under a seed.
    #[must_use]
    pub fn new(seed: u64, listing: &Listing) -> Self {
        let symbol = symbol_key(listing.symbol);
        let minute = 1.0 / YEAR_MINUTES.sqrt();
        let shared = listing.market_beta * MARKET_VOLATILITY;
        let own = (listing.annual_volatility * listing.annual_volatility - shared * shared).max(0.0).sqrt();
        let market = Path { key: mix(seed, &[MARKET_STREAM]), scale: shared * minute };
        let own = Path { key: mix(seed, &[OWN_STREAM, symbol]), scale: own * minute };
        let first_minute = ((ceil_to(listing.listed_ns, MINUTE_NS) - ORIGIN_NS) / MINUTE_NS).max(0) as u64;
        let mut feed = Self {
            market,
            own,
            detail_key: mix(seed, &[DETAIL_STREAM, symbol]),
            offset: 0.0,
            start_ticks: listing.start_ticks as f64,
            min_ticks: listing.min_ticks,
            max_ticks: listing.max_ticks,
            minute_lots: listing.minute_lots as f64,
            minute_variance: market.scale * market.scale + own.scale * own.scale,
            first_minute,
        };
        let listed =
            Parts { market: Walk::new(market.key).leaf(first_minute), own: Walk::new(own.key).leaf(first_minute) };
        feed.offset = -feed.value(listed.market.left, listed.own.left);
        feed
    }

    /// First and last open time of its minutes.
    pub fn history_ns(&self) -> (i64, i64) {
        (open_ns(self.first_minute), open_ns(LEAVES - 1))
    }

    /// Minutes that open in `[from_ns, to_ns)`.
    pub(super) fn minutes(&self, from_ns: i64, to_ns: i64) -> Vec<Candle> {
        self.range(self.minute_at_or_after(from_ns), self.minute_at_or_after(to_ns))
    }

    /// At most `limit` minutes from `at_or_after_ns` on.
    pub(super) fn upcoming(&self, at_or_after_ns: i64, limit: usize) -> Vec<Candle> {
        let first = self.minute_at_or_after(at_or_after_ns);
        self.range(first, first.saturating_add(limit as u64).min(LEAVES))
    }

    fn range(&self, first: u64, end: u64) -> Vec<Candle> {
        let mut market = Walk::new(self.market.key);
        let mut own = Walk::new(self.own.key);
        (first..end)
            .map(|minute| self.candle(minute, &Parts { market: market.leaf(minute), own: own.leaf(minute) }))
            .collect()
    }

    /// Index of the first minute of this symbol that opens at or after a time; [`LEAVES`] past the end.
    fn minute_at_or_after(&self, time_ns: i64) -> u64 {
        let (first_ns, last_ns) = self.history_ns();
        if time_ns > last_ns {
            return LEAVES;
        }
        ((ceil_to(time_ns.max(first_ns), MINUTE_NS) - ORIGIN_NS) / MINUTE_NS) as u64
    }

    fn candle(&self, minute: u64, parts: &Parts) -> Candle {
        let open = self.value(parts.market.left, parts.own.left);
        let close = self.value(parts.market.right, parts.own.right);
        let variance = self.market.scale * self.market.scale * parts.market.mass
            + self.own.scale * self.own.scale * parts.own.mass;
        let draw = |which: u64| uniform(self.detail_key, &[minute, which]);
        let high = open + rise(close - open, variance, draw(0));
        let low = open - rise(open - close, variance, draw(1));
        let activity = variance / self.minute_variance * (0.25 + 1.5 * draw(2));
        let (open, close) = (self.ticks(open), self.ticks(close));
        Candle {
            open_ns: open_ns(minute),
            open,
            high: self.ticks(high).max(open).max(close),
            low: self.ticks(low).min(open).min(close),
            close,
            volume: (self.minute_lots * activity) as i64 + 1,
        }
    }

    fn value(&self, market: f64, own: f64) -> f64 {
        self.market.scale * market + self.own.scale * own + self.offset
    }

    /// The nearest tick of a logarithm, within the instrument's bounds.
    fn ticks(&self, logarithm: f64) -> i64 {
        ((self.start_ticks * libm::exp(logarithm) + 0.5) as i64).clamp(self.min_ticks, self.max_ticks)
    }
}

fn open_ns(minute: u64) -> i64 {
    ORIGIN_NS + minute as i64 * MINUTE_NS
}

/// How far above its start a Brownian bridge that gains `change` over `variance` rises, at a uniform draw (the law of
/// its maximum: Karatzas and Shreve 1991, 4.3.40).
fn rise(change: f64, variance: f64, draw: f64) -> f64 {
    0.5 * (change + (change * change - 2.0 * variance * libm::log(draw)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candle::aggregate;
    use crate::feed::Feed;
    use crate::listing::{listing, listings};
    use proptest::prelude::*;

    fn feed(seed: u64, symbol: &str) -> GeneratedFeed {
        GeneratedFeed::new(seed, listing(symbol).unwrap())
    }

    /// A change of any of these numbers changes every market that was ever generated.
    #[test]
    fn the_market_of_seed_seven_is_this_one() {
        let at_ns = 1_704_067_200_000_000_000; // 2024-01-01T00:00Z
        let found = |symbol| {
            let minute = feed(7, symbol).upcoming(at_ns, 1)[0];
            [minute.open, minute.high, minute.low, minute.close, minute.volume]
        };
        assert_eq!(found("BTCUSDT"), BITCOIN);
        assert_eq!(found("ETHUSDT"), ETHER);
    }

    const BITCOIN: [i64; 5] = [3_536_521, 3_537_194, 3_533_776, 3_535_630, 1_538_036];
    const ETHER: [i64; 5] = [211_839, 211_877, 211_833, 211_866, 36_185];

    #[test]
    fn a_price_starts_at_its_listing() {
        for listing in listings() {
            let feed = GeneratedFeed::new(3, listing);
            let first = feed.upcoming(i64::MIN, 1)[0];
            assert_eq!((first.open_ns, first.open), (listing.listed_ns, listing.start_ticks), "{}", listing.symbol);
            assert!(feed.minutes(0, listing.listed_ns).is_empty());
        }
    }

    #[test]
    fn a_history_ends() {
        let feed = feed(3, "BTCUSDT");
        let (_, last_ns) = feed.history_ns();
        assert_eq!(feed.upcoming(last_ns, 10).len(), 1);
        assert!(feed.upcoming(last_ns + 1, 10).is_empty());
        assert_eq!(feed.minutes(last_ns, i64::MAX).len(), 1);
        assert!(feed.minutes(i64::MAX, i64::MIN).is_empty());
    }

    #[test]
    fn a_price_stays_inside_its_bounds() {
        let narrow = Listing { min_ticks: 4_199_000, max_ticks: 4_201_000, ..*listing("BTCUSDT").unwrap() };
        let feed = GeneratedFeed::new(5, &narrow);
        let minutes = feed.minutes(narrow.listed_ns, narrow.listed_ns + 10_000 * MINUTE_NS);
        assert!(minutes.iter().all(|minute| minute.is_sound() && minute.low >= 4_199_000 && minute.high <= 4_201_000));
        assert!(minutes.iter().any(|minute| minute.high == 4_201_000 || minute.low == 4_199_000));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_minute_is_the_same_in_any_order(seed: u64, which in 0..listings().len(), start in 0_i64..10_000_000, count in 1_i64..200) {
            let listing = &listings()[which];
            let feed = Feed::Generated(GeneratedFeed::new(seed, listing));
            let from_ns = listing.listed_ns + start * MINUTE_NS;
            let minutes = feed.minutes(from_ns, from_ns + count * MINUTE_NS);
            prop_assert_eq!(minutes.len() as i64, count);
            for (number, minute) in minutes.iter().enumerate().rev() {
                prop_assert_eq!(minute.open_ns, from_ns + number as i64 * MINUTE_NS);
                prop_assert!(minute.is_sound() && minute.volume > 0);
                prop_assert_eq!(feed.next_minute(minute.open_ns - 1), Some(*minute));
            }
            prop_assert!(minutes.windows(2).all(|pair| pair[0].close == pair[1].open));
        }

        #[test]
        fn candles_are_their_minutes(seed: u64, start in 0_i64..100_000, offset_ns in 0..MINUTE_NS, count in 0_i64..500, minutes in prop::sample::select(vec![1_i64, 5, 60])) {
            let feed = Feed::Generated(feed(seed, "ETHUSDT"));
            let from_ns = 1_600_000_000_000_000_000 + start * MINUTE_NS + offset_ns;
            let (to_ns, interval_ns) = (from_ns + count * MINUTE_NS, minutes * MINUTE_NS);
            let candles = feed.candles(from_ns, to_ns, interval_ns);
            for candle in &candles {
                let (open_ns, end_ns) = (candle.open_ns, candle.open_ns + interval_ns);
                prop_assert!(from_ns <= open_ns && end_ns <= to_ns && open_ns % interval_ns == 0);
                prop_assert_eq!(aggregate(feed.minutes(open_ns, end_ns), interval_ns), vec![*candle]);
            }
            prop_assert!(candles.len() as i64 >= count / minutes - 1);
        }
    }

    #[test]
    fn tails_clustering_and_correlation_are_there() {
        let from_ns = 1_700_000_000_000_000_000;
        let returns = |symbol| -> Vec<f64> {
            let minutes = feed(7, symbol).minutes(from_ns, from_ns + 100_000 * MINUTE_NS);
            minutes.iter().map(|minute| libm::log(minute.close as f64 / minute.open as f64)).collect()
        };
        let (bitcoin, ether) = (returns("BTCUSDT"), returns("ETHUSDT"));
        let sizes: Vec<f64> = bitcoin.iter().map(|change| change.abs()).collect();
        let squares: Vec<f64> = bitcoin.iter().map(|change| change * change).collect();
        let kurtosis = squares.iter().map(|square| square * square).sum::<f64>() * squares.len() as f64
            / squares.iter().sum::<f64>().powi(2);
        assert!((5.0..60.0).contains(&kurtosis), "{kurtosis}");
        assert!(correlation(&sizes[60..], &sizes[..sizes.len() - 60]) > 0.05);
        let together = correlation(&bitcoin, &ether);
        assert!((0.5..0.85).contains(&together), "{together}");
        assert!(correlation(&bitcoin[1..], &bitcoin[..bitcoin.len() - 1]).abs() < 0.02);
    }

    fn correlation(a: &[f64], b: &[f64]) -> f64 {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (mean_a, mean_b) = (mean(a), mean(b));
        let product = |x: &[f64], y: &[f64], cx: f64, cy: f64| -> f64 {
            x.iter().zip(y).map(|(x, y)| (x - cx) * (y - cy)).sum::<f64>()
        };
        product(a, b, mean_a, mean_b) / (product(a, a, mean_a, mean_a) * product(b, b, mean_b, mean_b)).sqrt()
    }
}
