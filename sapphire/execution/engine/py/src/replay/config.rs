//! Symbols, feeds and money of a replay, from Python values.

use std::collections::BTreeMap;

use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sapphire_core::amounts::{Atoms, MAX_ATOMS};
use sapphire_core::instrument::{Asset, Instrument};
use sapphire_core::risk::Command;
use sapphire_core::venue::FeeRates;
use sapphire_sim::candle::Candle;
use sapphire_sim::feed::{Feed, RecordedFeed};
use sapphire_sim::latency::Latency;
use sapphire_sim::listing::{TradingRules, listing};
use sapphire_sim::market::Listed;
use sapphire_sim::replay::{Model, ReplayConfig};

use super::settings;
use crate::error::{bad_candles, refused};

/// The models in the order of their assumptions, each one more realistic than the one before.
pub(super) const MODELS: [&str; 4] = ["ideal", "venue_fees", "spread", "book"];

/// `(open_ns [T], ohlc in ticks [T, 4], volume in lots [T])`.
pub(super) type Candles<'py> = (PyReadonlyArray1<'py, i64>, PyReadonlyArray2<'py, i64>, PyReadonlyArray1<'py, i64>);

/// Cash is the first asset, the bases follow in the order of the symbols.
const QUOTE: Asset = Asset(0);

/// More symbols than any account trades; their indices fit well within a `u16`.
const MAX_SYMBOLS: usize = 1_000;

/// Symbols and assets by their indices.
#[derive(Debug)]
pub(super) struct Names {
    /// As people write them, `BTC/USDT`.
    pub(super) symbols: Vec<String>,
    /// The quote asset, then the bases.
    pub(super) assets: Vec<String>,
    lot_atoms: Vec<i64>,
}

impl Names {
    pub(super) fn new(symbols: Vec<String>) -> PyResult<Self> {
        let expected = "different symbols like BTC/USDT with one quote asset";
        if symbols.is_empty() || symbols.len() > MAX_SYMBOLS {
            return Err(refused("symbols", format!("1 to {MAX_SYMBOLS} {expected}"), symbols.len()));
        }
        let mut assets: Vec<String> = Vec::new();
        for symbol in &symbols {
            let (base, quote) = symbol.split_once('/').unwrap_or_default();
            let first = assets.first().is_none_or(|first| first == quote);
            if base.is_empty()
                || quote.is_empty()
                || !first
                || base == quote
                || assets.iter().any(|asset| asset == base)
            {
                return Err(refused("symbols", expected, symbol));
            }
            if assets.is_empty() {
                assets.push(quote.to_owned());
            }
            assets.push(base.to_owned());
        }
        Ok(Self { lot_atoms: vec![1; symbols.len()], symbols, assets })
    }

    pub(super) fn index(&self, symbol: &str) -> PyResult<usize> {
        let place = self.symbols.iter().position(|known| known == symbol);
        place.ok_or_else(|| refused("symbol", self.symbols.join(", "), symbol))
    }

    pub(super) fn lot_atoms(&self) -> Vec<i64> {
        self.lot_atoms.clone()
    }

    /// Notes the lots of the instruments that were listed.
    pub(super) fn with_lots(mut self, listed: &[Listed]) -> Self {
        self.lot_atoms = listed.iter().map(|listed| listed.instrument.lot_atoms).collect();
        self
    }
}

/// Where prices come from and how orders meet them.
pub(super) struct Market<'a, 'py> {
    pub(super) seed: u64,
    pub(super) start_ns: i64,
    pub(super) model: &'a str,
    pub(super) latency_ns: (i64, i64),
    pub(super) candles: Option<BTreeMap<String, Candles<'py>>>,
    pub(super) candle_interval_ns: i64,
    pub(super) instruments: Option<BTreeMap<String, Bound<'py, PyDict>>>,
}

impl Market<'_, '_> {
    /// The symbols with their rules and feeds: recorded ones where candles are given, generated ones otherwise.
    pub(super) fn listed(&self, names: &Names) -> PyResult<Vec<Listed>> {
        self.known_only(names)?;
        names.symbols.iter().enumerate().map(|(index, symbol)| self.list(index, symbol)).collect()
    }

    fn known_only(&self, names: &Names) -> PyResult<()> {
        let given =
            self.candles.iter().flat_map(BTreeMap::keys).chain(self.instruments.iter().flat_map(BTreeMap::keys));
        given.into_iter().try_for_each(|symbol| names.index(symbol).map(|_| ()))
    }

    fn list(&self, index: usize, symbol: &str) -> PyResult<Listed> {
        let rules_given = self.instruments.as_ref().and_then(|instruments| instruments.get(symbol));
        let Some(candles) = &self.candles else { return self.generated(index, symbol, rules_given) };
        let instrument = rules(symbol, rules_given, base(index))?;
        let venue_symbol = venue_symbol(symbol);
        let given = candles.get(symbol).ok_or_else(|| refused("recorded candles", symbol, "none"))?;
        let rows = rows(symbol, given)?;
        let feed = RecordedFeed::new(self.seed, &venue_symbol, rows, self.candle_interval_ns);
        let feed = Feed::Recorded(feed.map_err(|error| bad_candles(symbol, &error))?);
        Ok(Listed { symbol: venue_symbol, instrument, feed })
    }

    /// A symbol of the generated market: in the rules given, where they hold those in force at the start, else in
    /// those.
    fn generated(&self, index: usize, symbol: &str, given: Option<&Bound<'_, PyDict>>) -> PyResult<Listed> {
        let what = format!("generated market of {symbol}");
        let known = listing(symbol).ok_or_else(|| refused(&what, "a symbol that it lists", symbol))?;
        let mut listed = Listed::generated(self.seed, known, (base(index), QUOTE), self.start_ns);
        if let (Some(given), Feed::Generated(feed)) = (given, &mut listed.feed) {
            listed.instrument = settings::instrument(symbol, given, base(index), QUOTE)?;
            let Instrument { tick_atoms, lot_atoms, .. } = listed.instrument;
            let rules = TradingRules { tick_atoms, lot_atoms };
            let own = feed.rules();
            if !rules.hold(&own) {
                let expected = format!("a tick and lot that divide its own of the start, {own:?}");
                return Err(refused(&what, expected, format!("{rules:?}")));
            }
            feed.count_in(rules);
        }
        Ok(listed)
    }

    fn model(&self) -> PyResult<Model> {
        let ladder = Model::ladder(latency(self.seed, self.latency_ns)?);
        let place = MODELS.iter().position(|name| *name == self.model);
        place.map(|place| ladder[place]).ok_or_else(|| refused("model", MODELS.join(", "), self.model))
    }
}

/// The asset that the symbol of an index buys and sells.
pub(super) fn base(index: usize) -> Asset {
    Asset(index as u16 + 1)
}

/// `BTCUSDT` for `BTC/USDT`.
pub(super) fn venue_symbol(symbol: &str) -> String {
    symbol.replace('/', "")
}

/// Venue rules for recorded prices: those given, otherwise the first ones of the generated market's listing.
pub(super) fn rules(symbol: &str, given: Option<&Bound<'_, PyDict>>, base: Asset) -> PyResult<Instrument> {
    match (given, listing(symbol)) {
        (Some(given), _) => settings::instrument(symbol, given, base, QUOTE),
        (None, Some(known)) => Ok(known.instrument(base, QUOTE)),
        (None, None) => {
            let expected = "its rules, or a symbol of the generated market";
            Err(refused(&format!("instrument of {symbol}"), expected, "neither"))
        }
    }
}

pub(super) fn latency(seed: u64, latency_ns: (i64, i64)) -> PyResult<Latency> {
    let (min_ns, max_ns) = latency_ns;
    if min_ns < 0 || max_ns < min_ns {
        return Err(refused("latency_ns", "0 <= shortest <= longest", format!("{latency_ns:?}")));
    }
    Ok(Latency { seed, min_ns, max_ns })
}

/// An operator's word.
pub(super) fn command(word: &str) -> PyResult<Command> {
    match word {
        "halt" => Ok(Command::Halt),
        "reduce" => Ok(Command::Reduce),
        "resume" => Ok(Command::Resume),
        other => Err(refused("command", "halt, reduce or resume", other)),
    }
}

fn rows(symbol: &str, (open_ns, ohlc, volume): &Candles<'_>) -> PyResult<Vec<Candle>> {
    let bars = open_ns.len();
    if ohlc.shape() != [bars, 4] || volume.len() != bars {
        let expected = format!("open_ns ({bars},), ohlc ({bars}, 4), volume ({bars},)");
        let got = format!("ohlc {:?}, volume ({},)", ohlc.shape(), volume.len());
        return Err(refused(&format!("recorded candles of {symbol}"), expected, got));
    }
    let (open_ns, ohlc, volume) = (open_ns.as_array(), ohlc.as_array(), volume.as_array());
    let traded: i128 = volume.iter().map(|lots| i128::from(*lots)).sum();
    if traded > i128::from(i64::MAX) {
        let expected = format!("at most {} lots in all: 64 bits of them", i64::MAX);
        return Err(refused(&format!("recorded volumes of {symbol}"), expected, traded));
    }
    let prices = ohlc.rows().into_iter();
    let candles = open_ns.iter().zip(prices).zip(volume.iter()).map(|((open_ns, prices), volume)| Candle {
        open_ns: *open_ns,
        open: prices[0],
        high: prices[1],
        low: prices[2],
        close: prices[3],
        volume: *volume,
    });
    Ok(candles.collect())
}

/// A whole number of Python, as the engine's integer where it is one, and as text.
pub(super) struct Whole(Option<Atoms>, String);

impl<'a, 'py> FromPyObject<'a, 'py> for Whole {
    type Error = PyErr;

    fn extract(given: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self(given.extract::<Atoms>().ok(), given.str()?.to_string()))
    }
}

/// Fees and what the account begins with.
pub(super) struct Money {
    pub(super) deposits_atoms: BTreeMap<String, Whole>,
    pub(super) maker_fee_e8: i64,
    pub(super) taker_fee_e8: i64,
}

impl Money {
    pub(super) fn fees(&self) -> PyResult<FeeRates> {
        let fees = FeeRates { maker: self.maker_fee_e8, taker: self.taker_fee_e8 };
        if fees.maker < 0 || fees.taker < 0 {
            return Err(refused("fees", "rates of 0 or more, in 1e-8", format!("{fees:?}")));
        }
        Ok(fees)
    }

    pub(super) fn deposits(&self, names: &Names) -> PyResult<Vec<(Asset, Atoms)>> {
        let deposit = |(name, atoms): (&String, &Whole)| {
            let place = names.assets.iter().position(|asset| asset == name);
            let asset = place.ok_or_else(|| refused("deposit", names.assets.join(", "), name))?;
            let expected = format!("0 to {MAX_ATOMS} atoms: what an account can hold");
            let holdable = atoms.0.filter(|atoms| (0..=MAX_ATOMS).contains(atoms));
            let holdable = holdable.ok_or_else(|| refused(&format!("deposit of {name}"), expected, &atoms.1))?;
            Ok((Asset(asset as u16), holdable))
        };
        self.deposits_atoms.iter().map(deposit).collect()
    }
}

pub(super) fn replay_config(
    names: &Names,
    market: &Market<'_, '_>,
    money: &Money,
    (start_ns, time_to_live_ns): (i64, i64),
    limits: Option<&Bound<'_, PyDict>>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<ReplayConfig> {
    if start_ns < 0 {
        return Err(refused("start_ns", "nanoseconds since 1970", start_ns));
    }
    if time_to_live_ns <= 0 {
        return Err(refused("time_to_live_ns", "more than 0", time_to_live_ns));
    }
    Ok(ReplayConfig {
        quote: QUOTE,
        assets: names.assets.len(),
        seed: market.seed,
        fees: money.fees()?,
        model: market.model()?,
        limits: settings::limits(limits, names)?,
        execution: settings::execution(settings)?,
        deposits: money.deposits(names)?,
        start_ns,
        time_to_live_ns,
    })
}
