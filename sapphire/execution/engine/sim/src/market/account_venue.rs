//! The venue of one paper account: the synthetic liquidity's quotes and that account's orders, nobody else's.
//!
//! Invariant: what happens here follows from the synthetic liquidity's steps and the requests that are sent here.

use sapphire_core::instrument::{InstrumentId, Side};
use sapphire_core::venue::{
    AccountId, AccountKind, FeeRates, NewOrder, OrderId, Outcome, Party, Terms, TimeInForce, Trade, Venue,
};

use super::Listed;
use crate::liquidity::{LiquidityStep, STEP_NS};

/// The synthetic liquidity's account, in every venue and in the market.
pub(super) const LIQUIDITY: AccountId = AccountId(0);

/// Liquidity orders carry this bit, client orders never do.
const LIQUIDITY_ORDER: u64 = 1 << 63;

/// Liquidity orders are numbered by their step, with room for this many in each.
const ORDERS_PER_STEP: u64 = 16;

/// Clients' order ids count from their venue's number in these bits: below 2^53 for 8,192 venues, so that a client that
/// reads numbers of JSON as doubles reads them whole.
const ORDER_BITS: u32 = 40;

/// Whether an order is the synthetic liquidity's.
pub(super) fn is_synthetic_order(order: OrderId) -> bool {
    order.0 & LIQUIDITY_ORDER != 0
}

/// A venue, who trades there, and how far its counters stand.
#[derive(Debug)]
pub(super) struct AccountVenue {
    pub(super) venue: Venue,
    /// The market's accounts, by their index here.
    owners: Vec<AccountId>,
    /// What the synthetic liquidity put up last, by instrument.
    standing: Vec<Vec<OrderId>>,
    /// Requests sent per instrument at the present instant: their ordinals.
    ordinals: Vec<u64>,
    last_order: u64,
}

impl AccountVenue {
    /// The venue of this number among a market's, with empty books and nobody but the synthetic liquidity.
    pub(super) fn new(number: u64, listed: &[Listed], assets: usize) -> Self {
        let mut venue = Venue::new(listed.iter().map(|listed| listed.instrument).collect(), assets);
        venue.open_account(AccountKind::Liquidity, FeeRates::default());
        Self {
            venue,
            owners: vec![LIQUIDITY],
            standing: vec![Vec::new(); listed.len()],
            ordinals: vec![0; listed.len()],
            last_order: number << ORDER_BITS,
        }
    }

    /// Lets an account of the market trade here; its index here.
    pub(super) fn open_account(&mut self, owner: AccountId, fees: FeeRates) -> AccountId {
        self.owners.push(owner);
        self.venue.open_account(AccountKind::Client, fees)
    }

    pub(super) fn next_order_id(&mut self) -> OrderId {
        self.last_order += 1;
        OrderId(self.last_order)
    }

    /// The ordinal of a request that is sent now.
    pub(super) fn next_ordinal(&mut self, instrument: InstrumentId) -> u64 {
        self.ordinals.get_mut(instrument.0 as usize).map_or(0, |ordinal| {
            *ordinal += 1;
            *ordinal
        })
    }

    /// The clock has moved.
    pub(super) fn begin_instant(&mut self) {
        self.ordinals.fill(0);
    }

    /// The synthetic liquidity renews its quotes and trades.
    pub(super) fn run_step(&mut self, index: usize, step: &LiquidityStep, outcomes: &mut Vec<Outcome>) {
        let standing = &mut self.standing[index];
        self.venue.remove_all(standing.drain(..));
        let instrument = InstrumentId(index as u16);
        let first = (step.time_ns / STEP_NS) as u64 * ORDERS_PER_STEP;
        let mut placed = 0;
        let mut order = |side, terms| {
            let id = OrderId(LIQUIDITY_ORDER | (index as u64) << 48 | (first + placed));
            placed += 1;
            (NewOrder { id, account: LIQUIDITY, instrument, side, terms }, id)
        };
        for quote in &step.quotes {
            let terms =
                Terms::Limit { ticks: quote.ticks, lots: quote.lots, time_in_force: TimeInForce::GoodTillCancel };
            let (quote, id) = order(quote.side, terms);
            if self.venue.submit(quote, outcomes).is_ok() {
                standing.push(id);
            }
        }
        if let Some(taker) = step.taker {
            let (taker, _) = order(taker.side, Terms::Market { lots: taker.lots });
            // A refusal (the book is empty on that side) leaves the market as it is.
            let _ = self.venue.submit(taker, outcomes);
        }
    }

    /// Closes a symbol's market: the synthetic liquidity leaves, orders expire.
    pub(super) fn close(&mut self, index: usize, outcomes: &mut Vec<Outcome>) {
        self.standing[index].clear();
        self.venue.close(InstrumentId(index as u16), outcomes);
    }

    /// What happened here, in the market's accounts.
    pub(super) fn outward(&self, outcome: Outcome) -> Outcome {
        let party = |party: Party| Party { account: self.owners[party.account.0 as usize], ..party };
        match outcome {
            Outcome::Traded(trade) => {
                Outcome::Traded(Trade { taker: party(trade.taker), maker: party(trade.maker), ..trade })
            }
            other => other,
        }
    }

    pub(super) fn client_order_stands(&self, instrument: InstrumentId) -> bool {
        self.venue.book(instrument).is_some_and(|book| {
            [Side::Buy, Side::Sell]
                .into_iter()
                .any(|side| book.queue(side).any(|resting| !is_synthetic_order(resting.id)))
        })
    }
}
