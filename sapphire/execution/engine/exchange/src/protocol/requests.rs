//! What is asked and how it is answered, the same for REST and the WebSocket API.

/// Balances, fills, fees and limits of an account.
pub mod account;
/// Depth, trades, candles and tickers.
pub mod market;
/// Placing, cancelling and looking up orders.
pub mod orders;
/// What clients ask beside the spot API, answered with the truth.
pub mod wallet;
