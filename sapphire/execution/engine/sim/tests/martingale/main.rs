//! The generated price is a martingale: nothing in its past tells its future.
//!
//! Two hundred seeds. The measured quantities do not depend on the seeds' order, and the seeds are fixed, so a test
//! that passes passes always; a bound of 3.5 errors is passed by chance in one of two thousand numbers. That the tests
//! would find what they are for is tested with a path that reverts.

#![allow(clippy::unwrap_used)]

mod statistics;

use sapphire_sim::candle::MINUTE_NS;
use sapphire_sim::feed::{Feed, GeneratedFeed};
use sapphire_sim::listing::{Listing, listing};
use statistics::{Estimate, correlation_with_the_next, mean_return, variance_ratio};

const SEEDS: u64 = 200;
const DAY_NS: i64 = 1_440 * MINUTE_NS;
/// 2018-01-01T00:00Z.
const FROM_NS: i64 = 1_514_764_800 * 1_000_000_000;

/// Prices of each seed over `days`, every `step_minutes`.
fn paths(listing: &Listing, days: i64, step_minutes: usize) -> Vec<Vec<f64>> {
    let path = |seed| {
        let feed = GeneratedFeed::new(seed, listing, i64::MAX);
        feed.prices(FROM_NS, FROM_NS + days * DAY_NS + 1, step_minutes)
    };
    (0..SEEDS).map(path).collect()
}

fn within_error(what: &str, estimate: Estimate) {
    println!("{what:>28}: {:8.4} +- {:.4} (z {:+.2})", estimate.value, estimate.error, estimate.z());
    assert!(estimate.z().abs() < 3.5, "{what}: {estimate:?}");
}

#[test]
fn over_days_to_a_year_nothing_is_predictable() {
    let paths = paths(listing("BTCUSDT").unwrap(), 8 * 365, 1_440);
    for days in [7, 30, 91, 182, 365] {
        within_error(&format!("variance ratio, {days} days"), variance_ratio(&paths, days));
        within_error(&format!("mean return, {days} days"), mean_return(&paths, days));
    }
    for days in [7, 30, 91, 182, 365] {
        within_error(&format!("correlation, next {days} days"), correlation_with_the_next(&paths, days));
    }
    // The error is small enough to see what was there: 0.82 over 91 days, 0.51 over a year, -0.26 over half a year.
    assert!(variance_ratio(&paths, 91).error < 0.03 && variance_ratio(&paths, 365).error < 0.1);
    assert!(correlation_with_the_next(&paths, 182).error < 0.05);
}

#[test]
fn within_hours_and_a_day_nothing_is_predictable() {
    let ether = listing("ETHUSDT").unwrap();
    let minutes = paths(ether, 2, 1);
    within_error("variance ratio, 1 hour", variance_ratio(&minutes, 60));
    within_error("mean return, 1 hour", mean_return(&minutes, 60));
    within_error("correlation, next minute", correlation_with_the_next(&minutes, 1));
    let hours = paths(ether, 40, 60);
    within_error("variance ratio, 1 day", variance_ratio(&hours, 24));
    within_error("mean return, 1 day", mean_return(&hours, 24));
    within_error("correlation, next day", correlation_with_the_next(&hours, 24));
}

/// What is traded is the same path, rounded to ticks.
#[test]
fn candles_are_the_path_to_half_a_tick() {
    for symbol in ["BTCUSDT", "XRPUSDT"] {
        let feed = GeneratedFeed::new(3, listing(symbol).unwrap(), FROM_NS + 400 * DAY_NS);
        let tick = feed.rules().tick_atoms as f64 / 1e8;
        let from_ns = FROM_NS + 200 * DAY_NS;
        let prices = feed.prices(from_ns, from_ns + 3 * DAY_NS, 60);
        let candles = Feed::Generated(feed).candles(from_ns, from_ns + 3 * DAY_NS, 60 * MINUTE_NS);
        assert_eq!(candles.len(), prices.len());
        for (candle, price) in candles.iter().zip(prices) {
            assert!((candle.open as f64 * tick - price).abs() <= 0.5001 * tick, "{candle:?} {price}");
        }
    }
}

/// The tests find a path whose yearly moves are pulled back: the logarithm of the price at half its size above 91 days.
#[test]
fn a_path_that_reverts_is_found() {
    let mut paths = paths(listing("BTCUSDT").unwrap(), 8 * 365, 1_440);
    for path in &mut paths {
        let logs: Vec<f64> = path.iter().map(|price| price.ln()).collect();
        for (day, price) in path.iter_mut().enumerate() {
            let (from, part) = (day / 91 * 91, (day % 91) as f64 / 91.0);
            let to = (from + 91).min(logs.len() - 1);
            *price = (logs[day] - 0.4 * (logs[from] * (1.0 - part) + logs[to] * part)).exp();
        }
    }
    assert!(variance_ratio(&paths, 365).z() < -5.0);
}
