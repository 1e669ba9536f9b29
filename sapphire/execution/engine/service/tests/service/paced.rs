//! Market time that runs by itself: states at the closes, orders filled, timers and rounds of reconciliation.

use serde_json::json;

use crate::conductor::{ms, signal_entry, signal_for};
use crate::parity::balances_equal_the_exchanges;
use crate::rig::{BAR_NS, Rig};
use crate::valkey::publish_signed;

/// A bar of five minutes in three quarters of a second.
const SPEED: &str = "400";
/// Market time goes on while a killed service starts again, on a busy machine for many bars.
const TIME_TO_LIVE_NS: i64 = 40 * BAR_NS;

#[test]
fn signals_are_worked_while_time_runs_and_a_kill_changes_no_target() {
    let arguments = ["--speed", SPEED, "--seed", "7", "--start", "2024-03-01"];
    let clock = json!({"speed": 400.0});
    let limits = json!({"limits": {"max_reference_age_ns": 120_000_000_000_i64}});
    let mut rig = Rig::with(&arguments, &clock, &limits);
    rig.start();
    rig.wait_until_ready();
    for (round, lots) in [20_000, 40_000, 10_000].into_iter().enumerate() {
        let bar_close_ns = next_close(&mut rig);
        let (release, at) = (rig.home.digest.to_string(), signal_entry(bar_close_ns, 1));
        let signal = signal_for(TIME_TO_LIVE_NS, &release, "BTC/USDT", lots, bar_close_ns, at);
        let streams = rig.streams();
        publish_signed(&mut rig.bus, &streams, at, &signal);
        rig.end_of_bar(bar_close_ns);
        if round == 1 {
            // one that is met after the next close is late, and refused
            rig.wait_for("the signal to be taken", || counted(&rig, "sapphire_signals_total") >= 2);
            rig.kill_and_start();
            rig.wait_until_ready();
        }
        let expected = json!(lots.to_string());
        rig.wait_for("the target", || rig.get("/positions").1["positions"][0]["lots"] == expected);
    }
    rig.wait_for("a round of reconciliation", || counted(&rig, "sapphire_reconciliations_total") >= 2);
    balances_equal_the_exchanges(&rig);
    assert_eq!(rig.stop(), Some(0));
    rig.assert_replays();
}

/// Waits for the account's state at the next close, which is published by the clock alone.
fn next_close(rig: &mut Rig) -> i64 {
    let latest = |rig: &mut Rig| rig.bus.last(&rig.stream("account")).unwrap().entries().last().map(|entry| entry.id);
    let before = latest(rig);
    let deadline = std::time::Instant::now() + crate::rig::PATIENCE;
    loop {
        let now = latest(rig);
        if let Some(entry) = now.filter(|_| now != before) {
            assert_eq!(entry.ms % ms(BAR_NS), 0);
            return entry.ms.cast_signed() * 1_000_000;
        }
        assert!(std::time::Instant::now() < deadline, "no close: {}", rig.log());
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// What a counter of the service stands at.
fn counted(rig: &Rig, name: &str) -> u64 {
    let metrics = rig.get("/metrics").1;
    let line = metrics.as_str().unwrap().lines().find(|line| line.split(['{', ' ']).next() == Some(name));
    line.and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0)
}
