//! Orders while market time stands and moves.

use sapphire_core::decimal::parse_atoms;
use sapphire_core::instrument::{Asset, Side};
use sapphire_core::orders::{ClientOrderId, ReportKind};
use sapphire_core::venue::TimeInForce;
use sapphire_service::clock::Pace;
use sapphire_service::gateway::{LiveOrder, NotSent};
use sapphire_service::words::Venue;

use crate::desk::{BTC, Desk, TAG};
use crate::venue::{Exchange, LOCKSTEP, SECOND_NS, START_NS};

const IOC: TimeInForce = TimeInForce::ImmediateOrCancel;
const GTC: TimeInForce = TimeInForce::GoodTillCancel;

fn open() -> (Exchange, Desk) {
    let exchange = Exchange::start(&LOCKSTEP);
    let desk = Desk::open(&exchange, Pace::Lockstep);
    (exchange, desk)
}

/// Sum of the trades that were told, lots.
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
    let (exchange, mut desk) = open();
    let quote = desk.quote();
    let order = desk.place(Side::Buy, quote.ask_ticks + 500, 1_000, IOC);
    desk.settle();
    assert!(desk.words.iter().any(|word| matches!(word, Venue::Acknowledged { order: id, .. } if *id == order)));
    assert_eq!(desk.reports(order), [], "it travels");
    assert_eq!(desk.query(order, START_NS), [], "and gives no report while it does");
    desk.advance(&exchange, 1);
    let told = desk.reports(order);
    assert!(matches!(told[0], ReportKind::Accepted { .. }), "{told:?}");
    assert_eq!(traded(&told), 1_000, "{told:?}");
    let asked = desk.query(order, START_NS);
    assert_eq!(asked, told, "the same trades under the same numbers");
    let accounts = &exchange.state()["accounts"][0]["balances"];
    let held: i128 = accounts["BTC"]["free"].as_str().unwrap().parse().unwrap();
    let fees: i128 = told
        .iter()
        .map(|kind| match kind {
            ReportKind::Trade { fill, .. } if fill.fee_asset == Asset(0) => fill.fee_atoms,
            _ => 0,
        })
        .sum();
    assert_eq!(held, desk.rules.instruments()[0].base_atoms(1_000) - fees, "to the last digit");
}

#[test]
fn what_cannot_trade_expires_and_what_the_venue_refuses_is_rejected() {
    let (exchange, mut desk) = open();
    let quote = desk.quote();
    let low = desk.place(Side::Buy, quote.bid_ticks * 95 / 100, 1_000, IOC);
    let tiny = desk.place(Side::Buy, quote.ask_ticks, 1, IOC);
    let short = desk.place(Side::Sell, quote.bid_ticks, 1_000, IOC);
    desk.settle();
    assert_eq!(desk.reports(tiny), [ReportKind::Rejected { venue_code: -1013 }], "its value is too small");
    desk.advance(&exchange, 1);
    let expired = desk.reports(low);
    assert!(
        matches!(expired[..], [ReportKind::Accepted { .. }, ReportKind::Expired { executed_lots: 0 }]),
        "{expired:?}"
    );
    assert_eq!(desk.reports(short), [ReportKind::Rejected { venue_code: -2010 }], "nothing to sell");
    assert_eq!(desk.query(low, START_NS), desk.reports(low)[..2]);
    assert!(desk.unanswered.is_empty());
}

#[test]
fn a_cancel_takes_an_order_out_and_a_vain_one_is_refused() {
    let (exchange, mut desk) = open();
    let quote = desk.quote();
    let order = desk.place(Side::Buy, quote.bid_ticks * 95 / 100, 1_000, GTC);
    desk.settle();
    desk.advance(&exchange, 1);
    let accepted = desk.reports(order);
    assert!(matches!(accepted[..], [ReportKind::Accepted { .. }]), "{accepted:?}");
    desk.gateway.cancel(order, BTC, desk.market_ns).unwrap();
    desk.settle();
    desk.advance(&exchange, 1);
    assert_eq!(desk.reports(order), [accepted[0], ReportKind::Canceled { executed_lots: 0 }]);
    desk.gateway.cancel(order, BTC, desk.market_ns).unwrap();
    desk.settle();
    assert_eq!(desk.reports(order).last(), Some(&ReportKind::CancelRejected { venue_code: -2011 }));
    assert_eq!(desk.words.last(), Some(&Venue::Answered { order }), "its closing word is the last");
}

#[test]
fn an_unknown_order_is_conclusively_absent_only_after_the_drain() {
    let exchange = Exchange::start(&LOCKSTEP);
    let order = ClientOrderId { account: TAG, epoch: 1, sequence: 99 };
    let mut settings = exchange.settings(Pace::Lockstep);
    let right = settings.control.clone();
    // An exchange that does not say that it is drained.
    settings.control.as_mut().unwrap().token = sapphire_service::gateway::Secret::new("wrong");
    let mut desk = Desk::with(&settings, 2).unwrap();
    desk.connected();
    assert_eq!(desk.query(order, START_NS), [ReportKind::NotFound { conclusive: false }]);
    settings.control = right;
    let mut desk = Desk::with(&settings, 3).unwrap();
    desk.connected();
    assert_eq!(desk.query(order, START_NS), [ReportKind::NotFound { conclusive: true }]);
}

#[test]
fn references_balances_and_time_are_as_of_the_time_that_stands() {
    let (exchange, mut desk) = open();
    desk.advance(&exchange, 7);
    let quote = desk.quote();
    assert!(0 < quote.bid_ticks && quote.bid_ticks < quote.ask_ticks);
    assert_eq!(quote.as_of_ns, START_NS + 7 * SECOND_NS);
    desk.gateway.ask_time().unwrap();
    let round = desk.gateway.reconcile(Vec::new(), desk.market_ns + 5).unwrap();
    desk.settle();
    assert_eq!(desk.words.last(), Some(&Venue::Reconciled { round, orphans_canceled: 0 }));
    let balances = desk.words.iter().find_map(|word| match word {
        Venue::Balances(balances) => Some(balances.clone()),
        _ => None,
    });
    let usdt = parse_atoms("100000").unwrap();
    let expected = vec![(Asset(0), 0), (Asset(1), usdt), (Asset(2), 0)];
    assert_eq!(balances.map(|balances| (balances.as_of_ns, balances.holdings)), Some((desk.market_ns + 5, expected)));
    let time = desk.words.iter().find_map(|word| match word {
        Venue::VenueTime { market_ns, sent_ns, received_ns } if sent_ns <= received_ns => Some(*market_ns),
        _ => None,
    });
    assert_eq!(time, Some(desk.market_ns));
    assert_eq!(desk.gateway.feed_heard_ns(), None, "no stream while time stands");
}

#[test]
fn an_orphan_of_an_earlier_epoch_is_taken_out_and_a_live_order_is_not() {
    let (exchange, mut desk) = open();
    let quote = desk.quote();
    let low = quote.bid_ticks * 95 / 100;
    let orphan = desk.place(Side::Buy, low, 1_000, GTC);
    let kept = desk.place(Side::Buy, low, 2_000, GTC);
    desk.settle();
    desk.advance(&exchange, 1);
    let market_ns = desk.market_ns;
    drop(desk);
    let mut desk = Desk::with(&exchange.settings(Pace::Lockstep), 2).unwrap();
    desk.connected();
    desk.market_ns = market_ns;
    let round = desk.gateway.reconcile(vec![live(kept)], market_ns).unwrap();
    desk.settle();
    assert_eq!(desk.words.last(), Some(&Venue::Reconciled { round, orphans_canceled: 1 }));
    assert!(matches!(desk.reports(kept)[..], [ReportKind::Accepted { .. }]));
    exchange.advance_to(market_ns + SECOND_NS);
    assert_eq!(desk.query(orphan, START_NS).last(), Some(&ReportKind::Canceled { executed_lots: 0 }));
    let round = desk.gateway.reconcile(vec![LiveOrder { is_open: true, ..live(kept) }], market_ns).unwrap();
    let told = desk.reports(kept).len();
    desk.settle();
    assert_eq!(desk.words.last(), Some(&Venue::Reconciled { round, orphans_canceled: 0 }));
    assert_eq!(desk.reports(kept).len(), told, "nothing to ask any more");
}

#[test]
fn when_the_venues_limit_is_used_up_orders_stop_here_and_cancels_pass() {
    let (exchange, mut desk) = open();
    let quote = desk.quote();
    let low = quote.bid_ticks * 95 / 100;
    let first = desk.place(Side::Buy, low, 100, GTC);
    // The venue's own limit: 100 orders in ten seconds.
    for _ in 1..100 {
        desk.place(Side::Buy, low, 100, GTC);
    }
    assert_eq!(desk.try_place(Side::Buy, low, 100, GTC), Err(NotSent::RateLimited));
    desk.settle();
    assert!(
        !desk.words.iter().any(|word| matches!(word, Venue::Report { .. })),
        "none of them was refused by the venue"
    );
    desk.advance(&exchange, 1);
    assert_eq!(desk.try_place(Side::Buy, low, 100, GTC), Err(NotSent::RateLimited));
    desk.gateway.cancel(first, BTC, desk.market_ns).unwrap();
    desk.settle();
    desk.advance(&exchange, 1);
    assert_eq!(desk.reports(first).last(), Some(&ReportKind::Canceled { executed_lots: 0 }));
    desk.advance(&exchange, 8);
    desk.place(Side::Buy, low, 100, GTC);
    desk.settle();
    let used = desk.gateway.usage(desk.market_ns);
    assert!(used.iter().all(|usage| usage.used <= usage.limit.limit), "{used:?}");
}
