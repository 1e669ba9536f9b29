//! Update ids and diffs of one book.
//!
//! Invariant: every changed level gets the next update id, and a diff holds all changes since the diff before, so
//! `U` of one is `u` of the one before plus one. A snapshot taken between two commands carries the id of the last
//! change in it.

use std::collections::BTreeSet;

use sapphire_core::book::Book;
use sapphire_core::instrument::{InstrumentId, Side};

use super::api::{BookTicker, DepthDiff, DepthView, MAX_DEPTH};

/// Market time between two cuts of a diff, as of Binance's `@depth@100ms`.
pub(crate) const CUT_NS: i64 = 100_000_000;

/// Changes of one book that no diff has carried yet.
#[derive(Debug)]
pub(crate) struct DepthFeed {
    instrument: InstrumentId,
    last_update_id: u64,
    /// Last update id that a diff carried.
    cut_update_id: u64,
    touched: BTreeSet<(bool, i64)>,
    bid: Option<(i64, i64)>,
    ask: Option<(i64, i64)>,
}

impl DepthFeed {
    pub(crate) fn new(instrument: InstrumentId) -> Self {
        let touched = BTreeSet::new();
        Self { instrument, last_update_id: 0, cut_update_id: 0, touched, bid: None, ask: None }
    }

    pub(crate) fn last_update_id(&self) -> u64 {
        self.last_update_id
    }

    /// Changes wait for a diff.
    pub(crate) fn is_pending(&self) -> bool {
        self.last_update_id > self.cut_update_id
    }

    /// Numbers changed levels; the best prices come back when they changed.
    pub(crate) fn change(&mut self, changed: &[(Side, i64)], book: &Book, time_ns: i64) -> Option<BookTicker> {
        if changed.is_empty() {
            return None;
        }
        self.last_update_id += changed.len() as u64;
        self.touched.extend(changed.iter().map(|(side, ticks)| (*side == Side::Buy, *ticks)));
        let before = (self.bid, self.ask);
        (self.bid, self.ask) = (best(book, Side::Buy), best(book, Side::Sell));
        (before != (self.bid, self.ask)).then(|| self.best(time_ns))
    }

    /// Best prices now.
    pub(crate) fn best(&self, time_ns: i64) -> BookTicker {
        let update_id = self.last_update_id;
        BookTicker { instrument: self.instrument, update_id, bid: self.bid, ask: self.ask, time_ns }
    }

    /// The changes since the last cut, with the quantities of now.
    pub(crate) fn cut(&mut self, book: &Book, time_ns: i64) -> Option<DepthDiff> {
        if !self.is_pending() {
            return None;
        }
        let first_update_id = self.cut_update_id + 1;
        let touched = std::mem::take(&mut self.touched);
        let level = |side, ticks: i64| (ticks, book.lots_at(side, ticks));
        let bids = touched.iter().rev().filter(|(is_bid, _)| *is_bid).map(|(_, ticks)| level(Side::Buy, *ticks));
        let asks = touched.iter().filter(|(is_bid, _)| !*is_bid).map(|(_, ticks)| level(Side::Sell, *ticks));
        let (bids, asks) = (bids.collect(), asks.collect());
        self.cut_update_id = self.last_update_id;
        let last_update_id = self.last_update_id;
        Some(DepthDiff { instrument: self.instrument, first_update_id, last_update_id, bids, asks, time_ns })
    }

    /// Forgets the changes since the last cut: nobody listens.
    pub(crate) fn skip(&mut self) {
        self.touched.clear();
        self.cut_update_id = self.last_update_id;
    }

    pub(crate) fn snapshot(&self, book: &Book, limit: usize, time_ns: i64) -> DepthView {
        let limit = limit.min(MAX_DEPTH);
        let (bids, asks) = (book.levels(Side::Buy, limit), book.levels(Side::Sell, limit));
        DepthView { last_update_id: self.last_update_id, bids, asks, time_ns }
    }
}

fn best(book: &Book, side: Side) -> Option<(i64, i64)> {
    book.best(side).map(|ticks| (ticks, book.lots_at(side, ticks)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sapphire_core::book::{Resting, Tracking};
    use sapphire_core::venue::{AccountId, OrderId};
    use std::collections::BTreeMap;

    type Levels = BTreeMap<(bool, i64), i64>;

    proptest! {
        /// A client that follows the venue's rule (snapshot, then every diff behind it) has the venue's book.
        #[test]
        fn a_snapshot_and_the_diffs_behind_it_are_the_book(
            acts in prop::collection::vec((any::<bool>(), 95_i64..105, 1_i64..5, any::<bool>(), any::<bool>()), 1..80),
            joins in 0_usize..80,
        ) {
            let mut book = Book::new();
            book.track_changes(Tracking::On);
            let mut feed = DepthFeed::new(InstrumentId(0));
            let mut client: Option<(u64, Levels)> = None;
            for (number, (buy, ticks, lots, remove, cut)) in acts.into_iter().enumerate() {
                let side = if buy { Side::Buy } else { Side::Sell };
                let front = book.front(side).map(|resting| resting.id);
                match front {
                    Some(id) if remove => drop(book.remove(id)),
                    _ => book.insert(Resting { id: OrderId(number as u64), account: AccountId(1), side, ticks, lots }),
                }
                let changed = book.drain_changes();
                feed.change(&changed, &book, 0);
                if number == joins {
                    let view = feed.snapshot(&book, 1000, 0);
                    let bids = view.bids.iter().map(|(ticks, lots)| ((true, *ticks), *lots));
                    let asks = view.asks.iter().map(|(ticks, lots)| ((false, *ticks), *lots));
                    client = Some((view.last_update_id, bids.chain(asks).collect()));
                }
                if cut && let Some(diff) = feed.cut(&book, 0) {
                    prop_assert!(diff.first_update_id <= diff.last_update_id);
                    if let Some((seen, levels)) = &mut client && diff.last_update_id > *seen {
                        prop_assert!(diff.first_update_id <= *seen + 1);
                        *seen = diff.last_update_id;
                        for (is_bid, rows) in [(true, &diff.bids), (false, &diff.asks)] {
                            for (ticks, lots) in rows {
                                levels.insert((is_bid, *ticks), *lots);
                            }
                        }
                    }
                }
            }
            let last = feed.cut(&book, 0);
            if let Some((seen, mut levels)) = client {
                if let Some(diff) = last && diff.last_update_id > seen {
                    for (is_bid, rows) in [(true, &diff.bids), (false, &diff.asks)] {
                        levels.extend(rows.iter().map(|(ticks, lots)| ((is_bid, *ticks), *lots)));
                    }
                }
                levels.retain(|_, lots| *lots > 0);
                let bids = book.levels(Side::Buy, 1000).into_iter().map(|(ticks, lots)| ((true, ticks), lots));
                let asks = book.levels(Side::Sell, 1000).into_iter().map(|(ticks, lots)| ((false, ticks), lots));
                prop_assert_eq!(levels, bids.chain(asks).collect());
            }
        }
    }
}
