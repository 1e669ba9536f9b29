//! The two exchanges that a replay can trade on: the synthetic liquidity's book, or the next open.
//!
//! Invariant: reports come in the order of market time and say the truth: each trade once, cumulative quantities, an
//! end.

use std::collections::VecDeque;

use sapphire_core::amounts::Atoms;
use sapphire_core::engine::FeeSide;
use sapphire_core::instrument::{Asset, InstrumentId, Side, fee};
use sapphire_core::orders::{ClientOrderId, Fill, Order, Report, ReportKind};
use sapphire_core::venue::{AccountId, FeeRates, NewOrder, Rejection, Terms};

use super::recorder::Route;
use super::reports::{Reporter, cancel_rejected, client_id, venue_id};
use super::{Model, ReplayConfig};
use crate::candle::MINUTE_NS;
use crate::market::{Books, Listed, Market, MarketEvent, Stamped, Until};

/// Where orders go.
#[derive(Debug)]
pub(super) enum Exchange {
    Book(Box<BookExchange>),
    NextOpen(Box<OpenExchange>),
}

impl Exchange {
    pub(super) fn new(config: &ReplayConfig, listed: Vec<Listed>) -> Result<Self, Rejection> {
        match config.model {
            Model::Book { latency } => {
                let mut market = Market::new(listed, config.assets, config.seed, latency, config.start_ns);
                let account = market.open_account(config.fees, Books::Own);
                for (asset, atoms) in &config.deposits {
                    market.deposit(account, *asset, *atoms)?;
                }
                let reporter = Reporter::new(account);
                Ok(Self::Book(Box::new(BookExchange { market, account, reporter, seen: Vec::new() })))
            }
            Model::NextOpen { fee_side } => Ok(Self::NextOpen(Box::new(OpenExchange {
                trades: vec![0; listed.len()],
                listed,
                fee_side,
                fees: config.fees,
                now_ns: config.start_ns,
                unreported: VecDeque::new(),
            }))),
        }
    }

    pub(super) fn listed(&self) -> &[Listed] {
        match self {
            Self::Book(book) => book.market.listed(),
            Self::NextOpen(open) => &open.listed,
        }
    }

    /// Lets time run to `to_ns`, or to the end of the first instant with a report.
    pub(super) fn advance(&mut self, to_ns: i64, reports: &mut Vec<Report>) {
        match self {
            Self::Book(book) => book.advance(to_ns, reports),
            Self::NextOpen(open) if open.unreported.is_empty() => open.now_ns = open.now_ns.max(to_ns),
            Self::NextOpen(open) => reports.extend(open.unreported.drain(..)),
        }
    }

    /// Best bid and ask at this moment and since when they stand; none where a side is empty.
    pub(super) fn quote(&self, instrument: InstrumentId) -> Option<(i64, i64, i64)> {
        match self {
            Self::Book(book) => {
                let quotes = book.market.venue().book(instrument)?;
                Some((quotes.best(Side::Buy)?, quotes.best(Side::Sell)?, book.market.quoted_ns(instrument)?))
            }
            Self::NextOpen(open) => open.price(instrument).map(|ticks| (ticks, ticks, open.now_ns)),
        }
    }
}

impl Route for Exchange {
    fn now_ns(&self) -> i64 {
        match self {
            Self::Book(book) => book.market.now_ns(),
            Self::NextOpen(open) => open.now_ns,
        }
    }

    fn place(&mut self, order: &Order) -> i64 {
        match self {
            Self::Book(book) => book.place(order),
            Self::NextOpen(open) => open.place(order),
        }
    }

    fn cancel(&mut self, order: ClientOrderId, instrument: InstrumentId) {
        match self {
            Self::Book(book) => {
                book.market.cancel(book.account, instrument, venue_id(order));
            }
            Self::NextOpen(open) => open.unreported.push_back(Report { order, kind: cancel_rejected() }),
        }
    }

    fn balance(&self, asset: Asset) -> Option<Atoms> {
        match self {
            Self::Book(book) => {
                let balance = book.market.account(book.account)?.balance(asset);
                Some(balance.total())
            }
            Self::NextOpen(_) => None,
        }
    }
}

/// The synthetic liquidity's book, at the synthetic liquidity's spread and depth.
#[derive(Debug)]
pub(super) struct BookExchange {
    market: Market,
    account: AccountId,
    reporter: Reporter,
    seen: Vec<Stamped>,
}

impl BookExchange {
    fn place(&mut self, order: &Order) -> i64 {
        self.reporter.open(order.id);
        self.market.place(NewOrder {
            id: venue_id(order.id),
            account: self.account,
            instrument: order.instrument,
            side: order.side,
            terms: Terms::Limit { ticks: order.ticks, lots: order.lots, time_in_force: order.time_in_force },
        })
    }

    /// Takes what is held of an asset out of the account and puts quote in for it.
    pub(super) fn pay_out(&mut self, held: (Asset, Atoms), paid: (Asset, Atoms)) -> Result<(), Rejection> {
        self.market.deposit(self.account, held.0, -held.1)?;
        self.market.deposit(self.account, paid.0, paid.1)
    }

    fn advance(&mut self, to_ns: i64, reports: &mut Vec<Report>) {
        if self.market.jump_to(to_ns) {
            return;
        }
        self.market.advance(to_ns, Until::ClientEvent, &mut self.seen);
        for stamped in std::mem::take(&mut self.seen) {
            match &stamped.event {
                MarketEvent::Quoted(_) | MarketEvent::Closed(_) => {}
                MarketEvent::Outcome(outcome) => self.reporter.emit(outcome, reports),
                MarketEvent::Rejected(id, rejection) => self.reporter.rejected(*id, *rejection, reports),
                MarketEvent::CancelRejected(id, _) => {
                    reports.push(Report { order: client_id(*id), kind: cancel_rejected() });
                }
            }
        }
    }
}

/// A venue where every order fills whole, at once, at the open of the minute that begins: no spread, no latency.
#[derive(Debug)]
pub(super) struct OpenExchange {
    listed: Vec<Listed>,
    trades: Vec<u64>,
    fee_side: FeeSide,
    fees: FeeRates,
    now_ns: i64,
    unreported: VecDeque<Report>,
}

impl OpenExchange {
    /// Open of the minute that holds this moment; none in a gap.
    fn price(&self, instrument: InstrumentId) -> Option<i64> {
        let minute_ns = self.now_ns - self.now_ns.rem_euclid(MINUTE_NS);
        let minute = self.listed.get(instrument.0 as usize)?.feed.next_minute(minute_ns)?;
        (minute.open_ns == minute_ns).then_some(minute.open)
    }

    fn place(&mut self, order: &Order) -> i64 {
        let mut emit = |kind| self.unreported.push_back(Report { order: order.id, kind });
        let index = order.instrument.0 as usize;
        // The engine priced the order from this very open, so there is one.
        let minute_ns = self.now_ns - self.now_ns.rem_euclid(MINUTE_NS);
        let Some(minute) = self.listed[index].feed.next_minute(minute_ns) else {
            emit(ReportKind::Expired { executed_lots: 0 });
            return self.now_ns;
        };
        let rules = self.listed[index].instrument;
        let quote_atoms = rules.notional(minute.open, order.lots);
        let (fee_asset, amount) = match (order.side, self.fee_side) {
            (Side::Buy, FeeSide::Received) => (rules.base, rules.base_atoms(order.lots)),
            _ => (rules.quote, quote_atoms),
        };
        self.trades[index] += 1;
        let fill = Fill {
            trade: self.trades[index],
            ticks: minute.open,
            lots: order.lots,
            quote_atoms,
            fee_asset,
            fee_atoms: fee(amount, self.fees.taker),
        };
        emit(ReportKind::Accepted { venue_order: order.id.sequence });
        emit(ReportKind::Trade { fill, executed_lots: order.lots });
        self.now_ns
    }
}
