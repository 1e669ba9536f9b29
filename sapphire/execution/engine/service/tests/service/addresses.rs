//! Where a service listens, what it tells others, and addresses that cannot be.

use sapphire_core::messages::Message;
use serde_json::json;

use crate::rig::{READ_TOKEN, Rig};
use crate::venue::LOCKSTEP;

#[test]
fn it_listens_where_it_is_told_and_says_what_others_reach() {
    for (bind, host, emitted) in [
        ("0.0.0.0", json!("localhost"), "http://localhost"),
        ("::", json!(null), "http://[::1]"),
        ("127.0.0.2", json!(null), "http://127.0.0.2"),
    ] {
        let mut rig = Rig::with(&LOCKSTEP, &json!({"lockstep": true}), &json!({"bind": bind, "host": host}));
        rig.start();
        let url = rig.service.as_ref().unwrap().first_line["control_url"].as_str().unwrap().to_owned();
        assert_eq!(url.rsplit_once(':').unwrap().0, emitted);
        assert_eq!(rig.get_as("/state", READ_TOKEN).0, 200, "{url}");
        rig.wait_until_ready();
        let address = url.trim_start_matches("http://").to_owned();
        let beat = rig.messages("heartbeats").iter().find_map(|(_, message)| match message {
            Message::Heartbeat(beat) => beat.address.as_ref().map(ToString::to_string),
            _ => None,
        });
        assert_eq!(beat, Some(address));
    }
}

#[test]
fn addresses_that_cannot_be_are_named_before_anything_is_begun() {
    for (key, value, reason) in [
        ("bind", "192.0.2.1", "bind is no address of this machine"),
        ("bind", "no-such.invalid", "bind has no address"),
        ("host", "no-such.invalid", "host has no address"),
        ("host", "::", "nobody reaches all addresses"),
        ("bus_url", "valkey://no-such.invalid:1/0", "has no address"),
    ] {
        let rig = Rig::with(&LOCKSTEP, &json!({"lockstep": true}), &json!({key: value}));
        let Err((code, message)) = rig.try_start() else { panic!("{key} {value} was taken") };
        assert!(code == Some(1) && message.contains(reason) && message.contains("next:"), "{key} {value}: {message}");
        assert!(!rig.account().exists(), "{key} {value}: the account's folder was begun");
    }
    let rig = Rig::new();
    for key in ["rest_url", "ws_url", "control_url"] {
        let mut venue = json!({"name": "embedded"});
        for (setting, emitted) in [("rest_url", "url"), ("ws_url", "ws_url"), ("control_url", "control_url")] {
            let url = rig.exchange.text(emitted);
            let url = if setting == key { url.replace("127.0.0.1", "no-such.invalid") } else { url.to_owned() };
            venue[setting] = json!(url);
        }
        rig.write_settings(&json!({"lockstep": true}), &json!({"venue": venue}));
        let Err((code, message)) = rig.try_start() else { panic!("a venue of no address") };
        assert!(code == Some(1) && message.contains(&format!("{key} has no address")), "{message}");
        assert!(!rig.account().exists());
    }
}
