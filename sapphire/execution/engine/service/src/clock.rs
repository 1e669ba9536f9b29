//! The clocks of the process, and market time between two answers of the venue's clock.
//!
//! Invariant: market time never runs backwards.
//! Known limitation: between two answers it is the machine's clock times
//! the speed that the settings name; an exchange that changes its speed is followed only from the next answer on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the process began.
#[derive(Clone, Copy, Debug)]
pub struct Monotonic {
    origin: Instant,
}

impl Monotonic {
    /// A clock that begins now; a process has one.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "two clocks of a process cannot be compared, so one is made on purpose"
    )]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }

    /// Nanoseconds since it began.
    pub fn now_ns(&self) -> i64 {
        self.origin.elapsed().as_nanos() as i64
    }
}

/// Wall time, UTC nanoseconds: for stamps of messages and for the epoch, never for decisions.
pub fn wall_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}

/// How market time runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClockMode {
    /// It stands until the conductor advances it.
    Lockstep,
    /// So many times as fast as the machine's clock.
    Speed(f64),
}

/// Market time as the trader loop knows it.
#[derive(Clone, Copy, Debug)]
pub struct MarketTime {
    clock_mode: ClockMode,
    /// Market and monotonic time of the best answer of the venue's clock.
    anchor: Option<(i64, i64)>,
    latest_ns: i64,
}

/// Market time for the threads that read: as the trader loop has shown it last, none before it knows.
#[derive(Clone, Debug, Default)]
pub struct ShownTime(Arc<Mutex<Option<MarketTime>>>);

impl ShownTime {
    /// The trader loop has learned more.
    pub fn show(&self, time: MarketTime) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(time);
    }

    /// Market time at a moment of the monotonic clock.
    pub fn at(&self, monotonic_ns: i64) -> Option<i64> {
        let mut shown = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.as_mut().map(|time| time.at(monotonic_ns))
    }
}

impl MarketTime {
    /// Begins where the journal ends.
    #[must_use]
    pub fn new(clock_mode: ClockMode, latest_ns: i64) -> Self {
        Self { clock_mode, anchor: None, latest_ns }
    }

    /// The venue has said what time it is.
    pub fn is_known(&self) -> bool {
        self.anchor.is_some()
    }

    /// The venue's clock showed `market_ns` at some moment between the question and the answer.
    pub fn set(&mut self, market_ns: i64, sent_ns: i64, received_ns: i64) {
        self.anchor = Some((market_ns, sent_ns.midpoint(received_ns)));
        if self.clock_mode == ClockMode::Lockstep {
            self.latest_ns = self.latest_ns.max(market_ns);
        }
    }

    /// In lock-step the conductor says where market time stands.
    pub fn stand_at(&mut self, market_ns: i64) {
        self.latest_ns = self.latest_ns.max(market_ns);
    }

    /// Market time at a moment of the monotonic clock.
    pub fn at(&mut self, monotonic_ns: i64) -> i64 {
        if let (ClockMode::Speed(speed), Some((market_ns, anchor_ns))) = (self.clock_mode, self.anchor) {
            let passed = (monotonic_ns - anchor_ns).max(0) as f64 * speed;
            self.latest_ns = self.latest_ns.max(market_ns.saturating_add(passed as i64));
        }
        self.latest_ns
    }

    /// How long until market time comes to `market_ns`; none where it does not run by itself.
    pub fn until(&mut self, market_ns: i64, monotonic_ns: i64) -> Option<Duration> {
        let ClockMode::Speed(speed) = self.clock_mode else { return None };
        self.anchor?;
        let left = market_ns.saturating_sub(self.at(monotonic_ns)).max(0) as f64 / speed;
        Some(Duration::from_nanos(left.min(MAX_WAIT_NS) as u64))
    }
}

/// Nobody waits longer in one go: a minute.
const MAX_WAIT_NS: f64 = 60e9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn market_time_runs_at_its_speed_and_never_back() {
        let mut time = MarketTime::new(ClockMode::Speed(60.0), 0);
        assert_eq!((time.at(5), time.is_known()), (0, false));
        time.set(1_000_000, 100, 300);
        assert_eq!(time.at(200), 1_000_000);
        assert_eq!(time.at(1_200), 1_060_000);
        time.set(1_000_000, 1_300, 1_300);
        assert_eq!(time.at(1_300), 1_060_000, "a clock that was set back is waited for");
        assert_eq!(time.until(1_120_000, 1_300), Some(Duration::from_micros(1)));
    }

    #[test]
    fn in_lockstep_it_stands() {
        let mut time = MarketTime::new(ClockMode::Lockstep, 7);
        time.set(50, 0, 0);
        assert_eq!(time.at(1_000_000), 50);
        time.stand_at(60);
        time.stand_at(55);
        assert_eq!((time.at(2_000_000), time.until(70, 0)), (60, None));
    }
}
