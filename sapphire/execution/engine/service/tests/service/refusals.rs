//! Signals that cannot be taken are refused with a reason that everybody can read.

use std::fs;
use std::time::Duration;

use sapphire_service::clock::Monotonic;
use sapphire_service::events::EntryId;
use serde_json::json;

use crate::conductor::{Conductor, Moment, close_ns, signal, signal_entry};
use crate::rig::Rig;
use crate::valkey::publish_signed;

fn update(code: &str, symbol: &str) -> (String, Option<String>) {
    (code.to_owned(), Some(symbol.to_owned()))
}

#[test]
fn late_repeated_reordered_and_meaningless_signals_are_refused_and_say_why() {
    let mut rig = Rig::new();
    rig.start();
    let mut conductor = Conductor::new();
    conductor.bar(&mut rig, [10_000, 0]);
    let (first, second) = (close_ns(1), close_ns(2));
    let other = "0".repeat(64);
    conductor.bar_of(
        &mut rig,
        &mut |rig, close_ns| {
            let at = |seq| signal_entry(close_ns, seq);
            rig.signal("BTC/USDT", 20_000, close_ns, at(1));
            rig.signal("BTC/USDT", 30_000, close_ns, at(2));
            rig.signal("ETH/USDT", 5_000, first, at(3));
            rig.signal("ETH/USDT", 5_000, close_ns + 1, at(4));
            rig.signal("ETH/USDT", -1, close_ns, at(5));
            rig.signal("XRP/USDT", 5_000, close_ns, at(6));
            let streams = rig.streams();
            let unknown = signal(&other, "ETH/USDT", 5_000, close_ns, at(7));
            publish_signed(&mut rig.bus, &streams, at(7), &unknown);
            publish_signed(&mut rig.bus, &streams, at(8), b"{\"envelope\": 7}");
        },
        &mut |_, _, _| {},
    );
    rig.signal("ETH/USDT", 5_000, second, signal_entry(second, 65_536));
    let expected = [
        update("REPEATED", "BTC/USDT"),
        update("REPEATED", "ETH/USDT"),
        update("OUT_OF_ORDER", "ETH/USDT"),
        update("BELOW_ZERO", "ETH/USDT"),
        update("UNKNOWN_INSTRUMENT", "XRP/USDT"),
        update("LATE", "ETH/USDT"),
    ];
    let deadline = std::time::Instant::now() + crate::rig::PATIENCE;
    while rig.risk_updates().len() < expected.len() {
        assert!(std::time::Instant::now() < deadline, "{:?}", rig.risk_updates());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(rig.risk_updates(), expected);
    let dead = rig.stream("dead-letters");
    let dead = rig.bus.read(&dead, EntryId::default(), 9, Duration::from_millis(1), Monotonic::new()).unwrap();
    let whys: Vec<_> =
        dead.entries().map(|entry| String::from_utf8_lossy(entry.field("why").unwrap()).into_owned()).collect();
    assert_eq!(whys.len(), 2, "{whys:?}");
    assert!(whys[0].contains("expected a signal of release") && whys[0].ends_with(&other), "{whys:?}");

    // The one signal that was good was worked, and the journal tells the others as well.
    conductor.bar(&mut rig, [20_000, 0]);
    let (_, held) = rig.get("/positions");
    assert_eq!(held["positions"][0]["lots"], "20000", "{held}");
    assert_eq!(rig.stop(), Some(0));
    let reasons: Vec<String> =
        rig.exported("signal").iter().filter_map(|row| row["refused"].as_str().map(str::to_owned)).collect();
    assert_eq!(reasons, expected.map(|(code, _)| code));
    rig.assert_replays();
}

#[test]
fn a_release_that_loses_its_evidence_loses_its_targets() {
    let mut rig = Rig::new();
    rig.start();
    let mut conductor = Conductor::new();
    conductor.bar(&mut rig, [10_000, 10_000]);
    fs::write(rig.home.source(), "changed").unwrap();
    conductor.bar(&mut rig, [20_000, 20_000]);
    rig.wait_for("the verdict", || rig.get("/state").1["releases"][0]["ok"] == false);
    assert_eq!(rig.get("/state").1["releases"][0]["standing"], "refused");
    conductor.bar(&mut rig, [30_000, 30_000]);
    let updates = rig.risk_updates();
    assert_eq!(updates[updates.len() - 2..], [update("NO_EVIDENCE", "BTC/USDT"), update("NO_EVIDENCE", "ETH/USDT")]);
    fs::write(rig.home.source(), "source.py").unwrap();
    rig.wait_for("the verdict", || rig.get("/state").1["releases"][0]["ok"] == true);
    conductor.bar(&mut rig, [5_000, 5_000]);
    conductor.bar(&mut rig, [5_000, 5_000]);
    let (_, held) = rig.get("/positions");
    assert_eq!(held["positions"][0]["lots"], "5000", "{held}");
}

#[test]
fn a_release_whose_permit_is_no_more_reduces_and_adds_nothing() {
    let mut rig = Rig::new();
    rig.start();
    let mut conductor = Conductor::new();
    let standing = |rig: &Rig| rig.get("/state").1["releases"][0]["standing"].clone();
    // Files are looked at between bars, a second apart at most.
    let noticed = |rig: &Rig, wanted: &str| rig.wait_for("the verdict", || standing(rig) == wanted);
    let mut held_after = |rig: &mut Rig, lots: i64| {
        conductor.bar(rig, [lots, lots]);
        conductor.bar(rig, [lots, lots]);
        rig.get("/positions").1["positions"][0]["lots"].clone()
    };
    assert_eq!(held_after(&mut rig, 10_000), "10000");
    assert_eq!(standing(&rig), "open");
    rig.home.report(false);
    noticed(&rig, "reduces only");
    assert_eq!(held_after(&mut rig, 30_000), "10000", "nothing is added");
    assert_eq!(held_after(&mut rig, 6_000), "6000", "what reduces, does");
    rig.home.report(true);
    noticed(&rig, "open");
    assert_eq!(held_after(&mut rig, 8_000), "8000", "a new permit opens it again");
    rig.home.revoke();
    noticed(&rig, "reduces only");
    assert_eq!(held_after(&mut rig, 9_000), "8000");
    assert_eq!(standing(&rig), "reduces only");
    assert_eq!(rig.stop(), Some(0));
    rig.assert_replays();
}

#[test]
fn killed_and_started_on_a_closed_permit_it_reduces_and_adds_nothing() {
    let mut rig = Rig::new();
    rig.start();
    let mut conductor = Conductor::new();
    for delay_us in [0, 300, 700, 1_200, 2_000, 3_500] {
        conductor.bar(&mut rig, [10_000, 10_000]);
        conductor.bar(&mut rig, [10_000, 10_000]);
        let mut epoch = 0;
        conductor.bar_with(&mut rig, [30_000, 30_000], &mut |rig, _, moment| {
            if moment == Moment::Signalled {
                std::thread::sleep(Duration::from_micros(delay_us));
                rig.kill();
                rig.home.report(false);
                epoch = rig.start().first_line["epoch"].as_u64().unwrap();
            }
        });
        assert_eq!(rig.get("/state").1["releases"][0]["standing"], "reduces only");
        for lots in [40_000, 4_000, 4_000] {
            conductor.bar(&mut rig, [lots, lots]);
        }
        let held = rig.get("/positions").1;
        assert!(held["positions"].as_array().unwrap().iter().all(|row| row["lots"] == "4000"), "{held}");
        let made = rig.exported("order").into_iter();
        let made = made.filter(|row| row["order"].as_str().unwrap().contains(&format!("-{epoch:08x}-")));
        let sides: Vec<String> = made.map(|row| row["side"].as_str().unwrap().to_owned()).collect();
        assert!(!sides.is_empty() && sides.iter().all(|side| side == "SELL"), "after {delay_us} us: {sides:?}");
        rig.home.report(true);
    }
    assert_eq!(rig.stop(), Some(0));
    rig.assert_replays();
}

#[test]
fn a_release_without_evidence_is_not_taken_and_the_journal_says_which_was_traded_when() {
    let mut rig = Rig::new();
    rig.start();
    let mut conductor = Conductor::new();
    conductor.bar(&mut rig, [10_000, 0]);
    assert_eq!(rig.stop(), Some(0));

    let (own, other) = (rig.home.digest.to_string(), "0".repeat(64));
    rig.write_settings(&json!({"lockstep": true}), &json!({"release": other}));
    rig.start();
    conductor.bar_of(
        &mut rig,
        &mut |rig, close_ns| {
            let (streams, at) = (rig.streams(), signal_entry(close_ns, 1));
            publish_signed(&mut rig.bus, &streams, at, &signal(&other, "ETH/USDT", 5_000, close_ns, at));
        },
        &mut |_, _, _| {},
    );
    assert_eq!(rig.risk_updates(), [("NO_EVIDENCE".to_owned(), Some("ETH/USDT".to_owned()))]);
    let (_, state) = rig.get("/state");
    assert!(state["refused_releases"][0]["why"].as_str().unwrap().len() > 10, "{state}");
    assert_eq!(state["release"], other);
    let traded = state["traded"].as_array().unwrap();
    assert_eq!([&traded[0]["release"], &traded[1]["release"]], [&json!(own), &json!(other)]);
    let since: Vec<i64> = traded.iter().map(|row| row["market_ns"].as_str().unwrap().parse().unwrap()).collect();
    assert!(since[0] <= since[1] && since[1] <= close_ns(2), "{traded:?}");
    assert_eq!(rig.stop(), Some(0));

    // Back to the first: it goes on behind what was read of its own stream.
    rig.write_settings(&json!({"lockstep": true}), &json!({}));
    rig.start();
    conductor.bar(&mut rig, [20_000, 0]);
    assert_eq!(rig.stop(), Some(0));
    let starts = rig.exported("start");
    let traded: Vec<_> = starts.iter().map(|row| row["release"].as_str().unwrap().to_owned()).collect();
    assert_eq!(traded, [own.clone(), other, own]);
    assert!(starts.windows(2).all(|pair| pair[0]["epoch"].as_u64() < pair[1]["epoch"].as_u64()));
    rig.assert_replays();
}
