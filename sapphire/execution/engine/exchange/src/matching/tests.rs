//! The matching service as a whole, without files, threads or clocks.

use sapphire_core::instrument::{ATOMS_PER_UNIT, InstrumentId, Side};
use sapphire_core::venue::AccountId;

use super::api::{
    CancelAll, CancelOrder, Execution, FillsQuery, Filter, MAX_OPEN_ORDERS, MatchingError, OrderKind, OrderRef,
    OrderStatus, OrderView, OrdersQuery, PlaceOrder, Refusal, Subscription, TimeInForce, UserEvent, UserEventKind,
};
use super::command::{Command, Entry};
use super::journal::Reader as _;
use super::{Applied, MatchingService, start};
use crate::floor::Floor;
use crate::settings::{FEES, Genesis};
use sapphire_sim::feed::GENERATOR_VERSION;

mod closing;
mod isolation;
mod properties;

const UNIT: i128 = ATOMS_PER_UNIT as i128;
const SECOND_NS: i64 = 1_000_000_000;
/// 2024-03-01T00:00Z.
const START_NS: i64 = 1_709_251_200 * SECOND_NS;
const BTC: InstrumentId = InstrumentId(0);
const ONE: AccountId = AccountId(1);
const TWO: AccountId = AccountId(2);

/// A matching service and what its journal would hold.
struct Bench {
    matching: MatchingService,
    floor: Floor,
    entries: Vec<(i64, Entry)>,
    now_ns: i64,
}

impl Bench {
    fn new(is_lockstep: bool) -> Self {
        Self::of(["BTCUSDT", "ETHUSDT"], 7, START_NS, is_lockstep)
    }

    /// A matching service of two symbols; its accounts have a million of the quote asset and ten of the first base.
    fn of(symbols: [&str; 2], seed: u64, start_ns: i64, is_lockstep: bool) -> Self {
        let symbols = symbols.map(str::to_owned).to_vec();
        let floor = Floor::lay_out(&symbols, seed, None, is_lockstep).unwrap();
        let (min_latency_ns, max_latency_ns) = if is_lockstep { (5_000_000, 25_000_000) } else { (0, 0) };
        let genesis = Genesis {
            symbols,
            generator: GENERATOR_VERSION,
            seed,
            start_ns,
            is_lockstep,
            is_live_paced: false,
            min_latency_ns,
            max_latency_ns,
            candles: std::collections::BTreeMap::new(),
        };
        let matching = MatchingService::new(genesis, &floor);
        let mut bench = Self { matching, floor, entries: Vec::new(), now_ns: start_ns };
        let base = bench.matching.catalog.symbols()[0].base_asset.clone();
        let funds = || vec![("USDT".to_owned(), 1_000_000 * UNIT), (base.clone(), 10 * UNIT)];
        for name in [None, Some("second")] {
            let command = bench.matching.check_account_opening(name, FEES, &funds()).unwrap();
            bench.carry_out(&command);
        }
        bench
    }

    fn carry_out(&mut self, command: &Command) -> Applied {
        let entry = Entry { outputs_before: self.matching.digest(), command: command.clone() };
        self.entries.push((self.now_ns, entry));
        let applied = self.matching.apply(self.now_ns, command);
        assert_eq!(self.matching.check_money(), Ok(()), "after {command:?}");
        self.now_ns = self.now_ns.max(self.matching.now_ns());
        applied
    }

    fn order(account: AccountId, side: Side, kind: OrderKind) -> PlaceOrder {
        PlaceOrder { account, instrument: BTC, side, kind, client_order_id: None }
    }

    /// A limit order so many ticks above the best ask.
    fn limit(&self, side: Side, above: i64, lots: i64, time_in_force: TimeInForce) -> OrderKind {
        let ask = self.matching.market.venue().book(BTC).and_then(|book| book.best(Side::Sell)).unwrap_or(6_000_000);
        let offset = if side == Side::Buy { above } else { above - 1 };
        let price_atoms = i128::from((ask + offset) * 1_000_000);
        OrderKind::Limit { price_atoms, quantity_atoms: i128::from(lots * 1_000), time_in_force }
    }

    fn place(&mut self, order: &PlaceOrder) -> Result<OrderView, MatchingError> {
        let command = self.matching.check_place(order)?;
        match self.carry_out(&command) {
            Applied::Placed(Ok(id)) => Ok(self.matching.order_ack(id)?.order),
            Applied::Placed(Err(refusal)) => Err(refusal.into()),
            other => panic!("{other:?}"),
        }
    }

    fn cancel(&mut self, account: AccountId, order: u64) -> Result<OrderView, MatchingError> {
        let cancel = CancelOrder { account, instrument: BTC, order: OrderRef::Id(order), cancel_client_order_id: None };
        let command = self.matching.check_cancel(&cancel)?;
        let Applied::Canceled(sent) = self.carry_out(&command) else { panic!("not a cancel") };
        Ok(self.matching.cancel_ack(sent[0].0, sent[0].1.clone())?.order)
    }

    fn advance(&mut self, by_ns: i64) -> u64 {
        let command = self.matching.check_advance(self.matching.now_ns() + by_ns, &[]).unwrap();
        let Applied::Advanced(events) = self.carry_out(&command) else { panic!("not an advance") };
        events
    }

    /// The same history in a fresh matching service.
    fn replayed(&self) -> MatchingService {
        let mut fold = start::Fold::new(&self.floor, |_| Ok(()));
        let begin = Entry { outputs_before: 0, command: Command::Begin(self.matching.genesis.clone()) };
        for (market_ns, entry) in [&(self.matching.genesis.start_ns, begin)].into_iter().chain(&self.entries) {
            fold.take(*market_ns, entry).unwrap();
        }
        fold.matching.unwrap()
    }

    fn status(&self, order: u64) -> OrderStatus {
        self.matching.order(ONE, BTC, &OrderRef::Id(order)).unwrap().status
    }
}

fn events(bench: &mut Bench, account: AccountId, act: impl FnOnce(&mut Bench)) -> Vec<UserEvent> {
    let subscription = bench.matching.subscribe_user(account).unwrap();
    act(bench);
    ready(subscription)
}

/// What a subscription has ready.
fn ready<T: Clone>(mut subscription: Subscription<T>) -> Vec<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async move {
        let mut seen = Vec::new();
        while let Ok(Ok(event)) = tokio::time::timeout(std::time::Duration::ZERO, subscription.next()).await {
            seen.push((*event).clone());
        }
        seen
    })
}

#[test]
fn at_a_speed_the_answer_carries_the_fills() {
    let mut bench = Bench::new(false);
    let kind = bench.limit(Side::Buy, 0, 100, TimeInForce::Gtc);
    let order = bench.place(&Bench::order(ONE, Side::Buy, kind)).unwrap();
    assert_eq!((order.status, order.executed_lots), (OrderStatus::Filled, 100));
    let fills = bench.matching.order_ack(sapphire_core::venue::OrderId(order.order_id)).unwrap().fills;
    assert_eq!(fills.iter().map(|fill| fill.quote_atoms).sum::<i128>(), order.executed_quote_atoms);
    assert!(fills.iter().all(|fill| !fill.is_maker && fill.commission_atoms == i128::from(fill.lots * 1_000 / 1_000)));
}

#[test]
fn in_lockstep_an_order_is_pending_until_it_arrives() {
    let mut bench = Bench::new(true);
    let kind = bench.limit(Side::Buy, -500, 100, TimeInForce::Gtc);
    let order = bench.place(&Bench::order(ONE, Side::Buy, kind)).unwrap();
    assert_eq!(order.status, OrderStatus::PendingNew);
    assert_eq!(bench.matching.account(ONE).unwrap().balances.iter().map(|row| row.locked_atoms).sum::<i128>(), 0);
    let events = bench.advance(60 * SECOND_NS);
    assert_eq!(events, 1, "the acknowledgement ends the advance");
    let delay_ns = bench.matching.now_ns() - START_NS;
    assert!((5_000_000..=25_000_000).contains(&delay_ns), "{delay_ns}");
    assert_eq!(bench.status(order.order_id), OrderStatus::New);
    let canceled = bench.cancel(ONE, order.order_id).unwrap();
    assert_eq!(canceled.status, OrderStatus::New, "the cancel travels");
    assert_eq!(bench.advance(60 * SECOND_NS), 1);
    assert_eq!(bench.status(order.order_id), OrderStatus::Canceled);
    assert_eq!(bench.cancel(ONE, order.order_id), Err(MatchingError::UnknownOrder));
}

#[test]
fn in_lockstep_a_refusal_on_arrival_is_a_rejected_order() {
    let mut bench = Bench::new(true);
    let kind = OrderKind::MarketQuote { quote_atoms: 9_000_000 * UNIT };
    let order = bench.place(&Bench::order(ONE, Side::Buy, kind)).unwrap();
    let seen = events(&mut bench, ONE, |bench| assert_eq!(bench.advance(SECOND_NS), 1));
    assert_eq!(bench.status(order.order_id), OrderStatus::Rejected);
    let UserEventKind::Execution(report) = &seen[0].kind else { panic!("{seen:?}") };
    assert_eq!(report.execution, Execution::Rejected(Refusal::InsufficientBalance));
}

#[test]
fn at_a_speed_a_refusal_leaves_nothing_behind() {
    let mut bench = Bench::new(false);
    let kind = OrderKind::MarketQuote { quote_atoms: 9_000_000 * UNIT };
    let mut order = Bench::order(ONE, Side::Buy, kind);
    order.client_order_id = Some("mine".into());
    assert_eq!(bench.place(&order), Err(Refusal::InsufficientBalance.into()));
    let query =
        OrdersQuery { account: ONE, instrument: BTC, from_order_id: None, start_ns: None, end_ns: None, limit: 9 };
    assert_eq!(bench.matching.all_orders(&query).unwrap(), []);
    order.kind = bench.limit(Side::Buy, -500, 100, TimeInForce::Gtc);
    assert_eq!(bench.place(&order).unwrap().status, OrderStatus::New, "the client order id is free again");
    assert_eq!(bench.place(&order), Err(Refusal::DuplicateOrder.into()));
    bench.matching.check_cancel_all(CancelAll { account: ONE, instrument: BTC }).unwrap();
}

#[test]
fn a_client_order_id_is_used_once_in_an_accounts_life() {
    let mut bench = Bench::new(false);
    let kind = bench.limit(Side::Buy, -500, 100, TimeInForce::Gtc);
    let order = PlaceOrder { client_order_id: Some("mine".into()), ..Bench::order(ONE, Side::Buy, kind) };
    let placed = bench.place(&order).unwrap();
    bench.cancel(ONE, placed.order_id).unwrap();
    assert_eq!(bench.place(&order), Err(Refusal::DuplicateOrder.into()));
    assert!(bench.place(&PlaceOrder { account: TWO, ..order.clone() }).is_ok(), "another account's names are its own");
    let both = |id, text: &str| bench.matching.order(ONE, BTC, &OrderRef::Both(id, text.into()));
    assert!(both(placed.order_id, "mine").is_ok());
    assert_eq!(both(placed.order_id, "other"), Err(MatchingError::NoSuchOrder));
    assert_eq!(bench.matching.order(TWO, BTC, &OrderRef::Id(placed.order_id)), Err(MatchingError::NoSuchOrder));
}

#[test]
fn accounts_of_an_older_journal_still_trade_with_each_other() {
    let mut bench = Bench::new(false);
    let text = r#"{"OpenAccount":{"maker":0,"taker":0,"funds":[["USDT",100000000000000],["BTC",1000000000]]}}"#;
    let Applied::Opened(old) = bench.carry_out(&serde_json::from_str(text).unwrap()) else { panic!("not an opening") };
    let kind = bench.limit(Side::Sell, 1, 100, TimeInForce::Gtc);
    let stands = bench.place(&Bench::order(ONE, Side::Sell, kind)).unwrap();
    let lots = bench.matching.depth(BTC, 1, START_NS).unwrap().asks[0].1;
    let kind = |bench: &Bench| bench.limit(Side::Buy, 0, lots, TimeInForce::Ioc);
    let apart = bench.place(&Bench::order(TWO, Side::Buy, kind(&bench))).unwrap();
    assert!(apart.executed_lots < lots, "the first account's order is not in its books");
    assert_eq!(bench.status(stands.order_id), OrderStatus::New);
    bench.place(&Bench::order(old, Side::Buy, kind(&bench))).unwrap();
    assert_eq!(bench.status(stands.order_id), OrderStatus::Filled);
    assert_eq!(bench.replayed().state(true, None), bench.matching.state(true, None));
}

#[test]
fn every_filter_is_named() {
    let bench = Bench::new(false);
    let refusal = |kind| bench.matching.check_place(&Bench::order(ONE, Side::Buy, kind)).unwrap_err();
    let limit =
        |price_atoms, quantity_atoms| OrderKind::Limit { price_atoms, quantity_atoms, time_in_force: TimeInForce::Gtc };
    let filter = |filter| MatchingError::Refused(Refusal::Filter(filter));
    let price = 50_000 * UNIT;
    assert_eq!(refusal(limit(price + 1, 1_000_000)), filter(Filter::Price), "between two ticks");
    assert_eq!(refusal(limit(0, 1_000_000)), filter(Filter::Price));
    assert_eq!(refusal(limit(-price, 1_000_000)), filter(Filter::Price));
    assert_eq!(refusal(limit(10_000_001 * UNIT, 1_000_000)), filter(Filter::Price), "above the highest");
    assert_eq!(refusal(limit(price, 1_001)), filter(Filter::LotSize), "between two lots");
    assert_eq!(refusal(limit(price, 0)), filter(Filter::LotSize));
    assert_eq!(refusal(limit(price, 9_001 * UNIT)), filter(Filter::LotSize), "above the largest");
    assert_eq!(refusal(limit(price, 9_000)), filter(Filter::Notional), "4.5 USDT");
    assert_eq!(refusal(OrderKind::Market { quantity_atoms: 9_001 * UNIT }), filter(Filter::MarketLotSize));
    assert_eq!(refusal(OrderKind::Market { quantity_atoms: 1_500 }), filter(Filter::LotSize));
    assert_eq!(refusal(OrderKind::Market { quantity_atoms: 1_000 }), filter(Filter::Notional), "0.00001 BTC");
    assert_eq!(refusal(OrderKind::MarketQuote { quote_atoms: 499_999_999 }), filter(Filter::Notional));
    let long =
        PlaceOrder { client_order_id: Some("x".repeat(37)), ..Bench::order(ONE, Side::Buy, limit(price, 1_000_000)) };
    assert_eq!(bench.matching.check_place(&long), Err(Refusal::ClientOrderId.into()));
}

#[test]
fn open_orders_are_bounded() {
    let mut bench = Bench::new(false);
    let kind = bench.limit(Side::Buy, -500, 100, TimeInForce::Gtc);
    for _ in 0..MAX_OPEN_ORDERS {
        bench.place(&Bench::order(ONE, Side::Buy, kind)).unwrap();
    }
    let full = MatchingError::Refused(Refusal::Filter(Filter::MaxNumOrders));
    assert_eq!(bench.place(&Bench::order(ONE, Side::Buy, kind)), Err(full));
    assert!(bench.place(&Bench::order(ONE, Side::Buy, OrderKind::Market { quantity_atoms: 100_000 })).is_ok());
    let all = bench.matching.check_cancel_all(CancelAll { account: ONE, instrument: BTC }).unwrap();
    let Applied::Canceled(sent) = bench.carry_out(&all) else { panic!("not a cancel") };
    assert_eq!(sent.len(), MAX_OPEN_ORDERS);
    assert_eq!(bench.matching.open_orders(ONE, None).unwrap(), []);
}

#[test]
fn nobody_trades_with_himself() {
    let mut bench = Bench::new(false);
    // At the synthetic liquidity's best ask, behind the synthetic liquidity.
    let kind = bench.limit(Side::Sell, 1, 100, TimeInForce::Gtc);
    let standing = bench.place(&Bench::order(ONE, Side::Sell, kind)).unwrap();
    assert_eq!(standing.status, OrderStatus::New);
    let book = bench.matching.depth(BTC, 1, START_NS).unwrap();
    let kind = bench.limit(Side::Buy, 0, book.asks[0].1, TimeInForce::Ioc);
    let seen = events(&mut bench, ONE, |bench| drop(bench.place(&Bench::order(ONE, Side::Buy, kind)).unwrap()));
    assert_eq!(bench.status(standing.order_id), OrderStatus::ExpiredInMatch);
    let prevented = seen.iter().any(|event| {
        matches!(&event.kind, UserEventKind::Execution(report) if report.execution == Execution::TradePrevention)
    });
    assert!(prevented, "{seen:?}");
    let bought = bench.matching.open_orders(ONE, None).unwrap();
    assert_eq!(bought, [], "the rest of the taker expired");
}

#[test]
fn events_are_numbered_without_holes_and_end_in_a_position() {
    let mut bench = Bench::new(false);
    let kind = bench.limit(Side::Buy, 200, 2_000, TimeInForce::Gtc);
    let seen = events(&mut bench, ONE, |bench| drop(bench.place(&Bench::order(ONE, Side::Buy, kind)).unwrap()));
    let numbers: Vec<u64> = seen.iter().map(|event| event.sequence).collect();
    let first = numbers[0];
    assert_eq!(numbers, (first..first + numbers.len() as u64).collect::<Vec<_>>());
    assert!(matches!(&seen[0].kind, UserEventKind::Execution(report) if report.execution == Execution::New));
    let Some(UserEventKind::AccountPosition(balances)) = seen.last().map(|event| &event.kind) else {
        panic!("{seen:?}")
    };
    let account = bench.matching.account(ONE).unwrap();
    assert!(balances.iter().all(|row| account.balances.contains(row)));
    assert_eq!(account.event_sequence, *numbers.last().unwrap());
}

#[test]
fn an_account_holds_as_much_as_can_be_held_and_no_atom_more() {
    use sapphire_core::amounts::MAX_ATOMS;
    let mut bench = Bench::new(false);
    let rest = MAX_ATOMS - 1_000_000 * UNIT;
    let refused = bench.matching.check_deposit(ONE, "USDT", rest + 1).unwrap_err();
    assert!(matches!(&refused, MatchingError::Deposit(text) if text.contains("an account holds 0 to")), "{refused}");
    let command = bench.matching.check_deposit(ONE, "USDT", rest).unwrap();
    bench.carry_out(&command);
    let held = |bench: &Bench| {
        let account = bench.matching.account(ONE).unwrap();
        account.balances.iter().map(|row| row.free_atoms + row.locked_atoms).max()
    };
    assert_eq!(held(&bench), Some(MAX_ATOMS));
    // A sale would bring in more than can be held.
    let kind = bench.limit(Side::Sell, 0, 1_000, TimeInForce::Ioc);
    let sale = bench.place(&Bench::order(ONE, Side::Sell, kind)).unwrap_err();
    assert_eq!(sale, MatchingError::Refused(Refusal::Filter(Filter::MaxPosition)));
    assert_eq!(held(&bench), Some(MAX_ATOMS));
    // Another account begins with no more either.
    let funds = [("USDT".to_owned(), MAX_ATOMS + 1)];
    assert!(bench.matching.check_account_opening(Some("third"), FEES, &funds).is_err());
}
