//! Recorded candles from a folder of CSV files.
//!
//! A file is named `BTCUSDT-5m.csv` and begins with `open_time_ms,open,high,low,close,volume`. Invariant: a number
//! that does not fit the symbol's ticks or lots is an error that names its row, never a rounding.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sapphire_core::instrument::Instrument;
use sapphire_sim::candle::Candle;
use sapphire_sim::feed::{FeedError, RecordedFeed};
use sha2::{Digest, Sha256};

use crate::desk::api::Interval;
use crate::settings::atoms;

/// First line of every file.
const HEADER: &str = "open_time_ms,open,high,low,close,volume";

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
    #[error("{} line {line}\n  expected: {expected}\n  got:      {got}\n  next:     correct the file", .path.display())]
    Row {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What was expected.
        expected: String,
        /// What came.
        got: String,
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

/// Loads the candles of one symbol.
///
/// # Errors
/// [`CandleError`] names file, line and number.
pub fn load(folder: &Path, symbol: &str, instrument: &Instrument, seed: u64) -> Result<Recorded, CandleError> {
    let (path, interval) = find(folder, symbol)?;
    let text = fs::read_to_string(&path).map_err(|source| CandleError::File { path: path.clone(), source })?;
    let candles = parse(&text, instrument).map_err(|row| CandleError::Row {
        path: path.clone(),
        line: row.line,
        expected: row.expected,
        got: row.got,
    })?;
    let interval_ns = interval.end_ns(0);
    let feed = RecordedFeed::new(seed, symbol, candles, interval_ns);
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
}

fn parse(text: &str, instrument: &Instrument) -> Result<Vec<Candle>, Row> {
    let mut lines = text.lines().enumerate();
    let header = lines.next().map_or("", |(_, line)| line.trim());
    if header != HEADER {
        return Err(Row { line: 1, expected: HEADER.into(), got: header.into() });
    }
    lines.filter(|(_, line)| !line.trim().is_empty()).map(|(index, line)| candle(index + 1, line, instrument)).collect()
}

fn candle(line: usize, text: &str, instrument: &Instrument) -> Result<Candle, Row> {
    let fields: Vec<&str> = text.trim().split(',').collect();
    let &[time, open, high, low, close, volume] = fields.as_slice() else {
        return Err(Row { line, expected: HEADER.into(), got: text.into() });
    };
    let millis = time.parse::<i64>().ok().filter(|millis| *millis >= 0);
    let open_ns = millis.and_then(|millis| millis.checked_mul(1_000_000));
    let open_ns = open_ns.ok_or_else(|| Row { line, expected: "milliseconds since 1970".into(), got: time.into() })?;
    let units = |text: &str, name: &str, unit: i64| {
        let fits = atoms(text).filter(|atoms| atoms % i128::from(unit) == 0).map(|atoms| atoms / i128::from(unit));
        fits.and_then(|steps| i64::try_from(steps).ok()).ok_or_else(|| Row {
            line,
            expected: format!("{name} in whole steps of {}, at most 64 bits of them", decimal(unit)),
            got: text.into(),
        })
    };
    let ticks = |text, name| units(text, name, instrument.tick_atoms);
    Ok(Candle {
        open_ns,
        open: ticks(open, "an open")?,
        high: ticks(high, "a high")?,
        low: ticks(low, "a low")?,
        close: ticks(close, "a close")?,
        volume: units(volume, "a volume", instrument.lot_atoms)?,
    })
}

fn decimal(atoms: i64) -> String {
    let text = format!("{}.{:08}", atoms / 100_000_000, atoms % 100_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sapphire_core::instrument::Asset;
    use sapphire_sim::listing::listing;

    fn instrument() -> Instrument {
        listing("BTCUSDT").unwrap().instrument(Asset(0), Asset(1))
    }

    #[test]
    fn rows_become_ticks_and_lots() {
        let text = format!("{HEADER}\n1704067200000,42000.00,42010.5,41990,42000.01,12.34567\n");
        let candles = parse(&text, &instrument()).map_err(|row| row.got).unwrap();
        let open_ns = 1_704_067_200_000_000_000;
        let expected =
            Candle { open_ns, open: 4_200_000, high: 4_201_050, low: 4_199_000, close: 4_200_001, volume: 1_234_567 };
        assert_eq!(candles, [expected]);
    }

    #[test]
    fn a_number_between_two_ticks_names_its_line() {
        let text = format!("{HEADER}\n1704067200000,42000,42000,42000,42000,1\n1704067260000,42000.001,1,1,1,1\n");
        let row = parse(&text, &instrument()).unwrap_err();
        assert_eq!((row.line, row.got.as_str()), (3, "42000.001"));
        assert!(row.expected.contains("0.01"), "{}", row.expected);
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
