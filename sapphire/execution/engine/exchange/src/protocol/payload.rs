//! The JSON that leaves the exchange: field names and forms as the venue's documentation has them.
//!
//! Invariant: nothing is computed here but text; integers of the matching service become decimals with eight places,
//! nanoseconds become milliseconds. A structure's fields stand in the order of the documentation.

use sapphire_core::instrument::Instrument;

use sapphire_core::decimal::atoms_text;

/// Depth, trades, candles and tickers, as requests are answered.
pub mod market;
/// Orders, fills and accounts, as requests are answered.
pub mod orders;
/// Depth, trades, candles and tickers, as the streams send them.
pub mod stream;
/// Orders and balances, as their owner is sent.
pub mod user;

/// Nanoseconds in a millisecond.
const MS: i64 = 1_000_000;

/// Milliseconds of a market time.
pub fn ms(ns: i64) -> i64 {
    ns.div_euclid(MS)
}

/// Text of a price.
pub fn price(instrument: &Instrument, ticks: i64) -> String {
    atoms_text(i128::from(ticks) * i128::from(instrument.tick_atoms))
}

/// Text of a quantity.
pub fn quantity(instrument: &Instrument, lots: i64) -> String {
    atoms_text(i128::from(lots) * i128::from(instrument.lot_atoms))
}

/// Price and quantity of one side of a book; zeros where it is empty.
pub fn level(instrument: &Instrument, level: Option<(i64, i64)>) -> [String; 2] {
    let (ticks, lots) = level.unwrap_or_default();
    [price(instrument, ticks), quantity(instrument, lots)]
}

/// Levels of one side of a book.
pub fn levels(instrument: &Instrument, side: &[(i64, i64)]) -> Vec<[String; 2]> {
    side.iter().map(|pair| level(instrument, Some(*pair))).collect()
}

/// The venue's word for a side.
pub fn side(side: sapphire_core::instrument::Side) -> &'static str {
    match side {
        sapphire_core::instrument::Side::Buy => "BUY",
        sapphire_core::instrument::Side::Sell => "SELL",
    }
}
