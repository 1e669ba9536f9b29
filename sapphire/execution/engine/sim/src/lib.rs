//! Markets and virtual time around the core.
//!
//! Everything random is a function of a seed and counters, so a market can be asked for any minute in any order and
//! gives the same answer, in the exchange, in a replay and in a snapshot.

#![forbid(unsafe_code)]

/// Intervals of prices and volume.
pub mod candle;
/// Where candles come from: generated or recorded.
pub mod feed;
/// Counter-based randomness.
pub mod hash;
/// How long requests travel.
pub mod latency;
/// The synthetic liquidity: a pure function from a minute's candle to the orders around it.
pub mod liquidity;
/// What the generated market lists.
pub mod listing;
/// A sweep over moving-average crosses.
pub mod ma_sweep;
/// The market simulator: venue, synthetic liquidity and requests under one virtual clock.
pub mod market;
/// The engine on a market, bar by bar.
pub mod replay;
