//! The trading floor: instruments, feeds and names of a genesis.

use std::collections::BTreeMap;
use std::path::Path;

use sapphire_core::instrument::Asset;
use sapphire_sim::feed::{Feed, GeneratedFeed};
use sapphire_sim::listing::{Listing, listing, listings};
use sapphire_sim::market::Listed;

use crate::candles::{self, CandleError};
use crate::desk::api::{AssetInfo, Catalog, MarketSource, SymbolInfo};

/// A floor that could not be laid out.
#[derive(Debug, thiserror::Error)]
pub enum FloorError {
    /// A symbol without rules.
    #[error("unknown symbol\n  expected: one of {known}\n  got:      {symbol}\n  next:     correct --symbols")]
    Symbol {
        /// What was asked for.
        symbol: String,
        /// What there is.
        known: String,
    },
    /// The same symbol twice, or none at all.
    #[error(
        "--symbols does not fit\n  expected: at least one symbol, each once\n  got:      {0}\n  next:     correct --symbols"
    )]
    Symbols(String),
    /// Candles that could not be loaded.
    #[error(transparent)]
    Candles(#[from] CandleError),
}

/// What a market and its edge are made of.
#[derive(Clone, Debug)]
pub struct Floor {
    /// Names.
    pub catalog: Catalog,
    /// Feeds, by instrument.
    pub feeds: Vec<Feed>,
    /// Digests of recorded candles, by symbol; empty on a generated market.
    pub candles: BTreeMap<String, String>,
    /// Where a recorded market can begin: the first moment at which every symbol has a candle.
    pub first_ns: Option<i64>,
}

impl Floor {
    /// Lays out the symbols, on recorded candles when there is a folder of them.
    ///
    /// # Errors
    /// [`FloorError`].
    pub fn lay_out(symbols: &[String], seed: u64, folder: Option<&Path>, lockstep: bool) -> Result<Self, FloorError> {
        let listings = symbols.iter().map(|symbol| find(symbol)).collect::<Result<Vec<_>, _>>()?;
        let is_repeated = (1..listings.len()).any(|index| listings[..index].contains(&listings[index]));
        if listings.is_empty() || is_repeated {
            return Err(FloorError::Symbols(symbols.join(",")));
        }
        let assets = assets(&listings);
        let mut floor = Self {
            catalog: Catalog::new(Vec::new(), Vec::new(), MarketSource::Generated, lockstep),
            feeds: Vec::new(),
            candles: BTreeMap::new(),
            first_ns: None,
        };
        let mut infos = Vec::new();
        for listing in listings {
            infos.push(floor.list(listing, &assets, seed, folder)?);
        }
        let source = if folder.is_some() { MarketSource::Recorded } else { MarketSource::Generated };
        let assets = assets.into_iter().map(|name| AssetInfo { name: name.to_owned() }).collect();
        floor.catalog = Catalog::new(assets, infos, source, lockstep);
        Ok(floor)
    }

    /// The floor of a market that begins at `start_ns`: generated symbols are traded by the rules in force then, for as
    /// long as the market runs.
    #[must_use]
    pub fn opened_at(&self, start_ns: i64) -> Self {
        let mut floor = self.clone();
        let mut infos = self.catalog.symbols().to_vec();
        for (info, feed) in infos.iter_mut().zip(&mut floor.feeds) {
            let Feed::Generated(path) = feed else { continue };
            let rules = path.rules_at(start_ns);
            info.instrument = rules.instrument(info.instrument.base, info.instrument.quote);
            (info.price_decimals, info.quantity_decimals) = (decimals(&rules.tick()), decimals(&rules.lot()));
            path.count_in(rules);
            info.ends_ns = feed.ends_ns();
        }
        floor.catalog = self.catalog.with_symbols(infos);
        floor
    }

    /// The symbols of a market.
    pub fn listed(&self) -> Vec<Listed> {
        let rows = self.catalog.symbols().iter().zip(&self.feeds);
        rows.map(|(info, feed)| Listed { symbol: info.symbol.clone(), instrument: info.instrument, feed: feed.clone() })
            .collect()
    }

    fn list(
        &mut self,
        listing: &Listing,
        assets: &[&str],
        seed: u64,
        folder: Option<&Path>,
    ) -> Result<SymbolInfo, FloorError> {
        let asset = |name: &str| Asset(assets.iter().position(|asset| *asset == name).unwrap_or_default() as u16);
        let instrument = listing.instrument(asset(listing.base), asset(listing.quote));
        let mut listed_ns = listing.listed_ns;
        let feed = if let Some(folder) = folder {
            let recorded = candles::load(folder, listing.symbol, &instrument, seed)?;
            listed_ns = recorded.feed.recorded().first().map_or(listed_ns, |candle| candle.open_ns);
            self.first_ns = self.first_ns.max(Some(listed_ns));
            self.candles.insert(listing.symbol.to_owned(), recorded.digest);
            Feed::Recorded(recorded.feed)
        } else {
            Feed::Generated(GeneratedFeed::new(seed, listing, listing.listed_ns))
        };
        let ends_ns = feed.ends_ns();
        self.feeds.push(feed);
        Ok(SymbolInfo {
            symbol: listing.symbol.to_owned(),
            base_asset: listing.base.to_owned(),
            quote_asset: listing.quote.to_owned(),
            instrument,
            price_decimals: decimals(&listing.rules.tick()),
            quantity_decimals: decimals(&listing.rules.lot()),
            listed_ns,
            ends_ns,
        })
    }
}

fn find(symbol: &str) -> Result<&'static Listing, FloorError> {
    listing(symbol).ok_or_else(|| FloorError::Symbol {
        symbol: symbol.to_owned(),
        known: listings().iter().map(|listing| listing.symbol).collect::<Vec<_>>().join(", "),
    })
}

/// Assets in the order in which the symbols name them.
fn assets<'a>(listings: &[&'a Listing]) -> Vec<&'a str> {
    let mut assets: Vec<&str> = Vec::new();
    for name in listings.iter().flat_map(|listing| [listing.base, listing.quote]) {
        if !assets.contains(&name) {
            assets.push(name);
        }
    }
    assets
}

fn decimals(step: &str) -> u8 {
    step.split_once('.').map_or(0, |(_, part)| part.len() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sapphire_core::instrument::InstrumentId;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn symbols_are_known_by_either_name() {
        let floor = Floor::lay_out(&names(&["BTC/USDT", "ETHUSDT"]), 7, None, false).unwrap();
        assert_eq!(floor.catalog.instrument("ETHUSDT"), Some(InstrumentId(1)));
        assert_eq!(floor.catalog.instrument("BTC/USDT"), None);
        assert_eq!(floor.catalog.asset("USDT"), Some(Asset(1)));
        assert_eq!(floor.catalog.symbols()[1].quantity_decimals, 4);
    }

    /// Of the first seed under which ADA's rules change while it is listed.
    #[test]
    fn a_market_trades_by_the_rules_of_its_start() {
        let first_ns = listing("ADAUSDT").unwrap().listed_ns;
        let changed = |seed| {
            let floor = Floor::lay_out(&names(&["ADAUSDT"]), seed, None, true).unwrap();
            let Feed::Generated(path) = &floor.feeds[0] else { return None };
            let change_ns = path.rules_end_ns()?;
            Some((floor, change_ns))
        };
        let (floor, change_ns) = (1..).find_map(changed).unwrap();
        let [early, late] = [change_ns - 1, change_ns].map(|start_ns| floor.opened_at(start_ns));
        let [before, after] = [&early, &late].map(|floor| floor.catalog.symbols()[0].clone());
        assert!(before.instrument != after.instrument);
        assert!(after.price_decimals >= before.price_decimals && after.quantity_decimals >= before.quantity_decimals);
        assert_eq!(floor.opened_at(first_ns).catalog.symbols()[0].instrument, before.instrument);
        assert_eq!(early.feeds[0].next_minute(change_ns), None);
        assert_eq!(late.feeds[0].next_minute(change_ns).map(|minute| minute.open_ns), Some(change_ns));
        // At its end the market closes, whatever paces it.
        assert_eq!(before.ends_ns, Some(change_ns));
        assert!(before.is_open(change_ns - 1) && !before.is_open(change_ns) && !before.is_open(first_ns - 1));
        assert!(after.is_open(change_ns) && after.ends_ns > Some(change_ns));
        // Its whole past is there as well.
        assert_eq!(late.feeds[0].next_minute(0).map(|minute| minute.open_ns), Some(first_ns));
    }

    #[test]
    fn what_is_not_listed_or_listed_twice_is_refused() {
        assert!(matches!(Floor::lay_out(&names(&["XYZUSDT"]), 7, None, false), Err(FloorError::Symbol { .. })));
        let twice = names(&["BTCUSDT", "BTC/USDT"]);
        assert!(matches!(Floor::lay_out(&twice, 7, None, false), Err(FloorError::Symbols(_))));
    }
}
