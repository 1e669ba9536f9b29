//! When which trading rules hold.
//!
//! The venue reviews a symbol's rules at the start of each span of 2^14 minutes (11 days 9 hours) of the tree, at the
//! price of that instant. Invariant: the rules of a minute are a function of the path up to the review before it; a
//! later period's rules hold whatever was traded under an earlier one's.

use super::cascade::{LEAVES, LEVELS};
use crate::listing::TradingRules;

/// Level of the tree whose spans lie between two reviews.
pub(super) const REVIEW_LEVEL: u32 = 10;

/// Minutes between two reviews.
const REVIEW_MINUTES: u64 = LEAVES >> REVIEW_LEVEL;

const _: () = assert!(REVIEW_MINUTES == 1 << (LEVELS - REVIEW_LEVEL));

/// A stretch of minutes under the same rules; it ends where the next one begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Period {
    pub first_minute: u64,
    pub rules: TradingRules,
}

/// The periods of a symbol that is listed at `first_minute`, and the end of its minutes: where a review found no rules
/// for the price, else the tree's. `price_atoms` gives the price at the start of a span between two reviews.
pub(super) fn periods(
    first_minute: u64,
    mut rules: TradingRules,
    mut price_atoms: impl FnMut(u64) -> f64,
) -> (Vec<Period>, u64) {
    let mut found = vec![Period { first_minute, rules }];
    let mut minute = (first_minute / REVIEW_MINUTES + 1) * REVIEW_MINUTES;
    while minute < LEAVES {
        let Some(next) = rules.reviewed(price_atoms(minute)) else { return (found, minute) };
        if next != rules {
            rules = next;
            found.push(Period { first_minute: minute, rules });
        }
        minute += REVIEW_MINUTES;
    }
    (found, LEAVES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: TradingRules = TradingRules { tick_atoms: 1_000_000, lot_atoms: 1_000 };

    #[test]
    fn rules_change_at_the_review_after_the_price_has_moved_and_never_back() {
        let price = |minute: u64| match minute / REVIEW_MINUTES {
            5..=8 => 5e9,
            9.. => 1e15,
            _ => 4e12,
        };
        let (found, end) = periods(100, RULES, price);
        let rules = |tick_atoms, lot_atoms| TradingRules { tick_atoms, lot_atoms };
        let wanted = [(100, RULES), (5 * REVIEW_MINUTES, rules(10_000, 1_000)), (9 * REVIEW_MINUTES, rules(10_000, 1))];
        assert_eq!(found.iter().map(|period| (period.first_minute, period.rules)).collect::<Vec<_>>(), wanted);
        assert_eq!(end, LEAVES);
    }

    #[test]
    fn a_symbol_is_delisted_at_a_review() {
        let (found, end) = periods(100, RULES, |minute| if minute > 50 * REVIEW_MINUTES { 1e3 } else { 4e12 });
        assert_eq!((found.len(), end), (1, 51 * REVIEW_MINUTES));
    }
}
