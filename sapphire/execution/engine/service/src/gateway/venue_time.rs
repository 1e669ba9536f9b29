//! The venue's clock between two looks at it, never ahead of it.
//!
//! Invariant: what it gives is not later than the venue's clock, as long as that runs at the speed that the settings
//! name. In lock-step time stands at the latest that was reported.
//!
//! Known limitation: a venue whose clock is set back is followed only after a second of difference.

use std::sync::{Mutex, PoisonError};

use crate::clock::{ClockMode, wall_ns};

/// A difference between the venue's clock and ours that is not the way's doing.
const JUMP_NS: i64 = 1_000_000_000;
const NS_PER_MS: i64 = 1_000_000;

/// Market time as the gateway's threads know it.
#[derive(Debug)]
pub(super) struct VenueTime {
    clock_mode: ClockMode,
    /// Market time and the monotonic time at which it had been reached.
    anchor: Mutex<(i64, i64)>,
}

impl VenueTime {
    /// The venue said `market_ns`; the answer came at `received_ns` (monotonic).
    pub(super) fn new(clock_mode: ClockMode, market_ns: i64, received_ns: i64) -> Self {
        Self { clock_mode, anchor: Mutex::new((market_ns, received_ns)) }
    }

    /// The venue said `market_ns`; the answer came at `received_ns`.
    pub(super) fn note(&self, market_ns: i64, received_ns: i64) {
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let known_ns = self.at(*anchor, received_ns);
        // The answer that travelled the shortest is the best.
        if market_ns > known_ns || market_ns < known_ns - JUMP_NS && self.clock_mode != ClockMode::Lockstep {
            *anchor = (market_ns, received_ns);
        }
    }

    /// Market time at a moment of the monotonic clock.
    pub(super) fn now_ns(&self, monotonic_ns: i64) -> i64 {
        let anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        self.at(*anchor, monotonic_ns)
    }

    /// The `timestamp` of a request that is made at a market time: in lock-step, where the exchange may be advanced at
    /// any moment, the machine's time, which it takes as well.
    pub(super) fn timestamp_ms(&self, market_ns: i64) -> i64 {
        let now_ns = if self.clock_mode == ClockMode::Lockstep { wall_ns() } else { market_ns };
        now_ns / NS_PER_MS
    }

    fn at(&self, (market_ns, anchor_ns): (i64, i64), monotonic_ns: i64) -> i64 {
        match self.clock_mode {
            ClockMode::Lockstep => market_ns,
            ClockMode::Speed(speed) => {
                market_ns.saturating_add(((monotonic_ns - anchor_ns).max(0) as f64 * speed) as i64)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: i64 = 1_000_000_000;

    #[test]
    fn it_runs_at_its_speed_and_keeps_the_best_answer() {
        let time = VenueTime::new(ClockMode::Speed(10.0), 100 * SECOND_NS, SECOND_NS);
        assert_eq!(time.now_ns(2 * SECOND_NS), 110 * SECOND_NS);
        time.note(110 * SECOND_NS - 5, 2 * SECOND_NS);
        assert_eq!(time.now_ns(2 * SECOND_NS), 110 * SECOND_NS, "that answer travelled longer");
        time.note(110 * SECOND_NS + 5, 2 * SECOND_NS);
        assert_eq!(time.now_ns(2 * SECOND_NS), 110 * SECOND_NS + 5);
        time.note(50 * SECOND_NS, 3 * SECOND_NS);
        assert_eq!(time.now_ns(3 * SECOND_NS), 50 * SECOND_NS, "the venue began anew");
    }

    #[test]
    fn in_lockstep_it_stands_and_never_goes_back() {
        let time = VenueTime::new(ClockMode::Lockstep, 7, 0);
        time.note(9, 1);
        time.note(8, 2);
        assert_eq!(time.now_ns(SECOND_NS), 9);
        let wall_ms = wall_ns() / 1_000_000;
        assert!((0..10_000).contains(&(time.timestamp_ms(9) - wall_ms)));
    }
}
