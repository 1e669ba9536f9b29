//! A record as columns: numpy arrays for numbers, lists for names.

use numpy::{PyArray1, PyArrayMethods, PyUntypedArray};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sapphire_core::amounts::Atoms;
use sapphire_core::instrument::{InstrumentId, Side};
use sapphire_sim::replay::Record;

use super::config::Names;

/// Stands for a time that never came: an order that did not arrive, or has not ended.
const NEVER: i64 = -1;

/// One table: its columns by their names.
struct Columns<'py> {
    py: Python<'py>,
    dict: Bound<'py, PyDict>,
}

impl<'py> Columns<'py> {
    fn new(py: Python<'py>) -> Self {
        Self { py, dict: PyDict::new(py) }
    }

    fn numbers<T>(self, name: &str, rows: &[T], column: impl Fn(&T) -> i64) -> PyResult<Self> {
        let column: Vec<i64> = rows.iter().map(column).collect();
        self.dict.set_item(name, PyArray1::from_vec(self.py, column))?;
        Ok(self)
    }

    /// Amounts: 64-bit integers where all of them are, otherwise Python's own, which are as long as they have to be.
    fn amounts<T>(self, name: &str, rows: &[T], column: impl Fn(&T) -> Atoms) -> PyResult<Self> {
        self.dict.set_item(name, amounts(self.py, rows.iter().map(column).collect())?)?;
        Ok(self)
    }

    fn texts<'a, T>(self, name: &str, rows: &[T], column: impl Fn(&T) -> &'a str) -> PyResult<Self> {
        let column: Vec<&str> = rows.iter().map(column).collect();
        self.dict.set_item(name, column)?;
        Ok(self)
    }
}

/// A column of amounts: int64 where every one fits, otherwise exact integers of Python; never rounded, never cut.
fn amounts(py: Python<'_>, column: Vec<Atoms>) -> PyResult<Bound<'_, PyUntypedArray>> {
    let narrow: Result<Vec<i64>, _> = column.iter().map(|atoms| i64::try_from(*atoms)).collect();
    if let Ok(narrow) = narrow {
        return Ok(PyArray1::from_vec(py, narrow).as_untyped().clone());
    }
    let wide = column.into_iter().map(|atoms| Ok(atoms.into_pyobject(py)?.into_any().unbind()));
    Ok(PyArray1::from_vec(py, wide.collect::<PyResult<Vec<Py<PyAny>>>>()?).as_untyped().clone())
}

pub(super) fn tables<'py>(py: Python<'py>, record: &Record, names: &Names) -> PyResult<Bound<'py, PyDict>> {
    let tables = PyDict::new(py);
    tables.set_item("symbols", &names.symbols)?;
    tables.set_item("assets", &names.assets)?;
    tables.set_item("equity", equity(py, record, names)?)?;
    tables.set_item("fills", fills(py, record, names)?)?;
    tables.set_item("orders", orders(py, record, names)?)?;
    tables.set_item("denials", denials(py, record)?)?;
    tables.set_item("refusals", refusals(py, record, names)?)?;
    tables.set_item("targets", targets(py, record, names)?)?;
    tables.set_item("trading", trading(py, record)?)?;
    let fees = PyDict::new(py);
    for (asset, atoms) in &record.fees {
        fees.set_item(asset_name(names, asset.0), atoms)?;
    }
    tables.set_item("fees_atoms", fees)?;
    tables.set_item("digest", record.digest_text())?;
    Ok(tables)
}

fn equity<'py>(py: Python<'py>, record: &Record, names: &Names) -> PyResult<Bound<'py, PyDict>> {
    let positions = record.bars.iter().flat_map(|bar| bar.position_atoms.iter().copied()).collect();
    let positions = amounts(py, positions)?.call_method1("reshape", (record.bars.len(), names.symbols.len()))?;
    let columns = Columns::new(py)
        .numbers("close_ns", &record.bars, |bar| bar.close_ns)?
        .amounts("equity_quote_atoms", &record.bars, |bar| bar.equity_quote_atoms)?
        .amounts("cash_quote_atoms", &record.bars, |bar| bar.cash_quote_atoms)?;
    columns.dict.set_item("position_atoms", positions)?;
    Ok(columns.dict)
}

fn fills<'py>(py: Python<'py>, record: &Record, names: &Names) -> PyResult<Bound<'py, PyDict>> {
    let rows = &record.fills;
    let columns = Columns::new(py)
        .numbers("time_ns", rows, |row| row.time_ns)?
        .numbers("order", rows, |row| row.order.cast_signed())?
        .numbers("trade", rows, |row| row.fill.trade.cast_signed())?
        .texts("symbol", rows, |row| symbol_name(names, row.instrument))?
        .texts("side", rows, |row| side_name(row.side))?
        .numbers("price_ticks", rows, |row| row.fill.ticks)?
        .numbers("lots", rows, |row| row.fill.lots)?
        .amounts("quote_atoms", rows, |row| row.fill.quote_atoms)?
        .texts("fee_asset", rows, |row| asset_name(names, row.fill.fee_asset.0))?
        .amounts("fee_atoms", rows, |row| row.fill.fee_atoms)?;
    Ok(columns.dict)
}

fn orders<'py>(py: Python<'py>, record: &Record, names: &Names) -> PyResult<Bound<'py, PyDict>> {
    let rows = &record.orders;
    let columns = Columns::new(py)
        .numbers("order", rows, |row| row.order.id.sequence.cast_signed())?
        .texts("symbol", rows, |row| symbol_name(names, row.order.instrument))?
        .texts("side", rows, |row| side_name(row.order.side))?
        .numbers("limit_ticks", rows, |row| row.order.ticks)?
        .numbers("lots", rows, |row| row.order.lots)?
        .numbers("bar_close_ns", rows, |row| row.order.bar_close_ns)?
        .numbers("sent_ns", rows, |row| row.sent_ns)?
        .numbers("arrives_ns", rows, |row| row.arrives_ns.unwrap_or(NEVER))?
        .numbers("ended_ns", rows, |row| row.ended_ns.unwrap_or(NEVER))?
        .texts("state", rows, |row| row.state.text())?
        .numbers("filled_lots", rows, |row| row.filled_lots)?
        .amounts("filled_quote_atoms", rows, |row| row.filled_quote)?;
    Ok(columns.dict)
}

fn denials<'py>(py: Python<'py>, record: &Record) -> PyResult<Bound<'py, PyDict>> {
    let rows = &record.denials;
    let columns = Columns::new(py)
        .numbers("time_ns", rows, |row| row.time_ns)?
        .numbers("order", rows, |row| row.order.cast_signed())?
        .texts("code", rows, |row| row.denial.code.text())?
        .texts("level", rows, |row| row.denial.level.text())?
        .amounts("value", rows, |row| row.denial.value)?
        .amounts("limit", rows, |row| row.denial.limit)?;
    Ok(columns.dict)
}

fn refusals<'py>(py: Python<'py>, record: &Record, names: &Names) -> PyResult<Bound<'py, PyDict>> {
    let rows = &record.refusals;
    let columns = Columns::new(py)
        .numbers("time_ns", rows, |row| row.time_ns)?
        .texts("symbol", rows, |row| symbol_name(names, row.signal.instrument))?
        .numbers("bar_close_ns", rows, |row| row.signal.bar_close_ns)?
        .texts("reason", rows, |row| row.reason.text())?;
    Ok(columns.dict)
}

fn targets<'py>(py: Python<'py>, record: &Record, names: &Names) -> PyResult<Bound<'py, PyDict>> {
    let rows = &record.targets;
    let columns = Columns::new(py)
        .numbers("time_ns", rows, |row| row.time_ns)?
        .texts("symbol", rows, |row| symbol_name(names, row.signal.instrument))?
        .numbers("bar_close_ns", rows, |row| row.signal.bar_close_ns)?
        .texts("end", rows, |row| row.cause.map_or("REACHED", |cause| cause.text()))?
        .numbers("lots", rows, |row| row.lots)?;
    Ok(columns.dict)
}

fn trading<'py>(py: Python<'py>, record: &Record) -> PyResult<Bound<'py, PyDict>> {
    let rows = &record.trading;
    let columns = Columns::new(py)
        .numbers("time_ns", rows, |row| row.0)?
        .texts("state", rows, |row| row.1.text())?
        .texts("cause", rows, |row| row.2.text())?;
    Ok(columns.dict)
}

fn symbol_name(names: &Names, instrument: InstrumentId) -> &str {
    names.symbols.get(instrument.0 as usize).map_or("", String::as_str)
}

fn asset_name(names: &Names, asset: u16) -> &str {
    names.assets.get(asset as usize).map_or("", String::as_str)
}

fn side_name(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}
