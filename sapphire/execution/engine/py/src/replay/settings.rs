//! Limits, execution settings and instrument rules, from dictionaries. A key that is not known is refused by name: a
//! limit that is spelled wrong would be no limit.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use sapphire_core::amounts::{Atoms, MAX_ATOMS, is_holdable};
use sapphire_core::engine::Execution;
use sapphire_core::instrument::{Asset, Instrument};
use sapphire_core::risk::{LimitSet, Limits};

use super::config::Names;
use crate::error::refused;

/// A dictionary whose keys are read by name; what is left over is refused.
struct Keys<'a, 'py> {
    what: &'a str,
    given: Option<&'a Bound<'py, PyDict>>,
    known: Vec<&'static str>,
}

impl<'a, 'py> Keys<'a, 'py> {
    fn new(what: &'a str, given: Option<&'a Bound<'py, PyDict>>) -> Self {
        Self { what, given, known: Vec::new() }
    }

    fn item(&mut self, key: &'static str) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.known.push(key);
        let item = self.given.map(|given| given.get_item(key)).transpose()?.flatten();
        Ok(item.filter(|item| !item.is_none()))
    }

    fn number(&mut self, key: &'static str) -> PyResult<Option<i64>> {
        let Some(item) = self.item(key)? else { return Ok(None) };
        let expected = "a whole number of 64 bits";
        let number = item.extract::<i64>().map_err(|_| refused(&format!("{}: {key}", self.what), expected, &item))?;
        Ok(Some(number))
    }

    fn atoms(&mut self, key: &'static str) -> PyResult<Option<Atoms>> {
        let Some(item) = self.item(key)? else { return Ok(None) };
        let atoms = item.extract::<Atoms>().ok().filter(|atoms| is_holdable(*atoms));
        let expected = format!("a whole number of atoms, at most {MAX_ATOMS}");
        atoms.map(Some).ok_or_else(|| refused(&format!("{}: {key}", self.what), expected, &item))
    }

    fn rate(&mut self, key: &'static str) -> PyResult<Option<u32>> {
        let Some(number) = self.number(key)? else { return Ok(None) };
        let rate = u32::try_from(number).map_err(|_| refused(&format!("{}: {key}", self.what), "0 or more", number))?;
        Ok(Some(rate))
    }

    fn dict(&mut self, key: &'static str) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(item) = self.item(key)? else { return Ok(None) };
        let dict = item
            .cast_into::<PyDict>()
            .map_err(|_| refused(&format!("{}: {key}", self.what), "a dict", "another type"))?;
        Ok(Some(dict))
    }

    fn finish(self) -> PyResult<()> {
        for key in self.given.into_iter().flat_map(PyDictMethods::keys) {
            let key: String = key.extract()?;
            if !self.known.contains(&key.as_str()) {
                return Err(refused(self.what, format!("keys among {}", self.known.join(", ")), key));
            }
        }
        Ok(())
    }
}

pub(super) fn execution(given: Option<&Bound<'_, PyDict>>) -> PyResult<Execution> {
    let mut keys = Keys::new("settings", given);
    let default = Execution::default();
    let execution = Execution {
        style: default.style,
        max_slippage_bps: keys.number("max_slippage_bps")?.unwrap_or(default.max_slippage_bps),
        retry_ns: keys.number("retry_ns")?.unwrap_or(default.retry_ns),
        query_ns: keys.number("query_ns")?.unwrap_or(default.query_ns),
        max_signal_age_ns: keys.number("max_signal_age_ns")?.unwrap_or(default.max_signal_age_ns),
    };
    keys.finish()?;
    Ok(execution)
}

/// `symbol` holds for every symbol, `symbols` replaces it for those it names.
pub(super) fn limits(given: Option<&Bound<'_, PyDict>>, names: &Names) -> PyResult<Limits> {
    let mut keys = Keys::new("limits", given);
    let open = Limits::open(names.symbols.len(), 1);
    let every = limit_set("limits: symbol", keys.dict("symbol")?.as_ref())?;
    let mut symbols = vec![every; names.symbols.len()];
    if let Some(given) = keys.dict("symbols")? {
        for (symbol, rules) in &given {
            let symbol: String = symbol.extract()?;
            let what = format!("limits: symbols: {symbol}");
            let rules = rules.cast_into::<PyDict>().map_err(|_| refused(&what, "a dict", "another type"))?;
            symbols[names.index(&symbol)?] = limit_set(&what, Some(&rules))?;
        }
    }
    let limits = Limits {
        collar_bps: keys.number("collar_bps")?.unwrap_or(open.collar_bps),
        max_reference_age_ns: keys.number("max_reference_age_ns")?.unwrap_or(open.max_reference_age_ns),
        symbols,
        strategies: vec![limit_set("limits: strategy", keys.dict("strategy")?.as_ref())?],
        account: limit_set("limits: account", keys.dict("account")?.as_ref())?,
        max_daily_loss_bps: keys.number("max_daily_loss_bps")?,
    };
    keys.finish()?;
    Ok(limits)
}

fn limit_set(what: &str, given: Option<&Bound<'_, PyDict>>) -> PyResult<LimitSet> {
    let mut keys = Keys::new(what, given);
    let limit_set = LimitSet {
        max_order_atoms: keys.atoms("max_order_atoms")?,
        max_exposure_atoms: keys.atoms("max_exposure_atoms")?,
        max_open_atoms: keys.atoms("max_open_atoms")?,
        max_orders_per_second: keys.rate("max_orders_per_second")?,
        max_orders_per_minute: keys.rate("max_orders_per_minute")?,
    };
    keys.finish()?;
    Ok(limit_set)
}

pub(super) fn instrument(symbol: &str, given: &Bound<'_, PyDict>, base: Asset, quote: Asset) -> PyResult<Instrument> {
    let what = format!("instruments: {symbol}");
    let mut keys = Keys::new(&what, Some(given));
    let mut number = |key: &'static str, least: i64| {
        let value = keys.number(key)?.ok_or_else(|| refused(&what, key, "none"))?;
        if value < least {
            Err(refused(&format!("{what}: {key}"), format!("{least} or more"), value))
        } else {
            Ok(value)
        }
    };
    let instrument = Instrument {
        base,
        quote,
        tick_atoms: number("tick_atoms", 1)?,
        lot_atoms: number("lot_atoms", 1)?,
        min_lots: number("min_lots", 1)?,
        max_lots: number("max_lots", 1)?,
        min_ticks: number("min_ticks", 1)?,
        max_ticks: number("max_ticks", 1)?,
        min_notional_atoms: keys
            .atoms("min_notional_atoms")?
            .ok_or_else(|| refused(&what, "min_notional_atoms", "none"))?,
    };
    keys.finish()?;
    instrument.fault().map_or(Ok(instrument), |fault| Err(refused(&what, "rules that can be meant", fault)))
}
