//! Reconciliation: what to ask the venue so that our orders and its orders are the same.
//!
//! One plan for the start, a reconnect and the periodic round. The venue is the truth for quantity, the journal for
//! attribution.
//!
//! Invariants, property-tested:
//! 1. A live order that the venue does not show open, or shows with another quantity, or of which we do not know that
//!    it stands, is asked for, once; one whose place has not been answered on the living connection is left alone, for
//!    its answer is on the way.
//! 2. A live order is never taken out.
//! 3. An open order that carries our tag and that the journal does not hold to be alive is an orphan: it is asked for
//!    (so that its quantity counts) and taken out.
//! 4. What is not ours is left alone: another tag, a foreign id, an order made after the snapshot of the live ones.
//! 5. The plan does not depend on the order in which either side lists.
//! 6. Once the venue has done what the plan says, the next plan is empty.

use sapphire_core::instrument::InstrumentId;
use sapphire_core::orders::ClientOrderId;

/// An order that the engine holds to be alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveOrder {
    /// Which.
    pub order: ClientOrderId,
    /// Of what.
    pub instrument: InstrumentId,
    /// When it was made, market time.
    pub made_ns: i64,
    /// Lots of the trades reported so far.
    pub filled_lots: i64,
    /// The venue has said that it stands (`Accepted`, `PartiallyFilled`).
    pub is_open: bool,
}

/// An order that the venue shows open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VenueOrder {
    /// Which, by our own name.
    pub order: ClientOrderId,
    /// Of what.
    pub instrument: InstrumentId,
    /// Lots traded so far.
    pub executed_lots: i64,
}

/// Orders of the account up to the last one that was made when the live ones were listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// Tag of the account.
    pub account_tag: u16,
    /// Epoch of this process.
    pub epoch: u32,
    /// The last order that it sent.
    pub sequence: u64,
}

impl Horizon {
    fn covers(&self, order: ClientOrderId) -> bool {
        order.account == self.account_tag && (order.epoch, order.sequence) <= (self.epoch, self.sequence)
    }
}

/// What a round has to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Live orders to ask for, by id.
    pub query: Vec<LiveOrder>,
    /// Orphans to ask for and to take out, by id.
    pub orphans: Vec<VenueOrder>,
}

/// The plan of a round. `live` are all orders that the engine holds to be alive, `open` what the venue shows after
/// that, `awaiting` the orders whose place is unanswered on the living connection.
pub fn plan(live: &[LiveOrder], open: &[VenueOrder], awaiting: &[ClientOrderId], horizon: Horizon) -> Plan {
    let shown = |order: ClientOrderId| open.iter().find(|shown| shown.order == order);
    let agrees = |live: &LiveOrder| {
        live.is_open && shown(live.order).is_some_and(|shown| shown.executed_lots == live.filled_lots)
    };
    let mut query: Vec<LiveOrder> = live.to_vec();
    query.retain(|live| !agrees(live) && !awaiting.contains(&live.order));
    query.sort_unstable_by_key(|live| live.order);
    query.dedup_by_key(|live| live.order);
    let is_known = |order: ClientOrderId| live.iter().any(|live| live.order == order) || awaiting.contains(&order);
    let mut orphans: Vec<VenueOrder> = open.to_vec();
    orphans.retain(|shown| horizon.covers(shown.order) && !is_known(shown.order));
    orphans.sort_unstable_by_key(|shown| shown.order);
    orphans.dedup_by_key(|shown| shown.order);
    Plan { query, orphans }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const HORIZON: Horizon = Horizon { account_tag: 1, epoch: 5, sequence: 8 };

    fn id() -> impl Strategy<Value = ClientOrderId> {
        (1_u16..3, 4_u32..7, 1_u64..12).prop_map(|(account, epoch, sequence)| ClientOrderId {
            account,
            epoch,
            sequence,
        })
    }

    fn live() -> impl Strategy<Value = Vec<LiveOrder>> {
        let one = (4_u32..6, 1_u64..9, 0_i64..3, any::<bool>()).prop_map(|(epoch, sequence, filled_lots, is_open)| {
            LiveOrder {
                order: ClientOrderId { account: 1, epoch, sequence },
                instrument: InstrumentId(0),
                made_ns: 7,
                filled_lots,
                is_open,
            }
        });
        prop::collection::vec(one, 0..10).prop_map(|mut orders| {
            orders.sort_by_key(|live| live.order);
            orders.dedup_by_key(|live| live.order);
            orders
        })
    }

    fn open() -> impl Strategy<Value = Vec<VenueOrder>> {
        let one = (id(), 0_i64..3).prop_map(|(order, executed_lots)| VenueOrder {
            order,
            instrument: InstrumentId(0),
            executed_lots,
        });
        prop::collection::vec(one, 0..14).prop_map(|mut orders| {
            orders.sort_by_key(|shown| shown.order);
            orders.dedup_by_key(|shown| shown.order);
            orders
        })
    }

    proptest! {
        #[test]
        fn the_plan_keeps_its_promises(
            live in live(),
            open in open(),
            picks in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        ) {
            let awaiting: Vec<ClientOrderId> = match live.len() {
                0 => Vec::new(),
                count => picks.iter().map(|pick| live[pick.index(count)].order).collect(),
            };
            let plan = plan(&live, &open, &awaiting, HORIZON);
            let queried: HashSet<_> = plan.query.iter().map(|live| live.order).collect();
            let orphans: HashSet<_> = plan.orphans.iter().map(|shown| shown.order).collect();
            prop_assert_eq!((queried.len(), orphans.len()), (plan.query.len(), plan.orphans.len()), "each once");
            for order in &live {
                let shown = open.iter().find(|shown| shown.order == order.order);
                let agrees = order.is_open && shown.is_some_and(|shown| shown.executed_lots == order.filled_lots);
                let left_alone = agrees || awaiting.contains(&order.order);
                prop_assert_eq!(queried.contains(&order.order), !left_alone);
                prop_assert!(!orphans.contains(&order.order));
            }
            for shown in &open {
                let id = shown.order;
                let ours = id.account == 1 && (id.epoch, id.sequence) <= (5, 8);
                let known = live.iter().any(|live| live.order == id);
                prop_assert_eq!(orphans.contains(&id), ours && !known);
            }
        }

        #[test]
        fn the_order_of_the_lists_does_not_matter(live in live(), open in open()) {
            let forth = plan(&live, &open, &[], HORIZON);
            let (mut live, mut open) = (live, open);
            live.reverse();
            open.reverse();
            prop_assert_eq!(plan(&live, &open, &[], HORIZON), forth);
        }

        #[test]
        fn what_was_done_need_not_be_done_again(live in live(), open in open()) {
            let first = plan(&live, &open, &[], HORIZON);
            // The venue answers: what it does not show has ended, what it shows is reported; orphans are gone.
            let still: Vec<VenueOrder> = open.iter().filter(|shown| !first.orphans.contains(shown)).copied().collect();
            let shown = live.iter().filter_map(|live| {
                let shown = still.iter().find(|shown| shown.order == live.order)?;
                Some(LiveOrder { filled_lots: shown.executed_lots, is_open: true, ..*live })
            });
            prop_assert_eq!(plan(&shown.collect::<Vec<_>>(), &still, &[], HORIZON), Plan::default());
        }
    }
}
