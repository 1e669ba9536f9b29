//! What the matching service answers; nothing here changes anything but caches.

use sapphire_core::instrument::InstrumentId;
use sapphire_core::venue::{AccountId, OrderId};

use super::MatchingService;
use super::api::{
    AccountView, AggTrade, AggTradesQuery, BookTicker, CancelAck, DepthView, FillView, FillsQuery, Interval,
    KlineUpdate, MatchingError, OrderAck, OrderRef, OrderView, OrdersQuery, PublicTrade, Subscription, Ticker24h,
    TradesQuery, UserEvent,
};

impl MatchingService {
    pub(super) fn order_ack(&self, id: OrderId) -> Result<OrderAck, MatchingError> {
        let order = self.ledger.get(id).cloned().ok_or(MatchingError::NoSuchOrder)?;
        let fills = self.ledger.fills_of(&order);
        Ok(OrderAck { order, fills, transact_ns: self.now_ns() })
    }

    pub(super) fn cancel_ack(&self, id: OrderId, cancel_client_order_id: String) -> Result<CancelAck, MatchingError> {
        let order = self.ledger.get(id).cloned().ok_or(MatchingError::NoSuchOrder)?;
        let in_flight = order.status.is_open();
        Ok(CancelAck { order, cancel_client_order_id, in_flight, transact_ns: self.now_ns() })
    }

    pub(super) fn order(
        &self,
        account: AccountId,
        symbol: InstrumentId,
        by: &OrderRef,
    ) -> Result<OrderView, MatchingError> {
        self.check_account(account)?;
        self.check_instrument(symbol)?;
        self.ledger.find(account, symbol, by).cloned().ok_or(MatchingError::NoSuchOrder)
    }

    pub(super) fn open_orders(
        &self,
        account: AccountId,
        symbol: Option<InstrumentId>,
    ) -> Result<Vec<OrderView>, MatchingError> {
        self.check_account(account)?;
        symbol.map_or(Ok(()), |symbol| self.check_instrument(symbol))?;
        let mut orders: Vec<OrderView> = self.ledger.open(account, symbol).cloned().collect();
        orders.sort_by_key(|order| order.order_id);
        Ok(orders)
    }

    pub(super) fn all_orders(&self, query: &OrdersQuery) -> Result<Vec<OrderView>, MatchingError> {
        self.check_account(query.account)?;
        self.ledger.orders(query)
    }

    pub(super) fn my_trades(&self, query: &FillsQuery) -> Result<Vec<FillView>, MatchingError> {
        self.check_account(query.account)?;
        self.ledger.fills(query)
    }

    pub(super) fn account(&self, account: AccountId) -> Result<AccountView, MatchingError> {
        self.check_account(account)?;
        let venue = self.market.account(account).ok_or(MatchingError::UnknownAccount)?;
        let row = self.accounts.get(account.0 as usize).ok_or(MatchingError::UnknownAccount)?;
        let assets = (0..self.catalog.assets().len()).map(|index| sapphire_core::instrument::Asset(index as u16));
        Ok(AccountView {
            account,
            balances: assets.filter_map(|asset| self.balance(account, asset)).collect(),
            fees: venue.fees(),
            update_ns: row.update_ns,
            event_sequence: row.events,
        })
    }

    pub(super) fn depth(
        &self,
        instrument: InstrumentId,
        limit: usize,
        now_ns: i64,
    ) -> Result<DepthView, MatchingError> {
        let depth = self.depths.get(instrument.0 as usize).ok_or(MatchingError::UnknownInstrument)?;
        let book = self.market.venue().book(instrument).ok_or(MatchingError::UnknownInstrument)?;
        Ok(depth.snapshot(book, limit, now_ns))
    }

    pub(super) fn trades(&self, query: &TradesQuery) -> Result<Vec<PublicTrade>, MatchingError> {
        let tape = self.tapes.get(query.instrument.0 as usize).ok_or(MatchingError::UnknownInstrument)?;
        Ok(tape.trades(query))
    }

    pub(super) fn agg_trades(&self, query: &AggTradesQuery) -> Result<Vec<AggTrade>, MatchingError> {
        let tape = self.tapes.get(query.instrument.0 as usize).ok_or(MatchingError::UnknownInstrument)?;
        Ok(tape.aggregates(query))
    }

    pub(super) fn tickers(
        &mut self,
        instruments: &[InstrumentId],
        now_ns: i64,
    ) -> Result<Vec<Ticker24h>, MatchingError> {
        let mut tickers = Vec::with_capacity(instruments.len());
        for instrument in instruments {
            let index = instrument.0 as usize;
            let depth = self.depths.get(index).ok_or(MatchingError::UnknownInstrument)?;
            let best = depth.best(now_ns);
            tickers.extend(self.days[index].ticker(&self.charts, &self.tapes[index], &best, now_ns));
        }
        Ok(tickers)
    }

    pub(super) fn book_tickers(
        &self,
        instruments: &[InstrumentId],
        now_ns: i64,
    ) -> Result<Vec<BookTicker>, MatchingError> {
        let depth = |instrument: &InstrumentId| self.depths.get(instrument.0 as usize);
        let best =
            |instrument| depth(instrument).map(|depth| depth.best(now_ns)).ok_or(MatchingError::UnknownInstrument);
        instruments.iter().map(best).collect()
    }

    pub(super) fn prices(&self, instruments: &[InstrumentId]) -> Result<Vec<i64>, MatchingError> {
        let price = |instrument: &InstrumentId| {
            self.check_instrument(*instrument).map(|()| self.public_price(*instrument).unwrap_or_default())
        };
        instruments.iter().map(price).collect()
    }

    pub(super) fn subscribe_user(&self, account: AccountId) -> Result<Subscription<UserEvent>, MatchingError> {
        self.check_account(account)?;
        self.channels.subscribe_user(account).ok_or(MatchingError::UnknownAccount)
    }

    pub(super) fn subscribe_klines(
        &mut self,
        instrument: InstrumentId,
        interval: Interval,
    ) -> Result<Subscription<KlineUpdate>, MatchingError> {
        self.check_instrument(instrument)?;
        self.klines.prune();
        Ok(self.klines.subscribe(instrument, interval, &self.charts, self.now_ns()))
    }
}
