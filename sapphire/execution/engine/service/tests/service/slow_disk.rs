//! A disk that takes its time: the service's own calls are held up on their way to it.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::conductor::{Conductor, Moment, signal_entry};
use crate::rig::Rig;
use crate::venue::SYMBOLS;

/// Builds the library that holds the calls up, and has the service start with it.
fn prepare(rig: &mut Rig) {
    let library = rig.path("slow_disk.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/slow_disk.c");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).args([source, "-ldl"]).status();
    assert!(built.unwrap().success(), "the C compiler that cargo links with could not build {source}");
    rig.environment = vec![("LD_PRELOAD".into(), library), ("SLOW_DISK".into(), rig.path("slow_disk"))];
}

/// From now on each call of that kind takes so long.
fn slow(rig: &Rig, what: &str) {
    fs::write(rig.path("told"), what).unwrap();
    fs::rename(rig.path("told"), rig.path("slow_disk")).unwrap();
}

fn trading(rig: &Rig) -> String {
    rig.get("/state").1["trading"].as_str().unwrap().to_owned()
}

#[test]
fn a_disk_that_lags_reduces_and_then_halts_and_nothing_of_that_undoes_itself() {
    let mut rig = Rig::new();
    prepare(&mut rig);
    rig.start();
    let mut conductor = Conductor::new();
    conductor.bar(&mut rig, [20_000, 0]);
    assert_eq!(trading(&rig), "ACTIVE");
    slow(&rig, "sync 9000");
    conductor.bar(&mut rig, [20_000, 0]);
    rig.wait_for("a disk that lags to reduce", || trading(&rig) == "REDUCING");
    // Sells go on, buys do not.
    conductor.bar(&mut rig, [5_000, 20_000]);
    conductor.bar(&mut rig, [5_000, 20_000]);
    rig.wait_for("one that goes on to halt", || trading(&rig) == "HALTED");
    let (_, held) = rig.get("/positions");
    assert_eq!((&held["positions"][0]["lots"], &held["positions"][1]["lots"]), (&json!("5000"), &json!("0")));
    slow(&rig, "sync 0");
    rig.wait_for("the disk to catch up", || rig.get("/state").1["journal"]["standing"] == "flowing");
    assert_eq!(trading(&rig), "HALTED", "a disk that is well again re-arms nothing");
    assert_eq!(rig.post("/resume", &json!({"reason": "the disk is well"})).0, 200);
    conductor.bar(&mut rig, [5_000, 20_000]);
    conductor.bar(&mut rig, [5_000, 20_000]);
    assert_eq!(rig.get("/positions").1["positions"][1]["lots"], "20000");
    assert_eq!(rig.stop(), Some(0));
    let emitted: Vec<String> =
        rig.exported("trading").iter().map(|row| row["state"].as_str().unwrap().into()).collect();
    assert_eq!(emitted, ["REDUCING", "HALTED", "ACTIVE"]);
    rig.assert_replays();
}

#[test]
fn a_halt_while_a_bar_is_being_written_down_lets_none_of_its_orders_out() {
    let mut rig = Rig::new();
    prepare(&mut rig);
    rig.start();
    let mut conductor = Conductor::new();
    conductor.bar(&mut rig, [0, 0]);
    let mut signals = |rig: &mut Rig, close_ns: i64| {
        let taken = rig.get("/state").1["cursor"].clone();
        for (place, symbol) in SYMBOLS.iter().enumerate() {
            rig.signal(symbol, 20_000, close_ns, signal_entry(close_ns, place as u64 + 1));
        }
        let last = signal_entry(close_ns, 2).to_string();
        rig.wait_for("the signals to be taken", || rig.get("/state").1["cursor"] == *last);
        assert_ne!(taken, *last);
        slow(rig, "write 1500");
    };
    conductor.bar_of(&mut rig, &mut signals, &mut |rig, _, moment| {
        if moment == Moment::Signalled {
            // The end of the bar is on its way to the disk: the engine decides on it after the switch is thrown.
            thread::sleep(Duration::from_millis(500));
            slow(rig, "write 0");
            assert_eq!(rig.post("/halt", &json!({"reason": "now"})).1["state"], "HALTED");
        }
    });
    let orders = rig.get("/orders").1;
    let states: Vec<&str> = orders.as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["REJECTED", "REJECTED"], "it had decided, and what it decided was kept back: {orders}");
    conductor.bar(&mut rig, [20_000, 20_000]);
    assert_eq!(rig.exchange.state()["accounts"][0]["orders"], 0);
    assert_eq!(rig.post("/resume", &json!({"reason": "on"})).0, 200);
    conductor.bar(&mut rig, [20_000, 20_000]);
    conductor.bar(&mut rig, [20_000, 20_000]);
    assert_eq!(rig.get("/positions").1["positions"][1]["lots"], "20000");
    assert_eq!(rig.stop(), Some(0));
    rig.assert_replays();
}
