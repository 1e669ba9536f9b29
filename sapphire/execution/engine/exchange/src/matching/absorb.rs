//! From what happened in the market to what is known and announced.
//!
//! Order within one instant: reports of orders and public trades as they happened, then one position per touched
//! account, then books, candles and tickers.

use std::collections::BTreeSet;

use sapphire_core::instrument::{Asset, InstrumentId};
use sapphire_core::venue::{AccountId, OrderId, Outcome, Trade};
use sapphire_sim::market::{Market, MarketEvent, Stamped};

use super::api::{
    BalanceView, Execution, ExecutionReport, MarketUpdate, OrderStatus, OrderView, Refusal, UserEvent, UserEventKind,
};
use super::ledger::{Ledger, can_stand};
use super::{MatchingService, depth::CUT_NS};

/// Market time between two tickers of a symbol, as of Binance's `@ticker`.
pub(super) const TICKER_NS: i64 = 1_000_000_000;

/// Assets that an instant changed.
type Touched = BTreeSet<(AccountId, Asset)>;

impl MatchingService {
    /// Takes in what one instant brought; how many things clients saw.
    pub(super) fn absorb(&mut self, happened: &[Stamped]) -> u64 {
        let mut touched = Touched::new();
        let mut moved = vec![false; self.tapes.len()];
        let mut seen = 0;
        for stamped in happened {
            self.digest.add(stamped);
            let time_ns = stamped.time_ns;
            seen += match &stamped.event {
                MarketEvent::Outcome(outcome) => self.outcome(outcome, time_ns, &mut touched),
                MarketEvent::Rejected(id, rejection) => {
                    let is_market = self.ledger.get(*id).is_some_and(|order| !can_stand(order.order_type));
                    self.rejected(*id, Refusal::from_venue(*rejection, is_market), time_ns, &mut touched)
                }
                MarketEvent::CancelRejected(id, _) => self.cancel_rejected(*id, time_ns),
                MarketEvent::Quoted(instrument) | MarketEvent::Closed(instrument) => {
                    moved[instrument.0 as usize] = true;
                    0
                }
            };
        }
        self.flush_tapes();
        self.announce_positions(&touched);
        self.number_changes();
        if self.klines.is_watched() {
            self.klines.announce(&self.charts, &self.tapes, &moved, self.market.now_ns());
        }
        seen
    }

    /// Announces candles that ended with nothing happening: their market has closed, or pauses.
    pub(super) fn close_candles(&mut self, now_ns: i64) {
        if self.klines.next_end_ns().is_some_and(|end_ns| end_ns <= now_ns) {
            self.klines.announce(&self.charts, &self.tapes, &vec![false; self.tapes.len()], now_ns);
        }
    }

    fn outcome(&mut self, outcome: &Outcome, time_ns: i64, touched: &mut Touched) -> u64 {
        match outcome {
            Outcome::Accepted(id) => {
                let order = self.ledger.accept(*id, time_ns).cloned();
                self.report(order, Execution::New, None, time_ns, touched)
            }
            Outcome::Traded(trade) => self.traded(trade, time_ns, touched),
            Outcome::Canceled(id) => {
                let order = self.ledger.end(*id, OrderStatus::Canceled, time_ns).cloned();
                let cancel_id = self.cancel_arrived(*id);
                self.report(order, Execution::Canceled, cancel_id, time_ns, touched)
            }
            Outcome::Expired(id, reason) => {
                let status = Ledger::expired(*reason);
                let order = self.ledger.end(*id, status, time_ns).cloned();
                let execution = match status {
                    OrderStatus::ExpiredInMatch => Execution::TradePrevention,
                    _ => Execution::Expired,
                };
                self.report(order, execution, None, time_ns, touched)
            }
        }
    }

    fn traded(&mut self, trade: &Trade, time_ns: i64, touched: &mut Touched) -> u64 {
        if self.market.is_public(trade.taker.account) && self.market.is_public(trade.maker.account) {
            self.print(trade, time_ns);
        }
        let mut seen = 0;
        for (party, is_maker) in [(&trade.taker, false), (&trade.maker, true)] {
            if Market::is_synthetic(party.order) {
                continue;
            }
            let Some(fill) = self.ledger.fill(trade, party, is_maker, time_ns) else { continue };
            let order = self.ledger.get(party.order).cloned();
            seen += self.report(order, Execution::Trade(fill), None, time_ns, touched);
        }
        seen
    }

    /// Prints a trade on the public tape.
    fn print(&mut self, trade: &Trade, time_ns: i64) {
        let instrument = trade.instrument;
        let index = instrument.0 as usize;
        self.traded[index] = true;
        let (public, ended) = self.tapes[index].print(trade, time_ns);
        if let Some(aggregate) = ended {
            self.channels.market(instrument, || MarketUpdate::AggTrade(aggregate));
        }
        self.channels.market(instrument, || MarketUpdate::Trade(public));
    }

    fn rejected(&mut self, id: OrderId, refusal: Refusal, time_ns: i64, touched: &mut Touched) -> u64 {
        if !self.genesis.is_lockstep {
            self.ledger.remove(id);
            self.refused = Some(refusal);
            return 0;
        }
        let order = self.ledger.end(id, OrderStatus::Rejected, time_ns).cloned();
        self.report(order, Execution::Rejected(refusal), None, time_ns, touched)
    }

    fn cancel_rejected(&mut self, id: OrderId, time_ns: i64) -> u64 {
        let cancel_client_order_id = self.cancel_arrived(id).unwrap_or_default();
        let Some(order) = self.ledger.get(id).cloned() else { return 0 };
        let account = order.account;
        self.emit(account, time_ns, UserEventKind::CancelRejected { order, cancel_client_order_id });
        1
    }

    fn cancel_arrived(&mut self, id: OrderId) -> Option<String> {
        let waiting = self.cancels.get_mut(&id)?;
        let client_id = waiting.pop_front();
        if waiting.is_empty() {
            self.cancels.remove(&id);
        }
        client_id
    }

    fn report(
        &mut self,
        order: Option<OrderView>,
        execution: Execution,
        cancel_client_order_id: Option<String>,
        time_ns: i64,
        touched: &mut Touched,
    ) -> u64 {
        let Some(order) = order else { return 0 };
        if let Some(instrument) = self.market.venue().instrument(order.instrument) {
            touched.extend([(order.account, instrument.base), (order.account, instrument.quote)]);
        }
        let stands = matches!(order.status, OrderStatus::New | OrderStatus::PartiallyFilled);
        let is_on_book = stands && can_stand(order.order_type);
        let account = order.account;
        let report = ExecutionReport { execution, order, cancel_client_order_id, is_on_book };
        self.emit(account, time_ns, UserEventKind::Execution(report));
        1
    }

    /// Numbers an account's event and announces it.
    pub(super) fn emit(&mut self, account: AccountId, time_ns: i64, kind: UserEventKind) {
        let Some(row) = self.accounts.get_mut(account.0 as usize) else { return };
        row.events += 1;
        row.update_ns = time_ns;
        self.channels.user(UserEvent { account, sequence: row.events, time_ns, kind });
    }

    pub(super) fn announce_positions(&mut self, touched: &Touched) {
        let mut accounts: Vec<AccountId> = touched.iter().map(|(account, _)| *account).collect();
        accounts.dedup();
        let now_ns = self.market.now_ns();
        for account in accounts {
            let assets = touched.range((account, Asset(0))..=(account, Asset(u16::MAX)));
            let balances = assets.filter_map(|(_, asset)| self.balance(account, *asset)).collect();
            self.emit(account, now_ns, UserEventKind::AccountPosition(balances));
        }
    }

    pub(super) fn balance(&self, account: AccountId, asset: Asset) -> Option<BalanceView> {
        let balance = self.market.account(account)?.balance(asset);
        Some(BalanceView { asset, free_atoms: balance.free, locked_atoms: balance.locked })
    }

    fn flush_tapes(&mut self) {
        for (index, tape) in self.tapes.iter_mut().enumerate() {
            if let Some(aggregate) = tape.flush() {
                self.channels.market(InstrumentId(index as u16), || MarketUpdate::AggTrade(aggregate));
            }
        }
    }

    /// Gives changed levels their update ids and announces new best prices.
    fn number_changes(&mut self) {
        let now_ns = self.market.now_ns();
        for (index, depth) in self.depths.iter_mut().enumerate() {
            let instrument = InstrumentId(index as u16);
            let changed = self.market.venue_mut().drain_changes(instrument);
            let Some(book) = self.market.venue().book(instrument) else { continue };
            if let Some(best) = depth.change(&changed, book, now_ns) {
                self.channels.market(instrument, || MarketUpdate::BookTicker(best));
            }
            if !self.channels.is_heard(instrument) {
                depth.skip();
            }
        }
    }

    /// Announces the diffs that wait, and tickers once a second of market time.
    pub(super) fn cut(&mut self) {
        let now_ns = self.market.now_ns();
        for (index, depth) in self.depths.iter_mut().enumerate() {
            let instrument = InstrumentId(index as u16);
            let diff = self.market.venue().book(instrument).and_then(|book| depth.cut(book, now_ns));
            if let Some(diff) = diff {
                self.channels.market(instrument, || MarketUpdate::Depth(diff));
            }
        }
        self.cut_ns = now_ns;
        if now_ns >= super::next_multiple(self.ticker_ns, TICKER_NS) {
            self.ticker_ns = now_ns;
            self.announce_tickers();
        }
    }

    /// [`MatchingService::cut`], if a hundred milliseconds of market time have begun since the last.
    pub(super) fn cut_on_time(&mut self, now_ns: i64) {
        if now_ns >= super::next_multiple(self.cut_ns, CUT_NS) {
            self.cut();
            self.cut_ns = now_ns;
        }
    }

    fn announce_tickers(&mut self) {
        let now_ns = self.market.now_ns();
        for index in 0..self.tapes.len() {
            let instrument = InstrumentId(index as u16);
            if !std::mem::take(&mut self.traded[index]) || !self.channels.is_heard(instrument) {
                continue;
            }
            let best = self.depths[index].best(now_ns);
            if let Some(ticker) = self.days[index].ticker(&self.charts, &self.tapes[index], &best, now_ns) {
                self.channels.market(instrument, || MarketUpdate::Ticker(ticker));
            }
        }
    }
}
