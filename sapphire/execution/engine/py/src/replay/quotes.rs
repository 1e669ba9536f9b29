//! The replay of quotes for notebooks: columns of quotes in, a strategy asked at each of them or targets known
//! beforehand.
//!
//! Invariant: columns are looked through before the first row is run, so that a bad row changes nothing.

use std::collections::BTreeMap;

use numpy::ndarray::ArrayView1;
use numpy::{PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sapphire_sim::replay::quotes::{self, Quote, QuoteConfig};
use sapphire_sim::replay::{NO_SIGNAL, ReplayError};

use super::config::{self, Money, Names, Whole};
use super::{over, settings, table};
use crate::error::{from_replay, refused};

/// Quotes that are run before the interpreter is asked whether to go on.
const QUOTES_AT_ONCE: usize = 8_192;

/// The engine on recorded quotes of one symbol.
#[pyclass(module = "sapphire_engine")]
#[derive(Debug)]
pub struct QuoteReplay {
    /// None once it is finished.
    running: Option<quotes::QuoteReplay>,
    names: Names,
}

#[pymethods]
impl QuoteReplay {
    #[new]
    #[pyo3(signature = (
        *, symbol, deposits_atoms, time_to_live_ns, instrument = None, seed = 0, taker_fee_e8 = 0, latency_ns = (0, 0),
        equity_every_ns = 60_000_000_000, limits = None, settings = None,
    ))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of the Python constructor")]
    fn new(
        symbol: String,
        deposits_atoms: BTreeMap<String, Whole>,
        time_to_live_ns: i64,
        instrument: Option<&Bound<'_, PyDict>>,
        seed: u64,
        taker_fee_e8: i64,
        latency_ns: (i64, i64),
        equity_every_ns: i64,
        limits: Option<&Bound<'_, PyDict>>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let names = Names::new(vec![symbol])?;
        let money = Money { deposits_atoms, maker_fee_e8: 0, taker_fee_e8 };
        for (name, value) in [("time_to_live_ns", time_to_live_ns), ("equity_every_ns", equity_every_ns)] {
            if value <= 0 {
                return Err(refused(name, "more than 0", value));
            }
        }
        let running = quotes::QuoteReplay::new(&QuoteConfig {
            symbol: config::venue_symbol(&names.symbols[0]),
            instrument: config::rules(&names.symbols[0], instrument, config::base(0))?,
            assets: names.assets.len(),
            fees: money.fees()?,
            latency: config::latency(seed, latency_ns)?,
            limits: settings::limits(limits, &names)?,
            execution: settings::execution(settings)?,
            deposits: money.deposits(&names)?,
            time_to_live_ns,
            equity_every_ns,
        });
        Ok(Self { running: Some(running.map_err(|error| from_replay(&error))?), names })
    }

    /// Market time: that of the last quote.
    #[getter]
    fn now_ns(&self) -> PyResult<Option<i64>> {
        Ok(self.running.as_ref().ok_or_else(over)?.last_ns())
    }

    /// Whole lots held.
    #[getter]
    fn held_lots(&self) -> PyResult<i64> {
        Ok(self.running.as_ref().ok_or_else(over)?.held_lots())
    }

    /// Asks a strategy at each quote.
    #[pyo3(signature = (strategy, time_ns, bid_ticks, ask_ticks, *, bid_lots = None, ask_lots = None))]
    fn run(
        &mut self,
        strategy: &Bound<'_, PyAny>,
        time_ns: PyReadonlyArray1<'_, i64>,
        bid_ticks: PyReadonlyArray1<'_, i64>,
        ask_ticks: PyReadonlyArray1<'_, i64>,
        bid_lots: Option<PyReadonlyArray1<'_, i64>>,
        ask_lots: Option<PyReadonlyArray1<'_, i64>>,
    ) -> PyResult<()> {
        let running = self.running.as_mut().ok_or_else(over)?;
        let columns = Columns { time_ns, bid_ticks, ask_ticks, bid_lots, ask_lots };
        let rows = columns.checked(running)?;
        for row in 0..rows.len() {
            if row % QUOTES_AT_ONCE == 0 {
                strategy.py().check_signals()?;
            }
            let quote = rows.quote(row);
            running.quote(&quote).map_err(|error| from_replay(&error))?;
            let told = (quote.time_ns, quote.bid_ticks, quote.ask_ticks, running.held_lots());
            let answer = strategy.call1(told)?;
            if !answer.is_none() {
                let lots = answer.extract().map_err(|_| {
                    refused(&format!("answer of the strategy in row {row}"), "whole lots to hold, or None", &answer)
                })?;
                running.target(lots).map_err(|error| from_replay(&error))?;
            }
        }
        Ok(())
    }

    /// The whole loop over targets known beforehand.
    #[pyo3(signature = (target_lots, time_ns, bid_ticks, ask_ticks, *, bid_lots = None, ask_lots = None))]
    #[expect(clippy::too_many_arguments, reason = "columns of a table")]
    #[expect(clippy::needless_pass_by_value, reason = "arguments come from Python by value")]
    fn run_targets(
        &mut self,
        py: Python<'_>,
        target_lots: PyReadonlyArray1<'_, i64>,
        time_ns: PyReadonlyArray1<'_, i64>,
        bid_ticks: PyReadonlyArray1<'_, i64>,
        ask_ticks: PyReadonlyArray1<'_, i64>,
        bid_lots: Option<PyReadonlyArray1<'_, i64>>,
        ask_lots: Option<PyReadonlyArray1<'_, i64>>,
    ) -> PyResult<()> {
        let running = self.running.as_mut().ok_or_else(over)?;
        same_length("target_lots", target_lots.len(), time_ns.len())?;
        let columns = Columns { time_ns, bid_ticks, ask_ticks, bid_lots, ask_lots };
        let (rows, targets) = (columns.checked(running)?, target_lots.as_array());
        let mut piece: Vec<(Quote, i64)> = Vec::with_capacity(QUOTES_AT_ONCE);
        for first in (0..rows.len()).step_by(QUOTES_AT_ONCE) {
            py.check_signals()?;
            piece.clear();
            let last = rows.len().min(first + QUOTES_AT_ONCE);
            piece.extend((first..last).map(|row| (rows.quote(row), targets[row])));
            py.detach(|| run_piece(running, &piece)).map_err(|error| from_replay(&error))?;
        }
        Ok(())
    }

    /// An operator's word after the last quote: `halt`, `reduce` or `resume`.
    fn command(&mut self, command: &str) -> PyResult<()> {
        let command = config::command(command)?;
        self.running.as_mut().ok_or_else(over)?.command(command).map_err(|error| from_replay(&error))
    }

    /// Compares the books of engine and exchange and hands out all that happened. The replay is over then.
    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let running = self.running.take().ok_or_else(over)?;
        let record = py.detach(|| running.finish()).map_err(|error| from_replay(&error))?;
        table::tables(py, &record, &self.names)
    }
}

fn run_piece(running: &mut quotes::QuoteReplay, piece: &[(Quote, i64)]) -> Result<(), ReplayError> {
    for (quote, target_lots) in piece {
        running.quote(quote)?;
        if *target_lots != NO_SIGNAL {
            running.target(*target_lots)?;
        }
    }
    Ok(())
}

/// A table of quotes as it came.
struct Columns<'py> {
    time_ns: PyReadonlyArray1<'py, i64>,
    bid_ticks: PyReadonlyArray1<'py, i64>,
    ask_ticks: PyReadonlyArray1<'py, i64>,
    bid_lots: Option<PyReadonlyArray1<'py, i64>>,
    ask_lots: Option<PyReadonlyArray1<'py, i64>>,
}

impl Columns<'_> {
    /// The rows, each one sound and none older than the one before.
    fn checked(&self, running: &quotes::QuoteReplay) -> PyResult<Rows<'_>> {
        let others = [
            ("bid_ticks", Some(&self.bid_ticks)),
            ("ask_ticks", Some(&self.ask_ticks)),
            ("bid_lots", self.bid_lots.as_ref()),
            ("ask_lots", self.ask_lots.as_ref()),
        ];
        for (name, column) in others.into_iter().filter_map(|(name, column)| Some((name, column?))) {
            same_length(name, column.len(), self.time_ns.len())?;
        }
        let rows = Rows {
            time_ns: self.time_ns.as_array(),
            bid_ticks: self.bid_ticks.as_array(),
            ask_ticks: self.ask_ticks.as_array(),
            bid_lots: self.bid_lots.as_ref().map(|column| column.as_array()),
            ask_lots: self.ask_lots.as_ref().map(|column| column.as_array()),
        };
        let mut after_ns = running.last_ns().unwrap_or(0);
        for row in 0..rows.len() {
            let quote = rows.quote(row);
            quote.check(after_ns).map_err(|error| bad_row(row, &error))?;
            after_ns = quote.time_ns;
        }
        Ok(rows)
    }
}

/// The same, to read.
struct Rows<'a> {
    time_ns: ArrayView1<'a, i64>,
    bid_ticks: ArrayView1<'a, i64>,
    ask_ticks: ArrayView1<'a, i64>,
    bid_lots: Option<ArrayView1<'a, i64>>,
    ask_lots: Option<ArrayView1<'a, i64>>,
}

impl Rows<'_> {
    fn len(&self) -> usize {
        self.time_ns.len()
    }

    fn quote(&self, row: usize) -> Quote {
        Quote {
            time_ns: self.time_ns[row],
            bid_ticks: self.bid_ticks[row],
            ask_ticks: self.ask_ticks[row],
            bid_lots: self.bid_lots.as_ref().map(|lots| lots[row]),
            ask_lots: self.ask_lots.as_ref().map(|lots| lots[row]),
        }
    }
}

fn same_length(name: &str, length: usize, rows: usize) -> PyResult<()> {
    if length == rows {
        return Ok(());
    }
    Err(refused(&format!("column {name}"), format!("{rows} rows, as time_ns has"), length))
}

fn bad_row(row: usize, error: &ReplayError) -> PyErr {
    let what = format!("quote in row {row}");
    match error {
        ReplayError::QuoteOutOfOrder { after_ns, time_ns } => {
            refused(&what, format!("{after_ns} ns or later"), time_ns)
        }
        ReplayError::BadQuote(Quote { bid_ticks, ask_ticks, bid_lots, ask_lots, .. }) => {
            let lots = |lots: &Option<i64>| lots.map_or_else(|| "any size".to_owned(), |lots| format!("{lots} lots"));
            let got = format!("bid {bid_ticks} ({}), ask {ask_ticks} ({})", lots(bid_lots), lots(ask_lots));
            refused(&what, "0 < bid <= ask in ticks, sizes of 0 lots or more", got)
        }
        other => from_replay(other),
    }
}
