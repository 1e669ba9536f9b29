//! Recorded candles from a folder of CSV files.
//!
//! A file is named `BTCUSDT-5m.csv` and begins with `open_time_ms,open,high,low,close,volume`. Invariant: a price that
//! is no whole number of the ticks that were in force then is an error that names its row, never a rounding; what
//! arithmetic leaves on a number, below 1e-12 of it, is none. Volume is data and needs no venue's step: it is cut to
//! whole lots.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sapphire_core::instrument::ATOMS_PER_UNIT;
use sapphire_sim::candle::Candle;
use sapphire_sim::feed::{FeedError, RecordedFeed};
use sha2::{Digest, Sha256};

use crate::matching::api::Interval;
use crate::rules_file::{RULES_FILE, SymbolRules};
use crate::settings::{atoms, iso};

/// First line of every file.
const HEADER: &str = "open_time_ms,open,high,low,close,volume";

/// What arithmetic on doubles leaves of a decimal, as a part of it.
const NOISE: f64 = 1e-12;

/// How near a quantity in doubles is to the whole number of lots that it stands for, as a part of it.
const NEAR: f64 = 1e-9;

/// Candles that could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum CandleError {
    /// No file for a symbol.
    #[error("no candles for {symbol} in {}\n  expected: a file such as {symbol}-5m.csv\n  got:      none\n  next:     put one there, or leave the symbol out of --symbols", .folder.display())]
    Missing {
        /// Symbol.
        symbol: String,
        /// Where.
        folder: PathBuf,
    },
    /// Two files for a symbol.
    #[error("two files of candles for {symbol}\n  expected: one interval per symbol\n  got:      {} and {}\n  next:     keep one of them", .first.display(), .second.display())]
    Ambiguous {
        /// Symbol.
        symbol: String,
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A file could not be read.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A row that does not fit.
    #[error("{} line {line}\n  expected: {expected}\n  got:      {got}\n  next:     {next}", .path.display())]
    Row {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What was expected.
        expected: String,
        /// What came.
        got: String,
        /// What to do.
        next: String,
    },
    /// The candles do not make a market.
    #[error("{}: {source}", .path.display())]
    Feed {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: FeedError,
    },
}

/// Candles of one symbol.
#[derive(Debug)]
pub struct Recorded {
    /// Their feed.
    pub feed: RecordedFeed,
    /// SHA-256 of the file.
    pub digest: String,
}

/// Loads the candles of one symbol, in the steps that hold for all of them.
///
/// # Errors
/// [`CandleError`] names file, line and number.
pub fn load(folder: &Path, rules: &SymbolRules, seed: u64) -> Result<Recorded, CandleError> {
    let symbol = rules.symbol();
    let (path, interval) = find(folder, &symbol)?;
    let text = fs::read_to_string(&path).map_err(|source| CandleError::File { path: path.clone(), source })?;
    let candles = parse(&text, rules).map_err(|row| CandleError::Row {
        path: path.clone(),
        line: row.line,
        expected: row.expected,
        got: row.got,
        next: row.next.unwrap_or_else(|| "correct the file".into()),
    })?;
    let interval_ns = interval.end_ns(0);
    let feed = RecordedFeed::new(seed, &symbol, candles, interval_ns);
    let feed = feed.map_err(|source| CandleError::Feed { path, source })?;
    Ok(Recorded { feed, digest: format!("{:x}", Sha256::digest(text.as_bytes())) })
}

fn find(folder: &Path, symbol: &str) -> Result<(PathBuf, Interval), CandleError> {
    let entries = fs::read_dir(folder).map_err(|source| CandleError::File { path: folder.into(), source })?;
    let mut found: Option<(PathBuf, Interval)> = None;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let Some(interval) = interval_of(&path, symbol) else { continue };
        if let Some((first, _)) = found {
            return Err(CandleError::Ambiguous { symbol: symbol.into(), first, second: path });
        }
        found = Some((path, interval));
    }
    found.ok_or_else(|| CandleError::Missing { symbol: symbol.into(), folder: folder.into() })
}

/// The interval of a file of the symbol; weeks and months have no fixed place in a feed.
fn interval_of(path: &Path, symbol: &str) -> Option<Interval> {
    let name = path.file_name()?.to_str()?.strip_suffix(".csv")?.strip_prefix(symbol)?.strip_prefix('-')?;
    Interval::parse(name).filter(|interval| !matches!(interval.text(), "1w" | "1M"))
}

struct Row {
    line: usize,
    expected: String,
    got: String,
    next: Option<String>,
}

fn parse(text: &str, rules: &SymbolRules) -> Result<Vec<Candle>, Row> {
    let mut lines = text.lines().enumerate();
    let header = lines.next().map_or("", |(_, line)| line.trim());
    if header != HEADER {
        return Err(Row { line: 1, expected: HEADER.into(), got: header.into(), next: None });
    }
    let held = rules.since(i64::MIN).steps;
    let mut traded = 0_i128;
    let mut candles = Vec::new();
    for (index, text) in lines.filter(|(_, text)| !text.trim().is_empty()) {
        let candle = candle(index + 1, text, rules, (held.tick_atoms, held.lot_atoms))?;
        traded += i128::from(candle.volume);
        if traded > i128::from(i64::MAX) {
            let expected = format!("a lot of which the whole file trades at most {}", i64::MAX);
            let got = format!("{traded} lots of {}", held.lot());
            return Err(Row { line: index + 1, expected, got, next: Some(format!("a coarser lot in {RULES_FILE}")) });
        }
        candles.push(candle);
    }
    Ok(candles)
}

fn candle(line: usize, text: &str, rules: &SymbolRules, (tick, lot): (i64, i64)) -> Result<Candle, Row> {
    let fields: Vec<&str> = text.trim().split(',').collect();
    let bad = |expected: String, got: &str| Row { line, expected, got: got.into(), next: None };
    let &[time, open, high, low, close, volume] = fields.as_slice() else {
        return Err(bad(HEADER.into(), text));
    };
    let millis = time.parse::<i64>().ok().filter(|millis| *millis >= 0);
    let open_ns = millis.and_then(|millis| millis.checked_mul(1_000_000));
    let open_ns = open_ns.ok_or_else(|| bad("milliseconds since 1970".into(), time))?;
    let period = rules.at(open_ns);
    let own = period.steps.tick_atoms;
    let ticks = |text: &str, name: &str| {
        let steps = whole_steps(text, own).and_then(|steps| steps.checked_mul(own / tick));
        steps.ok_or_else(|| {
            let since = if period.from_ns == i64::MIN { String::new() } else { format!(", in force since {}", iso(period.from_ns)) };
            let expected = format!("{name} in whole ticks of {}{since}, at most 64 bits of them", period.steps.tick());
            let next = format!(
                "sapphire exchange --candles FOLDER reads the ticks off the prices, --rules FILE takes the venue's; or correct {RULES_FILE}"
            );
            Row { line, expected, got: text.into(), next: Some(next) }
        })
    };
    Ok(Candle {
        open_ns,
        open: ticks(open, "an open")?,
        high: ticks(high, "a high")?,
        low: ticks(low, "a low")?,
        close: ticks(close, "a close")?,
        volume: whole_lots(volume, lot)
            .ok_or_else(|| bad("a volume, zero or more, of 64 bits of lots".into(), volume))?,
    })
}

/// How many steps a price is; none where it lies between two of them.
fn whole_steps(text: &str, step_atoms: i64) -> Option<i64> {
    if let Some(atoms) = atoms(text) {
        return (atoms % i128::from(step_atoms) == 0).then(|| i64::try_from(atoms / i128::from(step_atoms)).ok())?;
    }
    let value: f64 = text.parse().ok()?;
    let step = step_atoms as f64 / ATOMS_PER_UNIT as f64;
    let steps = (value / step).round_ties_even();
    let is_near = (steps * step - value).abs() <= NOISE * value.abs();
    (is_near && steps.abs() < i64::MAX as f64).then_some(steps as i64)
}

/// How many whole lots a volume is, as a replay counts them: what lies between two is cut, what is as near to one as
/// doubles are is that one.
fn whole_lots(text: &str, lot_atoms: i64) -> Option<i64> {
    let volume: f64 = text.parse().ok().filter(|volume: &f64| volume.is_finite() && *volume >= 0.0)?;
    let lots = volume / (lot_atoms as f64 / ATOMS_PER_UNIT as f64);
    let whole = lots.round_ties_even();
    let cut = if (lots - whole).abs() <= NEAR * whole { whole } else { lots.floor() };
    (cut < i64::MAX as f64).then_some(cut as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sapphire_sim::listing::TradingRules;

    fn rules() -> SymbolRules {
        SymbolRules::constant("BTC", "USDT", TradingRules { tick_atoms: 1_000_000, lot_atoms: 1_000 })
    }

    #[test]
    fn rows_become_ticks_and_lots() {
        let text = format!("{HEADER}\n1704067200000,42000.00,42010.5,41990,42000.01,12.34567\n");
        let candles = parse(&text, &rules()).map_err(|row| row.got).unwrap();
        let open_ns = 1_704_067_200_000_000_000;
        let expected =
            Candle { open_ns, open: 4_200_000, high: 4_201_050, low: 4_199_000, close: 4_200_001, volume: 1_234_567 };
        assert_eq!(candles, [expected]);
    }

    #[test]
    fn a_number_between_two_ticks_names_its_line() {
        let text = format!("{HEADER}\n1704067200000,42000,42000,42000,42000,1\n1704067260000,42000.001,1,1,1,1\n");
        let row = parse(&text, &rules()).unwrap_err();
        assert_eq!((row.line, row.got.as_str()), (3, "42000.001"));
        assert!(row.expected.contains("0.01"), "{}", row.expected);
    }

    #[test]
    fn noise_is_the_decimal_that_it_stands_for() {
        assert_eq!(whole_steps("5.2900000000000005e-05", 1), Some(5_290));
        assert_eq!(whole_steps("0.000052900000000000005", 1), Some(5_290));
        assert_eq!(whole_steps("5.29e-05", 1), Some(5_290));
        assert_eq!(whole_steps("42000.000000000007", 1_000_000), Some(4_200_000));
        for other in ["42000.005", "42000.00001", "nan", "inf", "-", "1e300"] {
            assert_eq!(whole_steps(other, 1_000_000), None, "{other}");
        }
    }

    #[test]
    fn a_volume_is_cut_to_whole_lots() {
        assert_eq!(whole_lots("537249.6070000001", 100_000), Some(537_249_607));
        assert_eq!(whole_lots("0.3", 10_000_000), Some(3));
        assert_eq!(whole_lots("0.39999", 10_000_000), Some(3));
        assert_eq!(whole_lots("1e-9", 1), Some(0));
        for other in ["-1", "nan", "inf", "", "1e300"] {
            assert_eq!(whole_lots(other, 1), None, "{other}");
        }
    }

    #[test]
    fn only_the_symbols_own_files_count() {
        let of = |name: &str| interval_of(Path::new(name), "BTCUSDT").map(|interval| interval.text());
        assert_eq!(of("BTCUSDT-5m.csv"), Some("5m"));
        assert_eq!(of("BTCUSDTX-5m.csv"), None);
        assert_eq!(of("BTCUSDT-5x.csv"), None);
        assert_eq!(of("BTCUSDT-1w.csv"), None);
    }
}
