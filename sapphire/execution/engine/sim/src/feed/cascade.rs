//! A Brownian path in multifractal time (Mandelbrot, Calvet, Fisher 1997), on a binary tree of minutes.
//!
//! Variance is shared out from the root by random multipliers, half by half, so that its total is kept; the path is
//! filled in by Brownian bridges over the variance of the two halves. Every draw is a function of (key, node), so a
//! leaf is the same whichever way the tree is walked.
//!
//! Known limitation: displacements over more than a year are damped to those of a year, so that a price stays
//! within sight of its start; over several years the path reverts weakly.

use super::normal::quantile;
use crate::hash::uniform;

/// Levels below the root; leaves are minutes.
const LEVELS: u32 = 24;

/// Minutes of the whole tree: 31.9 years.
pub(super) const LEAVES: u64 = 1 << LEVELS;

/// Spans above this many minutes (364 days) move no further than this one does.
const DAMPED_ABOVE: f64 = (1_u64 << 19) as f64;

/// A span of the path: where it starts and ends, and the variance between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    level: u32,
    index: u64,
    /// Value at the start of the span.
    pub left: f64,
    /// Value at its end.
    pub right: f64,
    /// Variance of the span; a minute's is 1 on average.
    pub mass: f64,
}

impl Node {
    const ROOT: Self = Self { level: 0, index: 0, left: 0.0, right: 0.0, mass: LEAVES as f64 };

    fn span(&self) -> u64 {
        LEAVES >> self.level
    }

    fn start(&self) -> u64 {
        self.index * self.span()
    }

    fn end(&self) -> u64 {
        self.start() + self.span()
    }

    fn halves(&self, key: u64) -> (Self, Self) {
        let place = (1 << self.level) + self.index;
        let share = 0.5 + spread(self.level) * (uniform(key, &[place, 0]) - 0.5);
        let (mass, rest) = (self.mass * share, self.mass * (1.0 - share));
        let damping = (DAMPED_ABOVE / self.span() as f64).min(1.0);
        let noise = quantile(uniform(key, &[place, 1])) * (self.mass * share * (1.0 - share) * damping).sqrt();
        let middle = self.left + (self.right - self.left) * share + noise;
        let (level, index) = (self.level + 1, self.index * 2);
        (
            Self { level, index, right: middle, mass, ..*self },
            Self { level, index: index + 1, left: middle, mass: rest, ..*self },
        )
    }
}

/// Width of the uniform multiplier at a level: small above a quarter of a year, so that the variance of a year is
/// about the declared one; below, what makes tails and clustering of the order measured on recorded markets.
fn spread(level: u32) -> f64 {
    match level {
        0..=6 => 0.25,
        7..=17 => 0.62,
        _ => 0.74,
    }
}

/// A walk along the leaves of one path.
#[derive(Debug)]
pub(super) struct Walk {
    key: u64,
    /// Spans not walked yet, the nearest last; together they are contiguous.
    ahead: Vec<Node>,
}

impl Walk {
    pub(super) fn new(key: u64) -> Self {
        Self { key, ahead: Vec::with_capacity(LEVELS as usize + 1) }
    }

    /// The leaf of a minute below [`LEAVES`]; O(1) amortised when minutes are asked for in sequence.
    pub(super) fn leaf(&mut self, minute: u64) -> Node {
        while self.ahead.last().is_some_and(|node| node.end() <= minute) {
            self.ahead.pop();
        }
        let mut node = self.ahead.pop().filter(|node| node.start() <= minute).unwrap_or_else(|| {
            self.ahead.clear();
            Node::ROOT
        });
        while node.level < LEVELS {
            let (left, right) = node.halves(self.key);
            node = if minute < left.end() {
                self.ahead.push(right);
                left
            } else {
                right
            };
        }
        self.ahead.push(node);
        node
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_is_continuous_and_keeps_its_variance() {
        let mut walk = Walk::new(11);
        let leaves: Vec<Node> = (5_000_000..5_010_000).map(|minute| walk.leaf(minute)).collect();
        assert!(leaves.windows(2).all(|pair| pair[0].right.to_bits() == pair[1].left.to_bits()));
        assert!(leaves.iter().all(|leaf| leaf.mass > 0.0));
        let (mut left, mut right) = Node::ROOT.halves(11);
        assert!((left.mass + right.mass - LEAVES as f64).abs() < 1e-6);
        (left, right) = left.halves(11);
        assert!(left.mass > 0.0 && right.mass > 0.0);
    }

    proptest! {
        #[test]
        fn a_leaf_is_the_same_in_any_order(minutes in prop::collection::vec(0..LEAVES, 1..40), key: u64) {
            let mut walk = Walk::new(key);
            for minute in minutes.iter().flat_map(|minute| [*minute, (*minute + 1) % LEAVES, *minute]) {
                let (found, fresh) = (walk.leaf(minute), Walk::new(key).leaf(minute));
                prop_assert_eq!(found.start(), minute);
                prop_assert_eq!(found.left.to_bits(), fresh.left.to_bits());
                prop_assert_eq!(found.right.to_bits(), fresh.right.to_bits());
                prop_assert_eq!(found.mass.to_bits(), fresh.mass.to_bits());
            }
        }
    }
}
