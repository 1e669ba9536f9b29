//! The sweep over moving-average crosses for notebooks: arrays in, a table of arrays out.

use std::fmt::Display;

use numpy::{PyArray1, PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sapphire_core::instrument::RATE_ONE;
use sapphire_sim::ma_sweep::{Closes, Outcome, Pair, SweepError, check};

use crate::error::refused;

/// Pairs that are swept before the interpreter is asked whether to go on.
const PAIRS_AT_ONCE: usize = 256;

/// Adds the sweep to the module.
///
/// # Errors
/// Those of the interpreter.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(sweep_crosses, module)?)
}

/// What each pair of lengths would have made of one series of closes.
#[pyfunction]
#[pyo3(signature = (close, fast, slow, *, taker_fee_e8 = 0))]
#[expect(clippy::needless_pass_by_value, reason = "arguments come from Python by value")]
fn sweep_crosses<'py>(
    py: Python<'py>,
    close: PyReadonlyArray1<'py, f64>,
    fast: PyReadonlyArray1<'py, i64>,
    slow: PyReadonlyArray1<'py, i64>,
    taker_fee_e8: i64,
) -> PyResult<Bound<'py, PyDict>> {
    if fast.len() != slow.len() {
        let expected = format!("as many slow lengths as fast ones, {}", fast.len());
        return Err(refused("lengths of a sweep", expected, slow.len()));
    }
    let rows = fast.as_array().into_iter().zip(slow.as_array()).enumerate();
    let pairs = rows.map(|(row, (fast, slow))| pair(row, *fast, *slow)).collect::<PyResult<Vec<Pair>>>()?;
    let closes: Vec<f64> = close.as_array().iter().copied().collect();
    let fee = taker_fee_e8 as f64 / RATE_ONE as f64;
    let closes = py.detach(|| Closes::new(closes)).map_err(|error| from_sweep(&error))?;
    check(&pairs, fee).map_err(|error| from_sweep(&error))?;
    let mut outcomes = Vec::with_capacity(pairs.len());
    for pairs in pairs.chunks(PAIRS_AT_ONCE) {
        py.check_signals()?;
        outcomes.extend(py.detach(|| closes.sweep(pairs, fee)).map_err(|error| from_sweep(&error))?);
    }
    table(py, &outcomes)
}

fn pair(row: usize, fast: i64, slow: i64) -> PyResult<Pair> {
    match (usize::try_from(fast), usize::try_from(slow)) {
        (Ok(fast), Ok(slow)) => Ok(Pair { fast, slow }),
        _ => Err(cannot_cross(row, fast, slow)),
    }
}

fn cannot_cross(row: usize, fast: impl Display, slow: impl Display) -> PyErr {
    let got = format!("fast {fast} and slow {slow} in pair {row}");
    refused("lengths of a sweep", "1 <= fast < slow, in bars", got)
}

fn table<'py>(py: Python<'py>, outcomes: &[Outcome]) -> PyResult<Bound<'py, PyDict>> {
    let table = PyDict::new(py);
    let reals = |column: fn(&Outcome) -> f64| PyArray1::from_vec(py, outcomes.iter().map(column).collect());
    let counts = |column: fn(&Outcome) -> i64| PyArray1::from_vec(py, outcomes.iter().map(column).collect());
    table.set_item("total_return", reals(|outcome| outcome.total_return))?;
    table.set_item("sharpe", reals(|outcome| outcome.sharpe))?;
    table.set_item("fees", reals(|outcome| outcome.fees))?;
    table.set_item("orders", counts(|outcome| outcome.orders))?;
    table.set_item("held_bars", counts(|outcome| outcome.held_bars))?;
    Ok(table)
}

fn from_sweep(error: &SweepError) -> PyErr {
    match error {
        SweepError::TooFewCloses(count) => refused("closes of a sweep", "3 or more", count),
        SweepError::BadClose { row, close } => {
            refused("closes of a sweep", "finite prices above zero", format!("{close} at row {row}"))
        }
        SweepError::BadPair { row, pair } => cannot_cross(*row, pair.fast, pair.slow),
        SweepError::BadFee(fee) => {
            refused("taker_fee_e8", "0 or more and less than 100,000,000, which is everything", fee * RATE_ONE as f64)
        }
    }
}
