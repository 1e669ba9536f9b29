//! The numbers of the gate, as a tree: order, symbol, strategy, account.

use serde::{Deserialize, Serialize};

use crate::amounts::Atoms;

/// What one limit set allows. `None` sets no limit; a limit that is not known by name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSet {
    /// Largest value of one order, quote atoms.
    pub max_order_atoms: Option<Atoms>,
    /// Largest value held, plus buys on the way, quote atoms: a position at a symbol, gross above it.
    pub max_exposure_atoms: Option<Atoms>,
    /// Largest value of orders on the way, quote atoms.
    pub max_open_atoms: Option<Atoms>,
    /// Orders in any second of market time.
    pub max_orders_per_second: Option<u32>,
    /// Orders in any minute of market time.
    pub max_orders_per_minute: Option<u32>,
}

/// All limits of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Furthest price from the middle of the reference, basis points. Always set: an order without a collar is a
    /// market order.
    pub collar_bps: i64,
    /// Oldest reference that counts as fresh, market time.
    pub max_reference_age_ns: i64,
    /// By instrument.
    pub symbols: Vec<LimitSet>,
    /// By release.
    pub strategies: Vec<LimitSet>,
    /// All of it.
    pub account: LimitSet,
    /// Largest fall of equity below the day's start before the loss latch trips, basis points.
    pub max_daily_loss_bps: Option<i64>,
}

/// An order further than this from the middle is a mistake anywhere: 10 %.
const DEFAULT_COLLAR_BPS: i64 = 1_000;

/// The synthetic liquidity renews its quotes every 5 s; a live book does so more often.
const DEFAULT_REFERENCE_AGE_NS: i64 = 10_000_000_000;

impl Limits {
    /// Nothing but collar and fresh reference: for a market where money is not real.
    #[must_use]
    pub fn open(symbols: usize, strategies: usize) -> Self {
        Self {
            collar_bps: DEFAULT_COLLAR_BPS,
            max_reference_age_ns: DEFAULT_REFERENCE_AGE_NS,
            symbols: vec![LimitSet::default(); symbols],
            strategies: vec![LimitSet::default(); strategies],
            account: LimitSet::default(),
            max_daily_loss_bps: None,
        }
    }

    /// The first limit that cannot be meant, in words.
    pub fn fault(&self) -> Option<String> {
        if !(1..=10_000).contains(&self.collar_bps) {
            return Some(format!("collar_bps: expected 1 to 10000, got {}", self.collar_bps));
        }
        if self.max_reference_age_ns <= 0 {
            return Some(format!("max_reference_age_ns: expected more than 0, got {}", self.max_reference_age_ns));
        }
        if let Some(bps) = self.max_daily_loss_bps.filter(|bps| !(1..=10_000).contains(bps)) {
            return Some(format!("max_daily_loss_bps: expected 1 to 10000, got {bps}"));
        }
        self.symbols.iter().chain(&self.strategies).chain([&self.account]).find_map(LimitSet::fault)
    }
}

impl LimitSet {
    /// Both limits at once: of each pair the smaller.
    #[must_use]
    pub fn tightened(&self, other: &Self) -> Self {
        Self {
            max_order_atoms: smaller(self.max_order_atoms, other.max_order_atoms),
            max_exposure_atoms: smaller(self.max_exposure_atoms, other.max_exposure_atoms),
            max_open_atoms: smaller(self.max_open_atoms, other.max_open_atoms),
            max_orders_per_second: smaller(self.max_orders_per_second, other.max_orders_per_second),
            max_orders_per_minute: smaller(self.max_orders_per_minute, other.max_orders_per_minute),
        }
    }

    /// The first limit that cannot be meant, in words.
    pub fn fault(&self) -> Option<String> {
        let values = [
            ("max_order_atoms", self.max_order_atoms),
            ("max_exposure_atoms", self.max_exposure_atoms),
            ("max_open_atoms", self.max_open_atoms),
        ];
        let negative = values.into_iter().find_map(|(name, value)| Some((name, value.filter(|value| *value < 0)?)));
        if let Some((name, value)) = negative {
            return Some(format!("{name}: expected 0 or more, got {value}"));
        }
        let large =
            values.into_iter().find_map(|(name, value)| Some((name, value.filter(|value| *value > MAX_LIMIT)?)));
        if let Some((name, value)) = large {
            return Some(format!("{name}: expected at most {MAX_LIMIT}, got {value}"));
        }
        let rates = [
            ("max_orders_per_second", self.max_orders_per_second),
            ("max_orders_per_minute", self.max_orders_per_minute),
        ];
        let large = rates.into_iter().find_map(|(name, rate)| Some((name, rate.filter(|rate| *rate > MAX_RATE)?)));
        large.map(|(name, rate)| format!("{name}: expected at most {MAX_RATE}, got {rate}"))
    }
}

fn smaller<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// The largest integer that configurations and journals keep whole in JSON: 184 billion units of quote.
const MAX_LIMIT: Atoms = u64::MAX as Atoms;

/// The windows of the gate hold a time for each order they allow.
pub(super) const MAX_RATE: u32 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_limit_sets_the_tighter_holds_limit_by_limit() {
        let account = LimitSet { max_order_atoms: Some(10), max_open_atoms: Some(5), ..LimitSet::default() };
        let own = LimitSet { max_order_atoms: Some(20), max_orders_per_second: Some(1), ..LimitSet::default() };
        let expected = LimitSet { max_orders_per_second: Some(1), ..account };
        assert_eq!(account.tightened(&own), expected);
        assert_eq!(own.tightened(&account), expected);
        assert_eq!(own.tightened(&LimitSet::default()), own);
    }

    #[test]
    fn open_limits_are_sound_and_wrong_ones_are_named() {
        let open = Limits::open(2, 1);
        assert_eq!(open.fault(), None);
        let wrong = Limits { collar_bps: 0, ..open.clone() };
        assert_eq!(wrong.fault().unwrap(), "collar_bps: expected 1 to 10000, got 0");
        let account = LimitSet { max_open_atoms: Some(-1), ..LimitSet::default() };
        assert_eq!(Limits { account, ..open }.fault().unwrap(), "max_open_atoms: expected 0 or more, got -1");
        let account = LimitSet { max_order_atoms: Some(MAX_LIMIT + 1), ..LimitSet::default() };
        assert!(account.fault().unwrap().starts_with("max_order_atoms: expected at most 18446744073709551615, got"));
        assert_eq!(LimitSet { max_order_atoms: Some(MAX_LIMIT), ..LimitSet::default() }.fault(), None);
    }
}
