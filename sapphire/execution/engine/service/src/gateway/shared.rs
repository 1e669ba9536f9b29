//! What the gateway's threads share.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::settings::VenueSettings;
use super::transport::Transport;
use super::venue_time::VenueTime;
use super::weights::Weights;
use crate::clock::{ClockMode, Monotonic};

/// How long a thread sleeps at most before it looks whether it should end.
pub(super) const GLANCE: Duration = Duration::from_millis(100);
/// First pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause: a venue allows 300 connections in five minutes.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Read by all threads of a gateway.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: VenueSettings,
    pub(super) clock: Monotonic,
    pub(super) time: VenueTime,
    pub(super) transport: Arc<Transport>,
    weights: Mutex<Weights>,
    /// One for the start of the process, and one for each connection lost since: what a drain has to come after.
    losses: AtomicU64,
    market_data_heard_ns: AtomicI64,
    is_over: AtomicBool,
}

/// No frame has been heard.
const NEVER: i64 = i64::MIN;

impl Shared {
    pub(super) fn new(settings: &VenueSettings, clock: Monotonic, time: VenueTime, weights: Weights) -> Self {
        Self {
            settings: settings.clone(),
            clock,
            time,
            transport: Arc::default(),
            weights: Mutex::new(weights),
            losses: AtomicU64::new(1),
            market_data_heard_ns: AtomicI64::new(NEVER),
            is_over: AtomicBool::new(false),
        }
    }

    pub(super) fn is_lockstep(&self) -> bool {
        self.settings.clock_mode == ClockMode::Lockstep
    }

    /// Market time, never ahead of the venue's.
    pub(super) fn market_ns(&self) -> i64 {
        self.time.now_ns(self.clock.now_ns())
    }

    /// Plain counters behind the lock: whole after every statement.
    pub(super) fn weights(&self) -> MutexGuard<'_, Weights> {
        self.weights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn losses(&self) -> u64 {
        self.losses.load(Ordering::Acquire)
    }

    pub(super) fn count_loss(&self) {
        self.losses.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn hear_market_data(&self) {
        self.market_data_heard_ns.store(self.clock.now_ns(), Ordering::Relaxed);
    }

    pub(super) fn market_data_heard_ns(&self) -> Option<i64> {
        Some(self.market_data_heard_ns.load(Ordering::Relaxed)).filter(|heard| *heard != NEVER)
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Lets all threads end.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.transport.close();
    }

    /// Sleeps, but not past the end.
    pub(super) fn sleep(&self, pause: Duration) {
        let mut left = pause;
        while !left.is_zero() && !self.is_over() {
            let nap = left.min(GLANCE);
            thread::sleep(nap);
            left -= nap;
        }
    }
}

/// Pauses that double with each failure.
#[derive(Debug)]
pub(super) struct BackOff(Duration);

impl BackOff {
    pub(super) fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    /// The next pause.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut back_off = BackOff::new();
        let pauses: Vec<u128> = (0..8).map(|_| back_off.next().as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
    }
}
