//! The generated market for notebooks and snapshots: listings and candles as numpy arrays.
//!
//! Invariant: the same candles as the exchange and the replay see, from the same feed; a float is the double nearest
//! to its exact decimal.

use numpy::{Element, PyArray1, PyArray2, PyArrayMethods, ToPyArray};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sapphire_core::instrument::{ATOMS_PER_UNIT, Asset};
use sapphire_sim::candle::{Candle, MINUTE_NS};
use sapphire_sim::feed::{Feed, GENERATOR_VERSION, GeneratedFeed};
use sapphire_sim::listing::{self, Listing, TradingRules};

/// `(open_ns, ohlc, volume)`.
type Columns<'py, T> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray2<T>>, Bound<'py, PyArray1<T>>);

/// Adds this file's functions to the module.
///
/// # Errors
/// Those of the interpreter.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(engine_version, module)?)?;
    module.add("GENERATOR_VERSION", GENERATOR_VERSION)?;
    module.add_function(wrap_pyfunction!(listings, module)?)?;
    module.add_function(wrap_pyfunction!(generated_rules, module)?)?;
    module.add_function(wrap_pyfunction!(generated_candles, module)?)?;
    module.add_function(wrap_pyfunction!(generated_candles_ticks, module)?)
}

/// Version of the compiled engine.
#[pyfunction]
fn engine_version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// All symbols of the generated market.
#[pyfunction]
fn listings(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    listing::listings()
        .iter()
        .map(|listing| {
            let entry = PyDict::new(py);
            entry.set_item("symbol", listing.pair())?;
            entry.set_item("base", listing.base)?;
            entry.set_item("quote", listing.quote)?;
            entry.set_item("listed_ns", listing.listed_ns)?;
            Ok(entry)
        })
        .collect()
}

/// The trading rules of a symbol that are in force at a time; the first ones without a seed.
#[pyfunction]
#[pyo3(signature = (symbol, *, seed = None, at_ns = i64::MIN))]
fn generated_rules<'py>(py: Python<'py>, symbol: &str, seed: Option<u64>, at_ns: i64) -> PyResult<Bound<'py, PyDict>> {
    let listing = listed(symbol)?;
    let rules = seed.map_or(listing.rules, |seed| GeneratedFeed::new(seed, listing, at_ns).rules());
    let instrument = rules.instrument(Asset(0), Asset(1));
    let entry = PyDict::new(py);
    entry.set_item("tick", rules.tick())?;
    entry.set_item("lot", rules.lot())?;
    entry.set_item("min_notional", listing::min_notional())?;
    entry.set_item("tick_atoms", instrument.tick_atoms)?;
    entry.set_item("lot_atoms", instrument.lot_atoms)?;
    entry.set_item("min_lots", instrument.min_lots)?;
    entry.set_item("max_lots", instrument.max_lots)?;
    entry.set_item("min_ticks", instrument.min_ticks)?;
    entry.set_item("max_ticks", instrument.max_ticks)?;
    entry.set_item("min_notional_atoms", instrument.min_notional_atoms)?;
    Ok(entry)
}

/// Candles in floats: prices in the quote asset, volume in the base asset.
#[pyfunction]
fn generated_candles<'py>(
    py: Python<'py>,
    seed: u64,
    symbol: &str,
    interval_ns: i64,
    start_ns: i64,
    end_ns: i64,
) -> PyResult<Columns<'py, f64>> {
    let (candles, rules) = candles(py, seed, listed(symbol)?, interval_ns, start_ns, end_ns)?;
    let ticks_per_unit = (ATOMS_PER_UNIT / rules.tick_atoms) as f64;
    let lots_per_unit = (ATOMS_PER_UNIT / rules.lot_atoms) as f64;
    columns(py, &candles, |ticks| ticks as f64 / ticks_per_unit, |lots| lots as f64 / lots_per_unit)
}

/// Candles in the engine's integers: prices in ticks, volume in lots, of the rules in force at the end.
#[pyfunction]
fn generated_candles_ticks<'py>(
    py: Python<'py>,
    seed: u64,
    symbol: &str,
    interval_ns: i64,
    start_ns: i64,
    end_ns: i64,
) -> PyResult<Columns<'py, i64>> {
    let (candles, _) = candles(py, seed, listed(symbol)?, interval_ns, start_ns, end_ns)?;
    columns(py, &candles, |ticks| ticks, |lots| lots)
}

fn listed(symbol: &str) -> PyResult<&'static Listing> {
    listing::listing(symbol).ok_or_else(|| {
        let known: Vec<String> = listing::listings().iter().map(Listing::pair).collect();
        PyValueError::new_err(format!(
            "expected a symbol of the generated market, got {symbol:?}; it lists {}",
            known.join(", ")
        ))
    })
}

fn candles(
    py: Python<'_>,
    seed: u64,
    listing: &Listing,
    interval_ns: i64,
    start_ns: i64,
    end_ns: i64,
) -> PyResult<(Vec<Candle>, TradingRules)> {
    if interval_ns <= 0 || interval_ns % MINUTE_NS != 0 {
        return Err(PyValueError::new_err(format!(
            "expected an interval of whole minutes, got {interval_ns} ns; give a positive multiple of {MINUTE_NS}"
        )));
    }
    if end_ns < start_ns {
        return Err(PyValueError::new_err(format!(
            "expected an end at or after the start, got start {start_ns} and end {end_ns}; swap them"
        )));
    }
    Ok(py.detach(|| {
        let feed = GeneratedFeed::new(seed, listing, end_ns.saturating_sub(1));
        let rules = feed.rules();
        (Feed::Generated(feed).candles(start_ns, end_ns, interval_ns), rules)
    }))
}

fn columns<'py, T: Element>(
    py: Python<'py>,
    candles: &[Candle],
    price: impl Fn(i64) -> T,
    volume: impl Fn(i64) -> T,
) -> PyResult<Columns<'py, T>> {
    let opens: Vec<i64> = candles.iter().map(|candle| candle.open_ns).collect();
    let prices: Vec<T> =
        candles.iter().flat_map(|candle| [candle.open, candle.high, candle.low, candle.close]).map(price).collect();
    let volumes: Vec<T> = candles.iter().map(|candle| volume(candle.volume)).collect();
    let ohlc = prices.to_pyarray(py).reshape([candles.len(), 4])?;
    Ok((opens.to_pyarray(py), ohlc, volumes.to_pyarray(py)))
}
