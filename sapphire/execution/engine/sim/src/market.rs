//! Venue, house and travelling requests under one virtual clock.
//!
//! Invariant: house steps and arrivals happen in the order of market time (at the same instant the house first, then
//! requests in the order in which they were sent). A symbol whose feed ends is closed at that instant. Nothing happens
//! but through `Market::advance` and `Market::skip_to`, so the same calls give the same market.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;
use sapphire_core::instrument::{Asset, InstrumentId, Side};
use sapphire_core::venue::{
    AccountId, AccountKind, FeeRates, NewOrder, Order, OrderId, Outcome, Rejection, Terms, TimeInForce, Venue,
};

use crate::candle::{Candle, MINUTE_NS};
use crate::hash::symbol_key;
use crate::house::{HouseStep, STEP_NS};
use crate::latency::Latency;

mod closing;
mod desk;
mod listed;

pub use listed::Listed;

use desk::HouseDesk;

/// House orders carry this bit, client orders never do.
const HOUSE_ORDER: u64 = 1 << 63;

/// House orders are numbered by their step, with room for this many in each.
const ORDERS_PER_STEP: u64 = 16;

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
    /// A client's order reached the book, traded, or ended; or two house orders traded.
    Outcome(Outcome),
    /// A client's order was refused on arrival.
    Rejected(OrderId, Rejection),
    /// A client's cancel found nothing to cancel.
    CancelRejected(OrderId, Rejection),
    /// The house renewed its quotes.
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
    venue: Venue,
    house: AccountId,
    listed: Vec<Listed>,
    desks: Vec<HouseDesk>,
    latency: Latency,
    now_ns: i64,
    arrivals: BinaryHeap<Arrival>,
    travelling: FxHashMap<u64, Request>,
    sent: u64,
    last_order: u64,
    /// Requests sent per instrument at the present instant: their ordinals.
    ordinals: Vec<u64>,
}

impl Market {
    /// A market whose clock stands at `start_ns`, with the house's quotes of that instant.
    ///
    /// Assets are dense indices; `assets` is their number.
    #[must_use]
    pub fn new(listed: Vec<Listed>, assets: usize, seed: u64, latency: Latency, start_ns: i64) -> Self {
        let mut venue = Venue::new(listed.iter().map(|listed| listed.instrument).collect(), assets);
        let house = venue.open_account(AccountKind::House, FeeRates::default());
        let minute_ns = start_ns - start_ns.rem_euclid(MINUTE_NS);
        let desks = listed.iter().map(|listed| HouseDesk::new(seed, listed, minute_ns)).collect();
        let ordinals = vec![0; listed.len()];
        let mut market = Self {
            venue,
            house,
            listed,
            desks,
            latency,
            now_ns: start_ns,
            arrivals: BinaryHeap::new(),
            travelling: FxHashMap::default(),
            sent: 0,
            last_order: 0,
            ordinals,
        };
        // What the house did before anybody looked.
        market.run_house(&mut Vec::new(), &mut Vec::new());
        market
    }

    /// Market time, UTC nanoseconds.
    pub fn now_ns(&self) -> i64 {
        self.now_ns
    }

    /// Books and accounts.
    pub fn venue(&self) -> &Venue {
        &self.venue
    }

    /// Books and accounts, for deposits and the record of changed levels.
    pub fn venue_mut(&mut self) -> &mut Venue {
        &mut self.venue
    }

    /// The symbols, by instrument index.
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// The house's account.
    pub fn house(&self) -> AccountId {
        self.house
    }

    /// Whether an order is the house's.
    pub fn is_house(order: OrderId) -> bool {
        order.0 & HOUSE_ORDER != 0
    }

    /// Opens a client's account.
    pub fn open_account(&mut self, fees: FeeRates) -> AccountId {
        self.venue.open_account(AccountKind::Client, fees)
    }

    /// Deposits (see [`Venue::deposit`]).
    ///
    /// # Errors
    /// Those of [`Venue::deposit`].
    pub fn deposit(&mut self, account: AccountId, asset: Asset, atoms: i128) -> Result<(), Rejection> {
        self.venue.deposit(account, asset, atoms)
    }

    /// The id that the next order gets.
    pub fn next_order_id(&mut self) -> OrderId {
        self.last_order += 1;
        OrderId(self.last_order)
    }

    /// Sends an order; when it will arrive. What becomes of it comes out of [`Market::advance`].
    pub fn place(&mut self, order: NewOrder) -> i64 {
        self.send(order.instrument, Request::Place(order))
    }

    /// Sends a cancel; when it will arrive.
    pub fn cancel(&mut self, account: AccountId, instrument: InstrumentId, order: OrderId) -> i64 {
        self.send(instrument, Request::Cancel(account, order))
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
            self.run_house(&mut outcomes, out);
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
    /// left; the house's trades and quotes in between are not reported.
    pub fn skip_to(&mut self, to_ns: i64) -> bool {
        if !self.travelling.is_empty() || self.client_order_stands() {
            return false;
        }
        for index in 0..self.desks.len() {
            let (unseen, last) = self.desks[index].skip(&self.listed[index], to_ns);
            self.venue.count_trades(InstrumentId(index as u16), unseen);
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
        for index in 0..self.desks.len() {
            let last = self.desks[index].jump(&self.listed[index], to_ns);
            self.run_last(index, last);
        }
        self.move_clock(to_ns);
        self.close_unseen();
        true
    }

    fn run_last(&mut self, index: usize, step: Option<HouseStep>) {
        if let Some(step) = step {
            self.run_step(index, &step, &mut Vec::new());
        }
    }

    /// Candles of whole minutes of a symbol in `[from_ns, to_ns)` that have closed by now.
    pub fn closed_minutes(&self, instrument: InstrumentId, from_ns: i64, to_ns: i64) -> Vec<Candle> {
        let end = to_ns.min(self.now_ns - self.now_ns.rem_euclid(MINUTE_NS));
        self.listed.get(instrument.0 as usize).map(|listed| listed.feed.minutes(from_ns, end)).unwrap_or_default()
    }

    fn send(&mut self, instrument: InstrumentId, request: Request) -> i64 {
        let ordinal = self.ordinals.get_mut(instrument.0 as usize).map_or(0, |ordinal| {
            *ordinal += 1;
            *ordinal
        });
        let key = self.listed.get(instrument.0 as usize).map_or(0, |listed| symbol_key(&listed.symbol));
        let arrives_ns = self.now_ns + self.latency.delay_ns(key, self.now_ns, ordinal);
        self.sent += 1;
        self.arrivals.push(Reverse((arrives_ns, self.sent)));
        self.travelling.insert(self.sent, request);
        arrives_ns
    }

    fn move_clock(&mut self, to_ns: i64) {
        if to_ns > self.now_ns {
            self.now_ns = to_ns;
            self.ordinals.fill(0);
        }
    }

    /// When the house last renewed its quotes in a symbol: in a gap of the feed the last ones stand.
    pub fn quoted_ns(&self, instrument: InstrumentId) -> Option<i64> {
        self.desks.get(instrument.0 as usize)?.quoted_ns
    }

    /// When something happens next: a house step, the end of a symbol's market or an arrival; it may be due already.
    pub fn next_instant(&self) -> Option<i64> {
        let house = self.desks.iter().filter_map(HouseDesk::next_ns).min();
        let arrival = self.arrivals.peek().map(|Reverse((time_ns, _))| *time_ns);
        house.into_iter().chain(arrival).min()
    }

    /// Runs the house steps that are due now, and closes the markets that end; trades with clients are seen at this
    /// instant.
    fn run_house(&mut self, outcomes: &mut Vec<Outcome>, out: &mut Vec<Stamped>) {
        for index in 0..self.desks.len() {
            while let Some(step) = self.desks[index].take_due(self.now_ns) {
                self.run_step(index, &step, outcomes);
                self.desks[index].load_next(&self.listed[index]);
                let instrument = InstrumentId(index as u16);
                out.extend(outcomes.drain(..).map(|outcome| self.stamp(MarketEvent::Outcome(outcome))));
                out.push(self.stamp(MarketEvent::Quoted(instrument)));
            }
            self.close_if_due(index, outcomes, out);
        }
    }

    fn run_step(&mut self, index: usize, step: &HouseStep, outcomes: &mut Vec<Outcome>) {
        let desk = &mut self.desks[index];
        self.venue.withdraw_all(desk.standing.drain(..));
        desk.quoted_ns = Some(step.time_ns);
        let instrument = InstrumentId(index as u16);
        let account = self.house;
        let first = (step.time_ns / STEP_NS) as u64 * ORDERS_PER_STEP;
        let mut placed = 0;
        let mut order = |side, terms| {
            let id = OrderId(HOUSE_ORDER | (index as u64) << 48 | (first + placed));
            placed += 1;
            (NewOrder { id, account, instrument, side, terms }, id)
        };
        for quote in &step.quotes {
            let terms =
                Terms::Limit { ticks: quote.ticks, lots: quote.lots, time_in_force: TimeInForce::GoodTillCancel };
            let (quote, id) = order(quote.side, terms);
            if self.venue.submit(quote, outcomes).is_ok() {
                desk.standing.push(id);
            }
        }
        if let Some(taker) = step.taker {
            let (taker, _) = order(taker.side, Terms::Market { lots: taker.lots });
            // A refusal (the book is empty on that side) leaves the market as it is.
            let _ = self.venue.submit(taker, outcomes);
        }
        outcomes
            .retain(|outcome| !matches!(outcome, Outcome::Accepted(_) | Outcome::Expired(..)) || is_clients(outcome));
    }

    fn client_order_stands(&self) -> bool {
        (0..self.listed.len()).filter_map(|index| self.venue.book(InstrumentId(index as u16))).any(|book| {
            [Side::Buy, Side::Sell].into_iter().any(|side| book.queue(side).any(|resting| !Self::is_house(resting.id)))
        })
    }

    fn run_arrivals(&mut self, outcomes: &mut Vec<Outcome>, out: &mut Vec<Stamped>) {
        while let Some(Reverse((time_ns, number))) = self.arrivals.peek().copied() {
            if time_ns > self.now_ns {
                break;
            }
            self.arrivals.pop();
            let Some(request) = self.travelling.remove(&number) else { continue };
            let refusal = match request {
                Request::Place(order) => {
                    self.venue.submit(order, outcomes).err().map(|rejection| MarketEvent::Rejected(order.id, rejection))
                }
                Request::Cancel(account, id) => self
                    .venue
                    .cancel(account, id, outcomes)
                    .err()
                    .map(|rejection| MarketEvent::CancelRejected(id, rejection)),
            };
            out.extend(outcomes.drain(..).map(|outcome| self.stamp(MarketEvent::Outcome(outcome))));
            out.extend(refusal.map(|event| self.stamp(event)));
        }
    }

    fn stamp(&self, event: MarketEvent) -> Stamped {
        Stamped { time_ns: self.now_ns, event }
    }

    /// A standing order.
    pub fn order(&self, id: OrderId) -> Option<&Order> {
        self.venue.order(id)
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
        Outcome::Accepted(id) | Outcome::Canceled(id) | Outcome::Expired(id, _) => !Market::is_house(*id),
        Outcome::Traded(trade) => !Market::is_house(trade.taker.order) || !Market::is_house(trade.maker.order),
    }
}
