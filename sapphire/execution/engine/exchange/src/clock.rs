//! Market time as the edge reads it.
//!
//! Invariant: it never goes back. In lock-step it is what the matching service last published; at a speed it follows
//! the machine's clock from an anchor, and on a live-paced market it is the machine's clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How market time moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClockMode {
    /// Only at the control plane's word.
    Lockstep,
    /// With the machine's clock: the two are one.
    Live,
    /// So many times as fast as the machine's clock, from where it stood.
    Speed(f64),
}

/// Both clocks.
#[derive(Debug)]
pub struct MarketClock {
    clock_mode: ClockMode,
    anchor_ns: i64,
    anchor: Instant,
    latest_ns: AtomicI64,
}

impl MarketClock {
    /// A clock that stands at `now_ns` and goes from here on.
    #[must_use]
    pub fn starting_at(clock_mode: ClockMode, now_ns: i64) -> Self {
        Self { clock_mode, anchor_ns: now_ns, anchor: Instant::now(), latest_ns: AtomicI64::new(now_ns) }
    }

    /// Market time, UTC nanoseconds.
    pub fn now_ns(&self) -> i64 {
        let now_ns = match self.clock_mode {
            ClockMode::Lockstep => return self.latest_ns.load(Ordering::Acquire),
            ClockMode::Live => wall_ns(),
            ClockMode::Speed(speed) => {
                let passed_ns = self.anchor.elapsed().as_nanos() as f64 * speed;
                self.anchor_ns.saturating_add(passed_ns as i64)
            }
        };
        self.latest_ns.fetch_max(now_ns, Ordering::AcqRel).max(now_ns)
    }

    /// The machine's time, UTC nanoseconds.
    pub fn wall_ns(&self) -> i64 {
        wall_ns()
    }

    /// How market time moves.
    pub fn clock_mode(&self) -> ClockMode {
        self.clock_mode
    }

    /// Publishes where market time stands (lock-step).
    pub fn publish(&self, now_ns: i64) {
        self.latest_ns.fetch_max(now_ns, Ordering::AcqRel);
    }

    /// How long the machine has to wait until market time is `at_ns`; none in lock-step.
    pub fn wait_until(&self, at_ns: i64) -> Option<Duration> {
        let ahead_ns = at_ns.saturating_sub(self.now_ns()).max(0);
        match self.clock_mode {
            ClockMode::Lockstep => None,
            ClockMode::Live => Some(Duration::from_nanos(ahead_ns as u64)),
            ClockMode::Speed(speed) => Some(Duration::from_nanos((ahead_ns as f64 / speed).ceil() as u64)),
        }
    }
}

/// The machine's time, UTC nanoseconds.
pub fn wall_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_clock_moves_only_when_told_and_never_back() {
        let clock = MarketClock::starting_at(ClockMode::Lockstep, 100);
        assert_eq!(clock.now_ns(), 100);
        clock.publish(250);
        clock.publish(200);
        assert_eq!(clock.now_ns(), 250);
        assert_eq!(clock.wait_until(300), None);
    }

    #[test]
    fn a_fast_clock_runs_from_its_anchor() {
        let clock = MarketClock::starting_at(ClockMode::Speed(1_000.0), 0);
        std::thread::sleep(Duration::from_millis(5));
        let now_ns = clock.now_ns();
        assert!(now_ns >= 5_000_000_000, "{now_ns}");
        assert!(clock.now_ns() >= now_ns);
        let wait = clock.wait_until(clock.now_ns() + 60_000_000_000).unwrap();
        assert!(wait <= Duration::from_millis(60), "{wait:?}");
    }
}
