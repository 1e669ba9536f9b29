//! The venue's limits, counted on our side so that we stop before it tells us to.
//!
//! Invariant: what is not a cancel never uses the last tenth of a limit on weight, so a cancel passes when orders do
//! not. A count is never below what the venue reported for the same interval. Intervals start at whole multiples of
//! themselves in market time, as the venue's do.
//!
//! Known limitation: counts begin anew with the process; the venue's first report corrects them.

use serde::Deserialize;

use super::errors::NotSent;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Weight of requests, per address.
    Weight,
    /// New orders, per account.
    Orders,
}

/// One of the venue's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// What it counts.
    pub kind: LimitKind,
    /// Over how long, market time.
    pub interval_ns: i64,
    /// How much.
    pub limit: u32,
}

/// How much of a limit is used, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The limit.
    pub limit: RateLimit,
    /// Used in the interval of now.
    pub used: u32,
}

/// A limit in the venue's words, with what is used of it where the venue says so.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reported {
    rate_limit_type: Counted,
    interval: Interval,
    interval_num: i64,
    limit: u32,
    #[serde(default)]
    count: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Counted {
    RequestWeight,
    Orders,
    #[serde(other)]
    Else,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Interval {
    Second,
    Minute,
    Hour,
    Day,
    #[serde(other)]
    Else,
}

impl Reported {
    /// The limit, when it is one of those that we count.
    pub(super) fn limit(&self) -> Option<RateLimit> {
        let kind = match self.rate_limit_type {
            Counted::RequestWeight => LimitKind::Weight,
            Counted::Orders => LimitKind::Orders,
            Counted::Else => return None,
        };
        let seconds = match self.interval {
            Interval::Second => 1,
            Interval::Minute => 60,
            Interval::Hour => 3_600,
            Interval::Day => 86_400,
            Interval::Else => return None,
        };
        let interval_ns = self.interval_num.checked_mul(seconds * 1_000_000_000).filter(|interval| *interval > 0)?;
        Some(RateLimit { kind, interval_ns, limit: self.limit })
    }
}

/// What a request is for: who may use the reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A new order.
    Order,
    /// The end of an order.
    Cancel,
    /// A question, or a connection.
    Question,
}

/// The part of a limit on weight that is kept for cancels: one in so many.
const RESERVED_PART: u32 = 10;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    limit: RateLimit,
    interval: i64,
    used: u32,
}

impl Bucket {
    /// Enters the interval of `now_ns`; an earlier one than the latest is taken for the latest.
    fn enter(&mut self, now_ns: i64) {
        let interval = now_ns.div_euclid(self.limit.interval_ns);
        if interval > self.interval {
            (self.interval, self.used) = (interval, 0);
        }
    }

    fn cost(&self, purpose: Purpose, weight: u32) -> u32 {
        match (self.limit.kind, purpose) {
            (LimitKind::Weight, _) => weight,
            (LimitKind::Orders, Purpose::Order) => 1,
            (LimitKind::Orders, _) => 0,
        }
    }

    fn has_room(&self, purpose: Purpose, cost: u32) -> bool {
        let kept = match (self.limit.kind, purpose) {
            (LimitKind::Weight, Purpose::Order | Purpose::Question) => self.limit.limit / RESERVED_PART,
            _ => 0,
        };
        cost == 0 || self.used.saturating_add(cost) <= self.limit.limit - kept
    }
}

/// What is used of every limit.
#[derive(Debug)]
pub(super) struct Weights {
    buckets: Vec<Bucket>,
    blocked_until_ns: i64,
}

impl Weights {
    /// Nothing used yet.
    pub(super) fn new(limits: &[RateLimit]) -> Self {
        let bucket = |limit: &RateLimit| Bucket { limit: *limit, interval: i64::MIN, used: 0 };
        Self { buckets: limits.iter().map(bucket).collect(), blocked_until_ns: i64::MIN }
    }

    /// Counts a request that may be sent at `now_ns` (market time).
    ///
    /// # Errors
    /// [`NotSent::RateLimited`] and [`NotSent::Blocked`]: nothing was counted.
    pub(super) fn charge(&mut self, purpose: Purpose, weight: u32, now_ns: i64) -> Result<(), NotSent> {
        if now_ns < self.blocked_until_ns {
            return Err(NotSent::Blocked);
        }
        for bucket in &mut self.buckets {
            bucket.enter(now_ns);
            if !bucket.has_room(purpose, bucket.cost(purpose, weight)) {
                return Err(NotSent::RateLimited);
            }
        }
        self.count(purpose, weight);
        Ok(())
    }

    /// Counts a request that is sent whatever the counts say.
    pub(super) fn count_anyway(&mut self, purpose: Purpose, weight: u32, now_ns: i64) {
        self.buckets.iter_mut().for_each(|bucket| bucket.enter(now_ns));
        self.count(purpose, weight);
    }

    fn count(&mut self, purpose: Purpose, weight: u32) {
        for bucket in &mut self.buckets {
            bucket.used = bucket.used.saturating_add(bucket.cost(purpose, weight));
        }
    }

    /// Takes note of what the venue says is used.
    pub(super) fn correct(&mut self, reported: &Reported) {
        let (Some(limit), Some(count)) = (reported.limit(), reported.count) else { return };
        for bucket in &mut self.buckets {
            if (bucket.limit.kind, bucket.limit.interval_ns) == (limit.kind, limit.interval_ns) {
                bucket.limit.limit = limit.limit;
                bucket.used = bucket.used.max(count);
            }
        }
    }

    /// Takes note of the weight that a header says was used in this minute.
    pub(super) fn correct_minute(&mut self, used: u32) {
        const MINUTE_NS: i64 = 60_000_000_000;
        for bucket in &mut self.buckets {
            if (bucket.limit.kind, bucket.limit.interval_ns) == (LimitKind::Weight, MINUTE_NS) {
                bucket.used = bucket.used.max(used);
            }
        }
    }

    /// The venue takes nothing from us before this market time.
    pub(super) fn block_until(&mut self, market_ns: i64) {
        self.blocked_until_ns = self.blocked_until_ns.max(market_ns);
    }

    /// The venue says that we sent too many orders: no more in its shortest interval.
    pub(super) fn fill_orders(&mut self) {
        let orders = self.buckets.iter_mut().filter(|bucket| bucket.limit.kind == LimitKind::Orders);
        if let Some(bucket) = orders.min_by_key(|bucket| bucket.limit.interval_ns) {
            bucket.used = bucket.limit.limit;
        }
    }

    /// What is used at `now_ns`.
    pub(super) fn usage(&mut self, now_ns: i64) -> Vec<Usage> {
        self.buckets.iter_mut().for_each(|bucket| bucket.enter(now_ns));
        self.buckets.iter().map(|bucket| Usage { limit: bucket.limit, used: bucket.used }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE_NS: i64 = 60_000_000_000;

    fn weights() -> Weights {
        let limit = |kind, interval_ns, limit| RateLimit { kind, interval_ns, limit };
        Weights::new(&[
            limit(LimitKind::Weight, MINUTE_NS, 100),
            limit(LimitKind::Orders, 10_000_000_000, 3),
            limit(LimitKind::Orders, 24 * 60 * MINUTE_NS, 5),
        ])
    }

    fn reported(text: &str) -> Reported {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn orders_are_counted_in_each_interval() {
        let mut weights = weights();
        for _ in 0..3 {
            weights.charge(Purpose::Order, 1, 0).unwrap();
        }
        assert_eq!(weights.charge(Purpose::Order, 1, 9_999_999_999), Err(NotSent::RateLimited));
        assert_eq!(weights.charge(Purpose::Cancel, 1, 0), Ok(()));
        weights.charge(Purpose::Order, 1, 10_000_000_000).unwrap();
        weights.charge(Purpose::Order, 1, 10_000_000_000).unwrap();
        assert_eq!(weights.charge(Purpose::Order, 1, 30_000_000_000), Err(NotSent::RateLimited), "the day's");
        let used: Vec<u32> = weights.usage(30_000_000_000).iter().map(|usage| usage.used).collect();
        assert_eq!(used, [6, 0, 5]);
    }

    #[test]
    fn the_last_tenth_is_for_cancels() {
        let mut weights = weights();
        weights.charge(Purpose::Question, 90, 0).unwrap();
        assert_eq!(weights.charge(Purpose::Question, 1, 0), Err(NotSent::RateLimited));
        assert_eq!(weights.charge(Purpose::Order, 1, 0), Err(NotSent::RateLimited));
        weights.charge(Purpose::Cancel, 10, 0).unwrap();
        assert_eq!(weights.charge(Purpose::Cancel, 1, 0), Err(NotSent::RateLimited));
        assert_eq!(weights.charge(Purpose::Order, 1, MINUTE_NS), Ok(()));
    }

    #[test]
    fn the_venue_knows_better() {
        let mut weights = weights();
        weights.charge(Purpose::Order, 1, 0).unwrap();
        weights.correct(&reported(
            r#"{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":100,"count":90}"#,
        ));
        assert_eq!(weights.charge(Purpose::Order, 1, 0), Err(NotSent::RateLimited));
        weights.correct_minute(95);
        assert_eq!(weights.usage(0)[0].used, 95);
        weights.correct(&reported(r#"{"rateLimitType":"RAW_REQUESTS","interval":"MONTH","intervalNum":1,"limit":1}"#));
        weights.charge(Purpose::Order, 1, MINUTE_NS).unwrap();
        weights.fill_orders();
        assert_eq!(weights.charge(Purpose::Order, 1, MINUTE_NS), Err(NotSent::RateLimited));
        assert_eq!(weights.charge(Purpose::Order, 1, MINUTE_NS + 10_000_000_000), Ok(()));
        weights.block_until(5 * MINUTE_NS);
        assert_eq!(weights.charge(Purpose::Cancel, 1, 2 * MINUTE_NS), Err(NotSent::Blocked));
        assert_eq!(weights.charge(Purpose::Cancel, 1, 5 * MINUTE_NS), Ok(()));
    }

    proptest! {
        #[test]
        fn no_limit_is_passed_and_the_reserve_is_kept(
            requests in prop::collection::vec((0_u8..3, 1_u32..30, 0_i64..30_000_000_000), 1..200),
        ) {
            let mut weights = weights();
            let mut now_ns = 0;
            let (mut minute, mut total, mut others) = (0, 0, 0);
            for (purpose, weight, wait_ns) in requests {
                now_ns += wait_ns;
                if now_ns / MINUTE_NS != minute {
                    (minute, total, others) = (now_ns / MINUTE_NS, 0, 0);
                }
                let purpose = [Purpose::Order, Purpose::Cancel, Purpose::Question][usize::from(purpose)];
                if weights.charge(purpose, weight, now_ns).is_ok() {
                    total += weight;
                    others += if purpose == Purpose::Cancel { 0 } else { weight };
                }
                prop_assert!(total <= 100 && others <= 90);
                prop_assert_eq!(weights.usage(now_ns)[0].used, total);
            }
        }
    }
}
