//! A disk without room for the journal: trading halts, and what happens meanwhile is recorded.

use std::process::Command;

use serde_json::json;

use crate::conductor::{Conductor, close_ns, targets};
use crate::rig::Rig;
use crate::venue::LOCKSTEP;

/// Files of the service may not become larger than this: what a full disk looks like to new ones.
fn limit_files(rig: &Rig, bytes: &str) {
    let limit = format!("--fsize={bytes}");
    let done = Command::new("prlimit").args(["--pid", &rig.pid().to_string(), &limit]).status().unwrap();
    assert!(done.success());
}

#[test]
fn a_full_disk_halts_and_the_rest_is_recorded_in_the_reserve() {
    let journal = json!({"journal": {"segment_bytes": 16_384, "reserve_bytes": 8_192}});
    let mut rig = Rig::with(&LOCKSTEP, &json!({"lockstep": true}), &journal);
    rig.start();
    let mut conductor = Conductor::new();
    conductor.bar(&mut rig, targets(1));
    limit_files(&rig, "8192:unlimited");
    let mut bars = 1;
    while rig.get("/state").1["journal"]["standing"] == "flowing" {
        bars += 1;
        assert!(bars < 40, "the journal never filled its files");
        let (now_ns, events) = conductor.advance(&rig, close_ns(bars));
        let is_close = now_ns == close_ns(bars) && events == 0;
        conductor.announce(&mut rig, now_ns, is_close.then_some(now_ns));
        if is_close {
            for (place, (symbol, lots)) in crate::venue::SYMBOLS.iter().zip(targets(bars)).enumerate() {
                let entry = crate::conductor::signal_entry(now_ns, place as u64 + 1);
                rig.signal(symbol, lots, now_ns, entry);
            }
            rig.end_of_bar(now_ns);
        } else {
            bars -= 1;
        }
        if !rig.settles_within(std::time::Duration::from_secs(1), conductor.steps()) {
            break;
        }
        conductor.settled(&mut rig);
    }
    let (_, state) = rig.get("/state");
    assert_eq!((&state["trading"], &state["journal"]["standing"]), (&json!("HALTED"), &json!("reserve")), "{state}");
    let orders = rig.exchange.state()["accounts"][0]["orders"].clone();
    let (status, refused) = rig.post("/resume", &json!({"reason": "too early"}));
    assert_eq!(status, 409, "{refused}");

    limit_files(&rig, "unlimited:unlimited");
    rig.wait_for("the journal to flow", || rig.get("/state").1["journal"]["standing"] == "flowing");
    assert_eq!(rig.get("/state").1["trading"], "HALTED", "room alone re-arms nothing");
    conductor.settled(&mut rig);
    assert_eq!(rig.exchange.state()["accounts"][0]["orders"], orders, "no order while it was halted");
    assert_eq!(rig.post("/resume", &json!({"reason": "there is room"})).0, 200);
    assert_eq!(rig.stop(), Some(0));
    let emitted = rig.assert_replays();
    assert_eq!(emitted["runs"], 1, "{emitted}");
}

impl Rig {
    /// Whether a step is settled within a time.
    fn settles_within(&mut self, time: std::time::Duration, step: u64) -> bool {
        let entry = sapphire_service::events::EntryId { ms: step, seq: 1 };
        let deadline = std::time::Instant::now() + time;
        while std::time::Instant::now() < deadline {
            if !self.bus.entry(&self.stream("settled"), entry).unwrap().is_empty() {
                return true;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        false
    }
}
