//! Where market time runs by itself.

use std::time::{Duration, Instant};

use sapphire_core::instrument::Side;
use sapphire_core::orders::{ClientOrderId, ReportKind};
use sapphire_core::venue::TimeInForce;
use sapphire_service::clock::ClockMode;
use sapphire_service::events::Venue;

use crate::trader::{TAG, Trader};
use crate::venue::{Exchange, SECOND_NS, Scratch, free_ports};

const SPEED: f64 = 60.0;
const ARGUMENTS: [&str; 6] = ["--speed", "60", "--seed", "7", "--start", "2024-03-01"];
const IOC: TimeInForce = TimeInForce::ImmediateOrCancel;

fn venue_time(trader: &mut Trader) -> i64 {
    trader.gateway.ask_time().unwrap();
    let answer = trader.wait("the time", |event| matches!(event, Venue::VenueTime { .. }));
    let Venue::VenueTime { market_ns, .. } = answer else { unreachable!() };
    market_ns
}

#[test]
fn orders_fill_at_once_and_the_stream_of_prices_is_heard() {
    let exchange = Exchange::start(&ARGUMENTS);
    let mut trader = Trader::open(&exchange, ClockMode::Speed(SPEED));
    trader.market_ns = venue_time(&mut trader);
    let quote = trader.quote();
    trader.market_ns = venue_time(&mut trader);
    let order = trader.place(Side::Buy, quote.ask_ticks + 5_000, 1_000, IOC);
    trader.settle();
    let is_over = |event: &Venue| {
        matches!(event, Venue::Report { report, event: Some(_), .. } if report.order == order
            && matches!(report.kind, ReportKind::Trade { executed_lots: 1_000, .. }))
    };
    if !trader.events.iter().any(is_over) {
        trader.wait("the whole fill", is_over);
    }
    let emitted = trader.reports(order);
    assert_eq!(trader.query(order, 0), emitted, "stream and query agree");
    let streamed =
        trader.wait("a price of the stream", |event| matches!(event, Venue::References { asked: false, .. }));
    let Venue::References { quotes, .. } = streamed else { unreachable!() };
    let now_ns = venue_time(&mut trader);
    // Never ahead of the venue's clock, and not long behind it.
    for quote in quotes {
        assert!(
            quote.as_of_ns <= now_ns + 1_000_000 && now_ns - quote.as_of_ns < 120 * SECOND_NS,
            "{quote:?} {now_ns}"
        );
        assert!(0 < quote.bid_ticks && quote.bid_ticks < quote.ask_ticks);
    }
    // Several liquidity steps fall into this second, each a new best price.
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        trader.take(Duration::from_millis(50));
    }
    assert!(trader.gateway.market_data_heard_ns().is_some_and(|heard| trader.clock.now_ns() - heard < 2 * SECOND_NS));
    assert_eq!(trader.gateway.overdue(trader.clock.now_ns()), []);
}

#[test]
fn an_unknown_order_is_conclusively_absent_once_its_window_has_passed() {
    let exchange = Exchange::start(&ARGUMENTS);
    let mut trader = Trader::open(&exchange, ClockMode::Speed(SPEED));
    let order = ClientOrderId { account: TAG, epoch: 1, sequence: 99 };
    let made_ns = venue_time(&mut trader);
    assert_eq!(trader.query(order, made_ns), [ReportKind::NotFound { conclusive: false }]);
    // A window of a minute, the longest there is, and the second that a request may be ahead.
    while venue_time(&mut trader) <= made_ns + 61 * SECOND_NS {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(trader.query(order, made_ns), [ReportKind::NotFound { conclusive: true }]);
}

#[test]
fn a_silent_venue_makes_requests_overdue_and_a_late_answer_still_counts() {
    let (ports, folder) = (free_ports(), Scratch::new());
    let [port, control_port] = &ports;
    let kept = ["--port", port, "--control-port", control_port, "--journal", folder.text()];
    let exchange = Exchange::start(&[&ARGUMENTS[..], &kept].concat());
    let mut trader = Trader::open(&exchange, ClockMode::Speed(SPEED));
    let quote = trader.quote();
    trader.market_ns = venue_time(&mut trader);
    exchange.signal("STOP");
    let order = trader.place(Side::Buy, quote.ask_ticks + 5_000, 1_000, IOC);
    let now_ns = trader.clock.now_ns();
    assert_eq!(trader.gateway.overdue(now_ns + 4 * SECOND_NS), []);
    assert_eq!(trader.gateway.overdue(now_ns + 6 * SECOND_NS), [order]);
    assert_eq!(trader.gateway.overdue(now_ns + 7 * SECOND_NS), [], "told once");
    exchange.signal("CONT");
    trader.wait("the answer", |event| matches!(event, Venue::Acknowledged { order: id, .. } if *id == order));
    exchange.kill();
    trader.wait("a loss", |event| matches!(event, Venue::Lost { .. }));
    assert!(trader.unanswered.is_empty());
    let _exchange = Exchange::start(&[&ARGUMENTS[..], &kept].concat());
    trader.connected();
    let emitted = trader.query(order, 0);
    assert!(matches!(emitted.first(), Some(ReportKind::Accepted { .. })), "{emitted:?}");
}
