//! Messages as the other parts write them.

use sapphire_core::messages::{Advanced, Envelope, HftSignal, Message, Name, Settled};

pub const BAR_NS: i64 = 300_000_000_000;
pub const START_NS: i64 = 1_709_294_400_000_000_000;

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn envelope(schema_id: &str, sequence: u64, publish_time_ns: i64) -> Envelope {
    Envelope {
        causation_id: None,
        event_time_ns: START_NS,
        message_id: name(&format!("test-{schema_id}-{sequence}")),
        producer: name("test"),
        publish_time_ns,
        schema_id: name(schema_id),
        sequence,
        trace_id: name("test"),
    }
}

pub fn signal(release: &str, symbol: &str, bar_close_ns: i64, target_lots: i64) -> Vec<u8> {
    let signal = HftSignal {
        bar_close_ns,
        envelope: envelope("HFT_SIGNAL@1", 1, 7),
        reference_ticks: 6_400_000,
        release: name(release),
        symbol: name(symbol),
        target_lots,
        time_to_live_ns: BAR_NS,
    };
    Message::HftSignal(Box::new(signal)).encode().unwrap()
}

pub fn settled(bar_close_ns: i64, publish_time_ns: i64) -> Vec<u8> {
    let settled = Settled {
        bar_close_ns,
        consumed: Vec::new(),
        envelope: envelope("SETTLED@1", 2, publish_time_ns),
        sent: Vec::new(),
        wake_at_ns: None,
    };
    Message::Settled(Box::new(settled)).encode().unwrap()
}

pub fn advanced(number: u64, bar_close_ns: Option<i64>) -> Vec<u8> {
    let advanced = Advanced {
        account_events: number * 10,
        bar_close_ns,
        envelope: envelope("ADVANCED@1", number, 7),
        now_ns: START_NS + number as i64,
    };
    Message::Advanced(Box::new(advanced)).encode().unwrap()
}
