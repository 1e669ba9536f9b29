//! Trading rules of recorded symbols, from the `rules.json` that lies beside their candles.
//!
//! Rules have periods: a venue changes a symbol's ticks in the course of its life. Invariant: the periods of a symbol
//! are in the order of time, and every step is a whole number of atoms. A market goes by the rules that hold from its
//! start to the end of its candles, which is the finest tick and lot in force in that time.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sapphire_core::amounts::Atoms;
use sapphire_core::instrument::{ATOMS_PER_UNIT, Asset, Instrument};
use sapphire_sim::listing::{MIN_NOTIONAL_ATOMS, TradingRules};
use serde::Deserialize;

use crate::settings::{atoms, instant_ns};

/// Name of the file.
pub const RULES_FILE: &str = "rules.json";

/// What it begins with.
const FORMAT: &str = "sapphire-rules-1";

/// A market may rise to so many times its highest recorded price before an order's price is out of bounds.
const HEADROOM: i64 = 100;

/// Rules that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The file could not be read.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What it says cannot be meant.
    #[error("{}\n  expected: {expected}\n  got:      {got}\n  next:     sapphire exchange --candles FOLDER --rules FILE writes it", .path.display())]
    Unfit {
        /// Which.
        path: PathBuf,
        /// What was expected.
        expected: String,
        /// What came.
        got: String,
    },
}

/// Rules of one stretch of time; it ends where the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RulesPeriod {
    /// Since when, UTC nanoseconds.
    pub from_ns: i64,
    /// Steps of price and quantity.
    pub steps: TradingRules,
    /// The smallest order value, quote atoms.
    pub min_notional_atoms: Atoms,
}

/// The rules of one symbol over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolRules {
    /// Asset bought and sold.
    pub base: String,
    /// Asset it is priced in.
    pub quote: String,
    periods: Vec<RulesPeriod>,
}

impl SymbolRules {
    /// Rules that never change, of the generated market's listing.
    #[must_use]
    pub fn constant(base: &str, quote: &str, steps: TradingRules) -> Self {
        let period = RulesPeriod { from_ns: i64::MIN, steps, min_notional_atoms: MIN_NOTIONAL_ATOMS.into() };
        Self { base: base.to_owned(), quote: quote.to_owned(), periods: vec![period] }
    }

    /// Venue symbol, `LTCUSDT`.
    #[must_use]
    pub fn symbol(&self) -> String {
        format!("{}{}", self.base, self.quote)
    }

    /// The rules in force at a time; before the first period, the first ones.
    #[must_use]
    pub fn at(&self, time_ns: i64) -> &RulesPeriod {
        &self.periods[self.place(time_ns)]
    }

    /// What a market goes by that begins at a time: the steps of which those of every rules in force from then on are
    /// whole numbers, and the largest of their smallest order values.
    #[must_use]
    pub fn since(&self, start_ns: i64) -> RulesPeriod {
        let periods = &self.periods[self.place(start_ns)..];
        periods.iter().fold(periods[0], |held, period| RulesPeriod {
            from_ns: held.from_ns,
            steps: TradingRules {
                tick_atoms: common(held.steps.tick_atoms, period.steps.tick_atoms),
                lot_atoms: common(held.steps.lot_atoms, period.steps.lot_atoms),
            },
            min_notional_atoms: held.min_notional_atoms.max(period.min_notional_atoms),
        })
    }

    /// What decides a market of these rules, for its digest.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for RulesPeriod { from_ns, steps, min_notional_atoms } in &self.periods {
            // Writing into memory does not fail.
            let _ = writeln!(text, "{from_ns} {} {} {min_notional_atoms}", steps.tick_atoms, steps.lot_atoms);
        }
        text
    }

    fn place(&self, time_ns: i64) -> usize {
        self.periods.partition_point(|period| period.from_ns <= time_ns).saturating_sub(1)
    }
}

impl RulesPeriod {
    /// The rules as the engine has them, with bounds that leave room above `high_ticks`, the highest recorded price.
    ///
    /// The largest order at the highest price is worth what an `i64` of quote atoms holds.
    #[must_use]
    pub fn instrument(&self, (base, quote): (Asset, Asset), high_ticks: i64) -> Instrument {
        let TradingRules { tick_atoms, lot_atoms } = self.steps;
        let max_ticks = high_ticks.max(1).saturating_mul(HEADROOM).min(i64::MAX / tick_atoms);
        let price_atoms = i128::from(max_ticks) * i128::from(tick_atoms);
        let lot_value = (price_atoms * i128::from(lot_atoms) / i128::from(ATOMS_PER_UNIT)).max(1);
        let max_lots = (i128::from(i64::MAX) / lot_value).clamp(1, i128::from(i64::MAX / lot_atoms)) as i64;
        let min_notional_atoms = self.min_notional_atoms;
        Instrument {
            base,
            quote,
            tick_atoms,
            lot_atoms,
            min_lots: 1,
            max_lots,
            min_ticks: 1,
            max_ticks,
            min_notional_atoms,
        }
    }
}

/// The rules beside the candles in a folder, by venue symbol; none where there is no such file.
///
/// # Errors
/// [`RulesError`] names what is wrong.
pub fn read(folder: &Path) -> Result<Option<BTreeMap<String, SymbolRules>>, RulesError> {
    let path = folder.join(RULES_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(RulesError::File { path, source }),
    };
    parse(&text).map(Some).map_err(|(expected, got)| RulesError::Unfit { path, expected, got })
}

#[derive(Deserialize)]
struct File {
    format: String,
    rules: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    symbol: String,
    from: Option<String>,
    tick: String,
    lot: String,
    min_notional: String,
}

/// What was expected, and what came.
type Unfit = (String, String);

fn parse(text: &str) -> Result<BTreeMap<String, SymbolRules>, Unfit> {
    let file: File = serde_json::from_str(text).map_err(|error| ("trading rules".into(), error.to_string()))?;
    if file.format != FORMAT {
        return Err((FORMAT.into(), file.format));
    }
    let mut found: BTreeMap<String, SymbolRules> = BTreeMap::new();
    for entry in file.rules {
        let (pair, period) = period(&entry)?;
        let rules = SymbolRules { base: pair.0.to_owned(), quote: pair.1.to_owned(), periods: Vec::new() };
        let kept = found.entry(rules.symbol()).or_insert(rules);
        if kept.periods.last().is_some_and(|before| before.from_ns >= period.from_ns) {
            return Err((
                format!("the periods of {} in the order of time", entry.symbol),
                entry.from.unwrap_or_default(),
            ));
        }
        kept.periods.push(period);
    }
    Ok(found)
}

fn period(entry: &Entry) -> Result<((&str, &str), RulesPeriod), Unfit> {
    let pair = entry.symbol.split_once('/').filter(|(base, quote)| !base.is_empty() && !quote.is_empty());
    let pair = pair.ok_or_else(|| ("symbols such as LTC/USDT".to_owned(), entry.symbol.clone()))?;
    let of = |name: &str, text: &str, least: Atoms| {
        let fits = atoms(text).and_then(|atoms| i64::try_from(atoms).ok()).filter(|atoms| Atoms::from(*atoms) >= least);
        fits.ok_or_else(|| (format!("{name} of {} in whole multiples of 1e-8", entry.symbol), text.to_owned()))
    };
    let steps = TradingRules { tick_atoms: of("a tick", &entry.tick, 1)?, lot_atoms: of("a lot", &entry.lot, 1)? };
    let from_ns = entry.from.as_deref().map_or(Ok(i64::MIN), instant_ns);
    let from_ns = from_ns.map_err(|said| (format!("a time since which the rules of {} hold", entry.symbol), said))?;
    let min_notional_atoms = of("a smallest order value", &entry.min_notional, 0)?.into();
    Ok((pair, RulesPeriod { from_ns, steps, min_notional_atoms }))
}

/// The largest step of which both are whole numbers.
fn common(mut one: i64, mut other: i64) -> i64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(rules: &str) -> String {
        format!(r#"{{"format": "sapphire-rules-1", "rules": [{rules}]}}"#)
    }

    const LTC: &str = r#"
        {"symbol": "LTC/USDT", "tick": "0.01", "lot": "0.00001", "min_notional": "10"},
        {"symbol": "LTC/USDT", "from": "2021-03-01T00:00:00Z", "tick": "0.1", "lot": "0.001", "min_notional": "5"},
        {"symbol": "LTC/USDT", "from": "2022-03-01T00:00:00Z", "tick": "0.25", "lot": "0.001", "min_notional": "5"}"#;

    #[test]
    fn the_rules_of_a_time_are_those_of_its_period() {
        let rules = &parse(&file(LTC)).unwrap()["LTCUSDT"];
        let ns = |text| instant_ns(text).unwrap();
        let tick = |at_ns| rules.at(at_ns).steps.tick_atoms;
        assert_eq!(tick(0), 1_000_000);
        assert_eq!((tick(ns("2021-03-01") - 1), tick(ns("2021-03-01"))), (1_000_000, 10_000_000));
        // A market goes by steps of which those of all that is to come are whole numbers.
        let since = |text| rules.since(ns(text));
        assert_eq!(since("2020-01-01").steps, TradingRules { tick_atoms: 1_000_000, lot_atoms: 1_000 });
        assert_eq!(since("2021-06-01").steps, TradingRules { tick_atoms: 5_000_000, lot_atoms: 100_000 });
        assert_eq!(since("2023-01-01").steps.tick_atoms, 25_000_000);
        assert_eq!(
            (since("2020-01-01").min_notional_atoms, since("2022-03-01").min_notional_atoms),
            (10 * 10_i128.pow(8), 5 * 10_i128.pow(8))
        );
    }

    #[test]
    fn bounds_leave_room_above_the_highest_price_and_hold_the_largest_order() {
        for (tick_atoms, lot_atoms, high_ticks) in [(1_000_000, 1_000, 10_000_000), (1, 100_000_000, 5_290), (1, 1, 1)]
        {
            let steps = TradingRules { tick_atoms, lot_atoms };
            let period = RulesPeriod { from_ns: 0, steps, min_notional_atoms: 0 };
            let instrument = period.instrument((Asset(0), Asset(1)), high_ticks);
            assert_eq!(instrument.fault(), None);
            assert!(instrument.max_ticks >= HEADROOM * high_ticks);
            let largest = instrument.notional(instrument.max_ticks, instrument.max_lots);
            assert!(largest <= i64::MAX.into(), "{largest}");
        }
    }

    #[test]
    fn rules_that_cannot_be_meant_are_refused() {
        let refused = |rules: &str| parse(&file(rules)).unwrap_err();
        let with = |change: (&str, &str)| refused(&LTC.replace(change.0, change.1));
        assert!(with((r#""0.1""#, r#""0""#)).0.contains("a tick of LTC/USDT"));
        assert!(with(("2022", "2019")).0.contains("in the order of time"));
        assert!(with(("LTC/USDT", "LTCUSDT")).0.contains("LTC/USDT"));
        assert!(parse(r#"{"format": "other", "rules": []}"#).unwrap_err().0.contains(FORMAT));
    }
}
