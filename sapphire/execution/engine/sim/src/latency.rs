//! How long a request travels.

use crate::hash::mix;

/// A delay between two bounds, decided by (seed, symbol, time, ordinal), so that a rerun or a replay has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Seed of the run.
    pub seed: u64,
    /// Shortest delay.
    pub min_ns: i64,
    /// Longest delay.
    pub max_ns: i64,
}

impl Latency {
    /// Requests arrive at once.
    pub const NONE: Self = Self { seed: 0, min_ns: 0, max_ns: 0 };

    /// Delay of the `ordinal`-th request for a symbol sent while market time stood at `now_ns`.
    pub fn delay_ns(&self, symbol_key: u64, now_ns: i64, ordinal: u64) -> i64 {
        let span = (self.max_ns - self.min_ns).max(0) as u64;
        let draw = mix(self.seed, &[LATENCY_STREAM, symbol_key, now_ns as u64, ordinal]);
        self.min_ns + (draw % (span + 1)) as i64
    }
}

/// Keeps these draws apart from those of other users of the same seed.
const LATENCY_STREAM: u64 = 0x1a7e;
