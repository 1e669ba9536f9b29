//! The embedded exchange: core's matching behind a Binance-compatible REST and WebSocket API.
//!
//! In: requests of clients ([`protocol`]), commands of the control plane ([`control`]), candles of a feed.
//! Out: the venue's answers and streams, and a journal from which the same state comes back.
//! Never: a price, a fill or a balance that does not follow from the journal; an order that is not in it.

#![forbid(unsafe_code)]

/// Recorded candles from files.
pub mod candles;
/// Market time at the edge.
pub mod clock;
/// Who is connected.
pub mod connections;
/// The control plane.
pub mod control;
/// Instruments, feeds and names.
pub mod floor;
/// API keys and the control plane's tokens.
pub mod keys;
/// The owner of all trading state.
pub mod matching;
/// Figures for Prometheus.
pub mod metrics;
/// Binance's API.
pub mod protocol;
/// Trading rules of recorded symbols.
pub mod rules_file;
/// Command line and genesis.
pub mod settings;
