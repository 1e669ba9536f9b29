use proptest::prelude::*;

use super::*;
use crate::instrument::Asset;
use crate::venue::TimeInForce;

const BTC_USDT: Instrument = Instrument {
    base: Asset(0),
    quote: Asset(1),
    tick_atoms: 1_000_000,
    lot_atoms: 1_000,
    min_lots: 10,
    max_lots: 900_000,
    min_ticks: 1,
    max_ticks: 100_000_000,
    min_notional_atoms: 500_000_000,
};
const NOW_NS: i64 = 1_700_000_000_000_000_000;
const UNIT: i128 = 100_000_000;

const BBO: Option<Bbo> = Some(Bbo { bid_ticks: 4_999_900, ask_ticks: 5_000_100, market_ns: NOW_NS });

/// 0.1 BTC at 50,000.00: 5,000 USDT.
fn order(sequence: u64, side: Side) -> Order {
    Order {
        id: ClientOrderId { account: 1, epoch: 1, sequence },
        instrument: InstrumentId(0),
        release: ReleaseId(0),
        bar_close_ns: NOW_NS,
        side,
        ticks: 5_000_000,
        lots: 10_000,
        time_in_force: TimeInForce::ImmediateOrCancel,
    }
}

fn view() -> AccountView {
    let exposure = Exposure { held_atoms: Ok(5_000 * UNIT), buying_atoms: 0, selling_atoms: 0 };
    AccountView {
        now_ns: NOW_NS,
        sellable_lots: 10_000,
        free_cash_atoms: 6_000 * UNIT,
        held_atoms: 10_000 * 1_000,
        cash_atoms: 6_000 * UNIT,
        equity_atoms: Ok(11_000 * UNIT),
        symbol: exposure,
        strategy: exposure,
        account: exposure,
        own_opposite_ticks: None,
    }
}

fn gate(limits: &Limits) -> Gate {
    Gate::new(vec![BTC_USDT], 0, limits)
}

fn denied(limits: &Limits, order: Order, view: &AccountView, bbo: Option<Bbo>) -> Option<Denial> {
    gate(limits).check(order, view, bbo).err()
}

fn open() -> Limits {
    Limits::open(1, 1)
}

fn at(code: DenialCode, level: Level, value: impl Into<i128>, limit: impl Into<i128>) -> Denial {
    Denial { code, level, value: value.into(), limit: limit.into() }
}

#[test]
fn a_plain_order_passes_unchanged() {
    let approved = gate(&open()).check(order(1, Side::Buy), &view(), BBO).unwrap();
    assert_eq!(*approved.order(), order(1, Side::Buy));
}

#[test]
fn without_a_fresh_bbo_nothing_passes() {
    let limits = open();
    let age = limits.max_reference_age_ns;
    let buy = order(1, Side::Buy);
    assert_eq!(denied(&limits, buy, &view(), None), Some(at(DenialCode::NoReference, Level::Order, 0, age)));
    let late = AccountView { now_ns: NOW_NS + age + 1, ..view() };
    assert_eq!(denied(&limits, buy, &late, BBO), Some(at(DenialCode::StaleReference, Level::Order, age + 1, age)));
    let crossed = Bbo { bid_ticks: 5_000_101, ask_ticks: 5_000_100, market_ns: NOW_NS };
    assert_eq!(denied(&limits, buy, &view(), Some(crossed)).unwrap().code, DenialCode::NoReference);
}

#[test]
fn the_instrument_bounds_hold() {
    let codes = [
        (Order { ticks: 0, ..order(1, Side::Buy) }, DenialCode::Price),
        (Order { lots: 9, ..order(1, Side::Buy) }, DenialCode::Quantity),
        (Order { lots: 900_001, ..order(1, Side::Buy) }, DenialCode::Quantity),
        (Order { ticks: 4_999_999, lots: 10, ..order(1, Side::Buy) }, DenialCode::MinNotional),
        (Order { instrument: InstrumentId(1), ..order(1, Side::Buy) }, DenialCode::Unknown),
        (Order { release: ReleaseId(1), ..order(1, Side::Buy) }, DenialCode::Unknown),
    ];
    for (order, code) in codes {
        assert_eq!(denied(&open(), order, &view(), BBO).unwrap().code, code, "{order:?}");
    }
}

#[test]
fn the_collar_is_measured_from_the_middle_and_a_hair_is_too_much() {
    let limits = Limits { collar_bps: 10, ..open() };
    let at_price = |ticks| denied(&limits, Order { ticks, lots: 100, ..order(1, Side::Buy) }, &view(), BBO);
    assert_eq!(at_price(5_005_000), None);
    assert_eq!(at_price(5_005_001), Some(at(DenialCode::Collar, Level::Order, 11, 10)));
    assert_eq!(at_price(4_994_999), Some(at(DenialCode::Collar, Level::Order, 11, 10)));
}

#[test]
fn spot_sells_what_is_held_and_pays_for_what_it_buys() {
    let sell = Order { lots: 10_001, ..order(1, Side::Sell) };
    assert_eq!(denied(&open(), sell, &view(), BBO), Some(at(DenialCode::Oversell, Level::Order, 10_001, 10_000)));
    let poor = AccountView { free_cash_atoms: 5_000 * UNIT, ..view() };
    assert_eq!(denied(&open(), order(1, Side::Buy), &poor, BBO), None);
    let mut gate = Gate::new(vec![BTC_USDT], 100_000, &open());
    let denial = gate.check(order(1, Side::Buy), &poor, BBO).unwrap_err();
    assert_eq!(Some(denial), Some(at(DenialCode::InsufficientCash, Level::Order, 5_005 * UNIT, 5_000 * UNIT)));
}

#[test]
fn an_own_order_is_not_traded_with() {
    let view = AccountView { own_opposite_ticks: Some(5_000_000), ..view() };
    for side in [Side::Buy, Side::Sell] {
        assert_eq!(denied(&open(), order(1, side), &view, BBO).unwrap().code, DenialCode::SelfTrade);
    }
    let away = Order { ticks: 4_999_999, ..order(1, Side::Buy) };
    assert_eq!(denied(&open(), away, &view, BBO), None);
}

#[test]
fn the_same_order_does_not_pass_twice() {
    let mut gate = gate(&open());
    gate.check(order(5, Side::Buy), &view(), BBO).unwrap();
    let mut code = |order: Order, view: &AccountView| gate.check(order, view, BBO).err().map(|denial| denial.code);
    assert_eq!(code(Order { lots: 500, ..order(5, Side::Buy) }, &view()), Some(DenialCode::Duplicate));
    assert_eq!(code(order(6, Side::Buy), &view()), Some(DenialCode::Duplicate));
    let later = AccountView { now_ns: NOW_NS + 1, ..view() };
    assert_eq!(code(order(6, Side::Buy), &later), None);
}

#[test]
fn every_level_of_the_tree_refuses_by_itself() {
    let limit_sets = [
        (LimitSet { max_order_atoms: Some(4_999 * UNIT), ..LimitSet::default() }, DenialCode::OrderNotional, 5_000),
        (LimitSet { max_exposure_atoms: Some(9_999 * UNIT), ..LimitSet::default() }, DenialCode::Exposure, 10_000),
        (LimitSet { max_open_atoms: Some(4_999 * UNIT), ..LimitSet::default() }, DenialCode::OpenOrders, 5_000),
        (LimitSet { max_orders_per_second: Some(0), ..LimitSet::default() }, DenialCode::RateSecond, 0),
        (LimitSet { max_orders_per_minute: Some(0), ..LimitSet::default() }, DenialCode::RateMinute, 0),
    ];
    for (limit_set, code, value) in limit_sets {
        let trees = [
            (Limits { symbols: vec![limit_set], ..open() }, Level::Symbol),
            (Limits { strategies: vec![limit_set], ..open() }, Level::Strategy),
            (Limits { account: limit_set, ..open() }, Level::Account),
        ];
        for (limits, level) in trees {
            let denial = denied(&limits, order(1, Side::Buy), &view(), BBO).unwrap();
            assert_eq!((denial.code, denial.level, denial.value), (code, level, value * UNIT));
        }
    }
}

#[test]
fn a_sell_does_not_add_to_exposure_and_an_unknown_value_refuses_a_buy() {
    let account = LimitSet { max_exposure_atoms: Some(UNIT), ..LimitSet::default() };
    let limits = Limits { account, ..open() };
    assert_eq!(denied(&limits, order(1, Side::Sell), &view(), BBO), None);
    let unknown =
        AccountView { account: Exposure { held_atoms: Err(DenialCode::NoReference), ..view().account }, ..view() };
    let denial = denied(&limits, order(1, Side::Buy), &unknown, BBO).unwrap();
    assert_eq!((denial.code, denial.level), (DenialCode::NoReference, Level::Account));
}

#[test]
fn states_are_checked_first_and_loss_needs_a_known_equity() {
    let limits = Limits { max_daily_loss_bps: Some(100), ..open() };
    let mut gate = gate(&limits);
    let code = |gate: &mut Gate, side, view: &AccountView| {
        gate.clone().check(order(1, side), view, None).err().map(|denial| denial.code)
    };
    gate.command(Command::Halt);
    assert_eq!(code(&mut gate, Side::Sell, &view()), Some(DenialCode::Halted));
    gate.command(Command::Reduce);
    assert_eq!(code(&mut gate, Side::Buy, &view()), Some(DenialCode::Reducing));
    assert!(gate.clone().check(order(1, Side::Sell), &view(), BBO).is_ok());
    gate.command(Command::Resume);
    gate.observe(NOW_NS, 10_000);
    assert!(gate.observe(NOW_NS, 9_000));
    assert_eq!(code(&mut gate, Side::Buy, &view()), Some(DenialCode::LossLatch));
    assert!(gate.clone().check(order(1, Side::Sell), &view(), BBO).is_ok());
    gate.command(Command::Resume);
    let blind = AccountView { equity_atoms: Err(DenialCode::NoReference), ..view() };
    let denial = gate.check(order(1, Side::Buy), &blind, BBO).unwrap_err();
    assert_eq!((denial.code, denial.level), (DenialCode::NoReference, Level::Account));
}

#[test]
fn what_is_closed_is_sold_in_nobodys_name_and_not_bought() {
    let mut gate = gate(&open());
    let operators = |side| Order { release: ReleaseId::OPERATOR, ..order(1, side) };
    assert!(gate.clone().check(operators(Side::Sell), &view(), BBO).is_ok());
    let denial = gate.clone().check(operators(Side::Buy), &view(), BBO).unwrap_err();
    assert_eq!(denial.code, DenialCode::Unknown);
    gate.command(Command::Close(order(1, Side::Buy).instrument));
    assert_eq!(gate.state(), TradingState::Active);
    let denial = gate.clone().check(order(1, Side::Buy), &view(), BBO).unwrap_err();
    assert_eq!((denial.code, denial.level), (DenialCode::Reducing, Level::Symbol));
    assert!(gate.clone().check(order(1, Side::Sell), &view(), BBO).is_ok());
    gate.command(Command::Resume);
    assert!(gate.check(order(1, Side::Buy), &view(), BBO).is_ok());
}

proptest! {
    /// What passes is within every limit, whatever the order and the account.
    #[test]
    fn what_passes_is_within_every_limit(
        buy: bool, ticks in 4_900_000_i64..5_100_000, lots in 1_i64..40_000, held in 0_i64..20_000,
        cash in 0_i128..20_000, open_value in 0_i128..10_000,
        limits in (1_000_i128..20_000, 1_000_i128..30_000, 1_000_i128..20_000),
    ) {
        let (max_order, max_exposure, max_open) = (limits.0 * UNIT, limits.1 * UNIT, limits.2 * UNIT);
        let limit_set = LimitSet {
            max_order_atoms: Some(max_order),
            max_exposure_atoms: Some(max_exposure),
            max_open_atoms: Some(max_open),
            ..LimitSet::default()
        };
        let limits = Limits { collar_bps: 100, account: limit_set, ..open() };
        let side = if buy { Side::Buy } else { Side::Sell };
        let exposure = Exposure { held_atoms: Ok(i128::from(held) * UNIT / 2), buying_atoms: open_value * UNIT, selling_atoms: 0 };
        let view = AccountView { sellable_lots: held, free_cash_atoms: cash * UNIT, account: exposure, ..view() };
        let order = Order { ticks, lots, ..order(1, side) };
        let value = BTC_USDT.notional(ticks, lots);
        let total = i128::from(held) * UNIT / 2 + open_value * UNIT + value;
        let allowed = lots >= BTC_USDT.min_lots
            && value >= BTC_USDT.min_notional_atoms
            && (ticks - 5_000_000).abs() <= 50_000
            && if buy { value <= cash * UNIT && total <= max_exposure } else { lots <= held }
            && value <= max_order
            && open_value * UNIT + value <= max_open;
        prop_assert_eq!(gate(&limits).check(order, &view, BBO).is_ok(), allowed);
    }
}
