//! Orders while market time stands and moves.

use sapphire_core::decimal::parse_atoms;
use sapphire_core::instrument::{Asset, Side};
use sapphire_core::orders::{ClientOrderId, ReportKind};
use sapphire_core::venue::TimeInForce;
use sapphire_service::clock::ClockMode;
use sapphire_service::events::Venue;
use sapphire_service::gateway::{LiveOrder, NotSent};

use crate::trader::{BTC, TAG, Trader};
use crate::venue::{Exchange, LOCKSTEP, SECOND_NS, START_NS};

const IOC: TimeInForce = TimeInForce::ImmediateOrCancel;
const GTC: TimeInForce = TimeInForce::GoodTillCancel;

fn open() -> (Exchange, Trader) {
    let exchange = Exchange::start(&LOCKSTEP);
    let trader = Trader::open(&exchange, ClockMode::Lockstep);
    (exchange, trader)
}

/// Sum of the trades that were reported, lots.
fn traded(reports: &[ReportKind]) -> i64 {
    let lots = |kind: &ReportKind| match kind {
        ReportKind::Trade { fill, .. } => fill.lots,
        _ => 0,
    };
    reports.iter().map(lots).sum()
}

fn live(order: ClientOrderId) -> LiveOrder {
    LiveOrder { order, instrument: BTC, made_ns: START_NS, filled_lots: 0, is_open: false }
}

#[test]
fn an_order_travels_trades_and_is_told_the_same_by_stream_and_query() {
    let (exchange, mut trader) = open();
    let quote = trader.quote();
    let order = trader.place(Side::Buy, quote.ask_ticks + 500, 1_000, IOC);
    trader.settle();
    assert!(trader.events.iter().any(|event| matches!(event, Venue::Acknowledged { order: id, .. } if *id == order)));
    assert_eq!(trader.reports(order), [], "it travels");
    assert_eq!(trader.query(order, START_NS), [], "and gives no report while it does");
    trader.advance(&exchange, 1);
    let emitted = trader.reports(order);
    assert!(matches!(emitted[0], ReportKind::Accepted { .. }), "{emitted:?}");
    assert_eq!(traded(&emitted), 1_000, "{emitted:?}");
    let asked = trader.query(order, START_NS);
    assert_eq!(asked, emitted, "the same trades under the same numbers");
    let accounts = &exchange.state()["accounts"][0]["balances"];
    let held: i128 = accounts["BTC"]["free"].as_str().unwrap().parse().unwrap();
    let fees: i128 = emitted
        .iter()
        .map(|kind| match kind {
            ReportKind::Trade { fill, .. } if fill.fee_asset == Asset(0) => fill.fee_atoms,
            _ => 0,
        })
        .sum();
    assert_eq!(held, trader.rules.instruments()[0].base_atoms(1_000) - fees, "to the last digit");
}

#[test]
fn what_cannot_trade_expires_and_what_the_venue_refuses_is_rejected() {
    let (exchange, mut trader) = open();
    let quote = trader.quote();
    let low = trader.place(Side::Buy, quote.bid_ticks * 95 / 100, 1_000, IOC);
    let tiny = trader.place(Side::Buy, quote.ask_ticks, 1, IOC);
    let short = trader.place(Side::Sell, quote.bid_ticks, 1_000, IOC);
    trader.settle();
    assert_eq!(trader.reports(tiny), [ReportKind::Rejected { venue_code: -1013 }], "its value is too small");
    trader.advance(&exchange, 1);
    let expired = trader.reports(low);
    assert!(
        matches!(expired[..], [ReportKind::Accepted { .. }, ReportKind::Expired { executed_lots: 0 }]),
        "{expired:?}"
    );
    assert_eq!(trader.reports(short), [ReportKind::Rejected { venue_code: -2010 }], "nothing to sell");
    assert_eq!(trader.query(low, START_NS), trader.reports(low)[..2]);
    assert!(trader.unanswered.is_empty());
}

#[test]
fn a_cancel_takes_an_order_out_and_a_vain_one_is_refused() {
    let (exchange, mut trader) = open();
    let quote = trader.quote();
    let order = trader.place(Side::Buy, quote.bid_ticks * 95 / 100, 1_000, GTC);
    trader.settle();
    trader.advance(&exchange, 1);
    let accepted = trader.reports(order);
    assert!(matches!(accepted[..], [ReportKind::Accepted { .. }]), "{accepted:?}");
    trader.gateway.cancel(order, BTC, trader.market_ns).unwrap();
    trader.settle();
    trader.advance(&exchange, 1);
    assert_eq!(trader.reports(order), [accepted[0], ReportKind::Canceled { executed_lots: 0 }]);
    trader.gateway.cancel(order, BTC, trader.market_ns).unwrap();
    trader.settle();
    assert_eq!(trader.reports(order).last(), Some(&ReportKind::CancelRejected { venue_code: -2011 }));
    assert_eq!(trader.events.last(), Some(&Venue::Answered { order }), "its closing word is the last");
}

#[test]
fn an_unknown_order_is_conclusively_absent_only_after_the_drain() {
    let exchange = Exchange::start(&LOCKSTEP);
    let order = ClientOrderId { account: TAG, epoch: 1, sequence: 99 };
    let mut settings = exchange.settings(ClockMode::Lockstep);
    let right = settings.control.clone();
    // An exchange that does not say that it is drained.
    settings.control.as_mut().unwrap().token = sapphire_service::gateway::Secret::new("wrong");
    let mut trader = Trader::with(&settings, 2).unwrap();
    trader.connected();
    assert_eq!(trader.query(order, START_NS), [ReportKind::NotFound { conclusive: false }]);
    settings.control = right;
    let mut trader = Trader::with(&settings, 3).unwrap();
    trader.connected();
    assert_eq!(trader.query(order, START_NS), [ReportKind::NotFound { conclusive: true }]);
}

#[test]
fn references_balances_and_time_are_as_of_the_time_that_stands() {
    let (exchange, mut trader) = open();
    trader.advance(&exchange, 7);
    let quote = trader.quote();
    assert!(0 < quote.bid_ticks && quote.bid_ticks < quote.ask_ticks);
    assert_eq!(quote.as_of_ns, START_NS + 7 * SECOND_NS);
    trader.gateway.ask_time().unwrap();
    let round = trader.gateway.reconcile(Vec::new(), trader.market_ns + 5).unwrap();
    trader.settle();
    assert_eq!(trader.events.last(), Some(&Venue::Reconciled { round, orphans_canceled: 0 }));
    let balances = trader.events.iter().find_map(|event| match event {
        Venue::Balances(balances) => Some(balances.clone()),
        _ => None,
    });
    let usdt = parse_atoms("100000").unwrap();
    let expected = vec![(Asset(0), 0), (Asset(1), usdt), (Asset(2), 0)];
    assert_eq!(balances.map(|balances| (balances.as_of_ns, balances.holdings)), Some((trader.market_ns + 5, expected)));
    let time = trader.events.iter().find_map(|event| match event {
        Venue::VenueTime { market_ns, sent_ns, received_ns } if sent_ns <= received_ns => Some(*market_ns),
        _ => None,
    });
    assert_eq!(time, Some(trader.market_ns));
    assert_eq!(trader.gateway.market_data_heard_ns(), None, "no stream while time stands");
}

#[test]
fn an_orphan_of_an_earlier_epoch_is_taken_out_and_a_live_order_is_not() {
    let (exchange, mut trader) = open();
    let quote = trader.quote();
    let low = quote.bid_ticks * 95 / 100;
    let orphan = trader.place(Side::Buy, low, 1_000, GTC);
    let kept = trader.place(Side::Buy, low, 2_000, GTC);
    trader.settle();
    trader.advance(&exchange, 1);
    let market_ns = trader.market_ns;
    drop(trader);
    let mut trader = Trader::with(&exchange.settings(ClockMode::Lockstep), 2).unwrap();
    trader.connected();
    trader.market_ns = market_ns;
    let round = trader.gateway.reconcile(vec![live(kept)], market_ns).unwrap();
    trader.settle();
    assert_eq!(trader.events.last(), Some(&Venue::Reconciled { round, orphans_canceled: 1 }));
    assert!(matches!(trader.reports(kept)[..], [ReportKind::Accepted { .. }]));
    exchange.advance_to(market_ns + SECOND_NS);
    assert_eq!(trader.query(orphan, START_NS).last(), Some(&ReportKind::Canceled { executed_lots: 0 }));
    let round = trader.gateway.reconcile(vec![LiveOrder { is_open: true, ..live(kept) }], market_ns).unwrap();
    let emitted = trader.reports(kept).len();
    trader.settle();
    assert_eq!(trader.events.last(), Some(&Venue::Reconciled { round, orphans_canceled: 0 }));
    assert_eq!(trader.reports(kept).len(), emitted, "nothing to ask any more");
}

#[test]
fn when_the_venues_limit_is_used_up_orders_stop_here_and_cancels_pass() {
    let (exchange, mut trader) = open();
    let quote = trader.quote();
    let low = quote.bid_ticks * 95 / 100;
    let first = trader.place(Side::Buy, low, 100, GTC);
    // The venue's own limit: 100 orders in ten seconds.
    for _ in 1..100 {
        trader.place(Side::Buy, low, 100, GTC);
    }
    assert_eq!(trader.try_place(Side::Buy, low, 100, GTC), Err(NotSent::RateLimited));
    trader.settle();
    assert!(
        !trader.events.iter().any(|event| matches!(event, Venue::Report { .. })),
        "none of them was refused by the venue"
    );
    trader.advance(&exchange, 1);
    assert_eq!(trader.try_place(Side::Buy, low, 100, GTC), Err(NotSent::RateLimited));
    trader.gateway.cancel(first, BTC, trader.market_ns).unwrap();
    trader.settle();
    trader.advance(&exchange, 1);
    assert_eq!(trader.reports(first).last(), Some(&ReportKind::Canceled { executed_lots: 0 }));
    trader.advance(&exchange, 8);
    trader.place(Side::Buy, low, 100, GTC);
    trader.settle();
    let used = trader.gateway.usage(trader.market_ns);
    assert!(used.iter().all(|usage| usage.used <= usage.limit.limit), "{used:?}");
}
