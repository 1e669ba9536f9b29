//! `kill -9` at any moment of a bar leaves the fills as they are, sends no order twice and counts no fill twice.

use crate::conductor::{Conductor, Moment, targets};
use crate::parity::{balances_equal_the_exchanges, replay, states_emitted, states_of, trades_emitted, trades_of};
use crate::rig::Rig;

const BARS: i64 = 12;

/// Runs with something done at every moment, and compares with the replay of the same targets.
fn survives(at: &mut dyn FnMut(&mut Rig, i64, Moment)) {
    let mut rig = Rig::new();
    rig.start();
    let mut conductor = Conductor::new();
    for bar in 1..=BARS {
        conductor.bar_with(&mut rig, targets(bar), at);
    }
    conductor.bar_of(&mut rig, &mut |_, _| {}, &mut |_, _, _| {});
    rig.wait_until_ready();
    let record = replay(BARS);
    assert_eq!(states_emitted(&mut rig, BARS + 1), states_of(&record));
    assert_eq!(trades_emitted(&rig), trades_of(&record));
    balances_equal_the_exchanges(&rig);
    let at_exchange = rig.exchange.state()["accounts"][0]["orders"].as_u64().unwrap();
    let sent = record.orders.iter().filter(|row| row.arrives_ns.is_some()).count();
    assert_eq!(at_exchange, sent as u64, "orders at the exchange");
    assert!(rig.messages("dead-letters").is_empty());
    every_fill_is_emitted_once(&mut rig, record.fills.len());
    assert_eq!(rig.stop(), Some(0));
    rig.assert_replays();
}

/// The stream of executions has each fill once, and no hole that a kill left.
fn every_fill_is_emitted_once(rig: &mut Rig, fills: usize) {
    let mut trades = Vec::new();
    for (entry, message) in rig.messages("executions") {
        if let sapphire_core::messages::Message::OrderExecution(execution) = message {
            assert_eq!(execution.envelope.message_id.as_str(), format!("service-executions:embedded:paper-{entry}"));
            trades.extend(execution.fill.map(|fill| (execution.symbol.to_string(), fill.trade_id.to_string())));
        }
    }
    assert_eq!(trades.len(), fills);
    trades.sort();
    trades.dedup();
    assert_eq!(trades.len(), fills);
}

#[test]
fn a_kill_at_each_moment_of_a_bar() {
    let mut kills = 0;
    survives(&mut |rig, bar, moment| {
        // Bars 2, 4, 6, ...: each moment in its turn; within a bar a moment can come more than once.
        let planned = Moment::ALL[(bar / 2) as usize % Moment::ALL.len()];
        if bar % 2 == 0 && moment == planned {
            kills += 1;
            rig.kill_and_start();
        }
    });
    assert!(kills >= BARS / 2, "{kills} kills");
}

#[test]
fn a_kill_while_orders_travel_and_again_before_it_is_ready() {
    survives(&mut |rig, bar, moment| {
        if bar % 3 == 0 && moment == Moment::Settled {
            rig.kill_and_start();
            rig.kill_and_start();
        }
    });
}

#[test]
fn kills_a_few_hundred_microseconds_after_the_signals() {
    let mut delay_us = 0;
    survives(&mut |rig, _, moment| {
        if moment == Moment::Signalled {
            delay_us = (delay_us + 370) % 2_600;
            std::thread::sleep(std::time::Duration::from_micros(delay_us));
            rig.kill_and_start();
        }
    });
}

#[test]
fn a_killed_bus_loses_nothing() {
    survives(&mut |rig, bar, moment| {
        if bar % 4 == 0 && moment == Moment::Announced {
            rig.valkey.kill();
            std::thread::sleep(std::time::Duration::from_millis(30));
            rig.valkey.revive();
        }
    });
}
