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

/// Status and answer of a call to the control plane under a token.
fn call(exchange: &Exchange, method: &str, path: &str, token: &str) -> (u16, String) {
    let url = format!("{}/control/{path}", exchange.text("control_url"));
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = match method {
        "GET" => agent.get(&url).header("authorization", token).call().unwrap(),
        _ => agent.post(&url).header("authorization", token).send_json(json!({})).unwrap(),
    };
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

#[test]
fn the_control_plane_wants_its_token() {
    let exchange = Exchange::start(&LOCKSTEP);
    for path in ["state", "advance", "deposit", "accounts", "drain", "shutdown"] {
        for token in ["", "Bearer ", "Bearer wrong"] {
            let statuses = ["GET", "POST"].map(|method| call(&exchange, method, path, token).0);
            assert_eq!(statuses, [401, 401], "{path} with {token:?}");
        }
    }
    let status = exchange.get("/control/state").0;
    assert_eq!(status, 404, "not on the venue's port");
}

#[test]
fn one_token_reads_and_another_acts_also_after_a_restart() {
    let folder = Scratch::new();
    let arguments = [&LOCKSTEP[..], &["--journal", folder.text()]].concat();
    let exchange = Exchange::start(&arguments);
    let tokens = |exchange: &Exchange| ["control_read_token", "control_token"].map(|key| exchange.text(key).to_owned());
    let [reads, acts] = tokens(&exchange);
    assert_ne!(reads, acts);
    let reader = format!("Bearer {reads}");
    for path in ["advance", "deposit", "accounts", "shutdown"] {
        let (status, text) = call(&exchange, "POST", path, &reader);
        assert!(status == 403 && text.contains(&format!("/control/{path} acts")), "{status} {text}");
        assert!(!text.contains(&reads) && !text.contains(&acts), "{text}");
    }
    assert_eq!(call(&exchange, "GET", "state", &reader).0, 200);
    assert_eq!(call(&exchange, "POST", "drain", &reader).0, 200);
    assert_eq!(exchange.advance(START_NS + SECOND_NS).0, START_NS + SECOND_NS);
    exchange.kill();
    let exchange = Exchange::start(&arguments);
    assert_eq!(tokens(&exchange), [reads, acts]);
    assert_eq!(exchange.state()["accounts"].as_array().unwrap().len(), 1, "nobody opened one");
}

#[test]
fn it_listens_where_it_is_told_and_tells_what_others_reach() {
    for (bind, host, emitted) in [
        ("0.0.0.0", None, "127.0.0.1"),
        ("0.0.0.0", Some("localhost"), "localhost"),
        ("127.0.0.2", None, "127.0.0.2"),
        ("::1", None, "[::1]"),
        ("::", Some("127.0.0.1"), "127.0.0.1"),
    ] {
        let words = [&LOCKSTEP[..], &["--bind", bind], &host.map_or(vec![], |host| vec!["--host", host])[..]].concat();
        let exchange = Exchange::start(&words);
        for (key, scheme) in [("url", "http"), ("ws_url", "ws"), ("control_url", "http")] {
            assert_eq!(
                exchange.text(key).rsplit_once(':').unwrap().0,
                format!("{scheme}://{emitted}"),
                "{bind} {host:?}"
            );
        }
        assert_eq!(exchange.get("/api/v3/time").0, 200);
        assert_eq!(exchange.control("drain", &json!({})).1["drained"], true, "{bind} {host:?}");
    }
}

#[test]
fn an_address_that_cannot_be_is_refused_before_anything_starts() {
    let folder = Scratch::new();
    for (flag, text, reason) in [
        ("--bind", "192.0.2.1", "bind is no address of this machine"),
        ("--bind", "no-such.invalid", "bind has no address"),
        ("--bind", "127.0.0.1:80", "bind does not fit"),
        ("--host", "no-such.invalid", "host has no address"),
        ("--host", "0.0.0.0", "nobody reaches all addresses"),
    ] {
        let words = [&LOCKSTEP[..], &["--journal", folder.text(), flag, text]].concat();
        let failed = Exchange::try_start(&words).err().expect("it cannot listen there");
        assert!(failed.code == Some(1) && failed.stderr.contains(reason), "{flag} {text}: {}", failed.stderr);
        assert!(failed.stderr.contains(text) && failed.stderr.contains("next:"), "{}", failed.stderr);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was begun");
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

#[test]
fn probes_and_figures_need_no_token() {
    let exchange = Exchange::start(&LOCKSTEP);
    exchange.advance_all(START_NS + SECOND_NS);
    let ask = |path: &str| {
        let answer = ureq::get(format!("{}{path}", exchange.text("control_url"))).call().unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (kind, answer.into_body().read_to_string().unwrap())
    };
    assert_eq!(ask("/livez").1, r#"{"live":true}"#);
    assert_eq!(ask("/readyz").1, r#"{"ready":true}"#);
    let (kind, text) = ask("/metrics");
    assert!(kind.starts_with("application/openmetrics-text") && text.ends_with("# EOF\n"), "{kind}\n{text}");
    for line in [
        format!("sapphire_exchange_market_time_ns{{venue=\"embedded\"}} {}", START_NS + SECOND_NS),
        "sapphire_exchange_accounts{venue=\"embedded\"} 1".to_owned(),
        "sapphire_exchange_orders_total{venue=\"embedded\"} 0".to_owned(),
    ] {
        assert!(text.lines().any(|emitted| emitted == line), "{line}\n{text}");
    }
}
