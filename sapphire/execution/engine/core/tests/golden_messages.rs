//! What Python writes, Rust reads and writes again byte for byte; what Python refuses, Rust refuses, naming the same
//! field.
//!
//! The vectors are written by `python tests/reference/test_messages.py`.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::fs;
use std::path::PathBuf;

use sapphire_core::messages::{DecimalText, Message, MessageError, Name, Prose};
use serde::Deserialize;

fn vectors(folder: &str) -> Vec<(String, Vec<u8>)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../tests/reference/golden").join(folder);
    let mut found = Vec::new();
    for entry in fs::read_dir(&root).unwrap_or_else(|error| panic!("{}: {error}", root.display())) {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            found.push((path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn every_golden_message_is_written_again_byte_for_byte() {
    let found = vectors("messages");
    let mut schemas: Vec<&str> = Vec::new();
    for (name, file) in &found {
        let bytes = file.strip_suffix(b"\n").unwrap();
        let message = Message::decode(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(String::from_utf8_lossy(&message.encode().unwrap()), String::from_utf8_lossy(bytes), "{name}");
        assert_eq!(message.envelope().schema_id.as_str(), message.schema_id(), "{name}");
        schemas.push(message.schema_id());
    }
    for known in Message::KNOWN.split(", ") {
        assert!(schemas.contains(&known), "no golden message of {known}");
    }
}

#[derive(Deserialize)]
struct Refusal {
    data: String,
    error: String,
    field: String,
}

#[test]
fn every_refused_message_is_refused_here_too_and_names_the_field() {
    let found = vectors("messages/refused");
    assert!(!found.is_empty());
    for (name, file) in &found {
        let refusal: Refusal = serde_json::from_slice(file).unwrap();
        match (Message::decode(refusal.data.as_bytes()), refusal.error.as_str()) {
            (Err(MessageError::UnknownSchema { got, .. }), "UnknownSchema") => {
                assert!(refusal.data.contains(&got), "{name}");
            }
            (Err(MessageError::BadMessage { field, reason, .. }), "BadMessage") => {
                assert_eq!(field, refusal.field, "{name}: {reason}");
            }
            (other, expected) => panic!("{name}: expected {expected}, got {other:?}"),
        }
    }
}

#[test]
fn spacing_and_order_are_free_but_what_is_written_is_canonical() {
    for (name, file) in vectors("messages") {
        let bytes = file.strip_suffix(b"\n").unwrap();
        let value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        let pretty = serde_json::to_vec_pretty(&value).unwrap();
        assert_eq!(Message::decode(&pretty).unwrap().encode().unwrap(), bytes, "{name}");
    }
}

#[test]
fn an_error_on_a_later_line_still_finds_its_field() {
    let (_, file) = vectors("messages").into_iter().find(|(name, _)| name == "hft_signal_long").unwrap();
    let value: serde_json::Value = serde_json::from_slice(&file).unwrap();
    let pretty =
        serde_json::to_string_pretty(&value).unwrap().replace("\"reference_ticks\": \"", "\"reference_ticks\": \"0");
    let Err(MessageError::BadMessage { field, .. }) = Message::decode(pretty.as_bytes()) else {
        panic!("a leading zero was accepted");
    };
    assert_eq!(field, "reference_ticks");
}

#[test]
fn an_envelope_that_names_another_schema_is_not_written() {
    let (_, file) = vectors("messages").into_iter().find(|(name, _)| name == "hft_signal_long").unwrap();
    let mut message = Message::decode(file.strip_suffix(b"\n").unwrap()).unwrap();
    if let Message::HftSignal(signal) = &mut message {
        signal.envelope.schema_id = Name::new("VIEW@1").unwrap();
    }
    assert!(
        matches!(message.encode(), Err(MessageError::BadMessage { field, .. }) if field == "envelope.schema_id"),
        "{message:?}"
    );
}

#[test]
fn text_types_refuse_what_is_not_of_their_form() {
    for text in ["0", "-1", "64250.10", "0.00000001", &"9".repeat(400)] {
        assert_eq!(DecimalText::new(text).unwrap().as_str(), text);
    }
    for text in ["", "-", "01", "1.", ".5", "+1", "1e5", "1,0", " 1", "NaN", "--1", "1.2.3", &"9".repeat(401)] {
        assert!(DecimalText::new(text).is_err(), "{text:?}");
    }
    for text in ["", "a b", "é", "a\n", &"n".repeat(129)] {
        assert!(Name::new(text).is_err(), "{text:?}");
    }
    assert!(Name::new(&"n".repeat(128)).is_ok());
    assert!(Prose::new(&"é".repeat(1_000)).is_ok());
    assert!(Prose::new(&"é".repeat(1_001)).is_err());
}
