//! After it has started, the engine takes no memory: from the event to the journal's bytes of what was decided.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

#[allow(dead_code, reason = "shared with the properties")]
mod rough_venue;

use rough_venue::{Fate, MID_TICKS, RoughVenue, USDT, config};
use sapphire_core::engine::{Balances, Body, Engine, Event, Output, Outputs, Signal};
use sapphire_core::instrument::InstrumentId;
use sapphire_core::journal::{Encoder, Header, JournalKind};
use sapphire_core::orders::{Order, ReleaseId};

const T: i64 = 1_704_067_200_000_000_000;
const MINUTE_NS: i64 = 60_000_000_000;
const CASH_ATOMS: i128 = 10_000_000_000_000;

/// An engine with what stands around it, all of it made before anything is measured.
struct Line {
    engine: Engine,
    venue: RoughVenue,
    outputs: Outputs,
    orders: Vec<Order>,
    encoder: Encoder,
    payload: Vec<u8>,
    bytes: Vec<u8>,
    now_ns: i64,
    taken: u64,
}

impl Line {
    fn new() -> Self {
        let mut bytes = Vec::with_capacity(4_096);
        let header = Header { kind: JournalKind::Service, epoch: 1, config_digest: [0; 32] };
        let mut line = Self {
            engine: Engine::new(config(2)).unwrap(),
            venue: RoughVenue::new(CASH_ATOMS, 3),
            outputs: Outputs::with_capacity(64),
            orders: Vec::with_capacity(64),
            encoder: Encoder::new(&header, &mut bytes),
            payload: Vec::with_capacity(4_096),
            bytes,
            now_ns: T,
            taken: 0,
        };
        line.say(Body::Epoch { epoch: 1 });
        line.say(Body::Verdict { release: ReleaseId(0), ok: true });
        line.say(Body::Balances(Balances { as_of_ns: T, holdings: vec![(USDT, CASH_ATOMS)] }));
        line
    }

    /// Journal, step, and the bytes of what was decided; counts what was taken from the allocator meanwhile.
    fn say(&mut self, body: Body) {
        let event = Event { market_ns: self.now_ns, body };
        let info = allocation_counter::measure(|| {
            self.payload.clear();
            event.encode(&mut self.payload);
            self.bytes.clear();
            self.encoder.encode(self.now_ns, 1, 1, &self.payload, &mut self.bytes).unwrap();
            self.engine.step(&event, &mut self.outputs);
            self.payload.clear();
            self.outputs.encode(&mut self.payload);
            for output in &self.outputs {
                if let Output::Place(approved) = output {
                    self.orders.push(*approved.order());
                }
            }
            self.outputs.clear();
        });
        self.taken += info.count_total;
    }

    /// A bar: prices, targets, their end, and everything that the venue then says.
    fn bar(&mut self, number: i64) {
        self.now_ns += MINUTE_NS;
        for index in 0..2 {
            let (instrument, as_of_ns) = (InstrumentId(index), self.now_ns);
            self.say(Body::Bbo { instrument, bid_ticks: MID_TICKS - 100, ask_ticks: MID_TICKS + 100, as_of_ns });
        }
        for index in 0..2 {
            let target_lots = (number + i64::from(index)) % 2 * 10_000;
            let signal = Signal {
                release: ReleaseId(0),
                instrument: InstrumentId(index),
                target_lots,
                bar_close_ns: self.now_ns,
                time_to_live_ns: MINUTE_NS,
            };
            self.say(Body::Signal(signal));
        }
        self.say(Body::EndOfBar { bar_close_ns: self.now_ns });
        while let Some(order) = self.orders.pop() {
            self.venue.place(&order, Fate::Traded(100, 3));
            while !self.venue.unread.is_empty() {
                let report = self.venue.unread.remove(0);
                self.say(Body::Report(report));
            }
        }
        self.say(Body::Timer);
    }
}

#[test]
fn two_days_of_orders_take_no_memory() {
    let mut line = Line::new();
    // One day fills the tombstones: from the second on, what is new takes the place of what is old.
    let day = 24 * 60;
    (0..day + 60).for_each(|bar| line.bar(bar));
    assert!(std::mem::take(&mut line.taken) > 0, "a start takes memory, and it is seen");
    let before = line.venue.trades.len();
    (day + 60..3 * day).for_each(|bar| line.bar(bar));
    assert!(line.venue.trades.len() - before > 10_000, "{} trades", line.venue.trades.len() - before);
    assert_eq!(line.taken, 0, "allocations");
}
