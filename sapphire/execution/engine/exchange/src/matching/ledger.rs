//! Orders, fills and client order ids of all accounts: what clients see of their trading.
//!
//! Invariant: an order is here from its receipt on and for ever; it is in the open set exactly while it can trade; its
//! executed quantities are the sums of its fills; a client order id names one order of its account.
//!
//! Known limitation: history stays in memory as long as the process lives.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;
use sapphire_core::instrument::InstrumentId;
use sapphire_core::venue::{AccountId, ExpiryReason, OrderId, Party, Trade};

use super::api::{
    FillView, FillsQuery, MAX_ROWS, MatchingError, OrderRef, OrderStatus, OrderType, OrderView, OrdersQuery,
};

/// One account's trading.
#[derive(Debug)]
struct Book {
    orders: Vec<OrderView>,
    by_client_id: FxHashMap<String, u32>,
    /// Places of orders, by instrument, in the order of their ids.
    by_instrument: Vec<Vec<u32>>,
    open: BTreeSet<(u16, u64)>,
    fills: Vec<Vec<FillView>>,
}

/// All accounts' trading.
#[derive(Debug)]
pub(crate) struct Ledger {
    instruments: usize,
    books: Vec<Book>,
    places: FxHashMap<OrderId, (AccountId, u32)>,
}

impl Ledger {
    pub(crate) fn new(instruments: usize) -> Self {
        Self { instruments, books: Vec::new(), places: FxHashMap::default() }
    }

    /// Opens the books of the next account.
    pub(crate) fn open_account(&mut self) {
        self.books.push(Book {
            orders: Vec::new(),
            by_client_id: FxHashMap::default(),
            by_instrument: vec![Vec::new(); self.instruments],
            open: BTreeSet::new(),
            fills: vec![Vec::new(); self.instruments],
        });
    }

    /// Enters a received order.
    pub(crate) fn enter(&mut self, order: OrderView) {
        let id = OrderId(order.order_id);
        let Some(book) = self.books.get_mut(order.account.0 as usize) else { return };
        let place = book.orders.len() as u32;
        self.places.insert(id, (order.account, place));
        book.by_client_id.insert(order.client_order_id.clone(), place);
        book.by_instrument[order.instrument.0 as usize].push(place);
        book.open.insert((order.instrument.0, order.order_id));
        book.orders.push(order);
    }

    /// Takes back the order entered last: it was refused at once and never was.
    pub(crate) fn remove(&mut self, id: OrderId) {
        let Some((account, place)) = self.places.remove(&id) else { return };
        let Some(book) = self.books.get_mut(account.0 as usize) else { return };
        debug_assert_eq!(place as usize + 1, book.orders.len());
        if let Some(order) = book.orders.pop() {
            book.by_client_id.remove(&order.client_order_id);
            book.by_instrument[order.instrument.0 as usize].pop();
            book.open.remove(&(order.instrument.0, order.order_id));
        }
    }

    pub(crate) fn get(&self, id: OrderId) -> Option<&OrderView> {
        let (account, place) = self.places.get(&id)?;
        self.books.get(account.0 as usize)?.orders.get(*place as usize)
    }

    pub(crate) fn has_client_id(&self, account: AccountId, client_order_id: &str) -> bool {
        self.books.get(account.0 as usize).is_some_and(|book| book.by_client_id.contains_key(client_order_id))
    }

    /// The order reached the book.
    pub(crate) fn accept(&mut self, id: OrderId, time_ns: i64) -> Option<&OrderView> {
        self.update(id, time_ns, |order| {
            order.status = OrderStatus::New;
            order.working_ns = Some(time_ns);
        })
    }

    /// The order ended.
    pub(crate) fn end(&mut self, id: OrderId, status: OrderStatus, time_ns: i64) -> Option<&OrderView> {
        self.update(id, time_ns, |order| order.status = status)
    }

    pub(crate) fn expired(reason: ExpiryReason) -> OrderStatus {
        match reason {
            ExpiryReason::SelfTrade => OrderStatus::ExpiredInMatch,
            ExpiryReason::TimeInForce | ExpiryReason::NoLiquidity | ExpiryReason::MarketClosed => OrderStatus::Expired,
        }
    }

    /// One side of a trade; what its owner is sent.
    pub(crate) fn fill(&mut self, trade: &Trade, party: &Party, is_maker: bool, time_ns: i64) -> Option<FillView> {
        let order = self.update(party.order, time_ns, |order| {
            order.executed_lots += trade.lots;
            order.executed_quote_atoms += trade.quote_atoms;
            if order.quote_order_atoms > 0 {
                order.quantity_lots = order.executed_lots;
            }
            order.status = if party.complete { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
        })?;
        let fill = FillView {
            instrument: trade.instrument,
            trade_id: trade.number,
            order_id: order.order_id,
            ticks: trade.ticks,
            lots: trade.lots,
            quote_atoms: trade.quote_atoms,
            commission_asset: party.fee_asset,
            commission_atoms: party.fee_atoms,
            time_ns,
            side: order.side,
            is_maker,
        };
        let account = order.account;
        self.books.get_mut(account.0 as usize)?.fills.get_mut(trade.instrument.0 as usize)?.push(fill);
        Some(fill)
    }

    /// The open order that a request names.
    pub(crate) fn find_open(&self, account: AccountId, instrument: InstrumentId, by: &OrderRef) -> Option<&OrderView> {
        self.find(account, instrument, by).filter(|order| order.status.is_open())
    }

    /// The order that a request names.
    pub(crate) fn find(&self, account: AccountId, instrument: InstrumentId, by: &OrderRef) -> Option<&OrderView> {
        let by_id = |id: u64| self.get(OrderId(id)).filter(|order| order.account == account);
        let by_client = |text: &String| {
            let book = self.books.get(account.0 as usize)?;
            book.orders.get(*book.by_client_id.get(text)? as usize)
        };
        let found = match by {
            OrderRef::Id(id) => by_id(*id),
            OrderRef::Client(text) => by_client(text),
            OrderRef::Both(id, text) => by_id(*id).filter(|order| order.client_order_id == *text),
        };
        found.filter(|order| order.instrument == instrument)
    }

    /// Open orders of an account, of one symbol or of all, by symbol and id.
    pub(crate) fn open(
        &self,
        account: AccountId,
        instrument: Option<InstrumentId>,
    ) -> impl Iterator<Item = &OrderView> {
        let range = match instrument {
            Some(InstrumentId(index)) => (index, 0)..=(index, u64::MAX),
            None => (0, 0)..=(u16::MAX, u64::MAX),
        };
        let book = self.books.get(account.0 as usize);
        book.into_iter()
            .flat_map(move |book| book.open.range(range.clone()))
            .filter_map(|(_, id)| self.get(OrderId(*id)))
    }

    /// How many orders of an account are open in a symbol, counted up to `most`.
    pub(crate) fn count_open(&self, account: AccountId, instrument: InstrumentId, most: usize) -> usize {
        let range = (instrument.0, 0)..=(instrument.0, u64::MAX);
        self.books.get(account.0 as usize).map_or(0, |book| book.open.range(range).take(most).count())
    }

    pub(crate) fn orders(&self, query: &OrdersQuery) -> Result<Vec<OrderView>, MatchingError> {
        let book = self.books.get(query.account.0 as usize).ok_or(MatchingError::UnknownAccount)?;
        let places = book.by_instrument.get(query.instrument.0 as usize).ok_or(MatchingError::UnknownInstrument)?;
        let limit = query.limit.min(MAX_ROWS);
        let order = |place: &u32| &book.orders[*place as usize];
        let end_ns = query.end_ns.unwrap_or(i64::MAX);
        // Ids and times of receipt both rise along the places.
        let first = match (query.from_order_id, query.start_ns, query.end_ns) {
            (Some(id), ..) => places.partition_point(|place| order(place).order_id < id),
            (None, None, None) => places.len().saturating_sub(limit),
            (None, start_ns, _) => places.partition_point(|place| order(place).time_ns < start_ns.unwrap_or(i64::MIN)),
        };
        let rows = places[first..].iter().map(order).take(limit);
        Ok(rows.take_while(|order| order.time_ns <= end_ns).cloned().collect())
    }

    pub(crate) fn fills(&self, query: &FillsQuery) -> Result<Vec<FillView>, MatchingError> {
        let book = self.books.get(query.account.0 as usize).ok_or(MatchingError::UnknownAccount)?;
        let fills = book.fills.get(query.instrument.0 as usize).ok_or(MatchingError::UnknownInstrument)?;
        let limit = query.limit.min(MAX_ROWS);
        let window = window(query.start_ns, query.end_ns);
        let wanted = |fill: &&FillView| {
            query.order_id.is_none_or(|id| fill.order_id == id)
                && window.as_ref().is_none_or(|window| window.contains(&fill.time_ns))
        };
        let first = query.from_trade_id.map_or(0, |id| fills.partition_point(|fill| fill.trade_id < id));
        let rows = fills[first..].iter().filter(wanted);
        if query.from_trade_id.is_some() || query.order_id.is_some() || query.start_ns.is_some() {
            return Ok(rows.take(limit).copied().collect());
        }
        let mut latest: Vec<FillView> = rows.rev().take(limit).copied().collect();
        latest.reverse();
        Ok(latest)
    }

    /// Fills of one order, in the order in which they happened.
    pub(crate) fn fills_of(&self, order: &OrderView) -> Vec<FillView> {
        let fills = self.books.get(order.account.0 as usize).map(|book| &book.fills[order.instrument.0 as usize]);
        let first = fills.map_or(0, |fills| fills.partition_point(|fill| fill.time_ns < order.time_ns));
        let rows = fills.into_iter().flat_map(|fills| &fills[first..]);
        rows.filter(|fill| fill.order_id == order.order_id).copied().collect()
    }

    /// Numbers of orders and fills of an account.
    pub(crate) fn counts(&self, account: AccountId) -> (usize, usize) {
        let book = self.books.get(account.0 as usize);
        book.map_or((0, 0), |book| (book.orders.len(), book.fills.iter().map(Vec::len).sum()))
    }

    /// All orders of an account.
    pub(crate) fn all(&self, account: AccountId) -> &[OrderView] {
        self.books.get(account.0 as usize).map_or(&[], |book| &book.orders)
    }

    fn update(&mut self, id: OrderId, time_ns: i64, change: impl FnOnce(&mut OrderView)) -> Option<&OrderView> {
        let (account, place) = self.places.get(&id)?;
        let book = self.books.get_mut(account.0 as usize)?;
        let order = book.orders.get_mut(*place as usize)?;
        change(order);
        order.update_ns = time_ns;
        if !order.status.is_open() {
            book.open.remove(&(order.instrument.0, order.order_id));
        }
        Some(order)
    }
}

/// Whether an order of a type can stand in the book.
pub(crate) fn can_stand(order_type: OrderType) -> bool {
    order_type != OrderType::Market
}

fn window(start_ns: Option<i64>, end_ns: Option<i64>) -> Option<std::ops::RangeInclusive<i64>> {
    (start_ns.is_some() || end_ns.is_some()).then(|| start_ns.unwrap_or(i64::MIN)..=end_ns.unwrap_or(i64::MAX))
}
