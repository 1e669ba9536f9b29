//! The trading floor: instruments, feeds and names of a genesis.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sapphire_core::instrument::{Asset, Instrument};
use sapphire_sim::feed::{Feed, GeneratedFeed, RecordedFeed};
use sapphire_sim::listing::{Listing, TradingRules, listing, listings};
use sapphire_sim::market::Listed;
use sha2::{Digest as _, Sha256};

use crate::candles::{self, CandleError};
use crate::matching::api::{AssetInfo, Catalog, MarketSource, SymbolInfo};
use crate::rules_file::{self, RULES_FILE, RulesError, SymbolRules};
use crate::settings::iso;

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
    /// A symbol on candles, whose rules are not known.
    #[error(
        "no trading rules of {symbol}\n  expected: its ticks and lots in {}, or one of {known}\n  got:      neither\n  next:     sapphire exchange --candles FOLDER reads them off the candles, --rules FILE takes the venue's", .folder.join(RULES_FILE).display()
    )]
    Rules {
        /// What was asked for.
        symbol: String,
        /// Where they were looked for.
        folder: PathBuf,
        /// What goes without.
        known: String,
    },
    /// A symbol whose candles end before the market begins.
    #[error(
        "no candles of {symbol} when the market begins\n  expected: a start before {last}, where they end\n  got:      {start}\n  next:     choose an earlier --start, or leave the symbol out of --symbols"
    )]
    Ended {
        /// Which.
        symbol: String,
        /// End of its candles.
        last: String,
        /// Where the market would begin.
        start: String,
    },
    /// Rules that could not be read.
    #[error(transparent)]
    File(#[from] RulesError),
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
    /// Rules of recorded symbols, where they are known.
    rules: BTreeMap<String, SymbolRules>,
}

impl Floor {
    /// Lays out the symbols, on recorded candles when there is a folder of them.
    ///
    /// # Errors
    /// [`FloorError`].
    pub fn lay_out(symbols: &[String], seed: u64, folder: Option<&Path>, lockstep: bool) -> Result<Self, FloorError> {
        let stated = folder.map(rules_file::read).transpose()?.flatten();
        let named = symbols.iter().map(|symbol| Named::find(symbol, folder, stated.as_ref()));
        let named = named.collect::<Result<Vec<_>, _>>()?;
        let is_repeated =
            |(index, one): (usize, &Named)| named[..index].iter().any(|before| before.symbol() == one.symbol());
        if named.is_empty() || named.iter().enumerate().any(is_repeated) {
            return Err(FloorError::Symbols(symbols.join(",")));
        }
        let assets = assets(&named);
        let mut floor = Self {
            catalog: Catalog::new(Vec::new(), Vec::new(), MarketSource::Generated, lockstep),
            feeds: Vec::new(),
            candles: BTreeMap::new(),
            first_ns: None,
            rules: BTreeMap::new(),
        };
        let mut infos = Vec::new();
        for one in &named {
            let asset = |name: &str| Asset(assets.iter().position(|asset| *asset == name).unwrap_or_default() as u16);
            let pair = (asset(&one.rules.base), asset(&one.rules.quote));
            infos.push(floor.list(one, pair, seed, folder)?);
        }
        floor.delist(&mut infos);
        let source = if folder.is_some() { MarketSource::Recorded } else { MarketSource::Generated };
        let assets = assets.into_iter().map(|name| AssetInfo { name: name.to_owned() }).collect();
        floor.catalog = Catalog::new(assets, infos, source, lockstep);
        Ok(floor)
    }

    /// The floor of a market that begins at `start_ns`. Generated symbols are traded by the rules in force then, for as
    /// long as the market runs; recorded ones by those that hold from then to the end of their candles, and their past
    /// begins where prices fit these.
    #[must_use]
    pub fn opened_at(&self, start_ns: i64) -> Self {
        let mut floor = self.clone();
        let mut infos = self.catalog.symbols().to_vec();
        for (info, feed) in infos.iter_mut().zip(&mut floor.feeds) {
            let pair = (info.instrument.base, info.instrument.quote);
            match feed {
                Feed::Generated(path) => {
                    let rules = path.rules_at(start_ns);
                    go_by(info, rules.instrument(pair.0, pair.1), &rules);
                    path.count_in(rules);
                    info.ends_ns = feed.ends_ns();
                }
                Feed::Recorded(recorded) => {
                    let Some(rules) = self.rules.get(&info.symbol) else { continue };
                    let held = rules.since(start_ns);
                    recorded.count_in(rules.since(i64::MIN).steps, held.steps);
                    go_by(info, held.instrument(pair, highest(recorded)), &held.steps);
                    info.listed_ns = recorded.recorded().first().map_or(info.listed_ns, |candle| candle.open_ns);
                }
            }
        }
        floor.catalog = self.catalog.with_symbols(infos);
        floor
    }

    /// Closes the market of a recorded symbol at its last candle where others go on: it was delisted.
    fn delist(&mut self, infos: &mut [SymbolInfo]) {
        let last_ns = self.feeds.iter().filter_map(recorded).map(RecordedFeed::last_ns).max();
        for (info, feed) in infos.iter_mut().zip(&mut self.feeds) {
            if let Feed::Recorded(recorded) = feed
                && Some(recorded.last_ns()) < last_ns
            {
                recorded.delist();
                info.ends_ns = Some(recorded.last_ns());
            }
        }
    }

    /// Checks that there is something to trade from a start on.
    ///
    /// # Errors
    /// A recorded symbol whose candles end before.
    pub fn check_start(&self, start_ns: i64) -> Result<(), FloorError> {
        let rows = self.catalog.symbols().iter().zip(&self.feeds);
        let ended = rows.filter_map(|(info, feed)| Some((info, recorded(feed)?.last_ns())));
        ended.filter(|(_, last_ns)| *last_ns <= start_ns).try_for_each(|(info, last_ns)| {
            let symbol = info.symbol.clone();
            Err(FloorError::Ended { symbol, last: iso(last_ns), start: iso(start_ns) })
        })
    }

    /// The symbols of a market.
    pub fn listed(&self) -> Vec<Listed> {
        let rows = self.catalog.symbols().iter().zip(&self.feeds);
        rows.map(|(info, feed)| Listed { symbol: info.symbol.clone(), instrument: info.instrument, feed: feed.clone() })
            .collect()
    }

    fn list(
        &mut self,
        named: &Named,
        pair: (Asset, Asset),
        seed: u64,
        folder: Option<&Path>,
    ) -> Result<SymbolInfo, FloorError> {
        let Named { rules, listing } = named;
        let (symbol, held) = (rules.symbol(), rules.since(i64::MIN));
        let mut listed_ns = listing.map_or(0, |listing| listing.listed_ns);
        let mut instrument = listing.map(|listing| listing.instrument(pair.0, pair.1));
        let feed = match (folder, listing) {
            (None, Some(listing)) => Feed::Generated(GeneratedFeed::new(seed, listing, listed_ns)),
            (folder, _) => {
                let recorded = candles::load(folder.unwrap_or(Path::new("")), rules, seed)?;
                listed_ns = recorded.feed.recorded().first().map_or(listed_ns, |candle| candle.open_ns);
                self.first_ns = self.first_ns.max(Some(listed_ns));
                let digest = if listing.is_some() { recorded.digest } else { with_rules(&recorded.digest, rules) };
                self.candles.insert(symbol.clone(), digest);
                if listing.is_none() {
                    instrument = Some(held.instrument(pair, highest(&recorded.feed)));
                    self.rules.insert(symbol.clone(), rules.clone());
                }
                Feed::Recorded(recorded.feed)
            }
        };
        let ends_ns = feed.ends_ns();
        self.feeds.push(feed);
        Ok(SymbolInfo {
            symbol,
            base_asset: rules.base.clone(),
            quote_asset: rules.quote.clone(),
            instrument: instrument.unwrap_or_else(|| held.instrument(pair, 1)),
            price_decimals: decimals(&held.steps.tick()),
            quantity_decimals: decimals(&held.steps.lot()),
            listed_ns,
            ends_ns,
        })
    }
}

fn go_by(info: &mut SymbolInfo, instrument: Instrument, steps: &TradingRules) {
    info.instrument = instrument;
    (info.price_decimals, info.quantity_decimals) = (decimals(&steps.tick()), decimals(&steps.lot()));
}

/// A symbol and its rules: those beside its candles, else those of the generated market's listing.
struct Named {
    rules: SymbolRules,
    listing: Option<&'static Listing>,
}

impl Named {
    fn find(
        symbol: &str,
        folder: Option<&Path>,
        stated: Option<&BTreeMap<String, SymbolRules>>,
    ) -> Result<Self, FloorError> {
        let known = || listings().iter().map(|listing| listing.symbol).collect::<Vec<_>>().join(", ");
        let unknown = || match folder {
            Some(folder) => FloorError::Rules { symbol: symbol.to_owned(), folder: folder.into(), known: known() },
            None => FloorError::Symbol { symbol: symbol.to_owned(), known: known() },
        };
        if let Some(stated) = stated {
            let is_meant = |rules: &&SymbolRules| {
                rules.symbol() == symbol || symbol.split_once('/') == Some((&rules.base, &rules.quote))
            };
            let rules = stated.values().find(is_meant).cloned().ok_or_else(unknown)?;
            return Ok(Self { rules, listing: None });
        }
        let listing = listing(symbol).ok_or_else(unknown)?;
        Ok(Self { rules: SymbolRules::constant(listing.base, listing.quote, listing.rules), listing: Some(listing) })
    }

    fn symbol(&self) -> String {
        self.rules.symbol()
    }
}

fn recorded(feed: &Feed) -> Option<&RecordedFeed> {
    match feed {
        Feed::Recorded(recorded) => Some(recorded),
        Feed::Generated(_) => None,
    }
}

/// The highest price of recorded candles, in their ticks.
fn highest(feed: &RecordedFeed) -> i64 {
    feed.recorded().iter().map(|candle| candle.high).max().unwrap_or(1)
}

/// The digest of candles and of the rules that they are traded by.
fn with_rules(digest: &str, rules: &SymbolRules) -> String {
    format!("{:x}", Sha256::digest(format!("{digest}\n{}", rules.text())))
}

/// Assets in the order in which the symbols name them.
fn assets(named: &[Named]) -> Vec<&str> {
    let mut assets: Vec<&str> = Vec::new();
    for name in named.iter().flat_map(|one| [&one.rules.base, &one.rules.quote]) {
        if !assets.contains(&name.as_str()) {
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
