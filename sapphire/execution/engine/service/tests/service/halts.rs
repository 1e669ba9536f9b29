//! Halts, and who may say what to a service.

use serde_json::json;

use crate::conductor::{Conductor, Moment};
use crate::rig::{Rig, TOKEN};

#[test]
fn a_halt_sends_nothing_more_outlives_a_kill_and_is_lifted_by_command_alone() {
    let mut rig = Rig::new();
    rig.start();
    let mut conductor = Conductor::new();
    conductor.bar(&mut rig, [20_000, 20_000]);
    conductor.bar(&mut rig, [30_000, 30_000]);
    let orders = |rig: &Rig| rig.exchange.state()["accounts"][0]["orders"].as_u64().unwrap();
    let before = orders(&rig);
    // Its orders travel.
    let (status, answer) = rig.post("/halt", &json!({"reason": "a test"}));
    assert_eq!((status, &answer["state"]), (200, &json!("HALTED")), "{answer}");
    conductor.bar(&mut rig, [0, 0]);
    rig.kill_and_start();
    conductor.bar(&mut rig, [40_000, 40_000]);
    assert_eq!(rig.get("/state").1["trading"], "HALTED");
    assert_eq!(orders(&rig), before, "no order after the halt");
    let codes: Vec<String> = rig.risk_updates().into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["COMMAND", "HALTED", "HALTED", "HALTED", "HALTED"]);

    let (status, answer) = rig.post("/resume", &json!({"reason": "the test goes on"}));
    assert_eq!((status, &answer["state"]), (200, &json!("ACTIVE")), "{answer}");
    conductor.bar(&mut rig, [10_000, 10_000]);
    conductor.bar(&mut rig, [10_000, 10_000]);
    assert!(orders(&rig) > before);
    assert_eq!(rig.get("/positions").1["positions"][0]["lots"], "10000");
    assert_eq!(rig.stop(), Some(0));
    let trading = rig.exported("trading");
    assert!(trading[0].to_string().contains("HALTED") && trading[1].to_string().contains("ACTIVE"), "{trading:?}");
    rig.assert_replays();
}

#[test]
fn a_halt_between_the_signals_and_their_end_lets_no_order_out() {
    let mut rig = Rig::new();
    rig.start();
    let mut conductor = Conductor::new();
    conductor.bar(&mut rig, [0, 0]);
    conductor.bar_with(&mut rig, [20_000, 20_000], &mut |rig, _, moment| {
        if moment == Moment::Stated {
            assert_eq!(rig.post("/halt", &json!({})).0, 200, "a halt needs no reason");
        }
    });
    conductor.bar(&mut rig, [20_000, 20_000]);
    assert_eq!(rig.exchange.state()["accounts"][0]["orders"], 0);
}

#[test]
fn reducing_sells_and_buys_nothing() {
    let mut rig = Rig::new();
    rig.start();
    let mut conductor = Conductor::new();
    conductor.bar(&mut rig, [20_000, 0]);
    conductor.bar(&mut rig, [20_000, 0]);
    assert_eq!(rig.post("/reduce", &json!({"reason": "carefully"})).1["state"], "REDUCING");
    conductor.bar(&mut rig, [5_000, 20_000]);
    conductor.bar(&mut rig, [5_000, 20_000]);
    let (_, held) = rig.get("/positions");
    assert_eq!((&held["positions"][0]["lots"], &held["positions"][1]["lots"]), (&json!("5000"), &json!("0")));
    assert!(rig.risk_updates().contains(&("REDUCING".to_owned(), Some("ETH/USDT".to_owned()))));
}

#[test]
fn who_has_no_token_learns_nothing_and_a_second_service_is_turned_away() {
    let mut rig = Rig::new();
    rig.start();
    rig.wait_until_ready();
    for path in ["/state", "/positions", "/orders", "/fills"] {
        let (status, answer) = rig.get_as(path, "another");
        assert_eq!(status, 401, "{answer}");
        assert!(!answer.to_string().contains(TOKEN));
        assert_eq!(rig.get(path).0, 200);
    }
    assert_eq!(rig.get_as("/livez", "").0, 200);
    let (status, metrics) = rig.get_as("/metrics", "");
    let metrics = metrics.as_str().unwrap().to_owned();
    assert!(status == 200 && metrics.contains("sapphire_ready 1"), "{metrics}");
    assert_eq!(rig.post("/resume", &json!({"why": "no such field"})).0, 400);

    let Err((code, said)) = rig.try_start() else { panic!("two services on one account") };
    assert_eq!(code, Some(1));
    assert!(said.contains("in use") && said.contains("next:"), "{said}");
    assert_eq!(rig.stop(), Some(0));
    let log = rig.log();
    assert!(!log.contains(TOKEN) && !log.contains(rig.exchange.text("api_secret")), "{log}");
}

#[test]
fn wrong_settings_are_refused_and_say_what_to_do() {
    let mut rig = Rig::new();
    let path = rig.path("service.json");
    let good = std::fs::read_to_string(&path).unwrap();
    let refusal = |rig: &Rig, from: &str, to: &str| {
        std::fs::write(&path, good.replace(from, to)).unwrap();
        let Err((code, said)) = rig.try_start() else { panic!("{to} was taken") };
        assert_eq!(code, Some(1));
        said
    };
    assert!(refusal(&rig, "\"5m\"", "\"5 minutes\"").contains("interval"));
    assert!(refusal(&rig, "ETH/USDT", "XYZ/USDT").contains("XYZ/USDT"));
    assert!(refusal(&rig, "\"lockstep\"", "\"lockstop\"").contains("lockstop"));
    std::fs::write(&path, &good).unwrap();
    rig.start();
    rig.wait_until_ready();
    let usage = std::process::Command::new(env!("CARGO_BIN_EXE_service")).arg("walk").output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
}
