//! How many orders were sent in the last second and the last minute of market time.
//!
//! Invariant: exact sliding windows. A window remembers as many times as it allows orders, so it costs one comparison.

use super::denial::DenialCode;
use super::limits::{LimitSet, MAX_RATE};

const SECOND_NS: i64 = 1_000_000_000;

/// The last times at which an order passed, as many as are allowed within the span.
#[derive(Clone, Debug)]
struct Window {
    span_ns: i64,
    times: Vec<i64>,
    oldest: usize,
}

impl Window {
    fn new(span_ns: i64, allowed: u32) -> Self {
        Self { span_ns, times: vec![i64::MIN; allowed as usize], oldest: 0 }
    }

    /// The same orders in a window of another size. A larger one does not know what came before the ones remembered;
    /// where there may have been some, they are taken to be as young as they can be.
    fn resized(&self, allowed: u32) -> Self {
        let mut resized = Self::new(self.span_ns, allowed);
        let known = (0..self.times.len()).map(|place| self.times[(self.oldest + place) % self.times.len()]);
        let before = self.times.get(self.oldest).copied().unwrap_or(i64::MIN);
        resized.times.fill(before);
        let excess = self.times.len().saturating_sub(allowed as usize);
        known.skip(excess).for_each(|time_ns| resized.record(time_ns));
        resized
    }

    /// When the next order may pass; `i64::MAX` when none may, ever.
    fn opens_ns(&self) -> i64 {
        self.times.get(self.oldest).map_or(i64::MAX, |time_ns| time_ns.saturating_add(self.span_ns))
    }

    fn record(&mut self, now_ns: i64) {
        if let Some(time_ns) = self.times.get_mut(self.oldest) {
            *time_ns = now_ns;
            self.oldest = (self.oldest + 1) % self.times.len();
        }
    }
}

/// The windows of one limit set.
#[derive(Clone, Debug)]
pub(super) struct RateLimiter {
    second: Option<Window>,
    minute: Option<Window>,
}

impl RateLimiter {
    pub(super) fn new(limit_set: &LimitSet) -> Self {
        Self {
            second: limit_set.max_orders_per_second.map(|allowed| Window::new(SECOND_NS, allowed)),
            minute: limit_set.max_orders_per_minute.map(|allowed| Window::new(60 * SECOND_NS, allowed)),
        }
    }

    /// Takes on the limits of `limit_set` and keeps the orders that were counted.
    pub(super) fn set(&mut self, limit_set: &LimitSet) {
        let set = |window: &mut Option<Window>, span_ns, allowed: Option<u32>| {
            // More than this is no limit that anyone means, and each order allowed takes memory.
            let allowed = allowed.map(|allowed| allowed.min(MAX_RATE));
            *window = match (&*window, allowed) {
                (Some(window), Some(allowed)) => Some(window.resized(allowed)),
                (None, Some(allowed)) => Some(Window::new(span_ns, allowed)),
                (_, None) => None,
            };
        };
        set(&mut self.second, SECOND_NS, limit_set.max_orders_per_second);
        set(&mut self.minute, 60 * SECOND_NS, limit_set.max_orders_per_minute);
    }

    /// The window that is full at `now_ns`, and its size.
    pub(super) fn full(&self, now_ns: i64) -> Option<(DenialCode, i64)> {
        let windows = [(DenialCode::RateSecond, &self.second), (DenialCode::RateMinute, &self.minute)];
        windows.into_iter().find_map(|(code, window)| {
            let window = window.as_ref()?;
            (window.opens_ns() > now_ns).then_some((code, window.times.len() as i64))
        })
    }

    pub(super) fn record(&mut self, now_ns: i64) {
        self.second.iter_mut().chain(&mut self.minute).for_each(|window| window.record(now_ns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate_limiter(allowed: u32) -> RateLimiter {
        RateLimiter::new(&LimitSet { max_orders_per_second: Some(allowed), ..LimitSet::default() })
    }

    #[test]
    fn another_size_keeps_what_was_counted() {
        let set = |rate_limiter: &mut RateLimiter, allowed| {
            rate_limiter.set(&LimitSet { max_orders_per_second: Some(allowed), ..LimitSet::default() });
        };
        let mut rate_limiter = rate_limiter(3);
        rate_limiter.record(0);
        rate_limiter.record(400_000_000);
        set(&mut rate_limiter, 1);
        assert_eq!(rate_limiter.full(SECOND_NS), Some((DenialCode::RateSecond, 1)));
        assert_eq!(rate_limiter.full(400_000_000 + SECOND_NS), None);
        // One order is remembered, and there may have been more at its time.
        set(&mut rate_limiter, 2);
        assert_eq!(rate_limiter.full(SECOND_NS), Some((DenialCode::RateSecond, 2)));
        assert_eq!(rate_limiter.full(400_000_000 + SECOND_NS), None);
        rate_limiter.set(&LimitSet::default());
        assert_eq!(rate_limiter.full(SECOND_NS), None);
    }

    proptest! {
        /// The window against a plain list of the times at which orders passed.
        #[test]
        fn never_more_than_allowed_in_any_second(
            allowed in 0_u32..5, gaps in prop::collection::vec(0_i64..600_000_000, 0..60),
        ) {
            let mut rate_limiter = rate_limiter(allowed);
            let mut passed: Vec<i64> = Vec::new();
            let mut now_ns = 0;
            for gap in gaps {
                now_ns += gap;
                let recent = passed.iter().filter(|time_ns| **time_ns > now_ns - SECOND_NS).count();
                prop_assert_eq!(rate_limiter.full(now_ns).is_none(), recent < allowed as usize);
                if rate_limiter.full(now_ns).is_none() {
                    rate_limiter.record(now_ns);
                    passed.push(now_ns);
                }
            }
        }
    }
}
