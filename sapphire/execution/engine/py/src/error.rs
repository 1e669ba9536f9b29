//! The one exception of the compiled engine: what was wrong, what was expected, what came.

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use sapphire_core::amounts::MAX_ATOMS;
use sapphire_sim::feed::FeedError;
use sapphire_sim::replay::ReplayError;

create_exception!(sapphire_engine, EngineError, PyException, "A request that the compiled engine refuses.");

/// Adds the exception to the module.
///
/// # Errors
/// Those of the interpreter.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("EngineError", module.py().get_type::<EngineError>())
}

/// An [`EngineError`] with its attributes `what`, `expected` and `got`.
#[expect(clippy::needless_pass_by_value, reason = "numbers, texts and errors alike")]
pub fn refused(what: &str, expected: impl Into<String>, got: impl ToString) -> PyErr {
    let (expected, got) = (expected.into(), got.to_string());
    let error = EngineError::new_err(format!("{what}\n  expected: {expected}\n  got:      {got}"));
    Python::attach(|py| {
        let value = error.value(py);
        // An exception takes any attribute; should it not, its text still says all of it.
        let _ = value.setattr("what", what);
        let _ = value.setattr("expected", expected);
        let _ = value.setattr("got", got);
    });
    error
}

/// Recorded candles that a feed refused.
pub fn bad_candles(symbol: &str, error: &FeedError) -> PyErr {
    let expected = "sound candles of one interval, sorted by open time, each once";
    refused(&format!("recorded candles of {symbol}"), expected, error)
}

/// What a replay said.
pub fn from_replay(error: &ReplayError) -> PyErr {
    match error {
        ReplayError::Config(fault) => refused("configuration of a replay", "numbers that can be meant", &fault.0),
        ReplayError::Deposit(rejection) => refused("deposit", "atoms of a known asset, zero or more", rejection),
        ReplayError::NotHoldable(fault) => {
            let what = format!("holding of asset {}", fault.asset.0);
            refused(&what, format!("at most {MAX_ATOMS} atoms, in its amount and in its cost"), fault.atoms)
        }
        ReplayError::NotValued { symbol, atoms, close_ns } => {
            let what = format!("value of {symbol} at {close_ns} ns");
            refused(&what, format!("at most {MAX_ATOMS} quote atoms"), format!("that of {atoms} base atoms"))
        }
        ReplayError::CloseNotAMinute { close_ns } => {
            refused("close of a bar", "a whole minute in nanoseconds", close_ns)
        }
        ReplayError::CloseOutOfOrder { after_ns, close_ns } => {
            refused("close of a bar", format!("later than {after_ns}"), close_ns)
        }
        ReplayError::RulesChange { change_ns, close_ns } => {
            let expected = format!("up to {change_ns}, when trading rules change, or the rules in force at its end");
            refused("close of a bar", expected, close_ns)
        }
        ReplayError::NoBar => refused("steps of a bar", "close_bar, then signals, then end_of_bar", "no closed bar"),
        ReplayError::Targets { expected, got } => {
            refused("table of targets", format!("{expected} targets, bars times symbols"), got)
        }
        ReplayError::NoPrice { symbol, close_ns } => {
            refused(&format!("value of {symbol}"), format!("a candle before {close_ns}"), "none")
        }
        ReplayError::QuoteOutOfOrder { after_ns, time_ns } => {
            refused("time of a quote", format!("{after_ns} or later"), time_ns)
        }
        ReplayError::BadQuote(quote) => {
            refused("quote", "0 < bid <= ask in ticks, and sizes of 0 lots or more", format!("{quote:?}"))
        }
        ReplayError::NoQuote => refused("target or command", "a quote before it", "none"),
        ReplayError::BalancesDiffer { asset, exchange, engine } => {
            let what = format!("books of asset {asset}: a defect of the engine, not of its use");
            refused(&what, format!("{exchange} atoms, as the exchange holds"), engine)
        }
    }
}
