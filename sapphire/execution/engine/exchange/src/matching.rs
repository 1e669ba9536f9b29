//! The matching service: the one owner of a market, its accounts and their history.
//!
//! Invariant: state is a pure fold of commands over a genesis; the same commands give the same orders, fills,
//! balances, trade ids and update ids. Announcements follow from the state and never change it. After every command
//! the money adds up (checked in debug builds, see `money`).
//!
//! Each account trades on books of its own, so that its orders, fills, order ids and trade ids are those that it would
//! have alone. Depth, trades, tickers and candles are public and show one book: the first account's, the development
//! account's own orders in it. The others see their own orders in their own answers and user data alone.
//!
//! Known limitation: nothing is forgotten while the process lives, and a restart folds the whole journal.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use sapphire_core::book::Tracking;
use sapphire_core::instrument::InstrumentId;
use sapphire_core::venue::{AccountId, FeeRates, NewOrder, OrderId, Terms};
use sapphire_sim::latency::Latency;
use sapphire_sim::market::{Books, Market, Stamped, Until};

mod absorb;
mod actor;
mod announce;
mod answers;
pub mod api;
pub(crate) mod charts;
mod command;
pub(crate) mod control;
mod day;
mod depth;
mod digest;
mod journal;
mod ledger;
mod live;
mod money;
mod rules;
mod start;
mod tape;
#[cfg(test)]
mod tests;

pub use journal::JournalFailure;
pub use start::{OpenMatching, StartError, open};

use crate::floor::Floor;
use crate::settings::Genesis;
use absorb::TICKER_NS;
use announce::Channels;
use api::{Catalog, OrderStatus, OrderType, OrderView, Refusal, TimeInForce};
use charts::ChartRoom;
use command::{Cancel, Command, OpenAccount, Place};
use day::DayWindow;
use depth::{CUT_NS, DepthFeed};
use digest::Digest;
use ledger::Ledger;
use live::LiveKlines;
use tape::Tape;

/// The owner of all trading state.
#[derive(Debug)]
pub(crate) struct MatchingService {
    genesis: Genesis,
    catalog: Arc<Catalog>,
    market: Market,
    ledger: Ledger,
    /// Cancels on their way: their own client order ids, by order.
    cancels: FxHashMap<OrderId, VecDeque<String>>,
    accounts: Vec<AccountRow>,
    /// What was ever paid in, per asset.
    deposits: Vec<i128>,
    tapes: Vec<Tape>,
    depths: Vec<DepthFeed>,
    days: Vec<DayWindow>,
    klines: LiveKlines,
    charts: ChartRoom,
    channels: Channels,
    digest: Digest,
    /// The order refused at once by the command that is being carried out.
    refused: Option<Refusal>,
    happened: Vec<Stamped>,
    cut_ns: i64,
    ticker_ns: i64,
    traded: Vec<bool>,
}

/// What the matching service itself keeps of an account.
#[derive(Clone, Debug, Default)]
struct AccountRow {
    /// None of the synthetic liquidity and of the development account.
    name: Option<String>,
    events: u64,
    update_ns: i64,
}

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// An order, or why it was refused at once.
    Placed(Result<OrderId, Refusal>),
    /// Orders whose cancel was sent, each with the cancel's client order id.
    Canceled(Vec<(OrderId, String)>),
    /// A new account.
    Opened(AccountId),
    /// How many things clients saw while market time moved.
    Advanced(u64),
    /// Nothing to answer.
    Done,
}

impl MatchingService {
    /// A market at its beginning.
    pub(crate) fn new(genesis: Genesis, floor: &Floor) -> Self {
        let floor = floor.opened_at(genesis.start_ns);
        let catalog = Arc::new(floor.catalog.clone());
        let rows = catalog.symbols().iter().zip(&floor.feeds);
        let rows = rows.map(|(info, feed)| (info.symbol.as_str(), feed.clone(), info.instrument, info.listed_ns));
        let charts = ChartRoom::new(rows, genesis.seed);
        let latency = Latency { seed: genesis.seed, min_ns: genesis.min_latency_ns, max_ns: genesis.max_latency_ns };
        let assets = catalog.assets().len();
        let mut market = Market::new(floor.listed(), assets, genesis.seed, latency, genesis.start_ns);
        for instrument in catalog.instruments() {
            market.venue_mut().track_changes(instrument, Tracking::On);
        }
        let symbols = catalog.symbols().len();
        let mut matching = Self {
            market,
            ledger: Ledger::new(symbols),
            cancels: FxHashMap::default(),
            accounts: Vec::new(),
            deposits: vec![0; assets],
            tapes: catalog.instruments().map(|_| Tape::default()).collect(),
            depths: catalog.instruments().map(DepthFeed::new).collect(),
            days: catalog.instruments().map(DayWindow::new).collect(),
            klines: LiveKlines::default(),
            charts,
            channels: Channels::new(symbols),
            digest: Digest::default(),
            refused: None,
            happened: Vec::new(),
            cut_ns: genesis.start_ns,
            ticker_ns: genesis.start_ns,
            traded: vec![false; symbols],
            catalog,
            genesis,
        };
        // The synthetic liquidity is account 0, so that indices of accounts are places everywhere.
        matching.open_row(None);
        matching.number_standing_levels();
        matching.run_to(matching.market.now_ns(), Until::Time);
        matching
    }

    pub(crate) fn now_ns(&self) -> i64 {
        self.market.now_ns()
    }

    pub(crate) fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    pub(crate) fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    pub(crate) fn charts(&self) -> &ChartRoom {
        &self.charts
    }

    pub(crate) fn channels(&self) -> &Channels {
        &self.channels
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest.0
    }

    /// The number of accounts, the synthetic liquidity among them: the index of the next.
    pub(crate) fn next_account(&self) -> AccountId {
        AccountId(self.accounts.len() as u32)
    }

    /// Something is due that only the journal may let happen.
    pub(crate) fn is_due(&self, at_ns: i64) -> bool {
        self.market.next_instant().is_some_and(|instant| instant <= at_ns)
    }

    /// Carries a command out, at the market time that its record carries.
    pub(crate) fn apply(&mut self, market_ns: i64, command: &Command) -> Applied {
        if !self.genesis.is_lockstep {
            self.run_to(market_ns, Until::Time);
        }
        let applied = match command {
            Command::Begin(_) | Command::Resume { .. } | Command::Tick => Applied::Done,
            Command::Advance { to_ns } => Applied::Advanced(self.run_to(*to_ns, Until::ClientEvent)),
            Command::Place(place) => Applied::Placed(self.place(place)),
            Command::Cancel(cancel) => Applied::Canceled(vec![self.cancel(cancel)]),
            Command::CancelAll { account, instrument } => Applied::Canceled(self.cancel_all(*account, *instrument)),
            Command::OpenAccount(opening) => Applied::Opened(self.open_account(opening)),
            Command::Deposit { account, asset, atoms } => {
                self.deposit(*account, asset, *atoms);
                Applied::Done
            }
        };
        debug_assert_eq!(self.check_money(), Ok(()), "after {command:?}");
        applied
    }

    /// Lets market time run, instant by instant; how many things clients saw.
    fn run_to(&mut self, to_ns: i64, until: Until) -> u64 {
        let mut seen = 0;
        while let Some(instant) = self.market.next_instant().filter(|instant| *instant <= to_ns.max(self.now_ns())) {
            seen += self.run_instant(instant);
            if until == Until::ClientEvent && seen > 0 {
                break;
            }
        }
        if seen == 0 || until == Until::Time {
            self.market.advance(to_ns.max(self.now_ns()), Until::Time, &mut self.happened);
        }
        if self.genesis.is_lockstep {
            self.cut();
            self.close_candles(self.now_ns());
        }
        seen
    }

    fn run_instant(&mut self, instant: i64) -> u64 {
        let mut happened = std::mem::take(&mut self.happened);
        self.market.advance(instant, Until::Time, &mut happened);
        let seen = self.absorb(&happened);
        happened.clear();
        self.happened = happened;
        if self.genesis.is_lockstep {
            self.cut();
            self.channels.let_readers_catch_up();
        }
        seen
    }

    /// Lets happen what is due now: requests that travel no time arrive.
    fn settle(&mut self) {
        if !self.genesis.is_lockstep {
            self.run_to(self.now_ns(), Until::Time);
        }
    }

    fn place(&mut self, place: &Place) -> Result<OrderId, Refusal> {
        let id = self.market.next_order_id(place.account);
        let now_ns = self.now_ns();
        let client_order_id = place.client_order_id.clone().unwrap_or_else(|| self.fresh_client_id(place.account, id));
        self.ledger.enter(view(place, id, client_order_id, now_ns));
        self.market.place(NewOrder {
            id,
            account: place.account,
            instrument: place.instrument,
            side: place.side,
            terms: place.terms,
        });
        self.refused = None;
        self.settle();
        self.refused.take().map_or(Ok(id), Err)
    }

    fn cancel(&mut self, cancel: &Cancel) -> (OrderId, String) {
        let sent = self.send_cancel(cancel.account, cancel.order, cancel.client_order_id.clone());
        self.settle();
        (cancel.order, sent)
    }

    fn cancel_all(&mut self, account: AccountId, instrument: InstrumentId) -> Vec<(OrderId, String)> {
        let open: Vec<u64> = self.ledger.open(account, Some(instrument)).map(|order| order.order_id).collect();
        let sent = open.into_iter().map(|id| (OrderId(id), self.send_cancel(account, OrderId(id), None))).collect();
        self.settle();
        sent
    }

    fn send_cancel(&mut self, account: AccountId, order: OrderId, client_id: Option<String>) -> String {
        let waiting = self.cancels.entry(order).or_default();
        let client_id = client_id.unwrap_or_else(|| format!("cancel-{}-{}", order.0, waiting.len() + 1));
        waiting.push_back(client_id.clone());
        if let Some(instrument) = self.ledger.get(order).map(|order| order.instrument) {
            self.market.cancel(account, instrument, order);
        }
        client_id
    }

    fn open_account(&mut self, opening: &OpenAccount) -> AccountId {
        let fees = FeeRates { maker: opening.maker, taker: opening.taker };
        let account = self.market.open_account(fees, if opening.own_books { Books::Own } else { Books::First });
        self.open_row(opening.name.clone());
        for (asset, atoms) in &opening.funds {
            self.deposit(account, asset, *atoms);
        }
        account
    }

    fn open_row(&mut self, name: Option<String>) {
        self.accounts.push(AccountRow { name, events: 0, update_ns: self.market.now_ns() });
        self.ledger.open_account();
        self.channels.open_account();
    }

    /// Levels that the synthetic liquidity put up before anybody counted get their update ids.
    fn number_standing_levels(&mut self) {
        use sapphire_core::instrument::Side;
        let now_ns = self.now_ns();
        for (index, depth) in self.depths.iter_mut().enumerate() {
            let Some(book) = self.market.venue().book(InstrumentId(index as u16)) else { continue };
            let levels = [Side::Buy, Side::Sell]
                .into_iter()
                .flat_map(|side| book.levels(side, usize::MAX).into_iter().map(move |(ticks, _)| (side, ticks)));
            depth.change(&levels.collect::<Vec<_>>(), book, now_ns);
        }
    }

    fn fresh_client_id(&self, account: AccountId, id: OrderId) -> String {
        let mut text = format!("auto-{}", id.0);
        while self.ledger.has_client_id(account, &text) {
            text.push('-');
        }
        text
    }

    /// Market time from which a diff, a ticker or the end of a candle can be announced; none when nothing waits.
    pub(crate) fn next_cut_ns(&self) -> Option<i64> {
        let is_pending = |index: &usize| {
            let instrument = InstrumentId(*index as u16);
            self.depths[*index].is_pending() && self.channels.is_heard(instrument)
        };
        let has_traded = |index: &usize| self.traded[*index] && self.channels.is_heard(InstrumentId(*index as u16));
        let diff_ns =
            (0..self.depths.len()).any(|index| is_pending(&index)).then(|| next_multiple(self.cut_ns, CUT_NS));
        let is_ticker_due = (0..self.depths.len()).any(|index| has_traded(&index));
        let ticker_ns = is_ticker_due.then(|| next_multiple(self.ticker_ns, TICKER_NS));
        diff_ns.into_iter().chain(ticker_ns).chain(self.klines.next_end_ns()).min()
    }

    /// When something happens by itself next.
    pub(crate) fn next_instant(&self) -> Option<i64> {
        self.market.next_instant()
    }
}

/// The first multiple of `step` after a time.
fn next_multiple(at_ns: i64, step: i64) -> i64 {
    at_ns - at_ns.rem_euclid(step) + step
}

/// A received order as its owner sees it before it arrives.
fn view(place: &Place, id: OrderId, client_order_id: String, now_ns: i64) -> OrderView {
    use sapphire_core::venue::TimeInForce as Core;
    let (order_type, time_in_force) = match place.terms {
        Terms::Limit { time_in_force: Core::GoodTillCancel, .. } => (OrderType::Limit, TimeInForce::Gtc),
        Terms::Limit { time_in_force: Core::ImmediateOrCancel, .. } => (OrderType::Limit, TimeInForce::Ioc),
        Terms::Limit { time_in_force: Core::FillOrKill, .. } => (OrderType::Limit, TimeInForce::Fok),
        Terms::Limit { time_in_force: Core::PostOnly, .. } => (OrderType::LimitMaker, TimeInForce::Gtc),
        Terms::Market { .. } | Terms::MarketQuote { .. } => (OrderType::Market, TimeInForce::Gtc),
    };
    let (price_ticks, quantity_lots, quote_order_atoms) = match place.terms {
        Terms::Limit { ticks, lots, .. } => (ticks, lots, 0),
        Terms::Market { lots } => (0, lots, 0),
        Terms::MarketQuote { quote_atoms } => (0, 0, quote_atoms),
    };
    OrderView {
        account: place.account,
        instrument: place.instrument,
        order_id: id.0,
        client_order_id,
        side: place.side,
        order_type,
        time_in_force,
        price_ticks,
        quantity_lots,
        quote_order_atoms,
        executed_lots: 0,
        executed_quote_atoms: 0,
        status: OrderStatus::PendingNew,
        time_ns: now_ns,
        update_ns: now_ns,
        working_ns: None,
    }
}
