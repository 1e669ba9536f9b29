//! The engine as a Python module: registrations only.

#![deny(unsafe_code)]

use pyo3::prelude::*;

mod error;
mod ma_sweep;
mod market;
mod replay;

/// The compiled engine; `sapphire_engine` re-exports it.
#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    error::register(module)?;
    replay::register(module)?;
    ma_sweep::register(module)?;
    market::register(module)
}
