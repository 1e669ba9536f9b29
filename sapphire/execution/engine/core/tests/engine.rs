//! The engine by hand: what it says to each event, to the lot and to the atom.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use sapphire_core::amounts::MAX_ATOMS;
use sapphire_core::engine::{
    Balances, Body, Config, EndCause, Engine, Event, Execution, FeeSide, Output, Outputs, Refusal, Signal, SignalId,
};
use sapphire_core::instrument::{Asset, Instrument, InstrumentId, Side};
use sapphire_core::orders::{ClientOrderId, Fill, Order, OrderState, ReleaseId, Report, ReportKind};
use sapphire_core::risk::{Cause, Command, DenialCode, Level, LimitSet, Limits, TradingState};
use sapphire_core::venue::TimeInForce;

const USDT: Asset = Asset(0);
const BTC: InstrumentId = InstrumentId(0);
const ETH: InstrumentId = InstrumentId(1);
const RELEASE: ReleaseId = ReleaseId(0);
const HOUR_NS: i64 = 3_600_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;
/// 2024-01-01T00:00Z.
const T: i64 = 1_704_067_200_000_000_000;
const UNIT: i128 = 100_000_000;

/// Price in cents, quantity in 1e-5: one lot of BTC at 50,000.00 is worth 0.5 USDT.
fn instrument(base: u16) -> Instrument {
    Instrument {
        base: Asset(base),
        quote: USDT,
        tick_atoms: 1_000_000,
        lot_atoms: 1_000,
        min_lots: 1,
        max_lots: 900_000_000,
        min_ticks: 1,
        max_ticks: 100_000_000,
        min_notional_atoms: 5 * UNIT,
    }
}

fn config() -> Config {
    Config {
        instruments: vec![instrument(1), instrument(2)],
        quote: USDT,
        assets: 3,
        releases: 2,
        account_tag: 7,
        fee_rate: 100_000,
        fee_side: FeeSide::Received,
        execution: Execution::default(),
        limits: Limits::open(2, 2),
    }
}

/// An engine and the time it is at.
struct Bench {
    engine: Engine,
    now_ns: i64,
    trades: u64,
}

impl Bench {
    /// Epoch 3, a release with evidence, 10,000 USDT, BTC at 50,000 and ETH at 2,500.
    fn new(config: Config) -> Self {
        let mut bench = Self { engine: Engine::new(config).unwrap(), now_ns: T, trades: 0 };
        bench.say(Body::Epoch { epoch: 3 });
        bench.say(Body::Verdict { release: RELEASE, ok: true });
        bench.hold(&[(USDT, 10_000 * UNIT)]);
        bench.quote(BTC, 5_000_000, 5_000_100);
        bench.quote(ETH, 250_000, 250_010);
        bench
    }

    fn say(&mut self, body: Body) -> Vec<Output> {
        let mut out = Outputs::default();
        self.engine.step(&Event { market_ns: self.now_ns, body }, &mut out);
        out.drain().filter(|output| !matches!(output, Output::WakeAt(_))).collect()
    }

    fn hold(&mut self, holdings: &[(Asset, i128)]) -> Vec<Output> {
        self.say(Body::Balances(Balances { as_of_ns: self.now_ns, holdings: holdings.to_vec() }))
    }

    fn quote(&mut self, instrument: InstrumentId, bid_ticks: i64, ask_ticks: i64) {
        assert_eq!(self.say(Body::Bbo { instrument, bid_ticks, ask_ticks, as_of_ns: self.now_ns }), []);
    }

    fn signal(&mut self, instrument: InstrumentId, target_lots: i64, bar_close_ns: i64) -> Vec<Output> {
        let release = RELEASE;
        self.say(Body::Signal(Signal { release, instrument, target_lots, bar_close_ns, time_to_live_ns: HOUR_NS }))
    }

    /// The targets of the bar that closes now, and what follows from its end.
    fn bar(&mut self, targets: &[(InstrumentId, i64)]) -> Vec<Output> {
        for (instrument, lots) in targets {
            assert_eq!(self.signal(*instrument, *lots, self.now_ns), []);
        }
        self.say(Body::EndOfBar { bar_close_ns: self.now_ns })
    }

    fn report(&mut self, order: &Order, kind: ReportKind) -> Vec<Output> {
        self.say(Body::Report(Report { order: order.id, kind }))
    }

    /// A trade at the order's limit, with the fee in what is received.
    fn fill(&mut self, order: &Order, lots: i64, executed_lots: i64) -> Vec<Output> {
        self.trades += 1;
        let rules = instrument(order.instrument.0 + 1);
        let quote_atoms = rules.notional(order.ticks, lots);
        let (fee_asset, received) =
            if order.side == Side::Buy { (rules.base, rules.base_atoms(lots)) } else { (USDT, quote_atoms) };
        let fill =
            Fill { trade: self.trades, ticks: order.ticks, lots, quote_atoms, fee_asset, fee_atoms: received / 1_000 };
        self.report(order, ReportKind::Trade { fill, executed_lots })
    }

    fn fill_whole(&mut self, order: &Order) -> Vec<Output> {
        self.fill(order, order.lots, order.lots)
    }

    fn state(&self, order: &Order) -> Option<OrderState> {
        self.engine.orders().get(order.id).map(|tracked| tracked.state)
    }

    fn atoms(&self, instrument: InstrumentId) -> i128 {
        self.engine.ledger().position(instrument).atoms
    }
}

fn orders(outputs: &[Output]) -> Vec<Order> {
    outputs
        .iter()
        .filter_map(|output| if let Output::Place(approved) = output { Some(*approved.order()) } else { None })
        .collect()
}

fn the_order(outputs: &[Output]) -> Order {
    assert!(matches!(outputs, [Output::Place(_)]), "{outputs:?}");
    orders(outputs)[0]
}

fn signal_id(instrument: InstrumentId, bar_close_ns: i64) -> SignalId {
    SignalId { release: RELEASE, instrument, bar_close_ns }
}

#[test]
fn a_buy_is_grossed_up_so_that_what_arrives_is_the_target() {
    let mut bench = Bench::new(config());
    let order = the_order(&bench.bar(&[(BTC, 10_000)]));
    let expected = Order {
        id: ClientOrderId { account: 7, epoch: 3, sequence: 1 },
        instrument: BTC,
        release: RELEASE,
        bar_close_ns: T,
        side: Side::Buy,
        // 50,001.00 and 20 bps: 50,101.002, cut to the tick.
        ticks: 5_010_100,
        // 10,011 lots less 10.011 of fee are 10,000.989.
        lots: 10_011,
        time_in_force: TimeInForce::ImmediateOrCancel,
    };
    assert_eq!(order, expected);
    let reached = bench.fill_whole(&order);
    assert_eq!(reached, [Output::TargetReached { signal: signal_id(BTC, T), held_lots: 10_000 }]);
    assert_eq!(bench.atoms(BTC), 10_000_989);
    assert!(bench.engine.is_quiet());
}

#[test]
fn a_fee_in_quote_needs_no_gross_up_and_is_kept_free() {
    let mut bench = Bench::new(Config { fee_side: FeeSide::Quote, ..config() });
    assert_eq!(the_order(&bench.bar(&[(BTC, 10_000)])).lots, 10_000);
    let mut bench = Bench::new(Config { fee_side: FeeSide::Quote, ..config() });
    // 10,000 / 1.001 = 9,990.00999 USDT at 50,101.00 a BTC.
    assert_eq!(the_order(&bench.bar(&[(BTC, 1_000_000)])).lots, 19_939);
}

#[test]
fn buys_wait_until_the_sells_are_final() {
    let mut bench = Bench::new(config());
    bench.hold(&[(Asset(2), 2 * UNIT)]);
    let sell = the_order(&bench.bar(&[(BTC, 10_000), (ETH, 50_000)]));
    // 2,500.00 less 20 bps.
    assert_eq!((sell.instrument, sell.side, sell.ticks, sell.lots), (ETH, Side::Sell, 249_500, 150_000));
    assert_eq!(bench.report(&sell, ReportKind::Accepted { venue_order: 70 }), []);
    assert_eq!(bench.fill(&sell, 100_000, 100_000), []);
    let outputs = bench.report(&sell, ReportKind::Expired { executed_lots: 100_000 });
    assert_eq!(the_order(&outputs).instrument, BTC);
}

#[test]
fn a_sell_that_misses_its_trades_is_not_final() {
    let mut bench = Bench::new(config());
    bench.hold(&[(Asset(2), 2 * UNIT)]);
    let sell = the_order(&bench.bar(&[(BTC, 10_000), (ETH, 50_000)]));
    assert_eq!(bench.report(&sell, ReportKind::Expired { executed_lots: 100_000 }), []);
    bench.now_ns += SECOND_NS;
    assert_eq!(bench.say(Body::Timer), [Output::Query { order: sell.id, instrument: ETH }]);
    assert_eq!(the_order(&bench.fill(&sell, 100_000, 100_000)).instrument, BTC);
}

#[test]
fn the_rest_is_tried_again_after_the_pause() {
    let mut bench = Bench::new(config());
    let first = the_order(&bench.bar(&[(BTC, 10_000)]));
    bench.fill(&first, 4_000, 4_000);
    assert_eq!(bench.report(&first, ReportKind::Expired { executed_lots: 4_000 }), []);
    assert_eq!(bench.engine.wake_at_ns(), Some(T + 5 * SECOND_NS));
    bench.now_ns += 4 * SECOND_NS;
    assert_eq!(bench.say(Body::Timer), []);
    bench.now_ns += SECOND_NS;
    bench.quote(BTC, 5_000_000, 5_000_100);
    let second = the_order(&bench.say(Body::Timer));
    // 3,996,000 atoms arrived; 6,004,000 are missing, 6,010.01 lots with the fee.
    assert_eq!((second.lots, second.id.sequence), (6_011, 2));
}

#[test]
fn a_remainder_below_the_smallest_order_counts_as_reached() {
    let mut bench = Bench::new(config());
    let order = the_order(&bench.bar(&[(BTC, 10_000)]));
    bench.fill(&order, 10_002, 10_002);
    let outputs = bench.report(&order, ReportKind::Expired { executed_lots: 10_002 });
    assert_eq!(outputs, [Output::TargetReached { signal: signal_id(BTC, T), held_lots: 9_991 }]);
    assert_eq!(bench.engine.wake_at_ns(), None);
}

#[test]
fn every_refusal_has_its_reason() {
    let mut bench = Bench::new(config());
    let refused = |bench: &mut Bench, signal: Signal| match bench.say(Body::Signal(signal)).as_slice() {
        [Output::SignalRefused { reason, .. }] => Some(*reason),
        [] => None,
        other => panic!("{other:?}"),
    };
    let signal =
        Signal { release: RELEASE, instrument: BTC, target_lots: 100, bar_close_ns: T, time_to_live_ns: HOUR_NS };
    let unknown = Signal { instrument: InstrumentId(2), ..signal };
    assert_eq!(refused(&mut bench, unknown), Some(Refusal::UnknownInstrument));
    assert_eq!(refused(&mut bench, Signal { release: ReleaseId(1), ..signal }), Some(Refusal::NoEvidence));
    assert_eq!(refused(&mut bench, Signal { release: ReleaseId(9), ..signal }), Some(Refusal::NoEvidence));
    assert_eq!(refused(&mut bench, Signal { target_lots: -1, ..signal }), Some(Refusal::BelowZero));
    assert_eq!(refused(&mut bench, Signal { bar_close_ns: T + 1, ..signal }), Some(Refusal::OutOfOrder));
    assert_eq!(refused(&mut bench, Signal { time_to_live_ns: 0, ..signal }), Some(Refusal::Expired));
    let old = T - 61 * SECOND_NS;
    assert_eq!(refused(&mut bench, Signal { bar_close_ns: old, ..signal }), Some(Refusal::Late));
    assert_eq!(refused(&mut bench, signal), None);
    assert_eq!(refused(&mut bench, signal), Some(Refusal::Repeated));
    assert_eq!(refused(&mut bench, Signal { bar_close_ns: T - 1, ..signal }), Some(Refusal::OutOfOrder));
    bench.say(Body::EndOfBar { bar_close_ns: T });
    assert_eq!(refused(&mut bench, Signal { instrument: ETH, ..signal }), Some(Refusal::Late));
    bench.now_ns += HOUR_NS;
    bench.say(Body::Command(Command::Halt));
    let next = Signal { bar_close_ns: T + HOUR_NS, ..signal };
    assert_eq!(refused(&mut bench, next), Some(Refusal::Halted));
    bench.say(Body::Command(Command::Resume));
    assert_eq!(refused(&mut bench, next), None);
}

#[test]
fn a_target_that_is_not_reached_in_time_is_told() {
    let mut bench = Bench::new(config());
    let order = the_order(&bench.bar(&[(BTC, 10_000)]));
    bench.now_ns += HOUR_NS;
    let expired =
        Output::TargetExpired { signal: signal_id(BTC, T), remaining_lots: 10_000, cause: EndCause::TimeToLive };
    assert_eq!(bench.say(Body::Timer), [Output::Cancel { order: order.id, instrument: BTC }, expired]);
    assert_eq!(bench.state(&order), Some(OrderState::PendingCancel));
}

#[test]
fn a_new_target_takes_the_place_of_the_old_and_waits_for_its_order() {
    let mut bench = Bench::new(config());
    let order = the_order(&bench.bar(&[(BTC, 10_000)]));
    bench.now_ns += HOUR_NS - 1;
    bench.quote(BTC, 5_000_000, 5_000_100);
    let superseded =
        Output::TargetExpired { signal: signal_id(BTC, T), remaining_lots: 10_000, cause: EndCause::Superseded };
    assert_eq!(bench.signal(BTC, 4_000, bench.now_ns), [superseded]);
    assert_eq!(bench.say(Body::EndOfBar { bar_close_ns: bench.now_ns }), []);
    bench.fill(&order, 5_000, 5_000);
    bench.report(&order, ReportKind::Expired { executed_lots: 5_000 });
    bench.now_ns += 5 * SECOND_NS;
    bench.quote(BTC, 5_000_000, 5_000_100);
    let sell = the_order(&bench.say(Body::Timer));
    // 4,995 lots arrived, 4,000 are wanted.
    assert_eq!((sell.side, sell.lots), (Side::Sell, 995));
}

#[test]
fn a_denial_is_told_once_and_parks_until_something_changes() {
    let account = LimitSet { max_order_atoms: Some(1_000 * UNIT), ..LimitSet::default() };
    let mut bench = Bench::new(Config { limits: Limits { account, ..Limits::open(2, 2) }, ..config() });
    let outputs = bench.bar(&[(BTC, 10_000)]);
    let [Output::Denied { order, denial }] = outputs.as_slice() else { panic!("{outputs:?}") };
    assert_eq!((denial.code, bench.state(order)), (DenialCode::OrderNotional, Some(OrderState::Denied)));
    bench.now_ns += 60 * SECOND_NS;
    assert_eq!(bench.say(Body::Timer), []);
    bench.now_ns += HOUR_NS - 60 * SECOND_NS;
    assert_eq!(bench.say(Body::Timer).len(), 1);
    bench.quote(BTC, 5_000_000, 5_000_100);
    assert_eq!(the_order(&bench.bar(&[(BTC, 100)])).lots, 101);
}

#[test]
fn a_releases_own_limits_tighten_and_never_loosen() {
    let place = LimitSet { max_order_atoms: Some(1_000 * UNIT), ..LimitSet::default() };
    let limits = Limits { strategies: vec![place; 2], ..Limits::open(2, 2) };
    let mut bench = Bench::new(Config { limits, ..config() });
    let own = |atoms| LimitSet { max_order_atoms: Some(atoms), ..LimitSet::default() };
    assert_eq!(bench.say(Body::Limits { release: RELEASE, limits: own(100 * UNIT) }), []);
    let outputs = bench.bar(&[(BTC, 1_000)]);
    let [Output::Denied { denial, .. }] = outputs.as_slice() else { panic!("{outputs:?}") };
    assert_eq!((denial.code, denial.level, denial.limit), (DenialCode::OrderNotional, Level::Strategy, 100 * UNIT));
    // Another release's limits, and those of a release without a place, change nothing here.
    bench.say(Body::Limits { release: ReleaseId(1), limits: own(0) });
    bench.say(Body::Limits { release: ReleaseId(9), limits: own(0) });
    assert_eq!(bench.say(Body::Timer), []);
    assert_eq!(bench.say(Body::Limits { release: RELEASE, limits: own(5_000 * UNIT) }), []);
    assert_eq!(the_order(&bench.say(Body::Timer)).lots, 1_002, "501 USDT pass again");
    bench.now_ns += HOUR_NS;
    bench.quote(BTC, 5_000_000, 5_000_100);
    bench.quote(ETH, 250_000, 250_010);
    let outputs = bench.bar(&[(ETH, 100_000)]);
    let [.., Output::Denied { denial, .. }] = outputs.as_slice() else { panic!("{outputs:?}") };
    assert_eq!((denial.level, denial.limit), (Level::Strategy, 1_000 * UNIT), "the configuration's own limit stays");
}

#[test]
fn without_a_fresh_reference_the_target_waits() {
    let mut bench = Bench::new(config());
    bench.now_ns += 20 * SECOND_NS;
    let outputs = bench.bar(&[(BTC, 10_000)]);
    assert!(matches!(outputs.as_slice(), [Output::Denied { denial, .. }] if denial.code == DenialCode::StaleReference));
    for _ in 0..3 {
        bench.now_ns += 5 * SECOND_NS;
        assert_eq!(bench.say(Body::Timer), []);
    }
    bench.now_ns += 5 * SECOND_NS;
    bench.quote(BTC, 5_000_000, 5_000_100);
    assert_eq!(the_order(&bench.say(Body::Timer)).lots, 10_011);
}

#[test]
fn an_unanswered_order_is_asked_for_and_nothing_is_sent_before_the_verdict() {
    let mut bench = Bench::new(config());
    let order = the_order(&bench.bar(&[(BTC, 10_000)]));
    let question = || Output::Query { order: order.id, instrument: BTC };
    assert_eq!(bench.report(&order, ReportKind::Unanswered), [question()]);
    assert_eq!(bench.report(&order, ReportKind::NotFound { conclusive: false }), []);
    bench.now_ns += SECOND_NS;
    assert_eq!(bench.say(Body::Timer), [question()]);
    bench.now_ns += 10 * SECOND_NS;
    bench.quote(BTC, 5_000_000, 5_000_100);
    assert_eq!(bench.say(Body::Timer), [question()]);
    let again = the_order(&bench.report(&order, ReportKind::NotFound { conclusive: true }));
    assert_eq!(bench.state(&order), Some(OrderState::Rejected));
    assert_eq!(again, Order { id: ClientOrderId { sequence: 2, ..order.id }, ..order });
}

#[test]
fn an_order_that_the_venue_never_had_is_sent_again_at_the_same_instant() {
    let mut bench = Bench::new(config());
    let first = the_order(&bench.bar(&[(BTC, 10_000)]));
    bench.report(&first, ReportKind::Unanswered);
    let second = the_order(&bench.report(&first, ReportKind::NotFound { conclusive: true }));
    assert_eq!((second.side, second.ticks, second.lots), (first.side, first.ticks, first.lots));
    // One that the venue had and has no longer is another matter: the pause holds.
    bench.report(&second, ReportKind::Accepted { venue_order: 70 });
    bench.report(&second, ReportKind::Unanswered);
    assert_eq!(bench.report(&second, ReportKind::NotFound { conclusive: true }), []);
    assert_eq!(bench.state(&second), Some(OrderState::Canceled));
    assert_eq!(bench.engine.wake_at_ns(), Some(T + 5 * SECOND_NS));
}

#[test]
fn an_order_that_the_venue_never_had_stays_counted_in_the_pace() {
    let account = LimitSet { max_orders_per_second: Some(1), ..LimitSet::default() };
    let mut bench = Bench::new(Config { limits: Limits { account, ..Limits::open(2, 2) }, ..config() });
    let order = the_order(&bench.bar(&[(BTC, 10_000)]));
    bench.report(&order, ReportKind::Unanswered);
    let outputs = bench.report(&order, ReportKind::NotFound { conclusive: true });
    assert!(matches!(outputs.as_slice(), [Output::Denied { denial, .. }] if denial.code == DenialCode::RateSecond));
    bench.now_ns += 5 * SECOND_NS;
    assert_eq!(the_order(&bench.say(Body::Timer)).lots, order.lots);
}

#[test]
fn an_order_that_still_travels_is_asked_for_and_never_sent_again() {
    let mut bench = Bench::new(config());
    let order = the_order(&bench.bar(&[(BTC, 10_000)]));
    let question = || Output::Query { order: order.id, instrument: BTC };
    assert_eq!(bench.report(&order, ReportKind::Unanswered), [question()]);
    // The venue has found it every time and has nothing to report.
    for _ in 0..60 {
        assert_eq!(bench.engine.wake_at_ns(), Some(bench.now_ns + SECOND_NS));
        bench.now_ns += SECOND_NS / 2;
        bench.quote(BTC, 5_000_000, 5_000_100);
        assert_eq!(bench.say(Body::Timer), []);
        bench.now_ns += SECOND_NS / 2;
        assert_eq!(bench.say(Body::Timer), [question()]);
    }
    assert_eq!(bench.engine.in_flight_lots(BTC), 10_011);
    let reached = bench.fill_whole(&order);
    assert_eq!(reached, [Output::TargetReached { signal: signal_id(BTC, T), held_lots: 10_000 }]);
}

#[test]
fn an_order_given_up_that_comes_back_is_on_the_way_again() {
    let mut bench = Bench::new(config());
    let order = the_order(&bench.bar(&[(BTC, 10_000)]));
    bench.report(&order, ReportKind::Unanswered);
    let again = the_order(&bench.report(&order, ReportKind::NotFound { conclusive: true }));
    assert_eq!(bench.report(&order, ReportKind::Accepted { venue_order: 70 }), []);
    assert_eq!((bench.state(&order), bench.engine.in_flight_lots(BTC)), (Some(OrderState::Accepted), 20_022));
    bench.now_ns += 5 * SECOND_NS;
    bench.quote(BTC, 5_000_000, 5_000_100);
    assert_eq!(bench.say(Body::Timer), []);
    // The venue had been wrong to say "never": both trade, and what is too much is sold.
    bench.fill_whole(&order);
    bench.fill_whole(&again);
    bench.now_ns += 5 * SECOND_NS;
    bench.quote(BTC, 5_000_000, 5_000_100);
    let sell = the_order(&bench.say(Body::Timer));
    assert_eq!((sell.side, sell.lots), (Side::Sell, 10_001));
}

#[test]
fn a_halted_engine_cancels_and_sends_nothing() {
    let mut bench = Bench::new(config());
    let order = the_order(&bench.bar(&[(BTC, 10_000)]));
    let expected = [
        Output::Trading { state: TradingState::Halted, cause: Cause::Command },
        Output::Cancel { order: order.id, instrument: BTC },
        Output::TargetExpired { signal: signal_id(BTC, T), remaining_lots: 10_000, cause: EndCause::Halted },
    ];
    assert_eq!(bench.say(Body::Command(Command::Halt)), expected);
    bench.fill(&order, 4_000, 4_000);
    assert_eq!(bench.report(&order, ReportKind::Canceled { executed_lots: 4_000 }), []);
    assert_eq!(bench.atoms(BTC), 3_996_000);
    let resumed = [Output::Trading { state: TradingState::Active, cause: Cause::Command }];
    assert_eq!(bench.say(Body::Command(Command::Resume)), resumed);
}

/// Holds 0.1 BTC and 0.4 ETH, both of the release.
fn invested(config: Config) -> Bench {
    let mut bench = Bench::new(config);
    for order in orders(&bench.bar(&[(BTC, 10_000), (ETH, 40_000)])) {
        bench.fill_whole(&order);
    }
    bench.now_ns += HOUR_NS / 2;
    bench.quote(BTC, 5_000_000, 5_000_100);
    bench.quote(ETH, 250_000, 250_010);
    bench
}

fn by_operator(instrument: InstrumentId) -> SignalId {
    SignalId { release: ReleaseId::OPERATOR, instrument, bar_close_ns: T }
}

#[test]
fn a_flatten_sells_everything_and_takes_nothing_until_it_is_resumed() {
    let mut bench = invested(config());
    let outputs = bench.say(Body::Command(Command::Flatten));
    assert_eq!(outputs[0], Output::Trading { state: TradingState::Reducing, cause: Cause::Command });
    let sells = orders(&outputs);
    assert_eq!(
        sells.iter().map(|sell| (sell.instrument, sell.side)).collect::<Vec<_>>(),
        [(BTC, Side::Sell), (ETH, Side::Sell)]
    );
    assert!(sells.iter().all(|sell| sell.release == ReleaseId::OPERATOR && sell.bar_close_ns == T));
    // The next bar wants more of one, and less of the other: neither is taken.
    bench.now_ns += HOUR_NS / 2;
    for (instrument, lots) in [(BTC, 20_000), (ETH, 10_000)] {
        let signal = signal_id(instrument, T + HOUR_NS);
        let refused = Output::SignalRefused { signal, reason: Refusal::Closed };
        assert_eq!(bench.signal(instrument, lots, T + HOUR_NS), [refused]);
    }
    assert_eq!(bench.say(Body::EndOfBar { bar_close_ns: T + HOUR_NS }), []);
    // A part is filled: the rest is tried again after the pause, whole.
    bench.fill(&sells[0], 4_000, 4_000);
    bench.report(&sells[0], ReportKind::Expired { executed_lots: 4_000 });
    let reached = Output::TargetReached { signal: by_operator(ETH), held_lots: 0 };
    assert_eq!(bench.fill_whole(&sells[1]), [reached]);
    bench.now_ns += 5 * SECOND_NS;
    bench.quote(BTC, 5_000_000, 5_000_100);
    let rest = the_order(&bench.say(Body::Timer));
    assert_eq!((rest.side, rest.lots), (Side::Sell, sells[0].lots - 4_000));
    bench.fill_whole(&rest);
    assert!(bench.engine.is_flat(BTC) && bench.engine.is_flat(ETH) && bench.engine.is_quiet());
    assert_eq!(bench.engine.trading_state(), TradingState::Reducing);
    // Resumed, the next bar's signals set the targets again.
    bench.now_ns += HOUR_NS;
    bench.quote(BTC, 5_000_000, 5_000_100);
    let resumed = [Output::Trading { state: TradingState::Active, cause: Cause::Command }];
    assert_eq!(bench.say(Body::Command(Command::Resume)), resumed);
    assert!(!bench.engine.is_closed(BTC));
    assert_eq!(the_order(&bench.bar(&[(BTC, 5_000)])).side, Side::Buy);
}

#[test]
fn a_flatten_calls_a_buy_back_and_sells_what_it_brought() {
    let mut bench = Bench::new(config());
    let buy = the_order(&bench.bar(&[(BTC, 10_000)]));
    let expected = [
        Output::Trading { state: TradingState::Reducing, cause: Cause::Command },
        Output::Cancel { order: buy.id, instrument: BTC },
        Output::TargetExpired { signal: signal_id(BTC, T), remaining_lots: 10_000, cause: EndCause::Closed },
        Output::TargetReached { signal: by_operator(ETH), held_lots: 0 },
    ];
    assert_eq!(bench.say(Body::Command(Command::Flatten)), expected);
    assert!(!bench.engine.is_flat(BTC), "the buy may still trade");
    bench.fill(&buy, 4_000, 4_000);
    bench.report(&buy, ReportKind::Canceled { executed_lots: 4_000 });
    bench.now_ns += 5 * SECOND_NS;
    bench.quote(BTC, 5_000_000, 5_000_100);
    let sell = the_order(&bench.say(Body::Timer));
    assert_eq!((sell.side, sell.lots), (Side::Sell, 3_996));
    // Twice is once.
    assert_eq!(orders(&bench.say(Body::Command(Command::Flatten))), []);
    bench.fill_whole(&sell);
    assert!(bench.engine.is_flat(BTC));
}

#[test]
fn a_close_touches_its_own_symbol_alone() {
    let mut bench = invested(config());
    let outputs = bench.say(Body::Command(Command::Close(BTC)));
    assert_eq!(outputs[0], Output::Trading { state: TradingState::Active, cause: Cause::Command });
    let sell = the_order(&outputs[1..]);
    assert_eq!((sell.instrument, sell.lots), (BTC, 10_000));
    bench.fill_whole(&sell);
    bench.now_ns += HOUR_NS / 2;
    bench.quote(BTC, 5_000_000, 5_000_100);
    bench.quote(ETH, 250_000, 250_010);
    let refused = Output::SignalRefused { signal: signal_id(BTC, T + HOUR_NS), reason: Refusal::Closed };
    assert_eq!(bench.signal(BTC, 20_000, T + HOUR_NS), [refused]);
    assert_eq!(the_order(&bench.bar(&[(ETH, 60_000)])).instrument, ETH);
    assert!(bench.engine.is_closed(BTC) && !bench.engine.is_closed(ETH));
    assert_eq!(bench.say(Body::Command(Command::Close(InstrumentId(9)))).len(), 1, "of nothing, nothing");
}

#[test]
fn a_flatten_outlives_its_release_and_a_restart_and_leads_out_of_a_halt() {
    let mut bench = invested(config());
    bench.say(Body::Command(Command::Halt));
    let sells = orders(&bench.say(Body::Command(Command::Flatten)));
    assert_eq!(sells.len(), 2);
    assert_eq!(bench.say(Body::Verdict { release: RELEASE, ok: false }), []);
    // Killed before anything was heard of the orders: both are asked for, and sent again where they never arrived.
    let asked = bench.say(Body::Epoch { epoch: 4 });
    assert!(asked.iter().all(|output| matches!(output, Output::Query { .. })) && asked.len() == 2, "{asked:?}");
    for (sell, is_last) in sells.iter().zip([false, true]) {
        let outputs = bench.report(sell, ReportKind::NotFound { conclusive: true });
        let again = the_order(&outputs);
        assert_eq!((again.instrument, again.lots, again.id.epoch), (sell.instrument, sell.lots, 4));
        assert_eq!(bench.fill_whole(&again).len(), 1, "{is_last}");
    }
    assert!(bench.engine.is_flat(BTC) && bench.engine.is_flat(ETH));
}

#[test]
fn a_close_that_the_venue_refuses_is_tried_again() {
    let mut bench = invested(config());
    let sell = the_order(&bench.say(Body::Command(Command::Close(BTC)))[1..]);
    bench.report(&sell, ReportKind::Rejected { venue_code: -1013 });
    bench.now_ns += 59 * SECOND_NS;
    bench.quote(BTC, 5_000_000, 5_000_100);
    assert_eq!(bench.say(Body::Timer), []);
    bench.now_ns += SECOND_NS;
    let again = the_order(&bench.say(Body::Timer));
    assert_eq!((again.instrument, again.lots), (BTC, sell.lots));
    // One that cannot be said to the venue at all waits for another word.
    bench.report(&again, ReportKind::Rejected { venue_code: 0 });
    bench.now_ns += 600 * SECOND_NS;
    bench.quote(BTC, 5_000_000, 5_000_100);
    assert_eq!(bench.say(Body::Timer), []);
    assert!(!bench.engine.is_flat(BTC));
    assert_eq!(orders(&bench.say(Body::Command(Command::Close(BTC)))).len(), 1);
}

#[test]
fn what_one_order_may_be_worth_is_sold_in_pieces() {
    let account = LimitSet { max_order_atoms: Some(2_000 * UNIT), ..LimitSet::default() };
    let limits = Limits { account, ..Limits::open(2, 2) };
    let mut bench = Bench::new(Config { limits, ..config() });
    bench.hold(&[(USDT, 10_000 * UNIT), (Asset(1), 10_000_000)]);
    let mut outputs = bench.say(Body::Command(Command::Flatten));
    let mut sold = Vec::new();
    while let [sell] = orders(&outputs)[..] {
        sold.push(sell.lots);
        assert!(instrument(1).notional(sell.ticks, sell.lots) <= 2_000 * UNIT);
        bench.fill_whole(&sell);
        bench.now_ns += 5 * SECOND_NS;
        bench.quote(BTC, 5_000_000, 5_000_100);
        outputs = bench.say(Body::Timer);
    }
    assert_eq!((sold.len(), sold.iter().sum::<i64>()), (3, 10_000));
    assert!(bench.engine.is_flat(BTC));
}

#[test]
fn the_loss_latch_lets_only_reductions_pass() {
    let limits = Limits { max_daily_loss_bps: Some(100), ..Limits::open(2, 2) };
    let mut bench = Bench::new(Config { limits, ..config() });
    let order = the_order(&bench.bar(&[(BTC, 10_000)]));
    bench.fill_whole(&order);
    bench.now_ns += HOUR_NS;
    // 0.1 BTC, 5 % lower: 250 of about 10,000 USDT.
    bench.quote(BTC, 4_750_000, 4_750_100);
    bench.quote(ETH, 250_000, 250_010);
    let outputs = bench.bar(&[(BTC, 5_000), (ETH, 10_000)]);
    assert_eq!(outputs[0], Output::Trading { state: TradingState::Reducing, cause: Cause::Loss });
    let sell = the_order(&outputs[1..]);
    assert_eq!((sell.instrument, sell.side), (BTC, Side::Sell));
    let outputs = bench.fill_whole(&sell);
    let denied =
        |output: &Output| matches!(output, Output::Denied { denial, .. } if denial.code == DenialCode::LossLatch);
    assert!(outputs.iter().any(denied), "{outputs:?}");
    bench.now_ns += 5 * SECOND_NS;
    bench.quote(BTC, 4_750_000, 4_750_100);
    bench.quote(ETH, 250_000, 250_010);
    let outputs = bench.say(Body::Command(Command::Resume));
    assert_eq!(the_order(&outputs[1..]).instrument, ETH);
}

#[test]
fn a_snapshot_counts_only_while_nothing_is_on_the_way() {
    let mut bench = Bench::new(config());
    let order = the_order(&bench.bar(&[(BTC, 10_000)]));
    assert_eq!(bench.hold(&[(USDT, 1)]), [Output::BalancesSkipped { as_of_ns: T }]);
    bench.now_ns += SECOND_NS;
    bench.fill_whole(&order);
    let stale = Balances { as_of_ns: T, holdings: vec![(USDT, 1)] };
    assert_eq!(bench.say(Body::Balances(stale)), [Output::BalancesSkipped { as_of_ns: T }]);
    let cash = bench.engine.ledger().cash_atoms();
    assert_eq!(bench.hold(&[(USDT, cash), (Asset(1), 10_000_989)]), []);
    assert_eq!(bench.hold(&[(USDT, cash + 5)]), [Output::Adjusted { asset: USDT, atoms: 5 }]);
}

#[test]
fn a_new_epoch_asks_for_what_was_on_the_way() {
    let mut bench = Bench::new(config());
    let order = the_order(&bench.bar(&[(BTC, 10_000)]));
    assert_eq!(bench.say(Body::Epoch { epoch: 4 }), [Output::Query { order: order.id, instrument: BTC }]);
    assert_eq!(bench.say(Body::Epoch { epoch: 4 }), []);
    let again = the_order(&bench.report(&order, ReportKind::NotFound { conclusive: true }));
    assert_eq!(again, Order { id: ClientOrderId { account: 7, epoch: 4, sequence: 1 }, ..order });
}

#[test]
fn nothing_is_sent_before_the_first_epoch() {
    let mut bench = Bench { engine: Engine::new(config()).unwrap(), now_ns: T, trades: 0 };
    bench.say(Body::Verdict { release: RELEASE, ok: true });
    bench.hold(&[(USDT, 10_000 * UNIT)]);
    bench.quote(BTC, 5_000_000, 5_000_100);
    assert_eq!(bench.bar(&[(BTC, 10_000)]), []);
    assert_eq!(bench.say(Body::Epoch { epoch: 1 }), [], "a new epoch only asks");
    assert_eq!(the_order(&bench.say(Body::Timer)).id.epoch, 1);
}

#[test]
fn a_report_that_fits_nothing_is_told() {
    let mut bench = Bench::new(config());
    let order = the_order(&bench.bar(&[(BTC, 10_000)]));
    let stranger =
        Report { order: ClientOrderId { sequence: 99, ..order.id }, kind: ReportKind::Accepted { venue_order: 70 } };
    assert_eq!(bench.say(Body::Report(stranger)), [Output::Unmatched { report: stranger, state: None }]);
    bench.report(&order, ReportKind::Accepted { venue_order: 70 });
    let rejected = Report { order: order.id, kind: ReportKind::Rejected { venue_code: -2010 } };
    assert_eq!(
        bench.say(Body::Report(rejected)),
        [Output::Unmatched { report: rejected, state: Some(OrderState::Accepted) }]
    );
}

#[test]
fn a_trade_told_after_the_end_is_made_good() {
    let mut bench = Bench::new(config());
    let order = the_order(&bench.bar(&[(BTC, 10_000)]));
    bench.fill_whole(&order);
    bench.now_ns += 5 * SECOND_NS;
    bench.quote(BTC, 5_000_000, 5_000_100);
    // The venue traded 2,000 lots more than were asked for. They are booked, and sold.
    let outputs = bench.fill(&order, 2_000, 12_011);
    assert_eq!(outputs[0], Output::Overfilled { order: order.id, lots: 2_000 });
    let sell = the_order(&outputs[1..]);
    // 10,000.989 and 1,998 lots are held.
    assert_eq!((sell.side, sell.lots), (Side::Sell, 1_998));
}

#[test]
fn a_release_that_loses_its_evidence_loses_its_say() {
    let mut bench = Bench::new(config());
    let order = the_order(&bench.bar(&[(BTC, 10_000)]));
    let outputs = bench.say(Body::Verdict { release: RELEASE, ok: false });
    let withdrawn =
        Output::TargetExpired { signal: signal_id(BTC, T), remaining_lots: 10_000, cause: EndCause::Withdrawn };
    assert_eq!(outputs, [Output::Cancel { order: order.id, instrument: BTC }, withdrawn]);
}

#[test]
fn a_configuration_that_cannot_be_meant_is_named() {
    let bad = Config { fee_rate: -1, ..config() };
    assert_eq!(
        Engine::new(bad).unwrap_err().to_string(),
        "engine configuration: fee_rate: expected 0 to 10000000, got -1"
    );
    assert!(Engine::new(Config { instruments: vec![instrument(1), instrument(1)], ..config() }).is_err());
    assert!(Engine::new(Config { limits: Limits::open(1, 2), ..config() }).is_err());
}

/// A coin at half a millionth of a dollar: one tick is one atom, one lot a whole coin.
fn small_coin() -> Instrument {
    let (tick_atoms, lot_atoms, max_lots) = (1, 100_000_000, i64::MAX);
    Instrument { tick_atoms, lot_atoms, max_lots, max_ticks: i64::MAX, ..instrument(1) }
}

fn small_coin_config() -> Config {
    Config { instruments: vec![small_coin()], limits: Limits::open(1, 2), ..config() }
}

#[test]
fn a_coin_of_many_zeros_is_held_and_valued_beyond_64_bits() {
    let mut bench = Bench::new(config());
    bench.engine = Engine::new(small_coin_config()).unwrap();
    bench.say(Body::Epoch { epoch: 3 });
    bench.say(Body::Verdict { release: RELEASE, ok: true });
    bench.hold(&[(USDT, 200_000 * UNIT)]);
    bench.quote(BTC, 50, 50);
    // 300 billion coins at 5e-7 are 150,000 USDT, and 3e19 atoms.
    let order = the_order(&bench.bar(&[(BTC, 300_000_000_000)]));
    assert_eq!((order.ticks, order.lots), (50, 300_300_300_301));
    let quote_atoms = small_coin().notional(50, order.lots);
    let fee_atoms = small_coin().base_atoms(order.lots) / 1_000;
    let fill = Fill { trade: 1, ticks: 50, lots: order.lots, quote_atoms, fee_asset: Asset(1), fee_atoms };
    bench.report(&order, ReportKind::Trade { fill, executed_lots: order.lots });
    // 300,300,300,301 coins less a thousandth of them, cut to the atom.
    assert_eq!(bench.atoms(BTC), 30_000_000_000_069_900_000);
    assert_eq!(bench.engine.ledger().cash_atoms(), 200_000 * UNIT - 15_015_015_015_050);
    assert_eq!(bench.engine.equity_atoms(), Some(200_000 * UNIT - 15_015_015_015_050 + 15_000_000_000_034));
}

#[test]
fn more_than_an_account_can_hold_is_refused_by_name() {
    let mut bench = Bench::new(config());
    bench.engine = Engine::new(small_coin_config()).unwrap();
    bench.say(Body::Epoch { epoch: 3 });
    bench.say(Body::Verdict { release: RELEASE, ok: true });
    let too_much = bench.hold(&[(USDT, 10_000 * UNIT), (Asset(1), MAX_ATOMS + 1)]);
    assert_eq!(too_much, [Output::NotHoldable { asset: Asset(1), atoms: MAX_ATOMS + 1 }]);
    assert_eq!(bench.engine.ledger().cash_atoms(), 0, "nothing of the snapshot was used");
    bench.hold(&[(USDT, MAX_ATOMS), (Asset(1), MAX_ATOMS - 1)]);
    bench.quote(BTC, 50, 50);
    let wide = bench.signal(BTC, i64::MAX, T);
    assert_eq!(wide, [], "9.2e26 atoms are held by 1e28");
    let out = bench.say(Body::EndOfBar { bar_close_ns: T });
    let [Output::Denied { denial, .. }] = out.as_slice() else { panic!("{out:?}") };
    // The holding is above the target, and the sale would lead to more cash than is held.
    assert_eq!((denial.code, denial.limit), (DenialCode::Amount, MAX_ATOMS));

    let wider = Instrument { lot_atoms: 100_000_000_000, max_ticks: 1_000_000, ..small_coin() };
    bench.engine = Engine::new(Config { instruments: vec![wider], ..small_coin_config() }).unwrap();
    bench.say(Body::Verdict { release: RELEASE, ok: true });
    let refused = bench.signal(BTC, i64::MAX, T);
    let reason = Refusal::TooLarge;
    assert_eq!(refused, [Output::SignalRefused { signal: signal_id(BTC, T), reason }]);

    let dear = Instrument { lot_atoms: i64::MAX, ..small_coin() };
    let error = Engine::new(Config { instruments: vec![dear], ..small_coin_config() }).unwrap_err();
    assert!(error.0.starts_with("instrument 0: expected a lot whose value"), "{error}");
}

#[test]
fn a_trade_that_no_account_can_hold_is_told_and_not_booked() {
    let mut bench = Bench::new(config());
    let order = the_order(&bench.bar(&[(BTC, 10_000)]));
    bench.trades = 1;
    bench.fill(&order, 1, 1);
    let fill = |lots, quote_atoms, fee_atoms| {
        let fill = Fill { trade: 1, ticks: order.ticks, lots, quote_atoms, fee_asset: Asset(1), fee_atoms };
        ReportKind::Trade { fill, executed_lots: lots.clamp(0, 10_011) }
    };
    for kind in [
        // With the lot that was traded they are more than 64 bits count.
        fill(i64::MAX, 0, 0),
        fill(1, MAX_ATOMS + 1, 0),
        fill(1, i128::MIN, 0),
        fill(1, 1, i128::MAX),
    ] {
        let emitted = bench.report(&order, kind);
        let report = Report { order: order.id, kind };
        assert_eq!(emitted, [Output::Unmatched { report, state: Some(OrderState::PartiallyFilled) }]);
    }
    assert_eq!((bench.atoms(BTC), bench.engine.ledger().cash_atoms()), (999, 10_000 * UNIT - 50_101_000));
}

#[test]
fn a_fee_in_a_third_asset_leaves_what_was_bought_whole() {
    let bnb = Asset(3);
    let mut bench = Bench::new(Config { assets: 4, fee_side: FeeSide::Other, ..config() });
    bench.hold(&[(USDT, 10_000 * UNIT), (bnb, 2 * UNIT)]);
    let order = the_order(&bench.bar(&[(BTC, 10_000)]));
    assert_eq!(order.lots, 10_000, "nothing is bought for a fee that is taken elsewhere");
    let quote_atoms = instrument(1).notional(order.ticks, order.lots);
    let fill = Fill { trade: 1, ticks: order.ticks, lots: order.lots, quote_atoms, fee_asset: bnb, fee_atoms: 777 };
    let reached = bench.report(&order, ReportKind::Trade { fill, executed_lots: 10_000 });
    assert_eq!(reached, [Output::TargetReached { signal: signal_id(BTC, T), held_lots: 10_000 }]);
    assert_eq!(bench.atoms(BTC), 10_000_000);
    let ledger = bench.engine.ledger();
    assert_eq!((ledger.held(bnb), ledger.fees()[3]), (Some(2 * UNIT - 777), 777));
    // No instrument has a price of it.
    assert_eq!(bench.engine.fee_value_atoms(bnb), None);
    // The venue's next snapshot is what is known here: nothing freezes and nothing is adjusted.
    let cash = ledger.cash_atoms();
    bench.now_ns += SECOND_NS;
    assert_eq!(bench.hold(&[(USDT, cash), (Asset(1), 10_000_000), (bnb, 2 * UNIT - 777)]), []);

    // Where it is traded it has a price, and comes out of that position.
    let eth = Asset(2);
    bench.hold(&[(eth, UNIT)]);
    bench.now_ns += HOUR_NS;
    bench.quote(BTC, 5_000_000, 5_000_100);
    bench.quote(ETH, 250_000, 250_010);
    let order = the_order(&bench.bar(&[(BTC, 0)]));
    let quote_atoms = instrument(1).notional(order.ticks, order.lots);
    let fill =
        Fill { trade: 2, ticks: order.ticks, lots: order.lots, quote_atoms, fee_asset: eth, fee_atoms: 1_000_000 };
    bench.report(&order, ReportKind::Trade { fill, executed_lots: order.lots });
    assert_eq!(bench.atoms(ETH), UNIT - 1_000_000);
    // 0.01 ETH at 2,500.05.
    assert_eq!(bench.engine.fee_value_atoms(eth), Some(2_500_050_000));

    // An asset that nobody listed is followed nowhere, and the trade is booked all the same.
    bench.now_ns += HOUR_NS;
    bench.quote(BTC, 5_000_000, 5_000_100);
    let order = the_order(&bench.bar(&[(BTC, 10)]));
    let quote_atoms = instrument(1).notional(order.ticks, 10);
    let fill = Fill { trade: 3, ticks: order.ticks, lots: 10, quote_atoms, fee_asset: Asset::UNLISTED, fee_atoms: 5 };
    bench.report(&order, ReportKind::Trade { fill, executed_lots: 10 });
    assert_eq!((bench.atoms(BTC), bench.engine.is_quiet()), (10_000, true));
}
