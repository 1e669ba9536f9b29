//! Markets and virtual time around the core.
//!
//! Everything random is a function of a seed and counters, so a market can be asked for any minute in any order and
//! gives the same answer, in the exchange, in a replay and in a snapshot.

#![forbid(unsafe_code)]

/// Intervals of prices and volume.
pub mod candle;
/// A sweep over moving-average crosses.
pub mod crosses;
/// Where candles come from: generated or recorded.
pub mod feed;
/// Counter-based randomness.
pub mod hash;
/// The house: a pure function from a minute's candle to the orders around it.
pub mod house;
/// How long requests travel.
pub mod latency;
/// What the generated market lists.
pub mod listing;
/// Venue, house and requests under one virtual clock.
pub mod market;
/// The engine on a market, bar by bar.
pub mod replay;
