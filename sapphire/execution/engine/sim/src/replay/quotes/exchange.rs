//! A venue whose book is the last quote.
//!
//! Invariant: the matching, the fees and the balances are those of [`Venue`]. The quote is put into its book only while
//! an order meets it, so that a quote that nobody trades with costs nothing.

use sapphire_core::amounts::Atoms;
use sapphire_core::instrument::{Asset, Instrument, InstrumentId, Side};
use sapphire_core::orders::{ClientOrderId, Order, Report};
use sapphire_core::venue::{
    AccountId, AccountKind, FeeRates, NewOrder, OrderId, Outcome, Rejection, Terms, TimeInForce, Venue,
};

use super::super::recorder::Route;
use super::super::reports::{Reporter, cancel_rejected, venue_id};
use super::{INSTRUMENT, Quote, QuoteConfig};
use crate::hash::symbol_key;
use crate::latency::Latency;

/// Orders of the quote carry this bit, the client's never do.
const LIQUIDITY_ORDER: u64 = 1 << 63;

#[derive(Clone, Copy, Debug)]
enum Request {
    Place(Order),
    Cancel(ClientOrderId),
}

/// The venue and what travels to it.
#[derive(Debug)]
pub(super) struct QuoteExchange {
    venue: Venue,
    liquidity: AccountId,
    account: AccountId,
    instrument: Instrument,
    reporter: Reporter,
    /// What is left of the last quote.
    standing: Option<Quote>,
    now_ns: i64,
    latency: Latency,
    symbol_key: u64,
    /// Requests sent at the present instant.
    ordinal: u64,
    /// By arrival, in the order of sending; rarely more than one.
    travelling: Vec<(i64, Request)>,
    liquidity_orders: u64,
    outcomes: Vec<Outcome>,
}

impl QuoteExchange {
    pub(super) fn new(config: &QuoteConfig) -> Result<Self, Rejection> {
        let mut venue = Venue::new(vec![config.instrument], config.assets);
        let liquidity = venue.open_account(AccountKind::Liquidity, FeeRates::default());
        let account = venue.open_account(AccountKind::Client, config.fees);
        for (asset, atoms) in &config.deposits {
            venue.deposit(account, *asset, *atoms)?;
        }
        Ok(Self {
            venue,
            liquidity,
            account,
            instrument: config.instrument,
            reporter: Reporter::new(account),
            standing: None,
            now_ns: i64::MIN,
            latency: config.latency,
            symbol_key: symbol_key(&config.symbol),
            ordinal: 0,
            travelling: Vec::with_capacity(4),
            liquidity_orders: 0,
            outcomes: Vec::with_capacity(8),
        })
    }

    pub(super) fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    /// When the next request arrives.
    pub(super) fn next_ns(&self) -> Option<i64> {
        self.travelling.iter().map(|(arrives_ns, _)| *arrives_ns).min()
    }

    pub(super) fn move_clock(&mut self, to_ns: i64) {
        if to_ns > self.now_ns {
            self.now_ns = to_ns;
            self.ordinal = 0;
        }
    }

    /// The quote stands from its time on.
    pub(super) fn show(&mut self, quote: &Quote) {
        self.move_clock(quote.time_ns);
        self.standing = Some(*quote);
    }

    /// Lets arrive what is due by now.
    pub(super) fn deliver(&mut self, reports: &mut Vec<Report>) {
        while let Some(place) = self.next_due() {
            match self.travelling.remove(place).1 {
                Request::Place(order) => self.trade(&order, reports),
                // An order is immediate-or-cancel: none stands that a cancel could find.
                Request::Cancel(order) => reports.push(Report { order, kind: cancel_rejected() }),
            }
        }
    }

    /// The earliest of those due, the first sent first.
    fn next_due(&self) -> Option<usize> {
        let due = self.travelling.iter().enumerate().filter(|(_, (arrives_ns, _))| *arrives_ns <= self.now_ns);
        due.min_by_key(|(_, (arrives_ns, _))| *arrives_ns).map(|(place, _)| place)
    }

    fn trade(&mut self, order: &Order, reports: &mut Vec<Report>) {
        let liquidity = self.stand(order.side.opposite());
        let (side, terms) = (order.side, terms(order.ticks, order.lots, order.time_in_force));
        let id = venue_id(order.id);
        let request = NewOrder { id, account: self.account, instrument: INSTRUMENT, side, terms };
        let mut outcomes = std::mem::take(&mut self.outcomes);
        match self.venue.submit(request, &mut outcomes) {
            Ok(()) => {
                for outcome in &outcomes {
                    self.reporter.emit(outcome, reports);
                    if let Outcome::Traded(trade) = outcome {
                        self.take(side.opposite(), trade.lots);
                    }
                }
            }
            Err(rejection) => self.reporter.rejected(id, rejection, reports),
        }
        outcomes.clear();
        self.outcomes = outcomes;
        self.venue.remove_all(liquidity.into_iter());
    }

    /// Puts one side of the quote into the book; none where nothing of it is left.
    fn stand(&mut self, side: Side) -> Option<OrderId> {
        let quote = self.standing?;
        let (ticks, lots) = match side {
            Side::Buy => (quote.bid_ticks, quote.bid_lots),
            Side::Sell => (quote.ask_ticks, quote.ask_lots),
        };
        let lots = lots.unwrap_or(self.instrument.max_lots).min(self.instrument.max_lots);
        self.liquidity_orders += 1;
        let id = OrderId(LIQUIDITY_ORDER | self.liquidity_orders);
        let terms = terms(ticks, lots, TimeInForce::GoodTillCancel);
        let order = NewOrder { id, account: self.liquidity, instrument: INSTRUMENT, side, terms };
        let stands = self.venue.submit(order, &mut self.outcomes).is_ok();
        self.outcomes.clear();
        stands.then_some(id)
    }

    /// Notes that less is left of one side of the quote.
    fn take(&mut self, side: Side, lots: i64) {
        let Some(quote) = self.standing.as_mut() else { return };
        let left = if side == Side::Buy { &mut quote.bid_lots } else { &mut quote.ask_lots };
        *left = left.map(|left| left - lots);
    }

    fn send(&mut self, request: Request) -> i64 {
        self.ordinal += 1;
        let arrives_ns = self.now_ns + self.latency.delay_ns(self.symbol_key, self.now_ns, self.ordinal);
        self.travelling.push((arrives_ns, request));
        arrives_ns
    }
}

impl Route for QuoteExchange {
    fn now_ns(&self) -> i64 {
        self.now_ns
    }

    fn place(&mut self, order: &Order) -> i64 {
        self.reporter.open(order.id);
        self.send(Request::Place(*order))
    }

    fn cancel(&mut self, order: ClientOrderId, _: InstrumentId) {
        self.send(Request::Cancel(order));
    }

    fn balance(&self, asset: Asset) -> Option<Atoms> {
        let balance = self.venue.account(self.account)?.balance(asset);
        Some(balance.total())
    }
}

fn terms(ticks: i64, lots: i64, time_in_force: TimeInForce) -> Terms {
    Terms::Limit { ticks, lots, time_in_force }
}
