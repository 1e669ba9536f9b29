//! The market simulator: paper accounts, synthetic liquidity and travelling requests under one virtual clock.
//!
//! Invariant: liquidity steps and arrivals happen in the order of market time (at the same instant the synthetic
//! liquidity first, then requests in the order in which they were sent). A symbol whose feed ends is closed at that
//! instant. Nothing happens but through `Market::advance` and `Market::skip_to`, so the same calls give the same
//! market.
//!
//! Each account has books of its own: the synthetic liquidity's quotes and its own orders. What it is told is a
//! function of seed, candles and its own requests at their market times; no other account changes it, and opening one
//! does not either. What the public sees (depth, trades, best prices) is the first account's books.
//!
//! Known limitation: accounts do not trade with each other, and each one costs a set of books.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;
use sapphire_core::instrument::InstrumentId;
use sapphire_core::venue::{AccountId, NewOrder, OrderId, Outcome, Rejection, Venue};

use crate::candle::{Candle, MINUTE_NS};
use crate::hash::symbol_key;
use crate::latency::Latency;
use crate::liquidity::LiquidityStep;

mod account_venue;
mod accounts;
mod closing;
mod listed;
mod provider;

pub use accounts::Books;
pub use listed::Listed;

use account_venue::{AccountVenue, LIQUIDITY, is_synthetic_order};
use accounts::Seat;
use provider::LiquidityProvider;

/// What happened, and when in market time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// Market time, UTC nanoseconds.
    pub time_ns: i64,
    /// What happened.
    pub event: MarketEvent,
}

/// What can happen in a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketEvent {
    /// A client's order reached the book, traded, or ended; or two liquidity orders traded.
    Outcome(Outcome),
    /// A client's order was refused on arrival.
    Rejected(OrderId, Rejection),
    /// A client's cancel found nothing to cancel.
    CancelRejected(OrderId, Rejection),
    /// The synthetic liquidity renewed its quotes.
    Quoted(InstrumentId),
    /// The symbol's market closed for good; the orders that stood in it expired at the same moment.
    Closed(InstrumentId),
}

/// When an advance stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Only at the time asked for.
    Time,
    /// Also after the first instant at which a client sees something.
    ClientEvent,
}

/// What travels, in the terms of the venue that it goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Place(NewOrder),
    Cancel(AccountId, OrderId),
}

/// Arrivals sort by time, then by the order in which they were sent.
type Arrival = Reverse<(i64, u64)>;

/// A market under a virtual clock.
#[derive(Debug)]
pub struct Market {
    /// The first is the public one.
    venues: Vec<AccountVenue>,
    /// By account; the synthetic liquidity's is its seat in the first venue.
    seats: Vec<Seat>,
    listed: Vec<Listed>,
    providers: Vec<LiquidityProvider>,
    latency: Latency,
    now_ns: i64,
    arrivals: BinaryHeap<Arrival>,
    /// By number of sending: the venue that it goes to, and what is asked there.
    travelling: FxHashMap<u64, (usize, Request)>,
    sent: u64,
}

impl Market {
    /// A market whose clock stands at `start_ns`, with the synthetic liquidity's quotes of that instant.
    ///
    /// Assets are dense indices; `assets` is their number.
    #[must_use]
    pub fn new(listed: Vec<Listed>, assets: usize, seed: u64, latency: Latency, start_ns: i64) -> Self {
        let minute_ns = start_ns - start_ns.rem_euclid(MINUTE_NS);
        let providers = listed.iter().map(|listed| LiquidityProvider::new(seed, listed, minute_ns)).collect();
        let mut market = Self {
            venues: vec![AccountVenue::new(0, &listed, assets)],
            seats: vec![Seat { venue: 0, account: LIQUIDITY }],
            listed,
            providers,
            latency,
            now_ns: start_ns,
            arrivals: BinaryHeap::new(),
            travelling: FxHashMap::default(),
            sent: 0,
        };
        // What the synthetic liquidity did before anybody looked.
        market.run_liquidity(&mut Vec::new(), &mut Vec::new());
        market
    }

    /// Market time, UTC nanoseconds.
    pub fn now_ns(&self) -> i64 {
        self.now_ns
    }

    /// The venue that the public sees: the first account's.
    pub fn venue(&self) -> &Venue {
        &self.venues[0].venue
    }

    /// The venue that the public sees, for the record of changed levels.
    pub fn venue_mut(&mut self) -> &mut Venue {
        &mut self.venues[0].venue
    }

    /// The venues of all accounts.
    pub fn venues(&self) -> impl Iterator<Item = &Venue> {
        self.venues.iter().map(|own| &own.venue)
    }

    /// The symbols, by instrument index.
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// The synthetic liquidity's account.
    pub fn liquidity(&self) -> AccountId {
        LIQUIDITY
    }

    /// Whether an order is the synthetic liquidity's.
    pub fn is_synthetic(order: OrderId) -> bool {
        is_synthetic_order(order)
    }

    /// Sends an order; when it will arrive. What becomes of it comes out of [`Market::advance`].
    pub fn place(&mut self, order: NewOrder) -> i64 {
        let seat = self.seat_or_unknown(order.account);
        let request = Request::Place(NewOrder { account: seat.account, ..order });
        self.send(seat.venue, order.instrument, request)
    }

    /// Sends a cancel; when it will arrive.
    pub fn cancel(&mut self, account: AccountId, instrument: InstrumentId, order: OrderId) -> i64 {
        let seat = self.seat_or_unknown(account);
        self.send(seat.venue, instrument, Request::Cancel(seat.account, order))
    }

    /// Requests that have not arrived yet.
    pub fn travelling(&self) -> usize {
        self.travelling.len()
    }

    /// Lets market time run to `to_ns`, or to the end of the first instant at which a client sees something, and
    /// returns where it stands. A time that has passed moves nothing but still delivers what has arrived.
    pub fn advance(&mut self, to_ns: i64, until: Until, out: &mut Vec<Stamped>) -> i64 {
        let mut outcomes = Vec::new();
        while let Some(instant) = self.next_instant().filter(|instant| *instant <= to_ns.max(self.now_ns)) {
            self.move_clock(instant);
            let before = out.len();
            self.run_liquidity(&mut outcomes, out);
            self.run_arrivals(&mut outcomes, out);
            if until == Until::ClientEvent && out[before..].iter().any(|stamped| is_client_event(&stamped.event)) {
                return self.now_ns;
            }
        }
        self.move_clock(to_ns.max(self.now_ns));
        self.now_ns
    }

    /// Moves the clock to `to_ns` without running what nobody sees: only where no client's order stands or travels,
    /// and whether it did. Books, later trades and their numbers are then those that [`Market::advance`] would have
    /// left; the synthetic liquidity's trades and quotes in between are not reported.
    pub fn skip_to(&mut self, to_ns: i64) -> bool {
        if !self.travelling.is_empty() || self.client_order_stands() {
            return false;
        }
        for index in 0..self.providers.len() {
            let (unseen, last) = self.providers[index].skip(&self.listed[index], to_ns);
            self.venues.iter_mut().for_each(|own| own.venue.count_trades(InstrumentId(index as u16), unseen));
            self.run_last(index, last);
        }
        self.move_clock(to_ns);
        self.close_unseen();
        true
    }

    /// As [`Market::skip_to`], and without reading the minutes in between: later trades are the same but for their
    /// numbers, which count only what was run.
    pub fn jump_to(&mut self, to_ns: i64) -> bool {
        if !self.travelling.is_empty() || self.client_order_stands() {
            return false;
        }
        for index in 0..self.providers.len() {
            let last = self.providers[index].jump(&self.listed[index], to_ns);
            self.run_last(index, last);
        }
        self.move_clock(to_ns);
        self.close_unseen();
        true
    }

    fn run_last(&mut self, index: usize, step: Option<LiquidityStep>) {
        if let Some(step) = step {
            self.run_step(index, step, &mut Vec::new(), &mut Vec::new());
        }
    }

    /// Candles of whole minutes of a symbol in `[from_ns, to_ns)` that have closed by now.
    pub fn closed_minutes(&self, instrument: InstrumentId, from_ns: i64, to_ns: i64) -> Vec<Candle> {
        let end = to_ns.min(self.now_ns - self.now_ns.rem_euclid(MINUTE_NS));
        self.listed.get(instrument.0 as usize).map(|listed| listed.feed.minutes(from_ns, end)).unwrap_or_default()
    }

    fn send(&mut self, venue: usize, instrument: InstrumentId, request: Request) -> i64 {
        let ordinal = self.venues[venue].next_ordinal(instrument);
        let key = self.listed.get(instrument.0 as usize).map_or(0, |listed| symbol_key(&listed.symbol));
        let arrives_ns = self.now_ns + self.latency.delay_ns(key, self.now_ns, ordinal);
        self.sent += 1;
        self.arrivals.push(Reverse((arrives_ns, self.sent)));
        self.travelling.insert(self.sent, (venue, request));
        arrives_ns
    }

    fn move_clock(&mut self, to_ns: i64) {
        if to_ns > self.now_ns {
            self.now_ns = to_ns;
            self.venues.iter_mut().for_each(AccountVenue::begin_instant);
        }
    }

    /// When the synthetic liquidity last renewed its quotes in a symbol: in a gap of the feed the last ones stand.
    pub fn quoted_ns(&self, instrument: InstrumentId) -> Option<i64> {
        self.providers.get(instrument.0 as usize)?.quoted_ns()
    }

    /// When something happens next: a liquidity step, the end of a symbol's market or an arrival; it may be due
    /// already.
    pub fn next_instant(&self) -> Option<i64> {
        let liquidity = self.providers.iter().filter_map(LiquidityProvider::next_ns).min();
        let arrival = self.arrivals.peek().map(|Reverse((time_ns, _))| *time_ns);
        liquidity.into_iter().chain(arrival).min()
    }

    /// Runs the liquidity steps that are due now, and closes the markets that end; trades with clients are
    /// seen at this instant.
    fn run_liquidity(&mut self, outcomes: &mut Vec<Outcome>, out: &mut Vec<Stamped>) {
        for index in 0..self.providers.len() {
            while let Some(step) = self.providers[index].take_due(self.now_ns) {
                self.run_step(index, step, outcomes, out);
                self.providers[index].load_next(&self.listed[index]);
                out.push(self.stamp(MarketEvent::Quoted(InstrumentId(index as u16))));
            }
            self.close_if_due(index, outcomes, out);
        }
    }

    /// Runs a liquidity step in every account's books; what the synthetic liquidity does by itself is reported of the
    /// public ones alone.
    fn run_step(&mut self, index: usize, step: LiquidityStep, outcomes: &mut Vec<Outcome>, out: &mut Vec<Stamped>) {
        let time_ns = self.now_ns;
        for (venue, own) in self.venues.iter_mut().enumerate() {
            own.run_step(index, &step, outcomes);
            let is_emitted =
                |outcome: &Outcome| is_clients(outcome) || venue == 0 && matches!(outcome, Outcome::Traded(_));
            let emitted = outcomes.drain(..).filter(is_emitted).map(|outcome| own.outward(outcome));
            out.extend(emitted.map(|outcome| Stamped { time_ns, event: MarketEvent::Outcome(outcome) }));
        }
        self.providers[index].ran(step);
    }

    fn client_order_stands(&self) -> bool {
        (0..self.listed.len())
            .any(|index| self.venues.iter().any(|own| own.client_order_stands(InstrumentId(index as u16))))
    }

    fn run_arrivals(&mut self, outcomes: &mut Vec<Outcome>, out: &mut Vec<Stamped>) {
        while let Some(Reverse((time_ns, number))) = self.arrivals.peek().copied() {
            if time_ns > self.now_ns {
                break;
            }
            self.arrivals.pop();
            let Some((venue, request)) = self.travelling.remove(&number) else { continue };
            let own = &mut self.venues[venue];
            let refusal = match request {
                Request::Place(order) => {
                    own.venue.submit(order, outcomes).err().map(|rejection| MarketEvent::Rejected(order.id, rejection))
                }
                Request::Cancel(account, id) => own
                    .venue
                    .cancel(account, id, outcomes)
                    .err()
                    .map(|rejection| MarketEvent::CancelRejected(id, rejection)),
            };
            let emitted = outcomes.drain(..).map(|outcome| MarketEvent::Outcome(self.venues[venue].outward(outcome)));
            out.extend(emitted.map(|event| Stamped { time_ns: self.now_ns, event }));
            out.extend(refusal.map(|event| self.stamp(event)));
        }
    }

    fn stamp(&self, event: MarketEvent) -> Stamped {
        Stamped { time_ns: self.now_ns, event }
    }
}

fn is_client_event(event: &MarketEvent) -> bool {
    match event {
        MarketEvent::Outcome(outcome) => is_clients(outcome),
        MarketEvent::Rejected(..) | MarketEvent::CancelRejected(..) => true,
        MarketEvent::Quoted(_) | MarketEvent::Closed(_) => false,
    }
}

fn is_clients(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Accepted(id) | Outcome::Canceled(id) | Outcome::Expired(id, _) => !Market::is_synthetic(*id),
        Outcome::Traded(trade) => !Market::is_synthetic(trade.taker.order) || !Market::is_synthetic(trade.maker.order),
    }
}
