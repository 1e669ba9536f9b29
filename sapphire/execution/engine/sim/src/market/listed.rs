//! One symbol of a market and where its candles come from.

use sapphire_core::instrument::{Asset, Instrument};

use crate::feed::{Feed, GeneratedFeed};
use crate::listing::Listing;

/// One tradable symbol of a market.
#[derive(Debug)]
pub struct Listed {
    /// Venue symbol, `BTCUSDT`.
    pub symbol: String,
    /// Venue rules.
    pub instrument: Instrument,
    /// Where its candles come from.
    pub feed: Feed,
}

impl Listed {
    /// A symbol of the generated market in the trading rules that are in force at `at_ns`; `base` and `quote` are the
    /// indices of its assets.
    #[must_use]
    pub fn generated(seed: u64, listing: &Listing, (base, quote): (Asset, Asset), at_ns: i64) -> Self {
        let feed = GeneratedFeed::new(seed, listing, at_ns);
        let instrument = feed.rules().instrument(base, quote);
        Self { symbol: listing.symbol.to_owned(), instrument, feed: Feed::Generated(feed) }
    }

    /// When the symbol's trading rules change to ones that a market begun with these cannot go by.
    #[must_use]
    pub fn rules_end_ns(&self) -> Option<i64> {
        match &self.feed {
            Feed::Generated(feed) => feed.rules_end_ns(),
            Feed::Recorded(_) => None,
        }
    }
}
