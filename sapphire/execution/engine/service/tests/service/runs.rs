//! Another configuration begins another run, on the same account and the same bus.

use serde_json::json;

use crate::conductor::Conductor;
use crate::parity::balances_equal_the_exchanges;
use crate::rig::Rig;

#[test]
fn a_run_under_other_limits_takes_over_what_is_held_and_publishes_behind_the_one_before() {
    let mut rig = Rig::new();
    rig.start();
    let mut conductor = Conductor::new();
    for lots in [20_000, 30_000, 10_000] {
        conductor.bar(&mut rig, [lots, lots]);
    }
    assert_eq!(rig.stop(), Some(0));
    let before = rig.messages("executions").len();
    assert!(before > 6);

    // No order above 500 USDT from here on.
    let limits = json!({"limits": {"account": {"max_order_atoms": 50_000_000_000_i64}}});
    rig.write_settings(&json!({"lockstep": true}), &limits);
    rig.start();
    conductor.bar(&mut rig, [10_000, 40_000]);
    conductor.bar(&mut rig, [10_000, 10_000]);
    let (_, held) = rig.get("/positions");
    assert_eq!((&held["positions"][0]["lots"], &held["positions"][1]["lots"]), (&json!("10000"), &json!("10000")));
    balances_equal_the_exchanges(&rig);
    assert!(rig.risk_updates().contains(&("ORDER_NOTIONAL".to_owned(), Some("ETH/USDT".to_owned()))));
    assert!(rig.messages("executions").len() > before);
    assert!(rig.messages("dead-letters").is_empty());

    rig.kill_and_start();
    conductor.bar(&mut rig, [10_000, 10_000]);
    assert!(rig.messages("dead-letters").is_empty());
    assert_eq!(rig.stop(), Some(0));
    let emitted = rig.assert_replays();
    assert_eq!(emitted["runs"], 2, "{emitted}");
}
