//! Ports, tokens, signals and several exchanges on one machine.

use std::io::Write;
use std::net::TcpStream;

use serde_json::json;

use crate::venue::{Exchange, LOCKSTEP, SECOND_NS, START_NS, Scratch};

fn port(exchange: &Exchange, key: &str) -> String {
    exchange.text(key).rsplit(':').next().unwrap().to_owned()
}

#[test]
fn a_used_port_names_its_holder() {
    let holder = Exchange::start(&LOCKSTEP);
    for (flag, key) in [("--port", "url"), ("--control-port", "control_url")] {
        let used = port(&holder, key);
        let failed = Exchange::try_start(&[flag, &used]).err().expect("the port is used");
        assert_eq!(failed.code, Some(1));
        assert!(failed.stderr.contains(&format!("port {used} is used")), "{}", failed.stderr);
        assert!(failed.stderr.contains(&format!("process {}", holder.pid())), "{}", failed.stderr);
    }
}

#[test]
fn two_exchanges_live_side_by_side() {
    let (one, other) = (Exchange::start(&LOCKSTEP), Exchange::start(&LOCKSTEP));
    one.advance_all(START_NS + 30 * SECOND_NS);
    assert_eq!(one.get("/api/v3/time").1["serverTime"], (START_NS + 30 * SECOND_NS) / 1_000_000);
    assert_eq!(other.get("/api/v3/time").1["serverTime"], START_NS / 1_000_000);
    assert_ne!(one.text("control_token"), other.text("control_token"));
    assert_ne!(one.text("api_secret"), other.text("api_secret"));
}

#[test]
fn a_journal_has_one_writer() {
    let folder = Scratch::new();
    let arguments = [&LOCKSTEP[..], &["--journal", folder.text()]].concat();
    let _holder = Exchange::start(&arguments);
    let failed = Exchange::try_start(&arguments).err().expect("the folder is held");
    assert!(failed.stderr.contains("another exchange holds"), "{}", failed.stderr);
}

#[test]
fn the_control_plane_wants_its_token() {
    let exchange = Exchange::start(&LOCKSTEP);
    for path in ["state", "advance", "deposit", "accounts", "drain", "shutdown"] {
        let url = format!("{}/control/{path}", exchange.text("control_url"));
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        for token in ["", "Bearer ", "Bearer wrong"] {
            let asked = agent.get(&url).header("authorization", token).call().unwrap();
            let posted = agent.post(&url).header("authorization", token).send_json(json!({})).unwrap();
            let statuses = [asked.status().as_u16(), posted.status().as_u16()];
            assert_eq!(statuses, [401, 401], "{path} with {token:?}");
        }
    }
    let status = exchange.get("/control/state").0;
    assert_eq!(status, 404, "not on the venue's port");
}

#[test]
fn a_dead_clients_requests_are_heard_before_the_drain_answers() {
    let exchange = Exchange::start(&LOCKSTEP);
    let address = exchange.text("url").trim_start_matches("http://").to_owned();
    let _living = TcpStream::connect(&address).unwrap();
    for _ in 0..8 {
        let mut dying = TcpStream::connect(&address).unwrap();
        dying.write_all(b"GET /api/v3/time HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    }
    let (status, answer) = exchange.control("drain", &json!({}));
    assert_eq!((status, &answer["drained"], &answer["closing"]), (200, &json!(true), &json!([])), "{answer}");
    assert_eq!(answer["open"], 1, "{answer}");
}

#[test]
fn a_signal_ends_it_cleanly() {
    let folder = Scratch::new();
    let arguments = [&LOCKSTEP[..], &["--journal", folder.text()]].concat();
    for signal in ["TERM", "INT"] {
        let exchange = Exchange::start(&arguments);
        let ended = exchange.end(signal);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    let exchange = Exchange::start(&arguments);
    assert_eq!(exchange.control("shutdown", &json!({})), (200, json!({"stopping": true})));
    assert_eq!(exchange.end("0").code, Some(0));
}

#[test]
fn wrong_usage_is_two_and_a_refusal_is_one() {
    let code = |arguments: &[&str]| Exchange::try_start(arguments).err().and_then(|failed| failed.code);
    assert_eq!(code(&["--speed", "0"]), Some(2));
    assert_eq!(code(&["--lockstep", "--speed", "2"]), Some(2));
    assert_eq!(code(&["--symbols", "NOSUCH"]), Some(1));
    assert_eq!(code(&["--lockstep", "--start", "1999-01-01"]), Some(1));
    assert_eq!(code(&["--fund", "XYZ=1"]), Some(1));
}
