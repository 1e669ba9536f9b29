//! How much a client may ask: request weight per address and minute, orders per account and interval.
//!
//! Intervals start at whole multiples of themselves in market time, as the venue's do. A client that keeps sending
//! after it was told to stop is banned, for two minutes at first and for up to three days when it happens again (the
//! venue's documented range; after how many refusals it bans is not documented and is [`REFUSALS_BEFORE_BAN`] here).
//!
//! Known limitations: counts begin anew with the process, and an order counts until its interval ends even when it is
//! filled as a maker.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sapphire_core::venue::AccountId;
use serde::Serialize;

use super::errors::{Refusal, Retry};

/// Request weight in a minute (the venue's `exchangeInfo`).
pub const WEIGHT_LIMIT: u32 = 6_000;
/// Orders in ten seconds (the venue's `exchangeInfo`).
pub const ORDERS_LIMIT_10S: u32 = 100;
/// Orders in a day (the venue's `exchangeInfo`).
pub const ORDERS_LIMIT_1D: u32 = 200_000;
/// Refused requests within a minute after which an address is banned.
pub const REFUSALS_BEFORE_BAN: u32 = 10;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
const SHORTEST_BAN_MS: i64 = 2 * MINUTE_MS;
const LONGEST_BAN_MS: i64 = 3 * DAY_MS;

/// One limit and how much of it is used, as the WebSocket API reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Allowance {
    rate_limit_type: &'static str,
    interval: &'static str,
    interval_num: u32,
    limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u32>,
}

impl Allowance {
    /// Request weight; with `count` when it is a report.
    pub const fn weight(count: Option<u32>) -> Self {
        Self { rate_limit_type: "REQUEST_WEIGHT", interval: "MINUTE", interval_num: 1, limit: WEIGHT_LIMIT, count }
    }

    /// Orders; with counts when it is a report.
    pub fn orders(count: Option<OrderCount>) -> [Self; 2] {
        let limit = |interval, interval_num, limit, count| Self {
            rate_limit_type: "ORDERS",
            interval,
            interval_num,
            limit,
            count,
        };
        [
            limit("SECOND", 10, ORDERS_LIMIT_10S, count.map(|count| count.in_10s)),
            limit("DAY", 1, ORDERS_LIMIT_1D, count.map(|count| count.in_1d)),
        ]
    }
}

/// Orders an account has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct OrderCount {
    /// In these ten seconds.
    pub in_10s: u32,
    /// On this day.
    pub in_1d: u32,
}

/// Counters of all clients.
#[derive(Debug, Default)]
pub struct Limits {
    counters: Mutex<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    addresses: HashMap<IpAddr, Address>,
    accounts: HashMap<AccountId, Orders>,
}

#[derive(Debug, Default)]
struct Address {
    minute: i64,
    weight: u32,
    refusals: u32,
    bans: u32,
    banned_until_ms: i64,
}

#[derive(Debug, Default)]
struct Orders {
    ten_seconds: i64,
    day: i64,
    count: OrderCount,
}

impl Limits {
    /// Charges `weight` to an address; the weight used in this minute, and whether the request may go on.
    pub fn charge(&self, address: IpAddr, weight: u32, now_ms: i64) -> (u32, Result<(), Refusal>) {
        let mut counters = self.lock();
        let address = counters.addresses.entry(address).or_default();
        let minute = now_ms.div_euclid(MINUTE_MS);
        if address.minute != minute {
            (address.minute, address.weight, address.refusals) = (minute, 0, 0);
        }
        if now_ms < address.banned_until_ms {
            let retry = Retry { now_ms, at_ms: address.banned_until_ms };
            return (address.weight, Err(Refusal::banned(retry)));
        }
        address.weight = address.weight.saturating_add(weight);
        if address.weight <= WEIGHT_LIMIT {
            return (address.weight, Ok(()));
        }
        address.refusals += 1;
        if address.refusals > REFUSALS_BEFORE_BAN {
            address.banned_until_ms = now_ms + ban_ms(address.bans);
            address.bans += 1;
            let retry = Retry { now_ms, at_ms: address.banned_until_ms };
            return (address.weight, Err(Refusal::banned(retry)));
        }
        let retry = Retry { now_ms, at_ms: (minute + 1) * MINUTE_MS };
        (address.weight, Err(Refusal::too_much_weight(WEIGHT_LIMIT, retry)))
    }

    /// Counts one order of an account.
    ///
    /// # Errors
    /// -1015 when one of its intervals is full; the order is not counted then.
    pub fn order(&self, account: AccountId, now_ms: i64) -> Result<OrderCount, Refusal> {
        let mut counters = self.lock();
        let orders = counters.current(account, now_ms);
        if orders.count.in_10s >= ORDERS_LIMIT_10S {
            return Err(Refusal::too_many_orders(ORDERS_LIMIT_10S, "10 SECOND"));
        }
        if orders.count.in_1d >= ORDERS_LIMIT_1D {
            return Err(Refusal::too_many_orders(ORDERS_LIMIT_1D, "1 DAY"));
        }
        orders.count.in_10s += 1;
        orders.count.in_1d += 1;
        Ok(orders.count)
    }

    /// Orders an account has sent in the intervals of now.
    pub fn orders(&self, account: AccountId, now_ms: i64) -> OrderCount {
        self.lock().current(account, now_ms).count
    }

    /// A poisoned lock holds plain counters, which are still good.
    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters {
    fn current(&mut self, account: AccountId, now_ms: i64) -> &mut Orders {
        let orders = self.accounts.entry(account).or_default();
        let (ten_seconds, day) = (now_ms.div_euclid(10 * SECOND_MS), now_ms.div_euclid(DAY_MS));
        if orders.ten_seconds != ten_seconds {
            (orders.ten_seconds, orders.count.in_10s) = (ten_seconds, 0);
        }
        if orders.day != day {
            (orders.day, orders.count.in_1d) = (day, 0);
        }
        orders
    }
}

fn ban_ms(bans_before: u32) -> i64 {
    let times = 1_i64.checked_shl(bans_before.min(32)).unwrap_or(i64::MAX);
    SHORTEST_BAN_MS.saturating_mul(times).min(LONGEST_BAN_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const NOON_MS: i64 = 1_795_000_020_000 / MINUTE_MS * MINUTE_MS;

    fn status(outcome: (u32, Result<(), Refusal>)) -> u16 {
        outcome.1.err().map_or(200, |refusal| refusal.status.as_u16())
    }

    #[test]
    fn a_minute_has_six_thousand() {
        let limits = Limits::default();
        assert_eq!(limits.charge(HERE, 6_000, NOON_MS), (6_000, Ok(())));
        let (used, refused) = limits.charge(HERE, 1, NOON_MS + 15_000);
        let refusal = refused.unwrap_err();
        assert_eq!((used, refusal.status, refusal.code), (6_001, StatusCode::TOO_MANY_REQUESTS, -1003));
        assert_eq!(refusal.retry.map(|retry| retry.seconds()), Some(45));
        assert_eq!(limits.charge(HERE, 1, NOON_MS + MINUTE_MS), (1, Ok(())));
        assert_eq!(status(limits.charge(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 1, NOON_MS)), 200);
    }

    #[test]
    fn who_does_not_stop_is_banned_and_longer_each_time() {
        let limits = Limits::default();
        let mut now_ms = NOON_MS;
        for minutes in [2, 4, 8] {
            limits.charge(HERE, 6_000, now_ms).1.unwrap();
            for _ in 0..REFUSALS_BEFORE_BAN {
                assert_eq!(status(limits.charge(HERE, 1, now_ms)), 429);
            }
            assert_eq!(status(limits.charge(HERE, 1, now_ms)), 418);
            let end_ms = now_ms + minutes * MINUTE_MS;
            assert_eq!(status(limits.charge(HERE, 1, end_ms - 1)), 418);
            now_ms = end_ms;
            assert_eq!(status(limits.charge(HERE, 0, now_ms)), 200);
        }
        assert_eq!(ban_ms(60), LONGEST_BAN_MS);
    }

    #[test]
    fn ten_seconds_have_a_hundred_orders() {
        let limits = Limits::default();
        for count in 1..=100 {
            assert_eq!(limits.order(AccountId(1), NOON_MS).unwrap().in_10s, count);
        }
        assert_eq!(limits.order(AccountId(1), NOON_MS + 9_999).unwrap_err().code, -1015);
        assert_eq!(limits.order(AccountId(2), NOON_MS), Ok(OrderCount { in_10s: 1, in_1d: 1 }));
        assert_eq!(limits.order(AccountId(1), NOON_MS + 10_000), Ok(OrderCount { in_10s: 1, in_1d: 101 }));
        assert_eq!(limits.orders(AccountId(1), NOON_MS + DAY_MS), OrderCount::default());
    }
}
