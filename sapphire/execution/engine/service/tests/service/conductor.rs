//! The conductor of a run and the coordinator with fixed targets, in one.

use std::time::{Duration, Instant};

use sapphire_core::messages::{Advanced, Envelope, HftSignal, Message, Name, Settled};
use sapphire_service::events::EntryId;
use serde_json::json;

use crate::rig::{BAR_NS, PATIENCE, Rig};
use crate::valkey::publish_signed;
use crate::venue::{START_NS, SYMBOLS};

/// Moments of a bar at which something can be done to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The exchange has moved, and nobody has said so yet.
    Moved,
    /// A step was announced this instant.
    Announced,
    /// The account's state is out, the signals are not.
    Stated,
    /// All signals are out this instant.
    Signalled,
    /// The bar is settled: its orders travel.
    Settled,
}

impl Moment {
    pub const ALL: [Self; 5] = [Self::Moved, Self::Announced, Self::Stated, Self::Signalled, Self::Settled];
}

/// What is done at each moment of each bar; bars count from 1.
pub type AtMoment<'a> = &'a mut dyn FnMut(&mut Rig, i64, Moment);

/// Where a run stands.
pub struct Conductor {
    steps: u64,
    wake_at_ns: Option<i64>,
    events: u64,
    pub bar: i64,
}

/// Close of a bar, counted from 1.
pub fn close_ns(bar: i64) -> i64 {
    START_NS + bar * BAR_NS
}

pub fn ms(time_ns: i64) -> u64 {
    (time_ns / 1_000_000).cast_unsigned()
}

pub fn signal_entry(bar_close_ns: i64, seq: u64) -> EntryId {
    EntryId { ms: ms(bar_close_ns), seq }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn envelope(producer: &str, stream: &str, entry: EntryId, schema: &str, time_ns: i64) -> Envelope {
    Envelope {
        causation_id: None,
        event_time_ns: time_ns,
        message_id: name(&format!("{producer}-{stream}-{entry}")),
        producer: name(producer),
        publish_time_ns: 1,
        schema_id: name(schema),
        sequence: entry.seq,
        trace_id: name(&format!("bar-{}", ms(time_ns))),
    }
}

/// A signal as the coordinator writes it.
pub fn signal(release: &str, symbol: &str, target_lots: i64, bar_close_ns: i64, entry: EntryId) -> Vec<u8> {
    signal_for(BAR_NS, release, symbol, target_lots, bar_close_ns, entry)
}

/// The same, with a time to live of its own.
pub fn signal_for(
    time_to_live_ns: i64,
    release: &str,
    symbol: &str,
    target_lots: i64,
    bar_close_ns: i64,
    entry: EntryId,
) -> Vec<u8> {
    let signal = HftSignal {
        bar_close_ns,
        envelope: envelope("coordinator", "signals", entry, "HFT_SIGNAL@1", bar_close_ns),
        reference_ticks: 1,
        release: name(release),
        symbol: name(symbol),
        target_lots,
        time_to_live_ns,
    };
    Message::HftSignal(Box::new(signal)).encode().unwrap()
}

/// The end marker of a bar.
pub fn end_of_bar(bar_close_ns: i64) -> Vec<u8> {
    let entry = signal_entry(bar_close_ns, 65_535);
    let settled = Settled {
        bar_close_ns,
        consumed: Vec::new(),
        envelope: envelope("coordinator", "signals", entry, "SETTLED@1", bar_close_ns),
        sent: Vec::new(),
        wake_at_ns: None,
    };
    Message::Settled(Box::new(settled)).encode().unwrap()
}

impl Rig {
    /// Writes a signal of this rig's release.
    pub fn signal(&mut self, symbol: &str, target_lots: i64, bar_close_ns: i64, entry: EntryId) {
        let release = self.home.digest.to_string();
        let bytes = signal(&release, symbol, target_lots, bar_close_ns, entry);
        let streams = self.streams();
        publish_signed(&mut self.bus, &streams, entry, &bytes);
    }

    pub fn end_of_bar(&mut self, bar_close_ns: i64) {
        let streams = self.streams();
        publish_signed(&mut self.bus, &streams, signal_entry(bar_close_ns, 65_535), &end_of_bar(bar_close_ns));
    }

    /// Waits for an entry of the bus.
    pub fn await_entry(&mut self, kind: &str, entry: EntryId) -> Message {
        let (deadline, stream) = (Instant::now() + PATIENCE, self.stream(kind));
        loop {
            if let Some(found) = self.bus.entry(&stream, entry).unwrap().entries().next() {
                return Message::decode(found.message().unwrap()).unwrap();
            }
            assert!(Instant::now() < deadline, "waited for entry {entry} of {stream}: {}", self.log());
            std::thread::sleep(Duration::from_micros(300));
        }
    }
}

impl Conductor {
    pub fn new() -> Self {
        Self { steps: 0, wake_at_ns: None, events: 0, bar: 0 }
    }

    /// A bar with one target for each symbol.
    pub fn bar(&mut self, rig: &mut Rig, targets: [i64; 2]) {
        self.bar_with(rig, targets, &mut |_, _, _| {});
    }

    /// The same, with something done at its moments.
    pub fn bar_with(&mut self, rig: &mut Rig, targets: [i64; 2], at: AtMoment<'_>) {
        let signals = |rig: &mut Rig, close_ns: i64| {
            for (place, (symbol, lots)) in SYMBOLS.iter().zip(targets).enumerate() {
                rig.signal(symbol, lots, close_ns, signal_entry(close_ns, place as u64 + 1));
            }
        };
        self.bar_of(rig, &mut { signals }, at);
    }

    /// A bar whose signals somebody else writes, but for the end marker.
    pub fn bar_of(&mut self, rig: &mut Rig, signals: &mut dyn FnMut(&mut Rig, i64), at: AtMoment<'_>) {
        self.bar += 1;
        let (bar, close_ns) = (self.bar, close_ns(self.bar));
        loop {
            let (now_ns, events) = self.advance(rig, close_ns);
            at(rig, bar, Moment::Moved);
            let is_awake = self.wake_at_ns.is_some_and(|wake_ns| wake_ns <= now_ns);
            if now_ns == close_ns && events == 0 && !is_awake {
                break;
            }
            self.step(rig, now_ns, None, &mut |rig| at(rig, bar, Moment::Announced));
        }
        self.step(rig, close_ns, Some(close_ns), &mut |rig| {
            at(rig, bar, Moment::Announced);
            rig.await_entry("account", signal_entry(close_ns, 1));
            at(rig, bar, Moment::Stated);
            signals(rig, close_ns);
            rig.end_of_bar(close_ns);
            at(rig, bar, Moment::Signalled);
        });
        at(rig, bar, Moment::Settled);
    }

    /// Lets the exchange go to the first thing that happens, at most to `to_ns`; where it stands and how much happened.
    pub fn advance(&mut self, rig: &Rig, to_ns: i64) -> (i64, u64) {
        let wake: Vec<String> = self.wake_at_ns.iter().map(ToString::to_string).collect();
        let answer = rig.exchange.control("advance", &json!({"to_ns": to_ns.to_string(), "wake_at_ns": wake}));
        self.events = answer["sequences"]["1"].as_u64().unwrap();
        (answer["now_ns"].as_str().unwrap().parse().unwrap(), answer["events"].as_u64().unwrap())
    }

    /// Announces a step and waits until the service has settled it.
    pub fn step(&mut self, rig: &mut Rig, now_ns: i64, bar_close_ns: Option<i64>, during: &mut dyn FnMut(&mut Rig)) {
        self.announce(rig, now_ns, bar_close_ns);
        during(rig);
        self.settled(rig);
    }

    pub fn announce(&mut self, rig: &mut Rig, now_ns: i64, bar_close_ns: Option<i64>) {
        self.steps += 1;
        let entry = EntryId { ms: self.steps, seq: 1 };
        let mut envelope = envelope("conductor", "lockstep", entry, "ADVANCED@1", now_ns);
        envelope.sequence = self.steps;
        let advanced = Advanced { account_events: self.events, bar_close_ns, envelope, now_ns };
        let bytes = Message::Advanced(Box::new(advanced)).encode().unwrap();
        rig.bus.publish(&rig.stream("lockstep"), entry, &bytes).unwrap();
    }

    /// Steps announced so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    pub fn settled(&mut self, rig: &mut Rig) {
        let Message::Settled(settled) = rig.await_entry("settled", EntryId { ms: self.steps, seq: 1 }) else {
            panic!("no SETTLED")
        };
        self.wake_at_ns = settled.wake_at_ns;
    }
}

/// Targets of a bar that change every time.
pub fn targets(bar: i64) -> [i64; 2] {
    let mixed = |salt: i64, below: i64| (bar * bar * 7_919 + salt * 104_729).rem_euclid(below);
    // About a fifth of the account each; every seventh bar everything is sold.
    if bar % 7 == 0 { [0, 0] } else { [mixed(1, 60_000), mixed(2, 90_000)] }
}
