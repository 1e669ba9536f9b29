//! The generated market: a price path from a seed.
//!
//! The logarithm of a price is a market factor times the symbol's beta plus a part of its own, each a Brownian path
//! with jumps in multifractal time that follows the week (see `cascade`), less half of the variance that has passed: so
//! the price, not its logarithm, is a martingale, and no rule that reads the past earns anything before costs. High and
//! low are the extremes of the Brownian bridge within the minute. Volume goes with a power of the minute's variance and
//! has noise of its own (see `volume`). Trading rules have periods (see `periods`); prices are rounded to the tick of
//! their period, and nothing is clamped.
//!
//! Invariant: a minute is a pure function of (seed, symbol, minute), the same on every machine and in whatever rules it
//! is counted; its open is the close of the minute before. Known limitation: uncalibrated beyond volatility, season,
//! correlation, tails, clustering and volume; a jump falls within one minute; history ends in November 2048, or where a
//! price has fallen below what a tick of 1e-8 can divide and the symbol is delisted.

use std::sync::Arc;

use super::cascade::{JUMP_VARIANCE, LEVELS, Node, Point, Walk};
use super::periods::{Period, REVIEW_LEVEL, periods};
use super::{ceil_to, volume};
use crate::candle::{Candle, MINUTE_NS};
use crate::hash::{mix, symbol_key, uniform};
use crate::listing::{Listing, MARKET_VOLATILITY, TradingRules};

/// Counts the changes of the generated market: candles of another version are another market. The first had a path
/// that reverted to its start.
pub const VERSION: u32 = 2;

/// First minute of the tree: Sunday 2017-01-01T00:00Z, before any listing.
const ORIGIN_NS: i64 = 1_483_228_800_000_000_000;

/// Minutes in a year of 365.25 days.
const YEAR_MINUTES: f64 = 525_960.0;

/// Keep the draws of the paths apart from each other and from those of other users of the same seed.
const MARKET_STREAM: u64 = 0x6d61_726b;
const OWN_STREAM: u64 = 0x6f77_6e00;
const DETAIL_STREAM: u64 = 0x6465_7461;

/// A generated symbol, counted in the rules of one time.
#[derive(Clone, Debug)]
pub struct GeneratedFeed {
    path: Path,
    /// Its trading rules over the years.
    periods: Arc<[Period]>,
    /// What ticks and lots are counted in; those of every minute before `end_minute` are whole numbers of them.
    rules: TradingRules,
    first_minute: u64,
    /// Where its minutes in these rules end.
    end_minute: u64,
    /// Where its minutes end in any rules.
    last_minute: u64,
}

/// The price and its volume, before any rounding.
#[derive(Clone, Copy, Debug)]
struct Path {
    market: Part,
    own: Part,
    detail_key: u64,
    /// What makes the logarithm zero at the listing.
    offset: f64,
    start_atoms: f64,
    /// Base atoms of a minute of average variance.
    minute_atoms: f64,
    /// Variance of an average minute.
    minute_variance: f64,
}

/// One part of the path: whose draws, and how much of them.
#[derive(Clone, Copy, Debug)]
struct Part {
    key: u64,
    scale: f64,
}

/// Walks along both parts.
struct Walks {
    market: Walk,
    own: Walk,
}

/// Both parts over one span.
struct Parts {
    market: Node,
    own: Node,
}

/// A minute of the path: logarithms of prices relative to the first, and its variance.
struct Change {
    open: f64,
    close: f64,
    /// Variance without jumps.
    diffusion: f64,
    /// Variance of its jumps.
    jumps: f64,
}

impl GeneratedFeed {
    /// The path of a listing under a seed, counted in the trading rules that are in force at `at_ns` (the first ones
    /// before the listing). It has all minutes up to the next change of the rules after that.
    #[must_use]
    pub fn new(seed: u64, listing: &Listing, at_ns: i64) -> Self {
        let first_minute = ((ceil_to(listing.listed_ns, MINUTE_NS) - ORIGIN_NS) / MINUTE_NS).max(0) as u64;
        let path = Path::new(seed, listing, first_minute);
        let mut walks = Walks::along(&path, REVIEW_LEVEL);
        let (periods, last_minute) =
            periods(first_minute, listing.rules, |minute| path.price_atoms(path.opens_at(&walks.at(minute))));
        let end_minute = last_minute;
        let mut feed =
            Self { path, periods: periods.into(), rules: listing.rules, first_minute, end_minute, last_minute };
        feed.count_in(feed.rules_at(at_ns));
        feed
    }

    /// What its ticks and lots are.
    #[must_use]
    pub fn rules(&self) -> TradingRules {
        self.rules
    }

    /// The trading rules in force at a time: the first ones before the listing, the last ones after the end.
    #[must_use]
    pub fn rules_at(&self, time_ns: i64) -> TradingRules {
        let passed = self.periods.partition_point(|period| open_ns(period.first_minute) <= time_ns);
        self.periods[passed.saturating_sub(1)].rules
    }

    /// Counts in these rules, up to the first period whose ticks or lots are no whole numbers of them.
    pub fn count_in(&mut self, rules: TradingRules) {
        let unfit = self.periods.iter().find(|period| !rules.hold(&period.rules));
        self.end_minute = unfit.map_or(self.last_minute, |period| period.first_minute);
        self.rules = rules;
    }

    /// When its rules change to ones that those it is counted in do not hold; none where they last.
    #[must_use]
    pub fn rules_end_ns(&self) -> Option<i64> {
        (self.end_minute < self.last_minute).then(|| open_ns(self.end_minute))
    }

    /// First and last open time of its minutes.
    pub fn history_ns(&self) -> (i64, i64) {
        (open_ns(self.first_minute), open_ns(self.end_minute - 1))
    }

    /// The unrounded price, in units of the quote asset, at the start of every minute that is a whole number of
    /// `step_minutes` after `from_ns` and before `to_ns`, within its history.
    ///
    /// # Panics
    /// If `step_minutes` is 0.
    #[must_use]
    pub fn prices(&self, from_ns: i64, to_ns: i64, step_minutes: usize) -> Vec<f64> {
        let mut walks = Walks::along(&self.path, LEVELS);
        let (first, end) = (self.minute_at_or_after(from_ns), self.minute_at_or_after(to_ns));
        let unit = sapphire_core::instrument::ATOMS_PER_UNIT as f64;
        (first..end)
            .step_by(step_minutes)
            .map(|minute| self.path.price_atoms(self.path.opens_at(&walks.at(minute))) / unit)
            .collect()
    }

    /// Minutes that open in `[from_ns, to_ns)`.
    pub(super) fn minutes(&self, from_ns: i64, to_ns: i64) -> Vec<Candle> {
        self.range(self.minute_at_or_after(from_ns), self.minute_at_or_after(to_ns))
    }

    /// At most `limit` minutes from `at_or_after_ns` on.
    pub(super) fn upcoming(&self, at_or_after_ns: i64, limit: usize) -> Vec<Candle> {
        let first = self.minute_at_or_after(at_or_after_ns);
        self.range(first, first.saturating_add(limit as u64).min(self.end_minute))
    }

    fn range(&self, first: u64, end: u64) -> Vec<Candle> {
        let mut walks = Walks::along(&self.path, LEVELS);
        (first..end).map(|minute| self.candle(minute, &self.path.change(&walks.at(minute)))).collect()
    }

    /// Index of the first minute of this symbol that opens at or after a time; its end past that.
    fn minute_at_or_after(&self, time_ns: i64) -> u64 {
        let (first_ns, last_ns) = self.history_ns();
        if time_ns > last_ns {
            return self.end_minute;
        }
        ((ceil_to(time_ns.max(first_ns), MINUTE_NS) - ORIGIN_NS) / MINUTE_NS) as u64
    }

    /// Rules of a minute and, for its open, of the minute before.
    fn rules_of(&self, minute: u64) -> (TradingRules, TradingRules) {
        let passed = self.periods.partition_point(|period| period.first_minute <= minute);
        let now = &self.periods[passed - 1];
        let before = if now.first_minute == minute && passed > 1 { &self.periods[passed - 2] } else { now };
        (now.rules, before.rules)
    }

    fn candle(&self, minute: u64, change: &Change) -> Candle {
        let (rules, before) = self.rules_of(minute);
        let draw = |which: u64| uniform(self.path.detail_key, &[minute, which]);
        let rises = change.close - change.open;
        let high = change.open + rise(rises, change.diffusion, draw(0));
        let low = change.open - rise(-rises, change.diffusion, draw(1));
        let (open, close) = (self.ticks(change.open, &before), self.ticks(change.close, &rules));
        let lots = (self.path.traded_atoms(minute, change) / rules.lot_atoms as f64) as i64 + 1;
        Candle {
            open_ns: open_ns(minute),
            open,
            high: self.ticks(high, &rules).max(open).max(close),
            low: self.ticks(low, &rules).min(open).min(close),
            close,
            volume: lots * (rules.lot_atoms / self.rules.lot_atoms),
        }
    }

    /// The price of a logarithm, rounded to the nearest tick of its own rules.
    fn ticks(&self, logarithm: f64, rules: &TradingRules) -> i64 {
        let ticks = (self.path.price_atoms(logarithm) / rules.tick_atoms as f64 + 0.5) as i64;
        ticks * (rules.tick_atoms / self.rules.tick_atoms)
    }
}

impl Path {
    fn new(seed: u64, listing: &Listing, first_minute: u64) -> Self {
        let symbol = symbol_key(listing.symbol);
        let minute = 1.0 / YEAR_MINUTES.sqrt();
        let shared = listing.market_beta * MARKET_VOLATILITY;
        let own = (listing.annual_volatility * listing.annual_volatility - shared * shared).max(0.0).sqrt();
        let market = Part { key: mix(seed, &[MARKET_STREAM]), scale: shared * minute };
        let own = Part { key: mix(seed, &[OWN_STREAM, symbol]), scale: own * minute };
        let mut path = Self {
            market,
            own,
            detail_key: mix(seed, &[DETAIL_STREAM, symbol]),
            offset: 0.0,
            start_atoms: listing.start_atoms as f64,
            minute_atoms: listing.minute_lots as f64 * listing.rules.lot_atoms as f64,
            minute_variance: market.scale * market.scale + own.scale * own.scale,
        };
        let listed = Walks::along(&path, LEVELS).at(first_minute);
        path.offset = -path.opens_at(&listed);
        path
    }

    /// Logarithm at the start of a span.
    fn opens_at(&self, parts: &Parts) -> f64 {
        self.market.logarithm(parts.market.left) + self.own.logarithm(parts.own.left) + self.offset
    }

    fn change(&self, parts: &Parts) -> Change {
        let close = self.market.logarithm(parts.market.right) + self.own.logarithm(parts.own.right) + self.offset;
        let variance =
            |of: fn(&Node) -> f64| self.market.variance(of(&parts.market)) + self.own.variance(of(&parts.own));
        Change {
            open: self.opens_at(parts),
            close,
            diffusion: variance(|node| node.mass),
            jumps: variance(|node| JUMP_VARIANCE * f64::from(node.jumps)),
        }
    }

    fn price_atoms(&self, logarithm: f64) -> f64 {
        self.start_atoms * libm::exp(logarithm)
    }

    /// Base atoms traded in a minute. Above the first price it is the traded value that does not grow with the price,
    /// below it the traded quantity.
    fn traded_atoms(&self, minute: u64, change: &Change) -> f64 {
        let activity = (change.diffusion + change.jumps) / self.minute_variance;
        let rise = libm::exp(change.open.max(0.0));
        self.minute_atoms / rise * volume::of(activity, self.detail_key, minute)
    }
}

impl Part {
    /// The part's logarithm: half of the variance that has passed is taken off, so that the mean of its exponential
    /// stays where it is.
    fn logarithm(&self, point: Point) -> f64 {
        self.scale * point.value - 0.5 * self.variance(point.clock)
    }

    fn variance(&self, clock: f64) -> f64 {
        self.scale * self.scale * clock
    }
}

impl Walks {
    fn along(path: &Path, level: u32) -> Self {
        Self { market: Walk::new(path.market.key, level), own: Walk::new(path.own.key, level) }
    }

    fn at(&mut self, minute: u64) -> Parts {
        Parts { market: self.market.at(minute), own: self.own.at(minute) }
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
mod tests;
