//! Price-time priority for one instrument.
//!
//! Invariant: within a level orders rest in the order of their arrival; the best bid is below the best ask between
//! two calls of the venue; a level's total is the sum of its orders. Insert, cancel and fill cost O(log levels); the
//! queue of a level is a linked list in a slab, so a cancel never walks it.
//!
//! Known limitation: a book keeps its slab at its largest size.

use std::collections::{BTreeMap, btree_map};
use std::iter::Rev;

use rustc_hash::FxHashMap;

use crate::instrument::Side;
use crate::venue::{AccountId, OrderId};

const NONE: u32 = u32::MAX;

/// One order standing in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    /// The order.
    pub id: OrderId,
    /// Its owner.
    pub account: AccountId,
    /// Where it stands.
    pub side: Side,
    /// Its price.
    pub ticks: i64,
    /// What is left of it.
    pub lots: i64,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    order: Resting,
    previous: u32,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    first: u32,
    last: u32,
    lots: i64,
}

/// The two sides of one instrument.
#[derive(Debug, Default)]
pub struct Book {
    bids: BTreeMap<i64, Level>,
    asks: BTreeMap<i64, Level>,
    nodes: Vec<Node>,
    vacant: Vec<u32>,
    places: FxHashMap<OrderId, u32>,
    changed: Vec<(Side, i64)>,
    track_changes: bool,
}

impl Book {
    /// An empty book.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts or stops the record of touched levels that [`Book::drain_changes`] reads.
    pub fn track_changes(&mut self, track: Tracking) {
        self.track_changes = track == Tracking::On;
        self.changed.clear();
    }

    /// Number of orders standing.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// No order rests.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Best price of a side, in ticks.
    pub fn best(&self, side: Side) -> Option<i64> {
        match side {
            Side::Buy => self.bids.last_key_value().map(|(ticks, _)| *ticks),
            Side::Sell => self.asks.first_key_value().map(|(ticks, _)| *ticks),
        }
    }

    /// The order that is filled next on a side.
    pub fn front(&self, side: Side) -> Option<Resting> {
        let level = match side {
            Side::Buy => self.bids.last_key_value(),
            Side::Sell => self.asks.first_key_value(),
        }?;
        Some(self.nodes[level.1.first as usize].order)
    }

    /// An order by its id.
    pub fn get(&self, id: OrderId) -> Option<Resting> {
        self.places.get(&id).map(|place| self.nodes[*place as usize].order)
    }

    /// Total lots at a price.
    pub fn lots_at(&self, side: Side, ticks: i64) -> i64 {
        self.side(side).get(&ticks).map_or(0, |level| level.lots)
    }

    /// `(ticks, lots)` of the best levels of a side, best first.
    pub fn levels(&self, side: Side, limit: usize) -> Vec<(i64, i64)> {
        let pair = |(ticks, level): (&i64, &Level)| (*ticks, level.lots);
        match side {
            Side::Buy => self.bids.iter().rev().take(limit).map(pair).collect(),
            Side::Sell => self.asks.iter().take(limit).map(pair).collect(),
        }
    }

    /// Orders of a side in the order in which they would be filled.
    pub fn queue(&self, side: Side) -> Queue<'_> {
        let levels = match side {
            Side::Buy => Levels::Falling(self.bids.iter().rev()),
            Side::Sell => Levels::Rising(self.asks.iter()),
        };
        Queue { book: self, levels, place: NONE }
    }

    /// Puts an order at the back of its level.
    ///
    /// The venue calls this only with a fresh id and a positive quantity.
    pub fn insert(&mut self, order: Resting) {
        debug_assert!(order.lots > 0 && !self.places.contains_key(&order.id));
        let place = self.claim(Node { order, previous: NONE, next: NONE });
        let level = self.side_mut(order.side).entry(order.ticks).or_insert(Level { first: NONE, last: NONE, lots: 0 });
        let before = level.last;
        level.last = place;
        level.lots += order.lots;
        if before == NONE {
            level.first = place;
        } else {
            self.nodes[before as usize].next = place;
            self.nodes[place as usize].previous = before;
        }
        self.places.insert(order.id, place);
        self.touch(order.side, order.ticks);
    }

    /// Takes an order out; what was left of it comes back.
    pub fn remove(&mut self, id: OrderId) -> Option<Resting> {
        let place = self.places.remove(&id)?;
        let node = self.nodes[place as usize];
        self.unlink(place, node);
        Some(node.order)
    }

    /// Fills `lots` of an order, which leaves the book when nothing is left; the rest of it comes back.
    pub fn fill(&mut self, id: OrderId, lots: i64) -> Option<i64> {
        let place = *self.places.get(&id)?;
        let node = &mut self.nodes[place as usize];
        node.order.lots -= lots;
        debug_assert!(node.order.lots >= 0);
        let node = *node;
        if node.order.lots == 0 {
            self.places.remove(&id);
            self.take_from_level(node.order.side, node.order.ticks, lots);
            self.unlink(place, node);
        } else {
            self.take_from_level(node.order.side, node.order.ticks, lots);
            self.touch(node.order.side, node.order.ticks);
        }
        Some(node.order.lots)
    }

    /// Levels touched since the last call, each once, in price order by side.
    pub fn drain_changes(&mut self) -> Vec<(Side, i64)> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable_by_key(|(side, ticks)| (side.sign(), *ticks));
        changed.dedup();
        changed
    }

    fn side(&self, side: Side) -> &BTreeMap<i64, Level> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut BTreeMap<i64, Level> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    fn claim(&mut self, node: Node) -> u32 {
        if let Some(place) = self.vacant.pop() {
            self.nodes[place as usize] = node;
            place
        } else {
            self.nodes.push(node);
            (self.nodes.len() - 1) as u32
        }
    }

    fn take_from_level(&mut self, side: Side, ticks: i64, lots: i64) {
        if let Some(level) = self.side_mut(side).get_mut(&ticks) {
            level.lots -= lots;
        }
    }

    fn unlink(&mut self, place: u32, node: Node) {
        if node.previous != NONE {
            self.nodes[node.previous as usize].next = node.next;
        }
        if node.next != NONE {
            self.nodes[node.next as usize].previous = node.previous;
        }
        let side = self.side_mut(node.order.side);
        if let Some(level) = side.get_mut(&node.order.ticks) {
            level.lots -= node.order.lots;
            if level.first == place {
                level.first = node.next;
            }
            if level.last == place {
                level.last = node.previous;
            }
            if level.first == NONE {
                side.remove(&node.order.ticks);
            }
        }
        self.vacant.push(place);
        self.touch(node.order.side, node.order.ticks);
    }

    fn touch(&mut self, side: Side, ticks: i64) {
        if self.track_changes {
            self.changed.push((side, ticks));
        }
    }
}

/// Whether a book records the levels that change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracking {
    /// Record them.
    On,
    /// Do not.
    Off,
}

/// Orders of one side in priority order.
#[derive(Debug)]
pub struct Queue<'a> {
    book: &'a Book,
    levels: Levels<'a>,
    place: u32,
}

#[derive(Debug)]
enum Levels<'a> {
    Rising(btree_map::Iter<'a, i64, Level>),
    Falling(Rev<btree_map::Iter<'a, i64, Level>>),
}

impl Iterator for Queue<'_> {
    type Item = Resting;

    fn next(&mut self) -> Option<Resting> {
        if self.place == NONE {
            let (_, level) = match &mut self.levels {
                Levels::Rising(levels) => levels.next(),
                Levels::Falling(levels) => levels.next(),
            }?;
            self.place = level.first;
        }
        let node = self.book.nodes.get(self.place as usize)?;
        self.place = node.next;
        Some(node.order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(id: u64, side: Side, ticks: i64, lots: i64) -> Resting {
        Resting { id: OrderId(id), account: AccountId(1), side, ticks, lots }
    }

    #[test]
    fn the_earlier_order_at_a_price_is_first() {
        let mut book = Book::new();
        for (id, ticks) in [(1, 100), (2, 101), (3, 101), (4, 99)] {
            book.insert(order(id, Side::Buy, ticks, 5));
        }
        let ids: Vec<u64> = book.queue(Side::Buy).map(|resting| resting.id.0).collect();
        assert_eq!(ids, [2, 3, 1, 4]);
        book.remove(OrderId(2));
        assert_eq!(book.front(Side::Buy).map(|resting| resting.id), Some(OrderId(3)));
    }

    #[test]
    fn a_partial_fill_keeps_its_place() {
        let mut book = Book::new();
        book.insert(order(1, Side::Sell, 100, 5));
        book.insert(order(2, Side::Sell, 100, 5));
        assert_eq!(book.fill(OrderId(1), 2), Some(3));
        assert_eq!(book.front(Side::Sell).map(|resting| (resting.id, resting.lots)), Some((OrderId(1), 3)));
        assert_eq!(book.lots_at(Side::Sell, 100), 8);
    }

    #[derive(Clone, Debug)]
    enum Act {
        Insert(bool, i64, i64),
        Remove(usize),
        Fill(usize, i64),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        prop::collection::vec(
            prop_oneof![
                (any::<bool>(), 90_i64..110, 1_i64..9).prop_map(|(buy, ticks, lots)| Act::Insert(buy, ticks, lots)),
                (0_usize..60).prop_map(Act::Remove),
                (0_usize..60, 1_i64..9).prop_map(|(which, lots)| Act::Fill(which, lots)),
            ],
            0..120,
        )
    }

    proptest! {
        /// The book against a plain list kept in arrival order.
        #[test]
        fn a_book_is_a_sorted_list(acts in acts()) {
            let mut book = Book::new();
            let mut list: Vec<Resting> = Vec::new();
            for (id, act) in acts.into_iter().enumerate() {
                match act {
                    Act::Insert(buy, ticks, lots) => {
                        let side = if buy { Side::Buy } else { Side::Sell };
                        let resting = order(id as u64, side, ticks, lots);
                        book.insert(resting);
                        list.push(resting);
                    }
                    Act::Remove(which) if !list.is_empty() => {
                        let gone = list.remove(which % list.len());
                        prop_assert_eq!(book.remove(gone.id), Some(gone));
                    }
                    Act::Fill(which, lots) if !list.is_empty() => {
                        let place = which % list.len();
                        let lots = lots.min(list[place].lots);
                        list[place].lots -= lots;
                        prop_assert_eq!(book.fill(list[place].id, lots), Some(list[place].lots));
                        list.retain(|resting| resting.lots > 0);
                    }
                    Act::Remove(_) | Act::Fill(..) => {}
                }
            }
            for side in [Side::Buy, Side::Sell] {
                let mut expected: Vec<Resting> = list.iter().copied().filter(|resting| resting.side == side).collect();
                expected.sort_by_key(|resting| -resting.ticks * side.sign());
                let found: Vec<Resting> = book.queue(side).collect();
                prop_assert_eq!(&found, &expected);
                for (ticks, lots) in book.levels(side, usize::MAX) {
                    let total: i64 = expected.iter().filter(|resting| resting.ticks == ticks).map(|resting| resting.lots).sum();
                    prop_assert_eq!(lots, total);
                }
            }
        }
    }
}
