//! A Brownian path in multifractal time with jumps (Mandelbrot, Calvet, Fisher 1997), on a binary tree of minutes.
//!
//! The path's clock is its variance. It is shared out from the root by random multipliers, half by half, in expectation
//! as the week's season has it (see `season`), so that its total is kept; jumps are ticks of the same clock, dealt out
//! to the halves. The path's end is drawn at the root and filled in by Brownian bridges over the clock, which is the
//! law of a Brownian path in that clock: its increments are independent of each other given the clock, and have no
//! mean. Every draw is a function of (key, node), so a leaf is the same whichever way the tree is walked.
//!
//! Known limitation: the variance of the whole tree and the number of its jumps are fixed, so a long calm is followed
//! by slightly more of both; this concerns sizes, never directions.

use super::normal::quantile;
use super::season::weight_before;
use crate::hash::uniform;

/// Levels below the root; leaves are minutes.
pub(super) const LEVELS: u32 = 24;

/// Minutes of the whole tree: 31.9 years.
pub(super) const LEAVES: u64 = 1 << LEVELS;

/// Jumps of the whole tree: twelve a year.
const JUMPS: u32 = 383;

/// Variance of a jump, in average minutes: its size is 17 times that of a minute's change.
pub(super) const JUMP_VARIANCE: f64 = 300.0;

/// The path at an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    /// Variance passed since the tree began; a minute's is 1 on average.
    pub clock: f64,
    /// Where the Brownian path stands.
    pub value: f64,
    /// The season's weight of all minutes before.
    weight: u64,
}

/// A span of the path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    level: u32,
    index: u64,
    /// Its start.
    pub left: Point,
    /// Its end.
    pub right: Point,
    /// Variance without jumps.
    pub mass: f64,
    /// Jumps in it.
    pub jumps: u32,
}

impl Node {
    fn root(key: u64) -> Self {
        let clock = clock(LEAVES as f64, JUMPS);
        let value = quantile(uniform(key, &[0])) * clock.sqrt();
        let right = Point { clock, value, weight: weight_before(LEAVES) };
        Self { level: 0, index: 0, left: Point::default(), right, mass: LEAVES as f64, jumps: JUMPS }
    }

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
        let weight = weight_before(self.start() + self.span() / 2);
        let season = (weight - self.left.weight) as f64 / (self.right.weight - self.left.weight) as f64;
        // Its mean is the season's share, and it stays between 0 and 1.
        let share = season + 2.0 * season.min(1.0 - season) * spread(self.level) * (uniform(key, &[place, 0]) - 0.5);
        let (mass, rest) = (self.mass * share, self.mass * (1.0 - share));
        let jumps = if self.jumps == 0 { 0 } else { binomial(self.jumps, season, uniform(key, &[place, 2])) };
        let (before, after) = (clock(mass, jumps), clock(rest, self.jumps - jumps));
        let part = before / (before + after);
        let noise = quantile(uniform(key, &[place, 1])) * (before * (1.0 - part)).sqrt();
        let value = self.left.value + (self.right.value - self.left.value) * part + noise;
        let middle = Point { clock: self.left.clock + before, value, weight };
        let (level, index) = (self.level + 1, self.index * 2);
        (
            Self { level, index, right: middle, mass, jumps, ..*self },
            Self { level, index: index + 1, left: middle, mass: rest, jumps: self.jumps - jumps, ..*self },
        )
    }
}

fn clock(mass: f64, jumps: u32) -> f64 {
    mass + JUMP_VARIANCE * f64::from(jumps)
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

/// How many of `count` fall into a half that each falls into with probability `share`, at a uniform draw.
fn binomial(count: u32, share: f64, draw: f64) -> u32 {
    let odds = share / (1.0 - share);
    let mut chance = libm::pow(1.0 - share, f64::from(count));
    let (mut left, mut reached) = (0, chance);
    while left < count && draw > reached {
        chance *= odds * f64::from(count - left) / f64::from(left + 1);
        left += 1;
        reached += chance;
    }
    left
}

/// A walk along the spans of one level of one path.
#[derive(Debug)]
pub(super) struct Walk {
    key: u64,
    level: u32,
    /// Spans not walked yet, the nearest last; together they are contiguous.
    ahead: Vec<Node>,
}

impl Walk {
    /// Along the spans of a level; at [`LEVELS`] they are minutes.
    pub(super) fn new(key: u64, level: u32) -> Self {
        Self { key, level, ahead: Vec::with_capacity(level as usize + 1) }
    }

    /// The span that a minute below [`LEAVES`] lies in; O(1) amortised when spans are asked for in sequence.
    pub(super) fn at(&mut self, minute: u64) -> Node {
        while self.ahead.last().is_some_and(|node| node.end() <= minute) {
            self.ahead.pop();
        }
        let mut node = self.ahead.pop().filter(|node| node.start() <= minute).unwrap_or_else(|| {
            self.ahead.clear();
            Node::root(self.key)
        });
        while node.level < self.level {
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
        let mut walk = Walk::new(11, LEVELS);
        let leaves: Vec<Node> = (5_000_000..5_010_000).map(|minute| walk.at(minute)).collect();
        assert!(leaves.windows(2).all(|pair| pair[0].right == pair[1].left));
        assert!(leaves.iter().all(|leaf| leaf.mass > 0.0 && leaf.right.clock > leaf.left.clock));
        let mut quarters = Walk::new(11, 2);
        let spans: Vec<Node> = (0..4).map(|quarter| quarters.at(quarter * LEAVES / 4)).collect();
        let mass: f64 = spans.iter().map(|span| span.mass).sum();
        assert!((mass - LEAVES as f64).abs() < 1e-6);
        assert_eq!(spans.iter().map(|span| span.jumps).sum::<u32>(), JUMPS);
        assert_eq!(spans[3].right, Node::root(11).right);
    }

    #[test]
    fn a_span_begins_where_its_first_minute_does() {
        let (mut spans, mut minutes) = (Walk::new(5, 10), Walk::new(5, LEVELS));
        for index in [0, 1, 300, 1_023_u64] {
            let minute = index << (LEVELS - 10);
            assert_eq!(spans.at(minute).left, minutes.at(minute).left);
        }
    }

    /// Over many weeks an hour's variance is the season's.
    #[test]
    fn variance_follows_the_week() {
        let mean = |hour: u64| {
            let mut sum = 0.0;
            for key in 0..40 {
                let mut walk = Walk::new(key, LEVELS);
                sum += (0..400).map(|day| walk.at((96_000 + day * 24 + hour) * 60 + 30).mass).sum::<f64>();
            }
            sum
        };
        let (night, afternoon) = (mean(5), mean(14));
        assert!((2.0..4.0).contains(&(afternoon / night)), "{afternoon} {night}");
    }

    #[test]
    fn a_binomial_has_its_mean_and_its_ends() {
        let draws = 20_000_u64;
        let sum: u64 = (0..draws).map(|draw| u64::from(binomial(9, 0.3, uniform(3, &[draw])))).sum();
        assert!((sum as f64 / draws as f64 - 2.7).abs() < 0.03);
        assert_eq!((binomial(9, 0.3, 1e-12), binomial(9, 0.3, 1.0 - 1e-16)), (0, 9));
        assert!((150..235).contains(&binomial(JUMPS, 0.5, 0.5)));
    }

    proptest! {
        #[test]
        fn a_leaf_is_the_same_in_any_order(minutes in prop::collection::vec(0..LEAVES, 1..40), key: u64) {
            let mut walk = Walk::new(key, LEVELS);
            for minute in minutes.iter().flat_map(|minute| [*minute, (*minute + 1) % LEAVES, *minute]) {
                let (found, fresh) = (walk.at(minute), Walk::new(key, LEVELS).at(minute));
                prop_assert_eq!(found.start(), minute);
                prop_assert_eq!((found.left, found.right, found.jumps), (fresh.left, fresh.right, fresh.jumps));
                prop_assert_eq!(found.mass.to_bits(), fresh.mass.to_bits());
            }
        }
    }
}
