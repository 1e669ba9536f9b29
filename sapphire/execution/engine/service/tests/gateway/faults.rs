//! Kills, wrong keys and wrong addresses.

use std::time::Duration;

use sapphire_core::instrument::Side;
use sapphire_core::orders::{ClientOrderId, ReportKind};
use sapphire_core::venue::TimeInForce;
use sapphire_service::clock::ClockMode;
use sapphire_service::events::Venue;
use sapphire_service::gateway::{GatewayError, LiveOrder, Secret, VenueSettings, commission};

use crate::trader::{BTC, TAG, Trader};
use crate::venue::{Exchange, LOCKSTEP, START_NS, Scratch, free_ports};

const IOC: TimeInForce = TimeInForce::ImmediateOrCancel;

/// How an exchange is started that comes back where it was.
fn arguments<'a>(ports: &'a [String; 2], folder: &'a Scratch) -> Vec<&'a str> {
    let [port, control_port] = ports;
    let kept = ["--port", port, "--control-port", control_port, "--journal", folder.text()];
    [&LOCKSTEP[..], &kept].concat()
}

fn is_lost(event: &Venue) -> bool {
    matches!(event, Venue::Lost { .. })
}

#[test]
fn an_order_that_travels_survives_a_kill_of_the_exchange_and_counts_once() {
    let (ports, folder) = (free_ports(), Scratch::new());
    let exchange = Exchange::start(&arguments(&ports, &folder));
    let mut trader = Trader::open(&exchange, ClockMode::Lockstep);
    let quote = trader.quote();
    let order = trader.place(Side::Buy, quote.ask_ticks + 500, 1_000, IOC);
    trader.settle();
    exchange.kill();
    trader.wait("a loss", is_lost);
    assert!(!trader.gateway.is_connected() && trader.unanswered.is_empty(), "its place had been answered");
    // Asked while nobody is there: in lock-step the question waits.
    let live = LiveOrder { order, instrument: BTC, made_ns: START_NS, filled_lots: 0, is_open: false };
    let round = trader.gateway.reconcile(vec![live], trader.market_ns).unwrap();
    let exchange = Exchange::start(&arguments(&ports, &folder));
    trader.connected();
    trader.settle();
    assert!(trader.events.contains(&Venue::Reconciled { round, orphans_canceled: 0 }));
    assert_eq!(trader.reports(order), [], "it still travels");
    trader.advance(&exchange, 1);
    let emitted = trader.reports(order);
    assert!(matches!(emitted[0], ReportKind::Accepted { .. }), "{emitted:?}");
    assert!(emitted.len() > 1, "{emitted:?}");
    exchange.kill();
    let exchange = Exchange::start(&arguments(&ports, &folder));
    trader.connected();
    assert_eq!(trader.query(order, START_NS), emitted, "after another kill the same trades under the same numbers");
    assert_eq!(exchange.state()["accounts"][0]["orders"], 1);
    assert_eq!(trader.gateway.connections(), 3);
}

#[test]
fn an_order_that_nobody_read_is_named_and_found_to_be_lost() {
    let (ports, folder) = (free_ports(), Scratch::new());
    let exchange = Exchange::start(&arguments(&ports, &folder));
    let mut trader = Trader::open(&exchange, ClockMode::Lockstep);
    let quote = trader.quote();
    exchange.signal("STOP");
    let order = trader.place(Side::Buy, quote.ask_ticks + 500, 1_000, IOC);
    assert_eq!(trader.gateway.outstanding(), 1);
    exchange.kill();
    trader.wait("a loss", is_lost);
    assert_eq!(trader.unanswered, [order]);
    assert_eq!(trader.gateway.outstanding(), 0);
    let _exchange = Exchange::start(&arguments(&ports, &folder));
    trader.connected();
    assert_eq!(trader.query(order, START_NS), [ReportKind::NotFound { conclusive: true }]);
    // What takes its place is another order, and arrives once.
    let again = trader.place(Side::Buy, quote.ask_ticks + 500, 1_000, IOC);
    trader.settle();
    assert_ne!(order, again);
    assert_eq!(trader.query(again, START_NS), []);
}

fn failure(settings: &VenueSettings) -> GatewayError {
    Trader::with(settings, 1).err().expect("this cannot start")
}

#[test]
fn a_wrong_key_is_told_plainly_and_without_the_secret() {
    let exchange = Exchange::start(&LOCKSTEP);
    let right = exchange.settings(ClockMode::Lockstep);
    let unknown = VenueSettings { api_key: Secret::new("k".repeat(64)), ..right.clone() };
    let wrong = VenueSettings { api_secret: Secret::new("s".repeat(64)), ..right.clone() };
    let odd = VenueSettings { api_key: Secret::new("a\"b"), ..right.clone() };
    for (settings, expected) in [(unknown, -2015), (wrong, -1022), (odd, -2014)] {
        let error = failure(&settings);
        assert!(matches!(error, GatewayError::Key { code, .. } if code == expected), "{error}");
        let text = format!("{error} {error:?} {settings:?}");
        for secret in [exchange.text("api_secret"), exchange.text("api_key"), &"s".repeat(64), "signature="] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    let fees = commission(&right, "BTC/USDT").unwrap();
    assert_eq!((fees.maker, fees.taker), (100_000, 100_000));
}

#[test]
fn addresses_that_do_not_fit_are_refused() {
    let exchange = Exchange::start(&LOCKSTEP);
    let right = exchange.settings(ClockMode::Lockstep);
    let secure = VenueSettings { ws_url: "wss://127.0.0.1:1".into(), ..right.clone() };
    assert!(matches!(failure(&secure), GatewayError::Address { setting: "ws_url", .. }));
    let secure = VenueSettings { rest_url: "https://127.0.0.1:1".into(), ..right.clone() };
    assert!(matches!(failure(&secure), GatewayError::Address { setting: "rest_url", .. }));
    let uncontrolled = VenueSettings { control: None, ..right.clone() };
    assert!(matches!(failure(&uncontrolled), GatewayError::Address { setting: "control_url", .. }));
    exchange.kill();
    let error = failure(&right);
    assert!(matches!(error, GatewayError::Unreachable { .. }), "{error}");
    let exchange = Exchange::start(&["--lockstep", "--symbols", "BTCUSDT"]);
    let error = failure(&exchange.settings(ClockMode::Lockstep));
    assert_eq!(error, GatewayError::Unlisted { symbol: "BTC/USDT, ETH/USDT".into() });
}

#[test]
fn every_loss_needs_a_drain_of_its_own() {
    let (ports, folder) = (free_ports(), Scratch::new());
    let unknown = ClientOrderId { account: TAG, epoch: 1, sequence: 99 };
    let exchange = Exchange::start(&arguments(&ports, &folder));
    let mut trader = Trader::with(&exchange.settings(ClockMode::Lockstep), 2).unwrap();
    trader.connected();
    assert_eq!(trader.query(unknown, START_NS), [ReportKind::NotFound { conclusive: true }]);
    exchange.kill();
    // It comes back, but nobody answers whether it is drained.
    let elsewhere = [ports[0].clone(), free_ports()[0].clone()];
    let exchange = Exchange::start(&arguments(&elsewhere, &folder));
    trader.connected();
    trader.gateway.query(unknown, BTC, START_NS).unwrap();
    while trader.take(Duration::from_millis(300)).is_some() {}
    assert_eq!(trader.gateway.outstanding(), 1, "the drain of before the loss proves nothing");
    exchange.kill();
    let _exchange = Exchange::start(&arguments(&ports, &folder));
    trader.settle();
    assert_eq!(trader.reports(unknown), [ReportKind::NotFound { conclusive: true }; 2]);
}
