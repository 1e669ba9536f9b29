//! Whether a signed request is of now.
//!
//! The rule is the venue's: `timestamp < server + 1000 ms && server - timestamp <= recvWindow`. On a market that does
//! not run at the speed of the wall there are two clocks, the market's and the machine's, and a request that satisfies
//! either is of now; on a live-paced market the two are one.

use super::errors::{DECIMAL_RANGE, INTEGER_RANGE, Refusal};
use sapphire_core::decimal::{DecimalError, parse_atoms};

/// Window of a request that names none.
const DEFAULT_WINDOW_US: i64 = 5_000_000;
/// Longest window.
const LONGEST_WINDOW_US: i64 = 60_000_000;
/// How far ahead of the server a request may be.
const AHEAD_US: i64 = 1_000_000;
/// Timestamps from here on are microseconds: as milliseconds this is the year 5138.
const MICROSECONDS_FROM: i64 = 100_000_000_000_000;

/// The two clocks, microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// The market's.
    pub market_us: i64,
    /// The machine's.
    pub wall_us: i64,
}

/// Checks the texts of `timestamp` and `recvWindow` against the clocks.
///
/// # Errors
/// The venue's refusals: -1100 for what is not a number, -1131 for a window above a minute, -1021 for a timestamp out
/// of it.
pub fn check(timestamp: &str, window: Option<&str>, clocks: Clocks) -> Result<(), Refusal> {
    let sent_us = timestamp_us(timestamp)?;
    let window_us = window.map_or(Ok(DEFAULT_WINDOW_US), window_us)?;
    let fits = |now_us: i64| sent_us < now_us + AHEAD_US && now_us - sent_us <= window_us;
    if fits(clocks.market_us) || fits(clocks.wall_us) {
        return Ok(());
    }
    let nearest_us = [clocks.market_us, clocks.wall_us].into_iter().min_by_key(|now_us| now_us.abs_diff(sent_us));
    let ahead = nearest_us.is_some_and(|now_us| sent_us >= now_us);
    Err(if ahead { Refusal::ahead_of_time() } else { Refusal::outside_window() })
}

fn timestamp_us(text: &str) -> Result<i64, Refusal> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::illegal("timestamp", INTEGER_RANGE));
    }
    let value: i64 = text.parse().map_err(|_| Refusal::illegal("timestamp", INTEGER_RANGE))?;
    Ok(if value < MICROSECONDS_FROM { value * 1000 } else { value })
}

/// Milliseconds with up to three decimals.
fn window_us(text: &str) -> Result<i64, Refusal> {
    /// Atoms of 1e-8 ms in a microsecond.
    const ATOMS_PER_US: i64 = 100_000;
    let too_long = |_| Refusal::window_too_long();
    let atoms = parse_atoms(text).map_err(|error| match error {
        DecimalError::Illegal => Refusal::illegal("recvWindow", DECIMAL_RANGE),
        DecimalError::TooPrecise => Refusal::too_precise("recvWindow"),
        DecimalError::TooLarge => Refusal::window_too_long(),
    })?;
    let atoms = i64::try_from(atoms).map_err(too_long)?;
    if atoms % ATOMS_PER_US != 0 {
        return Err(Refusal::too_precise("recvWindow"));
    }
    let window_us = atoms / ATOMS_PER_US;
    if window_us > LONGEST_WINDOW_US { Err(Refusal::window_too_long()) } else { Ok(window_us) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKET_MS: i64 = 1_600_000_000_000;
    const WALL_MS: i64 = 1_795_000_000_000;

    fn at(timestamp_ms: i64, window: Option<&str>) -> Result<(), i32> {
        let clocks = Clocks { market_us: MARKET_MS * 1000, wall_us: WALL_MS * 1000 };
        check(&timestamp_ms.to_string(), window, clocks).map_err(|refusal| refusal.code)
    }

    #[test]
    fn either_clock_will_do() {
        for now_ms in [MARKET_MS, WALL_MS] {
            assert_eq!(at(now_ms, None), Ok(()));
            assert_eq!(at(now_ms - 5_000, None), Ok(()));
            assert_eq!(at(now_ms - 5_001, None), Err(-1021));
            assert_eq!(at(now_ms + 999, None), Ok(()));
            assert_eq!(at(now_ms + 1_000, None), Err(-1021));
            assert_eq!(at(now_ms - 5_001, Some("5001")), Ok(()));
            assert_eq!(at(now_ms - 60_000, Some("60000")), Ok(()));
        }
    }

    #[test]
    fn both_refusals_say_which_side() {
        let clocks = Clocks { market_us: MARKET_MS * 1000, wall_us: WALL_MS * 1000 };
        let ahead = check(&(WALL_MS + 5_000).to_string(), None, clocks);
        assert_eq!(ahead, Err(Refusal::ahead_of_time()));
        let behind = check(&(MARKET_MS - 50_000).to_string(), None, clocks);
        assert_eq!(behind, Err(Refusal::outside_window()));
    }

    #[test]
    fn windows_have_decimals_and_an_end() {
        assert_eq!(at(MARKET_MS - 5, Some("4.999")), Err(-1021));
        assert_eq!(at(MARKET_MS - 5, Some("5.0")), Ok(()));
        assert_eq!(at(MARKET_MS, Some("60000.001")), Err(-1131));
        assert_eq!(at(MARKET_MS, Some("5.0001")), Err(-1111));
        assert_eq!(at(MARKET_MS, Some("soon")), Err(-1100));
    }

    #[test]
    fn microseconds_are_understood() {
        let clocks = Clocks { market_us: MARKET_MS * 1000, wall_us: WALL_MS * 1000 };
        assert_eq!(check(&(MARKET_MS * 1000 - 250).to_string(), Some("1"), clocks), Ok(()));
    }
}
