//! What a journal says when it is asked: rows, checks, replays.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod journal_keeper;

use std::fs;

use journal_keeper::{Act, HOUR_NS, JournalKeeper, OPTIONS, Scratch, T, VenueReport, run_config, slot};
use sapphire_core::engine::{Body, Signal};
use sapphire_core::instrument::InstrumentId;
use sapphire_core::orders::ReleaseId;
use sapphire_core::risk::Command;
use sapphire_service::entry::{RunConfig, Source};
use sapphire_service::events::EntryId;
use sapphire_service::journal_reader::{Form, Outcome, Window, bars, export, replay, show, verify};
use serde_json::{Value, json};

/// A day: a buy in two trades, a refused signal, a denied order, a halt; then another start.
fn day(folder: &Scratch) -> JournalKeeper {
    let mut keeper = JournalKeeper::open(&folder.0);
    keeper.bar([Some(1_000), None]).unwrap();
    keeper.report(VenueReport::Accepted).unwrap();
    keeper.report(VenueReport::Traded(50)).unwrap();
    keeper.report(VenueReport::Traded(50)).unwrap();
    let entry = EntryId { ms: 1_704_070_800_000, seq: 70_000 };
    let (release, instrument, bar_close_ns) = (ReleaseId(0), InstrumentId(u16::MAX), keeper.now_ns);
    let signal = Signal { release, instrument, target_lots: 5, bar_close_ns, time_to_live_ns: HOUR_NS };
    let source = Source::Unlisted { entry, symbol: "DOGE/USDT".to_owned() };
    keeper.apply(Body::Signal(signal), source).unwrap();
    keeper.bar([None, Some(400_000)]).unwrap();
    keeper.act(&Act::Command(Command::Halt)).unwrap();
    keeper.act(&Act::Pass).unwrap();
    drop(keeper);
    JournalKeeper::open(&folder.0)
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    str::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn rows(folder: &Scratch) -> Vec<Value> {
    let mut out = Vec::new();
    assert_eq!(export(&folder.0, None, &mut out).unwrap(), Outcome::Good);
    lines(&out)
}

fn of<'a>(rows: &'a [Value], kind: &str) -> Vec<&'a Value> {
    rows.iter().filter(|row| row["kind"] == kind).collect()
}

#[test]
fn every_thing_that_happened_has_its_row() {
    let folder = Scratch::new();
    let keeper = day(&folder);
    let rows = rows(&folder);
    let kinds: Vec<&str> = rows.iter().map(|row| row["kind"].as_str().unwrap()).collect();
    let expected = [
        "run",
        "start",
        "epoch",
        "release",
        "verdict",
        "adjusted",
        "signal",
        "state",
        "end_of_bar",
        "order",
        "report",
        "report",
        "fill",
        "report",
        "fill",
        "target",
        "signal",
        "signal",
        "state",
        "end_of_bar",
        "denied",
        "trading",
        "target",
        "start",
        "epoch",
        "end",
    ];
    assert_eq!(kinds, expected);
    let (run, release) = (of(&rows, "run")[0], "ab".repeat(32));
    assert_eq!(run["config"]["instruments"][0]["min_notional_atoms"], "500000000");
    assert_eq!(run["config"]["limits"]["account"]["max_order_atoms"], "600000000000");
    assert_eq!(run["config"]["execution"]["style"], "taker");
    let starts: Vec<_> = of(&rows, "start").iter().map(|row| row["release"].clone()).collect();
    assert_eq!(starts, [json!(release), json!(release)]);
    assert_eq!(
        of(&rows, "release")[0],
        &json!({ "kind": "release", "slot": 0, "digest": release, "name": "paper.trend@1" })
    );
    let signals = of(&rows, "signal");
    assert_eq!(signals[0]["refused"], Value::Null);
    assert_eq!((&signals[1]["symbol"], &signals[1]["refused"]), (&json!("DOGE/USDT"), &json!("UNKNOWN_INSTRUMENT")));
    assert_eq!(signals[1]["entry"], "1704070800000-70000");
    let order = of(&rows, "order")[0];
    let close_ns = (T + HOUR_NS).to_string();
    assert_eq!(
        order,
        &json!({
            "kind": "order", "step": "8", "market_ns": close_ns, "order": "sap-0007-65920080-1", "release": release,
            "symbol": "BTC/USDT", "side": "BUY", "ticks": "5010010", "lots": "1002", "time_in_force": "IOC",
            "bar_close_ns": close_ns,
        })
    );
    let fills = of(&rows, "fill");
    assert_eq!((&fills[0]["lots"], &fills[1]["lots"]), (&json!("501"), &json!("501")));
    assert_eq!((&fills[0]["fee_asset"], &fills[0]["fee_atoms"]), (&json!("BTC"), &json!("501")));
    let reports: Vec<(&Value, &Value)> =
        of(&rows, "report").into_iter().map(|row| (&row["report"], &row["state"])).collect();
    let traded = (&json!("TRADE"), &json!("PARTIALLY_FILLED"));
    let filled = (&json!("TRADE"), &json!("FILLED"));
    assert_eq!(reports, [(&json!("ACCEPTED"), &json!("ACCEPTED")), traded, filled]);
    let state = of(&rows, "state")[1];
    assert_eq!(state["positions"]["BTC/USDT"], json!({ "atoms": "1000998", "lots": "1000" }));
    let denied = of(&rows, "denied")[0];
    assert_eq!((&denied["code"], &denied["level"]), (&json!("ORDER_NOTIONAL"), &json!("account")));
    let trading = of(&rows, "trading")[0];
    assert_eq!((&trading["state"], &trading["by"]), (&json!("HALTED"), &json!("desk")));
    let targets = of(&rows, "target");
    assert_eq!((&targets[1]["outcome"], &targets[1]["cause"]), (&json!("EXPIRED"), &json!("HALTED")));
    assert_eq!(rows.last().unwrap()["steps"], keeper.journal.steps().to_string());
}

#[test]
fn a_replay_is_the_same_to_the_last_step() {
    let folder = Scratch::new();
    let keeper = day(&folder);
    let mut out = Vec::new();
    // The journal is being written: what there is can be replayed.
    assert_eq!(replay(&folder.0, Form::Json, &mut out).unwrap(), Outcome::Good);
    let row = &lines(&out)[0];
    let steps = keeper.journal.steps();
    assert_eq!((&row["identical"], &row["steps"]), (&json!(true), &json!(steps)));
    assert_eq!(row["compared"], json!(steps - 1), "the last step's outputs travel in the next entry");
    assert_eq!(row["digest"], rows(&folder).last().unwrap()["digest"]);
    drop(keeper);
    let other = RunConfig { fee_rate: 1, ..run_config() };
    JournalKeeper::open_with(&folder.0, &other, &OPTIONS, T).map(drop).unwrap();
    let mut out = Vec::new();
    assert_eq!(replay(&folder.0, Form::Json, &mut out).unwrap(), Outcome::Good);
    assert_eq!((&lines(&out)[0]["runs"], &lines(&out)[0]["steps"]), (&json!(2), &json!(steps + 4)));
    assert_eq!(of(&rows(&folder), "end").len(), 2);
}

#[test]
fn the_first_step_that_differs_is_printed() {
    let folder = Scratch::new();
    let mut keeper = JournalKeeper::open(&folder.0);
    keeper.bar([Some(1_000), None]).unwrap();
    let step = keeper.journal.steps();
    keeper.journal.outputs([7; 32]);
    keeper.report(VenueReport::Accepted).unwrap();
    keeper.journal.outputs([8; 32]);
    keeper.report(VenueReport::Expired).unwrap();
    for (form, text) in [(Form::Json, "\"identical\":false"), (Form::Text, "identical              false")] {
        let mut out = Vec::new();
        assert_eq!(replay(&folder.0, form, &mut out).unwrap(), Outcome::Bad);
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains(text) && out.contains("EndOfBar") && out.contains(&"07".repeat(32)), "{out}");
        assert!(out.contains(&step.to_string()), "{out}");
    }
}

#[test]
fn a_journal_is_verified_and_damage_is_named() {
    let folder = Scratch::new();
    let keeper = day(&folder);
    let mut out = Vec::new();
    assert_eq!(verify(&folder.0, Form::Json, &mut out).unwrap(), Outcome::Good);
    let row = &lines(&out)[0];
    let expected = json!({
        "ok": true, "files": row["files"], "records": row["records"], "runs": 1, "epochs": 2,
        "last_epoch": keeper.journal.epoch(), "events": keeper.journal.steps(), "torn": false,
    });
    assert_eq!(row, &expected);
    drop(keeper);
    let path = folder.segments().remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let place = bytes.len() / 2;
    bytes[place] ^= 1;
    fs::write(&path, bytes).unwrap();
    let mut out = Vec::new();
    assert_eq!(verify(&folder.0, Form::Json, &mut out).unwrap(), Outcome::Bad);
    let reason = lines(&out)[0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains(path.to_str().unwrap()) && reason.contains("damaged"), "{reason}");
}

#[test]
fn every_entry_is_shown_in_one_line() {
    let folder = Scratch::new();
    let mut keeper = day(&folder);
    keeper.journal.append(&slot(1), keeper.now_ns, 5).unwrap();
    let mut out = Vec::new();
    show(&folder.0, Form::Json, &mut out).unwrap();
    let rows = lines(&out);
    assert_eq!(rows.iter().filter(|row| !row["step"].is_null()).count() as u64, keeper.journal.steps());
    assert_eq!(of(&rows, "begin").len() + of(&rows, "resume").len(), 2);
    assert_eq!((&of(&rows, "release")[1]["record"], &rows.last().unwrap()["monotonic_ns"]), (&json!(3), &json!("5")));
    assert_eq!(of(&rows, "command")[0]["source"], "operator desk");
    let mut out = Vec::new();
    show(&folder.0, Form::Text, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), rows.len());
    let expected = [
        "end_of_bar   all signals of the bar that closed at 2024-01-01T01:00:00Z",
        "signal       BTC/USDT: hold 0.01 BTC by paper.trend@1 abababababab until 2024-01-01T02:00:00Z",
        "verdict      the evidence of paper.trend@1 abababababab verifies",
        "report       order sap-0007-65920080-1: accepted as the venue's 1",
        "order sap-0007-65920080-1: traded 0.00501 BTC at 50100.1 USDT, fee 0.00000501 BTC, trade 1704067200001, 0.00501 BTC so far",
        "command      halt: cancel what is on the way, send nothing",
        "reference    BTC/USDT: 50000 USDT bid, 50000.1 USDT asked, as of 2024-01-01T01:00:00Z",
        "epoch        the process starts anew, epoch 1704067200",
    ];
    for events in expected {
        assert!(text.contains(events), "{events}\n{text}");
    }
    assert!(!text.contains('{'), "{text}");
}

#[test]
fn a_folder_without_a_journal_is_an_error() {
    let folder = Scratch::new();
    let failure = verify(&folder.0, Form::Json, &mut Vec::new()).unwrap_err().to_string();
    assert!(failure.contains(folder.0.to_str().unwrap()), "{failure}");
}

/// What Python's reader is held to (`tests/reference/test_journal_rows.py`): a key that is renamed here breaks one of
/// the two tests. Written anew where `SAPPHIRE_WRITE_GOLDEN` is set.
#[test]
fn rows_are_those_that_python_reads() {
    let folder = Scratch::new();
    let _clerk = day(&folder);
    let mut out = Vec::new();
    export(&folder.0, None, &mut out).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../../tests/reference/golden/journal_rows.jsonl");
    if std::env::var_os("SAPPHIRE_WRITE_GOLDEN").is_some() {
        fs::write(path, &out).unwrap();
    }
    assert_eq!(String::from_utf8(out).unwrap(), fs::read_to_string(path).unwrap(), "{path} is not current");
}

/// Each row is one window's, whatever windows a run is cut into; what a window needs besides is the same in all.
#[test]
fn windows_share_a_run_out() {
    let folder = Scratch::new();
    let mut keeper = JournalKeeper::open(&folder.0);
    for bar in 1..=6 {
        keeper.bar([Some(1_000 * bar), None]).unwrap();
        keeper.report(VenueReport::Accepted).unwrap();
        keeper.report(VenueReport::Traded(100)).unwrap();
    }
    drop(keeper);
    let all = rows(&folder);
    let in_window = |begin_ns: i64, end_ns: i64| {
        let mut out = Vec::new();
        export(&folder.0, Some(Window { begin_ns, end_ns }), &mut out).unwrap();
        lines(&out)
    };
    let is_carried =
        |row: &&Value| !matches!(row["kind"].as_str(), Some("run" | "epoch" | "release" | "adjusted" | "end"));
    let windows: Vec<Vec<Value>> =
        (0..3).map(|day| in_window(T + day * 2 * HOUR_NS, T + (day + 1) * 2 * HOUR_NS)).collect();
    let mut shared: Vec<&Value> = Vec::new();
    for window in &windows {
        assert_eq!((&window[0], &window[window.len() - 1]), (&all[0], &all[all.len() - 1]));
        shared.extend(window.iter().filter(is_carried).filter(|row| !shared.contains(row)).collect::<Vec<_>>());
    }
    let mut wanted: Vec<&Value> = all.iter().filter(is_carried).collect();
    let by_text = |row: &&Value| row.to_string();
    shared.sort_by_key(by_text);
    wanted.sort_by_key(by_text);
    assert_eq!(shared, wanted);
    let closes =
        |window: &[Value]| of(window, "state").iter().map(|row| row["bar_close_ns"].clone()).collect::<Vec<_>>();
    let at = |hour: i64| json!((T + hour * HOUR_NS).to_string());
    assert_eq!(closes(&windows[1]), [at(2), at(3), at(4)], "the account at midnight is carried over");
    let mut out = Vec::new();
    assert_eq!(bars(&folder.0, Form::Json, &mut out).unwrap(), Outcome::Good);
    assert_eq!(lines(&out)[0], json!({ "first_bar_close_ns": at(1), "last_bar_close_ns": at(6) }));
}
