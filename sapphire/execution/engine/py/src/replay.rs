//! The replay for notebooks: plain Python values in, numpy arrays out, the loop in between compiled.
//!
//! Invariant: nothing here decides; it translates. What cannot be meant raises `EngineError`, and the interpreter is
//! free while the engine runs.

use std::collections::BTreeMap;

use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use sapphire_core::amounts::Atoms;
use sapphire_core::instrument::InstrumentId;
use sapphire_sim::replay::{self, NO_SIGNAL, ReplayError};

use crate::error::{from_replay, refused};

mod config;
mod quotes;
mod settings;
mod table;

use config::{Candles, Market, Money, Names, Whole};

/// Adds the replay to the module.
///
/// # Errors
/// Those of the interpreter.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("MODELS", PyTuple::new(module.py(), config::MODELS)?)?;
    module.add("NO_SIGNAL", NO_SIGNAL)?;
    module.add_class::<Replay>()?;
    module.add_class::<quotes::QuoteReplay>()?;
    module.add_class::<BarState>()
}

/// Bars that are run before the interpreter is asked whether to go on.
const BARS_AT_ONCE: usize = 512;

/// The account at the close of a bar.
#[pyclass(frozen, get_all, module = "sapphire_engine")]
#[derive(Debug)]
pub struct BarState {
    close_ns: i64,
    equity_quote_atoms: Atoms,
    cash_quote_atoms: Atoms,
    position_atoms: Vec<Atoms>,
    position_lots: Vec<Atoms>,
}

#[pymethods]
impl BarState {
    fn __repr__(&self) -> String {
        let Self { close_ns, equity_quote_atoms, cash_quote_atoms, position_lots, .. } = self;
        format!(
            "BarState(close_ns={close_ns}, equity_quote_atoms={equity_quote_atoms}, \
             cash_quote_atoms={cash_quote_atoms}, position_lots={position_lots:?})"
        )
    }
}

/// The engine on a market, bar by bar.
#[pyclass(module = "sapphire_engine")]
#[derive(Debug)]
pub struct Replay {
    /// None once it is finished.
    running: Option<replay::Replay>,
    names: Names,
}

#[pymethods]
impl Replay {
    #[new]
    #[pyo3(signature = (
        *, symbols, start_ns, deposits_atoms, time_to_live_ns, model = "book", seed = 0, candles = None,
        candle_interval_ns = 60_000_000_000, instruments = None, maker_fee_e8 = 0, taker_fee_e8 = 0,
        latency_ns = (0, 0), limits = None, settings = None,
    ))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of the Python constructor")]
    fn new(
        py: Python<'_>,
        symbols: Vec<String>,
        start_ns: i64,
        deposits_atoms: BTreeMap<String, Whole>,
        time_to_live_ns: i64,
        model: &str,
        seed: u64,
        candles: Option<BTreeMap<String, Candles<'_>>>,
        candle_interval_ns: i64,
        instruments: Option<BTreeMap<String, Bound<'_, PyDict>>>,
        maker_fee_e8: i64,
        taker_fee_e8: i64,
        latency_ns: (i64, i64),
        limits: Option<&Bound<'_, PyDict>>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let names = Names::new(symbols)?;
        let market = Market { seed, start_ns, model, latency_ns, candles, candle_interval_ns, instruments };
        let money = Money { deposits_atoms, maker_fee_e8, taker_fee_e8 };
        let listed = market.listed(&names)?;
        let config = config::replay_config(&names, &market, &money, (start_ns, time_to_live_ns), limits, settings)?;
        let names = names.with_lots(&listed);
        let running = py.detach(|| replay::Replay::new(&config, listed)).map_err(|error| from_replay(&error))?;
        Ok(Self { running: Some(running), names })
    }

    /// Market time, UTC nanoseconds.
    #[getter]
    fn now_ns(&self) -> PyResult<i64> {
        Ok(self.running()?.now_ns())
    }

    /// Lets the market run to the close of a bar and says how the account stands.
    fn close_bar(&mut self, py: Python<'_>, close_ns: i64) -> PyResult<BarState> {
        let lots = self.names.lot_atoms();
        let running = self.running_mut()?;
        let state = py.detach(|| running.close_bar(close_ns).cloned()).map_err(|error| from_replay(&error))?;
        let position_lots =
            state.position_atoms.iter().zip(lots).map(|(atoms, lot)| atoms / Atoms::from(lot)).collect();
        Ok(BarState {
            close_ns: state.close_ns,
            equity_quote_atoms: state.equity_quote_atoms,
            cash_quote_atoms: state.cash_quote_atoms,
            position_atoms: state.position_atoms,
            position_lots,
        })
    }

    /// States the target of one symbol for the bar just closed.
    fn signal(&mut self, symbol: &str, target_lots: i64) -> PyResult<()> {
        let index = self.names.index(symbol)?;
        self.running_mut()?.signal(InstrumentId(index as u16), target_lots).map_err(|error| from_replay(&error))
    }

    /// Pays out what is held of a symbol that trades no more, at its last close: its atoms, the price in ticks and the
    /// quote atoms; None where nothing is held or an order is on the way yet.
    fn settle(&mut self, py: Python<'_>, symbol: &str) -> PyResult<Option<(i128, i64, i128)>> {
        let index = self.names.index(symbol)?;
        let running = self.running_mut()?;
        let settled = py.detach(|| running.settle(InstrumentId(index as u16))).map_err(|error| from_replay(&error))?;
        Ok(settled.map(|paid| (paid.atoms, paid.ticks, paid.quote_atoms)))
    }

    /// All signals of the bar are in.
    fn end_of_bar(&mut self, py: Python<'_>) -> PyResult<()> {
        let running = self.running_mut()?;
        py.detach(|| running.end_of_bar()).map_err(|error| from_replay(&error))
    }

    /// An operator's word at this moment: `halt`, `reduce` or `resume`.
    fn command(&mut self, py: Python<'_>, command: &str) -> PyResult<()> {
        let command = config::command(command)?;
        let running = self.running_mut()?;
        py.detach(|| running.command(command));
        Ok(())
    }

    /// The whole loop over targets known beforehand.
    #[expect(clippy::needless_pass_by_value, reason = "arguments come from Python by value")]
    fn run_targets(
        &mut self,
        py: Python<'_>,
        bar_close_ns: PyReadonlyArray1<'_, i64>,
        target_lots: PyReadonlyArray2<'_, i64>,
    ) -> PyResult<()> {
        let running = self.running_mut()?;
        let (bars, symbols) = (bar_close_ns.len(), running.symbols());
        if target_lots.shape() != [bars, symbols] {
            let expected = format!("the shape ({bars}, {symbols}), bars times symbols");
            return Err(refused("table of targets", expected, format!("{:?}", target_lots.shape())));
        }
        let closes: Vec<i64> = bar_close_ns.as_array().iter().copied().collect();
        let targets: Vec<i64> = target_lots.as_array().iter().copied().collect();
        // In pieces, so that a notebook can interrupt it.
        for (closes, targets) in closes.chunks(BARS_AT_ONCE).zip(targets.chunks(BARS_AT_ONCE * symbols)) {
            py.check_signals()?;
            py.detach(|| running.run_targets(closes, targets)).map_err(|error| from_replay(&error))?;
        }
        Ok(())
    }

    /// Compares the books of engine and exchange and hands out all that happened. The replay is over then.
    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.running()?;
        let Some(running) = self.running.take() else { return Err(over()) };
        let record = py.detach(|| running.finish()).map_err(|error: ReplayError| from_replay(&error))?;
        table::tables(py, &record, &self.names)
    }
}

impl Replay {
    fn running(&self) -> PyResult<&replay::Replay> {
        self.running.as_ref().ok_or_else(over)
    }

    fn running_mut(&mut self) -> PyResult<&mut replay::Replay> {
        self.running.as_mut().ok_or_else(over)
    }
}

fn over() -> PyErr {
    refused("replay", "one that is not finished", "a finished one: make a new Replay")
}
