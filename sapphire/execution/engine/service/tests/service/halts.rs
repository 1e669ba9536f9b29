//! Halts, and who may say what to a service.

use serde_json::json;

use crate::conductor::{Conductor, Moment};
use crate::parity::balances_equal_the_exchanges;
use crate::rig::{READ_TOKEN, Rig, TOKEN};

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

/// What is held of each symbol.
fn lots(rig: &Rig) -> [String; 2] {
    let (_, held) = rig.get("/positions");
    [0, 1].map(|place| held["positions"][place]["lots"].as_str().unwrap().to_owned())
}

/// No order is open at the exchange.
fn nothing_rests(rig: &Rig) {
    let account = &rig.exchange.state()["accounts"][0];
    assert_eq!(account["open_orders"].as_array().map_or(0, Vec::len), 0, "{account}");
}

#[test]
fn a_flatten_while_buys_travel_survives_kills_and_ends_flat() {
    let mut rig = Rig::new();
    rig.start();
    let mut conductor = Conductor::new();
    conductor.bar(&mut rig, [20_000, 20_000]);
    conductor.bar(&mut rig, [20_000, 20_000]);
    assert_eq!(lots(&rig), ["20000", "20000"]);
    // Its buys travel when it is said, and the process is killed at once.
    conductor.bar(&mut rig, [40_000, 40_000]);
    let events = json!({"reason": "get out", "by": "ada"});
    let (status, answer) = rig.post("/flatten", &events);
    assert_eq!((status, &answer["state"]), (200, &json!("REDUCING")), "{answer}");
    assert_eq!(answer["closed"][0]["standing"], "selling");
    rig.kill_and_start();
    conductor.bar_with(&mut rig, [40_000, 40_000], &mut |rig, _, moment| {
        if moment == Moment::Moved {
            rig.kill_and_start();
        }
    });
    conductor.bar(&mut rig, [40_000, 40_000]);
    conductor.bar(&mut rig, [40_000, 40_000]);
    assert_eq!(lots(&rig), ["0", "0"]);
    nothing_rests(&rig);
    let (_, state) = rig.get("/state");
    assert_eq!(state["trading"], "REDUCING");
    let set = &state["trading_set"];
    assert_eq!((&set["word"], &set["by"], &set["why"]), (&json!("flatten"), &json!("ada"), &json!("get out")));
    for closed in state["closed"].as_array().unwrap() {
        assert_eq!((&closed["standing"], &closed["lots"]), (&json!("flat"), &json!("0")), "{closed}");
    }
    let refused = ("CLOSED".to_owned(), Some("BTC/USDT".to_owned()));
    assert_eq!(rig.risk_updates().iter().filter(|update| **update == refused).count(), 3);

    assert_eq!(rig.post("/resume", &json!({"reason": "calm again"})).1["state"], "ACTIVE");
    conductor.bar(&mut rig, [10_000, 10_000]);
    conductor.bar(&mut rig, [10_000, 10_000]);
    assert_eq!(lots(&rig), ["10000", "10000"]);
    balances_equal_the_exchanges(&rig);
    assert_eq!(rig.stop(), Some(0));
    let trading = rig.exported("trading");
    let events: Vec<&str> = trading.iter().map(|row| row["command"].as_str().unwrap()).collect();
    assert_eq!(events, ["flatten", "resume"]);
    let by_operator = |row: &&serde_json::Value| row["release"].is_null();
    let sold: Vec<_> = rig.exported("order");
    assert!(
        sold.iter().filter(by_operator).all(|row| row["side"] == "SELL") && sold.iter().any(|row| by_operator(&row))
    );
    rig.assert_replays();
}

#[test]
fn a_close_ends_one_position_and_the_other_goes_on() {
    let mut rig = Rig::new();
    rig.start();
    let mut conductor = Conductor::new();
    conductor.bar(&mut rig, [20_000, 20_000]);
    conductor.bar(&mut rig, [20_000, 20_000]);
    let (status, answer) = rig.post("/close", &json!({"symbol": "DOGE/USDT", "reason": "a typo"}));
    assert_eq!(status, 409);
    assert!(answer.to_string().contains("BTC/USDT, ETH/USDT"), "{answer}");
    for body in
        [json!({"reason": "no symbol"}), json!({"symbol": "BTC/USDT"}), json!({"symbol": "BTC/USDT", "reason": ""})]
    {
        assert_eq!(rig.post("/close", &body).0, 400, "{body}");
    }
    assert_eq!(rig.post("/flatten", &json!({})).0, 400, "a flatten needs a reason");
    assert_eq!(rig.post("/flatten", &json!({"reason": "x", "by": "a: b"})).0, 400);

    let (status, answer) = rig.post("/close", &json!({"symbol": "BTC/USDT", "reason": "delisting"}));
    assert_eq!((status, &answer["state"]), (200, &json!("ACTIVE")), "{answer}");
    conductor.bar(&mut rig, [20_000, 30_000]);
    rig.kill_and_start();
    conductor.bar(&mut rig, [20_000, 30_000]);
    conductor.bar(&mut rig, [20_000, 30_000]);
    assert_eq!(lots(&rig), ["0", "30000"]);
    nothing_rests(&rig);
    let (_, state) = rig.get("/state");
    assert_eq!((&state["trading"], state["closed"].as_array().unwrap().len()), (&json!("ACTIVE"), 1));
    let closed = &state["closed"][0];
    assert_eq!((&closed["symbol"], &closed["standing"]), (&json!("BTC/USDT"), &json!("flat")));
    assert_eq!((&closed["set"]["by"], &closed["set"]["why"]), (&json!("service_token"), &json!("delisting")));
    assert!(rig.risk_updates().contains(&("COMMAND".to_owned(), Some("BTC/USDT".to_owned()))));
    assert_eq!(rig.stop(), Some(0));
    rig.assert_replays();
}

#[test]
fn what_was_closed_stays_closed_in_a_run_under_another_configuration() {
    let mut rig = Rig::new();
    rig.start();
    let mut conductor = Conductor::new();
    conductor.bar(&mut rig, [20_000, 20_000]);
    conductor.bar(&mut rig, [20_000, 20_000]);
    rig.post("/close", &json!({"symbol": "BTC/USDT", "reason": "delisting", "by": "ada"}));
    conductor.bar(&mut rig, [20_000, 20_000]);
    rig.post("/halt", &json!({"reason": "look first", "by": "bob"}));
    conductor.bar(&mut rig, [20_000, 40_000]);
    assert_eq!(rig.stop(), Some(0));

    let limits = json!({"limits": {"account": {"max_order_atoms": 50_000_000_000_i64}}});
    rig.write_settings(&json!({"lockstep": true}), &limits);
    rig.start();
    conductor.bar(&mut rig, [20_000, 40_000]);
    conductor.bar(&mut rig, [20_000, 40_000]);
    let (_, state) = rig.get("/state");
    assert_eq!(state["trading"], "HALTED");
    let set = &state["trading_set"];
    assert_eq!((&set["word"], &set["by"], &set["why"]), (&json!("halt"), &json!("bob"), &json!("look first")));
    assert_eq!(state["closed"][0]["set"]["why"], "delisting");
    assert_eq!(lots(&rig), ["0", "20000"]);
    // A third run, with nothing said in the second.
    assert_eq!(rig.stop(), Some(0));
    rig.write_settings(&json!({"lockstep": true}), &json!({}));
    rig.start();
    conductor.bar(&mut rig, [20_000, 40_000]);
    assert_eq!(rig.get("/state").1["trading_set"]["by"], "bob");
    assert_eq!(rig.post("/resume", &json!({"reason": "seen"})).1["closed"], json!([]));
    conductor.bar(&mut rig, [20_000, 20_000]);
    conductor.bar(&mut rig, [20_000, 20_000]);
    assert_eq!(lots(&rig), ["20000", "20000"]);
    assert_eq!(rig.stop(), Some(0));
    assert_eq!(rig.assert_replays()["runs"], 3);
}

#[test]
fn the_account_is_told_with_its_prices_and_gains_and_its_last_bar() {
    let mut rig = Rig::new();
    rig.start();
    let mut conductor = Conductor::new();
    conductor.bar(&mut rig, [20_000, 0]);
    conductor.bar(&mut rig, [20_000, 0]);
    let (_, emitted) = rig.get("/positions");
    let number = |value: &serde_json::Value| value.as_str().unwrap().parse::<i128>().unwrap();
    let row = &emitted["positions"][0];
    let value = number(&row["atoms"]) * number(&row["price_atoms"]) / 100_000_000;
    assert_eq!(number(&row["value_atoms"]), value);
    assert_eq!(number(&row["unrealised_atoms"]), value - number(&row["cost_atoms"]));
    assert_eq!(emitted["unrealised_quote_atoms"], row["unrealised_atoms"]);
    assert_eq!(number(&emitted["equity_quote_atoms"]), number(&emitted["cash_quote_atoms"]) + value);
    assert_eq!(emitted["trading_set"], serde_json::Value::Null);
    let (_, state) = rig.get("/state");
    assert_eq!(number(&state["last_bar_close_ns"]), i128::from(crate::conductor::close_ns(2)));
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
    for path in ["/halt", "/reduce", "/resume", "/flatten", "/close"] {
        let body = json!({"reason": "a stranger's"});
        assert_eq!(rig.post_as(path, "another", &body).0, 401, "{path}");
        assert_eq!(rig.post_as(path, "", &body).0, 401, "{path}");
    }
    assert_eq!(rig.get("/state").1["trading_set"], serde_json::Value::Null);
    assert_eq!(rig.get_as("/livez", "").0, 200);
    let (status, metrics) = rig.get_as("/metrics", "");
    let metrics = metrics.as_str().unwrap().to_owned();
    let ready = metrics
        .lines()
        .any(|line| line.starts_with("sapphire_ready{venue=\"embedded\",account=\"paper\",") && line.ends_with(" 1"));
    assert!(status == 200 && ready, "{metrics}");
    assert_eq!(rig.post("/resume", &json!({"why": "no such field"})).0, 400);

    let Err((code, message)) = rig.try_start() else { panic!("two services on one account") };
    assert_eq!(code, Some(1));
    assert!(message.contains("in use") && message.contains("next:"), "{message}");
    assert_eq!(rig.stop(), Some(0));
    let log = rig.log();
    assert!(
        !log.contains(TOKEN) && !log.contains(READ_TOKEN) && !log.contains(rig.exchange.text("api_secret")),
        "{log}"
    );
}

#[test]
fn the_reading_token_looks_and_moves_nothing_and_who_acted_is_in_the_journal() {
    let mut rig = Rig::new();
    rig.start();
    let mut conductor = Conductor::new();
    conductor.bar(&mut rig, [20_000, 0]);
    for path in ["/state", "/positions", "/orders", "/fills", "/readyz", "/metrics"] {
        assert_eq!(rig.get_as(path, READ_TOKEN).0, 200, "{path}");
    }
    for path in ["/halt", "/reduce", "/resume", "/flatten", "/close"] {
        let body = json!({"reason": "only looking", "symbol": "BTC/USDT"});
        let (status, answer) = rig.post_as(path, READ_TOKEN, &body);
        let text = answer["error"].as_str().unwrap();
        assert!(status == 403 && text.contains(&format!("{path} acts")) && text.contains("next:"), "{status} {text}");
        assert!(!text.contains(TOKEN) && !text.contains(READ_TOKEN), "{text}");
    }
    // Not even the flag that a halt raises before it is journalled.
    conductor.bar(&mut rig, [30_000, 0]);
    conductor.bar(&mut rig, [30_000, 0]);
    let (_, state) = rig.get_as("/state", READ_TOKEN);
    assert_eq!((&state["trading"], &state["trading_set"]), (&json!("ACTIVE"), &serde_json::Value::Null));
    assert_eq!(lots(&rig)[0], "30000");

    // A halt is applied whatever its words are, and keeps what can be read of them.
    let two_lines = json!({"reason": "calm", "by": "ada\noperator bob"});
    assert_eq!(rig.post("/resume", &two_lines).0, 400);
    assert_eq!(rig.post("/reduce", &json!({"reason": "one\ntwo", "by": "ada"})).0, 400);
    assert_eq!(rig.post("/halt", &json!({"by": "ada"})).0, 200);
    assert_eq!(rig.get("/state").1["trading_set"]["by"], "ada");
    assert_eq!(rig.post("/resume", &json!({"reason": "seen"})).0, 200);
    assert_eq!(rig.post("/halt", &two_lines).0, 200);
    assert_eq!(rig.stop(), Some(0));
    let shown = String::from_utf8(rig.journal("show").stdout).unwrap();
    let commands: Vec<String> = shown
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|row| row["kind"] == "command")
        .map(|row| row["source"].as_str().unwrap().to_owned())
        .collect();
    let expected = ["operator ada: no reason given", "operator service_token: seen", "operator service_token: calm"];
    assert_eq!(commands, expected);
    rig.assert_replays();
}

#[test]
fn wrong_settings_are_refused_and_say_what_to_do() {
    let mut rig = Rig::new();
    let path = rig.path("service.json");
    let good = std::fs::read_to_string(&path).unwrap();
    let refusal = |rig: &Rig, from: &str, to: &str| {
        std::fs::write(&path, good.replace(from, to)).unwrap();
        let Err((code, message)) = rig.try_start() else { panic!("{to} was taken") };
        assert_eq!(code, Some(1));
        message
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
