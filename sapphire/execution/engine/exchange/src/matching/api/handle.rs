//! How the edge talks to the matching service.

use std::sync::Arc;

use sapphire_core::instrument::InstrumentId;
use sapphire_core::venue::AccountId;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    AccountView, AggTrade, AggTradesQuery, BookTicker, CancelAck, CancelAll, CancelOrder, Catalog, DepthView, FillView,
    FillsQuery, Interval, Kline, KlineUpdate, KlinesQuery, MarketUpdate, MatchingError, OrderAck, OrderRef, OrderView,
    OrdersQuery, PlaceOrder, PublicTrade, Subscription, Ticker24h, TradesQuery, UserEvent,
};
use crate::clock::MarketClock;
use crate::keys::{ApiKey, Keyring};
use crate::matching::announce::Stream;
use crate::matching::charts::ChartRoom;
use crate::matching::control::Control;

/// Where an answer goes.
pub type Reply<T> = oneshot::Sender<Result<T, MatchingError>>;

/// Everything that can be asked of the matching service.
#[derive(Debug)]
pub enum Ask {
    /// A new order.
    PlaceOrder(PlaceOrder, Reply<OrderAck>),
    /// All checks of a new order that need no book and no balance; nothing is placed.
    TestOrder(PlaceOrder, Reply<()>),
    /// A cancel.
    CancelOrder(CancelOrder, Reply<CancelAck>),
    /// A cancel of all open orders of a symbol.
    CancelAll(CancelAll, Reply<Vec<CancelAck>>),
    /// One order.
    QueryOrder(AccountId, InstrumentId, OrderRef, Reply<OrderView>),
    /// Open orders, of one symbol or of all, by order id.
    OpenOrders(AccountId, Option<InstrumentId>, Reply<Vec<OrderView>>),
    /// Orders, open and ended.
    AllOrders(OrdersQuery, Reply<Vec<OrderView>>),
    /// Fills of an account.
    MyTrades(FillsQuery, Reply<Vec<FillView>>),
    /// Balances and fee rates.
    Account(AccountId, Reply<AccountView>),
    /// Both sides of a book, up to so many levels.
    Depth(InstrumentId, usize, Reply<DepthView>),
    /// Public trades.
    Trades(TradesQuery, Reply<Vec<PublicTrade>>),
    /// Public trades, aggregated.
    AggTrades(AggTradesQuery, Reply<Vec<AggTrade>>),
    /// The last 24 hours of the named symbols.
    Tickers24h(Vec<InstrumentId>, Reply<Vec<Ticker24h>>),
    /// Best prices of the named symbols.
    BookTickers(Vec<InstrumentId>, Reply<Vec<BookTicker>>),
    /// Last prices of the named symbols in ticks.
    Prices(Vec<InstrumentId>, Reply<Vec<i64>>),
    /// The events of an account from now on.
    SubscribeUser(AccountId, Reply<Subscription<UserEvent>>),
    /// The changes of a candle from now on.
    SubscribeKlines(InstrumentId, Interval, Reply<Subscription<KlineUpdate>>),
    /// A command of the control plane.
    Control(Control),
}

/// A cheap, cloneable way to the matching service.
#[derive(Clone, Debug)]
pub struct MatchingHandle {
    pub(crate) asks: mpsc::Sender<Ask>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) clock: Arc<MarketClock>,
    pub(crate) keys: Keyring,
    pub(crate) market: Arc<[Stream<MarketUpdate>]>,
    pub(crate) charts: ChartRoom,
    pub(crate) shutdown: watch::Receiver<bool>,
}

impl MatchingHandle {
    /// What is listed.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Market time, UTC nanoseconds.
    pub fn now_ns(&self) -> i64 {
        self.clock.now_ns()
    }

    /// The machine's time, UTC nanoseconds.
    pub fn wall_ns(&self) -> i64 {
        self.clock.wall_ns()
    }

    /// The account and secret of an API key.
    pub fn key(&self, api_key: &str) -> Option<Arc<ApiKey>> {
        self.keys.get(api_key)
    }

    /// Turns true when the exchange begins to shut down: sockets say goodbye and close.
    pub fn shutdown(&self) -> watch::Receiver<bool> {
        self.shutdown.clone()
    }

    /// Public events of a symbol from now on.
    ///
    /// # Errors
    /// [`MatchingError::UnknownInstrument`].
    pub fn subscribe_market(&self, instrument: InstrumentId) -> Result<Subscription<MarketUpdate>, MatchingError> {
        self.market.get(instrument.0 as usize).map(Stream::subscribe).ok_or(MatchingError::UnknownInstrument)
    }

    /// Candles; computed beside the matching service, so a long history does not hold orders up.
    ///
    /// # Errors
    /// [`MatchingError::UnknownInstrument`], [`MatchingError::Closed`].
    pub async fn klines(&self, query: KlinesQuery) -> Result<Vec<Kline>, MatchingError> {
        self.charts.klines(query, self.now_ns()).await
    }

    /// Places an order.
    ///
    /// # Errors
    /// What refuses it; nothing changed then.
    pub async fn place_order(&self, order: PlaceOrder) -> Result<OrderAck, MatchingError> {
        self.ask(|reply| Ask::PlaceOrder(order, reply)).await
    }

    /// Checks an order without placing it.
    ///
    /// # Errors
    /// What would refuse it.
    pub async fn test_order(&self, order: PlaceOrder) -> Result<(), MatchingError> {
        self.ask(|reply| Ask::TestOrder(order, reply)).await
    }

    /// Cancels an order.
    ///
    /// # Errors
    /// [`MatchingError::UnknownOrder`] when no such order is open.
    pub async fn cancel_order(&self, cancel: CancelOrder) -> Result<CancelAck, MatchingError> {
        self.ask(|reply| Ask::CancelOrder(cancel, reply)).await
    }

    /// Cancels all open orders of a symbol.
    ///
    /// # Errors
    /// [`MatchingError::UnknownOrder`] when there are none.
    pub async fn cancel_all(&self, cancel: CancelAll) -> Result<Vec<CancelAck>, MatchingError> {
        self.ask(|reply| Ask::CancelAll(cancel, reply)).await
    }

    /// One order.
    ///
    /// # Errors
    /// [`MatchingError::NoSuchOrder`].
    pub async fn order(
        &self,
        account: AccountId,
        instrument: InstrumentId,
        order: OrderRef,
    ) -> Result<OrderView, MatchingError> {
        self.ask(|reply| Ask::QueryOrder(account, instrument, order, reply)).await
    }

    /// Open orders of one symbol or of all.
    ///
    /// # Errors
    /// [`MatchingError::UnknownAccount`], [`MatchingError::UnknownInstrument`].
    pub async fn open_orders(
        &self,
        account: AccountId,
        instrument: Option<InstrumentId>,
    ) -> Result<Vec<OrderView>, MatchingError> {
        self.ask(|reply| Ask::OpenOrders(account, instrument, reply)).await
    }

    /// Orders, open and ended.
    ///
    /// # Errors
    /// [`MatchingError::UnknownAccount`], [`MatchingError::UnknownInstrument`].
    pub async fn all_orders(&self, query: OrdersQuery) -> Result<Vec<OrderView>, MatchingError> {
        self.ask(|reply| Ask::AllOrders(query, reply)).await
    }

    /// Fills of an account.
    ///
    /// # Errors
    /// [`MatchingError::UnknownAccount`], [`MatchingError::UnknownInstrument`].
    pub async fn my_trades(&self, query: FillsQuery) -> Result<Vec<FillView>, MatchingError> {
        self.ask(|reply| Ask::MyTrades(query, reply)).await
    }

    /// Balances and fee rates.
    ///
    /// # Errors
    /// [`MatchingError::UnknownAccount`].
    pub async fn account(&self, account: AccountId) -> Result<AccountView, MatchingError> {
        self.ask(|reply| Ask::Account(account, reply)).await
    }

    /// Both sides of a book.
    ///
    /// # Errors
    /// [`MatchingError::UnknownInstrument`].
    pub async fn depth(&self, instrument: InstrumentId, limit: usize) -> Result<DepthView, MatchingError> {
        self.ask(|reply| Ask::Depth(instrument, limit, reply)).await
    }

    /// Public trades.
    ///
    /// # Errors
    /// [`MatchingError::UnknownInstrument`].
    pub async fn trades(&self, query: TradesQuery) -> Result<Vec<PublicTrade>, MatchingError> {
        self.ask(|reply| Ask::Trades(query, reply)).await
    }

    /// Public trades, aggregated.
    ///
    /// # Errors
    /// [`MatchingError::UnknownInstrument`].
    pub async fn agg_trades(&self, query: AggTradesQuery) -> Result<Vec<AggTrade>, MatchingError> {
        self.ask(|reply| Ask::AggTrades(query, reply)).await
    }

    /// The last 24 hours of symbols. Symbols without a candle in them are left out.
    ///
    /// # Errors
    /// [`MatchingError::UnknownInstrument`].
    pub async fn tickers_24h(&self, instruments: Vec<InstrumentId>) -> Result<Vec<Ticker24h>, MatchingError> {
        self.ask(|reply| Ask::Tickers24h(instruments, reply)).await
    }

    /// Best prices of symbols.
    ///
    /// # Errors
    /// [`MatchingError::UnknownInstrument`].
    pub async fn book_tickers(&self, instruments: Vec<InstrumentId>) -> Result<Vec<BookTicker>, MatchingError> {
        self.ask(|reply| Ask::BookTickers(instruments, reply)).await
    }

    /// Last prices of symbols in ticks, in the order asked for; 0 where nothing was ever quoted.
    ///
    /// # Errors
    /// [`MatchingError::UnknownInstrument`].
    pub async fn prices(&self, instruments: Vec<InstrumentId>) -> Result<Vec<i64>, MatchingError> {
        self.ask(|reply| Ask::Prices(instruments, reply)).await
    }

    /// The events of an account from now on.
    ///
    /// # Errors
    /// [`MatchingError::UnknownAccount`].
    pub async fn subscribe_user(&self, account: AccountId) -> Result<Subscription<UserEvent>, MatchingError> {
        self.ask(|reply| Ask::SubscribeUser(account, reply)).await
    }

    /// The changes of a candle from now on.
    ///
    /// # Errors
    /// [`MatchingError::UnknownInstrument`].
    pub async fn subscribe_klines(
        &self,
        instrument: InstrumentId,
        interval: Interval,
    ) -> Result<Subscription<KlineUpdate>, MatchingError> {
        // Adds up the closed part of a long candle beside the matching service, which then finds it ready.
        let latest = KlinesQuery { instrument, interval, start_ns: None, end_ns: None, limit: 1 };
        self.klines(latest).await?;
        self.ask(|reply| Ask::SubscribeKlines(instrument, interval, reply)).await
    }

    /// Ends the matching service; returns when its journal is synced.
    pub async fn stop(&self) {
        let (done, is_done) = oneshot::channel();
        if self.asks.send(Ask::Control(Control::Stop(done))).await.is_ok() {
            // An error means that it has ended already.
            let _ = is_done.await;
        }
    }

    /// Returns when the matching service has ended.
    pub async fn ended(&self) {
        self.asks.closed().await;
    }

    pub(crate) async fn ask<T>(&self, ask: impl FnOnce(Reply<T>) -> Ask) -> Result<T, MatchingError> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(ask(reply)).await.map_err(|_| MatchingError::Closed)?;
        answer.await.map_err(|_| MatchingError::Closed)?
    }
}
